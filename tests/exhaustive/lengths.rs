//! Lengths at each power of two and its neighbours, and just below the largest 64-bit number, in
//! each of the three forms of a length (§5.2): as a peer sends them, and as we write them.

use ws101::frames::header::{Header, Opcode};

use crate::ear::{Ear, READERS};
use crate::rfc::{Reader, length_may_be_written};

fn lengths() -> Vec<u64> {
    let powers = (0..64).map(|k| 1_u64 << k);
    let mut lengths: Vec<u64> = powers.flat_map(|power| [power - 1, power, power + 1]).collect();
    // A header has up to 14 bytes: a sum of both would overflow here.
    lengths.extend(u64::MAX - 14..=u64::MAX);
    // The edges of the three ways to write one.
    lengths.extend([124, 125, 126]);
    lengths
}

/// The ways that can hold this length.
fn ways(length: u64) -> impl Iterator<Item = usize> {
    [0, 2, 8].into_iter().filter(move |bytes| match bytes {
        0 => length <= 125,
        2 => length <= 0xffff,
        _ => true,
    })
}

fn header(reader: Reader, first: u8, length: u64, way: usize) -> Vec<u8> {
    let masked = if reader == Reader::Server { 0x80 } else { 0 };
    let second = match way {
        0 => length as u8,
        2 => 126,
        _ => 127,
    };
    let mut header = vec![first, masked | second];
    header.extend(&length.to_be_bytes()[8 - way..]);
    if masked != 0 {
        header.extend([1, 2, 3, 4]);
    }
    header
}

#[test]
fn each_length_in_each_way_to_write_it_is_taken_or_fails_as_section_5_2_and_the_limit_say() {
    for reader in READERS {
        for length in lengths() {
            for way in ways(length) {
                for limit in [length.saturating_sub(1), length, 16 << 20, u64::MAX] {
                    // A header without its payload is a message only where there is none.
                    let expected = match () {
                        () if !length_may_be_written(length, way) => (Some(1002), 0),
                        () if length > limit => (Some(1009), 0),
                        () => (None, usize::from(length == 0)),
                    };
                    for first in [0x81, 0x82] {
                        let name = format!("{length:#x} in {way} bytes, limit {limit:#x}");
                        let mut at_once = Ear::within(reader, limit);
                        let header = header(reader, first, length, way);
                        at_once.hear(&header);
                        assert_eq!((at_once.failed_with, at_once.events.len()), expected, "{name}");
                        let mut by_bytes = Ear::within(reader, limit);
                        header.iter().for_each(|&byte| by_bytes.hear(&[byte]));
                        assert_eq!(
                            (by_bytes.failed_with, by_bytes.events.len()),
                            expected,
                            "{name}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn each_length_is_written_in_the_one_way_that_section_5_2_allows() {
    for length in lengths().into_iter().filter(|&length| length < 1 << 63) {
        for (mask, masked) in [(None, 0), (Some([1, 2, 3, 4]), 0x80)] {
            let opcode = Opcode::Binary;
            let mut written = Vec::new();
            Header { fin: true, rsv1: false, opcode, mask, length }.write(&mut written);
            let way = match written[1] & 0x7f {
                126 => 2,
                127 => 8,
                _ => 0,
            };
            assert!(length_may_be_written(length, way), "{length:#x}: {written:02x?}");
            let reader = if masked != 0 { Reader::Server } else { Reader::Client };
            assert_eq!(written, header(reader, 0x82, length, way), "{length:#x}");
        }
    }
}
