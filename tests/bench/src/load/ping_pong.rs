//! One connection, one message at a time, blocking: nothing stands between the two round trips but
//! the kernel.

use std::time::Instant;

use super::{Span, echo, open, sample};
use crate::Result;
use crate::histogram::Histogram;
use crate::peers::Peer;
use crate::process::Server;
use crate::results::Sample;
use crate::scenarios::Payload;
use crate::wire::Ring;

pub fn run(peer: &Peer, server: &Server, payload: Payload, span: Span) -> Result<Sample> {
    let ring = Ring::new(peer.speaks, payload, 1);
    let mut stream = open(peer, server)?;
    let mut reply = vec![0; ring.reply()];
    let mut times = Histogram::new();
    let mut next = 0;
    let mut before = server.usage();

    let mut begin = Instant::now();
    let mut sent = begin;
    let mut warm = false;
    while !warm || sent - begin < span.duration {
        if !warm && sent - begin >= span.warm_up {
            warm = true;
            times = Histogram::new();
            before = server.usage();
            begin = Instant::now();
            sent = begin;
        }
        echo(&mut stream, &ring, next, &mut reply)?;
        let answered = Instant::now();
        times.add(answered - sent, 1);
        sent = answered;
        next = (next + 1) % ring.messages;
    }
    sample(server, &times, sent - begin, server.usage().since(before))
}
