//! `Sec-WebSocket-Extensions`, parameter by parameter: what is offered, what is taken, and why not.
//!
//! ```text
//! Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, permessage-deflate CR LF
//! └───────────── the first name ─────────────┘└────── parameter ─────┘└──── the next name ─────┘
//! ```
//!
//! Rules of this file:
//! - [`extension::parse`] says what the list is, [`DeflateParams::parse`] what a parameter is,
//!   [`DeflateParams::answer`] whether a server takes an offer, [`deflate_params::verify`] whether a client takes the
//!   answer.
//! - What spoils an offer is found by asking about each of its parameters alone.

use std::slice;

use super::annotation::{Span, bits, visible};
use crate::handshake::deflate_params::{self, DeflateConfig, DeflateParams, NAME};
use crate::handshake::extension::{self, Extension, HEADER};
use crate::http::head::Head;

/// Which head the line is of, and what is known of the other.
#[derive(Debug)]
pub enum Bargain<'a> {
    /// A request.
    Offers {
        /// How the server would compress, if that is known.
        settings: Option<&'a DeflateConfig>,
        /// It has taken an offer that stands before.
        is_taken: bool,
    },
    /// A response.
    Answer {
        /// How many offers there were.
        offers: usize,
        /// Which of them was taken; or what the client expected instead.
        taken: Result<usize, &'static str>,
    },
}

/// The offers to compress that can be read, in their order.
pub fn offers(head: &Head) -> Vec<DeflateParams> {
    let all = extension::parse(head).unwrap_or_default();
    let named = all.iter().filter(|one| one.name == NAME);
    named.filter_map(|one| DeflateParams::parse(one, false)).collect()
}

/// Which of these offers was taken; or what was expected instead.
pub fn taken(head: &Head, offers: &[DeflateParams]) -> Result<usize, &'static str> {
    deflate_params::verify(head, offers)?;
    let fits = |offer: &DeflateParams| deflate_params::verify(head, slice::from_ref(offer)).is_ok();
    Ok(offers.iter().position(fits).unwrap_or_default())
}

/// How both will compress: as the answer says, if there was an offer.
pub fn agreed(head: &Head, offers: &[DeflateParams]) -> Option<DeflateParams> {
    match extension::parse(head).as_deref() {
        Ok([one]) if one.name == NAME && !offers.is_empty() => DeflateParams::parse(one, true),
        _ => None,
    }
}

/// The spans of a line that starts at `at`, if it is a list of extensions.
pub fn extension_spans(line: &[u8], at: u64, bargain: &mut Bargain) -> Option<Vec<Span>> {
    let head = Head::parse(&[b"\r\n", line].concat()).ok().filter(|_| line.ends_with(b"\r\n"))?;
    let (name, _) = head.fields().next().filter(|(name, _)| name.eq_ignore_ascii_case(HEADER))?;
    let mut told = Vec::new();
    for one in &extension::parse(&head).ok()? {
        told.push(("extension", of_name(one, bargain)));
        let parameters = 0..one.parameters.len();
        told.extend(parameters.map(|index| ("parameter", of_parameter(one, index, bargain))));
    }
    let behind_name = name.len() + 1;
    let begins = elements(line, behind_name);
    if begins.len() != told.len() {
        return None; // The list is empty.
    }
    let ends = begins.iter().copied().skip(1).chain([line.len()]);
    let mut spans = Vec::new();
    for ((&begin, end), (field, (meaning, section))) in begins.iter().zip(ends).zip(told) {
        let (field, start) = if begin == 0 { (name, behind_name) } else { (field, begin) };
        let value = visible(line[start..end].trim_ascii(), 200);
        let value = value.trim_matches([',', ';', ' ']).to_owned();
        let bits = bits(at + begin as u64..at + end as u64);
        spans.push(Span { bits, field: field.into(), value, meaning, section });
    }
    Some(spans)
}

/// Where the names and parameters of a good list begin: each with the mark before it, the first with
/// the name of the header. In such a list no mark stands between quotes, where it would be no token.
fn elements(line: &[u8], behind_name: usize) -> Vec<usize> {
    let (mut begins, mut is_empty) = (vec![0], true);
    for (at, byte) in line.iter().enumerate().skip(behind_name) {
        match byte {
            b',' | b';' if !is_empty => {
                begins.push(at);
                is_empty = true;
            }
            b',' | b';' | b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => is_empty = false,
        }
    }
    // Marks at the end have nothing behind them.
    if is_empty {
        begins.pop();
    }
    begins
}

type Told = (String, &'static str);

fn of_name(one: &Extension, bargain: &mut Bargain) -> Told {
    match bargain {
        Bargain::Offers { .. } if one.name != NAME => {
            ("an extension; who does not know it leaves it out of the answer".into(), "§9.1")
        }
        Bargain::Offers { settings, is_taken } => of_offer(one, *settings, is_taken),
        Bargain::Answer { taken: Err(expected), .. } => {
            (format!("not what was offered; expected: {expected}"), "RFC 7692 §7.1")
        }
        Bargain::Answer { offers: 2.., taken: Ok(taken) } => {
            (format!("offer {} is taken: messages may be compressed", *taken + 1), "RFC 7692 §5")
        }
        Bargain::Answer { .. } => {
            ("the offer is taken: messages may be compressed".into(), "RFC 7692 §5")
        }
    }
}

fn of_offer(one: &Extension, settings: Option<&DeflateConfig>, is_taken: &mut bool) -> Told {
    let Some(offer) = DeflateParams::parse(one, false) else {
        let meaning = "an offer to compress that nobody may take, for its parameters";
        return (meaning.into(), "RFC 7692 §7");
    };
    let meaning = match settings.map(|settings| DeflateParams::answer(&offer, settings)) {
        None => "an offer to compress; the answer says whether it is taken".into(),
        Some(_) if *is_taken => "an offer to compress, not needed: one before it is taken".into(),
        Some(None) => {
            "an offer to compress, declined: this server can't keep to so small a window".into()
        }
        Some(Some(answer)) => {
            *is_taken = true;
            format!("an offer to compress, which this server takes: \"{answer}\"")
        }
    };
    (meaning, "RFC 7692 §5")
}

fn of_parameter(one: &Extension, index: usize, bargain: &Bargain) -> Told {
    let is_answer = matches!(bargain, Bargain::Answer { .. });
    let what = if is_answer { "answer" } else { "offer" };
    let parameter = &one.parameters[index];
    if one.name != NAME {
        return ("a parameter of that extension".into(), "§9.1");
    }
    if one.parameters[..index].iter().any(|(name, _)| *name == parameter.0) {
        return (format!("it stands twice, which spoils the {what}"), "RFC 7692 §7.1");
    }
    let alone = Extension { name: NAME.into(), parameters: vec![parameter.clone()] };
    let Some(terms) = DeflateParams::parse(&alone, is_answer) else {
        let meaning =
            format!("no parameter, or no value, that an {what} may have: it spoils the {what}");
        return (meaning, "RFC 7692 §7.1");
    };
    let bytes = |bits: u8| format!("{} bytes, 2 to the power of {bits}", 1_u32 << bits);
    match (terms, is_answer) {
        (DeflateParams { server_no_context_takeover: true, .. }, false) => (
            "asks the server to begin each message with an empty window".into(),
            "RFC 7692 §7.1.1.1",
        ),
        (DeflateParams { server_no_context_takeover: true, .. }, true) => {
            ("the server begins each message with an empty window".into(), "RFC 7692 §7.1.1.1")
        }
        (DeflateParams { client_no_context_takeover: true, .. }, _) => {
            ("the client begins each message with an empty window".into(), "RFC 7692 §7.1.1.2")
        }
        (DeflateParams { server_max_window_bits: Some(bits), .. }, false) => (
            format!("asks the server to repeat nothing from further back than {}", bytes(bits)),
            "RFC 7692 §7.1.2.1",
        ),
        (DeflateParams { server_max_window_bits: Some(bits), .. }, true) => (
            format!("the server repeats nothing from further back than {}", bytes(bits)),
            "RFC 7692 §7.1.2.1",
        ),
        (DeflateParams { client_max_window_bits: Some(_), .. }, false) if parameter.1.is_none() => {
            (
                "the client can keep to a smaller window, if the server asks it to".into(),
                "RFC 7692 §7.1.2.2",
            )
        }
        (DeflateParams { client_max_window_bits: Some(bits), .. }, _) => (
            format!("the client repeats nothing from further back than {}", bytes(bits)),
            "RFC 7692 §7.1.2.2",
        ),
        _ => ("a parameter".into(), "RFC 7692 §7.1"),
    }
}
