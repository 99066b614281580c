//! Compresses payloads with DEFLATE (RFC 7692 §7.2.1), in builds with the `deflate` feature.
//!
//! Rules of this file:
//! - The compressing end may forget its window (the recent bytes to which it can refer) at any
//!   time, because it needn't refer to earlier bytes. Therefore a compressor, which takes much
//!   memory, exists only from its first message until the connection becomes idle.

use std::fmt;

use flate2::{Compress, Compression, FlushCompress};

use crate::handshake::deflate_params::{DeflateConfig, MAX_WINDOW_BITS, MIN_WINDOW_BITS, Window};

/// The last four bytes of an empty stored DEFLATE block: its length (0), and the complement of that
/// length. The sender removes them from the end of a compressed message, and the receiver appends
/// them again (RFC 7692 §7.2).
pub(super) const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// The deflater of one connection. It compresses our messages for its owner, the encoder.
pub struct Deflater {
    window: Window,
    level: Compression,
    from: usize,
    /// The state of the compressor. The deflater creates it on first use, because many connections
    /// never send a compressed message.
    stream: Option<Compress>,
}

impl Deflater {
    /// Creates a deflater that compresses with this `window`. Returns `None` if the peer allows
    /// only a 256-byte window, which our compressor doesn't support. Such a peer receives
    /// uncompressed messages.
    pub(super) fn new(window: Window, settings: &DeflateConfig) -> Option<Deflater> {
        let level = Compression::new(settings.level.into());
        let deflater = Deflater { window, level, from: settings.from, stream: None };
        (window.bits >= MIN_WINDOW_BITS).then_some(deflater)
    }

    /// Returns whether a message of `length` bytes is long enough to be compressed: at least
    /// `DeflateConfig::from`.
    pub fn wants(&self, length: usize) -> bool {
        length >= self.from
    }

    /// Compresses the payload of a complete message or of one fragment. `fin` says whether the
    /// message ends with this payload. If so, the result omits the compressor's last four bytes
    /// (`TAIL`), which the receiver puts back.
    pub fn deflate(&mut self, payload: &[u8], fin: bool) -> Vec<u8> {
        let Window { bits, takeover } = self.window;
        let new = || Compress::new_with_window_bits(self.level, false, bits);
        let mut out = compress_and_flush(self.stream.get_or_insert_with(new), payload);
        if fin {
            // RFC 7692 §7.2.1: omit the last four bytes of a message, which end an empty block. If
            // nothing is left, the block still needs its first byte.
            out.truncate(out.len().saturating_sub(TAIL.len()));
            if out.is_empty() {
                out.push(0);
            }
            // RFC 7692 §7.1.1: without context takeover, each message begins with an empty window.
            if !takeover && let Some(stream) = &mut self.stream {
                stream.reset();
            }
        }
        out
    }

    /// Returns whether the peer can inflate the compressed frame of a prepared message. That frame
    /// is compressed once, with a 32 KiB window, and goes out on many connections. Therefore this
    /// connection's two ends must have agreed on a 32 KiB window for our messages.
    pub fn peer_can_read_shared_frames(&self) -> bool {
        self.window.bits == MAX_WINDOW_BITS
    }

    /// Compresses a message's payload without reference to earlier messages, so that many
    /// connections can share the result.
    pub fn deflate_shared(&self, payload: &[u8]) -> Vec<u8> {
        let window = Window { bits: MAX_WINDOW_BITS, takeover: false };
        let mut fresh = Deflater { window, stream: None, level: self.level, from: self.from };
        fresh.deflate(payload, true)
    }

    /// Forgets the compression window, and frees the compressor's memory. The next compressed
    /// message doesn't refer to earlier messages.
    pub fn forget(&mut self) {
        self.stream = None;
    }
}

/// Compresses all of `payload`, and flushes the compressor so that it returns all of its output.
/// The output ends with an empty DEFLATE block.
fn compress_and_flush(stream: &mut Compress, mut payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() / 2 + 64);
    loop {
        let before = stream.total_in();
        let compressed = stream.compress_vec(payload, &mut out, FlushCompress::Sync);
        payload = &payload[(stream.total_in() - before) as usize..];
        // If there's room left, the compressor has written all of its output. An error can occur
        // only after a stream's end, which is never reached here.
        if compressed.is_err() || (payload.is_empty() && out.len() < out.capacity()) {
            return out;
        }
        out.reserve(out.len());
    }
}

impl fmt::Debug for Deflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Deflater {{ {:?}, in use: {} }}", self.window, self.stream.is_some())
    }
}
