//! The registry: which connections are pending, which are open, and how the server shuts down.
//!
//! Rules of this file:
//! - A connection is *pending* while its head is read or its plain HTTP answer is written. Pending
//!   connections have a bound of their own. When they exceed it, the registry evicts the oldest,
//!   not the newest: an honest client finishes its handshake in milliseconds, so the one that has
//!   been pending longest isn't honest.
//! - An open connection holds a [`Permit`]. There's a fixed number of them. A connection gives its
//!   permit back after its closing handshake, however it ended.
//! - When the server stops, it gives out no more permits, and each open connection gets a Close with
//!   1001: at once if its handler waits in `recv`, else when the handler does so or returns. So a reply
//!   that is ready within the grace goes out. A connection whose handler is still busy gets its Close at
//!   nine tenths of the grace, and the server aborts what is still open at its end.
//! - A server that drains gives out no more permits either. A thread sends the Closes in batches over the
//!   grace, and then stops the server.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::io::{self, PipeReader};
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::pages::Pages;
use crate::connection::close_guard::Owner;
use crate::connection::counters::{Counters, Totals};
use crate::connection::ending::{Ask, Urgency};
use crate::connection::write_half::WriteHalf;
use crate::frames::close::Close;
use crate::transport::deadline::Deadline;
use crate::transport::listener::Door;
use crate::transport::lock::lock;
use crate::transport::stream::Stream;

/// The state that a server and its connections share.
pub(crate) struct Registry {
    pub(crate) totals: Arc<Totals>,
    pub(crate) pages: Pages,
    /// Where the listener is reached, if there is one.
    door: Option<Door>,
    /// A spare descriptor, freed for the connection that wakes `accept`.
    reserve: Mutex<Option<Reserve>>,
    next_id: AtomicU64,
    pending: Mutex<VecDeque<Pending>>,
    /// By connection id: those that hold a permit.
    open: Mutex<HashMap<u64, Admitted>>,
    one_closed: Condvar,
    /// A [`Phase`].
    phase: AtomicU8,
    /// Set when the server drains or stops.
    grace: Mutex<Grace>,
    /// `serve` runs, and will shut the server down when it stops.
    is_serving: AtomicBool,
}

/// The stage that a connection with a permit has reached.
enum Admitted {
    /// The application still thinks about its request.
    Authorizing,
    /// The 101 is being written: there's no write half yet.
    Answering,
    Open(Arc<WriteHalf>),
}

/// How far the server has come to its end. It never goes back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
enum Phase {
    Accepting,
    /// New clients get a 503; those inside stay.
    Refusing,
    /// A thread closes the connections in batches.
    Draining,
    /// `serve` returns once all connections have closed.
    Stopping,
}

/// How long the connections have when the server drains or stops, and what it tells their peers.
#[derive(Clone)]
struct Grace {
    /// Until then handlers may finish what they're answering.
    answer_by: Deadline,
    /// By then every connection must have closed.
    close_by: Deadline,
    close: Close,
}

impl Grace {
    fn new(grace: Duration, close: Close) -> Grace {
        // The last tenth is for the closing handshakes of those that were busy.
        let answer_by = Deadline::after(grace - grace / 10);
        Grace { answer_by, close_by: Deadline::after(grace), close }
    }
}

/// A connection in its handshake, or one that gets a plain HTTP answer.
struct Pending {
    id: u64,
    stream: Arc<dyn Stream>,
    /// What an eviction shuts down: the reading direction, or writing too once an answer is being
    /// sent.
    evict_by: Shutdown,
}

/// A descriptor held in reserve, to be freed when the process has no other.
pub(crate) struct Reserve(#[expect(dead_code)] PipeReader);

impl Reserve {
    pub(crate) fn new() -> Option<Reserve> {
        io::pipe().ok().map(|(end, _)| Reserve(end))
    }
}

impl Registry {
    pub(crate) fn new(door: Option<Door>) -> Arc<Registry> {
        Arc::new(Registry {
            totals: Arc::default(),
            pages: Pages::default(),
            reserve: Mutex::new(door.as_ref().and_then(|_| Reserve::new())),
            door,
            next_id: AtomicU64::new(1),
            pending: Mutex::default(),
            open: Mutex::default(),
            one_closed: Condvar::new(),
            phase: AtomicU8::new(Phase::Accepting as u8),
            grace: Mutex::new(Grace::new(Duration::ZERO, Close::going_away())),
            is_serving: AtomicBool::new(false),
        })
    }

    /// An id for a new connection.
    pub(crate) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, SeqCst)
    }

    /// Notes that `serve` runs, so that `stop` leaves the shutdown to it.
    pub(crate) fn note_serving(&self) {
        self.is_serving.store(true, SeqCst);
    }

    /// Whether the server lets new clients in.
    pub(crate) fn is_accepting(&self) -> bool {
        self.phase.load(SeqCst) == Phase::Accepting as u8
    }

    /// Whether the server closes its connections, all at once or in batches.
    fn is_closing(&self) -> bool {
        self.phase.load(SeqCst) >= Phase::Draining as u8
    }

    /// Whether the server is stopping.
    pub(crate) fn is_stopping(&self) -> bool {
        self.phase.load(SeqCst) == Phase::Stopping as u8
    }

    /// Goes on to this phase. Returns whether the server hadn't come so far yet.
    fn advance_to(&self, phase: Phase) -> bool {
        self.phase.fetch_max(phase as u8, SeqCst) < phase as u8
    }

    /// From now on gives out no more permits.
    pub(crate) fn stop_accepting(&self) {
        self.advance_to(Phase::Refusing);
    }

    /// Begins a drain within this grace, unless the server drains already or is stopping.
    pub(crate) fn begin_draining(&self, grace: Duration, close: Close) -> bool {
        // Locked first: a thread that sees the new phase gets the new Close.
        let mut current = lock(&self.grace);
        let is_first = self.advance_to(Phase::Draining);
        if is_first {
            *current = Grace::new(grace, close);
        }
        is_first
    }

    /// Sets how long the connections have when the server stops.
    pub(crate) fn set_grace(&self, grace: Duration, close: Close) {
        *lock(&self.grace) = Grace::new(grace, close);
    }

    /// Begins to stop, within the grace that is set; a later call makes a new grace known.
    pub(crate) fn begin_stopping(self: &Arc<Self>) {
        let is_first = self.advance_to(Phase::Stopping);
        // `shut_down` waits with the old deadlines, and `drain` for its next batch: wake them.
        let open = lock(&self.open);
        self.one_closed.notify_all();
        drop(open);
        if !is_first {
            return;
        }
        if let Some(door) = &self.door {
            self.wake(door);
        }
        // A server whose streams come from `accept` has no `serve` that would shut it down.
        if !self.is_serving.load(SeqCst) {
            let registry = self.clone();
            let shutting_down = thread::Builder::new().spawn(move || registry.shut_down());
            shutting_down.map_or_else(|error| log::error!("stop: {error}"), drop);
        }
    }

    /// What the server has counted so far.
    pub(crate) fn counters(&self) -> Counters {
        let open = lock(&self.open);
        let is_open = |admitted: &&Admitted| !matches!(admitted, Admitted::Authorizing);
        self.totals.counters(open.values().filter(is_open).count())
    }

    /// Registers a connection as pending, before its head is read. With more than `room` pending
    /// connections the oldest is evicted.
    pub(crate) fn register(
        self: &Arc<Self>,
        id: u64,
        stream: Arc<dyn Stream>,
        room: usize,
    ) -> PendingGuard {
        let pending = PendingGuard {
            registry: self.clone(),
            id,
            stream,
            room,
            was_promoted: Cell::new(false),
        };
        pending.enter(Shutdown::Read);
        if self.is_stopping() {
            // `shut_down` may have evicted the pending connections before this one was registered.
            let _ = pending.stream.shutdown(Shutdown::Read);
        }
        pending
    }

    /// A permit for one more open connection, unless `places` are taken or the server lets none in.
    pub(crate) fn permit(self: &Arc<Self>, id: u64, places: usize) -> Option<Permit> {
        let mut open = lock(&self.open);
        if open.len() >= places || !self.is_accepting() {
            return None;
        }
        open.insert(id, Admitted::Authorizing);
        Some(Permit { registry: self.clone(), id, is_open: false })
    }

    /// Closes every connection, each step within its bound.
    pub(crate) fn shut_down(&self) {
        // 1. Pending connections end at once; there's no new permit.
        for pending in lock(&self.pending).drain(..) {
            let _ = pending.stream.shutdown(Shutdown::Read);
        }
        // 2. The others get their Close when what is queued or being answered has gone out.
        let mut are_closed = false;
        while !are_closed && !self.grace().answer_by.has_passed() {
            self.close_all(Urgency::WhenIdle);
            are_closed = self.wait_until_closed(|grace| grace.answer_by);
        }
        // 3. Those that are still busy get it now.
        while !are_closed && !self.grace().close_by.has_passed() {
            self.close_all(Urgency::Now);
            are_closed = self.wait_until_closed(|grace| grace.close_by);
        }
        // 4. The grace is over.
        if !are_closed {
            self.close_all(Urgency::Now);
            let open = lock(&self.open);
            if !open.is_empty() {
                log::info!("{} connections did not close in time and are cut", open.len());
            }
            open.values().filter_map(Admitted::write_half).for_each(|half| half.abort());
        }
    }

    /// Sends our Close on every open connection on which it's due. Each takes about 10 ms at most; thousands
    /// of peers with full buffers must not add up to minutes.
    fn close_all(&self, urgency: Urgency) {
        let halves: Vec<_> =
            lock(&self.open).values().filter_map(Admitted::write_half).cloned().collect();
        let bulk = Deadline::after(Duration::from_millis(500));
        for write_half in halves {
            let Grace { close_by, close, .. } = self.grace();
            if bulk.has_passed() && close_by.has_passed() {
                break;
            }
            write_half.close_without_waiting(Ask::of_stopping_server(close, urgency));
        }
    }

    /// Closes the connections in batches that are spread evenly over this time, the oldest first. Ends
    /// early when all have closed, or when the server stops.
    pub(crate) fn drain(&self, spread: Duration) {
        let over = Deadline::after(spread);
        let mut ids: Vec<u64> = lock(&self.open).keys().copied().collect();
        ids.sort_unstable();
        let most_batches = (spread.as_millis() / DRAIN_PAUSE.as_millis()).max(1);
        let size = ids.len().div_ceil(usize::try_from(most_batches).unwrap_or(usize::MAX)).max(1);
        let mut batches = ids.chunks(size);
        while let (remaining, Some(batch)) = (batches.len(), batches.next()) {
            for id in batch {
                // (The lock isn't held while the Close is written.)
                let write_half = lock(&self.open).get(id).and_then(Admitted::write_half).cloned();
                if let (Some(write_half), false) = (write_half, over.has_passed()) {
                    let Grace { close, .. } = self.grace();
                    let ask = Ask::of_stopping_server(close, Urgency::WhenIdle);
                    write_half.close_without_waiting(ask);
                }
            }
            // Once peers with full buffers have taken all the time, `shut_down` goes on.
            let Ok(rest) = over.remaining() else { return };
            let pause = rest / u32::try_from(remaining).unwrap_or(u32::MAX);
            if !self.wait_between_batches(Deadline::after(pause)) {
                return;
            }
        }
    }

    /// Waits until this moment. Returns `false` as soon as there's nothing left to drain.
    fn wait_between_batches(&self, end: Deadline) -> bool {
        let mut open = lock(&self.open);
        while let (false, false, Ok(rest)) = (open.is_empty(), self.is_stopping(), end.remaining())
        {
            let waited = self.one_closed.wait_timeout(open, rest);
            open = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        !open.is_empty() && !self.is_stopping()
    }

    /// Waits until all connections have closed, or for a second: then a Close that a full buffer didn't
    /// take is tried again. Returns whether all have closed.
    fn wait_until_closed(&self, until: impl Fn(Grace) -> Deadline) -> bool {
        let mut open = lock(&self.open);
        let again = Deadline::after(Duration::from_secs(1));
        while let (false, Ok(rest), Ok(patience)) =
            (open.is_empty(), again.remaining(), until(self.grace()).remaining())
        {
            let waited = self.one_closed.wait_timeout(open, rest.min(patience));
            open = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        open.is_empty()
    }

    /// Wakes the accepting thread.
    fn wake(&self, door: &Door) {
        drop(lock(&self.reserve).take());
        if let Err(error) = door.knock() {
            log::warn!("stop can't wake `accept`, which ends with the next client: {error}");
        }
    }

    fn grace(&self) -> Grace {
        lock(&self.grace).clone()
    }
}

/// The least time between two batches of a drain.
const DRAIN_PAUSE: Duration = Duration::from_millis(50);

impl Admitted {
    fn write_half(&self) -> Option<&Arc<WriteHalf>> {
        match self {
            Admitted::Authorizing | Admitted::Answering => None,
            Admitted::Open(write_half) => Some(write_half),
        }
    }
}

/// A pending connection's entry in the registry. Dropping it removes the entry.
pub(crate) struct PendingGuard {
    registry: Arc<Registry>,
    id: u64,
    stream: Arc<dyn Stream>,
    room: usize,
    was_promoted: Cell<bool>,
}

impl PendingGuard {
    // WALK: waiting
    /// Adds this connection. If that makes too many, evicts the oldest: the shutdown wakes its
    /// thread, which finds that it was evicted.
    fn enter(&self, evict_by: Shutdown) {
        let mut pending = lock(&self.registry.pending);
        pending.push_back(Pending { id: self.id, stream: self.stream.clone(), evict_by });
        if pending.len() > self.room
            && let Some(oldest) = pending.pop_front()
        {
            log::debug!("{} is evicted: too many pending connections", oldest.id);
            let _ = oldest.stream.shutdown(oldest.evict_by);
        }
    }

    /// The server's counters.
    pub(crate) fn totals(&self) -> &Totals {
        &self.registry.totals
    }

    /// Whether this connection was evicted.
    pub(crate) fn was_evicted(&self) -> bool {
        !lock(&self.registry.pending).iter().any(|pending| pending.id == self.id)
    }

    /// Takes this connection off the pending list, after which it can't be evicted: its head is
    /// complete, and it holds a permit. Returns `false` if it has been evicted before.
    pub(crate) fn promote(&self) -> bool {
        let mut pending = lock(&self.registry.pending);
        let before = pending.len();
        pending.retain(|other| other.id != self.id);
        self.was_promoted.set(pending.len() < before);
        self.was_promoted.get()
    }

    /// Takes this connection off the pending list while its page is made. It doesn't matter whether it
    /// was evicted: its head is complete, and an eviction shuts down only the reading direction.
    pub(crate) fn suspend_for_page(&self) {
        self.promote();
        self.was_promoted.set(true);
    }

    /// Keeps this connection pending while its plain HTTP answer is written, because the client may
    /// not read it. A connection that was taken off the list becomes pending again; one that was
    /// evicted gets its answer, and nothing more waits for it.
    pub(crate) fn keep_pending_for_answer(&self) {
        if let Some(pending) =
            lock(&self.registry.pending).iter_mut().find(|pending| pending.id == self.id)
        {
            pending.evict_by = Shutdown::Both;
            return;
        }
        if self.was_promoted.get() {
            self.enter(Shutdown::Both);
        }
    }
}

impl Drop for PendingGuard {
    fn drop(&mut self) {
        self.promote();
    }
}

/// The right to be an open connection. Dropping it lets another connection in.
pub(crate) struct Permit {
    registry: Arc<Registry>,
    id: u64,
    /// The connection's close guard gives it back; before that, dropping it does.
    is_open: bool,
}

impl Permit {
    /// The server's counters.
    pub(crate) fn totals(&self) -> Arc<Totals> {
        self.registry.totals.clone()
    }

    /// Counts the connection as open, just before its 101 is written: a client that reads the 101 is
    /// open.
    pub(crate) fn answering(&self) {
        lock(&self.registry.open).insert(self.id, Admitted::Answering);
    }

    /// Registers the write half once the 101 is written: from now on `shut_down` can close this
    /// connection. Returns what the connection tells of its end.
    pub(crate) fn open(mut self, write_half: &Arc<WriteHalf>) -> Arc<dyn Owner> {
        self.registry.totals.accepted();
        lock(&self.registry.open).insert(self.id, Admitted::Open(write_half.clone()));
        if self.registry.is_closing() {
            let Grace { close, .. } = self.registry.grace();
            write_half.close_without_waiting(Ask::of_stopping_server(close, Urgency::WhenIdle));
        }
        self.is_open = true;
        self.registry.clone()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.is_open {
            self.registry.connection_closed(self.id);
        }
    }
}

impl Owner for Registry {
    /// Frees the permit of a connection that has closed, or that was never opened.
    fn connection_closed(&self, id: u64) {
        lock(&self.open).remove(&id);
        // Only `shut_down` and `drain` wait for this, and only when the server lets no client in.
        if !self.is_accepting() {
            self.one_closed.notify_all();
        }
    }
}
