//! Masks and unmasks payloads: XOR with a repeated four-byte key (RFC 6455 §5.3).
//!
//! ```text
//! payload  48 65 6c 6c 6f      "Hello"
//! key      37 fa 21 3d 37      repeated
//! sent     7f 9f 4d 51 58      the XOR of both; a second XOR with the key gives "Hello" again
//! ```
//!
//! Masking isn't encryption, because the client sends the key just before the payload. But masking
//! keeps a hostile page from choosing the bytes on the wire. Otherwise, the page could send bytes
//! that a proxy mistakes for HTTP (§10.3).
//!
//! Elsewhere: [`header`](super::header) checks that a client masks and a server doesn't, and
//! [`encoder`](super::encoder) takes a fresh random key for each frame.

/// A masking key: the last four bytes of a masked frame's header.
pub type Key = [u8; 4];

// WALK: mask
/// Masks or unmasks a piece of a payload in place: both are the same operation. `offset` is the
/// piece's offset in the payload, in bytes. It determines which byte of the key the piece begins
/// with, because the key repeats over the whole payload.
#[inline]
pub fn apply(key: Key, offset: u64, payload: &mut [u8]) {
    // 1. Rotate the key so that it lines up with the first byte of this piece, and repeat it to
    // fill eight bytes.
    let turned = u32::from_le_bytes(key).rotate_right(8 * (offset % 4) as u32);
    let twice = u64::from(turned) << 32 | u64::from(turned);
    // 2. Mask eight bytes at a time. The compiler turns this loop into vector instructions, which
    // makes it as fast as a copy.
    let (words, rest) = payload.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_le_bytes(*word) ^ twice).to_le_bytes();
    }
    // 3. Mask the remaining bytes, at most seven.
    for (byte, key) in rest.iter_mut().zip(twice.to_le_bytes()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Masks a payload one byte at a time, exactly as §5.3 describes. The tests compare [`apply`]
    /// with this slow function.
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
