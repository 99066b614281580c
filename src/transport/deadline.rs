//! Deadlines: fixed times by which a read or a write must end.
//!
//! A peer can renew a per-read timeout for hours by sending one byte at a time (Slowloris). It
//! can't move a deadline.

use std::io::{self, ErrorKind, IoSlice};
use std::time::{Duration, Instant};

use super::stream::{Stream, is_timeout};

/// A fixed time by which a read, a write or a handshake must have ended. Unlike a timeout, it
/// doesn't start again when bytes arrive. `Deadline(None)` never passes.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// Creates a deadline that passes once the duration `time` has elapsed. If that instant is
    /// beyond the clock's range, the deadline never passes.
    pub fn after(time: Duration) -> Deadline {
        Deadline(Instant::now().checked_add(time))
    }

    /// Returns the remaining time, which is [`Duration::MAX`] if the deadline never passes. Fails
    /// with `TimedOut` once the deadline has passed.
    pub fn remaining(self) -> io::Result<Duration> {
        match self.0 {
            None => Ok(Duration::MAX),
            Some(moment) => match moment.checked_duration_since(Instant::now()) {
                Some(rest) if !rest.is_zero() => Ok(rest),
                _ => Err(ErrorKind::TimedOut.into()),
            },
        }
    }

    /// Returns the earlier of two deadlines.
    pub fn earlier(self, other: Deadline) -> Deadline {
        match (self.0, other.0) {
            (Some(one), Some(other)) => Deadline(Some(one.min(other))),
            (one, other) => Deadline(one.or(other)),
        }
    }

    /// Returns whether this deadline never passes.
    pub fn never_passes(self) -> bool {
        self.0.is_none()
    }

    /// Returns whether the deadline has passed.
    pub fn has_passed(self) -> bool {
        self.remaining().is_err()
    }
}

// WALK: deadline
/// Reads once from the stream, and waits for bytes until the deadline at the latest. Returns the
/// number of bytes read, which is 0 at the end of the stream. Fails with a timeout if no bytes
/// arrive in time.
pub fn read_before(deadline: Deadline, stream: &dyn Stream, into: &mut [u8]) -> io::Result<usize> {
    loop {
        stream.set_read_timeout(deadline.remaining()?)?;
        match stream.read(into) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

/// Writes all the bytes, in one or more calls. Fails with `TimedOut` if the deadline passes before
/// all bytes are written.
pub fn write_before(deadline: Deadline, stream: &dyn Stream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.set_write_timeout(deadline.remaining()?)?;
        match stream.write(&[IoSlice::new(bytes)]) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => bytes = bytes.get(count..).ok_or(ErrorKind::InvalidData)?,
            Err(error) if error.kind() == ErrorKind::Interrupted || is_timeout(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
