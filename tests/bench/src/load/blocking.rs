//! Connections with a thread each that sends a message whole, and then waits for the whole answer:
//! as a simple client does, and for loads that work on what comes, and so can't keep thousands busy
//! from one thread.

use std::io::{Read, Write};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::{Span, echo, sample};
use crate::Result;
use crate::histogram::Histogram;
use crate::process::Server;
use crate::results::Sample;
use crate::wire::Ring;

/// A connection that sends a message, waits for the answer and checks it.
pub trait Exchange: Send {
    fn exchange(&mut self) -> Result<()>;
}

pub fn run(server: &Server, mut connections: Vec<impl Exchange>, span: Span) -> Result<Sample> {
    exchange(&mut connections, span.warm_up)?;
    let before = server.usage();
    let begin = Instant::now();
    let times = exchange(&mut connections, span.duration)?;
    let elapsed = begin.elapsed();
    sample(server, &times, elapsed, server.usage().since(before))
}

/// Keeps all connections busy for so long; tells how long each answer took.
fn exchange(connections: &mut [impl Exchange], duration: Duration) -> Result<Histogram> {
    let end = Instant::now() + duration;
    let mut times = Histogram::new();
    thread::scope(|scope| {
        let threads: Vec<_> = connections
            .iter_mut()
            .map(|connection| scope.spawn(move || exchange_until(end, connection)))
            .collect();
        for thread in threads {
            times.merge(&thread.join().map_err(|_| "a connection's thread panicked")??);
        }
        Ok(times)
    })
}

fn exchange_until(end: Instant, connection: &mut impl Exchange) -> Result<Histogram> {
    let mut times = Histogram::new();
    let mut begin = Instant::now();
    while begin < end {
        connection.exchange()?;
        let answered = Instant::now();
        times.add(answered - begin, 1);
        begin = answered;
    }
    Ok(times)
}

/// The messages of a ring, one after the other, over an open connection.
pub struct RoundTrips<S> {
    stream: S,
    ring: Arc<Ring>,
    reply: Vec<u8>,
    next: usize,
}

impl<S> RoundTrips<S> {
    pub fn new(stream: S, ring: &Arc<Ring>) -> Self {
        Self { stream, ring: ring.clone(), reply: vec![0; ring.reply()], next: 0 }
    }
}

impl<S: Read + Write + Send> Exchange for RoundTrips<S> {
    fn exchange(&mut self) -> Result<()> {
        echo(&mut self.stream, &self.ring, self.next, &mut self.reply)?;
        self.next = (self.next + 1) % self.ring.messages;
        Ok(())
    }
}
