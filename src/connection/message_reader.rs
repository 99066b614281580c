//! Reads a long message in constant memory: piece by piece, through `io::Read`. The reader returns
//! only validated data: a text message's bytes are valid UTF-8, and no message exceeds the limits.

use std::fmt;
use std::io::{self, Read};

use super::websocket::WebSocket;
use crate::error::{Error, Result};
use crate::frames::message::MessageKind;

impl WebSocket {
    /// Waits for the next message, and returns a reader that reads it piece by piece, in constant
    /// memory. [`Limits::max_stream`](crate::Limits::max_stream) limits the message's size. Returns
    /// `None` once the peer's Close has arrived, or after an earlier error, as
    /// [`recv`](WebSocket::recv) does.
    pub fn recv_stream(&mut self) -> Result<Option<MessageReader<'_>>> {
        let first = self.read_half.first_piece()?;
        Ok(first.map(|(kind, piece)| MessageReader { ws: self, kind, piece, read: 0 }))
    }
}

/// Reads a received message piece by piece, through `io::Read`. At the end of the message, `read`
/// returns 0. If the peer's Close arrives before that, `read` fails with `UnexpectedEof`, and this
/// `io::Error` wraps [`Error::Closed`]. If you drop the reader early, the next `recv` skips the
/// rest of the message.
pub struct MessageReader<'a> {
    ws: &'a mut WebSocket,
    kind: MessageKind,
    piece: Vec<u8>,
    read: usize,
}

impl MessageReader<'_> {
    /// Returns whether the message is text or binary.
    pub fn kind(&self) -> MessageKind {
        self.kind
    }
}

impl Read for MessageReader<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.read == self.piece.len() && self.ws.read_half.has_more_pieces() {
            let Some((_, piece)) = self.ws.read_half.next_piece()? else {
                // The peer has closed in the middle of the message.
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, Error::Closed));
            };
            (self.piece, self.read) = (piece, 0);
        }
        let count = (&self.piece[self.read..]).read(into)?;
        self.read += count;
        Ok(count)
    }
}

impl fmt::Debug for MessageReader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageReader {} {:?}", self.ws.id(), self.kind)
    }
}
