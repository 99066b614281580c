//! Deadlines: a moment by which something must have happened, and reads and writes that keep it.
//!
//! A timeout per read can be renewed by one byte at a time, for hours (Slowloris). A deadline can't.

use std::io::{self, ErrorKind, IoSlice};
use std::time::{Duration, Instant};

use super::stream::{Stream, is_timeout};

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
