//! Connect, ask for the upgrade, read the 101, close the TCP connection, from several threads at
//! once.
//!
//! There is no Close frame, so that all do the same. A server that speaks bytes gives the request
//! back: what remains of a handshake when nobody understands it.

use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{PATIENCE, Span, sample, since};
use crate::Result;
use crate::histogram::Histogram;
use crate::peers::Peer;
use crate::process::Server;
use crate::results::Sample;
use crate::wire;

/// Enough that the server always has one to serve while another is on its way.
const THREADS: usize = 8;

pub fn run(peer: &Peer, server: &Server, span: Span) -> Result<Sample> {
    shake_hands(peer, server, span.warm_up)?;
    let cpu = server.time_in_all();
    let begin = Instant::now();
    let times = shake_hands(peer, server, span.duration)?;
    let elapsed = begin.elapsed();
    let cpu = since(cpu, server.time_in_all());
    sample(server, &times, elapsed, cpu)
}

fn shake_hands(peer: &Peer, server: &Server, duration: Duration) -> Result<Histogram> {
    let failed = AtomicBool::new(false);
    let end = Instant::now() + duration;
    let client = || {
        let mut times = Histogram::new();
        while Instant::now() < end && !failed.load(Ordering::Relaxed) {
            let begin = Instant::now();
            if let Err(error) = one(peer, server) {
                failed.store(true, Ordering::Relaxed);
                return Err(error);
            }
            times.add(begin.elapsed(), 1);
        }
        Ok(times)
    };

    let mut times = Histogram::new();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..THREADS).map(|_| scope.spawn(client)).collect();
        for client in clients {
            times.merge(&client.join().map_err(|_| "a client's thread panicked")??);
        }
        Ok(times)
    })
}

fn one(peer: &Peer, server: &Server) -> Result<()> {
    let mut stream = TcpStream::connect(server.address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    wire::handshake(&mut stream, server.address, peer.speaks, "")?;
    Ok(())
}
