//! A server's process: started on its core, watched through `/proc`, and killed when its value is
//! dropped.
//!
//! Without `taskset`, the process isn't pinned to a core. Without `/proc`, the report has no processor
//! time and memory. In both cases, a line of the output says so.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use crate::Result;
use crate::peers::Peer;
use crate::servers::Mode;

/// Linux tells times in `/proc/PID/stat` in hundredths of a second, whatever its own clock ticks.
pub const TICK: Duration = Duration::from_millis(10);

pub struct Server {
    child: Child,
    /// Kept open: a server that prints more must not find that its reader has gone.
    out: BufReader<ChildStdout>,
    pub address: SocketAddr,
}

/// What a server has used; nothing where `/proc` doesn't tell it.
#[derive(Clone, Copy)]
pub struct Usage {
    pub time: Option<Duration>,
    /// Voluntary context switches.
    pub waits: Option<u64>,
}

impl Usage {
    pub fn since(self, before: Usage) -> Usage {
        let time = self.time.zip(before.time).and_then(|(now, then)| now.checked_sub(then));
        let waits = self.waits.zip(before.waits).and_then(|(now, then)| now.checked_sub(then));
        Usage { time, waits }
    }
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
        // With it, the example would log.
        command.env_remove("RUST_LOG");
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let out = child.stdout.take().ok_or("a server has no output")?;
        // From here on the process ends with this value, also if its port can't be read.
        let address = ([127, 0, 0, 1], 0).into();
        let mut server = Self { child, out: BufReader::new(out), address };
        let mut line = String::new();
        server.out.read_line(&mut line)?;
        // A port alone, or an address that ends with it.
        let port = line.trim().rsplit(':').next().and_then(|port| port.parse().ok());
        server.address.set_port(port.ok_or(format!("{} did not print its port", peer.name))?);
        Ok(server)
    }

    /// What its present threads have used so far. Threads that have ended are not in it.
    pub fn usage(&self) -> Usage {
        Usage { time: self.time_of_threads(), waits: self.waits_of_threads() }
    }

    /// Time on a core, to the nanosecond.
    fn time_of_threads(&self) -> Option<Duration> {
        let nanos = self.sum_of_threads("schedstat", |schedule| schedule.split(' ').next())?;
        Some(Duration::from_nanos(nanos))
    }

    /// How often a thread gave its core away because it had to wait.
    fn waits_of_threads(&self) -> Option<u64> {
        self.sum_of_threads("status", |status| {
            status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))
        })
    }

    /// Adds up a number that stands in this file of each thread.
    fn sum_of_threads(&self, file: &str, number: impl Fn(&str) -> Option<&str>) -> Option<u64> {
        let mut sum = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id())).ok()? {
            let text = fs::read_to_string(task.ok()?.path().join(file)).ok()?;
            sum += number(&text)?.trim().parse::<u64>().ok()?;
        }
        Some(sum)
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

/// How many cores this machine has. We ourselves may be pinned to one.
pub fn cores() -> Option<usize> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let is_core = |line: &&str| {
        line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    Some(stat.lines().filter(is_core).count())
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
