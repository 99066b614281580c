//! Many connections from one thread. The sockets don't block, and the kernel says which of them
//! have something (`mio`, edge-triggered: a socket is named once for what has newly come, so what
//! is there is read at that time).

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::connection::Connection;
use super::{PATIENCE, open};
use crate::Result;
use crate::histogram::Histogram;
use crate::peers::Peer;
use crate::process::Server;
use crate::scenarios::Payload;
use crate::wire::Ring;

/// Room for what one read may bring.
const CHUNK: usize = 256 * 1024;

pub struct Crowd {
    pub ring: Ring,
    pub connections: Vec<Connection>,
    poll: Poll,
    events: Events,
    chunk: Vec<u8>,
}

impl Crowd {
    pub fn open(
        peer: &Peer,
        server: &Server,
        connections: usize,
        in_flight: usize,
        payload: Payload,
    ) -> Result<Self> {
        let ring = Ring::new(peer.speaks, payload, in_flight);
        let poll = Poll::new()?;
        let mut crowd = Vec::with_capacity(connections);
        for index in 0..connections {
            let stream = open(peer, server)?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            let interest = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(&mut stream, Token(index), interest)?;
            crowd.push(Connection::new(stream, &ring, index % ring.messages, in_flight));
        }
        let events = Events::with_capacity(connections);
        Ok(Self { ring, connections: crowd, poll, events, chunk: vec![0; CHUNK] })
    }

    /// Sends what is due on each connection.
    pub fn send(&mut self) -> Result<()> {
        self.connections.iter_mut().try_for_each(|connection| connection.send(&self.ring))
    }

    /// Waits until some have answers, and reads those. `then` is called with each of them.
    pub fn receive(
        &mut self,
        times: &mut Histogram,
        mut then: impl FnMut(&mut Connection, &Ring) -> Result<()>,
    ) -> Result<()> {
        self.poll.poll(&mut self.events, Some(PATIENCE))?;
        if self.events.is_empty() {
            return Err("no answer any more".into());
        }
        for event in &self.events {
            let connection = &mut self.connections[event.token().0];
            connection.receive(&self.ring, &mut self.chunk, times)?;
            then(connection, &self.ring)?;
        }
        Ok(())
    }
}
