//! The answer to a key, §1.3: with `sha1` and `base64`, or with SHA-1 as RFC 3174 tells it and base64
//! as RFC 4648 does.

use ws101::handshake::accept_key::{self, GUID};

use super::Case;
use crate::Result;

pub fn cases() -> Result<Vec<Case>> {
    let key = "dGhlIHNhbXBsZSBub25jZQ==".to_owned();
    Ok(vec![Case::new(
        "accept key",
        key,
        |key| accept_key::accept(key),
        |key| base64(&sha1(format!("{key}{GUID}").as_bytes())),
    )?])
}

/// RFC 3174 §6.1: blocks of 64 bytes, 80 rounds each.
fn sha1(message: &[u8]) -> [u8; 20] {
    let mut padded = message.to_vec();
    padded.push(0x80);
    while padded.len() % 64 != 56 {
        padded.push(0);
    }
    padded.extend((message.len() as u64 * 8).to_be_bytes());

    let mut state: [u32; 5] = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0];
    let (words, _) = padded.as_chunks::<4>();
    let (blocks, _) = words.as_chunks::<16>();
    for block in blocks {
        let mut word = [0; 80];
        for t in 0..80 {
            word[t] = match t {
                0..16 => u32::from_be_bytes(block[t]),
                _ => (word[t - 3] ^ word[t - 8] ^ word[t - 14] ^ word[t - 16]).rotate_left(1),
            };
        }
        let [mut a, mut b, mut c, mut d, mut e] = state;
        for (t, word) in word.into_iter().enumerate() {
            let (mix, constant) = match t {
                0..20 => ((b & c) | (!b & d), 0x5a827999),
                20..40 => (b ^ c ^ d, 0x6ed9eba1),
                40..60 => ((b & c) | (b & d) | (c & d), 0x8f1bbcdc),
                _ => (b ^ c ^ d, 0xca62c1d6u32),
            };
            let sum =
                [mix, e, word, constant].into_iter().fold(a.rotate_left(5), u32::wrapping_add);
            (a, b, c, d, e) = (sum, a, b.rotate_left(30), c, d);
        }
        for (sum, more) in state.iter_mut().zip([a, b, c, d, e]) {
            *sum = sum.wrapping_add(more);
        }
    }
    let mut hash = [0; 20];
    for (bytes, word) in hash.chunks_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    hash
}

/// RFC 4648 §4: six bits a letter, in groups of three bytes.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let byte = |i: usize| u32::from(group.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for letter in 0..4 {
            let six = bits >> (18 - 6 * letter) & 0b11_1111;
            text.push(if letter <= group.len() { LETTERS[six as usize] as char } else { '=' });
        }
    }
    text
}
