//! Keepalive: is the peer still there? This file decides when to ping the peer and when to give up
//! on it, and measures how long the peer's pong took (RFC 6455 §5.5.2, §5.5.3).
//!
//! If the peer is silent for `Limits::ping_every`, we send a ping. Any byte that then arrives shows
//! that the peer is alive. If no byte arrives within `Limits::pong`, we assume that the peer is
//! dead. That way, an application that only receives also notices when its peer loses power.
//!
//! Our operating system sends a ping only after the bytes written before it, which may be a long
//! message. Therefore a peer whose TCP stack still acknowledges our bytes gets more time, as long
//! as it acknowledges at least 64 KiB in each `Limits::pong`.
//!
//! The reading thread sends these pings from `recv`. While no thread is in `recv`, the keepalive
//! sends none, and only a write that fails shows that the peer is dead. While another thread is
//! writing, the reading thread sends no ping: that write shows whether the peer is alive.
//!
//! After our Close, the peer usually has a deadline, so the keepalive does nothing. But a draining
//! or stopping server sets no deadline. Its keepalive gives up on a peer that is silent for
//! `Limits::ping_every` plus `Limits::pong`. It sends no ping, because no frame may follow our
//! Close.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::limits::Limits;
use crate::transport::deadline::Deadline;
use crate::transport::min_write_rate::MIN_PROGRESS;

/// The keepalive of one connection. It decides when the reading thread pings a silent peer, and
/// when the thread gives up on that peer.
pub(crate) struct Keepalive {
    limits: Arc<Limits>,
    /// The time of the last sign of life from the peer. Before the first one, the time at which the
    /// connection was opened.
    last_sign_of_life: Instant,
    ping: Option<Ping>,
    /// The round-trip time of the last ping that the peer answered. `None` before the first pong.
    pub(crate) latency: Option<Duration>,
}

/// The last ping that we sent, and the deadline for a sign of life from the peer.
struct Ping {
    payload: [u8; 8],
    sent: Instant,
    /// When we give up on the peer. A ping that the application sends doesn't change this. `None`
    /// if no ping has set a deadline, or if the peer has given a sign of life since. (It's boxed to
    /// keep open connections small.)
    give_up: Option<Box<GiveUp>>,
}

/// The deadline at which we give up on a silent peer, and the condition on which the peer gets more
/// time.
struct GiveUp {
    deadline: Deadline,
    /// The peer gets more time at the deadline only if its TCP stack has then acknowledged this
    /// many of our bytes, counted from the connection's start. `None` until the deadline has passed
    /// once.
    acknowledged_for_renewal: Option<u64>,
}

/// What the reading thread does next when a read has timed out or was interrupted.
pub(crate) enum SilenceAction {
    /// The reading thread continues to wait for the peer's bytes.
    Wait,
    /// The reading thread sends a ping.
    SendPing,
    /// The reading thread aborts the connection, because no byte arrived within `Limits::pong`
    /// after a ping. But first it calls `renew_if_reading`, because the peer may still be reading a
    /// long message. If a signal interrupted the read, it reads once more before both.
    GiveUp,
}

impl Keepalive {
    pub(crate) fn new(limits: Arc<Limits>) -> Keepalive {
        Keepalive { limits, last_sign_of_life: Instant::now(), ping: None, latency: None }
    }

    /// Returns how long the next read may wait before the reading thread must call `check`.
    /// `Duration::MAX` if `Limits::ping_every` is `None` and no ping has set a deadline.
    pub(crate) fn until_next_check(&self) -> Duration {
        match (self.give_up_deadline(), self.limits.ping_every) {
            (Some(deadline), _) => deadline.remaining().unwrap_or_default(),
            (None, None) => Duration::MAX,
            // While the silence is short, the reading thread keeps the usual timeout, because
            // changing it is a system call. After a long silence, it first waits a little for an
            // answer that's on its way.
            (None, Some(every)) => match self.last_sign_of_life.elapsed() {
                silence if silence < every / 16 => every,
                silence => every.saturating_sub(silence).max(every / 16),
            },
        }
    }

    /// Records a sign of life: bytes have arrived from the peer, or another thread is writing to
    /// it. This cancels the deadline that a ping has set.
    pub(crate) fn note_sign_of_life(&mut self) {
        self.last_sign_of_life = Instant::now();
        if let Some(ping) = &mut self.ping {
            ping.give_up = None;
        }
    }

    /// Decides what the reading thread does next after a read has timed out or was interrupted.
    /// `waited` is the read's timeout, or zero if the read was interrupted.
    pub(crate) fn check(&self, waited: Duration) -> SilenceAction {
        match (self.give_up_deadline(), self.limits.ping_every) {
            (Some(deadline), _) if deadline.has_passed() => SilenceAction::GiveUp,
            // A timer may fire a tick early. Therefore a wait of the full time counts, even if the
            // clock shows less.
            (None, Some(every)) if waited >= every || self.last_sign_of_life.elapsed() >= every => {
                SilenceAction::SendPing
            }
            _ => SilenceAction::Wait,
        }
    }

    /// Returns the payload for the next ping: a number that's one higher than in the last ping. The
    /// peer's pong repeats it, which shows that the pong answers this ping.
    pub(crate) fn next_payload(&self) -> [u8; 8] {
        let last = self.ping.as_ref().map_or(0, |ping| u64::from_be_bytes(ping.payload));
        last.wrapping_add(1).to_be_bytes()
    }

    /// Records that a ping was sent. `sent` is the time at which the write of the ping began. With
    /// `must_answer` (for a ping after a silence), the peer must send at least one byte within
    /// `Limits::pong`. Without it, the deadline of an earlier ping, if any, stays in force.
    pub(crate) fn note_ping(&mut self, payload: [u8; 8], sent: Instant, must_answer: bool) {
        let give_up = if must_answer {
            let deadline = Deadline::after(self.limits.pong);
            Some(Box::new(GiveUp { deadline, acknowledged_for_renewal: None }))
        } else {
            self.ping.take().and_then(|ping| ping.give_up)
        };
        self.ping = Some(Ping { payload, sent, give_up });
    }

    /// Renews the deadline that a ping has set, if a long message may still delay the ping. Returns
    /// whether the peer gets another `Limits::pong`. For the first renewal, at least 64 KiB of our
    /// bytes must be unacknowledged. For each later one, the peer's TCP stack must have
    /// acknowledged 64 KiB more since the last.
    ///
    /// `written` is the number of bytes that we have written to the stream. `unacknowledged` is how
    /// many of them the peer's TCP stack hasn't acknowledged, or `None` if that isn't known.
    pub(crate) fn renew_if_reading(&mut self, written: u64, unacknowledged: Option<u64>) -> bool {
        let give_up = self.ping.as_mut().and_then(|ping| ping.give_up.as_mut());
        let (Some(give_up), Some(unacknowledged)) = (give_up, unacknowledged) else {
            return false;
        };
        let acknowledged = written.saturating_sub(unacknowledged);
        let is_reading = match give_up.acknowledged_for_renewal {
            None => unacknowledged >= MIN_PROGRESS as u64,
            Some(enough) => acknowledged >= enough,
        };
        if is_reading {
            give_up.deadline = Deadline::after(self.limits.pong);
            give_up.acknowledged_for_renewal = Some(acknowledged + MIN_PROGRESS as u64);
        }
        is_reading
    }

    /// Records that our Close has been sent, so that no ping can follow. Like a ping, the Close
    /// requires an answer, so the peer must send at least one byte within `Limits::pong`.
    pub(crate) fn note_close_sent(&mut self) {
        self.note_ping(self.next_payload(), Instant::now(), true);
    }

    /// Records a pong with this payload. If the pong answers our last ping, this sets the latency.
    /// Any other pong has no effect, so the latency never changes if each ping goes out before the
    /// pong to the previous ping arrives.
    pub(crate) fn note_pong(&mut self, payload: &[u8]) {
        let ours = self.ping.as_ref().filter(|ping| ping.payload == payload);
        self.latency = ours.map(|ping| ping.sent.elapsed()).or(self.latency);
    }

    fn give_up_deadline(&self) -> Option<Deadline> {
        self.ping.as_ref()?.give_up.as_ref().map(|give_up| give_up.deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn keepalive(ping_every: Duration, pong: Duration) -> Keepalive {
        let limits = Limits { ping_every: Some(ping_every), pong, ..Limits::default() };
        Keepalive::new(Arc::new(limits))
    }

    #[test]
    fn no_ping_is_sent_before_the_silence_is_long_enough() {
        assert!(matches!(keepalive(LONG, LONG).check(Duration::from_secs(1)), SilenceAction::Wait));
        assert!(matches!(keepalive(LONG, LONG).check(LONG), SilenceAction::SendPing));
        assert!(matches!(
            keepalive(Duration::ZERO, LONG).check(Duration::ZERO),
            SilenceAction::SendPing
        ));
    }

    #[test]
    fn after_a_long_silence_an_answer_on_its_way_has_time_to_come_before_the_ping() {
        let mut keepalive = keepalive(Duration::from_secs(16), LONG);
        assert_eq!(keepalive.until_next_check(), Duration::from_secs(16));
        let long_ago = Instant::now().checked_sub(LONG);
        keepalive.last_sign_of_life = long_ago.expect("a clock that runs for a minute");
        assert_eq!(keepalive.until_next_check(), Duration::from_secs(1));
    }

    #[test]
    fn a_pinged_peer_has_until_the_pong_is_due_whatever_ended_the_wait() {
        let mut keepalive = keepalive(Duration::ZERO, LONG);
        keepalive.note_ping([0; 8], Instant::now(), true);
        assert!(matches!(keepalive.check(LONG), SilenceAction::Wait));
        assert!(keepalive.until_next_check() > LONG / 2);
        Arc::make_mut(&mut keepalive.limits).pong = Duration::ZERO;
        keepalive.note_ping([0; 8], Instant::now(), true);
        assert!(matches!(keepalive.check(Duration::ZERO), SilenceAction::GiveUp));
        keepalive.note_sign_of_life();
        assert!(matches!(keepalive.check(Duration::ZERO), SilenceAction::SendPing));
    }
    #[test]
    fn only_the_pong_of_the_last_ping_sets_the_latency() {
        let mut keepalive = keepalive(LONG, LONG);
        let first = keepalive.next_payload();
        keepalive.note_ping(first, Instant::now(), false);
        let second = keepalive.next_payload();
        assert_ne!(first, second);
        keepalive.note_ping(second, Instant::now(), false);
        keepalive.note_pong(&first);
        assert_eq!(keepalive.latency, None);
        keepalive.note_pong(&second);
        assert!(keepalive.latency.is_some());
    }
}
