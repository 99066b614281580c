//! What we need of the operating system: a stream that can be read and written at the same time.
//!
//! One descriptor, shared: `&TcpStream` reads and writes, so one thread can wait in `read` while
//! others write. Anything that can do what [`Stream`] asks for will serve: a Unix socket, TLS, a
//! test's pipe.

use std::fmt;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::Error;

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
    /// Ends one direction, or both, and wakes whoever waits in it.
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
pub(crate) struct Through(Option<Arc<Wrap>>);

type Wrap = dyn Fn(Arc<dyn Stream>) -> Arc<dyn Stream> + Send + Sync;

impl Through {
    pub(crate) fn new(
        wrap: impl Fn(Arc<dyn Stream>) -> Arc<dyn Stream> + Send + Sync + 'static,
    ) -> Through {
        Through(Some(Arc::new(wrap)))
    }

    pub(crate) fn wrap(&self, stream: Arc<dyn Stream>) -> Arc<dyn Stream> {
        self.0.as_ref().map_or(stream.clone(), |wrap| wrap(stream))
    }
}

impl fmt::Debug for Through {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Through(..)" } else { "nothing" })
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

/// Why a write did not get to its end.
pub(crate) fn too_slow_or_lost(error: io::Error) -> Error {
    if is_timeout(&error) { Error::TooSlow } else { Error::Lost(error) }
}

/// A moment by which something must have happened. It does not move, whatever trickles in.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// So long from now. A time that no clock can show never comes.
    pub fn after(time: Duration) -> Deadline {
        Deadline(Instant::now().checked_add(time))
    }

    /// What is left of it; an error once it has passed.
    pub fn remaining(self) -> io::Result<Duration> {
        match self.0 {
            None => Ok(Duration::MAX),
            Some(moment) => match moment.checked_duration_since(Instant::now()) {
                Some(rest) if !rest.is_zero() => Ok(rest),
                _ => Err(ErrorKind::TimedOut.into()),
            },
        }
    }

    /// Whether it has passed.
    pub fn has_passed(self) -> bool {
        self.remaining().is_err()
    }
}

// WALK: deadline
/// Reads with what is left until a deadline.
pub fn read_before(deadline: Deadline, stream: &dyn Stream, into: &mut [u8]) -> io::Result<usize> {
    loop {
        stream.set_read_timeout(deadline.remaining()?)?;
        match stream.read(into) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

/// Writes all of it before a deadline.
pub fn write_before(deadline: Deadline, stream: &dyn Stream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.set_write_timeout(deadline.remaining()?)?;
        match stream.write(&[IoSlice::new(bytes)]) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == ErrorKind::Interrupted || is_timeout(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Less than this in a whole write deadline is not slow, but stuck, or hostile.
const LEAST_PROGRESS: usize = 64 * 1024;
/// How often a write deadline is looked at: a call waits for that part of it.
const LOOKS: u32 = 4;

/// How long a single call may wait, of those that [`write_at_pace`] makes.
pub fn wait_of_a_call(patience: Duration) -> Duration {
    patience / LOOKS
}

// WALK: pace
/// Writes all of `first` and `second`, as long as the peer takes them at a pace worth waiting for. The
/// stream's own timeout bounds each call; this judges what they achieve. What the first call writes may
/// be in our own system's buffers: only what follows shows that the peer takes something.
pub fn write_at_pace(
    patience: Duration,
    stream: &dyn Stream,
    first: &[u8],
    second: &[u8],
) -> io::Result<()> {
    let total = first.len() + second.len();
    let (mut written, mut waits) = (0, 0);
    let (mut start, mut written_at_start) = (Instant::now(), None);
    while written < total {
        let rest = [
            IoSlice::new(first.get(written..).unwrap_or_default()),
            IoSlice::new(&second[written.saturating_sub(first.len())..]),
        ];
        match stream.write(if second.is_empty() { &rest[..1] } else { &rest }) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => (written, waits) = (written + count, 0),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if is_timeout(&error) && waits + 1 < LOOKS => waits += 1,
            Err(error) => return Err(error),
        }
        // A call that wrote a part has waited for the rest. Was it worth the wait?
        match written_at_start {
            None => written_at_start = Some(written),
            Some(_) if written == total || start.elapsed() < patience => {}
            Some(then) if written - then < LEAST_PROGRESS => {
                return Err(ErrorKind::TimedOut.into());
            }
            Some(_) => (start, written_at_start) = (Instant::now(), Some(written)),
        }
    }
    Ok(())
}

// WALK: part
/// Leaves so that the peer can read our last words.
///
/// A socket that is closed with unread bytes in it sends a reset, and a reset destroys what is still
/// on its way to the peer: the very frame that says what went wrong. So: end our side, read what the
/// peer still sends until it ends too, within a deadline and a bound.
pub fn part(deadline: Deadline, stream: &dyn Stream) {
    let _ = stream.shutdown(Shutdown::Write);
    read_away(deadline, stream);
    let _ = stream.shutdown(Shutdown::Both);
}

/// Waits a moment for the peer to end the stream. Whoever ends it first is left with its port for
/// minutes (TIME_WAIT): that is for the server to do, which can bear it (RFC 6455 §7.1.1).
pub fn let_the_peer_end(deadline: Deadline, stream: &dyn Stream) {
    const A_MOMENT: Duration = Duration::from_secs(1);
    let rest = deadline.remaining().unwrap_or_default();
    read_away(Deadline::after(rest.min(A_MOMENT)), stream);
}

fn read_away(deadline: Deadline, stream: &dyn Stream) {
    const MOST: usize = 64 * 1024 * 1024;
    let mut waste = [0; 4096];
    let mut wasted = 0;
    while wasted < MOST {
        match read_before(deadline, stream, &mut waste) {
            Ok(0) => return,
            Ok(count) => wasted += count,
            Err(_) => break,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::io::ErrorKind::{BrokenPipe, Interrupted, TimedOut, WouldBlock};
    use std::sync::Mutex;

    const LONG: Duration = Duration::from_secs(60);

    /// A stream whose calls end as they are told to.
    struct Told(Mutex<VecDeque<Result<usize, ErrorKind>>>);

    impl Told {
        fn new(ends: &[Result<usize, ErrorKind>]) -> Told {
            Told(Mutex::new(ends.iter().copied().collect()))
        }

        fn next(&self) -> io::Result<usize> {
            let end = self.0.lock().unwrap().pop_front().expect("no more calls than these");
            end.map_err(io::Error::from)
        }

        fn is_through(&self) -> bool {
            self.0.lock().unwrap().is_empty()
        }
    }

    impl Stream for Told {
        fn read(&self, _: &mut [u8]) -> io::Result<usize> {
            self.next()
        }

        fn write(&self, _: &[IoSlice<'_>]) -> io::Result<usize> {
            self.next()
        }

        fn set_read_timeout(&self, _: Duration) -> io::Result<()> {
            Ok(())
        }

        fn set_write_timeout(&self, _: Duration) -> io::Result<()> {
            Ok(())
        }

        fn shutdown(&self, _: Shutdown) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_interruption_is_no_end_and_another_error_is() {
        let deadline = Deadline::after(LONG);
        let stream = Told::new(&[Err(Interrupted), Ok(3), Err(BrokenPipe), Err(WouldBlock)]);
        let read = || read_before(deadline, &stream, &mut [0; 9]).map_err(|error| error.kind());
        assert_eq!((read(), read(), read()), (Ok(3), Err(BrokenPipe), Err(WouldBlock)));

        let written = |ends: &[_]| {
            let stream = Told::new(ends);
            let written = write_before(deadline, &stream, b"12345").map_err(|error| error.kind());
            assert!(stream.is_through());
            let stream = Told::new(ends);
            let paced = write_at_pace(LONG, &stream, b"12", b"345").map_err(|error| error.kind());
            assert_eq!((written, stream.is_through()), (paced, true));
            written
        };
        assert_eq!(written(&[Ok(1), Err(Interrupted), Ok(1), Err(WouldBlock), Ok(3)]), Ok(()));
        assert_eq!(written(&[Ok(4), Err(TimedOut), Ok(1)]), Ok(()));
        assert_eq!(written(&[Ok(4), Err(BrokenPipe)]), Err(BrokenPipe));
        assert_eq!(written(&[Ok(4), Ok(0)]), Err(ErrorKind::WriteZero));
    }

    #[test]
    fn four_calls_in_a_row_that_achieve_nothing_are_a_whole_deadline() {
        assert_eq!(wait_of_a_call(LONG), LONG / 4);
        let nothing = Err(WouldBlock);
        let ends = [nothing, nothing, nothing, Ok(1), nothing, nothing, nothing, Ok(2)];
        let stream = Told::new(&ends);
        assert!(write_at_pace(LONG, &stream, b"123", b"").is_ok() && stream.is_through());
        let stream = Told::new(&[Ok(1), nothing, nothing, nothing, nothing]);
        let error = write_at_pace(LONG, &stream, b"123", b"").unwrap_err();
        assert!(is_timeout(&error) && stream.is_through());
    }

    #[test]
    fn whoever_parts_reads_64_mib_and_no_more() {
        let stream = Told::new(&[Ok(4096); (64 << 20) / 4096]);
        part(Deadline::after(LONG), &stream);
        assert!(stream.is_through());
    }

    #[test]
    fn less_than_64_kib_in_a_deadline_is_too_slow_and_as_much_is_not() {
        let bytes = vec![0; 1 << 20];
        // What the first call takes may be our own system's doing.
        for (second, is_enough) in [(LEAST_PROGRESS - 1, false), (LEAST_PROGRESS, true)] {
            let stream = Told::new(&[Ok(100), Ok(second), Ok(bytes.len() - 100 - second)]);
            let written = write_at_pace(Duration::ZERO, &stream, &bytes, b"");
            assert_eq!(written.is_ok(), is_enough, "{second}");
        }
    }
}
