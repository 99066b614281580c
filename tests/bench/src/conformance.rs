//! Does each server that is measured keep to the RFC? The coach (`examples/coach`) asks it.
//!
//! `bench --coach` starts each echo server, runs the coach on it, and prints how many of its checks
//! failed, each of them a MUST. With `UPDATE=1` it keeps that in `coached.txt`, from which the
//! table and the chart mark those that failed any.
//!
//! A check counts as failed if it fails twice: among all the others, and again of a server started
//! anew, with nothing beside it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::Result;
use crate::arguments::Arguments;
use crate::examples::COACH;
use crate::peers::{self, FLOOR, Peer, Speaks};
use crate::process::Server;
use crate::servers::Mode;

/// What the coach found of one server.
pub struct Found {
    /// The peer's version when it was coached.
    pub version: String,
    pub failed: usize,
    pub asked: usize,
}

/// By the peer's name.
pub type Conformance = BTreeMap<String, Found>;

/// What is kept: a line for each peer, with its name, its version, how many checks failed and how
/// many were asked.
fn file() -> PathBuf {
    peers::folder().join("coached.txt")
}

/// What was found the last time.
pub fn read() -> Result<Conformance> {
    let text = std::fs::read_to_string(file()).unwrap_or_default();
    text.lines().map(line).collect()
}

fn line(line: &str) -> Result<(String, Found)> {
    let [name, version, failed, asked] = line.split(' ').collect::<Vec<_>>()[..] else {
        return Err(format!("coached.txt: {line:?} has not four words").into());
    };
    let found =
        Found { version: version.to_owned(), failed: failed.parse()?, asked: asked.parse()? };
    Ok((name.to_owned(), found))
}

/// Coaches all that were asked for.
pub fn run(arguments: &Arguments) -> Result<()> {
    COACH.build()?;
    let (present, missing) = peers::present(&arguments.peers);
    let mut all = read()?;
    for peer in present {
        let echoes = peer.speaks == Speaks::WebSocket && peer.does.contains(&Mode::Echo);
        if !echoes || peer.name == FLOOR {
            continue;
        }
        peer.prepare()?;
        match coach(arguments, peer) {
            Ok(found) => {
                let Found { version, failed, asked } = &found;
                println!("{} {version}: {failed} of {asked} checks failed", peer.name);
                all.insert(peer.name.to_owned(), found);
            }
            Err(error) => println!("{}: {error}", peer.name),
        }
    }
    for peer in missing {
        println!("{}: not installed", peer.name);
    }
    if arguments.update {
        let mut text = String::new();
        for (name, Found { version, failed, asked }) in &all {
            writeln!(text, "{name} {version} {failed} {asked}")?;
        }
        std::fs::write(file(), text)?;
    }
    Ok(())
}

fn coach(arguments: &Arguments, peer: &Peer) -> Result<Found> {
    let verdicts = ask(arguments, peer, &[])?;
    let failed = failed(&verdicts);
    let again = match failed.join(",") {
        none if none.is_empty() => Vec::new(),
        ids => ask(arguments, peer, &["--jobs", "1", "--only", &ids])?,
    };
    let failed = again.iter().filter(|(_, verdict)| verdict == FAIL).count();
    let asked = verdicts.iter().filter(|(_, verdict)| verdict != SKIP).count();
    Ok(Found { version: peer.version(), failed, asked })
}

const FAIL: &str = "fail";
const SKIP: &str = "skip";

fn failed(verdicts: &[(String, String)]) -> Vec<&str> {
    verdicts.iter().filter(|(_, verdict)| verdict == FAIL).map(|(id, _)| id.as_str()).collect()
}

/// Starts the server, asks it, and returns the id and verdict of each check.
fn ask(arguments: &Arguments, peer: &Peer, words: &[&str]) -> Result<Vec<(String, String)>> {
    let server = Server::start(peer, Mode::Echo, arguments.cores.server)?;
    let output = Command::new(COACH.program())
        .arg("--json")
        .args(words)
        .arg(format!("ws://{}/", server.address))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let verdicts: Vec<_> = text.lines().filter_map(verdict).collect();
    // 0 and 1 are the coach's answers; with anything else it came to none.
    match output.status.code() {
        Some(0 | 1) if !verdicts.is_empty() => Ok(verdicts),
        _ => Err("the coach could not ask it".into()),
    }
}

/// Of a line of `--json`; the line of totals has no id.
fn verdict(line: &str) -> Option<(String, String)> {
    Some((field(line, "id")?, field(line, "verdict")?))
}

/// The value of a field whose values need no escaping.
fn field(line: &str, name: &str) -> Option<String> {
    let (_, rest) = line.split_once(&format!("\"{name}\":\""))?;
    Some(rest.split_once('"')?.0.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_taken_from_a_line_and_the_line_of_totals_has_none() {
        let line = r#"{"id":"head/once","stage":1,"verdict":"fail","seen":"\"id\"","ms":2}"#;
        assert_eq!(verdict(line), Some(("head/once".to_owned(), "fail".to_owned())));
        assert_eq!(verdict(r#"{"total":3,"pass":2,"fail":1}"#), None);
    }
}
