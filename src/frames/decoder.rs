//! The decoder, a connection's receiving half: bytes in, events out (RFC 6455 §5, §6.2).
//!
//! ```text
//! bytes ─► buffer ─► header ─► unmask ───► (inflate) ─► message.append ─► Message
//!                       │
//!                       └─ Ping, Pong, Close: may come between the fragments of a message
//! ```
//!
//! Rules of this file:
//! - The caller reads bytes into [`space`](Decoder::space), reports [how many](Decoder::filled),
//!   and calls [`next_event`](Decoder::next_event) until it returns `None`.
//! - The events are the same however the reads split the bytes.
//! - After a violation or a Close, the decoder delivers nothing more (§7.1.7, §5.5.1).
//!
//! Elsewhere: [`header`](super::header) refuses a bad header, [`assembler`](super::assembler) a bad
//! order or size, [`utf8`](super::utf8) bad text, [`deflate`](super::deflate) bad compressed data
//! and [`close`](super::close) a bad Close. The connection's reading thread does the I/O and
//! answers pings.

use super::assembler::{Assembler, Bounds};
use super::buffer::Buffer;
use super::close::Close;
use super::deflate::Inflater;
use super::header::{Header, Opcode, Role};
use super::mask;
use super::message::{Message, MessageKind};
use super::violation::Violation;

/// Something that the peer sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A whole message.
    Message(Message),
    /// A piece of a message, for a caller that asked for pieces: see [`Decoder::deliver_pieces`].
    Piece {
        /// The kind of the message.
        kind: MessageKind,
        /// The message's next bytes. Pieces of a text hold whole characters.
        bytes: Vec<u8>,
        /// Whether this piece ends the message.
        last: bool,
    },
    /// A ping, to be answered with a pong of the same payload.
    Ping(Vec<u8>),
    /// The answer to a ping, or an unsolicited pong.
    Pong(Vec<u8>),
    /// The peer's Close, its last frame.
    Close(Close),
}

/// The receiving half of a connection.
#[derive(Debug)]
pub struct Decoder {
    role: Role,
    buffer: Buffer,
    /// The frame whose payload is arriving, and how many of its bytes have arrived.
    frame: Option<(Header, u64)>,
    message: Assembler,
    /// `Some` if both ends agreed on compression.
    inflater: Option<Box<Inflater>>,
    /// The payload of a control frame. It's kept apart from the message, which the frame may
    /// interrupt.
    control: Vec<u8>,
    pieces: bool,
    /// The limit of messages that are delivered whole. `max_streamed` is that of messages delivered
    /// in pieces.
    max_message: u64,
    max_streamed: u64,
    ended: bool,
}

impl Decoder {
    /// Creates the decoder for this role. The buffer may already hold bytes that came after the
    /// head.
    pub fn new(role: Role, bounds: Bounds, buffer: Buffer) -> Decoder {
        Decoder {
            role,
            buffer,
            frame: None,
            message: Assembler::new(bounds),
            inflater: None,
            control: Vec::new(),
            pieces: false,
            max_message: bounds.max_message,
            max_streamed: bounds.max_message,
            ended: false,
        }
    }

    /// Sets the inflater, which is `None` unless both ends agreed on compression.
    pub fn inflating(self, inflater: Option<Box<Inflater>>) -> Decoder {
        Decoder { inflater, ..self }
    }

    /// Sets the limit of messages that are delivered in pieces. It may be large, because such a
    /// message is never in memory as a whole.
    pub fn limit_streamed(self, max_streamed: u64) -> Decoder {
        Decoder { max_streamed, ..self }
    }

    /// The space into which the caller reads the peer's next bytes.
    pub fn space(&mut self) -> &mut [u8] {
        self.buffer.space()
    }

    /// Reports that the caller has read `count` bytes into the space.
    pub fn filled(&mut self, count: usize) {
        self.buffer.filled(count);
    }

    /// Frees memory that an idle connection doesn't need.
    pub fn shrink(&mut self) {
        self.buffer.shrink();
        if self.message.open_kind().is_none()
            && let Some(inflater) = &mut self.inflater
        {
            inflater.shrink();
        }
    }

    /// Selects whether messages are delivered in pieces as they arrive, or whole. Switch back only
    /// between two messages, because pieces already delivered aren't delivered again.
    pub fn deliver_pieces(&mut self, pieces: bool) {
        self.pieces = pieces;
        let limit = if pieces { self.max_streamed } else { self.max_message };
        self.message.limit_message(limit);
        if let Some(inflater) = &mut self.inflater {
            inflater.limit_message(limit);
        }
    }

    /// The next event, or `None` if the decoder needs more bytes. After an error or a Close, always
    /// `None`.
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

    /// Whether the peer is in the middle of a frame or a message.
    pub fn is_mid_message(&mut self) -> bool {
        self.frame.is_some()
            || self.message.open_kind().is_some()
            || !self.buffer.unread().is_empty()
    }

    #[inline]
    fn step(&mut self) -> Result<Option<Event>, Violation> {
        loop {
            // 1. Read a header, unless we're inside a frame.
            let (header, taken) = match self.frame.take() {
                Some(frame) => frame,
                None => match self.begin_frame()? {
                    Some(header) => (header, 0),
                    None => return Ok(None),
                },
            };

            // 2. Take the payload bytes that have arrived. // WALK: unmask
            // They're unmasked in place, before any copy or check, while they're in the CPU's
            // cache.
            let missing = usize::try_from(header.length - taken).unwrap_or(usize::MAX);
            let most = if self.pieces { self.most_at_a_time() } else { usize::MAX };
            let unread = self.buffer.unread();
            let count = missing.min(unread.len()).min(most);
            let piece = &mut unread[..count];
            if let Some(key) = header.mask {
                mask::apply(key, taken, piece);
            }

            // 3. Pass the bytes on: to the control payload, the inflater or the message.
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

            // 4. Return the event that they complete, if any.
            match header.opcode {
                Opcode::Text | Opcode::Binary | Opcode::Continuation => {
                    let last = whole && header.fin;
                    if self.pieces && (last || count > 0) {
                        return self.next_piece(last).map(Some);
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

    /// Reads a header and checks that its frame may come next.
    #[inline]
    fn begin_frame(&mut self) -> Result<Option<Header>, Violation> {
        let rsv1_has_meaning = self.inflater.is_some();
        let begun = self.message.begin_frame(self.buffer.unread(), self.role, rsv1_has_meaning)?;
        let Some((header, length)) = begun else { return Ok(None) };
        log::trace!("{:?} got {header}", self.role);
        self.buffer.consume(length);
        Ok(Some(header))
    }

    fn next_piece(&mut self, last: bool) -> Result<Event, Violation> {
        let kind = self.message.open_kind().unwrap_or(MessageKind::Binary);
        let bytes = match last {
            false => self.message.take_so_far(),
            true => match self.message.finish()? {
                Message::Text(text) => text.into_bytes(),
                Message::Binary(bytes) => bytes,
            },
        };
        Ok(Event::Piece { kind, bytes, last })
    }

    /// Returns how many payload bytes one piece may take. The caller's memory must stay constant,
    /// and DEFLATE inflates one byte to up to 1032.
    fn most_at_a_time(&self) -> usize {
        if self.message.is_compressed() { 1024 } else { usize::MAX }
    }

    fn take_control(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.control)
    }
}
