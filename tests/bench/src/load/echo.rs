//! Many connections from one thread: whichever has answers gets as many new messages, in one write.
//!
//! The sockets don't block, and the kernel says which of them have something (`mio`,
//! edge-triggered: a socket is named once for what has newly come, so what is there is read at that
//! time). A server that leaves half a reply unsent, or will not read, stops nothing but its own
//! connection.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::ops::Range;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::{PATIENCE, Span, open, sample, since};
use crate::Result;
use crate::histogram::Histogram;
use crate::peers::Peer;
use crate::process::Server;
use crate::results::Sample;
use crate::scenarios::Payload;
use crate::wire::Ring;

/// Room for what one read may bring.
const CHUNK: usize = 256 * 1024;

pub fn run(
    peer: &Peer,
    server: &Server,
    connections: usize,
    in_flight: usize,
    payload: Payload,
    span: Span,
) -> Result<Sample> {
    let ring = Ring::new(peer.speaks, payload, in_flight);
    let poll = Poll::new()?;
    let mut crowd = Vec::with_capacity(connections);
    for index in 0..connections {
        let stream = open(peer, server)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        poll.registry().register(
            &mut stream,
            Token(index),
            Interest::READABLE | Interest::WRITABLE,
        )?;
        crowd.push(Connection::new(stream, &ring, index % ring.messages, in_flight));
    }

    let mut load = Load {
        ring,
        poll,
        crowd,
        events: Events::with_capacity(connections),
        chunk: vec![0; CHUNK],
    };
    for connection in &mut load.crowd {
        connection.send(&load.ring, Instant::now())?;
    }
    load.exchange(span.warm_up)?;
    let cpu = server.time_of_threads();
    let begin = Instant::now();
    let times = load.exchange(span.duration)?;
    let elapsed = begin.elapsed();
    let cpu = since(cpu, server.time_of_threads());
    sample(server, &times, elapsed, cpu)
}

struct Load {
    ring: Ring,
    poll: Poll,
    crowd: Vec<Connection>,
    events: Events,
    chunk: Vec<u8>,
}

impl Load {
    /// Keeps all connections busy for so long; tells how long each answer took.
    fn exchange(&mut self, duration: Duration) -> Result<Histogram> {
        let mut times = Histogram::new();
        let end = Instant::now() + duration;
        loop {
            self.poll.poll(&mut self.events, Some(PATIENCE))?;
            if self.events.is_empty() {
                return Err("no answer any more".into());
            }
            for event in &self.events {
                let connection = &mut self.crowd[event.token().0];
                connection.receive(&self.ring, &mut self.chunk, &mut times)?;
            }
            if Instant::now() >= end {
                return Ok(times);
            }
        }
    }
}

struct Connection {
    stream: TcpStream,
    /// The first message of the ring that is still to be sent.
    next: usize,
    /// How many of them may be sent now.
    due: usize,
    /// Where in the ring that lies which a write did not take in full.
    unsent: Range<usize>,
    /// Place in the ring's answers where the next byte belongs.
    position: usize,
    /// Bytes of an answer that is not there in full.
    partial: usize,
    /// When messages were sent, and how many at once; the oldest first.
    sent: VecDeque<(Instant, usize)>,
}

impl Connection {
    fn new(stream: TcpStream, ring: &Ring, first: usize, in_flight: usize) -> Self {
        Self {
            stream,
            next: first,
            due: in_flight,
            unsent: 0..0,
            position: ring.reply_starts(first),
            partial: 0,
            sent: VecDeque::new(),
        }
    }

    /// Reads all that has come, then sends as many messages as were answered.
    fn receive(&mut self, ring: &Ring, chunk: &mut [u8], times: &mut Histogram) -> Result<()> {
        loop {
            let length = match self.stream.read(chunk) {
                Ok(0) => return Err("the server closed a connection".into()),
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            };
            self.position = ring.check(self.position, &chunk[..length])?;
            self.partial += length;
            if length < chunk.len() {
                break;
            }
        }
        let now = Instant::now();
        let answered = self.partial / ring.reply();
        self.partial %= ring.reply();
        self.due += answered;
        self.count(answered, now, times)?;
        self.send(ring, now)
    }

    fn count(&mut self, answered: usize, now: Instant, times: &mut Histogram) -> Result<()> {
        let mut answered = answered;
        while answered > 0 {
            let (sent, waiting) = self.sent.front_mut().ok_or("more answers than messages")?;
            let count = answered.min(*waiting);
            times.add(now - *sent, count as u64);
            answered -= count;
            *waiting -= count;
            if *waiting == 0 {
                self.sent.pop_front();
            }
        }
        Ok(())
    }

    /// Sends what is due, as far as the socket takes it.
    fn send(&mut self, ring: &Ring, now: Instant) -> Result<()> {
        loop {
            if self.unsent.is_empty() {
                if self.due == 0 {
                    return Ok(());
                }
                self.unsent = ring.place(self.next, self.due);
                self.sent.push_back((now, self.due));
                self.next = (self.next + self.due) % ring.messages;
                self.due = 0;
            }
            match self.stream.write(&ring.requests[self.unsent.clone()]) {
                Ok(length) => self.unsent.start += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
