//! The handshake at the client: a request out, its answer verified (RFC 6455 §4.1).
//!
//! An answer is taken only if it proves that a WebSocket server read this very request, and agreed
//! to nothing that was not asked for. A redirect is not followed: whoever asks may do so, knowing
//! where their cookies would go.

use std::fmt;

use super::authority::{Authority, default_port};
use super::handshake::{VERSION, check_subprotocols};
use super::head::Head;
use super::key;
use super::lesson::{Lesson, quote};
use super::misuse::Misuse;
use super::response::write_header;

/// A WebSocket address, taken apart: `ws://host:port/path?query`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// `wss` rather than `ws`.
    pub secure: bool,
    /// A name or an address, an IPv6 one in its brackets.
    pub host: String,
    /// As named, or the scheme's own.
    pub port: u16,
    /// Path and query, `/` at least.
    pub target: String,
}

impl Address {
    /// Takes an address apart. §3
    pub fn parse(url: &str) -> Result<Address, Misuse> {
        let misuse = |why| Misuse::Address { url: url.into(), why };
        let (scheme, rest) = url.split_once("://").ok_or(misuse("no scheme"))?;
        let scheme = scheme.to_ascii_lowercase();
        if scheme != "ws" && scheme != "wss" {
            return Err(misuse("the scheme is neither ws nor wss"));
        }
        if !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(misuse("a space, a control character or one that is not ASCII"));
        }
        // §3: an address of a WebSocket has no fragment.
        if rest.contains('#') {
            return Err(misuse("a fragment (#)"));
        }
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let Authority { host, port } =
            Authority::parse(authority).ok_or(misuse("no host, or one that is none"))?;
        let port = port.or(default_port(&scheme)).unwrap_or_default();
        let target = if target.starts_with('/') { target.into() } else { format!("/{target}") };
        Ok(Address { secure: scheme == "wss", host, port, target })
    }

    /// What stands in `Host`: the port only if it does not go without saying.
    pub fn authority(&self) -> String {
        let scheme = if self.secure { "wss" } else { "ws" };
        match default_port(scheme) == Some(self.port) {
            true => self.host.clone(),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

/// All that a client asks for.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    /// In the order of preference.
    pub subprotocols: Vec<String>,
    /// Headers of its own: a cookie, an origin, a token.
    pub headers: Vec<(String, String)>,
}

/// What a verified answer says.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The subprotocol that the server chose.
    pub subprotocol: Option<String>,
}

/// Names that a caller may not set, since the handshake does.
const OURS: [&str; 7] = [
    "Host",
    "Upgrade",
    "Connection",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Version",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Extensions",
];

impl Ask {
    /// The request that goes out.
    pub fn request(&self, address: &Address, key: &str) -> Result<Vec<u8>, Misuse> {
        check_subprotocols(&self.subprotocols).map_err(|name| Misuse::Subprotocol(name.into()))?;
        let mut out = format!("GET {} HTTP/1.1\r\n", address.target).into_bytes();
        write_header(&mut out, "Host", &address.authority())?;
        write_header(&mut out, "Upgrade", "websocket")?;
        write_header(&mut out, "Connection", "Upgrade")?;
        write_header(&mut out, "Sec-WebSocket-Key", key)?;
        write_header(&mut out, "Sec-WebSocket-Version", VERSION)?;
        if !self.subprotocols.is_empty() {
            write_header(&mut out, "Sec-WebSocket-Protocol", &self.subprotocols.join(", "))?;
        }
        for (name, value) in &self.headers {
            if OURS.iter().any(|ours| ours.eq_ignore_ascii_case(name)) {
                return Err(Misuse::Header { name: name.clone(), value: value.clone() });
            }
            write_header(&mut out, name, value)?;
        }
        out.extend_from_slice(b"\r\n");
        Ok(out)
    }

    /// Whether this answers the request with that key.
    pub fn verify(&self, head: &Head, key: &str) -> Result<Answer, Rejection> {
        // §4.1: any status but 101 is plain HTTP.
        let status = status_of(head.first_line())?;
        if status != 101 {
            return Err(not_switching(status, head));
        }
        // §4.1: `Upgrade` is websocket, `Connection` lists upgrade.
        let mut upgrades = head.list("Upgrade");
        let upgrades = (upgrades.next(), upgrades.next());
        if !matches!(upgrades, (Some(one), None) if one.eq_ignore_ascii_case("websocket")) {
            return Err(not_as_asked(101, "`Upgrade: websocket`", head, "Upgrade"));
        }
        if !head.lists("Connection", "upgrade") {
            return Err(not_as_asked(101, "`Connection: Upgrade`", head, "Connection"));
        }
        // §4.1: the accept key is the one that goes with our key.
        let expected = key::accept(key);
        let mut accepts = head.headers("Sec-WebSocket-Accept");
        if (accepts.next(), accepts.next()) != (Some(&expected), None) {
            let rule = format!("`Sec-WebSocket-Accept: {expected}`, the answer to our key {key}");
            return Err(not_as_asked(101, rule, head, "Sec-WebSocket-Accept"));
        }
        // §4.1: no extension that was not offered.
        if head.header("Sec-WebSocket-Extensions").is_some() {
            return Err(not_as_asked(
                101,
                "no extension, since none was offered",
                head,
                "Sec-WebSocket-Extensions",
            ));
        }
        // §4.1: no subprotocol that was not offered.
        let mut chosen = head.headers("Sec-WebSocket-Protocol");
        match (chosen.next(), chosen.next()) {
            (None, _) => Ok(Answer { subprotocol: None }),
            (Some(one), None) if self.subprotocols.iter().any(|ours| ours == one) => {
                Ok(Answer { subprotocol: Some(one.into()) })
            }
            _ => Err(not_as_asked(
                101,
                "one subprotocol of those offered, or none",
                head,
                "Sec-WebSocket-Protocol",
            )),
        }
    }
}

/// The status of a status line (RFC 9112 §4).
fn status_of(line: &str) -> Result<u16, Rejection> {
    let digits = match line.as_bytes() {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0'..=b'9', b' ', d @ ..] if d.len() >= 3 => {
            &d[..3]
        }
        _ => return Err(Rejection::not_http(quote(line))),
    };
    let well_formed = digits.iter().all(u8::is_ascii_digit)
        && matches!(line.as_bytes().get(12), None | Some(b' '));
    match well_formed {
        true => Ok(digits.iter().fold(0, |status, digit| status * 10 + u16::from(digit - b'0'))),
        false => Err(Rejection::not_http(quote(line))),
    }
}

/// The server did not open a WebSocket, or not the one that was asked for.
#[derive(Clone, Debug)]
pub struct Rejection {
    /// The status, if the answer was HTTP.
    pub status: Option<u16>,
    /// The text that came with it; at most a few KiB.
    pub body: String,
    /// What to learn from it.
    pub lesson: Box<Lesson>,
}

impl Rejection {
    fn new(status: Option<u16>, lesson: Lesson) -> Rejection {
        Rejection { status, body: String::new(), lesson: Box::new(lesson) }
    }

    /// The answer is not HTTP.
    pub fn not_http(seen: impl Into<String>) -> Rejection {
        Rejection::new(
            None,
            Lesson::new(
                "A server answers the handshake with HTTP/1.1 (RFC 6455 §4.1).",
                seen,
                "a server of something else at this port, or one that speaks TLS (wss://)",
                "Check the port and the scheme.",
            ),
        )
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lesson.fmt(f)?;
        match self.body.trim_end() {
            "" => Ok(()),
            body => write!(f, "\n  the server says:\n{}", indented(body)),
        }
    }
}

/// What a server says, made safe for a terminal.
fn indented(body: &str) -> String {
    let safe = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    body.lines()
        .map(|line| format!("    {}", line.chars().map(safe).collect::<String>()))
        .collect::<Vec<_>>()
        .join("\n")
}

impl std::error::Error for Rejection {}

fn not_switching(status: u16, head: &Head) -> Rejection {
    let (cause, fix) = match status {
        300..=399 => {
            ("the WebSocket has moved", "Connect to where `Location` points, if you trust it.")
        }
        401 | 407 => ("the server wants to know who asks", "Send a token or a cookie in a header."),
        403 => {
            ("an `Origin` that the server does not trust", "See below, if the server says more.")
        }
        404 => ("another path", "Check the path of the address."),
        426 => (
            "a proxy that drops `Upgrade`, or another version",
            "See below, if the server says more.",
        ),
        503 => ("a server that is full, or stops", "Come back later."),
        _ => ("a server that has no WebSocket there", "See below, if the server says more."),
    };
    let location =
        head.header("Location").map(|to| format!(", Location: {}", quote(to))).unwrap_or_default();
    let seen = format!("{}{location}", quote(head.first_line()));
    Rejection::new(
        Some(status),
        Lesson::new("The answer to a handshake is 101 (RFC 6455 §4.1).", seen, cause, fix),
    )
}

fn not_as_asked(status: u16, rule: impl fmt::Display, head: &Head, name: &str) -> Rejection {
    let values: Vec<_> = head.headers(name).map(quote).collect();
    let seen = match values.is_empty() {
        true => format!("no {name}"),
        false => format!("{name}: {}", values.join(" and ")),
    };
    Rejection::new(
        Some(status),
        Lesson::new(
            format!("A 101 must have {rule} (RFC 6455 §4.1)."),
            seen,
            "a server written by hand and tested only against itself, or a cache in between",
            "Mend the server; this connection can't be trusted.",
        ),
    )
}
