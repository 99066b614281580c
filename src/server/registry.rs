//! Who is in the house: connections that are being greeted, and those that are open.
//!
//! Rules of this file:
//! - Those whose head is read, or who are answered in plain HTTP, have a room of their own. When it is
//!   full the oldest makes way, not the newest: an honest client is through in milliseconds, so whoever
//!   has stayed longest is not one.
//! - An open connection has a [`Permit`], of which there are so many and no more. It is given back when
//!   the last goodbye is said, however the connection ended.
//! - When the server stops, everybody who is open is told 1001, and nobody new gets a place. What wakes
//!   those who wait in `recv` is the peer's answer to it, else the deadline of closing, at last the cut.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::io::{self, PipeReader};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::connection::counters::{Counters, Totals};
use crate::connection::write_half::WriteHalf;
use crate::frames::close::Close;
use crate::frames::close_code::CloseCode;
use crate::transport::deadline::Deadline;
use crate::transport::lock::lock;
use crate::transport::stream::Stream;

/// What the connections of a server share.
pub(crate) struct Registry {
    pub(crate) totals: Arc<Totals>,
    address: Option<SocketAddr>,
    /// For the connection that wakes `accept`.
    reserve: Mutex<Option<Reserve>>,
    next_id: AtomicU64,
    pending: Mutex<VecDeque<Pending>>,
    /// By number; without a link while the 101 is on its way.
    open: Mutex<HashMap<u64, Option<Arc<WriteHalf>>>>,
    one_closed: Condvar,
    stopping: AtomicBool,
    /// Once it stops: when everybody must have left.
    close_by: Mutex<Deadline>,
}

/// Somebody who is being greeted.
struct Pending {
    id: u64,
    stream: Arc<dyn Stream>,
    /// What makes them leave: the end of what they say, or of what they are told, too.
    evict_by: Shutdown,
}

/// A descriptor in reserve, for a time when there is no other left.
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

    /// A number for a new connection.
    pub(crate) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, SeqCst)
    }

    /// Whether somebody has asked to stop.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(SeqCst)
    }

    /// Lets somebody wait whose head is being read.
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
            // The others have been sent out already.
            let _ = pending.stream.shutdown(Shutdown::Read);
        }
        pending
    }

    /// A place for one more, if there is one.
    pub(crate) fn permit(self: &Arc<Self>, id: u64, places: usize) -> Option<Permit> {
        let mut open = lock(&self.open);
        if open.len() >= places || self.is_stopping() {
            return None;
        }
        open.insert(id, None);
        Some(Permit { registry: self.clone(), id })
    }

    /// Tells everybody that the server stops, waits for them to leave, and cuts off who has not.
    pub(crate) fn shut_down(&self) {
        for pending in lock(&self.pending).drain(..) {
            let _ = pending.stream.shutdown(Shutdown::Read);
        }
        let links: Vec<_> = lock(&self.open).values().flatten().cloned().collect();
        // Each is told within a moment; thousands that take nothing must not make it minutes.
        let telling = Deadline::after(Duration::from_secs(1));
        for write_half in links {
            if telling.has_passed() && self.patience().is_err() {
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

    /// `accept` can't be interrupted, but a connection wakes it.
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

    /// How long everybody may still take to leave.
    fn patience(&self) -> io::Result<Duration> {
        lock(&self.close_by).remaining()
    }
}

fn going_away() -> Close {
    Close { code: CloseCode::GOING_AWAY, reason: "the server stops".into() }
}

/// Being in the room of those who are greeted.
pub(crate) struct PendingGuard {
    registry: Arc<Registry>,
    id: u64,
    stream: Arc<dyn Stream>,
    room: usize,
    was_promoted: Cell<bool>,
}

impl PendingGuard {
    // WALK: waiting
    /// If there are too many, the oldest is woken, and finds that it has been sent out.
    fn enter(&self, evict_by: Shutdown) {
        let mut pending = lock(&self.registry.pending);
        pending.push_back(Pending { id: self.id, stream: self.stream.clone(), evict_by });
        if pending.len() > self.room
            && let Some(oldest) = pending.pop_front()
        {
            log::debug!("{} makes way for a newer one: too many at a time", oldest.id);
            let _ = oldest.stream.shutdown(oldest.evict_by);
        }
    }

    /// What is counted there.
    pub(crate) fn totals(&self) -> &Totals {
        &self.registry.totals
    }

    /// Whether this one had to make way.
    pub(crate) fn was_evicted(&self) -> bool {
        !lock(&self.registry.pending).iter().any(|pending| pending.id == self.id)
    }

    /// The head is whole: this one has a place, or waits for others, and need not make way. `false`: it
    /// had to already.
    pub(crate) fn promote(&self) -> bool {
        let mut pending = lock(&self.registry.pending);
        let before = pending.len();
        pending.retain(|other| other.id != self.id);
        self.was_promoted.set(pending.len() < before);
        self.was_promoted.get()
    }

    /// This one is answered in plain HTTP, and perhaps does not read it. Whoever had left, comes back.
    /// `false`: it had to make way, and can only be told that.
    pub(crate) fn keep_pending_for_answer(&self) -> bool {
        if let Some(pending) =
            lock(&self.registry.pending).iter_mut().find(|pending| pending.id == self.id)
        {
            pending.evict_by = Shutdown::Both;
            return true;
        }
        if self.was_promoted.get() {
            self.enter(Shutdown::Both);
        }
        self.was_promoted.get()
    }
}

impl Drop for PendingGuard {
    fn drop(&mut self) {
        self.promote();
    }
}

/// The place of an open connection.
pub(crate) struct Permit {
    registry: Arc<Registry>,
    id: u64,
}

impl Permit {
    /// What is counted there.
    pub(crate) fn totals(&self) -> Arc<Totals> {
        self.registry.totals.clone()
    }

    /// The 101 is out: from now on this link is told when the server stops.
    pub(crate) fn open(&self, write_half: &Arc<WriteHalf>) {
        self.registry.totals.accepted();
        lock(&self.registry.open).insert(self.id, Some(write_half.clone()));
        if self.registry.is_stopping() {
            write_half.close_without_waiting(going_away());
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        lock(&self.registry.open).remove(&self.id);
        // Nobody waits for that before; whoever waits has looked at who is open.
        if self.registry.is_stopping() {
            self.registry.one_closed.notify_all();
        }
    }
}

/// Stops a server, and reads its counters, from anywhere.
#[derive(Clone)]
pub struct Handle {
    pub(crate) registry: Arc<Registry>,
}

impl Handle {
    /// Stops the server: nobody new is let in, everybody is told 1001 and may take so long to leave;
    /// then those that are left are cut off and `serve` returns. This call does not wait for them. Called
    /// again, it only sets how long they may still take.
    pub fn stop(&self, grace: Duration) {
        let registry = &self.registry;
        *lock(&registry.close_by) = Deadline::after(grace);
        // Whoever waits for the last to leave now waits so long.
        let open = lock(&registry.open);
        registry.one_closed.notify_all();
        drop(open);
        if registry.stopping.swap(true, SeqCst) {
            return;
        }
        match registry.address {
            Some(address) => registry.wake(address),
            // There is no `serve` that would do it.
            None => {
                let registry = registry.clone();
                let emptying = thread::Builder::new().spawn(move || registry.shut_down());
                emptying.map_or_else(|error| log::error!("stop: {error}"), drop);
            }
        }
    }

    /// What the server has counted so far.
    pub fn counters(&self) -> Counters {
        // A permit whose 101 isn't out yet takes a place, but is no WebSocket.
        let open = lock(&self.registry.open).values().flatten().count();
        self.registry.totals.counters(open)
    }
}
