//! The servers that are measured, and how each is started. ws101 is its example `04_echo`, built as
//! it is, wherever a server has to echo. Most others are this program itself, started as a server;
//! two are scripts, and one is a program in C.
//!
//! `install-peers`, which you run once if you want the last three, puts what they need into
//! `target/`. The report names the servers that are missing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::examples::{ECHO, ECHO_SIMD, Example};
use crate::scenarios::Scenario;
use crate::servers::Mode;
use crate::{Result, certificate};

pub struct Peer {
    pub name: &'static str,
    pub title: &'static str,
    pub speaks: Speaks,
    /// What it does, or what we have a server for.
    pub does: &'static [Mode],
    start: Start,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Speaks {
    WebSocket,
    /// No handshake, no frames: what it gets it gives back.
    Bytes,
}

enum Start {
    Ourselves,
    /// An example of the library if it has to echo; ourselves else.
    Example(Example),
    /// A program that `install-peers` built.
    Program,
    Node,
    Python,
}

/// It differs from ours in how text is checked, so it is measured with text alone.
pub const SIMD: &str = "ws101-simd";
/// It checks nothing, so no table for readers shows it: it says how much of a missed goal could be had.
pub const FLOOR: &str = "floor";

const ALL_MODES: &[Mode] = &[Mode::Echo, Mode::Broadcast, Mode::Deflate, Mode::Tls];

pub const ALL: &[Peer] = &[
    Peer {
        name: "raw",
        title: "plain TCP echo, a thread a connection: the limit of our design",
        speaks: Speaks::Bytes,
        does: &[Mode::Echo, Mode::Broadcast],
        start: Start::Ourselves,
    },
    websocket(
        FLOOR,
        "a WebSocket echo of our design that checks nothing and has no limits",
        &[Mode::Echo],
        Start::Ourselves,
    ),
    websocket("ws101", "this library, by its example 04_echo", ALL_MODES, Start::Example(ECHO)),
    websocket(SIMD, "the same with the feature simd", &[Mode::Echo], Start::Example(ECHO_SIMD)),
    websocket(
        "tungstenite",
        "blocking, a thread a connection",
        &[Mode::Echo, Mode::Broadcast, Mode::Tls],
        Start::Ourselves,
    ),
    websocket(
        "tokio-tungstenite",
        "tokio, one thread",
        &[Mode::Echo, Mode::Broadcast],
        Start::Ourselves,
    ),
    websocket(
        "forwarding",
        "tokio-tungstenite with `forward`, as in its example",
        &[Mode::Echo],
        Start::Ourselves,
    ),
    websocket("fastwebsockets", "tokio and hyper, one thread", &[Mode::Echo], Start::Ourselves),
    websocket(
        "uWebSockets",
        "in C++, one thread; the library that PyPI's socketify ships",
        &[Mode::Echo],
        Start::Program,
    ),
    websocket("ws", "Node.js", ALL_MODES, Start::Node),
    websocket("websockets", "Python, asyncio", ALL_MODES, Start::Python),
];

const fn websocket(
    name: &'static str,
    title: &'static str,
    does: &'static [Mode],
    start: Start,
) -> Peer {
    Peer { name, title, speaks: Speaks::WebSocket, does, start }
}

pub fn named(name: &str) -> Option<&'static Peer> {
    ALL.iter().find(|peer| peer.name == name)
}

/// The peers that were asked for (all, if none were named): those that can be started here, and
/// those that can't.
pub fn present(asked: &[String]) -> (Vec<&'static Peer>, Vec<&'static Peer>) {
    let asked =
        ALL.iter().filter(|peer| asked.is_empty() || asked.iter().any(|name| name == peer.name));
    asked.partition(|peer| peer.is_installed())
}

impl Peer {
    /// The words that start this peer's server. It prints the port it listens on as its first line.
    pub fn command(&self, mode: Mode) -> Result<Vec<PathBuf>> {
        let script = |name| folder().join("peers").join(name);
        let mut words = match &self.start {
            Start::Example(example) if mode == Mode::Echo => {
                return Ok(vec![example.program(), "127.0.0.1:0".into()]);
            }
            Start::Ourselves | Start::Example(_) => {
                return Ok(vec![
                    std::env::current_exe()?,
                    "serve".into(),
                    self.name.into(),
                    mode.name().into(),
                ]);
            }
            Start::Program => return Ok(vec![installed("uwebsockets")]),
            Start::Node => {
                vec!["node".into(), script("ws.mjs"), installed("node/node_modules/ws/wrapper.mjs")]
            }
            Start::Python => vec![installed("python/bin/python"), script("websockets_server.py")],
        };
        words.extend([mode.name().into(), certificate::file(), certificate::key_file()]);
        Ok(words)
    }

    /// Whether it is measured in this scenario.
    pub fn takes_part(&self, scenario: &Scenario) -> bool {
        self.does.contains(&scenario.mode()) && (self.name != SIMD || scenario.is_about_utf8())
    }

    /// Builds what has to be built anew whenever the library changes.
    pub fn prepare(&self) -> Result<()> {
        match &self.start {
            Start::Example(example) => example.build(),
            _ => Ok(()),
        }
    }

    /// The version that is measured, as far as it can be told.
    pub fn version(&self) -> String {
        let version = match &self.start {
            Start::Ourselves if self.name == "forwarding" => locked("tokio-tungstenite"),
            Start::Ourselves => locked(self.name),
            Start::Example(_) => locked("ws101"),
            Start::Program => wheel("socketify"),
            Start::Node => package("ws"),
            Start::Python => wheel("websockets"),
        };
        version.unwrap_or("?".to_owned())
    }

    fn is_installed(&self) -> bool {
        match self.start {
            Start::Ourselves | Start::Example(_) => true,
            Start::Program => installed("uwebsockets").exists(),
            Start::Node => installed("node/node_modules/ws").exists() && runs("node"),
            Start::Python => installed("python/bin/python").exists(),
        }
    }
}

fn runs(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// The version of a crate that this program was built with.
fn locked(name: &str) -> Option<String> {
    let lock = include_str!("../Cargo.lock");
    let (_, rest) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
    Some(rest.split_once('"')?.0.to_owned())
}

/// The version of a Python package, from the name of the folder that tells about it.
fn wheel(name: &str) -> Option<String> {
    let lib = fs::read_dir(installed("python/lib")).ok()?.next()?.ok()?.path();
    fs::read_dir(lib.join("site-packages")).ok()?.find_map(|entry| {
        let folder = entry.ok()?.file_name().into_string().ok()?;
        let version = folder.strip_prefix(name)?.strip_prefix('-')?.strip_suffix(".dist-info")?;
        Some(version.to_owned())
    })
}

fn package(name: &str) -> Option<String> {
    let file = installed("node/node_modules").join(name).join("package.json");
    let text = fs::read_to_string(file).ok()?;
    let (_, rest) = text.split_once("\"version\": \"")?;
    Some(rest.split_once('"')?.0.to_owned())
}

/// A file below `target/` that a peer needs.
pub fn installed(path: &str) -> PathBuf {
    folder().join("target/peers").join(path)
}

/// The folder of this crate, where the scripts lie.
pub fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
