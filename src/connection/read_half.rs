//! The receiving side of a connection: what happens in `recv`.
//!
//! ```text
//! recv ─► next event? ── message ─► to the caller
//!           ▲   │ none     ping, pong, close ─► answered here
//!           │   ▼
//!           │  write what was fed, then wait: for bytes, or for a deadline
//!           └───┘
//! ```
//!
//! It belongs to one thread, and shares nothing with those that send but the [`link`](super::write_half).

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::keepalive::{Keepalive, Silence};
use super::limits::Limits;
use super::write_half::WriteHalf;
use crate::error::{Error, Result};
use crate::frames::close::Close;
use crate::frames::decoder::{Decoder, Event};
use crate::frames::message::{Message, MessageKind};
use crate::transport::deadline::Deadline;
use crate::transport::stream::is_timeout;

/// How long a look at the stream takes where nothing is there.
const SHORTEST_READ: Duration = Duration::from_millis(1);
/// So many reads take in all that the system can have kept for us.
const LATE_READS: u32 = 64;

/// Receives messages, and deals with what else comes.
pub(crate) struct ReadHalf {
    write_half: Arc<WriteHalf>,
    decoder: Decoder,
    keepalive: Keepalive,
    /// The read timeout that we have given the stream.
    timeout: Option<Duration>,
    /// What the peer closed with.
    closed_with: Option<Close>,
    /// Nothing more will come.
    over: bool,
    /// In this call the stream was looked at: once is owed to whoever has no patience.
    has_looked: bool,
    /// How often it was looked at since the peer should have answered our Close.
    late_reads: u32,
    /// A message is being read piece by piece, and its end has not come.
    in_pieces: bool,
    /// Whole messages that have come, and are not yet counted for the server.
    messages: u64,
}

impl ReadHalf {
    pub(crate) fn new(write_half: Arc<WriteHalf>, decoder: Decoder, limits: &Limits) -> ReadHalf {
        ReadHalf {
            write_half,
            decoder,
            keepalive: Keepalive::new(limits),
            timeout: None,
            closed_with: None,
            over: false,
            has_looked: false,
            late_reads: 0,
            in_pieces: false,
            messages: 0,
        }
    }

    /// The next message, or `None` if there will be no more.
    #[inline]
    pub(crate) fn message(&mut self, until: Option<Deadline>) -> Result<Option<Message>> {
        self.has_looked = false;
        self.skip_rest_of_stream(until)?;
        self.decoder.deliver_pieces(false);
        match self.next_event(until)? {
            Some(Event::Message(message)) => Ok(Some(message)),
            _ => Ok(None),
        }
    }

    /// The first piece of the next message, for one who reads it as a stream.
    pub(crate) fn first_piece(&mut self) -> Result<Option<(MessageKind, Vec<u8>)>> {
        self.skip_rest_of_stream(None)?;
        self.decoder.deliver_pieces(true);
        self.next_piece()
    }

    /// The next piece of it.
    pub(crate) fn next_piece(&mut self) -> Result<Option<(MessageKind, Vec<u8>)>> {
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

    /// Waits for the peer's Close, and drops what else comes.
    pub(crate) fn drain(&mut self, until: Deadline) -> Result<()> {
        self.has_looked = false;
        let mut drained = Ok(());
        while drained.is_ok() && !self.over {
            drained = self.next_event(Some(until)).map(|_| ());
        }
        self.over = true;
        drained
    }

    /// What the peer closed with.
    pub(crate) fn closed_with(&self) -> Option<&Close> {
        self.closed_with.as_ref()
    }

    /// How long the last answered ping took.
    pub(crate) fn latency(&self) -> Option<Duration> {
        self.keepalive.latency
    }

    // WALK: recv
    /// The next message or piece. What else comes is dealt with here.
    #[inline]
    fn next_event(&mut self, until: Option<Deadline>) -> Result<Option<Event>> {
        while !self.over {
            match self.decoder.next_event() {
                Ok(Some(event @ (Event::Message(_) | Event::Piece { .. }))) => {
                    self.messages += u64::from(!matches!(event, Event::Piece { last: false, .. }));
                    return Ok(Some(event));
                }
                Ok(Some(Event::Ping(payload))) => {
                    let ponged = self.write_half.pong(payload);
                    self.note_end(ponged)?;
                }
                Ok(Some(Event::Pong(payload))) => self.keepalive.answered(&payload),
                Ok(Some(Event::Close(close))) => self.closed(close),
                Ok(None) => {
                    let waited = self.wait(until);
                    self.note_end(waited)?;
                }
                Err(violation) => {
                    log::debug!("{} {violation}", self.write_half.id);
                    self.over = true;
                    let (code, reason) = (violation.close_code(), violation.reason().into());
                    self.write_half.fail(Close { code, reason });
                    return Err(violation.into());
                }
            }
        }
        Ok(None)
    }

    /// Nothing comes after an error, but where only the caller's patience has ended.
    fn note_end(&mut self, done: Result<()>) -> Result<()> {
        self.over |= !matches!(done, Ok(()) | Err(Error::TimedOut));
        done
    }

    /// The peer has closed: it gets its own code back (§5.5.1).
    fn closed(&mut self, close: Close) {
        log::debug!("{} the peer closes with {close}", self.write_half.id);
        self.over = true;
        // What waits in an outbox goes out first. If that, or the Close, can't be sent, the peer has
        // left already: it has said its last, and so it ends well.
        let within = Deadline::after(self.write_half.close_within);
        let _ = self.write_half.close_before(within, close.clone());
        self.write_half.both_have_closed();
        self.closed_with = Some(close);
    }

    /// Waits until bytes have come, and keeps the deadlines meanwhile. Whoever has no patience gets
    /// what is there all the same: one look at the stream is always taken.
    fn wait(&mut self, until: Option<Deadline>) -> Result<()> {
        self.write_half.flush_unless_busy()?;
        self.write_half.totals.received(std::mem::take(&mut self.messages), 0);
        loop {
            // 1. How long may it take? // WALK: patience
            // Never longer than the peer has for its Close: another thread may send ours meanwhile.
            let mut patience = self.keepalive.patience().min(self.write_half.close_within);
            if let Some(closing) = self.write_half.closing() {
                match closing.remaining() {
                    Ok(rest) => patience = patience.min(rest),
                    // What came in time is still there, however late we come for it.
                    Err(_) if self.late_reads < LATE_READS => {
                        self.late_reads += 1;
                        patience = SHORTEST_READ;
                    }
                    Err(_) => return self.give_up(),
                }
            }
            if let Some(until) = until {
                match until.remaining() {
                    Ok(rest) => patience = patience.min(rest),
                    Err(_) if !self.has_looked => patience = SHORTEST_READ,
                    Err(_) => return Err(Error::TimedOut),
                }
            }
            self.has_looked = true;
            // 2. Read. Setting a timeout is a system call: done only when it changes.
            if self.timeout != Some(patience) {
                self.write_half.stream.set_read_timeout(patience)?;
                self.timeout = Some(patience);
            }
            match self.write_half.stream.read(self.decoder.space()) {
                Ok(0) => return Err(self.lost(ErrorKind::UnexpectedEof.into())),
                Ok(count) => {
                    self.decoder.filled(count);
                    self.write_half.totals.received(0, count);
                    self.keepalive.heard();
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) => self.keep_alive(patience)?,
                Err(error) => return Err(self.lost(error)),
            }
        }
    }

    /// It was silent for a while: time to ask, or to give up?
    fn keep_alive(&mut self, waited: Duration) -> Result<()> {
        // Our Close is a question, too, and has a deadline of its own.
        if self.write_half.closing().is_some() {
            return Ok(());
        }
        match self.keepalive.check(waited) {
            Silence::Wait => Ok(()),
            Silence::Ask => {
                self.decoder.shrink();
                self.write_half.shrink()?;
                match self.send_ping(true) {
                    // Another thread has just closed: now it is the peer's Close that we wait for.
                    Err(Error::Closed) => Ok(()),
                    pinged => pinged,
                }
            }
            Silence::GiveUp => self.give_up(),
        }
    }

    /// Pings the peer, which may be required to show a sign of life.
    pub(crate) fn send_ping(&mut self, must_answer: bool) -> Result<()> {
        let payload = self.keepalive.next_payload();
        // The pong may be here before the write returns, so the clock starts first.
        let sent = Instant::now();
        match self.write_half.ping(&payload)? {
            true => self.keepalive.asked(payload, sent, must_answer),
            // Others are writing, and their write deadline watches the peer.
            false => self.keepalive.heard(),
        }
        Ok(())
    }

    fn give_up(&self) -> Result<()> {
        self.write_half.abort();
        Err(Error::PeerTimeout)
    }

    fn lost(&self, error: io::Error) -> Error {
        self.write_half.abort();
        Error::ConnectionLost(error)
    }
}

impl Drop for ReadHalf {
    fn drop(&mut self) {
        self.write_half.totals.received(self.messages, 0);
    }
}
