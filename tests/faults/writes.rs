//! Faults while we write, at each byte that we send.

use std::sync::Arc;

use ws101::frames::decoder::Event;
use ws101::frames::header::Role;
use ws101::{Error, Message};

use crate::conversations::{ROLES, conversations, messages, replies, understood};
use crate::faulty_stream::{Direction::Write, Fault, Faulty, Plan};
use crate::life::{End, Heard, MANNERS, Manner, live};
use crate::peer::{Plain, Script};

/// A conversation at one end, had in one manner.
struct Case {
    name: String,
    role: Role,
    deflate: bool,
    manner: Manner,
    frames: Vec<u8>,
    messages: Vec<Message>,
    replies: Vec<Event>,
    /// How many bytes we write if nothing goes wrong, and how many of them are a head.
    total: usize,
    head: usize,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for role in ROLES {
        for manner in MANNERS {
            for conversation in conversations() {
                let (frames, due) = conversation.frames_for(role);
                let events: Vec<Event> = due.into_iter().map(|(_, event)| event).collect();
                let mut case = Case {
                    name: format!("{}, at the {role:?}, {manner:?}", conversation.name),
                    role,
                    deflate: conversation.deflate,
                    manner,
                    frames,
                    messages: messages(&events),
                    replies: replies(&events),
                    total: 0,
                    head: 0,
                };
                let (stream, heard) = case.run(&[]);
                case.all_is_said(&stream, &heard, &[]);
                let said = stream.heard();
                let head = said.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
                (case.total, case.head) = (said.len(), head);
                cases.push(case);
            }
        }
    }
    cases
}

impl Case {
    fn run(&self, plan: Plan<'_>) -> (Arc<Faulty>, Heard) {
        let script = Script::new(self.role, self.deflate, &self.frames);
        let stream = Faulty::new(Plain::new(script), plan);
        let heard = live(self.role, self.deflate, self.manner, stream.clone());
        (stream, heard)
    }

    fn all_is_said(&self, stream: &Faulty, heard: &Heard, plan: Plan<'_>) {
        let name = format!("{}, {plan:?}: {heard:?}", self.name);
        assert_eq!(heard.messages, self.messages, "{name}");
        assert_eq!(heard.returned, self.messages.len(), "{name}");
        assert!(matches!(heard.end, End::Closed(_)), "{name}");
        let (said, whole) = understood(self.role, self.deflate, &stream.heard());
        assert_eq!((said, whole), (self.replies.clone(), true), "{name}");
    }
}

/// A deadline is kept by asking again, a head's and that of a write.
#[test]
fn a_write_that_stops_short_is_interrupted_or_times_out_once_at_any_byte_is_finished_later() {
    for case in cases() {
        for at in 0..case.total {
            for fault in [Fault::One, Fault::Interrupted, Fault::TimedOut] {
                let plan = [(Write, at, fault)];
                let (stream, heard) = case.run(&plan);
                assert!(stream.all_went_wrong(), "{}, {plan:?}", case.name);
                case.all_is_said(&stream, &heard, &plan);
            }
        }
    }
}

/// Where a frame has gone out in part nothing can follow it, and nothing does.
#[test]
fn after_a_write_that_failed_at_any_byte_nothing_follows_and_the_sender_knows() {
    for case in cases() {
        for at in 0..case.total {
            for fault in [Fault::End, Fault::Reset] {
                let plan = [(Write, at, fault)];
                let (stream, heard) = case.run(&plan);
                let name = format!("{}, {plan:?}: {heard:?}", case.name);
                assert!(stream.all_went_wrong(), "{name}");
                assert!(case.messages.starts_with(&heard.messages), "{name}");
                let (said, whole) = understood(case.role, case.deflate, &stream.heard());
                match &heard.end {
                    // It was our answer to the peer's Close, which has gone then.
                    End::Closed(_) => {
                        assert_eq!(heard.messages, case.messages, "{name}");
                        assert!(said != case.replies || !whole, "{name}");
                        continue;
                    }
                    End::NotOpened(Error::ConnectionLost(_)) => assert!(at < case.head, "{name}"),
                    End::Failed(Error::ConnectionLost(_)) => assert!(at >= case.head, "{name}"),
                    // In a stream it comes as an `io::Error`, which says the same inside.
                    End::Failed(Error::Io(_)) => {
                        assert_eq!(case.manner, Manner::Streamed, "{name}")
                    }
                    _ => panic!("{name}"),
                }
                assert_eq!(stream.passed(Write), at, "{name}: more was written");
                assert!(case.replies.starts_with(&said), "{name}: {said:?}");
                let arrived = messages(&said).len();
                // What was fed is promised only with the next `send`, `flush` or `recv`.
                let promised = case.manner != Manner::Impatient;
                assert!(arrived >= heard.returned || !promised, "{name}: {said:?}");
            }
        }
    }
}
