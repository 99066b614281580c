//! The encoder, a connection's sending half, turns messages into bytes (RFC 6455 §5, §6.1).
//!
//! Rules of this file:
//! - The encoder only collects frames in a batch, in the order of the calls. The calling thread
//!   then writes the batch to the stream.
//! - The encoder copies a payload into the batch, after the frame's header. The exception is a
//!   payload of 32 KiB or more that's neither masked nor compressed. If the caller passes such a
//!   payload by value, the batch takes it over. If the caller passes a reference, the encoder hands
//!   the payload back. The caller then writes the payload right after the batch, or copies it into
//!   the batch with [`append`](Encoder::append).
//! - A client masks each frame with a fresh key of four unpredictable bytes (§5.3, §10.3). The
//!   caller passes in the source of these bytes, so that a test can pass a fixed key.
//! - If both ends agreed on compression, a sufficiently long message is compressed as it enters the
//!   batch, unless its sender opted out. That way, messages are compressed in sending order, which
//!   the peer's inflater requires.
//! - Nothing follows a Close (§5.5.1).
//!
//! The encoder refuses three things as a [`Misuse`]: an oversized control payload, a close code
//! that must not be sent, and anything after a Close. A refused call doesn't change the batch.
//!
//! Elsewhere: [`header`](super::header) writes headers, [`mask`] masks payloads,
//! [`deflate`](super::deflate) compresses, [`prepared`](super::prepared) shares one encoding among
//! many connections, and the connection's write half writes the batch and keeps fragments in order.

use std::fmt;

use super::batch::Batch;
use super::close::Close;
use super::close_code::CloseCode;
use super::deflate::Deflater;
use super::header::{Header, MAX_CONTROL_PAYLOAD, MAX_HEADER, Opcode, Role};
use super::mask;
use super::message::{AsMessage, Encoded, Message, MessageRef};
use crate::diagnostic::misuse::Misuse;

/// The minimum size, in bytes, of a large payload. The encoder doesn't copy a large payload into
/// its batch of encoded frames, unless it masks or compresses the payload.
pub const LARGE: usize = 32 * 1024;

/// The source of a client's masking keys. Each call must return a fresh key of four unpredictable
/// bytes.
pub type Masks = Box<dyn FnMut() -> mask::Key + Send>;

/// The encoder of one connection. It encodes our frames, and collects them in a batch for the
/// thread that writes to the stream.
pub struct Encoder {
    /// A client's source of masking keys. `None` on a server, which doesn't mask.
    masks: Option<Masks>,
    /// Compresses our messages. `None` if the two ends haven't agreed on compression, or if the
    /// peer allows only a window of 256 bytes, which our compressor doesn't support.
    deflater: Option<Box<Deflater>>,
    /// Whether the message that's being sent in fragments is compressed. The length of its first
    /// fragment decides this.
    compressing_message: bool,
    batch: Batch,
    closed: bool,
    /// The number of complete messages that have entered the batch since the last call to
    /// `take_message_count`.
    messages: u64,
}

impl Encoder {
    /// Creates a client's encoder, which takes its masking keys from `masks`. If `masks` is `None`,
    /// creates a server's encoder, which doesn't mask.
    pub fn new(masks: Option<Masks>) -> Encoder {
        let batch = Batch::default();
        Encoder {
            masks,
            deflater: None,
            compressing_message: false,
            batch,
            closed: false,
            messages: 0,
        }
    }

    /// Sets the deflater that compresses our messages. With `None`, our messages go out
    /// uncompressed.
    pub fn deflating(self, deflater: Option<Box<Deflater>>) -> Encoder {
        Encoder { deflater, ..self }
    }

    /// Appends a complete message to the batch, as one frame. Fails if the encoder [is
    /// closed](Encoder::is_closed).
    ///
    /// To avoid a copy, the encoder leaves out a [large](LARGE) payload, or the whole frame of a
    /// large prepared message, and returns these bytes. The caller must write them right after the
    /// batch, or [`append`](Encoder::append) them. The returned slice is empty if the batch
    /// contains the whole message.
    #[inline]
    pub fn message<'a>(&mut self, message: MessageRef<'a>) -> Result<&'a [u8], Misuse> {
        match self.usable_prepared_frame(&message) {
            Some(frame) => {
                self.messages += 1;
                Ok(self.append_or_hand_back(frame))
            }
            None => self.append_data(message.kind.opcode(), message.payload, true, message.plain),
        }
    }

    /// Like [`message`](Encoder::message), but takes the message by value, so that the batch can
    /// keep a large payload without copying it. The returned slice is always empty, because the
    /// batch contains the whole message.
    pub fn owned_message(&mut self, message: Message) -> Result<&'static [u8], Misuse> {
        if !self.message(message.as_message())?.is_empty() {
            self.batch.keep(message.into_bytes());
        }
        Ok(&[])
    }

    /// Appends to the batch the bytes that [`message`](Encoder::message) or
    /// [`fragment`](Encoder::fragment) has returned, so that the caller can write them later.
    #[inline]
    pub fn append(&mut self, after_batch: &[u8]) {
        self.batch.copied_bytes_mut().extend_from_slice(after_batch);
    }

    /// Encodes one fragment of a message into the batch. `opcode` is the message's kind for the
    /// first fragment, and `Continuation` for the others. `fin` is `true` only for the last
    /// fragment. The caller must pass a message's fragments in order, without another message
    /// between them.
    ///
    /// To avoid a copy, the encoder leaves out a [large](LARGE) payload, and returns it. The caller
    /// must write it right after the batch, or [`append`](Encoder::append) it. The returned slice
    /// is empty if the batch contains the whole fragment. Fails if the encoder [is
    /// closed](Encoder::is_closed).
    pub fn fragment<'a>(
        &mut self,
        opcode: Opcode,
        payload: &'a [u8],
        fin: bool,
    ) -> Result<&'a [u8], Misuse> {
        self.append_data(opcode, payload, fin, false)
    }

    /// Encodes a ping with this payload into the batch. Fails if the payload is longer than 125
    /// bytes, or if the encoder [is closed](Encoder::is_closed).
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), Misuse> {
        self.append_control(Opcode::Ping, payload)
    }

    /// Encodes a pong into the batch. `payload` must repeat the payload of the ping that the pong
    /// answers. Fails if the payload is longer than 125 bytes, or if the encoder [is
    /// closed](Encoder::is_closed).
    pub fn pong(&mut self, payload: &[u8]) -> Result<(), Misuse> {
        self.append_control(Opcode::Pong, payload)
    }

    /// Encodes our Close into the batch. From then on, the encoder refuses all frames. Fails if the
    /// close code must not be sent, if the reason is longer than 123 bytes, or if the encoder is
    /// already closed.
    pub fn close(&mut self, close: &Close) -> Result<(), Misuse> {
        // §7.4.1: callers can set the public fields to anything, so the code is validated here too.
        if close.code != CloseCode::NO_STATUS && !close.code.may_be_sent() {
            return Err(Misuse::CloseCode(close.code.0));
        }
        self.append_control(Opcode::Close, &close.payload())?;
        self.closed = true;
        Ok(())
    }

    /// Drops the batch, and makes the encoder refuse all frames. Called by the connection's write
    /// half when the connection ends, and after a failed write: the peer may have received only a
    /// part of a frame, so nothing may follow.
    pub fn stop(&mut self) {
        self.batch = Batch::default();
        self.closed = true;
    }

    /// Returns the role of our end: `Client` if the encoder masks frames, and `Server` otherwise.
    pub fn role(&self) -> Role {
        if self.masks.is_some() { Role::Client } else { Role::Server }
    }

    /// Returns whether the encoder refuses all frames: it has encoded our Close, or
    /// [`stop`](Encoder::stop) has been called.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Returns the batch of encoded frames, which the caller must write to the stream next.
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// Empties the batch of encoded frames. The caller must have written all of it.
    pub fn clear_batch(&mut self) {
        self.batch.clear();
    }

    /// Removes the batch's first `count` bytes. The caller must have written them to the stream.
    pub fn drop_written(&mut self, count: usize) {
        self.batch.drop_first(count);
    }

    /// Frees memory that an idle connection doesn't need. The batch's memory is freed if the batch
    /// is empty. The compressor is always freed, so the next compressed message doesn't refer to
    /// earlier ones.
    pub fn free_idle_memory(&mut self) {
        self.batch.free_idle_memory();
        if let Some(deflater) = &mut self.deflater {
            deflater.forget();
        }
    }

    /// Returns how many complete messages have entered the batch since the last call, and resets
    /// this count to zero. The write half calls this function after a write, to count the messages
    /// sent.
    pub fn take_message_count(&mut self) -> u64 {
        std::mem::take(&mut self.messages)
    }

    fn append_control(&mut self, opcode: Opcode, payload: &[u8]) -> Result<(), Misuse> {
        // §5.5: the payload of a control frame has at most 125 bytes.
        if payload.len() > MAX_CONTROL_PAYLOAD {
            return Err(Misuse::ControlTooLong(payload.len()));
        }
        self.check_open()?;
        // RFC 7692 §6.1: control frames are never compressed.
        self.append_frame(opcode, false, payload, true);
        Ok(())
    }

    #[inline]
    fn append_data<'a>(
        &mut self,
        opcode: Opcode,
        payload: &'a [u8],
        fin: bool,
        plain: bool,
    ) -> Result<&'a [u8], Misuse> {
        self.check_open()?;
        self.messages += u64::from(fin);
        // RFC 7692 §6.1: only a message's first frame has RSV1 set, which applies to the whole
        // message.
        let is_first = opcode != Opcode::Continuation;
        if is_first {
            self.compressing_message =
                !plain && self.deflater.as_ref().is_some_and(|d| d.wants(payload.len()));
        }
        match &mut self.deflater {
            Some(deflater) if self.compressing_message => {
                let deflated = deflater.deflate(payload, fin);
                let after_batch = self.append_frame(opcode, is_first, &deflated, fin);
                self.append(after_batch);
                Ok(&[])
            }
            _ => Ok(self.append_frame(opcode, false, payload, fin)),
        }
    }

    /// Returns the encoded frame of a prepared message, which the server's connections share, as far
    /// as they can. If that frame is compressed, this function also empties our compressor's window,
    /// which would otherwise lack a message that the peer's window contains.
    ///
    /// Returns `None` if this connection can't send a shared frame:
    /// - the message isn't prepared,
    /// - we're a client, which must mask its frames,
    /// - the encoder is closed, or
    /// - the message is to be compressed, and our compressor's window is smaller than 32 KiB.
    fn usable_prepared_frame<'a>(&mut self, message: &MessageRef<'a>) -> Option<&'a [u8]> {
        let Encoded { frame, deflated } = message.encoded?;
        if self.masks.is_some() || self.closed {
            return None;
        }
        let Some(deflater) = &mut self.deflater else { return Some(frame) };
        if message.plain || !deflater.wants(message.payload.len()) {
            return Some(frame);
        }
        if !deflater.peer_can_read_shared_frames() {
            return None;
        }
        let frame = deflated.get_or_init(|| {
            let payload = deflater.deflate_shared(message.payload);
            let (opcode, length) = (message.kind.opcode(), payload.len() as u64);
            let mut frame = Vec::with_capacity(MAX_HEADER + payload.len());
            Header { fin: true, rsv1: true, opcode, mask: None, length }.write(&mut frame);
            frame.extend_from_slice(&payload);
            frame
        });
        // The peer's window will contain the shared message, but our compressor's window doesn't.
        // Therefore our compressor forgets its window, to stay in step with the peer.
        deflater.forget();
        Some(frame)
    }

    fn check_open(&self) -> Result<(), Misuse> {
        // §5.5.1: nothing follows a Close frame.
        if self.closed { Err(Misuse::AfterClose) } else { Ok(()) }
    }

    // WALK: frame
    #[inline]
    fn append_frame<'a>(
        &mut self,
        opcode: Opcode,
        rsv1: bool,
        payload: &'a [u8],
        fin: bool,
    ) -> &'a [u8] {
        let mask = self.masks.as_mut().map(|next| next());
        let header = Header { fin, rsv1, opcode, mask, length: payload.len() as u64 };
        log::trace!("{} sends {header}", if mask.is_some() { "Client" } else { "Server" });
        let batch = self.batch.copied_bytes_mut();
        header.write(batch);
        let Some(key) = mask else { return self.append_or_hand_back(payload) };
        let start = batch.len();
        batch.extend_from_slice(payload);
        mask::apply(key, 0, &mut batch[start..]);
        &[]
    }

    #[inline]
    fn append_or_hand_back<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        if bytes.len() >= LARGE {
            return bytes;
        }
        self.append(bytes);
        &[]
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Encoder { masks, batch, closed, .. } = self;
        write!(
            f,
            "Encoder {{ masks: {}, batch: {} bytes, closed: {closed} }}",
            masks.is_some(),
            batch.size()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_debug_output_shows_no_payload() {
        let mut encoder = Encoder::new(None);
        encoder.ping(b"secret").unwrap();
        let printed = "Encoder { masks: false, batch: 8 bytes, closed: false }";
        assert_eq!(format!("{encoder:?}"), printed);
    }
}
