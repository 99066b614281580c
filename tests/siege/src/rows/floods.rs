//! A million of the smallest things there are: pings whose pongs nobody reads, empty messages, fragments of a
//! byte. None of them makes the server's memory grow beyond its limits, or another client wait.

use std::io::Write;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use crate::good::GoodClients;
use crate::peer::{BINARY, CLOSE, CONTINUATION, FIN, PING, Peer, dial, frame};
use crate::process::Process;
use crate::verdict::Verdict;
use crate::{Result, Siege};

/// KiB in memory, more than before: what grows with a read that is full, and a message of as many bytes
/// as it may have fragments. A million of anything that is kept would be far more.
const MORE: u64 = 4 * 1024;
/// When who reads nothing is dropped: 20 s, or twice that if it took a part; and so much the machine may be late.
const STUCK: Duration = Duration::from_secs(45);
/// How many fragments a message may have.
const FRAGMENTS: usize = 131_072;

/// Pings, as long as they may be and empty, from somebody who reads none of the pongs.
pub fn pings(siege: &Siege) -> Result<Verdict> {
    let count = siege.pick(1_000_000, 200_000);
    flooded(siege, |to, verdict| {
        // The server stops reading when its pongs no longer get out, and drops the peer at its write deadline.
        // Empty ones are short enough that the system may buffer them all; long ones are not.
        for (what, payload) in [("empty pings", &[][..]), ("pings of 125 bytes", &[7; 125])] {
            let mut peer = deaf(to)?;
            let start = Instant::now();
            let sent = pour(&mut peer, count, |_| frame(FIN | PING, payload));
            verdict.at_least(&format!("{what} sent"), sent as u64, 1000);
            if sent == count && payload.is_empty() {
                peer.send(FIN | CLOSE, &1000u16.to_be_bytes())?;
                verdict.is(
                    "closed in the end with",
                    peer.read_to_close()?.unwrap_or_default(),
                    1000,
                );
            } else {
                verdict.is("dropped before the end", sent < count, true);
                verdict.at_most("after", start.elapsed(), STUCK);
            }
        }
        Ok(())
    })
}

/// One who reads nothing until the end, and waits for long with what it has to say.
fn deaf(to: SocketAddr) -> Result<Peer> {
    let mut peer = Peer::new(dial(to, true)?);
    peer.stream.set_write_timeout(Some(2 * STUCK))?;
    match peer.ask(to, "/echo", "")? {
        101 => Ok(peer),
        status => Err(format!("the server answered {status}").into()),
    }
}

/// Empty messages, each sent back and counted.
pub fn messages(siege: &Siege) -> Result<Verdict> {
    let count = siege.pick(1_000_000, 200_000);
    flooded(siege, |to, verdict| {
        let mut peer = Peer::open(to, "/echo")?;
        let mut reader = Peer::new(peer.stream.try_clone()?);
        let counter = thread::spawn(move || -> Result<u64> {
            let mut echoes = 0;
            loop {
                match reader.frame()? {
                    frame if frame.opcode() == CLOSE => return Ok(echoes),
                    frame => {
                        let empty = frame.first == FIN | BINARY && frame.payload.is_empty();
                        echoes += u64::from(empty);
                    }
                }
            }
        });
        let sent = pour(&mut peer, count, |_| frame(FIN | BINARY, &[]));
        verdict.exactly("empty messages sent", sent as u64, count as u64);
        peer.send(FIN | CLOSE, &1000u16.to_be_bytes())?;
        let echoes = counter.join().map_err(|_| "the reader panicked")??;
        verdict.exactly("sent back", echoes, count as u64);
        Ok(())
    })
}

/// Fragments of one byte: in messages that have as many as they may, and in one that never ends.
pub fn fragments(siege: &Siege) -> Result<Verdict> {
    let count = siege.pick(1_000_000, 300_000);
    flooded(siege, |to, verdict| {
        let mut peer = Peer::open(to, "/echo")?;
        let messages = count / FRAGMENTS;
        let mut whole = 0;
        for _ in 0..messages {
            let sent = pour(&mut peer, FRAGMENTS, |turn| fragment(turn, turn + 1 == FRAGMENTS));
            let back = peer.next()?;
            whole += u64::from(sent == FRAGMENTS && back.payload == vec![7; FRAGMENTS]);
        }
        verdict.exactly("messages of 131,072 fragments sent back", whole, messages as u64);
        let mut peer = Peer::open(to, "/echo")?;
        let sent = pour(&mut peer, count, |turn| fragment(turn, false));
        verdict.at_least("of one without an end, sent", sent as u64, FRAGMENTS as u64);
        verdict.is("told", peer.read_to_close()?.unwrap_or_default(), 1009);
        Ok(())
    })
}

fn fragment(turn: usize, last: bool) -> Vec<u8> {
    let opcode = if turn == 0 { BINARY } else { CONTINUATION };
    frame(if last { FIN | opcode } else { opcode }, &[7])
}

/// Sends so many frames as fast as they go: how many went before the server left.
fn pour(peer: &mut Peer, count: usize, frame: impl Fn(usize) -> Vec<u8>) -> usize {
    const AT_A_TIME: usize = 1000;
    let mut sent = 0;
    while sent < count {
        let next = (sent + AT_A_TIME).min(count);
        let bytes: Vec<u8> = (sent..next).flat_map(&frame).collect();
        if peer.stream.write_all(&bytes).is_err() {
            break;
        }
        sent = next;
    }
    sent
}

/// Floods a server, while its memory is watched and good clients come.
fn flooded(
    siege: &Siege,
    flood: impl FnOnce(SocketAddr, &mut Verdict) -> Result<()>,
) -> Result<Verdict> {
    let mut server = Process::start()?;
    let at_rest = server.at_rest()?;
    let resident = server.resident()?;
    server.forget_peak()?;
    let good = GoodClients::come(server.address, 40);
    let mut verdict = Verdict::default();
    flood(server.address, &mut verdict)?;
    good.until(100).judge(siege, &mut verdict);
    verdict.at_most("KiB more at the peak", server.peak()?.saturating_sub(resident), MORE);
    let back = Duration::from_secs(8);
    verdict.within("descriptors and threads back after", server.back_at(&at_rest, back)?, back);
    Ok(verdict)
}
