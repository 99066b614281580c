//! The receiving side of a connection: what happens in `recv`.
//!
//! ```text
//! recv ─► next event? ── message ─► to the caller
//!           ▲   │ none     ping, pong, close ─► handled here
//!           │   ▼
//!           │  write the frames that `feed` has collected, then wait: for bytes, or for a deadline
//!           └───┘
//! ```
//!
//! The read half belongs to one thread, the reading thread. Other threads never use it: they send
//! through the [`write_half`](super::write_half), which all threads share.
//!
//! The reading thread answers a ping with a pong (RFC 6455 §5.5.2), a Close with a Close (§5.5.1),
//! and a violation with a Close that names the broken rule (§7.1.7). A pong needs no answer: it
//! tells the keepalive that the peer is alive.

use std::io::{self, ErrorKind};
use std::mem::take;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::closing_state::{OurSide, StallDetector, WriteFailure};
use super::keepalive::{Keepalive, SilenceAction};
use super::write_half::WriteHalf;
use crate::error::{Error, Result};
use crate::frames::close::Close;
use crate::frames::decoder::{Decoder, Event};
use crate::frames::message::{Message, MessageKind};
use crate::transport::deadline::Deadline;
use crate::transport::renewable_deadline::RenewableDeadline;
use crate::transport::stream::{is_part_of_record, is_timeout};

/// The shortest read timeout, for fetching only bytes that have already arrived. It can't be zero,
/// because sockets reject a zero timeout.
const SHORTEST_READ: Duration = Duration::from_millis(1);
/// A bound on the interval at which the reading thread checks on our Close:
/// - The lower bound before our Close is requested. Every `Limits::close`, the thread checks
///   whether another thread has requested our Close. A shorter `Limits::close` than this mustn't
///   keep waking the threads of idle connections.
/// - The upper bound while our Close waits for other threads' messages. The thread checks whether
///   those messages make progress.
const CLOSE_CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// The maximum number of reads after the deadline for the peer's Close, until it's renewed. Bytes
/// that arrived in time may still lie unread in the socket's receive buffer. This many reads empty
/// even the largest such buffer.
const LATE_READS: u8 = 64;

/// The receiving side of a connection: it receives messages, answers control frames, and enforces
/// the read deadlines.
pub(crate) struct ReadHalf {
    write_half: Arc<WriteHalf>,
    decoder: Decoder,
    keepalive: Keepalive,
    /// The read timeout that was last set on the stream, or `None` if none has been set yet.
    /// Setting a timeout is a system call, so the reading thread sets only a timeout that differs
    /// from this one.
    timeout: Option<Duration>,
    /// The peer's Close. `None` until that Close has arrived. (It's boxed to keep open connections
    /// small.)
    closed_with: Option<Box<Close>>,
    /// Whether reading has ended, because the peer's Close has arrived or reading has failed with
    /// an error other than `TimedOut`. `recv` then returns no more messages.
    over: bool,
    /// Whether the current call to `recv` has read from the stream. Even a call with a timeout of
    /// zero must read once, to receive the bytes that have already arrived.
    has_read: bool,
    /// The deadline for the peer's Close and last bytes. `None` until our Close is written or a
    /// write has failed. (It's boxed to keep open connections small.)
    linger: Option<Box<RenewableDeadline>>,
    /// The number of reads made after the deadline for the peer's last bytes, to fetch bytes that
    /// arrived in time. Once this is [`LATE_READS`], no others follow: so many were made, or one
    /// found nothing.
    late_reads: u8,
    /// Whether the current read is the last one before the reading thread gives up on a silent
    /// peer, because a signal has interrupted the read before it.
    is_last_read: bool,
    /// Detects that the messages that must go out before our Close have stalled. `None` until our
    /// Close has to wait for such messages. (It's boxed, because few connections ever need it.)
    stall: Option<Box<StallDetector>>,
    /// The error of the reading thread's first failed write. If reading then fails, too, `recv`
    /// returns this error instead of the read's error. `None` if no write has failed. (It's boxed,
    /// because few connections ever need it.)
    failed_write: Option<Box<Error>>,
    /// Whether the application is reading a message piece by piece and hasn't received the
    /// message's last piece yet.
    in_pieces: bool,
    /// The number of complete messages received since the connection's counters were last updated.
    messages: u32,
    /// The number of bytes received since the connection's counters were last updated.
    bytes: usize,
}

impl ReadHalf {
    pub(crate) fn new(write_half: Arc<WriteHalf>, decoder: Decoder) -> ReadHalf {
        ReadHalf {
            keepalive: Keepalive::new(write_half.limits.clone()),
            write_half,
            decoder,
            timeout: None,
            closed_with: None,
            over: false,
            has_read: false,
            linger: None,
            late_reads: 0,
            is_last_read: false,
            stall: None,
            failed_write: None,
            in_pieces: false,
            messages: 0,
            bytes: 0,
        }
    }

    /// Waits for the next message. Returns `None` once reading has ended, and fails with `TimedOut`
    /// if the deadline `until` passes first.
    #[inline]
    pub(crate) fn next_message(&mut self, until: Option<Deadline>) -> Result<Option<Message>> {
        self.has_read = false;
        self.skip_rest_of_message(until)?;
        self.decoder.deliver_pieces(false);
        match self.next_event(until)? {
            Some(Event::Message(message)) => {
                self.count_if_all_parsed();
                Ok(Some(message))
            }
            _ => Ok(None),
        }
    }

    /// Waits for the first piece of the next message, for an application that reads the message
    /// piece by piece. Returns `(kind, bytes)`, or `None` once reading has ended.
    pub(crate) fn first_piece(&mut self) -> Result<Option<(MessageKind, Vec<u8>)>> {
        self.skip_rest_of_message(None)?;
        self.decoder.deliver_pieces(true);
        self.next_piece()
    }

    /// Waits for the next piece of the message that the application is reading piece by piece.
    /// Returns `(kind, bytes)`, or `None` once reading has ended.
    pub(crate) fn next_piece(&mut self) -> Result<Option<(MessageKind, Vec<u8>)>> {
        let Some(Event::Piece { kind, bytes, last }) = self.next_event(None)? else {
            return Ok(None);
        };
        self.in_pieces = !last;
        self.count_if_all_parsed();
        Ok(Some((kind, bytes)))
    }

    /// Returns whether more pieces follow in the message that the application is reading.
    pub(crate) fn has_more_pieces(&self) -> bool {
        self.in_pieces
    }

    /// Skips the rest of a message whose `MessageReader` was dropped early. Otherwise the
    /// application would receive that rest in place of the next message.
    fn skip_rest_of_message(&mut self, until: Option<Deadline>) -> Result<()> {
        while self.in_pieces {
            let event = self.next_event(until)?;
            self.in_pieces = matches!(event, Some(Event::Piece { last: false, .. }));
        }
        Ok(())
    }

    /// Waits for the peer's Close, and drops the messages that arrive before it. `requested` is the
    /// result of requesting our own Close. Even if that request failed, this reads on, because the
    /// peer's Close may already have arrived. Returns `Ok` at once if reading has already ended.
    /// Fails:
    /// - with `BytesLost` or `PeerTimeout` if the peer doesn't answer in time (see
    ///   `unanswered_close_error`);
    /// - with `WriteTimeout` if the peer took our bytes too slowly;
    /// - otherwise with the error that ended reading.
    pub(crate) fn wait_for_peer_close(&mut self, requested: Result<()>) -> Result<()> {
        self.remember_failure(requested);
        let mut drained = Ok(());
        while drained.is_ok() && !self.over {
            drained = self.next_event(None).map(|_| ());
        }
        self.over = true;
        match drained {
            Err(Error::PeerTimeout) => Err(self.write_half.unanswered_close_error()),
            drained => drained,
        }
    }

    /// Returns the peer's Close once it has arrived, and `None` before that.
    pub(crate) fn closed_with(&self) -> Option<&Close> {
        self.closed_with.as_deref()
    }

    /// Returns the round-trip time of the last ping that the peer answered. `None` before the first
    /// pong.
    pub(crate) fn latency(&self) -> Option<Duration> {
        self.keepalive.latency
    }

    // WALK: recv
    /// Waits for the next message or the next piece of a message, and answers the control frames
    /// that arrive before it. Returns `None` once reading has ended. Fails with `TimedOut` if the
    /// deadline `until` passes first. Any other error ends reading, so later calls return `None`.
    #[inline]
    fn next_event(&mut self, until: Option<Deadline>) -> Result<Option<Event>> {
        while !self.over {
            match self.decoder.next_event() {
                Ok(Some(event @ (Event::Message(_) | Event::Piece { .. }))) => {
                    self.messages += u32::from(!matches!(event, Event::Piece { last: false, .. }));
                    return Ok(Some(event));
                }
                Ok(Some(Event::Ping(payload))) => {
                    let ponged = self.write_half.answer_ping(payload);
                    self.remember_failure(ponged);
                }
                Ok(Some(Event::Pong(payload))) => self.keepalive.note_pong(&payload),
                Ok(Some(Event::Close(close))) => self.answer_peer_close(close, until),
                Ok(None) => {
                    let waited = self.flush_and_wait(until);
                    self.end_reading_on_error(waited)?;
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

    /// Ends reading if a wait for bytes has failed with any error but `TimedOut`, which only means
    /// that the application's own timeout has passed. Returns the result of the wait unchanged.
    fn end_reading_on_error(&mut self, done: Result<()>) -> Result<()> {
        self.over |= !matches!(done, Ok(()) | Err(Error::TimedOut));
        done
    }

    /// Remembers the error of the first failed write. Reading continues, because the peer's last
    /// messages and its Close may already have arrived. If reading then fails, too, `recv` returns
    /// the remembered error.
    fn remember_failure(&mut self, written: Result<()>) {
        if let Err(error) = written {
            self.failed_write.get_or_insert(Box::new(error));
        }
    }

    /// §5.5.1: answers the peer's Close with a Close of the same code and reason, and ends reading.
    /// A client then waits up to a second for the server to end the stream, but not beyond the
    /// deadline `until`.
    fn answer_peer_close(&mut self, close: Close, until: Option<Deadline>) {
        log::debug!("{} the peer closes with {close}", self.write_half.id);
        self.over = true;
        self.write_half.answer_close(close.clone());
        self.write_half.end_after_server(until);
        self.closed_with = Some(Box::new(close));
    }

    /// Writes the encoder's batch, or leaves that to the thread that holds the write lock. Then
    /// waits for the peer's bytes, even if the write failed. Fails if no bytes arrive by the
    /// deadline `until`, if the connection is lost, or if the peer misses the keepalive's deadline
    /// or the deadline for its Close.
    fn flush_and_wait(&mut self, until: Option<Deadline>) -> Result<()> {
        let flushed = self.write_half.flush_unless_busy();
        self.remember_failure(flushed);
        self.count_received();
        self.write_half.set_waits_in_recv(true);
        let waited = self.wait_for_bytes(until);
        self.write_half.set_waits_in_recv(false);
        waited
    }

    /// Updates the connection's counters if all received bytes are parsed. That way, messages that
    /// arrived together are counted together, with the last of them. (Counting in the next `recv`
    /// would be too late, because the handler may first work on that message for a long time.)
    #[inline]
    fn count_if_all_parsed(&mut self) {
        if self.decoder.has_parsed_all() {
            self.count_received();
        }
    }

    /// Adds to the connection's counters the messages and bytes that were received since the last
    /// call. (This is a separate function, so that its stack frame takes no memory while a thread
    /// waits in `recv`.)
    #[inline(never)]
    fn count_received(&mut self) {
        let (messages, bytes) = (take(&mut self.messages), take(&mut self.bytes));
        if messages > 0 || bytes > 0 {
            self.write_half.traffic.count_received(messages.into(), bytes);
        }
    }

    fn wait_for_bytes(&mut self, until: Option<Deadline>) -> Result<()> {
        loop {
            // Setting a timeout is a system call, so the reading thread sets it only when it
            // changes.
            let timeout = self.next_read_timeout(until)?;
            if self.timeout != Some(timeout) {
                let set = self.write_half.stream.set_read_timeout(timeout);
                set.map_err(|error| self.abort_lost_connection(error))?;
                self.timeout = Some(timeout);
            }
            match self.write_half.stream.read(self.decoder.space()) {
                Ok(0) => return Err(self.abort_lost_connection(ErrorKind::UnexpectedEof.into())),
                Ok(count) => {
                    self.decoder.filled(count);
                    self.bytes += count;
                    self.note_sign_of_life();
                    return Ok(());
                }
                Err(error) if is_part_of_record(&error) => self.note_sign_of_life(),
                Err(error) => {
                    // A read that a signal has interrupted may have waited for any time.
                    let is_interrupted = error.kind() == ErrorKind::Interrupted;
                    if !is_interrupted && !is_timeout(&error) {
                        return Err(self.abort_lost_connection(error));
                    }
                    self.keep_alive(if is_interrupted { Duration::ZERO } else { timeout })?;
                }
            }
        }
    }

    fn note_sign_of_life(&mut self) {
        self.is_last_read = false;
        self.keepalive.note_sign_of_life();
        if let Some(linger) = &mut self.linger {
            linger.note_peer_is_alive();
        }
    }

    // WALK: read-timeout
    /// Returns the timeout for the next read: the time until the next check of the keepalive, the
    /// next check of the closing handshake or the deadline `until`, whichever comes first. If
    /// `until` has already passed, fails with `TimedOut`, with one exception: the first read of a
    /// call to `recv` still gets [`SHORTEST_READ`], so that `recv` receives the bytes that have
    /// already arrived.
    fn next_read_timeout(&mut self, until: Option<Deadline>) -> Result<Duration> {
        let mut timeout = match self.write_half.closing.our_side() {
            OurSide::Open => self.read_timeout_without_deadline(),
            // The Close of a stopping server sets no deadline for the peer's Close.
            OurSide::Sent(answer_by) if answer_by.never_passes() => {
                self.read_timeout_without_deadline()
            }
            // Other threads are still sending messages that go out before our Close. The reading
            // thread checks now and then whether these messages make progress.
            OurSide::Requested(_) | OurSide::Due(_) => {
                self.close_now_if_stalled();
                self.keepalive
                    .until_next_check()
                    .min(CLOSE_CHECK_INTERVAL)
                    .min(self.write_half.limits.write)
            }
            OurSide::Sent(answer_by) | OurSide::Broken(_, answer_by) => {
                self.read_timeout_while_closing(answer_by)?
            }
            OurSide::Over => {
                return Err(self.abort_lost_connection(ErrorKind::UnexpectedEof.into()));
            }
        };
        if let Some(until) = until {
            match until.remaining() {
                Ok(rest) => timeout = timeout.min(rest),
                Err(_) if !self.has_read => timeout = SHORTEST_READ,
                Err(_) => return Err(Error::TimedOut),
            }
        }
        self.has_read = true;
        Ok(timeout.max(SHORTEST_READ))
    }

    /// Returns the timeout for the next read as long as the peer has no deadline for its Close,
    /// because ours isn't sent. The timeout is the time until the next check of the keepalive.
    ///
    /// If another thread can send our Close during the read, `Limits::close` (but at least a
    /// second) limits the timeout. That Close starts the peer's deadline, and this thread must
    /// return from the read in time to enforce it.
    fn read_timeout_without_deadline(&self) -> Duration {
        let until_next_check = self.keepalive.until_next_check();
        match self.write_half.others_may_close() {
            true => until_next_check.min(self.write_half.limits.close.max(CLOSE_CHECK_INTERVAL)),
            false => until_next_check,
        }
    }

    fn close_now_if_stalled(&mut self) {
        let write_half = &self.write_half;
        let stall =
            self.stall.get_or_insert_with(|| Box::new(StallDetector::new(write_half.limits.write)));
        if write_half.has_stalled(stall) {
            write_half.make_close_due_now();
        }
    }

    /// Returns the timeout for the next read, once our Close is sent or a write has failed. The
    /// peer's last bytes must arrive by `answer_by`, a deadline that is renewed while the peer is
    /// still reading our bytes. After the final deadline, at most [`LATE_READS`] short reads fetch
    /// the bytes that arrived in time. Then this function aborts the connection, and fails with the
    /// error of this thread's first failed write, or with `PeerTimeout` if none has failed.
    fn read_timeout_while_closing(&mut self, answer_by: Deadline) -> Result<Duration> {
        let linger = self
            .linger
            .get_or_insert_with(|| Box::new(self.write_half.renewable_deadline(answer_by)));
        match linger.renew_or_expire(&*self.write_half.stream) {
            false => {
                self.late_reads = 0;
                Ok(linger.deadline().remaining().unwrap_or(SHORTEST_READ))
            }
            // The application may call `recv` only after the deadline. The bytes that arrived in
            // time are in the receive buffer, so this thread reads them first.
            true if self.late_reads < LATE_READS => {
                self.late_reads += 1;
                Ok(SHORTEST_READ)
            }
            true => Err(self.abort_silent_peer()),
        }
    }

    /// Sends a ping, gives up on the peer, or lets the reading thread continue to wait, as the
    /// keepalive decides. Called when a read has timed out or a signal has interrupted it. Before a
    /// ping, this also frees the memory that an idle connection doesn't need. A late read that has
    /// timed out is the last one. `waited` is the read's timeout, or zero if the read was
    /// interrupted.
    fn keep_alive(&mut self, waited: Duration) -> Result<()> {
        // A late read that times out has found the receive buffer empty, so no others follow.
        if self.late_reads > 0 && !waited.is_zero() {
            self.late_reads = LATE_READS;
        }
        match self.write_half.closing.our_side() {
            // A peer that must answer our Close by a deadline needs no ping.
            OurSide::Sent(answer_by) if !answer_by.never_passes() => return Ok(()),
            OurSide::Broken(..) => return Ok(()),
            _ => {}
        }
        match self.keepalive.check(waited) {
            SilenceAction::Wait => Ok(()),
            SilenceAction::SendPing => {
                self.decoder.free_idle_memory();
                let shrunk = self.write_half.free_idle_memory();
                self.remember_failure(shrunk);
                match self.send_ping(true) {
                    // `Closed` means that our Close is sent, or that another thread has just ended
                    // the connection. No ping may follow, but the peer must answer a Close.
                    Err(Error::Closed) => self.keepalive.note_close_sent(),
                    sent => self.remember_failure(sent),
                }
                Ok(())
            }
            // A signal has interrupted the read. If it had stopped the process (SIGSTOP), the peer's
            // answer may have arrived meanwhile, so one more read comes first.
            SilenceAction::GiveUp if waited.is_zero() && !self.is_last_read => {
                self.is_last_read = true;
                Ok(())
            }
            SilenceAction::GiveUp => {
                self.is_last_read = false;
                self.give_up_unless_reading()
            }
        }
    }

    /// Aborts the connection to a silent peer, unless the peer may still be reading a long message
    /// that we sent before the ping. (This is a separate function, so that its stack frame takes no
    /// memory while a thread waits.)
    #[inline(never)]
    fn give_up_unless_reading(&mut self) -> Result<()> {
        let unacknowledged = self.write_half.stream.unacknowledged();
        let written = self.write_half.traffic.bytes_sent();
        match self.keepalive.renew_if_reading(written, unacknowledged) {
            true => Ok(()),
            false => Err(self.abort_silent_peer()),
        }
    }

    /// Sends a ping. With `must_answer`, the peer must then send at least one byte within
    /// `Limits::pong`. If another thread is writing, no ping is sent, and that thread's write
    /// counts as a sign of life.
    pub(crate) fn send_ping(&mut self, must_answer: bool) -> Result<()> {
        let payload = self.keepalive.next_payload();
        // The pong may arrive before the write returns, so the clock starts before the write.
        let sent = Instant::now();
        match self.write_half.ping_unless_busy(&payload)? {
            true => self.keepalive.note_ping(payload, sent, must_answer),
            // Another thread is writing, and its minimum write rate shows whether the peer is
            // alive.
            false => self.keepalive.note_sign_of_life(),
        }
        Ok(())
    }

    fn abort_silent_peer(&mut self) -> Error {
        self.write_half.abort();
        self.failed_write.take().map_or(Error::PeerTimeout, |error| *error)
    }

    /// Aborts the connection after a read has failed with `error`, or has found the end of the
    /// stream. Returns `WriteTimeout` if the peer was too slow for a write, such as an outbox's.
    /// Otherwise returns the error of this thread's first failed write, or `ConnectionLost` with
    /// `error` if there was none.
    #[cold]
    fn abort_lost_connection(&mut self, error: io::Error) -> Error {
        let ours = self.write_half.closing.our_side();
        self.write_half.abort();
        match self.failed_write.take() {
            _ if matches!(ours, OurSide::Broken(WriteFailure::TooSlow, _)) => Error::WriteTimeout,
            Some(failed) => *failed,
            None => Error::ConnectionLost(error),
        }
    }
}

impl Drop for ReadHalf {
    fn drop(&mut self) {
        self.count_received();
    }
}
