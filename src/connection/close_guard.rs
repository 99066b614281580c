//! How a connection ends: whoever lets go of it last says goodbye.
//!
//! A `WebSocket` holds the farewell, and so does the thread of a server while its handler runs. So a
//! handler may end while its WebSocket lives on elsewhere, and it may fail after its WebSocket is
//! gone: in both cases there is one goodbye, with the right code, and then the place is free again.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering::SeqCst};

use super::write_half::WriteHalf;
use crate::frames::close::Close;
use crate::frames::close_code::CloseCode;
use crate::transport::deadline::Deadline;

/// Says goodbye when it is dropped.
pub(crate) struct CloseGuard {
    pub(crate) write_half: Arc<WriteHalf>,
    code: AtomicU16,
    /// Given back when the goodbye is said.
    _permit: Option<Box<dyn Any + Send + Sync>>,
}

impl CloseGuard {
    pub(crate) fn new(
        write_half: Arc<WriteHalf>,
        permit: Option<Box<dyn Any + Send + Sync>>,
    ) -> CloseGuard {
        CloseGuard { write_half, code: AtomicU16::new(CloseCode::NORMAL.0), _permit: permit }
    }

    /// The code to say, if nobody has closed before.
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
