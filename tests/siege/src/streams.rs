//! Streams of messages that the server echoes and that both ends hash: the messages sent, those
//! that the server received, and the echoes must be the same. Half of the streams are written by
//! hand, in fragments with pings between them; the others are compressed, and sent by the library's
//! client.

use std::hash::{DefaultHasher, Hasher};
use std::net::SocketAddr;

use ws101::{Client, DeflateConfig, Message};

use crate::Result;
use crate::peer::{BINARY, CONTINUATION, FIN, PING, PONG, Peer, TEXT, dial};
use crate::server::add;

/// How many messages a stream has.
pub const MESSAGES: usize = 50;

/// Numbers that are the same in every run.
pub struct Dice(pub u64);

impl Dice {
    /// Less than this.
    pub fn throw(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below.max(1) as u64) as usize
    }

    /// Most are short, some are long; half of them are text.
    fn message(&mut self) -> Message {
        let most = [200, 2_000, 70_000, 300_000][self.throw(20).saturating_sub(16)];
        let length = self.throw(most);
        match self.throw(2) {
            0 => Message::Binary((0..length).map(|_| self.throw(256) as u8).collect()),
            _ => {
                Message::Text(["é", "日", "w", "s"].iter().cycle().take(length).copied().collect())
            }
        }
    }
}

/// A stream, from its handshake to its Close: how many bytes it took each way.
pub fn run(to: SocketAddr, dice: &mut Dice) -> Result<u64> {
    match dice.throw(2) {
        0 => by_hand(to, dice),
        _ => compressed(to, dice),
    }
}

fn by_hand(to: SocketAddr, dice: &mut Dice) -> Result<u64> {
    let mut peer = Peer::open(to, "/hash")?;
    let (mut sent, mut came, mut bytes) = (DefaultHasher::new(), DefaultHasher::new(), 0);
    for _ in 0..MESSAGES {
        let message = dice.message();
        add(&mut sent, &message);
        let (kind, payload) = match &message {
            Message::Text(text) => (TEXT, text.as_bytes()),
            Message::Binary(bytes) => (BINARY, &bytes[..]),
        };
        let (mut rest, mut opcode, mut pings) = (payload, kind, 0);
        loop {
            let (piece, more) = rest.split_at(dice.throw(2 * rest.len() + 1).min(rest.len()));
            rest = more;
            let fin = if rest.is_empty() { FIN } else { 0 };
            peer.send(fin | opcode, piece)?;
            opcode = CONTINUATION;
            if fin != 0 {
                break;
            }
            peer.send(FIN | PING, b"between fragments")?;
            pings += 1;
        }
        let frame = loop {
            match peer.next()? {
                frame if frame.opcode() == PONG => pings -= 1,
                frame => break frame,
            }
        };
        if pings < 0 || frame.first != FIN | kind {
            return Err(format!("{:x} and pongs came, {pings} too few", frame.first).into());
        }
        bytes += payload.len() as u64;
        add(&mut came, &as_message(kind, frame.payload)?);
    }
    peer.send(FIN | TEXT, b"hash?")?;
    let frame = loop {
        match peer.next()? {
            frame if frame.opcode() == PONG => {}
            frame => break frame,
        }
    };
    compare(&sent, &came, &String::from_utf8(frame.payload)?)?;
    peer.close()?;
    Ok(bytes)
}

fn as_message(kind: u8, payload: Vec<u8>) -> Result<Message> {
    Ok(match kind {
        TEXT => Message::Text(String::from_utf8(payload)?),
        _ => Message::Binary(payload),
    })
}

fn compressed(to: SocketAddr, dice: &mut Dice) -> Result<u64> {
    let client = Client::new(format!("ws://{to}/hash")).deflate(DeflateConfig::default());
    let mut ws = client.connect_over(dial(to, false)?)?;
    let (mut sent, mut came, mut bytes) = (DefaultHasher::new(), DefaultHasher::new(), 0);
    for _ in 0..MESSAGES {
        let message = dice.message();
        add(&mut sent, &message);
        ws.send(&message)?;
        let back = ws.recv()?.ok_or("the server closed a stream")?;
        add(&mut came, &back);
        bytes += match back {
            Message::Text(text) => text.len() as u64,
            Message::Binary(bytes) => bytes.len() as u64,
        };
    }
    ws.send("hash?")?;
    let hash = ws.recv()?.ok_or("the server closed a stream")?;
    compare(&sent, &came, hash.as_text().unwrap_or_default())?;
    ws.close(1000, "")?;
    Ok(bytes)
}

fn compare(sent: &DefaultHasher, came: &DefaultHasher, server: &str) -> Result<()> {
    let (sent, came) = (format!("{:x}", sent.finish()), format!("{:x}", came.finish()));
    match sent == server && came == server {
        true => Ok(()),
        false => Err(format!("sent {sent}, the server saw {server}, {came} came back").into()),
    }
}
