//! Ten thousand idle connections: each is a thread that waits, and a few KiB.

use std::thread;
use std::time::{Duration, Instant};

use crate::crowd;
use crate::process::Process;
use crate::verdict::Verdict;
use crate::{Result, Siege};

/// KiB in memory for each. Where there are fewer, each has a larger part of what the program itself needs.
const BOUND: f64 = 12.0;
const BOUND_OF_FEW: f64 = 12.5;

pub fn row(siege: &Siege) -> Result<Verdict> {
    let (count, idle) = siege.pick((10_000, 60), (2_000, 25));
    let mut server = Process::start()?;
    let held = server.counters()?.of("held");
    let (resident, time) = (server.resident()?, server.time()?);
    let (mut peers, failures) = crowd::open(server.address, "/echo", count);
    let mut verdict = Verdict::default();
    verdict.exactly("opened", peers.len() as u64, count as u64);
    verdict.none("failures", &failures);
    let opening = server.time()?.saturating_sub(time);
    // Idle is not dead: the server pings, and each answers.
    crowd::block(&peers, false)?;
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(idle) {
        crowd::tend(&mut peers)?;
        thread::sleep(Duration::from_millis(200));
    }
    verdict.exactly(&format!("open after {idle} s"), server.counters()?.of("open"), count as u64);
    let each = (server.resident()? - resident) as f64 / count as f64;
    verdict.at_most("KiB each", each, siege.pick(BOUND, BOUND_OF_FEW));
    let held = server.counters()?.of("held").saturating_sub(held);
    verdict.note(format!("{:.1} KiB of them asked for", held as f64 / 1024.0 / count as f64));
    let idling = server.time()?.saturating_sub(time + opening);
    verdict.note(format!("{:.1} ms of a core a second", idling.as_millis() as f64 / idle as f64));
    crowd::block(&peers, true)?;
    let (echoes, failures) = crowd::each(&mut peers, |peer| peer.echo("still there?"));
    verdict.exactly("echoes", echoes.len() as u64, count as u64);
    verdict.none("failures", &failures);
    Ok(verdict)
}
