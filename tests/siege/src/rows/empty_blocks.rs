//! Compressed messages that inflate to nothing: empty blocks, without end in one message, and in message after message;
//! and blocks with BFINAL, each of which costs the server a copy of the window. All that is held against is time,
//! for none of them takes memory.

use std::io::Write;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::bomb::open;
use crate::good::GoodClients;
use crate::peer::{BINARY, CONTINUATION, FIN, Peer, RSV1, frame};
use crate::process::Process;
use crate::verdict::Verdict;
use crate::{Result, Siege};

const LIMIT: usize = 1024;
/// An empty block without compression, and an empty last block with the fixed codes.
const EMPTY: [u8; 5] = [0, 0, 0, 0xff, 0xff];
const LAST: [u8; 2] = [3, 0];
/// What the window can hold.
const WINDOW: usize = 32 * 1024;
const A_SECOND: Duration = Duration::from_secs(1);

pub fn row(siege: &Siege) -> Result<Verdict> {
    let mut verdict = Verdict::default();
    // 1. Without end, under a small limit.
    let server = Process::with(&[], &["--deflate", "--max-message", &LIMIT.to_string()])?;
    let to = server.address;
    let good = GoodClients::come(to, 40);
    let start = Instant::now();
    let mut peer = open(to)?;
    // 2.4 GiB are announced, and as much of it sent as is taken.
    let head =
        [&[FIN | RSV1 | BINARY, 0xff][..], &(2_400_u64 << 20).to_be_bytes(), &[0; 4]].concat();
    peer.stream.write_all(&head)?;
    verdict.is("2.4 GiB in a frame told", code_after(peer, &EMPTY.repeat(10_000))?, 1009);
    let empties = EMPTY.repeat(1_000);
    let mut peer = open(to)?;
    peer.send(RSV1 | BINARY, &empties[..LIMIT])?;
    verdict.is("in fragments told", code_after(peer, &frame(CONTINUATION, &empties))?, 1009);
    verdict.at_most("both after", start.elapsed(), A_SECOND);
    // 2. Within the limit, for ever: what a core makes of it.
    // Of the last block only the first byte is sent, as always.
    let message = [&EMPTY.repeat(2 * LIMIT / EMPTY.len())[..], &[0]].concat();
    let message = frame(FIN | RSV1 | BINARY, &message);
    let megabytes = siege.pick(100, 20);
    let mut peer = open(to)?;
    let time = server.time()?;
    for _ in 0..(megabytes << 20) / message.len() {
        peer.stream.write_all(&message)?;
        peer.next()?;
    }
    let spent = server.time()?.saturating_sub(time);
    verdict.at_most(
        &format!("on a core for {megabytes} MB of them"),
        spent,
        A_SECOND * megabytes as u32 / 4,
    );
    good.until(40).judge(siege, &mut verdict);
    // 3. Blocks with BFINAL, with a full window.
    let server = Process::with(&[], &["--deflate"])?;
    verdict.is("blocks with BFINAL told", last_blocks(server.address)?, 1009);
    verdict.at_most("on a core for them", server.time()?, A_SECOND);
    Ok(verdict)
}

/// The code of the Close, while this is sent again and again.
fn code_after(mut peer: Peer, more: &[u8]) -> Result<u64> {
    for _ in 0..1_000 {
        if peer.stream.write_all(more).is_err() {
            break;
        }
    }
    Ok(peer.read_to_close()?.unwrap_or_default().into())
}

fn last_blocks(to: SocketAddr) -> Result<u64> {
    let mut peer = open(to)?;
    let length = (WINDOW as u16).to_le_bytes();
    let stored = [&[0][..], &length, &length.map(|byte| !byte), &[7; WINDOW], &[0]].concat();
    peer.send(FIN | RSV1 | BINARY, &stored)?;
    peer.next()?;
    peer.send(FIN | RSV1 | BINARY, &LAST.repeat(4 << 20))?;
    Ok(peer.read_to_close()?.unwrap_or_default().into())
}
