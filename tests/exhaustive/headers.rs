//! All 65,536 first two bytes of a frame (§5.2), at both ends, in each state of the decoder that
//! matters.

use ws101::frames::close::Close;
use ws101::frames::close_code::CloseCode;
use ws101::frames::decoder::Event;
use ws101::frames::message::Message;

use crate::ear::{Ear, READERS, frame_for, key_and_payload};
use crate::rfc::{Situation, TwoBytes};

/// What came before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    Nothing,
    HalfAText,
    HalfABinary,
    HalfOfWhatIsCompressed,
}

#[test]
fn each_beginning_of_a_frame_is_taken_or_fails_as_the_rfc_says_without_an_extension() {
    each_beginning(false, &[Before::Nothing, Before::HalfAText, Before::HalfABinary]);
}

#[cfg(feature = "deflate")]
#[test]
fn each_beginning_of_a_frame_is_taken_or_fails_as_the_rfc_says_with_permessage_deflate() {
    each_beginning(true, &[Before::Nothing, Before::HalfAText, Before::HalfOfWhatIsCompressed]);
}

fn each_beginning(deflate: bool, befores: &[Before]) {
    for reader in READERS {
        for &before in befores {
            let in_mid_message = before != Before::Nothing;
            let here = Situation { reader, in_mid_message, deflate };
            let (first, payload): (u8, &[u8]) = match before {
                Before::Nothing => (0, b""),
                Before::HalfAText => (0x01, b"<"),
                Before::HalfABinary => (0x02, b"<"),
                // An empty block of its own, as RFC 7692 §7.2.3.6 prints it.
                Before::HalfOfWhatIsCompressed => (0x41, b"\x00\x00\x00\xff\xff"),
            };
            let so_far = if in_mid_message { frame_for(reader, first, payload) } else { vec![] };
            for two in (0..=u16::MAX).map(TwoBytes) {
                let mut ear = Ear::new(reader);
                if deflate {
                    ear = ear.inflating(reader);
                }
                ear.hear(&so_far);
                judge(&mut ear, two, before, &here);
            }
        }
    }
}

fn judge(ear: &mut Ear, two: TwoBytes, before: Before, here: &Situation) {
    let name = || format!("{:04x}, {here:?}, {before:?}", two.0);
    let broken = two.broken_rule(here);

    // 1. The two bytes, and what they say is still to come of the header: a length that is the least
    // which needs so many bytes.
    ear.hear(&two.0.to_be_bytes());
    assert!(ear.failed_with != Some(1002) || broken.is_some(), "too early: {}", name());
    let length: usize = match two.length() {
        126 => 126,
        127 => 65_536,
        length => length.into(),
    };
    let written = (length as u64).to_be_bytes();
    ear.hear(&written[8 - two.bytes_of_length()..]);
    let key = key_and_payload(here.reader, b"");
    ear.hear(&key);
    if let Some(rule) = broken {
        assert_eq!(ear.failed_with, Some(1002), "{rule}: {}", name());
        assert_eq!(ear.events, [], "{rule}: {}", name());
        return;
    }

    // 2. Here it may stand. What is compressed must be DEFLATE, and these payloads are not: they are
    // for other tests. RFC 7692 §7.2.3.6: not even nothing is compressed to nothing, and what had come
    // before ends with a block, not within one.
    let is_compressed = match two.opcode() {
        0 => before == Before::HalfOfWhatIsCompressed,
        _ => two.rsv1(),
    };
    if is_compressed {
        let has_ended = two.fin() && length == 0;
        assert_eq!(ear.failed_with, has_ended.then_some(1007), "{}", name());
        return;
    }

    // 3. Its payload, and what that makes.
    if length > 0 {
        assert_eq!((ear.failed_with, &ear.events[..]), (None, &[][..]), "{}", name());
    }
    ear.hear(&key_and_payload(here.reader, &payload_of(two, length))[key.len()..]);
    if two.opcode() == 8 && length == 1 {
        // §5.5.1: if a Close has a body, it begins with two bytes of code.
        assert_eq!((ear.failed_with, &ear.events[..]), (Some(1002), &[][..]), "{}", name());
        return;
    }
    assert_eq!(ear.failed_with, None, "{}", name());
    let expected: Vec<Event> = event(two, length, before).into_iter().collect();
    assert!(ear.events == expected, "{:?} and not {expected:?}: {}", ear.events, name());
}

/// A payload that may stand in such a frame.
fn payload_of(two: TwoBytes, length: usize) -> Vec<u8> {
    let mut payload = vec![b'x'; length];
    if two.opcode() == 8 && length >= 2 {
        payload[..2].copy_from_slice(&1000_u16.to_be_bytes());
    }
    payload
}

/// What a frame that may stand here makes.
fn event(two: TwoBytes, length: usize, before: Before) -> Option<Event> {
    let payload = vec![b'x'; length];
    match two.opcode() {
        8 if length == 0 => {
            // §7.1.5: without a code it counts as 1005.
            Some(Event::Close(Close { code: CloseCode(1005), reason: String::new() }))
        }
        8 => {
            let reason = "x".repeat(length - 2);
            Some(Event::Close(Close { code: CloseCode(1000), reason }))
        }
        9 => Some(Event::Ping(payload)),
        10 => Some(Event::Pong(payload)),
        // §5.4: there is a message once its last fragment is here.
        _ if !two.fin() => None,
        opcode => {
            let (is_text, bytes) = match (opcode, before) {
                (0, Before::HalfABinary) => (false, [&b"<"[..], &payload].concat()),
                (0, _) => (true, [&b"<"[..], &payload].concat()),
                (opcode, _) => (opcode == 1, payload),
            };
            Some(Event::Message(match is_text {
                true => Message::Text(String::from_utf8(bytes).unwrap()),
                false => Message::Binary(bytes),
            }))
        }
    }
}
