//! The limits on every size, number and time that a peer could drive too high.
//!
//! A peer that exceeds a limit receives a close code or an HTTP status, or loses its connection.
//! Each field's comment says which.

use std::time::Duration;

use crate::frames::assembler::Bounds;

/// The limits that a server or a client enforces on its peers. Change some limits and keep the
/// defaults of the others:
///
/// ```
/// use ws101::Limits;
/// let limits = Limits { max_message: 64 * 1024, ..Limits::default() };
/// ```
#[derive(Clone, Debug)]
pub struct Limits {
    /// The maximum number of bytes in a message, over all its fragments. A larger message fails
    /// with close code 1009 as soon as a frame header announces too many bytes. In a compressed
    /// message, this limit applies to the inflated bytes. The compressed bytes may be twice as
    /// many, plus 1 KiB, plus 16 bytes per fragment.
    pub max_message: u64,
    /// The maximum number of bytes in a message that [`recv_stream`](crate::WebSocket::recv_stream)
    /// reads in pieces. A larger message fails with close code 1009. With `None`, `max_message`
    /// applies. This limit may be large, because reading in pieces takes constant memory. It
    /// doesn't affect `recv`.
    pub max_stream: Option<u64>,
    /// The maximum number of fragments in a message, including empty ones. A message with more
    /// fragments fails with close code 1009.
    pub max_fragments: u64,
    /// The maximum number of bytes in an HTTP head. A server answers a longer head with 431, and a
    /// client gives up the connection.
    pub max_head: usize,
    /// The maximum number of lines in an HTTP head. A server answers a longer head with 431, and a
    /// client gives up the connection.
    pub max_head_lines: usize,
    /// The maximum number of connections that a server keeps open at a time. The next client
    /// receives a 503.
    pub max_connections: usize,
    /// The maximum number of pending connections. A connection is pending while its HTTP head is
    /// read or a plain HTTP response is sent. Above this number, the server drops the oldest
    /// pending connection. An honest client sends its head within milliseconds, so a crowd of slow
    /// clients can't keep it out. This is also the maximum number of pages that are generated at a
    /// time. The next request for a page receives a 503.
    pub max_waiting: usize,
    /// How long a client may take to send its complete HTTP head, in any number of pieces. A slower
    /// client receives a 408.
    pub head: Duration,
    /// How long a client tries to connect: dialling, the proxy tunnel, TLS and the handshake
    /// together. After that, `connect` fails with `PeerTimeout`. The hostname lookup isn't
    /// included, because the operating system limits it.
    pub connect: Duration,
    /// How long the peer may take to read each 64 KiB that we write. A slower peer loses its
    /// connection.
    pub write: Duration,
    /// How long the peer may be silent before the keepalive sends a ping. With `None`, the
    /// keepalive sends no pings.
    pub ping_every: Option<Duration>,
    /// How long the keepalive waits for any byte after its ping. If no byte arrives, `recv` fails
    /// with `PeerTimeout`.
    pub pong: Duration,
    /// How long the peer may take to answer our Close, and after that to end its stream. A peer
    /// that is still reading our bytes gets the same time again, up to a limited number of times.
    pub close: Duration,
    /// The stack size of a connection's thread, in bytes. The operating system allocates memory
    /// only for the pages that the thread uses.
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
    /// Returns the bounds that the decoder enforces on each message.
    pub(crate) fn bounds(&self) -> Bounds {
        Bounds { max_message: self.max_message, max_fragments: self.max_fragments }
    }

    /// Returns the maximum size in bytes of a message that the application reads in pieces.
    pub(crate) fn max_streamed(&self) -> u64 {
        self.max_stream.unwrap_or(self.max_message)
    }

    /// Returns the maximum number of bytes and of lines in an HTTP head.
    pub(crate) fn head_size(&self) -> (usize, usize) {
        (self.max_head, self.max_head_lines)
    }
}
