//! How much, how many, how long: everything that a peer could otherwise stretch.

use std::time::Duration;

use crate::frames::assembler::Bounds;

/// The limits of a server or a client. Change some and keep the others:
///
/// ```
/// use ws101::Limits;
/// let limits = Limits { max_message: 64 * 1024, ..Limits::default() };
/// ```
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a message, over all its fragments. More is 1009, told from the header.
    pub max_message: u64,
    /// Fragments of a message, empty ones included. More is 1009.
    pub max_fragments: u64,
    /// Bytes of a head. More is 431.
    pub max_head: usize,
    /// Lines of a head. More is 431.
    pub max_head_lines: usize,
    /// Connections at a time. One more is told 503.
    pub max_connections: usize,
    /// Heads being read, and pages and refusals being sent, at a time. One more, and the oldest makes way:
    /// an honest client needs milliseconds for its head, so a crowd of slow ones never keeps it out.
    pub max_waiting: usize,
    /// For the whole head, however it trickles in. Later is 408. A client dials within it, too.
    pub head: Duration,
    /// For a write in which the peer takes less than 64 KiB. Longer, and it is dropped.
    pub write: Duration,
    /// Of silence before we ping, and up to `close` more; `None`: never.
    pub ping_every: Option<Duration>,
    /// For anything to come once we have pinged. Later, the peer is taken for dead.
    pub pong: Duration,
    /// For the peer's Close once ours is sent, and for its last bytes.
    pub close: Duration,
    /// The stack of a connection's thread. Only what is touched takes memory.
    pub stack: usize,
}

// WALK: limits
impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_message: 16 * 1024 * 1024,
            max_fragments: 131_072,
            max_head: 16 * 1024,
            max_head_lines: 100,
            max_connections: 10_000,
            max_waiting: 256,
            head: Duration::from_secs(10),
            write: Duration::from_secs(20),
            ping_every: Some(Duration::from_secs(20)),
            pong: Duration::from_secs(20),
            close: Duration::from_secs(5),
            stack: 256 * 1024,
        }
    }
}

impl Limits {
    /// The part that the protocol keeps.
    pub(crate) fn bounds(&self) -> Bounds {
        Bounds { max_message: self.max_message, max_fragments: self.max_fragments }
    }

    /// Bytes and lines that a head may have.
    pub(crate) fn head_size(&self) -> (usize, usize) {
        (self.max_head, self.max_head_lines)
    }
}
