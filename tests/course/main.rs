//! Tests the handwritten DEFLATE of the course's last stage. It must inflate the examples of RFC
//! 7692 §7.2.3 and everything that it deflates itself. With the feature `deflate`, it must also
//! understand zlib, and zlib must understand it. `tests/course/run` tests the stages' servers.

#[path = "../../examples/course/deflate.rs"]
#[allow(missing_docs)]
mod deflate;

use deflate::{InflateError, WINDOW, deflate, inflate};

const LIMIT: usize = 1 << 20;

fn inflated(payload: &[u8]) -> Result<Vec<u8>, InflateError> {
    inflate(payload, &mut Vec::new(), LIMIT)
}

/// Messages to deflate: empty and short ones, some that repeat themselves at short or long
/// distances, and some that don't.
fn messages() -> Vec<Vec<u8>> {
    let mut state = 1_u32;
    let mut noise = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let noise: Vec<u8> = (0..70_000).map(|_| noise()).collect();
    let text = "a message, and again a message; ".repeat(2_000).into_bytes();
    let far = [&noise[..40_000], &noise[..40_000], &noise[30_000..32_000], &noise].concat();
    let all_bytes: Vec<u8> = (0..=255).collect();
    let mut messages = vec![vec![], vec![0], vec![7; 258], vec![7; 70_000], all_bytes, text, far];
    messages.extend((1..300).map(|length| noise[length..2 * length].to_vec()));
    messages
}

#[test]
fn inflate_reads_each_example_of_the_rfc() {
    for payload in [
        &b"\xf2\x48\xcd\xc9\xc9\x07\x00"[..],
        b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00",
        b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00",
        b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
    ] {
        assert_eq!(inflated(payload).unwrap(), b"Hello", "{payload:x?}");
    }
}

#[test]
fn inflate_copies_from_the_message_before() {
    let mut history = Vec::new();
    assert_eq!(inflate(b"\xf2\x48\xcd\xc9\xc9\x07\x00", &mut history, LIMIT).unwrap(), b"Hello");
    assert_eq!(inflate(b"\xf2\x00\x11\x00\x00", &mut history, LIMIT).unwrap(), b"Hello");
    assert_eq!(inflated(b"\xf2\x00\x11\x00\x00"), Err(InflateError::NotDeflate));
}

#[test]
fn inflate_gives_back_what_was_deflated_in_each_window() {
    for message in messages() {
        for window in [1 << 8, 1 << 11, WINDOW] {
            assert_eq!(inflated(&deflate(&message, window)).unwrap(), message);
        }
    }
}

#[test]
fn deflate_makes_what_repeats_shorter() {
    let payload = deflate(&[7; 70_000], WINDOW);
    assert!(payload.len() < 1_000, "{}", payload.len());
}

#[test]
fn inflate_refuses_a_payload_that_was_cut_short() {
    let payload = deflate(b"cut at each place, and at each place refused", WINDOW);
    for length in 1..payload.len() {
        assert_eq!(inflated(&payload[..length]), Err(InflateError::NotDeflate), "{length}");
    }
}

#[test]
fn inflate_answers_each_payload_of_two_bytes() {
    for bytes in 0..=u16::MAX {
        // The result doesn't matter, as long as the inflater doesn't panic.
        let _ = inflated(&bytes.to_be_bytes());
        let _ = inflated(&[bytes.to_be_bytes(), [0x5A, 0xC3]].concat());
    }
}

#[test]
fn inflate_stops_at_the_limit() {
    let payload = deflate(&[7; 100_000], WINDOW);
    let mut history = Vec::new();
    assert_eq!(inflate(&payload, &mut history, 99_999), Err(InflateError::TooLong));
    assert!(inflate(&payload, &mut Vec::new(), 100_000).is_ok());
}

/// Compares with zlib in both directions. This code must inflate what zlib deflates at several
/// levels, with a window that spans the messages. And zlib must inflate what this code deflates,
/// with each window of 9 to 15 bits.
#[cfg(feature = "deflate")]
#[test]
fn zlib_and_the_code_by_hand_understand_each_other() {
    use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

    let tail = [0, 0, 0xFF, 0xFF];
    for level in [0, 1, 6, 9] {
        let mut compress = Compress::new(Compression::new(level), false);
        let mut history = Vec::new();
        for message in messages() {
            let mut payload = Vec::with_capacity(2 * message.len() + 1_000);
            compress.compress_vec(&message, &mut payload, FlushCompress::Sync).unwrap();
            let payload = payload.strip_suffix(&tail).unwrap_or(&payload);
            let ours = inflate(payload, &mut history, LIMIT);
            assert_eq!(ours.unwrap(), message, "level {level}, {} bytes", message.len());
        }
    }
    for bits in 9..=15 {
        for message in messages() {
            let payload = [deflate(&message, 1 << bits).as_slice(), &tail].concat();
            let mut decompress = Decompress::new_with_window_bits(false, bits);
            let mut theirs = Vec::with_capacity(message.len() + 1_000);
            decompress.decompress_vec(&payload, &mut theirs, FlushDecompress::Sync).unwrap();
            assert_eq!(theirs, message, "window of {bits} bits, {} bytes", message.len());
        }
    }
}
