//! A handwritten client that can do what no good client does: write any bytes, stop anywhere, and
//! not read. Clients use many addresses, from 127.0.0.2 on, because one address has only about
//! 28,000 ports for outgoing connections.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::Result;

pub const CONTINUATION: u8 = 0x0;
pub const TEXT: u8 = 0x1;
pub const BINARY: u8 = 0x2;
pub const CLOSE: u8 = 0x8;
pub const PING: u8 = 0x9;
pub const PONG: u8 = 0xA;
/// Added to the opcode: the last fragment; compressed.
pub const FIN: u8 = 0x80;
pub const RSV1: u8 = 0x40;

/// The key and the answer of RFC 6455 §1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// What takes longer does not come any more.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How many addresses there are to come from.
const ADDRESSES: u32 = 200;

pub struct Peer {
    pub stream: TcpStream,
    /// Bytes that have come and are not yet looked at.
    came: Vec<u8>,
    looked_at: usize,
    /// The code of the Close that has come.
    pub closed_with: Option<u16>,
    /// The server has ended the stream, or cut it.
    pub ended: bool,
}

pub struct Frame {
    pub first: u8,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn opcode(&self) -> u8 {
        self.first & 0x0F
    }

    /// The code of a Close.
    fn code(&self) -> Option<u16> {
        self.payload.first_chunk().map(|code| u16::from_be_bytes(*code))
    }
}

/// Connects from the next address. Who is not going to read has a small buffer for what comes, and the small
/// segments of a real network: over those of loopback, 64 KiB each, Linux would buffer megabytes for it.
pub fn dial(to: SocketAddr, deaf: bool) -> Result<TcpStream> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let last = 2 + NEXT.fetch_add(1, Relaxed) % ADDRESSES;
    let from = SocketAddr::from((Ipv4Addr::new(127, 0, 0, last as u8), 0));
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    if deaf {
        socket.set_recv_buffer_size(4096)?;
        socket.set_tcp_mss(1400)?;
    }
    socket.bind(&from.into())?;
    socket.connect_timeout(&to.into(), PATIENCE)?;
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// A request that will be answered with 101.
pub fn request(to: SocketAddr, path: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {to}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{more}\r\n"
    )
}

/// A masked frame, as clients send it.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..126 => bytes.push(0x80 | length as u8),
        length @ 126..=0xFFFF => {
            bytes.push(0x80 | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        length => {
            bytes.push(0x80 | 127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

impl Peer {
    pub fn new(stream: TcpStream) -> Peer {
        Peer { stream, came: Vec::new(), looked_at: 0, closed_with: None, ended: false }
    }

    /// Connected, and nothing said.
    pub fn dial(to: SocketAddr) -> Result<Peer> {
        Ok(Peer::new(dial(to, false)?))
    }

    /// An open WebSocket.
    pub fn open(to: SocketAddr, path: &str) -> Result<Peer> {
        let mut peer = Peer::dial(to)?;
        match peer.ask(to, path, "")? {
            101 => Ok(peer),
            status => Err(format!("the server answered {status}").into()),
        }
    }

    /// Asks for a WebSocket: with which status it was answered.
    pub fn ask(&mut self, to: SocketAddr, path: &str, more: &str) -> Result<u16> {
        self.stream.write_all(request(to, path, more).as_bytes())?;
        self.status()
    }

    /// Reads the head of an answer.
    pub fn status(&mut self) -> Result<u16> {
        let end = loop {
            if let Some(end) = self.rest().windows(4).position(|end| end == b"\r\n\r\n") {
                break end + 4;
            }
            self.read()?;
        };
        let head = String::from_utf8_lossy(&self.rest()[..end]).into_owned();
        self.looked_at += end;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| format!("no answer in HTTP: {head}"))?;
        if status == 101 && !head.contains(ACCEPT) {
            return Err("101 with a wrong Sec-WebSocket-Accept".into());
        }
        Ok(status)
    }

    fn rest(&self) -> &[u8] {
        &self.came[self.looked_at..]
    }

    fn read(&mut self) -> io::Result<()> {
        let mut piece = [0; 16 * 1024];
        match self.stream.read(&mut piece) {
            Ok(0) => {
                self.ended = true;
                Err(ErrorKind::UnexpectedEof.into())
            }
            Ok(count) => {
                self.came.drain(..self.looked_at);
                self.looked_at = 0;
                self.came.extend_from_slice(&piece[..count]);
                Ok(())
            }
            Err(error) => {
                let later = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
                self.ended |= !later && error.kind() != ErrorKind::Interrupted;
                Err(error)
            }
        }
    }

    pub fn send(&mut self, first: u8, payload: &[u8]) -> io::Result<()> {
        self.stream.write_all(&frame(first, payload))
    }

    /// The next frame of those that have come whole.
    fn frame_here(&mut self) -> Result<Option<Frame>> {
        let rest = self.rest();
        let (Some(&first), Some(&second)) = (rest.first(), rest.get(1)) else { return Ok(None) };
        if second & 0x80 != 0 {
            return Err("the server masks".into());
        }
        let (start, length) = match second {
            126 => match rest.get(2..4) {
                Some(length) => (4, usize::from(u16::from_be_bytes(length.try_into()?))),
                None => return Ok(None),
            },
            127 => match rest.get(2..10) {
                Some(length) => (10, u64::from_be_bytes(length.try_into()?) as usize),
                None => return Ok(None),
            },
            length => (2, usize::from(length)),
        };
        let Some(payload) = rest.get(start..start + length) else { return Ok(None) };
        let frame = Frame { first, payload: payload.to_vec() };
        self.looked_at += start + length;
        Ok(Some(frame))
    }

    /// Waits for the next frame.
    pub fn frame(&mut self) -> Result<Frame> {
        loop {
            if let Some(frame) = self.frame_here()? {
                return Ok(frame);
            }
            self.read()?;
        }
    }

    /// Waits for the next frame that is no ping; pings are answered.
    pub fn next(&mut self) -> Result<Frame> {
        loop {
            match self.frame()? {
                ping if ping.opcode() == PING => self.send(FIN | PONG, &ping.payload)?,
                frame => return Ok(frame),
            }
        }
    }

    /// Sends a text and waits for it to come back.
    pub fn echo(&mut self, text: &str) -> Result<()> {
        self.send(FIN | TEXT, text.as_bytes())?;
        let frame = self.next()?;
        match frame.first == FIN | TEXT && frame.payload == text.as_bytes() {
            true => Ok(()),
            false => Err(format!("{text} came back as {:x}", frame.first).into()),
        }
    }

    /// Reads to the end of the stream: the code of the Close that came before, if one did.
    pub fn read_to_close(&mut self) -> Result<Option<u16>> {
        while !self.ended {
            match self.frame_here()? {
                Some(frame) if frame.opcode() == CLOSE => self.closed_with = frame.code(),
                Some(_) => {}
                None => match self.read() {
                    Err(error) if !self.ended => return Err(error.into()),
                    _ => {}
                },
            }
        }
        Ok(self.closed_with)
    }

    /// Closes as one should: both say Close, and the server ends the stream first.
    pub fn close(mut self) -> Result<()> {
        self.send(FIN | CLOSE, &1000u16.to_be_bytes())?;
        match self.read_to_close()? {
            Some(1000) => Ok(()),
            other => Err(format!("1000 was answered with {other:?}").into()),
        }
    }

    /// Without waiting: looks at what has come, answers pings and a Close. For one of a crowd, whose
    /// streams do not block. What comes of messages is counted.
    pub fn tend(&mut self) -> Result<u64> {
        let mut messages = 0;
        while !self.ended {
            while let Some(frame) = self.frame_here()? {
                match frame.opcode() {
                    PING => drop(self.send(FIN | PONG, &frame.payload)),
                    CLOSE => {
                        self.closed_with = frame.code();
                        let _ = self.send(FIN | CLOSE, &frame.payload);
                    }
                    _ => messages += u64::from(frame.first & FIN != 0),
                }
            }
            match self.read() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                _ => {}
            }
        }
        Ok(messages)
    }

    /// Leaves with a reset: whatever is on its way is destroyed.
    pub fn reset(self) -> Result<()> {
        Ok(Socket::from(self.stream).set_linger(Some(Duration::ZERO))?)
    }
}
