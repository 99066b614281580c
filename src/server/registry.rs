//! Who is in the house: connections that are being greeted, and those that are open.
//!
//! Rules of this file:
//! - Those whose head is read, or who are answered in plain HTTP, have a room of their own. When it is
//!   full the oldest makes way, not the newest: an honest client is through in milliseconds, so whoever
//!   has stayed longest is not one.
//! - An open connection has a [`Place`], of which there are so many and no more. It is given back when
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

use crate::connection::counters::{Counters, Tally};
use crate::connection::write_half::Link;
use crate::frames::close::Close;
use crate::frames::close_code::CloseCode;
use crate::transport::deadline::Deadline;
use crate::transport::lock::lock;
use crate::transport::stream::Stream;

/// What the connections of a server share.
pub(crate) struct House {
    pub(crate) tally: Arc<Tally>,
    address: Option<SocketAddr>,
    /// For the connection that wakes `accept`.
    reserve: Mutex<Option<Reserve>>,
    next_id: AtomicU64,
    waiting: Mutex<VecDeque<Guest>>,
    /// By number; without a link while the 101 is on its way.
    open: Mutex<HashMap<u64, Option<Arc<Link>>>>,
    someone_left: Condvar,
    stopping: AtomicBool,
    /// Once it stops: when everybody must have left.
    leave_by: Mutex<Deadline>,
}

/// Somebody who is being greeted.
struct Guest {
    id: u64,
    stream: Arc<dyn Stream>,
    /// What makes them leave: the end of what they say, or of what they are told, too.
    sent_out_by: Shutdown,
}

/// A descriptor in reserve, for a time when there is no other left.
pub(crate) struct Reserve(#[expect(dead_code)] PipeReader);

impl Reserve {
    pub(crate) fn new() -> Option<Reserve> {
        io::pipe().ok().map(|(end, _)| Reserve(end))
    }
}

impl House {
    pub(crate) fn new(address: Option<SocketAddr>) -> Arc<House> {
        Arc::new(House {
            tally: Arc::default(),
            address,
            reserve: Mutex::new(address.and_then(|_| Reserve::new())),
            next_id: AtomicU64::new(1),
            waiting: Mutex::default(),
            open: Mutex::default(),
            someone_left: Condvar::new(),
            stopping: AtomicBool::new(false),
            leave_by: Mutex::new(Deadline::after(Duration::ZERO)),
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
    pub(crate) fn wait(self: &Arc<Self>, id: u64, stream: Arc<dyn Stream>, room: usize) -> Waiting {
        let waiting = Waiting { house: self.clone(), id, stream, room, has_left: Cell::new(false) };
        waiting.enter(Shutdown::Read);
        if self.is_stopping() {
            // The others have been sent out already.
            let _ = waiting.stream.shutdown(Shutdown::Read);
        }
        waiting
    }

    /// A place for one more, if there is one.
    pub(crate) fn take_place(self: &Arc<Self>, id: u64, places: usize) -> Option<Place> {
        let mut open = lock(&self.open);
        if open.len() >= places || self.is_stopping() {
            return None;
        }
        open.insert(id, None);
        Some(Place { house: self.clone(), id })
    }

    /// Tells everybody that the server stops, waits for them to leave, and cuts off who has not.
    pub(crate) fn empty(&self) {
        for guest in lock(&self.waiting).drain(..) {
            let _ = guest.stream.shutdown(Shutdown::Read);
        }
        let links: Vec<_> = lock(&self.open).values().flatten().cloned().collect();
        // Each is told within a moment; thousands that take nothing must not make it minutes.
        let telling = Deadline::after(Duration::from_secs(1));
        for link in links {
            if telling.has_passed() && self.patience().is_err() {
                break;
            }
            link.close_in_passing(going_away());
        }
        let mut open = lock(&self.open);
        while let (false, Ok(patience)) = (open.is_empty(), self.patience()) {
            let waited = self.someone_left.wait_timeout(open, patience);
            open = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        if !open.is_empty() {
            log::info!("{} connections did not close in time and are cut", open.len());
        }
        open.values().flatten().for_each(|link| link.cut());
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
        lock(&self.leave_by).remaining()
    }
}

fn going_away() -> Close {
    Close { code: CloseCode::GOING_AWAY, reason: "the server stops".into() }
}

/// Being in the room of those who are greeted.
pub(crate) struct Waiting {
    house: Arc<House>,
    id: u64,
    stream: Arc<dyn Stream>,
    room: usize,
    has_left: Cell<bool>,
}

impl Waiting {
    // WALK: waiting
    /// If there are too many, the oldest is woken, and finds that it has been sent out.
    fn enter(&self, sent_out_by: Shutdown) {
        let mut waiting = lock(&self.house.waiting);
        waiting.push_back(Guest { id: self.id, stream: self.stream.clone(), sent_out_by });
        if waiting.len() > self.room
            && let Some(oldest) = waiting.pop_front()
        {
            log::debug!("{} makes way for a newer one: too many at a time", oldest.id);
            let _ = oldest.stream.shutdown(oldest.sent_out_by);
        }
    }

    /// What is counted there.
    pub(crate) fn tally(&self) -> &Tally {
        &self.house.tally
    }

    /// Whether this one had to make way.
    pub(crate) fn was_sent_out(&self) -> bool {
        !lock(&self.house.waiting).iter().any(|guest| guest.id == self.id)
    }

    /// The head is whole: this one has a place, or waits for others, and need not make way. `false`: it
    /// had to already.
    pub(crate) fn leave(&self) -> bool {
        let mut waiting = lock(&self.house.waiting);
        let before = waiting.len();
        waiting.retain(|guest| guest.id != self.id);
        self.has_left.set(waiting.len() < before);
        self.has_left.get()
    }

    /// This one is answered in plain HTTP, and perhaps does not read it. Whoever had left, comes back.
    /// `false`: it had to make way, and can only be told that.
    pub(crate) fn stay_for_the_answer(&self) -> bool {
        if let Some(guest) = lock(&self.house.waiting).iter_mut().find(|guest| guest.id == self.id)
        {
            guest.sent_out_by = Shutdown::Both;
            return true;
        }
        if self.has_left.get() {
            self.enter(Shutdown::Both);
        }
        self.has_left.get()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.leave();
    }
}

/// The place of an open connection.
pub(crate) struct Place {
    house: Arc<House>,
    id: u64,
}

impl Place {
    /// What is counted there.
    pub(crate) fn tally(&self) -> Arc<Tally> {
        self.house.tally.clone()
    }

    /// The 101 is out: from now on this link is told when the server stops.
    pub(crate) fn open(&self, link: &Arc<Link>) {
        self.house.tally.accepted();
        lock(&self.house.open).insert(self.id, Some(link.clone()));
        if self.house.is_stopping() {
            link.close_in_passing(going_away());
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.house.open).remove(&self.id);
        // Nobody waits for that before; whoever waits has looked at who is open.
        if self.house.is_stopping() {
            self.house.someone_left.notify_all();
        }
    }
}

/// Stops a server, and reads its counters, from anywhere.
#[derive(Clone)]
pub struct Handle {
    pub(crate) house: Arc<House>,
}

impl Handle {
    /// Stops the server: nobody new is let in, everybody is told 1001 and may take so long to leave;
    /// then those that are left are cut off and `serve` returns. This call does not wait for them. Called
    /// again, it only sets how long they may still take.
    pub fn stop(&self, grace: Duration) {
        let house = &self.house;
        *lock(&house.leave_by) = Deadline::after(grace);
        // Whoever waits for the last to leave now waits so long.
        let open = lock(&house.open);
        house.someone_left.notify_all();
        drop(open);
        if house.stopping.swap(true, SeqCst) {
            return;
        }
        match house.address {
            Some(address) => house.wake(address),
            // There is no `serve` that would do it.
            None => {
                let house = house.clone();
                let emptying = thread::Builder::new().spawn(move || house.empty());
                emptying.map_or_else(|error| log::error!("stop: {error}"), drop);
            }
        }
    }

    /// What the server has counted so far.
    pub fn counters(&self) -> Counters {
        self.house.tally.counters(lock(&self.house.open).len())
    }
}
