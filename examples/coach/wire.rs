//! Frames as raw bytes: builds frames with any bits set, and reads frames without checking the
//! rules.
//!
//! The library writes and accepts only legal frames. A coach has to send illegal ones, and to read those of a
//! broken peer, so that one fault doesn't hide the others.

use crate::library::{
    FIN, LENGTH, LENGTH_IN_16_BITS, LENGTH_IN_64_BITS, MASK, OPCODE, RSV1, RSV2_RSV3,
    header_length, length_bytes, mask,
};

pub const CONTINUATION: u8 = 0;
pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// The form in which a frame's length is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Width {
    Least,
    Two,
    Eight,
}

/// A frame to send. It's legal unless a method changes that.
#[derive(Clone)]
pub struct Frame {
    pub first: u8,
    pub payload: Vec<u8>,
    pub width: Width,
    /// `None`: masked as our role requires. `Some(None)`: without a mask. `Some(Some(key))`: masked
    /// with this key.
    pub mask: Option<Option<mask::Key>>,
    /// The length that the header announces, if it isn't the payload's.
    pub claims: Option<u64>,
}

pub fn frame(opcode: u8, payload: impl AsRef<[u8]>) -> Frame {
    let payload = payload.as_ref().to_vec();
    Frame { first: FIN | opcode, payload, width: Width::Least, mask: None, claims: None }
}

impl Frame {
    /// Clears FIN: more fragments follow.
    pub fn more(mut self) -> Frame {
        self.first &= !FIN;
        self
    }

    pub fn bits(mut self, bits: u8) -> Frame {
        self.first |= bits;
        self
    }

    pub fn width(mut self, width: Width) -> Frame {
        self.width = width;
        self
    }

    pub fn key(mut self, key: mask::Key) -> Frame {
        self.mask = Some(Some(key));
        self
    }

    pub fn unmasked(mut self) -> Frame {
        self.mask = Some(None);
        self
    }

    pub fn claims(mut self, length: u64) -> Frame {
        self.claims = Some(length);
        self
    }

    /// Encodes the frame. It uses the mask `usual`, unless the frame sets another.
    pub fn bytes(&self, usual: Option<mask::Key>) -> Vec<u8> {
        let key = self.mask.unwrap_or(usual);
        let length = self.claims.unwrap_or(self.payload.len() as u64);
        let bit = if key.is_some() { MASK } else { 0 };
        let mut out = vec![self.first];
        match (self.width, length) {
            (Width::Least, 0..=125) => out.push(bit | length as u8),
            (Width::Least, 126..=65_535) | (Width::Two, _) => {
                out.push(bit | LENGTH_IN_16_BITS);
                out.extend((length as u16).to_be_bytes());
            }
            _ => {
                out.push(bit | LENGTH_IN_64_BITS);
                out.extend(length.to_be_bytes());
            }
        }
        out.extend(key.into_iter().flatten());
        let start = out.len();
        out.extend(&self.payload);
        if let Some(key) = key {
            mask::apply(key, 0, &mut out[start..]);
        }
        out
    }
}

/// A frame from the peer, with its payload unmasked.
#[derive(Clone, Debug)]
pub struct Came {
    pub first: u8,
    pub mask: Option<mask::Key>,
    pub length_bytes: usize,
    pub payload: Vec<u8>,
}

impl Came {
    pub fn opcode(&self) -> u8 {
        self.first & OPCODE
    }

    pub fn fin(&self) -> bool {
        self.first & FIN != 0
    }

    pub fn reserved(&self) -> u8 {
        self.first & (RSV1 | RSV2_RSV3)
    }

    pub fn is_control(&self) -> bool {
        self.opcode() >= 8
    }

    /// Returns the code of a Close, if it has one.
    pub fn code(&self) -> Option<u16> {
        Some(u16::from_be_bytes(*self.payload.first_chunk::<2>()?))
    }

    /// Describes the frame in a line.
    pub fn told(&self) -> String {
        let name = opcode_name(self.opcode());
        match (self.opcode(), self.code()) {
            (CLOSE, Some(code)) => format!("a Close with code {code}"),
            (CLOSE, None) => format!("a Close with {} bytes", self.payload.len()),
            _ => {
                format!("a {name} frame of {} bytes: {}", self.payload.len(), quote(&self.payload))
            }
        }
    }
}

pub fn opcode_name(opcode: u8) -> String {
    match opcode {
        CONTINUATION => "continuation".into(),
        TEXT => "text".into(),
        BINARY => "binary".into(),
        CLOSE => "close".into(),
        PING => "ping".into(),
        PONG => "pong".into(),
        other => format!("opcode-{other:x}"),
    }
}

/// Returns whether a Close may carry this code (§7.4).
pub fn legal(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// The largest frame and the largest message, in bytes, that the coach accepts from a peer.
pub const LARGEST: u64 = 16 << 20;

/// Returns the payload length in the header of the first frame, if the header is complete.
pub fn announced(bytes: &[u8]) -> Option<u64> {
    let second = *bytes.get(1)?;
    let wide = length_bytes(second);
    if bytes.len() < header_length(second) {
        return None;
    }
    Some(match wide {
        0 => u64::from(second & LENGTH),
        _ => bytes[2..][..wide].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
    })
}

/// Parses the first frame of these bytes. Returns it with its size in bytes, `None` if bytes are
/// missing, or an error if it's too large.
pub fn parse(bytes: &[u8]) -> Result<Option<(Came, usize)>, String> {
    let [first, second, rest @ ..] = bytes else { return Ok(None) };
    let Some(length) = announced(bytes) else { return Ok(None) };
    let (header, wide) = (header_length(*second), length_bytes(*second));
    if length > LARGEST {
        return Err(format!("a frame that claims {length} bytes"));
    }
    let end = header + length as usize;
    if bytes.len() < end {
        return Ok(None);
    }
    let key = (second & MASK != 0).then(|| rest[wide..].first_chunk::<4>().copied()).flatten();
    let mut payload = bytes[header..end].to_vec();
    if let Some(key) = key {
        mask::apply(key, 0, &mut payload);
    }
    Ok(Some((Came { first: *first, mask: key, length_bytes: wide, payload }, end)))
}

/// Quotes bytes of a peer: escaped, and cut if they are long.
pub fn quote(bytes: &[u8]) -> String {
    let dots = if bytes.len() > 48 { "..." } else { "" };
    format!("\"{}{dots}\"", bytes[..bytes.len().min(48)].escape_ascii())
}
