//! A graceful stop of five thousand who listen and a hundred who don't: the first read 1001, the others are
//! cut off, and the server is out when it said it would be. And a stop of a server that is busy: its outboxes are
//! full, and its handlers in mid-answer. All that it has taken goes out before its Close.

use std::thread;
use std::time::{Duration, Instant};

use crate::crowd::{self, many};
use crate::hostile::{Deaf, half_a_frame};
use crate::peer::{BINARY, FIN};
use crate::process::{Process, wait_until};
use crate::server::BOUND;
use crate::verdict::Verdict;
use crate::{Result, Siege};

/// What those who are open have to leave.
const GRACE: Duration = Duration::from_secs(5);
const A_SECOND: Duration = Duration::from_secs(1);

pub fn row(siege: &Siege) -> Result<Verdict> {
    let (live, frozen) = siege.pick((5_000, 100), (1_000, 50));
    let mut server = Process::start()?;
    let to = server.address;
    let mut verdict = Verdict::default();
    // Half of the frozen hold a write up, the others are in mid-frame and answer nothing.
    let (mut deaf, failures) = many(frozen / 2, |_| Deaf::open(to));
    verdict.none("never reading failed", &failures);
    let (halves, failures) = many(frozen / 2, |turn| half_a_frame(to, turn));
    verdict.none("half frames failed", &failures);
    let (mut peers, failures) = crowd::open(to, "/echo", live);
    verdict.none("live failed", &failures);
    let start = Instant::now();
    while start.elapsed() < 2 * A_SECOND {
        deaf.iter_mut().for_each(Deaf::shout);
        thread::sleep(Duration::from_millis(50));
    }
    verdict.exactly("open", server.counters()?.of("open"), (live + frozen) as u64);

    crowd::block(&peers, false)?;
    server.tell(&format!("stop {}", GRACE.as_millis()))?;
    let stopped = Instant::now();
    let mut last_told = None;
    let mut out = None;
    while stopped.elapsed() < 2 * GRACE && (out.is_none() || last_told.is_none()) {
        crowd::tend(&mut peers)?;
        if peers.iter().all(|peer| peer.closed_with.is_some()) {
            last_told.get_or_insert(stopped.elapsed());
        }
        if server.has_ended()? {
            out.get_or_insert(stopped.elapsed());
        }
        thread::sleep(Duration::from_millis(10));
    }
    let told = peers.iter().filter(|peer| peer.closed_with == Some(1001)).count();
    verdict.exactly("read 1001", told as u64, live as u64);
    verdict.within("the last of them after", last_told, GRACE);
    verdict.within("out after", out, GRACE + A_SECOND);
    // The frozen had to be waited for: a server that is out before has not done so.
    verdict.at_least("the frozen were waited for", out.unwrap_or_default(), GRACE);
    drop((deaf, halves));
    Ok(verdict)
}

/// For the busy: nothing that was taken may be late, however busy the machine is.
const LONG_GRACE: Duration = Duration::from_secs(30);
/// Long enough that the buffers of two systems hold a part of a full outbox, and not more.
const NEWS: usize = 256 * 1024;

/// Full outboxes and handlers in mid-answer.
pub fn busy(siege: &Siege) -> Result<Verdict> {
    let (readers, asking) = siege.pick((40, 200), (10, 50));
    let mut server = Process::start()?;
    let to = server.address;
    let mut verdict = Verdict::default();
    // 1. The readers don't read yet, so that as many messages wait as an outbox takes.
    let (mut peers, failures) = crowd::open(to, "/news", readers);
    verdict.none("readers failed", &failures);
    wait_until(LONG_GRACE, || Ok(server.counters()?.of("readers") == readers as u64))?;
    server.ask(&format!("publish {BOUND} {NEWS} 0"))?;
    // 2. The others have asked, and their handlers take two seconds to answer.
    let (asked, failures) = crowd::open(to, "/slow", asking);
    verdict.none("asking failed", &failures);
    peers.extend(asked);
    peers[readers..].iter_mut().try_for_each(|peer| peer.send(FIN | BINARY, b"a question"))?;
    wait_until(LONG_GRACE, || Ok(server.counters()?.of("in") == asking as u64))?;
    let counters = server.counters()?;
    let full = (readers * BOUND) as u64;
    verdict.exactly("dropped as too slow", counters.of("cut"), 0);
    verdict.at_most("sent before the stop", counters.of("out"), full / 2);

    // 3. Now all read.
    crowd::block(&peers, false)?;
    server.tell(&format!("stop {}", LONG_GRACE.as_millis()))?;
    let stopped = Instant::now();
    let mut counts = vec![0; peers.len()];
    let mut out = None;
    while out.is_none() && stopped.elapsed() < 2 * LONG_GRACE {
        for (peer, count) in peers.iter_mut().zip(&mut counts) {
            *count += peer.tend()?;
        }
        if server.has_ended()? {
            out = Some(stopped.elapsed());
        }
        thread::sleep(Duration::from_millis(1));
    }
    for (peer, count) in peers.iter_mut().zip(&mut counts) {
        *count += peer.tend()?;
    }
    let whole = |counts: &[u64], due| counts.iter().filter(|count| **count == due).count() as u64;
    verdict.exactly(
        "readers with all of it",
        whole(&counts[..readers], BOUND as u64),
        readers as u64,
    );
    verdict.exactly("with their answer", whole(&counts[readers..], 1), asking as u64);
    let told = peers.iter().filter(|peer| peer.closed_with == Some(1001)).count();
    verdict.exactly("then read 1001", told as u64, peers.len() as u64);
    verdict.exactly("sent, as the server counts", server.answer()?.of("out"), counts.iter().sum());
    verdict.within("out after", out, LONG_GRACE);
    Ok(verdict)
}
