//! Decodes and encodes frames (RFC 6455 §5.2), with every length and mask handled by hand.
//!
//! ```text
//!  FIN RSV1 RSV2 RSV3 opcode(4) | MASK length(7) | length, 16 or 64 bits | key, 32 bits, if MASK | payload
//! ```
//!
//! Nothing here keeps state. `rules` decides which headers are legal.

use crate::switch::{Switch::*, has};

pub const CONTINUATION: u8 = 0;
pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// RSV1, RSV2 and RSV3 in `Header::rsv`.
pub const RSV1: u8 = 4;

pub struct Header {
    pub fin: bool,
    pub rsv: u8,
    pub opcode: u8,
    pub key: Option<[u8; 4]>,
    pub length: u64,
    /// Whether a shorter form would have held the length.
    pub wasteful: bool,
}

impl Header {
    /// Reads a header at the start of these bytes, and says how many it takes. `None` if some are missing.
    pub fn parse(bytes: &[u8]) -> Option<(Header, usize)> {
        let (&first, &second) = (bytes.first()?, bytes.get(1)?);
        let field = |at: usize, width: usize| bytes.get(at..at + width);
        let number =
            |bytes: &[u8]| bytes.iter().fold(0, |number, &byte| number << 8 | u64::from(byte));
        let (length, mut at, least) = match second & 0x7f {
            125 if has(Length125TakenFor126) => (number(field(2, 2)?), 4, 0),
            126 if has(Length126NotDone) => (126, 2, 0),
            127 if has(Length127NotDone) => (127, 2, 0),
            126 if has(Length16LittleEndian) => {
                (number(&[bytes.get(3).copied()?, bytes[2]]), 4, 126)
            }
            126 if has(Length16IsOneByte) => (number(field(2, 2)?) & 0xff, 4, 0),
            127 if has(Length64Is32Bits) => (number(field(2, 4)?), 6, 0),
            127 if has(Length64LowHalf) => (number(&field(2, 8)?[4..]), 10, 0x1_0000),
            127 if has(Length64LittleEndian) => (number(field(2, 8)?).swap_bytes(), 10, 0x1_0000),
            126 => (number(field(2, 2)?), 4, 126),
            127 => (number(field(2, 8)?), 10, 0x1_0000),
            short => (u64::from(short), 2, 0),
        };
        let length = if has(Length16Signed) && at == 4 { length as i16 as u64 } else { length };
        let mut key = None;
        if second & 0x80 != 0 {
            key = Some(field(at, 4)?.try_into().expect("four bytes"));
            at += 4;
        }
        let header = Header {
            fin: first & 0x80 != 0,
            rsv: first >> 4 & 7,
            opcode: first & 0xf,
            key,
            length,
            wasteful: length < least,
        };
        Some((header, at))
    }

    /// Writes the header in the fewest bytes.
    pub fn write(&self) -> Vec<u8> {
        let mut bytes = vec![u8::from(self.fin) << 7 | self.rsv << 4 | self.opcode];
        let mask = if self.key.is_some() { 0x80 } else { 0 };
        let data = self.opcode < CLOSE;
        match self.length {
            125 if has(Writes125In16Bits) && data => bytes.extend([mask | 126, 0, 125]),
            65_535 if has(Writes65535In64Bits) => {
                bytes.push(mask | 127);
                bytes.extend(self.length.to_be_bytes());
            }
            _ if has(WritesAllIn64Bits) && data => {
                bytes.push(mask | 127);
                bytes.extend(self.length.to_be_bytes());
            }
            _ if has(WritesAllIn16Bits) && data && self.length < 126 => {
                bytes.extend([mask | 126, 0, self.length as u8]);
            }
            0..=125 => bytes.push(mask | self.length as u8),
            126..=0xffff => {
                bytes.push(mask | 126);
                bytes.extend((self.length as u16).to_be_bytes());
            }
            _ => {
                bytes.push(mask | 127);
                bytes.extend(self.length.to_be_bytes());
            }
        }
        if let Some(key) = self.key {
            bytes.extend(key);
        }
        bytes
    }
}

/// Masks or unmasks bytes, the first of which stands at this offset of the payload (§5.3).
pub fn mask(key: [u8; 4], offset: usize, bytes: &mut [u8]) {
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte ^= key[(offset + at) % 4];
    }
}
