//! Negotiates permessage-deflate: client and server agree on its parameters (RFC 7692 §5, §7.1).
//!
//! ```text
//! client  offers   permessage-deflate; client_max_window_bits=15
//! server  answers  permessage-deflate; server_no_context_takeover; client_max_window_bits=10
//! ```
//!
//! The compressing end may refer back to the recent bytes in its *window*. A window of n bits holds
//! 2ⁿ bytes. With *context takeover*, the window continues from one message to the next. Each
//! direction has two parameters: one sets the largest window, and the other turns context takeover
//! off. Both are named after the compressing end.
//!
//! Rules of this file:
//! - A server accepts the first offer that it can meet, and declines the others. It also declines
//!   an invalid offer, but doesn't refuse the request. If it can meet no offer, the connection
//!   isn't compressed.
//! - A client accepts a response that matches its offer. Any other response fails the handshake,
//!   because both ends must use the same parameters.
//! - An unknown parameter, a repeated one, or a value that the RFC doesn't allow makes the offer or
//!   response invalid.
//!
//! Elsewhere: [`extension`] parses the header, and [`deflate`](crate::frames::deflate) compresses.

use std::fmt;

use super::extension::{self, Extension, HEADER, NotAnExtensionList};
use crate::diagnostic::misuse::Misuse;
use crate::diagnostic::quote;
use crate::http::head::Head;
use crate::http::refusal::Refusal;

/// The name of the compression extension in `Sec-WebSocket-Extensions`.
pub const NAME: &str = "permessage-deflate";
/// The largest number of window bits, and the default. With 15 bits, a compression window holds 2¹⁵
/// bytes (32 KiB).
pub const MAX_WINDOW_BITS: u8 = 15;
/// The smallest number of window bits that our compressor supports. With 9 bits, a compression
/// window holds 2⁹ bytes (512 bytes). Our inflater also supports a peer's window of 8 bits (256
/// bytes).
pub const MIN_WINDOW_BITS: u8 = 9;

/// The compression settings of a server or client. They take effect only if the peer agrees to
/// compress. Turn compression on with [`Server::deflate`] or [`Client::deflate`], which need the
/// `deflate` feature.
///
/// ```
/// use ws101::DeflateConfig;
/// let frugal = DeflateConfig { server_no_context_takeover: true, ..DeflateConfig::default() };
/// ```
///
/// A connection creates its compressor and its inflater when it first needs them, and frees both
/// when it becomes idle. It keeps only the inflater's window, because the peer's next message may
/// refer back to it. `src/walkthrough/figures.md` lists how much memory these parts take.
///
/// **Don't compress a secret together with text that an attacker may choose.** An attacker who
/// chooses the text and sees the frames' lengths can guess the secret piece by piece (CRIME,
/// BREACH). Send such a message as [`Uncompressed`](crate::Uncompressed).
///
/// [`Server::deflate`]: crate::Server::deflate
/// [`Client::deflate`]: crate::Client::deflate
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateConfig {
    /// Whether the server begins each message with an empty compression window. In a server's
    /// settings, `true` is a promise to the client. In a client's settings, it's a demand on the
    /// server.
    pub server_no_context_takeover: bool,
    /// Whether the client begins each message with an empty compression window. In a client's
    /// settings, `true` is a promise to the server. In a server's settings, it's a demand on the
    /// client.
    pub client_no_context_takeover: bool,
    /// The largest window of the server's compressor, as the base-2 logarithm of its size: from 9
    /// (512 bytes) to 15 (32 KiB). In a server's settings, this maximum is a promise to the client.
    /// In a client's settings, it's a demand on the server.
    pub server_max_window_bits: u8,
    /// The largest window of the client's compressor, as the base-2 logarithm of its size: from 9
    /// (512 bytes) to 15 (32 KiB). In a client's settings, this maximum is a promise to the server.
    /// In a server's settings, it's a demand on each client whose offer contains this parameter.
    pub client_max_window_bits: u8,
    /// The smallest length, in bytes, of a message to compress. Shorter messages are sent
    /// uncompressed, because compressing a short message saves few bytes.
    pub from: usize,
    /// The compression level, from 1 (fastest) to 9 (smallest output).
    pub level: u8,
}

impl DeflateConfig {
    /// The default settings: context takeover and the largest windows at both ends, compression
    /// level 3, and compression of messages of at least 128 bytes.
    pub const DEFAULT: DeflateConfig = DeflateConfig {
        server_no_context_takeover: false,
        client_no_context_takeover: false,
        server_max_window_bits: MAX_WINDOW_BITS,
        client_max_window_bits: MAX_WINDOW_BITS,
        from: 128,
        // Level 3 compresses JSON nearly as well as level 6, in half the time.
        level: 3,
    };

    /// Validates these settings. Fails unless both window sizes are from 9 to 15 bits and the level
    /// is from 1 to 9. The error names the setting that's out of range.
    pub(crate) fn validate(&self) -> Result<(), Misuse> {
        let window = MIN_WINDOW_BITS..=MAX_WINDOW_BITS;
        for (setting, value, allowed) in [
            ("server_max_window_bits", self.server_max_window_bits, &window),
            ("client_max_window_bits", self.client_max_window_bits, &window),
            ("level", self.level, &(1..=9)),
        ] {
            if !allowed.contains(&value) {
                return Err(Misuse::DeflateConfig(setting, value));
            }
        }
        Ok(())
    }
}

impl Default for DeflateConfig {
    fn default() -> DeflateConfig {
        DeflateConfig::DEFAULT
    }
}

/// The compression window of one end of a connection: its size, and whether it continues from one
/// message to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The base-2 logarithm of the window's size: from 8 (256 bytes) to 15 (32 KiB).
    pub bits: u8,
    /// Whether the window continues from one message to the next (context takeover). If not, each
    /// message begins with an empty window.
    pub takeover: bool,
}

/// The four permessage-deflate parameters of a client's offer or a server's response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeflateParams {
    /// Whether the server begins each message with an empty compression window.
    pub server_no_context_takeover: bool,
    /// Whether the client begins each message with an empty compression window.
    pub client_no_context_takeover: bool,
    /// The largest window of the server's compressor, as the base-2 logarithm of its size. `None`
    /// stands for an omitted parameter, which means 15 (32 KiB).
    pub server_max_window_bits: Option<u8>,
    /// The largest window of the client's compressor, as the base-2 logarithm of its size. `None`
    /// stands for an omitted parameter, which means 15 (32 KiB). If an offer omits the parameter,
    /// the server can't ask for a smaller window.
    pub client_max_window_bits: Option<u8>,
}

impl DeflateParams {
    /// Returns the server's compression window under these parameters.
    pub fn of_server(&self) -> Window {
        let bits = self.server_max_window_bits.unwrap_or(MAX_WINDOW_BITS);
        Window { bits, takeover: !self.server_no_context_takeover }
    }

    /// Returns the client's compression window under these parameters.
    pub fn of_client(&self) -> Window {
        let bits = self.client_max_window_bits.unwrap_or(MAX_WINDOW_BITS);
        Window { bits, takeover: !self.client_no_context_takeover }
    }

    /// Returns the offer that a client with these `settings` sends.
    pub fn offer(settings: &DeflateConfig) -> DeflateParams {
        DeflateParams {
            server_no_context_takeover: settings.server_no_context_takeover,
            client_no_context_takeover: settings.client_no_context_takeover,
            server_max_window_bits: unless_default(settings.server_max_window_bits),
            // RFC 7692 §7.1.2.2: only a client that offers this parameter can be asked for a
            // smaller window.
            client_max_window_bits: Some(settings.client_max_window_bits),
        }
    }

    /// Returns the response of a server with these `settings` to a client's `offer`. Returns `None`
    /// if the offer limits the server's window to 256 bytes, which our compressor doesn't support.
    pub fn answer(offer: &DeflateParams, settings: &DeflateConfig) -> Option<DeflateParams> {
        let ours = settings.server_max_window_bits;
        let server_max_window_bits = match offer.server_max_window_bits {
            None => unless_default(ours),
            // Our compressor doesn't support a window that small, so the server declines.
            Some(..MIN_WINDOW_BITS) => return None,
            // RFC 7692 §7.1.2.1: an accepting response repeats the parameter, with this window or a
            // smaller one.
            Some(asked) => Some(asked.min(ours)),
        };
        // RFC 7692 §7.1.2.2: the response may limit the client's window only if the client offered
        // the parameter, and never to more than the client offered.
        let asked = offer.client_max_window_bits;
        let client_max_window_bits = asked.map(|most| most.min(settings.client_max_window_bits));
        Some(DeflateParams {
            // RFC 7692 §7.1.1.1, §7.1.1.2: an accepting response repeats the parameter.
            server_no_context_takeover: offer.server_no_context_takeover
                || settings.server_no_context_takeover,
            client_no_context_takeover: offer.client_no_context_takeover
                || settings.client_no_context_takeover,
            server_max_window_bits,
            client_max_window_bits: client_max_window_bits.and_then(unless_default),
        })
    }

    /// Validates the parameters of a server's response against the client's `offer`. Returns the
    /// parameters that both ends must use. The error describes the response that the client
    /// expected.
    fn check_response(self, offer: &DeflateParams) -> Result<DeflateParams, &'static str> {
        // RFC 7692 §7.1.1.1, §7.1.2.1: a server accepts all demands of an offer, or declines it.
        if offer.server_no_context_takeover && !self.server_no_context_takeover {
            return Err("server_no_context_takeover, which was asked for");
        }
        if self.of_server().bits > offer.of_server().bits {
            return Err("a server_max_window_bits no larger than was asked for");
        }
        // RFC 7692 §7.1.2.2: the client's window is no larger than the client offered.
        if self.client_max_window_bits > offer.client_max_window_bits {
            return Err("a client_max_window_bits no larger than was offered");
        }
        // The client keeps the promises of its offer, even if the response doesn't repeat them.
        Ok(DeflateParams {
            client_no_context_takeover: self.client_no_context_takeover
                || offer.client_no_context_takeover,
            client_max_window_bits: self.client_max_window_bits.or(offer.client_max_window_bits),
            ..self
        })
    }

    /// Parses the parameters of a client's offer, or of a server's response if `is_response` is
    /// `true`. Returns `None` if a parameter is unknown, repeated or invalid. In an offer,
    /// `client_max_window_bits` may have no value, which counts as 15. In a response, it must have
    /// one.
    pub fn parse(extension: &Extension, is_response: bool) -> Option<DeflateParams> {
        let mut params = DeflateParams::default();
        let mut seen = Vec::new();
        for (name, value) in &extension.parameters {
            // RFC 7692 §7.1: no parameter occurs twice.
            if seen.contains(&name) {
                return None;
            }
            seen.push(name);
            match (name.as_str(), value.as_deref()) {
                ("server_no_context_takeover", None) => params.server_no_context_takeover = true,
                ("client_no_context_takeover", None) => params.client_no_context_takeover = true,
                ("server_max_window_bits", Some(value)) => {
                    params.server_max_window_bits = Some(parse_window_bits(value)?);
                }
                ("client_max_window_bits", Some(value)) => {
                    params.client_max_window_bits = Some(parse_window_bits(value)?);
                }
                // RFC 7692 §7.1.2.2: in an offer, the parameter may have no value. It then
                // indicates only that the client supports the parameter.
                ("client_max_window_bits", None) if !is_response => {
                    params.client_max_window_bits = Some(MAX_WINDOW_BITS);
                }
                // RFC 7692 §7.1: any other parameter or value is invalid.
                _ => return None,
            }
        }
        Some(params)
    }
}

/// Writes the parameters as a value of `Sec-WebSocket-Extensions`, such as
/// `permessage-deflate; client_max_window_bits=15`.
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

/// Returns the server's response to the first compression offer in the request that the server can
/// meet. Returns `None` if the server can meet no offer, or if compression is off (`settings` is
/// `None`). Refuses a request whose list of extensions is malformed.
pub fn answer_offers(
    head: &Head,
    settings: Option<&DeflateConfig>,
) -> Result<Option<DeflateParams>, Refusal> {
    // RFC 6455 §9.1: a list that breaks the grammar fails the handshake, even if the server doesn't
    // compress.
    let offers = extension::parse(head).map_err(|NotAnExtensionList(line)| {
        Refusal::new(400, "not a list of extensions", format!("{HEADER}: {}", quote(line)))
    })?;
    let Some(settings) = settings else { return Ok(None) };
    // RFC 7692 §5: the client lists its offers in order of preference. The server declines an offer
    // that it can't meet.
    let mut offers = offers.iter().filter(|offer| offer.name == NAME);
    Ok(offers
        .find_map(|offer| DeflateParams::answer(&DeflateParams::parse(offer, false)?, settings)))
}

/// Validates the server's response in `head` against the client's `offers`. Returns the agreed
/// parameters, or `None` if the server declined compression. Fails if the response is invalid or
/// matches no offer. The error describes what the client expected.
pub fn verify_response(
    head: &Head,
    offers: &[DeflateParams],
) -> Result<Option<DeflateParams>, &'static str> {
    if head.header(HEADER).is_none() {
        return Ok(None);
    }
    // RFC 6455 §4.1: a server may accept only what the client offered.
    let [first, others @ ..] = offers else { return Err("none, because none was offered") };
    match extension::parse(head).as_deref() {
        // RFC 6455 §11.3.2: a response has this header only once. A second one would name a second
        // extension, so it's refused as well.
        Ok([one]) if one.name == NAME => {
            // RFC 7692 §7.1: a response with an invalid parameter fails the connection.
            let params =
                DeflateParams::parse(one, true).ok_or("parameters of RFC 7692, each once")?;
            let checked = params.check_response(first);
            let or_another = || others.iter().find_map(|offer| params.check_response(offer).ok());
            checked.or_else(|why| or_another().ok_or(why)).map(Some)
        }
        _ => Err("permessage-deflate once, or none"),
    }
}

/// Parses the window bits in a parameter's value: the base-2 logarithm of the window's size.
/// Returns `None` if the value isn't a number from 8 to 15.
fn parse_window_bits(value: &str) -> Option<u8> {
    // RFC 7692 §7.1.2: a decimal number from 8 to 15, without a leading zero.
    match value.as_bytes() {
        [b'8' | b'9'] | [b'1', b'0'..=b'5'] => value.parse().ok(),
        _ => None,
    }
}

/// Returns the window bits to write in the header: `bits`, or `None` for the default of 15, which
/// the header omits.
fn unless_default(bits: u8) -> Option<u8> {
    (bits < MAX_WINDOW_BITS).then_some(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(lines: &[&str]) -> Head {
        let lines: String = lines.iter().map(|line| format!("{HEADER}: {line}\r\n")).collect();
        Head::parse(format!("GET / HTTP/1.1\r\n{lines}\r\n").as_bytes()).unwrap()
    }

    /// Returns the header value that a server with these settings sends in response to an offer, or
    /// an empty string if the server declines the offer.
    fn answered(offer: &str, settings: &DeflateConfig) -> String {
        let params = answer_offers(&head(&[offer]), Some(settings)).unwrap();
        params.map(|params| params.to_string()).unwrap_or_default()
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

    /// Parameters that are invalid in both an offer and a response.
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
        assert_eq!(answer_offers(&head(&["permessage-deflate"]), None).unwrap(), None);
    }

    #[test]
    fn server_refuses_a_list_against_the_grammar_with_400() {
        for bad in ["permessage-deflate; =", "permessage-deflate; server_max_window_bits=", "a b"] {
            for settings in [None, Some(&DeflateConfig::default())] {
                assert_eq!(
                    answer_offers(&head(&["a", bad]), settings).unwrap_err().status(),
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

    /// Returns the compression windows of client and server that a client with these `settings`
    /// agrees to when it receives this response. Returns `None` if the client rejects the response.
    fn agreed(lines: &[&str], settings: &DeflateConfig) -> Option<(Window, Window)> {
        let params = verify_response(&head(lines), &[DeflateParams::offer(settings)]).ok()??;
        Some((params.of_client(), params.of_server()))
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
        // The client keeps its own promises, even if the response doesn't repeat them.
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
        assert!(verify_response(&head(&[name]), &[]).is_err());
        assert_eq!(verify_response(&head(&[]), &[DeflateParams::offer(&ALL)]), Ok(None));
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
            // No offer allows the server to limit the client's window.
            ("; server_max_window_bits=9; client_max_window_bits=9", None),
        ] {
            let verified =
                verify_response(&head(&[&format!("permessage-deflate{answer}")]), &offers);
            let takeover = verified.ok().flatten().map(|params| params.of_client().takeover);
            assert_eq!(takeover, client_takes_over, "{answer}");
        }
    }
}
