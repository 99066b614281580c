//! A server's process: started on its core, watched through `/proc`, and killed when its value is
//! dropped.
//!
//! Without `taskset`, the process isn't pinned to a core. Without `/proc`, the report has no processor
//! time and memory. In both cases, a line of the output says so.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use crate::Result;
use crate::peers::Peer;
use crate::servers::Mode;

/// Linux tells times in `/proc/PID/stat` in hundredths of a second, whatever its own clock ticks.
pub const TICK: Duration = Duration::from_millis(10);

pub struct Server {
    child: Child,
    pub address: SocketAddr,
}

impl Server {
    pub fn start(peer: &Peer, mode: Mode, core: usize) -> Result<Self> {
        let words = peer.command(mode)?;
        let mut command = if can_pin() {
            let mut pinned = Command::new("taskset");
            pinned.args(["-c", &core.to_string()]).args(words);
            pinned
        } else {
            let mut plain = Command::new(&words[0]);
            plain.args(&words[1..]);
            plain
        };
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        if let Some(out) = child.stdout.take() {
            BufReader::new(out).read_line(&mut line)?;
        }
        // From here on the process ends with this value, also if its port can't be read.
        let mut server = Self { child, address: ([127, 0, 0, 1], 0).into() };
        let port =
            line.trim().parse().map_err(|_| format!("{} did not print its port", peer.name))?;
        server.address.set_port(port);
        Ok(server)
    }

    /// Time its present threads have spent on a core, to the nanosecond. Threads that have ended
    /// are not in it.
    pub fn time_of_threads(&self) -> Option<Duration> {
        let mut nanos = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id())).ok()? {
            let schedule = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            nanos += schedule.split_whitespace().next()?.parse::<u64>().ok()?;
        }
        Some(Duration::from_nanos(nanos))
    }

    /// Time all its threads have spent on a core, ended ones too, to a hundredth of a second.
    pub fn time_in_all(&self) -> Option<Duration> {
        time_in_all(&self.child.id().to_string())
    }

    /// Memory it has in RAM, in KiB.
    pub fn resident(&self) -> Option<u64> {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.child.id())).ok()?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:"))?;
        line.trim().strip_suffix(" kB")?.parse().ok()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A server that has ended by itself has nothing left to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The same for any process, by its number or as `self`.
pub fn time_in_all(process: &str) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The fields after the name, which stands in brackets; of these the 12th and 13th are user and
    // system time.
    let (_, fields) = stat.rsplit_once(") ")?;
    let times = fields.split(' ').skip(11).take(2);
    let ticks: Option<u32> = times.map(|field| field.parse::<u32>().ok()).sum();
    Some(TICK * ticks?)
}

/// Says what can't be done here, before anything is measured.
pub fn check_pinning() -> Result<()> {
    if !can_pin() {
        eprintln!("no taskset here: nothing is pinned to its core, so expect noise");
    }
    if fs::metadata("/proc/self/schedstat").is_err() {
        eprintln!("no /proc with schedstat here: the servers' time and memory are left out");
    }
    Ok(())
}

fn can_pin() -> bool {
    static CAN: OnceLock<bool> = OnceLock::new();
    *CAN.get_or_init(|| {
        Command::new("taskset")
            .arg("--version")
            .output()
            .is_ok_and(|output| output.status.success())
    })
}

/// Moves this process, all its threads, to a core.
pub fn move_to_core(core: usize) -> Result<()> {
    if !can_pin() {
        return Ok(());
    }
    let output = Command::new("taskset")
        .args(["-acp", &core.to_string(), &std::process::id().to_string()])
        .output()?;
    if output.status.success() {
        Ok(())
    } else {
        Err(format!("core {core}: {}", String::from_utf8_lossy(&output.stderr).trim()).into())
    }
}
