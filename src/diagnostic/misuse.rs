//! A misuse is a call that this crate's API forbids. The call fails at once, before it sends
//! anything that the caller passed to it.
//!
//! The caller receives a [`Misuse`], with a [`Diagnostic`] that explains the mistake. If ws101 sent
//! the forbidden data instead, the caller's mistake would become the peer's problem.

use std::fmt;

use super::diagnostic::Diagnostic;
use super::quote::quote;

/// A mistake by the caller of this crate: a call that is forbidden or impossible.
#[derive(Clone, PartialEq, Eq)]
pub enum Misuse {
    /// The caller tried to send a message or a control frame after this end had sent its Close
    /// frame, or after the connection had ended. Converted to an [`Error`](crate::Error), this
    /// misuse becomes `Error::Closed`.
    AfterClose,
    /// The caller tried to send or begin a message in a thread that still had an open
    /// `MessageWriter` on the same connection.
    WithinMessage,
    /// The caller passed a ping payload or a close reason that doesn't fit into a control frame,
    /// whose payload has at most 125 bytes. Holds the length that the payload would have.
    ControlTooLong(usize),
    /// The caller passed this close code, which must not be sent in a Close frame.
    CloseCode(u16),
    /// The caller wrote a text message in pieces that together aren't valid UTF-8.
    NotUtf8,
    /// The caller set a header that only ws101 may set, or that contains forbidden characters.
    /// Holds the header's name and value.
    Header(String, String),
    /// The caller passed this subprotocol, which isn't a token or is listed twice.
    Subprotocol(String),
    /// The caller gave a server an origin, host or path that no request can ever match. Holds the
    /// setting's name (`origins`, `hosts` or `paths`) and the entry that never matches.
    NeverMatches(&'static str, String),
    /// The caller passed an invalid address, or a `wss` address whose host is neither a DNS name
    /// nor an IP address, so that no TLS certificate can name it. Holds the address and the reason.
    Address(String, &'static str),
    /// The proxy's URL, from the caller or the environment, is invalid, or has a scheme other than
    /// `http`. Holds the proxy's host and port, and the reason. If the host and port can't be
    /// parsed, `***` replaces the text after the first colon, because that text may contain a
    /// password.
    Proxy(String, &'static str),
    /// The caller asked for TLS, but ws101 was built without the `tls` feature. Holds a client's
    /// `wss` address, or the path of a server's certificate. For a certificate that was passed as
    /// bytes, holds the text `a certificate`.
    NoTls(String),
    /// The caller asked for compression, but ws101 was built without the `deflate` feature.
    NoDeflate,
    /// The caller passed a compression setting that is out of range. Holds the name and the value
    /// of this setting.
    DeflateConfig(&'static str, u8),
    /// The caller set this status, which a plain HTTP response can't have: it's outside 200 to 599,
    /// or it's 205 and the response has a body.
    Status(u16),
    /// The caller called `serve`, `spawn` or `local_addr` on a server that has no listener.
    NoListener,
}

impl Misuse {
    /// Returns the diagnostic for this mistake: the rule, what the caller passed, the usual cause
    /// and the fix.
    pub fn diagnostic(&self) -> Diagnostic {
        match self {
            Misuse::AfterClose => Diagnostic::about("nothing after a close", ""),
            Misuse::WithinMessage => Diagnostic::about("a message within a message", ""),
            Misuse::ControlTooLong(length) => Diagnostic::about("ping or reason too long", length),
            Misuse::CloseCode(code) => Diagnostic::about("close code that may not be sent", code),
            Misuse::NotUtf8 => Diagnostic::about("text to send not UTF-8", ""),
            Misuse::Header(name, value) => {
                Diagnostic::about("not a header to send", header_fault(name, value))
            }
            Misuse::Subprotocol(name) => Diagnostic::about("not a subprotocol", quote(name)),
            Misuse::NeverMatches(setting, value) => Diagnostic::about(
                "a rule that never matches",
                format!("{setting}: {}", quote(value)),
            ),
            Misuse::Address(url, why) => {
                Diagnostic::about("not an address", format!("{}: {why}", quote(url)))
            }
            Misuse::Proxy(host, why) => {
                Diagnostic::about("not a proxy", format!("{}: {why}", quote(host)))
            }
            Misuse::NoTls(url) => Diagnostic::about("TLS not built in", quote(url)),
            Misuse::NoDeflate => Diagnostic::about("compression not built in", ""),
            Misuse::DeflateConfig(setting, value) => {
                Diagnostic::about("not settings of compression", format!("{setting}: {value}"))
            }
            Misuse::Status(status) => Diagnostic::about("not a status", status),
            Misuse::NoListener => Diagnostic::about("no listener", ""),
        }
    }
}

/// Describes a header that can't be sent: its name, and the forbidden byte in its value, if there
/// is one. Doesn't show the value, because it may be a secret, such as a token, and the text may be
/// logged.
fn header_fault(name: &str, value: &str) -> String {
    let is_forbidden = |byte: u8| byte != b'\t' && byte.is_ascii_control();
    match value.bytes().enumerate().find(|&(_, byte)| is_forbidden(byte)) {
        Some((at, byte)) => {
            format!("{}, with byte {byte:#04x} at offset {at} of its value", quote(name))
        }
        None => quote(name),
    }
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not done: {}", self.diagnostic())
    }
}

/// Shows the same text as `Display`, which hides a header's value, because that value may be a
/// secret.
impl fmt::Debug for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Misuse {}
