//! How is a message compressed, and inflated within limits (RFC 7692 §7.2)? Only in builds with the
//! `deflate` feature.
//!
//! ```text
//! message ─► compress, flush ─► .... 00 00 FF FF  ─► cut off the four bytes ─► RSV1, frames
//!                                    └ an empty block: all before it can be read
//! message ◄─ inflate ◄─ .... 00 00 FF FF ◄─ put them back ◄────────────────── RSV1, frames
//! ```
//!
//! `deflater.rs` compresses, and `inflater.rs` inflates. In a build without the feature,
//! `absent.rs` stands in for both.

pub mod deflater;
pub mod inflater;

pub use self::deflater::Deflater;
pub use self::inflater::Inflater;
use super::header::Role;
use crate::diagnostic::misuse::Misuse;
use crate::handshake::deflate_params::{DeflateConfig, DeflateParams};

/// Validates compression settings. Fails if a setting is out of range, with an error that names it.
pub fn validate(settings: &DeflateConfig) -> Result<(), Misuse> {
    settings.validate()
}

/// Creates a connection's inflater and deflater. `agreed` holds the compression parameters on which
/// the two ends agreed, and our own settings. `role` is the role of our end. `max_message` is the
/// maximum inflated size of a message in bytes.
///
/// Returns `None` for both if `agreed` is `None`. Returns `None` for the deflater alone if the peer
/// allows only a window of 256 bytes, which our compressor doesn't support. The results are boxed,
/// so that an uncompressed connection stays small.
pub fn inflater_and_deflater(
    role: Role,
    agreed: Option<(DeflateParams, DeflateConfig)>,
    max_message: u64,
) -> (Option<Box<Inflater>>, Option<Box<Deflater>>) {
    let Some((params, settings)) = agreed else { return (None, None) };
    let (ours, theirs) = match role {
        Role::Server => (params.of_server(), params.of_client()),
        Role::Client => (params.of_client(), params.of_server()),
    };
    let inflater = Inflater::new(theirs, max_message);
    (Some(Box::new(inflater)), Deflater::new(ours, &settings).map(Box::new))
}

#[cfg(test)]
mod tests {
    use super::inflater::PIECE;
    use super::*;
    use crate::frames::assembler::Bounds;
    use crate::frames::buffer::Buffer;
    use crate::frames::decoder::{Decoder, Event};
    use crate::frames::encoder::Encoder;
    use crate::frames::message::{AsMessage, Message, MessageKind, Uncompressed};
    use crate::frames::prepared::PreparedMessage;
    use crate::frames::violation::Violation;
    use crate::handshake::deflate_params::Window;

    const MOST: Window = Window { bits: 15, takeover: true };
    const ALL: DeflateConfig = DeflateConfig {
        server_no_context_takeover: false,
        client_no_context_takeover: false,
        server_max_window_bits: 15,
        client_max_window_bits: 15,
        from: 0,
        level: 6,
    };

    /// Creates the decoder of a client whose server compresses with this window.
    fn client(peer: Window, max_message: u64) -> Decoder {
        let bounds = Bounds { max_message, max_fragments: 100_000 };
        let decoder = Decoder::new(Role::Client, bounds, Buffer::default());
        decoder.inflating(Some(Box::new(Inflater::new(peer, max_message))))
    }

    /// Returns all events that the client decodes from these bytes, or the first violation. The
    /// bytes arrive in pieces of at most `at_a_time` bytes.
    fn hear(client: &mut Decoder, bytes: &[u8], at_a_time: usize) -> Result<Vec<Event>, Violation> {
        let mut events = Vec::new();
        for piece in bytes.chunks(at_a_time) {
            for part in piece.chunks(500) {
                client.space()[..part.len()].copy_from_slice(part);
                client.filled(part.len());
                while let Some(event) = client.next_event()? {
                    events.push(event);
                }
            }
        }
        Ok(events)
    }

    fn text(text: &str) -> Event {
        Event::Message(Message::Text(text.into()))
    }

    fn binary(bytes: &[u8]) -> Event {
        Event::Message(Message::Binary(bytes.into()))
    }

    /// Returns a frame from a server: `first` is the first byte of the frame's header.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let length = payload.len();
        match length {
            0..126 => [&[first, length as u8], payload].concat(),
            126..65_536 => [&[first, 126], &(length as u16).to_be_bytes()[..], payload].concat(),
            _ => [&[first, 127], &(length as u64).to_be_bytes()[..], payload].concat(),
        }
    }

    /// Returns a stored (uncompressed) DEFLATE block of `length` bytes, without BFINAL.
    fn stored_block(length: u16) -> Vec<u8> {
        let header = [&[0][..], &length.to_le_bytes(), &(!length).to_le_bytes()].concat();
        [header, noise(length.into())].concat()
    }

    /// Returns `length` pseudo-random bytes, which hardly compress. Each call returns the same
    /// bytes.
    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1_u32;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as u8
        };
        (0..length).map(|_| next()).collect()
    }

    #[test]
    fn section_7_2_3_the_samples_are_read_in_whatever_pieces_they_come() {
        let hello = [text("Hello")];
        let twice = [text("Hello"), text("Hello")];
        let samples: &[(&[u8], &[Event])] = &[
            // §7.2.3.1: one block, whole and in two fragments.
            (b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00", &hello),
            (b"\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00", &hello),
            // §7.2.3.2: the second message refers to the first, which is in the window.
            (b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00\xc1\x05\xf2\x00\x11\x00\x00", &twice),
            // §7.2.3.3: a block that isn't compressed.
            (b"\xc1\x0b\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", &hello),
            // §7.2.3.4: a block with BFINAL, then a message after it.
            (b"\xc1\x08\xf3\x48\xcd\xc9\xc9\x07\x00\x00", &hello),
            (
                b"\xc1\x08\xf3\x48\xcd\xc9\xc9\x07\x00\x00\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00",
                &twice,
            ),
            // The next message may refer to a block with BFINAL.
            (b"\xc1\x08\xf3\x48\xcd\xc9\xc9\x07\x00\x00\xc1\x05\xf2\x00\x11\x00\x00", &twice),
            // A message may end with a block with BFINAL.
            (b"\xc1\x07\xf3\x48\xcd\xc9\xc9\x07\x00\xc1\x05\xf2\x00\x11\x00\x00", &twice),
            // §7.2.3.5: a message of two blocks.
            (b"\xc1\x0d\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", &hello),
            // §7.2.3.6: an empty message.
            (b"\xc1\x01\x00", &[text("")]),
            // §6.1: an uncompressed message between two compressed ones.
            (
                b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00\x81\x01!\xc1\x05\xf2\x00\x11\x00\x00",
                &[text("Hello"), text("!"), text("Hello")],
            ),
        ];
        for (bytes, events) in samples {
            for at_a_time in 1..=bytes.len() {
                let heard = hear(&mut client(MOST, 1_000), bytes, at_a_time);
                assert_eq!(heard.as_deref(), Ok(*events), "{bytes:02x?} by {at_a_time}");
            }
        }
    }

    #[test]
    fn section_7_1_1_without_takeover_a_message_can_repeat_nothing_before_it() {
        let bytes = b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00\xc1\x05\xf2\x00\x11\x00\x00";
        let peer = Window { bits: 15, takeover: false };
        assert_eq!(hear(&mut client(peer, 1_000), bytes, 100), Err(Violation::NotDeflate));
    }

    #[test]
    fn section_6_1_rsv1_on_other_frames_than_a_first_one_is_1002() {
        for bytes in [&b"\xc0\x00"[..], b"\x01\x00\x40\x00", b"\xc9\x00", b"\xca\x00", b"\xc8\x00"]
        {
            let heard = hear(&mut client(MOST, 1_000), bytes, 100).unwrap_err();
            assert_eq!(heard.close_code().0, 1002, "{bytes:02x?}");
        }
    }

    #[test]
    fn section_7_2_2_a_message_that_is_cut_anywhere_is_1007_and_not_delivered() {
        let long = noise(700).repeat(3);
        let mut noisy = String::new();
        (0..200).for_each(|i| noisy += &format!("{{\"id\": {}, \"name\": \"x{}\"}}, ", i * 77, i));
        for payload in [&b"Hello"[..], &long, noisy.as_bytes(), &[b'x'; 5_000]] {
            let whole = Deflater::new(MOST, &ALL).unwrap().deflate(payload, true);
            for end in 0..whole.len() {
                let heard = hear(&mut client(MOST, 10_000), &frame(0xc2, &whole[..end]), 5_000);
                assert_eq!(heard, Err(Violation::NotDeflate), "{end} of {}", whole.len());
            }
            let heard = hear(&mut client(MOST, 10_000), &frame(0xc2, &whole), 5_000);
            assert_eq!(heard, Ok(vec![binary(payload)]));
        }
    }

    #[test]
    fn what_if_the_payload_is_any_two_bytes() {
        for length in 0..=2 {
            for contents in 0..1_u32 << (8 * length) {
                let payload = &contents.to_be_bytes()[4 - length..];
                let mut client = client(MOST, 1_000);
                let heard = hear(&mut client, &frame(0xc2, payload), 100);
                assert!(
                    matches!(
                        heard.as_deref(),
                        Err(Violation::NotDeflate) | Ok([Event::Message(_)])
                    ),
                    "{payload:02x?}: {heard:?}"
                );
                // After a valid message, the next one is decoded too.
                if heard.is_ok() {
                    let next = hear(&mut client, b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00", 100);
                    assert_eq!(next, Ok(vec![text("Hello")]), "after {payload:02x?}");
                }
            }
        }
    }

    /// Inflates a message that arrives in these `pieces`. Returns the number of inflated bytes, and
    /// whether the message was valid.
    fn inflated(inflater: &mut Inflater, pieces: &[&[u8]]) -> (usize, Result<(), Violation>) {
        let mut count = 0;
        let mut append = |bytes: &[u8]| {
            count += bytes.len();
            Ok(())
        };
        let all = pieces.iter().try_for_each(|piece| inflater.inflate(piece, &mut append));
        let end = all.and_then(|()| inflater.finish());
        (count, end)
    }

    #[test]
    fn what_if_a_bomb_comes_at_once_or_over_fragments_or_out_of_the_window() {
        let limit = 100_000;
        let too_long = Err(Violation::MessageTooLong(limit));
        let zeros = vec![0; 3_000_000];
        let mut sender = Deflater::new(MOST, &ALL).unwrap();
        let bomb = sender.deflate(&zeros, true);
        let again = sender.deflate(&zeros, true);
        assert!(bomb.len() < 5_000);
        for size in [1, 7, bomb.len()] {
            let pieces: Vec<_> = bomb.chunks(size).collect();
            let (count, end) = inflated(&mut Inflater::new(MOST, limit), &pieces);
            assert!(count <= limit as usize && end == too_long, "{count}: {end:?}");
        }
        // A decoder refuses the bomb too, even as the second message, whose window is full of
        // zeros.
        let harmless = Deflater::new(MOST, &ALL).unwrap().deflate(&zeros[..50_000], true);
        let mut client = client(MOST, limit);
        assert!(hear(&mut client, &frame(0xc2, &harmless), 10).is_ok());
        let fragments: Vec<_> = again.chunks(3).map(|piece| frame(0x00, piece)).collect();
        let bytes = [frame(0x42, b""), fragments.concat()].concat();
        assert_eq!(hear(&mut client, &bytes, 1_000), Err(Violation::MessageTooLong(limit)));
    }

    #[test]
    fn what_if_a_message_is_a_flood_of_last_blocks() {
        let last = [0x03, 0x00]; // BFINAL, fixed codes, and the end of the block: ten bits
        for at_a_time in [1, 2, 3, 100_000] {
            let window_full = || {
                let mut client = client(MOST, 1 << 20);
                let full = Deflater::new(MOST, &ALL).unwrap().deflate(&noise(1 << 15), true);
                assert!(hear(&mut client, &frame(0xc2, &full), at_a_time).is_ok());
                client
            };
            let sixteen = frame(0xc2, &last.repeat(16));
            assert_eq!(hear(&mut window_full(), &sixteen, at_a_time), Ok(vec![binary(b"")]));
            let flood = frame(0xc2, &last.repeat(50_000));
            let heard = hear(&mut window_full(), &flood, at_a_time);
            assert_eq!(heard, Err(Violation::TooManyLastBlocks), "by {at_a_time}");
            // A peer may always send one such block per message, and one for each KiB that it
            // sends.
            let paid = [&stored_block(1024)[..], &last].concat().repeat(100);
            let mut client = window_full();
            let events = hear(&mut client, &frame(0xc2, &paid), at_a_time).unwrap();
            assert_eq!(events.len(), 1);
            // RFC 7692 §7.2.3.4: another block may follow, which ends with the omitted bytes.
            for message in [&last[..], b"\xf3\x48\xcd\xc9\xc9\x07\0\0"] {
                let one_each = frame(0xc2, message).repeat(1_000);
                assert_eq!(hear(&mut client, &one_each, at_a_time).unwrap().len(), 1_000);
            }
        }
    }

    #[test]
    fn a_message_may_inflate_to_exactly_the_limit_and_no_byte_more() {
        for limit in [0, 1, PIECE as u64 - 1, PIECE as u64, PIECE as u64 + 1, 50_000] {
            for payload in [vec![b'x'; limit as usize], noise(limit as usize)] {
                let exact = Deflater::new(MOST, &ALL).unwrap().deflate(&payload, true);
                let heard = hear(&mut client(MOST, limit), &frame(0xc2, &exact), 1_000);
                assert!(heard == Ok(vec![binary(&payload)]), "{limit}");
                let longer = [&payload[..], b"x"].concat();
                let longer = Deflater::new(MOST, &ALL).unwrap().deflate(&longer, true);
                let heard = hear(&mut client(MOST, limit), &frame(0xc2, &longer), 1_000);
                assert_eq!(heard, Err(Violation::MessageTooLong(limit)));
            }
        }
        let mut unlimited = Inflater::new(MOST, u64::MAX);
        let payload = Deflater::new(MOST, &ALL).unwrap().deflate(&[0; 100_000], true);
        assert_eq!(inflated(&mut unlimited, &[&payload]), (100_000, Ok(())));
    }

    #[test]
    fn one_who_reads_pieces_gets_them_in_constant_memory() {
        let mut client = client(MOST, u64::MAX);
        client.deliver_pieces(true);
        let payload = Deflater::new(MOST, &ALL).unwrap().deflate(&vec![0; 5_000_000], true);
        let (mut total, mut ended) = (0, false);
        for event in hear(&mut client, &frame(0xc2, &payload), 100_000).unwrap() {
            let Event::Piece { bytes, last, .. } = event else { panic!("{event:?}") };
            assert!(bytes.len() <= 1024 * 1032 + 300);
            total += bytes.len();
            ended = last;
        }
        assert!(total == 5_000_000 && ended);
    }

    #[test]
    fn text_is_checked_as_it_comes_out() {
        let payload = Deflater::new(MOST, &ALL).unwrap().deflate(b"ok\xff and much more", false);
        let heard = hear(&mut client(MOST, 1_000), &frame(0x41, &payload), 100);
        assert_eq!(heard, Err(Violation::TextNotUtf8));
    }

    /// A fuzzer found this case: the decoder must report the first violation, even if one read
    /// contains several.
    #[test]
    fn the_first_fault_is_reported_in_whatever_pieces_it_comes() {
        let not_text = b"\x00\x01\x00\xfe\xff\xff";
        let nine_bytes = b"\x00\x09\x00\xf6\xff123456789";
        let no_block = b"\x07";
        for (payload, fault) in [
            ([&not_text[..], no_block].concat(), Violation::TextNotUtf8),
            ([&not_text[..], nine_bytes].concat(), Violation::TextNotUtf8),
            ([&nine_bytes[..], not_text].concat(), Violation::MessageTooLong(8)),
            ([&nine_bytes[..], no_block].concat(), Violation::MessageTooLong(8)),
            ([&no_block[..], not_text].concat(), Violation::NotDeflate),
        ] {
            let bytes = frame(0xc1, &payload);
            for at_a_time in 1..=bytes.len() {
                let heard = hear(&mut client(MOST, 8), &bytes, at_a_time);
                assert_eq!(heard, Err(fault), "{bytes:02x?} by {at_a_time}");
            }
        }
    }

    /// Returns payloads that repeat parts of themselves and of each other, at distances from 200
    /// bytes to just over the largest window.
    fn conversation() -> Vec<Vec<u8>> {
        let noise = noise(60_000);
        let mut all = vec![b"Hello".to_vec(), b"Hello".to_vec(), b"".to_vec(), b"".to_vec()];
        for distance in [200, 256, 300, 512, 600, 33_000] {
            all.push([&noise[..distance], &noise[..distance]].concat());
            all.push(noise[..distance].to_vec());
        }
        all
    }

    #[test]
    fn what_is_compressed_is_read_again_for_every_window_level_and_takeover() {
        for (bits, takeover) in (9..=15).flat_map(|bits| [(bits, true), (bits, false)]) {
            let window = Window { bits, takeover };
            for level in if bits == 9 { 1..=9 } else { 6..=6 } {
                let mut sender = Deflater::new(window, &DeflateConfig { level, ..ALL }).unwrap();
                let mut inflater = Inflater::new(window, u64::MAX);
                for (i, payload) in conversation().into_iter().enumerate() {
                    let deflated = match i % 3 {
                        0 => sender.deflate(&payload, true),
                        // The payload is sent in three fragments, with an empty one at the end.
                        _ => {
                            let (a, rest) = payload.split_at(payload.len() / 3);
                            let (b, c) = rest.split_at(rest.len() / i);
                            let all = [(a, false), (b, false), (c, false), (&[][..], true)];
                            all.map(|(part, fin)| sender.deflate(part, fin)).concat()
                        }
                    };
                    let mut out = Vec::new();
                    let mut append = |bytes: &[u8]| {
                        out.extend_from_slice(bytes);
                        Ok(())
                    };
                    inflater.inflate(&deflated, &mut append).unwrap();
                    inflater.finish().unwrap();
                    assert!(out == payload, "{window:?}, level {level}, payload {i}");
                    assert!(inflater.window.len() <= 1 << bits);
                    // Both ends may free their memory between any two messages.
                    if i % 5 == 0 {
                        inflater.free_idle_memory();
                    }
                    if i % 7 == 0 {
                        sender.forget();
                    }
                }
            }
        }
    }

    #[test]
    fn the_debug_output_of_the_halves_shows_sizes_and_no_payload() {
        let window = Window { bits: 9, takeover: true };
        let (mut sender, mut inflater) =
            (Deflater::new(window, &ALL).unwrap(), Inflater::new(window, 100));
        let printed = |window: &str, in_use: bool| {
            let peer = "Window { bits: 9, takeover: true }";
            [
                format!("Deflater {{ {peer}, in use: {in_use} }}"),
                format!("Inflater {{ {peer}, {window} bytes in it, in use: {in_use} }}"),
            ]
        };
        assert_eq!([format!("{sender:?}"), format!("{inflater:?}")], printed("0", false));
        inflater.inflate(&sender.deflate(b"secret", true), |_| Ok(())).unwrap();
        inflater.finish().unwrap();
        assert_eq!([format!("{sender:?}"), format!("{inflater:?}")], printed("6", true));
        sender.forget();
        inflater.free_idle_memory();
        assert_eq!([format!("{sender:?}"), format!("{inflater:?}")], printed("6", false));
    }

    #[test]
    fn takeover_makes_the_second_of_two_equal_messages_small() {
        let payload = noise(1_000);
        let second = |window| {
            let mut sender = Deflater::new(window, &ALL).unwrap();
            sender.deflate(&payload, true);
            sender.deflate(&payload, true).len()
        };
        assert!(second(MOST) < 30);
        assert!(second(Window { bits: 15, takeover: false }) > 1_000);
        assert!(second(Window { bits: 9, takeover: true }) > 1_000);
    }

    /// Creates the encoder of a server that compresses with this window.
    fn server(window: Window, settings: &DeflateConfig) -> Encoder {
        Encoder::new(None).deflating(Deflater::new(window, settings).map(Box::new))
    }

    /// Returns the bytes that the server sends for one message.
    fn sent(server: &mut Encoder, message: impl AsMessage) -> Vec<u8> {
        let after_batch = server.message(message.as_message()).unwrap().to_vec();
        let bytes = [server.batch().copied_bytes(), &after_batch].concat();
        server.clear_batch();
        bytes
    }

    #[test]
    fn server_compresses_what_is_long_enough_and_not_plain() {
        let mut server = server(MOST, &DeflateConfig { from: 10, ..ALL });
        let mut client = client(MOST, 100_000);
        let long = "0123456789".repeat(5_000);
        for (message, first, shorter) in [
            (sent(&mut server, "012345678"), 0x81, false),
            (sent(&mut server, &*long), 0xc1, true),
            (sent(&mut server, Uncompressed(&*long)), 0x81, false),
            (sent(&mut server, Uncompressed(PreparedMessage::new(&*long))), 0x81, false),
            (sent(&mut server, PreparedMessage::new(Uncompressed(&*long))), 0x81, false),
            (sent(&mut server, PreparedMessage::new("012345678")), 0x81, false),
            (sent(&mut server, &*long), 0xc1, true),
        ] {
            assert_eq!(message[0], first);
            assert_eq!(message.len() < 1_000 && message.len() > 11, shorter);
            assert_eq!(hear(&mut client, &message, 10_000).unwrap().len(), 1);
        }
    }

    #[test]
    fn section_6_1_a_ping_goes_out_as_it_is_though_messages_are_compressed() {
        let mut server = server(MOST, &ALL);
        let payload = [b'a'; 125];
        server.ping(&payload).unwrap();
        assert_eq!(server.batch().copied_bytes(), [&[0x89, 125], &payload[..]].concat());
        server.clear_batch();
        assert_eq!(sent(&mut server, str::from_utf8(&payload).unwrap())[0], 0xc1);
    }

    #[test]
    fn server_compresses_a_prepared_message_once_for_all_whose_window_is_the_largest() {
        let broadcast = noise(2_000).repeat(2);
        let message = PreparedMessage::new(&broadcast);
        let windows =
            [MOST, Window { bits: 15, takeover: false }, Window { bits: 9, takeover: true }];
        let frames = windows.map(|window| {
            let (mut server, mut client) = (server(window, &ALL), client(window, 10_000));
            // The broadcast comes between other messages of the connection, which must not refer to
            // bytes beyond it.
            let own = "what this connection says by itself, twice";
            let all = [
                sent(&mut server, own),
                sent(&mut server, &message),
                sent(&mut server, own),
                sent(&mut server, &message),
            ];
            let heard = hear(&mut client, &all.concat(), 10_000).unwrap();
            assert_eq!(heard, [text(own), binary(&broadcast), text(own), binary(&broadcast)]);
            all[1].clone()
        });
        assert!(frames[0] == frames[1] && frames[1] != frames[2]);
        assert!(frames[0].len() < 2_200 && frames[2].len() > 4_000);
    }

    #[test]
    fn streamed_fragments_are_compressed_if_the_first_is_long_enough() {
        let mut client = client(MOST, 10_000);
        for (first, from) in [(0x42, 3), (0x02, 4)] {
            let mut server = server(MOST, &DeflateConfig { from, ..ALL });
            let mut bytes = Vec::new();
            for (opcode, payload, fin) in [
                (MessageKind::Binary.opcode(), &b"abc"[..], false),
                (crate::frames::header::Opcode::Continuation, b"defg", false),
                (crate::frames::header::Opcode::Continuation, b"", true),
            ] {
                assert_eq!(server.fragment(opcode, payload, fin).unwrap(), b"");
            }
            bytes.extend_from_slice(server.batch().copied_bytes());
            assert_eq!(bytes[0], first);
            assert_eq!(hear(&mut client, &bytes, 3).unwrap(), [binary(b"abcdefg")]);
        }
    }

    #[test]
    fn a_window_of_8_bits_is_read_and_its_owner_gets_plain_messages() {
        assert!(Deflater::new(Window { bits: 8, takeover: true }, &ALL).is_none());
        let bytes = b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00\xc1\x05\xf2\x00\x11\x00\x00";
        let peer = Window { bits: 8, takeover: true };
        assert_eq!(hear(&mut client(peer, 1_000), bytes, 100).unwrap().len(), 2);
    }

    #[test]
    fn settings_that_cannot_be_kept_are_refused() {
        for bad in [
            DeflateConfig { server_max_window_bits: 8, ..ALL },
            DeflateConfig { client_max_window_bits: 16, ..ALL },
            DeflateConfig { level: 0, ..ALL },
            DeflateConfig { level: 10, ..ALL },
        ] {
            assert!(validate(&bad).is_err());
        }
        assert!(validate(&ALL).is_ok() && validate(&DeflateConfig::default()).is_ok());
    }
}
