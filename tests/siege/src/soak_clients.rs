//! The clients of a soak. Each kind has its own thread, which repeats its task until the soak ends.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, Scope};
use std::time::Duration;

use crate::Result;
use crate::crowd;
use crate::hostile::{Deaf, come_and_leave, half_a_frame, hear};
use crate::peer::{FIN, Peer, TEXT};
use crate::rows::bomb;
use crate::streams::{self, Dice};

const STREAMS: u64 = 8;
const IDLE: usize = 500;
const READERS: usize = 20;
/// Who says nothing or stops in mid-frame, and who never reads, at a time.
const HELD_UP: usize = 300;
const DEAF: usize = 20;

/// What is counted while it goes on.
#[derive(Default)]
pub struct Counted {
    over: AtomicBool,
    pub streams: AtomicU64,
    pub bytes: AtomicU64,
    pub left: AtomicU64,
    pub held_up: AtomicU64,
    pub deaf: AtomicU64,
    pub bombs: AtomicU64,
    pub news: AtomicU64,
    failures: Mutex<Vec<String>>,
}

impl Counted {
    /// Begins with all of it.
    pub fn begin<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>, to: SocketAddr) {
        for seed in 1..=STREAMS {
            scope.spawn(move || stream(to, seed, self));
        }
        for work in [leave, hold_up, never_read, throw_bombs, idle] {
            scope.spawn(move || work(to, self));
        }
        for _ in 0..READERS {
            scope.spawn(move || read_news(to, self));
        }
    }

    /// All of them are to end.
    pub fn end(&self) {
        self.over.store(true, SeqCst);
    }

    pub fn failures(&self) -> Vec<String> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

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

/// So many at a time say nothing or stop in mid-frame; who was sent out comes again.
fn hold_up(to: SocketAddr, counted: &Counted) {
    let mut peers: Vec<Peer> = Vec::new();
    let mut turn = 0;
    counted.repeat(Duration::from_millis(20), || {
        if peers.len() < HELD_UP {
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
        if deaf.len() < DEAF {
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
