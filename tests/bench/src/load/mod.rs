//! The load: raw sockets and bytes made beforehand, as little work as can be, so that the server is
//! what is measured.

mod blocking;
mod broadcast;
mod bursts;
mod connection;
mod conversations;
mod crowd;
mod deflated;
mod echo;
mod idle;
mod masking;
mod ping_pong;
mod tls;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use blocking::RoundTrips;
use conversations::Clients;
use crowd::Crowd;
use masking::Masking;

use crate::Result;
use crate::histogram::Histogram;
use crate::peers::{Peer, Speaks};
use crate::process::{Server, Usage};
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
            echo::run(server, Crowd::open(peer, server, connections, in_flight, payload)?, span)
        }
        Kind::Bursts { connections, batch, payload } => {
            bursts::run(server, Crowd::open(peer, server, connections, batch, payload)?, span)
        }
        Kind::Pieces { connections, piece, payload } => {
            let ring = Arc::new(Ring::new(peer.speaks, payload, 1));
            let open = |_| Ok(RoundTrips::new(Masking::new(open(peer, server)?, piece), &ring));
            blocking::run(server, (0..connections).map(open).collect::<Result<Vec<_>>>()?, span)
        }
        Kind::Broadcast { members, payload } => {
            broadcast::run(peer, server, members, payload, span)
        }
        Kind::Deflate { connections, payload } => deflated::run(server, connections, payload, span),
        Kind::Tls { connections, payload } => tls::run(server, connections, payload, span),
        Kind::Conversations { clients, messages, payload } => {
            let ring = Ring::new(peer.speaks, payload, 1);
            Clients { count: clients, messages, ring }.run(peer, server, span)
        }
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

/// Sends a message of the ring whole, and waits until it is back in `reply`.
fn echo(
    stream: &mut (impl Read + Write),
    ring: &Ring,
    message: usize,
    reply: &mut [u8],
) -> Result<()> {
    stream.write_all(&ring.requests[ring.place(message, 1)])?;
    stream.read_exact(reply)?;
    ring.check(ring.reply_starts(message), reply)?;
    Ok(())
}

/// What was counted, as measures, while the connections are still there. `used` is what the
/// server needed for all of it.
fn sample(server: &Server, times: &Histogram, elapsed: Duration, used: Usage) -> Result<Sample> {
    let (Some(p50), Some(p99)) = (times.quantile(0.5), times.quantile(0.99)) else {
        return Err("nothing was answered".into());
    };
    let count = times.total() as f64;
    let mut sample = Sample::new();
    sample.insert(Measure::Rate, count / elapsed.as_secs_f64());
    sample.insert(Measure::P50, p50.as_secs_f64());
    sample.insert(Measure::P99, p99.as_secs_f64());
    if let Some(time) = used.time {
        sample.insert(Measure::Cpu, time.as_secs_f64() / count);
    }
    if let Some(waits) = used.waits {
        sample.insert(Measure::Waits, waits as f64 / count);
    }
    if let Some(resident) = server.resident() {
        sample.insert(Measure::Resident, resident as f64);
    }
    Ok(sample)
}
