//! The sending half, for other threads: clone it, and send while the `WebSocket` waits in `recv`.

use std::sync::Arc;

use super::write_half::WriteHalf;
use crate::error::Result;
use crate::frames::close::Close;
use crate::frames::close_code::CloseCode;
use crate::frames::message::AsMessage;

/// Sends on a connection from any thread. Frames of several threads never mix.
///
/// It does not keep the connection open: once the `WebSocket` is closed, sending fails with
/// [`Error::Closed`](crate::Error::Closed). But it keeps the descriptor, until it is dropped.
#[derive(Clone)]
pub struct Sender {
    pub(crate) write_half: Arc<WriteHalf>,
}

impl Sender {
    pub(crate) fn new(write_half: Arc<WriteHalf>) -> Sender {
        Sender { write_half }
    }

    /// Sends a message. On the wire when this returns.
    pub fn send(&self, message: impl AsMessage) -> Result<()> {
        self.write_half.send(|encoder| encoder.message(message.as_message()))
    }

    /// Sends our Close. The `recv` of the `WebSocket` ends when the peer has answered it, or when it
    /// has not in time.
    pub fn close(&self, code: impl Into<CloseCode>, reason: &str) -> Result<()> {
        self.write_half.close(Close::new(code, reason)?)
    }

    /// Ends the connection on the spot, without a goodbye: for a peer that has stopped reading, and
    /// could not be told anyhow.
    pub fn abort(&self) {
        self.write_half.abort();
    }
}
