//! A WebSocket: `recv`, `send`, `close`.
//!
//! ```text
//! recv ─► next event? ── message ─► to the caller
//!           ▲   │ none     ping, pong, close ─► answered here
//!           │   ▼
//!           │  write what was fed, then wait: for bytes, or for a deadline
//!           └───┘
//! ```
//!
//! The receiving half belongs to the thread that has the `WebSocket`; the sending half is behind the
//! lock of the [`link`](super::link), for other threads to send while this one waits.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::farewell::Farewell;
use super::limits::Limits;
use super::link::Link;
use super::outbox::Outbox;
use super::pulse::{Pulse, Silence};
use super::sender::Sender;
use super::stream::{Deadline, is_timeout};
use crate::error::{Error, Result};
use crate::protocol::close::Close;
use crate::protocol::close_code::CloseCode;
use crate::protocol::incoming::{Event, Incoming};
use crate::protocol::message::{AsMessage, Kind, Message};
use crate::protocol::request::Request;

/// An open connection, at either end.
///
/// Dropping it closes it: with 1000, or with 1011 if its thread panics.
pub struct WebSocket {
    pub(crate) link: Arc<Link>,
    incoming: Incoming,
    limits: Limits,
    request: Box<Request>,
    subprotocol: Option<String>,
    /// What the peer closed with.
    closed_with: Option<Close>,
    /// Nothing more will come.
    over: bool,
    /// A message is being read piece by piece, and its end has not come.
    in_pieces: bool,
    /// The read timeout that the stream has now.
    timeout: Duration,
    pulse: Pulse,
    /// Last, so that it is dropped last: whoever holds it last says goodbye.
    farewell: Arc<Farewell>,
}

impl WebSocket {
    pub(crate) fn new(
        farewell: Arc<Farewell>,
        incoming: Incoming,
        limits: Limits,
        request: Request,
        subprotocol: Option<String>,
    ) -> WebSocket {
        WebSocket {
            link: farewell.link.clone(),
            incoming,
            pulse: Pulse::new(&limits),
            limits,
            request: Box::new(request),
            subprotocol,
            closed_with: None,
            over: false,
            in_pieces: false,
            timeout: Duration::ZERO,
            farewell,
        }
    }

    /// Waits for the next message. `None`: the peer has closed, and
    /// [`closed_with`](WebSocket::closed_with) says how. Pings are answered, and our own are sent, in
    /// here.
    pub fn recv(&mut self) -> Result<Option<Message>> {
        self.recv_before(None)
    }

    /// As [`recv`](WebSocket::recv), but gives up after a while with [`Error::TimedOut`]; the
    /// connection, and what has come of a message, stay as they are.
    pub fn recv_timeout(&mut self, patience: Duration) -> Result<Option<Message>> {
        self.recv_before(Some(Deadline::after(patience)))
    }

    /// Sends a message. On the wire when this returns.
    pub fn send(&mut self, message: impl AsMessage) -> Result<()> {
        self.link.send(|outgoing| outgoing.message(message.as_message()))
    }

    /// Encodes a message, which goes out with the next `send` or `flush`, or before `recv` next has to
    /// wait. So the replies to all that came in one read go out in one write.
    pub fn feed(&mut self, message: impl AsMessage) -> Result<()> {
        self.link.feed(|outgoing| outgoing.message(message.as_message()))
    }

    /// Writes what was fed.
    pub fn flush(&mut self) -> Result<()> {
        self.link.send(|_| Ok(&[]))
    }

    /// Pings the peer. When its pong has come, [`latency`](WebSocket::latency) is new.
    pub fn ping(&mut self) -> Result<()> {
        self.send_ping(false)
    }

    /// How long the last answered ping took.
    pub fn latency(&self) -> Option<Duration> {
        self.pulse.latency
    }

    /// Closes: sends our Close, waits for the peer's, and leaves. Messages that are still on their way
    /// are dropped. Never takes longer than the deadline for closing.
    pub fn close(&mut self, code: impl Into<CloseCode>, reason: &str) -> Result<()> {
        let close = Close::new(code, reason)?;
        let deadline = Deadline::after(self.limits.close);
        let mut answered = self.link.close_before(deadline, close.clone());
        while answered.is_ok() && !self.over {
            answered = self.next_event(Some(deadline)).map(|_| ());
        }
        self.link.finish(deadline, close);
        self.over = true;
        match answered {
            Err(Error::TimedOut) => Err(Error::Silent),
            answered => answered,
        }
    }

    /// What the peer closed with: a code and a reason.
    pub fn closed_with(&self) -> Option<&Close> {
        self.closed_with.as_ref()
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
        Sender::new(self.link.clone())
    }

    /// A queue of at most so many messages with a thread of its own, for a peer that may be slow.
    pub fn outbox(&self, bound: usize) -> Result<Outbox> {
        Outbox::new(&self.link, bound)
    }

    /// The number that the log calls this connection by.
    pub fn id(&self) -> u64 {
        self.link.id
    }

    /// Who is at the other end.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.link.stream.peer()
    }

    fn recv_before(&mut self, until: Option<Deadline>) -> Result<Option<Message>> {
        self.skip_rest_of_stream(until)?;
        self.incoming.deliver_pieces(false);
        match self.next_event(until)? {
            Some(Event::Message(message)) => Ok(Some(message)),
            _ => Ok(None),
        }
    }

    /// The first piece of the next message, for one who reads it as a stream.
    pub(crate) fn first_piece(&mut self) -> Result<Option<(Kind, Vec<u8>)>> {
        self.skip_rest_of_stream(None)?;
        self.incoming.deliver_pieces(true);
        self.next_piece()
    }

    /// The next piece of it.
    pub(crate) fn next_piece(&mut self) -> Result<Option<(Kind, Vec<u8>)>> {
        let Some(Event::Piece { kind, bytes, last }) = self.next_event(None)? else {
            return Ok(None);
        };
        self.in_pieces = !last;
        Ok(Some((kind, bytes)))
    }

    /// Whether the message that is read as a stream has more to come.
    pub(crate) fn has_more_pieces(&self) -> bool {
        self.in_pieces
    }

    /// A reader that was dropped half way: what it did not read is not the next message.
    fn skip_rest_of_stream(&mut self, until: Option<Deadline>) -> Result<()> {
        while self.in_pieces {
            let event = self.next_event(until)?;
            self.in_pieces = matches!(event, Some(Event::Piece { last: false, .. }));
        }
        Ok(())
    }

    /// The next message or piece. What else comes is dealt with here.
    fn next_event(&mut self, until: Option<Deadline>) -> Result<Option<Event>> {
        while !self.over {
            match self.incoming.next_event() {
                Ok(Some(event @ (Event::Message(_) | Event::Piece { last: true, .. }))) => {
                    self.link.tally.received(1, 0);
                    return Ok(Some(event));
                }
                Ok(Some(piece @ Event::Piece { .. })) => return Ok(Some(piece)),
                Ok(Some(Event::Ping(payload))) => self.link.pong(payload)?,
                Ok(Some(Event::Pong(payload))) => self.pulse.answered(&payload),
                Ok(Some(Event::Close(close))) => self.closed(close),
                Ok(None) => self.wait(until)?,
                Err(violation) => {
                    log::debug!("{} {violation}", self.link.id);
                    self.over = true;
                    self.link.close(Close {
                        code: violation.close_code(),
                        reason: violation.reason().into(),
                    })?;
                    return Err(violation.into());
                }
            }
        }
        Ok(None)
    }

    /// The peer has closed: it gets its own code back (§5.5.1).
    fn closed(&mut self, close: Close) {
        log::debug!("{} the peer closes with {close}", self.link.id);
        self.over = true;
        // If this can't be sent, the peer has left already: it has said its last, and so it ends well.
        let _ = self.link.close(close.clone());
        self.closed_with = Some(close);
    }

    /// Waits until bytes have come, and keeps the deadlines meanwhile.
    fn wait(&mut self, until: Option<Deadline>) -> Result<()> {
        self.link.flush_unless_busy()?;
        loop {
            // 1. How long may it take?
            let patience = match until.map(Deadline::remaining) {
                Some(Err(_)) => return Err(Error::TimedOut),
                Some(Ok(patience)) => patience.min(self.pulse.patience()),
                None => self.pulse.patience(),
            };
            // 2. Read. Setting a timeout is a system call: done only when it changes.
            if patience != self.timeout {
                self.link.stream.set_read_timeout(patience)?;
                self.timeout = patience;
            }
            match self.link.stream.read(self.incoming.space()) {
                Ok(0) => return Err(self.lost(ErrorKind::UnexpectedEof.into())),
                Ok(count) => {
                    self.incoming.filled(count);
                    self.link.tally.received(0, count);
                    self.pulse.heard();
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) => self.keep_alive()?,
                Err(error) => return Err(self.lost(error)),
            }
        }
    }

    /// It was silent for a while: time to ask, or to give up?
    fn keep_alive(&mut self) -> Result<()> {
        match self.pulse.judge(self.timeout) {
            Silence::Wait => Ok(()),
            Silence::Ask => {
                self.incoming.shrink();
                self.link.shrink();
                self.send_ping(true)
            }
            Silence::GiveUp => {
                self.over = true;
                self.link.cut();
                Err(Error::Silent)
            }
        }
    }

    fn send_ping(&mut self, must_answer: bool) -> Result<()> {
        let payload = self.pulse.next_payload();
        match self.link.ping(&payload) {
            // Our Close is out, and was not answered for as long as this.
            Err(Error::Closed) => return Err(Error::Silent),
            Ok(true) => self.pulse.asked(payload, must_answer),
            // Others are writing, and their write deadline watches the peer.
            Ok(false) => self.pulse.heard(),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// For the server, which says goodbye where the handler could not.
    pub(crate) fn farewell(&self) -> Arc<Farewell> {
        self.farewell.clone()
    }

    fn lost(&mut self, error: io::Error) -> Error {
        self.over = true;
        self.link.cut();
        Error::Lost(error)
    }
}

impl Drop for WebSocket {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.farewell.say(CloseCode::INTERNAL_ERROR);
        }
    }
}

impl std::fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WebSocket {} {}", self.link.id, self.request.path())
    }
}
