//! The message lock: a thread holds it while a
//! [`MessageWriter`](super::message_writer::MessageWriter) exists, so that the writer's fragments
//! mix with no other message.
//!
//! Rules of this file:
//! - Fragments of two messages must not mix (RFC 6455 §5.4). While a thread holds this lock, a
//!   second message waits, but control frames pass between the fragments. Therefore this lock isn't
//!   the write lock: the holder takes the write lock only for each fragment.
//! - The thread that holds this lock must not wait for it, because it would wait for itself
//!   forever. If this thread begins a second message, the call fails with a [`Misuse`].

// (The counter of fragments uses an atomic of `core`, which the model checker doesn't replace. The
// checker tries every order of the operations on `std`'s atomics, but no decision depends on the
// order in which threads change this counter.)
use core::sync::atomic::{AtomicU16, Ordering::Relaxed};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use crate::diagnostic::misuse::Misuse;
use crate::transport::lock::lock;

/// A connection's lock for a message that is written piece by piece. At most one thread holds it at
/// a time.
#[derive(Default)]
pub(crate) struct MessageLock {
    is_held: AtomicBool,
    holder: Mutex<Option<ThreadId>>,
    released: Condvar,
    /// The number of fragments that the connection's `MessageWriter`s have sent. While this number
    /// changes, the threads that wait for the lock continue to wait. (It has only 16 bits, to keep
    /// open connections small, so it may wrap around.)
    fragments: AtomicU16,
}

impl MessageLock {
    /// Returns whether a `MessageWriter` is in the middle of a message.
    #[inline]
    pub(crate) fn is_held(&self) -> bool {
        self.is_held.load(SeqCst)
    }

    /// Gives the lock to the calling thread, which begins a message that it writes piece by piece.
    /// The caller must hold the write lock, and must have checked that no thread holds the message
    /// lock.
    pub(crate) fn take(&self) {
        let mut holder = lock(&self.holder);
        *holder = Some(thread::current().id());
        self.is_held.store(true, SeqCst);
    }

    /// Releases the lock once the message is finished or abandoned, and wakes the threads that wait
    /// to begin another message.
    pub(crate) fn release(&self) {
        let mut holder = lock(&self.holder);
        *holder = None;
        self.is_held.store(false, SeqCst);
        self.released.notify_all();
    }

    /// Records that a `MessageWriter` has sent a fragment.
    pub(crate) fn note_fragment_sent(&self) {
        self.fragments.fetch_add(1, Relaxed);
    }

    /// Returns how many fragments the connection's `MessageWriter`s have sent. The count may wrap
    /// around, so only a change means something: a message has made progress.
    pub(crate) fn fragments_sent(&self) -> u64 {
        self.fragments.load(Relaxed).into()
    }

    /// Waits until the lock is released, but no longer than `at_most`. The caller must then check
    /// again, because the message may still be unfinished, or another thread may have begun the
    /// next one. Fails with `WithinMessage` if the calling thread itself holds the lock, because
    /// the thread would wait for itself forever.
    pub(crate) fn wait_until_released(&self, at_most: Duration) -> Result<(), Misuse> {
        let holder = lock(&self.holder);
        if *holder == Some(thread::current().id()) {
            return Err(Misuse::WithinMessage);
        }
        let waited = self.released.wait_timeout_while(holder, at_most, |holder| holder.is_some());
        drop(waited.unwrap_or_else(PoisonError::into_inner));
        Ok(())
    }
}
