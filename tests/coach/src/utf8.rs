//! Checks whether a text is UTF-8, as its bytes arrive (RFC 3629 §4, RFC 6455 §8.1).
//!
//! `Utf8` remembers only which bytes may come next. So a character may be cut anywhere, and a wrong byte
//! is found at once.

use crate::switch::{Switch::*, has};

/// What may come next in a text.
pub struct Utf8 {
    /// How many bytes of this character are missing.
    missing: u8,
    /// The bounds of the next of them.
    least: u8,
    most: u8,
    /// Whether the byte after the first of this character has come.
    is_first_checked: bool,
}

impl Utf8 {
    pub fn new() -> Utf8 {
        Utf8 { missing: 0, least: 0x80, most: 0xbf, is_first_checked: false }
    }

    /// Whether the text can still be right with these bytes after it.
    pub fn push(&mut self, bytes: &[u8]) -> bool {
        bytes.iter().all(|&byte| self.step(byte))
    }

    /// Whether the text may end here.
    pub fn may_end(&self) -> bool {
        self.missing == 0 || has(Utf8CutAtEndAccepted)
    }

    fn step(&mut self, byte: u8) -> bool {
        if has(Utf8NotChecked) {
            return true;
        }
        if self.missing > 0 {
            let is_unchecked = has(Utf8OnlyFirstContinuationChecked) && self.is_first_checked;
            if !is_unchecked && !(self.least..=self.most).contains(&byte) {
                return false;
            }
            *self =
                Utf8 { missing: self.missing - 1, least: 0x80, most: 0xbf, is_first_checked: true };
            return true;
        }
        let (overlong, surrogates, beyond) =
            (has(Utf8OverlongAccepted), has(Utf8SurrogatesAccepted), has(Utf8BeyondLastAccepted));
        let (missing, least, most) = match byte {
            0x00..=0x7f => (0, 0x80, 0xbf),
            0xc1 if has(Utf8C1Accepted) => (1, 0x80, 0xbf),
            0xc0..=0xc1 if overlong => (1, 0x80, 0xbf),
            0xc2..=0xdf => (1, 0x80, 0xbf),
            0xe0 if !overlong => (2, 0xa0, 0xbf),
            0xed if !surrogates => (2, 0x80, 0x9f),
            0xe0..=0xef => (2, 0x80, 0xbf),
            0xf0 if !overlong => (3, 0x90, 0xbf),
            0xf4 if !beyond => (3, 0x80, 0x8f),
            0xf0..=0xf4 => (3, 0x80, 0xbf),
            0xf5..=0xf7 if has(Utf8LongestFormAccepted) => (3, 0x80, 0xbf),
            0xf5..=0xf7 if beyond => (3, 0x80, 0xbf),
            0x80..=0xbf if has(Utf8StrayContinuationAccepted) => (0, 0x80, 0xbf),
            0xfe..=0xff if has(Utf8ImpossibleBytesAccepted) => (0, 0x80, 0xbf),
            _ => return false,
        };
        if missing == 3 && has(Utf8FourBytesRefused) {
            return false;
        }
        if byte == 0 && has(Utf8NulRefused) {
            return false;
        }
        *self = Utf8 { missing, least, most, is_first_checked: false };
        true
    }
}
