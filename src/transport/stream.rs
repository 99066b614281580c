//! What we need of the operating system: a stream that can be read and written at the same time.
//!
//! One descriptor, shared: `&TcpStream` reads and writes, so one thread can wait in `read` while
//! others write. Anything that can do what [`Stream`] asks for will serve: a Unix socket, TLS, a
//! test's pipe.

use std::fmt;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// A stream of bytes in both directions, used by several threads at once.
pub trait Stream: Send + Sync + 'static {
    /// Waits for bytes; 0 at the end of the stream.
    fn read(&self, into: &mut [u8]) -> io::Result<usize>;
    /// Writes some of the bytes, the slices one behind the other.
    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize>;
    /// How long a read may wait: longer, and it fails with `WouldBlock` or
    /// `TimedOut`.
    fn set_read_timeout(&self, timeout: Duration) -> io::Result<()>;
    /// How long a write may wait: longer, and it returns what it has done, or
    /// fails likewise.
    fn set_write_timeout(&self, timeout: Duration) -> io::Result<()>;
    /// Ends one direction, or both, and wakes the threads that wait in it.
    fn shutdown(&self, how: Shutdown) -> io::Result<()>;
    /// Who is at the other end, if that has an address.
    fn peer(&self) -> Option<SocketAddr> {
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
        TcpStream::set_read_timeout(self, Some(at_least_a_moment(timeout)))
    }

    fn set_write_timeout(&self, timeout: Duration) -> io::Result<()> {
        TcpStream::set_write_timeout(self, Some(at_least_a_moment(timeout)))
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        TcpStream::shutdown(self, how)
    }

    fn peer(&self) -> Option<SocketAddr> {
        self.peer_addr().ok()
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
        Self::set_read_timeout(self, Some(at_least_a_moment(timeout)))
    }

    fn set_write_timeout(&self, timeout: Duration) -> io::Result<()> {
        Self::set_write_timeout(self, Some(at_least_a_moment(timeout)))
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        Self::shutdown(self, how)
    }
}

/// A stream that several hold, one of them perhaps the connection.
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
}

/// What streams pass through on their way to a connection; nothing, unless told otherwise.
#[derive(Clone, Default)]
pub(crate) struct WrapStream(Option<Arc<Wrap>>);

type Wrap = dyn Fn(Arc<dyn Stream>) -> Arc<dyn Stream> + Send + Sync;

impl WrapStream {
    pub(crate) fn new(
        wrap: impl Fn(Arc<dyn Stream>) -> Arc<dyn Stream> + Send + Sync + 'static,
    ) -> WrapStream {
        WrapStream(Some(Arc::new(wrap)))
    }

    pub(crate) fn wrap(&self, stream: Arc<dyn Stream>) -> Arc<dyn Stream> {
        self.0.as_ref().map_or(stream.clone(), |wrap| wrap(stream))
    }
}

impl fmt::Debug for WrapStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "WrapStream(..)" } else { "nothing" })
    }
}

/// The operating system takes zero for "no timeout".
fn at_least_a_moment(timeout: Duration) -> Duration {
    timeout.max(Duration::from_millis(1))
}

/// Whether a read or a write ended because its time was up. Unix says one thing, Windows another.
pub fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
