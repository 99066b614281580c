//! Text that arrives in pieces, which may end in mid-character: checked as it comes, or gathered and
//! checked at the end.

use ws101::frames::utf8::Text;

use super::Case;
use crate::Result;
use crate::scenarios::Payload;

const LENGTH: usize = 16 * 1024;

/// Text, and in how long pieces it comes.
type Arriving = (Vec<u8>, usize);

pub fn cases() -> Result<Vec<Case>> {
    let ascii = "one thread a connection; ".bytes().cycle().take(LENGTH).collect::<Vec<_>>();
    let other = Payload::Text(LENGTH).message(0).payload;
    let case = |(title, arriving): (&str, Arriving)| Case::new(title, arriving, ours, naive);
    [
        ("UTF-8, 16 KiB of ASCII", (ascii.clone(), LENGTH)),
        ("UTF-8, 16 KiB of ASCII in pieces of 1,000", (ascii, 1000)),
        ("UTF-8, 16 KiB of other text", (other.clone(), LENGTH)),
        ("UTF-8, 16 KiB of other text in pieces of 1,000", (other, 1000)),
    ]
    .into_iter()
    .map(case)
    .collect()
}

fn ours((bytes, piece): &mut Arriving) -> Option<String> {
    let mut text = Text::default();
    for piece in bytes.chunks(*piece) {
        text.push(piece).ok()?;
    }
    text.finish().ok()
}

fn naive((bytes, piece): &mut Arriving) -> Option<String> {
    let mut gathered = Vec::new();
    for piece in bytes.chunks(*piece) {
        gathered.extend_from_slice(piece);
    }
    String::from_utf8(gathered).ok()
}
