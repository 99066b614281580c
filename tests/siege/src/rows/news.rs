//! News for a thousand, ten of whom have stopped reading: the others get all of it, in order and in time; the
//! ten are dropped when their outbox is full.

use std::thread;
use std::time::Duration;

use crate::Result;
use crate::Siege;
use crate::crowd::{self, many};
use crate::good::percentile;
use crate::peer::{BINARY, FIN, Peer, dial};
use crate::process::Process;
use crate::server::now;
use crate::verdict::Verdict;

const STALLED: usize = 10;
/// Messages, their size, and the milliseconds between two.
const MESSAGES: u64 = 200;
const SIZE: usize = 16 * 1024;
const GAP: u64 = 50;
/// From when it was published to when it was read, by the last but one in a hundred. A stalled reader whom
/// others have to wait for holds them up for its write deadline: 20 s.
const DELAY: Duration = Duration::from_secs(1);

pub fn row(siege: &Siege) -> Result<Verdict> {
    let readers = siege.pick(1_000, 200) - STALLED;
    let mut server = Process::start()?;
    let to = server.address;
    let mut verdict = Verdict::default();
    let (stalled, failures) = many(STALLED, |_| {
        let mut peer = Peer::new(dial(to, true)?);
        peer.ask(to, "/news", "")?;
        Ok(peer)
    });
    verdict.none("stalled failed", &failures);
    let (peers, failures) = crowd::open(to, "/news", readers);
    verdict.none("readers failed", &failures);
    let all = (readers + STALLED) as u64;
    let mut present = 0;
    for _ in 0..100 {
        present = server.counters()?.of("readers");
        if present == all {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    verdict.exactly("there", present, all);

    server.tell(&format!("publish {MESSAGES} {SIZE} {GAP}"))?;
    let (mut delays, mut failures) = (Vec::new(), Vec::new());
    thread::scope(|scope| {
        let threads: Vec<_> = peers
            .into_iter()
            .filter_map(|peer| {
                let small = thread::Builder::new().stack_size(128 * 1024);
                small.spawn_scoped(scope, move || read_all(peer)).ok()
            })
            .collect();
        for thread in threads {
            match thread.join() {
                Ok(Ok(seen)) => delays.push(seen),
                Ok(Err(error)) => failures.push(error.to_string()),
                Err(_) => failures.push("a reader panicked".into()),
            }
        }
    });
    verdict.exactly("published", server.answer()?.of("published"), MESSAGES);
    verdict.exactly("read all, in order", delays.len() as u64, readers as u64);
    verdict.none("failures", &failures);
    let mut delays = delays.concat();
    verdict.at_most("p99 of their delays", percentile(&mut delays, 99), DELAY);
    verdict.exactly("dropped at their bound", server.counters()?.of("cut"), STALLED as u64);
    drop(stalled);
    Ok(verdict)
}

/// Reads all messages: how late each was, if each was the next one.
fn read_all(mut peer: Peer) -> Result<Vec<Duration>> {
    let mut delays = Vec::new();
    for due in 0..MESSAGES {
        let frame = peer.next()?;
        let first = frame.payload.first_chunk::<8>().map(|number| u64::from_be_bytes(*number));
        if frame.first != FIN | BINARY || frame.payload.len() != SIZE || first != Some(due) {
            return Err(format!("{first:?} came where {due} was due").into());
        }
        let sent = frame.payload[8..].first_chunk().map_or(0, |time| u64::from_be_bytes(*time));
        delays.push(Duration::from_micros(now().saturating_sub(sent)));
    }
    Ok(delays)
}
