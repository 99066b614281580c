//! The open message: one that a [`MessageWriter`](super::message_stream::MessageWriter) has begun
//! and not yet finished.
//!
//! Rules of this file:
//! - Fragments of two messages must not mix (RFC 6455 §5.4). While a message is open, a second
//!   message waits, but control frames pass between the fragments. Therefore no thread holds the
//!   write lock from a message's beginning to its end. Instead, this file records that a message is
//!   open.
//! - The thread that has opened a message must not wait for the end of that message, because it
//!   would wait for itself forever. If this thread begins a second message, the call fails with a
//!   [`Misuse`].

// (The model checker replaces `std`'s atomics and tries every order of their operations. No
// decision depends on the order in which threads change the counter of fragments, so this counter
// uses `core`'s atomics, which aren't replaced.)
use core::sync::atomic::{AtomicU16, Ordering::Relaxed};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use crate::diagnostic::misuse::Misuse;
use crate::transport::lock::lock;

/// A connection's *open message*: the message that a thread is currently writing piece by piece, if
/// any. This value records which thread opened it. At most one message is open at a time.
#[derive(Default)]
pub(crate) struct OpenMessage {
    is_open: AtomicBool,
    owner: Mutex<Option<ThreadId>>,
    finished: Condvar,
    /// The number of fragments that the connection's `MessageWriter`s have sent. While this number
    /// changes, the threads that wait for the end of the open message continue to wait. (It's small
    /// to keep open connections small, and may wrap around.)
    fragments: AtomicU16,
}

impl OpenMessage {
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.is_open.load(SeqCst)
    }

    /// Records that the calling thread has begun a message that it writes piece by piece. The
    /// caller must hold the write lock, and must have checked that no other message is open.
    pub(crate) fn open(&self) {
        let mut owner = lock(&self.owner);
        *owner = Some(thread::current().id());
        self.is_open.store(true, SeqCst);
    }

    /// Records that the message written piece by piece is finished or abandoned, and wakes the
    /// threads that wait to begin another message.
    pub(crate) fn close(&self) {
        let mut owner = lock(&self.owner);
        *owner = None;
        self.is_open.store(false, SeqCst);
        self.finished.notify_all();
    }

    /// Records that a fragment of the message written piece by piece was sent.
    pub(crate) fn note_fragment_sent(&self) {
        self.fragments.fetch_add(1, Relaxed);
    }

    /// Returns how many fragments of such messages were sent on this connection. The count may wrap
    /// around, so only a change means something: a message has made progress.
    pub(crate) fn fragments_sent(&self) -> u64 {
        self.fragments.load(Relaxed).into()
    }

    /// Waits until no message is being written piece by piece, but no longer than `at_most`. The
    /// caller must then check again, because the message may still be unfinished, or another thread
    /// may have begun the next one. Fails with `WithinMessage` if the calling thread itself has
    /// begun the message, because the thread would wait for itself forever.
    pub(crate) fn wait_until_none_is_open(&self, at_most: Duration) -> Result<(), Misuse> {
        let owner = lock(&self.owner);
        if *owner == Some(thread::current().id()) {
            return Err(Misuse::WithinMessage);
        }
        let waited = self.finished.wait_timeout_while(owner, at_most, |owner| owner.is_some());
        drop(waited.unwrap_or_else(PoisonError::into_inner));
        Ok(())
    }
}
