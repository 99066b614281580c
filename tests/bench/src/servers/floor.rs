//! The least that a WebSocket echo of our design costs: nothing is checked, nothing has a limit or
//! a deadline. Each connection has a thread, each message memory of its own, and the replies pass a
//! lock, because other threads may send, too.
//!
//! What ws101 takes beyond this, it takes for the rules of the RFC and for its promises.

use std::io::{IoSlice, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Mutex, PoisonError};
use std::{mem, thread};

use ws101::frames::mask;
use ws101::handshake::accept_key;

use super::{ANY_PORT, Mode, announce, not_here};
use crate::Result;

/// From this size on, a message isn't copied behind its header.
const LARGE: usize = 64 * 1024;
const CLOSE: u8 = 0x8;

pub fn serve(mode: Mode) -> Result<()> {
    if mode != Mode::Echo {
        return not_here(mode);
    }
    let listener = TcpListener::bind(ANY_PORT)?;
    announce(listener.local_addr()?)?;
    for stream in listener.incoming() {
        let stream = stream?;
        stream.set_nodelay(true)?;
        thread::spawn(move || echo(stream));
    }
    Ok(())
}

fn echo(mut stream: TcpStream) -> Result<()> {
    let mut buffer = vec![0; 256 * 1024];
    let mut end = upgrade(&mut stream, &mut buffer)?;
    let replies = Mutex::new(Vec::new());
    let lock = || replies.lock().unwrap_or_else(PoisonError::into_inner);
    let mut arriving: Option<Arriving> = None;
    loop {
        let mut rest = &mut buffer[..end];
        while let Some(mut frame) = arriving.take().or_else(|| Arriving::begin(&mut rest)) {
            frame.take(&mut rest);
            if frame.missing > 0 {
                arriving = Some(frame);
                break;
            }
            let mut replies = lock();
            write_header(&mut replies, frame.first, frame.message.len());
            if frame.message.len() < LARGE {
                replies.extend(&frame.message);
            } else {
                write_both(&mut stream, &replies, &frame.message)?;
                replies.clear();
            }
            if frame.first & 0xf == CLOSE {
                stream.write_all(&replies)?;
                return wait_for_end(stream);
            }
        }
        let left = rest.len();
        buffer.copy_within(end - left..end, 0);
        let mut replies = lock();
        if !replies.is_empty() {
            stream.write_all(&replies)?;
            replies.clear();
        }
        end = match stream.read(&mut buffer[left..])? {
            0 => return Ok(()),
            count => left + count,
        };
    }
}

/// Answers the request. Returns how many bytes came after it; they're at the front of the buffer.
fn upgrade(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<usize> {
    let mut end = 0;
    let head = loop {
        end += match stream.read(&mut buffer[end..])? {
            0 => return Err("no head".into()),
            count => count,
        };
        if let Some(at) = buffer[..end].windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let text = str::from_utf8(&buffer[..head])?;
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    let key = fields.find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"));
    let (_, key) = key.ok_or("no key")?;
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        accept_key::accept(key.trim())
    );
    stream.write_all(response.as_bytes())?;
    buffer.copy_within(head..end, 0);
    Ok(end - head)
}

/// A frame whose payload is arriving. It's taken for a whole message.
struct Arriving {
    first: u8,
    key: mask::Key,
    missing: usize,
    message: Vec<u8>,
}

impl Arriving {
    /// Takes a header from the front of these bytes, if it's complete.
    fn begin(bytes: &mut &mut [u8]) -> Option<Arriving> {
        let (first, short) = (*bytes.first()?, usize::from(bytes.get(1)? & 0x7f));
        let (length, extended) = match short {
            126 => (u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?).into(), 2),
            127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize, 8),
            length => (length, 0),
        };
        let header = 2 + extended + 4;
        let key = bytes.get(header - 4..header)?.try_into().ok()?;
        *bytes = &mut mem::take(bytes)[header..];
        Some(Arriving { first, key, missing: length, message: Vec::with_capacity(length) })
    }

    /// Takes its payload from the front of these bytes.
    fn take(&mut self, bytes: &mut &mut [u8]) {
        let count = self.missing.min(bytes.len());
        let (piece, rest) = mem::take(bytes).split_at_mut(count);
        mask::apply(self.key, self.message.len() as u64, piece);
        self.message.extend_from_slice(piece);
        self.missing -= count;
        *bytes = rest;
    }
}

fn write_header(out: &mut Vec<u8>, first: u8, length: usize) {
    out.push(first);
    match length {
        0..126 => out.push(length as u8),
        126..0x1_0000 => {
            out.push(126);
            out.extend((length as u16).to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend((length as u64).to_be_bytes());
        }
    }
}

fn write_both(stream: &mut TcpStream, first: &[u8], second: &[u8]) -> Result<()> {
    let written = stream.write_vectored(&[IoSlice::new(first), IoSlice::new(second)])?;
    stream.write_all(first.get(written..).unwrap_or_default())?;
    Ok(stream.write_all(&second[written.saturating_sub(first.len())..])?)
}

/// §7.1.1: the server ends its direction first.
fn wait_for_end(mut stream: TcpStream) -> Result<()> {
    stream.shutdown(Shutdown::Write)?;
    while stream.read(&mut [0; 64])? > 0 {}
    Ok(())
}
