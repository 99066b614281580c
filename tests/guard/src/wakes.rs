//! How often a server's threads wake for a large message, as the kernel counts them: each read or write
//! that has to wait is a voluntary switch.

use std::fs;

use crate::fixtures::{BINARY, masked, plain};
use crate::server_process::{Running, close, exchange};
use crate::{KIB, Result};

const MESSAGES: u64 = 100;

/// Wake-ups for each message of 1 MiB that is sent back.
pub fn cost() -> Result<f64> {
    let server = Running::start(&[])?;
    let payload = vec![7; KIB * KIB];
    let (request, reply) = (masked(BINARY, &payload), plain(BINARY, &payload));
    let stream = server.open()?;
    // A few before the count begins: then the buffers have grown.
    (0..10).try_for_each(|_| exchange(&stream, &request, &reply))?;
    let before = voluntary_switches(server.id())?;
    (0..MESSAGES).try_for_each(|_| exchange(&stream, &request, &reply))?;
    let wakes = voluntary_switches(server.id())? - before;
    close(stream)?;
    server.stop()?;
    Ok(wakes as f64 / MESSAGES as f64)
}

/// Of all threads of a process.
fn voluntary_switches(process: u32) -> Result<u64> {
    let mut switches = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let status = fs::read_to_string(thread?.path().join("status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        switches += line.ok_or("no voluntary switches")?.trim().parse::<u64>()?;
    }
    Ok(switches)
}
