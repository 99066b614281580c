//! The end of a connection: what ends it, what goes out before our Close, and the time limits until
//! our Close is out and after that.
//!
//! In this table, an *open message* is one that a `MessageWriter` has begun and not yet finished.
//! The *minimum write rate* is 64 KiB in each period of `Limits::write`.
//!
//! | what ends it | our Close | what goes out first | time limit until our Close is out | time limit after that |
//! |---|---|---|---|---|
//! | `ws.close`, `Sender::close` | the caller's code | queued messages, and an open message | the minimum write rate; if nothing is sent, `Limits::write` | `Limits::close` for the peer's Close |
//! | the `WebSocket` is dropped, the handler ends | 1000; 1011 after an error or a panic | queued messages, and an open message | the minimum write rate; if nothing is sent, `Limits::write` | `Limits::close` for the peer's Close and the end of its stream |
//! | the peer's Close | the peer's code | queued messages | the minimum write rate; if nothing is sent, `Limits::write` | none: both have closed |
//! | `Handle::stop(grace)`, `drain` | 1001, or the operator's code | queued messages, an open message, and the handler's replies until it waits in `recv` again | nine tenths of the grace | the rest of the grace, and for a silent peer the keepalive; then the server aborts the connection |
//! | the peer breaks a rule | 1002, 1007, 1009 | nothing | the minimum write rate | `Limits::close` for the end of the peer's stream |
//! | a `MessageWriter` is dropped after its first fragment and before its `finish` | 1011 | nothing | the minimum write rate | `Limits::close` for the peer's Close |
//! | the keepalive's ping stays unanswered | none | nothing | | none: the connection is aborted |
//! | a write is too slow | none | nothing | | none |
//! | a write fails for another reason | none | nothing | | `Limits::close` to read what the peer sent before |
//! | `abort` | none | nothing | | none |
//!
//! Our end's states (capitalized), and the events that change them:
//!
//! ```text
//!           our Close is requested        all else is sent             our Close is written
//!      Open ─────────────────────► Requested ─────────────────► Due ─────────────────► Sent
//!        └───────────┬─────────────────┴─────────────────────────┴───────────┬──────────┘
//!                    │ a write fails, or the connection is aborted           │ the stream has ended
//!                    └─────────────────────► Broken ─────────────────────────┴─────► Over
//! ```
//!
//! Rules of this file:
//! - This file only decides. The [`write_half`](super::write_half) reports events to it, and
//!   carries out its decisions.
//! - The time limit for the peer's Close begins when our Close is written, not when it's requested.
//!   If our Close is requested again, for example with `ws.close` while the server stops, the
//!   shorter time limit counts.
//! - Once both ends have sent their Close, the server ends the stream first (§7.1.1). After that,
//!   the server waits at most 10 ms for the end of the peer's stream, and longer only while the
//!   peer's TCP stack is still acknowledging a long message. A client waits up to a second for the
//!   server to end the stream, and then shuts down its own side.
//! - While the peer is still reading a long message, its time limit is renewed, at most 24 times:
//!   see [`RenewableDeadline`](crate::transport::renewable_deadline::RenewableDeadline).
//! - A thread holds this file's lock only briefly, and never while it reads, writes or waits.
//!   Therefore no thread waits long for the lock.

use std::mem::replace;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::frames::close::Close;
use crate::transport::deadline::Deadline;
use crate::transport::lock::lock;

/// How urgent our Close is, and therefore what it waits for before it goes out. The variants are in
/// order: the first one waits for the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Urgency {
    /// Our Close waits until the handler is idle in `recv`, and then waits like `WhenDrained`. A
    /// draining or stopping server uses this, so that handlers can still send their replies. If the
    /// handler ends first and drops its `WebSocket`, the `close_guard` requests a Close that
    /// replaces this one.
    WhenIdle,
    /// Our Close waits for the outboxes' queued messages, and for a message that a `MessageWriter`
    /// has begun.
    WhenDrained,
    /// Our Close waits for nothing: the next thread that holds the write lock sends it.
    Now,
}

/// A thread's request to send our Close: the Close itself, its urgency, and how long the peer may
/// take to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CloseRequest {
    pub(crate) urgency: Urgency,
    pub(crate) close: Close,
    /// The maximum time that the peer may take to send its own Close once our Close is written.
    pub(crate) answer_within: Duration,
}

impl CloseRequest {
    pub(crate) fn when_drained(close: Close, answer_within: Duration) -> CloseRequest {
        CloseRequest { urgency: Urgency::WhenDrained, close, answer_within }
    }

    pub(crate) fn immediate(close: Close, answer_within: Duration) -> CloseRequest {
        CloseRequest { urgency: Urgency::Now, close, answer_within }
    }

    /// Creates the request for the Close of a draining or stopping server. The request sets no
    /// deadline for the peer's Close, because the server aborts the connections that are still open
    /// when the grace period is over. Before that, the keepalive ends the connection if the peer is
    /// silent for too long.
    pub(crate) fn of_stopping_server(close: Close, urgency: Urgency) -> CloseRequest {
        CloseRequest { urgency, close, answer_within: Duration::MAX }
    }
}

/// Why a connection can no longer send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteFailure {
    /// A write failed because the peer took less than 64 KiB in a period of `Limits::write`.
    TooSlow,
    /// A write failed for a reason other than a slow peer, or the connection was aborted.
    Lost,
}

/// Our end's progress through the closing handshake.
#[derive(Clone, Debug)]
pub(crate) enum OurSide {
    Open,
    /// A thread has requested our Close, but the Close still waits for other messages or for the
    /// handler. (The request is boxed to keep open connections small.)
    Requested(Box<CloseRequest>),
    /// Our Close no longer waits for other messages or for the handler, so the next thread that
    /// holds the write lock sends it. After that, the peer may take this long to send its own
    /// Close.
    Due(Duration),
    /// Our Close is written, and the peer must send its own Close by this deadline.
    Sent(Deadline),
    /// A write failed, or the connection was aborted, so we send nothing more. Until this deadline,
    /// the reading thread may read the bytes that the peer has already sent.
    Broken(WriteFailure, Deadline),
    /// The stream has ended in both directions, or this end has given up on the connection.
    Over,
}

/// An event that the write half reports to the closing state machine, [`ClosingState`], which then
/// decides whether our Close may go out.
pub(crate) enum ClosingEvent {
    /// A thread requests our Close.
    CloseRequested(CloseRequest),
    /// The handler waits in `recv`, so it isn't preparing a reply.
    HandlerIsIdle,
    /// The outboxes have sent all queued messages, and no `MessageWriter` is in the middle of a
    /// message.
    Drained,
    /// A thread has written our Close.
    Written,
    /// A write has failed, or the connection is aborted, so nothing more is sent. Until this
    /// deadline, the reading thread still reads the bytes that the peer has already sent.
    Failed(WriteFailure, Deadline),
    /// The stream has ended in both directions, or this end has given up on the connection.
    Ended,
}

/// The peer's progress through the closing handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PeerSide {
    Open,
    /// The peer has sent its Close.
    Closed,
    /// The peer broke a rule of the protocol, so we read no more of its messages.
    BrokeRule,
}

/// Both ends' progress through the closing handshake, and our Close once it's due. The lock
/// `ClosingState::sides` guards all of it.
struct Sides {
    ours: OurSide,
    peers: PeerSide,
    /// Our Close. `None` until it no longer has to wait. `is_sent` tells whether it has been
    /// written.
    close: Option<Close>,
    is_sent: bool,
}

/// The closing state machine of one connection, shared by all the connection's threads. It decides
/// when our Close is due (it no longer has to wait for the handler or for other messages), and
/// whether new messages are refused.
pub(crate) struct ClosingState {
    sides: Mutex<Sides>,
    changed: Condvar,
    /// The number of threads that wait for a change of the state. `notify_all` is a system call
    /// even if no thread waits, so `handle_event` calls it only if this number isn't zero.
    waiting: AtomicUsize,
    /// Whether our Close has been requested but isn't due yet. While this is `true`, each thread
    /// that ends a `MessageWriter`'s message or empties an outbox's queue must check whether the
    /// Close can go out now.
    is_close_requested: AtomicBool,
    /// Whether new messages are refused, because a write has failed, the connection has ended, or
    /// our Close has been requested. A Close that still waits for the handler doesn't count, so
    /// that the handler can send its reply.
    refuses: AtomicBool,
}

impl Default for ClosingState {
    fn default() -> ClosingState {
        ClosingState {
            sides: Mutex::new(Sides {
                ours: OurSide::Open,
                peers: PeerSide::Open,
                close: None,
                is_sent: false,
            }),
            changed: Condvar::new(),
            waiting: AtomicUsize::new(0),
            is_close_requested: AtomicBool::new(false),
            refuses: AtomicBool::new(false),
        }
    }
}

impl ClosingState {
    /// Changes the state as the event requires, and wakes the threads that wait for a change.
    /// Returns `true` if the event makes our Close due: nothing has to go out before it any more.
    /// The caller must then put the Close into `pending_control`, so that a thread sends it.
    #[inline(never)]
    pub(crate) fn handle_event(&self, event: ClosingEvent) -> bool {
        let mut sides = lock(&self.sides);
        let (state, due) = our_side_after(replace(&mut sides.ours, OurSide::Over), event);
        let is_due = due.is_some();
        sides.close = sides.close.take().or(due);
        sides.is_sent |= matches!(state, OurSide::Sent(_));
        self.is_close_requested.store(matches!(state, OurSide::Requested(_)), SeqCst);
        let refuses = match &state {
            OurSide::Open => false,
            OurSide::Requested(request) => request.urgency > Urgency::WhenIdle,
            OurSide::Due(_) | OurSide::Sent(_) | OurSide::Broken(..) | OurSide::Over => true,
        };
        self.refuses.store(refuses, SeqCst);
        sides.ours = state;
        if self.waiting.load(SeqCst) > 0 {
            self.changed.notify_all();
        }
        is_due
    }

    /// Records the peer's progress through the closing handshake.
    pub(crate) fn set_peer_side(&self, side: PeerSide) {
        lock(&self.sides).peers = side;
    }

    pub(crate) fn our_side(&self) -> OurSide {
        lock(&self.sides).ours.clone()
    }

    pub(crate) fn peer_side(&self) -> PeerSide {
        lock(&self.sides).peers
    }

    /// Returns our Close once it's due, and also after it's written. `None` before it's due.
    pub(crate) fn due_close(&self) -> Option<Close> {
        lock(&self.sides).close.clone()
    }

    /// Returns our Close once it's written, and `None` before that.
    pub(crate) fn sent_close(&self) -> Option<Close> {
        let sides = lock(&self.sides);
        sides.close.clone().filter(|_| sides.is_sent)
    }

    /// Returns whether our Close has been requested and still waits for other messages or for the
    /// handler.
    pub(crate) fn is_close_requested(&self) -> bool {
        self.is_close_requested.load(SeqCst)
    }

    /// Returns whether sending a new message fails because the connection is ending.
    #[inline]
    pub(crate) fn refuses_messages(&self) -> bool {
        self.refuses.load(SeqCst)
    }

    /// Waits until our Close is written or can't be written any more, but no longer than `at_most`.
    /// Returns our end's state after the wait.
    pub(crate) fn wait_until_close_is_sent(&self, at_most: Duration) -> OurSide {
        let is_to_come = |sides: &mut Sides| {
            matches!(sides.ours, OurSide::Open | OurSide::Requested(_) | OurSide::Due(_))
        };
        let sides = lock(&self.sides);
        self.waiting.fetch_add(1, SeqCst);
        let waited = self.changed.wait_timeout_while(sides, at_most, is_to_come);
        let sides = waited.unwrap_or_else(PoisonError::into_inner).0;
        self.waiting.fetch_sub(1, SeqCst);
        sides.ours.clone()
    }
}

// WALK: closing-state
/// Returns the state that follows `state` after an event, and our Close if the event makes it due.
fn our_side_after(state: OurSide, event: ClosingEvent) -> (OurSide, Option<Close>) {
    use OurSide::{Broken, Due, Open, Over, Requested, Sent};
    match (state, event) {
        // Only the first requested Close counts, unless a more urgent one is requested while the
        // first still waits. But the peer's time to answer is the shortest that any request sets.
        (Open, ClosingEvent::CloseRequested(request)) => our_side_after_request(request),
        (Requested(old), ClosingEvent::CloseRequested(new)) => {
            let answer_within = old.answer_within.min(new.answer_within);
            let counts = if new.urgency > old.urgency { new } else { *old };
            our_side_after_request(CloseRequest { answer_within, ..counts })
        }
        (Due(answer_within), ClosingEvent::CloseRequested(request)) => {
            (Due(answer_within.min(request.answer_within)), None)
        }
        (Sent(answer_by), ClosingEvent::CloseRequested(request)) => {
            (Sent(answer_by.earlier(Deadline::after(request.answer_within))), None)
        }
        (state @ (Broken(..) | Over), ClosingEvent::CloseRequested(_)) => (state, None),

        (Requested(mut request), ClosingEvent::HandlerIsIdle) => {
            request.urgency = Urgency::WhenDrained;
            (Requested(request), None)
        }
        (state @ (Open | Due(_) | Sent(_) | Broken(..) | Over), ClosingEvent::HandlerIsIdle) => {
            (state, None)
        }

        (Requested(request), ClosingEvent::Drained) if request.urgency > Urgency::WhenIdle => {
            (Due(request.answer_within), Some(request.close))
        }
        (
            state @ (Open | Requested(_) | Due(_) | Sent(_) | Broken(..) | Over),
            ClosingEvent::Drained,
        ) => (state, None),

        (Due(answer_within), ClosingEvent::Written) => (Sent(Deadline::after(answer_within)), None),
        (state @ (Open | Requested(_) | Sent(_) | Broken(..) | Over), ClosingEvent::Written) => {
            (state, None)
        }

        (Open | Requested(_) | Due(_) | Sent(_), ClosingEvent::Failed(why, read_by)) => {
            (Broken(why, read_by), None)
        }
        (state @ (Broken(..) | Over), ClosingEvent::Failed(..)) => (state, None),

        (Open | Requested(_) | Due(_) | Sent(_) | Broken(..) | Over, ClosingEvent::Ended) => {
            (Over, None)
        }
    }
}

fn our_side_after_request(request: CloseRequest) -> (OurSide, Option<Close>) {
    match request.urgency {
        Urgency::Now => (OurSide::Due(request.answer_within), Some(request.close)),
        Urgency::WhenIdle | Urgency::WhenDrained => (OurSide::Requested(Box::new(request)), None),
    }
}

/// Detects that a connection has stalled: for the whole of `Limits::write`, no thread was writing,
/// and no message or fragment was sent. A write that's under way counts as progress, because the
/// minimum write rate already limits its duration. A ping or pong that was sent doesn't count,
/// because pings and pongs may go on forever between two fragments.
pub(crate) struct StallDetector {
    within: Duration,
    sent: u64,
    deadline: Deadline,
}

impl StallDetector {
    pub(crate) fn new(within: Duration) -> StallDetector {
        StallDetector { within, sent: 0, deadline: Deadline::after(within) }
    }

    /// Returns whether the connection has stalled. A waiting thread must call this regularly: each
    /// call that notices progress restarts the time limit. `sent` is the number of messages and
    /// fragments sent so far. `is_writing` tells whether another thread is writing now.
    pub(crate) fn has_stalled(&mut self, sent: u64, is_writing: bool) -> bool {
        if is_writing || sent != self.sent {
            *self = StallDetector { sent, ..StallDetector::new(self.within) };
        }
        self.deadline.has_passed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::close_code::CloseCode;

    fn request(urgency: Urgency, code: u16) -> ClosingEvent {
        let close = Close { code: CloseCode(code), reason: String::new() };
        ClosingEvent::CloseRequested(CloseRequest {
            urgency,
            close,
            answer_within: Duration::from_secs(5),
        })
    }

    /// Passes the event to `closing`. Returns the code of our Close if the event makes that Close
    /// due.
    fn due_code(closing: &ClosingState, event: ClosingEvent) -> Option<u16> {
        closing.handle_event(event).then(|| closing.due_close().unwrap().code.0)
    }

    #[test]
    fn a_close_waits_for_what_goes_before_it_and_the_peers_time_begins_when_it_is_written() {
        let closing = ClosingState::default();
        assert!(!closing.handle_event(request(Urgency::WhenIdle, 1001)));
        assert!(!closing.refuses_messages(), "the handler may still answer");
        assert!(!closing.handle_event(ClosingEvent::Drained));
        assert!(!closing.handle_event(ClosingEvent::HandlerIsIdle));
        assert!(closing.refuses_messages());
        assert_eq!(due_code(&closing, ClosingEvent::Drained), Some(1001));
        assert!(matches!(closing.our_side(), OurSide::Due(_)));
        assert!(!closing.handle_event(ClosingEvent::Drained), "it is sent once");
        assert_eq!(closing.sent_close(), None, "it is not written yet");
        closing.handle_event(ClosingEvent::Written);
        assert!(matches!(closing.our_side(), OurSide::Sent(_)));
        closing.handle_event(ClosingEvent::Ended);
        assert_eq!(closing.sent_close().map(|close| close.code.0), Some(1001));
    }

    #[test]
    fn the_first_close_counts_unless_a_more_urgent_one_comes_while_it_waits() {
        let closing = ClosingState::default();
        closing.handle_event(request(Urgency::WhenDrained, 1000));
        closing.handle_event(request(Urgency::WhenDrained, 4000));
        closing.handle_event(request(Urgency::WhenIdle, 1001));
        assert_eq!(due_code(&closing, ClosingEvent::Drained), Some(1000));

        let closing = ClosingState::default();
        closing.handle_event(request(Urgency::WhenDrained, 1000));
        assert_eq!(due_code(&closing, request(Urgency::Now, 1002)), Some(1002));
        assert!(!closing.handle_event(request(Urgency::Now, 1011)));
    }

    #[test]
    fn the_shortest_time_to_answer_counts_whichever_close_does() {
        let of_server = || {
            let close = Close { code: CloseCode(1001), reason: String::new() };
            ClosingEvent::CloseRequested(CloseRequest::of_stopping_server(
                close,
                Urgency::WhenDrained,
            ))
        };
        // The number of `events` that come before the second request.
        for steps in 0..3 {
            let closing = ClosingState::default();
            closing.handle_event(of_server());
            let events = [ClosingEvent::Drained, ClosingEvent::Written];
            let (before, after): (Vec<_>, Vec<_>) =
                events.into_iter().enumerate().partition(|(step, _)| *step < steps);
            for (_, event) in before {
                closing.handle_event(event);
            }
            closing.handle_event(request(Urgency::WhenDrained, 1000));
            closing.handle_event(of_server());
            for (_, event) in after {
                closing.handle_event(event);
            }
            assert_eq!(closing.sent_close().map(|close| close.code.0), Some(1001));
            let OurSide::Sent(answer_by) = closing.our_side() else { panic!("it is sent") };
            assert!(!answer_by.never_passes(), "{steps}");
        }
    }

    #[test]
    fn after_a_failed_write_no_close_is_due() {
        let closing = ClosingState::default();
        closing.handle_event(request(Urgency::WhenDrained, 1000));
        closing.handle_event(ClosingEvent::Failed(
            WriteFailure::TooSlow,
            Deadline::after(Duration::ZERO),
        ));
        closing.handle_event(ClosingEvent::Failed(
            WriteFailure::Lost,
            Deadline::after(Duration::ZERO),
        ));
        assert!(!closing.handle_event(ClosingEvent::Drained));
        assert!(
            matches!(closing.our_side(), OurSide::Broken(WriteFailure::TooSlow, _)),
            "the first reason counts"
        );
        closing.handle_event(ClosingEvent::Ended);
        assert!(matches!(closing.our_side(), OurSide::Over));
        assert_eq!(closing.sent_close(), None);
    }
}
