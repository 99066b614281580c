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
/// together. More idle threads would hold memory and find no work.
const MAX_IDLE: usize = 64;
/// The maximum time that a pool thread waits for its next connection. After that, the thread ends.
const IDLE_TIME: Duration = Duration::from_secs(1);

/// A thread's work for one connection, from the connection's first byte to its last.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// A thread pool. Each of its threads has a stack of `stack` bytes, and serves one connection at a
/// time.
pub(crate) struct ThreadPool {
    stack: usize,
    idle: Arc<IdleThreads>,
}

/// The state shared by a pool's idle threads, and the signal that wakes one of them.
#[derive(Default)]
struct IdleThreads {
    state: Mutex<State>,
    /// The signal that there's a job. The signal wakes one idle thread.
    job: Condvar,
}

#[derive(Default)]
struct State {
    /// The jobs for idle threads that haven't woken up yet. There are never more jobs than idle
    /// threads.
    jobs: VecDeque<Job>,
    /// The number of pool threads that are idle now.
    idle: usize,
}

impl ThreadPool {
    pub(crate) fn new(stack: usize) -> ThreadPool {
        ThreadPool { stack, idle: Arc::default() }
    }

    /// Gives the job to an idle thread, or to a new thread if none is idle. Fails if no new thread
    /// can be started, for example because the thread budget is used up.
    pub(crate) fn give(&self, job: Job) -> io::Result<()> {
        let mut state = lock(&self.idle.state);
        if state.idle > state.jobs.len() {
            state.jobs.push_back(job);
            // The lock is released first. Otherwise the waking thread would find it taken, and
            // sleep again.
            drop(state);
            self.idle.job.notify_one();
            return Ok(());
        }
        drop(state);
        let idle = self.idle.clone();
        let work = move || {
            job();
            while let Some(job) = idle.next_job() {
                job();
            }
        };
        spawn(Purpose::Connection, "connection".into(), self.stack, work)
    }
}

impl IdleThreads {
    /// Waits for the calling thread's next job. Returns `None` if the thread should end: enough
    /// other threads are already idle, or no job arrived in time.
    fn next_job(&self) -> Option<Job> {
        let mut state = lock(&self.state);
        if state.idle == MAX_IDLE {
            return None;
        }
        state.idle += 1;
        let waited = self.job.wait_timeout_while(state, IDLE_TIME, |state| state.jobs.is_empty());
        state = waited.unwrap_or_else(PoisonError::into_inner).0;
        state.idle -= 1;
        state.jobs.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;

    #[test]
    fn jobs_that_follow_each_other_share_a_thread_and_simultaneous_jobs_have_one_each() {
        let threads = ThreadPool::new(64 * 1024);
        let (report, reports) = channel();
        let (begin, begun) = channel();
        let run = |wait_for: Option<std::sync::mpsc::Receiver<()>>| {
            let (report, begin) = (report.clone(), begin.clone());
            let job = move || {
                begin.send(()).unwrap();
                wait_for.map(|wait| wait.recv());
                report.send(thread::current().id()).unwrap();
            };
            threads.give(Box::new(job)).unwrap();
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
        // Wait until each job has its thread. A thread that has finished could take the job of a
        // thread that isn't awake yet.
        (0..many).for_each(|_| begun.recv().unwrap());
        drop(go);
        let together: HashSet<_> = (0..many).map(|_| reports.recv().unwrap()).collect();
        assert_eq!(together.len(), many);
        assert!(lock(&threads.idle.state).idle <= MAX_IDLE);
    }
}
