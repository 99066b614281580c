//! Room 4, the handshake: HTTP, in programs that were not written as HTTP servers.
//!
//! The handshake is one request and one answer, and most published faults are in it. Here unknown
//! clients come in, pages of other sites come in with our cookies, and a byte that two programs read
//! differently becomes a second request.

use std::collections::HashSet;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use base64::prelude::{BASE64_STANDARD, Engine};
use ws101::frames::encoder::Encoder;
use ws101::frames::header::Role;
use ws101::handshake::server::{Decision, Rules, decide};
use ws101::http::head::Scan;
use ws101::http::request::Request;
use ws101::{Client, Error, Limits, Refusal, Response, Server, WebSocket};

use super::lengths::DEFAULT;
use crate::frames::{Listener, changed, frame};
use crate::script::{Calls, end, frames_in, open_script, script, switching};
use crate::sockets::{LINES, Side, head, masked, request};

/// A server's whole answer to these bytes, after which the stream ends.
fn told(server: &Server, request: impl AsRef<[u8]>) -> String {
    let mut request = Some(request.as_ref().to_vec());
    let (stream, calls) = script(move |_| Ok(request.take().unwrap_or_default()));
    drop(server.accept(stream));
    String::from_utf8_lossy(&calls.lock().unwrap().written()).into_owned()
}

/// The status of an answer, which must be valid HTTP.
#[track_caller]
fn status(answer: &str) -> u16 {
    let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
    status.unwrap_or_else(|| panic!("{answer:?} is no answer")).parse().unwrap()
}

/// A good request with some lines changed, as `changed` changes them.
fn with(changes: &[&str]) -> String {
    head("GET / HTTP/1.1", &changed(&LINES, changes))
}

/// What a client makes of an answer. `ACCEPT` in it stands for the right accept key.
fn answered(client: Client, answer: &str) -> (ws101::Result<WebSocket>, Arc<Mutex<Calls>>) {
    let (answer, mut is_sent) = (answer.to_owned(), false);
    let (stream, calls) = script(move |calls| {
        if std::mem::replace(&mut is_sent, true) {
            return end();
        }
        let good = switching(&calls.written());
        let accept = good.split("Accept: ").nth(1).unwrap().split("\r\n").next().unwrap();
        Ok(answer.replace("ACCEPT", accept).into())
    });
    (client.connect_over(stream), calls)
}

const GOOD: [&str; 3] =
    ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Accept: ACCEPT"];

/// A 101 with these lines.
fn a_101(lines: &[&str]) -> String {
    head("HTTP/1.1 101 Switching Protocols", lines)
}

/// tungstenite CVE-2023-43669
///
/// After each read, the head was parsed again from its first byte. A head of some megabytes, sent
/// in small pieces, took hours.
///
/// Bytes: a head of a megabyte, a byte a read; an honest request, a byte a read
/// Holds: each byte is scanned once; 431 at the limit, and no byte is read after it; the honest client gets its 101
/// Twin: src/http/head.rs
/// was `while let Some(&byte) = bytes.get(self.scanned) {`
/// now `*self = Scan::new(self.max_bytes, self.max_lines); while let Some(&byte) = bytes.get(self.scanned) {`
/// Twin: the limit lifted, in the test
#[test]
fn cve_2023_43669_what_if_a_head_dribbles_in_a_byte_a_read() {
    let byte_by_byte = |bytes: Vec<u8>, limits| {
        let mut bytes = bytes.into_iter();
        let (stream, calls) = script(move |_| Ok(bytes.next().into_iter().collect()));
        drop(Server::without_listener().limits(limits).accept(stream));
        let calls = calls.lock().unwrap();
        (status(&String::from_utf8_lossy(&calls.written())), calls.reads)
    };
    let endless = format!("GET / HTTP/1.1\r\nA: {}", "b".repeat(1 << 20)).into_bytes();
    let (status, reads) = byte_by_byte(endless[..20_000].into(), Limits::default());
    // The answer's sender waits for the end of the stream, so the rest is read, and thrown away.
    assert_eq!((status, reads), (431, 20_001));
    let lifted = Limits { max_head: usize::MAX, ..Limits::default() };
    assert_eq!(byte_by_byte(endless[..20_000].into(), lifted).0, 400, "the twin: a head cut short");
    let honest = request(&["Cookie: a=b"]).into_bytes();
    assert_eq!(byte_by_byte(honest, Limits::default()).0, 101);
    // The client, and an answer with so much in front of its first header.
    let client_reads = |more: usize| {
        let mut bytes = None;
        let (stream, calls) = script(move |calls| {
            let bytes = bytes.get_or_insert_with(|| {
                let more = format!("\r\nA: {}\r\n", "b".repeat(more));
                switching(&calls.written()).replacen("\r\n", &more, 1).into_bytes().into_iter()
            });
            Ok(bytes.next().into_iter().collect())
        });
        let connected = Client::new("ws://a").connect_over(stream);
        (connected.is_ok(), calls.lock().unwrap().reads)
    };
    assert_eq!(client_reads(20_000), (false, 16 * 1024 + 1), "no byte is read behind the limit");
    assert!(client_reads(10).0);
    // What has been looked at may be spoiled: nobody looks at it again.
    let (mut scan, mut spoiled) = (Scan::new(1 << 21, 100), endless.clone());
    for (at, &byte) in endless.iter().enumerate() {
        spoiled[at] = byte;
        assert_eq!(scan.advance(&spoiled[..=at]).unwrap(), None, "at {at}");
        spoiled[at] = 0;
    }
    assert_eq!(scan.scanned(), endless.len());
}

/// websocket-driver CVE-2026-54465; ws CVE-2024-37890; Cowboy CVE-2026-65624; Node CVE-2018-12121
///
/// The number of headers had no limit, or their size had none. Where there was a limit, a server
/// dropped the line with `Upgrade` and went on without it, or counted all lines of one name as one.
///
/// Bytes: 2,000 headers; `X: y` 10^6 times; a request without `Upgrade`
/// Holds: lines and bytes are counted, 431; without `Upgrade` it is 426
/// Twin: src/http/head.rs
/// was `if self.lines > self.max_lines {`
/// now `if false {`
/// Twin: the limits lifted, in the test
#[test]
fn cve_2024_37890_what_if_there_are_more_headers_than_anybody_needs() {
    let server = Server::without_listener();
    let different: String = (0..2_000).map(|number| format!("A{number}: b\r\n")).collect();
    let of_one_name = |count| "X: y\r\n".repeat(count);
    for more in [&different, &of_one_name(200), &of_one_name(2_000), &of_one_name(1_000_000)] {
        let head = request(&[]).replacen("\r\n", &format!("\r\n{more}"), 1);
        assert_eq!(status(&told(&server, &head)), 431, "{} bytes", head.len());
        // A million lines are read in time only where they are not read at all.
        if head.len() < 100_000 {
            let lifted =
                Limits { max_head: usize::MAX, max_head_lines: usize::MAX, ..Limits::default() };
            assert_eq!(
                status(&told(&Server::without_listener().limits(lifted), &head)),
                101,
                "the twin"
            );
        }
    }
    assert_eq!(status(&told(&server, with(&["-Upgrade"]))), 426);
    // The client, and as many headers of an answer.
    for (more, is_good) in
        [(&different, false), (&of_one_name(200), false), (&of_one_name(50), true)]
    {
        let answer = a_101(&GOOD).replacen("\r\n", &format!("\r\n{more}"), 1);
        let (connected, _) = answered(Client::new("ws://a"), &answer);
        assert_eq!(connected.is_ok(), is_good, "{} bytes", answer.len());
    }
}

/// websocket-driver CVE-2026-61666; Granian CVE-2026-42544; sockjs CVE-2020-7693; engine.io CVE-2022-21676; Nes CVE-2017-16025; lighttpd CVE-2022-37797; libwebsockets CVE-2025-11677
///
/// A header was odd, and not even long. The program didn't expect it, so it didn't catch the
/// exception, and the process ended.
///
/// Bytes: `Host: ]`, a subprotocol of `FF`, `Upgrade: foo`; every byte at every place of a request and of a 101
/// Holds: a 101 or a 4xx, at a client a connection or a rejection; never a panic
/// Twin: src/http/authority.rs
/// was `Some(rest) => text.split_at(1 + rest.find(']')? + 1),`
/// now `Some(rest) => text.split_at(1 + rest.find(']').unwrap() + 1),`
#[test]
fn cve_2022_21676_what_if_any_byte_of_the_handshake_is_any_other() {
    let server = Server::without_listener().subprotocols(["chat"]);
    for (odd, expected) in [
        (&b"Host: ]"[..], 400),
        (b"Host: [", 400),
        (b"Host:", 400),
        (b"Sec-WebSocket-Protocol: \xff", 400),
        (b"Sec-WebSocket-Protocol: ,", 400),
        (b"Upgrade: foo", 426),
        (b"Upgrade:", 426),
        (b"Connection: \xff", 400),
        (b"Sec-WebSocket-Version: 99999999999999999999", 426),
        (b"Sec-WebSocket-Extensions: ;", 400),
        (b"Origin: ://", 403),
    ] {
        let name = String::from_utf8_lossy(odd).split(':').next().unwrap().to_owned();
        let others = with(&[&format!("-{name}")]);
        let odd_head = [&others.as_bytes()[..others.len() - 2], odd, b"\r\n\r\n"].concat();
        let answer = told(&server, &odd_head);
        assert_eq!(status(&answer), expected, "{}", odd.escape_ascii());
    }
    let good = with(&["Origin: http://127.0.0.1", "Sec-WebSocket-Protocol: chat, b"]);
    let (rules, mut statuses) = (Rules::default(), HashSet::new());
    for at in 0..good.len() {
        for byte in 0..=255 {
            let mut request = good.clone().into_bytes();
            request[at] = byte;
            let decided = Scan::new(16_384, 100).advance(&request).and_then(|end| match end {
                Some(end) => decide(&Request::parse(&request[..end])?, &rules).map(Some),
                None => Ok(None),
            });
            statuses.insert(match decided {
                Ok(Some(Decision::Switch(_))) => 101,
                Ok(Some(Decision::PlainHttp)) => 426,
                // It asks for more, which the deadline ends: 408.
                Ok(None) => 408,
                Err(refusal) => refusal.status(),
            });
        }
    }
    assert!(statuses.iter().all(|status| *status == 101 || status / 100 == 4 || *status == 505));
    // The client, and the 101.
    let answer = a_101(&GOOD);
    for at in 0..answer.len() {
        // Not all of them: each takes a key of its own, and that is what takes time.
        for byte in (0..=255_u8).step_by(15).chain(*b"\r\n :[]\"") {
            let mut odd = answer.clone().into_bytes();
            odd[at] = byte;
            if let Ok(odd) = String::from_utf8(odd) {
                drop(answered(Client::new("ws://a"), &odd));
            }
        }
    }
}

/// Zephyr CVE-2026-5067; Asterisk CVE-2018-17281
///
/// Zephyr copied the key into a buffer of fixed size, whatever the key's length. Asterisk had
/// another fault: it copied request headers of any size to the stack. The test uses the key.
///
/// Bytes: keys of 0, 16, 23, 24, 25, 32, 64 and 4096 characters
/// Holds: only base64 of sixteen bytes is a key; all else is 400
/// Twin: src/handshake/accept_key.rs
/// was `bytes.try_into().map_err(`
/// now `bytes.into_iter().chain([0; 16]).take(16).collect::<Vec<_>>().try_into().map_err(`
#[test]
fn cve_2018_17281_what_if_a_key_is_longer_or_shorter_than_a_key() {
    let server = Server::without_listener();
    let status_of =
        |key: &str| status(&told(&server, with(&[&format!("Sec-WebSocket-Key: {key}")])));
    for length in [0, 16, 23, 24, 25, 32, 64, 4096] {
        assert_eq!(status_of(&"A".repeat(length)), 400, "{length} characters");
    }
    for bytes in 0..=64 {
        let expected = if bytes == 16 { 101 } else { 400 };
        assert_eq!(status_of(&BASE64_STANDARD.encode(vec![7; bytes])), expected, "{bytes} bytes");
    }
}

/// undici CVE-2026-1527; hackney CVE-2026-47072; uvicorn CVE-2020-7695; hyper RUSTSEC-2017-0002; Autobahn CVE-2020-35678
///
/// A line break in an argument, a name or a path from an untrusted source was written unchanged.
/// The bytes after it became a header or a request of the attacker.
///
/// Bytes: `a\r\nX: y`, and with LF, CR or NUL alone, in every text that a caller can give
/// Holds: the call returns an error, and no byte is written; a server's own answer with one in it is a plain 500
/// Twin: src/http/response.rs
/// was `if !is_token(name) || !may_be_value(value) {`
/// now `if !is_token(name) {`
#[test]
fn cve_2026_1527_what_if_a_caller_was_given_a_line_break() {
    for broken in ["a\r\nX: y", "a\nX: y", "a\rX: y", "a\0", "\r\n"] {
        let client = || Client::new("ws://a");
        for client in [
            client().header(broken, "b"),
            client().header("A", broken),
            client().origin(broken),
            client().subprotocols([broken]),
            client().subprotocols(["chat", broken]),
            Client::new(format!("ws://{broken}")),
            Client::new(format!("ws://{broken}@a")),
            Client::new(format!("ws://a/{broken}")),
            Client::new(format!("ws://a?{broken}")),
            Client::new(format!("ws://a#{broken}")),
            Client::new(format!("{broken}://a")),
            Client::new(format!("ws://a:{broken}")),
        ] {
            let (connected, calls) = answered(client, &a_101(&GOOD));
            assert!(matches!(connected, Err(Error::Misuse(_))), "{connected:?} of {broken:?}");
            assert_eq!(calls.lock().unwrap().writes.len(), 0, "{broken:?}");
        }
        let server = Server::without_listener().subprotocols([broken]);
        let (stream, calls) = script(|_| Ok(request(&[]).into()));
        assert!(matches!(server.accept(stream), Err(Error::Misuse(_))), "{broken:?}");
        assert_eq!(calls.lock().unwrap().writes.len(), 0);
        // What a server's application answers with.
        let page = |response: Response| {
            let server = Server::without_listener().http(move |_| Some(response.clone()));
            told(&server, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        };
        let refused = {
            let broken = broken.to_owned();
            let because = move || Refusal::because(401, "no").header("A", &broken);
            let server = Server::without_listener().authorize(move |_| Err(because()));
            told(&server, request(&[]))
        };
        for answer in [
            page(Response::text("b").header("A", broken)),
            page(Response::text("b").header(broken, "a")),
            page(Response::new(broken, "b")),
            refused,
        ] {
            assert_eq!(status(&answer), 500, "{broken:?}");
            assert!(!answer.contains("X: y"), "{answer}");
        }
    }
}

/// response splitting by echo
///
/// A server answered with the subprotocol that the client had offered. So the client wrote a part
/// of the server's answer, and a cache stored it.
///
/// Bytes: `Sec-WebSocket-Protocol: a\rb`, `chat, <script>`, `CHAT`
/// Holds: the answer names a subprotocol of the server's own list, letter by letter, or none
/// Twin: src/handshake/server.rs
/// was `let chosen = offered.iter().find(|name| ours.iter().any(|one| one == *name));`
/// now `let chosen = offered.first();`
#[test]
fn response_splitting_what_if_a_subprotocol_is_offered_that_should_not_be_repeated() {
    let server = Server::without_listener().subprotocols(["chat"]);
    for (offered, expected, chosen) in [
        ("a\rb", 400, None),
        ("a\r\n b", 400, None),
        ("a\0b", 400, None),
        ("chat, <script>", 400, None),
        ("chat; a=b", 400, None),
        ("X-Evil", 101, None),
        ("CHAT", 101, None),
        ("X-Evil, chat", 101, Some("chat")),
    ] {
        let answer = told(&server, request(&[&format!("Sec-WebSocket-Protocol: {offered}")]));
        assert_eq!(status(&answer), expected, "{offered:?}");
        let head = answer.split("\r\n\r\n").next().unwrap();
        let named = head.split("Sec-WebSocket-Protocol: ").nth(1);
        assert_eq!(named.and_then(|rest| rest.lines().next()), chosen, "{offered:?}");
        assert!(!head.to_lowercase().contains("evil"), "{answer}");
    }
}

/// Bun #26950; fastwebsockets; yawc
///
/// A client accepted any 101. The answer contained the proof that the server had read this request,
/// but the client didn't check it.
///
/// Bytes: `Sec-WebSocket-Accept` wrong, empty, missing, twice, padded, in another letter case
/// Holds: the client fails, and says what it expected
/// Twin: src/handshake/client.rs
/// was `if head.only("Sec-WebSocket-Accept") != Some(&expected) {`
/// now `if head.only("Sec-WebSocket-Accept").is_none() {`
#[test]
fn bun_26950_what_if_the_answer_proves_nothing() {
    let accept = GOOD[2];
    for lines in [
        &[][..],
        &["Sec-WebSocket-Accept:"],
        &["Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="],
        &[accept, accept],
        &[accept, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="],
        &["Sec-WebSocket-Accept: ACCEPT="],
        &["Sec-WebSocket-Accept: \"ACCEPT\""],
        &["Sec-WebSocket-Accept: ACCEPT, ACCEPT"],
        &["Sec-WebSocket-Accept: A ACCEPT"],
    ] {
        let answer = a_101(&[&GOOD[..2], lines].concat());
        match answered(Client::new("ws://a"), &answer).0 {
            Err(Error::Rejected(rejection)) => {
                let said = rejection.to_string();
                assert!(said.contains("expected: "), "{said}");
            }
            other => panic!("{other:?} of {lines:?}"),
        }
    }
    assert!(answered(Client::new("ws://a"), &a_101(&GOOD)).0.is_ok());
}

/// curl CVE-2025-10148; uWS; sockudo; wtx; Talking to Yourself for Fun and Profit; Firefox CVE-2010-4508
///
/// If a page can predict the mask, it can choose the bytes on the wire: a request, which a proxy
/// that doesn't know WebSocket answers, and caches for all its users. Some clients used one mask
/// for all frames, and some servers accepted frames without a mask.
///
/// Bytes: frames of `GET / HTTP/1.1`, as a client writes them; `81 01 61` to a server, `81 81 m 61` to a client
/// Holds: each frame has four fresh, unpredictable bytes; the payload is not on the wire; 1002 if the mask is missing or wrong
/// Twin: src/frames/encoder.rs
/// was `let mask = self.masks.as_mut().map(|next| next());`
/// now `let mask = self.masks.as_mut().map(|_| [1, 2, 3, 4]);`
/// Twin: src/frames/header.rs
/// was `(Role::Server, true) | (Role::Client, false) => {}`
/// now `(Role::Server, _) | (Role::Client, false) => {}`
/// Twin: src/frames/header.rs
/// was `(Role::Server, true) | (Role::Client, false) => {}`
/// now `(Role::Server, true) | (Role::Client, _) => {}`
#[test]
fn cve_2025_10148_what_if_a_payload_looks_like_a_request() {
    const LOOKS_LIKE: &str = "GET /script.js HTTP/1.1\r\nHost: target.example\r\n\r\n";
    const FRAMES: usize = 1_000;
    let (mut ws, calls) = open_script(Side::Client, Limits::default(), |_| end());
    (0..FRAMES).for_each(|_| ws.send(LOOKS_LIKE).unwrap());
    let written = calls.lock().unwrap().written();
    assert!(frames_in(&written).iter().all(|frame| frame.1 == LOOKS_LIKE.as_bytes()));
    assert!(!written.windows(4).any(|four| four == b"GET "), "readable on the wire");
    let length = 2 + 4 + LOOKS_LIKE.len();
    let masks: Vec<u32> = written
        .chunks(length)
        .map(|frame| u32::from_be_bytes(*frame[2..].first_chunk().unwrap()))
        .collect();
    let different = masks.iter().collect::<HashSet<_>>().len();
    assert!(different > FRAMES - 5, "{different} masks for {FRAMES} frames");
    let steps: HashSet<u32> = masks.windows(2).map(|m| m[1].wrapping_sub(m[0])).collect();
    assert!(steps.len() > FRAMES - 10, "counted up");
    let set = masks.iter().map(|mask| mask.count_ones()).sum::<u32>();
    assert!(
        (14 * FRAMES as u32..18 * FRAMES as u32).contains(&set),
        "{set} bits of 32,000 are set"
    );
    // The frame as the other end would have written it.
    for role in [Role::Server, Role::Client] {
        let mut listener = Listener::within(role, DEFAULT);
        listener.hear(&frame(role, &[0x81, 1], b"a"));
        assert_eq!((listener.failed_with(), listener.events.len()), (Some(1002), 0), "{role:?}");
    }
    // A server has no masks to give away.
    let mut outgoing = Encoder::new(None);
    outgoing.ping(b"a").unwrap();
    assert_eq!(outgoing.batch().copied_bytes(), b"\x89\x01a");
}

/// httpd CVE-2019-17567; Netty #12606; aiohttp #11857
///
/// A proxy opened a tunnel for any client that asked, although the server hadn't answered 101. And
/// a word that only contained `upgrade` was taken for it.
///
/// Bytes: `Sec-WebSocket-Version: 777`; `Connection: notupgrade`; 200 with all lines of a 101
/// Holds: whole words count; an answer other than 101 opens nothing, and the connection ends after it
/// Twin: src/http/head.rs
/// was `self.elements(name).any(|element| element.eq_ignore_ascii_case(token))`
/// now `self.elements(name).any(|element| element.to_ascii_lowercase().contains(token))`
#[test]
fn cve_2019_17567_what_if_it_only_looks_like_an_upgrade() {
    let server = Server::without_listener();
    for (line, expected) in [
        ("Sec-WebSocket-Version: 777", 426),
        ("Sec-WebSocket-Version: 13, 777", 426),
        ("Sec-WebSocket-Version: 130", 426),
        ("Connection: notupgrade", 400),
        ("Connection: upgrade-not", 400),
        ("Connection: up grade", 400),
        ("Upgrade: websockets", 426),
        ("Upgrade: notwebsocket", 426),
    ] {
        // What comes behind the refused request is neither frames nor a request.
        let more = [with(&[line]).into(), masked(0x89, "ping"), request(&[]).into()];
        let answer = told(&server, more.concat());
        assert_eq!(status(&answer), expected, "{line}");
        assert!(answer.contains("close\r\n"), "{line}: it says that it closes");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{line}: one answer, and the end");
    }
    for answer in [
        head("HTTP/1.1 200 OK", &GOOD),
        head("HTTP/1.1 1010 Switching", &GOOD),
        head("HTTP/1.1 426 Upgrade Required", &GOOD),
        a_101(&["Upgrade: notwebsocket", GOOD[1], GOOD[2]]),
        a_101(&[GOOD[0], "Connection: notupgrade", GOOD[2]]),
    ] {
        let (connected, calls) = answered(Client::new("ws://a"), &answer);
        assert!(matches!(connected, Err(Error::Rejected(_))), "{answer}");
        assert_eq!(calls.lock().unwrap().writes.len(), 1, "the request, and nothing behind it");
    }
}

/// tiny_http RUSTSEC-2020-0031; actix RUSTSEC-2021-0081; hyper RUSTSEC-2021-0020, RUSTSEC-2021-0078, RUSTSEC-2021-0079; libsoup CVE-2024-52530; Netty CVE-2026-50020; Undertow CVE-2026-28369
///
/// Two programs on one connection disagreed about where a request ends. One took some bytes for a
/// body, and the other took them for the next request, which belonged to another client.
///
/// Bytes: `Transfer-Encoding\0: chunked`, `Content-Length: +0`, both, two, folded lines, bare LF, a length of `01`
/// Holds: an upgrade is a GET without a body, written to the letter, or it is 400 and the connection ends
/// Twin: src/handshake/server.rs
/// was `let no_body = no_length && head.header("Transfer-Encoding").is_none();`
/// now `let no_body = no_length || head.header("Transfer-Encoding").is_none();`
/// Twin: src/http/head.rs
/// was `Some((name, _)) if is_token(name) => Ok(()),`
/// now `Some(_) => Ok(()),`
#[test]
fn rustsec_2020_0031_what_if_two_programs_see_two_ends_of_a_request() {
    let server = Server::without_listener();
    for lines in [
        "Transfer-Encoding\0: chunked",
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: \tchunked",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding:\u{b}chunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: chunked\r\nContent-Length: 0",
        "Content-Length: +0",
        "Content-Length: -0",
        "Content-Length: 00",
        "Content-Length: 01",
        "Content-Length: 5",
        "Content-Length: 0, 0",
        "Content-Length: 0x0",
        "Content-Length:",
        "Content-Length: 0\r\nContent-Length: 0",
        "Content-Length: 0\r\nContent-Length: 5",
        "A: b\r\n Content-Length: 5",
        "A: b\r\n\tTransfer-Encoding: chunked",
        "A: b\nTransfer-Encoding: chunked",
        "A: b\rTransfer-Encoding: chunked",
        "A: b\0",
        "A : b",
        ": b",
        "A",
    ] {
        let smuggled = [request(&[lines]), "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n".into()];
        let answer = told(&server, smuggled.concat());
        assert_eq!(status(&answer), 400, "{lines:?}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{lines:?}: one answer, and the end");
    }
    for head in [
        format!(" {}", request(&[])),
        format!("\x01{}", request(&[])),
        format!("\r\n\r\n{}", request(&[])),
        request(&[]).replacen("GET /", "GET  /", 1),
        request(&[]).replacen("GET /", "GET\t/", 1),
        request(&[]).replace("\r\n", "\n"),
        request(&[]).replacen("\r\n", "\r\n ", 1),
    ] {
        assert_eq!(status(&told(&server, &head)), 400, "{head:?}");
    }
    assert_eq!(status(&told(&server, request(&[]).replacen("GET", "POST", 1))), 405);
    assert_eq!(status(&told(&server, request(&["Content-Length: 0"]))), 101);
}

/// CVE-2014-3429, CVE-2018-14731, CVE-2018-14732, CVE-2019-13209, CVE-2019-13611, CVE-2023-26114, CVE-2023-2850, CVE-2023-30856, CVE-2024-23898, CVE-2024-26135, CVE-2025-24964, CVE-2025-30360, CVE-2025-55300, CVE-2025-68930, CVE-2026-22689, CVE-2026-34403, CVE-2026-44985, CVE-2026-74802; matching: Parsec CVE-2018-6651, Bokeh CVE-2026-21883; fail-open: Theia CVE-2026-10054, Vite CVE-2026-39363
///
/// Any page may open a WebSocket to any server, and the browser sends its cookies along. Only the
/// `Origin` tells the pages apart. Servers didn't check it, compared only its beginning or a part
/// of it, or let pass an `Origin` that they couldn't parse.
///
/// Bytes: foreign origins, `null`, none that can be read, two, a wrong port or scheme, `dashboard.corp.attacker.example`
/// Holds: by default a foreign page gets a 403, before any 101; scheme, host and port are compared as a whole
/// Twin: src/handshake/origin.rs
/// was `&& authority.with_default_port(&scheme) == host.with_default_port(&scheme)`
/// now `&& authority.host.starts_with(&host.host)`
/// Twin: src/handshake/origin.rs
/// was `self.scheme == other.scheme\n            && `
/// now ``
#[test]
fn cve_2014_3429_what_if_a_page_of_another_site_connects() {
    let server = Server::without_listener();
    let from = |server: &Server, origins: &[&str]| {
        let lines: Vec<String> = origins.iter().map(|one| format!("Origin: {one}")).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        status(&told(server, with(&[&["Host: dashboard.corp:8080"], &lines[..]].concat())))
    };
    for origin in [
        "http://attacker.example",
        "http://dashboard.corp.attacker.example:8080",
        "http://dashboard.corp.attacker.example",
        "http://dashboard.corp:8080.attacker.example",
        "http://dashboard.corp@attacker.example:8080",
        "http://attacker.example/dashboard.corp:8080",
        "http://attacker.example#dashboard.corp:8080",
        "http://attackerdashboard.corp:8080",
        "http://xdashboard.corp:8080",
        "http://dashboard.corpx:8080",
        "http://dashboard.corp",
        "http://dashboard.corp:80",
        "http://dashboard.corp:80800",
        "http://dashboard.corp:8081",
        "https://dashboard.corp:443",
        "file://dashboard.corp:8080",
        "chrome-extension://dashboard.corp:8080",
        "http://dashboard.corp:8080/",
        "http://dashboard.corp:8080 http://attacker.example",
        "dashboard.corp:8080",
        "//dashboard.corp:8080",
        "null",
        "",
        "*",
        "http://",
        "http://[",
        "\u{fffd}",
    ] {
        assert_eq!(from(&server, &[origin]), 403, "{origin:?}");
    }
    let ours = "http://dashboard.corp:8080";
    assert_eq!(from(&server, &[ours]), 101);
    assert_eq!(from(&server, &[]), 101, "a program, which could say what it likes");
    assert_eq!(from(&server, &[ours, "http://attacker.example"]), 400);
    assert_eq!(from(&server, &[ours, ours]), 400);
    // Listed: these, and not what looks like them. Nor the server's own, which is not in the list.
    let server = Server::without_listener().origins(["https://app.example"]);
    for (origin, expected) in [
        ("https://app.example", 101),
        ("https://APP.example:443", 101),
        ("http://app.example", 403),
        ("http://app.example:443", 403),
        ("https://app.example:8443", 403),
        ("https://app.example.attacker.example", 403),
        ("https://sub.app.example", 403),
        ("https://appxexample", 403),
        (ours, 403),
        ("null", 403),
        ("", 403),
    ] {
        assert_eq!(from(&server, &[origin]), expected, "{origin:?}");
    }
    // A list with an entry that can't be read is no list: it lets in neither everybody nor, in silence,
    // nobody. The caller is told.
    // (`*` is no wildcard.)
    for unreadable in ["app.example", "https://app.example/", "https://", "https://*.example"] {
        let server = Server::without_listener().origins(["https://ours.example", unreadable]);
        let (stream, _) = script(|_| Ok(request(&[]).into()));
        let refused = server.accept(stream).unwrap_err();
        assert!(matches!(refused, Error::Misuse(_)), "{unreadable}: {refused:?}");
    }
}

/// ws, three fixes; websockets 16.1
///
/// The server answered with a redirect, and the client followed it, with the cookie and the
/// authorization that were meant for the first server.
///
/// Bytes: `302` with a `Location` elsewhere, and every other 3xx
/// Holds: the client returns the redirect and doesn't connect to the other address
/// Twin: none; nothing here follows a redirect, so there is nothing to take away
#[test]
fn ws_three_fixes_what_if_the_answer_sends_us_elsewhere() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let location = format!("Location: ws://{}/", elsewhere.local_addr().unwrap());
    for code in [300, 301, 302, 303, 307, 308] {
        let answer = head(&format!("HTTP/1.1 {code} Elsewhere"), &[&location, "Content-Length: 0"]);
        let client = Client::new("ws://a").header("Authorization", "Bearer secret");
        let (connected, calls) = answered(client, &answer);
        let Err(Error::Rejected(rejection)) = connected else { panic!("{connected:?}") };
        assert_eq!(rejection.status, Some(code));
        assert!(rejection.to_string().contains("Location"), "{rejection}");
        assert_eq!(calls.lock().unwrap().writes.len(), 1, "the request, once");
    }
    assert!(elsewhere.accept().is_err(), "somebody was dialled");
}
