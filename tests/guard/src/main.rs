//! Compares what a message costs with upper bounds. It counts, and never measures time, so the
//! machine's load can't change the result.
//!
//! ```text
//! cargo run --release --manifest-path tests/guard/Cargo.toml
//! ```
//!
//! If your change makes a message cheaper, lower its bound: the output marks figures that are well
//! below. If it must make a message dearer, raise the bound, and give the reason.
//!
//! Reading order: the bounds below; `fixtures`, `wire` (a client in memory), `counters` and `traffic`
//! (what passes over that wire); `server_process` (a server in a process of its own), `system_calls` (as strace
//! sees them), `wakes` (as the kernel counts them) and `idle` (memory).

mod counters;
mod fixtures;
mod idle;
mod server_process;
mod system_calls;
mod traffic;
mod wakes;
mod wire;

use std::fmt::Display;

use system_calls::Load;
use traffic::Does::{Broadcast, Feed, Nothing, Pong, Send};
use traffic::Traffic;

/// Whatever goes wrong in here is told to a person and needs no type of its own.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const KIB: usize = 1024;

/// For each message over a wire in memory: calls of the stream, pieces of memory asked for, and bytes
/// copied as a multiple of the payload. (The last row: of the request.) These counts are the same in every run.
#[rustfmt::skip]
const TRAFFIC: &[(Traffic, [f64; 5])] = &[
    //                                                                   reads       writes      others  allocations  copied
    (Traffic { does: Feed, in_flight: 64, size: 32, text: false },       [1.0 / 64.0, 1.0 / 64.0, 0.0,   1.0,         2.1]),
    (Traffic { does: Feed, in_flight: 16, size: KIB, text: false },      [1.0 / 16.0, 1.0 / 16.0, 0.0,   1.0,         2.1]),
    (Traffic { does: Feed, in_flight: 4, size: 16 * KIB, text: true },   [1.0 / 4.0,  1.0 / 4.0,  0.0,   1.0,         2.1]),
    (Traffic { does: Feed, in_flight: 2, size: 64 * KIB, text: false },  [1.0 / 2.0,  1.0 / 2.0,  0.0,   1.0,         1.1]),
    (Traffic { does: Feed, in_flight: 1, size: KIB * KIB, text: false }, [5.0,        1.0,        0.0,   4.0,         2.9]),
    (Traffic { does: Send, in_flight: 1, size: 32, text: false },        [1.0,        1.0,        0.0,   1.0,         2.1]),
    (Traffic { does: Pong, in_flight: 1, size: 32, text: false },        [1.0,        1.0,        0.0,   1.0,         2.1]),
    (Traffic { does: Broadcast, in_flight: 1, size: KIB, text: true },   [0.0,        1.0,        0.0,   0.0,         1.1]),
    // (If our Close has a reason, there's one allocation more: `sent_close` keeps a copy.)
    (Traffic { does: Nothing, in_flight: 1, size: 0, text: false },      [3.0,        2.0,        7.0,   25.0,        12.8]),
];

/// System calls of a server's process, for each message or connection. A few are up to chance.
const SYSTEM_CALLS: &[(Load, f64)] = &[
    (Load::Echo { in_flight: 64 }, 2.2 / 64.0),
    (Load::Echo { in_flight: 1 }, 2.2),
    (Load::Connections, 18.5),
];

/// How often a server's threads wake for a message of 1 MiB. That's up to chance, and often well below the bound: a
/// thread that reads faster than the client writes wakes for each piece.
const WAKES: f64 = 8.0;

/// For each of a thousand idle connections: KiB resident (two pages of stack are 8 of them), bytes allocated by the
/// library and by `std`, threads, descriptors.
const IDLE: [f64; 4] = [11.8, 2_080.0, 1.0, 1.0];

/// What is so far below its bound is worth a look: the bound may be lowered.
const WELL_BELOW: f64 = 0.8;

fn main() {
    let serves = std::env::args().nth(1).is_some_and(|word| word == "serve");
    let done = if serves { server_process::serve().map(|()| true) } else { guard() };
    match done {
        Ok(true) => {}
        Ok(false) => std::process::exit(1),
        Err(error) => {
            eprintln!("guard: {error}");
            std::process::exit(1);
        }
    }
}

/// Counts and compares; tells whether all bounds hold.
fn guard() -> Result<bool> {
    let mut held = true;
    for (traffic, bounds) in TRAFFIC {
        for ((what, counted), bound) in traffic::COUNTS.iter().zip(traffic.cost()?).zip(bounds) {
            held &= holds(format!("{traffic}: {what}"), counted, *bound);
        }
    }
    for (load, bound) in SYSTEM_CALLS {
        held &= holds(load, load.cost()?, *bound);
    }
    held &= holds("wake-ups: feed, 1 × 1024 KiB", wakes::cost()?, WAKES);
    for ((what, counted), bound) in idle::COUNTS.iter().zip(idle::cost()?).zip(IDLE) {
        held &= holds(format!("idle connection: {what}"), counted, bound);
    }
    Ok(held)
}

/// Prints a count beside its bound; tells whether it holds.
fn holds(what: impl Display, counted: f64, bound: f64) -> bool {
    let holds = counted <= bound;
    let remark = if !holds && bound == 0.0 {
        "  FAILED: there should be none".to_owned()
    } else if !holds {
        format!("  FAILED: {:.0} % over its bound", (counted / bound - 1.0) * 100.0)
    } else if counted < bound * WELL_BELOW {
        "  well below: lower the bound".to_owned()
    } else {
        String::new()
    };
    println!("{:<66} {counted:>9.3}, at most {bound:.3}{remark}", what.to_string());
    holds
}
