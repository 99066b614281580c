//! Headers of frames, §5.2: read and written by bytes, or bit by bit as the RFC's picture has them.

use ws101::frames::header::{Header, Opcode, Role};

use super::Case;
use crate::Result;

pub fn cases() -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for length in [32, 1024, 64 * 1024] {
        let mask = Some([0x37, 0xfa, 0x21, 0x3d]);
        let header = Header { fin: true, rsv1: false, opcode: Opcode::Binary, mask, length };
        let mut bytes = Vec::new();
        header.write(&mut bytes);
        let title = format!("frame header read, {length} B follow");
        cases.push(Case::new(title, bytes, |bytes| read(bytes), |bytes| naive_read(bytes))?);
        let title = format!("frame header written, {length} B follow");
        cases.push(Case::new(title, (header, Vec::new()), write, naive_write)?);
    }
    Ok(cases)
}

fn read(bytes: &[u8]) -> Option<(Header, usize)> {
    Header::parse(bytes, Role::Server, false).ok()?
}

fn write((header, out): &mut (Header, Vec<u8>)) {
    out.clear();
    header.write(out);
}

fn naive_read(bytes: &[u8]) -> Option<(Header, usize)> {
    let mut bits = Bits { bytes, at: 0 };
    let (fin, rsv1, rsv2, rsv3) = (bits.flag()?, bits.flag()?, bits.flag()?, bits.flag()?);
    let opcode = Opcode::parse(bits.number(4)? as u8).ok()?;
    if rsv1 || rsv2 || rsv3 || (opcode.is_control() && !fin) {
        return None;
    }
    let masked = bits.flag()?;
    let length = match bits.number(7)? {
        126 => bits.number(16)?,
        127 => bits.number(64)?,
        length => length,
    };
    let mask = if masked { Some((bits.number(32)? as u32).to_be_bytes()) } else { None };
    Some((Header { fin, rsv1, opcode, mask, length }, bits.at / 8))
}

/// Bits, the highest of each byte first.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn flag(&mut self) -> Option<bool> {
        self.number(1).map(|bit| bit == 1)
    }

    fn number(&mut self, bits: usize) -> Option<u64> {
        let mut number = 0;
        for _ in 0..bits {
            let byte = self.bytes.get(self.at / 8)?;
            number = number << 1 | u64::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(number)
    }
}

fn naive_write((header, out): &mut (Header, Vec<u8>)) {
    let mut bits = vec![header.fin, header.rsv1, false, false];
    let mut number = |number: u64, length: u32| {
        bits.extend((0..length).rev().map(|bit| number >> bit & 1 == 1));
    };
    number(header.opcode as u64, 4);
    number(header.mask.is_some().into(), 1);
    match header.length {
        length @ ..126 => number(length, 7),
        length @ ..65_536 => {
            number(126, 7);
            number(length, 16);
        }
        length => {
            number(127, 7);
            number(length, 64);
        }
    }
    if let Some(key) = header.mask {
        number(u32::from_be_bytes(key).into(), 32);
    }
    out.clear();
    let byte = |bits: &[bool]| bits.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
    out.extend(bits.chunks(8).map(byte));
}
