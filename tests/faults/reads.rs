//! Faults while we read, at each byte that the peer sends.

use ws101::Error;
use ws101::frames::decoder::Event;
use ws101::frames::header::Role;

use crate::conversations::{Conversation, ROLES, conversations, messages, replies, understood};
use crate::faulty_stream::{Direction::Read, Direction::Write, Fault, Faulty, Plan};
use crate::life::{End, Heard, MANNERS, Manner, live};
use crate::peer::{Plain, Script};

/// A conversation at one end, had in one manner, with nothing going wrong so far.
struct Case {
    name: String,
    role: Role,
    deflate: bool,
    manner: Manner,
    frames: Vec<u8>,
    /// With how many bytes that we read each event is due; the head counts.
    due: Vec<(usize, Event)>,
    /// How many bytes of head we read.
    head: usize,
}

fn cases() -> impl Iterator<Item = Case> {
    let ends = ROLES.into_iter().flat_map(|role| MANNERS.map(|manner| (role, manner)));
    ends.flat_map(|(role, manner)| {
        conversations().into_iter().map(move |conversation| case(role, manner, &conversation))
    })
}

fn case(role: Role, manner: Manner, conversation: &Conversation) -> Case {
    let &Conversation { name, deflate, .. } = conversation;
    let (frames, due) = conversation.frames_for(role);
    let name = format!("{name}, at the {role:?}, {manner:?}");
    let mut case = Case { name, role, deflate, manner, frames, due, head: 0 };
    let (stream, heard) = case.run(&[]);
    case.head = stream.passed(Read) - case.frames.len();
    case.due.iter_mut().for_each(|(at, _)| *at += case.head);
    case.is_as_it_should_be(&stream, &heard, 0, &[]);
    case
}

impl Case {
    fn total(&self) -> usize {
        self.head + self.frames.len()
    }

    fn run(&self, plan: Plan<'_>) -> (std::sync::Arc<Faulty>, Heard) {
        let script = Script::new(self.role, self.deflate, &self.frames);
        let stream = Faulty::new(Plain::new(script), plan);
        let heard = live(self.role, self.deflate, self.manner, stream.clone());
        (stream, heard)
    }

    fn events(&self) -> impl Iterator<Item = &Event> {
        self.due.iter().map(|(_, event)| event)
    }

    /// All has been heard and answered, once. So many pings of our own may be among it.
    fn is_as_it_should_be(&self, stream: &Faulty, heard: &Heard, pings: usize, plan: Plan<'_>) {
        let Case { name, role, .. } = self;
        assert_eq!(heard.messages, messages(self.events()), "{name}, {plan:?}: {heard:?}");
        let last = self.events().last().cloned();
        match &heard.end {
            End::Closed(close) => assert_eq!(Some(Event::Close(close.clone())), last, "{name}"),
            other => panic!("{name}, {plan:?}: {other:?}"),
        }
        let (mut said, whole) = understood(*role, self.deflate, &stream.heard());
        let before = said.len();
        said.retain(|event| !matches!(event, Event::Ping(_)));
        assert!(before - said.len() <= pings, "{name}, {plan:?}: pings without a silence");
        assert!(whole, "{name}, {plan:?}: something is left unfinished");
        assert_eq!(said, replies(self.events()), "{name}, {plan:?}");
        assert!(stream.peer_knows_the_end(), "{name}, {plan:?}: our side is left open");
    }
}

#[test]
fn a_read_that_stops_short_or_is_interrupted_at_any_byte_changes_nothing() {
    for case in cases() {
        for at in 0..=case.total() {
            for fault in [Fault::One, Fault::Interrupted] {
                let plan = [(Read, at, fault)];
                let (stream, heard) = case.run(&plan);
                // By the time of the signal, the silence may have been long enough to ask.
                let pings = usize::from(fault == Fault::Interrupted);
                case.is_as_it_should_be(&stream, &heard, pings, &plan);
            }
        }
    }
}

#[test]
fn reads_and_writes_of_one_byte_each_change_nothing() {
    for case in cases() {
        let ones = |direction| (0..case.total()).map(move |at| (direction, at, Fault::One));
        let plan: Vec<_> = ones(Read).chain(ones(Write)).collect();
        let (stream, heard) = case.run(&plan);
        case.is_as_it_should_be(&stream, &heard, 0, &[]);
    }
}

/// Each pair of places in the frames: what comes in three pieces, with a signal between them.
#[test]
fn frames_in_any_three_pieces_change_nothing() {
    for role in ROLES {
        for conversation in conversations() {
            let case = case(role, Manner::Whole, &conversation);
            if case.frames.len() > 110 {
                continue;
            }
            for second in case.head..case.total() {
                for first in case.head..=second {
                    let plan = [(Read, first, Fault::Interrupted), (Read, second, Fault::One)];
                    let (stream, heard) = case.run(&plan);
                    // By the time of the signal, the silence may have been long enough to ask.
                    case.is_as_it_should_be(&stream, &heard, 1, &plan);
                }
            }
        }
    }
}

/// A silence: what is held between the messages may be given back, and what is held within one may not.
#[test]
fn a_timeout_at_any_byte_asks_the_peer_and_changes_nothing_else() {
    for case in cases() {
        for at in case.head..case.total() {
            let plan = [(Read, at, Fault::TimedOut)];
            let (stream, heard) = case.run(&plan);
            // A call that gives up by itself has not waited long enough to ask.
            case.is_as_it_should_be(&stream, &heard, 1, &plan);
            let (said, _) = understood(case.role, case.deflate, &stream.heard());
            let asked = said.iter().any(|event| matches!(event, Event::Ping(_)));
            // What came behind the head in one read may be all that there is to read.
            let due = case.manner != Manner::Impatient && stream.all_went_wrong();
            assert!(asked || !due, "{}, {plan:?}", case.name);
        }
    }
}

#[test]
fn a_call_that_gives_up_at_any_byte_leaves_the_connection_as_it_was_for_the_next() {
    for case in cases().filter(|case| case.manner == Manner::Impatient) {
        for at in case.head..case.total() {
            let plan = [(Read, at, Fault::Late)];
            let (stream, heard) = case.run(&plan);
            case.is_as_it_should_be(&stream, &heard, 1, &plan);
            assert!(heard.timeouts > 0, "{}, {plan:?}: {heard:?}", case.name);
        }
    }
}

#[test]
fn a_timeout_within_the_head_is_answered_or_ends_the_connection() {
    for case in cases() {
        for at in 0..case.head {
            let (stream, heard) = case.run(&[(Read, at, Fault::TimedOut)]);
            let name = format!("{}, at {at}: {heard:?}", case.name);
            match (&heard.end, case.role) {
                (End::NotOpened(Error::Refused(refusal)), Role::Server) => {
                    assert_eq!(refusal.status(), 408, "{name}");
                    assert!(stream.heard().starts_with(b"HTTP/1.1 408 "), "{name}");
                }
                (End::NotOpened(Error::PeerTimeout), Role::Client) => {}
                _ => panic!("{name}"),
            }
            assert!(heard.messages.is_empty(), "{name}");
        }
    }
}

#[test]
fn a_stream_that_ends_or_is_reset_at_any_byte_has_delivered_what_was_whole_and_is_lost() {
    for case in cases() {
        for at in 0..=case.total() {
            for fault in [Fault::End, Fault::Reset] {
                let plan = [(Read, at, fault)];
                let (stream, heard) = case.run(&plan);
                let name = format!("{}, {plan:?}: {heard:?}", case.name);
                let due = || case.due.iter().filter(|due| due.0 <= at).map(|due| &due.1);
                assert_eq!(heard.messages, messages(due()), "{name}");
                match &heard.end {
                    End::NotOpened(_) => assert!(at < case.head, "{name}"),
                    End::Closed(_) => assert_eq!(at, case.total(), "{name}"),
                    End::Failed(error) => {
                        assert!((case.head..case.total()).contains(&at), "{name}");
                        // A reader of a stream has an `io::Error` to say it with.
                        let streamed = case.manner == Manner::Streamed;
                        let said = matches!(error, Error::ConnectionLost(_))
                            || (streamed && matches!(error, Error::Io(_)));
                        assert!(said, "{name}");
                    }
                }
                // What we had to say to that, the peer has heard before we looked for more.
                if at >= case.head {
                    let (said, whole) = understood(case.role, case.deflate, &stream.heard());
                    assert_eq!(said, replies(due()), "{name}");
                    assert!(whole, "{name}");
                }
            }
        }
    }
}
