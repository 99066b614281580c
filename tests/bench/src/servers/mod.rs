//! The servers, each written as a person who knows the library would: a process of its own, which
//! prints its port.
//!
//! Most of the time they echo. A broadcasting one gives a connection's first message back to it alone,
//! which makes it a member, and all later ones to all members.
//!
//! A connection that breaks is the load going away, and no server makes a word of it.

mod fastwebsockets;
mod floor;
mod raw;
mod tokio_tungstenite;
mod tungstenite;
mod ws101;

use std::io::Write;
use std::net::SocketAddr;

use crate::Result;

const ANY_PORT: &str = "127.0.0.1:0";

/// What a server is asked to do.
#[derive(Clone, Copy, PartialEq)]
pub enum Mode {
    Echo,
    Broadcast,
    /// Echo, with permessage-deflate.
    Deflate,
    /// Echo, over TLS.
    Tls,
}

impl Mode {
    const ALL: [Mode; 4] = [Mode::Echo, Mode::Broadcast, Mode::Deflate, Mode::Tls];

    /// As the servers are told.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Echo => "echo",
            Mode::Broadcast => "broadcast",
            Mode::Deflate => "deflate",
            Mode::Tls => "tls",
        }
    }
}

type Serve = fn(Mode) -> Result<()>;

const ALL: &[(&str, Serve)] = &[
    ("raw", raw::serve),
    ("floor", floor::serve),
    ("ws101", ws101::serve),
    ("tungstenite", tungstenite::serve),
    ("tokio-tungstenite", tokio_tungstenite::serve_sending),
    ("forwarding", tokio_tungstenite::serve_forwarding),
    ("fastwebsockets", fastwebsockets::serve),
];

pub fn names() -> Vec<&'static str> {
    ALL.iter().map(|(name, _)| *name).collect()
}

/// Is one of the servers, until somebody ends the process.
pub fn serve(name: &str, mode: &str) -> Result<()> {
    let mode = Mode::ALL.into_iter().find(|known| known.name() == mode);
    let mode = mode.ok_or("a server wants to be told: echo, broadcast, deflate or tls")?;
    match ALL.iter().find(|(known, _)| *known == name) {
        Some((_, serve)) => serve(mode),
        None => Err(format!("no server {name}; there are {}", names().join(", ")).into()),
    }
}

/// For a mode that `peers` does not know this server to have.
fn not_here(mode: Mode) -> Result<()> {
    Err(format!("this server does not {}", mode.name()).into())
}

/// The first line of every server: whoever started it waits for this.
fn announce(address: SocketAddr) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", address.port())?;
    Ok(out.flush()?)
}
