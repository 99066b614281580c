//! Lengths that a header announces: accepted or refused before any payload comes, without an
//! overflow.

use ws101::frames::assembler::{Assembler, Bounds};
use ws101::frames::header::{Header, Opcode, Role};
use ws101::frames::violation::Violation;

use crate::support::{Listener, NO_BOUNDS, ROLES, frame, head, peer_of};

/// The limit of the design: 16 MiB.
const LIMIT: u64 = 16 * 1024 * 1024;
const LIMITED: Bounds = Bounds { max_message: LIMIT, max_fragments: 131_072 };

/// Each power of two and its neighbours, and the numbers that would overflow if a header, a mask or
/// a terminating zero were added to them.
fn edges() -> Vec<u64> {
    let powers = (0..64).map(|k| 1_u64 << k);
    let around = powers.flat_map(|power| [power - 1, power, power + 1]);
    around.chain(u64::MAX - 14..=u64::MAX).collect()
}

fn announcing(length: u64) -> Vec<u8> {
    [&[0x82, 127][..], &length.to_be_bytes()].concat()
}

/// What §5.2 and a limit say of a length in 64 bits.
fn expected(length: u64, bounds: Bounds) -> Option<u16> {
    match length {
        0..65_536 => Some(1002),
        0x8000_0000_0000_0000.. => Some(1002),
        _ if length > bounds.max_message => Some(1009),
        _ => None,
    }
}

#[test]
fn what_if_the_length_lies() {
    for role in ROLES {
        for bounds in [LIMITED, NO_BOUNDS] {
            for length in edges() {
                let bytes = frame(peer_of(role), &announcing(length), b"");
                let mut at_once = Listener::within(role, bounds);
                at_once.hear(&bytes);
                let mut by_bytes = Listener::within(role, bounds);
                by_bytes.hear_byte_by_byte(&bytes);
                for mut listener in [at_once, by_bytes] {
                    let name = format!("{length:#x} at the {role:?}, {bounds:?}");
                    assert_eq!(listener.failed_with(), expected(length, bounds), "{name}");
                    // It goes on, or stays refused, and never delivers what is not there.
                    listener.hear(&[b'x'; 1_000]);
                    assert_eq!(listener.failed_with(), expected(length, bounds), "{name}");
                    assert_eq!(listener.events, [], "{name}");
                    // Room is made for what has come, not for what was announced.
                    assert!(listener.room() <= 8 * 1024, "{name}");
                }
            }
        }
    }
}

#[test]
fn section_5_2_each_length_in_16_bits_is_minimal_or_refused() {
    for role in ROLES {
        for length in 0..=u16::MAX {
            let head = [&[0x82, 126][..], &length.to_be_bytes()].concat();
            let mut listener = Listener::new(role);
            listener.hear(&frame(peer_of(role), &head, b""));
            let expected = if length < 126 { Some(1002) } else { None };
            assert_eq!(listener.failed_with(), expected, "{length} at the {role:?}");
            assert_eq!(listener.events, []);
        }
    }
}

/// A length narrowed to 32 bits would let these pass.
#[test]
fn what_if_a_length_is_4_gib_and_a_little() {
    for role in ROLES {
        for little in [0, 5, 1_000] {
            let mut listener = Listener::within(role, LIMITED);
            listener.hear(&frame(peer_of(role), &announcing((1 << 32) + little), b""));
            assert_eq!(listener.failed_with(), Some(1009), "4 GiB and {little}");
        }
    }
}

#[test]
fn what_if_the_lengths_of_fragments_add_up_to_more_than_any_number() {
    for role in ROLES {
        let sender = peer_of(role);
        for so_far in [1_u64, 2, 125] {
            let first = frame(sender, &head(0x01, so_far as usize), &vec![b'a'; so_far as usize]);
            for length in edges().into_iter().filter(|&l| (65_536..1 << 63).contains(&l)) {
                let mut next = announcing(length);
                next[0] = 0x00;
                // The sum may be as large as the limit, also where it is one that no signed number
                // could hold.
                let sum = so_far + length;
                for (limit, expected) in [(sum, None), (sum - 1, Some(1009)), (u64::MAX, None)] {
                    let bounds = Bounds { max_message: limit, ..NO_BOUNDS };
                    let mut listener = Listener::within(role, bounds);
                    listener.hear(&first);
                    listener.hear(&frame(sender, &next, b""));
                    assert_eq!(listener.failed_with(), expected, "{so_far} and {length:#x}");
                    assert_eq!(listener.events, []);
                }
            }
        }
    }
}

/// No peer can send so much that the sum of what was announced overflows; the sum is checked all the
/// same, since the one that isn't is the one that somebody finds a way to.
#[test]
fn what_if_the_sum_of_the_lengths_overflows() {
    let announce = |opcode, length| Header { fin: false, rsv1: false, opcode, mask: None, length };
    for role in [Opcode::Text, Opcode::Binary] {
        let mut assembler = Assembler::new(NO_BOUNDS);
        let longest = i64::MAX as u64;
        assert_eq!(assembler.begin_data_frame(&announce(role, longest)), Ok(()));
        let next = |length| announce(Opcode::Continuation, length);
        assert_eq!(assembler.begin_data_frame(&next(longest)), Ok(()));
        assert_eq!(assembler.begin_data_frame(&next(1)), Ok(()), "the sum is u64::MAX");
        let too_long = Err(Violation::MessageTooLong(u64::MAX));
        assert_eq!(assembler.begin_data_frame(&next(1)), too_long);
        assert_eq!(assembler.begin_data_frame(&next(longest)), too_long);
    }
}

#[test]
fn what_if_a_length_of_4_gib_is_announced_and_nothing_comes() {
    for role in [Role::Server, Role::Client] {
        let mut listener = Listener::new(role);
        let before = listener.room();
        listener.hear(&frame(peer_of(role), &announcing(1 << 32), b""));
        assert_eq!(listener.room(), before, "the room for the next read is what it was");
        assert_eq!((listener.events.len(), listener.violation), (0, None));
    }
}
