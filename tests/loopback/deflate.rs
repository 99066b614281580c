//! Compression, as a peer sees it on the wire.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use ws101::{
    Client, DeflateConfig, Error, Limits, Message, MessageKind, PreparedMessage, Server,
    Uncompressed, WebSocket,
};

use crate::support::{App, BOTH_SIDES, Frame, PATIENCE, Peer, Side};
use crate::support::{
    accept_of, echo_handler, head, masked, request, run, serve, switching_protocols, unmasked,
};

/// Compresses everything, however small.
const ALL: DeflateConfig = DeflateConfig { from: 0, ..DeflateConfig::DEFAULT };
/// The time for closing is longer than any test, because a peer that still writes may need it.
const LIMITS: fn() -> Limits =
    || Limits { max_message: 100_000, close: 2 * PATIENCE, ..Limits::default() };

/// The samples of RFC 7692 §7.2.3: "Hello", and again, out of the window.
const HELLO: &[u8] = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
const AGAIN: &[u8] = b"\xf2\x00\x11\x00\x00";

/// The 101 with this line, for the request with that head.
fn answer(request: &str, extensions: &str) -> String {
    let key = request.split("Sec-WebSocket-Key: ").nth(1).unwrap().split("\r\n").next().unwrap();
    let accept = format!("Sec-WebSocket-Accept: {}", accept_of(key));
    let extensions = format!("Sec-WebSocket-Extensions: {extensions}");
    let lines = ["Upgrade: websocket", "Connection: Upgrade", &accept, &extensions];
    head("HTTP/1.1 101 Switching Protocols", &lines)
}

/// The other end of a compressed connection.
struct Wire {
    peer: Peer,
    side: Side,
}

/// A compressed connection, whose side under test runs an application.
fn open<T: Send + 'static>(
    side: Side,
    app: impl FnOnce(WebSocket) -> T + Send + 'static,
) -> (Wire, App<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (mut peer, app) = match side {
        Side::Server => {
            let app = run(move || {
                let stream = listener.accept().unwrap().0;
                app(Server::without_listener()
                    .limits(LIMITS())
                    .deflate(ALL)
                    .accept(stream)
                    .unwrap())
            });
            let mut peer = Peer::new(TcpStream::connect(address).unwrap());
            peer.write(request(&["Sec-WebSocket-Extensions: permessage-deflate"]));
            (peer, app)
        }
        Side::Client => {
            let client = Client::new(format!("ws://{address}")).limits(LIMITS()).deflate(ALL);
            let app = run(move || app(client.connect().unwrap()));
            (Peer::new(listener.accept().unwrap().0), app)
        }
    };
    let head = peer.read_head();
    match side {
        Side::Server => assert!(head.contains("Sec-WebSocket-Extensions: permessage-deflate\r\n")),
        Side::Client => peer.write(answer(&head, "permessage-deflate")),
    }
    (Wire { peer, side }, app)
}

impl Wire {
    fn send(&mut self, first: u8, payload: &[u8]) {
        self.peer.write(match self.side {
            Side::Server => masked(first, payload),
            Side::Client => unmasked(first, payload),
        });
    }

    fn read(&mut self) -> Frame {
        match self.side {
            Side::Server => self.peer.read_frame(),
            Side::Client => self.peer.read_masked_frame().1,
        }
    }

    /// The code of the Close that comes next, and last.
    fn read_close(mut self) -> u16 {
        let frame = self.read();
        assert_eq!(frame.first, 0x88, "{frame:02x?} is no Close");
        self.peer.read_end();
        u16::from_be_bytes(*frame.payload.first_chunk().unwrap())
    }
}

/// What the compressed payloads of several messages say, one behind the other.
fn inflated(payloads: &[Vec<u8>]) -> Vec<u8> {
    let mut zip = flate2::Decompress::new(false);
    let mut out = Vec::with_capacity(1_000);
    for payload in payloads {
        let payload = [&payload[..], &[0, 0, 0xff, 0xff]].concat();
        zip.decompress_vec(&payload, &mut out, flate2::FlushDecompress::None).unwrap();
    }
    out
}

#[test]
fn section_7_2_3_both_sides_read_and_write_the_samples() {
    for side in BOTH_SIDES {
        let (mut wire, app) = open(side, echo_handler);
        wire.send(0xc1, HELLO);
        assert_eq!(wire.read(), Frame { first: 0xc1, payload: HELLO.into() });
        wire.send(0xc1, AGAIN);
        let mut echoes = vec![HELLO.to_vec(), wire.read().payload];
        // In fragments, with a ping in between, which is never compressed.
        wire.send(0x41, &HELLO[..3]);
        wire.send(0x89, b"?");
        assert_eq!(wire.read(), Frame { first: 0x8a, payload: b"?".into() });
        wire.send(0x80, &HELLO[3..]);
        echoes.push(wire.read().payload);
        // As it is.
        wire.send(0x81, b"Hello");
        echoes.push(wire.read().payload);
        // Each compressor has its own words for it, but the window makes them fewer.
        assert!(echoes[1..].iter().all(|payload| payload.len() < HELLO.len()), "{echoes:02x?}");
        assert_eq!(inflated(&echoes), b"HelloHelloHelloHello");
        wire.send(0x88, &[3, 232]);
        assert_eq!(wire.read_close(), 1000);
        app.wait().unwrap();
    }
}

#[test]
fn section_7_2_3_4_both_sides_read_on_after_a_last_block() {
    for side in BOTH_SIDES {
        let (mut wire, app) = open(side, |mut ws| (0..3).map(|_| ws.recv().unwrap()).collect());
        wire.send(0xc1, b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00");
        wire.send(0xc1, b"\xf3\x48\xcd\xc9\xc9\x07\x00");
        wire.send(0xc1, AGAIN);
        wire.peer.finish();
        let hello = Some(Message::Text("Hello".into()));
        let heard: Vec<_> = app.wait();
        assert_eq!(heard, [hello.clone(), hello.clone(), hello]);
    }
}

#[test]
fn section_7_2_2_both_sides_fail_a_message_that_is_cut_with_1007() {
    for side in BOTH_SIDES {
        for end in 0..HELLO.len() {
            let (mut wire, app) = open(side, |mut ws| ws.recv());
            wire.send(0xc1, &HELLO[..end]);
            assert_eq!(wire.read_close(), 1007, "{end} bytes at the {side:?}");
            assert!(matches!(app.wait(), Err(Error::Violation(_))));
        }
    }
}

#[test]
fn section_10_4_both_sides_fail_a_bomb_with_1009_as_soon_as_it_is_over_the_limit() {
    let mut bomb = Vec::new();
    let mut zip = flate2::Compress::new(flate2::Compression::best(), false);
    bomb.reserve(20_000);
    zip.compress_vec(&vec![0; 2_000_000], &mut bomb, flate2::FlushCompress::Sync).unwrap();
    for side in BOTH_SIDES {
        for fragments in [1, 100] {
            let (mut wire, app) = open(side, |mut ws| ws.recv());
            let size = bomb.len() / fragments;
            for (i, piece) in bomb.chunks(size).take(fragments).enumerate() {
                let first = if i == 0 { 0x42 } else { 0x00 };
                let frame = match side {
                    Side::Server => masked(first, piece),
                    Side::Client => unmasked(first, piece),
                };
                // It may have been closed by now.
                let _ = wire.peer.stream.write_all(&frame);
            }
            wire.peer.finish();
            assert_eq!(wire.read_close(), 1009, "{fragments} fragments at the {side:?}");
            assert!(matches!(app.wait(), Err(Error::Violation(_))));
        }
    }
}

/// An empty block without compression: five bytes that inflate to nothing.
const EMPTY: [u8; 5] = [0, 0, 0, 0xff, 0xff];

#[test]
fn section_10_4_both_sides_bound_what_comes_in_of_a_compressed_message_that_inflates_to_nothing() {
    // Twice the limit, a KiB, and 16 bytes for the one fragment.
    let most = 2 * LIMITS().max_message as usize + 1024 + 16;
    let mut exact = EMPTY.repeat((most - HELLO.len()) / EMPTY.len());
    // What is missing: empty blocks of 10 bits, four of them in five bytes.
    assert_eq!(exact.len() + HELLO.len(), most - 3);
    exact.extend_from_slice(HELLO);
    for side in BOTH_SIDES {
        let (mut wire, app) = open(side, |mut ws| (ws.recv(), ws.recv()));
        wire.send(0xc1, &exact);
        // 2.4 GiB in one frame: told from its header alone.
        let length = 2_400_u64 << 20;
        let mask = if side == Side::Server { 0x80 } else { 0 };
        wire.peer.write([&[0xc2, mask | 127][..], &length.to_be_bytes(), &[0; 4]].concat());
        assert_eq!(wire.read_close(), 1009, "at the {side:?}");
        let (message, refused) = app.wait();
        assert_eq!(message.unwrap().unwrap().as_text(), Some("Hello"));
        assert!(matches!(refused, Err(Error::Violation(_))));

        // In fragments: told once their sum is too much.
        let (mut wire, app) = open(side, |mut ws| ws.recv());
        let empties = EMPTY.repeat(2_000);
        let sent = (0..).take_while(|i| {
            let first = if *i == 0 { 0x42 } else { 0x00 };
            let frame = match side {
                Side::Server => masked(first, &empties),
                Side::Client => unmasked(first, &empties),
            };
            *i < 100 && wire.peer.stream.write_all(&frame).is_ok()
        });
        assert!(sent.count() >= 20, "the limit allows so many");
        wire.peer.finish();
        assert_eq!(wire.read_close(), 1009, "fragments at the {side:?}");
        assert!(matches!(app.wait(), Err(Error::Violation(_))));
    }
}

#[test]
fn section_6_1_both_sides_fail_rsv1_where_it_has_no_meaning_with_1002() {
    for side in BOTH_SIDES {
        for first in [0xc9, 0xca, 0xc8, 0xc0, 0x40] {
            let (mut wire, app) = open(side, |mut ws| ws.recv());
            wire.send(0x41, HELLO);
            wire.send(first, b"");
            assert_eq!(wire.read_close(), 1002, "{first:#x} at the {side:?}");
            assert!(app.wait().is_err());
        }
    }
}

#[test]
fn server_that_did_not_agree_fails_rsv1_with_1002() {
    let server = serve(|server| server.deflate(ALL), echo_handler);
    for offer in ["x-other", "permessage-deflate; server_max_window_bits=8"] {
        let mut peer = server.dial();
        peer.write(request(&[&format!("Sec-WebSocket-Extensions: {offer}")]));
        assert_eq!(peer.read_response().header("sec-websocket-extensions"), None);
        peer.write(masked(0xc1, HELLO));
        assert_eq!(peer.read_close(), 1002);
    }
}

#[test]
fn server_answers_the_first_offer_that_it_can_keep() {
    let server = serve(|server| server.deflate(ALL), echo_handler);
    for (offer, answer) in [
        ("permessage-deflate; bogus=1, permessage-deflate", "permessage-deflate"),
        ("permessage-deflate; client_max_window_bits", "permessage-deflate"),
        (
            "permessage-deflate; server_max_window_bits=8, permessage-deflate; server_max_window_bits=\"9\"",
            "permessage-deflate; server_max_window_bits=9",
        ),
    ] {
        let mut peer = server.dial();
        peer.write(request(&[&format!("Sec-WebSocket-Extensions: {offer}")]));
        assert_eq!(peer.read_response().header("sec-websocket-extensions"), Some(answer));
    }
    let mut peer = server.dial();
    peer.write(request(&["Sec-WebSocket-Extensions: permessage-deflate; x=\""]));
    let response = peer.read_response();
    assert_eq!(response.status, 400);
    assert!(response.body.contains("RFC 6455 §9.1"), "{}", response.body);
}

#[test]
fn client_fails_on_an_answer_that_it_did_not_offer() {
    for (settings, extensions) in [
        (None, "permessage-deflate"),
        (Some(ALL), "permessage-deflate, permessage-deflate"),
        (Some(ALL), "permessage-deflate; server_max_window_bits=16"),
        (Some(ALL), "permessage-deflate; client_max_window_bits"),
        (Some(DeflateConfig { server_max_window_bits: 10, ..ALL }), "permessage-deflate"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = Client::new(format!("ws://{}", listener.local_addr().unwrap()));
        if let Some(settings) = settings {
            client = client.deflate(settings);
        }
        let app = run(move || client.connect().map(|_| ()));
        let mut peer = Peer::new(listener.accept().unwrap().0);
        let request = peer.read_head();
        assert_eq!(request.contains("permessage-deflate"), settings.is_some());
        peer.write(answer(&request, extensions));
        let error = app.wait().unwrap_err();
        assert!(matches!(&error, Error::Rejected(_)), "{extensions}: {error}");
        assert!(error.to_string().contains("Sec-WebSocket-Extensions"), "{error}");
    }
}

/// §9.1: what is only offered is not used.
#[test]
fn client_compresses_nothing_that_the_server_did_not_agree_to() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = Client::new(format!("ws://{}", listener.local_addr().unwrap())).deflate(ALL);
    let app = run(move || client.connect()?.send("Hello"));
    let mut peer = Peer::new(listener.accept().unwrap().0);
    let request = peer.read_head();
    assert!(request.contains("Sec-WebSocket-Extensions: permessage-deflate"));
    let answer = switching_protocols(&request);
    peer.write(answer);
    assert_eq!(peer.read_masked_frame().1, Frame { first: 0x81, payload: b"Hello".into() });
    drop(peer);
    app.wait().unwrap();
}

#[test]
fn settings_that_cannot_be_kept_are_refused_before_anything_is_dialled_or_accepted() {
    let bad = DeflateConfig { server_max_window_bits: 8, ..ALL };
    let dialled = Client::new("ws://127.0.0.1:1").deflate(bad).connect();
    assert!(matches!(dialled, Err(Error::Misuse(_))));
    let served = Server::bind("127.0.0.1:0").unwrap().deflate(bad).serve(|_| Ok(()));
    assert!(matches!(served, Err(Error::Misuse(_))));
}

/// Both of our roles, with any parameters, with every way to send.
#[test]
fn both_sides_understand_each_other_with_all_parameters_and_all_ways_of_sending() {
    let long: String = (0..10_000).map(|i| format!("{i} ")).collect();
    for (bits, takeover) in [(15, true), (15, false), (9, true), (9, false), (12, true)] {
        let settings = DeflateConfig {
            server_no_context_takeover: !takeover,
            client_no_context_takeover: !takeover,
            server_max_window_bits: bits,
            client_max_window_bits: bits,
            ..DeflateConfig::DEFAULT
        };
        let server = serve(|server| server.deflate(settings), echo_handler);
        let client = Client::new(server.url()).deflate(settings);
        let mut ws = client.connect().unwrap();
        let sender = ws.sender();
        let outbox = ws.outbox(10).unwrap();
        let prepared = PreparedMessage::new(&*long);
        for round in 0..2 {
            ws.send(&*long).unwrap();
            sender.send(Uncompressed(&*long)).unwrap();
            ws.feed("short").unwrap();
            ws.send(&prepared).unwrap();
            outbox.try_send(&prepared).unwrap();
            for expected in [&*long, &long, "short", &long, &long] {
                let message = ws.recv().unwrap().unwrap();
                assert!(message.as_text() == Some(expected), "{settings:?}, round {round}");
            }
            let mut writer = ws.send_stream(MessageKind::Text).unwrap();
            writer.write_all(long.as_bytes()).unwrap();
            writer.finish().unwrap();
            let mut read = String::new();
            ws.recv_stream().unwrap().unwrap().read_to_string(&mut read).unwrap();
            assert!(read == long, "{settings:?}, round {round}");
        }
        ws.close(1000, "").unwrap();
        // Two of ten times the long one went as it is; it always came back compressed.
        let counters = server.handle.counters();
        assert!(counters.bytes_in < 7 * long.len() as u64, "{counters:?}");
        assert!(counters.bytes_out < 5 * long.len() as u64, "{counters:?}");
    }
}

/// Not a test: it measures what src/walkthrough/figures.md says of memory. Linux tells; others need not.
#[test]
#[ignore = "measures, and wants the process to itself"]
fn cost_of_what_a_compressed_connection_holds() {
    use ws101::frames::{deflate, header::Role};
    use ws101::handshake::deflate_params::DeflateParams;
    const COUNT: usize = 200;
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap()
    };
    let message: String = (0..20_000).map(|i| format!("{i} ")).collect();
    // What is given back would be taken again, and not be seen.
    let mut kept = Vec::new();
    for bits in [15, 9] {
        let params = DeflateParams {
            server_max_window_bits: Some(bits),
            client_max_window_bits: Some(bits),
            ..DeflateParams::default()
        };
        let new = |_| deflate::inflater_and_deflater(Role::Server, Some((params, ALL)), u64::MAX);
        let payload = new(0).1.unwrap().deflate(message.as_bytes(), true);
        let mut halves: Vec<_> = (1..=COUNT).map(new).collect();
        let start = resident();
        for (_, deflater) in &mut halves {
            deflater.as_mut().unwrap().deflate(message.as_bytes(), true);
        }
        println!("{bits} bits: a compressor {} KiB", (resident() - start) / COUNT);
        let start = resident();
        for (inflater, _) in &mut halves {
            inflater.as_mut().unwrap().inflate(&payload, |_| Ok(())).unwrap();
        }
        println!("{bits} bits: an inflater and its window {} KiB", (resident() - start) / COUNT);
        kept.push(halves);
    }
}

#[test]
fn section_7_2_3_6_both_sides_read_an_empty_message_of_one_byte_and_fail_none_with_1007() {
    for side in BOTH_SIDES {
        let (mut wire, app) = open(side, |mut ws| {
            let first = ws.recv().unwrap();
            (first, ws.recv().unwrap_err())
        });
        wire.send(0xc1, b"\x00");
        // As test suites of other projects send it. zlib never does.
        wire.send(0xc1, b"");
        assert_eq!(wire.read_close(), 1007, "{side:?}");
        let (first, error) = app.wait();
        assert_eq!(first, Some(Message::Text(String::new())), "{side:?}");
        assert!(matches!(error, Error::Violation(_)), "{error:?}");
    }
}
