//! The receiving half of a connection: bytes in, events out.
//!
//! ```text
//! bytes ─► buffer ─► header ─► mask off ─► (inflate) ─► message.append ─► Message
//!                       │
//!                       └─ Ping, Pong, Close: may come between the fragments of a message
//! ```
//!
//! Rules of this file:
//! - The caller reads from somewhere into [`space`](Decoder::space), says how much
//!   [came](Decoder::filled), and asks for the [`next_event`](Decoder::next_event) until there is none.
//! - The events are the same, however the bytes were cut into reads.
//! - After a violation or a Close nothing is delivered any more (§7.1.7, §5.5.1).

use super::assembler::{Assembler, Bounds};
use super::buffer::Buffer;
use super::close::Close;
use super::deflate::Inflater;
use super::header::{Header, Opcode, Role};
use super::mask;
use super::message::{Message, MessageKind};
use super::violation::Violation;

/// What can arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A whole message.
    Message(Message),
    /// A piece of a message, for one who asked for pieces: see [`Decoder::deliver_pieces`].
    Piece {
        /// The kind of the message.
        kind: MessageKind,
        /// The next of its bytes: whole characters, if it is text.
        bytes: Vec<u8>,
        /// Whether the message ends with them.
        last: bool,
    },
    /// A question that wants a pong with the same payload.
    Ping(Vec<u8>),
    /// The answer to a ping, or one that nobody asked for.
    Pong(Vec<u8>),
    /// The peer has said its last.
    Close(Close),
}

/// The receiving half.
#[derive(Debug)]
pub struct Decoder {
    role: Role,
    buffer: Buffer,
    /// The frame whose payload is arriving, and how much of that has come.
    frame: Option<(Header, u64)>,
    message: Assembler,
    /// `Some` where compression was agreed on.
    inflater: Option<Box<Inflater>>,
    /// The payload of a control frame, which may interrupt a message.
    control: Vec<u8>,
    pieces: bool,
    ended: bool,
}

impl Decoder {
    /// The receiving half at this end. The buffer may hold bytes that came behind the head.
    pub fn new(role: Role, bounds: Bounds, buffer: Buffer) -> Decoder {
        let (message, control) = (Assembler::new(bounds), Vec::new());
        let (frame, inflater) = (None, None);
        Decoder { role, buffer, frame, message, inflater, control, pieces: false, ended: false }
    }

    /// Compression was agreed on, or not.
    pub fn inflating(self, inflater: Option<Box<Inflater>>) -> Decoder {
        Decoder { inflater, ..self }
    }

    /// Where the next bytes from the peer may be put.
    pub fn space(&mut self) -> &mut [u8] {
        self.buffer.space()
    }

    /// So many bytes have been put there.
    pub fn filled(&mut self, count: usize) {
        self.buffer.filled(count);
    }

    /// Gives back memory that an idle connection does not need.
    pub fn shrink(&mut self) {
        self.buffer.shrink();
        if self.message.inside().is_none()
            && let Some(inflater) = &mut self.inflater
        {
            inflater.shrink();
        }
    }

    /// From now on: in pieces as they arrive, or whole. To be switched back between two messages only:
    /// pieces that were given out are not given again.
    pub fn deliver_pieces(&mut self, pieces: bool) {
        self.pieces = pieces;
    }

    /// The next event, or `None` if it needs more bytes. After an error or a Close there is none.
    #[inline]
    pub fn next_event(&mut self) -> Result<Option<Event>, Violation> {
        if self.ended {
            self.buffer.clear();
            return Ok(None);
        }
        let next = self.step();
        self.ended = matches!(next, Err(_) | Ok(Some(Event::Close(_))));
        next
    }

    /// Whether bytes of a frame or a message have come whose end has not.
    pub fn is_in_midst(&mut self) -> bool {
        self.frame.is_some() || self.message.inside().is_some() || !self.buffer.unread().is_empty()
    }

    #[inline]
    fn step(&mut self) -> Result<Option<Event>, Violation> {
        loop {
            // 1. A header, unless we are inside a frame.
            let (header, taken) = match self.frame.take() {
                Some(frame) => frame,
                None => match self.begin_frame()? {
                    Some(header) => (header, 0),
                    None => return Ok(None),
                },
            };

            // 2. What is here of its payload. // WALK: unmask
            // The mask comes off in place, before anybody copies or reads it, while it is in the cache.
            let missing = usize::try_from(header.length - taken).unwrap_or(usize::MAX);
            let most = if self.pieces { self.most_at_a_time() } else { usize::MAX };
            let unread = self.buffer.unread();
            let count = missing.min(unread.len()).min(most);
            let piece = &mut unread[..count];
            if let Some(key) = header.mask {
                mask::apply(key, taken, piece);
            }

            // 3. To where it belongs.
            let whole = count == missing;
            let compressed = self.message.is_compressed();
            match &mut self.inflater {
                _ if header.opcode.is_control() => self.control.extend_from_slice(piece),
                Some(inflater) if compressed => {
                    inflater.inflate(piece, |bytes| self.message.append(bytes))?;
                    if whole && header.fin {
                        inflater.finish()?;
                    }
                }
                _ => self.message.append(piece)?,
            }
            self.buffer.consume(count);
            if !whole {
                self.frame = Some((header, taken + count as u64));
            }

            // 4. What that makes.
            match header.opcode {
                Opcode::Text | Opcode::Binary | Opcode::Continuation => {
                    let last = whole && header.fin;
                    if self.pieces && (last || count > 0) {
                        return self.piece(last).map(Some);
                    }
                    if last {
                        return Ok(Some(Event::Message(self.message.finish()?)));
                    }
                }
                Opcode::Ping if whole => return Ok(Some(Event::Ping(self.take_control()))),
                Opcode::Pong if whole => return Ok(Some(Event::Pong(self.take_control()))),
                Opcode::Close if whole => {
                    return Ok(Some(Event::Close(Close::parse(&self.take_control())?)));
                }
                Opcode::Ping | Opcode::Pong | Opcode::Close => {}
            }
            if !whole {
                return Ok(None);
            }
        }
    }

    /// Reads a header and asks whether it may stand here.
    #[inline]
    fn begin_frame(&mut self) -> Result<Option<Header>, Violation> {
        let rsv1_has_meaning = self.inflater.is_some();
        let parsed = Header::parse(self.buffer.unread(), self.role, rsv1_has_meaning)?;
        let Some((header, length)) = parsed else { return Ok(None) };
        log::trace!("{:?} got {header}", self.role);
        self.buffer.consume(length);
        self.message.begin_fragment(&header)?;
        Ok(Some(header))
    }

    fn piece(&mut self, last: bool) -> Result<Event, Violation> {
        let kind = self.message.inside().unwrap_or(MessageKind::Binary);
        let bytes = match last {
            false => self.message.take_so_far(),
            true => match self.message.finish()? {
                Message::Text(text) => text.into_bytes(),
                Message::Binary(bytes) => bytes,
            },
        };
        Ok(Event::Piece { kind, bytes, last })
    }

    /// For one who reads in constant memory: DEFLATE makes up to 1032 bytes of one.
    fn most_at_a_time(&self) -> usize {
        if self.message.is_compressed() { 1024 } else { usize::MAX }
    }

    fn take_control(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.control)
    }
}
