//! The mask, §5.3: a word at a time, or as the RFC has it, octet by octet.

use ws101::frames::mask;

use super::Case;
use crate::Result;

const KEY: mask::Key = [0x37, 0xfa, 0x21, 0x3d];
/// In the midst of a payload, so that the key has to be turned.
const OFFSET: u64 = 3;

pub fn cases() -> Result<Vec<Case>> {
    let case = |length: usize| {
        let payload: Vec<u8> = (0..length).map(|i| i as u8).collect();
        Case::new(
            format!("mask, {length} B"),
            payload,
            |payload| mask::apply(KEY, OFFSET, payload),
            |payload| naive(KEY, OFFSET, payload),
        )
    };
    [32, 1024, 64 * 1024].into_iter().map(case).collect()
}

/// "j = i MOD 4; transformed-octet-i = original-octet-i XOR masking-key-octet-j"
fn naive(key: mask::Key, offset: u64, payload: &mut [u8]) {
    for (i, byte) in payload.iter_mut().enumerate() {
        *byte ^= key[(offset as usize + i) % 4];
    }
}
