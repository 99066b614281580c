//! One connection of a crowd: what it sends, what it waits for, and how long that takes.
//!
//! Its socket doesn't block. A server that leaves half a reply unsent, or will not read, stops
//! nothing but its own connection.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::ops::Range;
use std::time::Instant;

use mio::net::TcpStream;

use crate::Result;
use crate::histogram::Histogram;
use crate::wire::Ring;

pub struct Connection {
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
    pub fn new(stream: TcpStream, ring: &Ring, first: usize, in_flight: usize) -> Self {
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

    /// Reads all that has come. As many messages as were answered may be sent anew.
    pub fn receive(&mut self, ring: &Ring, chunk: &mut [u8], times: &mut Histogram) -> Result<()> {
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
        let answered = self.partial / ring.reply();
        self.partial %= ring.reply();
        self.due += answered;
        self.count(answered, Instant::now(), times)
    }

    /// Whether each message that was sent has been answered.
    pub fn is_idle(&self) -> bool {
        self.sent.is_empty()
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
    pub fn send(&mut self, ring: &Ring) -> Result<()> {
        loop {
            self.resume(ring)?;
            if !self.unsent.is_empty() || self.due == 0 {
                return Ok(());
            }
            self.unsent = ring.place(self.next, self.due);
            self.sent.push_back((Instant::now(), self.due));
            self.next = (self.next + self.due) % ring.messages;
            self.due = 0;
        }
    }

    /// Goes on with what a write did not take in full, and begins nothing new.
    pub fn resume(&mut self, ring: &Ring) -> Result<()> {
        while !self.unsent.is_empty() {
            match self.stream.write(&ring.requests[self.unsent.clone()]) {
                Ok(length) => self.unsent.start += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
