//! A stream that counts its bytes, for the clients of `09_why_websocket`.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use ws101::Stream;

/// A stream that counts the bytes in both directions.
pub struct Meter {
    stream: TcpStream,
    bytes: AtomicU64,
}

impl Meter {
    pub fn dial(address: SocketAddr) -> io::Result<Arc<Meter>> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Arc::new(Meter { stream, bytes: AtomicU64::new(0) }))
    }

    /// How many bytes have passed so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    fn count(&self, result: io::Result<usize>) -> io::Result<usize> {
        self.bytes.fetch_add(*result.as_ref().unwrap_or(&0) as u64, Relaxed);
        result
    }
}

impl Read for &Meter {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.count(Read::read(&mut &self.stream, into))
    }
}

impl Write for &Meter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.count(Write::write(&mut &self.stream, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Meter {
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        Read::read(&mut &*self, into)
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.count((&self.stream).write_vectored(slices))
    }

    fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        Stream::set_read_timeout(&self.stream, timeout)
    }

    fn set_write_timeout(&self, timeout: Duration) -> io::Result<()> {
        Stream::set_write_timeout(&self.stream, timeout)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.stream.shutdown(how)
    }
}
