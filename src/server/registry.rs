//! The registry: the state that a server and its connections share, and the permits of those that are
//! open.
//!
//! Rules of this file:
//! - An open connection holds a [`Permit`]. There's a fixed number of them. A connection gives its
//!   permit back after its closing handshake, however it ended.
//! - There's no new permit once the server drains or stops. `shutdown.rs` closes the connections that hold
//!   one.

use std::collections::HashMap;
use std::io::{self, PipeReader};
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::pages::Pages;
use super::pending::{PendingGuard, PendingList};
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
    pub(super) door: Option<Door>,
    /// A spare descriptor, freed for the connection that wakes `accept`.
    pub(super) reserve: Mutex<Option<Reserve>>,
    next_id: AtomicU64,
    pub(super) pending: Arc<PendingList>,
    /// By connection id: those that hold a permit.
    pub(super) open: Mutex<HashMap<u64, PermitStage>>,
    pub(super) one_closed: Condvar,
    /// A [`Phase`].
    phase: AtomicU8,
    /// Set when the server drains or stops.
    pub(super) grace: Mutex<Grace>,
    /// `serve` runs, and will shut the server down when it stops.
    pub(super) is_serving: AtomicBool,
}

/// The stage that a connection with a permit has reached.
pub(super) enum PermitStage {
    /// The application still thinks about its request.
    Authorizing,
    /// The 101 is being written: there's no write half yet.
    Answering,
    Open(Arc<WriteHalf>),
}

/// How far the server has come to its end. It never goes back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Phase {
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
pub(super) struct Grace {
    /// Until then handlers may finish what they're answering.
    pub(super) answer_by: Deadline,
    /// By then every connection must have closed.
    pub(super) close_by: Deadline,
    pub(super) close: Close,
}

impl Grace {
    pub(super) fn new(grace: Duration, close: Close) -> Grace {
        // The last tenth is for the closing handshakes of those that were busy.
        let answer_by = Deadline::after(grace - grace / 10);
        Grace { answer_by, close_by: Deadline::after(grace), close }
    }
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
            pending: Arc::default(),
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
    pub(super) fn advance_to(&self, phase: Phase) -> bool {
        self.phase.fetch_max(phase as u8, SeqCst) < phase as u8
    }

    /// From now on gives out no more permits.
    pub(crate) fn stop_accepting(&self) {
        self.advance_to(Phase::Refusing);
    }

    /// What the server has counted so far.
    pub(crate) fn counters(&self) -> Counters {
        let open = lock(&self.open);
        let is_open = |admitted: &&PermitStage| !matches!(admitted, PermitStage::Authorizing);
        self.totals.counters(open.values().filter(is_open).count())
    }

    /// Registers a connection as pending, before its head is read. With more than `max_waiting` pending
    /// connections the oldest is evicted.
    pub(crate) fn register(
        &self,
        id: u64,
        stream: Arc<dyn Stream>,
        max_waiting: usize,
    ) -> PendingGuard {
        let pending = self.pending.register(id, stream.clone(), max_waiting);
        if self.is_stopping() {
            // `shut_down` may have evicted the pending connections before this one was registered.
            let _ = stream.shutdown(Shutdown::Read);
        }
        pending
    }

    /// A permit for one more open connection, unless so many are open or the server lets none in.
    pub(crate) fn permit(self: &Arc<Self>, id: u64, max_connections: usize) -> Option<Permit> {
        let mut open = lock(&self.open);
        if open.len() >= max_connections || !self.is_accepting() {
            return None;
        }
        open.insert(id, PermitStage::Authorizing);
        Some(Permit { registry: self.clone(), id, is_open: false })
    }

    pub(super) fn grace(&self) -> Grace {
        lock(&self.grace).clone()
    }
}

impl PermitStage {
    pub(super) fn write_half(&self) -> Option<&Arc<WriteHalf>> {
        match self {
            PermitStage::Authorizing | PermitStage::Answering => None,
            PermitStage::Open(write_half) => Some(write_half),
        }
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
        lock(&self.registry.open).insert(self.id, PermitStage::Answering);
    }

    /// Registers the write half once the 101 is written: from now on `shut_down` can close this
    /// connection. Returns what the connection tells of its end.
    pub(crate) fn register_open(mut self, write_half: &Arc<WriteHalf>) -> Arc<dyn Owner> {
        self.registry.totals.accepted();
        lock(&self.registry.open).insert(self.id, PermitStage::Open(write_half.clone()));
        if self.registry.is_closing() {
            let Grace { close, .. } = self.registry.grace();
            write_half.try_close(Ask::of_stopping_server(close, Urgency::WhenIdle));
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
