//! Connections that were used once and then hold still: how much memory the server keeps for each.

use std::io::Write;

use super::{echo, open};
use crate::Result;
use crate::peers::Peer;
use crate::process::Server;
use crate::results::{Measure, Sample};
use crate::scenarios::{HELD, Payload};
use crate::wire::{self, Ring};

pub fn run(peer: &Peer, server: &Server) -> Result<Sample> {
    let ring = Ring::new(peer.speaks, Payload::Binary(32), 1);
    let mut reply = vec![0; ring.reply()];
    let empty = server.resident();
    let mut held = Vec::new();
    let mut sample = Sample::new();
    for (stage, count) in HELD.into_iter().enumerate() {
        while held.len() < count {
            let stream = open(peer, server)
                .map_err(|error| format!("after {} connections: {error}", held.len()))?;
            echo(&mut &stream, &ring, 0, &mut reply)?;
            held.push(stream);
        }
        let grown = server.resident().zip(empty).map(|(now, empty)| now.saturating_sub(empty));
        if let Some(grown) = grown {
            sample.insert(Measure::Idle(stage), grown as f64 / count as f64);
        }
    }
    // Held means that each of them still answers.
    for mut stream in &held {
        stream.write_all(&ring.requests[ring.place(0, 1)])?;
        wire::read_after_pings(&mut stream, &mut reply)?;
        ring.check(ring.reply_starts(0), &reply)?;
    }
    sample.insert(Measure::Held, held.len() as f64);
    Ok(sample)
}
