//! The client's side of the handshake: parsing a URL, the request, and checking the server's
//! answer.

use ws101::diagnostic::misuse::Misuse;
use ws101::handshake::client::{ClientRequest, HandshakeError, VerifiedResponse};
use ws101::handshake::url::Address;
use ws101::http::head::{Head, Scan};
use ws101::http::status_line::is_interim;

use crate::support::{changed, head_of, teaches};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// A 101 that is right, and has no more than it needs.
const LINES: [&str; 3] = [
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
];

fn ask(subprotocols: &[&str], headers: &[(&str, &str)]) -> ClientRequest {
    ClientRequest {
        subprotocols: subprotocols.iter().map(|&name| name.into()).collect(),
        headers: headers.iter().map(|&(name, value)| (name.into(), value.into())).collect(),
        ..ClientRequest::default()
    }
}

fn address() -> Address {
    Address::parse("ws://example.com:8080/chat?room=1").unwrap()
}

#[test]
fn section_3_an_address_is_a_scheme_a_host_perhaps_a_port_a_path_and_a_query() {
    for (url, secure, host, port, target, authority) in [
        ("ws://example.com", false, "example.com", 80, "/", "example.com"),
        ("ws://example.com/", false, "example.com", 80, "/", "example.com"),
        ("wss://example.com", true, "example.com", 443, "/", "example.com"),
        ("WS://Example.COM:80/Chat", false, "example.com", 80, "/Chat", "example.com"),
        ("Wss://example.com:443", true, "example.com", 443, "/", "example.com"),
        // The other scheme's port does not go without saying.
        ("ws://example.com:443", false, "example.com", 443, "/", "example.com:443"),
        ("wss://example.com:80", true, "example.com", 80, "/", "example.com:80"),
        ("ws://127.0.0.1:9001/a/b", false, "127.0.0.1", 9001, "/a/b", "127.0.0.1:9001"),
        ("ws://[::1]:9001", false, "[::1]", 9001, "/", "[::1]:9001"),
        ("ws://[2001:DB8::1]/x", false, "[2001:db8::1]", 80, "/x", "[2001:db8::1]"),
        // RFC 6874: its zone is for the one who dials.
        ("ws://[fe80::1%25eth0]:1", false, "[fe80::1]", 1, "/", "[fe80::1]:1"),
        ("ws://h?a=b", false, "h", 80, "/?a=b", "h"),
        ("ws://h/?a=b?c/d", false, "h", 80, "/?a=b?c/d", "h"),
        // A query without anything in it is none; one that ends in a question mark is one.
        ("ws://h/a?", false, "h", 80, "/a", "h"),
        ("ws://h?", false, "h", 80, "/", "h"),
        ("ws://h/a?b?", false, "h", 80, "/a?b?", "h"),
        ("ws://h/%20%23?%ff", false, "h", 80, "/%20%23?%ff", "h"),
        ("ws://h//x", false, "h", 80, "//x", "h"),
        ("ws://h:65535", false, "h", 65_535, "/", "h:65535"),
    ] {
        let (host, target) = (host.to_owned(), target.to_owned());
        let parsed = Address::parse(url).unwrap();
        assert_eq!(parsed.authority(), authority, "{url}");
        let zone = url.contains("%25e").then(|| "eth0".to_owned());
        assert_eq!(parsed, Address { secure, host, zone, port, target }, "{url}");
    }
}

#[test]
fn section_3_what_is_no_address_of_a_websocket_is_refused_and_said_why() {
    for url in [
        "",
        "example.com",
        "//example.com",
        "example.com:9001/chat",
        "ws:example.com",
        "ws:/example.com",
        "http://example.com",
        "https://example.com",
        "ftp://example.com",
        "wsx://example.com",
        " ws://example.com",
        "ws://",
        "ws:///chat",
        "ws://?a",
        "ws://:80",
        "ws://user@example.com",
        "ws://user:secret@example.com",
        "ws://a b",
        "ws://a/b c",
        "ws://example.com:x",
        "ws://example.com:65536",
        "ws://example.com:-1",
        "ws://a:1:2",
        "ws://::1",
        "ws://[::1",
        "ws://[::1]x",
        "ws://[example.com]",
        "ws://a\\b",
        // §3: "Fragment identifiers ... MUST NOT be used on these URIs."
        "ws://a/#",
        "ws://a/b#c",
        "ws://a#b",
        "ws://\u{e9}",
        "ws://a/\u{e9}",
        "ws://a/\r\nX: y",
        "ws://a\r\nX: y",
        "ws://a/\0",
        "ws://a/\t",
        // RFC 3986 §3.2.2, §3.3: what an address may be made of.
        "ws://h/a\"b<c>",
        "ws://h/{a}",
        "ws://h/a[]",
        "ws://h/?a[]=b",
        "ws://h/a\\b",
        "ws://h/%zz",
        "ws://h/%4",
        "ws://%zz/",
        "ws://[1:2]/",
        "ws://[::1%eth0]/",
        "ws://[::1%25]/",
    ] {
        let misuse = Address::parse(url).expect_err(url);
        assert!(matches!(misuse, Misuse::Address(..)), "{misuse:?}");
        teaches(&misuse.to_string(), &misuse.diagnostic());
        assert!(!url.contains('#') || misuse.to_string().contains("a fragment (#)"), "{misuse}");
    }
}

#[test]
fn section_4_1_client_asks_in_these_very_bytes() {
    let plain = ask(&[], &[]).request(&address(), KEY).unwrap();
    assert_eq!(
        String::from_utf8(plain).unwrap(),
        "GET /chat?room=1 HTTP/1.1\r\n\
         Host: example.com:8080\r\n\
         Upgrade: websocket\r\n\
         Connection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Version: 13\r\n\
         \r\n"
    );
    let headers = [("Origin", "https://a.example"), ("Cookie", "id=1"), ("Cookie", "x=\u{e9}")];
    let full = ask(&["chat", "superchat"], &headers).request(&address(), KEY).unwrap();
    assert_eq!(
        String::from_utf8(full).unwrap(),
        "GET /chat?room=1 HTTP/1.1\r\n\
         Host: example.com:8080\r\n\
         Upgrade: websocket\r\n\
         Connection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Protocol: chat, superchat\r\n\
         Origin: https://a.example\r\n\
         Cookie: id=1\r\n\
         Cookie: x=\u{e9}\r\n\
         \r\n"
    );
}

#[test]
fn what_if_a_header_or_a_subprotocol_would_break_out_of_its_line() {
    for bad in ["a\r\nX: y", "a\nX: y", "a\rX: y", "a\0", "\r\n\r\nx"] {
        for (name, value) in [("X", bad), (bad, "x")] {
            let refused = ask(&[], &[(name, value)]).request(&address(), KEY).unwrap_err();
            assert_eq!(refused, Misuse::Header(name.into(), value.into()));
            teaches(&refused.to_string(), &refused.diagnostic());
        }
        let refused = ask(&["chat", bad], &[]).request(&address(), KEY).unwrap_err();
        assert_eq!(refused, Misuse::Subprotocol(bad.into()));
        assert!(ask(&[], &[]).request(&address(), bad).is_err(), "a key of {bad:?}");
        let host = Address { host: bad.into(), ..address() };
        assert!(ask(&[], &[]).request(&host, KEY).is_err(), "a host of {bad:?}");
    }
    for name in ["", " ", "X Y", "X:", "\u{e9}", "(x)"] {
        assert!(ask(&[], &[(name, "x")]).request(&address(), KEY).is_err(), "{name:?}");
    }
}

#[test]
fn what_if_a_target_is_no_path_or_would_break_out_of_the_request_line() {
    for target in ["chat", "", "/a b", "/a\r\nX: y", "/\u{e9}"] {
        let address = Address { target: target.into(), ..address() };
        let refused = ClientRequest::default().request(&address, KEY).unwrap_err();
        assert!(matches!(refused, Misuse::Address(..)), "{target:?}: {refused}");
    }
    let address = Address { target: "/a?token=secret b".into(), ..address() };
    let refused = ask(&[], &[]).request(&address, KEY).unwrap_err();
    assert_eq!(refused, Misuse::Address("/a?***".into(), "not a path"));
}

#[test]
fn section_4_1_subprotocols_are_tokens_each_named_once() {
    for bad in [&[""][..], &["a b"], &["a,b"], &["chat", "chat"], &["\u{e9}"], &["a/b"]] {
        let refused = ask(bad, &[]).request(&address(), KEY).unwrap_err();
        assert_eq!(refused, Misuse::Subprotocol(bad.last().unwrap().to_string()));
    }
}

/// A second `Host` or key would make the request one that every server refuses.
#[test]
fn the_headers_of_the_handshake_are_not_the_callers_to_set() {
    for name in [
        "Host",
        "Upgrade",
        "Connection",
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Version",
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Extensions",
    ] {
        for name in [name.to_owned(), name.to_lowercase(), name.to_uppercase()] {
            let refused = ask(&[], &[(&name, "x")]).request(&address(), KEY).unwrap_err();
            assert_eq!(refused, Misuse::Header(name, "x".into()));
        }
    }
}

fn verify(
    first: &str,
    lines: &[&str],
    ask: &ClientRequest,
) -> Result<VerifiedResponse, HandshakeError> {
    let head = head_of(first, lines);
    assert_eq!(Scan::new(16 * 1024, 100).advance(head.as_bytes()).unwrap(), Some(head.len()));
    ask.verify(&Head::parse(head.as_bytes()).unwrap(), KEY)
}

/// What becomes of a 101.
#[derive(Debug)]
enum Outcome {
    Opens,
    Speaks(&'static str),
    Rejected,
}
use Outcome::*;

/// Verifies a 101 with each of these changes, after `chat` and `superchat` were offered.
fn verifies(cases: &[(&[&str], Outcome)]) {
    let ask = ask(&["chat", "superchat"], &[]);
    for (changes, expected) in cases {
        let lines = changed(&LINES, changes);
        match (verify("HTTP/1.1 101 Switching Protocols", &lines, &ask), expected) {
            (Ok(answer), Opens) => assert_eq!(answer.subprotocol, None, "{changes:?}"),
            (Ok(answer), Speaks(name)) => {
                assert_eq!(answer.subprotocol.as_deref(), Some(*name), "{changes:?}");
            }
            (Err(rejection), Rejected) => {
                assert_eq!(rejection.status, Some(101), "{changes:?}");
                assert_eq!(rejection.body, "", "{changes:?}");
                teaches(&rejection.to_string(), &rejection.diagnostic);
            }
            (other, _) => panic!("{other:?} instead of {expected:?} to {changes:?}"),
        }
    }
}

#[test]
fn section_4_1_client_takes_a_101_that_proves_itself_however_it_is_written() {
    verifies(&[
        (&[], Opens),
        (&["UPGRADE:WebSocket", "connection: UPGRADE", "Server: x", "Date:"], Opens),
        (&["Connection: keep-alive, upgrade"], Opens),
        (&["Connection: keep-alive", "Connection: upgrade"], Opens),
        // "... but ignoring any leading and trailing whitespace"
        (&["Sec-WebSocket-Accept: \t s3pPLMBiTxaQ9kYGzzhZRbK+xOo= \t"], Opens),
    ]);
    for first in
        ["HTTP/1.1 101 Switching Protocols", "HTTP/1.1 101 ", "HTTP/1.1 101", "HTTP/1.1 101 \u{e9}"]
    {
        assert!(verify(first, &LINES, &ClientRequest::default()).is_ok(), "{first}");
    }
}

#[test]
fn section_4_1_client_wants_upgrade_and_connection_in_a_101() {
    verifies(&[
        (&["-Upgrade"], Rejected),
        (&["Upgrade:"], Rejected),
        (&["Upgrade: h2c"], Rejected),
        (&["Upgrade: websockets"], Rejected),
        (&["Upgrade: websocket, h2c"], Rejected),
        (&["Upgrade: h2c", "Upgrade: websocket"], Rejected),
        (&["-Connection"], Rejected),
        (&["Connection: close"], Rejected),
        (&["Connection: notupgrade"], Rejected),
        (&["Connection: keep-alive upgrade"], Rejected),
    ]);
}

#[test]
fn section_4_1_client_checks_the_accept_key_to_the_letter() {
    let right = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
    verifies(&[
        (&["-Sec-WebSocket-Accept"], Rejected),
        (&["Sec-WebSocket-Accept:"], Rejected),
        (&[right, right], Rejected),
        (&[right, "Sec-WebSocket-Accept: x"], Rejected),
        (&["Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo"], Rejected),
        (&["Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=="], Rejected),
        (&["Sec-WebSocket-Accept: S3PPLMBITXAQ9KYGZZHZRBK+XOO="], Rejected),
        (&["Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=, x"], Rejected),
        (&["Sec-WebSocket-Accept: \"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\""], Rejected),
        // The key itself, and the key's hash without the GUID.
        (&["Sec-WebSocket-Accept: dGhlIHNhbXBsZSBub25jZQ=="], Rejected),
        (&["Sec-WebSocket-Accept: hHLtf2V1k8aDQZfNjw3Ia1hCwt0="], Rejected),
    ]);
    // And says what it expected.
    let lines = changed(&LINES, &["Sec-WebSocket-Accept: wrong"]);
    let shown =
        verify("HTTP/1.1 101 x", &lines, &ClientRequest::default()).unwrap_err().to_string();
    assert!(shown.contains("wrong") && shown.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{shown}");
}

#[test]
fn section_4_1_client_takes_no_subprotocol_and_no_extension_that_it_did_not_offer() {
    verifies(&[
        (&["Sec-WebSocket-Protocol: chat"], Speaks("chat")),
        (&["Sec-WebSocket-Protocol:  superchat "], Speaks("superchat")),
        (&["Sec-WebSocket-Protocol: other"], Rejected),
        (&["Sec-WebSocket-Protocol: Chat"], Rejected),
        (&["Sec-WebSocket-Protocol: chat, superchat"], Rejected),
        (&["Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Protocol: superchat"], Rejected),
        // §4.2.2: "The empty string is not the same as the null value".
        (&["Sec-WebSocket-Protocol:"], Rejected),
        (&["Sec-WebSocket-Extensions: permessage-deflate"], Rejected),
        (&["Sec-WebSocket-Extensions: permessage-deflate, permessage-deflate"], Rejected),
        (&["Sec-WebSocket-Extensions: x-made-up"], Rejected),
    ]);
    let lines = changed(&LINES, &["Sec-WebSocket-Protocol: chat"]);
    assert!(
        verify("HTTP/1.1 101 x", &lines, &ClientRequest::default()).is_err(),
        "nothing was offered"
    );
}

#[test]
fn section_4_1_client_takes_any_other_status_for_plain_http() {
    for status in
        [200, 204, 300, 302, 304, 399, 400, 401, 403, 404, 407, 421, 426, 429, 500, 503, 999]
    {
        let lines = changed(&LINES, &["Location: ws://elsewhere.example/"]);
        let rejection =
            verify(&format!("HTTP/1.1 {status} Words"), &lines, &ClientRequest::default())
                .unwrap_err();
        assert_eq!(rejection.status, Some(status));
        let shown = rejection.to_string();
        teaches(&shown, &rejection.diagnostic);
        assert!(shown.contains(&format!("\"HTTP/1.1 {status} Words\"")), "{shown}");
        assert!(shown.contains("ws://elsewhere.example/"), "{shown}");
        // Some statuses have a diagnostic of their own.
        let advice = match status {
            300..=303 | 305..=399 => "The client does not follow a redirect",
            401 | 407 => "who you are",
            403 => "isn't allowed to connect",
            426 => "Send `Sec-WebSocket-Version: 13`",
            429 | 503 => "as `Retry-After` says",
            _ => "Check the path",
        };
        assert!(shown.contains(advice), "{shown}");
    }
}

/// RFC 9110 §15.2: a 1xx says that the answer is to come. A 101 is the answer.
#[test]
fn an_interim_status_is_one_from_100_to_199_but_for_101() {
    let interim: Vec<u16> = (0..=u16::MAX).filter(|&status| is_interim(status)).collect();
    assert_eq!(interim, [100].into_iter().chain(102..200).collect::<Vec<_>>());
}

#[test]
fn what_if_the_answer_is_not_http() {
    for first in [
        "SSH-2.0-OpenSSH_9.9",
        "220 smtp.example.com ESMTP",
        "HTTP/1.1",
        "HTTP/1.1 ",
        "HTTP/1.1 10",
        "HTTP/1.1 1O1 Switching Protocols",
        "HTTP/1.1 101x",
        "HTTP/1.1 1010",
        "HTTP/1.1 +101",
        "HTTP/1.1  101",
        "HTTP/1.1\t101",
        "HTTP/2 101",
        "HTTP/2.0 101",
        "HTTP/11 101",
        "http/1.1 101",
        " HTTP/1.1 101",
        "ICY 101",
    ] {
        let rejection = verify(first, &LINES, &ClientRequest::default()).expect_err(first);
        assert_eq!(rejection.status, None, "{first}");
        teaches(&rejection.to_string(), &rejection.diagnostic);
    }
}

#[test]
fn what_a_rejection_shows_of_a_body_is_harmless() {
    let mut rejection = HandshakeError::not_http("\"x\"");
    rejection.body = "first\r\n\x1b[2Jsecond\x07\n\n".into();
    let shown = rejection.to_string();
    assert!(shown.contains("first") && shown.contains("[2Jsecond"), "{shown}");
    assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{shown:?}");
    rejection.body = "\u{202e}a\u{61c}b\u{ad}c\u{2060}d\u{180e}e\u{fff9}f\u{e0041}".into();
    let shown = rejection.to_string();
    assert!(
        shown.ends_with("\\u{202e}a\\u{61c}b\\u{ad}c\\u{2060}d\\u{180e}e\\u{fff9}f\\u{e0041}"),
        "{shown:?}"
    );
}

/// Nothing but the very answer proves anything: any other byte in it, and there is no WebSocket.
#[test]
fn what_if_any_byte_of_the_101_is_any_other() {
    let good = head_of("HTTP/1.1 101 x", &LINES).into_bytes();
    let accept = good.windows(9).position(|bytes| bytes == b"s3pPLMBiT").unwrap();
    for at in 0..good.len() {
        for byte in 0..=255 {
            let mut head = good.clone();
            head[at] = byte;
            let Ok(Some(end)) = Scan::new(16 * 1024, 100).advance(&head) else { continue };
            let Ok(head) = Head::parse(&head[..end]) else { continue };
            let is_taken = ClientRequest::default().verify(&head, KEY).is_ok();
            let in_accept = (accept..accept + 28).contains(&at);
            assert!(!(is_taken && in_accept && byte != good[at]), "{byte:#04x} at {at}");
            assert!(is_taken || byte != good[at], "unchanged");
        }
    }
}
