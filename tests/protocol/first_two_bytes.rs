//! All 65,536 pairs of a frame's first two bytes, compared with what the RFC says about them.

use ws101::frames::decoder::Event;
use ws101::frames::header::Role;

use crate::support::{KEY, Listener, ROLES, binary, close, frame, peer_of, text};

/// What has come before the two bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Idle,
    InMidText,
    InMidBinary,
}

/// What two bytes mean.
#[derive(Debug, PartialEq)]
enum Meaning {
    /// The frame is not whole, or its message is not.
    More,
    /// The frame itself is wrong, and both bytes that show it are there: it fails at once, with 1002.
    WrongFrame,
    /// It may not stand here: that is told, with 1002, no later than at the end of its header.
    WrongPlace,
    Is(Event),
}

/// Read off the text of §5.1, §5.2, §5.4 and §5.5, sentence by sentence; nothing of ours is used.
fn meaning(first: u8, second: u8, reader: Role, state: State) -> Meaning {
    let bit = |byte: u8, number: u8| byte >> (7 - number) & 1 == 1;
    let (fin, opcode) = (bit(first, 0), first % 16);
    let (masked, length) = (bit(second, 0), second % 128);
    // §5.2: "If a nonzero value is received and none of the negotiated extensions defines the meaning
    // of such a nonzero value, the receiving endpoint MUST _Fail the WebSocket Connection_."
    let reserved_bits = bit(first, 1) || bit(first, 2) || bit(first, 3);
    // §5.2: "%x3-7 are reserved for further non-control frames", "%xB-F ... control frames"; "If an
    // unknown opcode is received, the receiving endpoint MUST _Fail the WebSocket Connection_."
    let unknown = (3..=7).contains(&opcode) || (11..=15).contains(&opcode);
    // §5.5: "All control frames MUST have a payload length of 125 bytes or less and MUST NOT be
    // fragmented."
    let is_control = opcode >= 8;
    let bad_control = is_control && (!fin || length > 125);
    // §5.1: "The server MUST close the connection upon receiving a frame that is not masked." "A client
    // MUST close a connection if it detects a masked frame."
    let bad_mask = masked != (reader == Role::Server);
    if reserved_bits || unknown || bad_control || bad_mask {
        return Meaning::WrongFrame;
    }
    // §5.4: a message is a frame "and an opcode other than 0", "followed by zero or more frames with
    // the FIN bit clear and the opcode set to 0"; "The fragments of one message MUST NOT be interleaved
    // between the fragments of another message".
    if !is_control && (opcode == 0) == (state == State::Idle) {
        return Meaning::WrongPlace;
    }
    // What is masked has four more bytes at least; what has a payload, has more; what has no FIN, is
    // no message yet.
    if masked || length > 0 || !fin {
        return Meaning::More;
    }
    Meaning::Is(match (opcode, state) {
        (1, _) => text(""),
        (2, _) => binary(b""),
        (0, State::InMidText) => text("a"),
        (0, _) => binary(b"a"),
        (8, _) => close(1005, ""),
        (9, _) => Event::Ping(vec![]),
        _ => Event::Pong(vec![]),
    })
}

#[test]
fn every_pair_of_first_bytes_means_what_sections_5_1_to_5_5_say() {
    for role in ROLES {
        for state in [State::Idle, State::InMidText, State::InMidBinary] {
            let before = match state {
                State::Idle => vec![],
                State::InMidText => frame(peer_of(role), b"\x01\x01", b"a"),
                State::InMidBinary => frame(peer_of(role), b"\x02\x01", b"a"),
            };
            for pair in 0..=u16::MAX {
                let two @ [first, second] = pair.to_be_bytes();
                let name = || format!("{two:02x?} at the {role:?}, {state:?}");
                let mut listener = Listener::new(role);
                listener.hear(&before);
                listener.hear(&two);
                match meaning(first, second, role, state) {
                    Meaning::WrongFrame => {
                        assert_eq!(listener.failed_with(), Some(1002), "{}", name());
                    }
                    Meaning::WrongPlace => {
                        listener.hear(rest_of_header(second));
                        assert_eq!(listener.failed_with(), Some(1002), "{}", name());
                    }
                    Meaning::More => assert!(listener.is_waiting(), "{}", name()),
                    Meaning::Is(event) => {
                        assert_eq!(listener.events, [event], "{}", name());
                        assert_eq!(listener.violation, None, "{}", name());
                        continue;
                    }
                }
                assert_eq!(listener.events, [], "{}", name());
            }
        }
    }
}

/// What ends a header that began with this second byte: the smallest length of its form, and a mask.
fn rest_of_header(second: u8) -> &'static [u8] {
    const REST: [u8; 12] = [0, 0, 0, 0, 0, 1, 0, 0, KEY[0], KEY[1], KEY[2], KEY[3]];
    const SHORT: [u8; 6] = [0, 126, KEY[0], KEY[1], KEY[2], KEY[3]];
    let mask = if second > 127 { 4 } else { 0 };
    match second % 128 {
        126 => &SHORT[..2 + mask],
        127 => &REST[..8 + mask],
        _ => &REST[8..8 + mask],
    }
}

impl Listener {
    fn is_waiting(&self) -> bool {
        self.events.is_empty() && self.violation.is_none()
    }
}
