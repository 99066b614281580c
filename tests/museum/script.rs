//! A scripted stream without a socket, which counts its calls, so that tests measure work by calls and
//! not by time.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::net::Shutdown;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ws101::{Client, Limits, Server, Stream, WebSocket};

use crate::sockets::{Side, accept_of, head, masked, request, unmasked};

/// The calls that a stream has received.
#[derive(Debug, Default)]
pub struct Calls {
    pub reads: usize,
    /// One for each call.
    pub writes: Vec<Vec<u8>>,
}

impl Calls {
    /// All written bytes, in their order.
    pub fn written(&self) -> Vec<u8> {
        self.writes.concat()
    }
}

/// What the other end does at each read, given all calls so far: it sends bytes, ends (no bytes), or fails.
type Part = dyn FnMut(&Calls) -> io::Result<Vec<u8>> + Send;

pub struct Script {
    part: Mutex<Box<Part>>,
    /// Bytes that didn't fit into the last read.
    rest: Mutex<VecDeque<u8>>,
    calls: Arc<Mutex<Calls>>,
}

/// A read whose timeout passed.
pub fn timeout() -> io::Result<Vec<u8>> {
    Err(ErrorKind::WouldBlock.into())
}

/// The end of the stream.
pub fn end() -> io::Result<Vec<u8>> {
    Ok(Vec::new())
}

pub fn script(
    part: impl FnMut(&Calls) -> io::Result<Vec<u8>> + Send + 'static,
) -> (Script, Arc<Mutex<Calls>>) {
    let calls = Arc::<Mutex<Calls>>::default();
    let part: Box<Part> = Box::new(part);
    (Script { part: Mutex::new(part), rest: Mutex::default(), calls: calls.clone() }, calls)
}

/// Opens a connection at this side. After the handshake the script decides what comes, and the calls
/// are counted.
pub fn open_script(
    side: Side,
    limits: Limits,
    mut part: impl FnMut(&Calls) -> io::Result<Vec<u8>> + Send + 'static,
) -> (WebSocket, Arc<Mutex<Calls>>) {
    let mut is_open = false;
    let (stream, calls) = script(move |calls| match std::mem::replace(&mut is_open, true) {
        true => part(calls),
        false if side == Side::Server => Ok(request(&[]).into()),
        false => Ok(switching(&calls.written()).into()),
    });
    let ws = match side {
        Side::Server => Server::without_listener().limits(limits).accept(stream),
        Side::Client => Client::new("ws://a").limits(limits).connect_over(stream),
    };
    *calls.lock().unwrap() = Calls::default();
    (ws.unwrap(), calls)
}

/// The good answer to a request.
pub fn switching(request: &[u8]) -> String {
    let request = str::from_utf8(request).unwrap();
    let key = request.split("Sec-WebSocket-Key: ").nth(1).unwrap().split("\r\n").next().unwrap();
    let accept = format!("Sec-WebSocket-Accept: {}", accept_of(key));
    let lines = ["Upgrade: websocket", "Connection: Upgrade", &accept];
    head("HTTP/1.1 101 Switching Protocols", &lines)
}

/// A frame to this side, masked where it must be.
pub fn frame_to(side: Side, first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    match side {
        Side::Server => masked(first, payload),
        Side::Client => unmasked(first, payload),
    }
}

/// The frames that a side has written, as first byte and payload.
pub fn frames_in(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let [first, second, ..] = *bytes {
        let (length, rest) = match second & 0x7f {
            126 => (usize::from(u16::from_be_bytes([bytes[2], bytes[3]])), &bytes[4..]),
            127 => (u64::from_be_bytes(*bytes[2..].first_chunk().unwrap()) as usize, &bytes[10..]),
            length => (usize::from(length), &bytes[2..]),
        };
        let (key, rest) = match second & 0x80 {
            0 => ([0; 4], rest),
            _ => (*rest.first_chunk().unwrap(), &rest[4..]),
        };
        let payload = rest[..length].iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key);
        frames.push((first, payload.collect()));
        bytes = &rest[length..];
    }
    assert_eq!(bytes, [], "a frame cut short");
    frames
}

impl Stream for Script {
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        let mut rest = self.rest.lock().unwrap();
        let mut calls = self.calls.lock().unwrap();
        calls.reads += 1;
        if rest.is_empty() {
            rest.extend((self.part.lock().unwrap())(&calls)?);
        }
        let count = rest.len().min(into.len());
        into.iter_mut().zip(rest.drain(..count)).for_each(|(to, from)| *to = from);
        Ok(count)
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        let count = bytes.len();
        self.calls.lock().unwrap().writes.push(bytes);
        Ok(count)
    }

    fn set_read_timeout(&self, _: Duration) -> io::Result<()> {
        Ok(())
    }

    fn set_write_timeout(&self, _: Duration) -> io::Result<()> {
        Ok(())
    }

    fn shutdown(&self, _: Shutdown) -> io::Result<()> {
        Ok(())
    }
}
