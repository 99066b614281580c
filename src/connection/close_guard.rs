//! How a connection ends: dropping the last clone of its close guard closes it.
//!
//! A `WebSocket` holds the guard, and so does a server's thread while its handler runs. A handler
//! may end while its `WebSocket` lives on in another thread, and it may fail after it has dropped
//! its `WebSocket`. In both cases the connection sends one Close, with the right code, and then
//! tells its owner.
//!
//! The end of a connection is one line of the log: the peer, the path, the code of the peer's Close
//! (1006 if none came, as §7.1.5 names it), how long it was open, and what passed through it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use super::write_half::WriteHalf;
use crate::diagnostic::quote;
use crate::error::Error;
use crate::frames::close::Close;
use crate::frames::close_code::CloseCode;
use crate::http::request::Request;

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
    /// The request that opened the connection.
    pub(crate) request: Box<Request>,
    /// The peer's address, if the stream has one. Asked for at the start: afterwards the system may
    /// have forgotten it.
    pub(crate) peer: Option<SocketAddr>,
    opened: Instant,
    /// The code of the peer's Close.
    peer_code: AtomicU16,
    /// Why the handler gave up the connection, if that was not the handler's own fault.
    cause: OnceLock<String>,
}

/// The peer sent no Close frame (§7.1.5). No frame ever has this code.
const ABNORMAL: u16 = 1006;

impl CloseGuard {
    pub(crate) fn new(
        write_half: Arc<WriteHalf>,
        owner: Option<Arc<dyn Owner>>,
        request: Box<Request>,
    ) -> Arc<CloseGuard> {
        Arc::new(CloseGuard {
            peer: write_half.stream.peer(),
            write_half,
            code: AtomicU16::new(CloseCode::NORMAL.0),
            owner,
            request,
            opened: Instant::now(),
            peer_code: AtomicU16::new(ABNORMAL),
            cause: OnceLock::new(),
        })
    }

    /// Sets the code of our Close, which counts unless a Close has been sent before.
    pub(crate) fn set_code(&self, code: CloseCode) {
        self.code.store(code.0, SeqCst);
    }

    /// Notes the peer's Close for the log.
    pub(crate) fn set_peer_code(&self, code: CloseCode) {
        self.peer_code.store(code.0, SeqCst);
    }

    /// Notes the error of the connection for the log.
    pub(crate) fn set_cause(&self, error: &Error) {
        let first_line = error.to_string().lines().next().unwrap_or_default().to_owned();
        let _ = self.cause.set(first_line);
    }
}

impl Drop for CloseGuard {
    fn drop(&mut self) {
        let close = Close { code: CloseCode(self.code.load(SeqCst)), reason: String::new() };
        if let Some(lost @ Error::BytesLost(_)) = self.write_half.close_and_linger(close) {
            self.set_cause(&lost);
        }
        log::info!("{} closed: {}", self.write_half.id, ClosingLine(self));
        if let Some(owner) = &self.owner {
            owner.connection_closed(self.write_half.id);
        }
    }
}

/// How a connection ended, for the log.
struct ClosingLine<'a>(&'a CloseGuard);

impl fmt::Display for ClosingLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CloseGuard { write_half, request, peer, opened, peer_code, cause, .. } = self.0;
        match peer {
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
