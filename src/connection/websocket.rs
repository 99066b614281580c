//! An open WebSocket, as the application uses it: `recv`, `send`, `close`.
//!
//! A `WebSocket` has two halves. The [`read_half`](super::read_half) belongs to the thread that
//! holds the `WebSocket`, so it needs no lock. The [`write_half`](super::write_half) is shared:
//! other threads use it through a [`Sender`] or an [`Outbox`], even while the reading thread waits
//! in `recv`.

use std::any::Any;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::close_guard::CloseGuard;
use super::closing_state::CloseRequest;
use super::outbox::outbox::Outbox;
use super::read_half::ReadHalf;
use super::sender::Sender;
use super::write_half::WriteHalf;
use crate::error::{Error, Result};
use crate::frames::close::Close;
use crate::frames::close_code::CloseCode;
use crate::frames::decoder::Decoder;
use crate::frames::encoder::LARGE;
use crate::frames::message::{AsMessage, Message};
use crate::http::head::Head;
use crate::http::request::Request;
use crate::transport::deadline::Deadline;

/// An open WebSocket connection, on the server's or the client's side. It sends and receives
/// messages.
///
/// Dropping the `WebSocket` closes the connection with close code 1000, or with 1011 if the thread
/// is panicking. Like [`close`](WebSocket::close), the drop may wait for the peer. (In a handler of
/// [`Server::serve`](crate::Server::serve), the connection isn't closed until the handler ends,
/// because the handler's result decides the close code.)
pub struct WebSocket {
    pub(crate) read_half: Box<ReadHalf>,
    pub(crate) write_half: Arc<WriteHalf>,
    subprotocol: Option<String>,
    /// On a client, the HTTP head of the server's 101. `None` on a server.
    response: Option<Box<Head>>,
    /// On a server, the client's identity, as the application's `admit` function determined it.
    /// `None` on a client, or if `admit` set no identity.
    identity: Option<Arc<dyn Any + Send + Sync>>,
    /// The close guard: dropping its last clone closes the connection. This must stay the last
    /// field, because Rust drops fields in order: the read half must add its last received messages
    /// to the counts before the guard logs them.
    close_guard: Arc<CloseGuard>,
}

impl WebSocket {
    pub(crate) fn new(
        close_guard: Arc<CloseGuard>,
        decoder: Decoder,
        subprotocol: Option<String>,
    ) -> WebSocket {
        let write_half = close_guard.write_half.clone();
        let read_half = Box::new(ReadHalf::new(write_half.clone(), decoder));
        let (response, identity) = (None, None);
        WebSocket { read_half, write_half, subprotocol, response, identity, close_guard }
    }

    /// Sets the HTTP head that [`WebSocket::response`] returns: the head of the 101 that opened
    /// this client's connection.
    pub(crate) fn with_response(mut self, response: Head) -> WebSocket {
        self.response = Some(Box::new(response));
        self
    }

    /// Sets the client's identity, as the application's `admit` function determined it.
    /// [`WebSocket::identity`] returns it.
    pub(crate) fn set_identity(&mut self, identity: Option<Arc<dyn Any + Send + Sync>>) {
        self.identity = identity;
    }

    /// Waits for the next message, and meanwhile answers the peer's pings and sends the keepalive's
    /// pings. Returns `None` once the peer's Close has arrived;
    /// [`closed_with`](WebSocket::closed_with) then returns that Close. This call also returns
    /// `None` if an earlier `recv` has failed with any error but `TimedOut`.
    ///
    /// `None` doesn't always mean success: a peer that fails in the middle of its work also closes,
    /// with close code 1011. Call [`is_failure`](CloseCode::is_failure) on the peer's close code to
    /// find out whether the peer has failed:
    ///
    /// ```no_run
    /// let mut ws = ws101::connect("ws://127.0.0.1:9001")?;
    /// while let Some(message) = ws.recv()? {
    ///     println!("{message:?}");
    /// }
    /// let has_failed = ws.closed_with().is_none_or(|close| close.code.is_failure());
    /// # ws101::Result::Ok(())
    /// ```
    pub fn recv(&mut self) -> Result<Option<Message>> {
        self.read_half.next_message(None)
    }

    /// Like [`recv`](WebSocket::recv), but fails with [`Error::TimedOut`] if no complete message
    /// arrives within `timeout`. After this error, the connection is still open, and the bytes
    /// received so far aren't lost. With a timeout of zero, this returns a message only if it has
    /// already arrived. (Before it waits, this call writes the messages that `feed` has left in the
    /// batch, which may take longer than `timeout`.)
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Option<Message>> {
        let timeout = timeout.max(Duration::from_millis(1));
        self.read_half.next_message(Some(Deadline::after(timeout)))
    }

    /// Sends a message, and waits while the peer's buffers are full. `Ok` means that our operating
    /// system has taken the message, not that the peer has received it. Fails with `Closed` if the
    /// connection is closing or has ended. Fails with `WriteTimeout` if the peer reads too slowly,
    /// or if another thread's `MessageWriter` sends nothing for `Limits::write`.
    pub fn send(&mut self, message: impl AsMessage) -> Result<()> {
        self.write_half.send(|encoder| encoder.message(message.as_message()))
    }

    /// Encodes a message into the connection's batch of unwritten frames. The next `send` or
    /// `flush` writes the batch, and so does a `recv` that has to wait. That way, the replies to
    /// all messages that arrived together go out in one write.
    ///
    /// `feed` copies the message into the batch, with two exceptions on a server:
    /// - A [`Message`], `String` or `Vec<u8>` of at least 32 KiB that you pass by value isn't
    ///   copied if it's sent uncompressed.
    /// - Any other value of at least 96 KiB is written at once if it's sent uncompressed, and so is
    ///   a [`PreparedMessage`](crate::PreparedMessage) that's still at least 96 KiB long when
    ///   compressed.
    ///
    /// Once the batch has reached 256 KiB or holds two messages that weren't copied, `feed` writes
    /// it.
    pub fn feed(&mut self, mut message: impl AsMessage) -> Result<()> {
        if message.as_message().payload.len() >= LARGE {
            match message.into_message() {
                Ok(owned) => return self.write_half.feed_owned(owned),
                Err(borrowed) => message = borrowed,
            }
        }
        self.write_half.feed(|encoder| encoder.message(message.as_message()))
    }

    /// Writes the messages that [`feed`](WebSocket::feed) has left in the connection's batch. Does
    /// nothing if the batch is empty. Fails with `Closed` if the connection was aborted, or if an
    /// earlier write has failed (perhaps another thread's): the messages in the batch are then
    /// lost.
    pub fn flush(&mut self) -> Result<()> {
        self.write_half.flush()
    }

    /// Sends a ping. When the peer's pong arrives, `recv` updates [`latency`](WebSocket::latency).
    /// While another thread is writing, this returns `Ok` without sending a ping: that thread's
    /// write already shows whether the peer is alive, though not how fast the peer answers.
    pub fn ping(&mut self) -> Result<()> {
        self.read_half.send_ping(false)
    }

    /// Returns the round-trip time of the last ping that the peer answered before the next ping
    /// went out. `None` before the first such answer. So if you call [`ping`](WebSocket::ping) more
    /// often than once per round trip, this value doesn't change, or stays `None`.
    pub fn latency(&self) -> Option<Duration> {
        self.read_half.latency()
    }

    /// Performs the closing handshake: sends our Close, waits for the peer's Close, and ends the
    /// stream. Our Close goes out after the outboxes' messages, and after the message of an
    /// unfinished `MessageWriter`. Messages that arrive meanwhile are dropped.
    ///
    /// Once our Close is written, the peer has `Limits::close` to answer, or longer while it's
    /// still reading our bytes.
    ///
    /// The error tells what happened:
    /// - The peer reads more slowly than [`Limits::write`](crate::Limits::write) allows: `WriteTimeout`.
    /// - The peer doesn't answer in time: `PeerTimeout`, or `BytesLost` if its TCP stack hasn't even
    ///   acknowledged our last bytes (perhaps only our Close).
    /// - The peer answers, but its TCP stack then stops acknowledging our last bytes for
    ///   `Limits::close`: `BytesLost`, if we have sent at least 64 KiB on this connection.
    /// - The peer ends the stream without a Close, or the network fails: `ConnectionLost`.
    /// - The peer breaks a protocol rule: `Violation`.
    ///
    /// Also fails with `Closed` if the connection had already ended without a Close from either
    /// end. Fails with `Misuse`, and changes nothing, if the code must not be sent or the reason is
    /// longer than 123 bytes.
    pub fn close(&mut self, code: impl Into<CloseCode>, reason: &str) -> Result<()> {
        let close = Close::new(code, reason)?;
        let request = CloseRequest::when_drained(close.clone(), self.write_half.limits.close);
        let sent = self.write_half.request_close(request);
        let answered = self.read_half.wait_for_peer_close(sent);
        let unanswered = self.write_half.close_and_linger(close);
        let closed = answered.and_then(|()| match unanswered {
            Some(lost @ Error::BytesLost(_)) => Err(lost),
            _ if self.closed_with().is_some() => Ok(()),
            _ => self.write_half.fail_if_ended_without_our_close(),
        });
        // The close guard logs lost bytes, even if the caller ignores this error.
        if let Err(lost @ Error::BytesLost(_)) = &closed {
            self.close_guard.note_cause(lost);
        }
        closed
    }

    /// Returns the code and the reason of the peer's Close. `None` until that Close has arrived.
    pub fn closed_with(&self) -> Option<&Close> {
        self.read_half.closed_with()
    }

    /// Returns the code and the reason of our own Close. `None` until that Close is written. It may
    /// come from a call to [`close`](WebSocket::close) or [`Sender::close`], from a server that
    /// drains or stops, or from a `MessageWriter` that was dropped in the middle of a message. It
    /// may also answer the peer's Close, or name a rule that the peer broke.
    pub fn sent_close(&self) -> Option<Close> {
        self.write_half.closing.sent_close()
    }

    /// Returns the HTTP request that opened this connection, as this server received it or this
    /// client sent it.
    pub fn request(&self) -> &Request {
        &self.close_guard.request
    }

    /// On a client, returns the HTTP head of the server's 101, for example to read its cookies.
    /// `None` on a server.
    pub fn response(&self) -> Option<&Head> {
        self.response.as_deref()
    }

    /// On a server, returns the client's identity, as the application's
    /// [`admit`](crate::Server::admit) function determined it. `None` if there's no identity, or if
    /// its type isn't `T`. Always `None` on a client.
    pub fn identity<T: Any>(&self) -> Option<&T> {
        (**self.identity.as_ref()?).downcast_ref()
    }

    /// Returns the subprotocol that the client and the server agreed on, or `None` if they agreed
    /// on none.
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// Returns a handle for sending from other threads, even while this thread waits in `recv`.
    pub fn sender(&self) -> Sender {
        self.write_half.note_others_may_close();
        Sender::new(self.write_half.clone())
    }

    /// Creates an outbox: a queue of at most `bound` messages for a peer that may be slow, and a
    /// thread that sends these messages. [`send`](WebSocket::send) doesn't wait for this queue, so
    /// a message that you send may overtake queued ones. Fails with `Error::Io` if the process
    /// can't start another thread.
    pub fn outbox(&self, bound: usize) -> Result<Outbox> {
        self.write_half.note_others_may_close();
        Outbox::new(&self.write_half, bound)
    }

    /// Returns the number that identifies this connection in the log. Each server counts its own
    /// connections from 1, and so do all clients of the process together. Therefore, connections
    /// of two servers, or of a server and a client, may have the same number.
    pub fn id(&self) -> u64 {
        self.write_half.id
    }

    /// Returns the peer's address. `None` if the stream has no IP address, as with a Unix socket.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.request().peer()
    }

    /// Returns a clone of the close guard. On a server, the connection's thread keeps this clone
    /// while the handler runs, and sets the guard's close code if the handler fails.
    pub(crate) fn close_guard(&self) -> Arc<CloseGuard> {
        self.close_guard.clone()
    }
}

impl Drop for WebSocket {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.close_guard.set_code(CloseCode::INTERNAL_ERROR);
        }
        if let Some(close) = self.closed_with() {
            self.close_guard.note_peer_code(close.code);
        }
    }
}

impl std::fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WebSocket {} {}", self.write_half.id, self.request().path())
    }
}
