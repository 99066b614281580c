//! Reassembly: fragments in, whole messages out (RFC 6455 §5.4).
//!
//! ```text
//!             text, FIN ──────────────────────────► message
//! between ──► text          ──► inside a text   ──► continuation, FIN ──► message
//!   two   ──► binary        ──► inside a binary ──► ...     (any number without FIN in between)
//! ```
//!
//! Rules of this file:
//! - A message is one contiguous buffer. It grows with the bytes that have arrived, never with the
//!   length that a header announces, and never beyond the limit.
//! - Each header's length is added to a sum for the message, and the sum is compared with the limit
//!   before the reader waits for the payload. The number of fragments, even empty ones, is limited
//!   too.
//! - A compressed message may be no longer than twice the limit as it travels, and a bit: honest
//!   compression adds little, and blocks that inflate to nothing would otherwise never end.
//! - Refused: a continuation without a message, a new message inside another, and text that isn't
//!   UTF-8.
//!
//! Elsewhere: [`utf8`](super::utf8) checks text as it arrives. [`deflate`](super::deflate) limits
//! what a compressed message inflates to. [`decoder`](super::decoder) handles control frames.

use super::header::{Header, Opcode, Role};
use super::message::{Message, MessageKind};
use super::utf8::{Text, room_to_add};
use super::violation::Violation;

/// How large a message may become.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The most bytes, summed over all fragments.
    pub max_message: u64,
    /// The most fragments, including empty ones.
    pub max_fragments: u64,
}

/// How many bytes compression may add to each fragment. The sender flushes at the end of a
/// fragment, so 7 bytes carry a fragment of one byte.
const ADDED_TO_A_FRAGMENT: u64 = 16;
/// How many bytes a compressed message may have beyond twice the limit. Without them, a small limit
/// would refuse honest messages.
const ADDED_TO_A_MESSAGE: u64 = 1024;

/// Joins fragments into messages.
#[derive(Debug)]
pub struct Assembler {
    bounds: Bounds,
    /// The kind of the message that has begun and isn't finished. `None` between messages.
    inside: Option<MessageKind>,
    /// Whether the message is compressed: RSV1 of its first frame was set.
    compressed: bool,
    /// The sum of the lengths in this message's headers.
    announced: u64,
    fragments: u64,
    text: Text,
    bytes: Vec<u8>,
}

impl Assembler {
    /// Creates an assembler that waits for a message to begin.
    pub fn new(bounds: Bounds) -> Assembler {
        let (text, bytes) = (Text::default(), Vec::new());
        let (inside, compressed) = (None, false);
        Assembler { bounds, inside, compressed, announced: 0, fragments: 0, text, bytes }
    }

    /// Sets the limit of messages that begin from now on.
    pub fn limit_message(&mut self, max_message: u64) {
        self.bounds.max_message = max_message;
    }

    /// Reads a frame's header and begins its fragment. Returns `None` if the header needs more
    /// bytes.
    #[inline]
    pub fn begin_frame(
        &mut self,
        bytes: &[u8],
        reader: Role,
        rsv1_has_meaning: bool,
    ) -> Result<Option<(Header, usize)>, Violation> {
        // The first byte shows whether this frame may come next. A wrong frame is refused at once,
        // because the rest of its header may never come.
        let Some(&first) = bytes.first() else { return Ok(None) };
        Header::parse(&[first], reader, rsv1_has_meaning)?;
        self.check_order(Opcode::parse(first)?)?;
        let parsed = Header::parse(bytes, reader, rsv1_has_meaning)?;
        if let Some((header, _)) = &parsed {
            self.begin_fragment(header)?;
        }
        Ok(parsed)
    }

    /// §5.4: the first fragment names the kind, and a message ends before the next one begins.
    #[inline]
    fn check_order(&self, opcode: Opcode) -> Result<(), Violation> {
        match (opcode, self.inside) {
            (Opcode::Continuation, None) => Err(Violation::NothingToContinue),
            (Opcode::Text | Opcode::Binary, Some(_)) => Err(Violation::MessageInsideMessage),
            _ => Ok(()),
        }
    }

    // WALK: fragment
    /// Checks whether a data frame with this header may come next, and whether it fits the limits.
    #[inline]
    pub fn begin_fragment(&mut self, header: &Header) -> Result<(), Violation> {
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
        // §10.4: limits protect our memory and our time. A sum that overflows exceeds any limit.
        match self.announced.checked_add(header.length) {
            Some(sum) if sum <= self.most_announced() => self.announced = sum,
            _ => return Err(Violation::MessageTooLong(self.bounds.max_message)),
        }
        Ok(())
    }

    /// Returns how many payload bytes this message's fragments may have on the wire so far.
    #[inline]
    fn most_announced(&self) -> u64 {
        let limit = self.bounds.max_message;
        if !self.compressed {
            return limit;
        }
        let added = ADDED_TO_A_MESSAGE + self.fragments.saturating_mul(ADDED_TO_A_FRAGMENT);
        limit.saturating_mul(2).saturating_add(added)
    }

    fn begin_message(&mut self, kind: MessageKind, compressed: bool) {
        (self.inside, self.compressed) = (Some(kind), compressed);
        (self.announced, self.fragments) = (0, 0);
    }

    /// Whether the unfinished message is compressed.
    pub fn is_compressed(&self) -> bool {
        self.compressed && self.inside.is_some()
    }

    /// Appends a piece of payload, already unmasked and inflated.
    #[inline]
    pub fn append(&mut self, piece: &[u8]) -> Result<(), Violation> {
        let most = usize::try_from(self.bounds.max_message).unwrap_or(usize::MAX);
        match self.inside {
            Some(MessageKind::Text) => {
                self.text.make_room(piece.len(), most);
                self.text.push(piece).map_err(|_| Violation::TextNotUtf8)
            }
            // Most messages arrive in one piece, so this allocates exactly its size.
            _ if self.bytes.is_empty() => {
                self.bytes = piece.to_vec();
                Ok(())
            }
            _ => {
                let (length, room) = (self.bytes.len(), self.bytes.capacity());
                self.bytes.reserve_exact(room_to_add(length, room, piece.len(), most));
                self.bytes.extend_from_slice(piece);
                Ok(())
            }
        }
    }

    /// Ends the message after its last fragment, and returns it.
    #[inline]
    pub fn finish(&mut self) -> Result<Message, Violation> {
        match self.inside.take() {
            Some(MessageKind::Text) => {
                self.text.finish().map(Message::Text).map_err(|_| Violation::TextNotUtf8)
            }
            _ => Ok(Message::Binary(std::mem::take(&mut self.bytes))),
        }
    }

    /// The kind of the message that has begun and isn't finished. `None` between messages.
    pub fn open_kind(&self) -> Option<MessageKind> {
        self.inside
    }

    /// Takes out the bytes that have arrived, for a caller that reads the message piece by piece.
    pub fn take_so_far(&mut self) -> Vec<u8> {
        match self.inside {
            Some(MessageKind::Text) => self.text.take_whole().into_bytes(),
            _ => std::mem::take(&mut self.bytes),
        }
    }
}
