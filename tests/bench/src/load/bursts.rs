//! Many connections that rest, then all send a batch at once, and rest again once it is answered.
//!
//! After the pause each thread of the server waits, so it is woken anew, and buffers that shrink at
//! rest are small again. The rate counts the bursts' time alone, and the server's time all of it.

use std::thread;
use std::time::{Duration, Instant};

use super::crowd::Crowd;
use super::{Span, sample};
use crate::Result;
use crate::histogram::Histogram;
use crate::process::Server;
use crate::results::Sample;

/// Long enough for the server to come to rest.
const PAUSE: Duration = Duration::from_millis(10);

pub fn run(server: &Server, mut crowd: Crowd, span: Span) -> Result<Sample> {
    bursts(&mut crowd, span.warm_up)?;
    let before = server.usage();
    let (times, busy) = bursts(&mut crowd, span.duration)?;
    sample(server, &times, busy, server.usage().since(before))
}

/// Bursts and pauses for so long; tells how long each answer took, and all bursts together.
fn bursts(crowd: &mut Crowd, duration: Duration) -> Result<(Histogram, Duration)> {
    let mut times = Histogram::new();
    let mut busy = Duration::ZERO;
    let end = Instant::now() + duration;
    while Instant::now() < end {
        thread::sleep(PAUSE);
        let begin = Instant::now();
        crowd.send()?;
        while !crowd.connections.iter().all(|connection| connection.is_idle()) {
            crowd.receive(&mut times, |connection, ring| connection.resume(ring))?;
        }
        busy += begin.elapsed();
    }
    Ok((times, busy))
}
