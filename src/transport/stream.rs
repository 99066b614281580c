//! What we need from the operating system: a stream that threads can read and write at the same
//! time.
//!
//! The threads share one descriptor: `&TcpStream` can read and write, so one thread can wait in
//! `read` while others write. A connection runs on anything that implements [`Stream`]: TCP, a Unix
//! socket, TLS, a pipe in a test.

use std::fmt;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use super::unacknowledged::unacknowledged;

/// A stream of bytes in both directions, which several threads use at once.
pub trait Stream: Send + Sync + 'static {
    /// Waits for bytes and reads them. Returns 0 at the end of the stream.
    fn read(&self, into: &mut [u8]) -> io::Result<usize>;
    /// Writes some of the bytes of the slices, in their order. Returns how many.
    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize>;
    /// Sets how long a read may wait. After that it fails with `WouldBlock` or `TimedOut`.
    fn set_read_timeout(&self, timeout: Duration) -> io::Result<()>;
    /// Sets how long a write may wait. After that it returns how many bytes it has written, or
    /// fails as a read does. (A throttle has to keep this, too: a server that stops writes its
    /// Closes one after another, and each stream that waits for longer delays those that follow.)
    fn set_write_timeout(&self, timeout: Duration) -> io::Result<()>;
    /// Ends one direction or both, and wakes the threads that wait for it.
    fn shutdown(&self, how: Shutdown) -> io::Result<()>;
    /// The address of the other end, if it has one.
    fn peer(&self) -> Option<SocketAddr> {
        None
    }
    /// The certificates that the peer has proved to be its own, as DER, if the stream speaks TLS.
    fn peer_certificates(&self) -> Vec<Vec<u8>> {
        Vec::new()
    }
    /// How many of the written bytes the peer's system has not taken yet. `None` if that isn't
    /// known.
    fn unacknowledged(&self) -> Option<u64> {
        None
    }
}

impl Stream for TcpStream {
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        (&mut &*self).read(into)
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match slices {
            [one] => (&mut &*self).write(one),
            _ => (&mut &*self).write_vectored(slices),
        }
    }

    fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        TcpStream::set_read_timeout(self, Some(at_least_one_millisecond(timeout)))
    }

    // On Windows a write that times out may have sent a part of its bytes, and doesn't say how
    // many. It's tried again all the same, so a peer that stops reading for seconds may get bytes
    // twice there, and fail the connection. Linux and macOS return the number of bytes.
    fn set_write_timeout(&self, timeout: Duration) -> io::Result<()> {
        TcpStream::set_write_timeout(self, Some(at_least_one_millisecond(timeout)))
    }

    // (On macOS, ending the reading direction drops bytes that have come and aren't read. The
    // server does so only with connections that it evicts or refuses.)
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

#[cfg(unix)]
impl Stream for std::os::unix::net::UnixStream {
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        (&mut &*self).read(into)
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        (&mut &*self).write_vectored(slices)
    }

    fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        Self::set_read_timeout(self, Some(at_least_one_millisecond(timeout)))
    }

    fn set_write_timeout(&self, timeout: Duration) -> io::Result<()> {
        Self::set_write_timeout(self, Some(at_least_one_millisecond(timeout)))
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        Self::shutdown(self, how)
    }
}

/// A shared stream: the program gives one reference to the connection, and may keep another.
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

/// The application's function that wraps a stream before the connection gets it, such as in a tap.
/// By default there's none.
#[derive(Clone, Default)]
pub(crate) struct WrapStream(Option<Arc<Wrap>>);

type Wrap = dyn Fn(Arc<dyn Stream>) -> Arc<dyn Stream> + Send + Sync;

impl WrapStream {
    pub(crate) fn new(
        wrap: impl Fn(Arc<dyn Stream>) -> Arc<dyn Stream> + Send + Sync + 'static,
    ) -> WrapStream {
        WrapStream(Some(Arc::new(wrap)))
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

/// Returns a timeout of at least a millisecond, because the operating system takes zero for "no
/// timeout".
fn at_least_one_millisecond(timeout: Duration) -> Duration {
    timeout.max(Duration::from_millis(1))
}

/// Whether a read or a write failed because its timeout passed. Unix says `WouldBlock`, Windows
/// `TimedOut`.
pub fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// The error of a read for which only a part of a TLS record has come. It's a sign of life, but
/// there's nothing to return.
#[derive(Debug)]
pub(crate) struct PartOfRecord;

impl fmt::Display for PartOfRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record of TLS has come in part")
    }
}

impl std::error::Error for PartOfRecord {}

/// Whether a read ended because only a part of a record has come.
pub(crate) fn is_part_of_record(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<PartOfRecord>())
}
