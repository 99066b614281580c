//! A WebSocket: `recv`, `send`, `close`.
//!
//! Two sides that share no lock: the [`receiver`](super::read_half) belongs to whoever has the
//! `WebSocket`; the sending side is the [`link`](super::write_half), which other threads may use through a
//! [`Sender`] or an [`Outbox`] while this one waits in `recv`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::close_guard::CloseGuard;
use super::limits::Limits;
use super::outbox::Outbox;
use super::read_half::ReadHalf;
use super::sender::Sender;
use super::write_half::WriteHalf;
use crate::error::{Error, Result};
use crate::frames::close::Close;
use crate::frames::close_code::CloseCode;
use crate::frames::decoder::Decoder;
use crate::frames::message::{AsMessage, Message};
use crate::http::request::Request;
use crate::transport::deadline::Deadline;

/// An open connection, at either end.
///
/// Dropping it closes it: with 1000, or with 1011 if its thread panics. (In the handler of
/// [`Server::serve`](crate::Server::serve): when the handler ends, since how it ends decides the code.)
pub struct WebSocket {
    pub(crate) read_half: Box<ReadHalf>,
    pub(crate) write_half: Arc<WriteHalf>,
    request: Box<Request>,
    subprotocol: Option<String>,
    peer: Option<SocketAddr>,
    /// Last, so that it is dropped last: whoever holds it last says goodbye.
    close_guard: Arc<CloseGuard>,
}

impl WebSocket {
    pub(crate) fn new(
        close_guard: CloseGuard,
        decoder: Decoder,
        limits: &Limits,
        request: Box<Request>,
        subprotocol: Option<String>,
    ) -> WebSocket {
        let write_half = close_guard.write_half.clone();
        let read_half = Box::new(ReadHalf::new(write_half.clone(), decoder, limits));
        let (peer, close_guard) = (write_half.stream.peer(), Arc::new(close_guard));
        WebSocket { read_half, write_half, request, subprotocol, peer, close_guard }
    }

    /// Waits for the next message. `None`: the peer has closed, and
    /// [`closed_with`](WebSocket::closed_with) says how; or an earlier call has failed. Pings are
    /// answered, and our own are sent, in here.
    pub fn recv(&mut self) -> Result<Option<Message>> {
        self.read_half.message(None)
    }

    /// As [`recv`](WebSocket::recv), but gives up after a while with [`Error::TimedOut`]; the
    /// connection, and what has come of a message, stay as they are. With no patience at all it still
    /// takes what is there. (What was fed is written first, for which `Limits::write` is the time.)
    pub fn recv_timeout(&mut self, patience: Duration) -> Result<Option<Message>> {
        let patience = patience.max(Duration::from_millis(1));
        self.read_half.message(Some(Deadline::after(patience)))
    }

    /// Sends a message. On the wire when this returns.
    pub fn send(&mut self, message: impl AsMessage) -> Result<()> {
        self.write_half.send(|encoder| encoder.message(message.as_message()))
    }

    /// Encodes a message, which goes out with the next `send` or `flush`, or before `recv` next has to
    /// wait. So the replies to all that came in one read go out in one write.
    pub fn feed(&mut self, message: impl AsMessage) -> Result<()> {
        self.write_half.feed(|encoder| encoder.message(message.as_message()))
    }

    /// Writes what was fed.
    pub fn flush(&mut self) -> Result<()> {
        self.write_half.send(|_| Ok(&[]))
    }

    /// Pings the peer. When its pong has come, [`latency`](WebSocket::latency) is new. Where another thread
    /// is writing just now none is sent: that tells as much about the peer, but not how long it takes.
    pub fn ping(&mut self) -> Result<()> {
        self.read_half.send_ping(false)
    }

    /// How long the last answered ping took.
    pub fn latency(&self) -> Option<Duration> {
        self.read_half.latency()
    }

    /// Closes: sends our Close, waits for the peer's, and leaves. Messages that are still on their way
    /// are dropped. Never takes longer than the deadline for closing.
    pub fn close(&mut self, code: impl Into<CloseCode>, reason: &str) -> Result<()> {
        let close = Close::new(code, reason)?;
        let deadline = Deadline::after(self.write_half.close_within);
        let sent = self.write_half.close_before(deadline, close.clone());
        let answered = sent.and_then(|()| self.read_half.drain(deadline));
        self.write_half.close_and_linger(deadline, close);
        match answered {
            Err(Error::TimedOut) => Err(Error::PeerTimeout),
            answered => answered,
        }
    }

    /// What the peer closed with: a code and a reason.
    pub fn closed_with(&self) -> Option<&Close> {
        self.read_half.closed_with()
    }

    /// The request that opened this connection.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// The subprotocol that was agreed on.
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// A handle for other threads to send with, while this one waits in `recv`.
    pub fn sender(&self) -> Sender {
        Sender::new(self.write_half.clone())
    }

    /// A queue of at most so many messages with a thread of its own, for a peer that may be slow.
    pub fn outbox(&self, bound: usize) -> Result<Outbox> {
        Outbox::new(&self.write_half, bound)
    }

    /// The number that the log calls this connection by.
    pub fn id(&self) -> u64 {
        self.write_half.id
    }

    /// Who is at the other end.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// For the server, which says goodbye where the handler could not.
    pub(crate) fn close_guard(&self) -> Arc<CloseGuard> {
        self.close_guard.clone()
    }
}

impl Drop for WebSocket {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.close_guard.set_code(CloseCode::INTERNAL_ERROR);
        }
    }
}

impl std::fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WebSocket {} {}", self.write_half.id, self.request.path())
    }
}
