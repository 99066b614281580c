//! Reads a head from a stream, in whatever pieces it arrives, within one absolute deadline.
//!
//! With a timeout per read, a client could renew it by sending one byte at a time, and so hold a
//! thread for hours (Slowloris). So one deadline covers the whole head. Bytes that arrive after the
//! head stay in the buffer: they may be the first frames.

use std::io::{self, ErrorKind};

use super::deadline::{Deadline, read_before};
use super::stream::{Stream, is_timeout};
use crate::frames::buffer::Buffer;
use crate::http::head::Scan;
use crate::http::refusal::Refusal;

/// Why there is no head.
pub(crate) enum NoHead {
    /// The bytes aren't a head, or the head is too large.
    Bad(Refusal),
    /// The head wasn't complete before the deadline.
    Late,
    /// The stream ended before the head did.
    Ended,
    /// The stream failed.
    Broken(io::Error),
}

// WALK: head
/// Reads until the head is complete, and returns its length. The head is at the front of the
/// buffer.
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
