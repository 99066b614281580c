//! Frames: the decoder returns the same events however the bytes are cut, and none exceeds the
//! limits.

use ws101::frames::assembler::Bounds;
use ws101::frames::decoder::Event;
use ws101::frames::deflate::inflater_and_deflater;
use ws101::frames::encoder::Encoder;
use ws101::frames::{header::Role, message::AsMessage};
use ws101::handshake::deflate_params::{DeflateConfig, DeflateParams};

use crate::{Heard, hear, joined, role};

const BOUNDS: Bounds = Bounds { max_message: 3000, max_fragments: 9 };

pub fn check(data: &[u8]) {
    let [choice, step, bytes @ ..] = data else { return };
    let role = role(choice & 1 == 1);
    let inflater = || {
        let no_takeover = choice & 4 != 0;
        let params = DeflateParams {
            server_no_context_takeover: no_takeover,
            client_no_context_takeover: no_takeover,
            ..DeflateParams::default()
        };
        let agreed = (choice & 2 != 0).then_some((params, DeflateConfig::default()));
        inflater_and_deflater(role, agreed, BOUNDS.max_message).0
    };

    // At once, in reads of one size, byte by byte; whole, and in pieces.
    let at_once = hear(role, BOUNDS, inflater(), false, [bytes].into_iter());
    let size = usize::from(*step).max(1);
    for size in [size, 1] {
        let in_reads = hear(role, BOUNDS, inflater(), false, bytes.chunks(size));
        assert_eq!(at_once, in_reads, "in reads of {size}");
    }
    let pieces = hear(role, BOUNDS, inflater(), true, bytes.chunks(size));
    assert_eq!(at_once.violation, pieces.violation);
    assert_eq!(at_once.events, joined(pieces.events));

    keeps_the_limits(&at_once);
    goes_through_again(&at_once, role);
}

fn keeps_the_limits(heard: &Heard) {
    for event in &heard.events {
        match event {
            Event::Message(message) => {
                assert!(message.as_bytes().len() as u64 <= BOUNDS.max_message);
            }
            Event::Ping(payload) | Event::Pong(payload) => assert!(payload.len() <= 125),
            Event::Close(close) => assert!(close.reason.len() <= 123),
            Event::Piece { .. } => panic!("nobody asked for pieces"),
        }
    }
    let closes = heard.events.iter().filter(|event| matches!(event, Event::Close(_))).count();
    let last_is_close = matches!(heard.events.last(), Some(Event::Close(_)));
    assert!(closes == usize::from(last_is_close), "something came after a Close");
    assert!(!last_is_close || heard.violation.is_none(), "it failed after a Close");
}

/// Whatever was heard can be said, and is heard again as it was.
fn goes_through_again(heard: &Heard, listener: Role) {
    let key = [0x12, 0x34, 0x56, 0x78];
    let mut outgoing = match listener {
        Role::Server => Encoder::new(Some(Box::new(move || key))),
        Role::Client => Encoder::new(None),
    };
    for event in &heard.events {
        match event {
            Event::Message(message) => {
                let behind = outgoing.message(message.as_message()).expect("nothing is closed");
                assert!(behind.is_empty(), "a small message is copied");
            }
            Event::Ping(payload) => outgoing.ping(payload).expect("a payload that has come"),
            Event::Pong(payload) => outgoing.pong(payload).expect("a payload that has come"),
            Event::Close(close) => outgoing.close(close).expect("a close that has come"),
            Event::Piece { .. } => {}
        }
    }
    let again = hear(listener, BOUNDS, None, false, [outgoing.batch().copied_bytes()].into_iter());
    assert_eq!((&again.events, again.violation), (&heard.events, None));
}
