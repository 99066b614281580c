//! Measures the memory that a server's process keeps for idle connections, each of which has echoed
//! one message: the pages that the kernel gives it, and the bytes that it has allocated.

use std::fs;

use crate::Result;
use crate::fixtures::{BINARY, masked, plain};
use crate::server_process::{Running, exchange};

/// As many at a time as any machine lets a process have descriptors for.
const CONNECTIONS: usize = 1_000;

/// In the order of the bounds.
pub const COUNTS: [&str; 4] = ["KiB resident", "bytes allocated", "threads", "descriptors"];

/// For each connection, in the order of `COUNTS`.
pub fn cost() -> Result<[f64; 4]> {
    let mut server = Running::start(&[])?;
    let (request, reply) = (masked(BINARY, &[7; 32]), plain(BINARY, &[7; 32]));
    let open = |server: &Running| -> Result<_> {
        let stream = server.open()?;
        exchange(&stream, &request, &reply)?;
        Ok(stream)
    };
    // One before the count begins: what the server needs once for all is there then.
    let _first = open(&server)?;
    let before = counts(&mut server)?;
    let _held = (0..CONNECTIONS).map(|_| open(&server)).collect::<Result<Vec<_>>>()?;
    let full = counts(&mut server)?;
    Ok(std::array::from_fn(|i| (full[i] - before[i]) / CONNECTIONS as f64))
}

fn counts(server: &mut Running) -> Result<[f64; 4]> {
    let (process, held) = (server.id(), server.held_bytes()?);
    let rollup = fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
    let resident = rollup.lines().find_map(|line| line.strip_prefix("Rss:"));
    let resident = resident.and_then(|line| line.trim().strip_suffix(" kB")).ok_or("no Rss")?;
    let entries = |kind| fs::read_dir(format!("/proc/{process}/{kind}")).map(|all| all.count());
    Ok([resident.trim().parse()?, held as f64, entries("task")? as f64, entries("fd")? as f64])
}
