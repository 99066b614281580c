//! A second opinion: `slowhttptest` has three ways to be slow, and asks itself meanwhile whether the server is
//! still there.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::good::GoodClients;
use crate::process::Process;
use crate::verdict::Verdict;
use crate::{Result, Siege};

/// Its words for it: slow heads, slow bodies, slow reading.
const WAYS: [(&str, &str); 3] = [("heads", "-H"), ("bodies", "-B"), ("reading", "-X")];
/// It did connect.
const FEW: u64 = 100;
const BACK: Duration = Duration::from_secs(15);

pub fn row(siege: &Siege) -> Result<Verdict> {
    let (connections, seconds) = siege.pick((1_000, 25), (500, 8));
    let server = Process::start()?;
    let at_rest = server.at_rest()?;
    let good = GoodClients::come(server.address, 20);
    let mut verdict = Verdict::default();
    for (what, way) in WAYS {
        let file = std::env::temp_dir().join(format!("siege-{}-{what}", std::process::id()));
        let told = test(&server, way, connections, seconds, &file.to_string_lossy());
        for extension in ["csv", "html"] {
            let _ = fs::remove_file(file.with_extension(extension));
        }
        let told = told?;
        // It ends when none of its connections is left: a body is refused before it has come.
        verdict.at_least(&format!("slow {what}: connections"), told.connections, FEW);
        verdict.at_least("seconds asked", told.seconds, 2);
        verdict.exactly("seconds available", told.available, told.seconds);
    }
    good.until(100).judge(siege, &mut verdict);
    verdict.within("descriptors and threads back after", server.back_at(&at_rest, BACK)?, BACK);
    Ok(verdict)
}

/// What it says.
struct Told {
    connections: u64,
    seconds: u64,
    available: u64,
}

fn test(server: &Process, way: &str, connections: u64, seconds: u64, file: &str) -> Result<Told> {
    let status = Command::new("slowhttptest")
        .args([way, "-g", "-o", file, "-i", "2", "-r", "200", "-p", "3"])
        .args(["-c", &connections.to_string(), "-l", &seconds.to_string()])
        .args(["-u", &format!("http://{}/echo", server.address)])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map_err(|error| format!("slowhttptest can't be started: {error}"))?;
    if !status.success() {
        return Err(format!("slowhttptest ended with {status}").into());
    }
    // A line for each second: the second; how many were closed, pending, connected; whether an answer came,
    // which is 0 if none did.
    let table = fs::read_to_string(format!("{file}.csv"))?;
    let mut told = Told { connections: 0, seconds: 0, available: 0 };
    for line in table.lines().skip(1) {
        let numbers: Vec<u64> = line.split(',').filter_map(|number| number.parse().ok()).collect();
        let [_, closed, pending, connected, available] = numbers[..] else {
            return Err(format!("what does slowhttptest mean by {line}?").into());
        };
        told.connections = told.connections.max(closed + pending + connected);
        told.seconds += 1;
        told.available += u64::from(available > 0);
    }
    Ok(told)
}
