//! Who is measured, and how each is started: most are this very program, asked to serve; two are
//! scripts.
//!
//! The scripts' libraries are put into `target/` by `install-peers`, which a user runs once if they
//! want them. A peer that isn't there is left out, and a line says so.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;

pub struct Peer {
    pub name: &'static str,
    pub title: &'static str,
    pub speaks: Speaks,
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
    Node,
    Python,
}

pub const ALL: &[Peer] = &[
    Peer {
        name: "raw",
        title: "plain TCP echo, a thread a connection: the limit of our design",
        speaks: Speaks::Bytes,
        start: Start::Ourselves,
    },
    websocket("ws101", "this library", Start::Ourselves),
    websocket("tungstenite", "blocking, a thread a connection", Start::Ourselves),
    websocket("tokio-tungstenite", "tokio, one thread", Start::Ourselves),
    websocket(
        "forwarding",
        "tokio-tungstenite with `forward`, as in its example",
        Start::Ourselves,
    ),
    websocket("fastwebsockets", "tokio and hyper, one thread", Start::Ourselves),
    websocket("ws", "Node.js", Start::Node),
    websocket("websockets", "Python, asyncio", Start::Python),
];

const fn websocket(name: &'static str, title: &'static str, start: Start) -> Peer {
    Peer { name, title, speaks: Speaks::WebSocket, start }
}

pub fn named(name: &str) -> Option<&'static Peer> {
    ALL.iter().find(|peer| peer.name == name)
}

/// The peers that were asked for (all, if none were named) and can be started here.
pub fn present(asked: &[String]) -> Vec<&'static Peer> {
    let asked =
        ALL.iter().filter(|peer| asked.is_empty() || asked.iter().any(|name| name == peer.name));
    let (here, missing): (Vec<_>, Vec<_>) = asked.partition(|peer| peer.is_installed());
    for peer in missing {
        eprintln!(
            "{} ({}) is left out: it is not installed; tests/bench/install-peers does that",
            peer.name, peer.title
        );
    }
    here
}

impl Peer {
    /// The words that start this peer's server. It prints the port it listens on as its first line.
    pub fn command(&self) -> Result<Vec<PathBuf>> {
        let script = |name| folder().join("peers").join(name);
        Ok(match self.start {
            Start::Ourselves => vec![std::env::current_exe()?, "serve".into(), self.name.into()],
            Start::Node => {
                vec!["node".into(), script("ws.mjs"), installed("node/node_modules/ws/wrapper.mjs")]
            }
            Start::Python => vec![installed("python/bin/python"), script("websockets_echo.py")],
        })
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

fn installed(path: &str) -> PathBuf {
    folder().join("target/peers").join(path)
}

/// The folder of this crate, where the scripts lie.
fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
