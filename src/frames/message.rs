//! Complete messages, text or binary, received or to be sent (RFC 6455 §5.6).
//!
//! `recv` returns a [`Message`]. `send` takes a value of any type that implements [`AsMessage`],
//! and borrows the value as a [`MessageRef`]: a kind and a payload.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use super::header::Opcode;

/// Whether a message is text or binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// The message's payload is UTF-8 text.
    Text,
    /// The message's payload is arbitrary bytes.
    Binary,
}

impl MessageKind {
    /// Returns the opcode for the first frame of a message of this kind.
    pub fn opcode(self) -> Opcode {
        match self {
            MessageKind::Text => Opcode::Text,
            MessageKind::Binary => Opcode::Binary,
        }
    }
}

/// A complete message, text or binary, as `recv` returns it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A text message, whose payload is UTF-8.
    Text(String),
    /// A binary message, whose payload may be arbitrary bytes.
    Binary(Vec<u8>),
}

impl Message {
    /// Returns whether the message is text or binary.
    pub fn kind(&self) -> MessageKind {
        match self {
            Message::Text(_) => MessageKind::Text,
            Message::Binary(_) => MessageKind::Binary,
        }
    }

    /// Returns the message's text, or `None` if the message is binary.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Message::Text(text) => Some(text),
            Message::Binary(_) => None,
        }
    }

    /// Returns the payload's bytes, whether the message is text or binary.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Message::Text(text) => text.as_bytes(),
            Message::Binary(bytes) => bytes,
        }
    }

    /// Turns a text message into its text, without a copy. A binary message is returned unchanged,
    /// as the error.
    pub fn into_text(self) -> Result<String, Message> {
        match self {
            Message::Text(text) => Ok(text),
            Message::Binary(_) => Err(self),
        }
    }

    /// Turns the message, text or binary, into its payload's bytes, without a copy.
    pub fn into_bytes(self) -> Vec<u8> {
        match self {
            Message::Text(text) => text.into_bytes(),
            Message::Binary(bytes) => bytes,
        }
    }
}

/// A message to be sent: its kind, and its payload, borrowed from the application's value.
#[derive(Clone, Copy, Debug)]
pub struct MessageRef<'a> {
    /// Whether the message is text or binary.
    pub(crate) kind: MessageKind,
    /// The message's bytes, without a frame header.
    pub(crate) payload: &'a [u8],
    /// Whether the message was sent as [`Uncompressed`], and therefore must not be compressed.
    pub(crate) plain: bool,
    /// The encoded frames of a prepared message, which a server's connections share. `None` for any
    /// other message.
    pub(crate) encoded: Option<Encoded<'a>>,
}

/// The two unmasked frames of a prepared message: an uncompressed and a compressed one. Only a
/// server can send them, because a client must mask its frames.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Encoded<'a> {
    /// The complete uncompressed frame, header and payload.
    pub(crate) frame: &'a [u8],
    /// The complete compressed frame. The first connection that needs the frame compresses the
    /// message and fills in this field.
    pub(crate) deflated: &'a OnceLock<Vec<u8>>,
}

impl<'a> MessageRef<'a> {
    /// Borrows a string as a text message to send.
    pub fn text(text: &'a str) -> MessageRef<'a> {
        MessageRef {
            kind: MessageKind::Text,
            payload: text.as_bytes(),
            plain: false,
            encoded: None,
        }
    }

    /// Borrows bytes as a binary message to send.
    pub fn binary(bytes: &'a [u8]) -> MessageRef<'a> {
        MessageRef { kind: MessageKind::Binary, payload: bytes, plain: false, encoded: None }
    }
}

/// A value that can be sent as a message. `&str` and `String` are sent as text. `&[u8]`, `[u8; N]`
/// and `Vec<u8>` are sent as binary, and a [`Message`] as its own kind. A `Box`, `Arc` or `Cow` is
/// sent like the value inside it.
pub trait AsMessage {
    /// Borrows the value as the message to send.
    fn as_message(&self) -> MessageRef<'_>;

    /// Turns a [`Message`], a `String` or a `Vec<u8>` into a message without copying its bytes, so
    /// that [`WebSocket::feed`](crate::WebSocket::feed) needn't copy a large payload. Any other
    /// value is returned unchanged, as the error.
    fn into_message(self) -> Result<Message, Self>
    where
        Self: Sized,
    {
        Err(self)
    }
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

    fn into_message(self) -> Result<Message, String> {
        Ok(Message::Text(self))
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

    fn into_message(self) -> Result<Message, Vec<u8>> {
        Ok(Message::Binary(self))
    }
}

impl AsMessage for Message {
    fn as_message(&self) -> MessageRef<'_> {
        match self {
            Message::Text(text) => MessageRef::text(text),
            Message::Binary(bytes) => MessageRef::binary(bytes),
        }
    }

    fn into_message(self) -> Result<Message, Message> {
        Ok(self)
    }
}

impl<T: AsMessage + ?Sized> AsMessage for &T {
    fn as_message(&self) -> MessageRef<'_> {
        (**self).as_message()
    }
}

impl<T: AsMessage + ?Sized> AsMessage for Box<T> {
    fn as_message(&self) -> MessageRef<'_> {
        (**self).as_message()
    }
}

impl<T: AsMessage + ?Sized> AsMessage for Arc<T> {
    fn as_message(&self) -> MessageRef<'_> {
        (**self).as_message()
    }
}

impl<T: AsMessage + ToOwned + ?Sized> AsMessage for Cow<'_, T> {
    fn as_message(&self) -> MessageRef<'_> {
        (**self).as_message()
    }
}

/// A message that must not be compressed. Use this wrapper if a message contains both a secret and
/// text that an attacker may choose: the compressed length could otherwise reveal the secret piece
/// by piece (BREACH).
///
/// ```no_run
/// # fn f(ws: &mut ws101::WebSocket) -> ws101::Result<()> {
/// ws.send(ws101::Uncompressed("token=123&name=..."))?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Uncompressed<T>(pub T);

impl<T: AsMessage> AsMessage for Uncompressed<T> {
    fn as_message(&self) -> MessageRef<'_> {
        MessageRef { plain: true, ..self.0.as_message() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boxed_shared_or_borrowed_value_is_the_message_that_the_value_is() {
        let sent = |message: &dyn AsMessage| {
            let message = message.as_message();
            (message.kind, message.payload.to_vec())
        };
        let text = (MessageKind::Text, b"hi".to_vec());
        assert_eq!(sent(&Box::<str>::from("hi")), text);
        assert_eq!(sent(&Arc::<str>::from("hi")), text);
        assert_eq!(sent(&Cow::Borrowed("hi")), text);
        let bytes = (MessageKind::Binary, vec![1, 2]);
        assert_eq!(sent(&Arc::<[u8]>::from([1, 2])), bytes);
        assert_eq!(sent(&Cow::<[u8]>::Owned(vec![1, 2])), bytes);
    }

    #[test]
    fn a_message_gives_its_payload_away_and_binary_is_no_text() {
        assert_eq!(Message::Text("hi".into()).into_text(), Ok("hi".into()));
        let binary = Message::Binary(vec![0xff]);
        assert_eq!(binary.clone().into_text(), Err(binary.clone()));
        assert_eq!(
            (Message::Text("hi".into()).into_bytes(), binary.into_bytes()),
            (b"hi".to_vec(), vec![0xff])
        );
    }
}
