//! What our own caller may not do: refused at the call, with nothing written.
//!
//! A library that sends what it was told, right or wrong, makes its caller's mistake the peer's
//! problem. Here the mistake comes back at once, as a [`Misuse`] with its [`Diagnostic`].

use std::fmt;

use super::diagnostic::{Diagnostic, quote};

/// A call that asked for something which may not be sent or can't be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misuse {
    /// Something was sent after our Close frame.
    AfterClose,
    /// A ping, or a close reason, of so many bytes, which no control frame can hold.
    ControlTooLong(usize),
    /// A close code that may not travel.
    CloseCode(u16),
    /// A text message written in pieces that are not UTF-8.
    NotUtf8,
    /// A header that would break out of its line, or is not the caller's to set: name and value.
    Header(String, String),
    /// A subprotocol that is no token, or stands twice in the list.
    Subprotocol(String),
    /// An address that can't be dialled, and why.
    Address(String, &'static str),
    /// A wss address without TLS.
    NoTls(String),
    /// Compression was asked for, which this build does not have.
    NoDeflate,
    /// A setting of compression that can't be kept: its name and value.
    DeflateConfig(&'static str, u8),
    /// A status that an answer in plain HTTP can't have.
    Status(u16),
    /// `serve` on a server that has no listener.
    NoListener,
}

impl Misuse {
    /// The rule, what was seen, the usual cause and the fix.
    pub fn diagnostic(&self) -> Diagnostic {
        match self {
            Misuse::AfterClose => Diagnostic::about("nothing after a close", ""),
            Misuse::ControlTooLong(length) => Diagnostic::about("ping or reason too long", length),
            Misuse::CloseCode(code) => Diagnostic::about("close code that may not travel", code),
            Misuse::NotUtf8 => Diagnostic::about("text to send not UTF-8", ""),
            Misuse::Header(name, value) => Diagnostic::about(
                "not a header to send",
                format!("{}: {}", quote(name), quote(value)),
            ),
            Misuse::Subprotocol(name) => Diagnostic::about("not a subprotocol", quote(name)),
            Misuse::Address(url, why) => {
                Diagnostic::about("not an address", format!("{}: {why}", quote(url)))
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
