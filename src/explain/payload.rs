//! Payloads: what text, bytes, pings and closes say.
//!
//! A payload is shown with its mask taken off; the bytes as they travelled stand beside it in the
//! [`Annotation`](super::annotation::Annotation).

use std::ops::Range;

use super::annotation::{Span, bits, hex, quoted};
use super::compressed;
use super::payload_decoder::{Context, Found, Wrong, first_wrong, wrong_at_the_end};
use crate::frames::close::Close;
use crate::frames::close_code::CloseCode;
use crate::frames::header::{Header, Opcode};
use crate::frames::message::MessageKind;
use crate::frames::violation::Violation;

/// The spans of a payload that starts at `at` and of which `length` bytes have come; the first of
/// them, without mask, are `shown`.
pub fn spans(
    header: &Header,
    context: Context,
    found: &Found,
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
        Opcode::Close => close(at, length, shown, length == header.length),
        Opcode::Ping => one(quoted(shown), "comes back in the pong, byte for byte", "§5.5.2"),
        Opcode::Pong => one(quoted(shown), "as the ping had it", "§5.5.3"),
        _ if context.compressed => compressed::spans(header, context, found, at, length, shown),
        Opcode::Text | Opcode::Binary | Opcode::Continuation => {
            match (context.inside, &found.wrong) {
                (Some(MessageKind::Text), Some(wrong)) => {
                    wrong_text(at, length, "payload", shown, wrong)
                }
                (Some(MessageKind::Text), None) if found.goes_on => one(
                    quoted(shown),
                    "UTF-8; the last character goes on in the next frame",
                    "§5.6",
                ),
                (Some(MessageKind::Text), None) => one(quoted(shown), "UTF-8", "§5.6"),
                _ => one(hex(shown, 16), "any bytes", "§5.6"),
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
    Span { bits: bits(bytes), field: field.into(), value, meaning: meaning.into(), section }
}

/// A text that goes wrong: what was fine, the place, and what nobody reads.
fn wrong_text(at: u64, length: u64, field: &str, shown: &[u8], wrong: &Wrong) -> Vec<Span> {
    let cut = length.min(wrong.begun.len() as u64);
    let (bad, name, value) = match wrong.byte {
        Some(byte) => (wrong.at..wrong.at + 1, "bad byte", format!("{byte:02x}")),
        None => (length - cut..length, "cut short", hex(&wrong.begun, 4)),
    };
    let unread = format!("{} bytes", length - bad.end);
    let fine = &shown[..shown.len().min(bad.start as usize)];
    let parts = [
        (0..bad.start, field, quoted(fine), "UTF-8, as far as here".into(), "§5.6"),
        (bad.clone(), name, value, wrong.why(), "§8.1"),
        (bad.end..length, "unread", unread, "nobody reads what follows".into(), "§7.1.7"),
    ];
    let parts = parts.into_iter().filter(|(bytes, ..)| !bytes.is_empty());
    let moved = |bytes: Range<u64>| at + bytes.start..at + bytes.end;
    parts
        .map(|(bytes, field, value, meaning, section)| {
            span(moved(bytes), field, value, &meaning, section)
        })
        .collect()
}

/// A code of two bytes, then a reason. What [`Close::parse`] says of them is the verdict.
fn close(at: u64, length: u64, shown: &[u8], whole: bool) -> Vec<Span> {
    let Some((code, reason)) = shown.split_first_chunk::<2>() else {
        return vec![span(at..at + length, "code", hex(shown, 2), "half a code", "§5.5.1")];
    };
    let code = match Close::parse(code) {
        Ok(Close { code, .. }) | Err(Violation::CloseCode(code)) => code,
        Err(_) => CloseCode::NO_STATUS,
    };
    let mut spans = vec![span(at..at + 2, "code", code.to_string(), meaning_of(code), "§5.5.1")];
    let wrong =
        first_wrong(&[], reason).or_else(|| if whole { wrong_at_the_end(reason) } else { None });
    match wrong {
        Some(wrong) => spans.extend(wrong_text(at + 2, length - 2, "reason", reason, &wrong)),
        None if reason.is_empty() => {}
        None => {
            let meaning = "the reason, for people and logs";
            spans.push(span(at + 2..at + length, "reason", quoted(reason), meaning, "§5.5.1"));
        }
    }
    spans
}

/// What a close code says.
pub fn meaning_of(code: CloseCode) -> &'static str {
    match code {
        CloseCode::NORMAL => "all that was to be said has been said",
        CloseCode::GOING_AWAY => "the server stops, or the page is left",
        CloseCode::PROTOCOL_ERROR => "a rule of the protocol was broken",
        CloseCode::UNSUPPORTED => "a kind of message that this side does not take",
        CloseCode::INVALID_PAYLOAD => "text that is not UTF-8",
        CloseCode::POLICY => "against the policy of this side",
        CloseCode::TOO_BIG => "a message larger than this side takes",
        CloseCode::MISSING_EXTENSION => "the server lacks an extension that the client needs",
        CloseCode::INTERNAL_ERROR => "this side failed",
        CloseCode::SERVICE_RESTART => "the server starts anew",
        CloseCode::TRY_AGAIN_LATER => "the server has too much to do",
        CloseCode::BAD_GATEWAY => "a gateway got a bad answer from behind",
        CloseCode(3000..=3999) => "a code that a library has registered",
        CloseCode(4000..=4999) => "a code of the application's own",
        _ => "a code that may not travel",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_code_with_a_name_has_a_meaning_of_its_own() {
        let source = include_str!("../frames/close_code.rs");
        let named = source.lines().filter_map(|line| line.split_once("CloseCode = CloseCode("));
        let codes: Vec<u16> =
            named.map(|(_, code)| code.trim_end_matches(");").parse().unwrap()).collect();
        assert!(codes.len() > 10, "{codes:?}");
        let travels = |code: &&u16| CloseCode(**code).may_be_sent();
        let meanings: HashSet<_> =
            codes.iter().filter(travels).map(|&code| meaning_of(CloseCode(code))).collect();
        assert_eq!(meanings.len(), codes.iter().filter(travels).count());
        for unnamed in [CloseCode(3999), CloseCode(4000)] {
            assert!(!meanings.contains(meaning_of(unnamed)), "one with a name lacks its own");
        }
    }
}
