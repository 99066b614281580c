//! DEFLATE (RFC 1951) by hand, in both directions. So the coach needs no feature of the library,
//! and sees how far back a peer's matches reach.
//!
//! `inflate` reads all three kinds of blocks. `deflate` writes literals and matches with the fixed codes.

/// An inflated message.
pub struct Inflated {
    pub bytes: Vec<u8>,
    /// How many bytes back its farthest match reaches.
    pub farthest: usize,
}

/// The largest inflated message, in bytes, that the coach accepts.
const MOST: usize = 16 << 20;

const LENGTHS: [(u16, u8); 29] = [
    (3, 0),
    (4, 0),
    (5, 0),
    (6, 0),
    (7, 0),
    (8, 0),
    (9, 0),
    (10, 0),
    (11, 1),
    (13, 1),
    (15, 1),
    (17, 1),
    (19, 2),
    (23, 2),
    (27, 2),
    (31, 2),
    (35, 3),
    (43, 3),
    (51, 3),
    (59, 3),
    (67, 4),
    (83, 4),
    (99, 4),
    (115, 4),
    (131, 5),
    (163, 5),
    (195, 5),
    (227, 5),
    (258, 0),
];
const DISTANCES: [(u16, u8); 30] = [
    (1, 0),
    (2, 0),
    (3, 0),
    (4, 0),
    (5, 1),
    (7, 1),
    (9, 2),
    (13, 2),
    (17, 3),
    (25, 3),
    (33, 4),
    (49, 4),
    (65, 5),
    (97, 5),
    (129, 6),
    (193, 6),
    (257, 7),
    (385, 7),
    (513, 8),
    (769, 8),
    (1025, 9),
    (1537, 9),
    (2049, 10),
    (3073, 10),
    (4097, 11),
    (6145, 11),
    (8193, 12),
    (12289, 12),
    (16385, 13),
    (24577, 13),
];

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn left(&self) -> usize {
        self.bytes.len() * 8 - self.at
    }

    fn take(&mut self, count: u8) -> Result<u32, &'static str> {
        let mut value = 0;
        for i in 0..count {
            let byte = *self.bytes.get(self.at / 8).ok_or("it ends within a block")?;
            value |= u32::from(byte >> (self.at % 8) & 1) << i;
            self.at += 1;
        }
        Ok(value)
    }
}

/// A Huffman code, built from the lengths of its symbols' codes (RFC 1951 §3.2.2).
struct Codes {
    counts: [u16; 16],
    symbols: Vec<u16>,
}

impl Codes {
    fn new(lengths: &[u8]) -> Codes {
        let mut counts = [0; 16];
        lengths.iter().for_each(|length| counts[usize::from(*length)] += 1);
        counts[0] = 0;
        let mut symbols = Vec::new();
        for length in 1..16 {
            symbols.extend((0..lengths.len()).filter(|i| lengths[*i] == length).map(|i| i as u16));
        }
        Codes { counts, symbols }
    }

    fn next(&self, bits: &mut Bits) -> Result<u16, &'static str> {
        let (mut code, mut first, mut index) = (0i32, 0i32, 0i32);
        for length in 1..16 {
            code |= bits.take(1)? as i32;
            let count = i32::from(self.counts[length]);
            if code - count < first {
                return self
                    .symbols
                    .get((index + code - first) as usize)
                    .copied()
                    .ok_or("no such code");
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        Err("no such code")
    }
}

fn fixed() -> (Codes, Codes) {
    let mut lengths = [8; 288];
    lengths[144..256].fill(9);
    lengths[256..280].fill(7);
    (Codes::new(&lengths), Codes::new(&[5; 30]))
}

fn dynamic(bits: &mut Bits) -> Result<(Codes, Codes), &'static str> {
    const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
    let literals = bits.take(5)? as usize + 257;
    let distances = bits.take(5)? as usize + 1;
    let count = bits.take(4)? as usize + 4;
    let mut lengths = [0; 19];
    for place in &ORDER[..count] {
        lengths[*place] = bits.take(3)? as u8;
    }
    let codes = Codes::new(&lengths);
    let mut all: Vec<u8> = Vec::new();
    while all.len() < literals + distances {
        let (value, times) = match codes.next(bits)? {
            16 => (*all.last().ok_or("nothing to repeat")?, bits.take(2)? + 3),
            17 => (0, bits.take(3)? + 3),
            18 => (0, bits.take(7)? + 11),
            length => (length as u8, 1),
        };
        all.extend((0..times).map(|_| value));
    }
    if all.len() > literals + distances {
        return Err("too many lengths of codes");
    }
    Ok((Codes::new(&all[..literals]), Codes::new(&all[literals..])))
}

/// Inflates a message whose matches may reach back into `history`.
pub fn inflate(payload: &[u8], history: &[u8]) -> Result<Inflated, &'static str> {
    let whole = [payload, &[0, 0, 0xff, 0xff]].concat();
    let mut bits = Bits { bytes: &whole, at: 0 };
    let mut out = history[history.len().saturating_sub(32_768)..].to_vec();
    let before = out.len();
    let mut farthest = 0;
    while bits.left() >= 8 {
        let last = bits.take(1)? == 1;
        let (literals, distances) = match bits.take(2)? {
            0 => {
                bits.at = bits.at.next_multiple_of(8);
                let (length, complement) = (bits.take(16)?, bits.take(16)?);
                if length != !complement & 0xffff {
                    return Err("a stored block whose length contradicts itself");
                }
                for _ in 0..length {
                    out.push(bits.take(8)? as u8);
                }
                continue;
            }
            1 => fixed(),
            2 => dynamic(&mut bits)?,
            _ => return Err("a block of a type that doesn't exist"),
        };
        loop {
            if out.len() > MOST {
                return Err("more than the coach takes");
            }
            match literals.next(&mut bits)? {
                256 => break,
                literal @ 0..256 => out.push(literal as u8),
                symbol => {
                    let (base, extra) =
                        *LENGTHS.get(usize::from(symbol - 257)).ok_or("no such length")?;
                    let length = usize::from(base) + bits.take(extra)? as usize;
                    let symbol = distances.next(&mut bits)?;
                    let (base, extra) =
                        *DISTANCES.get(usize::from(symbol)).ok_or("no such distance")?;
                    let back = usize::from(base) + bits.take(extra)? as usize;
                    farthest = farthest.max(back);
                    let start = out
                        .len()
                        .checked_sub(back)
                        .ok_or("a repetition from before the beginning")?;
                    (0..length).for_each(|i| out.push(out[start + i]));
                }
            }
        }
        if last {
            bits.at = bits.at.next_multiple_of(8);
            if bits.left() <= 40 {
                break;
            }
        }
    }
    Ok(Inflated { bytes: out.split_off(before), farthest })
}

/// A part of a message that a check compresses: literal bytes or a match.
pub enum Block<'a> {
    Literal(&'a [u8]),
    Repeat { back: u16, length: usize },
}

struct Writer {
    out: Vec<u8>,
    bits: usize,
}

impl Writer {
    fn put(&mut self, value: u32, count: u8) {
        for i in 0..count {
            if self.bits.is_multiple_of(8) {
                self.out.push(0);
            }
            *self.out.last_mut().unwrap() |= ((value >> i & 1) as u8) << (self.bits % 8);
            self.bits += 1;
        }
    }

    /// Writes a Huffman code, its highest bit first.
    fn code(&mut self, code: u32, count: u8) {
        (0..count).rev().for_each(|i| self.put(code >> i & 1, 1));
    }

    fn symbol(&mut self, symbol: u32) {
        match symbol {
            0..144 => self.code(0x30 + symbol, 8),
            144..256 => self.code(0x190 + symbol - 144, 9),
            256..280 => self.code(symbol - 256, 7),
            _ => self.code(0xc0 + symbol - 280, 8),
        }
    }
}

/// Compresses a message into its payload: one block with the fixed codes and a flush, without the
/// flush's last four bytes.
pub fn deflate(parts: &[Block]) -> Vec<u8> {
    let mut writer = Writer { out: Vec::new(), bits: 0 };
    writer.put(0, 1);
    writer.put(1, 2);
    for part in parts {
        match part {
            Block::Literal(bytes) => bytes.iter().for_each(|byte| writer.symbol(u32::from(*byte))),
            Block::Repeat { back, length } => {
                let mut left = *length;
                while left > 0 {
                    let now = if left > 258 && left < 261 { left - 3 } else { left.min(258) };
                    repeat(&mut writer, *back, now as u16);
                    left -= now;
                }
            }
        }
    }
    writer.symbol(256);
    writer.put(0, 3);
    writer.out
}

fn repeat(writer: &mut Writer, back: u16, length: u16) {
    let place =
        |table: &[(u16, u8)], value| table.iter().rposition(|row| row.0 <= value).unwrap_or(0);
    let at = place(&LENGTHS, length);
    writer.symbol(257 + at as u32);
    writer.put(u32::from(length - LENGTHS[at].0), LENGTHS[at].1);
    let at = place(&DISTANCES, back);
    writer.code(at as u32, 5);
    writer.put(u32::from(back - DISTANCES[at].0), DISTANCES[at].1);
}
