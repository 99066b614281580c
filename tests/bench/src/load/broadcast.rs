//! A room: one member speaks, and once all have its message, itself included, it speaks again.
//!
//! Each member joins with its first message, which the server gives back to it alone. What is
//! counted and timed is each arrival.

use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::{PATIENCE, Span, echo, open, sample};
use crate::Result;
use crate::histogram::Histogram;
use crate::peers::Peer;
use crate::process::Server;
use crate::results::Sample;
use crate::scenarios::Payload;
use crate::wire::Ring;

pub fn run(
    peer: &Peer,
    server: &Server,
    members: usize,
    payload: Payload,
    span: Span,
) -> Result<Sample> {
    let ring = Ring::new(peer.speaks, payload, 1);
    let mut reply = vec![0; ring.reply()];
    let poll = Poll::new()?;
    let mut room = Vec::with_capacity(members);
    for index in 0..members {
        let stream = open(peer, server)?;
        echo(&mut &stream, &ring, 0, &mut reply)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        poll.registry().register(&mut stream, Token(index), Interest::READABLE)?;
        room.push(Member { stream, missing: 0 });
    }

    let (events, chunk) = (Events::with_capacity(members), vec![0; ring.reply() + 1]);
    let mut room = Room { ring, poll, members: room, next: 0, events, chunk };
    room.talk(span.warm_up)?;
    let before = server.usage();
    let begin = Instant::now();
    let times = room.talk(span.duration)?;
    let elapsed = begin.elapsed();
    sample(server, &times, elapsed, server.usage().since(before))
}

struct Room {
    ring: Ring,
    poll: Poll,
    members: Vec<Member>,
    /// The message of the ring that is said next.
    next: usize,
    events: Events,
    chunk: Vec<u8>,
}

struct Member {
    stream: TcpStream,
    /// Bytes of the present message that have not come.
    missing: usize,
}

impl Room {
    fn talk(&mut self, duration: Duration) -> Result<Histogram> {
        let mut times = Histogram::new();
        let end = Instant::now() + duration;
        while Instant::now() < end {
            self.say(&mut times)?;
        }
        Ok(times)
    }

    /// Says one thing, and waits until all have heard it.
    fn say(&mut self, times: &mut Histogram) -> Result<()> {
        let mut unheard = self.members.len();
        for member in &mut self.members {
            member.missing = self.ring.reply();
        }
        let said = Instant::now();
        // It fits into the socket's buffer, which is empty.
        self.members[0].stream.write_all(&self.ring.requests[self.ring.place(self.next, 1)])?;
        while unheard > 0 {
            self.poll.poll(&mut self.events, Some(PATIENCE))?;
            if self.events.is_empty() {
                return Err(format!("{unheard} members hear nothing").into());
            }
            for event in &self.events {
                let member = &mut self.members[event.token().0];
                if member.hear(&self.ring, self.next, &mut self.chunk)? {
                    times.add(said.elapsed(), 1);
                    unheard -= 1;
                }
            }
        }
        self.next = (self.next + 1) % self.ring.messages;
        Ok(())
    }
}

impl Member {
    /// Reads what is there; tells whether that completed the message.
    fn hear(&mut self, ring: &Ring, message: usize, chunk: &mut [u8]) -> Result<bool> {
        let missed = self.missing;
        loop {
            let length = match self.stream.read(chunk) {
                Ok(0) => return Err("the server closed a connection".into()),
                Ok(length) if length > self.missing => return Err("more came than was said".into()),
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            };
            let heard = ring.reply() - self.missing;
            ring.check(ring.reply_starts(message) + heard, &chunk[..length])?;
            self.missing -= length;
            if self.missing == 0 {
                break;
            }
        }
        Ok(missed > 0 && self.missing == 0)
    }
}
