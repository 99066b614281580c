//! A request for each refusal: the heading of the refusal's diagnostic, its status, and the request.
//!
//! `tests/protocol` checks the response, and `tests/explain` that `explain` finds the code which
//! refuses the request. A refusal without a request here fails the latter.

use ws101::DeflateConfig;
use ws101::handshake::hosts::Hosts;
use ws101::handshake::origin::Origins;
use ws101::handshake::server::Rules;

/// The limits of a head under which these requests are read.
pub const MAX_HEAD: usize = 4000;
pub const MAX_HEAD_LINES: usize = 12;

/// The rules under which these requests are refused, and the request of [`accepted`] isn't.
pub fn rules() -> Rules {
    Rules {
        origins: Origins::SameHost,
        hosts: Hosts::Listed(vec!["a:1".into()]),
        paths: vec!["/chat".into()],
        deflate: Some(DeflateConfig::default()),
        ..Rules::default()
    }
}

/// A request that nothing is wrong with. Each of the refused ones is this one with a change.
pub fn accepted() -> String {
    "GET /chat HTTP/1.1\r\nHost: a:1\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
     Origin: http://a:1\r\nSec-WebSocket-Protocol: chat, x\r\n\r\n"
        .into()
}

/// The accepted request with one more line.
pub fn with(line: &str) -> String {
    accepted().replace("Host:", &format!("{line}\r\nHost:"))
}

fn without(name: &str) -> String {
    accepted().split_inclusive("\r\n").filter(|line| !line.starts_with(name)).collect()
}

fn changed(from: &str, to: &str) -> String {
    assert!(accepted().contains(from), "{from}");
    accepted().replace(from, to)
}

/// Each refused request, with the heading of its diagnostic and its status.
pub fn refused() -> Vec<(&'static str, u16, String)> {
    let of_2010 =
        without("Sec-WebSocket-Version").replace("Host:", "Sec-WebSocket-Key1: x\r\nHost:");
    vec![
        ("a bare LF", 400, changed("\r", "")),
        ("a control byte", 400, changed("GET", "\x01")),
        ("TLS to a plain port", 400, "\x16\x03\x01".into()),
        ("a folded line", 400, with("X: y\r\n folded")),
        ("not a header", 400, with("no header")),
        ("a head too large", 431, with(&format!("X: {}", "y".repeat(MAX_HEAD)))),
        ("not a request line", 400, changed("GET /chat", "GET  /chat")),
        ("another version of HTTP", 505, changed("HTTP/1.1", "HTTP/2.0")),
        ("another version of HTTP", 505, changed("HTTP/1.1", "HTTP/1.0")),
        ("not a target", 400, changed("/chat", "/chat#x")),
        ("a body", 400, with("Content-Length: 5")),
        ("not one host", 400, without("Host")),
        ("a host not ours", 421, changed("Host: a:1", "Host: b")),
        ("a method other than GET", 405, changed("GET", "POST")),
        ("an upgrade without connection", 400, changed("keep-alive, Upgrade", "close")),
        ("not version 13", 426, changed("Version: 13", "Version: 8")),
        ("the draft of 2010", 426, of_2010),
        ("not a key", 400, changed("dGhl", "")),
        ("two origins", 400, with("Origin: http://b")),
        ("a foreign page", 403, changed("Origin: http://a:1", "Origin: http://b")),
        ("no such path", 404, changed("/chat", "/other")),
        ("not a list of subprotocols", 400, changed("chat, x", "chat, chat")),
        ("not a list of extensions", 400, with("Sec-WebSocket-Extensions: ;")),
    ]
}
