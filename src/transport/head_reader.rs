//! Reads an HTTP head from a stream, in whatever pieces it arrives, before one absolute deadline.
//!
//! By sending one byte at a time, a client could renew a per-read timeout and hold a thread for
//! hours (Slowloris). Therefore one deadline covers the complete head. Bytes that arrive after the
//! head stay in the buffer: they may be the first frames.

use std::io::{self, ErrorKind};

use super::deadline::{Deadline, read_before};
use super::stream::{Stream, is_timeout};
use crate::frames::buffer::Buffer;
use crate::http::head::Scan;
use crate::http::refusal::Refusal;

/// Why [`read_head`] couldn't read a complete HTTP head.
pub(crate) enum NoHead {
    /// The bytes aren't an HTTP head, or the head exceeds a limit. The refusal names the reason.
    Bad(Refusal),
    /// The deadline passed before the HTTP head was complete.
    Late,
    /// The peer ended or reset the stream before the HTTP head was complete.
    Ended,
    /// The stream failed with this error while the HTTP head was being read.
    Broken(io::Error),
}

// WALK: head
/// Reads from the stream until the buffer begins with a complete HTTP head, and returns the head's
/// length in bytes. Fails with a [`NoHead`] that says why there's no complete head.
pub(crate) fn read_head(
    stream: &dyn Stream,
    buffer: &mut Buffer,
    (max_bytes, max_lines): (usize, usize),
    deadline: Deadline,
) -> Result<usize, NoHead> {
    let mut scan = Scan::new(max_bytes, max_lines);
    loop {
        match scan.advance(buffer.unread()) {
            Ok(Some(length)) => return Ok(length),
            Ok(None) => {}
            Err(refusal) => return Err(NoHead::Bad(refusal)),
        }
        match read_before(deadline, stream, buffer.space()) {
            Ok(0) => return Err(NoHead::Ended),
            Ok(count) => buffer.filled(count),
            Err(error) if is_timeout(&error) => return Err(NoHead::Late),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Err(NoHead::Ended),
            Err(error) => return Err(NoHead::Broken(error)),
        }
    }
}
