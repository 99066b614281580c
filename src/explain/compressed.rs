//! Compressed payloads: the block that a message begins with, and what it all inflates to.
//!
//! ```text
//!   7 6 5 4 3 2 1 0     the first byte of a compressed message. DEFLATE fills each byte from the
//!  +---------+---+-+    right, so that its first block begins there (RFC 1951 §3.1.1)
//!  |  codes  | T |F|    or, before them, a table of codes
//!  +---------+---+-+    F: BFINAL, T: BTYPE (RFC 1951 §3.2.3)
//! ```
//!
//! Only the first block can be pointed at: later ones begin at any bit, and to find it is to inflate.
//! That is done by the protocol's own inflater, before this is asked.

use super::annotation::{Span, bits, hex, quoted};
use super::header_bits::of_bits;
use super::payload_decoder::{Context, Found};
use crate::frames::header::Header;
use crate::frames::message::MessageKind;

/// The block is the last that its sender made.
const BFINAL: u8 = 0b0000_0001;
/// How it is coded.
const BTYPE: u8 = 0b0000_0110;
/// What stands behind them.
const BEHIND: u8 = 0b1111_1000;

/// The spans of a compressed payload at `at`, of which `length` bytes have come.
pub fn spans(
    header: &Header,
    context: Context,
    found: &Found,
    at: u64,
    length: u64,
    shown: &[u8],
) -> Vec<Span> {
    let (value, meaning) = told(header, context, found, length, shown);
    let payload = |from, value, meaning| Span {
        bits: bits(from..at + length),
        field: "payload".into(),
        value,
        meaning,
        section: "RFC 7692 §7.2.2",
    };
    let Some(&first) = shown.first().filter(|_| found.begins) else {
        return vec![payload(at, value, meaning)];
    };
    let Block { how, behind, begins, section } = block(first);
    let mut spans = match length {
        // There is no other byte that could tell what it inflates to.
        1 => vec![of_bits(at, BEHIND, first, "payload", &meaning, "RFC 7692 §7.2.2")],
        _ => vec![of_bits(at, BEHIND, first, behind, begins, section)],
    };
    spans.push(of_bits(at, BTYPE, first, "BTYPE", how, section));
    let last = match first & BFINAL {
        0 => "not the last block: the stream goes on, in the next message as well",
        _ => "the last block of its stream: what follows begins a new one",
    };
    spans.push(of_bits(at, BFINAL, first, "BFINAL", last, "RFC 1951 §3.2.3"));
    if length > 1 {
        spans.push(payload(at + 1, value, meaning));
    }
    spans
}

/// What a block's type says of it.
struct Block {
    how: &'static str,
    /// What stands behind the type: its name, and its meaning.
    behind: &'static str,
    begins: &'static str,
    section: &'static str,
}

fn block(first: u8) -> Block {
    let (how, behind, begins, section) = match (first & BTYPE) >> BTYPE.trailing_zeros() {
        0b00 => (
            "stored: bytes as they are, behind their number",
            "padding",
            "nothing: the number begins with a byte of its own",
            "RFC 1951 §3.2.4",
        ),
        0b01 => (
            "fixed codes: those of the RFC, so no table of them is sent",
            "codes",
            "the first codes: DEFLATE fills each byte from its right end",
            "RFC 1951 §3.2.6",
        ),
        0b10 => (
            "dynamic codes: made for this block",
            "table",
            "the table of its codes: DEFLATE fills each byte from its right end",
            "RFC 1951 §3.2.7",
        ),
        _ => ("no type: this is not DEFLATE", "unknown", "nobody can tell", "RFC 1951 §3.2.3"),
    };
    Block { how, behind, begins, section }
}

/// What it inflates to, and in words.
fn told(
    header: &Header,
    context: Context,
    found: &Found,
    length: u64,
    shown: &[u8],
) -> (String, String) {
    let Some(inflated) = &found.inflated else {
        let meaning = "compressed; built without its feature `deflate`, this can not look inside";
        return (hex(shown, 16), meaning.into());
    };
    let value = match context.inside {
        Some(MessageKind::Text) => quoted(&inflated.bytes),
        _ if inflated.length == 0 => "no byte".into(),
        _ => hex(&inflated.bytes, 16),
    };
    let mut meaning = format!("{length} bytes that inflate to {}", inflated.length);
    match found.spoilt {
        Some(why) => meaning += why,
        None if header.fin => meaning += ", with 00 00 ff ff put back behind them",
        None => {}
    }
    if found.begins && found.remembered > 0 {
        let remembered = found.remembered;
        meaning += &format!("; they may repeat the last {remembered} bytes of earlier messages");
    }
    if let Some(wrong) = &found.wrong {
        meaning += &match wrong.byte {
            Some(byte) => format!("; bad byte {byte:02x} at {} of that: {}", wrong.at, wrong.why()),
            None => format!("; {}", wrong.why()),
        };
    }
    (value, meaning)
}
