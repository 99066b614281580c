//! Ten thousand handlers that panic: each costs its own connection, which is told 1011, and nothing else.

use std::time::Duration;

use crate::crowd::many;
use crate::good::GoodClients;
use crate::peer::Peer;
use crate::process::Process;
use crate::verdict::Verdict;
use crate::{Result, Siege};

/// Few, so that a place which is not given back is soon missed.
const PLACES: &str = "50";
const BACK: Duration = Duration::from_secs(8);

pub fn row(siege: &Siege) -> Result<Verdict> {
    let count = siege.pick(10_000, 2_000);
    let mut server = Process::with(&[], &["--max-connections", PLACES])?;
    let to = server.address;
    let at_rest = server.at_rest()?;
    let good = GoodClients::come(to, 40);
    let mut verdict = Verdict::default();
    let (told, failures) = many(count, |_| Peer::open(to, "/panic")?.read_to_close());
    verdict.none("failures", &failures);
    let told = told.iter().filter(|code| **code == Some(1011)).count();
    verdict.exactly("told 1011", told as u64, count as u64);
    verdict.exactly("panics", server.counters()?.of("panics"), count as u64);
    good.until(100).judge(siege, &mut verdict);
    verdict.within("descriptors and threads back after", server.back_at(&at_rest, BACK)?, BACK);
    verdict.exactly("open", server.counters()?.of("open"), 0);
    Ok(verdict)
}
