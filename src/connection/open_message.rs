//! The message that a [`MessageWriter`](super::message_stream::MessageWriter) has begun and not yet
//! finished.
//!
//! Rules of this file:
//! - Fragments of two messages may not mix (RFC 6455 §5.4). So while a message is open, a second one
//!   waits; but control frames pass between its fragments. That is why an open message is a state here,
//!   and not the write lock held.
//! - The thread that has opened a message must not wait for it: that would be a deadlock. Its second
//!   message is a [`Misuse`].

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use crate::diagnostic::misuse::Misuse;
use crate::transport::lock::lock;

/// Whether a message is open, and whose it is.
#[derive(Default)]
pub(crate) struct OpenMessage {
    is_open: AtomicBool,
    owner: Mutex<Option<ThreadId>>,
    finished: Condvar,
}

impl OpenMessage {
    pub(crate) fn is_open(&self) -> bool {
        self.is_open.load(SeqCst)
    }

    /// Opens a message of this thread. The caller holds the write lock, and none is open.
    pub(crate) fn open(&self) {
        let mut owner = lock(&self.owner);
        *owner = Some(thread::current().id());
        self.is_open.store(true, SeqCst);
    }

    /// The message is finished or given up: another one may begin.
    pub(crate) fn close(&self) {
        let mut owner = lock(&self.owner);
        *owner = None;
        self.is_open.store(false, SeqCst);
        self.finished.notify_all();
    }

    /// Waits until no message is open, but not longer than this. The caller looks again.
    pub(crate) fn wait(&self, at_most: Duration) -> Result<(), Misuse> {
        let owner = lock(&self.owner);
        if *owner == Some(thread::current().id()) {
            return Err(Misuse::WithinMessage);
        }
        let waited = self.finished.wait_timeout_while(owner, at_most, |owner| owner.is_some());
        drop(waited.unwrap_or_else(PoisonError::into_inner));
        Ok(())
    }
}
