//! Pending control frames: the reading thread leaves them here, and the thread that holds the write
//! lock sends them.
//!
//! Rules of this file:
//! - No thread waits here for long: the mutex is held only for the few steps that put a frame in or
//!   take it out.
//! - Only the latest ping needs an answer (RFC 6455 §5.5.3), and only the first Close counts.
//!   Therefore at most one pong and one Close are pending, whatever the peer sends.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use crate::frames::close::Close;
use crate::transport::lock::lock;

/// A connection's control frames that wait for the thread that holds the write lock: at most one
/// pong and one Close.
#[derive(Default)]
pub(crate) struct PendingControl {
    frames: Mutex<PendingFrames>,
    is_pending: AtomicBool,
}

/// The pending pong's payload, and the pending Close. Each is `None` if no such frame is pending.
#[derive(Default)]
pub(crate) struct PendingFrames {
    pub(crate) pong: Option<Vec<u8>>,
    pub(crate) close: Option<Close>,
}

impl PendingControl {
    /// Makes a pong with this payload pending, in place of an older pending pong. (Only the latest
    /// ping needs an answer.)
    pub(crate) fn set_pong(&self, payload: Vec<u8>) {
        lock(&self.frames).pong = Some(payload);
        self.is_pending.store(true, SeqCst);
    }

    /// Makes this Close pending, unless another Close is already pending.
    pub(crate) fn set_close(&self, close: Close) {
        lock(&self.frames).close.get_or_insert(close);
        self.is_pending.store(true, SeqCst);
    }

    /// Returns whether a pong or a Close is pending.
    pub(crate) fn is_pending(&self) -> bool {
        self.is_pending.load(SeqCst)
    }

    /// Returns and clears the pending frames. The caller must hold the write lock, and must send
    /// the frames.
    pub(crate) fn take(&self) -> PendingFrames {
        self.is_pending.store(false, SeqCst);
        std::mem::take(&mut *lock(&self.frames))
    }
}
