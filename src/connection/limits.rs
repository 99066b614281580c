//! How much, how many, how long: the limits on all that a peer could otherwise make larger or
//! longer.
//!
//! A limit that a peer exceeds leads to a close code (1009), to a status (408, 431, 503) or to the
//! end of the connection. Each field says which.

use std::time::Duration;

use crate::frames::assembler::Bounds;

/// The limits of a server or a client. Change some and keep the defaults of the others:
///
/// ```
/// use ws101::Limits;
/// let limits = Limits { max_message: 64 * 1024, ..Limits::default() };
/// ```
#[derive(Clone, Debug)]
pub struct Limits {
    /// The most bytes of a message, over all its fragments. A larger one fails with 1009 as soon as
    /// a header announces it. A compressed one is counted as it's inflated, and may have up to twice
    /// as many bytes (and a KiB, and 16 bytes a fragment) while it travels.
    pub max_message: u64,
    /// The most bytes of a message that [`recv_stream`](crate::WebSocket::recv_stream) reads piece by
    /// piece, for which nothing is held in memory. `None`: as `max_message`. A larger one fails with
    /// 1009. A stream that may be long doesn't raise what `recv` takes.
    pub max_stream: Option<u64>,
    /// The most fragments of a message, empty ones included. More fail with 1009.
    pub max_fragments: u64,
    /// The most bytes of a head. A longer one gets a 431.
    pub max_head: usize,
    /// The most lines of a head. More get a 431.
    pub max_head_lines: usize,
    /// The most open connections at a time. The next client gets a 503.
    pub max_connections: usize,
    /// The most pending connections at a time: those whose head is being read, or to which a plain
    /// HTTP answer is being sent. One more evicts the oldest. An honest client needs milliseconds
    /// for its head, so a crowd of slow clients never keeps it out. Counted by themselves, as many
    /// pages may be in the making; a client that requests one more gets a 503.
    pub max_waiting: usize,
    /// How long a whole head may take, in however many pieces it comes. A later one gets a 408.
    pub head: Duration,
    /// How long a client tries to connect: dialling, a proxy's tunnel, TLS and the handshake
    /// together. Then it gives up. The time in which the system looks up a name doesn't count.
    pub connect: Duration,
    /// How long the peer may take to accept 64 KiB of a write. A slower one loses its connection.
    pub write: Duration,
    /// How long the peer may be silent before the keepalive sends a ping.
    /// `None`: never.
    pub ping_every: Option<Duration>,
    /// How long the keepalive waits after its ping for anything to come. Then it takes the peer for
    /// dead.
    pub pong: Duration,
    /// How long the peer may take for its Close once ours is written, and after that for its last
    /// bytes. A peer that is still reading what we sent gets as much time again, a few times.
    pub close: Duration,
    /// The stack size of a connection's thread. Only the pages that are touched take memory.
    pub stack: usize,
}

// WALK: limits
impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_message: 16 * 1024 * 1024,
            max_stream: None,
            max_fragments: 131_072,
            max_head: 16 * 1024,
            max_head_lines: 100,
            max_connections: 10_000,
            max_waiting: 256,
            head: Duration::from_secs(10),
            connect: Duration::from_secs(10),
            write: Duration::from_secs(20),
            ping_every: Some(Duration::from_secs(20)),
            pong: Duration::from_secs(20),
            close: Duration::from_secs(5),
            stack: 256 * 1024,
        }
    }
}

impl Limits {
    /// The limits that the frame decoder enforces.
    pub(crate) fn bounds(&self) -> Bounds {
        Bounds { max_message: self.max_message, max_fragments: self.max_fragments }
    }

    /// The most bytes of a message that is delivered in pieces.
    pub(crate) fn max_pieces(&self) -> u64 {
        self.max_stream.unwrap_or(self.max_message)
    }

    /// The most bytes and lines of a head.
    pub(crate) fn head_size(&self) -> (usize, usize) {
        (self.max_head, self.max_head_lines)
    }
}
