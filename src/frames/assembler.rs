//! Joins the peer's fragments into complete messages (RFC 6455 §5.4).
//!
//! ```text
//! state              next data frame      new state
//! between messages   text, FIN            between messages: a text message is complete
//! between messages   text                 inside a text
//! inside a text      continuation         inside a text
//! inside a text      continuation, FIN    between messages: a text message is complete
//! ```
//!
//! A binary message goes through the same steps.
//!
//! Rules of this file:
//! - A message is one contiguous buffer. It grows with the bytes that have arrived, never with the
//!   length that a header announces, and never beyond the limit.
//! - The assembler adds up the lengths in the message's frame headers, and compares the sum with
//!   the limit at each header. Thus it refuses a message that's too long without waiting for the
//!   payload. The number of fragments, including empty ones, is limited too.
//! - The compressed bytes of a message are limited to about twice the limit on its inflated bytes.
//!   Honest compression stays below that. If only the inflated bytes were limited, a hostile
//!   peer could endlessly send blocks that inflate to nothing.
//! - The assembler refuses a continuation without a message, a new message inside another, and text
//!   that isn't UTF-8.
//!
//! Elsewhere: [`utf8`](super::utf8) validates text as it arrives. [`deflate`](super::deflate)
//! limits the inflated size of a compressed message. [`decoder`](super::decoder) handles control
//! frames.

use super::header::{Header, Opcode, Role};
use super::message::{Message, MessageKind};
use super::utf8::{Text, bytes_to_reserve};
use super::violation::Violation;

/// The limits on each message from the peer. A message that exceeds one of them ends the connection
/// with close code 1009.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The maximum size, in bytes, of a message's payload, summed over its fragments. For a
    /// compressed message, it's the maximum size of the inflated payload.
    pub max_message: u64,
    /// The maximum number of fragments in a message, including empty fragments.
    pub max_fragments: u64,
}

/// The number of bytes that each fragment adds to the limit on a message's compressed size.
/// Compression can lengthen a short fragment, but always by less than this: for example, one byte
/// becomes 7.
const FRAGMENT_ALLOWANCE: u64 = 16;
/// The number of bytes that each message adds to the limit on its compressed size. The whole limit
/// is twice `max_message`, plus this number, plus [`FRAGMENT_ALLOWANCE`] for each fragment. Without
/// this number, a small `max_message` could make us refuse honest messages.
const MESSAGE_ALLOWANCE: u64 = 1024;

/// The assembler of one connection. It joins the fragments of the arriving message, and refuses a
/// message that exceeds the [`Bounds`].
#[derive(Debug)]
pub struct Assembler {
    bounds: Bounds,
    /// The kind of the message that has begun and isn't complete yet. `None` between messages.
    inside: Option<MessageKind>,
    /// Whether the arriving message is compressed: the RSV1 bit of its first frame. Between
    /// messages, the previous message's bit remains here, but `is_compressed` ignores it.
    compressed: bool,
    /// The sum of the payload lengths, in bytes, that the current message's frame headers have
    /// announced.
    announced: u64,
    fragments: u64,
    text: Text,
    bytes: Vec<u8>,
}

impl Assembler {
    /// Creates the assembler of a new connection. `bounds` are the limits on each message.
    pub fn new(bounds: Bounds) -> Assembler {
        let (text, bytes) = (Text::default(), Vec::new());
        let (inside, compressed) = (None, false);
        Assembler { bounds, inside, compressed, announced: 0, fragments: 0, text, bytes }
    }

    /// Sets the maximum size, in bytes, of a message's payload. The new maximum applies from the
    /// next fragment on.
    pub fn limit_message(&mut self, max_message: u64) {
        self.bounds.max_message = max_message;
    }

    /// Begins the next frame: parses the header at the start of `bytes`. `reader` is the role of
    /// the receiving end. `rsv1_has_meaning` says whether both ends agreed on compression, which
    /// uses the RSV1 bit.
    ///
    /// Returns the header and its size in bytes, or `None` if the header isn't complete yet. Fails
    /// if the header is invalid, if the frame is out of order (§5.4), or if its message would
    /// exceed the [`Bounds`].
    #[inline]
    pub fn begin_frame(
        &mut self,
        bytes: &[u8],
        reader: Role,
        rsv1_has_meaning: bool,
    ) -> Result<Option<(Header, usize)>, Violation> {
        // The first byte shows whether this frame may come next. A wrong frame is refused at once,
        // because the rest of its header may never arrive.
        let Some(&first) = bytes.first() else { return Ok(None) };
        Header::parse(&[first], reader, rsv1_has_meaning)?;
        self.check_order(Opcode::parse(first)?)?;
        let parsed = Header::parse(bytes, reader, rsv1_has_meaning)?;
        if let Some((header, _)) = &parsed {
            self.begin_data_frame(header)?;
        }
        Ok(parsed)
    }

    /// Checks that a frame with this opcode may come now (§5.4): a continuation only inside a
    /// message, a new message only between messages, and a control frame at any time.
    #[inline]
    fn check_order(&self, opcode: Opcode) -> Result<(), Violation> {
        match (opcode, self.inside) {
            (Opcode::Continuation, None) => Err(Violation::NothingToContinue),
            (Opcode::Text | Opcode::Binary, Some(_)) => Err(Violation::MessageInsideMessage),
            _ => Ok(()),
        }
    }

    // WALK: fragment
    /// Begins a data frame: counts it as a fragment of its message, and adds its payload length to
    /// the message's sum. Fails if the frame is out of order (§5.4), or if its message would exceed
    /// the [`Bounds`]. Does nothing if the header is a control frame's.
    #[inline]
    pub fn begin_data_frame(&mut self, header: &Header) -> Result<(), Violation> {
        self.check_order(header.opcode)?;
        match header.opcode {
            Opcode::Text => self.begin_message(MessageKind::Text, header.rsv1),
            Opcode::Binary => self.begin_message(MessageKind::Binary, header.rsv1),
            Opcode::Continuation => {}
            Opcode::Close | Opcode::Ping | Opcode::Pong => return Ok(()),
        }
        self.fragments += 1;
        if self.fragments > self.bounds.max_fragments {
            return Err(Violation::TooManyFragments(self.bounds.max_fragments));
        }
        // §10.4: limits protect our memory and our time. If the sum overflows, it exceeds any
        // limit.
        match self.announced.checked_add(header.length) {
            Some(sum) if sum <= self.max_announced_total() => self.announced = sum,
            _ => return Err(Violation::MessageTooLong(self.bounds.max_message)),
        }
        Ok(())
    }

    /// Returns the limit on `announced`, the sum of the current message's payload lengths. For an
    /// uncompressed message, that's `max_message`. For a compressed one, it's twice `max_message`,
    /// plus [`MESSAGE_ALLOWANCE`], plus [`FRAGMENT_ALLOWANCE`] for each fragment, because
    /// compression can enlarge a message.
    #[inline]
    fn max_announced_total(&self) -> u64 {
        let limit = self.bounds.max_message;
        if !self.compressed {
            return limit;
        }
        let added = MESSAGE_ALLOWANCE + self.fragments.saturating_mul(FRAGMENT_ALLOWANCE);
        limit.saturating_mul(2).saturating_add(added)
    }

    fn begin_message(&mut self, kind: MessageKind, compressed: bool) {
        (self.inside, self.compressed) = (Some(kind), compressed);
        (self.announced, self.fragments) = (0, 0);
    }

    /// Returns whether the arriving message is compressed. The result is `false` between messages.
    pub fn is_compressed(&self) -> bool {
        self.compressed && self.inside.is_some()
    }

    /// Appends `piece` to the current message's payload. The decoder must have unmasked `piece`,
    /// and inflated it if the message is compressed. Fails if `piece` makes a text message invalid
    /// UTF-8.
    #[inline]
    pub fn append(&mut self, piece: &[u8]) -> Result<(), Violation> {
        let most = usize::try_from(self.bounds.max_message).unwrap_or(usize::MAX);
        match self.inside {
            Some(MessageKind::Text) => {
                self.text.make_room(piece.len(), most);
                self.text.push(piece).map_err(|_| Violation::TextNotUtf8)
            }
            // Most messages arrive in one piece, so the first piece gets exactly the memory it
            // needs.
            _ if self.bytes.is_empty() => {
                self.bytes = piece.to_vec();
                Ok(())
            }
            _ => {
                let (length, room) = (self.bytes.len(), self.bytes.capacity());
                self.bytes.reserve_exact(bytes_to_reserve(length, room, piece.len(), most));
                self.bytes.extend_from_slice(piece);
                Ok(())
            }
        }
    }

    /// Ends the current message after its last fragment, and returns the message. If the caller
    /// reads the message in pieces with [`take_arrived`](Assembler::take_arrived), the result holds
    /// only the remaining bytes. Fails if a text message ends in the middle of a character.
    #[inline]
    pub fn finish(&mut self) -> Result<Message, Violation> {
        match self.inside.take() {
            Some(MessageKind::Text) => {
                self.text.finish().map(Message::Text).map_err(|_| Violation::TextNotUtf8)
            }
            _ => Ok(Message::Binary(std::mem::take(&mut self.bytes))),
        }
    }

    /// Returns the kind of the unfinished message, or `None` between messages.
    pub fn open_kind(&self) -> Option<MessageKind> {
        self.inside
    }

    /// Removes and returns the bytes of the current message that have arrived so far. Call this to
    /// read a message in pieces. In a text message, the bytes of an incomplete character stay in
    /// the assembler.
    pub fn take_arrived(&mut self) -> Vec<u8> {
        match self.inside {
            Some(MessageKind::Text) => self.text.take_complete().into_bytes(),
            _ => std::mem::take(&mut self.bytes),
        }
    }
}
