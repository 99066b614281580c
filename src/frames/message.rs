//! Whole messages, text or binary, received or to be sent (RFC 6455 §5.6).
//!
//! `recv` returns a [`Message`]. `send` takes a [`MessageRef`], a kind and a payload that it
//! borrows from the caller through [`AsMessage`].

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use super::header::Opcode;

/// The kind of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// UTF-8.
    Text,
    /// Any bytes.
    Binary,
}

impl MessageKind {
    /// The opcode of the first fragment.
    pub fn opcode(self) -> Opcode {
        match self {
            MessageKind::Text => Opcode::Text,
            MessageKind::Binary => Opcode::Binary,
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
    /// Whether it's text or binary.
    pub fn kind(&self) -> MessageKind {
        match self {
            Message::Text(_) => MessageKind::Text,
            Message::Binary(_) => MessageKind::Binary,
        }
    }

    /// The text, if this is a text message.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Message::Text(text) => Some(text),
            Message::Binary(_) => None,
        }
    }

    /// The payload's bytes, for both kinds.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Message::Text(text) => text.as_bytes(),
            Message::Binary(bytes) => bytes,
        }
    }

    /// The text, if this is a text message, without a copy. Otherwise the message itself, as the
    /// error.
    pub fn into_text(self) -> Result<String, Message> {
        match self {
            Message::Text(text) => Ok(text),
            Message::Binary(_) => Err(self),
        }
    }

    /// The payload's bytes, for both kinds, without a copy.
    pub fn into_bytes(self) -> Vec<u8> {
        match self {
            Message::Text(text) => text.into_bytes(),
            Message::Binary(bytes) => bytes,
        }
    }
}

/// A message to be sent: its kind, and its bytes borrowed from the caller.
#[derive(Clone, Copy, Debug)]
pub struct MessageRef<'a> {
    /// Whether it's text or binary.
    pub(crate) kind: MessageKind,
    /// The payload.
    pub(crate) payload: &'a [u8],
    /// Whether the message must not be compressed: see [`Uncompressed`].
    pub(crate) plain: bool,
    /// The frame of a prepared message, which all connections of a server share.
    pub(crate) encoded: Option<Encoded<'a>>,
}

/// A message encoded as a server sends it: see
/// [`PreparedMessage`](super::prepared::PreparedMessage).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Encoded<'a> {
    /// The whole frame.
    pub(crate) frame: &'a [u8],
    /// The compressed frame. The first connection that needs it fills it in.
    pub(crate) deflated: &'a OnceLock<Vec<u8>>,
}

impl<'a> MessageRef<'a> {
    /// A text message.
    pub fn text(text: &'a str) -> MessageRef<'a> {
        MessageRef {
            kind: MessageKind::Text,
            payload: text.as_bytes(),
            plain: false,
            encoded: None,
        }
    }

    /// A binary message.
    pub fn binary(bytes: &'a [u8]) -> MessageRef<'a> {
        MessageRef { kind: MessageKind::Binary, payload: bytes, plain: false, encoded: None }
    }
}

/// A value that can be sent as a message. `&str` and `String` go out as text, bytes as binary, a
/// [`Message`] as its kind. A `Box`, `Arc` or `Cow` of such a value goes out like the value.
pub trait AsMessage {
    /// Borrows the value as a message.
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

/// A message that is never compressed. Use it where a secret stands beside text that an attacker
/// may choose, because the compressed length would then reveal the secret bit by bit (BREACH).
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
