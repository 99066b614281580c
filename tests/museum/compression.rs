//! Room 3, compression: one compressed byte may become a thousand.
//!
//! The size of a compressed message says nothing about its inflated size. Each limit and each check
//! must be applied again after the inflater. (Feature `deflate`, except for what is negotiated.)

use ws101::DeflateConfig;
use ws101::handshake::accept_key;
use ws101::handshake::client::ClientRequest;
use ws101::handshake::deflate_params::{self, DeflateParams};
use ws101::http::head::Head;

use super::lengths::DEFAULT;
use crate::frames::{Listener, ROLES, frame, peer_of};
use crate::script::switching;

fn extensions(lines: &[&str]) -> Head {
    let lines = lines.iter().map(|line| format!("Sec-WebSocket-Extensions: {line}\r\n"));
    let head = format!("GET / HTTP/1.1\r\n{}\r\n", lines.collect::<String>());
    Head::parse(head.as_bytes()).unwrap()
}

/// undici CVE-2026-2229
///
/// The number of window bits was checked only to consist of digits. A number that no window has
/// reached the compressor, which threw an exception.
///
/// Bytes: `server_max_window_bits=7`, `=16`, `=08`, `=`, none, twice
/// Holds: a client fails the handshake; a server declines the offer, or answers 400 if it isn't a list
/// Twin: src/handshake/deflate_params.rs
/// was `b'0'..=b'5'] => value.parse().ok(),\n        _ => None,`
/// now `b'0'..=b'5'] => value.parse().ok(),\n        _ => value.parse().ok(),`
#[test]
fn cve_2026_2229_what_if_window_bits_are_no_bits_of_a_window() {
    let settings = DeflateConfig::default();
    for bits in ["=7", "=16", "=08", "=", "", "=1e1", "=+9", "=256", "=-1", "=10; NAME=10"] {
        for name in ["server_max_window_bits", "client_max_window_bits"] {
            let line = format!("permessage-deflate; {name}{}", bits.replace("NAME", name));
            let answer = deflate_params::verify_response(
                &extensions(&[&line]),
                &[DeflateParams::offer(&settings)],
            );
            assert!(answer.is_err(), "a client takes {line}");
            // An offer may name the client's window without bits.
            if (name, bits) == ("client_max_window_bits", "") {
                continue;
            }
            match deflate_params::answer_offers(&extensions(&[&line]), Some(&settings)) {
                Ok(chosen) => assert_eq!(chosen, None, "a server takes {line}"),
                Err(refusal) => assert_eq!((refusal.status(), bits), (400, "=")),
            }
        }
    }
}

/// libwebsockets (2026)
///
/// A server answered with the same extension twice. The client had room for one active extension.
///
/// Bytes: `Sec-WebSocket-Extensions: permessage-deflate, permessage-deflate` in a 101
/// Holds: a client fails on an extension that occurs twice, or that it hasn't offered
/// Twin: src/handshake/deflate_params.rs
/// was `Ok([one]) if one.name == NAME => {`
/// now `Ok([one, ..]) if one.name == NAME => {`
/// Twin: src/handshake/extension.rs
/// was `.filter(|some| !some.is_empty())`
/// now ``
#[test]
fn libwebsockets_2026_what_if_an_extension_is_agreed_on_twice_or_was_not_offered() {
    let request = |settings| ClientRequest { deflate: settings, ..ClientRequest::default() };
    let key = accept_key::encode_key([7; 16]);
    for (settings, lines, is_good) in [
        (Some(DeflateConfig::default()), &["permessage-deflate"][..], true),
        (Some(DeflateConfig::default()), &["permessage-deflate, permessage-deflate"], false),
        (Some(DeflateConfig::default()), &["permessage-deflate", "permessage-deflate"], false),
        (Some(DeflateConfig::default()), &["permessage-deflate", ""], false),
        (Some(DeflateConfig::default()), &["permessage-deflate, x-other"], false),
        (Some(DeflateConfig::default()), &["x-other"], false),
        (None, &["permessage-deflate"], false),
        (None, &["x-other"], false),
    ] {
        let answer = switching(format!("Sec-WebSocket-Key: {key}\r\n").as_bytes());
        let more = lines.iter().map(|line| format!("\r\nSec-WebSocket-Extensions: {line}"));
        let answer = answer.replacen("\r\n", &format!("{}\r\n", more.collect::<String>()), 1);
        let head = Head::parse(answer.as_bytes()).unwrap();
        let verified = request(settings).verify(&head, &key);
        assert_eq!(verified.is_ok(), is_good, "{lines:?} to {settings:?}");
    }
}

/// aiohttp #12976; websockets 16.1
///
/// A frame set the bit that marks a compressed message, and was inflated although the ends hadn't
/// agreed on compression, or although the frame began no message.
///
/// Bytes: `C1 80 m`, `40 80 m`, `C0 80 m`, `C9 80 m`
/// Holds: 1002, at both ends; with an agreement, still 1002 for continuations and control frames
/// Twin: src/frames/header.rs
/// was `if first & RSV2_RSV3 != 0 || (rsv1 && !rsv1_may_be_set) {`
/// now `if first & RSV2_RSV3 != 0 {`
#[test]
fn aiohttp_12976_what_if_a_frame_says_that_it_is_compressed_and_may_not_be() {
    for role in ROLES {
        for first in [0xc1, 0xc2, 0x41, 0x40, 0xc0, 0xc8, 0xc9, 0xca] {
            let mut listener = Listener::within(role, DEFAULT);
            // A message is begun for those that would continue it.
            if first & 0x0f == 0 {
                listener.hear(&frame(peer_of(role), &[0x01, 0], b""));
            }
            listener.hear(&frame(peer_of(role), &[first, 0], b""));
            assert_eq!(listener.failed_with(), Some(1002), "{role:?}: {first:#x}");
        }
        #[cfg(feature = "deflate")]
        for first in [0x40, 0xc0, 0xc8, 0xc9, 0xca] {
            let begun =
                if first & 0x0f == 0 { frame(peer_of(role), &[0x01, 0], b"") } else { vec![] };
            let bytes = [begun, frame(peer_of(role), &[first, 0], b"")].concat();
            assert_eq!(inflating::heard(role, 1_000, &bytes), Err(1002), "{role:?}: {first:#x}");
        }
    }
}

#[cfg(feature = "deflate")]
mod inflating {
    use std::io::Write;

    use flate2::write::DeflateEncoder;
    use flate2::{Compression, Decompress, FlushDecompress};
    use ws101::frames::assembler::Bounds;
    use ws101::frames::buffer::Buffer;
    use ws101::frames::decoder::{Decoder, Event};
    use ws101::frames::deflate::inflater_and_deflater;
    use ws101::frames::encoder::Encoder;
    use ws101::frames::header::Role;
    use ws101::frames::message::{AsMessage, Message, MessageRef, Uncompressed};
    use ws101::handshake::deflate_params::DeflateParams;

    use super::*;
    use crate::frames::{binary, head, text};

    /// Compresses everything, however small.
    const ALL: DeflateConfig = DeflateConfig { from: 0, ..DeflateConfig::DEFAULT };

    /// What a message that repeats nothing is compressed to: with the last four bytes left out.
    fn deflated(payload: &[u8]) -> Vec<u8> {
        let mut zip = DeflateEncoder::new(Vec::new(), Compression::best());
        zip.write_all(payload).unwrap();
        zip.flush().unwrap();
        let mut bytes = zip.get_ref().clone();
        assert!(bytes.ends_with(&[0, 0, 0xff, 0xff]));
        bytes.truncate(bytes.len() - 4);
        bytes
    }

    /// What an end hears of these bytes where compression was agreed on: messages, or a close code.
    pub fn heard(role: Role, max_message: u64, bytes: &[u8]) -> Result<Vec<Event>, u16> {
        let bounds = Bounds { max_message, ..DEFAULT };
        let (inflater, _) =
            inflater_and_deflater(role, Some((DeflateParams::default(), ALL)), max_message);
        let incoming = Decoder::new(role, bounds, Buffer::default());
        let mut incoming = incoming.inflating(inflater);
        let mut events = Vec::new();
        for piece in bytes.chunks(500) {
            incoming.space()[..piece.len()].copy_from_slice(piece);
            incoming.filled(piece.len());
            while let Some(event) =
                incoming.next_event().map_err(|violation| violation.close_code().0)?
            {
                events.push(event);
            }
        }
        Ok(events)
    }

    /// A compressed message to this end, in fragments of at most so many bytes.
    fn message(role: Role, payload: &[u8], fragment: usize) -> Vec<u8> {
        let last = payload.len().div_ceil(fragment) - 1;
        let fragments = payload.chunks(fragment).enumerate().flat_map(|(number, piece)| {
            let kind = if number == 0 { 0x42 } else { 0x00 };
            let fin = if number == last { 0x80 } else { 0x00 };
            frame(peer_of(role), &head(kind | fin, piece.len()), piece)
        });
        fragments.collect()
    }

    /// websockets CVE-2018-1000518; uWS CVE-2016-10544; Bandit CVE-2026-39804; undici CVE-2026-1526; NATS CVE-2026-27571; websocket-driver CVE-2026-54464; gorilla, its read limit
    ///
    /// The limit counted the received bytes. Zeros shrink to a thousandth of their size, so a
    /// message of a megabyte passed the limit and inflated to a gigabyte.
    ///
    /// Bytes: `C2 ..` with zeros, deflated 1000 : 1; the same in fragments; the same out of the window
    /// Holds: inflated bytes are counted, and one byte over the limit is 1009, at both ends; memory: `memory/`
    /// Twin: src/frames/deflate/inflater.rs
    /// was `self.inflated += came.len() as u64;`
    /// now `self.inflated += taken as u64;`
    /// Twin: the limit lifted, in the test
    #[test]
    fn cve_2018_1000518_what_if_a_small_message_inflates_to_a_huge_one() {
        const LIMIT: usize = 100_000;
        for role in ROLES {
            let zeros = |count| deflated(&vec![0; count]);
            let (most, bomb) = (zeros(LIMIT), zeros(LIMIT + 1));
            assert!(bomb.len() < LIMIT / 500, "{} bytes", bomb.len());
            for fragment in [bomb.len(), 7, 1] {
                let fits = heard(role, LIMIT as u64, &message(role, &most, fragment));
                assert!(fits == Ok(vec![binary(&vec![0; LIMIT])]), "{role:?}");
                let bytes = message(role, &bomb, fragment);
                assert_eq!(heard(role, LIMIT as u64, &bytes), Err(1009), "{role:?}");
                let twin = heard(role, u64::MAX - 1, &bytes);
                assert!(twin.is_ok(), "{role:?}: the twin takes it");
            }
            // Out of the window: the first message fits, and the second repeats it twice.
            let text = "0123456789".repeat(1_000);
            let mut zip = DeflateEncoder::new(Vec::new(), Compression::best());
            let mut payloads = Vec::new();
            for payload in [text.clone(), text.repeat(2)] {
                let before = zip.get_ref().len();
                zip.write_all(payload.as_bytes()).unwrap();
                zip.flush().unwrap();
                let bytes = &zip.get_ref()[before..];
                payloads.push(message(role, &bytes[..bytes.len() - 4], bytes.len()));
            }
            let limit = text.len() as u64;
            assert_eq!(heard(role, limit, &payloads.concat()), Err(1009), "{role:?}");
            assert_eq!(heard(role, limit, &payloads[0]).unwrap().len(), 1, "{role:?}");
            assert_eq!(heard(role, 2 * limit, &payloads.concat()).unwrap().len(), 2, "{role:?}");
        }
    }

    /// ws101 (2026), before its first release
    ///
    /// The limit counted the inflated bytes, as the fix of the bomb demands, and nothing else. Blocks that
    /// inflate to nothing never reach it: gigabytes of them came in one message, and `recv` did not return.
    /// Blocks with BFINAL cost a copy of the window each, for two bytes.
    ///
    /// Bytes: `42 ..` with `00 00 00 FF FF`, again and again; `C2 ..` with `03 00`, a thousand times
    /// Holds: what comes in is bounded by twice the limit and a bit, and a block with BFINAL has its price; else 1009
    /// Twin: src/frames/assembler.rs
    /// was `limit.saturating_mul(2).saturating_add(added)`
    /// now `added.max(u64::MAX)`
    /// Twin: src/frames/deflate/inflater.rs
    /// was `.checked_sub(PRICE_OF_LAST_BLOCK)`
    /// now `.checked_sub(0)`
    #[test]
    fn ws101_2026_what_if_a_compressed_message_inflates_to_nothing_for_ever() {
        const LIMIT: u64 = 1_024;
        const EMPTY: &[u8] = &[0, 0, 0, 0xff, 0xff];
        const LAST: &[u8] = &[3, 0];
        for role in ROLES {
            let flood = |count| message(role, &EMPTY.repeat(count), 500);
            assert_eq!(heard(role, LIMIT, &flood(100_000)), Err(1009), "{role:?}");
            // As many as an honest message may need for its flushes, and a message after them.
            let [few, text_after] = [EMPTY.repeat(400), deflated(b"and a text")];
            let honest = [&few[..], &text_after].concat();
            let expected = Ok(vec![binary(b"and a text")]);
            assert_eq!(heard(role, LIMIT, &message(role, &honest, 500)), expected, "{role:?}");
            // Told from the header, before any of it has come.
            let header =
                [&[0xc2, if role == Role::Server { 0xff } else { 127 }][..], &[0, 0, 0, 1]];
            let announced = [&header.concat()[..], &[0; 8]].concat();
            assert_eq!(heard(role, LIMIT, &announced), Err(1009), "{role:?}");

            let last = |count| heard(role, 1 << 20, &message(role, &LAST.repeat(count), 1 << 20));
            assert_eq!(last(16), Ok(vec![binary(b"")]), "{role:?}");
            assert_eq!(last(1_000), Err(1009), "{role:?}");
        }
    }

    /// KJ CVE-2023-48230
    ///
    /// The receiver puts back the four bytes that a sender omits. With a payload that was shorter
    /// than expected, it wrote them before the start of the buffer.
    ///
    /// Bytes: `C2`, with each payload of 0, 1 and 2 bytes, and many of 3 to 8
    /// Holds: what zlib itself makes of the payload and the four bytes, or 1007; never a panic
    /// Twin: src/frames/deflate/inflater.rs
    /// was `let ended = self.inflate(&[&TAIL[..], &LAST_BLOCK].concat(), nothing);`
    /// now `let ended = self.inflate(&LAST_BLOCK, nothing);`
    #[test]
    fn cve_2023_48230_what_if_a_compressed_payload_is_shorter_than_its_tail() {
        // What zlib says: all of the bytes are read, and something or nothing came out.
        let oracle = |payload: &[u8]| {
            let bytes = [payload, &[0, 0, 0xff, 0xff]].concat();
            let (mut zip, mut out) = (Decompress::new(false), Vec::with_capacity(10_000));
            zip.decompress_vec(&bytes, &mut out, FlushDecompress::Sync).ok()?;
            (zip.total_in() == bytes.len() as u64).then_some(out)
        };
        let of_two = (0..=u16::MAX).map(|number| number.to_be_bytes().to_vec());
        let of_one = (0..=u8::MAX).map(|byte| vec![byte]);
        let mut chance = crate::frames::Chance::new(1);
        let longer = (0..5_000).map(|number| {
            let payload = (0..3 + number % 6).map(|_| chance.next() as u8);
            payload.collect::<Vec<_>>()
        });
        let mut messages = 0;
        for payload in [vec![]].into_iter().chain(of_one).chain(of_two).chain(longer) {
            // A last block ends the message; zlib takes no tail behind it.
            let expected = oracle(&payload);
            for role in ROLES {
                let bytes = frame(peer_of(role), &head(0xc2, payload.len()), &payload);
                match heard(role, 10_000, &bytes) {
                    Ok(events) => {
                        let [Event::Message(Message::Binary(message))] = &events[..] else {
                            panic!("{role:?}: {events:?} of {payload:02x?}")
                        };
                        if let Some(out) = &expected {
                            assert_eq!(message, out, "{role:?}: {payload:02x?}");
                        }
                        messages += 1;
                    }
                    Err(code) => assert_eq!(code, 1007, "{role:?}: {payload:02x?}"),
                }
            }
        }
        assert!(messages > 100, "{messages} of them are messages");
        let empty = frame(Role::Client, &head(0xc2, 1), &[0]);
        assert_eq!(heard(Role::Server, 10, &empty), Ok(vec![binary(b"")]));
    }

    /// ws; py-websockets; uWS
    ///
    /// A block may say that it's the last one (RFC 7692 §7.2.3.4). Receivers that then threw the
    /// stream away lost the next message, and receivers that kept it read no further.
    ///
    /// Bytes: `C1 88 m F3 48 CD C9 C9 07 00 00`, then `C1 87 m F2 48 CD C9 C9 07 00`
    /// Holds: both messages arrive, even if the second one repeats the first one out of the window
    /// Twin: src/frames/deflate/inflater.rs
    /// was `self.ended = status == Status::StreamEnd;`
    /// now `self.ended = false;`
    #[test]
    fn ws_what_if_a_block_says_that_it_is_the_last_and_a_message_follows() {
        const LAST: &[u8] = b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00";
        const HELLO: &[u8] = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
        const AGAIN: &[u8] = b"\xf2\x00\x11\x00\x00";
        for role in ROLES {
            let message =
                |payload: &[u8]| frame(peer_of(role), &head(0xc1, payload.len()), payload);
            for second in [HELLO, AGAIN, LAST] {
                let bytes = [message(LAST), message(second)].concat();
                assert_eq!(heard(role, 1_000, &bytes), Ok(vec![text("Hello"); 2]), "{role:?}");
            }
        }
    }

    /// py-websockets (2026); ws (2026)
    ///
    /// A truncated compressed message was delivered as if it were complete.
    ///
    /// Bytes: `C1 ..` with the payload cut
    /// Holds: cut at any byte it is 1007, and nothing of it is delivered, except for cuts between blocks
    /// Twin: src/frames/deflate/inflater.rs
    /// was `if ended.is_err() || !self.ended {`
    /// now `if false {`
    #[test]
    fn py_websockets_2026_what_if_a_compressed_message_is_cut() {
        let whole = deflated("a text of some words, and some more words".as_bytes());
        for role in ROLES {
            for end in 1..whole.len() - 1 {
                let bytes = message(role, &whole[..end], end);
                assert_eq!(heard(role, 1_000, &bytes), Err(1007), "{role:?}: cut at {end}");
            }
            assert!(heard(role, 1_000, &message(role, &whole, 1_000)).is_ok());
        }
    }

    /// CRIME CVE-2012-4929
    ///
    /// A secret and a text that an attacker chose were compressed together and then encrypted.
    /// Repetitions shrink, so the length of the frame told a right guess from a wrong one.
    ///
    /// Bytes: the frame of `token=123&name=token=123`
    /// Holds: nothing is compressed unless both ends ask for it, and messages sent as `Uncompressed` never are
    /// Twin: src/frames/encoder.rs
    /// was `!plain && self.deflater.as_ref()`
    /// now `self.deflater.as_ref()`
    #[test]
    fn cve_2012_4929_what_if_a_secret_stands_beside_text_that_an_attacker_chose() {
        let secret = "token=123&name=token=123&".repeat(10);
        let length_of = |deflate: bool, message: MessageRef<'_>| {
            let agreed = deflate.then_some((DeflateParams::default(), ALL));
            let (_, deflater) = inflater_and_deflater(Role::Server, agreed, 1_000);
            let mut outgoing = Encoder::new(None).deflating(deflater);
            let behind = outgoing.message(message).unwrap().len();
            outgoing.batch().copied_bytes().len() + behind
        };
        let plain = 4 + secret.len();
        assert!(length_of(true, secret.as_message()) < plain / 4);
        assert_eq!(length_of(true, Uncompressed(&secret).as_message()), plain);
        assert_eq!(length_of(false, secret.as_message()), plain);
        // A server agrees to nothing, and a client offers nothing, unless told to.
        let offer = extensions(&["permessage-deflate"]);
        assert_eq!(deflate_params::answer_offers(&offer, None).unwrap(), None);
        let address = ws101::handshake::url::Address::parse("ws://a").unwrap();
        let request = ClientRequest::default().request(&address, "key").unwrap();
        assert!(!String::from_utf8(request).unwrap().contains("Extensions"));
    }
}
