//! A small thread pool: each connection has a thread. A thread whose connection has ended idles for
//! a second and then serves the next one, because starting a thread costs as much as a whole
//! handshake.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::connection::thread_budget::{Purpose, spawn};
use crate::transport::lock::lock;

/// How many threads may idle. More would only hold memory: while the server accepts one connection,
/// hardly more than this many end.
const MOST_RESTING: usize = 16;
/// How long a thread idles before it ends.
const REST: Duration = Duration::from_secs(1);

/// All that a thread does for a connection.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// A thread pool, whose threads have this much stack.
pub(crate) struct Threads {
    stack: usize,
    bench: Arc<Bench>,
}

/// What the idle threads share.
#[derive(Default)]
struct Bench {
    state: Mutex<State>,
    /// Signalled when there's a job.
    job: Condvar,
}

#[derive(Default)]
struct State {
    /// At most one job for each idle thread: the notification for it is on its way.
    jobs: VecDeque<Job>,
    resting: usize,
}

impl Threads {
    pub(crate) fn new(stack: usize) -> Threads {
        Threads { stack, bench: Arc::default() }
    }

    /// Gives the job to an idle thread, else to a new one. Fails when the system has hardly
    /// a thread left.
    pub(crate) fn give(&self, job: Job) -> io::Result<()> {
        let mut state = lock(&self.bench.state);
        if state.resting > state.jobs.len() {
            state.jobs.push_back(job);
            self.bench.job.notify_one();
            return Ok(());
        }
        drop(state);
        let bench = self.bench.clone();
        let work = move || {
            job();
            while let Some(job) = bench.rest() {
                job();
            }
        };
        spawn(Purpose::Connection, "connection".into(), self.stack, work)
    }
}

impl Bench {
    /// Idles until there's a job. `None`: the thread should end.
    fn rest(&self) -> Option<Job> {
        let mut state = lock(&self.state);
        if state.resting == MOST_RESTING {
            return None;
        }
        state.resting += 1;
        let waited = self.job.wait_timeout_while(state, REST, |state| state.jobs.is_empty());
        state = waited.unwrap_or_else(PoisonError::into_inner).0;
        state.resting -= 1;
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
    fn jobs_one_after_the_other_share_a_thread_and_jobs_at_a_time_have_one_each() {
        let threads = Threads::new(64 * 1024);
        let (tell, told) = channel();
        let (begin, begun) = channel();
        let run = |wait_for: Option<std::sync::mpsc::Receiver<()>>| {
            let (tell, begin) = (tell.clone(), begin.clone());
            let job = move || {
                begin.send(()).unwrap();
                wait_for.map(|wait| wait.recv());
                tell.send(thread::current().id()).unwrap();
            };
            threads.give(Box::new(job)).unwrap();
        };
        let mut one_by_one = HashSet::new();
        for _ in 0..10 {
            run(None);
            begun.recv().unwrap();
            one_by_one.insert(told.recv().unwrap());
            while lock(&threads.bench.state).resting == 0 {
                thread::yield_now();
            }
        }
        assert_eq!(one_by_one.len(), 1);
        let (go, waits): (Vec<_>, Vec<_>) = (0..40).map(|_| channel()).unzip();
        waits.into_iter().for_each(|wait| run(Some(wait)));
        // Each has its thread now: one that is through could take the job of one that is not awake yet.
        (0..40).for_each(|_| begun.recv().unwrap());
        drop(go);
        let together: HashSet<_> = (0..40).map(|_| told.recv().unwrap()).collect();
        assert_eq!(together.len(), 40);
        assert!(lock(&threads.bench.state).resting <= MOST_RESTING);
    }
}
