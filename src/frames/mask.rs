//! The mask: four bytes, XORed over a client's payload again and again (RFC 6455 §5.3).
//!
//! ```text
//! payload  48 65 6c 6c 6f      "Hello"
//! key      37 fa 21 3d 37      repeated
//! sent     7f 9f 4d 51 58      their XOR; XORed with the key once more, it is "Hello" again
//! ```
//!
//! It hides nothing: the key travels in front of the payload. It is there so that a page can't
//! choose which bytes go over the wire, and so can't make a proxy mistake them for HTTP (§10.3).

/// The four bytes of a mask.
pub type Key = [u8; 4];

// WALK: mask
/// Puts the mask on, or takes it off: the same operation. `offset` says how many bytes of this
/// payload came before, so that a payload may be worked on in pieces of any size.
#[inline]
pub fn apply(key: Key, offset: u64, payload: &mut [u8]) {
    // 1. Turn the key so that its first byte falls on ours, and write it twice.
    let turned = u32::from_le_bytes(key).rotate_right(8 * (offset % 4) as u32);
    let twice = u64::from(turned) << 32 | u64::from(turned);
    // 2. Eight bytes at a time: the compiler makes wider steps of it, at the speed of a copy.
    let (words, rest) = payload.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_le_bytes(*word) ^ twice).to_le_bytes();
    }
    // 3. What is left, up to seven bytes.
    for (byte, key) in rest.iter_mut().zip(twice.to_le_bytes()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// §5.3 to the letter; slow, and the oracle of the fast one.
    fn one_byte_at_a_time(key: Key, offset: u64, payload: &mut [u8]) {
        for (i, byte) in payload.iter_mut().enumerate() {
            *byte ^= key[(offset as usize + i) % 4];
        }
    }

    #[test]
    fn mask_turns_the_hello_of_section_5_7_into_what_the_rfc_prints() {
        let mut payload = *b"Hello";
        apply([0x37, 0xfa, 0x21, 0x3d], 0, &mut payload);
        assert_eq!(payload, [0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    }

    #[test]
    fn mask_equals_the_naive_one_at_every_offset_length_and_alignment() {
        let key = [0x12, 0x34, 0x56, 0x78];
        let bytes: Vec<u8> = (0..100).collect();
        for offset in (0..9).chain([u64::from(u32::MAX), 1 << 40]) {
            for start in 0..9 {
                for length in 0..70 {
                    let (mut fast, mut slow) = (bytes.clone(), bytes.clone());
                    apply(key, offset, &mut fast[start..start + length]);
                    one_byte_at_a_time(key, offset, &mut slow[start..start + length]);
                    assert_eq!(fast, slow, "offset {offset}, start {start}, length {length}");
                }
            }
        }
    }
}
