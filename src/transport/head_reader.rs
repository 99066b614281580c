//! A head from a stream: read in whatever pieces it comes, within one absolute deadline.
//!
//! Each byte that dribbles in could renew a deadline per read, and hold a thread for hours
//! (Slowloris). So there is one for the whole head. What came behind the head stays in the buffer.

use std::io::{self, ErrorKind};

use super::deadline::{Deadline, read_before};
use super::stream::{Stream, is_timeout};
use crate::frames::buffer::Buffer;
use crate::http::head::Scan;
use crate::http::refusal::Refusal;

/// Why there is no head.
pub(crate) enum NoHead {
    /// It is none, or too large.
    Bad(Refusal),
    /// It was not whole in time.
    Late,
    /// The stream ended before it did.
    Ended,
    /// The stream failed.
    Broken(io::Error),
}

// WALK: head
/// Reads until the head is whole. Its length; the head itself is at the front of the buffer.
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
