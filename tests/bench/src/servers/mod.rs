//! The echo servers, each written as a person who knows the library would: a process of its own,
//! which prints its port.
//!
//! A connection that breaks is the load going away, and no server makes a word of it.

mod fastwebsockets;
mod raw;
mod tokio_tungstenite;
mod tungstenite;
mod ws101;

use std::io::Write;
use std::net::SocketAddr;

use crate::Result;

const ANY_PORT: &str = "127.0.0.1:0";

type Serve = fn() -> Result<()>;

const ALL: &[(&str, Serve)] = &[
    ("raw", raw::serve),
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
pub fn serve(name: &str) -> Result<()> {
    match ALL.iter().find(|(known, _)| *known == name) {
        Some((_, serve)) => serve(),
        None => Err(format!("no server {name}; there are {}", names().join(", ")).into()),
    }
}

/// The first line of every server: whoever started it waits for this.
fn announce(address: SocketAddr) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", address.port())?;
    Ok(out.flush()?)
}
