//! The registry holds the state that a server and its connections share. It issues the permits that
//! limit how many connections are open.
//!
//! Rules of this file:
//! - There are `Limits::max_connections` permits. Each open connection holds a [`Permit`] until it
//!   has closed, even if the closing handshake fails.
//! - The registry issues no permit after `stop_accepting`, or once the server has begun to drain or
//!   stop. When the server drains or stops, [`shutdown`](crate::server::shutdown) closes the
//!   connections that hold a permit.

use std::collections::HashMap;
use std::io::{self, PipeReader};
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::page_slots::PageSlots;
use super::pending_connections::{PendingGuard, PendingList};
use crate::connection::close_guard::CloseObserver;
use crate::connection::closing_state::{CloseRequest, Urgency};
use crate::connection::write_half::WriteHalf;
use crate::counters::{Counters, Totals};
use crate::frames::close::Close;
use crate::transport::deadline::Deadline;
use crate::transport::listener::WakeAddress;
use crate::transport::lock::lock;
use crate::transport::stream::Stream;

/// The state that a server and its connections share, such as the server's phase, its counters and
/// its lists of connections.
pub(crate) struct Registry {
    pub(crate) totals: Arc<Totals>,
    pub(crate) page_slots: PageSlots,
    /// The listener's address, to which `stop` connects to wake the thread that waits in `accept`.
    /// `None` without a listener.
    pub(in crate::server) wake_address: Option<WakeAddress>,
    /// A spare file descriptor. `stop` frees it for the connection that wakes the thread in
    /// `accept`, because the process may have no other descriptor left.
    pub(in crate::server) reserve: Mutex<Option<ReserveDescriptor>>,
    next_id: AtomicU64,
    pub(in crate::server) pending: Arc<PendingList>,
    /// The stage of each connection that holds a permit, by the connection's id.
    pub(in crate::server) open: Mutex<HashMap<u64, PermitStage>>,
    /// Signals that a connection has closed, or that a client has been answered. Threads wait for
    /// it with the lock of `open`.
    pub(in crate::server) one_closed: Condvar,
    /// The number of clients that `serve` has accepted, and whose request has no response yet. Each
    /// has an [`UnansweredGuard`], which subtracts the client when it's dropped.
    unanswered: AtomicUsize,
    /// The server's [`Phase`], as a number that threads can read and advance without a lock.
    phase: AtomicU8,
    /// The deadlines of a draining or stopping server, and the Close that the server sends to its
    /// connections.
    pub(in crate::server) grace: Mutex<Grace>,
    /// Whether `serve` is in its accept loop, and must be woken when the server stops.
    pub(in crate::server) is_in_accept: AtomicBool,
    /// Whether the grace period is over and the open connections have been aborted. `shut_down`
    /// holds this lock while it runs.
    pub(in crate::server) grace_is_over: Mutex<bool>,
}

/// How far a connection that holds a permit has come: from the application's check of its request
/// to the open WebSocket.
pub(in crate::server) enum PermitStage {
    /// The application's own check, `authorize` or `admit`, is running.
    Authorizing,
    /// The server is writing the 101, so the connection has no write half yet.
    Upgrading,
    Open(Arc<WriteHalf>),
}

/// The phases of a server's life, in order. A server never returns to an earlier phase.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(in crate::server) enum Phase {
    Accepting,
    /// New clients receive a 503, and open connections stay open.
    Refusing,
    /// New clients receive a 503, and a thread closes the open connections in batches.
    Draining,
    /// All connections are closing. `serve` returns once they have closed, or when the grace period
    /// is over.
    Stopping,
}

/// The grace period of a server that drains or stops: the deadlines for its connections, and the
/// Close that the server sends them.
#[derive(Clone)]
pub(crate) struct Grace {
    /// Until this deadline, our Close waits for a busy handler's replies. After the deadline, our
    /// Close goes out even if the handler is still busy.
    pub(in crate::server) answer_by: Deadline,
    /// The deadline at which the server aborts the connections that are still open.
    pub(crate) close_by: Deadline,
    pub(in crate::server) close: Close,
}

impl Grace {
    pub(in crate::server) fn new(grace: Duration, close: Close) -> Grace {
        // The last tenth is reserved for the closing handshakes of busy connections.
        let answer_by = Deadline::after(grace - grace / 10);
        Grace { answer_by, close_by: Deadline::after(grace), close }
    }
}

/// A file descriptor kept in reserve in case the process runs out of descriptors. Dropping this
/// value frees the descriptor, so that the server can accept (and refuse) one more client, or
/// `stop` can connect to the server's own listener.
pub(crate) struct ReserveDescriptor(#[expect(dead_code)] PipeReader);

impl ReserveDescriptor {
    pub(crate) fn new() -> Option<ReserveDescriptor> {
        io::pipe().ok().map(|(end, _)| ReserveDescriptor(end))
    }
}

impl Registry {
    pub(crate) fn new(wake_address: Option<WakeAddress>) -> Arc<Registry> {
        Arc::new(Registry {
            totals: Arc::default(),
            page_slots: PageSlots::default(),
            reserve: Mutex::new(wake_address.as_ref().and_then(|_| ReserveDescriptor::new())),
            wake_address,
            next_id: AtomicU64::new(1),
            pending: Arc::default(),
            open: Mutex::default(),
            one_closed: Condvar::new(),
            unanswered: AtomicUsize::new(0),
            phase: AtomicU8::new(Phase::Accepting as u8),
            grace: Mutex::new(Grace::new(Duration::ZERO, Close::going_away())),
            is_in_accept: AtomicBool::new(false),
            grace_is_over: Mutex::new(false),
        })
    }

    /// Returns the id for a new connection. The registry and the log identify the connection by
    /// this id.
    pub(crate) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, SeqCst)
    }

    /// Records whether `serve` is in its accept loop. `serve` must call this before it checks
    /// `is_stopping`. That way, either `serve` notices a stop, or the stopping thread notices that
    /// it must wake `serve`.
    pub(crate) fn set_is_in_accept(&self, is_in_accept: bool) {
        self.is_in_accept.store(is_in_accept, SeqCst);
    }

    /// Returns whether the server admits new clients. Returns `false` after `stop_accepting`, and
    /// once the server has begun to drain or stop.
    pub(crate) fn is_accepting(&self) -> bool {
        self.phase.load(SeqCst) == Phase::Accepting as u8
    }

    /// Returns whether the server is closing its connections, all at once or in batches.
    fn is_closing(&self) -> bool {
        self.phase.load(SeqCst) >= Phase::Draining as u8
    }

    /// Returns whether the server is stopping. If so, `serve` ends its accept loop.
    pub(crate) fn is_stopping(&self) -> bool {
        self.phase.load(SeqCst) == Phase::Stopping as u8
    }

    /// Advances the server to this phase. Returns `false`, and changes nothing, if the server has
    /// already reached this phase or a later one.
    pub(in crate::server) fn advance_to(&self, phase: Phase) -> bool {
        self.phase.fetch_max(phase as u8, SeqCst) < phase as u8
    }

    /// Stops accepting new clients: from now on, `permit` returns `None`. Open connections stay
    /// open.
    pub(crate) fn stop_accepting(&self) {
        self.advance_to(Phase::Refusing);
    }

    /// Returns the current values of the server's counters, for
    /// [`Handle::counters`](crate::Handle::counters).
    pub(crate) fn counters(&self) -> Counters {
        let open = lock(&self.open);
        let is_open = |admitted: &&PermitStage| !matches!(admitted, PermitStage::Authorizing);
        self.totals.snapshot(open.values().filter(is_open).count())
    }

    /// Registers a connection as pending, before its HTTP head is read. If more than `max_waiting`
    /// connections are then pending, evicts the oldest. If the server is stopping, shuts down the
    /// new connection's reading side, so that the connection ends at once.
    pub(crate) fn register_pending(
        &self,
        id: u64,
        stream: Arc<dyn Stream>,
        max_waiting: usize,
    ) -> PendingGuard {
        let pending = self.pending.add(id, stream.clone(), max_waiting);
        if self.is_stopping() {
            // `shut_down` may have evicted the pending connections before this one was registered.
            let _ = stream.shutdown(Shutdown::Read);
        }
        pending
    }

    /// Returns a permit for one more open connection. Returns `None` if all `max_connections`
    /// permits are taken, or if the server admits no new clients.
    pub(crate) fn permit(self: &Arc<Self>, id: u64, max_connections: usize) -> Option<Permit> {
        let mut open = lock(&self.open);
        if open.len() >= max_connections || !self.is_accepting() {
            return None;
        }
        open.insert(id, PermitStage::Authorizing);
        Some(Permit { registry: self.clone(), id, is_open: false })
    }

    /// Counts an accepted client as unanswered until the returned guard is dropped.
    pub(crate) fn count_unanswered(self: &Arc<Self>) -> UnansweredGuard {
        self.unanswered.fetch_add(1, SeqCst);
        UnansweredGuard(self.clone())
    }

    /// Records that a client has been answered, and wakes the thread that waits for this in
    /// `shut_down`, if any. (This is a separate function, so that its stack frame takes no memory
    /// while a handler runs.)
    #[inline(never)]
    fn note_answered(&self) {
        self.unanswered.fetch_sub(1, SeqCst);
        if !self.is_accepting() {
            // (`shut_down` holds this lock while it reads the number, so it can't miss the signal.)
            drop(lock(&self.open));
            self.one_closed.notify_all();
        }
    }

    /// Returns the number of clients that `serve` has accepted but not answered yet: their
    /// connection isn't open, and no page or refusal has been sent.
    pub(in crate::server) fn unanswered(&self) -> usize {
        self.unanswered.load(SeqCst)
    }

    pub(crate) fn grace(&self) -> Grace {
        lock(&self.grace).clone()
    }
}

impl PermitStage {
    pub(in crate::server) fn write_half(&self) -> Option<&Arc<WriteHalf>> {
        match self {
            PermitStage::Authorizing | PermitStage::Upgrading => None,
            PermitStage::Open(write_half) => Some(write_half),
        }
    }
}

/// A connection's permission to be open. A server has `Limits::max_connections` permits. If the
/// connection never opens, dropping the permit makes it free again. If the connection opens, its
/// close guard makes the permit free once the connection has closed.
pub(crate) struct Permit {
    registry: Arc<Registry>,
    id: u64,
    /// Whether the connection has opened. If so, dropping this value doesn't make the permit free
    /// again.
    is_open: bool,
}

impl Permit {
    /// Returns the server's totals, to which this connection adds its traffic.
    pub(crate) fn totals(&self) -> Arc<Totals> {
        self.registry.totals.clone()
    }

    /// Counts the connection as open, just before its 101 is written. That way, the counters always
    /// include every client that has read its 101.
    pub(crate) fn count_as_open(&self) {
        self.registry.totals.count_opened();
        lock(&self.registry.open).insert(self.id, PermitStage::Upgrading);
    }

    /// Registers the connection's write half once the 101 is written, so that the server can close
    /// the connection when it drains or stops. If the server is already draining or stopping,
    /// requests the Close at once. If the grace period is over, also aborts the connection. Returns
    /// the registry, which the close guard must notify once the connection has closed.
    pub(crate) fn register_open(mut self, write_half: &Arc<WriteHalf>) -> Arc<dyn CloseObserver> {
        lock(&self.registry.open).insert(self.id, PermitStage::Open(write_half.clone()));
        if self.registry.is_closing() {
            let Grace { close, close_by, .. } = self.registry.grace();
            let is_over = close_by.has_passed();
            let urgency = if is_over { Urgency::Now } else { Urgency::WhenIdle };
            write_half.request_close_briefly(CloseRequest::of_stopping_server(close, urgency));
            if is_over {
                // `shut_down` may already have aborted the other connections.
                write_half.abort();
            }
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

/// A guard that exists while a client that `serve` has accepted has no answer yet. It's dropped
/// once the client's WebSocket has opened, or once the server has sent a page or a refusal. Until
/// then, a stopping server waits for the client.
pub(crate) struct UnansweredGuard(Arc<Registry>);

impl Drop for UnansweredGuard {
    fn drop(&mut self) {
        self.0.note_answered();
    }
}

impl CloseObserver for Registry {
    /// Takes back the permit of a connection that has closed, or whose handshake failed.
    fn connection_closed(&self, id: u64) {
        lock(&self.open).remove(&id);
        // While the server admits clients, no thread waits for this signal: only `shut_down` and
        // `drain` do.
        if !self.is_accepting() {
            self.one_closed.notify_all();
        }
    }
}
