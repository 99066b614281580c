//! Inflates compressed payloads (RFC 7692 §7.2), in builds with the `deflate` feature.
//!
//! Rules of this file:
//! - The limit on a message applies to its inflated bytes, not to the received ones. Inflating
//!   stops at the first byte over the limit.
//! - The inflater refuses a message that ends inside a block. To detect such a message, it appends
//!   a final block, which is valid only where a block can begin.
//! - That final block also ends the DEFLATE stream, so the decompressor restarts for each message.
//!   The inflater therefore keeps the *window*, the most recently inflated bytes, and loads it into
//!   the restarted decompressor. The window has the agreed size. Without context takeover, it's
//!   empty when a message begins.
//! - Work is limited too. The assembler limits the received bytes, but that isn't enough: a block
//!   of two bytes, marked as the stream's last (BFINAL), makes us copy the window, up to 32 KiB.
//!   Therefore each such block costs the peer credit, which it earns by sending bytes and by ending
//!   messages.

use std::collections::VecDeque;
use std::fmt;

use flate2::{Decompress, FlushDecompress, Status};

use super::deflater::TAIL;
use crate::frames::violation::Violation;
use crate::handshake::deflate_params::Window;

/// An empty stored DEFLATE block with the BFINAL bit set, which marks a stream's last block.
/// [`Inflater::finish`] appends it to a message that doesn't already end with a block marked like
/// this. If the inflater can't read it as a new block, the message was incomplete.
const LAST_BLOCK: [u8; 5] = [0x01, 0x00, 0x00, 0xff, 0xff];
/// The maximum number of inflated bytes that the inflater passes on at a time.
pub(super) const PIECE: usize = 8 * 1024;
/// The price of a DEFLATE block with BFINAL set, in bytes of the peer's credit. The price keeps a
/// peer from flooding us with such blocks: after each of them, the inflater copies the window,
/// which takes about as long as inflating this many bytes. Honest senders send at most one such
/// block per message.
const PRICE_OF_LAST_BLOCK: u64 = 1024;
/// The maximum of a peer's credit, in bytes: the price of 17 DEFLATE blocks with BFINAL set. A
/// connection begins with this credit. One of the 17 is the block that [`Inflater::finish`] may
/// append to a message. The others are for blocks that the peer sends.
const MAX_CREDIT: u64 = 17 * PRICE_OF_LAST_BLOCK;

/// The inflater of one connection. It inflates the peer's compressed messages for its owner, the
/// decoder.
pub struct Inflater {
    peer: Window,
    max_message: u64,
    /// The most recently inflated bytes, up to the agreed window size. The peer's next bytes may
    /// refer to them.
    pub(super) window: VecDeque<u8>,
    /// The state of the decompressor. The inflater creates it on first use, because many
    /// connections never receive a compressed message.
    stream: Option<Decompress>,
    /// The number of inflated bytes in the current message so far.
    inflated: u64,
    /// Whether the current message's bytes so far end exactly with a DEFLATE block that has BFINAL
    /// set. If so, the message may end here, and `finish` needn't append a block.
    ended: bool,
    /// The peer's credit, in bytes, which limits how many DEFLATE blocks with BFINAL set it may
    /// send. Each of these blocks costs [`PRICE_OF_LAST_BLOCK`]. Each compressed byte earns 1, and
    /// the end of each message earns the price of one block. The credit never exceeds
    /// [`MAX_CREDIT`].
    credit: u64,
}

impl Inflater {
    pub(super) fn new(peer: Window, max_message: u64) -> Inflater {
        let window = VecDeque::new();
        let (stream, inflated, ended, credit) = (None, 0, false, MAX_CREDIT);
        Inflater { peer, max_message, window, stream, inflated, ended, credit }
    }

    /// Sets the maximum inflated size of a message in bytes. The new maximum applies at once, even
    /// to a message that has already begun.
    pub fn limit_message(&mut self, max_message: u64) {
        self.max_message = max_message;
    }

    /// Inflates the next piece of a compressed message, and passes the inflated bytes to `append`,
    /// at most 8 KiB at a time. Fails if the piece isn't valid DEFLATE data, if the message
    /// inflates to more than its limit, if it has more blocks with BFINAL set than the peer's
    /// `credit` pays for, or if `append` fails.
    pub fn inflate(
        &mut self,
        mut piece: &[u8],
        mut append: impl FnMut(&[u8]) -> Result<(), Violation>,
    ) -> Result<(), Violation> {
        // This buffer is on the heap, whose memory the threads share. On the stack, each thread
        // would keep the memory until the thread ends.
        let mut room = vec![0; PIECE];
        let mut more = !piece.is_empty();
        while more {
            // 1. Make room for one byte more than the limit: if that byte arrives, the message is
            // too long.
            let left = self.max_message.saturating_sub(self.inflated);
            let most = left.saturating_add(1).min(PIECE as u64) as usize;
            // 2. Inflate until the input or the room is used up.
            let stream = self
                .stream
                .get_or_insert_with(|| begin_with_window(Decompress::new(false), &self.window));
            let before = (stream.total_in(), stream.total_out());
            let status = stream.decompress(piece, &mut room[..most], FlushDecompress::None);
            let taken = (stream.total_in() - before.0) as usize;
            let came = &room[..(stream.total_out() - before.1) as usize];
            // 3. Pass the bytes on, check them, and keep them in the window. The bytes are checked
            // in order, so the outcome doesn't depend on how the reads split them. // WALK: bomb
            self.inflated += came.len() as u64;
            append(&came[..left.min(came.len() as u64) as usize])?;
            if self.inflated > self.max_message {
                return Err(Violation::MessageTooLong(self.max_message));
            }
            let status = status.map_err(|_| Violation::NotDeflate)?;
            if taken == 0 && came.is_empty() && !piece.is_empty() {
                return Err(Violation::NotDeflate);
            }
            append_to_window(&mut self.window, came, 1 << self.peer.bits);
            piece = &piece[taken..];
            // 4. RFC 7692 §7.2.3.4: a block may have BFINAL set, and other blocks may follow it.
            self.ended = status == Status::StreamEnd;
            self.credit(taken as u64);
            if self.ended {
                self.credit = self
                    .credit
                    .checked_sub(PRICE_OF_LAST_BLOCK)
                    .ok_or(Violation::TooManyLastBlocks)?;
                self.begin_anew();
            }
            more = !piece.is_empty() || (came.len() == most && !self.ended);
        }
        Ok(())
    }

    // WALK: tail
    /// Ends the current message after its last byte. Fails if the message's compressed data is
    /// incomplete. Without context takeover, also empties the window.
    pub fn finish(&mut self) -> Result<(), Violation> {
        self.credit(PRICE_OF_LAST_BLOCK);
        // RFC 7692 §7.2.2: put back the four bytes that the sender omitted. If they inflate to any
        // byte, or if no block can begin after them, the message is incomplete. The block that we
        // append costs the peer nothing, unless its credit is already full.
        if !self.ended {
            self.credit(PRICE_OF_LAST_BLOCK);
            let nothing = |came: &[u8]| came.is_empty().then_some(()).ok_or(Violation::NotDeflate);
            let ended = self.inflate(&[&TAIL[..], &LAST_BLOCK].concat(), nothing);
            if ended.is_err() || !self.ended {
                return Err(Violation::NotDeflate);
            }
        }
        (self.inflated, self.ended) = (0, false);
        // RFC 7692 §7.1.1: without context takeover, each message begins with an empty window.
        if !self.peer.takeover {
            self.window = VecDeque::new();
            self.begin_anew();
        }
        Ok(())
    }

    /// Frees the decompressor's memory. Called when the connection becomes idle. It must not be
    /// called in the middle of a message, because the rest of the message couldn't be inflated. The
    /// window of inflated bytes is kept, because the peer's next message may refer to it.
    pub fn free_idle_memory(&mut self) {
        self.stream = None;
    }

    /// Adds `bytes` to the peer's credit for DEFLATE blocks with BFINAL set, up to [`MAX_CREDIT`].
    fn credit(&mut self, bytes: u64) {
        self.credit = MAX_CREDIT.min(self.credit + bytes);
    }

    fn begin_anew(&mut self) {
        self.stream = self.stream.take().map(|stream| begin_with_window(stream, &self.window));
    }
}

/// Prepares a decompressor for a new DEFLATE stream: resets it, and loads the `window`, the most
/// recently inflated bytes. The peer's next bytes may still refer to them.
fn begin_with_window(mut stream: Decompress, window: &VecDeque<u8>) -> Decompress {
    stream.reset(false);
    let (older, newer) = window.as_slices();
    for part in [older, newer] {
        // This never fails: without a zlib header there's no checksum to compare the window with.
        let _ = stream.set_dictionary(part);
    }
    stream
}

/// Appends the newly inflated bytes `came` to a window of at most `size` bytes, and drops as many
/// of the oldest bytes as necessary.
fn append_to_window(window: &mut VecDeque<u8>, came: &[u8], size: usize) {
    let newest = &came[came.len().saturating_sub(size)..];
    let excess = (window.len() + newest.len()).saturating_sub(size);
    window.drain(..excess);
    window.reserve_exact(newest.len());
    window.extend(newest);
}

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inflater { peer, window, stream, .. } = self;
        write!(
            f,
            "Inflater {{ {peer:?}, {} bytes in it, in use: {} }}",
            window.len(),
            stream.is_some()
        )
    }
}
