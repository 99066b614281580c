//! The system calls of a server's process, as strace counts them, including those for locks, memory
//! and threads, which no [`Stream`] makes.
//!
//! As with the wire in memory, the server runs twice, and the difference counts. A client sends a batch in
//! one write, and the server finds all of it at once, so each batch takes the same calls. strace slows
//! the server down, but that doesn't change the counts.
//!
//! [`Stream`]: ws101::Stream

use std::fmt;

use crate::Result;
use crate::fixtures::{BINARY, masked, plain};
use crate::server_process::{Running, close, exchange};

pub enum Load {
    /// Batches of so many messages of 32 bytes.
    Echo { in_flight: usize },
    /// Connections, one after the other: opened, closed by the client.
    Connections,
}

const FEW: u64 = 20;
const MANY: u64 = 220;

impl Load {
    /// System calls for each message, or connection.
    pub fn cost(&self) -> Result<f64> {
        let (few, many) = (self.run(FEW)?, self.run(MANY)?);
        let each = match self {
            Load::Echo { in_flight } => *in_flight as u64,
            Load::Connections => 1,
        };
        Ok((many as f64 - few as f64) / ((MANY - FEW) * each) as f64)
    }

    /// All system calls of a server that is given so much to do.
    fn run(&self, times: u64) -> Result<u64> {
        let file = std::env::temp_dir().join(format!("ws101-guard-{}", std::process::id()));
        let path = file.to_str().ok_or("no name for a file of strace")?;
        let server = Running::start(&["strace", "-f", "-c", "-o", path])?;
        match self {
            Load::Echo { in_flight } => {
                let payload = [7; 32];
                let (request, reply) = (masked(BINARY, &payload), plain(BINARY, &payload));
                let (requests, replies) = (request.repeat(*in_flight), reply.repeat(*in_flight));
                let stream = server.open()?;
                for _ in 0..times {
                    exchange(&stream, &requests, &replies)?;
                }
                close(stream)?;
            }
            Load::Connections => {
                for _ in 0..times {
                    close(server.open()?)?;
                }
            }
        }
        server.stop()?;
        let summary = std::fs::read_to_string(&file)?;
        std::fs::remove_file(&file)?;
        total(&summary).ok_or_else(|| format!("strace says:\n{summary}").into())
    }
}

/// The calls in the last line of strace's table: `100.00 0.012345 12 1234 5 total`.
fn total(summary: &str) -> Option<u64> {
    let line = summary.lines().find(|line| line.ends_with(" total"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Load::Echo { in_flight } => write!(f, "system calls: feed, {in_flight} × 32 B"),
            Load::Connections => f.write_str("system calls: a connection opened and closed"),
        }
    }
}
