//! Defines [`Error`], the one error type of the public API.
//!
//! A clean close isn't an error: `recv` then returns `None`. The table at [`Error`] says for each
//! variant which calls return it, who is at fault, and whether to try again. The `Display` of most
//! errors also names the usual cause and the fix.
//!
//! An error may be wrapped in an `io::Error`, for instance when `io::copy` reads from a
//! `MessageReader`. Converting that `io::Error` back returns the original [`Error`].

use std::io::ErrorKind;
use std::{fmt, io};

use crate::diagnostic::Diagnostic;
use crate::diagnostic::misuse::Misuse;
use crate::frames::violation::Violation;
use crate::handshake::client::HandshakeError;
use crate::http::refusal::Refusal;

/// The [`Result`](std::result::Result) type of this crate's functions, with [`Error`] as its error.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of this crate: why a connection couldn't be opened or used, or why it ended without a
/// clean close.
///
/// In the table, three words stand for groups of calls:
/// - *opening*: `connect`, `Client::connect`, `Client::connect_over`, `accept`, and
///   `Server::accept`;
/// - *receiving*: `recv`, `recv_timeout`, `recv_stream`, and reading from a
///   [`MessageReader`](crate::MessageReader);
/// - *sending*: `send`, `feed`, `flush`, `ping`, `send_stream`, and the methods of `Sender`,
///   `Outbox` and `MessageWriter`.
///
/// The `Read` methods of `MessageReader` and the `Write` methods of `MessageWriter` wrap these
/// errors in an `io::Error`. After any receiving error except `TimedOut`, the connection is over.
///
/// | variant | which calls return it | whose fault | try again? |
/// |---|---|---|---|
/// | `Io` | `bind`, `serve`, `spawn`, `outbox`, dialling, reading a file of certificates | the system's, the network's or the address's | yes, later; if the address is in use, only once it's free |
/// | `Refused` | `accept` | the peer's request, or the server's policy | only the peer can, with another request |
/// | `PageServed` | `accept` | no fault: the peer asked for a page | no |
/// | `Rejected` | opening, at a client | depends on the status: the request's, or the server's | on 408, 429 or 5xx, later; otherwise not without a change |
/// | `Tls` | opening, over TLS; `Tls::from_pem_files` and `Tls::from_pem` | the certificate's, or the peer's | not without a change |
/// | `Violation` | receiving, `close` | the peer's | over a new connection, but the peer will probably do the same again |
/// | `Misuse` | any call | the caller's | no: change the program |
/// | `Closed` | sending, `close`, reading from a `MessageReader` | no fault: the connection was closing or had ended | over a new connection |
/// | `ConnectionLost` | opening, receiving, sending, `close` | the network's or the peer's; or this end aborted the connection | yes, over a new connection, after a while |
/// | `PeerTimeout` | opening, receiving, `close` | the peer's or the network's | yes, over a new connection, after a while |
/// | `BytesLost` | `close` | the peer's, which has stopped reading | yes, over a new connection: send the last messages again |
/// | `WriteTimeout` | opening, receiving (also if another thread's write was too slow), sending, `close` | the peer's, which reads too slowly; or this end's, which sends too much or doesn't finish a message | yes, sending less; over a new connection if the peer reads too slowly |
/// | `TimedOut` | `recv_timeout` | no fault | yes, at once: call it again |
/// | `Other` | the handler's own code | the handler's | depends on the handler's error |
///
/// A stopping server doesn't make its clients' `recv` fail: it sends a Close, so `recv` returns
/// `None`, and [`closed_with`](crate::WebSocket::closed_with) returns the close code. If a server
/// doesn't respond within [`Limits::connect`](crate::Limits::connect), the error is a
/// `PeerTimeout`, both while dialling and during the handshake.
///
/// A program can find out with one `match` what has happened to its connection:
///
/// ```
/// use ws101::{CloseCode, Error, WebSocket};
///
/// /// Says how a call of `recv` or `connect` has ended.
/// fn what_happened(result: ws101::Result<Option<CloseCode>>) -> &'static str {
///     match result {
///         Ok(Some(CloseCode::GOING_AWAY | CloseCode::SERVICE_RESTART)) => "going away",
///         Ok(Some(code)) if code.is_failure() => "the peer failed",
///         Ok(_) => "the end of the conversation",
///         Err(Error::Rejected(refused)) if refused.status == Some(503) => "no room now",
///         Err(Error::Rejected(_) | Error::Refused(_)) => "refused by policy",
///         Err(Error::ConnectionLost(_) | Error::BytesLost(_) | Error::Closed) => "connection lost",
///         Err(Error::PeerTimeout | Error::WriteTimeout) => "peer silent",
///         Err(Error::Violation(_)) => "protocol broken",
///         Err(Error::Tls(_)) => "TLS",
///         Err(Error::Misuse(_)) => "misuse",
///         Err(Error::Io(_)) => "own I/O, or nobody listens there",
///         Err(_) => "the application's own",
///     }
/// }
///
/// fn end_of(ws: &mut WebSocket) -> ws101::Result<Option<CloseCode>> {
///     while ws.recv()?.is_some() {}
///     Ok(ws.closed_with().map(|close| close.code))
/// }
///
/// let refused = ws101::connect("ws://user@127.0.0.1:9/");
/// assert_eq!(what_happened(refused.map(|mut ws| end_of(&mut ws)).and_then(|end| end)), "misuse");
/// assert_eq!(what_happened(Ok(Some(CloseCode::SERVICE_RESTART))), "going away");
/// assert_eq!(what_happened(Ok(Some(CloseCode::INTERNAL_ERROR))), "the peer failed");
/// ```
#[non_exhaustive]
pub enum Error {
    /// The operating system returned an error, for instance because the port is in use.
    Io(io::Error),
    /// This server refused the client's request, with a response that names the reason.
    Refused(Refusal),
    /// The client's request didn't ask for a WebSocket, and this server responded with a page.
    PageServed,
    /// A client's opening handshake failed: the server or a proxy rejected it, or sent an invalid
    /// response. The `HandshakeError` holds the HTTP status, if there was one.
    ///
    /// With `wss://`, a server that is stopping or has no thread left sends its 503 before the TLS
    /// handshake, in plain HTTP. But anyone on the network path can forge such a plain answer.
    /// Therefore, if its status is 408, 429 or 5xx, this error holds only the status, without head
    /// and body. Use that status only to decide whether to try again later. After any other plain
    /// answer, the error is a [`Tls`](Error::Tls).
    Rejected(HandshakeError),
    /// TLS failed: a certificate isn't trusted, the peer doesn't use TLS, or our own certificate or
    /// key can't be used.
    ///
    /// No byte of the WebSocket handshake was sent, with one exception: a TLS 1.3 client learns
    /// only after sending its request that the server rejects the client's certificate.
    Tls(Box<Diagnostic>),
    /// The peer broke a protocol rule, and this end sent the peer a Close with the matching close
    /// code.
    Violation(Violation),
    /// The caller asked for something that the protocol or this build doesn't allow. The call sent
    /// nothing that the caller passed to it.
    Misuse(Misuse),
    /// The connection is closing or has ended. Either the caller's message or Close wasn't sent, or
    /// the peer closed before the end of a message that the caller was reading piece by piece.
    Closed,
    /// The connection ended without a Close frame, or before the WebSocket handshake was complete.
    ConnectionLost(io::Error),
    /// The peer didn't answer in time: while dialling, during the handshake, or after a keepalive
    /// ping or a Close from this end.
    PeerTimeout,
    /// The peer's TCP stack didn't acknowledge this end's last bytes in time, so they may be lost.
    /// Holds the number of these bytes. `close` can return this error even after the peer's Close
    /// has arrived.
    BytesLost(u64),
    /// Sending took too long. If the peer reads too slowly or not at all, the connection is over.
    /// If an [`Outbox`](crate::Outbox) is full, or if another thread doesn't finish its message,
    /// the connection is still open.
    WriteTimeout,
    /// No complete message arrived within the timeout passed to `recv_timeout`. The connection
    /// stays open.
    TimedOut,
    /// An application error that the handler returned. [`Error::other`] creates it.
    Other(Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// Wraps an application error, so that a handler can return it.
    pub fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        Error::Other(error.into())
    }
}

/// Marks an I/O error that ended a client's connection during the handshake. The usual text of
/// `ConnectionLost` says that no Close arrived. For a marked error, the text says instead that the
/// connection ended during the handshake, when no Close can arrive.
#[derive(Debug)]
pub(crate) struct InHandshake(pub(crate) io::Error);

impl InHandshake {
    /// Marks an I/O error as one that ended the handshake, and returns it as a `ConnectionLost`.
    /// The `ErrorKind` stays the same.
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
                        "\n  usual cause: no server listens at that address and port\n  fix: start the server, \
                         or check the port that it prints"
                    }
                    ErrorKind::AddrInUse => {
                        "\n  usual cause: another server, or an earlier run of this one, has that port\n  fix: \
                         stop it, or use another port; port 0 means any free one"
                    }
                    _ => "",
                })
            }
            Error::Refused(refusal) => write!(f, "request refused with {refusal}"),
            Error::PageServed => f.write_str("a plain HTTP request, which was answered with a page"),
            Error::Rejected(rejection) => write!(f, "no WebSocket: {rejection}"),
            Error::Tls(diagnostic) => write!(f, "no TLS: {diagnostic}"),
            Error::Violation(violation) => {
                write!(f, "the peer broke a rule, closed with {violation}")
            }
            Error::Misuse(misuse) => misuse.fmt(f),
            Error::Closed => f.write_str(
                "the connection is closed, so no message can be sent, or completely read\n  usual cause: `recv` has \
                 returned `None` or an error, or the peer or another thread has closed\n  fix: stop sending and \
                 reading then, or connect again",
            ),
            Error::ConnectionLost(error) if error.get_ref().is_some_and(|e| e.is::<InHandshake>()) => {
                write!(
                    f,
                    "the connection ended during the handshake ({error})\n  usual cause: the server restarts \
                     or has crashed, or a proxy has closed\n  fix: connect again after a while; if it still \
                     fails, read the server's log"
                )
            }
            Error::ConnectionLost(error) => write!(
                f,
                "the connection ended without a Close frame ({error})\n  usual cause: the peer crashed, \
                 lost its network or ended without closing, or this end aborted the connection\n  fix: call \
                 `ws.close(1000, \"\")` before the peer's program ends"
            ),
            Error::PeerTimeout => f.write_str(
                "the peer did not answer in time\n  usual cause: it hangs, its network is gone, or it doesn't \
                 call `recv`, which answers pings and the Close\n  fix: connect again, and keep reading at \
                 both ends",
            ),
            Error::BytesLost(bytes) => write!(
                f,
                "the peer did not take our last {bytes} bytes, which may be lost\n  usual cause: it \
                 hangs, its network is gone, or it reads too slowly for what it was sent\n  fix: let the \
                 peer confirm what matters, and send it again over a new connection"
            ),
            Error::WriteTimeout => f.write_str(
                "the peer reads more slowly than we send, or not at all\n  usual cause: it hangs, or its \
                 network is too slow for the messages\n  fix: send less, or drop the peer; `Limits::write` \
                 says how long it may take",
            ),
            Error::TimedOut => {
                f.write_str("no message arrived in the given time; the connection is unchanged")
            }
            Error::Other(error) => error.fmt(f),
        }
    }
}

/// `Debug` prints the same text as `Display`. If `main` returns an error, Rust prints the error's
/// `Debug` form, so this text must be readable for users.
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

/// Unwraps the [`Error`] that an `io::Error` wraps. An `io::Error` that wraps no [`Error`] becomes
/// an [`Error::Io`].
impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        error.downcast().unwrap_or_else(Error::Io)
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
            // The peer or another thread may have closed the connection in the meantime, so this
            // isn't the caller's fault.
            Misuse::AfterClose => Error::Closed,
            misuse => Error::Misuse(misuse),
        }
    }
}

/// Wraps an [`Error`] in an `io::Error` with the closest `ErrorKind`, such as `BrokenPipe` for
/// [`Error::Closed`]. An [`Error::Io`] becomes the `io::Error` that it holds.
impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        if let Error::Io(error) = error {
            return error;
        }
        let kind = match &error {
            Error::ConnectionLost(lost) => lost.kind(),
            Error::PeerTimeout | Error::BytesLost(_) | Error::WriteTimeout | Error::TimedOut => {
                ErrorKind::TimedOut
            }
            Error::Closed => ErrorKind::BrokenPipe,
            Error::Violation(_) => ErrorKind::InvalidData,
            Error::Misuse(_) => ErrorKind::InvalidInput,
            _ => ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_that_passes_through_io_comes_back_as_it_was() {
        let reset = || io::Error::from(ErrorKind::ConnectionReset);
        for (error, kind) in [
            (Error::Io(ErrorKind::AddrInUse.into()), ErrorKind::AddrInUse),
            (Error::Refused(Refusal::because(401, "no")), ErrorKind::Other),
            (Error::PageServed, ErrorKind::Other),
            (Error::Rejected(HandshakeError::not_http("x")), ErrorKind::Other),
            (Error::Tls(Box::new(Diagnostic::just("no"))), ErrorKind::Other),
            (Error::Violation(Violation::Masked), ErrorKind::InvalidData),
            (Error::Misuse(Misuse::NotUtf8), ErrorKind::InvalidInput),
            (Error::Closed, ErrorKind::BrokenPipe),
            (Error::ConnectionLost(reset()), ErrorKind::ConnectionReset),
            (InHandshake::mark(reset()), ErrorKind::ConnectionReset),
            (Error::PeerTimeout, ErrorKind::TimedOut),
            (Error::BytesLost(7), ErrorKind::TimedOut),
            (Error::WriteTimeout, ErrorKind::TimedOut),
            (Error::TimedOut, ErrorKind::TimedOut),
            (Error::other("mine"), ErrorKind::Other),
        ] {
            let (variant, text) = (std::mem::discriminant(&error), error.to_string());
            let through = io::Error::from(error);
            assert_eq!(through.kind(), kind, "{text}");
            let back = Error::from(through);
            assert_eq!((std::mem::discriminant(&back), back.to_string()), (variant, text));
        }
    }
}
