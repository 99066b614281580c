//! Many peers in few threads: their streams don't block, and each thread serves its peers in turn.

use std::net::SocketAddr;
use std::thread::{self, ScopedJoinHandle};

use crate::Result;
use crate::peer::Peer;

/// How many connect at a time: fewer than a listener's queue holds.
const AT_A_TIME: usize = 16;

/// Does something so many times, several at a time, and collects what comes of it, good or not.
pub fn many<T: Send>(
    count: usize,
    work: impl Fn(usize) -> Result<T> + Sync,
) -> (Vec<T>, Vec<String>) {
    let share = |worker: usize| (worker..count).step_by(AT_A_TIME).map(&work).collect::<Vec<_>>();
    thread::scope(|scope| {
        let share = &share;
        let workers = (0..AT_A_TIME).map(|worker| scope.spawn(move || share(worker)));
        gather(workers.collect())
    })
}

/// Does something with each of them, several at a time.
pub fn each<T: Send>(
    peers: &mut [Peer],
    work: impl Fn(&mut Peer) -> Result<T> + Sync,
) -> (Vec<T>, Vec<String>) {
    thread::scope(|scope| {
        let work = &work;
        let shares = peers.chunks_mut(peers.len().div_ceil(AT_A_TIME).max(1));
        let workers =
            shares.map(|share| scope.spawn(move || share.iter_mut().map(work).collect::<Vec<_>>()));
        gather(workers.collect())
    })
}

fn gather<T>(workers: Vec<ScopedJoinHandle<'_, Vec<Result<T>>>>) -> (Vec<T>, Vec<String>) {
    let (mut done, mut failures) = (Vec::new(), Vec::new());
    for worker in workers {
        for result in worker.join().unwrap_or_else(|_| vec![Err("a worker panicked".into())]) {
            match result {
                Ok(result) => done.push(result),
                Err(failure) => failures.push(failure.to_string()),
            }
        }
    }
    (done, failures)
}

/// Opens so many WebSockets.
pub fn open(to: SocketAddr, path: &str, count: usize) -> (Vec<Peer>, Vec<String>) {
    many(count, |_| Peer::open(to, path))
}

/// From now on none of them blocks, or all of them do again.
pub fn block(peers: &[Peer], block: bool) -> Result<()> {
    peers.iter().try_for_each(|peer| Ok(peer.stream.set_nonblocking(!block)?))
}

/// Looks after each of them once.
pub fn tend(peers: &mut [Peer]) -> Result<u64> {
    let mut messages = 0;
    for peer in peers {
        messages += peer.tend()?;
    }
    Ok(messages)
}
