//! Explains each line of a head in one [`Span`], which includes the line's CR LF. A
//! `Sec-WebSocket-Extensions` line has several spans. In a response, the lines of a folded field
//! have one span together, because a client reads them as one (RFC 9112 §5.2).
//!
//! [`Head`] splits a line into name and value. [`heads`](super) decides whether the line is
//! allowed.

use std::iter;

use super::extensions::{Negotiation, extension_spans};
use super::header_glossary::purpose;
use crate::explain::annotation::{AnnotationKind, Span, bits_of_bytes, hex, visible};
use crate::handshake::accept_key;
use crate::handshake::extension;
use crate::http::head::Head;
use crate::http::request::Request;
use crate::http::status_line::{is_interim, status_of};

/// The maximum number of extensions and parameters of a head that have spans of their own. A head
/// of 16 KiB has room for 8000 of them, whose spans would take 2 MiB.
const MAX_ELEMENTS: usize = 64;

/// Returns the spans that explain a head, line by line. For a response, `key` is the
/// `Sec-WebSocket-Key` of the request: empty if the request has none, and `None` if the request
/// isn't known.
pub fn spans(
    what: AnnotationKind,
    bytes: &[u8],
    key: Option<&str>,
    mut negotiation: Negotiation,
) -> Vec<Span> {
    let mut spans = Vec::new();
    let (mut interim, mut room) = (false, MAX_ELEMENTS);
    let (mut at, mut is_first) = (0, true);
    for line in lines(what, bytes) {
        let end = at + line.len() as u64;
        let is_skipped = at == 0 && line == b"\r\n" && what == AnnotationKind::Request;
        match extension_spans(line, at, room, &mut negotiation) {
            Some(of_line) if !is_first => {
                room = room.saturating_sub(of_line.len());
                spans.extend(of_line);
            }
            _ => {
                let [field, value, meaning] = match is_first {
                    _ if is_skipped => empty_line_in_front(),
                    true => first_line(what, line),
                    false => field_line(line, key, interim),
                };
                if is_first && what == AnnotationKind::Response {
                    interim = status_of(&value).is_some_and(is_interim);
                }
                let section = section(is_first && !is_skipped, what, &field, &value);
                is_first &= is_skipped;
                spans.push(Span { bits: bits_of_bytes(at..end), field, value, meaning, section });
            }
        }
        at = end;
    }
    spans
}

/// Splits a head into its lines, each with its CR LF. In a response, a line that begins with white
/// space belongs to the field before it, but no line continues the status line.
fn lines(what: AnnotationKind, bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let end = bytes.iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |end| end + 1);
    let (first, fields) = bytes.split_at(end);
    let continues =
        move |next: u8| what == AnnotationKind::Response && matches!(next, b' ' | b'\t');
    iter::once(first).chain(fields.chunk_by(move |&byte, &next| byte != b'\n' || continues(next)))
}

/// The header fields of a 101 that a client checks by §4.1. In a response, their spans name §4.1
/// instead of the section in the glossary (`header_glossary`).
const OF_A_101: [&str; 3] = ["Upgrade", "Connection", "Sec-WebSocket-Protocol"];

fn empty_line_in_front() -> [String; 3] {
    let meaning = "an empty line before a request, which the server skips";
    ["empty line".into(), String::new(), meaning.into()]
}

fn section(is_first: bool, what: AnnotationKind, field: &str, value: &str) -> &'static str {
    match (is_first, what) {
        (true, AnnotationKind::Response) if is_interim(status_of(value).unwrap_or_default()) => {
            "RFC 9110 §15.2"
        }
        (true, AnnotationKind::Response) if field == "status line" => "§4.1",
        (true, AnnotationKind::Response) => "RFC 9112 §4",
        (true, _) => "RFC 9112 §3",
        _ if field == "end of head" || field == "empty line" => "RFC 9112 §2.2",
        // The client validates these fields of a 101 by §4.1, so that section replaces the
        // glossary's.
        (_, AnnotationKind::Response)
            if OF_A_101.iter().any(|name| name.eq_ignore_ascii_case(field)) =>
        {
            "§4.1"
        }
        _ => purpose(field).map_or("RFC 9112 §5", |(_, section)| section),
    }
}

fn first_line(what: AnnotationKind, line: &[u8]) -> [String; 3] {
    let value = visible(line.trim_ascii_end(), 200);
    let (field, meaning) = match what {
        AnnotationKind::Response => match status_of(&value) {
            Some(101) => ("status line", "101: from now on, this connection speaks WebSocket"),
            Some(status) if is_interim(status) => {
                ("status line", "interim: the final response is still to come")
            }
            Some(_) => ("status line", "a status other than 101, so this is no WebSocket"),
            None => ("first line", "not a status line of HTTP/1.1"),
        },
        _ => match Request::parse(&[line, b"\r\n"].concat()) {
            Ok(_) => ("request line", "method, target and version, separated by single spaces"),
            Err(refusal) if refusal.status() == 505 => {
                ("request line", "not HTTP/1.1, the version that can upgrade to WebSocket")
            }
            Err(_) => ("first line", "not a request line of HTTP/1.1"),
        },
    };
    [field.into(), value, meaning.into()]
}

/// Explains a header field, or the empty line that ends a head. In a response, `key` is the
/// request's `Sec-WebSocket-Key` (see [`spans`]), and `interim` says whether the response is
/// interim. Returns the field's name, value and meaning.
fn field_line(line: &[u8], key: Option<&str>, interim: bool) -> [String; 3] {
    if line == b"\r\n" {
        let meaning =
            if interim { "the final response follows" } else { "an empty line ends the head" };
        return ["end of head".into(), "empty line".into(), meaning.into()];
    }
    let text = visible(line.trim_ascii_end(), 200);
    if !line.ends_with(b"\r\n") {
        return ["incomplete".into(), text, "a line whose end has not arrived".into()];
    }
    let Ok(head) = Head::parse_response(&[b"\r\n", line].concat()) else {
        return ["no header".into(), text, "this line isn't `Name: value`".into()];
    };
    let Some((name, value)) = head.fields().next() else {
        return ["no header".into(), text, "this line isn't `Name: value`".into()];
    };
    let meaning = match (name.to_ascii_lowercase().as_str(), key) {
        ("sec-websocket-key", _) => match accept_key::decode_key(value) {
            Ok(bytes) => format!("16 bytes: {}", hex(&bytes, 16)),
            Err(why) => why,
        },
        ("sec-websocket-accept", Some("")) => {
            "the request has no key, so there is nothing to accept".into()
        }
        ("sec-websocket-accept", Some(key)) => match accept_key::accept(key) {
            fits if fits == value => "it fits the key: SHA-1 of key and GUID, in base64".into(),
            expected => format!("it does not fit the key; expected: {expected}"),
        },
        ("sec-websocket-extensions", _) if extension::parse(&head).is_err() => {
            "not a list of extensions: names, each with parameters after semicolons".into()
        }
        _ => purpose(name).map_or("not used by the handshake", |(purpose, _)| purpose).into(),
    };
    [visible(name.as_bytes(), 60), visible(value.as_bytes(), 400), meaning]
}
