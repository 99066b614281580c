//! The sending side of a connection, shared by its threads: the stream, and one lock around the
//! encoder.
//!
//! Rules of this file:
//! - A thread keeps the lock until its frame is complete, so frames of different threads never mix.
//!   The frames collect in the encoder's batch. A thread that *sends* writes the whole batch before
//!   it unlocks. A thread that *feeds* leaves its frames in the batch, and writes them before it
//!   waits for anything.
//! - In `recv`, the reading thread never waits for the lock. Another thread may hold the lock
//!   during a write that can't finish before the peer reads. If the peer in turn waits for us to
//!   read, waiting for the lock would cause a deadlock. Instead, the reading thread puts its pong
//!   or Close into a [`PendingControl`], and the thread that holds the lock sends it next. Until
//!   then, the frame is *pending*.
//! - No pending frame is forgotten (that would be a lost wakeup): the reading thread tries the lock
//!   after it has filled the `PendingControl`, and each thread checks the `PendingControl` again
//!   after it has unlocked.
//! - A thread that closes the connection requests our Close from the state machine in
//!   [`closing_state`](super::closing_state). The Close is *due* once it no longer has to wait for
//!   the handler or for other messages. From then on, it's pending, like a pong.

use std::io::{ErrorKind, IoSlice};
use std::net::Shutdown;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::time::Duration;

use super::closing_state::{
    CloseRequest, ClosingEvent, ClosingState, OurSide, PeerSide, StallDetector, Urgency,
    WriteFailure,
};
use super::message_lock::MessageLock;
use super::outbox::queue::OutboxQueues;
use super::pending_control::{PendingControl, PendingControlFrames};
use crate::counters::ConnectionCounts;
use crate::diagnostic::misuse::Misuse;
use crate::error::{Error, Result};
use crate::frames::batch::{Batch, MAX_SLICES};
use crate::frames::close::Close;
use crate::frames::encoder::Encoder;
use crate::frames::header::Role;
use crate::frames::message::Message;
use crate::limits::Limits;
use crate::transport::deadline::Deadline;
use crate::transport::lingering_close::{await_peer_eof, lingering_close};
use crate::transport::lock::lock;
use crate::transport::min_write_rate::{per_call_timeout, write_error, write_with_min_rate};
use crate::transport::renewable_deadline::RenewableDeadline;
use crate::transport::stream::{Stream, is_timeout};

/// The size, in bytes, of the smallest borrowed payload that `feed` writes immediately, without
/// copying it. A smaller payload is copied into the encoder's batch, because the copy costs less
/// than an extra write.
const WORTH_A_WRITE: usize = 96 * 1024;
/// The maximum time that a draining or stopping server waits for one peer to take the server's
/// Close. With thousands of peers that don't read, a longer wait would use up the grace period.
pub(crate) const BULK_CLOSE_TIMEOUT: Duration = Duration::from_millis(10);
/// How long we still read the peer's bytes after both ends have sent their Close. A peer may
/// wrongly send bytes after its Close. If we left them unread, our operating system would send a
/// reset, which could destroy our own Close. (We read longer while the peer's TCP stack is still
/// acknowledging our bytes.)
const STRAY_BYTES_TIMEOUT: Duration = Duration::from_millis(10);
/// How often a waiting thread checks whether the connection has stalled. The thread waits until our
/// Close is sent, or until another thread's `MessageWriter` has ended its message.
const PROGRESS_CHECK_INTERVAL: Duration = Duration::from_millis(200);

/// The sending side of one connection. All the connection's threads share it.
pub(crate) struct WriteHalf {
    pub(crate) id: u64,
    pub(crate) stream: Arc<dyn Stream>,
    role: Role,
    pub(crate) traffic: ConnectionCounts,
    encoder: Mutex<Encoder>,
    pending: PendingControl,
    pub(crate) message_lock: MessageLock,
    pub(crate) closing: ClosingState,
    /// Whether the reading thread waits in `recv` for the peer's bytes. If it does, the handler
    /// isn't preparing a reply, so a stopping server needn't wait for one.
    waits_in_recv: AtomicBool,
    /// Whether a `Sender` or an `Outbox` has been created. With either, another thread can send our
    /// Close while the reading thread waits, so the reading thread must wake up now and then to
    /// check.
    others_may_close: AtomicBool,
    /// Whether this client has already waited for the server to end the stream. It waits only once.
    has_awaited_eof: AtomicBool,
    /// The limits of this connection. All connections of a server share the same limits.
    pub(crate) limits: Arc<Limits>,
    pub(crate) outboxes: OutboxQueues,
}

impl WriteHalf {
    /// Creates the write half of a connection over this stream. The caller must first set the
    /// stream's write timeout to `per_call_timeout(limits.write)`, which bounds each call to
    /// `Stream::write`.
    pub(crate) fn new(
        id: u64,
        stream: Arc<dyn Stream>,
        encoder: Encoder,
        limits: &Arc<Limits>,
        traffic: ConnectionCounts,
    ) -> Arc<WriteHalf> {
        Arc::new(WriteHalf {
            id,
            stream,
            role: encoder.role(),
            traffic,
            encoder: Mutex::new(encoder),
            pending: PendingControl::default(),
            message_lock: MessageLock::default(),
            closing: ClosingState::default(),
            waits_in_recv: AtomicBool::new(false),
            others_may_close: AtomicBool::new(false),
            has_awaited_eof: AtomicBool::new(false),
            limits: limits.clone(),
            outboxes: OutboxQueues::default(),
        })
    }

    // WALK: send
    /// Encodes a message with `encode`, and writes it together with the frames that wait in the
    /// encoder's batch. If `encode` returns bytes, such as a large payload, they are written
    /// directly after the batch, without being copied into it.
    pub(crate) fn send<'a>(
        &self,
        encode: impl FnOnce(&mut Encoder) -> std::result::Result<&'a [u8], Misuse>,
    ) -> Result<()> {
        let mut encoder = self.lock_for_new_message()?;
        let encoded = encode(&mut encoder);
        // This writes even if `encode` refused, because the batch may hold frames that other
        // threads have fed.
        let written = self.write(&mut encoder, encoded.as_deref().unwrap_or_default());
        drop(encoder);
        self.flush_pending_control()?;
        encoded?;
        written
    }

    /// Encodes a message into the encoder's batch with `encode`. Writes the batch only if it's
    /// full, or if `encode` returns at least [`WORTH_A_WRITE`] bytes instead of copying them. The
    /// caller must call `flush` before it waits for anything, because otherwise the peer might wait
    /// for the batch forever.
    #[inline]
    pub(crate) fn feed<'a>(
        &self,
        encode: impl FnOnce(&mut Encoder) -> std::result::Result<&'a [u8], Misuse>,
    ) -> Result<()> {
        let encoder = self.lock_for_new_message()?;
        self.feed_locked(encoder, encode)
    }

    /// Like `feed`, but takes ownership of the message, so that the encoder needn't copy a large
    /// payload.
    #[cold]
    pub(crate) fn feed_owned(&self, message: Message) -> Result<()> {
        self.feed(|encoder| encoder.owned_message(message))
    }

    /// Like `feed`, but for an outbox's thread: a queued message goes out even after our Close has
    /// been requested. While a `MessageWriter` is in the middle of a message, this waits, without a
    /// time limit.
    pub(crate) fn feed_queued<'a>(
        &self,
        encode: impl FnOnce(&mut Encoder) -> std::result::Result<&'a [u8], Misuse>,
    ) -> Result<()> {
        // This thread delays no other thread, so it waits for the message that a `MessageWriter`
        // has begun, however long that message takes.
        let encoder = loop {
            match self.lock_between_messages(false) {
                Err(Error::WriteTimeout) => {}
                locked => break locked?,
            }
        };
        self.feed_locked(encoder, encode)
    }

    fn feed_locked<'a>(
        &self,
        mut encoder: MutexGuard<'_, Encoder>,
        encode: impl FnOnce(&mut Encoder) -> std::result::Result<&'a [u8], Misuse>,
    ) -> Result<()> {
        let encoded = encode(&mut encoder);
        let mut after_batch = encoded.as_deref().unwrap_or_default();
        if !after_batch.is_empty() && after_batch.len() < WORTH_A_WRITE {
            encoder.append(std::mem::take(&mut after_batch));
        }
        if !after_batch.is_empty() || encoder.batch().is_full() {
            self.write(&mut encoder, after_batch)?;
        }
        drop(encoder);
        self.flush_pending_control()?;
        encoded?;
        Ok(())
    }

    /// Writes the frames that `feed` has left in the encoder's batch, then the pending pong and
    /// Close, if any. Waits for the write lock. Fails with `Closed` if the connection has ended
    /// without our Close, because the batch is then lost.
    pub(crate) fn flush(&self) -> Result<()> {
        let mut encoder = self.lock();
        self.write(&mut encoder, &[])?;
        drop(encoder);
        self.flush_pending_control()?;
        self.fail_if_ended_without_our_close()
    }

    /// Fails with `Closed` if the connection has ended without our Close: a write has failed, a
    /// deadline has passed, or the application has aborted the connection.
    #[inline]
    pub(crate) fn fail_if_ended_without_our_close(&self) -> Result<()> {
        if self.closing.refuses_messages()
            && matches!(self.closing.our_side(), OurSide::Broken(..) | OurSide::Over)
            && self.closing.sent_close().is_none()
        {
            return Err(Error::Closed);
        }
        Ok(())
    }

    // WALK: pong
    /// Answers a ping without waiting for the write lock: encodes the pong into the encoder's batch
    /// if the lock is free, and otherwise leaves the pong to the thread that holds the lock. The
    /// reading thread writes the batch before it next waits.
    pub(crate) fn answer_ping(&self, payload: Vec<u8>) -> Result<()> {
        if let Some(mut encoder) = self.try_lock() {
            // After our Close, the encoder refuses the pong. That's no error, because the peer no
            // longer needs a pong.
            if encoder.pong(&payload).is_ok() && encoder.batch().is_full() {
                self.write(&mut encoder, &[])?;
            }
            drop(encoder);
            return self.flush_pending_control();
        }
        self.pending.set_pong(payload);
        self.flush_pending_control()
    }

    /// Requests our Close, and sends it at once if it doesn't have to wait for other messages and
    /// the write lock is free. Otherwise, the thread that holds the lock or a later call to
    /// `advance_close` sends it. If an earlier Close still waits and is less urgent, this request
    /// replaces it.
    pub(crate) fn request_close(&self, request: CloseRequest) -> Result<()> {
        self.handle_event(ClosingEvent::CloseRequested(request));
        self.advance_close()
    }

    /// Answers the peer's Close with ours, without waiting for the write lock. A server then shuts
    /// down its side of the stream: in this call if our Close is already written, and otherwise in
    /// the thread that writes it.
    pub(crate) fn answer_close(&self, close: Close) {
        self.closing.set_peer_side(PeerSide::Closed);
        self.shut_down_if_our_turn();
        // The peer has closed, so the connection ends cleanly even if our Close can't be sent.
        let _ = self.request_close(CloseRequest::when_drained(close, self.limits.close));
    }

    /// Lets the server end the stream first (§7.1.1). A client that has sent its Close waits for
    /// the end of the server's stream, for at most a second and never beyond the deadline `until`.
    /// Then the client shuts down its own side, even if the application hasn't dropped its
    /// `WebSocket` yet: otherwise, the server would go on waiting. On a server, this does nothing.
    pub(crate) fn end_after_server(&self, until: Option<Deadline>) {
        if self.role == Role::Client && matches!(self.closing.our_side(), OurSide::Sent(_)) {
            let until = until.unwrap_or_else(|| Deadline::after(self.limits.close));
            await_peer_eof(until, &*self.stream);
            self.has_awaited_eof.store(true, SeqCst);
            let _ = self.stream.shutdown(Shutdown::Write);
        }
    }

    /// Fails the connection because the peer has broken a rule: requests this Close, which waits
    /// neither for queued messages nor for a `MessageWriter`. The thread that writes this Close
    /// then shuts down our side of the stream.
    pub(crate) fn fail(&self, close: Close) {
        self.closing.set_peer_side(PeerSide::BrokeRule);
        self.shut_down_if_our_turn();
        let _ = self.request_close(CloseRequest::immediate(close, self.limits.close));
    }

    /// Requests our Close. Writes it now if it doesn't have to wait for the handler or for other
    /// messages. If the peer reads too slowly, the write gives up after about 10 ms, and the
    /// remaining bytes stay in the encoder's batch, for the next thread that writes. Called when a
    /// server drains or stops, because slow peers mustn't hold up thousands of connections.
    pub(crate) fn request_close_briefly(&self, request: CloseRequest) {
        self.handle_event(ClosingEvent::CloseRequested(request));
        self.make_close_pending_if_due();
        if !matches!(self.closing.our_side(), OurSide::Due(_)) {
            return;
        }
        // If another thread holds the write lock, that thread sends the Close.
        let Some(mut encoder) = self.try_lock() else { return };
        let _ = self.stream.set_write_timeout(BULK_CLOSE_TIMEOUT);
        let is_out =
            self.encode_pending_control(&mut encoder).is_ok() && self.write_some(&mut encoder);
        let _ = self.stream.set_write_timeout(per_call_timeout(self.limits.write));
        drop(encoder);
        if is_out {
            let _ = self.flush_pending_control();
        }
    }

    /// Passes an event to the closing state machine. If our Close is now due, makes it pending, so
    /// that the next thread that holds the write lock sends it. If new messages are now refused,
    /// closes the outboxes' queues.
    fn handle_event(&self, event: ClosingEvent) {
        if self.closing.handle_event(event) {
            self.pending.set_close();
        }
        if self.closing.refuses_messages() {
            self.outboxes.close();
        }
    }

    // WALK: advance_close
    /// Sends our Close if it has been requested and nothing is left to send before it.
    ///
    /// A thread must call this after it has requested the Close, and after it has finished anything
    /// that must be sent first: an outbox's messages, a `MessageWriter`'s message, or the handler's
    /// reply. That way, the last of these threads sends the Close.
    pub(crate) fn advance_close(&self) -> Result<()> {
        if self.closing.is_close_requested() {
            self.make_close_pending_if_due();
        }
        self.flush_pending_control()
    }

    /// Makes our Close pending if it no longer has to wait for the handler, for the outboxes'
    /// queues, or for a `MessageWriter`'s message. (This is a separate function, so that its stack
    /// frame takes no memory while a thread waits.)
    #[inline(never)]
    fn make_close_pending_if_due(&self) {
        if self.waits_in_recv.load(SeqCst) {
            self.handle_event(ClosingEvent::HandlerIsIdle);
        }
        if !self.closing.refuses_messages() {
            return;
        }
        // The thread that requested the Close might not have closed the queues yet. Once a queue is
        // closed and all its messages are sent, that can't change any more, so the result of the
        // check below stays true.
        self.outboxes.close();
        // A peer that has closed no longer needs the rest of a message.
        let waits_for_message =
            self.message_lock.is_held() && self.closing.peer_side() == PeerSide::Open;
        if !waits_for_message && self.outboxes.are_all_sent() {
            self.handle_event(ClosingEvent::Drained);
        }
    }

    /// Records that a `Sender` or an `Outbox` has been created, so that the reading thread wakes up
    /// now and then to check for our Close.
    pub(crate) fn note_others_may_close(&self) {
        self.others_may_close.store(true, SeqCst);
    }

    /// Returns whether another thread may send our Close while the reading thread waits in `recv`.
    pub(crate) fn others_may_close(&self) -> bool {
        self.others_may_close.load(SeqCst)
    }

    /// Records whether the reading thread waits in `recv` for the peer's bytes. When such a wait
    /// begins, this also sends our Close if the Close was waiting only for the handler.
    #[inline]
    pub(crate) fn set_waits_in_recv(&self, waits: bool) {
        self.waits_in_recv.store(waits, SeqCst);
        if waits {
            // A failed write sets a deadline for the reads that follow, so its error needs no
            // handling here.
            let _ = self.advance_close();
        }
    }

    /// Sends a ping and returns `true`. Returns `false` without a ping while another thread is
    /// writing, because that thread's write already shows whether the peer is alive. Fails with
    /// `Closed` if the connection has ended or our Close is sent. All our pings go out here.
    pub(crate) fn ping_unless_busy(&self, payload: &[u8]) -> Result<bool> {
        let Some(mut encoder) = self.try_lock() else { return Ok(false) };
        // If another thread held the lock during an abort, the encoder doesn't know of the abort.
        self.fail_if_ended_without_our_close()?;
        let encoded = encoder.ping(payload);
        self.write(&mut encoder, &[])?;
        drop(encoder);
        self.flush_pending_control()?;
        encoded?;
        Ok(true)
    }

    /// Writes the encoder's batch. If another thread holds the write lock, leaves the batch to that
    /// thread.
    pub(crate) fn flush_unless_busy(&self) -> Result<()> {
        let Some(mut encoder) = self.try_lock() else { return Ok(()) };
        self.write(&mut encoder, &[])?;
        drop(encoder);
        self.flush_pending_control()
    }

    /// Frees the encoder memory that an idle connection doesn't need, unless a `MessageWriter` is
    /// in the middle of a message or another thread is using the encoder. In any case, this then
    /// sends the pending pong and Close, if any, and fails only if that write fails.
    pub(crate) fn free_idle_memory(&self) -> Result<()> {
        // A message that a `MessageWriter` has begun still needs the compressor's memory.
        if let Some(mut encoder) = self.try_lock()
            && !self.message_lock.is_held()
        {
            encoder.free_idle_memory();
        }
        self.flush_pending_control()
    }

    // WALK: flush_pending_control
    /// Sends the pong and the Close that wait in the [`PendingControl`], if any, unless another
    /// thread holds the write lock. Every thread must call this after it has released the lock,
    /// because another thread may have left a pong or a Close pending while the lock was held.
    /// Without this call, that frame might never be sent.
    #[inline]
    pub(crate) fn flush_pending_control(&self) -> Result<()> {
        while self.pending.is_pending() {
            let Some(mut encoder) = self.try_lock() else { return Ok(()) };
            self.send_pending_control(&mut encoder)?;
        }
        Ok(())
    }

    /// Sends the pending pong and Close, after the frames in the encoder's batch. The caller must
    /// hold the write lock, and must have written any bytes that belong directly after the batch,
    /// such as a large payload.
    pub(crate) fn send_pending_control(&self, encoder: &mut Encoder) -> Result<()> {
        self.encode_pending_control(encoder)?;
        self.write(encoder, &[])
    }

    fn encode_pending_control(&self, encoder: &mut Encoder) -> Result<()> {
        let PendingControlFrames { pong, close } = self.pending.take();
        if encoder.is_closed() {
            return Ok(());
        }
        if let Some(payload) = pong {
            encoder.pong(&payload)?;
        }
        if let (true, Some(close)) = (close, self.closing.due_close()) {
            log::debug!("{} we close with {close}", self.id);
            encoder.close(&close)?;
        }
        Ok(())
    }

    /// Writes the encoder's batch and then `after_batch`, in as few system calls as the stream
    /// allows. Fails with `ConnectionLost` if the stream fails, and with `WriteTimeout` if the peer
    /// takes less than 64 KiB in a period of `Limits::write` and bytes are still left at the end of
    /// that period. After a failure, nothing more can be sent.
    pub(crate) fn write(&self, encoder: &mut Encoder, after_batch: &[u8]) -> Result<()> {
        let total = encoder.batch().size() + after_batch.len();
        if total == 0 {
            return Ok(());
        }
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let slices = collect_slices(&mut slices, encoder.batch(), after_batch);
        // The stream may be the application's own code, which may panic.
        let written = catch_unwind(AssertUnwindSafe(|| {
            let note = &mut |bytes| self.note_bytes_written(bytes);
            write_with_min_rate(self.limits.write, &*self.stream, slices, note)
        }));
        let messages = encoder.take_message_count();
        let Ok(Ok(())) = written else {
            // The stream may have taken only the beginning of a frame, so no other frame can
            // follow.
            encoder.stop();
            let failed = written.map(|written| write_error(written.unwrap_err()));
            self.stop_sending_after_failed_write(matches!(failed, Ok(Error::WriteTimeout)));
            return Err(failed.unwrap_or_else(|panic| resume_unwind(panic)));
        };
        encoder.clear_batch();
        self.note_batch_written(encoder, messages);
        Ok(())
    }

    /// Writes as much of the encoder's batch as the stream takes within [`BULK_CLOSE_TIMEOUT`], and
    /// keeps the rest. Returns whether the whole batch is written.
    fn write_some(&self, encoder: &mut Encoder) -> bool {
        let deadline = Deadline::after(BULK_CLOSE_TIMEOUT);
        while !encoder.batch().is_empty() {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let slices = collect_slices(&mut slices, encoder.batch(), &[]);
            let written = catch_unwind(AssertUnwindSafe(|| self.stream.write(slices)));
            match written.unwrap_or_else(|_| Err(ErrorKind::Other.into())) {
                Ok(count @ 1..) if count <= encoder.batch().size() => {
                    encoder.drop_written(count);
                    self.note_bytes_written(count);
                    if encoder.batch().is_empty() {
                        let messages = encoder.take_message_count();
                        self.note_batch_written(encoder, messages);
                    }
                }
                Err(error) if is_timeout(&error) => return false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => {
                    encoder.stop();
                    self.stop_sending_after_failed_write(false);
                    return false;
                }
            }
            if deadline.has_passed() {
                return encoder.batch().is_empty();
            }
        }
        true
    }

    fn note_bytes_written(&self, bytes: usize) {
        self.traffic.count_sent_bytes(bytes);
    }

    fn note_batch_written(&self, encoder: &Encoder, messages: u64) {
        if messages > 0 {
            self.traffic.count_sent_messages(messages);
        }
        if encoder.is_closed() {
            self.handle_event(ClosingEvent::Written);
            self.shut_down_if_our_turn();
        }
    }

    /// Records a failed write: from now on, this end sends nothing. If the write failed because the
    /// peer was too slow, the connection ends at once. After any other failure, the reading thread
    /// may still read the bytes that the peer has already sent.
    fn stop_sending_after_failed_write(&self, was_too_slow: bool) {
        let why = if was_too_slow { WriteFailure::TooSlow } else { WriteFailure::Lost };
        self.handle_event(ClosingEvent::Failed(why, Deadline::after(self.limits.close)));
        // If the reading thread waits, it has already read all bytes that arrived. Shutting down
        // both directions wakes that thread.
        let wakes_reader = was_too_slow || self.waits_in_recv.load(SeqCst);
        let how = if wakes_reader { Shutdown::Both } else { Shutdown::Write };
        let _ = self.stream.shutdown(how);
    }

    /// Ends the connection at once, without a Close. A thread that waits in a read or a write on
    /// this connection wakes up with an error.
    pub(crate) fn abort(&self) {
        self.handle_event(ClosingEvent::Failed(
            WriteFailure::Lost,
            Deadline::after(Duration::ZERO),
        ));
        let _ = self.stream.shutdown(Shutdown::Both);
        self.stop_encoder_unless_busy();
    }

    /// Makes the encoder refuse all further frames, because the connection has ended: a thread that
    /// still waits for the write lock then receives an error. If another thread holds the lock,
    /// that thread's next write fails, and stops the encoder in the same way.
    fn stop_encoder_unless_busy(&self) {
        if let Some(mut encoder) = self.try_lock() {
            encoder.stop();
        }
    }

    /// Sends our Close after all earlier messages, then ends the stream with a lingering close, so
    /// that the peer receives our Close and not a reset. If the Close can't be sent, aborts the
    /// connection instead. A second call does nothing.
    ///
    /// Returns `BytesLost` or `PeerTimeout` if our Close was sent but the peer doesn't end the
    /// stream in time (see `unanswered_close_error`), and `None` otherwise. If the peer's Close had
    /// already arrived and we had sent less than 64 KiB, this always returns `None`: the peer then
    /// has only [`STRAY_BYTES_TIMEOUT`] to end the stream, too short a time to tell whether bytes
    /// are lost.
    pub(crate) fn close_and_linger(&self, close: Close) -> Option<Error> {
        let mut unanswered = None;
        let _ = self.request_close(CloseRequest::when_drained(close, self.limits.close));
        match self.flush_until_close_sent() {
            OurSide::Sent(_) => {
                let has_closed = self.closing.peer_side() == PeerSide::Closed;
                let has_awaited_eof = self.has_awaited_eof.load(SeqCst);
                if has_closed && self.role == Role::Client && !has_awaited_eof {
                    await_peer_eof(Deadline::after(self.limits.close), &*self.stream);
                }
                // A peer that has closed sends nothing more, so it doesn't matter whether it ends
                // its stream.
                let patience = if has_closed { STRAY_BYTES_TIMEOUT } else { self.limits.close };
                let linger = self.renewable_deadline(Deadline::after(patience));
                // Over a long distance, an acknowledgement takes longer than 10 ms. So if the peer
                // has closed, unacknowledged bytes count as lost only if the deadline could be
                // renewed, which gave the peer time to acknowledge them.
                let had_time = !has_closed || linger.may_be_renewed();
                if !lingering_close(linger, &*self.stream) && had_time {
                    unanswered = Some(self.unanswered_close_error());
                }
            }
            OurSide::Over => return None,
            OurSide::Open | OurSide::Requested(_) | OurSide::Due(_) | OurSide::Broken(..) => {
                self.abort()
            }
        }
        self.handle_event(ClosingEvent::Ended);
        self.stop_encoder_unless_busy();
        unanswered
    }

    /// Returns the error for a peer that hasn't answered our Close in time: `BytesLost` if the
    /// peer's TCP stack has not acknowledged our last bytes, and `PeerTimeout` otherwise.
    pub(crate) fn unanswered_close_error(&self) -> Error {
        match self.stream.unacknowledged() {
            Some(bytes @ 1..) => Error::BytesLost(bytes),
            Some(0) | None => Error::PeerTimeout,
        }
    }

    /// Waits until our Close is written or can no longer be written. Returns our end's state after
    /// the wait. Meanwhile, this thread and others write the messages that go out before the Close.
    /// If nothing is written for the duration of `Limits::write`, the Close no longer waits for
    /// those messages. If nothing is written for as long again, this function returns while the
    /// Close is still unsent.
    fn flush_until_close_sent(&self) -> OurSide {
        let mut stall = StallDetector::new(self.limits.write);
        let mut has_hurried = false;
        loop {
            let flushed = self.flush_unless_busy();
            let state = self.closing.wait_until_close_is_sent(PROGRESS_CHECK_INTERVAL);
            if flushed.is_err() || !matches!(state, OurSide::Requested(_) | OurSide::Due(_)) {
                return self.closing.our_side();
            }
            if self.has_stalled(&mut stall) {
                if has_hurried {
                    return state;
                }
                has_hurried = true;
                stall = StallDetector::new(self.limits.write);
                self.make_close_due_now();
            }
        }
    }

    /// Sends our requested Close without waiting any longer for the messages that should go out
    /// before it. If another thread holds the write lock, that thread sends the Close. Called when
    /// those messages have stalled. Does nothing if no requested Close is waiting.
    pub(crate) fn make_close_due_now(&self) {
        if let OurSide::Requested(request) = self.closing.our_side() {
            log::info!("{} closes, though not all that goes before it is sent", self.id);
            let _ = self.request_close(CloseRequest { urgency: Urgency::Now, ..*request });
        }
    }

    /// Returns the deadline for the peer's Close and for the end of its stream. It begins as
    /// `deadline`. If it passes while the peer is still reading, the peer gets `Limits::close`
    /// again: at most once for each 64 KiB that we sent, and at most 24 times in all.
    pub(crate) fn renewable_deadline(&self, deadline: Deadline) -> RenewableDeadline {
        RenewableDeadline::renewable(deadline, self.limits.close, self.traffic.bytes_sent())
    }

    /// Shuts down our side of the stream if our Close has been sent and it's our turn:
    /// - It's a server's turn once the peer's Close has arrived, even if the server's handler is
    ///   still running (§5.5.1).
    /// - It's the turn of either end once its peer has broken a rule.
    ///
    /// After a normal Close, a client doesn't shut down here, because the server goes first.
    fn shut_down_if_our_turn(&self) {
        if !matches!(self.closing.our_side(), OurSide::Sent(_)) {
            return;
        }
        match (self.closing.peer_side(), self.role) {
            (PeerSide::Open, _) | (PeerSide::Closed, Role::Client) => {}
            (PeerSide::Closed, Role::Server) | (PeerSide::BrokeRule, _) => {
                let _ = self.stream.shutdown(Shutdown::Write);
            }
        }
    }

    /// Locks the encoder (this is the *write lock*), and waits if another thread holds the lock.
    /// `recv` must never call this, because it could cause a deadlock: the thread that holds the
    /// lock waits for the peer to read, and the peer waits for us to read.
    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, Encoder> {
        lock(&self.encoder)
    }

    /// Waits while a `MessageWriter` is in the middle of a message, then locks the encoder for a
    /// new one.
    ///
    /// Fails:
    /// - with `Closed` if the connection is ending (but a handler may still send its replies while
    ///   our Close waits for them);
    /// - with `WriteTimeout` if the `MessageWriter` sends nothing for the duration of
    ///   `Limits::write`;
    /// - with `Misuse` if the `MessageWriter` belongs to the calling thread, which would otherwise
    ///   wait for itself.
    #[inline]
    pub(crate) fn lock_for_new_message(&self) -> Result<MutexGuard<'_, Encoder>> {
        let encoder = self.lock_between_messages(true)?;
        if !self.closing.refuses_messages() {
            return Ok(encoder);
        }
        drop(encoder);
        self.flush_pending_control()?;
        Err(Error::Closed)
    }

    /// Waits while a `MessageWriter` is in the middle of a message, because fragments of two
    /// messages must not mix (§5.4). Then locks the encoder. `is_new` tells whether the caller
    /// begins a new message: its wait fails with `Closed` once the connection is closing. A message
    /// that an outbox has accepted isn't new, and still goes out then. Fails as
    /// `wait_between_messages` does.
    #[inline]
    fn lock_between_messages(&self, is_new: bool) -> Result<MutexGuard<'_, Encoder>> {
        let encoder = self.lock();
        match self.message_lock.is_held() {
            false => Ok(encoder),
            true => self.wait_between_messages(encoder, is_new),
        }
    }

    /// Unlocks the encoder, waits until the `MessageWriter` has ended its message, then locks the
    /// encoder again. Fails:
    /// - with `Closed` if the connection ends before our Close is sent, or if it's closing and the
    ///   caller wants to begin a new message (`is_new`);
    /// - with `WriteTimeout` if the writer sends nothing for `Limits::write`;
    /// - with `Misuse` if the writer belongs to the calling thread, which would wait for itself.
    #[cold]
    fn wait_between_messages<'a>(
        &'a self,
        mut encoder: MutexGuard<'a, Encoder>,
        is_new: bool,
    ) -> Result<MutexGuard<'a, Encoder>> {
        let mut stall = StallDetector::new(self.limits.write);
        while self.message_lock.is_held() && !encoder.is_closed() {
            drop(encoder);
            self.flush_pending_control()?;
            self.message_lock.wait_until_released(PROGRESS_CHECK_INTERVAL)?;
            self.fail_if_ended_without_our_close()?;
            if is_new && self.closing.refuses_messages() {
                return Err(Error::Closed);
            }
            if self.has_stalled(&mut stall) {
                return Err(Error::WriteTimeout);
            }
            encoder = self.lock();
        }
        Ok(encoder)
    }

    /// Returns whether the messages that the calling thread waits for have stalled: for
    /// `Limits::write`, no thread was writing, and no message or fragment was sent. The thread must
    /// pass the same detector, `stall`, each time it checks. If the write lock is free, this also
    /// writes the encoder's batch, and sends the pending pong and Close, if any.
    pub(crate) fn has_stalled(&self, stall: &mut StallDetector) -> bool {
        let sent = self.traffic.messages_sent() + self.message_lock.fragments_sent();
        stall.has_stalled(sent, self.is_writing())
    }

    /// Returns whether another thread holds the write lock. Such a thread is in the middle of a
    /// write, because it waits for nothing else while it holds the lock.
    ///
    /// If the lock is free, this call takes it for a moment. The reading thread may then find the
    /// lock taken, and leave its pong, its Close or the batch to this thread. Therefore this call
    /// also writes the encoder's batch, and sends the pending pong and Close, if any.
    pub(crate) fn is_writing(&self) -> bool {
        let Some(mut encoder) = self.try_lock() else { return true };
        // A failed write ends the connection, so the calling thread then sees the new state.
        let _ = self.write(&mut encoder, &[]);
        drop(encoder);
        let _ = self.flush_pending_control();
        false
    }

    fn try_lock(&self) -> Option<MutexGuard<'_, Encoder>> {
        match self.encoder.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// Collects the slices to write, in order: the encoder's batch, then `after_batch`. Skips empty
/// slices.
#[inline]
fn collect_slices<'a, 's>(
    slices: &'s mut [IoSlice<'a>; MAX_SLICES],
    batch: &'a Batch,
    after_batch: &'a [u8],
) -> &'s mut [IoSlice<'a>] {
    let mut count = 0;
    let mut push = |slice: &'a [u8]| {
        if !slice.is_empty() {
            slices[count] = IoSlice::new(slice);
            count += 1;
        }
    };
    batch.for_each_slice(&mut push);
    push(after_batch);
    &mut slices[..count]
}
