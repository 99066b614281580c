//! The servers that are measured, and how each is started. Most of them are this program itself,
//! started as a server; two are scripts.
//!
//! `install-peers`, which you run once if you want the scripts, installs their libraries into `target/`.
//! The report names the servers that are missing.

use std::path::{Path, PathBuf};
use std::process::Command;

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

#[derive(PartialEq)]
enum Start {
    Ourselves,
    Node,
    Python,
}

const ALL_MODES: &[Mode] = &[Mode::Echo, Mode::Broadcast, Mode::Deflate, Mode::Tls];

pub const ALL: &[Peer] = &[
    Peer {
        name: "raw",
        title: "plain TCP echo, a thread a connection: the limit of our design",
        speaks: Speaks::Bytes,
        does: &[Mode::Echo, Mode::Broadcast],
        start: Start::Ourselves,
    },
    websocket("ws101", "this library", ALL_MODES, Start::Ourselves),
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

/// The peers that were asked for (all, if none were named): those that can be started here, and those
/// that can't.
pub fn present(asked: &[String]) -> (Vec<&'static Peer>, Vec<&'static Peer>) {
    let asked =
        ALL.iter().filter(|peer| asked.is_empty() || asked.iter().any(|name| name == peer.name));
    asked.partition(|peer| peer.is_installed())
}

impl Peer {
    /// The words that start this peer's server. It prints the port it listens on as its first line.
    pub fn command(&self, mode: Mode) -> Result<Vec<PathBuf>> {
        let script = |name| folder().join("peers").join(name);
        let mut words = match self.start {
            Start::Ourselves => vec![std::env::current_exe()?, "serve".into(), self.name.into()],
            Start::Node => {
                vec!["node".into(), script("ws.mjs"), installed("node/node_modules/ws/wrapper.mjs")]
            }
            Start::Python => vec![installed("python/bin/python"), script("websockets_server.py")],
        };
        words.push(mode.name().into());
        if self.start != Start::Ourselves {
            words.extend([certificate::file(), certificate::key_file()]);
        }
        Ok(words)
    }

    fn is_installed(&self) -> bool {
        match self.start {
            Start::Ourselves => true,
            Start::Node => installed("node/node_modules/ws").exists() && runs("node"),
            Start::Python => installed("python/bin/python").exists(),
        }
    }
}

fn runs(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// A file below `target/` that a peer needs.
pub fn installed(path: &str) -> PathBuf {
    folder().join("target/peers").join(path)
}

/// The folder of this crate, where the scripts lie.
fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
