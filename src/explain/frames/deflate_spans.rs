//! Explains a compressed payload: the first bits of the message, and what the payload inflates to.
//!
//! ```text
//!   7 6 5 4 3 2 1 0     the first byte of a compressed message. DEFLATE fills each byte from its
//!  +---------+---+-+    lowest bit, so the first block begins there (RFC 1951 §3.1.1)
//!  |  rest   | T |F|    F: BFINAL, which marks the stream's last block. T: BTYPE, the block's type
//!  +---------+---+-+    (§3.2.3). rest: codes, a table of codes or padding, depending on the type
//! ```
//!
//! Only the first block's header is explained bit by bit, because a later block may begin at any
//! bit, and only an inflater can find that bit. The inflated bytes come from `payload_decoder`.

use super::header_bits::span_of_bits;
use super::payload_decoder::{Findings, MessageContext};
use crate::explain::annotation::{Span, bits_of_bytes, hex, quoted};
use crate::frames::message::MessageKind;

/// The bit in a DEFLATE block's first byte that marks the last block of a stream.
const BFINAL: u8 = 0b0000_0001;
/// Masks the two bits of a DEFLATE block's type in the block's first byte. The type says how the
/// block is encoded: stored, or with fixed or dynamic Huffman codes.
const BTYPE: u8 = 0b0000_0110;
/// The five bits after the type in a DEFLATE block's first byte. Depending on the type, they
/// contain padding, codes, or the start of a table.
const AFTER_TYPE: u8 = 0b1111_1000;

/// Returns the spans that explain a compressed payload, which starts at byte `at` of its frame.
/// `length` is the number of payload bytes that have arrived, and `shown` holds the first of these
/// bytes, unmasked.
pub fn spans(
    context: MessageContext,
    found: &Findings,
    at: u64,
    length: u64,
    shown: &[u8],
) -> Vec<Span> {
    let (value, meaning) = describe_inflated(context, found, length, shown);
    let payload = |from, value, meaning| Span {
        bits: bits_of_bytes(from..at + length),
        field: "payload".into(),
        value,
        meaning,
        section: "RFC 7692 §7.2.2",
    };
    let Some(&first) = shown.first().filter(|_| found.begins) else {
        return vec![payload(at, value, meaning)];
    };
    let BlockDescription { how, after_type, begins, section } = describe_block(first);
    let mut spans = match length {
        // This byte is the whole payload, so the span of its upper bits must also say what the
        // payload inflates to.
        1 => vec![span_of_bits(at, AFTER_TYPE, first, "payload", &meaning, "RFC 7692 §7.2.2")],
        _ => vec![span_of_bits(at, AFTER_TYPE, first, after_type, begins, section)],
    };
    spans.push(span_of_bits(at, BTYPE, first, "BTYPE", how, section));
    let last = match (first & BFINAL, found.takeover) {
        (0, true) => "not the last block: the stream continues, in the next message too",
        (0, false) => "not the last block: the end of the message ends the stream",
        _ => "the last block of its stream: a new one begins after it",
    };
    spans.push(span_of_bits(at, BFINAL, first, "BFINAL", last, "RFC 1951 §3.2.3"));
    if length > 1 {
        spans.push(payload(at + 1, value, meaning));
    }
    spans
}

/// The texts of the spans that explain the beginning of a DEFLATE block. They depend on the block's
/// type.
struct BlockDescription {
    how: &'static str,
    /// The name of the field after the block's type, such as `padding`. `begins` holds this field's
    /// meaning.
    after_type: &'static str,
    begins: &'static str,
    section: &'static str,
}

/// Describes a DEFLATE block, based on the type in its first byte (RFC 1951 §3.2.3 to §3.2.7).
fn describe_block(first: u8) -> BlockDescription {
    let (how, after_type, begins, section) = match (first & BTYPE) >> BTYPE.trailing_zeros() {
        0b00 => (
            "stored: uncompressed bytes, after their number",
            "padding",
            "padding: the number begins at the next byte",
            "RFC 1951 §3.2.4",
        ),
        0b01 => (
            "fixed codes: the RFC defines them, so no table is sent",
            "codes",
            "the first codes: DEFLATE fills each byte from its lowest bit",
            "RFC 1951 §3.2.6",
        ),
        0b10 => (
            "dynamic codes: made for this block, and sent in a table",
            "table",
            "the table of codes: DEFLATE fills each byte from its lowest bit",
            "RFC 1951 §3.2.7",
        ),
        _ => ("reserved: this isn't DEFLATE", "unknown", "undefined", "RFC 1951 §3.2.3"),
    };
    BlockDescription { how, after_type, begins, section }
}

/// Returns two texts to show for a compressed payload, as `(value, meaning)`. The value is the
/// inflated bytes. The meaning says how many bytes the payload inflates to, and what is wrong with
/// the payload, if anything. If ws101 was built without the `deflate` feature, the value is the
/// compressed bytes, and the meaning says that they can't be inflated.
fn describe_inflated(
    context: MessageContext,
    found: &Findings,
    length: u64,
    shown: &[u8],
) -> (String, String) {
    let Some(inflated) = &found.inflated else {
        let meaning = "compressed; a build without the feature `deflate` can't inflate it";
        return (hex(shown, 16), meaning.into());
    };
    let value = match context.inside {
        Some(MessageKind::Text) => quoted(&inflated.bytes),
        _ if inflated.length == 0 => "no byte".into(),
        _ => hex(&inflated.bytes, 16),
    };
    let mut meaning = format!("{length} bytes that inflate to {}", inflated.length);
    match found.deflate_error {
        Some(why) => meaning += why,
        None if found.inflates_whole => meaning += ", with 00 00 ff ff appended again",
        None => {}
    }
    if found.begins && found.bytes_in_window > 0 {
        let bytes_in_window = found.bytes_in_window;
        meaning +=
            &format!("; they may refer to the last {bytes_in_window} bytes of earlier messages");
    }
    if let Some(wrong) = &found.wrong {
        meaning += &match wrong.byte {
            Some(byte) => {
                format!("; bad byte {byte:02x} at offset {} of those: {}", wrong.at, wrong.why())
            }
            None => format!("; {}", wrong.why()),
        };
    }
    (value, meaning)
}
