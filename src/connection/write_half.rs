//! What the threads of one connection share: the stream, and one lock around what goes out.
//!
//! Rules of this file:
//! - The lock is held for whole frames, so frames of different threads never mix. Everybody who sends
//!   writes the whole batch before letting go; whoever *feeds* writes it later, at the latest before
//!   waiting for anything.
//! - The thread that reads does not wait for it, unless the peer has closed and there is nothing left to
//!   read. It may find the lock taken by a write that takes seconds, while the peer waits for us to
//!   read. So it *leaves* its pong or Close in a [`PendingControl`], and whoever has the lock sends that next.
//! - Nothing is forgotten: the slot is filled before the lock is tried, and looked at again after
//!   the lock was let go.

use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, TryLockError};
use std::thread;
use std::time::Duration;

use super::counters::Totals;
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

/// From this size on a batch does not wait for more.
const FULL_BATCH: usize = 256 * 1024;
/// How long one of thousands is waited for.
const BULK_CLOSE_TIMEOUT: Duration = Duration::from_millis(10);

/// One connection, as its threads share it.
pub(crate) struct WriteHalf {
    pub(crate) id: u64,
    pub(crate) stream: Arc<dyn Stream>,
    role: Role,
    pub(crate) totals: Arc<Totals>,
    encoder: Mutex<Encoder>,
    pending: PendingControl,
    /// Set when our Close is out, or left to be sent: the peer must have answered by then.
    closing: OnceLock<Deadline>,
    /// How long closing may take.
    pub(crate) close_within: Duration,
    /// The stream has ended or failed, or the goodbye is said: there is nothing more to say.
    gone: AtomicBool,
    /// The stream is for the peer to end.
    peer_ends_stream: AtomicBool,
    write_within: Duration,
    pub(crate) outboxes: Queues,
}

impl WriteHalf {
    /// Over a stream whose writes wait as long as [`write_with_min_rate`] expects.
    pub(crate) fn new(
        id: u64,
        stream: Arc<dyn Stream>,
        encoder: Encoder,
        limits: &Limits,
        totals: Arc<Totals>,
    ) -> Arc<WriteHalf> {
        Arc::new(WriteHalf {
            id,
            stream,
            role: encoder.role(),
            totals,
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
    /// Encodes something and writes it, behind whatever had gathered before. `encode` returns what
    /// is to be written behind the batch as it lies.
    pub(crate) fn send<'a>(
        &self,
        encode: impl FnOnce(&mut Encoder) -> std::result::Result<&'a [u8], Misuse>,
    ) -> Result<()> {
        let mut encoder = self.lock();
        let encoded = encode(&mut encoder);
        // Also where it was refused: what others have fed goes out with this.
        let written = self.write(&mut encoder, encoded.as_deref().unwrap_or_default());
        drop(encoder);
        self.flush_pending()?;
        encoded?;
        written
    }

    /// Encodes something for the next write; writes at once only what is too much to keep. For those
    /// who write the batch before they wait: the thread that reads, and those of the outboxes.
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
    /// Answers a ping, without waiting for the lock: into the batch if it is free, else left.
    pub(crate) fn pong(&self, payload: Vec<u8>) -> Result<()> {
        if let Some(mut encoder) = self.try_lock() {
            // No pong after our Close: it needs no answer any more.
            if encoder.pong(&payload).is_ok() && encoder.batch().len() >= FULL_BATCH {
                self.write(&mut encoder, &[])?;
            }
            drop(encoder);
            return self.flush_pending();
        }
        self.pending.set_pong(payload);
        self.flush_pending()
    }

    /// Sends our Close, without waiting for the lock. Only the first one counts.
    pub(crate) fn close(&self, close: Close) -> Result<()> {
        self.schedule_close(close);
        self.flush_pending()
    }

    /// The peer has broken a rule: it is told which, and that nothing more will come. Where the lock is
    /// taken, whoever has it tells the first, and our leaving the second.
    pub(crate) fn fail(&self, close: Close) {
        self.schedule_close(close);
        if let Some(mut encoder) = self.try_lock()
            && self.send_pending(&mut encoder).is_ok()
        {
            let _ = self.stream.shutdown(Shutdown::Write);
        }
    }

    /// As `close`, by whoever has the lock.
    pub(crate) fn close_within_lock(&self, encoder: &mut Encoder, close: Close) -> Result<()> {
        self.schedule_close(close);
        self.send_pending(encoder)
    }

    /// Once our Close is out, or on its way: when the peer must have answered it.
    pub(crate) fn closing(&self) -> Option<Deadline> {
        self.closing.get().copied()
    }

    /// As `close`, for one who has thousands to close: a peer whose buffers are full is not waited for.
    pub(crate) fn close_without_waiting(&self, close: Close) {
        self.schedule_close(close);
        let Some(mut encoder) = self.try_lock() else { return };
        let _ = self.stream.set_write_timeout(per_call_timeout(BULK_CLOSE_TIMEOUT));
        let sent = self.send_pending(&mut encoder);
        let _ = self.stream.set_write_timeout(per_call_timeout(self.write_within));
        drop(encoder);
        let _ = sent.and_then(|()| self.flush_pending());
    }

    /// Pings, unless somebody is writing, which tells as much: whether it was sent.
    pub(crate) fn ping(&self, payload: &[u8]) -> Result<bool> {
        let Some(mut encoder) = self.try_lock() else { return Ok(false) };
        encoder.ping(payload)?;
        self.write(&mut encoder, &[])?;
        drop(encoder);
        self.flush_pending().map(|()| true)
    }

    /// Writes what was fed. If the lock is taken, whoever has it does so.
    pub(crate) fn flush_unless_busy(&self) -> Result<()> {
        let Some(mut encoder) = self.try_lock() else { return Ok(()) };
        self.write(&mut encoder, &[])?;
        drop(encoder);
        self.flush_pending()
    }

    /// Gives back memory that an idle connection does not need.
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
    /// Sends what was left. Called by everybody who has let the lock go, unless our Close is out: between
    /// our look and the unlocking somebody may have left something, and relied on us.
    pub(crate) fn flush_pending(&self) -> Result<()> {
        while self.pending.is_pending() {
            let Some(mut encoder) = self.try_lock() else { return Ok(()) };
            self.send_pending(&mut encoder)?;
        }
        Ok(())
    }

    /// Sends what was left, between two frames of whoever has the lock.
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

    /// Writes the batch and what goes behind it, in as few calls as the stream takes.
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
            Ok(()) => self.totals.sent(messages, total),
            Err(_) => {
                // A frame may have gone out in part: nothing can follow it.
                encoder.break_off();
                self.abort();
            }
        }
        written.map_err(too_slow_or_lost)
    }

    /// Ends the connection on the spot; whoever reads or writes is woken with an error.
    pub(crate) fn abort(&self) {
        self.gone.store(true, SeqCst);
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Sends what waits in the outboxes, then our Close unless it is out; all before the deadline.
    pub(crate) fn close_before(&self, deadline: Deadline, close: Close) -> Result<()> {
        self.outboxes.drain(deadline);
        self.schedule_close(close);
        let Some(mut encoder) = self.lock_before(deadline) else { return Err(Error::WriteTimeout) };
        self.encode_pending(&mut encoder)?;
        let written = write_before(deadline, &*self.stream, encoder.batch());
        if written.is_ok() {
            let total = encoder.batch().len();
            self.totals.sent(encoder.take_message_count(), total);
        }
        encoder.break_off();
        written.map_err(too_slow_or_lost)
    }

    /// Says goodbye and leaves, so that the peer sees our Close and not a reset. Once.
    pub(crate) fn close_and_linger(&self, deadline: Deadline, close: Close) {
        if self.gone.swap(true, SeqCst) {
            // Nobody is there. Who sends must know, and the threads of the outboxes, or they wait for ever.
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

    /// Both have sent their Close. §5.5.1: a server ends the stream at once, whatever its application
    /// still has to do, and a client waits for that.
    pub(crate) fn both_have_closed(&self) {
        match self.role {
            Role::Server => drop(self.stream.shutdown(Shutdown::Write)),
            Role::Client => self.peer_ends_stream.store(true, SeqCst),
        }
    }

    /// The lock, for a message that is written piece by piece.
    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, Encoder> {
        lock(&self.encoder)
    }

    /// The lock, if whoever has it lets go of it in time.
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
