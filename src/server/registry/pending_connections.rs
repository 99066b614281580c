//! The pending connections, and which of them is evicted when there are too many.
//!
//! Rules of this file:
//! - A connection is *pending* while its head is read or its plain HTTP response is written.
//!   Pending connections have their own limit, `Limits::max_waiting`. Above this limit, the server
//!   evicts the oldest connection, not the newest: an honest client finishes its handshake in
//!   milliseconds, so the connection that has been pending longest is the most suspicious one.

use std::cell::Cell;
use std::collections::VecDeque;
use std::mem;
use std::net::Shutdown;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use crate::transport::lock::lock;
use crate::transport::stream::Stream;

/// A server's pending connections, oldest first: their HTTP head is being read, or a plain HTTP
/// response is being written to them.
#[derive(Default)]
pub(in crate::server) struct PendingList(Mutex<VecDeque<PendingConnection>>);

/// A connection whose HTTP head is being read, or to which a plain HTTP response is being written.
struct PendingConnection {
    id: u64,
    stream: Arc<dyn Stream>,
    /// The sides of the stream that an eviction shuts down. While the head is being read, that's
    /// only the reading side, so that the client can still receive its refusal. Once a response is
    /// being written, it's both sides, because the client might never read the response.
    evict_by: Shutdown,
}

impl PendingList {
    /// Adds a connection to the list of pending connections. If the list then has more than
    /// `max_waiting` entries, evicts the oldest connection. Dropping the returned guard removes the
    /// new connection from the list.
    pub(in crate::server) fn add(
        self: &Arc<Self>,
        id: u64,
        stream: Arc<dyn Stream>,
        max_waiting: usize,
    ) -> PendingGuard {
        let was_taken_off = Cell::new(false);
        let pending = PendingGuard { list: self.clone(), id, stream, max_waiting, was_taken_off };
        pending.add_evicting_oldest(Shutdown::Read);
        pending
    }

    /// Evicts all pending connections, because the server is stopping. This shuts down only the
    /// reading side of each stream, so a response that is being written still goes out: `shut_down`
    /// waits for it until the end of the grace period.
    pub(in crate::server) fn evict_all(&self) {
        // (As in `add_evicting_oldest`, no lock is held while a stream is shut down, because the
        // stream may be the application's code. If it panics, the others are still evicted.)
        let evicted = mem::take(&mut *lock(&self.0));
        for PendingConnection { stream, .. } in evicted {
            let _ = catch_unwind(AssertUnwindSafe(|| stream.shutdown(Shutdown::Read)));
        }
    }
}

/// A guard for a connection's entry in the list of pending connections. Dropping the guard removes
/// the entry.
pub(crate) struct PendingGuard {
    list: Arc<PendingList>,
    id: u64,
    stream: Arc<dyn Stream>,
    max_waiting: usize,
    was_taken_off: Cell<bool>,
}

impl PendingGuard {
    // WALK: waiting
    /// Adds this connection to the list of pending connections. If the list then has more than
    /// `max_waiting` entries, evicts the oldest connection: shutting down that connection's stream
    /// wakes its thread, which then notices the eviction.
    fn add_evicting_oldest(&self, evict_by: Shutdown) {
        let mut pending = lock(&self.list.0);
        pending.push_back(PendingConnection { id: self.id, stream: self.stream.clone(), evict_by });
        if pending.len() > self.max_waiting
            && let Some(oldest) = pending.pop_front()
        {
            drop(pending);
            log::debug!("{} is evicted: too many pending connections", oldest.id);
            let _ = oldest.stream.shutdown(oldest.evict_by);
        }
    }

    /// Returns whether the server has evicted this connection while its HTTP head was being read.
    /// Call this only before `leave_unless_evicted` and `suspend_eviction`: these take the
    /// connection off the list, too, so this function would then return `true`.
    pub(crate) fn was_evicted(&self) -> bool {
        !lock(&self.list.0).iter().any(|pending| pending.id == self.id)
    }

    /// Removes this connection from the list of pending connections, because its HTTP head is
    /// complete and it holds a permit. From now on, the server can't evict the connection. Returns
    /// `false` if the server has already evicted it.
    pub(crate) fn leave_unless_evicted(&self) -> bool {
        let mut pending = lock(&self.list.0);
        let before = pending.len();
        pending.retain(|other| other.id != self.id);
        self.was_taken_off.set(pending.len() < before);
        self.was_taken_off.get()
    }

    /// Removes this connection from the list of pending connections, so that the server doesn't
    /// evict it while the application generates a page for it. If the server has already evicted
    /// it, the page can still be sent: the HTTP head is complete, and the eviction has shut down
    /// only the reading side.
    pub(crate) fn suspend_eviction(&self) {
        self.leave_unless_evicted();
        self.was_taken_off.set(true);
    }

    /// Lets the server evict this connection while a plain HTTP response is written to it, because
    /// the client might never read the response. Such an eviction shuts down both directions. Puts
    /// the connection back on the pending list if `leave_unless_evicted` took it off, or if
    /// `suspend_eviction` was called. Any other connection that isn't on the list has been evicted
    /// already, and stays off the list: its eviction shut down only the reading side, so the
    /// response can still be sent.
    pub(crate) fn make_evictable_for_response(&self) {
        if let Some(pending) = lock(&self.list.0).iter_mut().find(|pending| pending.id == self.id) {
            pending.evict_by = Shutdown::Both;
            return;
        }
        if self.was_taken_off.get() {
            self.add_evicting_oldest(Shutdown::Both);
        }
    }
}

impl Drop for PendingGuard {
    fn drop(&mut self) {
        self.leave_unless_evicted();
    }
}
