//! A hundred thousand connections that come and leave in every way. Afterwards the server is as it was.

use std::time::Duration;

use crate::crowd::many;
use crate::hostile::{WAYS, come_and_leave};
use crate::peer::Peer;
use crate::process::Process;
use crate::verdict::Verdict;
use crate::{Result, Siege};

/// Before it is measured what the server uses, so many have come and left: what an allocator and a table
/// keep for the next ones, they have by then.
const BEFORE: usize = 2_000;
/// KiB in memory, more than before: the allocator spreads what little there is over its arenas.
const MORE: u64 = 4 * 1024;
/// Bytes that are held more than before: one for a hundredth of those who came would be more.
const HELD: u64 = 16 * 1024;
/// What is left to be waited for: the deadline for closing, 5 s.
const BACK: Duration = Duration::from_secs(8);

pub fn row(siege: &Siege) -> Result<Verdict> {
    let count = siege.pick(100_000, 10_000);
    let mut server = Process::start()?;
    let to = server.address;
    let mut verdict = Verdict::default();
    let (_, failures) = many(BEFORE, |turn| come_and_leave(to, turn));
    verdict.none("failures before", &failures);
    let at_rest = server.at_rest()?;
    let (resident, before) = (server.resident()?, server.counters()?);
    let (left, failures) = many(count, |turn| come_and_leave(to, turn));
    verdict.exactly("came and left", left.len() as u64, count as u64);
    verdict.none("failures", &failures);
    verdict.within("descriptors and threads back after", server.back_at(&at_rest, BACK)?, BACK);
    let after = server.counters()?;
    verdict.exactly("open", after.of("open"), 0);
    // One of the ways ends in a reset as soon as the 101 is out, which some of these never see.
    let opened = left.iter().filter(|opened| **opened).count() as u64;
    verdict.exactly("WebSockets", after.of("accepted") - before.of("accepted"), opened);
    let panics = (0..count).filter(|turn| turn % WAYS == 5).count() as u64;
    verdict.exactly("panics", after.of("panics") - before.of("panics"), panics);
    let more = server.resident()?.saturating_sub(resident);
    verdict.at_most("KiB more than before", more, MORE);
    let held = after.of("held").saturating_sub(before.of("held"));
    verdict.at_most("bytes held more", held, HELD);
    Peer::open(to, "/echo")?.echo("still there?")?;
    Ok(verdict)
}
