//! The results are the same however the bytes are cut into reads.

use ws101::frames::decoder::Event;
use ws101::frames::header::Role;

use crate::support::{Listener, ROLES, binary, frame, joined, peer_of, text};
use crate::vectors::{End, vectors};

/// A vector as it arrives at one end.
struct Arrival {
    name: String,
    role: Role,
    bytes: Vec<u8>,
    events: Vec<Event>,
    ends: Vec<End>,
    ends_with_close: bool,
}

fn arrivals() -> impl Iterator<Item = Arrival> {
    vectors().into_iter().flat_map(|vector| {
        ROLES.map(|role| Arrival {
            name: format!("{} at the {role:?}", vector.name),
            role,
            bytes: vector.bytes_of(peer_of(role)),
            events: vector.events.clone(),
            ends: vector.ends(peer_of(role)),
            ends_with_close: matches!(vector.events.last(), Some(Event::Close(_))),
        })
    })
}

impl Arrival {
    /// How many events are due after so many bytes.
    fn due(&self, bytes: usize) -> usize {
        self.ends.iter().filter(|end| end.event_is_due && end.at <= bytes).count()
    }

    /// Where to cut in two: everywhere; in what is long, near the ends of each frame, and inside it
    /// at steps that no power of two divides.
    fn cuts(&self) -> impl Iterator<Item = usize> {
        const LONG: usize = 1_000;
        let all = 0..=self.bytes.len();
        let near = |cut: usize, end: usize| cut.abs_diff(end) < 20;
        all.filter(move |&cut| {
            self.bytes.len() < LONG
                || cut % 6_007 == 0
                || near(cut, 0)
                || self.ends.iter().any(|end| near(cut, end.at))
        })
    }
}

#[test]
fn each_event_comes_with_the_last_byte_of_its_frame_and_every_prefix_asks_for_more() {
    for arrival in arrivals() {
        let Arrival { name, bytes, events, .. } = &arrival;
        let mut listener = Listener::new(arrival.role);
        for end in 1..=bytes.len() {
            listener.hear(&bytes[end - 1..end]);
            assert_eq!(listener.events.len(), arrival.due(end), "{name}, after {end} bytes");
            assert_eq!(listener.violation, None, "{name}, after {end} bytes");
        }
        assert!(listener.events == *events, "{name}");
    }
}

#[test]
fn every_split_in_two_gives_the_events_that_the_whole_gives() {
    for arrival in arrivals() {
        let Arrival { name, bytes, events, .. } = &arrival;
        for cut in arrival.cuts() {
            let mut listener = Listener::new(arrival.role);
            listener.hear(&bytes[..cut]);
            let due = arrival.due(cut);
            assert!(listener.events == events[..due], "{name}, the first {cut} bytes");
            listener.hear(&bytes[cut..]);
            assert!(listener.events == *events, "{name}, cut at {cut}");
            assert_eq!(listener.violation, None, "{name}, cut at {cut}");
        }
    }
}

#[test]
fn every_split_in_three_gives_the_events_that_the_whole_gives() {
    // All pairs of cuts, in what is short enough for that.
    const SHORT: usize = 34;
    for Arrival { name, role, bytes, events, .. } in arrivals() {
        if bytes.len() > SHORT {
            continue;
        }
        for second in 0..=bytes.len() {
            for first in 0..=second {
                let mut listener = Listener::new(role);
                for piece in [&bytes[..first], &bytes[first..second], &bytes[second..]] {
                    listener.hear(piece);
                }
                assert!(listener.events == events, "{name}, cut at {first} and {second}");
            }
        }
    }
}

#[test]
fn what_follows_a_frame_is_read_as_if_it_stood_alone() {
    for Arrival { name, role, bytes, events, ends_with_close, .. } in arrivals() {
        if ends_with_close {
            continue;
        }
        let next = frame(peer_of(role), b"\x81\x04", b"next");
        for with_it in [0, 1, next.len()] {
            let mut listener = Listener::new(role);
            listener.hear(&[&bytes, &next[..with_it]].concat());
            listener.hear(&next[with_it..]);
            let (last, before) = listener.events.split_last().unwrap();
            assert!(before == events, "{name}, {with_it} bytes of the next with it");
            assert_eq!(last, &text("next"), "{name}, {with_it} bytes of the next with it");
        }
    }
}

#[test]
fn section_5_5_1_nothing_is_delivered_after_a_close_whatever_follows_it() {
    for Arrival { name, role, bytes, events, ends_with_close, .. } in arrivals() {
        if !ends_with_close {
            continue;
        }
        let sender = peer_of(role);
        let (good, bad) = (frame(sender, b"\x89\x00", b""), frame(sender, b"\xff\x7f", b""));
        for after in [good, bad, frame(sender, b"\x88\x02", b"\x03\xe8")] {
            let mut at_once = Listener::new(role);
            at_once.hear(&[&bytes[..], &after].concat());
            assert!(at_once.events == events && at_once.violation.is_none(), "{name}");
            let mut later = Listener::new(role);
            later.hear(&bytes);
            later.hear_byte_by_byte(&after);
            assert!(later.events == events && later.violation.is_none(), "{name}, later");
        }
    }
}

#[test]
fn the_pieces_of_a_message_make_up_the_message_wherever_it_was_cut() {
    for arrival in arrivals() {
        let Arrival { name, bytes, events, .. } = &arrival;
        let mut by_bytes = Listener::new(arrival.role).in_pieces();
        by_bytes.hear_byte_by_byte(bytes);
        assert!(joined(&by_bytes.events) == *events, "{name}, byte by byte");
        for cut in arrival.cuts() {
            let mut listener = Listener::new(arrival.role).in_pieces();
            listener.hear(&bytes[..cut]);
            listener.hear(&bytes[cut..]);
            assert!(joined(&listener.events) == *events, "{name}, cut at {cut}");
        }
    }
}

#[test]
fn a_piece_is_delivered_as_soon_as_its_bytes_are_there() {
    for (role, first) in ROLES.into_iter().flat_map(|role| [(role, 0x81), (role, 0x82)]) {
        let bytes = frame(peer_of(role), &[first, 0x7e, 0xff, 0xff], &[b'x'; 65_535]);
        let header = bytes.len() - 65_535;
        let mut listener = Listener::new(role).in_pieces();
        listener.hear(&bytes[..header + 100]);
        let delivered: usize = listener.events.iter().map(length_of_piece).sum();
        assert_eq!(delivered, 100, "{first:#x} at the {role:?}");
    }
}

/// A call that waits for whole messages may give up in the middle of one, and the next may ask for
/// pieces.
#[test]
fn pieces_that_are_requested_within_a_message_begin_with_what_has_arrived_so_far() {
    for role in ROLES {
        let bytes = frame(peer_of(role), b"\x81\x05", b"Hello");
        let (front, back) = bytes.split_at(bytes.len() - 2);
        let mut listener = Listener::new(role);
        listener.hear(front);
        let mut listener = listener.in_pieces();
        listener.hear(back);
        assert_eq!(joined(&listener.events), [text("Hello")], "at the {role:?}");
    }
}

fn length_of_piece(event: &Event) -> usize {
    match event {
        Event::Piece { bytes, .. } => bytes.len(),
        other => panic!("{other:?} is no piece"),
    }
}

/// A stream that ends where nothing has begun has lost nothing; anywhere else it has.
#[test]
fn the_decoder_knows_at_every_byte_whether_a_frame_is_incomplete() {
    for arrival in arrivals() {
        let Arrival { name, bytes, .. } = &arrival;
        let mut listener = Listener::new(arrival.role);
        assert!(!listener.is_mid_message(), "{name}, before the first byte");
        let close_at = if arrival.ends_with_close { bytes.len() } else { usize::MAX };
        for at in 1..=bytes.len().min(close_at - 1) {
            listener.hear(&bytes[at - 1..at]);
            let end = arrival.ends.iter().find(|end| end.at == at);
            let expected = end.is_none_or(|end| end.message_is_open);
            assert_eq!(listener.is_mid_message(), expected, "{name}, after {at} bytes");
        }
    }
}

/// What was announced does not count, and neither does in how many reads it came: one byte a read
/// needs no more room than a read of one byte.
#[test]
fn what_if_a_large_frame_comes_byte_by_byte() {
    const LENGTH: usize = 300_000;
    for role in ROLES {
        let bytes = frame(peer_of(role), b"\x82\x7f\0\0\0\0\0\x04\x93\xe0", &vec![b'x'; LENGTH]);
        let mut listener = Listener::new(role);
        let room = listener.room();
        for &byte in &bytes {
            listener.hear(&[byte]);
            assert!(listener.room() <= room, "a buffer that grows by dribbling");
        }
        assert!(listener.events == [binary(&[b'x'; LENGTH])]);
    }
}
