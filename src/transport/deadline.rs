//! Deadlines: a read or a write must end before a fixed moment.
//!
//! A peer can renew a timeout per read by sending one byte at a time, for hours (Slowloris). It
//! can't move a deadline.

use std::io::{self, ErrorKind, IoSlice};
use std::time::{Duration, Instant};

use super::stream::{Stream, is_timeout};

/// A moment by which something must have happened. Bytes that arrive don't move it.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// Creates a deadline this long from now. It never passes if it's too far away for the clock.
    pub fn after(time: Duration) -> Deadline {
        Deadline(Instant::now().checked_add(time))
    }

    /// Returns the time that remains, or the error `TimedOut` once the deadline has passed.
    pub fn remaining(self) -> io::Result<Duration> {
        match self.0 {
            None => Ok(Duration::MAX),
            Some(moment) => match moment.checked_duration_since(Instant::now()) {
                Some(rest) if !rest.is_zero() => Ok(rest),
                _ => Err(ErrorKind::TimedOut.into()),
            },
        }
    }

    /// Whether the deadline has passed.
    pub fn has_passed(self) -> bool {
        self.remaining().is_err()
    }
}

// WALK: deadline
/// Reads once, and waits until the deadline at most.
pub fn read_before(deadline: Deadline, stream: &dyn Stream, into: &mut [u8]) -> io::Result<usize> {
    loop {
        stream.set_read_timeout(deadline.remaining()?)?;
        match stream.read(into) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

/// Writes all the bytes before the deadline, or fails.
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
