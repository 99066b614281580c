//! Everything at once, for minutes: streams that are hashed at both ends, good clients, an idle crowd and
//! readers of news, among those who come and leave in every way, say nothing, never read, and throw bombs.
//! At the end the server holds what it held before, and meanwhile its memory does not grow.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::bomb;
use crate::crowd;
use crate::good::GoodClients;
use crate::hostile::{Deaf, come_and_leave, half_a_frame, hear};
use crate::peer::{FIN, Peer, TEXT};
use crate::process::Process;
use crate::streams::{self, Dice};
use crate::verdict::Verdict;
use crate::{Result, Siege};

const STREAMS: u64 = 8;
const IDLE: usize = 500;
const READERS: usize = 20;
/// In the last quarter there may be so many MiB more than in the second, by the middle one of the samples: of
/// what the program has asked for, and of what is in memory, where the allocator has a say.
const MORE_ASKED_FOR: u64 = 4;
const MORE_IN_MEMORY: u64 = 16;
/// A bomb teaches the allocator of glibc to keep pieces of 16 MiB for the next one, in each of its many arenas:
/// hundreds of MiB that nobody uses, which would hide all else. So it is told not to.
const LEAN: [&str; 3] = ["env", "MALLOC_ARENA_MAX=2", "MALLOC_MMAP_THRESHOLD_=131072"];
/// Bytes that are held more when all have left than before they came.
const HELD: u64 = 64 * 1024;
const BACK: Duration = Duration::from_secs(60);

/// What is counted while it goes on.
#[derive(Default)]
struct Counted {
    over: AtomicBool,
    streams: AtomicU64,
    bytes: AtomicU64,
    left: AtomicU64,
    held_up: AtomicU64,
    deaf: AtomicU64,
    bombs: AtomicU64,
    news: AtomicU64,
    failures: Mutex<Vec<String>>,
}

/// What the server uses at a moment.
struct Sample {
    /// KiB in memory.
    resident: u64,
    /// KiB that the program has asked for.
    held: u64,
}

impl Counted {
    fn over(&self) -> bool {
        self.over.load(SeqCst)
    }

    fn failed(&self, failures: Vec<String>) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).extend(failures);
    }

    /// Does it again and again, and notes what fails.
    fn repeat(&self, gap: Duration, mut work: impl FnMut() -> Result<()>) {
        while !self.over() {
            if let Err(error) = work() {
                self.failed(vec![error.to_string()]);
            }
            thread::sleep(gap);
        }
    }
}

pub fn row(siege: &Siege) -> Result<Verdict> {
    let lasts = Duration::from_secs(siege.soak);
    let mut server = Process::with(&LEAN, &["--deflate"])?;
    let to = server.address;
    // All that is made once is made before it is measured.
    streams::run(to, &mut Dice(1))?;
    streams::run(to, &mut Dice(2))?;
    let at_rest = server.at_rest()?;
    let held = server.counters()?.of("held");
    let good = GoodClients::come(to, 20);
    let counted = Counted::default();
    let mut samples = Vec::new();
    let start = Instant::now();
    thread::scope(|scope| {
        let counted = &counted;
        for seed in 1..=STREAMS {
            scope.spawn(move || stream(to, seed, counted));
        }
        scope.spawn(move || leave(to, counted));
        scope.spawn(move || hold_up(to, counted));
        scope.spawn(move || never_read(to, counted));
        scope.spawn(move || throw_bombs(to, counted));
        scope.spawn(move || idle(to, counted));
        for _ in 0..READERS {
            scope.spawn(move || read_news(to, counted));
        }
        let watched = watch(&mut server, start, lasts, &mut samples);
        counted.over.store(true, SeqCst);
        watched
    })?;

    let mut verdict = Verdict::default();
    let failures = counted.failures.lock().unwrap_or_else(PoisonError::into_inner);
    verdict.none("failures", &failures);
    let minutes = siege.soak.div_ceil(60);
    verdict.at_least("streams with equal hashes", counted.streams.load(SeqCst), 10 * minutes);
    verdict.note(format!("{} MiB each way", counted.bytes.load(SeqCst) >> 20));
    verdict.at_least("came and left", counted.left.load(SeqCst), 1000 * minutes);
    verdict.at_least("held up", counted.held_up.load(SeqCst), 100 * minutes);
    verdict.at_least("never read", counted.deaf.load(SeqCst), 10 * minutes);
    verdict.at_least("bombs told 1009", counted.bombs.load(SeqCst), 2 * minutes);
    verdict.at_least("news read", counted.news.load(SeqCst), 100 * minutes);
    good.until(100).judge(&mut verdict);
    let uses: [(&str, u64, fn(&Sample) -> u64); 2] = [
        ("MiB asked for", MORE_ASKED_FOR, |sample| sample.held),
        ("MiB in memory", MORE_IN_MEMORY, |sample| sample.resident),
    ];
    let quarter = samples.len() / 4;
    for (what, more, of) in uses {
        let second = middle(&samples[quarter..2 * quarter], of) >> 10;
        let last = middle(&samples[3 * quarter..], of) >> 10;
        let what = format!("{what} in the last quarter (in the second {second})");
        verdict.at_most(&what, last, second + more);
    }
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

fn middle(samples: &[Sample], of: fn(&Sample) -> u64) -> u64 {
    let mut sorted: Vec<u64> = samples.iter().map(of).collect();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

fn stream(to: SocketAddr, seed: u64, counted: &Counted) {
    let mut dice = Dice(seed);
    counted.repeat(Duration::from_millis(50), || {
        counted.bytes.fetch_add(streams::run(to, &mut dice)?, SeqCst);
        counted.streams.fetch_add(1, SeqCst);
        Ok(())
    });
}

fn leave(to: SocketAddr, counted: &Counted) {
    let mut way = 0;
    counted.repeat(Duration::from_millis(5), || {
        way += 1;
        come_and_leave(to, way)?;
        counted.left.fetch_add(1, SeqCst);
        Ok(())
    });
}

/// Three hundred at a time say nothing or stop in mid-frame; who was sent out comes again.
fn hold_up(to: SocketAddr, counted: &Counted) {
    let mut peers: Vec<Peer> = Vec::new();
    let mut turn = 0;
    counted.repeat(Duration::from_millis(20), || {
        if peers.len() < 300 {
            turn += 1;
            let peer = if turn % 2 == 0 { Peer::dial(to)? } else { half_a_frame(to, turn)? };
            peer.stream.set_nonblocking(true)?;
            peers.push(peer);
            counted.held_up.fetch_add(1, SeqCst);
        }
        peers.iter_mut().for_each(hear);
        peers.retain(|peer| !peer.ended);
        Ok(())
    });
}

fn never_read(to: SocketAddr, counted: &Counted) {
    let mut deaf: Vec<Deaf> = Vec::new();
    counted.repeat(Duration::from_millis(200), || {
        if deaf.len() < 20 {
            deaf.push(Deaf::open(to)?);
            counted.deaf.fetch_add(1, SeqCst);
        }
        deaf.iter_mut().for_each(Deaf::shout);
        deaf.retain(|deaf| !deaf.ended);
        Ok(())
    });
}

fn throw_bombs(to: SocketAddr, counted: &Counted) {
    let bomb = bomb::of_a_gibibyte();
    counted.repeat(Duration::from_secs(5), || {
        match bomb::told(&mut bomb::open(to)?, &bomb)? {
            1009 => drop(counted.bombs.fetch_add(1, SeqCst)),
            code => return Err(format!("a bomb was told {code}").into()),
        }
        Ok(())
    });
}

fn idle(to: SocketAddr, counted: &Counted) {
    let (mut peers, failures) = crowd::open(to, "/echo", IDLE);
    counted.failed(failures);
    let unblocked = crowd::block(&peers, false);
    counted.repeat(Duration::from_millis(500), || {
        unblocked.as_ref().map_err(|error| error.to_string())?;
        crowd::tend(&mut peers)?;
        let gone = peers.iter().filter(|peer| peer.ended).count();
        peers.retain(|peer| !peer.ended);
        if gone == 0 { Ok(()) } else { Err(format!("{gone} of the idle were cut").into()) }
    });
    let blocked = crowd::block(&peers, true);
    let (_, mut failures) = crowd::each(&mut peers, |peer| peer.echo("still there?"));
    failures.extend(blocked.err().map(|error| error.to_string()));
    counted.failed(failures);
}

/// Reads news, for a while at a time, each the next one.
fn read_news(to: SocketAddr, counted: &Counted) {
    counted.repeat(Duration::from_millis(100), || {
        let mut peer = Peer::open(to, "/news")?;
        peer.stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let mut last: Option<u64> = None;
        for _ in 0..200 {
            if counted.over() {
                break;
            }
            let frame = match peer.next() {
                // Nothing is published any more.
                Err(_) if counted.over() => break,
                frame => frame?,
            };
            let number = frame.payload.first_chunk().map(|number| u64::from_be_bytes(*number));
            let number = number.ok_or("news without a number")?;
            // Each publication begins with 0.
            if last.is_some_and(|last| number != last + 1 && number != 0) {
                return Err(format!("{number} came behind {last:?}").into());
            }
            last = Some(number);
            counted.news.fetch_add(1, SeqCst);
        }
        peer.send(FIN | TEXT, b"that will do")?;
        drop(peer);
        Ok(())
    });
}
