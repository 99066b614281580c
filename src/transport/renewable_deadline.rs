//! A deadline that is renewed while the peer is still reading our bytes.

use std::mem::replace;
use std::time::Duration;

use super::deadline::Deadline;
use super::min_write_rate::MIN_PROGRESS;
use super::stream::Stream;

/// A deadline for the peer's last bytes: its answer to our Close, and the end of its stream.
///
/// A peer that is still reading a long message from us can't answer our Close in time. Therefore a
/// deadline that passes is renewed if the peer has sent anything in the meantime, or if the peer's
/// TCP stack has acknowledged more of our bytes, but not yet all of them. There's at most one
/// renewal for each 64 KiB that we sent on this connection, and at most [`MAX_RENEWALS`] in all.
#[derive(Debug)]
pub struct RenewableDeadline {
    deadline: Deadline,
    each: Duration,
    renewals: u64,
    is_alive: bool,
    /// Whether the deadline has passed without a renewal. From then on, only bytes from the peer
    /// renew it, because asking for the number of unacknowledged bytes may take 100 ms.
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

    /// Renews the deadline if the peer is alive, and returns whether it was renewed. Call this when
    /// the deadline has passed. The peer counts as alive in these cases:
    /// - The peer has sent bytes since the last renewal.
    /// - Fewer of our bytes are unacknowledged than when the deadline last passed, but not zero.
    /// - The number of unacknowledged bytes was known before, but can't be read now.
    ///
    /// Once the deadline has passed without a renewal, only the first case counts. After the
    /// maximum number of renewals, none does.
    pub fn renew_if_alive(&mut self, stream: &dyn Stream) -> bool {
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
