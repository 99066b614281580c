//! A message encoded once, to be sent to many.
//!
//! A server's frames carry no mask, so the same bytes go to everybody: a broadcast encodes once and
//! each copy of the handle costs a counter. A client, which must mask afresh each time, can send a
//! prepared message as well; it just saves nothing there.
//!
//! Where messages are compressed, it is compressed once too, and so as to repeat nothing that any
//! connection has sent before. That makes it larger where its connection could have repeated much.
//! A connection whose window is not the largest compresses it for itself.

use std::sync::{Arc, OnceLock};

use super::header::Header;
use super::message::{AsMessage, Encoded, MessageKind, MessageRef};

/// An encoded message; cloning it copies no payload.
#[derive(Clone, Debug)]
pub struct PreparedMessage {
    kind: MessageKind,
    /// Header and payload, as a server sends them.
    frame: Arc<[u8]>,
    /// The same compressed, once somebody has.
    deflated: Arc<OnceLock<Vec<u8>>>,
    /// Where in the frame the payload begins.
    payload: usize,
    plain: bool,
}

impl PreparedMessage {
    /// Encodes a message.
    pub fn new(message: impl AsMessage) -> PreparedMessage {
        let MessageRef { kind, payload: bytes, plain, .. } = message.as_message();
        let length = bytes.len() as u64;
        let header = Header { fin: true, rsv1: false, opcode: kind.opcode(), mask: None, length };
        let mut frame = Vec::with_capacity(super::header::MAX_HEADER + bytes.len());
        header.write(&mut frame);
        let payload = frame.len();
        frame.extend_from_slice(bytes);
        PreparedMessage { kind, frame: frame.into(), deflated: Arc::default(), payload, plain }
    }
}

impl AsMessage for PreparedMessage {
    fn as_message(&self) -> MessageRef<'_> {
        let PreparedMessage { kind, frame, deflated, payload, plain } = self;
        let encoded = Some(Encoded { frame, deflated });
        MessageRef { kind: *kind, payload: &frame[*payload..], plain: *plain, encoded }
    }
}
