//! Explains `Sec-WebSocket-Extensions` parameter by parameter: what the client offers, what the
//! server accepts, and why an offer or a response is invalid.
//!
//! ```text
//! Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, permessage-deflate CR LF
//! └───────────── the first name ─────────────┘└────── parameter ─────┘└──── the next name ─────┘
//! ```
//!
//! Rules of this file:
//! - [`extension::parse`] parses the list, and [`DeflateParams::parse`] the parameters of
//!   permessage-deflate. [`DeflateParams::answer`] decides whether a server accepts an offer, and
//!   [`deflate_params::verify_response`] decides whether a client accepts the response.
//! - To find out which parameter of an extension is invalid, this file parses each parameter alone.
//! - The work is linear in the length of the line, even if the line has many offers and parameters.
//! - The caller limits the number of spans, because a span takes far more memory than a short name.

use std::collections::{BTreeSet, HashSet};

use crate::explain::annotation::{Span, bits_of_bytes, visible};
use crate::handshake::deflate_params::{self, DeflateConfig, DeflateParams, NAME};
use crate::handshake::extension::{self, Extension, HEADER};
use crate::http::head::Head;

/// The extensions that a client offered in its request.
#[derive(Debug, Default)]
pub struct Offers {
    /// The client's valid permessage-deflate offers, in the order in which the client listed them.
    deflate: Vec<DeflateParams>,
    /// For each offer in `deflate`, its position among all extensions that the client offered,
    /// counted from 1.
    places: Vec<usize>,
    /// The number of extensions that the client offered, valid or not.
    count: usize,
    /// The names of the offered extensions that this crate doesn't know.
    unknown: BTreeSet<String>,
}

/// The extensions that both ends of a connection have agreed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Agreed {
    /// The agreed parameters of permessage-deflate, or `None` if the ends agreed on no compression.
    pub deflate: Option<DeflateParams>,
    /// Whether the ends agreed on an extension that this crate doesn't know. Such an extension may
    /// give the reserved bits and the payloads any meaning.
    pub unknown: bool,
}

impl Offers {
    /// Parses the extensions that a request's head offers. An invalid list counts as no offers.
    pub fn parse(head: &Head) -> Offers {
        let mut offers = Offers::default();
        for one in extension::parse(head).unwrap_or_default() {
            offers.count += 1;
            if one.name != NAME {
                offers.unknown.insert(one.name);
            } else if let Some(params) = DeflateParams::parse(&one, false) {
                offers.deflate.push(params);
                offers.places.push(offers.count);
            }
        }
        offers
    }

    /// Returns the parameters of each valid permessage-deflate offer, in the order in which the
    /// client listed the offers.
    pub fn params(&self) -> &[DeflateParams] {
        &self.deflate
    }

    /// Returns the offered extensions that the `head` of a response accepts. Compression counts as
    /// accepted only if the client made a valid offer, and if the response lists permessage-deflate
    /// once, with valid parameters, and no extension that the client didn't offer.
    pub fn agreed(&self, head: &Head) -> Agreed {
        let (unknown, known) = self.split_known(head);
        let deflate = match known.as_slice() {
            [one] if one.name == NAME && !self.deflate.is_empty() => {
                DeflateParams::parse(one, true)
            }
            _ => None,
        };
        Agreed { deflate, unknown }
    }

    /// Returns the extensions that the `head` of a response lists, as if the client had offered
    /// them all. This is for a response whose request isn't known.
    pub fn agreed_without_request(head: &Head) -> Agreed {
        let listed = extension::parse(head).unwrap_or_default();
        let deflate = listed.iter().find(|one| one.name == NAME);
        Agreed {
            deflate: deflate.and_then(|one| DeflateParams::parse(one, true)),
            unknown: listed.iter().any(|one| one.name != NAME),
        }
    }

    /// Returns a copy of a response's head for the client's checks, without the extensions that the
    /// client offered but this crate doesn't know. The checks would reject them. Returns `None` if
    /// the head lists no such extension.
    pub fn head_without_unknown(&self, head: &Head) -> Option<Head> {
        let (unknown, known) = self.split_known(head);
        let is_other = |(name, _): &(&str, &str)| !name.eq_ignore_ascii_case(HEADER);
        let mut lines = format!("{}\r\n", head.first_line());
        for (name, value) in head.fields().filter(is_other) {
            lines += &format!("{name}: {value}\r\n");
        }
        for one in known {
            lines += &format!("{HEADER}: {}", one.name);
            for (name, value) in one.parameters {
                lines += &format!("; {name}");
                value.into_iter().for_each(|value| lines += &format!("={value}"));
            }
            lines += "\r\n";
        }
        Head::parse((lines + "\r\n").as_bytes()).ok().filter(|_| unknown)
    }

    /// Splits the extensions that a response lists into two kinds: those that the client offered
    /// but this crate doesn't know, and all others. Returns whether there are any of the first
    /// kind, and a list of the second kind.
    fn split_known(&self, head: &Head) -> (bool, Vec<Extension>) {
        let mut known = extension::parse(head).unwrap_or_default();
        let count = known.len();
        known.retain(|one| !self.unknown.contains(&one.name));
        (known.len() < count, known)
    }

    /// Returns which permessage-deflate offer the response accepts, as its position among all
    /// offered extensions, counted from 1. Returns `None` if the response accepts no such offer. If
    /// the response is invalid, the error says what the client expected instead.
    fn accepted_position(&self, head: &Head) -> Result<Option<usize>, &'static str> {
        let known = self.head_without_unknown(head);
        let agreed =
            deflate_params::verify_response(known.as_ref().unwrap_or(head), &self.deflate)?;
        // Each offer is compared with a head that contains only the accepted parameters. That head
        // is short, so the work stays linear.
        let line = agreed.map(|params| format!("\r\n{HEADER}: {params}\r\n\r\n"));
        let short = line.and_then(|line| Head::parse(line.as_bytes()).ok());
        let fits = |offer: &DeflateParams| {
            short.as_ref().is_some_and(|it| deflate_params::verify_response(it, &[*offer]).is_ok())
        };
        Ok(self.deflate.iter().position(fits).map(|index| self.places[index]))
    }
}

/// The context in which a `Sec-WebSocket-Extensions` line is explained: whether it's in a request
/// or a response, and what the explainer knows about the other end.
#[derive(Debug)]
pub enum Negotiation<'a> {
    /// The line is in a request: the client offers extensions.
    Offers {
        /// The server's compression settings, or `None` if they aren't known, or if the server
        /// doesn't compress.
        settings: Option<&'a DeflateConfig>,
        /// Whether the server has accepted an earlier offer of the same request. It accepts only
        /// one.
        is_taken: bool,
    },
    /// The line is in a response: the server accepts extensions.
    Answer {
        /// The extensions that the client offered in its request.
        offers: &'a Offers,
        /// Which permessage-deflate offer the response accepts:
        /// - `None`: the request isn't known, or the response can't be parsed.
        /// - `Some(Ok(None))`: the response accepts no such offer.
        /// - `Some(Ok(Some(n)))`: the response accepts the offer at position `n` among all offered
        ///   extensions, counted from 1.
        /// - `Some(Err(expected))`: the response is invalid. The text says what the client
        ///   expected.
        accepted: Option<Result<Option<usize>, &'static str>>,
    },
}

impl<'a> Negotiation<'a> {
    /// Creates the context for explaining a header line of a response. `head` is the response's
    /// head, or `None` if it can't be parsed. `offers` are the extensions that the request offered.
    /// `is_known` is `false` if the explainer hasn't seen the request.
    pub fn of_answer(head: Option<&Head>, offers: &'a Offers, is_known: bool) -> Negotiation<'a> {
        let accepted = head.filter(|_| is_known).map(|head| offers.accepted_position(head));
        Negotiation::Answer { offers, accepted }
    }
}

/// Returns the spans that explain a `Sec-WebSocket-Extensions` line, which starts at byte `at` of
/// its head. Each of the line's first `most` elements (names and parameters) has a span of its own,
/// and the other elements share one. If the server accepts an offer in this line, sets `is_taken`
/// in `negotiation`. Returns `None` if the line belongs to another header, or if its list of
/// extensions is invalid or empty.
pub fn extension_spans(
    line: &[u8],
    at: u64,
    most: usize,
    negotiation: &mut Negotiation,
) -> Option<Vec<Span>> {
    let head = Head::parse_response(&[b"\r\n", line].concat()).ok();
    let head = head.filter(|_| line.ends_with(b"\r\n"))?;
    let (name, _) = head.fields().next().filter(|(name, _)| name.eq_ignore_ascii_case(HEADER))?;
    let mut told = Vec::new();
    for one in &extension::parse(&head).ok()? {
        told.push(("extension", meaning_of_name(one, negotiation)));
        let mut earlier = HashSet::new();
        for (name, value) in &one.parameters {
            let is_first = earlier.insert(name.as_str());
            let said = match one.name == NAME {
                true => meaning_of_parameter(name, value.as_deref(), is_first, negotiation),
                false => ("a parameter of that extension".into(), "§9.1"),
            };
            told.push(("parameter", said));
        }
    }
    let after_name = name.len() + 1;
    let begins = element_starts(line, after_name);
    if begins.len() != told.len() {
        return None; // The list is empty.
    }
    let ends = begins.iter().copied().skip(1).chain([line.len()]);
    let mut spans = Vec::new();
    let rest = begins.get(most).map(|&begin| (begin, begins.len() - most));
    for ((&begin, end), (field, (meaning, section))) in begins.iter().zip(ends).zip(told).take(most)
    {
        let (field, start) = if begin == 0 { (name, after_name) } else { (field, begin) };
        let value = String::from_utf8_lossy(&line[start..end]);
        let value = visible(value.trim_matches([',', ';', ' ', '\t', '\r', '\n']).as_bytes(), 200);
        let bits = bits_of_bytes(at + begin as u64..at + end as u64);
        spans.push(Span { bits, field: field.into(), value, meaning, section });
    }
    spans.extend(rest.map(|(begin, count)| Span {
        bits: bits_of_bytes(at + begin as u64..at + line.len() as u64),
        field: if begin == 0 { name } else { "extension" }.into(),
        value: format!("and {count} more"),
        meaning: "more names and parameters than are explained one by one".into(),
        section: "§9.1",
    }));
    Some(spans)
}

/// Splits the line of a valid extension list into elements, one for each extension's name and one
/// for each parameter, and returns the offsets at which the elements begin. Every element includes
/// the separator before it, and the first one includes the header's name. `after_name` is the
/// offset after the header's colon. Quotes need no special treatment, because a quoted value must
/// be a token and therefore contains no separator.
fn element_starts(line: &[u8], after_name: usize) -> Vec<usize> {
    let (mut begins, mut is_empty) = (vec![0], true);
    for (at, byte) in line.iter().enumerate().skip(after_name) {
        match byte {
            b',' | b';' if !is_empty => {
                begins.push(at);
                is_empty = true;
            }
            b',' | b';' | b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => is_empty = false,
        }
    }
    // Separators at the end of the line begin no element.
    if is_empty {
        begins.pop();
    }
    begins
}

/// The meaning of an extension's name or parameter, and the RFC section that defines this meaning.
type Meaning = (String, &'static str);

fn meaning_of_name(one: &Extension, negotiation: &mut Negotiation) -> Meaning {
    match negotiation {
        Negotiation::Offers { .. } if one.name != NAME => {
            ("an extension; a server that doesn't know it leaves it out".into(), "§9.1")
        }
        Negotiation::Offers { settings, is_taken } => {
            meaning_of_deflate_offer(one, *settings, is_taken)
        }
        Negotiation::Answer { accepted: None, .. } => {
            ("an extension that the server accepts".into(), "§9.1")
        }
        Negotiation::Answer { offers, .. } if offers.unknown.contains(&one.name) => {
            ("accepted as offered; its meaning isn't known here".into(), "§9.1")
        }
        Negotiation::Answer { accepted: Some(Err(expected)), .. } => {
            (format!("not what was offered; expected: {expected}"), "RFC 7692 §7.1")
        }
        Negotiation::Answer { offers, accepted: Some(Ok(position)) } => {
            let which = match position {
                Some(position) if offers.count > 1 => format!("offer {position}"),
                _ => "the offer".into(),
            };
            (format!("{which} is accepted: messages may be compressed"), "RFC 7692 §7.1")
        }
    }
}

fn meaning_of_deflate_offer(
    one: &Extension,
    settings: Option<&DeflateConfig>,
    is_taken: &mut bool,
) -> Meaning {
    let Some(offer) = DeflateParams::parse(one, false) else {
        let meaning = "an offer to compress with invalid parameters, which every server declines";
        return (meaning.into(), "RFC 7692 §7.1");
    };
    let meaning = match settings.map(|settings| DeflateParams::answer(&offer, settings)) {
        None => "an offer to compress; the response says whether it is accepted".into(),
        Some(_) if *is_taken => {
            "an offer to compress, which isn't needed: an earlier one is accepted".into()
        }
        Some(None) => {
            "an offer to compress, declined: this server can't use so small a window".into()
        }
        Some(Some(answer)) => {
            *is_taken = true;
            format!("an offer to compress, which this server accepts: \"{answer}\"")
        }
    };
    (meaning, "RFC 7692 §5")
}

fn meaning_of_parameter(
    name: &str,
    value: Option<&str>,
    is_first: bool,
    negotiation: &Negotiation,
) -> Meaning {
    let is_answer = matches!(negotiation, Negotiation::Answer { .. });
    let what = if is_answer { "answer" } else { "offer" };
    if !is_first {
        return (format!("named twice, which makes the {what} invalid"), "RFC 7692 §7.1");
    }
    let parameters = vec![(name.to_owned(), value.map(str::to_owned))];
    let alone = Extension { name: NAME.into(), parameters };
    let Some(params) = DeflateParams::parse(&alone, is_answer) else {
        let meaning =
            format!("not a parameter, or not a value, of RFC 7692: the {what} is invalid");
        return (meaning, "RFC 7692 §7.1");
    };
    let bytes = |bits: u8| format!("{} bytes, 2 to the power of {bits}", 1_u32 << bits);
    match (params, is_answer) {
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
            format!("asks the server to refer back no further than {}", bytes(bits)),
            "RFC 7692 §7.1.2.1",
        ),
        (DeflateParams { server_max_window_bits: Some(bits), .. }, true) => {
            (format!("the server refers back no further than {}", bytes(bits)), "RFC 7692 §7.1.2.1")
        }
        (DeflateParams { client_max_window_bits: Some(_), .. }, false) if value.is_none() => (
            "the client can use a smaller window, if the server asks for it".into(),
            "RFC 7692 §7.1.2.2",
        ),
        (DeflateParams { client_max_window_bits: Some(bits), .. }, _) => {
            (format!("the client refers back no further than {}", bytes(bits)), "RFC 7692 §7.1.2.2")
        }
        _ => ("a parameter".into(), "RFC 7692 §7.1"),
    }
}
