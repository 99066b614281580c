//! Attackers that several rows use: they stop in the middle of a frame, never read, and leave in
//! different ways.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::Result;
use crate::peer::{BINARY, CLOSE, FIN, Peer, dial, frame, request};

/// Stops in the header of a frame, behind it, or in the payload.
pub fn half_a_frame(to: SocketAddr, turn: usize) -> Result<Peer> {
    let mut peer = Peer::open(to, "/echo")?;
    let whole = frame(FIN | BINARY, &[7; 300]);
    peer.stream.write_all(&whole[..[1, 3, 8, 150][turn % 4]])?;
    Ok(peer)
}

/// Has message after message sent back, and reads none.
pub struct Deaf {
    stream: TcpStream,
    message: Vec<u8>,
    /// So much of a message is on its way already.
    sent: usize,
    pub ended: bool,
}

impl Deaf {
    pub fn open(to: SocketAddr) -> Result<Deaf> {
        let mut peer = Peer::new(dial(to, true)?);
        match peer.ask(to, "/echo", "")? {
            101 => peer.stream.set_nonblocking(true)?,
            status => return Err(format!("the server answered {status}").into()),
        }
        let message = frame(FIN | BINARY, &[7; 16 * 1024]);
        Ok(Deaf { stream: peer.stream, message, sent: 0, ended: false })
    }

    /// As much as goes without waiting.
    pub fn shout(&mut self) {
        while !self.ended {
            match self.stream.write(&self.message[self.sent..]) {
                Ok(count) => self.sent = (self.sent + count) % self.message.len(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => self.ended = true,
            }
        }
    }
}

/// Takes what has come without waiting, and answers nothing.
pub fn hear(peer: &mut Peer) {
    let mut piece = [0; 1024];
    while !peer.ended {
        match peer.stream.read(&mut piece) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Ok(0) | Err(_) => peer.ended = true,
            Ok(_) => {}
        }
    }
}

/// How many ways there are to leave.
pub const WAYS: usize = 12;

/// Comes and leaves in one of the ways: whether the server had opened a WebSocket meanwhile.
pub fn come_and_leave(to: SocketAddr, way: usize) -> Result<bool> {
    let half_a_head = &request(to, "/echo", "")[..60];
    let mut peer = match way % WAYS {
        0..5 => Peer::dial(to)?,
        5 => Peer::open(to, "/panic")?,
        _ => Peer::open(to, "/echo")?,
    };
    match way % WAYS {
        // Without a word: with an end, with a reset.
        0 => {}
        1 => peer.reset()?,
        // In the middle of the head, likewise.
        2 => peer.stream.write_all(half_a_head.as_bytes())?,
        3 => {
            peer.stream.write_all(half_a_head.as_bytes())?;
            peer.reset()?;
        }
        // After something that is no HTTP, and told so.
        4 => {
            peer.stream.write_all(b"\x16\x03\x01\x00\xff\r\n\r\n")?;
            let status = peer.status()?;
            if status != 400 {
                return Err(format!("no HTTP at all was answered with {status}").into());
            }
        }
        // The handler panics.
        5 => told(&mut peer, 1011)?,
        // As one should.
        6 => peer.close()?,
        // Open, and without a word: with an end, with a reset.
        7 => {}
        8 => peer.reset()?,
        // In the middle of a frame, with a reset.
        9 => {
            peer.stream.write_all(&frame(FIN | BINARY, &[7; 300])[..150])?;
            peer.reset()?;
        }
        // After breaking the rules, and told so.
        10 => {
            peer.stream.write_all(&[FIN | BINARY, 0])?;
            told(&mut peer, 1002)?;
        }
        // With a Close whose answer nobody waits for.
        _ => peer.send(FIN | CLOSE, &1001u16.to_be_bytes())?,
    }
    Ok(way % WAYS >= 5)
}

fn told(peer: &mut Peer, code: u16) -> Result<()> {
    match peer.read_to_close()? {
        Some(told) if told == code => Ok(()),
        other => Err(format!("told {other:?}, where it should be {code}").into()),
    }
}
