//! A graceful stop of five thousand who listen and a hundred who don't: the first read 1001, the others are
//! cut off, and the server is out when it said it would be.

use std::thread;
use std::time::{Duration, Instant};

use crate::crowd::{self, many};
use crate::hostile::{Deaf, half_a_frame};
use crate::process::Process;
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
