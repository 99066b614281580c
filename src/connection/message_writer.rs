//! Writes a long message in constant memory: piece by piece, through `io::Write`.
//!
//! Rules of this file:
//! - The writer sends a fragment whenever it has collected 64 KiB. Until the message is finished,
//!   it's *open*, and no other message may begin: fragments of two messages must not mix (RFC 6455
//!   §5.4). But the writer holds the write lock only for a single fragment, so pings, pongs and a
//!   Close can go out between two fragments.
//! - A writer that is dropped before `finish` can't take back the fragments that it has sent, and
//!   the peer must not take them for a complete message. Therefore the writer closes the connection
//!   with 1011.

use std::fmt;
use std::io::{self, Write};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::closing_state::CloseRequest;
use super::sender::Sender;
use super::websocket::WebSocket;
use super::write_half::WriteHalf;
use crate::diagnostic::misuse::Misuse;
use crate::error::{Error, Result};
use crate::frames::close::Close;
use crate::frames::close_code::CloseCode;
use crate::frames::header::Opcode;
use crate::frames::message::MessageKind;
use crate::frames::utf8::Text;

impl WebSocket {
    /// Begins a message that you write piece by piece. Until you [`finish`](MessageWriter::finish)
    /// it, other threads can't send a message. They wait, and each piece that you send restarts the
    /// time limit of their wait. If you send no piece for as long as `Limits::write`, they fail
    /// with [`Error::WriteTimeout`]. If this thread meanwhile begins a second message, through a
    /// [`Sender`], that call fails with [`Misuse`](crate::Error::Misuse). Pings, pongs and a Close
    /// may go out between two pieces.
    pub fn send_stream(&mut self, kind: MessageKind) -> Result<MessageWriter<'_>> {
        MessageWriter::new(&self.write_half, kind)
    }
}

impl Sender {
    /// Begins a message that you write piece by piece: see
    /// [`WebSocket::send_stream`](crate::WebSocket::send_stream).
    pub fn send_stream(&self, kind: MessageKind) -> Result<MessageWriter<'_>> {
        MessageWriter::new(&self.write_half, kind)
    }
}

/// Writes a message piece by piece, through `io::Write`, and sends a fragment each time it has
/// collected 64 KiB. You must end the message with [`finish`](MessageWriter::finish). If you drop
/// the writer before it has sent a fragment, the message is discarded. If you drop it later, the
/// connection closes with close code 1011.
pub struct MessageWriter<'a> {
    write_half: &'a WriteHalf,
    kind: MessageKind,
    /// The payload of the next fragment. For a text message, it's filled from `text` just before
    /// the fragment is sent.
    bytes: Vec<u8>,
    /// The text collected for the next fragment of a text message, validated as UTF-8.
    text: Text,
    /// The opcode of the next fragment: text or binary for the message's first fragment, and
    /// continuation for the others.
    opcode: Opcode,
    finished: bool,
    /// Makes the writer `!Send`: `MessageLock` identifies its holder by the thread, so the
    /// writer must stay in the thread that created it.
    _stays_in_its_thread: PhantomData<*const ()>,
}

/// The number of bytes that a [`MessageWriter`] collects before it sends them as one fragment.
const FRAGMENT_SIZE: usize = 64 * 1024;

impl<'a> MessageWriter<'a> {
    pub(crate) fn new(write_half: &'a WriteHalf, kind: MessageKind) -> Result<MessageWriter<'a>> {
        let mut encoder = write_half.lock_for_new_message()?;
        // Messages that were fed earlier go out now, so that they needn't wait for the end of this
        // message.
        write_half.write(&mut encoder, &[])?;
        write_half.message_lock.take();
        drop(encoder);
        let writer = MessageWriter {
            write_half,
            kind,
            bytes: Vec::new(),
            text: Text::default(),
            opcode: kind.opcode(),
            finished: false,
            _stays_in_its_thread: PhantomData,
        };
        // Another thread may have requested our Close just before this thread took the message
        // lock. In that case, the Close doesn't wait for this message, so this call must fail.
        if write_half.closing.refuses_messages() {
            return Err(Error::Closed);
        }
        write_half.flush_pending_control()?;
        Ok(writer)
    }

    /// Sends the last fragment, which completes the message. Fails with `Misuse` if a text message
    /// ends inside a character. If the writer has already sent a fragment, this failure also closes
    /// the connection with 1011. Fails with `Closed` if our Close has already gone out.
    pub fn finish(mut self) -> Result<()> {
        if self.kind == MessageKind::Text {
            self.bytes = self.text.finish().map_err(|_| Misuse::NotUtf8)?.into_bytes();
        }
        self.send_fragment(true)?;
        self.finished = true;
        Ok(())
    }

    fn send_fragment(&mut self, fin: bool) -> Result<()> {
        if self.kind == MessageKind::Text && !fin {
            self.bytes = self.text.take_complete().into_bytes();
        }
        let mut encoder = self.write_half.lock();
        let after_batch = encoder.fragment(self.opcode, &self.bytes, fin)?;
        self.write_half.write(&mut encoder, after_batch)?;
        drop(encoder);
        self.write_half.message_lock.note_fragment_sent();
        self.opcode = Opcode::Continuation;
        self.bytes.clear();
        self.write_half.flush_pending_control()
    }
}

impl Write for MessageWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = &bytes[..bytes.len().min(FRAGMENT_SIZE)];
        let gathered = match self.kind {
            MessageKind::Text => {
                // `io::Write` demands that a failed write has written nothing.
                self.text.push_whole(piece).map_err(|_| crate::Error::from(Misuse::NotUtf8))?;
                self.text.complete_length()
            }
            MessageKind::Binary => {
                self.bytes.extend_from_slice(piece);
                self.bytes.len()
            }
        };
        if gathered >= FRAGMENT_SIZE {
            self.send_fragment(false)?;
        }
        Ok(piece.len())
    }

    /// Sends the collected bytes as a fragment. In a text message, an incomplete character at the
    /// end stays for the next fragment. Does nothing if there's nothing to send.
    fn flush(&mut self) -> io::Result<()> {
        match self.bytes.is_empty() && self.text.complete_length() == 0 {
            true => Ok(()),
            false => Ok(self.send_fragment(false)?),
        }
    }
}

impl Drop for MessageWriter<'_> {
    fn drop(&mut self) {
        let was_begun = self.opcode == Opcode::Continuation;
        if was_begun && !self.finished {
            let reason = "message given up half way".into();
            let close = Close { code: CloseCode::INTERNAL_ERROR, reason };
            let request = CloseRequest::immediate(close, self.write_half.limits.close);
            // The stream may be the application's own code, which may panic. If this thread is
            // panicking already, a second panic that left this function would abort the process.
            let _ = catch_unwind(AssertUnwindSafe(|| self.write_half.request_close(request)));
        }
        // This must come after the request for the Close, because from here on another thread may
        // begin a message.
        self.write_half.message_lock.release();
        // This may write a Close that waited for this message, so the stream may panic here, too.
        let _ = catch_unwind(AssertUnwindSafe(|| self.write_half.advance_close()));
    }
}

impl fmt::Debug for MessageWriter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageWriter {} {:?}", self.write_half.id, self.kind)
    }
}
