//! What the threads of one connection share: the stream, and one lock around what goes out.
//!
//! Rules of this file:
//! - The lock is held for whole frames, so frames of different threads never mix. Everybody who sends
//!   writes the whole batch before letting go; whoever *feeds* writes it later, at the latest before
//!   waiting for anything.
//! - The thread that reads does not wait for it, unless the peer has closed and there is nothing left to
//!   read. It may find the lock taken by a write that takes seconds, while the peer waits for us to
//!   read. So it *leaves* its pong or Close in a [`Slot`], and whoever has the lock sends that next.
//! - Nothing is forgotten: the slot is filled before the lock is tried, and looked at again after
//!   the lock was let go.

use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, TryLockError};
use std::thread;
use std::time::Duration;

use super::counters::Tally;
use super::limits::Limits;
use super::pending_control::{Left, Slot};
use super::queue::Queues;
use crate::diagnostic::misuse::Misuse;
use crate::error::{Error, Result};
use crate::frames::close::Close;
use crate::frames::encoder::Outgoing;
use crate::frames::header::Role;
use crate::transport::deadline::{Deadline, write_before};
use crate::transport::lingering_close::{let_the_peer_end, part};
use crate::transport::lock::lock;
use crate::transport::min_rate::{too_slow_or_lost, wait_of_a_call, write_at_pace};
use crate::transport::stream::Stream;

/// From this size on a batch does not wait for more.
const FULL_BATCH: usize = 256 * 1024;
/// How long one of thousands is waited for.
const A_MOMENT: Duration = Duration::from_millis(10);

/// One connection, as its threads share it.
pub(crate) struct Link {
    pub(crate) id: u64,
    pub(crate) stream: Arc<dyn Stream>,
    role: Role,
    pub(crate) tally: Arc<Tally>,
    outgoing: Mutex<Outgoing>,
    slot: Slot,
    /// Set when our Close is out, or left to be sent: the peer must have answered by then.
    closing: OnceLock<Deadline>,
    /// How long closing may take.
    pub(crate) close_within: Duration,
    /// The stream has ended or failed, or the goodbye is said: there is nothing more to say.
    gone: AtomicBool,
    /// The stream is for the peer to end.
    waits_for_end: AtomicBool,
    write_within: Duration,
    pub(crate) outboxes: Queues,
}

impl Link {
    /// Over a stream whose writes wait as long as [`write_at_pace`] expects.
    pub(crate) fn new(
        id: u64,
        stream: Arc<dyn Stream>,
        outgoing: Outgoing,
        limits: &Limits,
        tally: Arc<Tally>,
    ) -> Arc<Link> {
        Arc::new(Link {
            id,
            stream,
            role: outgoing.role(),
            tally,
            outgoing: Mutex::new(outgoing),
            slot: Slot::default(),
            closing: OnceLock::new(),
            close_within: limits.close,
            gone: AtomicBool::new(false),
            waits_for_end: AtomicBool::new(false),
            write_within: limits.write,
            outboxes: Queues::default(),
        })
    }

    // WALK: send
    /// Encodes something and writes it, behind whatever had gathered before. `encode` returns what
    /// is to be written behind the batch as it lies.
    pub(crate) fn send<'a>(
        &self,
        encode: impl FnOnce(&mut Outgoing) -> std::result::Result<&'a [u8], Misuse>,
    ) -> Result<()> {
        let mut outgoing = self.lock();
        let encoded = encode(&mut outgoing);
        // Also where it was refused: what others have fed goes out with this.
        let written = self.write(&mut outgoing, encoded.as_deref().unwrap_or_default());
        drop(outgoing);
        self.settle()?;
        encoded?;
        written
    }

    /// Encodes something for the next write; writes at once only what is too much to keep. For those
    /// who write the batch before they wait: the thread that reads, and those of the outboxes.
    #[inline]
    pub(crate) fn feed<'a>(
        &self,
        encode: impl FnOnce(&mut Outgoing) -> std::result::Result<&'a [u8], Misuse>,
    ) -> Result<()> {
        let mut outgoing = self.lock();
        let behind = encode(&mut outgoing)?;
        if !behind.is_empty() || outgoing.batch().len() >= FULL_BATCH {
            self.write(&mut outgoing, behind)?;
        }
        drop(outgoing);
        self.settle()
    }

    // WALK: pong
    /// Answers a ping, without waiting for the lock: into the batch if it is free, else left.
    pub(crate) fn pong(&self, payload: Vec<u8>) -> Result<()> {
        if let Some(mut outgoing) = self.try_lock() {
            // No pong after our Close: it needs no answer any more.
            if outgoing.pong(&payload).is_ok() && outgoing.batch().len() >= FULL_BATCH {
                self.write(&mut outgoing, &[])?;
            }
            drop(outgoing);
            return self.settle();
        }
        self.slot.leave_pong(payload);
        self.settle()
    }

    /// Sends our Close, without waiting for the lock. Only the first one counts.
    pub(crate) fn close(&self, close: Close) -> Result<()> {
        self.leave_close(close);
        self.settle()
    }

    /// The peer has broken a rule: it is told which, and that nothing more will come. Where the lock is
    /// taken, whoever has it tells the first, and our leaving the second.
    pub(crate) fn fail(&self, close: Close) {
        self.leave_close(close);
        if let Some(mut outgoing) = self.try_lock()
            && self.send_left(&mut outgoing).is_ok()
        {
            let _ = self.stream.shutdown(Shutdown::Write);
        }
    }

    /// As `close`, by whoever has the lock.
    pub(crate) fn close_within_lock(&self, outgoing: &mut Outgoing, close: Close) -> Result<()> {
        self.leave_close(close);
        self.send_left(outgoing)
    }

    /// Once our Close is out, or on its way: when the peer must have answered it.
    pub(crate) fn closing(&self) -> Option<Deadline> {
        self.closing.get().copied()
    }

    /// As `close`, for one who has thousands to close: a peer whose buffers are full is not waited for.
    pub(crate) fn close_in_passing(&self, close: Close) {
        self.leave_close(close);
        let Some(mut outgoing) = self.try_lock() else { return };
        let _ = self.stream.set_write_timeout(wait_of_a_call(A_MOMENT));
        let sent = self.send_left(&mut outgoing);
        let _ = self.stream.set_write_timeout(wait_of_a_call(self.write_within));
        drop(outgoing);
        let _ = sent.and_then(|()| self.settle());
    }

    /// Pings, unless somebody is writing, which tells as much: whether it was sent.
    pub(crate) fn ping(&self, payload: &[u8]) -> Result<bool> {
        let Some(mut outgoing) = self.try_lock() else { return Ok(false) };
        outgoing.ping(payload)?;
        self.write(&mut outgoing, &[])?;
        drop(outgoing);
        self.settle().map(|()| true)
    }

    /// Writes what was fed. If the lock is taken, whoever has it does so.
    pub(crate) fn flush_unless_busy(&self) -> Result<()> {
        let Some(mut outgoing) = self.try_lock() else { return Ok(()) };
        self.write(&mut outgoing, &[])?;
        drop(outgoing);
        self.settle()
    }

    /// Gives back memory that an idle connection does not need.
    pub(crate) fn shrink(&self) -> Result<()> {
        if let Some(mut outgoing) = self.try_lock() {
            outgoing.shrink();
        }
        self.settle()
    }

    fn leave_close(&self, close: Close) {
        self.closing.get_or_init(|| Deadline::after(self.close_within));
        self.slot.leave_close(close);
    }

    // WALK: settle
    /// Sends what was left. Called by everybody who has let the lock go, unless our Close is out: between
    /// our look and the unlocking somebody may have left something, and relied on us.
    pub(crate) fn settle(&self) -> Result<()> {
        while self.slot.is_filled() {
            let Some(mut outgoing) = self.try_lock() else { return Ok(()) };
            self.send_left(&mut outgoing)?;
        }
        Ok(())
    }

    /// Sends what was left, between two frames of whoever has the lock.
    pub(crate) fn send_left(&self, outgoing: &mut Outgoing) -> Result<()> {
        self.encode_left(outgoing)?;
        self.write(outgoing, &[])
    }

    fn encode_left(&self, outgoing: &mut Outgoing) -> Result<()> {
        let Left { pong, close } = self.slot.take();
        if outgoing.is_closed() {
            return Ok(());
        }
        if let Some(payload) = pong {
            outgoing.pong(&payload)?;
        }
        if let Some(close) = close {
            log::debug!("{} we close with {close}", self.id);
            outgoing.close(&close)?;
        }
        Ok(())
    }

    /// Writes the batch and what goes behind it, in as few calls as the stream takes.
    pub(crate) fn write(&self, outgoing: &mut Outgoing, behind: &[u8]) -> Result<()> {
        let total = outgoing.batch().len() + behind.len();
        if total == 0 {
            return Ok(());
        }
        let written = write_at_pace(self.write_within, &*self.stream, outgoing.batch(), behind);
        outgoing.written();
        let messages = outgoing.take_message_count();
        match written {
            Ok(()) => self.tally.sent(messages, total),
            Err(_) => {
                // A frame may have gone out in part: nothing can follow it.
                outgoing.break_off();
                self.cut();
            }
        }
        written.map_err(too_slow_or_lost)
    }

    /// Ends the connection on the spot; whoever reads or writes is woken with an error.
    pub(crate) fn cut(&self) {
        self.gone.store(true, SeqCst);
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Sends what waits in the outboxes, then our Close unless it is out; all before the deadline.
    pub(crate) fn close_before(&self, deadline: Deadline, close: Close) -> Result<()> {
        self.outboxes.finish(deadline);
        self.leave_close(close);
        let Some(mut outgoing) = self.lock_before(deadline) else { return Err(Error::TooSlow) };
        self.encode_left(&mut outgoing)?;
        let written = write_before(deadline, &*self.stream, outgoing.batch());
        if written.is_ok() {
            let total = outgoing.batch().len();
            self.tally.sent(outgoing.take_message_count(), total);
        }
        outgoing.break_off();
        written.map_err(too_slow_or_lost)
    }

    /// Says goodbye and leaves, so that the peer sees our Close and not a reset. Once.
    pub(crate) fn finish(&self, deadline: Deadline, close: Close) {
        if self.gone.swap(true, SeqCst) {
            // Nobody is there. Who sends must know, and the threads of the outboxes, or they wait for ever.
            if let Some(mut outgoing) = self.try_lock() {
                outgoing.break_off();
            }
            return self.outboxes.finish(Deadline::after(Duration::ZERO));
        }
        let _ = self.close_before(deadline, close);
        if self.waits_for_end.load(SeqCst) {
            let_the_peer_end(deadline, &*self.stream);
        }
        part(deadline, &*self.stream);
    }

    /// Both have sent their Close. §5.5.1: a server ends the stream at once, whatever its application
    /// still has to do, and a client waits for that.
    pub(crate) fn both_have_closed(&self) {
        match self.role {
            Role::Server => drop(self.stream.shutdown(Shutdown::Write)),
            Role::Client => self.waits_for_end.store(true, SeqCst),
        }
    }

    /// The lock, for a message that is written piece by piece.
    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, Outgoing> {
        lock(&self.outgoing)
    }

    /// The lock, if whoever has it lets go of it in time.
    fn lock_before(&self, deadline: Deadline) -> Option<MutexGuard<'_, Outgoing>> {
        loop {
            match self.try_lock() {
                None if !deadline.has_passed() => thread::sleep(Duration::from_millis(1)),
                lock => return lock,
            }
        }
    }

    fn try_lock(&self) -> Option<MutexGuard<'_, Outgoing>> {
        match self.outgoing.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}
