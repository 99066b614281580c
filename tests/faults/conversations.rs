//! The conversations: the bytes that the peer sends, and the bytes that it should receive from us.

use ws101::frames::assembler::Bounds;
use ws101::frames::buffer::Buffer;
use ws101::frames::close::Close;
use ws101::frames::decoder::{Decoder, Event};
use ws101::frames::deflate;
use ws101::frames::header::Role;
use ws101::frames::message::Message;
use ws101::handshake::deflate_params::{DeflateConfig, DeflateParams};

pub const ROLES: [Role; 2] = [Role::Server, Role::Client];

/// Each text is sent back by our application, each ping is answered, and so is the Close.
pub struct Conversation {
    pub name: &'static str,
    pub deflate: bool,
    /// The frames of the peer: first byte, payload, and what is due when it has come.
    frames: Vec<(u8, &'static [u8], Option<Event>)>,
}

fn text(text: &str) -> Option<Event> {
    Some(Event::Message(Message::Text(text.into())))
}

fn ping(payload: &[u8]) -> Option<Event> {
    Some(Event::Ping(payload.into()))
}

fn close(code: u16, reason: &str) -> Option<Event> {
    Some(Event::Close(Close { code: code.into(), reason: reason.into() }))
}

pub fn conversations() -> Vec<Conversation> {
    let mut all = vec![
        Conversation {
            name: "whole messages",
            deflate: false,
            frames: vec![
                (0x81, b"Hello", text("Hello")),
                (0x89, b"?", ping(b"?")),
                (0x82, &[7; 130], Some(Event::Message(Message::Binary(vec![7; 130])))),
                (0x81, b"", text("")),
                (0x88, b"\x03\xe8bye", close(1000, "bye")),
            ],
        },
        Conversation {
            name: "fragments",
            deflate: false,
            frames: vec![
                (0x01, b"a\xe2\x98", None),
                (0x89, b"1", ping(b"1")),
                (0x00, b"", None),
                (0x80, b"\x83z", text("a\u{2603}z")),
                (0x8a, b"nobody asked", Some(Event::Pong(b"nobody asked".into()))),
                (0x81, b"last", text("last")),
                (0x88, b"", close(1005, "")),
            ],
        },
        Conversation {
            name: "a close in mid-message",
            deflate: false,
            frames: vec![
                (0x81, b"whole", text("whole")),
                (0x01, b"half of it", None),
                (0x88, b"\x03\xe9", close(1001, "")),
            ],
        },
    ];
    if cfg!(feature = "deflate") {
        all.push(Conversation {
            name: "compressed",
            deflate: true,
            frames: vec![
                // "Hello" twice, the second time by what is left of the first (RFC 7692 §7.2.3.2);
                // then in two fragments, which repeat nothing.
                (0xc1, b"\xf2\x48\xcd\xc9\xc9\x07\x00", text("Hello")),
                (0xc1, b"\xf2\x00\x11\x00\x00", text("Hello")),
                (0x41, b"\xf2\x48\xcd", None),
                (0x89, b"in between", ping(b"in between")),
                (0x80, b"\xc9\xc9\x07\x00", text("Hello")),
                (0x88, b"\x03\xe8", close(1000, "")),
            ],
        });
    }
    all
}

impl Conversation {
    /// The frames as they come to us, and with how many bytes of them each event is due.
    pub fn frames_for(&self, role: Role) -> (Vec<u8>, Vec<(usize, Event)>) {
        let (mut bytes, mut due) = (Vec::new(), Vec::new());
        for (first, payload, event) in &self.frames {
            let length = match payload.len() {
                length @ 0..126 => vec![length as u8],
                length => vec![126, (length >> 8) as u8, length as u8],
            };
            bytes.push(*first);
            bytes.extend(&length);
            match role {
                Role::Client => bytes.extend_from_slice(payload),
                Role::Server => {
                    let at = bytes.len() - length.len();
                    bytes[at] |= 0x80;
                    let key = [0x37, 0xfa, 0x21, 0x3d];
                    bytes.extend(key);
                    bytes.extend(payload.iter().zip(key.iter().cycle()).map(|(b, key)| b ^ key));
                }
            }
            due.extend(event.clone().map(|event| (bytes.len(), event)));
        }
        (bytes, due)
    }
}

/// The messages among events.
pub fn messages<'a>(events: impl IntoIterator<Item = &'a Event>) -> Vec<Message> {
    let message = |event: &Event| match event {
        Event::Message(message) => Some(message.clone()),
        _ => None,
    };
    events.into_iter().filter_map(message).collect()
}

/// What a peer that hears these events says: each message again, each ping's pong, the Close's code.
pub fn replies<'a>(events: impl IntoIterator<Item = &'a Event>) -> Vec<Event> {
    let reply = |event: &Event| match event {
        Event::Ping(payload) => Some(Event::Pong(payload.clone())),
        Event::Pong(_) => None,
        other => Some(other.clone()),
    };
    events.into_iter().filter_map(reply).collect()
}

/// What the peer makes of what it has heard of us behind the head: whole events, and whether that is
/// all of it. What breaks a rule is a failure of the test.
pub fn understood(role: Role, compressed: bool, heard: &[u8]) -> (Vec<Event>, bool) {
    let end = heard.windows(4).position(|four| four == b"\r\n\r\n");
    let Some(end) = end else { return (vec![], heard.is_empty()) };
    let peer = if role == Role::Server { Role::Client } else { Role::Server };
    let bounds = Bounds { max_message: 1 << 20, max_fragments: 100 };
    let agreed = compressed.then(|| (DeflateParams::default(), DeflateConfig::default()));
    let (inflater, _) = deflate::inflater_and_deflater(peer, agreed, bounds.max_message);
    let mut decoder = Decoder::new(peer, bounds, Buffer::default()).inflating(inflater);
    let mut events = Vec::new();
    for byte in &heard[end + 4..] {
        decoder.space()[0] = *byte;
        decoder.filled(1);
        let event = decoder.next_event();
        events.extend(event.unwrap_or_else(|violation| panic!("we break a rule: {violation}")));
    }
    (events, !decoder.is_mid_message())
}
