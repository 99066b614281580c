//! permessage-deflate's parameters: offers in, an agreement out (RFC 7692 §5, §7.1).
//!
//! ```text
//! client  offers   permessage-deflate; client_max_window_bits=15
//! server  answers  permessage-deflate; server_no_context_takeover; client_max_window_bits=10
//! ```
//!
//! The compressing end may refer back to bytes it sent before, as far as its *window* reaches: 2 to
//! the power of its bits. With *context takeover*, the window continues from one message to the
//! next. So each direction has two parameters, and all four are named after the end that
//! compresses.
//!
//! Rules of this file:
//! - A server accepts the first offer that it can meet, and declines the others. A bad offer
//!   doesn't make a bad request. Without an offer that it can meet, the connection isn't
//!   compressed.
//! - A client accepts an answer that fits its offer, and fails otherwise: both ends must have the
//!   same parameters.
//! - An unknown parameter, a repeated one, or one with any value that the RFC doesn't allow makes
//!   its offer or answer invalid.
//!
//! Elsewhere: [`extension`] reads the header's grammar, and
//! [`deflate`](crate::frames::deflate) compresses.

use std::fmt;

use super::extension::{self, Extension, HEADER, NotAnExtensionList};
use crate::diagnostic::quote;
use crate::http::head::Head;
use crate::http::refusal::Refusal;

/// The name of the extension.
pub const NAME: &str = "permessage-deflate";
/// The largest window, which is also the default.
pub const MOST_BITS: u8 = 15;
/// The smallest window that our compressor supports. Our inflater also reads 8 bits.
pub const LEAST_BITS: u8 = 9;

/// How to compress if the other end agrees. Turn it on with [`Server::deflate`] or
/// [`Client::deflate`], which need the feature `deflate`.
///
/// ```
/// use ws101::DeflateConfig;
/// let frugal = DeflateConfig { server_no_context_takeover: true, ..DeflateConfig::default() };
/// ```
///
/// Both halves of a connection are made when first used, and given back in the next silence; but
/// for the window of the one that inflates, which the peer may refer to.
/// `src/walkthrough/figures.md` has the figures.
///
/// **Don't compress secrets together with text that an attacker may choose.** An attacker who
/// chooses text and sees the frames' lengths can guess the secret piece by piece (CRIME, BREACH).
/// Send such messages as [`Uncompressed`](crate::Uncompressed).
///
/// [`Server::deflate`]: crate::Server::deflate
/// [`Client::deflate`]: crate::Client::deflate
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateConfig {
    /// The server begins each message with an empty window. A server does it, a client asks for it.
    pub server_no_context_takeover: bool,
    /// The client begins each message with an empty window. A client does it, a server asks for it.
    pub client_no_context_takeover: bool,
    /// The server's window, 9 to 15 bits. A server obeys it, a client asks for it.
    pub server_max_window_bits: u8,
    /// The client's window, 9 to 15 bits. A client obeys it. A server asks for it if the offer says
    /// that the client can.
    pub client_max_window_bits: u8,
    /// Shorter messages are sent uncompressed, because compressing them costs more than it saves.
    pub from: usize,
    /// How hard the compressor tries, from 1 (fast) to 9 (small).
    pub level: u8,
}

impl DeflateConfig {
    /// Context takeover, the largest windows, level 3, and only messages of 128 bytes or more.
    pub const DEFAULT: DeflateConfig = DeflateConfig {
        server_no_context_takeover: false,
        client_no_context_takeover: false,
        server_max_window_bits: MOST_BITS,
        client_max_window_bits: MOST_BITS,
        from: 128,
        // With this level JSON gets nearly as small as with 6, in half the time.
        level: 3,
    };
}

impl Default for DeflateConfig {
    fn default() -> DeflateConfig {
        DeflateConfig::DEFAULT
    }
}

/// How one end compresses: the size of its window, and whether it keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The size of the window: 2 to this power bytes.
    pub bits: u8,
    /// Whether the window continues from one message to the next.
    pub takeover: bool,
}

/// The four parameters of an offer or an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeflateParams {
    /// The server begins each message with an empty window.
    pub server_no_context_takeover: bool,
    /// The client begins each message with an empty window.
    pub client_no_context_takeover: bool,
    /// The server's window, if the header names one.
    pub server_max_window_bits: Option<u8>,
    /// The client's window, if the header names one.
    pub client_max_window_bits: Option<u8>,
}

impl DeflateParams {
    /// Returns how the server compresses.
    pub fn of_server(&self) -> Window {
        let bits = self.server_max_window_bits.unwrap_or(MOST_BITS);
        Window { bits, takeover: !self.server_no_context_takeover }
    }

    /// Returns how the client compresses.
    pub fn of_client(&self) -> Window {
        let bits = self.client_max_window_bits.unwrap_or(MOST_BITS);
        Window { bits, takeover: !self.client_no_context_takeover }
    }

    /// Returns the offer of a client with these settings.
    pub fn offer(settings: &DeflateConfig) -> DeflateParams {
        DeflateParams {
            server_no_context_takeover: settings.server_no_context_takeover,
            client_no_context_takeover: settings.client_no_context_takeover,
            server_max_window_bits: unless_default(settings.server_max_window_bits),
            // RFC 7692 §7.1.2.2: the server may ask for less only if the client offers this.
            client_max_window_bits: Some(settings.client_max_window_bits),
        }
    }

    /// Returns a server's answer to an offer, or `None` if it can't meet the offer.
    pub fn answer(offer: &DeflateParams, settings: &DeflateConfig) -> Option<DeflateParams> {
        let ours = settings.server_max_window_bits;
        let server_max_window_bits = match offer.server_max_window_bits {
            None => unless_default(ours),
            // Our compressor has no window that small, so the server declines.
            Some(..LEAST_BITS) => return None,
            // RFC 7692 §7.1.2.1: an accepting answer repeats the parameter, with this window or a
            // smaller one.
            Some(asked) => Some(asked.min(ours)),
        };
        // RFC 7692 §7.1.2.2: only if the client offered it, and never larger than it offered.
        let asked = offer.client_max_window_bits;
        let client_max_window_bits = asked.map(|most| most.min(settings.client_max_window_bits));
        Some(DeflateParams {
            // RFC 7692 §7.1.1.1, §7.1.1.2: an accepting answer repeats the parameter.
            server_no_context_takeover: offer.server_no_context_takeover
                || settings.server_no_context_takeover,
            client_no_context_takeover: offer.client_no_context_takeover
                || settings.client_no_context_takeover,
            server_max_window_bits,
            client_max_window_bits: client_max_window_bits.and_then(unless_default),
        })
    }

    /// Checks that this answer of a server fits the client's `offer`. Returns how both ends will
    /// compress, or else what the answer should have said.
    fn check_answer(self, offer: &DeflateParams) -> Result<DeflateParams, &'static str> {
        // RFC 7692 §7.1.1.1, §7.1.2.1: a server accepts all that the offer asks of it, or declines.
        if offer.server_no_context_takeover && !self.server_no_context_takeover {
            return Err("server_no_context_takeover, which was asked for");
        }
        if self.of_server().bits > offer.of_server().bits {
            return Err("a server_max_window_bits no larger than was asked for");
        }
        // RFC 7692 §7.1.2.2: the client's window is at most what it offered.
        if self.client_max_window_bits > offer.client_max_window_bits {
            return Err("a client_max_window_bits no larger than was offered");
        }
        // The client keeps to what it announced about itself, even if the answer doesn't repeat it.
        Ok(DeflateParams {
            client_no_context_takeover: self.client_no_context_takeover
                || offer.client_no_context_takeover,
            client_max_window_bits: self.client_max_window_bits.or(offer.client_max_window_bits),
            ..self
        })
    }

    /// Reads an offer or an answer. `None` if a parameter is invalid. In an answer, a window must
    /// have a value.
    pub fn parse(extension: &Extension, is_answer: bool) -> Option<DeflateParams> {
        let mut terms = DeflateParams::default();
        let mut seen = Vec::new();
        for (name, value) in &extension.parameters {
            // RFC 7692 §7.1: no parameter occurs twice.
            if seen.contains(&name) {
                return None;
            }
            seen.push(name);
            match (name.as_str(), value.as_deref()) {
                ("server_no_context_takeover", None) => terms.server_no_context_takeover = true,
                ("client_no_context_takeover", None) => terms.client_no_context_takeover = true,
                ("server_max_window_bits", Some(value)) => {
                    terms.server_max_window_bits = Some(parse_window_bits(value)?);
                }
                ("client_max_window_bits", Some(value)) => {
                    terms.client_max_window_bits = Some(parse_window_bits(value)?);
                }
                // RFC 7692 §7.1.2.2: in an offer it may have no value, which only says that the
                // client supports it.
                ("client_max_window_bits", None) if !is_answer => {
                    terms.client_max_window_bits = Some(MOST_BITS);
                }
                // RFC 7692 §7.1: any other parameter or value is invalid.
                _ => return None,
            }
        }
        Some(terms)
    }
}

/// Writes the parameters as the header's value.
impl fmt::Display for DeflateParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)?;
        if self.server_no_context_takeover {
            f.write_str("; server_no_context_takeover")?;
        }
        if self.client_no_context_takeover {
            f.write_str("; client_no_context_takeover")?;
        }
        if let Some(bits) = self.server_max_window_bits {
            write!(f, "; server_max_window_bits={bits}")?;
        }
        if let Some(bits) = self.client_max_window_bits {
            write!(f, "; client_max_window_bits={bits}")?;
        }
        Ok(())
    }
}

/// Chooses the first offer that the server accepts, and returns its answer.
pub fn choose(
    head: &Head,
    settings: Option<&DeflateConfig>,
) -> Result<Option<DeflateParams>, Refusal> {
    // RFC 6455 §9.1: a list that breaks the grammar fails the handshake, whatever it contains.
    let offers = extension::parse(head).map_err(|NotAnExtensionList(line)| {
        Refusal::new(400, "not a list of extensions", format!("{HEADER}: {}", quote(line)))
    })?;
    let Some(settings) = settings else { return Ok(None) };
    // RFC 7692 §5: the client lists its offers in order of preference. The server declines those
    // that it can't meet.
    let mut offers = offers.iter().filter(|offer| offer.name == NAME);
    Ok(offers
        .find_map(|offer| DeflateParams::answer(&DeflateParams::parse(offer, false)?, settings)))
}

/// Checks for the client that the answer fits one of its offers. If not, returns what the client
/// expected.
pub fn verify(
    head: &Head,
    offers: &[DeflateParams],
) -> Result<Option<DeflateParams>, &'static str> {
    if head.header(HEADER).is_none() {
        return Ok(None);
    }
    // RFC 6455 §4.1: a server may accept only what the client offered.
    let [first, others @ ..] = offers else { return Err("none, because none was offered") };
    match extension::parse(head).as_deref() {
        // RFC 6455 §11.3.2: an answer has this header only once. A second line names a second
        // extension, or it is no list at all.
        Ok([one]) if one.name == NAME => {
            // RFC 7692 §7.1: an answer with an invalid parameter fails the connection.
            let params =
                DeflateParams::parse(one, true).ok_or("parameters of RFC 7692, each once")?;
            let checked = params.check_answer(first);
            let or_another = || others.iter().find_map(|offer| params.check_answer(offer).ok());
            checked.or_else(|why| or_another().ok_or(why)).map(Some)
        }
        _ => Err("permessage-deflate once, or none"),
    }
}

/// Reads the size of a window, in bits.
fn parse_window_bits(value: &str) -> Option<u8> {
    // RFC 7692 §7.1.2: a decimal number from 8 to 15, without a leading zero.
    match value.as_bytes() {
        [b'8' | b'9'] | [b'1', b'0'..=b'5'] => value.parse().ok(),
        _ => None,
    }
}

/// Omits the largest window, because it's the default.
fn unless_default(bits: u8) -> Option<u8> {
    (bits < MOST_BITS).then_some(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(lines: &[&str]) -> Head {
        let lines: String = lines.iter().map(|line| format!("{HEADER}: {line}\r\n")).collect();
        Head::parse(format!("GET / HTTP/1.1\r\n{lines}\r\n").as_bytes()).unwrap()
    }

    /// What a server with these settings answers to an offer; empty: nothing.
    fn answered(offer: &str, settings: &DeflateConfig) -> String {
        let terms = choose(&head(&[offer]), Some(settings)).unwrap();
        terms.map(|terms| terms.to_string()).unwrap_or_default()
    }

    const ALL: DeflateConfig = DeflateConfig {
        server_no_context_takeover: true,
        client_no_context_takeover: true,
        server_max_window_bits: 10,
        client_max_window_bits: 11,
        from: 0,
        level: 6,
    };

    #[test]
    fn server_answers_each_parameter_of_an_offer() {
        let (name, default) = ("permessage-deflate", DeflateConfig::default());
        for (offer, expected) in [
            ("", ""),
            ("; client_max_window_bits", ""),
            ("; client_max_window_bits=15", ""),
            ("; client_max_window_bits=8", "; client_max_window_bits=8"),
            ("; client_max_window_bits=\"10\"", "; client_max_window_bits=10"),
            ("; server_max_window_bits=15", "; server_max_window_bits=15"),
            ("; server_max_window_bits=9", "; server_max_window_bits=9"),
            ("; server_no_context_takeover", "; server_no_context_takeover"),
            ("; client_no_context_takeover", "; client_no_context_takeover"),
            (
                "; client_max_window_bits; server_max_window_bits=12; server_no_context_takeover",
                "; server_no_context_takeover; server_max_window_bits=12",
            ),
        ] {
            let answer = answered(&format!("{name}{offer}"), &default);
            assert_eq!(answer, format!("{name}{expected}"), "{offer}");
        }
    }

    #[test]
    fn server_asks_for_what_its_settings_say_as_far_as_the_offer_allows() {
        let both = "; server_no_context_takeover; client_no_context_takeover";
        for (offer, expected) in [
            ("", "; server_max_window_bits=10"),
            ("; client_max_window_bits", "; server_max_window_bits=10; client_max_window_bits=11"),
            ("; client_max_window_bits=9", "; server_max_window_bits=10; client_max_window_bits=9"),
            ("; server_max_window_bits=12", "; server_max_window_bits=10"),
            ("; server_max_window_bits=9", "; server_max_window_bits=9"),
        ] {
            let answer = answered(&format!("permessage-deflate{offer}"), &ALL);
            assert_eq!(answer, format!("permessage-deflate{both}{expected}"), "{offer}");
        }
    }

    /// Parameters that no offer and no answer may have.
    const BAD: [&str; 20] = [
        "bogus",
        "bogus=1",
        "server_no_context_takeover=1",
        "client_no_context_takeover=true",
        "server_max_window_bits",
        "server_max_window_bits=7",
        "server_max_window_bits=16",
        "server_max_window_bits=08",
        "server_max_window_bits=+9",
        "server_max_window_bits=1e1",
        "server_max_window_bits=100",
        "client_max_window_bits=7",
        "client_max_window_bits=16",
        "client_max_window_bits=010",
        "client_max_window_bits=x",
        "Server_Max_Window_Bits=10",
        "server_no_context_takeover; server_no_context_takeover",
        "client_no_context_takeover; client_no_context_takeover",
        "server_max_window_bits=10; server_max_window_bits=10",
        "client_max_window_bits=10; client_max_window_bits=11",
    ];

    #[test]
    fn server_declines_an_offer_that_it_cannot_keep_and_tries_the_next() {
        for bad in BAD.into_iter().chain(["server_max_window_bits=8"]) {
            let offer = format!("permessage-deflate; {bad}");
            assert_eq!(answered(&offer, &DeflateConfig::default()), "", "{bad}");
            let next = format!(
                "{offer}, x-other; y=z, permessage-deflate, permessage-deflate; server_no_context_takeover"
            );
            assert_eq!(answered(&next, &DeflateConfig::default()), "permessage-deflate", "{bad}");
        }
        assert_eq!(answered("x-webkit-deflate-frame, Permessage-Deflate", &ALL), "");
    }

    #[test]
    fn server_without_settings_for_compression_agrees_to_nothing() {
        assert_eq!(choose(&head(&["permessage-deflate"]), None).unwrap(), None);
    }

    #[test]
    fn server_refuses_a_list_against_the_grammar_with_400() {
        for bad in ["permessage-deflate; =", "permessage-deflate; server_max_window_bits=", "a b"] {
            for settings in [None, Some(&DeflateConfig::default())] {
                assert_eq!(
                    choose(&head(&["a", bad]), settings).unwrap_err().status(),
                    400,
                    "{bad}"
                );
            }
        }
    }

    #[test]
    fn client_offers_what_its_settings_say() {
        let offer = |settings: &DeflateConfig| DeflateParams::offer(settings).to_string();
        assert_eq!(
            offer(&DeflateConfig::default()),
            "permessage-deflate; client_max_window_bits=15"
        );
        assert_eq!(
            offer(&ALL),
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
             server_max_window_bits=10; client_max_window_bits=11"
        );
    }

    /// How client and server will compress, as the client understands an answer.
    fn agreed(lines: &[&str], settings: &DeflateConfig) -> Option<(Window, Window)> {
        let terms = verify(&head(lines), &[DeflateParams::offer(settings)]).ok()??;
        Some((terms.of_client(), terms.of_server()))
    }

    #[test]
    fn client_takes_an_answer_that_keeps_to_its_offer() {
        let window = |bits, takeover| Window { bits, takeover };
        let most = window(15, true);
        for (answer, client, server) in [
            ("", most, most),
            ("; server_no_context_takeover", most, window(15, false)),
            ("; client_no_context_takeover", window(15, false), most),
            ("; server_max_window_bits=8", most, window(8, true)),
            ("; server_max_window_bits=\"15\"", most, most),
            ("; client_max_window_bits=8", window(8, true), most),
            ("; client_max_window_bits=15", most, most),
        ] {
            let answer = format!("permessage-deflate{answer}");
            assert_eq!(
                agreed(&[&answer], &DeflateConfig::default()),
                Some((client, server)),
                "{answer}"
            );
        }
        // What it asked of itself holds even where the answer is silent about it.
        let answer = "permessage-deflate; server_no_context_takeover; server_max_window_bits=9";
        assert_eq!(agreed(&[answer], &ALL), Some((window(11, false), window(9, false))));
    }

    #[test]
    fn client_fails_on_an_answer_that_does_not_keep_to_its_offer() {
        for bad in BAD.into_iter().chain(["client_max_window_bits"]) {
            let answer = format!("permessage-deflate; {bad}");
            assert_eq!(agreed(&[&answer], &DeflateConfig::default()), None, "{bad}");
        }
        let name = "permessage-deflate";
        for lines in
            [&[name, name][..], &[name, ""], &["a"], &["permessage-deflate, a"], &[""], &["="]]
        {
            assert_eq!(agreed(lines, &DeflateConfig::default()), None, "{lines:?}");
        }
        for missing in [
            "; server_max_window_bits=10",
            "; server_no_context_takeover",
            "; server_no_context_takeover; server_max_window_bits=11",
            "; server_no_context_takeover; server_max_window_bits=10; client_max_window_bits=12",
        ] {
            assert_eq!(agreed(&[&format!("{name}{missing}")], &ALL), None, "{missing}");
        }
        assert!(verify(&head(&[name]), &[]).is_err());
        assert_eq!(verify(&head(&[]), &[DeflateParams::offer(&ALL)]), Ok(None));
    }

    #[test]
    fn an_answer_to_several_offers_keeps_to_one_of_them() {
        let offer = |parameter: &str| {
            let offers = head(&[&format!("permessage-deflate{parameter}")]);
            DeflateParams::parse(&extension::parse(&offers).unwrap()[0], false).unwrap()
        };
        let small = offer("; server_max_window_bits=10; client_no_context_takeover");
        let offers = [small, offer("; server_no_context_takeover")];
        for (answer, client_takes_over) in [
            ("; server_max_window_bits=9", Some(false)),
            ("; server_no_context_takeover", Some(true)),
            ("", None),
            // Said by no offer that the client can do so.
            ("; server_max_window_bits=9; client_max_window_bits=9", None),
        ] {
            let verified = verify(&head(&[&format!("permessage-deflate{answer}")]), &offers);
            let takeover = verified.ok().flatten().map(|terms| terms.of_client().takeover);
            assert_eq!(takeover, client_takes_over, "{answer}");
        }
    }
}
