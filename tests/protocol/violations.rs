//! Every rule that a peer can break, broken by bytes, at each end that can receive them.

use std::collections::HashSet;
use std::mem::discriminant;

use ws101::frames::assembler::Bounds;
use ws101::frames::decoder::Event;
use ws101::frames::header::Role;
use ws101::frames::violation::Violation::{self, *};

use crate::support::{Listener, ROLES, binary, frame, head, joined, peer_of};

const BOUNDS: Bounds = Bounds { max_message: 1_000, max_fragments: 3 };

/// Whether a message has begun, when the rule is broken.
#[derive(Clone, Copy, Debug, PartialEq)]
enum At {
    Idle,
    InMidText,
}

/// A rule that is broken, and the bytes that break it; with the last of them, at the latest, it must be
/// told.
struct Breach {
    violation: Violation,
    bytes: Vec<u8>,
}

/// The close code and the section that go with each. No wildcard: what is new here wants an entry,
/// and a breach below.
pub fn code_and_section(violation: Violation) -> (u16, &'static str) {
    match violation {
        NotMasked | Masked => (1002, "RFC 6455 §5.1"),
        ReservedBits(_) | UnknownOpcode(_) => (1002, "RFC 6455 §5.2"),
        LengthNotMinimal(_) | LengthTopBit(_) => (1002, "RFC 6455 §5.2"),
        NothingToContinue | MessageInsideMessage => (1002, "RFC 6455 §5.4"),
        ControlFragmented | ControlTooLong => (1002, "RFC 6455 §5.5"),
        CloseOfOneByte => (1002, "RFC 6455 §5.5.1"),
        Violation::CloseCode(_) => (1002, "RFC 6455 §7.4"),
        TextNotUtf8 => (1007, "RFC 6455 §8.1"),
        ReasonNotUtf8 => (1007, "RFC 6455 §5.5.1"),
        NotDeflate => (1007, "RFC 7692 §7.2.2"),
        MessageTooLong(_) | TooManyFragments(_) | TooManyLastBlocks => (1009, "RFC 6455 §10.4"),
    }
}

pub const NUMBER_OF_VIOLATIONS: usize = 18;

/// Each rule, broken by `sender`.
fn breaches(sender: Role, at: At) -> Vec<Breach> {
    let mut all = Vec::new();
    let mut add = |violation, bytes: Vec<u8>| all.push(Breach { violation, bytes });
    let write = |frames: &[(&[u8], &[u8])]| -> Vec<u8> {
        frames.iter().flat_map(|(head, payload)| frame(sender, head, payload)).collect()
    };
    let cut = |head: &[u8], length: usize| write(&[(head, b"")])[..length].to_vec();

    // Shown by the first byte: §5.2, §5.5.
    for first in [0xc1, 0xa1, 0x91, 0xf2, 0x41, 0x51, 0xc8, 0xa9, 0x9a] {
        add(ReservedBits(first), vec![first]);
    }
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        add(UnknownOpcode(opcode), vec![0b1000_0000 | opcode]);
        add(UnknownOpcode(opcode), vec![opcode]);
    }
    for opcode in [0x08, 0x09, 0x0a] {
        add(ControlFragmented, vec![opcode]);
    }

    // Shown by the second byte: §5.1, §5.5. A frame of the wrong end is right in all but its mask.
    let (wrong_mask, first) = match sender {
        Role::Client => (NotMasked, if at == At::Idle { 0x81 } else { 0x80 }),
        Role::Server => (Masked, if at == At::Idle { 0x82 } else { 0x00 }),
    };
    add(wrong_mask, frame(peer_of(sender), &[first, 0], b"")[..2].to_vec());
    add(wrong_mask, frame(peer_of(sender), b"\x89\x00", b"")[..2].to_vec());
    for first in [0x88, 0x89, 0x8a] {
        add(ControlTooLong, cut(&[first, 126, 0, 126], 2));
        add(ControlTooLong, cut(&[first, 127, 0, 0, 0, 0, 0, 1, 0, 0], 2));
    }

    // Shown by the last byte of a length: §5.2.
    let first = if at == At::Idle { 0x82 } else { 0x80 };
    for length in [0, 1, 125] {
        add(LengthNotMinimal(length), cut(&[first, 126, 0, length as u8], 4));
    }
    let in_64_bits = |length: u64| [&[first, 127][..], &length.to_be_bytes()].concat();
    for length in [0, 125, 126, 65_535] {
        add(LengthNotMinimal(length), cut(&in_64_bits(length), 10));
    }
    for length in [1 << 63, (1 << 63) + 1, u64::MAX] {
        add(LengthTopBit(length), cut(&in_64_bits(length), 10));
    }

    // Shown by the first byte, of a frame that may not come next: §5.4.
    match at {
        At::Idle => {
            add(NothingToContinue, vec![0x80]);
            add(NothingToContinue, vec![0x00]);
            // A message that is whole leaves nothing to continue.
            let whole = write(&[(b"\x02\x01", b"x"), (b"\x80\x01", b"y")]);
            add(NothingToContinue, [&whole[..], b"\x80"].concat());
        }
        At::InMidText => {
            for first in [0x81, 0x82, 0x01, 0x02] {
                add(MessageInsideMessage, vec![first]);
            }
        }
    }

    // Told when the header is whole, before any payload: the limits.
    let so_far = if at == At::Idle { 0 } else { 1 };
    add(MessageTooLong(1_000), write(&[(&head(first, 1_001 - so_far), b"")]));
    for length in [1 << 40, i64::MAX as u64] {
        add(MessageTooLong(1_000), write(&[(&in_64_bits(length), b"")]));
    }
    let mut too_many = [(&b"\x00\x00"[..], &b""[..]); 4];
    too_many[0].0 = b"\x01\x00";
    add(TooManyFragments(3), write(&too_many[so_far..]));

    // Shown by a byte of payload: §8.1, at the first one that can't be, long before the end.
    let (first, going_on) = if at == At::Idle { (0x81, 0x01) } else { (0x80, 0x00) };
    for bad in
        [&b"\xff"[..], b"ok\x80", b"\xc0", b"\xe0\x9f", b"\xed\xa0", b"\xf0\x8f", b"\xf4\x90"]
    {
        add(TextNotUtf8, write(&[(&[first, 100], bad)]));
        add(TextNotUtf8, write(&[(&[going_on, 100], bad)]));
    }
    // ... or at an end in mid-character; a fragment may end there, a message may not.
    add(TextNotUtf8, write(&[(&[first, 3], b"a\xe2\x98")]));
    add(TextNotUtf8, write(&[(&[going_on, 1], b"\xc3"), (b"\x80\x00", b"")]));
    add(TextNotUtf8, write(&[(&[going_on, 2], b"\xe2\x98"), (b"\x80\x05", b"A")]));

    // Told when a Close is whole, which is 125 bytes at the most: §5.5.1, §7.4.
    add(CloseOfOneByte, write(&[(b"\x88\x01", b"\x03")]));
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535] {
        add(Violation::CloseCode(code.into()), write(&[(b"\x88\x02", &u16::to_be_bytes(code))]));
    }
    for bad in [&b"\xff"[..], b"ok\x80", b"\xed\xa0", b"cut\xe2\x98"] {
        let payload = [b"\x03\xe8", bad].concat();
        add(ReasonNotUtf8, write(&[(&[0x88, payload.len() as u8], &payload)]));
    }
    all
}

/// Calls back with each breach, at each end, behind a ping and perhaps inside a message.
fn each_breach(mut check: impl FnMut(&Breach, Role, &[u8], &str)) {
    for role in ROLES {
        for at in [At::Idle, At::InMidText] {
            let mut before = frame(peer_of(role), b"\x89\x01", b"!");
            if at == At::InMidText {
                before.extend(frame(peer_of(role), b"\x01\x01", b"a"));
            }
            for breach in breaches(peer_of(role), at) {
                let Breach { violation, bytes } = &breach;
                let name = format!("{violation:?} by {bytes:02x?} at the {role:?}, {at:?}");
                check(&breach, role, &before, &name);
            }
        }
    }
}

/// The ping of `before`, or what else may be whole before a rule is broken.
fn nothing_but_whole_events(events: &[Event]) -> bool {
    let ping = Event::Ping(b"!".into());
    events == [ping.clone()] || events == [ping, binary(b"xy")]
}

#[test]
fn each_end_refuses_each_violation_with_its_code_and_what_came_before_it_is_delivered() {
    each_breach(|breach, role, before, name| {
        let mut listener = Listener::within(role, BOUNDS);
        listener.hear(&[before, &breach.bytes].concat());
        assert_eq!(listener.violation, Some(breach.violation), "{name}");
        assert_eq!(listener.failed_with(), Some(code_and_section(breach.violation).0), "{name}");
        assert!(nothing_but_whole_events(&listener.events), "{name}: {:?}", listener.events);
    });
}

#[test]
fn each_end_refuses_each_violation_no_later_than_at_its_last_byte() {
    each_breach(|breach, role, before, name| {
        let mut listener = Listener::within(role, BOUNDS);
        listener.hear_byte_by_byte(before);
        listener.hear_byte_by_byte(&breach.bytes);
        assert_eq!(listener.violation, Some(breach.violation), "{name}");
        assert!(nothing_but_whole_events(&listener.events), "{name}: {:?}", listener.events);
    });
}

/// §7.1.7: a connection that failed takes nothing more, not even what would be good by itself.
#[test]
fn section_7_1_7_nothing_is_delivered_after_a_violation() {
    each_breach(|breach, role, before, name| {
        let sender = peer_of(role);
        let good = [
            frame(sender, b"\x89\x00", b""),
            frame(sender, b"\x80\x00", b""),
            frame(sender, b"\x81\x01", b"x"),
            frame(sender, b"\x88\x00", b""),
        ]
        .concat();
        let mut at_once = Listener::within(role, BOUNDS);
        at_once.hear(&[before, &breach.bytes, &good].concat());
        assert_eq!(at_once.violation, Some(breach.violation), "{name}");
        assert!(nothing_but_whole_events(&at_once.events), "{name}: {:?}", at_once.events);

        let mut later = Listener::within(role, BOUNDS).in_pieces();
        later.hear_byte_by_byte(&[before, &breach.bytes].concat());
        let delivered = later.events.len();
        later.hear_byte_by_byte(&good);
        assert_eq!(later.events.len(), delivered, "{name}, in pieces");
    });
}

/// A violation in a message that is read in pieces ends it without a last piece: nobody can take
/// what has come for the whole.
#[test]
fn a_message_that_breaks_a_rule_has_no_last_piece() {
    each_breach(|breach, role, before, name| {
        let mut listener = Listener::within(role, BOUNDS).in_pieces();
        listener.hear_byte_by_byte(&[before, &breach.bytes].concat());
        assert_eq!(listener.violation, Some(breach.violation), "{name}");
        let whole = joined(&listener.events);
        assert!(nothing_but_whole_events(&whole), "{name}: {:?}", listener.events);
    });
}

#[test]
fn every_variant_of_violation_is_provoked_at_each_end_where_it_can_occur() {
    for role in ROLES {
        let provoked: HashSet<_> = [At::Idle, At::InMidText]
            .into_iter()
            .flat_map(|at| breaches(peer_of(role), at))
            .map(|breach| discriminant(&breach.violation))
            .collect();
        // All but three: whose frames must have a mask can't be told off for having one, and no
        // compression was agreed on, which could go wrong in two ways.
        assert_eq!(provoked.len(), NUMBER_OF_VIOLATIONS - 3, "at the {role:?}");
        let impossible = if role == Role::Server { Masked } else { NotMasked };
        assert!(!provoked.contains(&discriminant(&impossible)));
    }
}

#[test]
fn section_7_4_each_violation_is_answered_with_a_code_that_may_be_sent() {
    for role in ROLES {
        for breach in breaches(peer_of(role), At::Idle) {
            assert!(breach.violation.close_code().may_be_sent(), "{:?}", breach.violation);
        }
    }
}

/// §5.4, §5.5.1: a Close may come in mid-message, and what had come of that message is no message.
#[test]
fn a_message_that_a_close_interrupts_is_not_delivered() {
    for role in ROLES {
        let sender = peer_of(role);
        for is_closed in [true, false] {
            let mut bytes = frame(sender, b"\x01\x03", b"abc");
            if is_closed {
                bytes.extend(frame(sender, b"\x88\x02", b"\x03\xe8"));
            }
            let mut listener = Listener::new(role);
            listener.hear(&bytes);
            assert!(listener.events.iter().all(|event| matches!(event, Event::Close(_))));
            assert_eq!(listener.events.len(), usize::from(is_closed));
        }
    }
}
