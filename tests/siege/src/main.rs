//! A siege: a server in a process of its own, and all that can be done to it at once.
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
//! | `idle` | 10,000 connections idle for a minute, then an echo on each | all answer; memory for each |
//!
//! Each row prints a line: what was counted and measured, and what it is held against. What is marked
//! FAILED fails the run. In a short siege there are fewer of everything, and the bounds are the same.
//!
//! Reading order: `server` (what is besieged), `process` (how it is started and watched), `peer`, `crowd`
//! and `good` (those who come), `verdict`, then the rows.

mod crowd;
mod good;
mod hostile;
mod memory;
mod peer;
mod process;
mod rows;
mod server;
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
