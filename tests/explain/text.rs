//! Invalid text: `explain` names the first bad byte, wherever frames begin and end.
//!
//! The standard library says which byte that is: the first one after which no valid text can
//! follow.

use ws101::explain::annotation::{Annotation, Verdict};
use ws101::explain::conversation::explain_frames;
use ws101::explain::heads::Settings;
use ws101::frames::header::Role;

use crate::support::*;

/// Texts that go wrong somewhere, or end too early.
const BAD: [&[u8]; 12] = [
    b"\xff",
    b"Hello \x80",
    b"\xc3\x28",
    b"caf\xe9 au lait",
    b"\xe2\x98\x28 snow",
    b"\xe2\x28",
    b"ok \xf0\x9f\xa6\x80 and \xf0\x9f\xa6",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xc0\xaf",
    b"\xe2\x98",
    b"half an \xc3",
];

/// The first byte that no text has there; `None` if only the end comes too early.
fn first_bad_byte(text: &[u8]) -> Option<usize> {
    let is_bad = |end: &usize| {
        std::str::from_utf8(&text[..*end]).is_err_and(|error| error.error_len().is_some())
    };
    (1..=text.len()).find(is_bad).map(|end| end - 1)
}

/// The bytes of the wire that are told as such a field.
fn told_as(annotations: &[Annotation], field: &str) -> Vec<u64> {
    let of = |annotation: &Annotation| -> Vec<u64> {
        let spans = annotation.spans.iter().filter(|span| span.field == field);
        let bytes = spans.flat_map(|span| span.bits.start / 8..span.bits.end / 8);
        bytes.map(|byte| annotation.start + byte).collect()
    };
    annotations.iter().flat_map(of).collect()
}

#[test]
fn section_8_1_the_bad_byte_is_named_wherever_a_seam_between_frames_is() {
    for text in BAD {
        for first in 0..=text.len() {
            for second in first..=text.len() {
                for from in [Role::Client, Role::Server] {
                    let parts = [&text[..first], &text[first..second], &text[second..]];
                    assert_names_it(text, parts, from);
                }
            }
        }
    }
}

fn assert_names_it(text: &[u8], parts: [&[u8]; 3], from: Role) {
    let mut dice = Dice(3);
    let (mut bytes, mut places) = (Vec::new(), Vec::new());
    for (part, first) in parts.into_iter().zip([0x01, 0x00, 0x80]) {
        bytes.extend(frame(&mut dice, from, first, part));
        places.extend((bytes.len() - part.len()..bytes.len()).map(|place| place as u64));
        // Between fragments, where it must not be taken for text.
        if first != 0x80 {
            bytes.extend(frame(&mut dice, from, 0x89, b"\xff"));
        }
    }
    let told = explain_frames(&bytes, from, &Settings::default());
    let context = format!("{parts:02x?}");
    assert_tiles(&told, &bytes, &context);
    let broken = told.iter().find(|annotation| matches!(annotation.verdict, Verdict::Broken(_)));
    assert_eq!(broken.and_then(|annotation| annotation.verdict.code()), Some(1007), "{context}");
    match first_bad_byte(text) {
        Some(at) => {
            assert_eq!(told_as(&told, "bad byte"), [places[at]], "{context}");
            assert_eq!(told_as(&told, "incomplete"), [], "{context}");
            let begun =
                at - std::str::from_utf8(&text[..at]).map_or_else(|e| e.valid_up_to(), |_| at);
            let seam_inside = parts[0].len() > at - begun && parts[0].len() <= at
                || parts[0].len() + parts[1].len() > at - begun
                    && parts[0].len() + parts[1].len() <= at;
            let words = format!("{:?}", broken.unwrap().spans);
            assert_eq!(
                words.contains("in an earlier frame"),
                begun > 0 && seam_inside,
                "{context}"
            );
        }
        // The character that is not whole, as far as it stands in the last frame.
        None => {
            let good = std::str::from_utf8(text).unwrap_err().valid_up_to();
            let last = text.len() - parts[2].len();
            assert_eq!(told_as(&told, "bad byte"), [], "{context}");
            assert_eq!(told_as(&told, "incomplete"), places[good.max(last)..], "{context}");
        }
    }
}

#[test]
fn section_8_1_the_bad_byte_of_a_long_text_is_named() {
    for at in [4095, 4096, 4097, 8191, 8192, 20_000] {
        let mut text = "\u{2603}".repeat(10_000).into_bytes();
        text[at] = 0xff;
        let bytes = frame(&mut Dice(5), Role::Server, 0x81, &text);
        let told = explain_frames(&bytes, Role::Server, &Settings::default());
        let header = (bytes.len() - text.len()) as u64;
        assert_eq!(told_as(&told, "bad byte"), [header + at as u64]);
    }
}

#[test]
fn section_5_5_1_the_bad_byte_of_a_reason_is_named() {
    for text in BAD {
        let payload = [&4000_u16.to_be_bytes()[..], text].concat();
        let bytes = frame(&mut Dice(9), Role::Client, 0x88, &payload);
        let told = explain_frames(&bytes, Role::Client, &Settings::default());
        assert_tiles(&told, &bytes, "a close");
        assert_eq!(told[0].verdict.code(), Some(1007));
        let place = |at: usize| (bytes.len() - text.len() + at) as u64;
        match first_bad_byte(text) {
            Some(at) => assert_eq!(told_as(&told, "bad byte"), [place(at)], "{text:02x?}"),
            None => {
                let good = std::str::from_utf8(text).unwrap_err().valid_up_to();
                let cut: Vec<u64> = (good..text.len()).map(place).collect();
                assert_eq!(told_as(&told, "incomplete"), cut, "{text:02x?}");
            }
        }
    }
}

#[test]
fn a_frame_that_ends_within_a_character_says_that_the_next_one_continues_it() {
    let told = explain_frames(b"\x01\x02\xe2\x98\x80\x01\x83", Role::Server, &Settings::default());
    assert!(told.iter().all(|annotation| matches!(annotation.verdict, Verdict::Fine)));
    assert!(told[0].spans.last().unwrap().meaning.contains("continues in the next frame"));
    assert_eq!(told[1].spans.last().unwrap().meaning, "UTF-8");
}
