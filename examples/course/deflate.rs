//! DEFLATE by hand, as permessage-deflate uses it: compresses a message into a payload, and
//! decompresses a payload into its message.
//!
//! A payload is a sequence of blocks, without the last block's final four bytes. The inflater reads
//! all three kinds of blocks, stops at a limit for the message, and refuses a payload that was cut
//! short. The deflater writes one kind. If your language has zlib, use that. RFC 1951; RFC 7692
//! §7.2.

/// How many bytes back a match may reach.
pub const WINDOW: usize = 1 << 15;

/// The four bytes at the end of each compressed message, which the payload omits: an empty stored
/// block without its three header bits.
const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];

/// For each symbol from 257 on: the shortest match length that it stands for. `LENGTH_BITS` says
/// how many extra bits follow the symbol. Their value is added to this length.
const LENGTH_BASES: [usize; 29] = [
    3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131,
    163, 195, 227, 258,
];
const LENGTH_BITS: [u32; 29] =
    [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];

/// The same two tables for the distance symbols.
const DISTANCE_BASES: [usize; 30] = [
    1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537,
    2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577,
];
const DISTANCE_BITS: [u32; 30] = [
    0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13,
    13,
];

/// Why a payload can't be inflated.
#[derive(Debug, PartialEq)]
pub enum InflateError {
    NotDeflate,
    TooLong,
}

use InflateError::{NotDeflate, TooLong};

/// Reads bits, the lowest of each byte first.
struct BitReader<'a> {
    bytes: &'a [u8],
    /// The bits that have been read from `bytes` but not yet taken. `count` is their number.
    held: usize,
    count: u32,
}

impl BitReader<'_> {
    fn take(&mut self, count: u32) -> Result<usize, InflateError> {
        while self.count < count {
            let (byte, rest) = self.bytes.split_first().ok_or(NotDeflate)?;
            self.held |= usize::from(*byte) << self.count;
            (self.count, self.bytes) = (self.count + 8, rest);
        }
        let bits = self.held & ((1 << count) - 1);
        (self.count, self.held) = (self.count - count, self.held >> count);
        Ok(bits)
    }

    /// Skips the rest of the current byte.
    fn align(&mut self) {
        (self.count, self.held) = (0, 0);
    }
}

/// A Huffman code. The lengths of its symbols' codes define it (RFC 1951 §3.2.2).
struct Code {
    /// How many symbols have a code of each length.
    counts: [usize; 16],
    /// The symbols, in the order of their codes.
    symbols: Vec<usize>,
}

impl Code {
    fn new(lengths: &[u8]) -> Result<Code, InflateError> {
        let mut counts = [0; 16];
        for length in lengths.iter().filter(|length| **length > 0) {
            counts[usize::from(*length)] += 1;
        }
        // Each further bit doubles the free codes; the codes of this length use up some of them.
        let room = counts[1..].iter().try_fold(1, |room: usize, n| (2 * room).checked_sub(*n));
        room.ok_or(NotDeflate)?;
        let mut symbols: Vec<usize> = (0..lengths.len()).filter(|at| lengths[*at] > 0).collect();
        symbols.sort_by_key(|symbol| lengths[*symbol]);
        Ok(Code { counts, symbols })
    }

    /// Reads the next symbol, bit by bit.
    fn read(&self, bits: &mut BitReader) -> Result<usize, InflateError> {
        // `first` is the first code of this length, and `start` is the index of its symbol.
        let (mut code, mut first, mut start) = (0, 0, 0);
        for count in &self.counts[1..] {
            (code, first) = (2 * code + bits.take(1)?, 2 * first);
            if code < first + count {
                return Ok(self.symbols[start + code - first]);
            }
            (first, start) = (first + count, start + count);
        }
        Err(NotDeflate)
    }
}

/// Inflates a payload into its message. Fails if the message is longer than `limit` bytes. Matches
/// may reach back into `history`, the last 32 KiB of the earlier messages, to which this function
/// adds the new message. After an error, `history` is empty, so the connection has to end.
pub fn inflate(
    payload: &[u8],
    history: &mut Vec<u8>,
    limit: usize,
) -> Result<Vec<u8>, InflateError> {
    let input = [payload, &TAIL].concat();
    let mut bits = BitReader { bytes: &input, held: 0, count: 0 };
    let mut output = std::mem::take(history);
    let start = output.len();
    let limit = start + limit;
    let fixed = [[8; 144].as_slice(), &[9; 112], &[7; 24], &[8; 8]].concat();
    let fixed = (Code::new(&fixed)?, Code::new(&[5; 30])?);
    let mut ends_empty = false;
    while !bits.bytes.is_empty() {
        let is_last = bits.take(1)? == 1;
        let kind = bits.take(2)?;
        let before = output.len();
        match kind {
            0 => inflate_stored(&mut bits, &mut output)?,
            1 => inflate_coded(&mut bits, &fixed, &mut output, limit)?,
            2 => {
                let codes = read_codes(&mut bits)?;
                inflate_coded(&mut bits, &codes, &mut output, limit)?;
            }
            _ => return Err(NotDeflate),
        }
        if output.len() > limit {
            return Err(TooLong);
        }
        ends_empty = kind == 0 && output.len() == before;
        // A deflater that ends its stream, instead of flushing it, marks its block as the last one.
        // The next block then begins at the next byte (§7.2.3.4).
        if is_last {
            bits.align();
        }
    }
    // If the last block isn't the tail's empty one, the payload was cut short.
    if !ends_empty {
        return Err(NotDeflate);
    }
    let message = output.split_off(start);
    output.extend_from_slice(&message[message.len().saturating_sub(WINDOW)..]);
    output.drain(..output.len().saturating_sub(WINDOW));
    *history = output;
    Ok(message)
}

/// Reads a block of uncompressed bytes.
fn inflate_stored(bits: &mut BitReader, output: &mut Vec<u8>) -> Result<(), InflateError> {
    bits.align();
    let length = bits.take(16)?;
    if bits.take(16)? != length ^ 0xFFFF {
        return Err(NotDeflate);
    }
    let (stored, rest) = bits.bytes.split_at_checked(length).ok_or(NotDeflate)?;
    output.extend_from_slice(stored);
    bits.bytes = rest;
    Ok(())
}

/// Reads a block of bytes and matches. A match says how many bytes to copy, and how far back they
/// are.
fn inflate_coded(
    bits: &mut BitReader,
    (literals, distances): &(Code, Code),
    output: &mut Vec<u8>,
    limit: usize,
) -> Result<(), InflateError> {
    while output.len() <= limit {
        let symbol = match literals.read(bits)? {
            byte @ ..=255 => {
                output.push(byte as u8);
                continue;
            }
            256 => return Ok(()),
            symbol => symbol - 257,
        };
        let base = LENGTH_BASES.get(symbol).ok_or(NotDeflate)?;
        let length = base + bits.take(LENGTH_BITS[symbol])?;
        let symbol = distances.read(bits)?;
        let base = DISTANCE_BASES.get(symbol).ok_or(NotDeflate)?;
        let distance = base + bits.take(DISTANCE_BITS[symbol])?;
        let start = output.len().checked_sub(distance).ok_or(NotDeflate)?;
        // A match may overlap the bytes that it writes, so copy byte by byte.
        for at in start..start + length {
            output.push(output[at]);
        }
    }
    Err(TooLong)
}

/// Reads the two codes at the beginning of a block: one for bytes and match lengths, and one for
/// distances. A third code compresses both.
fn read_codes(bits: &mut BitReader) -> Result<(Code, Code), InflateError> {
    const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
    let (literals, distances) = (257 + bits.take(5)?, 1 + bits.take(5)?);
    let mut lengths = [0; 19];
    for at in &ORDER[..4 + bits.take(4)?] {
        lengths[*at] = bits.take(3)? as u8;
    }
    let code = Code::new(&lengths)?;
    let mut lengths = Vec::new();
    while lengths.len() < literals + distances {
        let (length, count) = match code.read(bits)? {
            16 => (*lengths.last().ok_or(NotDeflate)?, 3 + bits.take(2)?),
            17 => (0, 3 + bits.take(3)?),
            18 => (0, 11 + bits.take(7)?),
            length => (length as u8, 1),
        };
        lengths.resize(lengths.len() + count, length);
    }
    if lengths.len() > literals + distances {
        return Err(NotDeflate);
    }
    let (literals, distances) = lengths.split_at(literals);
    Ok((Code::new(literals)?, Code::new(distances)?))
}

/// Writes bits, the lowest of each byte first.
#[derive(Default)]
struct BitWriter {
    bytes: Vec<u8>,
    held: usize,
    count: u32,
}

impl BitWriter {
    fn put(&mut self, bits: usize, count: u32) {
        self.held |= bits << self.count;
        self.count += count;
        while self.count >= 8 {
            self.bytes.push(self.held as u8);
            (self.held, self.count) = (self.held >> 8, self.count - 8);
        }
    }

    /// Writes a code, its highest bit first.
    fn put_code(&mut self, code: usize, count: u32) {
        self.put(code.reverse_bits() >> (usize::BITS - count), count);
    }

    /// Writes a byte, a length or the end of the block in the fixed code (RFC 1951 §3.2.6).
    fn put_symbol(&mut self, symbol: usize) {
        match symbol {
            0..=143 => self.put_code(0x30 + symbol, 8),
            144..=255 => self.put_code(0x190 + symbol - 144, 9),
            256..=279 => self.put_code(symbol - 256, 7),
            _ => self.put_code(0xC0 + symbol - 280, 8),
        }
    }
}

/// Deflates a message into one block of the fixed code, without the final `TAIL`. Matches reach
/// back at most `window` bytes, and never into earlier messages.
pub fn deflate(message: &[u8], window: usize) -> Vec<u8> {
    let mut bits = BitWriter::default();
    // For each hash, where three bytes with this hash last began, counted from 1. 0 means nowhere
    // yet.
    let mut latest = vec![0; 1 << 12];
    let mut at = 0;
    // The block's header: not the last block, and of kind 1.
    bits.put(0b010, 3);
    while at < message.len() {
        let (mut length, mut distance) = (0, 0);
        if let [a, b, c, ..] = message[at..] {
            let hash = u32::from_le_bytes([a, b, c, 0]).wrapping_mul(0x9E37_79B1) >> 20;
            let earlier = std::mem::replace(&mut latest[hash as usize], at + 1);
            distance = at + 1 - earlier;
            if earlier > 0 && distance <= window {
                let pairs = message[at..].iter().zip(&message[earlier - 1..]).take(258);
                length = pairs.take_while(|(here, there)| here == there).count();
            }
        }
        if length < 3 {
            bits.put_symbol(usize::from(message[at]));
            at += 1;
            continue;
        }
        let symbol = LENGTH_BASES.partition_point(|base| *base <= length) - 1;
        bits.put_symbol(257 + symbol);
        bits.put(length - LENGTH_BASES[symbol], LENGTH_BITS[symbol]);
        let symbol = DISTANCE_BASES.partition_point(|base| *base <= distance) - 1;
        bits.put_code(symbol, 5);
        bits.put(distance - DISTANCE_BASES[symbol], DISTANCE_BITS[symbol]);
        at += length;
    }
    bits.put_symbol(256);
    // The first three bits of the tail's empty block, and zeros up to the end of the byte.
    bits.put(0, 3);
    bits.put(0, 7);
    bits.bytes
}
