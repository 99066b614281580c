//! A handle that lets any thread send, even while another thread waits in `recv`.
//!
//! Rules of this file:
//! - A `Sender` doesn't keep the connection open, but the socket's file descriptor isn't freed
//!   until every clone is dropped.
//! - Frames of several threads never mix: each `send` holds the write lock until its complete frame
//!   is written.

use std::fmt;
use std::sync::Arc;

use super::closing_state::CloseRequest;
use super::write_half::WriteHalf;
use crate::error::Result;
use crate::frames::close::Close;
use crate::frames::close_code::CloseCode;
use crate::frames::message::AsMessage;

/// A handle for sending messages on a WebSocket from any thread, even while another thread waits in
/// `recv`. [`WebSocket::sender`](crate::WebSocket::sender) creates it.
///
/// A `Sender` doesn't keep the connection open: once the `WebSocket` is closed, sending fails with
/// [`Error::Closed`](crate::Error::Closed). However, the socket's file descriptor isn't freed until
/// every clone is dropped.
#[derive(Clone)]
pub struct Sender {
    pub(crate) write_half: Arc<WriteHalf>,
}

impl Sender {
    pub(crate) fn new(write_half: Arc<WriteHalf>) -> Sender {
        Sender { write_half }
    }

    /// Sends a message, and waits while the peer's buffers are full. `Ok` means that our operating
    /// system has taken the message, not that the peer has received it. Fails with `Closed` if the
    /// connection is closing or has ended. Fails with `WriteTimeout` if the peer reads too slowly,
    /// or if another thread's `MessageWriter` sends nothing for `Limits::write`.
    pub fn send(&self, message: impl AsMessage) -> Result<()> {
        self.write_half.send(|encoder| encoder.message(message.as_message()))
    }

    /// Begins the closing handshake, and returns without waiting for the peer's Close. From now on,
    /// sending a new message fails with `Closed`. Our Close goes out after all messages in the
    /// connection's outboxes, and after the message of an unfinished `MessageWriter`.
    ///
    /// The `WebSocket`'s `recv` returns `None` once the peer has answered, or fails with
    /// `PeerTimeout` if the peer doesn't answer within `Limits::close`.
    ///
    /// Fails with `Closed` if the connection has already ended without our Close.
    ///
    /// Fails with `Misuse`, and changes nothing, if the code must not be sent or the reason is
    /// longer than 123 bytes.
    pub fn close(&self, code: impl Into<CloseCode>, reason: &str) -> Result<()> {
        let close = Close::new(code, reason)?;
        self.write_half
            .request_close(CloseRequest::when_drained(close, self.write_half.limits.close))?;
        self.write_half.fail_if_ended_without_our_close()
    }

    /// Ends the connection at once, without a Close. A waiting `recv` then fails with
    /// `ConnectionLost`. Use this for a peer that has stopped reading, because no Close would reach
    /// it.
    pub fn abort(&self) {
        self.write_half.abort();
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sender {}", self.write_half.id)
    }
}
