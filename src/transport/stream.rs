//! What we need from the operating system: a stream that one thread can read while others write.
//!
//! The threads share one descriptor: a shared reference, `&TcpStream`, is enough to read and to
//! write. A connection runs over anything that implements [`Stream`]: TCP, a Unix socket, TLS, or a
//! pipe in a test.

use std::fmt;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use super::unacknowledged::unacknowledged;

/// A bidirectional byte stream that several threads can use at once, such as a TCP connection.
/// Implement this trait to carry a WebSocket over your own transport.
///
/// A socket must be in blocking mode. In non-blocking mode, a read that finds no bytes fails at
/// once, as if its timeout had passed. Then the handshake usually fails: a client reports
/// [`PeerTimeout`](crate::Error::PeerTimeout), and a server answers its client with a 408.
pub trait Stream: Send + Sync + 'static {
    /// Waits for bytes, reads them into `into`, and returns how many it has read. Returns 0 once
    /// the peer has shut down its side of the stream.
    fn read(&self, into: &mut [u8]) -> io::Result<usize>;
    /// Writes bytes from the slices, in order, and returns how many it has written. If bytes are
    /// left, the caller must call again with the rest.
    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize>;
    /// Sets how long a `read` may wait for bytes. After that time, `read` fails with `WouldBlock`
    /// or `TimedOut`. The timeout is never zero, because sockets reject that. It may be as long as
    /// [`Duration::MAX`], which means no limit. (`Instant::now() + timeout` would then panic.)
    fn set_read_timeout(&self, timeout: Duration) -> io::Result<()>;
    /// Sets how long a `write` may wait until the stream can take bytes. After that time, `write`
    /// returns how many bytes it has written, or fails with `WouldBlock` or `TimedOut` if it has
    /// written none. A stream that throttles writes must observe this timeout, too: a stopping
    /// server writes its Closes one after another, so a stream that waits longer would delay the
    /// Closes to all other connections.
    fn set_write_timeout(&self, timeout: Duration) -> io::Result<()>;
    /// Shuts down the reading side, the writing side or both, depending on `how`. This must wake
    /// each thread that waits in `read` or `write` on a side that is shut down. (On Windows, a
    /// `TcpStream` doesn't wake a thread that waits in `write`.)
    fn shutdown(&self, how: Shutdown) -> io::Result<()>;
    /// Returns the peer's IP address and port. Returns `None` if the stream has none, for example
    /// because it's a Unix socket.
    fn peer(&self) -> Option<SocketAddr> {
        None
    }
    /// Returns the peer's TLS certificate chain, encoded as DER. The peer's own certificate comes
    /// first. The chain is empty without TLS, or if the peer presented no certificate.
    fn peer_certificates(&self) -> Vec<Vec<u8>> {
        Vec::new()
    }
    /// Returns the number of written bytes that the peer's TCP stack has not acknowledged yet, or
    /// `None` if that number isn't known. This crate uses the number to report lost bytes as
    /// [`BytesLost`](crate::Error::BytesLost), and to see that a slow peer is still reading. For a
    /// `TcpStream`, the number is known only on Linux, where this call may wait 100 ms for it.
    fn unacknowledged(&self) -> Option<u64> {
        None
    }
}

impl Stream for TcpStream {
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        #[cfg(windows)]
        wait_until_readable(self)?;
        (&mut &*self).read(into)
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match slices {
            [one] => (&mut &*self).write(one),
            _ => (&mut &*self).write_vectored(slices),
        }
    }

    fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        let timeout = Some(at_least_one_millisecond(timeout));
        unless_shut_down(TcpStream::set_read_timeout(self, timeout))
    }

    // On Windows, a write that times out may have sent some of its bytes, and doesn't report how
    // many. The caller then writes all its bytes again, so a peer that stops reading for seconds
    // may receive some of them twice, and fail the connection. Linux and macOS return the number of
    // bytes sent.
    fn set_write_timeout(&self, timeout: Duration) -> io::Result<()> {
        let timeout = Some(at_least_one_millisecond(timeout));
        unless_shut_down(TcpStream::set_write_timeout(self, timeout))
    }

    // On macOS, shutting down the reading side drops the bytes that have arrived but haven't been
    // read. Therefore this crate does so only when it needs no more bytes from the peer, for
    // example when the server evicts a connection. On Windows, this doesn't wake a thread that
    // waits in `write`, so such a thread goes on waiting until its timeout passes.
    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        TcpStream::shutdown(self, how)
    }

    fn peer(&self) -> Option<SocketAddr> {
        self.peer_addr().ok()
    }

    fn unacknowledged(&self) -> Option<u64> {
        unacknowledged(self)
    }
}

/// Waits until a read has something to return, for at most the stream's read timeout.
///
/// On Windows, a shutdown doesn't wake a thread that waits in a read. It only makes later reads
/// return at once. Therefore this function waits in a loop of short calls of `peek`. (It doesn't
/// call `read`, because a read whose timeout passes may lose the bytes that arrive at that moment.)
///
/// Each call of `peek` waits for 100 ms, which Windows may round up to half a second. To make it so
/// short, this function changes the socket's read timeout, and restores it at the end. Therefore
/// only one thread may read at a time, and no other thread may set the read timeout meanwhile. This
/// crate observes both rules.
#[cfg(windows)]
fn wait_until_readable(stream: &TcpStream) -> io::Result<()> {
    const INTERVAL: Duration = Duration::from_millis(100);
    let timeout = stream.read_timeout()?;
    let start = std::time::Instant::now();
    let rest = || timeout.map_or(INTERVAL, |timeout| timeout.saturating_sub(start.elapsed()));
    let peeked = loop {
        Stream::set_read_timeout(stream, rest().min(INTERVAL))?;
        match stream.peek(&mut [0]) {
            Err(error) if error.kind() == ErrorKind::TimedOut && !rest().is_zero() => {}
            peeked => break peeked,
        }
    };
    TcpStream::set_read_timeout(stream, timeout)?;
    peeked.map(drop)
}

#[cfg(unix)]
impl Stream for std::os::unix::net::UnixStream {
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        (&mut &*self).read(into)
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        (&mut &*self).write_vectored(slices)
    }

    fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        let timeout = Some(at_least_one_millisecond(timeout));
        unless_shut_down(Self::set_read_timeout(self, timeout))
    }

    fn set_write_timeout(&self, timeout: Duration) -> io::Result<()> {
        let timeout = Some(at_least_one_millisecond(timeout));
        unless_shut_down(Self::set_write_timeout(self, timeout))
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        Self::shutdown(self, how)
    }
}

/// A shared stream is a stream, too: a program passes one reference to the connection, and may keep
/// another.
impl<S: Stream + ?Sized> Stream for Arc<S> {
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        (**self).read(into)
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        (**self).write(slices)
    }

    fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        (**self).set_read_timeout(timeout)
    }

    fn set_write_timeout(&self, timeout: Duration) -> io::Result<()> {
        (**self).set_write_timeout(timeout)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        (**self).shutdown(how)
    }

    fn peer(&self) -> Option<SocketAddr> {
        (**self).peer()
    }

    fn peer_certificates(&self) -> Vec<Vec<u8>> {
        (**self).peer_certificates()
    }

    fn unacknowledged(&self) -> Option<u64> {
        (**self).unacknowledged()
    }
}

/// The application's function that wraps each stream, for example in a tap, before a connection
/// uses the stream. `None` if the application has set no such function.
#[derive(Clone, Default)]
pub(crate) struct WrapStream(Option<Arc<Wrap>>);

type Wrap = dyn Fn(Arc<dyn Stream>) -> Arc<dyn Stream> + Send + Sync;

impl WrapStream {
    pub(crate) fn new(
        wrap: impl Fn(Arc<dyn Stream>) -> Arc<dyn Stream> + Send + Sync + 'static,
    ) -> WrapStream {
        WrapStream(Some(Arc::new(wrap)))
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn apply(&self, stream: Arc<dyn Stream>) -> Arc<dyn Stream> {
        self.0.as_ref().map_or(stream.clone(), |wrap| wrap(stream))
    }
}

impl fmt::Debug for WrapStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "WrapStream(..)" } else { "nothing" })
    }
}

/// Returns `timeout`, or one millisecond if `timeout` is shorter, because a socket rejects a
/// timeout of zero.
fn at_least_one_millisecond(timeout: Duration) -> Duration {
    timeout.max(Duration::from_millis(1))
}

/// Ignores the error with which macOS refuses to set a timeout once the stream is shut down in both
/// directions. Reads and writes then return at once, so they need no timeout, and a read may still
/// return bytes that arrived before.
fn unless_shut_down(set: io::Result<()>) -> io::Result<()> {
    set.or_else(|error| match error.kind() {
        ErrorKind::InvalidInput if cfg!(target_vendor = "apple") => Ok(()),
        _ => Err(error),
    })
}

/// Returns whether this error of a read or a write is a timeout. Unix reports a timeout as
/// `WouldBlock`, and Windows as `TimedOut`.
pub fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Marks the error of a TLS read that received only part of a record: the peer is alive, but
/// there's nothing to decrypt yet.
#[derive(Debug)]
pub(crate) struct PartOfRecord;

impl fmt::Display for PartOfRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record of TLS has come in part")
    }
}

impl std::error::Error for PartOfRecord {}

/// Returns whether a TLS read failed only because it received part of a record. The caller must
/// then read again.
pub(crate) fn is_part_of_record(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<PartOfRecord>())
}
