//! Whole conversations from several clients at once: connect, ask for the upgrade, read the 101,
//! exchange some messages (or none), say Close, read the server's Close, wait until the server ends
//! the TCP connection, and close it.
//!
//! That is how a client hangs up that keeps to §7.1.1: the server ends the TCP connection first. A
//! server that speaks bytes gives the request back, the messages, and as many bytes as a Close
//! frame has. It can't know that this was the last, so the client ends its direction first, and
//! then waits for the server's end like the others.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{Span, dial, echo, sample};
use crate::Result;
use crate::histogram::Histogram;
use crate::peers::{Peer, Speaks};
use crate::process::{Server, Usage};
use crate::results::Sample;
use crate::wire::{self, Ring};

pub struct Clients {
    pub count: usize,
    /// What each conversation exchanges, one after the other.
    pub messages: usize,
    pub ring: Ring,
}

impl Clients {
    pub fn run(&self, peer: &Peer, server: &Server, span: Span) -> Result<Sample> {
        self.converse(peer, server, span.warm_up)?;
        let before = server.time_in_all();
        let begin = Instant::now();
        let times = self.converse(peer, server, span.duration)?;
        let elapsed = begin.elapsed();
        // Threads that have ended took their counts of waits with them.
        let usage = |time| Usage { time, waits: None };
        let used = usage(server.time_in_all()).since(usage(before));
        sample(server, &times, elapsed, used)
    }

    fn converse(&self, peer: &Peer, server: &Server, duration: Duration) -> Result<Histogram> {
        let failed = AtomicBool::new(false);
        let end = Instant::now() + duration;
        let client = || {
            let mut times = Histogram::new();
            while Instant::now() < end && !failed.load(Ordering::Relaxed) {
                let begin = Instant::now();
                if let Err(error) = self.one(peer, server) {
                    failed.store(true, Ordering::Relaxed);
                    return Err(error);
                }
                times.add(begin.elapsed(), 1);
            }
            Ok(times)
        };

        let mut times = Histogram::new();
        thread::scope(|scope| {
            let clients: Vec<_> = (0..self.count).map(|_| scope.spawn(client)).collect();
            for client in clients {
                times.merge(&client.join().map_err(|_| "a client's thread panicked")??);
            }
            Ok(times)
        })
    }

    fn one(&self, peer: &Peer, server: &Server) -> Result<()> {
        let mut stream = dial(server)?;
        wire::handshake(&mut stream, server.address, peer.speaks, "")?;
        let mut reply = vec![0; self.ring.reply()];
        for message in 0..self.messages {
            echo(&mut &stream, &self.ring, message % self.ring.messages, &mut reply)?;
        }
        close(stream, peer.speaks)
    }
}

fn close(mut stream: TcpStream, speaks: Speaks) -> Result<()> {
    stream.write_all(&wire::CLOSE)?;
    if speaks == Speaks::Bytes {
        stream.read_exact(&mut [0; wire::CLOSE.len()])?;
        stream.shutdown(Shutdown::Write)?;
    } else {
        wire::read_close(&mut stream)?;
    }
    match stream.read(&mut [0])? {
        0 => Ok(()),
        _ => Err("something came after the Close".into()),
    }
}
