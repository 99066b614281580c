//! How a connection ends: dropping the last clone of its close guard closes it.
//!
//! A `WebSocket` holds the guard, and so does a server's thread while its handler runs. A handler
//! may end while its `WebSocket` lives on in another thread, and it may fail after it has dropped
//! its `WebSocket`. In both cases the connection sends one Close, with the right code, and then
//! gives its permit back.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering::SeqCst};

use super::write_half::WriteHalf;
use crate::frames::close::Close;
use crate::frames::close_code::CloseCode;
use crate::transport::deadline::Deadline;

/// Closes the connection when it is dropped.
pub(crate) struct CloseGuard {
    pub(crate) write_half: Arc<WriteHalf>,
    code: AtomicU16,
    /// Dropped after the closing handshake, which gives it back.
    _permit: Option<Box<dyn Any + Send + Sync>>,
}

impl CloseGuard {
    pub(crate) fn new(
        write_half: Arc<WriteHalf>,
        permit: Option<Box<dyn Any + Send + Sync>>,
    ) -> CloseGuard {
        CloseGuard { write_half, code: AtomicU16::new(CloseCode::NORMAL.0), _permit: permit }
    }

    /// Sets the code of our Close, which counts unless a Close has been sent before.
    pub(crate) fn set_code(&self, code: CloseCode) {
        self.code.store(code.0, SeqCst);
    }
}

impl Drop for CloseGuard {
    fn drop(&mut self) {
        let close = Close { code: CloseCode(self.code.load(SeqCst)), reason: String::new() };
        self.write_half.close_and_linger(Deadline::after(self.write_half.close_within), close);
        log::info!("{} closed", self.write_half.id);
    }
}
