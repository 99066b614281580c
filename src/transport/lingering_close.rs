//! Lingering close: ending a stream so that the peer can still read our last bytes.

use std::net::Shutdown;
use std::time::Duration;

use super::deadline::{Deadline, read_before};
use super::min_write_rate::MIN_PROGRESS;
use super::stream::{Stream, is_timeout};

/// How long we wait for the peer's end: until a deadline, which may be renewed a few times.
///
/// A peer that is still reading a long message can't answer our Close in time. So if anything has
/// come from it since, or its system has taken some more of our bytes, it gets as much time again.
/// The bound: each renewal stands for 64 KiB of what we sent, and there are never more than
/// [`MOST_RENEWALS`].
#[derive(Debug)]
pub struct LingerDeadline {
    deadline: Deadline,
    each: Duration,
    renewals: u64,
    is_alive: bool,
    /// How many of our bytes the peer's system had not taken at the last check.
    unacknowledged: u64,
}

/// How often the peer may get more time, however much we sent. With the default `Limits::close`
/// that makes two minutes.
const MOST_RENEWALS: u64 = 24;

impl LingerDeadline {
    /// A deadline that isn't renewed.
    pub fn until(deadline: Deadline) -> LingerDeadline {
        LingerDeadline {
            deadline,
            each: Duration::ZERO,
            renewals: 0,
            is_alive: false,
            unacknowledged: u64::MAX,
        }
    }

    /// A deadline that is renewed by `each` at a time, while the peer may still be reading the
    /// `sent` bytes.
    pub fn renewable(deadline: Deadline, each: Duration, sent: u64) -> LingerDeadline {
        let renewals = (sent / MIN_PROGRESS as u64).min(MOST_RENEWALS);
        LingerDeadline { deadline, each, renewals, is_alive: false, unacknowledged: u64::MAX }
    }

    /// Returns the current deadline.
    pub fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// Records that bytes have come from the peer.
    pub fn note_bytes(&mut self) {
        self.is_alive = true;
    }

    /// Whether the time is up. Renews the deadline first, if the peer has earned that.
    pub fn has_finally_passed(&mut self, stream: &dyn Stream) -> bool {
        self.deadline.has_passed() && !self.renew(stream)
    }

    /// Renews the deadline if the peer has shown that it's alive, and if it hasn't got too much
    /// time already.
    fn renew(&mut self, stream: &dyn Stream) -> bool {
        if self.renewals == 0 {
            return false;
        }
        let unacknowledged = stream.unacknowledged().filter(|unacknowledged| *unacknowledged > 0);
        let takes_bytes =
            unacknowledged.is_some_and(|unacknowledged| unacknowledged < self.unacknowledged);
        self.unacknowledged = unacknowledged.unwrap_or(self.unacknowledged);
        let may_renew = self.is_alive || takes_bytes;
        if may_renew {
            self.deadline = Deadline::after(self.each);
            self.renewals -= 1;
            self.is_alive = false;
        }
        may_renew
    }
}

impl From<Deadline> for LingerDeadline {
    fn from(deadline: Deadline) -> LingerDeadline {
        LingerDeadline::until(deadline)
    }
}

// WALK: lingering-close
/// Ends a stream so that the peer can read our last bytes.
///
/// A socket that is closed with unread bytes in it sends a reset. A reset destroys what is still on
/// its way to the peer, such as the very frame that says what went wrong. So this ends our
/// direction, then reads and drops what the peer still sends until the peer ends its direction too,
/// within a deadline and a bound. Returns whether the peer has ended it.
pub fn lingering_close(linger: impl Into<LingerDeadline>, stream: &dyn Stream) -> bool {
    let _ = stream.shutdown(Shutdown::Write);
    let has_ended = discard_input(linger.into(), stream);
    let _ = stream.shutdown(Shutdown::Both);
    has_ended
}

/// Waits up to a second for the peer to end the stream. The side that ends it first keeps its port
/// in TIME_WAIT for minutes, which a server can bear better than a client (RFC 6455 §7.1.1).
pub fn await_peer_eof(deadline: Deadline, stream: &dyn Stream) {
    const EOF_WAIT: Duration = Duration::from_secs(1);
    let rest = deadline.remaining().unwrap_or_default();
    discard_input(LingerDeadline::until(Deadline::after(rest.min(EOF_WAIT))), stream);
}

/// Reads and drops the peer's bytes. Returns whether the stream has ended, with or without an
/// error.
fn discard_input(mut linger: LingerDeadline, stream: &dyn Stream) -> bool {
    const MOST: usize = 64 * 1024 * 1024;
    let mut waste = [0; 4096];
    let mut wasted = 0;
    while wasted < MOST && !linger.has_finally_passed(stream) {
        match read_before(linger.deadline(), stream, &mut waste) {
            Ok(0) => return true,
            Ok(count) => {
                linger.note_bytes();
                wasted += count;
            }
            Err(error) if is_timeout(&error) && linger.renew(stream) => {}
            Err(error) if is_timeout(&error) => return false,
            Err(_) => return true,
        }
    }
    false
}
