//! Everything that can go wrong with a connection, in one type.
//!
//! A clean close is not among it: that is a value (`recv` gives `None`). Each variant says who is
//! at fault, and what it shows is the whole diagnostic: the rule, what was seen, the cause and the fix.

use std::io::ErrorKind;
use std::{fmt, io};

use crate::diagnostic::Diagnostic;
use crate::diagnostic::misuse::Misuse;
use crate::frames::violation::Violation;
use crate::handshake::client::HandshakeError;
use crate::http::refusal::Refusal;

/// What a call of this crate returns.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a connection could not be opened, or did not end well.
#[non_exhaustive]
pub enum Error {
    /// The operating system could not do what was asked.
    Io(io::Error),
    /// At a server: the request was refused, and the peer told why.
    Refused(Refusal),
    /// At a server: the request asked for no WebSocket, and has been answered with a page.
    PageServed,
    /// At a client: the server did not open a WebSocket, or not the one that was asked for.
    Rejected(HandshakeError),
    /// TLS could not be agreed on: a certificate that is not trusted, or not TLS at all. Nothing of ours
    /// was sent over it.
    Tls(Box<Diagnostic>),
    /// The peer broke a rule, and was told the close code that goes with it.
    Violation(Violation),
    /// The caller asked for something that may not be done; nothing was sent.
    Misuse(Misuse),
    /// The connection is closed, so nothing can be sent.
    Closed,
    /// The connection ended without a Close frame, or at a client before its handshake was answered.
    ConnectionLost(io::Error),
    /// The peer did not answer our handshake, our ping, or our Close in time.
    PeerTimeout,
    /// The peer reads too slowly, or not at all.
    WriteTimeout,
    /// Nothing came in the time that the caller gave; the connection is as it was.
    TimedOut,
    /// Whatever a handler wants to fail with.
    Other(Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// Wraps any error, for a handler to fail with.
    pub fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        Error::Other(error.into())
    }
}

/// Marks a connection that was lost before there was a WebSocket, where no Close could be sent.
#[derive(Debug)]
pub(crate) struct InHandshake(pub(crate) io::Error);

impl InHandshake {
    /// The error of a stream that failed in the handshake: its kind is kept.
    pub(crate) fn mark(error: io::Error) -> Error {
        Error::ConnectionLost(io::Error::new(error.kind(), InHandshake(error)))
    }
}

impl fmt::Display for InHandshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for InHandshake {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io(error) => {
                write!(f, "the operating system says: {error}")?;
                f.write_str(match error.kind() {
                    ErrorKind::ConnectionRefused => {
                        "\n  usual cause: nobody listens at that address and port\n  fix: start the server, \
                         or look at the port it prints"
                    }
                    ErrorKind::AddrInUse => {
                        "\n  usual cause: another server, or this one of before, has that port\n  fix: stop \
                         it, or take another port; 0 is one that is free"
                    }
                    _ => "",
                })
            }
            Error::Refused(refusal) => write!(f, "request refused with {refusal}"),
            Error::PageServed => f.write_str("a plain request, answered with a page"),
            Error::Rejected(rejection) => write!(f, "no WebSocket: {rejection}"),
            Error::Tls(diagnostic) => write!(f, "no TLS: {diagnostic}"),
            Error::Violation(violation) => {
                write!(f, "the peer broke a rule, closed with {violation}")
            }
            Error::Misuse(misuse) => misuse.fmt(f),
            Error::Closed => f.write_str(
                "the connection is closed; nothing can be sent any more\n  usual cause: `recv` gave `None` or \
                 an error, or another thread has closed\n  fix: send nothing after that; connect anew",
            ),
            Error::ConnectionLost(error) if error.get_ref().is_some_and(|e| e.is::<InHandshake>()) => {
                write!(
                    f,
                    "the connection ended in the handshake, before there was a WebSocket ({error})\n  usual \
                     cause: the server restarts, crashed, or something in between has closed\n  fix: connect \
                     again in a while; if it goes on, look into the server's log"
                )
            }
            Error::ConnectionLost(error) => write!(
                f,
                "the connection ended without a Close frame ({error})\n  usual cause: the peer crashed, \
                 lost its network, or ended without closing; or we have cut it off ourselves\n  fix: close \
                 with `ws.close(1000, \"\")` at the end of the program that left"
            ),
            Error::PeerTimeout => f.write_str(
                "the peer did not answer in time\n  usual cause: it hangs, its network is gone, or nobody \
                 calls `recv` there, which answers pings and the Close\n  fix: connect anew; keep reading at \
                 both ends",
            ),
            Error::WriteTimeout => f.write_str(
                "the peer does not read as fast as we send, or not at all\n  usual cause: it hangs, or its \
                 network is slower than what it is sent\n  fix: send less, or let it go; `Limits::write` \
                 says how long it may take",
            ),
            Error::TimedOut => {
                f.write_str("nothing came in the time given; the connection is as it was")
            }
            Error::Other(error) => error.fmt(f),
        }
    }
}

/// As `Display`: this is what `fn main() -> ws101::Result<()>` prints, and it should teach.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io(error) | Error::ConnectionLost(error) => Some(error),
            Error::Other(error) => Some(&**error),
            _ => None,
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        Error::Io(error)
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Error {
        Error::Refused(refusal)
    }
}

impl From<HandshakeError> for Error {
    fn from(rejection: HandshakeError) -> Error {
        Error::Rejected(rejection)
    }
}

impl From<Violation> for Error {
    fn from(violation: Violation) -> Error {
        Error::Violation(violation)
    }
}

impl From<Misuse> for Error {
    fn from(misuse: Misuse) -> Error {
        match misuse {
            // Not the caller's fault: the peer, or another thread, has closed in the meantime.
            Misuse::AfterClose => Error::Closed,
            misuse => Error::Misuse(misuse),
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        match error {
            Error::Io(error) | Error::ConnectionLost(error) => error,
            error => io::Error::other(error),
        }
    }
}
