//! The registry: which connections are pending, which are open, and how the server shuts down.
//!
//! Rules of this file:
//! - A connection is *pending* while its head is read or its plain HTTP answer is written. Pending
//!   connections have a bound of their own. When they exceed it, the registry evicts the oldest,
//!   not the newest: an honest client finishes its handshake in milliseconds, so the one that has
//!   been pending longest isn't honest.
//! - An open connection holds a [`Permit`]. There's a fixed number of them. A connection gives its
//!   permit back after its closing handshake, however it ended.
//! - When the server stops, it sends a Close with 1001 on every open connection and gives out no
//!   more permits. A handler that waits in `recv` wakes when the peer answers that Close, or when
//!   the deadline for closing passes; when the grace is over, the server aborts the connection.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::io::{self, PipeReader};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::pages::Pages;
use crate::connection::close_guard::Owner;
use crate::connection::counters::{Counters, Totals};
use crate::connection::write_half::WriteHalf;
use crate::frames::close::Close;
use crate::frames::close_code::CloseCode;
use crate::transport::deadline::Deadline;
use crate::transport::lock::lock;
use crate::transport::stream::Stream;

/// The state that a server and its connections share.
pub(crate) struct Registry {
    pub(crate) totals: Arc<Totals>,
    pub(crate) pages: Pages,
    address: Option<SocketAddr>,
    /// A spare descriptor, freed for the connection that wakes `accept`.
    reserve: Mutex<Option<Reserve>>,
    next_id: AtomicU64,
    pending: Mutex<VecDeque<Pending>>,
    /// By connection id. `None` while the 101 is being written: there's no write half yet.
    open: Mutex<HashMap<u64, Option<Arc<WriteHalf>>>>,
    one_closed: Condvar,
    stopping: AtomicBool,
    /// Set when the server stops: every connection must have closed by then.
    close_by: Mutex<Deadline>,
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
    pub(crate) fn new(address: Option<SocketAddr>) -> Arc<Registry> {
        Arc::new(Registry {
            totals: Arc::default(),
            pages: Pages::default(),
            address,
            reserve: Mutex::new(address.and_then(|_| Reserve::new())),
            next_id: AtomicU64::new(1),
            pending: Mutex::default(),
            open: Mutex::default(),
            one_closed: Condvar::new(),
            stopping: AtomicBool::new(false),
            close_by: Mutex::new(Deadline::after(Duration::ZERO)),
        })
    }

    /// An id for a new connection.
    pub(crate) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, SeqCst)
    }

    /// Whether the server is stopping.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(SeqCst)
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

    /// A permit for one more open connection, unless `places` are taken or the server is stopping.
    pub(crate) fn permit(self: &Arc<Self>, id: u64, places: usize) -> Option<Permit> {
        let mut open = lock(&self.open);
        if open.len() >= places || self.is_stopping() {
            return None;
        }
        open.insert(id, None);
        Some(Permit { registry: self.clone(), id, is_open: false })
    }

    /// Sends 1001 on every open connection, waits for them to close, and aborts those that haven't
    /// closed in time.
    pub(crate) fn shut_down(&self) {
        for pending in lock(&self.pending).drain(..) {
            let _ = pending.stream.shutdown(Shutdown::Read);
        }
        let write_halves: Vec<_> = lock(&self.open).values().flatten().cloned().collect();
        // Each Close takes about 10 ms at most; thousands of peers with full buffers must not add up to
        // minutes.
        let bulk = Deadline::after(Duration::from_secs(1));
        for write_half in write_halves {
            if bulk.has_passed() && self.patience().is_err() {
                break;
            }
            write_half.close_without_waiting(going_away());
        }
        let mut open = lock(&self.open);
        while let (false, Ok(patience)) = (open.is_empty(), self.patience()) {
            let waited = self.one_closed.wait_timeout(open, patience);
            open = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        if !open.is_empty() {
            log::info!("{} connections did not close in time and are cut", open.len());
        }
        open.values().flatten().for_each(|write_half| write_half.abort());
    }

    /// Wakes the accepting thread: `accept` can't be interrupted, so this connects to it.
    fn wake(&self, mut address: SocketAddr) {
        if address.ip().is_unspecified() {
            address.set_ip(match address {
                SocketAddr::V4(_) => [127, 0, 0, 1].into(),
                SocketAddr::V6(_) => [0, 0, 0, 0, 0, 0, 0, 1].into(),
            });
        }
        drop(lock(&self.reserve).take());
        if let Err(error) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) {
            log::warn!("stop can't wake `accept`, which ends with the next client: {error}");
        }
    }

    /// How long the connections may still take to close.
    fn patience(&self) -> io::Result<Duration> {
        lock(&self.close_by).remaining()
    }
}

fn going_away() -> Close {
    Close { code: CloseCode::GOING_AWAY, reason: "the server stops".into() }
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

    /// Registers the write half once the 101 is written: from now on `shut_down` can close this
    /// connection. Returns what the connection tells of its end.
    pub(crate) fn open(mut self, write_half: &Arc<WriteHalf>) -> Arc<dyn Owner> {
        self.registry.totals.accepted();
        lock(&self.registry.open).insert(self.id, Some(write_half.clone()));
        if self.registry.is_stopping() {
            write_half.close_without_waiting(going_away());
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
        // Only `shut_down` waits for this, and it does so only while the server is stopping.
        if self.is_stopping() {
            self.one_closed.notify_all();
        }
    }
}

/// Stops a server and reads its counters, from any thread.
#[derive(Clone)]
pub struct Handle {
    pub(crate) registry: Arc<Registry>,
}

impl Handle {
    /// Stops the server. It accepts no new connection and sends a Close with 1001 on each open one.
    /// Peers have the time `grace` to answer and handlers to return; then the server aborts the
    /// connections that are still open, and `serve` returns. This call doesn't wait for that. A
    /// second call only changes the grace.
    pub fn stop(&self, grace: Duration) {
        let registry = &self.registry;
        *lock(&registry.close_by) = Deadline::after(grace);
        // `shut_down` waits with the old deadline: wake it, so that it takes the new one.
        let open = lock(&registry.open);
        registry.one_closed.notify_all();
        drop(open);
        if registry.stopping.swap(true, SeqCst) {
            return;
        }
        match registry.address {
            Some(address) => registry.wake(address),
            // A server without a listener has no `serve` that would shut it down.
            None => {
                let registry = registry.clone();
                let shutting_down = thread::Builder::new().spawn(move || registry.shut_down());
                shutting_down.map_or_else(|error| log::error!("stop: {error}"), drop);
            }
        }
    }

    /// What the server has counted so far.
    pub fn counters(&self) -> Counters {
        self.registry.totals.counters(lock(&self.registry.open).len())
    }
}
