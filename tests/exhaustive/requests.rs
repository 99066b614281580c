//! A request with one change: each byte replaced by every other value, every value inserted at each
//! place, and each byte left out.

use ws101::handshake::server::{Decision, Rules, decide, refusal_of_plain_http};
use ws101::http::head::Scan;
use ws101::http::request::Request;

use crate::rfc::answer_to;

/// A request as a browser sends it, and as one comes through a proxy that names the host in the target.
const REQUESTS: [&str; 2] = [
    "GET /chat?a=b HTTP/1.1\r\n\
     Host: example.com:80\r\n\
     Connection: keep-alive, Upgrade\r\n\
     Upgrade: websocket\r\n\
     Origin: http://example.com\r\n\
     Sec-WebSocket-Version: 13\r\n\
     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
     Sec-WebSocket-Protocol: chat, superchat\r\n\r\n",
    "GET ws://[::1]:8080/ HTTP/1.1\r\n\
     host:a.b\r\n\
     upgrade:h2c,websocket \r\n\
     connection:upgrade\r\n\
     content-length:0\r\n\
     origin:https://[::1]:8080\r\n\
     sec-websocket-key:q4xkcO32u266gldTuKaSOw==\r\n\
     sec-websocket-version:13\r\n\
     cookie:\ta=b; c=\u{e9}\r\n\r\n",
];

/// The status that a server answers with; `None` if it waits for more.
fn status(bytes: &[u8]) -> Option<u16> {
    let mut scan = Scan::new(16 * 1024, 100);
    let rules = Rules::default();
    let refused = match scan.advance(bytes) {
        Ok(None) => return None,
        Ok(Some(end)) => Request::parse(&bytes[..end]).and_then(|request| {
            let decision = decide(&request, &rules)?;
            Ok((request, decision))
        }),
        Err(refusal) => Err(refusal),
    };
    Some(match refused {
        Ok((_, Decision::Switch(_))) => 101,
        Ok((request, Decision::PlainHttp)) => {
            refusal_of_plain_http(&request, &rules, false).status()
        }
        Err(refusal) => refusal.status(),
    })
}

fn check(bytes: &[u8], what: impl Fn() -> String) {
    let (ours, expected) = (status(bytes), answer_to(bytes));
    assert_eq!(ours, expected, "{}: {:?}", what(), String::from_utf8_lossy(bytes));
}

#[test]
fn each_byte_value_in_place_of_each_byte_of_a_request_is_answered_as_the_rfcs_say() {
    for request in REQUESTS {
        for at in 0..request.len() {
            for byte in 0..=255 {
                let mut bytes = request.as_bytes().to_vec();
                bytes[at] = byte;
                check(&bytes, || format!("{byte:#04x} at {at}"));
            }
        }
    }
}

#[test]
#[cfg_attr(debug_assertions, ignore = "so many requests take long without optimisation")]
fn each_byte_value_between_two_bytes_of_a_request_is_answered_as_the_rfcs_say() {
    for request in REQUESTS {
        for at in 0..=request.len() {
            for byte in 0..=255 {
                let mut bytes = request.as_bytes().to_vec();
                bytes.insert(at, byte);
                check(&bytes, || format!("{byte:#04x} before {at}"));
            }
        }
    }
}

#[test]
fn a_request_that_lacks_any_run_of_bytes_is_answered_as_the_rfcs_say() {
    for request in REQUESTS {
        check(request.as_bytes(), || "as it is".into());
        assert_eq!(answer_to(request.as_bytes()), Some(101));
        for start in 0..request.len() {
            for end in start + 1..=request.len() {
                let bytes = [&request.as_bytes()[..start], &request.as_bytes()[end..]].concat();
                check(&bytes, || format!("without {start} to {end}"));
            }
        }
    }
}
