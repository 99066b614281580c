//! Payloads: what text, bytes, pings and closes say.
//!
//! A payload is shown with its mask taken off; the bytes as they travelled stand beside it in the
//! [`Account`](super::account::Account).

use super::account::{Span, bits, hex, visible};
use crate::protocol::close::Close;
use crate::protocol::close_code::CloseCode;
use crate::protocol::frame::{Header, Opcode};
use crate::protocol::message::Kind;
use crate::protocol::violation::Violation;

/// What the frame is a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// The kind of the message around it.
    pub inside: Option<Kind>,
    /// The message is compressed.
    pub compressed: bool,
}

/// The spans of a payload that starts at `at` and of which `length` bytes have come; the first of
/// them, without mask, are `shown`.
pub fn spans(header: &Header, context: Context, at: u64, length: u64, shown: &[u8]) -> Vec<Span> {
    if length == 0 {
        return Vec::new();
    }
    let one = |field: &str, value, meaning: String, section| {
        let bits = bits(at..at + length);
        vec![Span { bits, field: field.into(), value, meaning, section }]
    };
    match header.opcode {
        Opcode::Close => close(at, length, shown),
        Opcode::Ping => {
            let meaning = "comes back in the pong, byte for byte".into();
            one("payload", quoted(shown), meaning, "§5.5.2")
        }
        Opcode::Pong => one("payload", quoted(shown), "as the ping had it".into(), "§5.5.3"),
        // Feature `deflate`: here is the place to show what it inflates to.
        _ if context.compressed => {
            let meaning = "compressed with DEFLATE: not readable as it is".into();
            one("payload", hex(shown, 16), meaning, "RFC 7692 §7")
        }
        Opcode::Text | Opcode::Binary | Opcode::Continuation => match context.inside {
            Some(Kind::Text) => one("payload", quoted(shown), "UTF-8".into(), "§5.6"),
            _ => one("payload", hex(shown, 16), "any bytes".into(), "§5.6"),
        },
    }
}

fn quoted(bytes: &[u8]) -> String {
    format!("\"{}\"", visible(bytes, 400))
}

/// A code of two bytes, then a reason. What [`Close::parse`] says of them is the verdict.
fn close(at: u64, length: u64, shown: &[u8]) -> Vec<Span> {
    let span = |from: u64, to: u64, field: &str, value: String, meaning: &str| Span {
        bits: bits(at + from..at + to),
        field: field.into(),
        value,
        meaning: meaning.into(),
        section: "§5.5.1",
    };
    let Some((code, reason)) = shown.split_first_chunk::<2>() else {
        return vec![span(0, length, "code", hex(shown, 2), "half a code")];
    };
    let code = match Close::parse(code) {
        Ok(Close { code, .. }) | Err(Violation::CloseCode(code)) => code,
        Err(_) => CloseCode::NO_CODE,
    };
    let mut spans = vec![span(0, 2, "code", code.to_string(), meaning_of(code))];
    if !reason.is_empty() {
        let meaning = match Close::parse(&[&CloseCode::NORMAL.0.to_be_bytes(), reason].concat()) {
            Ok(_) => "the reason, for people and logs",
            Err(_) => "a reason that is not UTF-8",
        };
        spans.push(span(2, length, "reason", quoted(reason), meaning));
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
        CloseCode::NOT_UTF8 => "text that is not UTF-8",
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
