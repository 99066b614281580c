//! The client, against servers whose answers the tests write as bytes.

use std::collections::HashSet;
use std::io::{self, ErrorKind, IoSlice, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use base64::prelude::{BASE64_STANDARD, Engine};
use ws101::frames::violation::Violation;
use ws101::handshake::client::HandshakeError;
use ws101::{Client, Error, Limits, Message, Refusal, Stream, WebSocket};

use crate::support::{
    PATIENCE, Peer, accept_of, echo, echo_handler, in_memory, run, serve, unmasked,
};

/// The good answer; `ACCEPT` stands for what goes with the key.
const GOOD: &str = "HTTP/1.1 101 Switching Protocols\r\n\
                    Upgrade: websocket\r\n\
                    Connection: Upgrade\r\n\
                    Sec-WebSocket-Accept: ACCEPT\r\n\r\n";

/// The same, with a subprotocol.
const GOOD_CHAT: &str = "HTTP/1.1 101 Switching Protocols\r\n\
                         Upgrade: websocket\r\n\
                         Connection: Upgrade\r\n\
                         Sec-WebSocket-Accept: ACCEPT\r\n\
                         Sec-WebSocket-Protocol: chat\r\n\r\n";

/// A server for one connection, which plays its part in a thread of its own: its address, without
/// the scheme, and what the play returns.
fn play<T: Send + 'static>(
    part: impl FnOnce(Peer) -> T + Send + 'static,
) -> (String, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (address, thread::spawn(move || part(Peer::new(listener.accept().unwrap().0))))
}

/// The value of a header of a request.
fn value_of<'a>(head: &'a str, name: &str) -> &'a str {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|line| line.0 == name).unwrap_or_else(|| panic!("no {name} in {head}")).1
}

/// Reads a request, and opens a WebSocket.
fn open(peer: &mut Peer) {
    let head = peer.read_head();
    peer.write(answer_to(&head, GOOD));
}

/// An answer to this request, with the accept key in its place.
fn answer_to(head: &str, answer: &str) -> String {
    answer.replace("ACCEPT", &accept_of(value_of(head, "Sec-WebSocket-Key")))
}

/// What the client makes of this answer, behind which the stream ends.
fn answered(configure: impl FnOnce(Client) -> Client, answer: &str) -> ws101::Result<WebSocket> {
    let answer = answer.to_owned();
    let (address, server) = play(move |mut peer| {
        let head = peer.read_head();
        peer.write(answer_to(&head, &answer));
    });
    let result = configure(Client::new(format!("ws://{address}/chat"))).connect();
    server.join().unwrap();
    result
}

/// The client must reject this answer, and say these things.
#[track_caller]
fn rejects(answer: &str, status: Option<u16>, says: &[&str]) -> HandshakeError {
    match answered(|client| client, answer) {
        Err(Error::Rejected(rejection)) => {
            assert_eq!(rejection.status, status, "{answer}");
            let text = rejection.to_string();
            for part in [says, &["seen: ", "usual cause: ", "fix: "]].concat() {
                assert!(text.contains(part), "{part:?} to {answer}\n{text}");
            }
            rejection
        }
        other => panic!("{other:?} of {answer}"),
    }
}

/// Reads the client's Close, and answers it.
fn read_close(peer: &mut Peer) -> u16 {
    // §5.1: a client masks all frames.
    let (_, close) = peer.read_masked_frame();
    assert_eq!(close.first, 0x88);
    peer.write(unmasked(0x88, &close.payload));
    u16::from_be_bytes(*close.payload.first_chunk().unwrap())
}

// What it asks.

#[test]
fn client_sends_this_request_byte_for_byte() {
    let (address, server) = play(|mut peer| peer.read_head());
    let client = Client::new(format!("ws://{address}/chat?room=1&x=%20"))
        .header("Cookie", "a=b; c=\"d\"")
        .origin("http://example.com")
        .subprotocols(["chat", "superchat"]);
    client.connect().unwrap_err();
    let head = server.join().unwrap();
    let key = value_of(&head, "Sec-WebSocket-Key");
    // §4.1: 16 bytes in base64.
    assert_eq!(BASE64_STANDARD.decode(key).unwrap().len(), 16);
    assert_eq!(
        head,
        format!(
            "GET /chat?room=1&x=%20 HTTP/1.1\r\n\
             Host: {address}\r\n\
             Upgrade: websocket\r\n\
             Connection: Upgrade\r\n\
             Sec-WebSocket-Key: {key}\r\n\
             Sec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Protocol: chat, superchat\r\n\
             Cookie: a=b; c=\"d\"\r\n\
             Origin: http://example.com\r\n\r\n"
        )
    );
}

#[test]
fn client_names_the_port_in_host_unless_it_is_the_schemes() {
    for (url, first, host) in [
        ("ws://example.com", "GET / HTTP/1.1", "example.com"),
        ("ws://example.com:80/", "GET / HTTP/1.1", "example.com"),
        ("WS://Example.com:8080/Chat", "GET /Chat HTTP/1.1", "example.com:8080"),
        ("ws://example.com:443?a=/b", "GET /?a=/b HTTP/1.1", "example.com:443"),
        ("ws://[::1]:9001/", "GET / HTTP/1.1", "[::1]:9001"),
        ("ws://[::1]/", "GET / HTTP/1.1", "[::1]"),
    ] {
        let (stream, written) = in_memory(|_| Vec::new());
        Client::new(url).connect_over(stream).unwrap_err();
        let head = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        // §4.1: the port is left out where it is the default one.
        assert_eq!(head.lines().next(), Some(first));
        assert_eq!(value_of(&head, "Host"), host, "{url}");
    }
}

#[test]
fn client_takes_a_fresh_key_for_each_connection() {
    let keys: HashSet<String> = (0..50)
        .map(|_| {
            let (stream, written) = in_memory(|_| Vec::new());
            Client::new("ws://a").connect_over(stream).unwrap_err();
            let head = String::from_utf8(written.lock().unwrap().clone()).unwrap();
            value_of(&head, "Sec-WebSocket-Key").to_owned()
        })
        .collect();
    // §4.1: chosen at random for each connection.
    assert_eq!(keys.len(), 50);
}

#[test]
fn section_4_1_client_sends_nothing_more_until_its_request_is_answered() {
    // The answer comes byte by byte, and the client says nothing in between.
    let mut sent = 0;
    let (stream, written) = in_memory(move |written| {
        let end = written.windows(4).position(|four| four == b"\r\n\r\n").expect("a request") + 4;
        if sent < GOOD.len() {
            assert_eq!(written.len(), end, "it says more before it is answered");
        }
        let answer = answer_to(str::from_utf8(&written[..end]).unwrap(), GOOD);
        let byte = answer.as_bytes().get(sent).copied();
        sent += 1;
        byte.into_iter().collect()
    });
    let mut ws = Client::new("ws://example.com/chat").connect_over(stream).unwrap();
    let before = written.lock().unwrap().len();
    ws.send("now").unwrap();
    assert_eq!(written.lock().unwrap().len(), before + 2 + 4 + 3);
}

#[test]
fn client_masks_every_frame_with_a_fresh_key() {
    let (frames, pings) = (90, 9);
    let (address, server) = play(move |mut peer| {
        open(&mut peer);
        let mut keys: Vec<[u8; 4]> = Vec::new();
        for i in 0..frames + pings {
            let (key, frame) = peer.read_masked_frame();
            keys.push(key);
            match i < frames {
                true => assert_eq!((frame.first, &*frame.payload), (0x81, &b"GET / HTTP/1.1"[..])),
                false => assert_eq!((frame.first, frame.payload.len()), (0x89, 8)),
            }
        }
        let (key, close) = peer.read_masked_frame();
        assert_eq!(close.first, 0x88);
        keys.push(key);
        keys
    });
    let mut ws = ws101::connect(&format!("ws://{address}")).unwrap();
    // §10.3: a payload that looks like a request must not look so on the wire.
    (0..frames).for_each(|_| ws.send("GET / HTTP/1.1").unwrap());
    (0..pings).for_each(|_| ws.ping().unwrap());
    drop(ws);
    let keys = server.join().unwrap();
    // §5.3: a fresh one for each frame, that nobody can guess.
    assert_eq!(keys.iter().collect::<HashSet<_>>().len(), 100);
    assert!(!keys.contains(&[0; 4]));
    let steps: HashSet<u32> = keys
        .windows(2)
        .map(|pair| u32::from_be_bytes(pair[1]).wrapping_sub(u32::from_be_bytes(pair[0])))
        .collect();
    assert!(steps.len() > 90, "they are not counted up");
}

#[test]
fn client_refuses_an_invalid_address_without_dialling() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    for (url, why) in [
        ("http://ADDRESS/", "ws"),
        ("https://ADDRESS/", "ws"),
        ("ADDRESS/", "scheme"),
        ("//ADDRESS/", "scheme"),
        ("ws:ADDRESS/", "scheme"),
        // §3: no fragment.
        ("ws://ADDRESS/#a", "fragment"),
        ("ws://ADDRESS#a", "fragment"),
        ("ws://ADDRESS/a b", "space"),
        ("ws://ADDRESS/ ", "space"),
        (" ws://ADDRESS/", "scheme"),
        ("ws://ADDRESS/caf\u{e9}", "ASCII"),
        ("ws://ADDRESS/a\r\nX: y", "control character"),
        ("ws://ADDRESS/?a\r\nX: y", "control character"),
        ("ws://a\r\nX: y@ADDRESS/", "control character"),
        ("ws://ADDRESS\r\nX: y/", "control character"),
        ("ws://ADDRESS\0/", "control character"),
        ("ws:///chat", "host"),
        ("ws://", "host"),
        ("ws://:80/", "no host"),
        ("ws://user@ADDRESS/", "`Authorization: Basic`"),
        ("ws://user:password@ADDRESS/", "`Authorization: Basic`"),
        ("ws://ADDRESS:1/", "a port that is no number up to 65535"),
        ("ws://127.0.0.1:65536/", "a port that is no number up to 65535"),
        ("ws://127.0.0.1:port/", "a port that is no number up to 65535"),
        ("ws://[::1/", "neither a name nor"),
        ("ws://[1:2]/", "neither a name nor"),
        ("ws://%zz/", "neither a name nor"),
        ("ws://ADDRESS/a\"b<c>", "two hex digits"),
        ("ws://ADDRESS/%zz", "two hex digits"),
        ("ws://ADDRESS/?a[]=b", "two hex digits"),
    ] {
        let url = url.replace("ADDRESS", &address.to_string());
        match ws101::connect(&url) {
            Err(Error::Misuse(misuse)) => {
                let text = misuse.to_string();
                for part in [why, "seen: ", "usual cause: ", "fix: "] {
                    assert!(text.contains(part), "{part:?} of {url:?}\n{text}");
                }
            }
            other => panic!("{url:?}: {other:?}"),
        }
    }
    let dialled = listener.accept().map_err(|error| error.kind());
    assert!(matches!(dialled, Err(ErrorKind::WouldBlock)), "{dialled:?}");
}

#[test]
fn what_if_an_argument_of_the_client_has_a_line_break_in_it() {
    const BROKEN: &str = "a\r\nX: y";
    let client = || Client::new("ws://a");
    for client in [
        client().header(BROKEN, "b"),
        client().header("A", BROKEN),
        client().header("A", "b\n"),
        client().header("A", "b\rX: y"),
        client().header("A", "b\0"),
        client().header("A: b\r\nX", "y"),
        client().header("", "b"),
        client().origin(BROKEN),
        client().subprotocols([BROKEN]),
        client().subprotocols(["a", "b, c"]),
        client().subprotocols(["a", "a"]),
        client().subprotocols([""]),
        Client::new(format!("ws://{BROKEN}")),
        Client::new(format!("ws://a/{BROKEN}")),
        Client::new(format!("ws://a?{BROKEN}")),
        Client::new(format!("ws://{BROKEN}@a")),
        Client::new(format!("{BROKEN}://a")),
    ] {
        let (stream, written) = in_memory(|_| Vec::new());
        let result = client.clone().connect_over(stream);
        assert!(matches!(result, Err(Error::Misuse(_))), "{result:?} of {client:?}");
        assert_eq!(*written.lock().unwrap(), [], "{client:?}");
    }
}

#[test]
fn client_refuses_to_send_a_header_that_the_handshake_sets() {
    for name in ["Host", "upgrade", "CONNECTION", "Sec-WebSocket-Key", "Sec-WebSocket-Version"] {
        let (stream, written) = in_memory(|_| Vec::new());
        let result = Client::new("ws://a").header(name, "b").connect_over(stream);
        assert!(matches!(result, Err(Error::Misuse(_))), "{result:?} of {name}");
        assert_eq!(*written.lock().unwrap(), []);
    }
}

#[test]
fn what_a_client_shows_of_itself_holds_no_secret() {
    let client = Client::new("ws://a/chat?token=secret")
        .header("Authorization", "Bearer secret")
        .proxy("http://ada:secret@p:1");
    let shown = format!("{client:?}");
    assert!(shown.contains("ws://a/chat") && !shown.contains("secret"), "{shown}");
}

// What it accepts.

#[test]
fn client_accepts_a_101_in_any_case_and_order_with_other_headers() {
    for answer in [
        GOOD,
        "HTTP/1.1 101 Switching Protocols\r\n\
         server: x\r\n\
         sec-websocket-accept:ACCEPT\r\n\
         connection: keep-alive, UPGRADE\r\n\
         date: now\r\n\
         upgrade: WebSocket\r\n\r\n",
        // §4.1: the words behind the status, and white space around a value, mean nothing.
        &GOOD.replace("Switching Protocols", "Web Socket Protocol Handshake"),
        &GOOD.replace("Switching Protocols", ""),
        &GOOD.replace(" Switching Protocols", ""),
        &GOOD.replace("ACCEPT", "\t ACCEPT \t"),
        &GOOD.replace("Connection: Upgrade", "Connection: keep-alive\r\nConnection: upgrade"),
    ] {
        let ws = answered(|client| client, answer).unwrap();
        assert_eq!(ws.subprotocol(), None);
    }
}

#[test]
fn client_takes_the_subprotocol_that_the_server_chose() {
    let offer = |client: Client| client.subprotocols(["chat"]).subprotocols(["superchat"]);
    for (chosen, agreed) in
        [("chat", Some("chat")), (" superchat\t", Some("superchat")), ("", None)]
    {
        let line = format!("Sec-WebSocket-Protocol: {chosen}\r\n\r\n");
        let answer = GOOD.replace("\r\n\r\n", &format!("\r\n{line}"));
        let answer = if chosen.is_empty() { GOOD } else { &answer };
        assert_eq!(answered(offer, answer).unwrap().subprotocol(), agreed);
    }
}

#[test]
fn client_gets_a_first_message_that_came_in_one_write_with_the_101() {
    let (address, server) = play(|mut peer| {
        let head = peer.read_head();
        peer.write([answer_to(&head, GOOD).as_bytes(), &unmasked(0x81, "Hello")].concat());
        read_close(&mut peer)
    });
    let mut ws = ws101::connect(&format!("ws://{address}")).unwrap();
    assert_eq!(ws.recv().unwrap(), Some(Message::Text("Hello".into())));
    drop(ws);
    assert_eq!(server.join().unwrap(), 1000);
}

#[test]
fn client_gets_a_first_message_that_came_with_the_101_wherever_its_reads_end() {
    let whole = GOOD.len() - "ACCEPT".len() + 28 + b"\x81\x05Hello".len();
    for cut in 1..whole {
        let mut pieces = None;
        let (stream, _) = in_memory(move |request| {
            let pieces = pieces.get_or_insert_with(|| {
                let answer = answer_to(str::from_utf8(request).unwrap(), GOOD);
                let bytes = [answer.as_bytes(), &unmasked(0x81, "Hello")].concat();
                assert_eq!(bytes.len(), whole);
                [&bytes[..cut], &bytes[cut..]].map(Vec::from).into_iter()
            });
            pieces.next().unwrap_or_default()
        });
        let mut ws = Client::new("ws://a").connect_over(stream).unwrap();
        assert_eq!(ws.recv().unwrap(), Some(Message::Text("Hello".into())), "cut at {cut}");
    }
}

// What it rejects.

#[test]
fn client_rejects_a_wrong_accept_and_says_what_it_expected() {
    // Computed with a GUID that is printed in a text on the handshake.
    let wrong = "pJ85ywcJwvY/PgeG6blONiWuQUY=";
    let line = "Sec-WebSocket-Accept: ACCEPT\r\n";
    // §4.1: the one that goes with our key, and only that.
    for (lines, seen) in [
        (format!("Sec-WebSocket-Accept: {wrong}\r\n"), wrong),
        (String::new(), "none"),
        ("Sec-WebSocket-Accept:\r\n".into(), "\"\""),
        (line.repeat(2), " and "),
        (format!("{line}Sec-WebSocket-Accept: {wrong}\r\n"), wrong),
        (line.replace("ACCEPT", "ACCEPT=="), "==\""),
        (line.replace("ACCEPT", "ACCEPT, ACCEPT"), ", "),
        (line.replace("ACCEPT", "ACCEPTjunk"), "=junk\""),
        (line.replace("ACCEPT", "\"ACCEPT\""), r#"\""#),
        // The answer to the key of §1.3, to which this request is not.
        (line.replace("ACCEPT", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "s3pPLMBi"),
    ] {
        let answer = GOOD.replace(line, &lines);
        rejects(&answer, Some(101), &["Sec-WebSocket-Accept", seen, "expected"]);
    }
    // Letter case counts in base64; and what was expected is shown beside what came.
    let (address, server) = play(move |mut peer| {
        let accept = accept_of(value_of(&peer.read_head(), "Sec-WebSocket-Key"));
        peer.write(GOOD.replace("ACCEPT", &accept.to_ascii_lowercase()));
        accept
    });
    let error = ws101::connect(&format!("ws://{address}")).unwrap_err().to_string();
    let accept = server.join().unwrap();
    assert!(error.contains(&accept) && error.contains(&accept.to_ascii_lowercase()), "{error}");
}

#[test]
fn client_rejects_a_101_that_is_not_what_it_asked_for() {
    let with = |line: &str| GOOD.replace("\r\n\r\n", &format!("\r\n{line}\r\n\r\n"));
    let instead = |line: &str, other: &str| GOOD.replace(&format!("{line}\r\n"), other);
    let (upgrade, connection) = ("Upgrade: websocket", "Connection: Upgrade");
    let rows: [(String, [&str; 2]); 14] = [
        // §4.1: Upgrade is websocket.
        (instead(upgrade, ""), ["Upgrade: none", "websocket"]),
        (instead(upgrade, "Upgrade: h2c\r\n"), ["\"h2c\"", "websocket"]),
        (instead(upgrade, "Upgrade: websockets\r\n"), ["\"websockets\"", "websocket"]),
        (with(upgrade), ["\"websocket\" and \"websocket\"", "websocket"]),
        // §4.1: Connection lists Upgrade.
        (instead(connection, ""), ["Connection: none", "Upgrade"]),
        (instead(connection, "Connection: close\r\n"), ["\"close\"", "Upgrade"]),
        (instead(connection, "Connection: notupgrade\r\n"), ["\"notupgrade\"", "Upgrade"]),
        // §4.1: no extension that was not offered.
        (with("Sec-WebSocket-Extensions: permessage-deflate"), ["permessage-deflate", "none"]),
        (
            with("Sec-WebSocket-Extensions: permessage-deflate, permessage-deflate"),
            ["permessage-deflate", "none"],
        ),
        (with("sec-websocket-extensions: x-unknown"), ["x-unknown", "none"]),
        // §4.1: no subprotocol that was not offered; one at most.
        (with("Sec-WebSocket-Protocol: soap"), ["\"soap\"", "offered"]),
        (with("Sec-WebSocket-Protocol: Chat"), ["\"Chat\"", "offered"]),
        (with("Sec-WebSocket-Protocol: chat, superchat"), ["\"chat, superchat\"", "offered"]),
        (
            with("Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: chat"),
            ["\"chat\" and \"chat\"", "offered"],
        ),
    ];
    for (answer, says) in rows {
        match answered(|client| client.subprotocols(["chat", "superchat"]), &answer) {
            Err(Error::Rejected(rejection)) => {
                let text = rejection.to_string();
                assert_eq!(rejection.status, Some(101));
                for part in says {
                    assert!(text.contains(part), "{part:?} to {answer}\n{text}");
                }
            }
            other => panic!("{other:?} of {answer}"),
        }
    }
    // And none where none was offered.
    rejects(&with("Sec-WebSocket-Protocol: chat"), Some(101), &["\"chat\"", "offered"]);
}

#[test]
fn client_shows_the_status_and_the_body_of_a_server_that_opens_no_websocket() {
    for (status, words) in [
        (200, "OK"),
        (400, "Bad Request"),
        (401, "Unauthorized"),
        (403, "Forbidden"),
        (404, "Not Found"),
        (426, "Upgrade Required"),
        (500, ""),
        (503, "Service Unavailable"),
    ] {
        let first = format!("HTTP/1.1 {status} {words}");
        let body = "Read this:\nit says why.";
        let length = body.len();
        // §4.1: any status but 101 is plain HTTP, whatever else is there.
        let with_length =
            format!("{first}\r\nContent-Length: {length}\r\n\r\n{body} And not this.");
        let to_the_end = format!("{first}\r\nConnection: close\r\n\r\n{body}");
        let as_if = GOOD.replace("HTTP/1.1 101 Switching Protocols", &first) + body;
        for answer in [with_length, to_the_end, as_if] {
            let says = [&status.to_string(), words, "Read this:", "it says why."];
            let rejection = rejects(&answer, Some(status), &says);
            assert_eq!(rejection.body, body);
        }
    }
}

#[test]
fn client_waits_a_second_and_no_longer_for_a_body_that_does_not_end() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let limits = Limits { connect: 2 * PATIENCE, head: 2 * PATIENCE, ..Limits::default() };
    let client = Client::new(format!("ws://{}/", listener.local_addr().unwrap())).limits(limits);
    let refused = run(move || (Instant::now(), client.connect()));
    let mut peer = Peer::new(listener.accept().unwrap().0);
    peer.read_head();
    peer.write("HTTP/1.1 404 Not Found\r\n\r\nno such");
    let (start, refused) = refused.wait();
    assert!(start.elapsed() < PATIENCE / 2, "{:?}", start.elapsed());
    match refused {
        Err(Error::Rejected(rejection)) => assert_eq!(rejection.body, "no such"),
        other => panic!("{other:?}"),
    }
    drop(peer);
}

#[test]
fn client_does_not_wait_after_a_body_whose_length_is_announced() {
    let time = || {
        let (address, server) = play(|mut peer| {
            peer.read_head();
            peer.write("HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\nno such");
            peer.read_end();
        });
        let start = Instant::now();
        let refused = Client::new(format!("ws://{address}")).connect();
        assert!(matches!(refused, Err(Error::Rejected(_))), "{refused:?}");
        server.join().unwrap();
        start.elapsed()
    };
    // Waiting for more would take a second, each time.
    assert!((0..5).any(|_| time() < Duration::from_millis(900)));
}

#[test]
fn client_distinguishes_a_server_that_closes_from_a_stream_that_fails() {
    // Who leaves with bytes unread sends a reset.
    let (address, server) = play(|peer| peer.stream.peek(&mut [0]).unwrap());
    let left = Client::new(format!("ws://{address}")).connect();
    assert!(matches!(left, Err(Error::ConnectionLost(_))), "{left:?}");
    server.join().unwrap();
    for (kind, is_silent) in [
        (ErrorKind::WouldBlock, true),
        (ErrorKind::TimedOut, true),
        (ErrorKind::NetworkDown, false),
        (ErrorKind::Other, false),
    ] {
        let failed = Client::new("ws://a").connect_over(Failing(kind)).unwrap_err();
        match failed {
            Error::PeerTimeout => assert!(is_silent, "{kind:?}"),
            Error::ConnectionLost(error) => {
                assert!(!is_silent && error.kind() == kind, "{kind:?}: {error}")
            }
            other => panic!("{kind:?}: {other:?}"),
        }
    }
}

#[test]
#[cfg(target_os = "linux")] // Elsewhere a reset may take the unread answer with it.
fn client_reads_the_refusal_of_a_server_that_closed_before_the_request_was_written() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    stream.write_all(b"x").unwrap();
    // This server leaves a byte unread, so its end is a reset: the client can't write any more.
    let (mut server, _) = listener.accept().unwrap();
    server.peek(&mut [0]).unwrap();
    server.write_all(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n").unwrap();
    drop(server);
    match Client::new("ws://a").connect_over(stream) {
        Err(Error::Rejected(rejection)) => assert_eq!(rejection.status, Some(503)),
        other => panic!("{other:?}"),
    }
}

/// A stream that takes all, and then fails.
struct Failing(ErrorKind);

impl Stream for Failing {
    fn read(&self, _: &mut [u8]) -> io::Result<usize> {
        Err(self.0.into())
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(slices.iter().map(|slice| slice.len()).sum())
    }

    neither_timeouts_nor_shutdown!();
}

#[test]
fn client_follows_no_redirect_but_shows_where_it_leads() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let elsewhere = format!("ws://{}/", listener.local_addr().unwrap());
    for status in [301, 302, 307, 308] {
        let answer = format!("HTTP/1.1 {status} Moved\r\nLocation: {elsewhere}\r\n\r\n");
        rejects(&answer, Some(status), &[&elsewhere, "Location"]);
    }
    let dialled = listener.accept().map_err(|error| error.kind());
    assert!(matches!(dialled, Err(ErrorKind::WouldBlock)), "{dialled:?}");
}

#[test]
fn client_shows_what_a_ws101_server_teaches() {
    let configure = |server: ws101::Server| {
        server.authorize(|request| match request.header("X-Token") {
            Some("let-me-in") => Ok(()),
            _ => Err(Refusal::because(401, "A token is needed.")),
        })
    };
    let server = serve(configure, echo_handler);
    let error = |client: Client| client.connect().unwrap_err().to_string();
    let client = || Client::new(server.url());
    assert!(error(client()).contains("A token is needed."));
    assert!(error(client().origin("http://evil.example")).contains("`origins`"));
    client().header("X-Token", "let-me-in").connect().unwrap();
}

#[test]
fn what_if_a_body_is_long_or_made_for_a_terminal() {
    let endless = "x".repeat(1024 * 1024);
    for answer in [
        format!("HTTP/1.1 500 No\r\n\r\n{endless}"),
        format!("HTTP/1.1 500 No\r\nContent-Length: {}\r\n\r\n{endless}", endless.len()),
        format!("HTTP/1.1 500 No\r\nContent-Length: 99999999999999999999\r\n\r\n{endless}"),
    ] {
        let (address, server) = play(move |mut peer| {
            peer.read_head();
            // The client leaves before the end.
            let _ = peer.stream.write_all(answer.as_bytes());
        });
        match ws101::connect(&format!("ws://{address}")) {
            Err(Error::Rejected(rejection)) => assert_eq!(rejection.body.len(), 4096),
            other => panic!("{other:?}"),
        }
        server.join().unwrap();
    }
    let rejection =
        rejects("HTTP/1.1 500 \u{1b}x\r\n\r\nred: \u{1b}[31m bell: \u{7}", None, &["0x1b"]);
    assert_eq!(rejection.body, "");
    let rejection = rejects("HTTP/1.1 500 No\r\n\r\n\u{1b}[31mred\u{7}", Some(500), &["red"]);
    assert!(!rejection.to_string().contains(['\u{1b}', '\u{7}']));
}

#[test]
fn client_rejects_an_answer_that_is_not_http() {
    for (answer, seen) in [
        ("SSH-2.0-OpenSSH_9.6\r\n\r\n", "SSH-2.0-OpenSSH_9.6"),
        ("RTSP/1.0 200 OK\r\n\r\n", "RTSP/1.0 200 OK"),
        ("HTTP/2.0 101 Switching Protocols\r\n\r\n", "HTTP/2.0 101"),
        ("HTTP/1.1 1O1 Switching Protocols\r\n\r\n", "HTTP/1.1 1O1"),
        ("HTTP/1.1 1010 Switching Protocols\r\n\r\n", "HTTP/1.1 1010"),
        ("HTTP/1.1 +10 Switching Protocols\r\n\r\n", "HTTP/1.1 +10"),
        ("HTTP/1.1  101 Switching Protocols\r\n\r\n", "HTTP/1.1  101"),
        ("HTTP/1.1 \r\n\r\n", "HTTP/1.1 "),
        ("\r\n\r\n", "\"\""),
        ("220 mail.example ESMTP\n", "0x0a"),
        ("hello\0", "0x00"),
        // A server of TLS answers with an alert.
        ("\u{15}\u{3}\u{3}\0\u{2}\u{2}F", "0x15"),
    ] {
        rejects(answer, None, &[seen, "TLS"]);
    }
}

#[test]
fn client_rejects_a_head_that_is_too_large() {
    let long = GOOD.replace("\r\n\r\n", &format!("\r\nA: {}", "b".repeat(17 * 1024)));
    let says = ["The head of an answer", "max_head"];
    rejects(&long, None, &[&says[..], &["16384 bytes"]].concat());
    let many = GOOD.replace("\r\n\r\n", &"\r\nA: b".repeat(200));
    rejects(&many, None, &[&says[..], &["100 lines"]].concat());
}

#[test]
fn client_says_of_an_answer_with_bare_lfs_that_its_lines_end_with_cr_lf() {
    for answer in [GOOD.replace("\r\n", "\n"), GOOD.replacen("\r\n", "\n", 1)] {
        rejects(&answer, None, &["ends with CR LF", "0x0a", "`\\r\\n`"]);
    }
}

#[test]
fn client_takes_a_folded_line_for_more_of_the_line_before_it() {
    // RFC 9112 §5.2: a user agent replaces it by spaces.
    answered(|client| client, &GOOD.replace("websocket\r\n", "websocket\r\nX: a\r\n\t b\r\n"))
        .unwrap();
    let folded = GOOD.replace("Upgrade: websocket", "Upgrade: websocket\r\n h2c");
    rejects(&folded, Some(101), &["\"websocket h2c\""]);
    rejects(&GOOD.replace("Upgrade: websocket", " Upgrade: websocket"), None, &["white space"]);
}

#[test]
fn client_shows_a_chunked_body_without_its_chunks() {
    let head = "HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n";
    let answer = format!("{head}9;a=b\r\nRead this\r\n11\r\n: it says why. Ok\r\n0\r\n\r\n");
    let rejection = rejects(&answer, Some(403), &["Read this: it says why. Ok"]);
    assert_eq!(rejection.body, "Read this: it says why. Ok");
}

#[test]
fn client_waits_for_no_body_that_has_ended_or_can_not_come() {
    for answer in [
        "HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n",
        "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
    ] {
        let time = || {
            let (address, server) = play(move |mut peer| {
                peer.read_head();
                peer.write(answer);
                // The connection is kept alive.
                peer.read_end();
            });
            let start = Instant::now();
            let refused = Client::new(format!("ws://{address}")).connect();
            assert!(matches!(refused, Err(Error::Rejected(_))), "{refused:?}");
            server.join().unwrap();
            start.elapsed()
        };
        // Waiting for more would take a second, each time.
        assert!((0..5).any(|_| time() < Duration::from_millis(900)), "{answer}");
    }
}

#[test]
fn client_says_what_a_304_is_and_sends_nobody_elsewhere() {
    let rejection = rejects("HTTP/1.1 304 Not Modified\r\n\r\n", Some(304), &["304 Not Modified"]);
    assert!(!rejection.to_string().contains("moved"), "{rejection}");
}

#[test]
fn client_names_the_host_that_is_not_found() {
    // RFC 6761 §6.4: no name under `.invalid` is ever found.
    let error = ws101::connect("ws://no-such-host.invalid/").unwrap_err();
    assert!(matches!(error, Error::Io(_)), "{error:?}");
    assert!(error.to_string().contains("\"no-such-host.invalid\""), "{error}");
}

#[test]
#[cfg(target_os = "linux")] // Its loopback interface has the number 1.
fn client_dials_an_address_with_a_zone_and_keeps_the_zone_to_itself() {
    let Ok(listener) = TcpListener::bind("[::1]:0") else { return };
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || Peer::new(listener.accept().unwrap().0).read_head());
    ws101::connect(&format!("ws://[::1%251]:{port}/")).unwrap_err();
    assert_eq!(value_of(&server.join().unwrap(), "Host"), format!("[::1]:{port}"));
}

#[test]
fn client_gives_up_a_silent_server_after_its_time_for_connecting_and_not_that_for_a_head() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", silent.local_addr().unwrap());
    let time = Duration::from_millis(200);
    let limits = Limits { connect: time, head: 10 * PATIENCE, ..Limits::default() };
    let start = Instant::now();
    let result = Client::new(url).limits(limits).connect();
    assert!(matches!(result, Err(Error::PeerTimeout)), "{result:?}");
    assert!((time..PATIENCE / 2).contains(&start.elapsed()), "{:?}", start.elapsed());

    let limits = Limits { head: Duration::ZERO, ..Limits::default() };
    let server = echo();
    drop(Client::new(server.url()).limits(limits).connect().unwrap());
}

#[test]
fn client_gives_up_a_head_that_does_not_end_in_time_however_it_dribbles() {
    for dribbles in [false, true] {
        let (address, server) = play(move |mut peer| {
            peer.read_head();
            peer.write("HTTP/1.1 101 Switching Protocols\r\nA: ");
            let pace = if dribbles { Duration::from_millis(5) } else { PATIENCE };
            peer.stream.set_read_timeout(Some(pace)).unwrap();
            // Until the client leaves: that read is the only one that doesn't run out of time.
            let start = Instant::now();
            let is_timeout = |error: io::Error| {
                matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
            };
            while start.elapsed() < PATIENCE && peer.stream.read(&mut [0]).is_err_and(is_timeout) {
                let _ = peer.stream.write_all(b"b");
            }
        });
        let limits = Limits { connect: Duration::from_millis(200), ..Limits::default() };
        let start = Instant::now();
        let result = Client::new(format!("ws://{address}")).limits(limits).connect();
        assert!(matches!(result, Err(Error::PeerTimeout)), "{result:?}");
        assert!(start.elapsed() < PATIENCE / 2, "{:?}", start.elapsed());
        server.join().unwrap();
    }
}

#[test]
fn client_opens_nothing_where_the_stream_ends_in_the_head() {
    let whole = GOOD.replace("ACCEPT", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    for end in [0, 1, 12, 34, whole.len() - 2, whole.len() - 1] {
        let result = answered(|client| client, &whole[..end]);
        let opens_nothing = matches!(result, Err(Error::ConnectionLost(_) | Error::Rejected(_)));
        assert!(opens_nothing, "after {end} bytes: {result:?}");
    }
}

#[test]
fn client_says_of_an_end_in_the_head_that_the_handshake_was_not_answered() {
    let error = answered(|client| client, "").unwrap_err().to_string();
    assert!(!error.contains("ws.close"), "there is no WebSocket to close yet: {error}");
    assert!(error.contains("handshake"), "{error}");
}

#[test]
fn client_calls_a_server_that_ends_before_a_whole_head_lost_and_not_another() {
    for answer in ["", "HTT", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: web"] {
        let error = answered(|client| client, answer).unwrap_err();
        let Error::ConnectionLost(lost) = &error else { panic!("{answer:?}: {error:?}") };
        assert_eq!(lost.kind(), ErrorKind::UnexpectedEof);
        assert!(!error.to_string().contains("not HTTP"), "{error}");
    }
}

#[test]
fn client_says_of_a_server_that_greets_and_leaves_what_it_said() {
    // So SSH answers a request.
    let banner = "SSH-2.0-OpenSSH_9.6\r\nInvalid SSH identification string.\r\n";
    let error = answered(|client| client, banner).unwrap_err().to_string();
    assert!(error.contains("SSH-2.0-OpenSSH_9.6"), "{error}");
}

#[test]
fn client_says_of_a_server_that_greets_and_waits_what_it_said() {
    let (address, server) = play(|mut peer| {
        // So SMTP answers a request.
        peer.write("220 mail.example ESMTP\r\n500 unknown command\r\n");
        while peer.stream.read(&mut [0; 1024]).is_ok_and(|count| count > 0) {}
    });
    let limits = Limits { connect: Duration::from_secs(2), ..Limits::default() };
    let error = Client::new(format!("ws://{address}")).limits(limits).connect().unwrap_err();
    assert!(matches!(error, Error::Rejected(_)), "{error}");
    assert!(error.to_string().contains("220 mail.example ESMTP"), "{error}");
    server.join().unwrap();
}

/// An address at which nothing listens. It's a client's own, so no other program gets its port while the
/// second value is held.
fn address_without_server() -> (SocketAddr, impl Sized) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client.local_addr().unwrap(), (client, listener))
}

#[test]
fn client_says_which_address_it_could_not_reach() {
    let (unused, _held) = address_without_server();
    match ws101::connect(&format!("ws://{unused}")) {
        Err(Error::Io(error)) => {
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
            assert!(error.to_string().contains(&unused.to_string()), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn client_fails_a_masked_frame_with_1002_that_the_server_sees() {
    let (address, server) = play(|mut peer| {
        open(&mut peer);
        // The masked "Hello" of §5.7, and more behind it.
        peer.write(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\x81\x05Hello");
        let code = read_close(&mut peer);
        peer.read_end();
        code
    });
    let mut ws = ws101::connect(&format!("ws://{address}")).unwrap();
    let error = ws.recv().unwrap_err();
    assert!(matches!(error, Error::Violation(Violation::Masked)), "{error}");
    // §5.1: a client closes then; nothing more is delivered.
    assert!(matches!(ws.recv(), Ok(None) | Err(_)));
    drop(ws);
    assert_eq!(server.join().unwrap(), 1002);
}

// The example `05_client`, as a process.

/// Runs the example on this input, which ends; or on none, which does not end before the example.
fn run_example(arguments: &[&str], input: Option<&str>) -> Output {
    let this_test = std::env::current_exe().unwrap();
    let name = format!("examples/05_client{}", std::env::consts::EXE_SUFFIX);
    let example = this_test.ancestors().nth(2).unwrap().join(name);
    let mut command = Command::new(&example);
    command.args(arguments).env_remove("RUST_LOG");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap_or_else(|error| {
        panic!("{example:?}, which `cargo test` builds, and `cargo test --test` does not: {error}")
    });
    let mut stdin = process.stdin.take();
    if let Some(input) = input {
        stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    }
    let output = run(move || process.wait_with_output().unwrap()).wait();
    drop(stdin);
    output
}

/// What the example said on standard error when it failed, as it must.
#[track_caller]
fn fails(output: Output) -> String {
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(output.stdout, b"");
    said
}

#[test]
fn example_client_prints_the_echo_of_each_line_and_exits_with_0() {
    let server = echo();
    let input = "hello\ncaf\u{e9}\n\nlast";
    let output = run_example(&[&server.url()], Some(input));
    let (text, said) = (String::from_utf8(output.stdout), String::from_utf8(output.stderr));
    assert_eq!((output.status.code(), text.unwrap()), (Some(0), format!("{input}\n")));
    assert!(said.unwrap().contains("1000"));
}

#[test]
fn example_client_sends_its_options_and_prints_what_comes_until_the_server_closes() {
    let (address, server) = play(|mut peer| {
        let head = peer.read_head();
        peer.write(GOOD_CHAT.replace("ACCEPT", &accept_of(value_of(&head, "Sec-WebSocket-Key"))));
        peer.write([unmasked(0x82, [1, 2, 0xff]), unmasked(0x88, b"\x0f\xa0bye")].concat());
        assert_eq!(peer.read_masked_frame().1.payload, b"\x0f\xa0bye");
        head
    });
    let url = format!("ws://{address}/chat");
    let options = ["--origin", "http://a", "--protocol", "chat", "--header", "X-Token: a: b"];
    let output = run_example(&[&[&*url], &options[..]].concat(), None);
    let head = server.join().unwrap();
    for (name, value) in
        [("Origin", "http://a"), ("Sec-WebSocket-Protocol", "chat"), ("X-Token", "a: b")]
    {
        assert_eq!(value_of(&head, name), value);
    }
    let (text, said) = (String::from_utf8(output.stdout), String::from_utf8(output.stderr));
    assert_eq!((output.status.code(), text.unwrap()), (Some(0), "3 bytes: [01, 02, ff]\n".into()));
    let said = said.unwrap();
    assert!(said.contains("4000") && said.contains("bye"), "{said}");
}

#[test]
fn example_client_shows_nothing_that_moves_the_terminal() {
    let (address, server) = play(|mut peer| {
        open(&mut peer);
        let title = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{202e}";
        peer.write(
            [unmasked(0x81, title), unmasked(0x88, b"\x0f\xa0\x1b[2J\xe2\x80\xae")].concat(),
        );
        peer.read_masked_frame();
    });
    let output = run_example(&[&format!("ws://{address}")], None);
    server.join().unwrap();
    let (text, said) = (String::from_utf8(output.stdout), String::from_utf8(output.stderr));
    let (text, said) = (text.unwrap(), said.unwrap());
    assert_eq!(text, "\\u{1b}]0;owned\\u{7}\\u{1b}[2J\\u{202e}\n");
    assert!(said.contains("4000") && !said.contains(['\u{1b}', '\u{202e}']), "{said:?}");
}

#[test]
fn example_client_says_why_it_could_not_connect_and_exits_with_1() {
    let server = echo();
    let url = server.url();
    let (unused, _held) = address_without_server();
    let nobody = format!("ws://{unused}");
    for (arguments, says) in [
        (&[][..], "usage: 05_client URL"),
        (&["--origin", "http://a"], "usage: 05_client URL"),
        (&[&*url, "--origin"], "usage: 05_client URL"),
        (&[&url, "--unknown", "a"], "usage: 05_client URL"),
        (&[&url, "--header", "no colon"], "usage: 05_client URL"),
        (&["http://127.0.0.1:1"], "ws://host[:port]"),
        (&[&nobody], "refused"),
        // The server's own words.
        (&[&url, "--origin", "http://evil.example"], "`origins`"),
        (&[&url, "--header", "Content-Length: 5"], "not done"),
        (&[&url, "--protocol", "a b"], "\"a b\""),
    ] {
        let said = fails(run_example(arguments, None));
        assert!(said.contains(says), "{says:?} to {arguments:?}\n{said}");
    }
}

#[test]
fn example_client_says_that_the_connection_was_lost_and_exits_with_1() {
    // The server leaves without a Close.
    let (address, server) = play(|mut peer| open(&mut peer));
    let said = fails(run_example(&[&format!("ws://{address}")], None));
    server.join().unwrap();
    assert!(said.contains("without a Close"), "{said}");
}

#[test]
fn client_passes_over_interim_answers() {
    // RFC 9110 §15.2: they come before the answer, and may have headers.
    for interim in [
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
    ] {
        answered(|client| client, &format!("{interim}{GOOD}")).unwrap();
        let end = answered(|client| client, interim).unwrap_err();
        assert!(matches!(end, Error::ConnectionLost(_)), "{end:?}");
    }
}

#[test]
fn client_takes_no_101_of_http_1_0_and_says_that_it_has_no_upgrades() {
    let says = ["HTTP/1.0 101", "HTTP/1.0 has no upgrades"];
    rejects(&GOOD.replace("HTTP/1.1", "HTTP/1.0"), Some(101), &says);
}

#[test]
fn client_has_one_origin_the_last_that_was_said() {
    let (address, server) = play(|mut peer| peer.read_head());
    let client = Client::new(format!("ws://{address}/?")).header("origin", "http://a");
    client.origin("http://b").origin("http://c").connect().unwrap_err();
    let head = server.join().unwrap();
    assert!(head.starts_with("GET / HTTP/1.1\r\n"), "an empty query is none: {head}");
    assert_eq!(head.to_lowercase().matches("origin:").count(), 1, "{head}");
    assert!(head.contains("Origin: http://c\r\n"), "{head}");
}
