//! The encoder: masks, what it refuses to send, what it copies, and which buffers it returns. The
//! table of vectors has the bytes of each frame.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};

use ws101::PreparedMessage;
use ws101::diagnostic::misuse::Misuse;
use ws101::frames::close::Close;
use ws101::frames::close_code::CloseCode;
use ws101::frames::encoder::{Encoder, Masks};
use ws101::frames::header::{Opcode, Role};
use ws101::frames::message::{AsMessage, Message, MessageRef};

use crate::support::{ROLES, frame, frame_with, head};

fn server() -> Encoder {
    Encoder::new(None)
}

/// A client whose keys are 1 1 1 1, 2 2 2 2 and so on; and how many it has asked for.
fn client() -> (Encoder, Arc<AtomicU8>) {
    let asked = Arc::new(AtomicU8::new(0));
    let counter = asked.clone();
    let masks: Masks = Box::new(move || [counter.fetch_add(1, SeqCst) + 1; 4]);
    (Encoder::new(Some(masks)), asked)
}

fn at(role: Role) -> Encoder {
    match role {
        Role::Server => server(),
        Role::Client => client().0,
    }
}

fn goodbye() -> Close {
    Close::new(1000, "bye").unwrap()
}

#[test]
fn section_5_3_client_masks_each_frame_with_a_key_of_its_own() {
    let (mut outgoing, asked) = client();
    outgoing.message("one".as_message()).unwrap();
    outgoing.fragment(Opcode::Text, b"two", false).unwrap();
    outgoing.ping(b"three").unwrap();
    outgoing.fragment(Opcode::Continuation, b"", true).unwrap();
    outgoing.pong(b"five").unwrap();
    outgoing.message(PreparedMessage::new("six").as_message()).unwrap();
    outgoing.message([7, 7].as_message()).unwrap();
    outgoing.close(&goodbye()).unwrap();
    let expected = [
        (b"\x81\x03", &b"one"[..]),
        (b"\x01\x03", b"two"),
        (b"\x89\x05", b"three"),
        (b"\x80\x00", b""),
        (b"\x8a\x04", b"five"),
        (b"\x81\x03", b"six"),
        (b"\x82\x02", &[7, 7]),
        (b"\x88\x05", b"\x03\xe8bye"),
    ];
    let frames = (1..).zip(expected);
    let bytes: Vec<u8> = frames
        .flat_map(|(n, (head, payload))| frame_with(Role::Client, [n; 4], head, payload))
        .collect();
    assert_eq!(outgoing.batch().copied_bytes(), bytes);
    assert_eq!(asked.load(SeqCst), 8, "one key a frame, and none for nothing");
}

#[test]
fn section_5_1_server_masks_nothing() {
    let mut outgoing = server();
    outgoing.message("one".as_message()).unwrap();
    outgoing.ping(b"two").unwrap();
    outgoing.close(&goodbye()).unwrap();
    assert_eq!(outgoing.batch().copied_bytes(), b"\x81\x03one\x89\x03two\x88\x05\x03\xe8bye");
}

#[test]
fn section_5_5_a_ping_or_pong_of_125_bytes_is_sent_and_one_of_126_is_refused() {
    for role in ROLES {
        let mut outgoing = at(role);
        outgoing.ping(&[1; 125]).unwrap();
        outgoing.pong(&[2; 125]).unwrap();
        let batch = outgoing.batch().copied_bytes().to_vec();
        for length in [126, 127, 65_536] {
            assert_eq!(outgoing.ping(&vec![1; length]), Err(Misuse::ControlTooLong(length)));
            assert_eq!(outgoing.pong(&vec![2; length]), Err(Misuse::ControlTooLong(length)));
        }
        assert_eq!(
            outgoing.batch().copied_bytes(),
            batch,
            "a refused call leaves the batch as it was"
        );
        assert!(!outgoing.is_closed());
    }
}

/// A `Close` need not come from `Close::new`, which would have refused this reason.
#[test]
fn section_5_5_a_close_too_long_for_a_control_frame_is_refused_and_the_connection_stays_open() {
    for role in ROLES {
        let mut outgoing = at(role);
        let too_long = Close { code: 1000.into(), reason: "r".repeat(124) };
        assert_eq!(outgoing.close(&too_long), Err(Misuse::ControlTooLong(126)));
        assert_eq!(outgoing.batch().copied_bytes(), b"");
        assert!(!outgoing.is_closed());
        assert!(outgoing.message("still here".as_message()).is_ok());
    }
}

/// Calls everything that would write a frame, and gives back what each says.
fn call_all(outgoing: &mut Encoder) -> [Result<(), Misuse>; 9] {
    let large = vec![b'x'; 1 << 20];
    [
        outgoing.message("text".as_message()).map(|_| ()),
        outgoing.message(b"binary".as_message()).map(|_| ()),
        outgoing.message(large.as_message()).map(|_| ()),
        outgoing.message(PreparedMessage::new("prepared").as_message()).map(|_| ()),
        outgoing.fragment(Opcode::Text, b"fragment", false).map(|_| ()),
        outgoing.fragment(Opcode::Continuation, b"", true).map(|_| ()),
        outgoing.ping(b""),
        outgoing.pong(b""),
        outgoing.close(&goodbye()),
    ]
}

#[test]
fn section_5_5_1_nothing_follows_a_close() {
    for role in ROLES {
        let mut outgoing = at(role);
        outgoing.message("last".as_message()).unwrap();
        outgoing.close(&goodbye()).unwrap();
        assert!(outgoing.is_closed());
        let batch = outgoing.batch().copied_bytes().to_vec();
        for refused in call_all(&mut outgoing) {
            assert_eq!(refused, Err(Misuse::AfterClose), "by the {role:?}");
        }
        assert_eq!(
            outgoing.batch().copied_bytes(),
            batch,
            "a refused call leaves the batch as it was"
        );
        // Nor once the Close is out.
        outgoing.clear_batch();
        for refused in call_all(&mut outgoing) {
            assert_eq!(refused, Err(Misuse::AfterClose), "by the {role:?}");
        }
        assert_eq!(outgoing.batch().copied_bytes(), b"");
    }
}

#[test]
fn an_aborted_encoder_writes_nothing_more() {
    for role in ROLES {
        let mut outgoing = at(role);
        outgoing.message("half of this has gone out".as_message()).unwrap();
        outgoing.stop();
        assert_eq!(outgoing.batch().copied_bytes(), b"");
        assert!(outgoing.is_closed());
        for refused in call_all(&mut outgoing) {
            assert_eq!(refused, Err(Misuse::AfterClose), "by the {role:?}");
        }
        assert_eq!(outgoing.batch().copied_bytes(), b"");
    }
}

#[test]
fn server_hands_a_large_payload_back_as_it_lies() {
    let large = vec![b'x'; 1 << 20];
    let mut outgoing = server();
    outgoing.message("small".as_message()).unwrap();
    let behind = outgoing.message(MessageRef::binary(&large)).unwrap();
    assert!(std::ptr::eq(behind, &large[..]), "not a copy");
    let header = b"\x82\x7f\0\0\0\0\0\x10\0\0";
    assert_eq!(outgoing.batch().copied_bytes(), [&b"\x81\x05small"[..], header].concat());
}

#[test]
fn server_copies_what_is_smaller_than_32_kib_into_the_batch() {
    let payload = vec![b'x'; 32 * 1024];
    assert_eq!(server().message(MessageRef::binary(&payload[1..])).unwrap(), b"");
    assert_eq!(server().message(MessageRef::binary(&payload)).unwrap().len(), payload.len());
}

/// The batch's parts, in order.
fn parts(encoder: &Encoder) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    encoder.batch().for_each_slice(|part| parts.push(part));
    parts
}

#[test]
fn server_keeps_a_large_message_that_is_given_away_between_its_neighbours() {
    let large = vec![b'x'; 64 * 1024];
    let at = large.as_ptr();
    let mut outgoing = server();
    outgoing.owned_message(Message::Text("small".into())).unwrap();
    assert_eq!(outgoing.owned_message(Message::Binary(large.clone())).unwrap(), b"");
    assert_eq!(outgoing.owned_message(Message::Binary(large)).unwrap(), b"");
    outgoing.ping(b"").unwrap();
    let parts = parts(&outgoing);
    let (header, payload) = (b"\x82\x7f\0\0\0\0\0\x01\0\0", vec![b'x'; 64 * 1024]);
    let first = [&b"\x81\x05small"[..], header].concat();
    assert!(parts == [&first[..], &payload, header, &payload, b"\x89\0"]);
    assert_eq!(parts[3].as_ptr(), at, "not a copy");
    assert!(outgoing.batch().is_full());
}

#[test]
fn a_message_that_is_given_away_makes_the_frame_of_one_that_is_lent_at_every_size() {
    for size in [0, 125, 126, 32_767, 32_768, 65_535, 65_536, 300_000] {
        let payload = vec![b'p'; size];
        for role in ROLES {
            let mut outgoing = match role {
                Role::Server => server(),
                Role::Client => Encoder::new(Some(Box::new(|| crate::support::KEY))),
            };
            let behind = outgoing.owned_message(Message::Binary(payload.clone())).unwrap();
            assert_eq!(behind, b"", "there's nothing to write after the batch");
            let expected = frame(role, &head(0x82, size), &payload);
            assert!(parts(&outgoing).concat() == expected, "{size} bytes by the {role:?}");
            assert_eq!(outgoing.batch().size(), expected.len());
        }
    }
}

#[test]
fn client_copies_a_large_payload_and_leaves_the_callers_unmasked() {
    let large = vec![b'x'; 1 << 20];
    let (mut outgoing, _) = client();
    let behind = outgoing.message(MessageRef::binary(&large)).unwrap();
    assert_eq!(behind, b"", "all of it is in the batch");
    let masked = frame_with(Role::Client, [1; 4], &head(0x82, large.len()), &large);
    assert!(outgoing.batch().copied_bytes() == masked);
    assert!(large.iter().all(|&byte| byte == b'x'));
}

#[test]
fn batch_and_what_is_handed_back_make_up_the_frame_at_every_size() {
    let near = [0, 125, 126, 4_096, 8_192, 16_384, 32_768, 65_535, 65_536, 131_072_usize];
    for size in near.iter().flat_map(|&size| size.saturating_sub(12)..size + 12) {
        let payload = vec![b'p'; size];
        let prepared = PreparedMessage::new(&payload);
        for message in [MessageRef::binary(&payload), prepared.as_message()] {
            for role in ROLES {
                let mut outgoing = match role {
                    Role::Server => server(),
                    Role::Client => Encoder::new(Some(Box::new(|| crate::support::KEY))),
                };
                let behind = outgoing.message(message).unwrap();
                let bytes = [outgoing.batch().copied_bytes(), behind].concat();
                let expected = frame(role, &head(0x82, size), &payload);
                assert!(bytes == expected, "{size} bytes by the {role:?}");
            }
        }
    }
}

#[test]
fn server_sends_a_prepared_message_as_a_plain_one() {
    for payload in ["", "hello", &"long".repeat(100_000)] {
        let (mut plain, mut prepared) = (server(), server());
        let once = PreparedMessage::new(payload);
        for _ in 0..2 {
            let behind = plain.message(payload.as_message()).unwrap();
            let of_plain = [plain.batch().copied_bytes(), behind].concat();
            let message = once.as_message();
            let behind = prepared.message(message).unwrap();
            assert!([prepared.batch().copied_bytes(), behind].concat() == of_plain);
            plain.clear_batch();
            prepared.clear_batch();
        }
    }
}

#[test]
fn section_5_3_client_masks_a_prepared_message_afresh_each_time() {
    let (mut outgoing, _) = client();
    let once = PreparedMessage::new("hello");
    let copy = once.clone();
    outgoing.message(once.as_message()).unwrap();
    outgoing.message(copy.as_message()).unwrap();
    let frames = [[1; 4], [2; 4]].map(|key| frame_with(Role::Client, key, b"\x81\x05", b"hello"));
    assert_eq!(outgoing.batch().copied_bytes(), frames.concat());
}

#[test]
fn what_is_written_is_not_written_again() {
    for role in ROLES {
        let mut outgoing = at(role);
        for size in [10, 1_000_000] {
            let payload = vec![0; size];
            outgoing.message(payload.as_message()).unwrap();
            outgoing.clear_batch();
            assert_eq!(outgoing.batch().copied_bytes(), b"");
        }
        outgoing.ping(b"p").unwrap();
        outgoing.free_idle_memory();
        assert!(!outgoing.batch().is_empty(), "shrinking gives back memory, never frames");
    }
}

#[test]
fn messages_are_counted_when_they_are_whole_and_control_frames_are_none() {
    for role in ROLES {
        let mut outgoing = at(role);
        outgoing.message("one".as_message()).unwrap();
        outgoing.message(PreparedMessage::new("two").as_message()).unwrap();
        outgoing.fragment(Opcode::Text, b"not", false).unwrap();
        outgoing.ping(b"").unwrap();
        assert_eq!(outgoing.take_message_count(), 2);
        outgoing.fragment(Opcode::Continuation, b"yet", true).unwrap();
        outgoing.close(&goodbye()).unwrap();
        assert_eq!(outgoing.take_message_count(), 1);
        assert_eq!(outgoing.take_message_count(), 0);
    }
}

#[test]
fn everything_that_can_be_sent_is_sent_as_the_kind_it_is() {
    use ws101::Message;
    let text = b"\x81\x01x";
    let binary = b"\x82\x01x";
    let string = String::from("x");
    let cases: [(&dyn AsMessage, &[u8]); 8] = [
        (&"x", text),
        (&string, text),
        (&&string, text),
        (&Message::Text("x".into()), text),
        (b"x", binary),
        (&&b"x"[..], binary),
        (&vec![b'x'], binary),
        (&Message::Binary(b"x".into()), binary),
    ];
    for (message, bytes) in cases {
        let mut outgoing = server();
        outgoing.message(message.as_message()).unwrap();
        assert_eq!(outgoing.batch().copied_bytes(), bytes);
    }
    assert_eq!(Message::Text("x".into()).as_text(), Some("x"));
    assert_eq!(Message::Binary(b"x".into()).as_text(), None);
}

/// The fields of a [`Close`] are anybody's to fill, so making one does not ask whether it may be sent.
#[test]
fn section_7_4_1_a_code_that_may_not_be_sent_is_refused_however_its_close_was_made() {
    for role in ROLES {
        for code in [0, 999, 1004, 1006, 1015, 2000, 5000] {
            let mut outgoing = at(role);
            let close = Close { code: CloseCode(code), reason: String::new() };
            assert_eq!(outgoing.close(&close), Err(Misuse::CloseCode(code)));
            assert_eq!(
                (outgoing.batch().copied_bytes(), outgoing.is_closed()),
                (&[][..], false),
                "{code}"
            );
        }
    }
}
