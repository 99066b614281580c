//! Limits: a message of exactly the limit is accepted, and one more byte is refused from the header
//! alone.

use ws101::frames::assembler::Bounds;
use ws101::frames::decoder::Event;
use ws101::frames::header::Role;
use ws101::frames::message::Message;

use crate::support::{Listener, NO_BOUNDS, ROLES, binary, close, frame, head, peer_of, text};

fn of_bytes(max_message: u64) -> Bounds {
    Bounds { max_message, ..NO_BOUNDS }
}

fn of_fragments(max_fragments: u64) -> Bounds {
    Bounds { max_fragments, ..NO_BOUNDS }
}

/// What is heard of these frames, which are given as a server's.
fn heard(role: Role, bounds: Bounds, frames: &[(&[u8], &[u8])]) -> Listener {
    let mut listener = Listener::within(role, bounds);
    for (head, payload) in frames {
        listener.hear(&frame(peer_of(role), head, payload));
    }
    listener
}

#[test]
fn section_10_4_a_message_may_be_as_long_as_the_limit_and_one_byte_more_is_1009() {
    for role in ROLES {
        for limit in [0, 1, 125, 126, 1_000, 65_535, 65_536, 100_000] {
            let payload = vec![b'x'; limit];
            let exact = heard(role, of_bytes(limit as u64), &[(&head(0x82, limit), &payload)]);
            assert!(exact.events == [binary(&payload)], "{limit} at the {role:?}");
            // Only the header of one that is longer: nobody waits for its payload.
            let longer = heard(role, of_bytes(limit as u64), &[(&head(0x82, limit + 1), b"")]);
            assert_eq!(longer.failed_with(), Some(1009), "{limit} at the {role:?}");
        }
    }
}

#[test]
fn section_10_4_the_limit_is_on_the_sum_over_all_fragments_before_the_last_of_them_comes() {
    for role in ROLES {
        let begun: [(&[u8], &[u8]); 3] =
            [(b"\x01\x04", b"1234"), (b"\x00\x00", b""), (b"\x00\x05", b"56789")];
        let exact = heard(role, of_bytes(10), &[&begun[..], &[(b"\x80\x01", b"0")]].concat());
        assert_eq!(exact.events, [text("1234567890")]);
        let longer = heard(role, of_bytes(10), &[&begun[..], &[(b"\x80\x02", b"")]].concat());
        assert_eq!(longer.failed_with(), Some(1009));
        let much_longer =
            heard(role, of_bytes(10), &[&begun[..], &[(&head(0x00, 70_000), b"")]].concat());
        assert_eq!(much_longer.failed_with(), Some(1009));
    }
}

#[test]
fn section_10_4_a_message_may_have_as_many_fragments_as_the_limit_and_one_more_is_1009() {
    for role in ROLES {
        for payload in [&b""[..], b"x"] {
            for limit in [1_u64, 2, 3, 100] {
                let head = |first| [first, payload.len() as u8];
                let fragments: Vec<_> =
                    (0..limit).map(|i| head(if i == 0 { 0x02 } else { 0x00 })).collect();
                let mut frames: Vec<(&[u8], &[u8])> =
                    fragments.iter().map(|head| (&head[..], payload)).collect();

                let longer = [&frames[..], &[(&b"\x80\x7d"[..], &b""[..])]].concat();
                let longer = heard(role, of_fragments(limit), &longer);
                assert_eq!(longer.failed_with(), Some(1009), "{limit} at the {role:?}");

                let mut last = *fragments.last().unwrap();
                last[0] |= 0x80;
                frames.pop();
                frames.push((&last, payload));
                let exact = heard(role, of_fragments(limit), &frames);
                let whole = binary(&payload.repeat(limit as usize));
                assert_eq!(exact.events, [whole], "{limit} at the {role:?}");
            }
        }
    }
}

#[test]
fn section_10_4_the_memory_of_a_message_keeps_to_the_limit_too() {
    // A Vec that doubles from 300 has room for 1200 where 1000 may come.
    let pieces = [300, 300, 300, 100].map(|length| vec![b'a'; length]);
    for role in ROLES {
        for first in [0x01, 0x02] {
            let firsts = [first, 0x00, 0x00, 0x80];
            let heads: Vec<_> = (0..4).map(|i| head(firsts[i], pieces[i].len())).collect();
            let frames: Vec<(&[u8], &[u8])> =
                heads.iter().zip(&pieces).map(|(head, piece)| (&head[..], &piece[..])).collect();
            let room = match &heard(role, of_bytes(1_000), &frames).events[..] {
                [Event::Message(Message::Text(text))] => text.capacity(),
                [Event::Message(Message::Binary(bytes))] => bytes.capacity(),
                events => panic!("{events:?}"),
            };
            assert_eq!(room, 1_000, "{role:?}: {first:#x}");
        }
    }
}

/// The limits are a message's own: the next one begins at zero, also behind one that reached them.
#[test]
fn each_message_is_held_against_the_limits_by_itself() {
    let bounds = Bounds { max_message: 4, max_fragments: 2 };
    let message: [(&[u8], &[u8]); 2] = [(b"\x01\x02", b"ab"), (b"\x80\x02", b"cd")];
    for role in ROLES {
        let listener = heard(role, bounds, &message.repeat(50));
        assert_eq!(listener.events, vec![text("abcd"); 50]);
        assert_eq!(listener.violation, None);
    }
}

/// Control frames are bounded by §5.5, and are no part of the message that they interrupt.
#[test]
fn control_frames_count_for_no_limit() {
    let bounds = Bounds { max_message: 2, max_fragments: 2 };
    let ping: (&[u8], &[u8]) = (b"\x89\x7d", &[b'p'; 125]);
    for role in ROLES {
        let pings = vec![ping; 20];
        let frames =
            [&[(&b"\x01\x01"[..], &b"a"[..])], &pings[..], &[(b"\x80\x01", b"b")]].concat();
        let listener = heard(role, bounds, &frames);
        assert_eq!(listener.events.len(), 21);
        assert_eq!(listener.events.last(), Some(&text("ab")));
        assert!(listener.events[..20].iter().all(|event| matches!(event, Event::Ping(_))));
    }
}

#[test]
fn pieces_keep_the_limits_of_their_message() {
    for role in ROLES {
        let mut listener = Listener::within(role, of_bytes(10)).in_pieces();
        for (head, payload) in [(b"\x02\x08", &b"12345678"[..]), (b"\x80\x03", b"")] {
            listener.hear(&frame(peer_of(role), head, payload));
        }
        assert_eq!(listener.failed_with(), Some(1009), "at the {role:?}");
    }
}

#[test]
fn an_idle_connection_frees_its_buffer_and_loses_nothing() {
    for role in ROLES {
        let mut listener = Listener::new(role);
        let little = listener.room();
        let message = vec![b'x'; 100_000];
        let whole = frame(peer_of(role), &head(0x82, message.len()), &message);
        let (front, back) = whole.split_at(whole.len() - 1);
        listener.hear(front);
        assert!(listener.room() > little);
        listener.idle();
        assert_eq!(listener.room(), little, "at the {role:?}");
        listener.hear(back);
        assert!(listener.events == [binary(&message)]);
    }
}

/// The default of the design, at its full size.
#[test]
fn what_comes_after_a_close_takes_no_memory() {
    for role in ROLES {
        let mut listener = Listener::new(role);
        listener.hear(&frame(peer_of(role), &head(0x88, 0), b""));
        (0..100).for_each(|_| listener.hear(&[0x81; 500]));
        assert_eq!(listener.events, [close(1005, "")]);
        assert!(listener.room() < 4096, "at the {role:?}");
    }
}

#[test]
fn what_if_a_message_has_131072_empty_fragments_and_then_one_more() {
    let bounds = Bounds { max_message: 16 * 1024 * 1024, max_fragments: 131_072 };
    for role in ROLES {
        let mut listener = heard(role, bounds, &[(b"\x01\x00", b"")]);
        let fragments = frame(peer_of(role), b"\x00\x00", b"").repeat(131_071);
        for read in fragments.chunks(4_096) {
            listener.hear(read);
            assert_eq!(listener.violation, None);
        }
        listener.hear(&frame(peer_of(role), b"\x80\x00", b""));
        assert_eq!(listener.failed_with(), Some(1009), "at the {role:?}");
        assert_eq!(listener.events, []);
    }
}
