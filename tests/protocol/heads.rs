//! Heads: where one ends, in whatever pieces its bytes come, and which lines it has.

use ws101::http::head::{Head, Scan};
use ws101::http::request::Request;

const HEAD: &[u8] =
    b"GET /chat HTTP/1.1\r\nHost: example.com\r\nX-Empty:\r\nX-Obs:\t\xe9 \xff\r\n\r\n";

fn scan() -> Scan {
    Scan::new(16 * 1024, 100)
}

/// The head alone, with a frame behind it, and with a second request behind it.
fn with_what_follows() -> [Vec<u8>; 3] {
    [&b""[..], b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", HEAD]
        .map(|next| [HEAD, next].concat())
}

#[test]
fn every_prefix_of_a_head_asks_for_more() {
    for end in 0..HEAD.len() {
        assert_eq!(scan().advance(&HEAD[..end]).unwrap(), None, "after {end} bytes");
    }
}

#[test]
fn every_split_of_a_head_in_two_and_three_finds_the_same_end_and_leaves_what_follows() {
    for bytes in with_what_follows() {
        for second in 0..=bytes.len() {
            for first in 0..=second {
                let mut scan = scan();
                // The bytes so far are handed over again each time, the old ones in front.
                let mut ends = [first, second, bytes.len()].into_iter();
                let found = ends.find_map(|end| scan.advance(&bytes[..end]).unwrap());
                assert_eq!(found, Some(HEAD.len()), "cut at {first} and {second}");
            }
        }
    }
}

#[test]
fn a_head_byte_by_byte_ends_at_the_same_byte() {
    for bytes in with_what_follows() {
        let mut scan = scan();
        let found = (1..=bytes.len()).find_map(|end| scan.advance(&bytes[..end]).unwrap());
        assert_eq!(found, Some(HEAD.len()));
    }
}

/// Linear work, shown without a clock: what was looked at once may be anything at the second look, since
/// there is none.
#[test]
fn scanned_bytes_are_not_scanned_again() {
    let mut head = b"GET / HTTP/1.1\r\n".to_vec();
    while head.len() < 16 * 1024 - 300 {
        head.extend_from_slice(b"Cookie: ");
        head.extend_from_slice(&[b'c'; 250]);
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    let (mut scan, mut so_far) = (scan(), Vec::new());
    for (at, &byte) in head.iter().enumerate() {
        so_far.push(byte);
        let end = scan.advance(&so_far).unwrap();
        assert_eq!(end.is_some(), at + 1 == head.len(), "at {at}");
        // A byte that no head may have, in place of the one that was just looked at.
        so_far[at] = 0;
    }
}

#[test]
fn a_bad_byte_is_refused_when_it_comes_and_not_before_it_is_there() {
    for (good, bad) in [
        (&b"GET / HTTP/1.1"[..], b'\n'),
        (b"GET / HTTP/1.1\r", b'\r'),
        (b"GET / HTTP/1.1\r", b'H'),
        (b"GET / HTTP/1.1\r\nHost: a", 0),
        (b"GET / HTTP/1.1\r\nHost: a", 0x1b),
        (b"GET / HTTP/1.1\r\nHost: a", 0x7f),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", b'\n'),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r", b'x'),
        (b"", 0x16),
    ] {
        let mut scan = scan();
        assert_eq!(scan.advance(good).unwrap(), None);
        let refusal = scan.advance(&[good, &[bad]].concat()).unwrap_err();
        assert_eq!(refusal.status(), 400, "{bad:#04x} behind {}", good.escape_ascii());
    }
}

#[test]
fn what_if_a_head_never_ends() {
    for endless in [&b"x"[..], b"X: y\r\n", b"\xff", b" "] {
        let bytes = endless.repeat(20_000);
        let (mut scan, mut refused_at) = (scan(), None);
        for end in 1..=16 * 1024 + 1 {
            if let Err(refusal) = scan.advance(&bytes[..end]) {
                refused_at = Some((end, refusal.status()));
                break;
            }
        }
        let (end, status) = refused_at.expect("somewhere it must be refused");
        assert_eq!(status, 431, "{}", endless.escape_ascii());
        // At the 101st line, or at the first byte over 16 KiB.
        let lines = bytes[..end].iter().filter(|&&byte| byte == b'\n').count();
        assert!(lines == 101 || end == 16 * 1024 + 1, "{lines} lines in {end} bytes");
    }
}

#[test]
fn a_head_of_exactly_16_kib_and_exactly_100_lines_is_taken() {
    let head_of = |lines: usize, bytes: usize| {
        let mut head = b"GET / HTTP/1.1\r\n".to_vec();
        head.extend(b"A: b\r\n".repeat(lines - 2));
        let filled = bytes - head.len() - b"X: \r\n\r\n".len();
        [&head, &b"X: "[..], &vec![b'x'; filled], b"\r\n\r\n"].concat()
    };
    let exact = head_of(100, 16 * 1024);
    assert_eq!(exact.len(), 16 * 1024);
    assert_eq!(scan().advance(&exact).unwrap(), Some(16 * 1024));
    assert_eq!(Head::parse(&exact).unwrap().fields().count(), 99);
    let status = |head: Vec<u8>| scan().advance(&head).unwrap_err().status();
    assert_eq!(status(head_of(100, 16 * 1024 + 1)), 431);
    assert_eq!(status(head_of(101, 16 * 1024)), 431);
}

#[test]
fn a_byte_that_can_not_stand_in_a_head_is_named_with_its_place() {
    for (bytes, says) in [
        (&b"GET / HTTP/1.1\nHost: a"[..], "byte 0x0a at offset 14"),
        (b"GET\0", "byte 0x00 at offset 3"),
        // What a TLS client says first, where it says it; anywhere else it is a byte like others.
        (b"\x16\x03\x01", "TLS"),
        (b"G\x16", "byte 0x16 at offset 1"),
    ] {
        let mut scan = scan();
        let shown = scan.advance(bytes).unwrap_err().to_string();
        assert!(shown.contains(says), "{shown}");
        let blamed = bytes[scan.scanned() - 1];
        assert!([b'\n', 0, 0x16].contains(&blamed), "{blamed:#04x}");
    }
}

#[test]
fn a_head_is_split_into_its_lines_in_their_order() {
    let head = Head::parse(HEAD).unwrap();
    assert_eq!(head.first_line(), "GET /chat HTTP/1.1");
    let fields: Vec<_> = head.fields().collect();
    // Bytes that are not ASCII are let through (RFC 9110 §5.5); where they are not UTF-8, as Latin-1.
    assert_eq!(fields, [("Host", "example.com"), ("X-Empty", ""), ("X-Obs", "\u{e9} \u{ff}")]);
}

#[test]
fn only_spaces_and_tabs_are_taken_off_a_value() {
    let head =
        Head::parse(b"GET / HTTP/1.1\r\nA:  \t b c\t \r\nB: \xc2\xa0d\xc2\xa0\r\n\r\n").unwrap();
    assert_eq!(head.header("a"), Some("b c"));
    assert_eq!(head.header("b"), Some("\u{a0}d\u{a0}"), "a space of Unicode is part of the value");
}

#[test]
fn a_list_goes_over_lines_and_its_tokens_are_whole_words() {
    let head = Head::parse(
        b"GET / HTTP/1.1\r\nConnection: keep-alive,\tUpGrade \r\nconnection: x-close\r\n\r\n",
    )
    .unwrap();
    assert!(
        head.list_contains("Connection", "upgrade") && head.list_contains("CONNECTION", "X-Close")
    );
    for no in ["grade", "close", "keep", "keep-alive, upgrade", ""] {
        assert!(!head.list_contains("Connection", no), "{no}");
    }
}

#[test]
fn a_request_has_a_method_a_target_a_host_and_cookies() {
    let head = b"GET ws://Example.com:81/a%20b/?c=d?e HTTP/1.1\r\nHost: other\r\nCookie: id=1; x\r\ncookie: y=\"z\"\r\n\r\n";
    let request = Request::parse(head).unwrap();
    assert_eq!(request.method(), "GET");
    assert_eq!((request.path(), request.query()), ("/a%20b/", Some("c=d?e")));
    assert_eq!(request.host(), Some("Example.com:81"));
    assert_eq!(request.cookies().collect::<Vec<_>>(), [("id", "1"), ("y", "\"z\"")]);
    assert_eq!((request.cookie("id"), request.cookie("ID")), (Some("1"), None));
}
