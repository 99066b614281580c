//! A message encoded once, to be sent to many.
//!
//! A server's frames carry no mask, so the same bytes go to everybody: a broadcast encodes once and
//! each copy of the handle costs a counter. A client, which must mask afresh each time, can send a
//! prepared message as well; it just saves nothing there.

use std::sync::Arc;

use super::frame::Header;
use super::message::{AsMessage, Kind, MessageRef};

/// An encoded message; cloning it copies no payload.
#[derive(Clone, Debug)]
pub struct Prepared {
    kind: Kind,
    /// Header and payload, as a server sends them.
    frame: Arc<[u8]>,
    /// Where in the frame the payload begins.
    payload: usize,
}

impl Prepared {
    /// Encodes a message.
    pub fn new(message: impl AsMessage) -> Prepared {
        let MessageRef { kind, payload: bytes, .. } = message.as_message();
        let length = bytes.len() as u64;
        let header = Header { fin: true, rsv1: false, opcode: kind.opcode(), mask: None, length };
        let mut frame = Vec::with_capacity(super::frame::MAX_HEADER + bytes.len());
        header.write(&mut frame);
        let payload = frame.len();
        frame.extend_from_slice(bytes);
        Prepared { kind, frame: frame.into(), payload }
    }

    /// Bytes on the wire.
    pub fn len(&self) -> usize {
        self.frame.len()
    }

    /// Never: a frame has a header at least.
    pub fn is_empty(&self) -> bool {
        false
    }
}

impl AsMessage for Prepared {
    fn as_message(&self) -> MessageRef<'_> {
        let Prepared { kind, frame, payload } = self;
        MessageRef { kind: *kind, payload: &frame[*payload..], server_frame: Some(frame) }
    }
}
