//! Many connections without a pause: whichever has answers gets as many new messages, in one write.

use std::time::{Duration, Instant};

use super::crowd::Crowd;
use super::{Span, sample};
use crate::Result;
use crate::histogram::Histogram;
use crate::process::Server;
use crate::results::Sample;

pub fn run(server: &Server, mut crowd: Crowd, span: Span) -> Result<Sample> {
    crowd.send()?;
    exchange(&mut crowd, span.warm_up)?;
    let before = server.usage();
    let begin = Instant::now();
    let times = exchange(&mut crowd, span.duration)?;
    let elapsed = begin.elapsed();
    sample(server, &times, elapsed, server.usage().since(before))
}

/// Keeps all connections busy for so long; tells how long each answer took.
fn exchange(crowd: &mut Crowd, duration: Duration) -> Result<Histogram> {
    let mut times = Histogram::new();
    let end = Instant::now() + duration;
    while Instant::now() < end {
        crowd.receive(&mut times, |connection, ring| connection.send(ring))?;
    }
    Ok(times)
}
