//! Is the peer still there? When to ask, when to give up, and how long an answer took.
//!
//! After a silence we ping; anything that comes is a sign of life, and if nothing does, the peer is
//! gone. So a peer that has lost its power is found, by a side that would otherwise wait for ever. It is
//! asked from `recv`: while nobody is in there, nobody is missed; a write to such a peer has a deadline of
//! its own. And nobody can ask while somebody takes his time over a message that he writes in pieces.

use std::time::{Duration, Instant};

use super::limits::Limits;
use crate::transport::deadline::Deadline;

/// Watches one peer, from the side that reads.
pub(crate) struct Keepalive {
    ping_every: Option<Duration>,
    pong: Duration,
    /// When something last came.
    heard: Instant,
    ping: Option<Ping>,
    /// How long the last answered ping took.
    pub(crate) latency: Option<Duration>,
}

/// The last ping that we have sent.
struct Ping {
    payload: [u8; 8],
    sent: Instant,
    /// Something must have come by then.
    due: Option<Deadline>,
}

/// What a silence means.
pub(crate) enum Silence {
    /// Nothing yet.
    Wait,
    /// Time to ask.
    Ask,
    /// We have asked, and it stayed silent.
    GiveUp,
}

impl Keepalive {
    pub(crate) fn new(limits: &Limits) -> Keepalive {
        let Limits { ping_every, pong, .. } = *limits;
        Keepalive { ping_every, pong, heard: Instant::now(), ping: None, latency: None }
    }

    /// How long a read may wait before there is something to do.
    pub(crate) fn patience(&self) -> Duration {
        match self.due() {
            Some(due) => due.remaining().unwrap_or_default(),
            None => self.ping_every.unwrap_or(Duration::MAX),
        }
    }

    /// Something has come.
    pub(crate) fn heard(&mut self) {
        self.heard = Instant::now();
        if let Some(ping) = &mut self.ping {
            ping.due = None;
        }
    }

    /// A read has waited so long for nothing.
    pub(crate) fn check(&self, waited: Duration) -> Silence {
        match (self.due(), self.ping_every) {
            (Some(due), _) if due.has_passed() => Silence::GiveUp,
            // A timer may be early by a tick, so a whole wait counts, whatever the clock says.
            (None, Some(every)) if waited >= every || self.heard.elapsed() >= every => Silence::Ask,
            _ => Silence::Wait,
        }
    }

    /// What the next ping says: a number, so that its pong is told from others.
    pub(crate) fn next_payload(&self) -> [u8; 8] {
        let last = self.ping.as_ref().map_or(0, |ping| u64::from_be_bytes(ping.payload));
        last.wrapping_add(1).to_be_bytes()
    }

    /// A ping has been sent, by a caller, or because of a silence: then something must come.
    /// `sent` is when its write began.
    pub(crate) fn asked(&mut self, payload: [u8; 8], sent: Instant, must_answer: bool) {
        let due = if must_answer { Some(Deadline::after(self.pong)) } else { self.due() };
        self.ping = Some(Ping { payload, sent, due });
    }

    /// A pong has come.
    pub(crate) fn answered(&mut self, payload: &[u8]) {
        let ours = self.ping.as_ref().filter(|ping| ping.payload == payload);
        self.latency = ours.map(|ping| ping.sent.elapsed()).or(self.latency);
    }

    fn due(&self) -> Option<Deadline> {
        self.ping.as_ref().and_then(|ping| ping.due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn keepalive(ping_every: Duration, pong: Duration) -> Keepalive {
        Keepalive::new(&Limits { ping_every: Some(ping_every), pong, ..Limits::default() })
    }

    #[test]
    fn nobody_is_asked_before_the_silence_is_long_enough() {
        assert!(matches!(keepalive(LONG, LONG).check(Duration::from_secs(1)), Silence::Wait));
        assert!(matches!(keepalive(LONG, LONG).check(LONG), Silence::Ask));
        assert!(matches!(keepalive(Duration::ZERO, LONG).check(Duration::ZERO), Silence::Ask));
    }

    #[test]
    fn who_was_asked_has_until_the_pong_is_due_whatever_ended_the_wait() {
        let mut keepalive = keepalive(Duration::ZERO, LONG);
        keepalive.asked([0; 8], Instant::now(), true);
        assert!(matches!(keepalive.check(LONG), Silence::Wait));
        assert!(keepalive.patience() > LONG / 2);
        keepalive.pong = Duration::ZERO;
        keepalive.asked([0; 8], Instant::now(), true);
        assert!(matches!(keepalive.check(Duration::ZERO), Silence::GiveUp));
        keepalive.heard();
        assert!(matches!(keepalive.check(Duration::ZERO), Silence::Ask));
    }
    #[test]
    fn only_the_pong_of_the_last_ping_tells_how_long_it_took() {
        let mut keepalive = keepalive(LONG, LONG);
        let first = keepalive.next_payload();
        keepalive.asked(first, Instant::now(), false);
        let second = keepalive.next_payload();
        assert_ne!(first, second);
        keepalive.asked(second, Instant::now(), false);
        keepalive.answered(&first);
        assert_eq!(keepalive.latency, None);
        keepalive.answered(&second);
        assert!(keepalive.latency.is_some());
    }
}
