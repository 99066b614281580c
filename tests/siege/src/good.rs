//! Good clients, which connect during an attack: each opens a WebSocket, sends a text, waits for
//! its echo, and closes. None of them may fail or have to wait long.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::peer::Peer;
use crate::verdict::Verdict;
use crate::{Result, Siege};

/// The 99th percentile of a handshake and of an echo.
pub const PROMPT: Duration = Duration::from_millis(250);

/// How many are there at a time.
pub const AT_A_TIME: usize = 4;

pub struct GoodClients {
    to_leave: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    visits: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
pub struct Seen {
    pub handshakes: Vec<Duration>,
    pub echoes: Vec<Duration>,
    pub failures: Vec<String>,
}

impl GoodClients {
    /// So many a second, until they are told that it is enough.
    pub fn come(to: SocketAddr, a_second: usize) -> GoodClients {
        let mut clients = GoodClients {
            to_leave: Arc::default(),
            seen: Arc::default(),
            visits: Arc::default(),
            threads: Vec::new(),
        };
        let gap = Duration::from_secs(1) * AT_A_TIME as u32 / a_second as u32;
        for _ in 0..AT_A_TIME {
            let (to_leave, seen) = (clients.to_leave.clone(), clients.seen.clone());
            let visits = clients.visits.clone();
            clients.threads.push(thread::spawn(move || {
                while !to_leave.load(SeqCst) {
                    let due = Instant::now() + gap;
                    let visit = visit(to);
                    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                    match visit {
                        Ok((handshake, echo)) => {
                            seen.handshakes.push(handshake);
                            seen.echoes.push(echo);
                        }
                        Err(error) => seen.failures.push(error.to_string()),
                    }
                    drop(seen);
                    visits.fetch_add(1, SeqCst);
                    thread::sleep(due.saturating_duration_since(Instant::now()));
                }
            }));
        }
        clients
    }

    /// Lets them come until there were so many, and tells how they were served.
    pub fn until(self, visits: usize) -> Seen {
        while self.visits.load(SeqCst) < visits {
            thread::sleep(Duration::from_millis(10));
        }
        self.to_leave.store(true, SeqCst);
        self.threads.into_iter().for_each(|thread| drop(thread.join()));
        std::mem::take(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Seen {
    /// What must hold for good clients whatever goes on.
    pub fn judge(mut self, siege: &Siege, verdict: &mut Verdict) {
        let (served, failed) = (self.echoes.len(), self.failures.len());
        verdict.exactly("good clients served", served as u64, (served + failed) as u64);
        verdict.none("good clients failed", &self.failures);
        // A short siege is for machines that do much else. Who really waits for an attacker waits for seconds.
        let bound = siege.pick(PROMPT, 4 * PROMPT);
        let handshake = percentile(&mut self.handshakes, 99);
        verdict.towards("p99 of their handshakes", handshake, bound, PROMPT);
        verdict.towards("of their echoes", percentile(&mut self.echoes, 99), bound, PROMPT);
    }
}

fn visit(to: SocketAddr) -> Result<(Duration, Duration)> {
    let start = Instant::now();
    let mut peer = Peer::open(to, "/echo")?;
    let handshake = start.elapsed();
    let start = Instant::now();
    peer.echo("Is anybody there?")?;
    let echo = start.elapsed();
    peer.close()?;
    Ok((handshake, echo))
}

/// So many in a hundred took no longer. None at all is as bad as for ever.
pub fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    let index = (times.len() * percent).div_ceil(100).saturating_sub(1);
    times.get(index).copied().unwrap_or(Duration::MAX)
}
