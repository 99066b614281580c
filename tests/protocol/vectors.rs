//! One table of vectors for both the decoder and the encoder: frames, their bytes, their events.

use ws101::frames::close::Close;
use ws101::frames::decoder::Event;
use ws101::frames::encoder::{Encoder, Masks};
use ws101::frames::header::{Opcode, Role};
use ws101::frames::message::MessageRef;

use crate::support::{KEY, Listener, ROLES, binary, close, frame, head, peer_of, text};

/// A frame as a server sends it: what stands in front of the payload, and the payload.
pub type Frame = (Vec<u8>, Vec<u8>);

pub struct Vector {
    pub name: String,
    pub frames: Vec<Frame>,
    pub events: Vec<Event>,
}

impl Vector {
    fn new(name: &str, frames: &[(&[u8], &[u8])], events: Vec<Event>) -> Vector {
        let frames = frames.iter().map(|(head, payload)| (head.to_vec(), payload.to_vec()));
        Vector { name: name.into(), frames: frames.collect(), events }
    }

    pub fn bytes_of(&self, sender: Role) -> Vec<u8> {
        self.frames.iter().flat_map(|(head, payload)| frame(sender, head, payload)).collect()
    }

    /// Where each frame ends, and what that makes.
    pub fn ends(&self, sender: Role) -> Vec<End> {
        let (mut at, mut message_is_open) = (0, false);
        let ends = self.frames.iter().map(|(head, payload)| {
            at += frame(sender, head, payload).len();
            // FIN says that an event is due, for messages and control frames alike.
            let event_is_due = head[0] & 0b1000_0000 != 0;
            let is_control = head[0] & 0b1000 != 0;
            message_is_open = if is_control { message_is_open } else { !event_is_due };
            End { at, event_is_due, message_is_open }
        });
        ends.collect()
    }
}

/// The end of a frame: after how many bytes, whether an event comes with the last of them, and
/// whether a message is left open.
pub struct End {
    pub at: usize,
    pub event_is_due: bool,
    pub message_is_open: bool,
}

/// Characters of one to four bytes.
const ALL_WIDTHS: &str = "a\u{e9}\u{2603}\u{1f600}z";

pub fn vectors() -> Vec<Vector> {
    let mut table = vec![
        // The examples of §5.7.
        Vector::new("5.7 hello", &[(b"\x81\x05", b"Hello")], vec![text("Hello")]),
        Vector::new(
            "5.7 hello in fragments",
            &[(b"\x01\x03", b"Hel"), (b"\x80\x02", b"lo")],
            vec![text("Hello")],
        ),
        Vector::new("5.7 ping", &[(b"\x89\x05", b"Hello")], vec![Event::Ping(b"Hello".into())]),
        Vector::new("5.7 pong", &[(b"\x8a\x05", b"Hello")], vec![Event::Pong(b"Hello".into())]),
        Vector::new("5.7 256 bytes", &[(b"\x82\x7e\x01\x00", &[7; 256])], vec![binary(&[7; 256])]),
        Vector::new(
            "5.7 64 KiB",
            &[(b"\x82\x7f\0\0\0\0\0\x01\0\0", &[7; 65_536])],
            vec![binary(&[7; 65_536])],
        ),
        // The edges of each form of a length (§5.2).
        Vector::new("binary of 0", &[(b"\x82\x00", b"")], vec![binary(b"")]),
        Vector::new("binary of 1", &[(b"\x82\x01", b"x")], vec![binary(b"x")]),
        Vector::new("binary of 125", &[(b"\x82\x7d", &[1; 125])], vec![binary(&[1; 125])]),
        Vector::new("binary of 126", &[(b"\x82\x7e\0\x7e", &[2; 126])], vec![binary(&[2; 126])]),
        Vector::new("binary of 127", &[(b"\x82\x7e\0\x7f", &[3; 127])], vec![binary(&[3; 127])]),
        Vector::new(
            "binary of 65535",
            &[(b"\x82\x7e\xff\xff", &[4; 65_535])],
            vec![binary(&[4; 65_535])],
        ),
        Vector::new(
            "binary of 65537",
            &[(b"\x82\x7f\0\0\0\0\0\x01\0\x01", &[5; 65_537])],
            vec![binary(&[5; 65_537])],
        ),
        Vector::new("text of 0", &[(b"\x81\x00", b"")], vec![text("")]),
        Vector::new(
            "text of 126",
            &[(b"\x81\x7e\0\x7e", "\u{e9}".repeat(63).as_bytes())],
            vec![text(&"\u{e9}".repeat(63))],
        ),
        Vector::new(
            "text of 65536",
            &[(b"\x81\x7f\0\0\0\0\0\x01\0\0", "\u{1f600}".repeat(16_384).as_bytes())],
            vec![text(&"\u{1f600}".repeat(16_384))],
        ),
        // Text that is odd, and still UTF-8 (§5.6): a byte order mark, NUL, non-characters.
        Vector::new(
            "odd text",
            &[(b"\x81\x0b", "\u{feff}\0\u{ffff}\u{10ffff}".as_bytes())],
            vec![text("\u{feff}\0\u{ffff}\u{10ffff}")],
        ),
        // Control frames, from the shortest to the longest (§5.5).
        Vector::new("empty ping", &[(b"\x89\x00", b"")], vec![Event::Ping(vec![])]),
        Vector::new("full ping", &[(b"\x89\x7d", &[6; 125])], vec![Event::Ping(vec![6; 125])]),
        Vector::new("empty pong", &[(b"\x8a\x00", b"")], vec![Event::Pong(vec![])]),
        Vector::new("full pong", &[(b"\x8a\x7d", &[6; 125])], vec![Event::Pong(vec![6; 125])]),
        // §7.1.5: a Close without a code counts as 1005.
        Vector::new("close without a code", &[(b"\x88\x00", b"")], vec![close(1005, "")]),
        Vector::new("close", &[(b"\x88\x02", b"\x03\xe8")], vec![close(1000, "")]),
        Vector::new(
            "close with a reason",
            &[(b"\x88\x08", b"\x13\x87by\xe2\x98\x83!")],
            vec![close(4999, "by\u{2603}!")],
        ),
        Vector::new(
            "full close",
            &[(b"\x88\x7d", &[b"\x03\xe9", &[b'r'; 123][..]].concat())],
            vec![close(1001, &"r".repeat(123))],
        ),
        // Fragments (§5.4): of any size, empty ones too, with control frames in between.
        Vector::new(
            "binary fragments",
            &[(b"\x02\x01", b"\x01"), (b"\x00\x7e\0\x7e", &[2; 126]), (b"\x80\x02", b"\x03\x03")],
            vec![binary(&[&[1][..], &[2; 126], &[3, 3]].concat())],
        ),
        Vector::new(
            "empty fragments around",
            &[(b"\x01\x00", b""), (b"\x00\x00", b""), (b"\x00\x01", b"x"), (b"\x80\x00", b"")],
            vec![text("x")],
        ),
        Vector::new(
            "nothing but empty fragments",
            &[(b"\x02\x00", b""), (b"\x00\x00", b""), (b"\x80\x00", b"")],
            vec![binary(b"")],
        ),
        Vector::new(
            "control frames between fragments",
            &[
                (b"\x01\x02", b"ab"),
                (b"\x89\x01", b"1"),
                (b"\x00\x01", b"c"),
                (b"\x8a\x01", b"2"),
                (b"\x89\x00", b""),
                (b"\x80\x01", b"d"),
            ],
            vec![
                Event::Ping(b"1".into()),
                Event::Pong(b"2".into()),
                Event::Ping(vec![]),
                text("abcd"),
            ],
        ),
        Vector::new(
            "close in mid-message",
            &[(b"\x02\x02", b"ab"), (b"\x88\x02", b"\x03\xe9")],
            vec![close(1001, "")],
        ),
        Vector::new(
            "one message behind the other",
            &[
                (b"\x02\x01", b"\xff"),
                (b"\x80\x01", b"\xfe"),
                (b"\x01\x01", b"a"),
                (b"\x80\x01", b"b"),
                (b"\x82\x01", b"\xfd"),
                (b"\x81\x01", b"c"),
            ],
            vec![binary(b"\xff\xfe"), text("ab"), binary(b"\xfd"), text("c")],
        ),
    ];
    // Text cut at every seam, within characters too (§5.6), and with a ping at the cut.
    for cut in 0..=ALL_WIDTHS.len() {
        let (front, back) = ALL_WIDTHS.as_bytes().split_at(cut);
        let ping = (b"\x89\x02".to_vec(), b"\xe2\x98".to_vec());
        table.push(Vector {
            name: format!("text cut at {cut}"),
            frames: vec![
                (head(0x01, front.len()), front.into()),
                ping.clone(),
                (head(0x80, back.len()), back.into()),
            ],
            events: vec![Event::Ping(ping.1), text(ALL_WIDTHS)],
        });
    }
    let mut frames: Vec<Frame> =
        ALL_WIDTHS.bytes().map(|byte| (b"\x00\x01".to_vec(), vec![byte])).collect();
    frames[0].0[0] = 0x01;
    frames.push((b"\x80\x00".to_vec(), vec![]));
    let name = "text in fragments of a byte".into();
    table.push(Vector { name, frames, events: vec![text(ALL_WIDTHS)] });
    table
}

/// Sends one frame, by the call that is meant for it.
fn send<'a>(outgoing: &mut Encoder, first: u8, payload: &'a [u8]) -> &'a [u8] {
    let (opcode, fin) = (first & 0b1111, first & 0b1000_0000 != 0);
    let behind = match (opcode, fin) {
        (0x1, true) => outgoing.message(MessageRef::text(str::from_utf8(payload).unwrap())),
        (0x2, true) => outgoing.message(MessageRef::binary(payload)),
        (0x0, _) => outgoing.fragment(Opcode::Continuation, payload, fin),
        (0x1, _) => outgoing.fragment(Opcode::Text, payload, fin),
        (0x2, _) => outgoing.fragment(Opcode::Binary, payload, fin),
        (0x8, _) => outgoing.close(&Close::parse(payload).unwrap()).map(|()| &[][..]),
        (0x9, _) => outgoing.ping(payload).map(|()| &[][..]),
        _ => outgoing.pong(payload).map(|()| &[][..]),
    };
    behind.unwrap()
}

#[test]
fn each_end_reads_each_vector_as_its_events() {
    for vector in vectors() {
        for role in ROLES {
            let mut listener = Listener::new(role);
            listener.hear(&vector.bytes_of(peer_of(role)));
            assert_eq!(listener.violation, None, "{} at the {role:?}", vector.name);
            assert!(listener.events == vector.events, "{} at the {role:?}", vector.name);
        }
    }
}

#[test]
fn each_end_writes_each_vector_as_its_bytes() {
    for vector in vectors() {
        for role in ROLES {
            let masks = (role == Role::Client).then(|| Box::new(|| KEY) as Masks);
            let mut outgoing = Encoder::new(masks);
            let mut bytes = Vec::new();
            for (head, payload) in &vector.frames {
                let behind = send(&mut outgoing, head[0], payload);
                bytes.extend_from_slice(outgoing.batch().copied_bytes());
                bytes.extend_from_slice(behind);
                outgoing.clear_batch();
            }
            assert!(bytes == vector.bytes_of(role), "{} by the {role:?}", vector.name);
        }
    }
}

/// The table is written as a server sends; this says that what is made of it is what the RFC prints.
#[test]
fn the_vectors_have_the_bytes_that_section_5_7_prints() {
    let printed: [(&str, Role, &[u8]); 7] = [
        ("5.7 hello", Role::Server, b"\x81\x05\x48\x65\x6c\x6c\x6f"),
        ("5.7 hello", Role::Client, b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"),
        ("5.7 hello in fragments", Role::Server, b"\x01\x03\x48\x65\x6c\x80\x02\x6c\x6f"),
        ("5.7 ping", Role::Server, b"\x89\x05\x48\x65\x6c\x6c\x6f"),
        ("5.7 pong", Role::Client, b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"),
        ("5.7 256 bytes", Role::Server, b"\x82\x7e\x01\x00"),
        ("5.7 64 KiB", Role::Server, b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ];
    let table = vectors();
    for (name, sender, bytes) in printed {
        let vector = table.iter().find(|vector| vector.name == name).unwrap();
        assert!(vector.bytes_of(sender).starts_with(bytes), "{name} by the {sender:?}");
    }
}
