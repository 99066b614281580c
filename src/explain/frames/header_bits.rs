//! Explains the bits of a frame header, field by field, as far as they have arrived.
//!
//! The bit masks in [`header`](crate::frames::header) define where the fields are: a field's span
//! covers the bits that are set in the field's mask.

use crate::explain::annotation::{Span, bits_of_bytes, hex};
use crate::frames::header::{
    FIN, LENGTH, LENGTH_IN_16_BITS, LENGTH_IN_64_BITS, MASK, OPCODE, Opcode, RSV1, RSV2_RSV3,
    length_bytes,
};
use crate::frames::mask;

/// The extensions that both ends agreed on. They decide what a frame's reserved bits mean.
#[derive(Clone, Copy, Debug)]
pub struct ExtensionsInUse {
    /// Whether both ends agreed on permessage-deflate, which marks a compressed message with RSV1.
    pub deflate: bool,
    /// Whether both ends agreed on an extension that this crate doesn't know. Such an extension may
    /// use the reserved bits.
    pub unknown: bool,
}

impl ExtensionsInUse {
    /// Returns a bit mask of the reserved bits that mean nothing to this crate on this connection:
    /// RSV2 and RSV3, and also RSV1 unless both ends agreed on permessage-deflate. The mask applies
    /// to a frame's first byte.
    pub fn unknown_reserved_bits(self) -> u8 {
        RSV2_RSV3 | if self.deflate { 0 } else { RSV1 }
    }
}

/// The meaning and the RFC section of a reserved bit that is set, if both ends agreed on an
/// extension that this crate doesn't know.
const UNKNOWN: (&str, &str) = ("set, as the agreed extension may define it", "§9.2");

/// Returns the spans that explain a frame header, as far as the header has arrived. `length` is the
/// payload length, or `None` if it wasn't parsed.
pub fn header_spans(head: &[u8], extensions: ExtensionsInUse, length: Option<u64>) -> Vec<Span> {
    let mut spans = Vec::new();
    let Some(&first) = head.first() else { return spans };
    // 1. The first byte holds FIN, the reserved bits and the opcode.
    let fin =
        if first & FIN != 0 { "the last fragment of its message" } else { "more fragments follow" };
    spans.push(span_of_bits(0, FIN, first, "FIN", fin, "§5.4"));
    let (meaning, section) = rsv1_meaning(first, extensions);
    spans.push(span_of_bits(0, RSV1, first, "RSV1", meaning, section));
    let (meaning, section) = match (first & RSV2_RSV3 != 0, extensions.unknown) {
        (false, _) => ("unassigned", "§5.2"),
        (true, true) => UNKNOWN,
        (true, false) => ("set, although unassigned", "§5.2"),
    };
    spans.push(span_of_bits(0, RSV2_RSV3, first, "RSV2-3", meaning, section));
    let opcode = Opcode::parse(first).map_or("an opcode that no RFC defines", opcode_meaning);
    spans.push(span_of_bits(0, OPCODE, first, "opcode", opcode, "§5.2"));
    // 2. The second byte holds MASK and the short length.
    let Some(&second) = head.get(1) else { return spans };
    let masked = if second & MASK != 0 {
        "masked, as every frame from a client"
    } else {
        "not masked, as every frame from a server"
    };
    spans.push(span_of_bits(1, MASK, second, "MASK", masked, "§5.1"));
    let short = match second & LENGTH {
        LENGTH_IN_16_BITS => "126: the length is in the next 2 bytes".into(),
        LENGTH_IN_64_BITS => "127: the length is in the next 8 bytes".into(),
        length => format!("{length} bytes"),
    };
    spans.push(span_of_bits(1, LENGTH, second, "length", &short, "§5.2"));
    // 3. The long length and the masking key may follow.
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
            (false, _) => format!("incomplete: {} of {whole} bytes", part.len()),
            (true, "mask key") => "the payload is XORed with it, four bytes at a time".into(),
            (true, _) => match length {
                Some(length) => format!("{length} bytes"),
                None => format!("the length, in {whole} bytes"),
            },
        };
        let value = hex(part, 8);
        spans.push(Span {
            bits: bits_of_bytes(at..end),
            field: field.into(),
            value,
            meaning,
            section,
        });
        at = end;
    }
    spans
}

/// Returns the meaning of RSV1 in a frame whose first byte is `first`, as `(meaning, section)`.
/// permessage-deflate defines RSV1 only for the first frame of a message.
fn rsv1_meaning(first: u8, extensions: ExtensionsInUse) -> (&'static str, &'static str) {
    let is_first = matches!(Opcode::parse(first), Ok(Opcode::Text | Opcode::Binary));
    match (first & RSV1 != 0, extensions.deflate, is_first) {
        (true, false, _) if extensions.unknown => UNKNOWN,
        (true, false, _) => ("set, although no extension defines it", "§5.2"),
        (false, false, _) => ("unassigned, unless an extension defines it", "§5.2"),
        (true, true, true) => ("the message is compressed", "RFC 7692 §6"),
        (false, true, true) => ("the message is not compressed", "RFC 7692 §6"),
        (true, true, false) => {
            ("set, although only the first frame of a message may set it", "RFC 7692 §6")
        }
        (false, true, false) => {
            ("0: the first frame of the message says whether it is compressed", "RFC 7692 §6")
        }
    }
}

fn opcode_meaning(opcode: Opcode) -> &'static str {
    match opcode {
        Opcode::Continuation => "continuation: another fragment of the message",
        Opcode::Text => "text: a message begins, in UTF-8",
        Opcode::Binary => "binary: a message begins, of any bytes",
        Opcode::Close => "close: this end sends nothing more",
        Opcode::Ping => "ping: asks whether the other end is there",
        Opcode::Pong => "pong: answers a ping, or comes unasked",
    }
}

/// Creates the span that explains a field within one byte. The field consists of the bits that are
/// set in the bit mask `of`. `at` is the byte's offset in the frame.
pub(crate) fn span_of_bits(
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
