//! What the thread that reads leaves to be sent, by whoever has the lock of what goes out.
//!
//! Rules of this file:
//! - Nobody waits here: what is left is a pong, a Close, or both, and taken in a few steps.
//! - Only the latest ping is owed an answer (RFC 6455 §5.5.3), and only the first Close counts.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use crate::frames::close::Close;
use crate::transport::lock::lock;

/// A place for one pong and one Close.
#[derive(Default)]
pub(crate) struct PendingControl {
    left: Mutex<PendingFrames>,
    is_pending: AtomicBool,
}

/// What was left.
#[derive(Default)]
pub(crate) struct PendingFrames {
    pub(crate) pong: Option<Vec<u8>>,
    pub(crate) close: Option<Close>,
}

impl PendingControl {
    /// Leaves a pong in place of an older one.
    pub(crate) fn set_pong(&self, payload: Vec<u8>) {
        lock(&self.left).pong = Some(payload);
        self.is_pending.store(true, SeqCst);
    }

    /// Leaves a Close, unless there is one.
    pub(crate) fn set_close(&self, close: Close) {
        lock(&self.left).close.get_or_insert(close);
        self.is_pending.store(true, SeqCst);
    }

    /// Whether something was left that nobody has taken.
    pub(crate) fn is_pending(&self) -> bool {
        self.is_pending.load(SeqCst)
    }

    /// Takes what was left.
    pub(crate) fn take(&self) -> PendingFrames {
        self.is_pending.store(false, SeqCst);
        std::mem::take(&mut *lock(&self.left))
    }
}
