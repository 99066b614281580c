//! The decoder, a connection's receiving half, turns the peer's bytes into events (RFC 6455 §5,
//! §6.2).
//!
//! ```text
//! bytes ─► buffer ─► header ─► unmask ───► (inflate) ─► message.append ─► Message
//!                       │
//!                       └─ Ping, Pong, Close: may come between the fragments of a message
//! ```
//!
//! Rules of this file:
//! - The caller reads bytes into [`space`](Decoder::space), passes their number to
//!   [`filled`](Decoder::filled), and calls [`next_event`](Decoder::next_event) until it returns
//!   `None`.
//! - The same bytes produce the same events, no matter how the reads split them. Only the
//!   boundaries between a message's pieces ([`Event::Piece`]) depend on the reads.
//! - After a violation or a Close, the decoder delivers nothing more (§7.1.7, §5.5.1).
//!
//! Elsewhere: [`header`](super::header) validates headers, and [`assembler`](super::assembler) the
//! order and size of fragments. [`utf8`](super::utf8) validates text, [`deflate`](super::deflate)
//! inflates compressed data, and [`close`](super::close) parses a Close frame's payload. The
//! connection's reading thread does the I/O and answers pings.

use super::assembler::{Assembler, Bounds};
use super::buffer::Buffer;
use super::close::Close;
use super::deflate::Inflater;
use super::header::{Header, Opcode, Role};
use super::mask;
use super::message::{Message, MessageKind};
use super::violation::Violation;

/// A decoded event from the peer: a message, a piece of a message, or a control frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A complete message from the peer.
    Message(Message),
    /// A piece of a message, delivered instead of the whole message: see
    /// [`Decoder::deliver_pieces`].
    Piece {
        /// Whether the message is text or binary.
        kind: MessageKind,
        /// The message's next bytes, possibly none. A piece of text never ends inside a character.
        bytes: Vec<u8>,
        /// Whether this is the message's last piece.
        last: bool,
    },
    /// A ping with this payload. The reading thread must answer it with a pong that repeats the
    /// payload.
    Ping(Vec<u8>),
    /// A pong with this payload. The pong answers a ping, or is unsolicited.
    Pong(Vec<u8>),
    /// The peer's Close. It's the last event of the connection.
    Close(Close),
}

/// The decoder of one connection. It turns the peer's bytes into events for its owner, the reading
/// thread.
#[derive(Debug)]
pub struct Decoder {
    role: Role,
    buffer: Buffer,
    /// The frame whose payload is arriving, as `(header, taken)`: its header, and how many of its
    /// payload bytes have been taken from the receive buffer. `None` between frames.
    frame: Option<(Header, u64)>,
    message: Assembler,
    /// Inflates the peer's compressed messages. `None` if the two ends haven't agreed on
    /// compression.
    inflater: Option<Box<Inflater>>,
    /// The payload of the arriving control frame. It has its own buffer, because a control frame
    /// may come between the fragments of a message.
    control: Vec<u8>,
    pieces: bool,
    /// The maximum payload size, in bytes, of a message that's delivered whole. `max_streamed`
    /// applies to messages that are delivered in pieces.
    max_message: u64,
    max_streamed: u64,
    ended: bool,
}

impl Decoder {
    /// Creates a connection's decoder. `role` is the role of our end. `bounds` are the limits on
    /// each message. `buffer` may already hold bytes that arrived directly after the handshake's
    /// HTTP head.
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

    /// Sets the inflater for the peer's compressed messages. Pass `None` if the two ends haven't
    /// agreed on compression: the decoder then refuses compressed messages.
    pub fn inflating(self, inflater: Option<Box<Inflater>>) -> Decoder {
        Decoder { inflater, ..self }
    }

    /// Sets the maximum payload size, in bytes, of a message that's delivered in pieces. This limit
    /// may be large, because such a message is never completely in memory. Without this call, the
    /// limit is the same as for a message that's delivered whole.
    pub fn limit_streamed(self, max_streamed: u64) -> Decoder {
        Decoder { max_streamed, ..self }
    }

    /// Returns the free space in the receive buffer, into which the caller must read the peer's
    /// next bytes.
    pub fn space(&mut self) -> &mut [u8] {
        self.buffer.space()
    }

    /// Records that the caller has read `count` bytes from the stream into
    /// [`space`](Decoder::space).
    pub fn filled(&mut self, count: usize) {
        self.buffer.filled(count);
    }

    /// Frees memory that an idle connection doesn't need. The receive buffer shrinks to 512 bytes
    /// unless it holds unread bytes, and the decompressor is freed unless a message is unfinished.
    pub fn free_idle_memory(&mut self) {
        self.buffer.free_idle_memory();
        if self.message.open_kind().is_none()
            && let Some(inflater) = &mut self.inflater
        {
            inflater.free_idle_memory();
        }
    }

    /// Sets whether the decoder delivers messages in pieces as they arrive (`true`) or whole
    /// (`false`), and applies the size limit for that kind of delivery. Switch back to whole
    /// messages only between two messages: otherwise, a message would lack the pieces that have
    /// been delivered.
    pub fn deliver_pieces(&mut self, pieces: bool) {
        self.pieces = pieces;
        let limit = if pieces { self.max_streamed } else { self.max_message };
        self.message.limit_message(limit);
        if let Some(inflater) = &mut self.inflater {
            inflater.limit_message(limit);
        }
    }

    /// Returns the next event, or `None` if the decoder needs more bytes. Fails if the peer broke a
    /// rule or exceeded a limit. After a failure or the peer's Close, this function always returns
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

    /// Returns whether all received bytes are parsed.
    #[inline]
    pub fn has_parsed_all(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Returns whether the peer has begun a frame or a message that it hasn't completed yet.
    /// Received bytes that aren't parsed yet count too.
    pub fn is_mid_message(&mut self) -> bool {
        self.frame.is_some() || self.message.open_kind().is_some() || !self.has_parsed_all()
    }

    #[inline]
    fn step(&mut self) -> Result<Option<Event>, Violation> {
        loop {
            // 1. Parse a header, unless a frame's payload is still arriving.
            if self.frame.is_none() {
                self.begin_frame()?;
            }
            let most = if self.pieces { self.most_at_a_time() } else { usize::MAX };
            let Some((header, taken)) = &mut self.frame else { return Ok(None) };
            let header = *header;

            // 2. Take the payload bytes that have arrived. // WALK: unmask
            // They're unmasked in place, before any copy or check, while they're in the CPU's
            // cache.
            let missing = usize::try_from(header.length - *taken).unwrap_or(usize::MAX);
            let unread = self.buffer.unread();
            let count = missing.min(unread.len()).min(most);
            let piece = &mut unread[..count];
            if let Some(key) = header.mask {
                mask::apply(key, *taken, piece);
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
            *taken += count as u64;
            if whole {
                self.frame = None;
            }

            // 4. Return the event that these bytes complete, if they complete one.
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

    /// Moves the next frame's header from the receive buffer into `frame`. Leaves `frame` as `None`
    /// if the header isn't complete yet. Fails if the header is invalid, if the frame is out of
    /// order, or if its message would exceed a limit.
    #[inline]
    fn begin_frame(&mut self) -> Result<(), Violation> {
        let rsv1_has_meaning = self.inflater.is_some();
        let begun = self.message.begin_frame(self.buffer.unread(), self.role, rsv1_has_meaning)?;
        let Some((header, length)) = begun else { return Ok(()) };
        self.buffer.consume(length);
        let (header, _) = self.frame.insert((header, 0));
        log::trace!("{:?} got {header}", self.role);
        Ok(())
    }

    fn next_piece(&mut self, last: bool) -> Result<Event, Violation> {
        let kind = self.message.open_kind().unwrap_or(MessageKind::Binary);
        let bytes = match last {
            false => self.message.take_arrived(),
            true => match self.message.finish()? {
                Message::Text(text) => text.into_bytes(),
                Message::Binary(bytes) => bytes,
            },
        };
        Ok(Event::Piece { kind, bytes, last })
    }

    /// Returns the maximum number of payload bytes to process for one delivered piece: 1 KiB for a
    /// compressed message, and no maximum for an uncompressed one. DEFLATE can inflate one byte to
    /// 1032 bytes, so 1 KiB can already become a piece of about 1 MiB.
    fn most_at_a_time(&self) -> usize {
        if self.message.is_compressed() { 1024 } else { usize::MAX }
    }

    fn take_control(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.control)
    }
}
