//! How a connection ends: dropping the last clone of its close guard closes it.
//!
//! A `WebSocket` holds the guard, and so does a server's thread while its handler runs. A handler
//! may end while its `WebSocket` lives on in another thread, and it may fail after it has dropped
//! its `WebSocket`. In both cases the connection sends one Close, with the right code, and then
//! tells its owner.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering::SeqCst};

use super::write_half::WriteHalf;
use crate::frames::close::Close;
use crate::frames::close_code::CloseCode;
use crate::transport::deadline::Deadline;

/// What must hear that a connection has closed: a server's registry.
pub(crate) trait Owner: Send + Sync {
    fn connection_closed(&self, id: u64);
}

/// Closes the connection when it is dropped.
pub(crate) struct CloseGuard {
    pub(crate) write_half: Arc<WriteHalf>,
    code: AtomicU16,
    /// Hears of the end once the closing handshake is over; a client's connection has none.
    owner: Option<Arc<dyn Owner>>,
}

impl CloseGuard {
    pub(crate) fn new(write_half: Arc<WriteHalf>, owner: Option<Arc<dyn Owner>>) -> CloseGuard {
        CloseGuard { write_half, code: AtomicU16::new(CloseCode::NORMAL.0), owner }
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
        if let Some(owner) = &self.owner {
            owner.connection_closed(self.write_half.id);
        }
    }
}
