//! Explains payloads: the contents of a text, binary, ping, pong or Close frame.
//!
//! A payload is shown unmasked. The [`Annotation`](crate::explain::annotation::Annotation) also
//! holds the bytes as they were sent.

use std::ops::Range;

use super::deflate_spans;
use super::payload_decoder::{
    BadText, Findings, MessageContext, find_bad_byte, find_incomplete_character_at_end,
};
use crate::explain::annotation::{Span, bits_of_bytes, hex, quoted};
use crate::frames::close::Close;
use crate::frames::close_code::CloseCode;
use crate::frames::header::{Header, Opcode};
use crate::frames::message::MessageKind;
use crate::frames::violation::Violation;

/// Returns the spans that explain a payload. The payload starts at byte `at` of its frame, and
/// `length` bytes of it have arrived. `shown` holds the beginning of these bytes, unmasked.
pub fn spans(
    header: &Header,
    context: MessageContext,
    found: &Findings,
    at: u64,
    length: u64,
    shown: &[u8],
) -> Vec<Span> {
    if length == 0 {
        return Vec::new();
    }
    let one =
        |value, meaning, section| vec![span(at..at + length, "payload", value, meaning, section)];
    match header.opcode {
        Opcode::Close => close_spans(at, length, shown, length == header.length),
        Opcode::Ping => one(quoted(shown), "the pong returns the same bytes", "§5.5.2"),
        Opcode::Pong => one(quoted(shown), "the payload of the ping, if it answers one", "§5.5.3"),
        _ if context.opaque => one(hex(shown, 16), "as the agreed extension codes it", "§9.2"),
        _ if context.compressed => deflate_spans::spans(context, found, at, length, shown),
        Opcode::Text | Opcode::Binary | Opcode::Continuation => {
            match (context.inside, &found.wrong) {
                (Some(MessageKind::Text), Some(wrong)) => {
                    spans_of_bad_text(at, length, ("payload", "§8.1"), shown, wrong)
                }
                (Some(MessageKind::Text), None) if found.ends_inside_character => one(
                    quoted(shown),
                    "UTF-8; the last character continues in the next frame",
                    "§8.1",
                ),
                (Some(MessageKind::Text), None) => one(quoted(shown), "UTF-8", "§8.1"),
                _ => one(hex(shown, 16), "any bytes", "§5.4"),
            }
        }
    }
}

fn span(
    bytes: Range<u64>,
    field: &str,
    value: String,
    meaning: &str,
    section: &'static str,
) -> Span {
    Span {
        bits: bits_of_bytes(bytes),
        field: field.into(),
        value,
        meaning: meaning.into(),
        section,
    }
}

/// Returns the spans that explain a text that isn't valid UTF-8: the valid part, the bad byte or
/// incomplete character, and the rest, which the receiver doesn't read.
fn spans_of_bad_text(
    at: u64,
    length: u64,
    (field, section): (&str, &'static str),
    shown: &[u8],
    wrong: &BadText,
) -> Vec<Span> {
    let cut = length.min(wrong.begun.len() as u64);
    let (bad, name, value) = match wrong.byte {
        Some(byte) => (wrong.at..wrong.at + 1, "bad byte", format!("{byte:02x}")),
        None => (length - cut..length, "incomplete", hex(&wrong.begun, 4)),
    };
    let unread = format!("{} bytes", length - bad.end);
    let fine = &shown[..shown.len().min(bad.start as usize)];
    let parts = [
        (0..bad.start, field, quoted(fine), "valid UTF-8 up to here".into(), section),
        (bad.clone(), name, value, wrong.why(), section),
        (
            bad.end..length,
            "unread",
            unread,
            "not read, because the text is already invalid".into(),
            "§7.1.7",
        ),
    ];
    let parts = parts.into_iter().filter(|(bytes, ..)| !bytes.is_empty());
    let moved = |bytes: Range<u64>| at + bytes.start..at + bytes.end;
    parts
        .map(|(bytes, field, value, meaning, section)| {
            span(moved(bytes), field, value, &meaning, section)
        })
        .collect()
}

/// Returns the spans that explain a Close frame's payload: the two-byte close code, then the
/// reason. The payload starts at byte `at` of its frame. `length` bytes of it have arrived, and
/// `shown` holds the first of these bytes, unmasked. `whole` says whether the payload is complete.
/// If so, an incomplete character at its end makes the reason invalid.
fn close_spans(at: u64, length: u64, shown: &[u8], whole: bool) -> Vec<Span> {
    let Some((code, reason)) = shown.split_first_chunk::<2>() else {
        return vec![span(
            at..at + length,
            "code",
            hex(shown, 2),
            "half of a code, which has two bytes",
            "§5.5.1",
        )];
    };
    let code = match Close::parse(code) {
        Ok(Close { code, .. }) | Err(Violation::CloseCode(code)) => code,
        Err(_) => CloseCode::NO_STATUS,
    };
    let mut spans =
        vec![span(at..at + 2, "code", code.to_string(), close_code_meaning(code), "§5.5.1")];
    let wrong = find_bad_byte(&[], reason)
        .or_else(|| if whole { find_incomplete_character_at_end(reason) } else { None });
    match wrong {
        Some(wrong) => spans.extend(spans_of_bad_text(
            at + 2,
            length - 2,
            ("reason", "§5.5.1"),
            reason,
            &wrong,
        )),
        None if reason.is_empty() => {}
        None => {
            let meaning = "a reason, for people and logs";
            spans.push(span(at + 2..at + length, "reason", quoted(reason), meaning, "§5.5.1"));
        }
    }
    spans
}

/// Returns the meaning of a close code in plain words. In these words, "this end" is the sender of
/// the Close.
pub fn close_code_meaning(code: CloseCode) -> &'static str {
    match code {
        CloseCode::NORMAL => "normal: the connection has done its work",
        CloseCode::GOING_AWAY => "the server shuts down, or the user leaves the page",
        CloseCode::PROTOCOL_ERROR => "the other end broke a rule of the protocol",
        CloseCode::UNSUPPORTED => "a kind of message that this end doesn't accept",
        CloseCode::INVALID_PAYLOAD => "a payload of the wrong form, such as text that isn't UTF-8",
        CloseCode::POLICY => "against the policy of this end",
        CloseCode::TOO_BIG => "a message larger than this end accepts",
        CloseCode::MISSING_EXTENSION => "the server lacks an extension that the client needs",
        CloseCode::INTERNAL_ERROR => "an internal error at this end",
        CloseCode::SERVICE_RESTART => "the server restarts",
        CloseCode::TRY_AGAIN_LATER => "the server is overloaded",
        CloseCode::BAD_GATEWAY => "a gateway got a bad response from the server it forwards to",
        CloseCode(3000..=3999) => "a code that a library has registered",
        CloseCode(4000..=4999) => "a code of the application",
        _ => "a code that may not be sent",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_code_with_a_name_has_a_meaning_of_its_own() {
        let source = include_str!("../../frames/close_code.rs");
        let named = source.lines().filter_map(|line| line.split_once("CloseCode = CloseCode("));
        let codes: Vec<u16> =
            named.map(|(_, code)| code.trim_end_matches(");").parse().unwrap()).collect();
        assert!(codes.len() > 10, "{codes:?}");
        let travels = |code: &&u16| CloseCode(**code).may_be_sent();
        let meanings: HashSet<_> =
            codes.iter().filter(travels).map(|&code| close_code_meaning(CloseCode(code))).collect();
        assert_eq!(meanings.len(), codes.iter().filter(travels).count());
        for unnamed in [CloseCode(3999), CloseCode(4000)] {
            assert!(
                !meanings.contains(close_code_meaning(unnamed)),
                "one with a name lacks its own"
            );
        }
    }
}
