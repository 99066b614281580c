//! The load: raw sockets and bytes made beforehand, as little work as can be, so that the server is
//! what is measured.

mod blocking;
mod broadcast;
mod deflated;
mod echo;
mod handshakes;
mod idle;
mod ping_pong;
mod tls;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::Result;
use crate::histogram::Histogram;
use crate::peers::{Peer, Speaks};
use crate::process::Server;
use crate::results::{Measure, Sample};
use crate::scenarios::{Kind, Scenario};
use crate::wire::{self, Ring};

/// How long a measurement warms up, and how long it then lasts.
#[derive(Clone, Copy)]
pub struct Span {
    pub warm_up: Duration,
    pub duration: Duration,
}

/// An answer that takes longer than this does not come any more.
const PATIENCE: Duration = Duration::from_secs(10);

pub fn run(scenario: &Scenario, peer: &Peer, server: &Server, span: Span) -> Result<Sample> {
    match scenario.kind {
        Kind::PingPong { payload } => ping_pong::run(peer, server, payload, span),
        Kind::Echo { connections, in_flight, payload } => {
            echo::run(peer, server, connections, in_flight, payload, span)
        }
        Kind::Broadcast { members, payload } => {
            broadcast::run(peer, server, members, payload, span)
        }
        Kind::Deflate { connections, payload } => deflated::run(server, connections, payload, span),
        Kind::Tls { connections, payload } => tls::run(server, connections, payload, span),
        Kind::Handshakes => handshakes::run(peer, server, span),
        Kind::Idle => idle::run(peer, server),
    }
}

/// A connection on which messages may be exchanged.
fn open(peer: &Peer, server: &Server) -> Result<TcpStream> {
    let mut stream = dial(server)?;
    if peer.speaks == Speaks::WebSocket {
        wire::handshake(&mut stream, server.address, peer.speaks, "")?;
    }
    Ok(stream)
}

fn dial(server: &Server) -> Result<TcpStream> {
    let stream = TcpStream::connect(server.address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Sends the first message of the ring, and waits until it is back.
fn echo_once(mut stream: &TcpStream, ring: &Ring) -> Result<()> {
    let mut reply = vec![0; ring.reply()];
    stream.write_all(&ring.requests[ring.place(0, 1)])?;
    stream.read_exact(&mut reply)?;
    ring.check(ring.reply_starts(0), &reply)?;
    Ok(())
}

/// What was counted, as measures, while the connections are still there. `cpu` is what the server
/// needed for all of it.
fn sample(
    server: &Server,
    times: &Histogram,
    elapsed: Duration,
    cpu: Option<Duration>,
) -> Result<Sample> {
    let (Some(p50), Some(p99)) = (times.quantile(0.5), times.quantile(0.99)) else {
        return Err("nothing was answered".into());
    };
    let count = times.total() as f64;
    let mut sample = Sample::new();
    sample.insert(Measure::Rate, count / elapsed.as_secs_f64());
    sample.insert(Measure::P50, p50.as_secs_f64());
    sample.insert(Measure::P99, p99.as_secs_f64());
    if let Some(cpu) = cpu {
        sample.insert(Measure::Cpu, cpu.as_secs_f64() / count);
    }
    if let Some(resident) = server.resident() {
        sample.insert(Measure::Resident, resident as f64);
    }
    Ok(sample)
}

/// The difference of two readings of a clock that may be missing.
fn since(start: Option<Duration>, end: Option<Duration>) -> Option<Duration> {
    end?.checked_sub(start?)
}
