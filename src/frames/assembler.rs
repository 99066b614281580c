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
//!   before the reader waits for the payload. The number of fragments, even empty ones, is limited too.
//! - Refused: a continuation without a message, a new message inside another, and text that isn't UTF-8.
//!
//! Elsewhere: [`utf8`](super::utf8) checks text as it arrives. [`deflate`](super::deflate) limits a
//! compressed message, because only the inflated bytes show its size. [`decoder`](super::decoder)
//! handles control frames.

use super::header::{Header, Opcode};
use super::message::{Message, MessageKind};
use super::utf8::{Text, growth};
use super::violation::Violation;

/// How large a message may become.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The most bytes, summed over all fragments.
    pub max_message: u64,
    /// The most fragments, including empty ones.
    pub max_fragments: u64,
}

/// Joins fragments into messages.
#[derive(Debug)]
pub struct Assembler {
    bounds: Bounds,
    /// The kind of the unfinished message, if there is one.
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

    // WALK: fragment
    /// Checks whether a data frame with this header may come next, and whether it fits the limits.
    #[inline]
    pub fn begin_fragment(&mut self, header: &Header) -> Result<(), Violation> {
        // §5.4: the first fragment names the kind, and a message ends before the next one begins.
        match (header.opcode, self.inside) {
            (Opcode::Text, None) => self.begin_message(MessageKind::Text, header.rsv1),
            (Opcode::Binary, None) => self.begin_message(MessageKind::Binary, header.rsv1),
            (Opcode::Continuation, Some(_)) => {}
            (Opcode::Continuation, None) => return Err(Violation::NothingToContinue),
            (Opcode::Text | Opcode::Binary, Some(_)) => {
                return Err(Violation::MessageInsideMessage);
            }
            (Opcode::Close | Opcode::Ping | Opcode::Pong, _) => return Ok(()),
        }
        self.fragments += 1;
        if self.fragments > self.bounds.max_fragments {
            return Err(Violation::TooManyFragments(self.bounds.max_fragments));
        }
        if self.compressed {
            return Ok(());
        }
        // §10.4: limits protect our memory. A sum that overflows exceeds any limit.
        match self.announced.checked_add(header.length) {
            Some(sum) if sum <= self.bounds.max_message => self.announced = sum,
            _ => return Err(Violation::MessageTooLong(self.bounds.max_message)),
        }
        Ok(())
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
                self.bytes.reserve_exact(growth(length, room, piece.len(), most));
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

    /// The kind of the unfinished message, if there is one.
    pub fn inside(&self) -> Option<MessageKind> {
        self.inside
    }

    /// Takes out the bytes of the message that have arrived, for a caller that reads piece by piece.
    pub fn take_so_far(&mut self) -> Vec<u8> {
        match self.inside {
            Some(MessageKind::Text) => self.text.take().into_bytes(),
            _ => std::mem::take(&mut self.bytes),
        }
    }
}
