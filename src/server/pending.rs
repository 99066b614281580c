//! The pending connections, and which of them is evicted when they are too many.
//!
//! Rules of this file:
//! - A connection is *pending* while its head is read or its plain HTTP answer is written. Pending
//!   connections have a bound of their own. When they exceed it, the server evicts the oldest, not the
//!   newest: an honest client finishes its handshake in milliseconds, so the one that has been pending
//!   longest isn't honest.

use std::cell::Cell;
use std::collections::VecDeque;
use std::mem;
use std::net::Shutdown;
use std::sync::{Arc, Mutex};

use crate::transport::lock::lock;
use crate::transport::stream::Stream;

/// The pending connections, the oldest first.
#[derive(Default)]
pub(super) struct PendingList(Mutex<VecDeque<Pending>>);

/// A connection in its handshake, or one that gets a plain HTTP answer.
struct Pending {
    id: u64,
    stream: Arc<dyn Stream>,
    /// What an eviction shuts down: the reading direction, or writing too once an answer is being
    /// sent.
    evict_by: Shutdown,
}

impl PendingList {
    /// Adds a connection. With more than `max_pending` connections in the list the oldest is evicted.
    pub(super) fn register(
        self: &Arc<Self>,
        id: u64,
        stream: Arc<dyn Stream>,
        max_pending: usize,
    ) -> PendingGuard {
        let was_promoted = Cell::new(false);
        let pending = PendingGuard { list: self.clone(), id, stream, max_pending, was_promoted };
        pending.enter(Shutdown::Read);
        pending
    }

    /// Ends the reading of every head. What is being answered is still written.
    pub(super) fn evict_all(&self) {
        // (Here as in `enter`, no lock is held while a stream is shut down: it may be the application's own.)
        let evicted = mem::take(&mut *lock(&self.0));
        for pending in evicted {
            let _ = pending.stream.shutdown(Shutdown::Read);
        }
    }
}

/// A pending connection's entry in the registry. Dropping it removes the entry.
pub(crate) struct PendingGuard {
    list: Arc<PendingList>,
    id: u64,
    stream: Arc<dyn Stream>,
    max_pending: usize,
    was_promoted: Cell<bool>,
}

impl PendingGuard {
    // WALK: waiting
    /// Adds this connection. If that makes too many, evicts the oldest: the shutdown wakes its
    /// thread, which finds that it was evicted.
    fn enter(&self, evict_by: Shutdown) {
        let mut pending = lock(&self.list.0);
        pending.push_back(Pending { id: self.id, stream: self.stream.clone(), evict_by });
        if pending.len() > self.max_pending
            && let Some(oldest) = pending.pop_front()
        {
            drop(pending);
            log::debug!("{} is evicted: too many pending connections", oldest.id);
            let _ = oldest.stream.shutdown(oldest.evict_by);
        }
    }

    /// Whether this connection was evicted.
    pub(crate) fn was_evicted(&self) -> bool {
        !lock(&self.list.0).iter().any(|pending| pending.id == self.id)
    }

    /// Takes this connection off the pending list, after which it can't be evicted: its head is
    /// complete, and it holds a permit. Returns `false` if it has been evicted before.
    pub(crate) fn promote(&self) -> bool {
        let mut pending = lock(&self.list.0);
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
        if let Some(pending) = lock(&self.list.0).iter_mut().find(|pending| pending.id == self.id) {
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
