//! The limits that keep peers from taking too much memory, too much time or too many connections.
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
    /// The maximum number of bytes in a message, over all its fragments. A larger message closes
    /// the connection with 1009, as soon as a frame header announces too many bytes. In a
    /// compressed message, this limit applies to the inflated bytes. The compressed bytes may total
    /// at most twice the limit, plus 1 KiB, plus 16 bytes per fragment.
    pub max_message: u64,
    /// The maximum number of bytes in a message that [`recv_stream`](crate::WebSocket::recv_stream)
    /// reads in pieces. A larger message closes the connection with 1009. With `None`,
    /// `max_message` applies. This limit can be far above `max_message`, because reading in pieces
    /// takes constant memory. It doesn't affect `recv`.
    pub max_stream: Option<u64>,
    /// The maximum number of fragments in a message, including empty ones. A message with more
    /// fragments closes the connection with 1009.
    pub max_fragments: u64,
    /// The maximum number of bytes in an HTTP head. A server answers a longer head with 431, and a
    /// client's `connect` fails with `Rejected`.
    pub max_head: usize,
    /// The maximum number of lines in an HTTP head. A server answers a longer head with 431, and a
    /// client's `connect` fails with `Rejected`.
    pub max_head_lines: usize,
    /// The maximum number of connections that a server keeps open at a time. A client beyond this
    /// number receives a 503.
    pub max_connections: usize,
    /// The maximum number of pending connections. A connection is pending while its HTTP head is
    /// read or a plain HTTP response is sent. Above this number, the server evicts the connection
    /// that has been pending longest, and sends it a 408 if its head is still incomplete. That way,
    /// a crowd of slow clients can't keep out an honest client, which sends its head within
    /// milliseconds.
    ///
    /// This is also the maximum number of pages that the application's `http` function generates at
    /// a time. A further request for a page receives a 503.
    pub max_waiting: usize,
    /// How long a client may take for the TLS handshake, if any, and its complete HTTP head.
    /// Sending the head in small pieces doesn't extend this time. A client whose head is late
    /// receives a 408.
    pub head: Duration,
    /// How long a client tries to connect: dialling, the proxy tunnel, TLS and the WebSocket
    /// handshake together. After that, `connect` fails with `PeerTimeout`, or with `Rejected` if
    /// the bytes that have arrived aren't HTTP. Only the hostname lookup may take longer, because
    /// the operating system alone limits it.
    pub connect: Duration,
    /// How long the peer may take to read each 64 KiB that we write. A slower peer loses its
    /// connection: the sending call fails with `WriteTimeout`, and so does `recv`.
    pub write: Duration,
    /// How long the peer may be silent before the keepalive sends a ping. With `None`, the
    /// keepalive sends no pings.
    pub ping_every: Option<Duration>,
    /// How long the keepalive waits for any byte after its ping. If none arrives, `recv` fails with
    /// `PeerTimeout`.
    ///
    /// A long message that we wrote before the ping may delay the ping. Therefore, if at least
    /// 64 KiB of our bytes are unacknowledged when this time is over, the peer gets the same time
    /// again, and so on as long as its TCP stack acknowledges 64 KiB more each time. (Only Linux
    /// reports acknowledged bytes, and only for TCP.)
    pub pong: Duration,
    /// How long the peer may take to answer our Close, or to end its stream after it has broken a
    /// rule. A peer that is still reading our bytes gets the same time again, at most once for each
    /// 64 KiB that we sent, and at most 24 times. After that, `close` fails with `PeerTimeout` or
    /// `BytesLost`.
    pub close: Duration,
    /// The stack size of a connection's thread, in bytes. The operating system allocates memory
    /// only for the pages that the thread uses. If it can't provide the stack, the client receives
    /// a 503.
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
    pub(crate) fn message_bounds(&self) -> Bounds {
        Bounds { max_message: self.max_message, max_fragments: self.max_fragments }
    }

    /// Returns the maximum size in bytes of a message that the application reads in pieces.
    pub(crate) fn max_streamed(&self) -> u64 {
        self.max_stream.unwrap_or(self.max_message)
    }

    /// Returns the maximum size of an HTTP head, as `(bytes, lines)`.
    pub(crate) fn head_limits(&self) -> (usize, usize) {
        (self.max_head, self.max_head_lines)
    }
}
