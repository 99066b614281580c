//! Messages compressed, as a browser would ask for it. What a server makes of a message nobody can
//! foretell, so each answer is inflated and compared.
//!
//! The messages are compressed beforehand, each by itself, which a client may do: so they can be
//! sent over and over. What comes back may repeat what came before.

use std::io::{BufReader, Write};
use std::net::TcpStream;
use std::sync::Arc;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

use super::blocking::{self, Exchange};
use super::{Span, dial};
use crate::Result;
use crate::payload::Message;
use crate::peers::Speaks;
use crate::process::Server;
use crate::results::Sample;
use crate::scenarios::Payload;
use crate::wire;

const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
const AGREED: &str = "permessage-deflate";

/// What ends a compressed message, and is not sent (RFC 7692 §7.2.1).
const TAIL: &[u8] = &[0, 0, 0xff, 0xff];

/// Different ones, so that an answer can be told from another's.
const MESSAGES: usize = 16;

pub fn run(server: &Server, connections: usize, payload: Payload, span: Span) -> Result<Sample> {
    let asked: Result<Vec<_>> = (0..MESSAGES).map(|index| Asked::new(payload, index)).collect();
    let asked = Arc::new(asked?);
    let connections = (0..connections).map(|index| Connection::open(server, &asked, index));
    blocking::run(server, connections.collect::<Result<Vec<_>>>()?, span)
}

/// A message, and the frame that it is sent in.
struct Asked {
    payload: Vec<u8>,
    frame: Vec<u8>,
}

impl Asked {
    fn new(payload: Payload, index: usize) -> Result<Self> {
        let plain = payload.message(index);
        let mut deflated = Vec::with_capacity(plain.payload.len() + 64);
        Compress::new(Compression::default(), false).compress_vec(
            &plain.payload,
            &mut deflated,
            FlushCompress::Sync,
        )?;
        let Some(length) = deflated.strip_suffix(TAIL).map(<[u8]>::len) else {
            return Err("a message was not compressed in one piece".into());
        };
        deflated.truncate(length);
        let message = Message { is_deflated: true, payload: deflated, ..plain };
        Ok(Self { payload: plain.payload, frame: wire::request(&message, index) })
    }
}

struct Connection {
    stream: BufReader<TcpStream>,
    asked: Arc<Vec<Asked>>,
    next: usize,
    received: Vec<u8>,
    inflater: Decompress,
    inflated: Vec<u8>,
}

impl Connection {
    fn open(server: &Server, asked: &Arc<Vec<Asked>>, index: usize) -> Result<Self> {
        let mut stream = dial(server)?;
        let answer = wire::handshake(&mut stream, server.address, Speaks::WebSocket, OFFER)?;
        if !answer.contains(AGREED) {
            return Err("the server does not compress".into());
        }
        Ok(Self {
            stream: BufReader::new(stream),
            asked: asked.clone(),
            next: index % asked.len(),
            received: Vec::new(),
            inflater: Decompress::new(false),
            inflated: Vec::new(),
        })
    }

    /// Undoes what the server did to the message that was received.
    fn inflate(&mut self, length: usize) -> Result<()> {
        self.received.extend(TAIL);
        self.inflated.clear();
        // More than it may become: what is longer is wrong.
        self.inflated.reserve(length + 64);
        let flush = FlushDecompress::Sync;
        let before = self.inflater.total_in();
        self.inflater.decompress_vec(&self.received, &mut self.inflated, flush)?;
        if self.inflater.total_in() - before == self.received.len() as u64 {
            Ok(())
        } else {
            Err("an answer is longer than what was sent".into())
        }
    }
}

impl Exchange for Connection {
    fn exchange(&mut self) -> Result<()> {
        let asked = self.asked.clone();
        let Asked { payload, frame } = &asked[self.next];
        self.stream.get_mut().write_all(frame)?;
        if !wire::read_text(&mut self.stream, &mut self.received)? {
            return Err("an answer is not compressed".into());
        }
        self.inflate(payload.len())?;
        if self.inflated != *payload {
            return Err("an answer is not what was sent".into());
        }
        self.next = (self.next + 1) % asked.len();
        Ok(())
    }
}
