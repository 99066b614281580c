//! A small thread pool with one thread per connection. A thread whose connection has ended waits up
//! to a second for the next connection, because starting a thread costs as much as a whole
//! handshake.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::connection::thread_budget::{Purpose, spawn};
use crate::transport::lock::lock;

/// The maximum number of idle threads in a pool: enough for a burst of clients that come and go
/// together. More idle threads would only take up memory.
const MAX_IDLE: usize = 64;
/// The maximum time that a pool thread waits for its next connection. After that, the thread ends.
const IDLE_TIME: Duration = Duration::from_secs(1);

/// A thread pool. Each of its threads has a stack of `stack` bytes, and serves one connection at a
/// time.
pub(crate) struct ThreadPool<Connection> {
    stack: usize,
    /// Serves a connection, from its first byte to its last.
    serve: fn(Connection),
    idle: Arc<IdleThreads<Connection>>,
}

/// The state shared by a pool's idle threads, and the signal that wakes one of them.
struct IdleThreads<Connection> {
    state: Mutex<State<Connection>>,
    /// Wakes one idle thread, which takes a connection from `waiting`.
    assigned: Condvar,
}

struct State<Connection> {
    /// The connections that `assign` has left for idle threads to take. There are never more of
    /// them than idle threads.
    waiting: VecDeque<Connection>,
    /// The number of idle pool threads. A thread counts as idle until it has woken up, even if a
    /// connection in `waiting` is meant for it.
    idle: usize,
}

impl<Connection: Send + 'static> ThreadPool<Connection> {
    /// Creates a pool without threads. Its threads will call `serve` for each connection.
    pub(crate) fn new(stack: usize, serve: fn(Connection)) -> ThreadPool<Connection> {
        let state = Mutex::new(State { waiting: VecDeque::new(), idle: 0 });
        let idle = Arc::new(IdleThreads { state, assigned: Condvar::new() });
        ThreadPool { stack, serve, idle }
    }

    /// Gives the connection to an idle thread, or to a new thread if none is idle. Fails if no new
    /// thread can be started, for example because the process has nearly reached a system limit.
    pub(crate) fn assign(&self, connection: Connection) -> io::Result<()> {
        let mut state = lock(&self.idle.state);
        if state.idle > state.waiting.len() {
            state.waiting.push_back(connection);
            // The lock is released first. Otherwise the woken thread would find it taken, and sleep
            // again.
            drop(state);
            self.idle.assigned.notify_one();
            return Ok(());
        }
        drop(state);
        let (serve, idle) = (self.serve, self.idle.clone());
        let work = move || {
            serve(connection);
            while let Some(connection) = idle.next_connection() {
                serve(connection);
            }
        };
        spawn(Purpose::Connection, "connection".into(), self.stack, work)
    }
}

impl<Connection> IdleThreads<Connection> {
    /// Waits for the calling thread's next connection. Returns `None` if the thread should end:
    /// [`MAX_IDLE`] other threads are already idle, or no connection arrived within a second. (This
    /// is never inlined, so that its stack frame takes no memory while a connection is open.)
    #[inline(never)]
    fn next_connection(&self) -> Option<Connection> {
        let mut state = lock(&self.state);
        if state.idle == MAX_IDLE {
            return None;
        }
        state.idle += 1;
        let none_waits = |state: &mut State<_>| state.waiting.is_empty();
        let waited = self.assigned.wait_timeout_while(state, IDLE_TIME, none_waits);
        state = waited.unwrap_or_else(PoisonError::into_inner).0;
        state.idle -= 1;
        state.waiting.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;

    #[test]
    fn connections_that_follow_each_other_share_a_thread_and_simultaneous_ones_have_one_each() {
        type Job = Box<dyn FnOnce() + Send>;
        let threads = ThreadPool::new(64 * 1024, |job: Job| job());
        let (report, reports) = channel();
        let (begin, begun) = channel();
        let run = |wait_for: Option<std::sync::mpsc::Receiver<()>>| {
            let (report, begin) = (report.clone(), begin.clone());
            let job = move || {
                begin.send(()).unwrap();
                wait_for.map(|wait| wait.recv());
                report.send(thread::current().id()).unwrap();
            };
            threads.assign(Box::new(job)).unwrap();
        };
        let mut one_by_one = HashSet::new();
        for _ in 0..10 {
            run(None);
            begun.recv().unwrap();
            one_by_one.insert(reports.recv().unwrap());
            while lock(&threads.idle.state).idle == 0 {
                thread::yield_now();
            }
        }
        assert_eq!(one_by_one.len(), 1);
        let many = MAX_IDLE + 8;
        let (go, waits): (Vec<_>, Vec<_>) = (0..many).map(|_| channel()).unzip();
        waits.into_iter().for_each(|wait| run(Some(wait)));
        // Wait until each job has its thread. Otherwise, a thread that has finished could take the
        // job of a thread that isn't awake yet.
        (0..many).for_each(|_| begun.recv().unwrap());
        drop(go);
        let together: HashSet<_> = (0..many).map(|_| reports.recv().unwrap()).collect();
        assert_eq!(together.len(), many);
        assert!(lock(&threads.idle.state).idle <= MAX_IDLE);
    }
}
