//! The bytes on the wire, made before the clock starts: a few messages as a client sends them
//! (masked) and as a server must answer them (the same payload, unmasked, with the shortest
//! header). The handshake is the RFC's example, §1.3.
//!
//! The messages form a ring: after the last comes the first again. All are of one length, so that
//! the place of a byte in the stream of answers tells which byte it has to be.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::ops::Range;

use crate::Result;
use crate::payload::{Message, noise};
use crate::peers::Speaks;
use crate::scenarios::Payload;

const FIN_TEXT: u8 = 0x81;
const FIN_BINARY: u8 = 0x82;
const FIN_CLOSE: u8 = 0x88;
const FIN_PING: u8 = 0x89;
const FIN_PONG: u8 = 0x8a;
const RSV1: u8 = 0x40;
const MASKED: u8 = 0x80;

/// A client's Close with code 1000, under a mask, §5.5.1.
pub const CLOSE: [u8; 8] =
    [FIN_CLOSE, MASKED | 2, 0x37, 0xfa, 0x21, 0x3d, 0x03 ^ 0x37, 0xe8 ^ 0xfa];

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

pub struct Ring {
    /// The messages one after the other, and then as many of them again as may be in flight:
    /// whatever the first one is, what is to be sent lies in one piece.
    pub requests: Vec<u8>,
    request: usize,
    replies: Vec<u8>,
    reply: usize,
    pub messages: usize,
}

impl Ring {
    pub fn new(speaks: Speaks, payload: Payload, in_flight: usize) -> Self {
        let messages = in_flight.max(2);
        let mut requests = Vec::new();
        let mut replies = Vec::new();
        for index in 0..messages {
            let payload = payload.message(index);
            let request = frame(&payload, Some(mask(index)));
            match speaks {
                Speaks::WebSocket => replies.extend(frame(&payload, None)),
                Speaks::Bytes => replies.extend(&request),
            }
            requests.extend(request);
        }
        let request = requests.len() / messages;
        let reply = replies.len() / messages;
        requests.extend_from_within(..(in_flight - 1) * request);
        Self { requests, request, replies, reply, messages }
    }

    /// Where in `requests` so many messages lie, from the `first` on.
    pub fn place(&self, first: usize, count: usize) -> Range<usize> {
        first * self.request..(first + count) * self.request
    }

    /// How long each answer is.
    pub fn reply(&self) -> usize {
        self.reply
    }

    /// Where in the stream of answers that of this message begins.
    pub fn reply_starts(&self, message: usize) -> usize {
        message * self.reply
    }

    /// Compares what came with what has to come at `position`; tells where the next byte belongs.
    pub fn check(&self, position: usize, received: &[u8]) -> Result<usize> {
        let mut position = position;
        let mut received = received;
        while !received.is_empty() {
            let expected = &self.replies[position..];
            let length = expected.len().min(received.len());
            let (now, later) = received.split_at(length);
            if now != &expected[..length] {
                return Err("an answer is not what was sent".into());
            }
            position = (position + length) % self.replies.len();
            received = later;
        }
        Ok(position)
    }
}

fn mask(index: usize) -> [u8; 4] {
    let mut noise = noise(index as u64 + 1000);
    std::array::from_fn(|_| noise.next().unwrap_or_default())
}

/// One frame, §5.2.
fn frame(message: &Message, mask: Option<[u8; 4]>) -> Vec<u8> {
    let masked = if mask.is_some() { MASKED } else { 0 };
    let first = if message.is_text { FIN_TEXT } else { FIN_BINARY };
    let mut frame = vec![first | if message.is_deflated { RSV1 } else { 0 }];
    match message.payload.len() {
        length @ ..126 => frame.push(masked | length as u8),
        length @ ..65536 => {
            frame.push(masked | 126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(masked | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    let mask = mask.inspect(|mask| frame.extend(mask)).unwrap_or_default();
    frame.extend(message.payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// A message as a client sends it.
pub fn request(message: &Message, index: usize) -> Vec<u8> {
    frame(message, Some(mask(index)))
}

/// Reads a whole text message from a server: whether it is compressed, and its payload. For answers
/// whose bytes can't be foretold.
pub fn read_text(stream: &mut impl Read, payload: &mut Vec<u8>) -> Result<bool> {
    let mut header = [0; 2];
    stream.read_exact(&mut header)?;
    let is_deflated = header[0] == FIN_TEXT | RSV1;
    if header[0] & !RSV1 != FIN_TEXT {
        return Err("an answer is no whole text message".into());
    }
    let length = match header[1] {
        length @ ..126 => length.into(),
        126 => {
            let mut length = [0; 2];
            stream.read_exact(&mut length)?;
            u16::from_be_bytes(length).into()
        }
        _ => return Err("an answer is longer than it may be".into()),
    };
    payload.resize(length, 0);
    stream.read_exact(payload)?;
    Ok(is_deflated)
}

/// Reads a Close from a server, with a code or without, which has to be the next that comes.
pub fn read_close(stream: &mut impl Read) -> Result<()> {
    let mut header = [0; 2];
    stream.read_exact(&mut header)?;
    let [FIN_CLOSE, length @ ..126] = header else {
        return Err("a Close was answered with something else".into());
    };
    Ok(stream.read_exact(&mut [0; 125][..length.into()])?)
}

/// Reads a reply. Pings may come before it, if opening the connections took so long that the server
/// asks whether the first ones are still there: they are answered.
pub fn read_after_pings(stream: &mut (impl Read + Write), reply: &mut [u8]) -> Result<()> {
    let (header, rest) = reply.split_at_mut(2);
    loop {
        stream.read_exact(header)?;
        let [FIN_PING, length @ ..126] = *header else { return Ok(stream.read_exact(rest)?) };
        let mut payload = vec![0; length.into()];
        stream.read_exact(&mut payload)?;
        let mask = [0; 4];
        stream.write_all(&[&[FIN_PONG, MASKED | length][..], &mask, &payload].concat())?;
    }
}

/// Asks for the upgrade, with these lines besides, and reads the answer to its last byte. A server
/// that speaks bytes gives the request back.
pub fn handshake(
    stream: &mut (impl Read + Write),
    host: SocketAddr,
    speaks: Speaks,
    lines: &str,
) -> Result<String> {
    let request = format!(
        "GET /echo HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{lines}\r\n"
    );
    stream.write_all(request.as_bytes())?;

    let mut buffer = [0; 1024];
    let mut length = 0;
    while !buffer[..length].ends_with(b"\r\n\r\n") {
        match stream.read(&mut buffer[length..])? {
            0 => return Err("the handshake was not answered".into()),
            n => length += n,
        }
    }
    let answer = str::from_utf8(&buffer[..length])?;
    let good = match speaks {
        Speaks::WebSocket => answer.starts_with("HTTP/1.1 101 ") && answer.contains(ACCEPT),
        Speaks::Bytes => answer == request,
    };
    if good {
        Ok(answer.to_owned())
    } else {
        Err(format!("the handshake was answered with {answer}").into())
    }
}
