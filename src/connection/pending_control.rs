//! Pending control frames: the reading thread leaves them here, and the thread that holds the write
//! lock sends them.
//!
//! Rules of this file:
//! - No thread waits here for long: the mutex is held only while a frame is put in or taken out.
//! - Only the latest ping needs an answer (RFC 6455 §5.5.3), and this end sends only one Close.
//!   Therefore at most one pong and one Close are pending, whatever the peer sends.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use crate::transport::lock::lock;

/// The control frames that the thread with the write lock must send next: at most one pong and one
/// Close.
#[derive(Default)]
pub(crate) struct PendingControl {
    frames: Mutex<PendingControlFrames>,
    is_pending: AtomicBool,
}

/// The pending frames: a pong, a Close, both or neither.
#[derive(Default)]
pub(crate) struct PendingControlFrames {
    /// The payload of the pending pong. `None` if no pong is pending.
    pub(crate) pong: Option<Vec<u8>>,
    /// Whether our Close is pending. The [`ClosingState`](super::closing_state::ClosingState) holds
    /// the Close itself.
    pub(crate) close: bool,
}

impl PendingControl {
    /// Makes a pong with this payload pending, in place of an older pending pong. (Only the latest
    /// ping needs an answer.)
    pub(crate) fn set_pong(&self, payload: Vec<u8>) {
        lock(&self.frames).pong = Some(payload);
        self.is_pending.store(true, SeqCst);
    }

    /// Makes our Close pending, so that the next thread that holds the write lock sends it.
    pub(crate) fn set_close(&self) {
        lock(&self.frames).close = true;
        self.is_pending.store(true, SeqCst);
    }

    /// Returns whether a pong or a Close is pending.
    #[inline]
    pub(crate) fn is_pending(&self) -> bool {
        self.is_pending.load(SeqCst)
    }

    /// Returns and clears the pending frames. The caller must hold the write lock, and must send
    /// the frames.
    pub(crate) fn take(&self) -> PendingControlFrames {
        self.is_pending.store(false, SeqCst);
        std::mem::take(&mut *lock(&self.frames))
    }
}
