//! Attacks a server, which runs in a separate process, in every way that we know, also with several
//! at once.
//!
//! ```text
//! tests/siege/run                       all rows, about half an hour
//! tests/siege/run --short               all rows, smaller: under five minutes
//! tests/siege/run [--short] ROW...      some of them
//! tests/siege/run --minutes 5 soak      a soak of so many minutes
//! ```
//!
//! | row | what is done | what must hold |
//! |---|---|---|
//! | `idle` | 10,000 connections, idle for a minute, then an echo on each | all answer; KiB for each |
//! | `attack` | 2,000 who say nothing, dribble heads, stop in mid-frame, never read | good clients don't notice; each attacker is gone at its deadline |
//! | `cap` | 1,000 more than there are places | they are told 503; there is room within a second of somebody leaving |
//! | `descriptors` | none left (`prlimit --nofile`) | who comes is told 503; near-idle; room again within a second |
//! | `threads` | none left (`prlimit --nproc`, for a user of its own) | the same |
//! | `maps` | none left: a chat with an outbox each, until `vm.max_map_count` is near | who comes is told 503; nothing aborts; room again within a second |
//! | `slow-pages` | 1,500 who want a page that takes 3 s to make | 256 get it, the others 503; good clients don't notice |
//! | `churn` | 100,000 connections that leave in every way | memory, threads and descriptors are back |
//! | `pings` | 10^6 pings, the pongs never read | bounded memory, others served, the peer dropped |
//! | `messages` | 10^6 empty messages | all sent back, bounded memory, others served |
//! | `fragments` | 10^6 fragments of a byte | messages within the limit sent back, beyond it 1009; the same |
//! | `bomb` | a gibibyte in a mebibyte | 1009; memory within the message limit and 64 KiB |
//! | `empty-blocks` | compressed messages that inflate to nothing: empty blocks, blocks with BFINAL | 1009 at once; little time on a core |
//! | `news` | a broadcast to 1,000, of whom 10 are stalled | 990 get all of it, in order, undelayed; the ten are dropped |
//! | `panics` | 10,000 handlers that panic | each is told 1011; all places are back |
//! | `stop` | a graceful stop with 5,000 live and 100 frozen | each live one reads 1001; out in time |
//! | `busy-stop` | a graceful stop with outboxes full and handlers in mid-answer | all that was taken arrives, then 1001; both ends count the same; out in time |
//! | `slowhttptest` | slow heads, bodies, reading, by a tool of others | the tool and good clients are served |
//! | `soak` | everything at once, for 20 minutes | hashes of every stream equal at both ends; flat memory |
//!
//! Each row prints a line with what it counted and measured, and the bound for it. A line marked
//! FAILED fails the run. If there is a goal below the bound, the line says whether it was met. A
//! short siege has fewer peers and messages, and gives good clients more time; counts and memory
//! have the same bounds.
//!
//! `/proc` tells the memory in pages and its peak, the threads, the descriptors and the processor time of the
//! server's process; the server's allocator counts its memory to the byte.
//!
//! Reading order: `server` (the server that is attacked, with `counting_allocator`), `process` (starts and
//! watches it), `peer`, `crowd`, `good`, `hostile`, `streams` and `soak_clients` (the clients), `verdict`, then the rows.

mod counting_allocator;
mod crowd;
mod good;
mod hostile;
mod peer;
mod process;
mod rows;
mod server;
mod soak_clients;
mod streams;
mod verdict;

use std::process::ExitCode;
use std::time::Instant;

/// Whatever goes wrong in here is told to a person and needs no type of its own.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// How large a siege is.
pub struct Siege {
    short: bool,
    /// How long the soak takes, in seconds.
    soak: u64,
}

impl Siege {
    /// The number of a full siege, or that of a short one.
    fn pick<T>(&self, full: T, short: T) -> T {
        if self.short { short } else { full }
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match words.split_first() {
        Some((word, options)) if word == "serve" => server::serve(options).map(|()| true),
        _ => besiege(words),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("siege: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the rows that are asked for, all without a name; tells whether all hold.
fn besiege(words: Vec<String>) -> Result<bool> {
    let (mut short, mut minutes, mut names) = (false, None, Vec::new());
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--short" => short = true,
            "--minutes" => {
                minutes = words.next().map(|minutes| minutes.parse::<u64>()).transpose()?
            }
            name if rows::ALL.iter().any(|(known, _)| *known == name) => names.push(word),
            other => return Err(format!("there is no row {other}").into()),
        }
    }
    let siege = Siege { short, soak: 60 * minutes.unwrap_or(if short { 1 } else { 20 }) };
    let mut all_hold = true;
    for (name, row) in rows::ALL {
        if !names.is_empty() && !names.iter().any(|asked| asked == name) {
            continue;
        }
        let start = Instant::now();
        let (holds, line) = match row(&siege) {
            Ok(verdict) => (verdict.holds(), verdict.to_string()),
            Err(error) => (false, format!("FAILED: {error}")),
        };
        all_hold &= holds;
        let mark = if holds { "ok    " } else { "FAILED" };
        println!("{mark} {name}: {line} ({:.0} s)", start.elapsed().as_secs_f64());
    }
    Ok(all_hold)
}
