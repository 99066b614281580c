//! Connections with a thread each that waits for every answer: for loads that work on what comes, and
//! so can't keep thousands busy from one thread.

use std::thread;
use std::time::{Duration, Instant};

use super::{Span, sample, since};
use crate::Result;
use crate::histogram::Histogram;
use crate::process::Server;
use crate::results::Sample;

/// A connection that sends a message, waits for the answer and checks it.
pub trait Exchange: Send {
    fn exchange(&mut self) -> Result<()>;
}

pub fn run(server: &Server, mut connections: Vec<impl Exchange>, span: Span) -> Result<Sample> {
    exchange(&mut connections, span.warm_up)?;
    let cpu = server.time_of_threads();
    let begin = Instant::now();
    let times = exchange(&mut connections, span.duration)?;
    let elapsed = begin.elapsed();
    let cpu = since(cpu, server.time_of_threads());
    sample(server, &times, elapsed, cpu)
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
