//! Validates a message's text as UTF-8 while it arrives in pieces (RFC 6455 §8.1).
//!
//! Rules of this file:
//! - A piece may end in the middle of a character, because a fragment or a read may end there. The
//!   first one to three bytes of that character then wait for the next piece.
//! - All other bytes are validated once, and appended to the text.
//! - The text is refused at the first byte that UTF-8 doesn't allow at its position, not only at
//!   the end of the message.
//!
//! Elsewhere: [`assembler`](super::assembler) limits how long the text may become.

/// The error for text that isn't valid UTF-8.
#[derive(Debug, PartialEq, Eq)]
pub struct NotUtf8;

/// The text of a message that comes in pieces, from the peer or from our application. Each piece is
/// validated as UTF-8 when it's pushed.
#[derive(Debug, Default)]
pub struct Text {
    /// The complete characters that have arrived, validated as UTF-8. `take_complete` removes them.
    valid: String,
    /// The first bytes of a character whose remaining bytes haven't arrived yet. Only the first
    /// `incomplete_length` bytes of this array are in use.
    incomplete: [u8; 4],
    incomplete_length: usize,
}

impl Text {
    // WALK: text
    /// Appends the next piece of the text. Fails at the first byte that UTF-8 doesn't allow at its
    /// position.
    pub fn push(&mut self, mut piece: &[u8]) -> Result<(), NotUtf8> {
        // 1. If the last piece ended inside a character, complete the character byte by byte.
        while self.incomplete_length > 0 {
            let Some((&byte, rest)) = piece.split_first() else { return Ok(()) };
            piece = rest;
            self.push_to_incomplete(byte)?;
        }
        // 2. Validate and append all complete characters at once.
        let (whole, incomplete) = piece.split_at(piece.len() - incomplete_length(piece));
        self.valid.push_str(check(whole)?);
        // 3. Keep the bytes of a new incomplete character for the next piece.
        incomplete.iter().try_for_each(|&byte| self.push_to_incomplete(byte))
    }

    /// Like [`push`](Text::push), but a piece that's refused changes nothing: not even the
    /// characters before its invalid byte are appended.
    pub fn push_whole(&mut self, piece: &[u8]) -> Result<(), NotUtf8> {
        let (length, incomplete) = (self.valid.len(), (self.incomplete, self.incomplete_length));
        self.push(piece).inspect_err(|_| {
            self.valid.truncate(length);
            (self.incomplete, self.incomplete_length) = incomplete;
        })
    }

    /// Reserves memory for the next piece, which is `piece` bytes long. If the piece doesn't fit,
    /// the memory usually doubles, so that it needn't grow for each piece (see
    /// [`bytes_to_reserve`]). `most` is the maximum size of the whole text in bytes.
    pub fn make_room(&mut self, piece: usize, most: usize) {
        let (length, room) = (self.valid.len(), self.valid.capacity());
        self.valid.reserve_exact(bytes_to_reserve(
            length,
            room,
            self.incomplete_length + piece,
            most,
        ));
    }

    /// Returns the length, in bytes, of the text that [`take_complete`](Text::take_complete) would
    /// return now.
    pub fn complete_length(&self) -> usize {
        self.valid.len()
    }

    /// Removes and returns the complete characters that have arrived. The bytes of an incomplete
    /// character stay for the next piece.
    pub fn take_complete(&mut self) -> String {
        std::mem::take(&mut self.valid)
    }

    /// Ends the text, and returns the part that [`take_complete`](Text::take_complete) hasn't
    /// removed. Fails if the text ends in the middle of a character.
    pub fn finish(&mut self) -> Result<String, NotUtf8> {
        match std::mem::take(&mut self.incomplete_length) {
            0 => Ok(self.take_complete()),
            _ => Err(NotUtf8),
        }
    }

    /// Adds a byte to the incomplete character, and moves the character to `valid` once it's
    /// complete. Fails if no UTF-8 character begins with the bytes so far.
    fn push_to_incomplete(&mut self, byte: u8) -> Result<(), NotUtf8> {
        self.incomplete[self.incomplete_length] = byte;
        self.incomplete_length += 1;
        match str::from_utf8(&self.incomplete[..self.incomplete_length]) {
            Ok(character) => {
                self.valid.push_str(character);
                self.incomplete_length = 0;
                Ok(())
            }
            Err(error) if error.error_len().is_none() => Ok(()),
            Err(_) => {
                self.incomplete_length -= 1;
                Err(NotUtf8)
            }
        }
    }
}

/// Returns how many bytes to reserve with `reserve_exact`, so that `more` bytes fit in a buffer
/// that holds `length` bytes and has a capacity of `room` bytes. Returns 0 if they already fit.
/// Otherwise, the capacity doubles, which keeps reallocations rare, but only up to `most`, the
/// message's size limit. If that isn't enough, the capacity becomes exactly `length + more`.
pub fn bytes_to_reserve(length: usize, room: usize, more: usize, most: usize) -> usize {
    let needed = length + more;
    if needed <= room { 0 } else { needed.max(most.min(2 * room)) - length }
}

/// Validates `bytes` as UTF-8, and returns them as text. `bytes` must not end in the middle of a
/// character. The `simd` feature makes the validation many times faster for text that isn't ASCII.
fn check(bytes: &[u8]) -> Result<&str, NotUtf8> {
    #[cfg(feature = "simd")]
    use simdutf8::basic::from_utf8;
    #[cfg(not(feature = "simd"))]
    use std::str::from_utf8;
    from_utf8(bytes).map_err(|_| NotUtf8)
}

/// Returns how many bytes at the end of a piece of text belong to an incomplete character, from 0
/// to 3. This function looks only at the length that the character's first byte announces. It
/// leaves the validation to `check` and `push_to_incomplete`.
fn incomplete_length(bytes: &[u8]) -> usize {
    for back in 1..=bytes.len().min(3) {
        let announced = match bytes[bytes.len() - back] {
            0x00..0x80 => return 0,
            0x80..0xc0 => continue,
            0xc0..0xe0 => 2,
            0xe0..0xf0 => 3,
            0xf0.. => 4,
        };
        return if announced > back { back } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<String, NotUtf8> {
        let mut text = Text::default();
        pieces.into_iter().try_for_each(|piece| text.push(piece))?;
        text.finish()
    }

    #[test]
    fn text_is_what_std_says_for_all_sequences_of_up_to_three_bytes_however_split() {
        let mut sequences: Vec<Vec<u8>> = (0..=255).map(|a| vec![a]).collect();
        // All bytes of a class in table 3-7 of Unicode behave alike, so its first and last byte are
        // enough.
        let edges = [0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0];
        let edges = edges
            .into_iter()
            .chain([0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff]);
        for a in edges {
            sequences.extend((0..=255).map(|b| vec![a, b]));
            sequences.extend(
                (0..=255).flat_map(|b| [0x00, 0x7f, 0x80, 0xbf, 0xc0].map(|c| vec![a, b, c])),
            );
        }
        for bytes in sequences {
            let expected = String::from_utf8(bytes.clone()).map_err(|_| NotUtf8);
            assert_eq!(in_pieces([&bytes[..]]), expected, "{bytes:02x?}");
            assert_eq!(in_pieces(bytes.chunks(1)), expected, "{bytes:02x?} byte by byte");
        }
    }

    #[test]
    fn every_split_of_a_text_gives_the_same_text() {
        let text = "a\u{e9}\u{2603}\u{1f600}z\u{10ffff}";
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let bytes = text.as_bytes();
                let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                assert_eq!(in_pieces(pieces).as_deref(), Ok(text));
            }
        }
    }

    #[test]
    fn the_first_bad_byte_is_refused_before_anything_follows() {
        // In each case, only the last byte is wrong: UTF-8 doesn't allow it after the others.
        for bytes in [
            &b"ok\xff"[..],
            b"\xc0",
            b"\xe0\x80",
            b"\xed\xa0",
            b"\xf0\x80",
            b"\xf4\x90",
            b"\xf5",
            b"a\x80",
        ] {
            let (good, bad) = bytes.split_at(bytes.len() - 1);
            let mut text = Text::default();
            assert_eq!(text.push(good), Ok(()), "{good:02x?}");
            assert_eq!(text.push(bad), Err(NotUtf8), "{bytes:02x?}");
            assert_eq!(Text::default().push(bytes), Err(NotUtf8), "{bytes:02x?} at once");
        }
    }

    #[test]
    fn memory_doubles_as_it_grows_but_not_beyond_the_most_that_may_come() {
        for (length, room, more, most, expected) in [
            (10, 20, 10, 1000, 0),
            (10, 20, 11, 1000, 30),
            (10, 20, 200, 1000, 200),
            (20, 20, 1, 30, 10),
            (0, 0, 5, 1000, 5),
        ] {
            assert_eq!(
                bytes_to_reserve(length, room, more, most),
                expected,
                "{length} of {room}, {more} more"
            );
        }
    }

    #[test]
    fn text_may_not_end_within_a_character() {
        assert_eq!(in_pieces([&b"a\xe2\x98"[..]]), Err(NotUtf8));
    }

    #[test]
    fn taking_text_out_keeps_an_incomplete_character_for_later() {
        let mut text = Text::default();
        text.push(b"a\xe2\x98").unwrap();
        assert_eq!(text.take_complete(), "a");
        text.push(b"\x83b").unwrap();
        assert_eq!(text.finish().as_deref(), Ok("\u{2603}b"));
    }
}
