//! Two thousand attackers of four kinds, each of whom holds what it can for as long as it can, while good
//! clients come and go.
//!
//! Those who have no head whole are gone after 10 s, or make way before that. Of those who are in, the
//! silent are pinged after 20 s and gone 20 s later; who never reads is gone when 20 s, or twice that if it
//! took a part, have brought the server's writing no further.

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use crate::crowd::many;
use crate::good::{AT_A_TIME, GoodClients};
use crate::hostile::{Deaf, half_a_frame, hear};
use crate::peer::{Peer, request};
use crate::process::Process;
use crate::verdict::Verdict;
use crate::{Result, Siege};

/// What a head has, and what a silent connection or a stuck write has.
const HEAD: Duration = Duration::from_secs(10);
const SILENT: Duration = Duration::from_secs(40);
/// By so much a deadline may be missed: Linux rounds such times up by as much as a twelfth, twice for a
/// stuck write, and the machine may be busy.
const LATE: Duration = Duration::from_secs(5);

pub fn row(siege: &Siege) -> Result<Verdict> {
    let quarter = siege.pick(500, 150);
    let mut server = Process::start()?;
    let to = server.address;
    let at_rest = server.at_rest()?;
    let good = GoodClients::come(to, 40);
    let mut verdict = Verdict::default();

    // 1. Those who get in: half a frame and then nothing; messages to be sent back, which nobody reads.
    let (mut halves, failures) = many(quarter, |turn| half_a_frame(to, turn));
    verdict.none("half frames failed", &failures);
    let (mut deaf, failures) = many(quarter, |_| Deaf::open(to));
    verdict.none("never reading failed", &failures);
    let start = Instant::now();
    verdict.at_least("in", server.counters()?.of("open"), 2 * quarter as u64);
    // 2. Those who don't: silence, and a head byte by byte.
    let (mut heads, failures) = many(2 * quarter, |_| Peer::dial(to));
    verdict.none("silent or dribbling failed", &failures);
    let head_start = Instant::now();
    halves.iter().chain(&heads).try_for_each(|peer| peer.stream.set_nonblocking(true))?;

    // 3. All of them at it, until they are gone.
    let head = request(to, "/echo", "");
    let mut dribbled = head.bytes();
    let (mut heads_gone, mut halves_gone, mut deaf_gone) = (None, None, None);
    while start.elapsed() < SILENT + LATE + LATE && (halves_gone.is_none() || deaf_gone.is_none()) {
        let byte = dribbled.next().unwrap_or(b'x');
        // Every other one of these is silent.
        for peer in heads.iter_mut().step_by(2) {
            let _ = peer.stream.write_all(&[byte]);
        }
        heads.iter_mut().chain(&mut halves).for_each(hear);
        deaf.iter_mut().for_each(Deaf::shout);
        if heads.iter().all(|peer| peer.ended) {
            heads_gone.get_or_insert(head_start.elapsed());
        }
        if halves.iter().all(|peer| peer.ended) {
            halves_gone.get_or_insert(start.elapsed());
        }
        // They don't read how they are told, so the server is asked.
        let open = server.counters()?.of("open") as usize;
        if open <= AT_A_TIME + halves.iter().filter(|peer| !peer.ended).count() {
            deaf_gone.get_or_insert(start.elapsed());
        }
        thread::sleep(Duration::from_millis(250));
    }
    verdict.within("the last without a head gone after", heads_gone, HEAD + LATE);
    verdict.at_least("told 408", server.counters()?.of("408"), 2 * quarter as u64);
    verdict.within("the last half frame after", halves_gone, SILENT + LATE);
    verdict.within("who never reads after", deaf_gone, SILENT + LATE);
    good.until(1000).judge(siege, &mut verdict);
    let back = server.back_at(&at_rest, LATE)?;
    verdict.within("descriptors and threads back after", back, LATE);
    Ok(verdict)
}
