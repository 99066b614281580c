//! The sending half of a connection: messages in, bytes out; what may not be sent is refused.
//!
//! Rules of this file:
//! - Frames gather in a batch, in the order of the calls; whoever has the stream writes the batch.
//! - A small payload is copied into the batch, behind its header. A large one that needs no mask is
//!   not copied: it is handed back, to be written behind the batch as it lies.
//! - A client masks each frame with four fresh bytes, which must be unpredictable (§5.3, §10.3). They
//!   are passed in, since they come from the operating system.
//! - After a Close nothing goes out (§5.5.1). A refused call leaves the batch as it was.

use std::fmt;

use super::close::Close;
use super::frame::{Header, MAX_CONTROL_PAYLOAD, Opcode};
use super::mask;
use super::message::MessageRef;
use super::misuse::Misuse;

/// From this size on a payload is not worth a copy. Below, one copy costs less than breaking up a
/// batch of replies into several writes.
const LARGE: usize = 32 * 1024;

/// Where a client's mask keys come from: four unpredictable bytes at each call.
pub type Masks = Box<dyn FnMut() -> mask::Key + Send>;

/// The sending half.
pub struct Outgoing {
    /// `Some` at a client.
    masks: Option<Masks>,
    batch: Vec<u8>,
    closed: bool,
    /// Whole messages that have gone into the batch, since somebody last asked.
    messages: u64,
}

impl Outgoing {
    /// The sending half of a server (no masks) or a client.
    pub fn new(masks: Option<Masks>) -> Outgoing {
        Outgoing { masks, batch: Vec::new(), closed: false, messages: 0 }
    }

    /// A whole message in one frame. Returns what is to be written behind the batch.
    pub fn message<'a>(&mut self, message: MessageRef<'a>) -> Result<&'a [u8], Misuse> {
        match (message.server_frame, &self.masks, self.closed) {
            (Some(frame), None, false) => {
                self.messages += 1;
                Ok(self.append_or_hand_back(frame))
            }
            _ => self.fragment(message.kind.opcode(), message.payload, true),
        }
    }

    /// A fragment of a message: its first has the kind as opcode, the others are continuations, the
    /// last one is `fin`. Whoever calls keeps them in order. Returns what goes behind the batch.
    pub fn fragment<'a>(
        &mut self,
        opcode: Opcode,
        payload: &'a [u8],
        fin: bool,
    ) -> Result<&'a [u8], Misuse> {
        self.messages += u64::from(fin);
        self.frame(opcode, payload, fin)
    }

    /// A ping.
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), Misuse> {
        self.control(Opcode::Ping, payload)
    }

    /// A pong, with the payload of the ping it answers.
    pub fn pong(&mut self, payload: &[u8]) -> Result<(), Misuse> {
        self.control(Opcode::Pong, payload)
    }

    /// Our Close, after which nothing follows.
    pub fn close(&mut self, close: &Close) -> Result<(), Misuse> {
        self.control(Opcode::Close, &close.payload())?;
        self.closed = true;
        Ok(())
    }

    /// A frame has gone out in part, or nothing more shall go out: drops the batch, takes no more.
    pub fn break_off(&mut self) {
        self.batch = Vec::new();
        self.closed = true;
    }

    /// Whether our Close is in the batch, or out.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// The frames that have gathered.
    pub fn batch(&self) -> &[u8] {
        &self.batch
    }

    /// The batch is written. Small ones keep their memory for the next.
    pub fn written(&mut self) {
        const KEPT: usize = 128 * 1024;
        self.batch.clear();
        if self.batch.capacity() > KEPT {
            self.shrink();
        }
    }

    /// Gives back memory that an idle connection does not need.
    pub fn shrink(&mut self) {
        if self.batch.is_empty() {
            self.batch = Vec::new();
        }
    }

    /// How many whole messages have gone into the batch since this was last asked.
    pub fn take_message_count(&mut self) -> u64 {
        std::mem::take(&mut self.messages)
    }

    fn control(&mut self, opcode: Opcode, payload: &[u8]) -> Result<(), Misuse> {
        // §5.5: at most 125 bytes.
        if payload.len() > MAX_CONTROL_PAYLOAD {
            return Err(Misuse::ControlTooLong(payload.len()));
        }
        self.frame(opcode, payload, true).map(|_| ())
    }

    fn frame<'a>(
        &mut self,
        opcode: Opcode,
        payload: &'a [u8],
        fin: bool,
    ) -> Result<&'a [u8], Misuse> {
        // §5.5.1: nothing follows a Close frame.
        if self.closed {
            return Err(Misuse::AfterClose);
        }
        let mask = self.masks.as_mut().map(|next| next());
        let header = Header { fin, rsv1: false, opcode, mask, length: payload.len() as u64 };
        log::trace!("{} sends {header}", if mask.is_some() { "Client" } else { "Server" });
        header.write(&mut self.batch);
        let Some(key) = mask else { return Ok(self.append_or_hand_back(payload)) };
        let start = self.batch.len();
        self.batch.extend_from_slice(payload);
        mask::apply(key, 0, &mut self.batch[start..]);
        Ok(&[])
    }

    fn append_or_hand_back<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        if bytes.len() >= LARGE {
            return bytes;
        }
        self.batch.extend_from_slice(bytes);
        &[]
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outgoing { masks, batch, closed, .. } = self;
        write!(
            f,
            "Outgoing {{ masks: {}, batch: {} bytes, closed: {closed} }}",
            masks.is_some(),
            batch.len()
        )
    }
}
