//! What must hold of any bytes at all. Each module is one fuzz target: [`run`](../run) drives them.
//!
//! A target takes bytes and panics if something does not hold. The first byte or two of its input
//! choose the circumstances (which end, which limits), the others are what arrives.

pub mod deflate;
pub mod differential;
pub mod explain;
pub mod handshake;
pub mod head;
pub mod incoming;
pub mod python;

/// The oracle of the tests by exhaustion: what the RFCs say of a request.
#[allow(dead_code)]
#[path = "../../exhaustive/rfc.rs"]
mod rfc;

use ws101::frames::assembler::Bounds;
use ws101::frames::decoder::{Decoder, Event};
use ws101::frames::deflate::Inflater;
use ws101::frames::header::Role;
use ws101::frames::message::Message;
use ws101::frames::violation::Violation;
use ws101::frames::{buffer::Buffer, message::MessageKind};

/// The end that listens, by a bit.
fn role(bit: bool) -> Role {
    if bit { Role::Server } else { Role::Client }
}

/// What one end has heard.
#[derive(Debug, PartialEq, Eq)]
struct Heard {
    events: Vec<Event>,
    violation: Option<Violation>,
    /// Something has begun whose end has not come.
    in_midst: bool,
}

/// Everything that an end makes of these reads.
fn hear<'a>(
    role: Role,
    bounds: Bounds,
    inflater: Option<Box<Inflater>>,
    in_pieces: bool,
    reads: impl Iterator<Item = &'a [u8]>,
) -> Heard {
    let mut incoming = Decoder::new(role, bounds, Buffer::default()).inflating(inflater);
    incoming.deliver_pieces(in_pieces);
    let (mut events, mut violation) = (Vec::new(), None);
    for mut bytes in reads {
        while !bytes.is_empty() {
            let space = incoming.space();
            let count = space.len().min(bytes.len());
            space[..count].copy_from_slice(&bytes[..count]);
            incoming.filled(count);
            bytes = &bytes[count..];
        }
        loop {
            match incoming.next_event() {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(broken) => {
                    assert_eq!(violation, None, "it had failed already");
                    violation = Some(broken);
                }
            }
        }
        // What an idle connection gives back must not be missed.
        incoming.free_idle_memory();
    }
    let in_midst = incoming.is_mid_message();
    Heard { events, violation, in_midst }
}

/// Puts pieces together to the messages that they are of; what is left open is left out.
fn joined(events: Vec<Event>) -> Vec<Event> {
    let mut so_far: Option<(MessageKind, Vec<u8>)> = None;
    let join = |event| {
        let Event::Piece { kind, bytes, last } = event else { return Some(event) };
        let (begun, gathered) = so_far.get_or_insert((kind, Vec::new()));
        assert_eq!(*begun, kind, "a message is of one kind");
        if kind == MessageKind::Text {
            assert!(str::from_utf8(&bytes).is_ok(), "a piece of text has whole characters");
        }
        gathered.extend(bytes);
        let (kind, bytes) = so_far.take_if(|_| last)?;
        Some(Event::Message(match kind {
            MessageKind::Text => Message::Text(String::from_utf8(bytes).expect("pieces were text")),
            MessageKind::Binary => Message::Binary(bytes),
        }))
    };
    events.into_iter().filter_map(join).collect()
}
