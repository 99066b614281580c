//! Lingering close: ending a stream so that the peer can still read our last bytes.

use std::mem::replace;
use std::net::Shutdown;
use std::time::Duration;

use super::deadline::{Deadline, read_before};
use super::min_write_rate::MIN_PROGRESS;
use super::stream::{Stream, is_timeout};

/// The deadline by which the peer must have shut down its side of the stream.
///
/// A peer that is still reading a long message can't answer our Close in time. Therefore a deadline
/// that passes is renewed if the peer has sent anything in the meantime, or if the peer's TCP stack
/// has acknowledged more of our bytes. There's at most one renewal for each 64 KiB that we sent,
/// and at most [`MAX_RENEWALS`] in all.
#[derive(Debug)]
pub struct RenewableDeadline {
    deadline: Deadline,
    each: Duration,
    renewals: u64,
    is_alive: bool,
    /// Whether the deadline has passed without a renewal. From then on, only bytes from the peer
    /// renew it, because asking for the number of unacknowledged bytes takes 100 ms.
    has_expired: bool,
    /// The number of our bytes that the peer's TCP stack had not acknowledged when the deadline
    /// last passed. `u64::MAX` until such a number is known, so that the first known number counts
    /// as a decrease.
    unacknowledged: u64,
}

/// The maximum number of renewals of a [`RenewableDeadline`], however many bytes we sent. With the
/// default `Limits::close` of 5 s, the renewals add up to two minutes.
const MAX_RENEWALS: u64 = 24;

impl RenewableDeadline {
    /// Creates a deadline that is never renewed.
    pub fn until(deadline: Deadline) -> RenewableDeadline {
        RenewableDeadline {
            deadline,
            each: Duration::ZERO,
            renewals: 0,
            is_alive: false,
            has_expired: false,
            unacknowledged: u64::MAX,
        }
    }

    /// Creates a deadline that can be renewed while the peer may still be reading our bytes. `sent`
    /// is the number of bytes that we have sent, which limits the number of renewals. At each
    /// renewal, the deadline becomes the current time plus `each`.
    pub fn renewable(deadline: Deadline, each: Duration, sent: u64) -> RenewableDeadline {
        let renewals = (sent / MIN_PROGRESS as u64).min(MAX_RENEWALS);
        RenewableDeadline { deadline, each, renewals, ..RenewableDeadline::until(deadline) }
    }

    /// Returns whether the deadline may be renewed again. If so, a peer that sends bytes, or
    /// acknowledges ours, gets more time.
    pub fn may_be_renewed(&self) -> bool {
        self.renewals > 0
    }

    /// Returns the current deadline, which includes all renewals so far.
    pub fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// Records that bytes have arrived from the peer. They show that the peer is alive, so the
    /// deadline may be renewed when it passes.
    pub fn note_peer_is_alive(&mut self) {
        self.is_alive = true;
    }

    /// Returns whether the deadline has passed for good. If the deadline has passed but can be
    /// renewed, this renews it and returns `false`.
    pub fn renew_or_expire(&mut self, stream: &dyn Stream) -> bool {
        self.deadline.has_passed() && !self.renew_if_alive(stream)
    }

    /// Renews the deadline if renewals are left, and if the peer has sent bytes or acknowledged
    /// ours since the last renewal. Also renews it if the number of unacknowledged bytes was known
    /// before and can't be read now, because a failed reading doesn't show that the peer is stuck.
    /// Returns whether the deadline was renewed.
    fn renew_if_alive(&mut self, stream: &dyn Stream) -> bool {
        if self.renewals == 0 || (self.has_expired && !self.is_alive) {
            return false;
        }
        let takes_bytes = match stream.unacknowledged() {
            Some(0) => false,
            Some(bytes) => bytes < replace(&mut self.unacknowledged, bytes),
            // If the number was known before and isn't now, that doesn't show that the peer is
            // stuck: reading the operating system's table has failed.
            None => self.unacknowledged < u64::MAX,
        };
        let may_renew = self.is_alive || takes_bytes;
        if may_renew {
            self.deadline = Deadline::after(self.each);
            self.renewals -= 1;
            self.is_alive = false;
        }
        self.has_expired = !may_renew;
        may_renew
    }
}

impl From<Deadline> for RenewableDeadline {
    fn from(deadline: Deadline) -> RenewableDeadline {
        RenewableDeadline::until(deadline)
    }
}

// WALK: lingering-close
/// Ends a stream so that the peer can read our last bytes.
///
/// Closing a socket with unread bytes in it sends a reset. A reset destroys the bytes that are
/// still on their way to the peer, such as the Close that names what went wrong. Therefore this
/// function first shuts down our side of the stream. Then it reads and drops the peer's bytes until
/// the peer shuts down its side too, the deadline passes without a renewal, or 64 MiB have arrived.
/// Returns whether the stream has ended: the peer shut down its side, or a read failed with an
/// error other than a timeout.
pub fn lingering_close(linger: impl Into<RenewableDeadline>, stream: &dyn Stream) -> bool {
    let _ = stream.shutdown(Shutdown::Write);
    let has_ended = discard_input(linger.into(), stream);
    let _ = stream.shutdown(Shutdown::Both);
    has_ended
}

/// Waits for the peer to end the stream, for at most a second and no longer than the deadline.
/// Discards the bytes that still arrive.
///
/// The end that closes a TCP connection first keeps it in the TIME_WAIT state for a minute or more.
/// Meanwhile, a client can't open a new connection with the same addresses and ports, but a server
/// can accept one. Therefore a client lets the server close first (RFC 6455 §7.1.1).
pub fn await_peer_eof(deadline: Deadline, stream: &dyn Stream) {
    const EOF_WAIT: Duration = Duration::from_secs(1);
    let rest = deadline.remaining().unwrap_or_default();
    discard_input(RenewableDeadline::until(Deadline::after(rest.min(EOF_WAIT))), stream);
}

/// Reads and drops the peer's bytes until the stream ends, the deadline passes and isn't renewed,
/// or 64 MiB have been read. Returns whether the stream has ended, with or without an error.
fn discard_input(mut linger: RenewableDeadline, stream: &dyn Stream) -> bool {
    const MOST: usize = 64 * 1024 * 1024;
    let mut waste = [0; 4096];
    let mut wasted = 0;
    while wasted < MOST && !linger.renew_or_expire(stream) {
        match read_before(linger.deadline(), stream, &mut waste) {
            Ok(0) => return true,
            Ok(count) => {
                linger.note_peer_is_alive();
                wasted += count;
            }
            Err(error) if is_timeout(&error) && linger.renew_if_alive(stream) => {}
            Err(error) if is_timeout(&error) => return false,
            Err(_) => return true,
        }
    }
    false
}
