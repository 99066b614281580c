//! Everything at once, for minutes: streams that are hashed at both ends, good clients, an idle crowd and
//! readers of news, among those who come and leave in every way, say nothing, never read, and throw bombs.
//! At the end the server holds what it held before, and meanwhile its memory does not grow.

use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::{Duration, Instant};

use crate::good::GoodClients;
use crate::process::Process;
use crate::soak_clients::Counted;
use crate::streams::{self, Dice};
use crate::verdict::Verdict;
use crate::{Result, Siege};

/// In the last quarter there may be so many MiB more than in the second, by the middle one of the samples: of
/// what the program has asked for, which tells of every leak; and of what is in memory, where the allocator
/// has a say, which needs long to have a hole of each size.
const MORE_ASKED_FOR: u64 = 4;
const MORE_IN_MEMORY: u64 = 32;
/// A bomb teaches the allocator of glibc to keep pieces of 16 MiB for the next one, in each of its many arenas:
/// hundreds of MiB that nobody uses, which would hide all else. So it is told not to.
const LEAN: [&str; 3] = ["env", "MALLOC_ARENA_MAX=2", "MALLOC_MMAP_THRESHOLD_=16384"];
/// Bytes that are held more when all have left than before they came.
const HELD: u64 = 64 * 1024;
/// How long a first crowd comes before the memory is measured, because the server's tables keep the room that
/// the largest crowd needed.
const FIRST_CROWD: Duration = Duration::from_secs(30);
const BACK: Duration = Duration::from_secs(60);

/// What the server uses at a moment.
struct Sample {
    /// KiB in memory.
    resident: u64,
    /// KiB that the program has asked for.
    held: u64,
}

pub fn row(siege: &Siege) -> Result<Verdict> {
    let lasts = Duration::from_secs(siege.soak);
    let mut server = Process::with(&LEAN, &["--deflate"])?;
    let to = server.address;
    // All that is made once is made before it is measured.
    let mut dice = Dice(1);
    (0..10).try_for_each(|_| streams::run(to, &mut dice).map(|_| ()))?;
    let at_rest = server.at_rest()?;
    let first = Counted::default();
    thread::scope(|scope| {
        first.begin(scope, to);
        thread::sleep(FIRST_CROWD);
        first.end();
    });
    server.back_at(&at_rest, BACK)?.ok_or("the first crowd doesn't leave")?;
    let held = server.counters()?.of("held");
    let good = GoodClients::come(to, 20);
    let counted = Counted::default();
    let mut samples = Vec::new();
    let start = Instant::now();
    thread::scope(|scope| {
        counted.begin(scope, to);
        let watched = watch(&mut server, start, lasts, &mut samples);
        counted.end();
        watched
    })?;

    let mut verdict = Verdict::default();
    verdict.none("failures", &counted.failures());
    let minutes = siege.soak.div_ceil(60);
    verdict.at_least("streams with equal hashes", counted.streams.load(SeqCst), 10 * minutes);
    verdict.note(format!("{} MiB each way", counted.bytes.load(SeqCst) >> 20));
    verdict.at_least("came and left", counted.left.load(SeqCst), 1000 * minutes);
    verdict.at_least("held up", counted.held_up.load(SeqCst), 100 * minutes);
    verdict.at_least("never read", counted.deaf.load(SeqCst), 10 * minutes);
    verdict.at_least("bombs told 1009", counted.bombs.load(SeqCst), 2 * minutes);
    verdict.at_least("news read", counted.news.load(SeqCst), 100 * minutes);
    good.until(100).judge(siege, &mut verdict);
    does_not_grow(&mut verdict, "MiB asked for", &samples, MORE_ASKED_FOR, |sample| sample.held);
    does_not_grow(&mut verdict, "MiB in memory", &samples, MORE_IN_MEMORY, |sample| {
        sample.resident
    });
    verdict.within("descriptors and threads back after", server.back_at(&at_rest, BACK)?, BACK);
    let counters = server.counters()?;
    verdict.exactly("open", counters.of("open"), 0);
    verdict.at_most("bytes held more", counters.of("held").saturating_sub(held), HELD);
    Ok(verdict)
}

/// Publishes news and looks at the memory, a few times a second.
fn watch(
    server: &mut Process,
    start: Instant,
    lasts: Duration,
    samples: &mut Vec<Sample>,
) -> Result<()> {
    while start.elapsed() < lasts {
        server.ask("publish 5 2000 10")?;
        let held = server.counters()?.of("held") >> 10;
        samples.push(Sample { resident: server.resident()?, held });
        thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

/// Compares the last quarter with the second: in the first it is only getting there.
fn does_not_grow(
    verdict: &mut Verdict,
    what: &str,
    samples: &[Sample],
    more: u64,
    of: fn(&Sample) -> u64,
) {
    let quarter = samples.len() / 4;
    let second = middle(&samples[quarter..2 * quarter], of) >> 10;
    let last = middle(&samples[3 * quarter..], of) >> 10;
    let what = format!("{what} in the last quarter (in the second {second})");
    verdict.at_most(&what, last, second + more);
}

fn middle(samples: &[Sample], of: fn(&Sample) -> u64) -> u64 {
    let mut sorted: Vec<u64> = samples.iter().map(of).collect();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}
