//! Writing at a minimum rate: a slow peer is served, a stuck peer is dropped.
//!
//! A fixed deadline for a whole message would drop an honest peer on a slow line. Instead, the peer
//! must accept at least 64 KiB, or all that is left, in every period of `Limits::write` (20 seconds
//! by default). Each `write` call may wait for a quarter of that period, so the writing thread
//! checks the clock several times in each period.

use std::io::{self, ErrorKind, IoSlice};
use std::time::{Duration, Instant};

use super::stream::{Stream, is_timeout};
use crate::error::Error;

/// Converts the error of a failed write to an [`Error`]: `WriteTimeout` if the peer was too slow,
/// `ConnectionLost` otherwise.
pub(crate) fn write_error(error: io::Error) -> Error {
    if is_timeout(&error) { Error::WriteTimeout } else { Error::ConnectionLost(error) }
}

/// The number of bytes that a peer must accept in each period. `Limits::write` sets the period's
/// duration. If a peer accepts fewer bytes, and some are left to write, it loses its connection.
pub(crate) const MIN_PROGRESS: usize = 64 * 1024;
/// The number of timed-out `write` calls that fit into one period of `Limits::write`. The more
/// calls there are, the sooner the writing thread notices that a period is over.
const CALLS_PER_PERIOD: u32 = 4;

/// Returns the write timeout that a stream needs for [`write_with_min_rate`]: a quarter of the
/// period `within`, but at least a millisecond, because sockets reject a zero timeout. This timeout
/// limits a single `write` call.
pub fn per_call_timeout(within: Duration) -> Duration {
    (within / CALLS_PER_PERIOD).max(Duration::from_millis(1))
}

// WALK: min-rate
/// Writes all of `slices`, in order. Calls `note_written` after each `write` call, with the number
/// of bytes that the stream has taken. The caller must first set the stream's write timeout to
/// [`per_call_timeout`], because otherwise a single call could wait forever.
///
/// Fails with a timeout if the peer has accepted less than 64 KiB in a period of length `within`,
/// and bytes are left. Also fails with a timeout once four `write` calls in a row have timed out.
/// The first period begins when the first `write` call has returned. That call's bytes don't count,
/// because they may only have filled our own operating system's buffers.
pub fn write_with_min_rate(
    within: Duration,
    stream: &dyn Stream,
    mut slices: &mut [IoSlice<'_>],
    note_written: &mut dyn FnMut(usize),
) -> io::Result<()> {
    let total: usize = slices.iter().map(|slice| slice.len()).sum();
    let (mut written, mut waits) = (0, 0);
    // When the current period began, and how many bytes were written by then.
    let mut began: Option<(Instant, usize)> = None;
    while written < total {
        match stream.write(slices) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            // The stream reports more bytes than it was given. An application's own stream may have
            // this bug.
            Ok(count) if count > total - written => return Err(ErrorKind::InvalidData.into()),
            Ok(count) if count == total - written => {
                note_written(count);
                return Ok(());
            }
            Ok(count) => {
                note_written(count);
                (written, waits) = (written + count, 0);
                IoSlice::advance_slices(&mut slices, count);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if is_timeout(&error) && waits + 1 < CALLS_PER_PERIOD => waits += 1,
            Err(error) => return Err(error),
        }
        // A call that wrote only part of the bytes has used up its timeout, or a signal has
        // interrupted it. Check now whether the peer has taken enough. (A signal restarts the
        // call's timeout, so without this check, a timer's signals would extend the period.)
        match began {
            Some((at, _)) if at.elapsed() < within => {}
            Some((_, before)) if written - before < MIN_PROGRESS => {
                return Err(ErrorKind::TimedOut.into());
            }
            None | Some(_) => began = Some((Instant::now(), written)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::deadline::{Deadline, read_before, write_before};
    use crate::transport::lingering_close::lingering_close;
    use std::collections::VecDeque;
    use std::io::ErrorKind::{BrokenPipe, Interrupted, TimedOut, WouldBlock};
    use std::net::Shutdown;
    use std::sync::Mutex;

    const LONG: Duration = Duration::from_secs(60);

    /// A stream whose calls return the given results, in order.
    struct Scripted(Mutex<VecDeque<Result<usize, ErrorKind>>>);

    impl Scripted {
        fn new(ends: &[Result<usize, ErrorKind>]) -> Scripted {
            Scripted(Mutex::new(ends.iter().copied().collect()))
        }

        fn next(&self) -> io::Result<usize> {
            let end = self.0.lock().unwrap().pop_front().expect("no more calls than results");
            end.map_err(io::Error::from)
        }

        fn is_used_up(&self) -> bool {
            self.0.lock().unwrap().is_empty()
        }
    }

    impl Stream for Scripted {
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
        let stream = Scripted::new(&[Err(Interrupted), Ok(3), Err(BrokenPipe), Err(WouldBlock)]);
        let read = || read_before(deadline, &stream, &mut [0; 9]).map_err(|error| error.kind());
        assert_eq!((read(), read(), read()), (Ok(3), Err(BrokenPipe), Err(WouldBlock)));

        let written = |ends: &[_]| {
            let stream = Scripted::new(ends);
            let written = write_before(deadline, &stream, b"12345").map_err(|error| error.kind());
            assert!(stream.is_used_up());
            let stream = Scripted::new(ends);
            let paced = write_with_min_rate(
                LONG,
                &stream,
                &mut [b"12", &b"345"[..]].map(IoSlice::new),
                &mut |_| (),
            )
            .map_err(|error| error.kind());
            assert_eq!((written, stream.is_used_up()), (paced, true));
            written
        };
        assert_eq!(written(&[Ok(1), Err(Interrupted), Ok(1), Err(WouldBlock), Ok(3)]), Ok(()));
        assert_eq!(written(&[Ok(4), Err(TimedOut), Ok(1)]), Ok(()));
        assert_eq!(written(&[Ok(4), Err(BrokenPipe)]), Err(BrokenPipe));
        assert_eq!(written(&[Ok(4), Ok(0)]), Err(ErrorKind::WriteZero));
        assert_eq!(written(&[Ok(4), Ok(2)]), Err(ErrorKind::InvalidData), "more than was left");
    }

    #[test]
    fn four_calls_in_a_row_that_achieve_nothing_are_a_whole_deadline() {
        assert_eq!(per_call_timeout(LONG), LONG / 4);
        let nothing = Err(WouldBlock);
        let ends = [nothing, nothing, nothing, Ok(1), nothing, nothing, nothing, Ok(2)];
        let stream = Scripted::new(&ends);
        assert!(
            write_with_min_rate(LONG, &stream, &mut [IoSlice::new(b"123")], &mut |_| ()).is_ok()
                && stream.is_used_up()
        );
        let stream = Scripted::new(&[Ok(1), nothing, nothing, nothing, nothing]);
        let error = write_with_min_rate(LONG, &stream, &mut [IoSlice::new(b"123")], &mut |_| ())
            .unwrap_err();
        assert!(is_timeout(&error) && stream.is_used_up());
    }

    #[test]
    fn a_period_ends_even_if_each_call_is_interrupted() {
        let stream = Scripted::new(&[Ok(1), Err(Interrupted)]);
        let error =
            write_with_min_rate(Duration::ZERO, &stream, &mut [IoSlice::new(b"123")], &mut |_| ());
        assert!(is_timeout(&error.unwrap_err()) && stream.is_used_up());
    }

    #[test]
    fn a_lingering_close_reads_64_mib_and_no_more() {
        let stream = Scripted::new(&[Ok(4096); (64 << 20) / 4096]);
        lingering_close(Deadline::after(LONG), &stream);
        assert!(stream.is_used_up());
    }

    #[test]
    fn less_than_64_kib_in_a_deadline_is_too_slow_and_as_much_is_not() {
        let bytes = vec![0; 1 << 20];
        // The first call doesn't count: our own operating system may have taken its bytes.
        for (second, is_enough) in [(MIN_PROGRESS - 1, false), (MIN_PROGRESS, true)] {
            let stream = Scripted::new(&[Ok(100), Ok(second), Ok(bytes.len() - 100 - second)]);
            let written = write_with_min_rate(
                Duration::ZERO,
                &stream,
                &mut [IoSlice::new(&bytes)],
                &mut |_| (),
            );
            assert_eq!(written.is_ok(), is_enough, "{second}");
        }
    }
}
