//! The server's process: starts it, sends it commands, watches it through `/proc`, and kills it
//! when the value is dropped.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::peer::Peer;

pub struct Process {
    child: Child,
    pub address: SocketAddr,
    tells: ChildStdin,
    says: BufReader<ChildStdout>,
}

/// What the server has counted, by name; refusals by their status.
pub struct Counters(HashMap<String, u64>);

impl Counters {
    /// What was never counted is none.
    pub fn of(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or_default()
    }
}

/// What a process uses that has nothing to do.
pub struct AtRest {
    descriptors: u64,
    threads: u64,
}

impl Process {
    /// The server with its defaults.
    pub fn start() -> Result<Process> {
        Process::with(&[], &[])
    }

    /// The server, behind these words if there are any (a program that confines it), with these options.
    pub fn with(behind: &[&str], options: &[&str]) -> Result<Process> {
        let ourselves = std::env::current_exe()?;
        Process::run(behind, &ourselves.to_string_lossy(), options)
    }

    /// The same with another copy of this program.
    pub fn run(behind: &[&str], program: &str, options: &[&str]) -> Result<Process> {
        let words: Vec<&str> = behind
            .iter()
            .copied()
            .chain([program, "serve"])
            .chain(options.iter().copied())
            .collect();
        let mut child = Command::new(words[0])
            .args(&words[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{} can't be started: {error}", words[0]))?;
        let (Some(tells), Some(says)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("the server has no pipes".into());
        };
        let address = ([127, 0, 0, 1], 0).into();
        // From here on the process ends with this value.
        let mut process = Process { child, address, tells, says: BufReader::new(says) };
        let line = process.line()?;
        process.address = line.parse().map_err(|_| format!("{words:?} does not serve: {line}"))?;
        Ok(process)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.says.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }

    /// Tells it to do something that it does not answer, or not at once.
    pub fn tell(&mut self, command: &str) -> Result<()> {
        Ok(writeln!(self.tells, "{command}")?)
    }

    /// Tells it to do something, and waits until it has.
    pub fn ask(&mut self, command: &str) -> Result<Counters> {
        self.tell(command)?;
        self.answer()
    }

    /// The answer to something that it was told.
    pub fn answer(&mut self) -> Result<Counters> {
        let line = self.line()?;
        if line.is_empty() {
            return Err("the server has ended".into());
        }
        let pairs = line.split(' ').filter_map(|pair| pair.split_once('='));
        let pairs = pairs.filter_map(|(name, value)| Some((name.into(), value.parse().ok()?)));
        Ok(Counters(pairs.collect()))
    }

    pub fn counters(&mut self) -> Result<Counters> {
        self.ask("counters")
    }

    /// Whether the process has ended by itself, as it should.
    pub fn has_ended(&mut self) -> Result<bool> {
        match self.child.try_wait()? {
            Some(status) if status.success() => Ok(true),
            Some(status) => Err(format!("the server ended with {status}").into()),
            None => Ok(false),
        }
    }

    fn proc(&self, file: &str) -> Result<String> {
        Ok(fs::read_to_string(format!("/proc/{}/{file}", self.child.id()))?)
    }

    fn status(&self, name: &str) -> Result<u64> {
        let status = self.proc("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let value = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        value.ok_or_else(|| format!("/proc says nothing of {name}").into())
    }

    /// KiB of it that are in memory.
    pub fn resident(&self) -> Result<u64> {
        let rollup = self.proc("smaps_rollup")?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:"));
        let value = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        value.ok_or_else(|| "/proc says nothing of Rss".into())
    }

    /// The most KiB that were in memory since the last [`Process::forget_peak`].
    pub fn peak(&self) -> Result<u64> {
        self.status("VmHWM")
    }

    /// The peaks, in pages and to the byte, are what is held now.
    pub fn forget_peak(&mut self) -> Result<()> {
        fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5")?;
        self.ask("forget-peak").map(|_| ())
    }

    pub fn threads(&self) -> Result<u64> {
        self.status("Threads")
    }

    pub fn descriptors(&self) -> Result<u64> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.child.id()))?.count() as u64)
    }

    /// What it uses when there is nobody: after one visit, which has it use all that it keeps.
    pub fn at_rest(&self) -> Result<AtRest> {
        Peer::open(self.address, "/echo")?.close()?;
        // A thread rests for a second before it ends.
        thread::sleep(Duration::from_millis(1500));
        Ok(AtRest { descriptors: self.descriptors()?, threads: self.threads()? })
    }

    /// Waits until it uses no more than that again: how long that took.
    pub fn back_at(&self, rest: &AtRest, at_most: Duration) -> Result<Option<Duration>> {
        wait_until(at_most, || {
            Ok(self.descriptors()? <= rest.descriptors && self.threads()? <= rest.threads)
        })
    }

    /// Time that all its threads, those that have ended too, have spent on a core. In hundredths of a
    /// second: Linux tells it so, whatever its clock ticks.
    pub fn time(&self) -> Result<Duration> {
        let stat = self.proc("stat")?;
        // The fields after the name, which stands in brackets: the 12th and 13th are user and system time.
        let (_, fields) = stat.rsplit_once(") ").ok_or("/proc/PID/stat has no name")?;
        let times = fields.split(' ').skip(11).take(2);
        let ticks: u32 = times.filter_map(|field| field.parse::<u32>().ok()).sum();
        Ok(Duration::from_millis(10) * ticks)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended by itself has nothing left to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks again and again until it is so: how long that took, or `None` if it never was.
pub fn wait_until(
    at_most: Duration,
    mut is_so: impl FnMut() -> Result<bool>,
) -> Result<Option<Duration>> {
    let start = Instant::now();
    loop {
        if is_so()? {
            return Ok(Some(start.elapsed()));
        }
        if start.elapsed() > at_most {
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(10));
    }
}
