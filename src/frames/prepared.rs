//! Prepared messages are encoded once and sent to many connections, as in a broadcast.
//!
//! A server doesn't mask its frames, so all clients can receive the same bytes. The server encodes
//! the message once, and cloning the message only increments reference counts. A client may send a
//! prepared message too, but saves nothing, because it must mask each frame with a fresh key.
//!
//! A prepared message is also compressed only once. It doesn't refer to earlier messages, because
//! those differ from connection to connection. As a result, it may be larger than a message
//! compressed for one connection. A connection whose window is smaller than 32 KiB compresses the
//! message itself.

use std::sync::{Arc, OnceLock};

use super::header::Header;
use super::message::{AsMessage, Encoded, MessageKind, MessageRef};

/// A message that is encoded once and can be sent to many connections, as in a broadcast. A clone
/// is cheap, because it shares the encoded bytes.
#[derive(Clone, Debug)]
pub struct PreparedMessage {
    kind: MessageKind,
    /// The uncompressed, unmasked frame: header and payload.
    frame: Arc<[u8]>,
    /// The compressed frame. The first connection that needs the frame compresses the message and
    /// fills in this field.
    deflated: Arc<OnceLock<Vec<u8>>>,
    /// The offset of the payload in the uncompressed frame, in bytes.
    payload_offset: usize,
    plain: bool,
}

impl PreparedMessage {
    /// Encodes a message for many connections. The message isn't compressed until a connection
    /// needs the compressed frame.
    pub fn new(message: impl AsMessage) -> PreparedMessage {
        let MessageRef { kind, payload: bytes, plain, .. } = message.as_message();
        let length = bytes.len() as u64;
        let header = Header { fin: true, rsv1: false, opcode: kind.opcode(), mask: None, length };
        let mut frame = Vec::with_capacity(super::header::MAX_HEADER + bytes.len());
        header.write(&mut frame);
        let payload_offset = frame.len();
        frame.extend_from_slice(bytes);
        PreparedMessage {
            kind,
            frame: frame.into(),
            deflated: Arc::default(),
            payload_offset,
            plain,
        }
    }
}

impl AsMessage for PreparedMessage {
    fn as_message(&self) -> MessageRef<'_> {
        let PreparedMessage { kind, frame, deflated, payload_offset, plain } = self;
        let encoded = Some(Encoded { frame, deflated });
        MessageRef { kind: *kind, payload: &frame[*payload_offset..], plain: *plain, encoded }
    }
}
