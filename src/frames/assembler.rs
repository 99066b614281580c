//! Messages: fragments in, whole messages out (RFC 6455 §5.4).
//!
//! ```text
//!             text, FIN ──────────────────────────► message
//! between ──► text          ──► inside a text   ──► continuation, FIN ──► message
//!   two   ──► binary        ──► inside a binary ──► ...     (any number without FIN in between)
//! ```
//!
//! Rules of this file:
//! - A message is one flat piece of memory that grows with what has arrived, never with what a
//!   header announces, and never beyond the limit.
//! - Its length is held against the limit when a header announces it, before the payload is waited
//!   for, as the sum over all fragments; and their number is limited too, empty ones included. What
//!   is compressed is counted when it [comes out](super::deflate): its own length says nothing.
//! - Text is checked as it arrives (see [`text`](super::utf8)).

use super::header::{Header, Opcode};
use super::message::{Message, MessageKind};
use super::utf8::{Text, growth};
use super::violation::Violation;

/// How large a message may become.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes, over all fragments.
    pub max_message: u64,
    /// Fragments, empty ones included.
    pub max_fragments: u64,
}

/// Puts fragments together.
#[derive(Debug)]
pub struct Assembler {
    bounds: Bounds,
    /// The kind of the message that we are inside of.
    inside: Option<MessageKind>,
    /// The message is compressed, as RSV1 of its first frame said.
    compressed: bool,
    /// What all headers of this message have announced together.
    announced: u64,
    fragments: u64,
    text: Text,
    bytes: Vec<u8>,
}

impl Assembler {
    /// An assembler between two messages.
    pub fn new(bounds: Bounds) -> Assembler {
        let (text, bytes) = (Text::default(), Vec::new());
        let (inside, compressed) = (None, false);
        Assembler { bounds, inside, compressed, announced: 0, fragments: 0, text, bytes }
    }

    // WALK: fragment
    /// The header of a data frame has come: may it stand here, and may it be so long?
    #[inline]
    pub fn begin_fragment(&mut self, header: &Header) -> Result<(), Violation> {
        // §5.4: a message begins with its kind, and continues until FIN before another begins.
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
        // §10.4: limits protect our memory. A sum that overflows is over any limit.
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

    /// Whether the message that we are inside of is compressed.
    pub fn is_compressed(&self) -> bool {
        self.compressed && self.inside.is_some()
    }

    /// A piece of payload, its mask taken off, and inflated.
    #[inline]
    pub fn append(&mut self, piece: &[u8]) -> Result<(), Violation> {
        let most = usize::try_from(self.bounds.max_message).unwrap_or(usize::MAX);
        match self.inside {
            Some(MessageKind::Text) => {
                self.text.make_room(piece.len(), most);
                self.text.push(piece).map_err(|_| Violation::TextNotUtf8)
            }
            // Most messages come in one piece: memory of just that size, in fewer steps.
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

    /// The last fragment is whole, and so is the message.
    #[inline]
    pub fn finish(&mut self) -> Result<Message, Violation> {
        match self.inside.take() {
            Some(MessageKind::Text) => {
                self.text.finish().map(Message::Text).map_err(|_| Violation::TextNotUtf8)
            }
            _ => Ok(Message::Binary(std::mem::take(&mut self.bytes))),
        }
    }

    /// The kind of the message that we are inside of.
    pub fn inside(&self) -> Option<MessageKind> {
        self.inside
    }

    /// Takes out what has come of a message so far, for one who reads it piece by piece.
    pub fn take_so_far(&mut self) -> Vec<u8> {
        match self.inside {
            Some(MessageKind::Text) => self.text.take().into_bytes(),
            _ => std::mem::take(&mut self.bytes),
        }
    }
}
