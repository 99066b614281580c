//! One end reads what the other wrote: random conversations, which are the same in every run.

use ws101::PreparedMessage;
use ws101::diagnostic::misuse::Misuse;
use ws101::frames::close::Close;
use ws101::frames::decoder::Event;
use ws101::frames::encoder::Encoder;
use ws101::frames::header::{Opcode, Role};
use ws101::frames::message::{AsMessage, Message};

use crate::support::{Chance, Listener, ROLES, binary, close, joined, peer_of, text};

/// One end that talks: what it has written, and what that means to the other.
struct Talker {
    outgoing: Encoder,
    wire: Vec<u8>,
    meant: Vec<Event>,
}

impl Talker {
    fn new(role: Role, seed: u64) -> Talker {
        let mut keys = Chance::new(!seed);
        let masks = (role == Role::Client)
            .then(|| Box::new(move || (keys.next() as u32).to_ne_bytes()) as Box<_>);
        Talker { outgoing: Encoder::new(masks), wire: Vec::new(), meant: Vec::new() }
    }

    /// Sends something, and writes the batch only where something goes behind it, or by chance.
    fn send<'a>(
        &mut self,
        chance: &mut Chance,
        call: impl FnOnce(&mut Encoder) -> Result<&'a [u8], Misuse>,
    ) {
        let behind = call(&mut self.outgoing).unwrap();
        if !behind.is_empty() || chance.below(3) == 0 {
            self.flush();
            self.wire.extend_from_slice(behind);
        }
    }

    fn flush(&mut self) {
        self.wire.extend_from_slice(self.outgoing.batch().copied_bytes());
        self.outgoing.clear_batch();
    }

    fn say_something(&mut self, chance: &mut Chance) {
        match chance.below(6) {
            0 => self.say_control(chance),
            1 | 2 => self.say_in_fragments(chance),
            3 => {
                let message = made_up(chance);
                let prepared = PreparedMessage::new(&message);
                self.send(chance, |outgoing| outgoing.message(prepared.as_message()));
                self.meant.push(Event::Message(message));
            }
            _ => {
                let message = made_up(chance);
                self.send(chance, |outgoing| outgoing.message(message.as_message()));
                self.meant.push(Event::Message(message));
            }
        }
    }

    fn say_control(&mut self, chance: &mut Chance) {
        let length = chance.one_of(&[0, 1, 4, 125]);
        let payload: Vec<u8> = (0..length).map(|_| chance.next() as u8).collect();
        if chance.below(2) == 0 {
            self.send(chance, |outgoing| outgoing.ping(&payload).map(|()| &[][..]));
            self.meant.push(Event::Ping(payload));
        } else {
            self.send(chance, |outgoing| outgoing.pong(&payload).map(|()| &[][..]));
            self.meant.push(Event::Pong(payload));
        }
    }

    /// A message cut at any byte, with control frames in between.
    fn say_in_fragments(&mut self, chance: &mut Chance) {
        let message = made_up(chance);
        let mut opcode = match message {
            Message::Text(_) => Opcode::Text,
            Message::Binary(_) => Opcode::Binary,
        };
        let mut rest = message.as_bytes();
        for _ in 0..chance.below(5) {
            let (fragment, others) = rest.split_at(chance.below(rest.len() + 1));
            self.send(chance, |outgoing| outgoing.fragment(opcode, fragment, false));
            (opcode, rest) = (Opcode::Continuation, others);
            if chance.below(2) == 0 {
                self.say_control(chance);
            }
        }
        self.send(chance, |outgoing| outgoing.fragment(opcode, rest, true));
        self.meant.push(Event::Message(message));
    }

    fn say_goodbye(&mut self, chance: &mut Chance) {
        let code = chance.one_of(&[1000, 1001, 1011, 3000, 4999]);
        let reason = "\u{2603}".repeat(chance.one_of(&[0, 1, 41]));
        let goodbye = Close::new(code, &reason).unwrap();
        self.send(chance, |outgoing| outgoing.close(&goodbye).map(|()| &[][..]));
        self.meant.push(close(code, &reason));
    }
}

/// A message of a length near an edge, mostly a short one.
fn made_up(chance: &mut Chance) -> Message {
    let short = [0, 1, 2, 3, 7, 8, 9, 124, 125, 126, 127, 300];
    let long = [4_096, 32_767, 32_768, 65_535, 65_536, 70_000];
    let length = if chance.below(8) == 0 { chance.one_of(&long) } else { chance.one_of(&short) };
    if chance.below(2) == 0 {
        return Message::Binary((0..length).map(|_| chance.next() as u8).collect());
    }
    let mut text = String::new();
    while text.len() < length {
        text.push(chance.one_of(&['a', '\u{e9}', '\u{2603}', '\u{1f600}', '\0', '\u{10ffff}']));
    }
    Message::Text(text)
}

/// Reads in reads of any size.
fn hear_in_reads(listener: &mut Listener, chance: &mut Chance, mut wire: &[u8]) {
    while !wire.is_empty() {
        let most = chance.one_of(&[1, 3, 16, 500, 10_000, 200_000]);
        let (read, rest) = wire.split_at(wire.len().min(1 + chance.below(most)));
        listener.hear(read);
        wire = rest;
    }
}

#[test]
fn what_one_end_writes_the_other_reads_in_every_conversation() {
    for seed in 0..300 {
        for role in ROLES {
            let mut chance = Chance::new(seed);
            let mut talker = Talker::new(role, seed);
            for _ in 0..chance.below(12) {
                talker.say_something(&mut chance);
            }
            let has_closed = chance.below(2) == 0;
            if has_closed {
                talker.say_goodbye(&mut chance);
            }
            talker.flush();

            let mut whole = Listener::new(peer_of(role));
            hear_in_reads(&mut whole, &mut chance, &talker.wire);
            assert_eq!(whole.violation, None, "seed {seed}, by the {role:?}");
            assert!(whole.events == talker.meant, "seed {seed}, by the {role:?}");

            let mut in_pieces = Listener::new(peer_of(role)).in_pieces();
            hear_in_reads(&mut in_pieces, &mut chance, &talker.wire);
            assert_eq!(in_pieces.violation, None, "seed {seed}, by the {role:?}");
            assert!(joined(&in_pieces.events) == talker.meant, "seed {seed}, by the {role:?}");
        }
    }
}

/// Each end refuses what its own side would have written: masks tell the ends apart (§5.1).
#[test]
fn section_5_1_no_end_reads_what_its_own_side_writes() {
    for role in ROLES {
        let mut chance = Chance::new(7);
        let mut talker = Talker::new(role, 7);
        for event in [text("hello"), binary(b"hello")] {
            let Event::Message(message) = event else { unreachable!() };
            talker.send(&mut chance, |outgoing| {
                outgoing.message(message.as_message()).map(|_| &[][..])
            });
        }
        talker.flush();
        let mut listener = Listener::new(role);
        listener.hear(&talker.wire);
        assert_eq!((listener.failed_with(), listener.events.len()), (Some(1002), 0));
    }
}
