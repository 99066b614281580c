//! Room 1, lengths: numbers that a stranger sent, and that a program used unchecked.
//!
//! A header may announce up to 2^63 - 1 bytes. A program that casts this number, adds to it, or allocates
//! that much before it checks a limit, lets a stranger choose its sizes and addresses.

use ws101::frames::assembler::{Assembler, Bounds};
use ws101::frames::header::{Header, Opcode, Role};
use ws101::frames::violation::Violation;
use ws101::handshake::server::{Rules, decide};
use ws101::http::request::Request;

use crate::frames::{Listener, NO_BOUNDS, ROLES, binary, frame, head, peer_of};

/// The default limits of a server.
pub const DEFAULT: Bounds = Bounds { max_message: 16 * 1024 * 1024, max_fragments: 131_072 };

/// A header with a length of 64 bits, as a server sends it.
pub fn announcing(first: u8, length: u64) -> Vec<u8> {
    [&[first, 127][..], &length.to_be_bytes()].concat()
}

/// The close code with which this end answers these bytes.
fn judged(role: Role, bounds: Bounds, bytes: &[u8]) -> Option<u16> {
    let mut listener = Listener::within(role, bounds);
    listener.hear(bytes);
    assert_eq!(listener.events, [], "no message is whole");
    listener.failed_with()
}

/// NATS CVE-2026-27889; swift-nio CVE-2026-43678; undici CVE-2026-1528; noPoll #84; libhv #852
///
/// A 64-bit length with its top bit set was cast to a signed number, and so became negative. It
/// passed the limit, and then trapped or moved a pointer backwards.
///
/// Bytes: `82 FF 80 00 00 00 00 00 00 00`, `81 7F FF*8 41` to a client
/// Holds: 1002 with the last byte of the length, at both ends, masked or not
/// Twin: src/frames/header.rs
/// was `if length > i64::MAX as u64 {`
/// now `if false {`
#[test]
fn cve_2026_27889_what_if_a_length_has_its_top_bit_set() {
    for role in ROLES {
        for length in [1 << 63, 1 << 63 | 41, u64::MAX] {
            let header = announcing(0x82, length);
            let mut listener = Listener::within(role, DEFAULT);
            let bytes = frame(peer_of(role), &header, b"A");
            listener.hear_byte_by_byte(&bytes[..9]);
            assert_eq!(listener.failed_with(), None, "{role:?}");
            listener.hear(&bytes[9..10]);
            assert_eq!(listener.failed_with(), Some(1002), "{role:?}: {length:#x}");
            // A fix that only one branch got was published twice: so the other mask, too.
            assert_eq!(judged(role, DEFAULT, &frame(role, &header, b"A")), Some(1002));
        }
    }
}

/// libsoup CVE-2026-0716, and the first fix of it; baresip/re #1584; Mongoose CVE-2017-2921, CVE-2025-51495; Firefox CVE-2016-5261
///
/// "Is header plus length more than has arrived?" For a length close to the largest number the sum
/// overflows to a small one, so the frame seems to be complete. The first fix covered only the
/// branch for masked frames.
///
/// Bytes: `82 FF FF FF FF FF FF FF FF FC`, and all lengths 2^k, 2^k ± 1, MAX-14 to MAX
/// Holds: it needs more bytes, or it is 1002 or 1009, as the length demands, whatever the limit
/// Twin: src/frames/header.rs
/// was `if length > i64::MAX as u64 {`
/// now `if length > i64::MAX as u64 && length < u64::MAX - 14 {`
#[test]
fn cve_2026_0716_what_if_header_and_length_overflow_together() {
    let edges = (0..64).flat_map(|k| [(1_u64 << k) - 1, 1 << k, (1 << k) + 1]);
    for length in edges.chain(u64::MAX - 14..=u64::MAX) {
        for role in ROLES {
            for limit in [0, 1000, DEFAULT.max_message, i64::MAX as u64, u64::MAX] {
                let bounds = Bounds { max_message: limit, ..DEFAULT };
                let header = announcing(0x82, length);
                // §5.2: not the top bit, and no more bytes than are needed.
                let expected = match length {
                    0..65_536 | 0x8000_0000_0000_0000.. => Some(1002),
                    _ if length > limit => Some(1009),
                    _ => None,
                };
                let judged_right = judged(role, bounds, &frame(peer_of(role), &header, b""));
                assert_eq!(judged_right, expected, "{role:?}: {length:#x} within {limit:#x}");
                assert_eq!(judged(role, bounds, &frame(role, &header, b"")), Some(1002));
            }
        }
    }
}

/// GoAccess CVE-2026-55768
///
/// The length was read into 64 bits, stored in 32, and only then compared with the limit. 4 GiB and
/// five bytes became five bytes.
///
/// Bytes: `82 FF 00 00 00 01 00 00 00 05 m`
/// Holds: 1009 from the header alone, at both ends
/// Twin: src/frames/assembler.rs
/// was `self.announced.checked_add(header.length)`
/// now `self.announced.checked_add(header.length as u32 as u64)`
#[test]
fn cve_2026_55768_what_if_a_length_is_4_gib_and_five_bytes() {
    for role in ROLES {
        let header = frame(peer_of(role), &announcing(0x82, (1 << 32) + 5), b"");
        assert_eq!(judged(role, DEFAULT, &header), Some(1009), "{role:?}");
    }
}

/// gorilla CVE-2020-27813; Tomcat CVE-2020-13935; JBossWeb CVE-2020-14384, the first fix of it
///
/// The program counted the remaining bytes of a message, and a second fragment made that number
/// overflow. The limit was passed, or a loop read for ever from a frame with a negative rest.
///
/// Bytes: `01 81 m 61`, then `80 FF 7F FF FF FF FF FF FF FF m`
/// Holds: the sum is checked against the limit, and against overflow; each step takes bytes or returns
/// Twin: src/frames/assembler.rs
/// was `match self.announced.checked_add(header.length) {`
/// now `match Some(self.announced.wrapping_add(header.length)) {`
#[test]
fn cve_2020_27813_what_if_the_lengths_of_fragments_add_up_to_more_than_any_number() {
    const LONGEST: u64 = i64::MAX as u64;
    for role in ROLES {
        let begins = frame(peer_of(role), &[0x01, 1], b"a");
        let goes_on = frame(peer_of(role), &announcing(0x80, LONGEST), b"");
        let both = [begins, goes_on].concat();
        assert_eq!(judged(role, DEFAULT, &both), Some(1009), "{role:?}");
        // `hear` returns, so no step goes round without a byte.
        assert_eq!(judged(role, NO_BOUNDS, &both), None, "{role:?}: no limit, so it waits");
    }
    // No peer lives long enough to send that much; the sum is checked all the same.
    let announce = |opcode, length| Header { fin: false, rsv1: false, opcode, mask: None, length };
    let mut assembler = Assembler::new(NO_BOUNDS);
    assert_eq!(assembler.begin_data_frame(&announce(Opcode::Binary, LONGEST)), Ok(()));
    assert_eq!(assembler.begin_data_frame(&announce(Opcode::Continuation, LONGEST)), Ok(()));
    assert_eq!(
        assembler.begin_data_frame(&announce(Opcode::Continuation, 2)),
        Err(Violation::MessageTooLong(u64::MAX))
    );
}

/// websocket-driver CVE-2026-54463, CVE-2026-54466
///
/// The protocol of 2010 writes a length in any number of bytes, seven bits each. A server that
/// still spoke it went on counting for as long as the bytes said that more would come.
///
/// Bytes: `80 FF FF FF FF ..`; a request with `Sec-WebSocket-Key1` and `Sec-WebSocket-Key2`
/// Holds: ws101 doesn't speak that protocol: such a request gets a 426 that says so, and such a length is 1002 after ten bytes
/// Twin: src/handshake/server.rs
/// was `true => Refusal::new(426, "the draft of 2010", ""),`
/// now `true => Refusal::new(400, "not a key", ""),`
#[test]
fn cve_2026_54463_what_if_a_client_speaks_the_draft_of_2010() {
    let request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\
                    Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5\r\n\
                    Sec-WebSocket-Key2: 12998 5 Y3 1  .P00\r\n\r\n";
    let refusal = decide(&Request::parse(request).unwrap(), &Rules::default()).unwrap_err();
    assert_eq!(refusal.status(), 426);
    assert!(refusal.to_string().contains("2010"), "{refusal}");
    let mut listener = Listener::within(Role::Server, DEFAULT);
    listener.hear_byte_by_byte(&[&[0x80][..], &[0xff; 9]].concat());
    assert_eq!(listener.failed_with(), Some(1002));
}

/// libsoup CVE-2024-52532
///
/// A frame was checked only when all of its payload had arrived. So an invalid header first got all
/// the memory that it announced, or the program waited for its payload for ever.
///
/// Bytes: a header that breaks a rule, and bytes without end after it
/// Holds: byte by byte, it is refused no later than with the last byte of its header
/// Twin: src/frames/header.rs
/// was `if opcode.is_control() && usize::from(second & LENGTH) > MAX_CONTROL_PAYLOAD {`
/// now `if opcode.is_control() && bytes.len() > 1_000 {`
#[test]
fn cve_2024_52532_what_if_a_header_is_wrong_and_its_payload_never_ends() {
    let broken: [(&[u8], u16); 9] = [
        (&[0xc2, 0], 1002),
        (&[0x92, 0], 1002),
        (&[0x83, 0], 1002),
        (&[0x09, 0], 1002),
        (&[0x89, 126, 1, 0], 1002),
        (&[0x88, 127, 0, 0, 0, 0, 0, 1, 0, 0], 1002),
        (&[0x80, 1], 1002),
        (&[0x82, 126, 0, 125], 1002),
        (&[0x82, 127, 0, 0, 0, 0, 1, 0, 0, 1], 1009),
    ];
    for role in ROLES {
        for (header, code) in broken {
            let header = frame(peer_of(role), header, b"");
            let mut listener = Listener::within(role, DEFAULT);
            listener.hear_byte_by_byte(&header);
            assert_eq!(listener.failed_with(), Some(code), "{role:?}: {header:02x?}");
            // What follows is thrown away: the room for it stays what it was.
            let room = listener.room();
            (0..1_000).for_each(|_| listener.hear(&[0; 500]));
            assert_eq!((listener.events.len(), listener.room()), (0, room));
        }
        // And a good one is not.
        let mut listener = Listener::within(role, DEFAULT);
        listener.hear_byte_by_byte(&frame(peer_of(role), &head(0x82, 3), b"abc"));
        assert_eq!(listener.events, [binary(b"abc")]);
    }
}
