//! A thousand more than there are places: they are told 503, and whoever comes when somebody has left gets in.

use std::time::Duration;

use crate::crowd::{each, many};
use crate::peer::Peer;
use crate::process::{Process, wait_until};
use crate::verdict::Verdict;
use crate::{Result, Siege};

const A_SECOND: Duration = Duration::from_secs(1);
/// How many leave in the end.
const LEAVING: u64 = 50;

pub fn row(siege: &Siege) -> Result<Verdict> {
    let places: usize = siege.pick(10_000, 1_000);
    let mut server = Process::with(&[], &["--max-connections", &places.to_string()])?;
    let to = server.address;
    let mut verdict = Verdict::default();
    let (mut inside, mut newcomers, mut outside) = (Vec::new(), Vec::new(), 0);
    let (answered, failures) = many(places + 1000, |_| {
        let mut peer = Peer::dial(to)?;
        Ok((peer.ask(to, "/echo", "")?, peer))
    });
    verdict.none("failures", &failures);
    for (status, peer) in answered {
        match status {
            101 => inside.push(peer),
            503 => outside += 1,
            other => return Err(format!("the server answered {other}").into()),
        }
    }
    verdict.exactly("inside", inside.len() as u64, places as u64);
    verdict.exactly("told 503", outside, 1000);
    verdict.exactly("counted so", server.counters()?.of("503"), 1000);
    let (served, failures) = each(&mut inside, |peer| peer.echo("served?"));
    verdict.exactly("served", served.len() as u64, places as u64);
    verdict.none("failures", &failures);
    // One after the other leaves, with a goodbye or with a reset, and each time somebody else gets in.
    let (mut replaced, mut longest) = (0, Duration::ZERO);
    for turn in 0..LEAVING {
        let leaving = inside.pop().ok_or("nobody is inside")?;
        if turn % 2 == 0 {
            leaving.close()?
        } else {
            leaving.reset()?
        }
        let mut newcomer = None;
        let room = wait_until(2 * A_SECOND, || {
            newcomer = Peer::open(to, "/echo").ok();
            Ok(newcomer.is_some())
        })?;
        longest = longest.max(room.unwrap_or(Duration::MAX));
        replaced += u64::from(newcomer.is_some());
        // They stay to the end, or the places would be theirs.
        newcomers.extend(newcomer);
    }
    verdict.exactly("left, and others got in", replaced, LEAVING);
    verdict.at_most("room again after", longest, A_SECOND);
    Ok(verdict)
}
