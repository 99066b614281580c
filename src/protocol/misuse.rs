//! What our own caller may not do: refused at the call, with nothing written.
//!
//! A library that sends what it was told, right or wrong, makes its caller's mistake the peer's
//! problem. Here the mistake comes back at once, as a [`Misuse`] with its [`Lesson`].

use std::fmt;

use super::close::CloseCode;
use super::frame::MAX_CONTROL_PAYLOAD;
use super::lesson::{Lesson, quote};

/// A call that asked for something which may not be sent or can't be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misuse {
    /// Something was sent after our Close frame.
    AfterClose,
    /// A ping, or a close reason, that no control frame can hold.
    ControlTooLong {
        /// Bytes it would have.
        length: usize,
    },
    /// A close code that may not travel.
    CloseCode(CloseCode),
    /// A text message written in pieces that are not UTF-8.
    NotUtf8,
    /// A header that would break out of its line.
    Header {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    },
    /// A subprotocol that is no token, or stands twice in the list.
    Subprotocol(String),
    /// An address that can't be dialled, and why.
    Address {
        /// The address.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A wss address without TLS.
    NoTls(String),
    /// `serve` on a server that has no listener.
    NoListener,
}

impl Misuse {
    /// The rule, what was seen, the usual cause and the fix.
    pub fn lesson(&self) -> Lesson {
        match self {
            Misuse::AfterClose => Lesson::new(
                "Nothing follows a Close frame (RFC 6455 §5.5.1).",
                "something to send after our Close",
                "a thread that still sends while another has closed, or a peer that has left",
                "Stop sending when `send` says so, and let `recv` end.",
            ),
            Misuse::ControlTooLong { length } => Lesson::new(
                "A control frame holds at most 125 bytes, two of which are a close code (RFC 6455 §5.5).",
                format!("{length} bytes"),
                "an error message used as a close reason",
                format!(
                    "Cut it to {} bytes, or send it as a message first.",
                    MAX_CONTROL_PAYLOAD - 2
                ),
            ),
            Misuse::CloseCode(code) => Lesson::new(
                "Codes that travel are 1000-1003, 1007-1014 and 3000-4999 (RFC 6455 §7.4).",
                format!("close code {code}"),
                "1005 and 1006 are seen in logs, but only name what happened at one end",
                "Use 1000, or one of your own from 4000 on.",
            ),
            Misuse::NotUtf8 => Lesson::new(
                "A text message is UTF-8 from its first byte to its last (RFC 6455 §8.1).",
                "bytes that are not, or an end in mid-character",
                "bytes from a file written into a text message",
                "Write a binary message instead.",
            ),
            Misuse::Header { name, value } => Lesson::new(
                "A header's name is a token; its value has no control characters (RFC 9110 §5).",
                format!("{}: {}", quote(name), quote(value)),
                "a value that somebody else chose, put into a header as it is",
                "Check or encode it before.",
            ),
            Misuse::Subprotocol(name) => Lesson::new(
                "A subprotocol is a token, and named once (RFC 6455 §4.1).",
                quote(name),
                "several names in one string",
                "Give each name as a string of its own.",
            ),
            Misuse::Address { url, why } => Lesson::new(
                "An address is ws://host[:port][/path][?query] (RFC 6455 §3).",
                format!("{}: {why}", quote(url)),
                "an http address, or one with a space or a fragment",
                "Write it as ws://127.0.0.1:9001/path.",
            ),
            Misuse::NoTls(url) => Lesson::new(
                "wss:// is WebSocket over TLS, which this build does not have.",
                quote(url),
                "an address copied from a browser",
                "Use ws://, or put a proxy that speaks TLS in between.",
            ),
            Misuse::NoListener => Lesson::new(
                "A server serves what it is bound to.",
                "`serve` on a server without a listener",
                "`Server::unbound` where `Server::bind` was meant",
                "Use `Server::bind`, or give each stream to `accept`.",
            ),
        }
    }
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not done: {}", self.lesson())
    }
}

impl std::error::Error for Misuse {}
