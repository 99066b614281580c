//! The lines of a head, in words: each is a span, with its CR LF. That of the extensions is several.
//!
//! What a line says is what [`Head`] makes of it; whether it may stand there is for
//! [`heads`](super::heads) to tell.

use super::annotation::{Span, What, bits, hex, visible};
use super::extensions::{Bargain, extension_spans};
use super::header_glossary::purpose;
use crate::handshake::accept_key;
use crate::handshake::client::{is_interim, status_of};
use crate::handshake::extension;
use crate::http::head::Head;
use crate::http::request::Request;

/// The spans of a head. `key`: what an accept in it has to answer.
pub fn spans(what: What, bytes: &[u8], key: Option<&str>, mut bargain: Bargain) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut at = 0;
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        let end = at + line.len() as u64;
        match extension_spans(line, at, &mut bargain) {
            Some(of_line) if at > 0 => spans.extend(of_line),
            _ => {
                let [field, value, meaning] = match at {
                    0 => first_line(what, line),
                    _ => field_line(line, key),
                };
                let section = section(at, what, &field, &value);
                spans.push(Span { bits: bits(at..end), field, value, meaning, section });
            }
        }
        at = end;
    }
    spans
}

fn section(at: u64, what: What, field: &str, value: &str) -> &'static str {
    match (at, what) {
        (0, What::Response) if is_interim(status_of(value).unwrap_or_default()) => "RFC 9110 §15.2",
        (0, What::Response) => "§4.2.2",
        (0, _) => "§4.1",
        _ if field == "end of head" => "RFC 9112 §2.1",
        _ => purpose(field).map_or("RFC 9110 §5", |(_, section)| section),
    }
}

fn first_line(what: What, line: &[u8]) -> [String; 3] {
    let value = visible(line.trim_ascii_end(), 200);
    let (field, meaning) = match what {
        What::Response => match status_of(&value) {
            Some(101) => ("status line", "101: the protocol changes on this very connection"),
            Some(status) if is_interim(status) => {
                ("status line", "from 100 to 199, but for 101: the answer is still to come")
            }
            Some(_) => ("status line", "any other status than 101: no WebSocket"),
            None => ("first line", "this is not a status line of HTTP/1.1"),
        },
        _ => match Request::parse(&[line, b"\r\n"].concat()) {
            Ok(_) => ("request line", "method, target and version, one space in between"),
            Err(_) => ("first line", "this is not a request line of HTTP/1.1"),
        },
    };
    [field.into(), value, meaning.into()]
}

/// A line of its own makes a head of its own: so it is [`Head`] that takes it apart.
fn field_line(line: &[u8], key: Option<&str>) -> [String; 3] {
    if line == b"\r\n" {
        return [
            "end of head".into(),
            "empty line".into(),
            "what follows is no head any more".into(),
        ];
    }
    let text = visible(line.trim_ascii_end(), 200);
    if !line.ends_with(b"\r\n") {
        return ["cut".into(), text, "a line that has not ended".into()];
    }
    let Ok(head) = Head::parse(&[b"\r\n", line].concat()) else {
        return ["no header".into(), text, "this line is not `Name: value`".into()];
    };
    let Some((name, value)) = head.fields().next() else {
        return ["no header".into(), text, "this line is not `Name: value`".into()];
    };
    let meaning = match (name.to_ascii_lowercase().as_str(), key) {
        ("sec-websocket-key", _) => match accept_key::decode(value) {
            Ok(bytes) => format!("16 bytes: {}", hex(&bytes, 16)),
            Err(why) => why,
        },
        ("sec-websocket-accept", Some(key)) => match accept_key::accept(key) {
            fits if fits == value => "it answers the key: SHA-1 of key and GUID, in base64".into(),
            expected => format!("it does not answer the key; that would be {expected}"),
        },
        ("sec-websocket-extensions", _) if extension::parse(&head).is_err() => {
            "no list of extensions: names, and their parameters behind semicolons".into()
        }
        _ => purpose(name).map_or("not looked at by the handshake", |(purpose, _)| purpose).into(),
    };
    [visible(name.as_bytes(), 60), visible(value.as_bytes(), 400), meaning]
}
