//! The close guard: dropping its last clone closes the connection.
//!
//! A `WebSocket` holds a clone of the guard. On a server, the connection's thread holds another
//! clone while the handler runs. Therefore the guard closes the connection only after the
//! `WebSocket` is dropped and the handler has ended. That way, it sends the right Close even in two
//! special cases:
//! - The handler ends while its `WebSocket` lives on in another thread. The connection stays open
//!   until that thread drops the `WebSocket`.
//! - The handler fails after it has dropped its `WebSocket`. The close code is 1011, not 1000.
//!
//! After it has closed the connection, the guard logs one line, and notifies the server's registry
//! of connections. The line names the peer, the path, the peer's close code (1006 if the
//! `WebSocket` received no Close, per §7.1.5), the error that ended the connection (if any), how
//! long the connection was open, and how many messages and bytes it carried.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU16, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use super::write_half::WriteHalf;
use crate::diagnostic::quote;
use crate::error::Error;
use crate::frames::close::Close;
use crate::frames::close_code::CloseCode;
use crate::http::request::Request;

/// An observer that the close guard notifies once the connection has closed. The server's registry
/// of connections implements this trait.
pub(crate) trait CloseObserver: Send + Sync {
    fn connection_closed(&self, id: u64);
}

/// A guard that closes a connection when the last `Arc` of the guard is dropped. It then logs how
/// the connection ended, and notifies the observer.
pub(crate) struct CloseGuard {
    pub(crate) write_half: Arc<WriteHalf>,
    code: AtomicU16,
    /// The guard notifies this observer once the connection has closed. On a server, it's the
    /// registry of open connections; on a client, it's `None`.
    observer: Option<Arc<dyn CloseObserver>>,
    /// The HTTP request that opened the connection. It also holds the peer's address.
    pub(crate) request: Box<Request>,
    opened: Instant,
    /// The peer's close code, for the log. 1006 ([`ABNORMAL`]) if the `WebSocket` was dropped
    /// before it received the peer's Close.
    peer_code: AtomicU16,
    /// For the log, the first line of the error that ended the connection: `BytesLost`, or an error
    /// that the handler returned but the peer or the network caused. Empty if there was no such
    /// error.
    cause: OnceLock<String>,
}

/// The close code that the log shows if the `WebSocket` received no Close from the peer (§7.1.5).
/// This code must never be sent in a Close frame.
const ABNORMAL: u16 = 1006;

impl CloseGuard {
    pub(crate) fn new(
        write_half: Arc<WriteHalf>,
        observer: Option<Arc<dyn CloseObserver>>,
        request: Box<Request>,
    ) -> Arc<CloseGuard> {
        Arc::new(CloseGuard {
            write_half,
            code: AtomicU16::new(CloseCode::NORMAL.0),
            observer,
            request,
            opened: Instant::now(),
            peer_code: AtomicU16::new(ABNORMAL),
            cause: OnceLock::new(),
        })
    }

    /// Sets the code of the Close that the guard sends. The default is 1000. The guard sends its
    /// Close only if no Close was requested before, or if the earlier Close still waits for the
    /// handler.
    pub(crate) fn set_code(&self, code: CloseCode) {
        self.code.store(code.0, SeqCst);
    }

    /// Records the peer's close code for the log. Without this call, the log shows 1006.
    pub(crate) fn note_peer_code(&self, code: CloseCode) {
        self.peer_code.store(code.0, SeqCst);
    }

    /// Records the first line of this error, which the log shows as the reason why the connection
    /// ended. Only the first call has an effect.
    pub(crate) fn note_cause(&self, error: &Error) {
        let first_line = error.to_string().lines().next().unwrap_or_default().to_owned();
        let _ = self.cause.set(first_line);
    }
}

impl Drop for CloseGuard {
    fn drop(&mut self) {
        let close = Close { code: CloseCode(self.code.load(SeqCst)), reason: String::new() };
        // The stream may be the application's own code, which may panic. The observer must be
        // notified even then, because otherwise the server would never free this connection's
        // permit. And if this thread is panicking already, a second panic that left this function
        // would abort the process.
        let closing = || self.write_half.close_and_linger(close);
        match catch_unwind(AssertUnwindSafe(closing)) {
            Ok(Some(lost @ Error::BytesLost(_))) => self.note_cause(&lost),
            Ok(_) => {}
            Err(_) => {
                log::error!("{} the stream panicked while it was being closed", self.write_half.id);
                let _ = catch_unwind(AssertUnwindSafe(|| self.write_half.abort()));
            }
        }
        log::info!("{} closed: {}", self.write_half.id, ClosingLine(self));
        if let Some(observer) = &self.observer {
            observer.connection_closed(self.write_half.id);
        }
    }
}

/// A connection's last log line: how the connection ended, and what it carried. For example:
/// `peer 127.0.0.1:52000, path "/chat", code 1000, 8.3 s`, and then the message and byte counts.
struct ClosingLine<'a>(&'a CloseGuard);

impl fmt::Display for ClosingLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CloseGuard { write_half, request, opened, peer_code, cause, .. } = self.0;
        match request.peer() {
            Some(peer) => write!(f, "peer {peer}")?,
            None => f.write_str("peer unknown")?,
        }
        let code = CloseCode(peer_code.load(SeqCst));
        write!(f, ", path {}, code {code}", quote(request.path()))?;
        if let Some(cause) = cause.get() {
            write!(f, " ({cause})")?;
        }
        write!(f, ", {:.1} s, {}", opened.elapsed().as_secs_f64(), write_half.traffic)
    }
}
