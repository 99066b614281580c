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
//!   header announces.
//! - Its length is held against the limit when a header announces it, before the payload is waited
//!   for, as the sum over all fragments; and their number is limited too, empty ones included.
//! - Text is checked as it arrives (see [`text`](super::text)).

use super::frame::{Header, Opcode};
use super::text::Text;
use super::violation::Violation;

/// Text or binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// UTF-8.
    Text,
    /// Any bytes.
    Binary,
}

impl Kind {
    /// The opcode of the first fragment.
    pub fn opcode(self) -> Opcode {
        match self {
            Kind::Text => Opcode::Text,
            Kind::Binary => Opcode::Binary,
        }
    }
}

/// A whole message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// UTF-8.
    Text(String),
    /// Any bytes.
    Binary(Vec<u8>),
}

impl Message {
    /// Text or binary.
    pub fn kind(&self) -> Kind {
        match self {
            Message::Text(_) => Kind::Text,
            Message::Binary(_) => Kind::Binary,
        }
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Message::Text(text) => Some(text),
            Message::Binary(_) => None,
        }
    }

    /// The bytes, of either kind.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Message::Text(text) => text.as_bytes(),
            Message::Binary(bytes) => bytes,
        }
    }
}

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
    inside: Option<Kind>,
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
        Assembler { bounds, inside: None, announced: 0, fragments: 0, text, bytes }
    }

    /// The header of a data frame has come: may it stand here, and may it be so long?
    pub fn begin_fragment(&mut self, header: &Header) -> Result<(), Violation> {
        // §5.4: a message begins with its kind, and continues until FIN before another begins.
        match (header.opcode, self.inside) {
            (Opcode::Text, None) => self.begin_message(Kind::Text),
            (Opcode::Binary, None) => self.begin_message(Kind::Binary),
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
        // §10.4: limits protect our memory. A sum that overflows is over any limit.
        match self.announced.checked_add(header.length) {
            Some(sum) if sum <= self.bounds.max_message => self.announced = sum,
            _ => return Err(Violation::MessageTooLong(self.bounds.max_message)),
        }
        Ok(())
    }

    fn begin_message(&mut self, kind: Kind) {
        (self.inside, self.announced, self.fragments) = (Some(kind), 0, 0);
    }

    /// A piece of payload, its mask taken off.
    pub fn append(&mut self, piece: &[u8]) -> Result<(), Violation> {
        match self.inside {
            Some(Kind::Text) => self.text.push(piece).map_err(|_| Violation::TextNotUtf8),
            _ => {
                self.bytes.extend_from_slice(piece);
                Ok(())
            }
        }
    }

    /// The last fragment is whole, and so is the message.
    pub fn finish(&mut self) -> Result<Message, Violation> {
        match self.inside.take() {
            Some(Kind::Text) => {
                self.text.finish().map(Message::Text).map_err(|_| Violation::TextNotUtf8)
            }
            _ => Ok(Message::Binary(std::mem::take(&mut self.bytes))),
        }
    }

    /// The kind of the message that we are inside of.
    pub fn inside(&self) -> Option<Kind> {
        self.inside
    }

    /// Takes out what has come of a message so far, for one who reads it piece by piece.
    pub fn take_so_far(&mut self) -> Vec<u8> {
        match self.inside {
            Some(Kind::Text) => self.text.take().into_bytes(),
            _ => std::mem::take(&mut self.bytes),
        }
    }
}

/// A message on its way out: its kind and its bytes, lent by whoever has them.
#[derive(Clone, Copy, Debug)]
pub struct MessageRef<'a> {
    /// Text or binary.
    pub(crate) kind: Kind,
    /// The payload.
    pub(crate) payload: &'a [u8],
    /// The whole frame as a server sends it, where somebody has encoded it already.
    pub(crate) server_frame: Option<&'a [u8]>,
}

impl<'a> MessageRef<'a> {
    /// A text message.
    pub fn text(text: &'a str) -> MessageRef<'a> {
        MessageRef { kind: Kind::Text, payload: text.as_bytes(), server_frame: None }
    }

    /// A binary message.
    pub fn binary(bytes: &'a [u8]) -> MessageRef<'a> {
        MessageRef { kind: Kind::Binary, payload: bytes, server_frame: None }
    }
}

/// What can be sent: `&str` and `String` as text, bytes as binary, a [`Message`] as what it is.
pub trait AsMessage {
    /// Lends it for sending.
    fn as_message(&self) -> MessageRef<'_>;
}

impl AsMessage for str {
    fn as_message(&self) -> MessageRef<'_> {
        MessageRef::text(self)
    }
}

impl AsMessage for String {
    fn as_message(&self) -> MessageRef<'_> {
        MessageRef::text(self)
    }
}

impl AsMessage for [u8] {
    fn as_message(&self) -> MessageRef<'_> {
        MessageRef::binary(self)
    }
}

impl<const N: usize> AsMessage for [u8; N] {
    fn as_message(&self) -> MessageRef<'_> {
        MessageRef::binary(self)
    }
}

impl AsMessage for Vec<u8> {
    fn as_message(&self) -> MessageRef<'_> {
        MessageRef::binary(self)
    }
}

impl AsMessage for Message {
    fn as_message(&self) -> MessageRef<'_> {
        match self {
            Message::Text(text) => MessageRef::text(text),
            Message::Binary(bytes) => MessageRef::binary(bytes),
        }
    }
}

impl<T: AsMessage + ?Sized> AsMessage for &T {
    fn as_message(&self) -> MessageRef<'_> {
        (**self).as_message()
    }
}
