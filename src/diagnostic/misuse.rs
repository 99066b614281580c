//! Misuse: calls of our own API that are refused at once, before anything is written.
//!
//! If a library sends whatever its caller passes, the caller's mistake becomes the peer's problem.
//! Here the call returns the mistake as a [`Misuse`] with its [`Diagnostic`].

use std::fmt;

use super::diagnostic::{Diagnostic, quote};

/// A call that asks for something that may not be sent or can't be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misuse {
    /// The caller sends something after our Close frame.
    AfterClose,
    /// The thread that has a `MessageWriter` open begins another message.
    WithinMessage,
    /// A ping or close reason of this many bytes, which don't fit into a control frame.
    ControlTooLong(usize),
    /// A close code that may not be sent.
    CloseCode(u16),
    /// A text message, written in pieces, that isn't UTF-8.
    NotUtf8,
    /// A header (name and value) that would break out of its line or that callers may not set.
    Header(String, String),
    /// A subprotocol that isn't a token or is listed twice.
    Subprotocol(String),
    /// A rule of the server that no request can ever match: its setting and its value.
    NeverMatches(&'static str, String),
    /// An address that the client can't connect to, and why.
    Address(String, &'static str),
    /// A proxy that the client can't use (its host), and why.
    Proxy(String, &'static str),
    /// A wss address in a build without TLS.
    NoTls(String),
    /// The caller asks for compression in a build without it.
    NoDeflate,
    /// An invalid compression setting: its name and value.
    DeflateConfig(&'static str, u8),
    /// A status that an answer in plain HTTP can't have.
    Status(u16),
    /// `serve` on a server that has no listener.
    NoListener,
}

impl Misuse {
    /// The rule, what the caller passed, the usual cause and the fix.
    pub fn diagnostic(&self) -> Diagnostic {
        match self {
            Misuse::AfterClose => Diagnostic::about("nothing after a close", ""),
            Misuse::WithinMessage => Diagnostic::about("a message within a message", ""),
            Misuse::ControlTooLong(length) => Diagnostic::about("ping or reason too long", length),
            Misuse::CloseCode(code) => Diagnostic::about("close code that may not be sent", code),
            Misuse::NotUtf8 => Diagnostic::about("text to send not UTF-8", ""),
            Misuse::Header(name, value) => Diagnostic::about(
                "not a header to send",
                format!("{}: {}", quote(name), quote(value)),
            ),
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

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not done: {}", self.diagnostic())
    }
}

impl std::error::Error for Misuse {}
