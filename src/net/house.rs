//! Who is in the house: connections whose head is being read, and those that are open.
//!
//! Rules of this file:
//! - Heads being read have a room of their own. When it is full the oldest makes way, not the newest:
//!   an honest client is through in milliseconds, so whoever has stayed longest is not one.
//! - An open connection has a [`Place`], of which there are so many and no more. It is given back when
//!   the last goodbye is said, however the connection ended.
//! - When the server stops, everybody who is open is told 1001, and nobody new gets a place. What wakes
//!   those who wait in `recv` is the peer's answer to it, else the deadline of closing, at last the cut.

use std::collections::{HashMap, VecDeque};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::link::Link;
use super::queue::lock;
use super::stream::{Deadline, Stream};
use super::tally::{Counters, Tally};
use crate::protocol::close::Close;
use crate::protocol::close_code::CloseCode;

/// What the connections of a server share.
pub(crate) struct House {
    pub(crate) tally: Arc<Tally>,
    address: Option<SocketAddr>,
    next_id: AtomicU64,
    waiting: Mutex<VecDeque<(u64, Arc<dyn Stream>)>>,
    /// By number; without a link while the 101 is on its way.
    open: Mutex<HashMap<u64, Option<Arc<Link>>>>,
    someone_left: Condvar,
    stopping: AtomicBool,
    grace: Mutex<Duration>,
}

impl House {
    pub(crate) fn new(address: Option<SocketAddr>) -> Arc<House> {
        Arc::new(House {
            tally: Arc::default(),
            address,
            next_id: AtomicU64::new(1),
            waiting: Mutex::default(),
            open: Mutex::default(),
            someone_left: Condvar::new(),
            stopping: AtomicBool::new(false),
            grace: Mutex::default(),
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

    // WALK: waiting
    /// Lets somebody wait whose head is being read. If there are too many, the oldest is woken, and
    /// finds that it has been sent out.
    pub(crate) fn wait(self: &Arc<Self>, id: u64, stream: Arc<dyn Stream>, room: usize) -> Waiting {
        let mut waiting = lock(&self.waiting);
        waiting.push_back((id, stream));
        if waiting.len() > room
            && let Some((id, oldest)) = waiting.pop_front()
        {
            log::debug!("{id} makes way for a newer one: too many heads at a time");
            let _ = oldest.shutdown(Shutdown::Read);
        }
        Waiting { house: self.clone(), id }
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
        let deadline = Deadline::after(*lock(&self.grace));
        for (_, stream) in lock(&self.waiting).drain(..) {
            let _ = stream.shutdown(Shutdown::Read);
        }
        let links: Vec<_> = lock(&self.open).values().flatten().cloned().collect();
        links.iter().for_each(|link| link.close_in_passing(going_away()));
        let mut open = lock(&self.open);
        while let (false, Ok(patience)) = (open.is_empty(), deadline.remaining()) {
            let waited = self.someone_left.wait_timeout(open, patience);
            open = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        if !open.is_empty() {
            log::info!("{} connections did not close in time and are cut", open.len());
        }
        open.values().flatten().for_each(|link| link.cut());
    }
}

fn going_away() -> Close {
    Close { code: CloseCode::GOING_AWAY, reason: "the server stops".into() }
}

/// Being in the room of those whose head is read.
pub(crate) struct Waiting {
    house: Arc<House>,
    id: u64,
}

impl Waiting {
    /// Whether this one had to make way.
    pub(crate) fn was_sent_out(&self) -> bool {
        !lock(&self.house.waiting).iter().any(|(id, _)| *id == self.id)
    }

    /// The head is whole: this one waits for others now, and need not make way.
    pub(crate) fn leave(&self) {
        lock(&self.house.waiting).retain(|(id, _)| *id != self.id);
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
    /// then those that are left are cut off and `serve` returns. This call does not wait for them.
    pub fn stop(&self, grace: Duration) {
        *lock(&self.house.grace) = grace;
        self.house.stopping.store(true, SeqCst);
        // `accept` can't be interrupted, but a connection wakes it.
        if let Some(mut address) = self.house.address {
            if address.ip().is_unspecified() {
                address.set_ip(match address {
                    SocketAddr::V4(_) => [127, 0, 0, 1].into(),
                    SocketAddr::V6(_) => [0, 0, 0, 0, 0, 0, 0, 1].into(),
                });
            }
            let _ = TcpStream::connect_timeout(&address, Duration::from_secs(1));
        }
    }

    /// What the server has counted so far.
    pub fn counters(&self) -> Counters {
        self.house.tally.counters(lock(&self.house.open).len())
    }
}
