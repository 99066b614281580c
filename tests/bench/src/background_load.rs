//! Measures how much of our cores other processes used, because figures that are measured beside a
//! compiler are worth little.
//!
//! The kernel counts how long each core was busy, and how long each process ran. The difference between
//! a core's busy time and our processes' time is the time of others.

use std::fs;
use std::time::{Duration, Instant};

use crate::arguments::Cores;
use crate::process::{self, Server, TICK};

/// From this share on a measurement counts as disturbed. The kernel's counts are coarse, and some of
/// the network's work belongs to no process, so a smaller one tells nothing.
pub const MUCH: f64 = 0.15;

pub struct Watch {
    cores: Cores,
    since: Instant,
    busy: Option<Duration>,
    ours: Option<Duration>,
}

impl Watch {
    /// Begins before the server is started: all of its time is to be taken off.
    pub fn begin(cores: Cores) -> Self {
        let ours = process::time_in_all("self");
        Self { cores, since: Instant::now(), busy: busy(cores), ours }
    }

    /// The share of both cores' time that neither the server nor the load had since the beginning.
    pub fn share_of_others(&self, server: &Server) -> Option<f64> {
        let busy = busy(self.cores)?.saturating_sub(self.busy?);
        let load = process::time_in_all("self")?.saturating_sub(self.ours?);
        let others = busy.saturating_sub(load + server.time_in_all()?);
        Some(others.as_secs_f64() / (2.0 * self.since.elapsed().as_secs_f64()))
    }
}

/// How long our two cores were busy since the machine started.
fn busy(cores: Cores) -> Option<Duration> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    Some(busy_one(&stat, cores.server)? + busy_one(&stat, cores.load)?)
}

/// `cpu0 user nice system idle iowait irq softirq steal ..`: all of it but the 4th and 5th.
fn busy_one(stat: &str, core: usize) -> Option<Duration> {
    let name = format!("cpu{core} ");
    let counts = stat.lines().find_map(|line| line.strip_prefix(&name))?;
    let counts: Vec<u32> = counts.split(' ').map(|n| n.parse().ok()).collect::<Option<_>>()?;
    Some(TICK * (counts.get(..3)?.iter().sum::<u32>() + counts.get(5..8)?.iter().sum::<u32>()))
}
