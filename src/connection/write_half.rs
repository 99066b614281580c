//! The sending side of a connection, which its threads share: the stream, and one lock around the
//! encoder.
//!
//! Rules of this file:
//! - A thread holds the lock for whole frames, so frames of different threads never mix. A thread
//!   that *sends* writes the whole batch before it unlocks. A thread that *feeds* leaves its frames
//!   in the batch, and writes them before it waits for anything.
//! - The reading thread never waits for the lock, except after the peer's Close, when it has
//!   nothing left to read. Another thread may hold the lock through a write that takes seconds,
//!   while the peer can't go on until we read: waiting would be a deadlock. So the reading thread
//!   puts its pong or Close into a [`PendingControl`], and the thread that holds the lock sends it
//!   next.
//! - No pending frame is lost (a lost wakeup): the reading thread fills the `PendingControl` before
//!   it tries the lock, and each thread looks into it again after it has unlocked.

use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, TryLockError};
use std::thread;
use std::time::Duration;

use super::counters::Traffic;
use super::limits::Limits;
use super::pending_control::{PendingControl, PendingFrames};
use super::queue::Queues;
use crate::diagnostic::misuse::Misuse;
use crate::error::{Error, Result};
use crate::frames::close::Close;
use crate::frames::encoder::Encoder;
use crate::frames::header::Role;
use crate::transport::deadline::{Deadline, write_before};
use crate::transport::lingering_close::{await_peer_eof, lingering_close};
use crate::transport::lock::lock;
use crate::transport::min_rate::{per_call_timeout, too_slow_or_lost, write_with_min_rate};
use crate::transport::stream::Stream;

/// A batch of this size is written at once.
const FULL_BATCH: usize = 256 * 1024;
/// How long a shutdown waits for one peer among thousands.
const BULK_CLOSE_TIMEOUT: Duration = Duration::from_millis(10);

/// The sending side of one connection.
pub(crate) struct WriteHalf {
    pub(crate) id: u64,
    pub(crate) stream: Arc<dyn Stream>,
    role: Role,
    pub(crate) traffic: Traffic,
    encoder: Mutex<Encoder>,
    pending: PendingControl,
    /// Set when our Close is sent or pending: the peer must answer it by then.
    closing: OnceLock<Deadline>,
    /// How long the closing handshake may take.
    pub(crate) close_within: Duration,
    /// The stream has ended or failed, or our Close is sent: there's nothing more to send.
    gone: AtomicBool,
    /// The peer must end the stream first: we are the client, and both have sent a Close.
    peer_ends_stream: AtomicBool,
    write_within: Duration,
    pub(crate) outboxes: Queues,
}

impl WriteHalf {
    /// Takes a stream whose write timeout is the one that [`write_with_min_rate`] expects.
    pub(crate) fn new(
        id: u64,
        stream: Arc<dyn Stream>,
        encoder: Encoder,
        limits: &Limits,
        traffic: Traffic,
    ) -> Arc<WriteHalf> {
        Arc::new(WriteHalf {
            id,
            stream,
            role: encoder.role(),
            traffic,
            encoder: Mutex::new(encoder),
            pending: PendingControl::default(),
            closing: OnceLock::new(),
            close_within: limits.close,
            gone: AtomicBool::new(false),
            peer_ends_stream: AtomicBool::new(false),
            write_within: limits.write,
            outboxes: Queues::default(),
        })
    }

    // WALK: send
    /// Encodes a frame and writes it, after the frames that were fed before. `encode` returns bytes
    /// that are written after the batch as they are, without being copied into it.
    pub(crate) fn send<'a>(
        &self,
        encode: impl FnOnce(&mut Encoder) -> std::result::Result<&'a [u8], Misuse>,
    ) -> Result<()> {
        let mut encoder = self.lock();
        let encoded = encode(&mut encoder);
        // Written even if `encode` refused: the batch may hold what other threads have fed.
        let written = self.write(&mut encoder, encoded.as_deref().unwrap_or_default());
        drop(encoder);
        self.flush_pending()?;
        encoded?;
        written
    }

    /// Encodes a frame for the next write, and writes now only if the batch is full. For callers
    /// that flush before they wait: the reading thread, and the threads of the outboxes.
    #[inline]
    pub(crate) fn feed<'a>(
        &self,
        encode: impl FnOnce(&mut Encoder) -> std::result::Result<&'a [u8], Misuse>,
    ) -> Result<()> {
        let mut encoder = self.lock();
        let behind = encode(&mut encoder)?;
        if !behind.is_empty() || encoder.batch().len() >= FULL_BATCH {
            self.write(&mut encoder, behind)?;
        }
        drop(encoder);
        self.flush_pending()
    }

    // WALK: pong
    /// Answers a ping without waiting for the lock: encodes the pong into the batch if the lock is
    /// free, else makes it pending.
    pub(crate) fn pong(&self, payload: Vec<u8>) -> Result<()> {
        if let Some(mut encoder) = self.try_lock() {
            // No pong after our Close: the peer needs none any more. That is not an error.
            if encoder.pong(&payload).is_ok() && encoder.batch().len() >= FULL_BATCH {
                self.write(&mut encoder, &[])?;
            }
            drop(encoder);
            return self.flush_pending();
        }
        self.pending.set_pong(payload);
        self.flush_pending()
    }

    /// Sends our Close without waiting for the lock. Only the first Close counts.
    pub(crate) fn close(&self, close: Close) -> Result<()> {
        self.schedule_close(close);
        self.flush_pending()
    }

    /// Fails the connection: sends a Close that says which rule the peer broke, then ends our
    /// direction. If another thread holds the lock, that thread sends the Close, and dropping the
    /// connection ends the stream.
    pub(crate) fn fail(&self, close: Close) {
        self.schedule_close(close);
        if let Some(mut encoder) = self.try_lock()
            && self.send_pending(&mut encoder).is_ok()
        {
            let _ = self.stream.shutdown(Shutdown::Write);
        }
    }

    /// As `close`, for a thread that already holds the lock.
    pub(crate) fn close_within_lock(&self, encoder: &mut Encoder, close: Close) -> Result<()> {
        self.schedule_close(close);
        self.send_pending(encoder)
    }

    /// When the peer must have answered our Close, once that is sent or pending.
    pub(crate) fn closing(&self) -> Option<Deadline> {
        self.closing.get().copied()
    }

    /// As `close`, for a shutdown with thousands of connections: it doesn't wait for a peer whose
    /// buffers are full.
    pub(crate) fn close_without_waiting(&self, close: Close) {
        self.schedule_close(close);
        let Some(mut encoder) = self.try_lock() else { return };
        let _ = self.stream.set_write_timeout(per_call_timeout(BULK_CLOSE_TIMEOUT));
        let sent = self.send_pending(&mut encoder);
        let _ = self.stream.set_write_timeout(per_call_timeout(self.write_within));
        drop(encoder);
        let _ = sent.and_then(|()| self.flush_pending());
    }

    /// Sends a ping, unless another thread is writing, whose progress shows as well that the peer
    /// lives. Returns whether it was sent.
    pub(crate) fn ping(&self, payload: &[u8]) -> Result<bool> {
        let Some(mut encoder) = self.try_lock() else { return Ok(false) };
        encoder.ping(payload)?;
        self.write(&mut encoder, &[])?;
        drop(encoder);
        self.flush_pending().map(|()| true)
    }

    /// Writes what was fed. If another thread holds the lock, that thread writes it.
    pub(crate) fn flush_unless_busy(&self) -> Result<()> {
        let Some(mut encoder) = self.try_lock() else { return Ok(()) };
        self.write(&mut encoder, &[])?;
        drop(encoder);
        self.flush_pending()
    }

    /// Frees memory that an idle connection doesn't need.
    pub(crate) fn shrink(&self) -> Result<()> {
        if let Some(mut encoder) = self.try_lock() {
            encoder.shrink();
        }
        self.flush_pending()
    }

    fn schedule_close(&self, close: Close) {
        self.closing.get_or_init(|| Deadline::after(self.close_within));
        self.pending.set_close(close);
    }

    // WALK: flush_pending
    /// Sends the pending pong and Close. Every thread calls this after it has unlocked: between its
    /// last look and the unlocking another thread may have made a frame pending and have found the
    /// lock taken. (Once our Close is sent there's nothing more to send.)
    pub(crate) fn flush_pending(&self) -> Result<()> {
        while self.pending.is_pending() {
            let Some(mut encoder) = self.try_lock() else { return Ok(()) };
            self.send_pending(&mut encoder)?;
        }
        Ok(())
    }

    /// Sends the pending pong and Close between two frames of the thread that holds the lock.
    pub(crate) fn send_pending(&self, encoder: &mut Encoder) -> Result<()> {
        self.encode_pending(encoder)?;
        self.write(encoder, &[])
    }

    fn encode_pending(&self, encoder: &mut Encoder) -> Result<()> {
        let PendingFrames { pong, close } = self.pending.take();
        if encoder.is_closed() {
            return Ok(());
        }
        if let Some(payload) = pong {
            encoder.pong(&payload)?;
        }
        if let Some(close) = close {
            log::debug!("{} we close with {close}", self.id);
            encoder.close(&close)?;
        }
        Ok(())
    }

    /// Writes the batch and the bytes after it, in as few system calls as the stream needs.
    pub(crate) fn write(&self, encoder: &mut Encoder, behind: &[u8]) -> Result<()> {
        let total = encoder.batch().len() + behind.len();
        if total == 0 {
            return Ok(());
        }
        let written =
            write_with_min_rate(self.write_within, &*self.stream, encoder.batch(), behind);
        encoder.written();
        let messages = encoder.take_message_count();
        match written {
            Ok(()) => self.traffic.sent(messages, total),
            Err(_) => {
                // Perhaps only the beginning of a frame was written: no other frame can follow it.
                encoder.break_off();
                self.abort();
            }
        }
        written.map_err(too_slow_or_lost)
    }

    /// Ends the connection at once. Threads that read or write wake with an error.
    pub(crate) fn abort(&self) {
        self.gone.store(true, SeqCst);
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Sends what is queued in the outboxes, then our Close unless it has been sent; all before the
    /// deadline.
    pub(crate) fn close_before(&self, deadline: Deadline, close: Close) -> Result<()> {
        self.outboxes.drain(deadline);
        self.schedule_close(close);
        let Some(mut encoder) = self.lock_before(deadline) else { return Err(Error::WriteTimeout) };
        self.encode_pending(&mut encoder)?;
        let written = write_before(deadline, &*self.stream, encoder.batch());
        if written.is_ok() {
            let total = encoder.batch().len();
            self.traffic.sent(encoder.take_message_count(), total);
        }
        encoder.break_off();
        written.map_err(too_slow_or_lost)
    }

    /// Sends our Close, then ends the stream with a lingering close, so that the peer sees our
    /// Close and not a reset. Only the first call does so.
    pub(crate) fn close_and_linger(&self, deadline: Deadline, close: Close) {
        if self.gone.swap(true, SeqCst) {
            // The stream has ended. Threads that send must get an error, and the outboxes' threads
            // must wake, or they'd wait for ever.
            if let Some(mut encoder) = self.try_lock() {
                encoder.break_off();
            }
            return self.outboxes.drain(Deadline::after(Duration::ZERO));
        }
        let _ = self.close_before(deadline, close);
        if self.peer_ends_stream.load(SeqCst) {
            await_peer_eof(deadline, &*self.stream);
        }
        lingering_close(deadline, &*self.stream);
    }

    /// §5.5.1: both have sent a Close. A server ends its direction at once, whatever its handler
    /// still does; a client waits for that.
    pub(crate) fn both_have_closed(&self) {
        match self.role {
            Role::Server => drop(self.stream.shutdown(Shutdown::Write)),
            Role::Client => self.peer_ends_stream.store(true, SeqCst),
        }
    }

    /// Locks the encoder, for a message that is written piece by piece.
    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, Encoder> {
        lock(&self.encoder)
    }

    /// Locks the encoder if the thread that holds it unlocks before the deadline.
    fn lock_before(&self, deadline: Deadline) -> Option<MutexGuard<'_, Encoder>> {
        loop {
            match self.try_lock() {
                None if !deadline.has_passed() => thread::sleep(Duration::from_millis(1)),
                lock => return lock,
            }
        }
    }

    fn try_lock(&self) -> Option<MutexGuard<'_, Encoder>> {
        match self.encoder.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}
