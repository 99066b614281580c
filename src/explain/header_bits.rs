//! The bits of a frame's header, each with its name, as far as they have come.
//!
//! Where they stand, the constants of [`frame`](crate::frames::header) say: a span is as wide as the
//! ones of its mask.

use super::annotation::{Span, bits, hex};
use crate::frames::header::{
    FIN, LENGTH, LENGTH_IN_16_BITS, LENGTH_IN_64_BITS, MASK, OPCODE, Opcode, RSV1, RSV2_RSV3,
    length_bytes,
};
use crate::frames::mask;

/// The bits of a header, as far as it has come. `length`: what the protocol has read there, if it got
/// that far. `deflate`: an extension was agreed on that compresses.
pub fn header_spans(head: &[u8], deflate: bool, length: Option<u64>) -> Vec<Span> {
    let mut spans = Vec::new();
    let Some(&first) = head.first() else { return spans };
    // 1. The first byte.
    let fin =
        if first & FIN != 0 { "the last fragment of its message" } else { "more fragments follow" };
    spans.push(of_bits(0, FIN, first, "FIN", fin, "§5.4"));
    let (rsv1, section) = rsv1(first, deflate);
    spans.push(of_bits(0, RSV1, first, "RSV1", rsv1, section));
    let rsv = if first & RSV2_RSV3 == 0 {
        "0: nobody has given them a meaning"
    } else {
        "set, though nobody has given them a meaning"
    };
    spans.push(of_bits(0, RSV2_RSV3, first, "RSV2-3", rsv, "§5.2"));
    let opcode = Opcode::parse(first).map_or("an opcode that no RFC has defined", what_it_says);
    spans.push(of_bits(0, OPCODE, first, "opcode", opcode, "§5.2"));
    // 2. The second.
    let Some(&second) = head.get(1) else { return spans };
    let masked = if second & MASK != 0 {
        "masked, as all that a client sends"
    } else {
        "not masked, as all that a server sends"
    };
    spans.push(of_bits(1, MASK, second, "MASK", masked, "§5.1"));
    let short = match second & LENGTH {
        LENGTH_IN_16_BITS => "126: it stands in the next 2 bytes".into(),
        LENGTH_IN_64_BITS => "127: it stands in the next 8 bytes".into(),
        length => format!("{length} bytes"),
    };
    spans.push(of_bits(1, LENGTH, second, "length", &short, "§5.2"));
    // 3. What may follow them: the length at length, and the mask.
    let (long, rest) = head[2..].split_at(length_bytes(second).min(head.len() - 2));
    let mut at = 2;
    for (part, whole, field, section) in [
        (long, length_bytes(second), "long length", "§5.2"),
        (rest, size_of::<mask::Key>(), "mask key", "§5.3"),
    ] {
        if part.is_empty() {
            continue;
        }
        let end = at + part.len() as u64;
        let meaning = match (part.len() == whole, field) {
            (false, _) => format!("cut: {} of {whole} bytes", part.len()),
            (true, "mask key") => "the payload is XORed with it, again and again".into(),
            (true, _) => match length {
                Some(length) => format!("{length} bytes"),
                None => format!("the length, in {whole} bytes"),
            },
        };
        let value = hex(part, 8);
        spans.push(Span { bits: bits(at..end), field: field.into(), value, meaning, section });
        at = end;
    }
    spans
}

/// What RSV1 says, which permessage-deflate gives a meaning on the first frame of a message.
fn rsv1(first: u8, deflate: bool) -> (&'static str, &'static str) {
    let is_first = matches!(Opcode::parse(first), Ok(Opcode::Text | Opcode::Binary));
    match (first & RSV1 != 0, deflate, is_first) {
        (true, false, _) => ("set, though no extension gave it a meaning", "§5.2"),
        (false, false, _) => ("0, unless an extension has given it a meaning", "§5.2"),
        (true, true, true) => ("the message is compressed", "RFC 7692 §6"),
        (false, true, true) => ("the message goes as it is, not compressed", "RFC 7692 §6"),
        (true, true, false) => {
            ("set, though only the first frame of a message may say so", "RFC 7692 §6.1")
        }
        (false, true, false) => {
            ("0: only the first frame of a message says whether it is compressed", "RFC 7692 §6.1")
        }
    }
}

fn what_it_says(opcode: Opcode) -> &'static str {
    match opcode {
        Opcode::Continuation => "continuation: the message goes on",
        Opcode::Text => "text: a message begins, in UTF-8",
        Opcode::Binary => "binary: a message begins, of any bytes",
        Opcode::Close => "close: this end says no more",
        Opcode::Ping => "ping: are you there?",
        Opcode::Pong => "pong: the answer to a ping",
    }
}

/// A span of some bits of a byte: those that are ones in `of`.
pub(crate) fn of_bits(
    at: u64,
    of: u8,
    byte: u8,
    field: &str,
    meaning: &str,
    section: &'static str,
) -> Span {
    let (from, to) = (u64::from(of.leading_zeros()), 8 - u64::from(of.trailing_zeros()));
    let width = (to - from) as usize;
    let value = format!("{:0width$b}", (byte & of) >> of.trailing_zeros());
    let (field, meaning) = (field.to_owned(), meaning.to_owned());
    Span { bits: at * 8 + from..at * 8 + to, field, value, meaning, section }
}
