//! How a server ends its connections: in batches when it drains, or all together when it stops.
//!
//! Rules of this file:
//! - A stopping server issues no more permits. It sends each open connection its Close (1001 by
//!   default) as soon as the handler waits in `recv` or returns, so that the handler's replies go
//!   out first. If a handler is still busy after nine tenths of the grace period, the server sends
//!   the Close anyway. At the end of the grace period, the server aborts the connections that are
//!   still open. Until then, it also waits for the pages and refusals that are being sent, because
//!   the program may exit as soon as `serve` returns.
//! - A separate thread closes the connections, because `serve` may be stuck in `accept`: only a new
//!   connection wakes that call. Another thread makes that connection, because connecting may take
//!   long. Once `serve` has left `accept`, it waits for the connections to close, and returns.
//! - A draining server issues no more permits either. A thread sends the Closes in batches over
//!   four fifths of the grace period, and then stops the server.

use std::collections::HashMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::Duration;

use super::registry::registry::{Grace, PermitStage, Phase, Registry};
use crate::connection::closing_state::{CloseRequest, Urgency};
use crate::connection::write_half::{BULK_CLOSE_TIMEOUT, WriteHalf};
use crate::frames::close::Close;
use crate::transport::deadline::Deadline;
use crate::transport::listener::WakeAddress;
use crate::transport::lock::lock;

/// The minimum pause that a draining server plans between two batches. If closing the connections
/// one by one would need shorter pauses, each batch contains several connections.
const DRAIN_PAUSE: Duration = Duration::from_millis(50);

/// How long a stopping server tries to wake the thread that waits in `accept`.
const WAKING_TIME: Duration = Duration::from_secs(2);
/// The pause between two attempts to wake the thread that waits in `accept`.
const WAKING_PAUSE: Duration = Duration::from_millis(50);

impl Registry {
    /// Moves the server to the draining phase, with this grace period and this Close for its
    /// connections, and returns `true`. The caller must then arrange for `drain` to run. Returns
    /// `false`, and changes nothing, if the server is already draining or stopping.
    pub(crate) fn enter_draining(&self, grace: Duration, close: Close) -> bool {
        // The grace is locked first, so that a thread that sees the new phase also sees the new
        // Close.
        let mut current = lock(&self.grace);
        let is_first = self.advance_to(Phase::Draining);
        if is_first {
            *current = Grace::new(grace, close);
        }
        is_first
    }

    /// Begins to stop the server with this grace period, which begins now, and with this Close for
    /// its connections. Returns at once. If the server is already stopping, replaces its grace
    /// period and its Close.
    pub(crate) fn stop(self: &Arc<Self>, grace: Duration, close: Close) {
        // The lock is held until the phase has changed. Otherwise, `enter_draining` could come in
        // between and replace this grace period with its own.
        let mut current = lock(&self.grace);
        *current = Grace::new(grace, close);
        let is_first = self.advance_to(Phase::Stopping);
        drop(current);
        self.begin_stopping(is_first);
    }

    /// Begins to stop the server after a drain, within what is left of the grace period. Returns at
    /// once.
    pub(crate) fn stop_after_drain(self: &Arc<Self>) {
        let is_first = self.advance_to(Phase::Stopping);
        self.begin_stopping(is_first);
    }

    /// Starts a thread that closes the connections, and, if `serve` is in its accept loop, one that
    /// wakes `serve`. Starts them only when the stopping phase begins (`is_first`). Each call also
    /// wakes the threads that wait in `shut_down` and in `drain`: `shut_down` then uses the current
    /// grace period, and `drain` returns.
    fn begin_stopping(self: &Arc<Self>, is_first: bool) {
        // Without this signal, `shut_down` would use the old deadlines for up to a second, and
        // `drain` would wait for its next batch.
        let open = lock(&self.open);
        self.one_closed.notify_all();
        drop(open);
        if !is_first {
            return;
        }
        // A separate thread closes the connections, because `serve` can't do that while it's in
        // `accept`, and waking it may fail. If the application accepts the streams itself
        // (`Server::accept`), there's no `serve` at all.
        let registry = self.clone();
        let stopping = thread::Builder::new().name("stopping".into());
        let stopping = stopping.spawn(move || {
            registry.shut_down();
            registry.wake_accept_until_left();
        });
        if let Err(error) = stopping {
            log::error!("stop: {error}; `serve` closes the connections once it has left `accept`");
        }
        if !self.is_in_accept.load(SeqCst) {
            return;
        }
        // Connecting takes long if the listener's queue is full, and on a Unix socket it may take
        // forever. Therefore this thread connects itself only if no other thread can be started.
        // (The `stopping` thread tries again once the connections have closed, because descriptors
        // are free then.)
        let registry = self.clone();
        let waking = thread::Builder::new().name("waking".into());
        if waking.spawn(move || registry.wake_accept_until_left()).is_err()
            && let Err(error) = self.wake_accept()
        {
            log::debug!("stop: `accept` isn't woken: {error}");
        }
    }

    /// Closes all connections in four steps, and blocks until they have closed and every client
    /// that `serve` accepted has its response. If the grace period ends first, aborts the
    /// connections that are still open.
    ///
    /// The thread that `begin_stopping` starts calls this function. `serve` calls it as well,
    /// because `serve` may have accepted more clients in the meantime, and because that thread may
    /// not have finished. Only one of the two calls runs at a time.
    pub(crate) fn shut_down(&self) {
        let mut grace_is_over = lock(&self.grace_is_over);
        if *grace_is_over {
            return;
        }
        // 1. Pending connections end at once, and no new permit is issued.
        self.pending.evict_all();
        // 2. Open connections are sent their Close once queued messages and replies in progress
        //    have gone out.
        let mut are_closed = false;
        while !are_closed && !self.grace().answer_by.has_passed() {
            self.request_close_of_all(Urgency::WhenIdle);
            are_closed = self.wait_briefly_until_closed(|grace| grace.answer_by);
        }
        // 3. Connections that are still busy are sent their Close now.
        while !are_closed && !self.grace().close_by.has_passed() {
            self.request_close_of_all(Urgency::Now);
            are_closed = self.wait_briefly_until_closed(|grace| grace.close_by);
        }
        // 4. The grace period is over: abort the connections that are still open.
        if !are_closed {
            let count = lock(&self.open).len();
            if count > 0 {
                log::info!("{count} connections did not close in time and are aborted");
            }
            self.request_close_of_all(Urgency::Now);
            let halves = self.open_halves();
            // A thread that holds a connection's write lock sends the Close itself. All these
            // threads together get 10 ms for that.
            let until = Deadline::after(BULK_CLOSE_TIMEOUT);
            for half in &halves {
                let Ok(rest) = until.remaining() else { break };
                half.closing.wait_until_close_is_sent(rest);
            }
            halves.iter().for_each(|half| contain_panic(half, WriteHalf::abort));
            *grace_is_over = true;
        }
    }

    /// Returns a copy of the list of the open connections' write halves. The caller goes through
    /// the copy without holding the list's lock, because a stream's type may be the application's
    /// own, and its `write` or `shutdown` may be slow.
    fn open_halves(&self) -> Vec<Arc<WriteHalf>> {
        lock(&self.open).values().filter_map(PermitStage::write_half).cloned().collect()
    }

    /// Requests our Close on every open connection. If a peer's buffers are full, the request may
    /// take 10 ms, and thousands of such peers would add up to a minute. Therefore, after the first
    /// half second, this function stops as soon as the grace period is over. The caller then aborts
    /// the remaining connections.
    fn request_close_of_all(&self, urgency: Urgency) {
        let halves = self.open_halves();
        let bulk = Deadline::after(Duration::from_millis(500));
        for write_half in halves {
            let Grace { close_by, close, .. } = self.grace();
            if bulk.has_passed() && close_by.has_passed() {
                break;
            }
            let request = CloseRequest::of_stopping_server(close, urgency);
            contain_panic(&write_half, |half| half.request_close_briefly(request));
        }
    }

    /// Requests our Close on each open connection, in batches, oldest connections first. The
    /// batches are spread evenly over the time `spread`. Returns when this time is over, or earlier
    /// once all connections have closed or the server is stopping. The caller then stops the
    /// server, which closes the connections that are still open.
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
                let write_half =
                    lock(&self.open).get(id).and_then(PermitStage::write_half).cloned();
                if let (Some(write_half), false) = (write_half, over.has_passed()) {
                    let Grace { close, .. } = self.grace();
                    let request = CloseRequest::of_stopping_server(close, Urgency::WhenIdle);
                    contain_panic(&write_half, |half| half.request_close_briefly(request));
                }
            }
            // If peers with full buffers have used up the time, `shut_down` closes the remaining
            // connections.
            let Ok(rest) = over.remaining() else { return };
            let pause = rest / u32::try_from(remaining).unwrap_or(u32::MAX);
            if !self.wait_between_batches(Deadline::after(pause)) {
                return;
            }
        }
    }

    /// Waits until the deadline `end`, between two batches of a drain, and returns `true`. Returns
    /// `false`, without waiting any longer, once no connection is left to drain or the server is
    /// stopping.
    fn wait_between_batches(&self, end: Deadline) -> bool {
        let mut open = lock(&self.open);
        while let (false, false, Ok(rest)) = (open.is_empty(), self.is_stopping(), end.remaining())
        {
            let waited = self.one_closed.wait_timeout(open, rest);
            open = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        !open.is_empty() && !self.is_stopping()
    }

    /// Waits until all connections have closed and all accepted clients are answered, but at most
    /// one second, and at most until the deadline that `until` selects from the current grace
    /// period. Returns whether all have closed and been answered. If it returns `false`, the caller
    /// must request the Closes again: a Close may not have been written, because its peer's buffers
    /// were full.
    fn wait_briefly_until_closed(&self, until: impl Fn(Grace) -> Deadline) -> bool {
        let mut open = lock(&self.open);
        let again = Deadline::after(Duration::from_secs(1));
        let are_all_done = |open: &HashMap<_, _>| open.is_empty() && self.unanswered() == 0;
        while let (false, Ok(rest), Ok(until_phase_ends)) =
            (are_all_done(&open), again.remaining(), until(self.grace()).remaining())
        {
            let waited = self.one_closed.wait_timeout(open, rest.min(until_phase_ends));
            open = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        are_all_done(&open)
    }

    /// Wakes the thread that waits in `accept`, so that it notices that the server is stopping.
    /// Frees the reserve descriptor first, because the connection that wakes the thread may need
    /// it.
    fn wake_accept(&self) -> io::Result<()> {
        drop(lock(&self.reserve).take());
        self.wake_address.as_ref().map_or(Ok(()), WakeAddress::wake)
    }

    /// Wakes `serve` again and again, by connecting to the server's own listener, until `serve` has
    /// left its accept loop. Gives up after two seconds: `serve` then returns only once another
    /// client connects. One attempt may not be enough, because another process that shares the
    /// listener may accept the connection. (On a Unix socket whose queue is full, a single attempt
    /// may block forever.)
    fn wake_accept_until_left(&self) {
        let deadline = Deadline::after(WAKING_TIME);
        while self.is_in_accept.load(SeqCst) {
            let woken = self.wake_accept();
            if deadline.has_passed() {
                let why = woken.err().map(|error| format!(": {error}")).unwrap_or_default();
                log::warn!(
                    "stop can't wake `accept`, so `serve` returns with the next client{why}"
                );
                break;
            }
            thread::sleep(WAKING_PAUSE);
        }
    }
}

/// Calls `end`, which closes or aborts a connection, and catches a panic in it: the stream may be
/// the application's own, and even if it panics, the server must end the other connections.
fn contain_panic(write_half: &WriteHalf, end: impl FnOnce(&WriteHalf)) {
    if catch_unwind(AssertUnwindSafe(|| end(write_half))).is_err() {
        log::error!("{} the stream panicked while the server was closing it", write_half.id);
    }
}

#[cfg(test)]
mod tests {
    use std::iter;
    use std::net::{TcpListener, TcpStream};
    use std::time::Instant;

    use super::*;
    use crate::transport::listener::Listener;

    #[test]
    fn a_stop_does_not_wait_for_a_listener_that_takes_no_more_connections() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(500)).ok();
        let in_queue: Vec<TcpStream> = iter::from_fn(connect).collect();
        let listener = Listener::from(listener);
        let time = || {
            let registry = Registry::new(Some(listener.wake_address().unwrap()));
            registry.set_is_in_accept(true);
            let start = Instant::now();
            registry.stop(Duration::ZERO, Close::going_away());
            let took = start.elapsed();
            registry.set_is_in_accept(false);
            took
        };
        // A connection attempt takes a second, each time.
        assert!((0..5).any(|_| time() < Duration::from_secs(1)));
        drop(in_queue);
    }
}
