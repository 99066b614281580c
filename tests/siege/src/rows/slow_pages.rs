//! Pages that take seconds to make, and hundreds who want one: a bounded number of threads makes them, the others are
//! told 503, and whoever wants a WebSocket gets one meanwhile.

use std::io::Write;
use std::thread;
use std::time::Duration;

use crate::crowd::many;
use crate::good::GoodClients;
use crate::peer::Peer;
use crate::process::Process;
use crate::verdict::Verdict;
use crate::{Result, Siege};

/// How long a page takes.
const PAGE: &str = "3000";
/// The library's default: so many connections may be pending, and so many pages in the making.
const PLACES: u64 = 256;
/// How many threads without a connection may rest (`MAX_IDLE` of the thread pool).
const IDLE: u64 = 64;
/// How many clients that behave well come in a second. Each has a thread while it's there.
const GOOD: u64 = 40;
/// The server's own threads: the first one, which accepts, the one that refuses, and the one that obeys the siege.
const OWN: u64 = 3;

pub fn row(siege: &Siege) -> Result<Verdict> {
    let count = siege.pick(1_500, 800);
    let server = Process::with(&[], &["--pages", PAGE])?;
    let to = server.address;
    let mut verdict = Verdict::default();
    let good = GoodClients::come(to, GOOD as usize);
    let (peers, failures) = many(count, |_| {
        let mut peer = Peer::dial(to)?;
        peer.stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        Ok(peer)
    });
    verdict.none("failures", &failures);
    let mut most = 0;
    for _ in 0..20 {
        most = server.threads()?.max(most);
        thread::sleep(Duration::from_millis(50));
    }
    verdict.at_most("threads", most, 2 * PLACES + IDLE + GOOD + OWN);
    let (mut made, mut refused) = (0, 0);
    for mut peer in peers {
        match peer.status()? {
            200 => made += 1_u64,
            503 => refused += 1,
            other => return Err(format!("the server answered {other}").into()),
        }
    }
    // Those who come when the first pages are made get one as well.
    verdict.at_least("pages made", made, PLACES);
    verdict.at_least("told 503", refused, 1);
    verdict.exactly("answered", made + refused, count as u64);
    good.until(GOOD as usize).judge(siege, &mut verdict);
    Ok(verdict)
}
