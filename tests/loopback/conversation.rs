//! Frames and messages, as a peer sees them, at either side of a connection.
//!
//! The peer is bytes on a socket. At the other end is, unless a test says otherwise, an application that
//! only reads.

use std::collections::HashSet;
use std::io::{self, IoSlice, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use ws101::{
    Client, Close, CloseCode, Error, Limits, Message, MessageKind, PreparedMessage, Result, Server,
    Stream, WebSocket,
};

use crate::support::{
    App, BOTH_SIDES, Frame, PATIENCE, Peer, Side, Wire, cause, echo, masked, open, request, run,
    serve, switching_protocols, unmasked,
};

/// What an application has seen that only reads.
#[derive(Debug)]
struct Seen {
    messages: Vec<Message>,
    /// What the peer closed with, or why the connection failed.
    end: Result<Option<Close>>,
}

fn read_all(mut ws: WebSocket) -> Seen {
    let mut messages = Vec::new();
    let end = loop {
        match ws.recv() {
            Ok(Some(message)) => messages.push(message),
            Ok(None) => break Ok(ws.closed_with().cloned()),
            Err(error) => break Err(error),
        }
    };
    // Whoever asks again must not be given more.
    for _ in 0..3 {
        messages.extend(ws.recv().ok().flatten());
    }
    Seen { messages, end }
}

/// A connection to an application that only reads; its goodbye takes as long as the peer does.
fn open_reader(side: Side) -> (Wire, App<Seen>) {
    open(side, Limits { close: 2 * PATIENCE, ..Limits::default() }, read_all)
}

impl Seen {
    /// The code of the violation that it ended with.
    fn violation(&self) -> Option<u16> {
        match &self.end {
            Err(Error::Violation(violation)) => Some(violation.close_code().0),
            _ => None,
        }
    }

    /// The code that the peer closed with.
    fn closed_with(&self) -> Option<u16> {
        self.end.as_ref().ok()?.as_ref().map(|close| close.code.0)
    }
}

fn text(text: &str) -> Message {
    Message::Text(text.into())
}

#[test]
fn server_echoes_the_masked_hello_of_section_5_7_unmasked() {
    let server = echo();
    let mut peer = server.open();
    peer.write(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
    assert_eq!(peer.read_frame(), Frame { first: 0x81, payload: b"Hello".into() });
    peer.write(masked(0x88, [3, 232]));
    assert_eq!(peer.read_close(), 1000);
}

// What breaks the rules.

/// Frames that break a rule of §5, and the rule. Each is whole, so that one who does not keep the rule
/// goes on with what follows.
fn broken_frames(wire: &Wire) -> Vec<(&'static str, Vec<u8>)> {
    let with = |first, second, length: &[u8], payload: usize| {
        [wire.header(first, second, length), wire.payload(vec![b'x'; payload])].concat()
    };
    let mut rows = Vec::new();
    // §5.2: reserved bits, in data and in control frames.
    for first in [0xc1, 0xa1, 0x91, 0xf2, 0xc8, 0xa9, 0x9a] {
        rows.push(("ReservedBits", with(first, 5, &[], 5)));
    }
    rows.push(("ReservedBits", [wire.frame(0x01, "a"), wire.frame(0xc0, "b")].concat()));
    // §5.2: opcodes that nobody has defined.
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        rows.push(("UnknownOpcode", with(0x80 | opcode, 5, &[], 5)));
        rows.push(("UnknownOpcode", with(opcode, 5, &[], 5)));
    }
    // §5.5: control frames in fragments, or too long.
    for opcode in [0x08, 0x09, 0x0a] {
        rows.push(("ControlFragmented", with(opcode, 0, &[], 0)));
        rows.push(("ControlTooLong", with(0x80 | opcode, 126, &[0, 126], 126)));
        let length = 65_536u64.to_be_bytes();
        rows.push(("ControlTooLong", with(0x80 | opcode, 127, &length, 65_536)));
    }
    // §5.2: lengths in more bytes than they need.
    for length in [0, 1, 125u16] {
        let bytes = length.to_be_bytes();
        rows.push(("LengthNotMinimal", with(0x82, 126, &bytes, length.into())));
    }
    for length in [0, 125, 126, 65_535u64] {
        let bytes = length.to_be_bytes();
        rows.push(("LengthNotMinimal", with(0x82, 127, &bytes, length as usize)));
    }
    // §5.2: lengths with their top bit set.
    for length in [1 << 63, (1 << 63) + 5, u64::MAX - 3, u64::MAX] {
        rows.push(("LengthTopBit", with(0x82, 127, &length.to_be_bytes(), 5)));
    }
    // §5.1: the mask, or its lack, of the other side.
    for first in [0x81, 0x82, 0x88, 0x89] {
        rows.push(match wire.side {
            Side::Server => ("NotMasked", unmasked(first, "")),
            Side::Client => ("Masked", masked(first, "")),
        });
    }
    // §5.4: fragments out of order.
    let (a, whole, end) = (wire.frame(0x01, "a"), wire.frame(0x82, "a"), wire.frame(0x80, "b"));
    rows.push(("NothingToContinue", wire.frame(0x00, "a")));
    rows.push(("NothingToContinue", end.clone()));
    rows.push(("NothingToContinue", [&a[..], &end, &end].concat()));
    rows.push(("MessageInsideMessage", [&a[..], &whole].concat()));
    rows.push(("MessageInsideMessage", [&a[..], &a].concat()));
    rows
}

#[test]
fn either_side_fails_a_broken_frame_with_1002_which_the_peer_sees_behind_a_megabyte_of_its_own() {
    for side in BOTH_SIDES {
        let rows = broken_frames(&open_reader(side).0);
        for (rule, bytes) in rows {
            let shown = &bytes[..bytes.len().min(14)];
            println!("{rule}: {shown:02x?} at {side:?}");
            let (mut wire, app) = open_reader(side);
            // All of this is good, and can be written to its end.
            let more = [wire.frame(0x82, vec![7; 1_000_000]), wire.frame(0x88, [3, 232])];
            wire.peer.write([bytes, more.concat()].concat());
            assert_eq!(wire.read_close(), 1002);
            match app.wait().end {
                Err(Error::Violation(violation)) => {
                    assert!(format!("{violation:?}").starts_with(rule), "{violation:?}");
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn what_if_sixty_megabytes_are_on_their_way_behind_the_violation() {
    for side in BOTH_SIDES {
        let (mut wire, app) = open_reader(side);
        wire.peer.write([0xff]);
        (0..60).for_each(|_| wire.peer.write([0x55; 1_000_000]));
        assert_eq!(wire.read_close(), 1002);
        assert_eq!(app.wait().violation(), Some(1002));
    }
}

#[test]
fn either_side_delivers_nothing_after_the_first_error() {
    for side in BOTH_SIDES {
        let (mut wire, app) = open_reader(side);
        let good = wire.frame(0x81, "before");
        let bad = wire.frame(0x83, "bad");
        let late = wire.frame(0x81, "after");
        wire.peer.write([good, bad, late.clone(), late].concat());
        assert_eq!(wire.read_close(), 1002);
        let seen = app.wait();
        assert_eq!(seen.messages, [text("before")]);
        assert_eq!(seen.violation(), Some(1002));
    }
}

#[test]
fn either_side_fails_text_with_1007_at_its_first_bad_byte_before_the_rest_is_sent() {
    // Good up to the last byte, which can't stand there; the header announces a mebibyte.
    let bad_at_the_end: [&[u8]; 10] = [
        b"\xff",
        b"\x80",
        b"a\xc0",
        b"a\xc1",
        b"a\xf5",
        b"\xe2\x98A",
        b"\xe0\x9f",
        b"\xed\xa0",
        b"\xf0\x8f",
        b"abc\xf4\x90",
    ];
    for side in BOTH_SIDES {
        for payload in bad_at_the_end {
            let (mut wire, app) = open_reader(side);
            let whole = [wire.announce(0x81, 1 << 20), wire.payload(payload)].concat();
            wire.peer.write(whole);
            assert_eq!(wire.read_close(), 1007, "{payload:02x?} at {side:?}");
            assert_eq!(app.wait().violation(), Some(1007));
            // The same where a fragment and a ping come between each two bytes.
            let (mut wire, app) = open_reader(side);
            let (bad, good) = payload.split_last().unwrap();
            wire.send(0x01, "");
            for &byte in good {
                wire.send(0x00, [byte]);
                wire.send(0x89, "");
                assert_eq!(wire.read(), Frame { first: 0x8a, payload: vec![] });
            }
            let last = [wire.announce(0x00, 1 << 20), wire.payload([*bad])].concat();
            wire.peer.write(last);
            assert_eq!(wire.read_close(), 1007, "{payload:02x?} at {side:?}");
            assert_eq!(app.wait().violation(), Some(1007));
        }
    }
}

#[test]
fn what_if_a_text_ends_in_mid_character() {
    let texts: [&[&[u8]]; 5] = [
        &[b"a\xe2\x98"],
        &[b"\xf0\x9f\x98"],
        &[b"a", b"\xc3"],
        &[b"\xe2", b"\x98"],
        &[b"\xe2\x98", b""],
    ];
    for side in BOTH_SIDES {
        for fragments in texts {
            let (mut wire, app) = open_reader(side);
            for (i, fragment) in fragments.iter().enumerate() {
                let fin = if i + 1 == fragments.len() { 0x80 } else { 0 };
                wire.send(fin | u8::from(i == 0), fragment);
            }
            assert_eq!(wire.read_close(), 1007, "{fragments:02x?} at {side:?}");
            let seen = app.wait();
            assert_eq!((seen.messages.len(), seen.violation()), (0, Some(1007)));
        }
    }
}

/// Limits that a test can reach.
fn small() -> Limits {
    Limits { max_message: 1_000, max_fragments: 4, close: 2 * PATIENCE, ..Limits::default() }
}

/// Messages that are over these limits as soon as their last header is here, without its payload.
fn too_large(wire: &Wire) -> Vec<Vec<u8>> {
    let (some, empty) = (wire.frame(0x02, [7; 600]), wire.frame(0x00, ""));
    let rows = [
        vec![wire.header(0x82, 126, &1_001u16.to_be_bytes())],
        vec![wire.header(0x01, 126, &1_001u16.to_be_bytes())],
        vec![wire.announce(0x02, (1 << 32) + 5)],
        vec![wire.announce(0x81, i64::MAX as u64)],
        // As a sum over fragments.
        vec![some.clone(), wire.header(0x80, 126, &401u16.to_be_bytes())],
        vec![some, wire.announce(0x00, i64::MAX as u64)],
        vec![wire.frame(0x01, [97; 1_000]), wire.frame(0x8a, ""), wire.header(0x80, 1, &[])],
        // As a number of fragments, empty ones included.
        vec![wire.frame(0x01, ""), empty.repeat(3), wire.header(0x80, 1, &[])],
        vec![wire.frame(0x02, ""), empty.repeat(4)],
        vec![wire.frame(0x02, "a"), empty.repeat(1_000_000)],
    ];
    rows.iter().map(|row| row.concat()).collect()
}

#[test]
fn either_side_tells_1009_from_the_header_alone() {
    for side in BOTH_SIDES {
        let rows = too_large(&open(side, small(), read_all).0);
        for (i, bytes) in rows.iter().enumerate() {
            println!("{side:?}, row {i}");
            let (mut wire, app) = open(side, small(), read_all);
            wire.peer.write(bytes);
            assert_eq!(wire.read_close(), 1009);
            let seen = app.wait();
            assert_eq!((seen.messages.len(), seen.violation()), (0, Some(1009)));
        }
    }
}

#[test]
fn either_side_takes_what_is_just_within_the_limits() {
    for side in BOTH_SIDES {
        let (mut wire, app) = open(side, small(), read_all);
        wire.send(0x82, [7; 1_000]);
        // Each message counts anew, and control frames don't count.
        for _ in 0..3 {
            wire.send(0x02, [1; 400]);
            wire.send(0x00, "");
            wire.send(0x8a, [0; 125]);
            wire.send(0x00, [2; 600]);
            wire.send(0x80, "");
        }
        wire.send(0x88, [3, 232]);
        assert_eq!(wire.read_close(), 1000);
        let fragmented = Message::Binary([[1; 400].as_slice(), &[2; 600]].concat());
        let expected = [&[Message::Binary(vec![7; 1_000])], &vec![fragmented; 3][..]].concat();
        assert_eq!(app.wait().messages, expected);
    }
}

#[test]
fn what_if_the_stream_ends_after_any_byte_of_a_message() {
    for side in BOTH_SIDES {
        let wire = open_reader(side).0;
        let (beginning, end) = (wire.frame(0x01, "Hel"), wire.frame(0x80, [b'l'; 130]));
        let message = [&beginning[..], &wire.frame(0x89, "?"), &end].concat();
        for length in 0..=message.len() {
            let (mut wire, app) = open_reader(side);
            wire.peer.write(&message[..length]);
            wire.peer.finish();
            let seen = app.wait();
            assert_eq!(seen.messages.len(), usize::from(length == message.len()), "{length}");
            assert!(matches!(seen.end, Err(Error::ConnectionLost(_))), "{length} {:?}", seen.end);
        }
    }
}

// How it ends.

#[test]
fn either_side_echoes_each_close_code_that_may_travel_and_answers_others_with_1002() {
    let may_be_sent = [1000, 1001, 1002, 1003].into_iter().chain(1007..=1014);
    let may_be_sent = may_be_sent.chain([3000, 3001, 3999, 4000, 4001, 4999]);
    let others = [0, 1, 255, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535];
    for side in BOTH_SIDES {
        for (code, echoed) in
            may_be_sent.clone().map(|code| (code, code)).chain(others.map(|code| (code, 1002)))
        {
            let (mut wire, app) = open_reader(side);
            wire.send(0x88, [&u16::to_be_bytes(code)[..], b"because"].concat());
            assert_eq!(wire.read_close(), echoed, "to {code} at {side:?}");
            let seen = app.wait();
            match code == echoed {
                true => {
                    let close = seen.end.unwrap().unwrap();
                    assert_eq!((close.code.0, &*close.reason), (code, "because"));
                }
                false => assert_eq!(seen.violation(), Some(1002)),
            }
        }
    }
}

#[test]
fn either_side_judges_the_body_of_a_close() {
    let longest = [&[3, 232], &[b'x'; 123][..]].concat();
    let rows: [(&[u8], u16); 8] = [
        (b"", 1005),
        (b"\x03", 1002),
        (b"\x03\xe8", 1000),
        (&longest, 1000),
        ("\u{3}\u{2603}".as_bytes(), 1002), // 0x03E2, 994: a code that has not been given out
        (b"\x0f\xa0\xe2\x98\x83", 4000),
        (b"\x0f\xa0\xe2\x98", 1007),
        (b"\x0f\xa0ok\xff", 1007),
    ];
    for side in BOTH_SIDES {
        for (body, answer) in rows {
            let (mut wire, app) = open_reader(side);
            wire.send(0x88, body);
            assert_eq!(wire.read_close(), answer, "to {body:02x?} at {side:?}");
            let seen = app.wait();
            match answer {
                1002 | 1007 => assert_eq!(seen.violation(), Some(answer)),
                _ => assert_eq!(seen.closed_with(), Some(answer)),
            }
        }
    }
}

#[test]
fn either_side_ignores_what_follows_a_close_and_sends_its_own_once() {
    for side in BOTH_SIDES {
        let (mut wire, app) = open_reader(side);
        let (message, ping) = (wire.frame(0x81, "late"), wire.frame(0x89, "late"));
        let (close, other) = (wire.frame(0x88, [3, 232]), wire.frame(0x88, [3, 233]));
        let bad = wire.frame(0x83, "bad");
        wire.peer.write([wire.frame(0x81, "in time"), close, message, ping, other, bad].concat());
        assert_eq!(wire.read_close(), 1000);
        let seen = app.wait();
        assert_eq!(seen.messages, [text("in time")]);
        assert_eq!(seen.closed_with(), Some(1000));
    }
}

#[test]
fn either_side_that_closes_first_waits_for_the_answer_and_sends_its_close_once() {
    for side in BOTH_SIDES {
        let (mut wire, app) = open(side, Limits::default(), |mut ws| {
            let first = ws.close(4001, "done");
            let second = ws.close(4002, "done again");
            (first, second, ws.closed_with().cloned())
        });
        assert_eq!(wire.read(), Frame { first: 0x88, payload: b"\x0f\xa1done".into() });
        // On its way before our Close was there: dropped.
        wire.send(0x81, "late");
        wire.send(0x88, b"\x0f\xa1fine");
        wire.peer.read_end();
        drop(wire);
        let (first, _, closed_with) = app.wait();
        first.unwrap();
        assert_eq!(closed_with, Some(Close { code: CloseCode(4001), reason: "fine".into() }));
    }
}

/// A page hears `onclose` when the stream ends. That must not wait for what the handler still does.
#[test]
fn section_5_5_1_server_ends_the_stream_at_once_though_its_handler_goes_on() {
    let (tell, told) = channel::<()>();
    let (mut wire, app) = open(Side::Server, Limits::default(), move |mut ws| {
        let ended = ws.recv();
        // As long as `ws` is there, nobody has said goodbye for it.
        let told = told.recv_timeout(PATIENCE);
        drop(ws);
        (ended, told)
    });
    wire.send(0x88, [3, 232]);
    assert_eq!(wire.read(), Frame { first: 0x88, payload: vec![3, 232] });
    wire.peer.read_end();
    tell.send(()).unwrap();
    drop(wire);
    let (ended, told) = app.wait();
    assert_eq!(ended.unwrap(), None);
    told.unwrap();
}

/// Whoever ends a stream first keeps its port for minutes (TIME_WAIT): that is for the server to do.
#[test]
fn section_7_1_1_client_lets_the_server_end_the_stream_first() {
    let ends = Arc::new(Mutex::new(Vec::new()));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = Client::new(format!("ws://{}", listener.local_addr().unwrap()));
    let told = ends.clone();
    let client = client.wrap_stream(move |stream| Arc::new(Ends { stream, told: told.clone() }));
    let app = run(move || client.connect()?.close(1000, ""));
    let mut peer = Peer::new(listener.accept().unwrap().0);
    let answer = switching_protocols(&peer.read_head());
    peer.write(answer);
    assert_eq!(peer.read_masked_frame().1, Frame { first: 0x88, payload: vec![3, 232] });
    peer.write(b"\x88\x02\x03\xe8");
    drop(peer);
    app.wait().unwrap();
    assert_eq!(ends.lock().unwrap()[..2], ["the server", "the client"]);
}

/// A stream that tells who ends it.
struct Ends {
    stream: Arc<dyn Stream>,
    told: Arc<Mutex<Vec<&'static str>>>,
}

impl Stream for Ends {
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(into)?;
        if count == 0 {
            self.told.lock().unwrap().push("the server");
        }
        Ok(count)
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.stream.write(slices)
    }

    fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(timeout)
    }

    fn set_write_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.stream.set_write_timeout(timeout)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.told.lock().unwrap().push("the client");
        self.stream.shutdown(how)
    }
}

#[test]
fn what_if_both_close_at_the_same_time() {
    for side in BOTH_SIDES {
        let (tell, told) = channel();
        let (mut wire, app) = open(side, Limits::default(), move |mut ws| {
            // The peer's Close is on its way already.
            told.recv().unwrap();
            (ws.close(4001, ""), ws.closed_with().cloned())
        });
        wire.send(0x88, [3, 233]);
        tell.send(()).unwrap();
        assert_eq!(wire.read_close(), 4001);
        let (closed, closed_with) = app.wait();
        closed.unwrap();
        assert_eq!(closed_with.unwrap().code, CloseCode::GOING_AWAY);
    }
}

// Control frames.

#[test]
fn either_side_answers_a_ping_with_its_payload_before_an_application_that_only_reads_waits_again() {
    for side in BOTH_SIDES {
        let (mut wire, app) = open_reader(side);
        for length in [0, 1, 4, 8, 124, 125] {
            let payload: Vec<u8> = (0..length).collect();
            wire.send(0x89, &payload);
            assert_eq!(wire.read(), Frame { first: 0x8a, payload });
        }
        // Behind a message, in the same write, too.
        wire.peer.write([wire.frame(0x81, "a"), wire.frame(0x89, "b")].concat());
        assert_eq!(wire.read(), Frame { first: 0x8a, payload: b"b".into() });
        wire.send(0x88, [3, 232]);
        assert_eq!(wire.read_close(), 1000);
        assert_eq!(app.wait().messages, [text("a")]);
    }
}

#[test]
fn either_side_answers_pings_between_the_fragments_and_keeps_the_message_whole() {
    let snowman = "\u{2603}".as_bytes();
    for side in BOTH_SIDES {
        let (mut wire, app) = open_reader(side);
        for (first, byte) in [0x01, 0x00, 0x80].into_iter().zip(snowman) {
            wire.send(first, [*byte]);
            wire.send(0x89, [*byte; 3]);
            assert_eq!(wire.read(), Frame { first: 0x8a, payload: vec![*byte; 3] });
        }
        wire.send(0x88, "");
        assert_eq!(wire.read_close(), 1005);
        assert_eq!(app.wait().messages, [text("\u{2603}")]);
    }
}

#[test]
fn either_side_closes_in_mid_message_and_delivers_no_part_of_it() {
    for side in BOTH_SIDES {
        let (mut wire, app) = open_reader(side);
        wire.send(0x01, "half a ");
        wire.send(0x88, [3, 232]);
        assert_eq!(wire.read_close(), 1000);
        let seen = app.wait();
        assert_eq!((seen.messages.len(), seen.closed_with()), (0, Some(1000)));
    }
}

#[test]
fn either_side_ignores_pongs_that_nobody_asked_for() {
    for side in BOTH_SIDES {
        let (mut wire, app) = open_reader(side);
        let pongs = [wire.frame(0x8a, ""), wire.frame(0x8a, [0; 8]), wire.frame(0x8a, [9; 125])];
        wire.peer.write(pongs.concat().repeat(20_000));
        wire.send(0x81, "still here");
        wire.send(0x88, [3, 232]);
        assert_eq!(wire.read_close(), 1000);
        assert_eq!(app.wait().messages, [text("still here")]);
    }
}

// Messages, in and out.

/// Sends back what comes.
fn echo_all(mut ws: WebSocket) -> Result<()> {
    while let Some(message) = ws.recv()? {
        ws.send(message)?;
    }
    Ok(())
}

#[test]
fn either_side_echoes_messages_of_every_form_of_length_in_the_shortest_form() {
    let lengths = [0, 1, 125, 126, 127, 65_535, 65_536, 1 << 20];
    for side in BOTH_SIDES {
        let (mut wire, app) = open(side, Limits::default(), echo_all);
        for length in lengths {
            for first in [0x81, 0x82] {
                // The peer fails on a length in more bytes than it needs.
                let payload = vec![b'x'; length];
                wire.send(first, &payload);
                assert!(wire.read() == Frame { first, payload }, "{length} bytes at {side:?}");
            }
        }
        wire.send(0x88, [3, 232]);
        assert_eq!(wire.read_close(), 1000);
        app.wait().unwrap();
    }
}

#[test]
fn either_side_delivers_empty_messages_whole_or_in_fragments() {
    for side in BOTH_SIDES {
        let (mut wire, app) = open_reader(side);
        for first in [0x01, 0x02] {
            wire.send(0x80 | first, "");
            wire.send(first, "");
            wire.send(0x00, "");
            wire.send(0x80, "");
        }
        wire.send(0x88, [3, 232]);
        assert_eq!(wire.read_close(), 1000);
        let (empty, none) = (text(""), Message::Binary(vec![]));
        assert_eq!(app.wait().messages, [empty.clone(), empty, none.clone(), none]);
    }
}

#[test]
fn either_side_puts_fragments_together_however_they_were_cut() {
    let whole = "Hello, \u{2603}, \u{1f600}!".as_bytes();
    for side in BOTH_SIDES {
        let (mut wire, app) = open_reader(side);
        for cut in 0..=whole.len() {
            wire.send(0x01, &whole[..cut]);
            wire.send(0x80, &whole[cut..]);
        }
        for fragment in 0..whole.len() {
            let (begins, ends) = (fragment == 0, fragment + 1 == whole.len());
            let first = if ends { 0x80 } else { u8::from(begins) };
            wire.send(first, [whole[fragment]]);
        }
        wire.send(0x88, [3, 232]);
        assert_eq!(wire.read_close(), 1000);
        let expected = vec![text(str::from_utf8(whole).unwrap()); whole.len() + 2];
        assert_eq!(app.wait().messages, expected);
    }
}

#[test]
fn either_side_sends_a_message_in_fragments_each_of_which_is_text() {
    for side in BOTH_SIDES {
        let (mut wire, app) = open(side, Limits::default(), |mut ws| {
            let mut message = ws.send_stream(MessageKind::Text)?;
            for byte in "a\u{2603}b".as_bytes() {
                message.write_all(&[*byte])?;
                message.flush()?;
            }
            message.finish()?;
            ws.send_stream(MessageKind::Binary)?.finish()
        });
        let frame = |first, payload: &str| Frame { first, payload: payload.into() };
        assert_eq!(wire.read(), frame(0x01, "a"));
        assert_eq!(wire.read(), frame(0x00, "\u{2603}"));
        assert_eq!(wire.read(), frame(0x00, "b"));
        assert_eq!(wire.read(), frame(0x80, ""));
        assert_eq!(wire.read(), frame(0x82, ""));
        assert_eq!(wire.read_close(), 1000);
        app.wait().unwrap();
    }
}

#[test]
fn client_masks_each_frame_with_fresh_bytes() {
    let (mut wire, app) = open(Side::Client, Limits::default(), |mut ws| {
        for _ in 0..100 {
            ws.send("GET / HTTP/1.1")?;
        }
        ws.ping()
    });
    // 101 of 2^32: not even two are likely to be the same.
    let keys: HashSet<[u8; 4]> = (0..101).map(|_| wire.peer.read_masked_frame().0).collect();
    assert!(keys.len() > 98, "{} of 101 differ", keys.len());
    assert_eq!(wire.read_close(), 1000);
    app.wait().unwrap();
}

// What we may not send.

#[test]
fn either_side_refuses_at_the_call_what_no_close_may_say_and_writes_nothing() {
    let long = "x".repeat(124);
    let codes = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2999, 5000, 65_535];
    for side in BOTH_SIDES {
        let long = long.clone();
        let (mut wire, app) = open(side, Limits::default(), move |mut ws| {
            let sender = ws.sender();
            for (code, reason) in codes.map(|code| (code, "")).into_iter().chain([(1000, &*long)]) {
                for refused in [ws.close(code, reason), sender.close(code, reason)] {
                    assert!(matches!(refused, Err(Error::Misuse(_))), "{code} {refused:?}");
                }
            }
            ws.send("still open")
        });
        assert_eq!(wire.read(), Frame { first: 0x81, payload: b"still open".into() });
        assert_eq!(wire.read_close(), 1000);
        app.wait().unwrap();
    }
}

#[test]
fn either_side_sends_the_longest_reason_whole() {
    for side in BOTH_SIDES {
        let reason = "x".repeat(123);
        let of_app = reason.clone();
        let (mut wire, app) = open(side, Limits::default(), move |mut ws| ws.close(4999, &of_app));
        let payload = [&4999u16.to_be_bytes(), reason.as_bytes()].concat();
        assert_eq!(wire.read(), Frame { first: 0x88, payload: payload.clone() });
        wire.send(0x88, payload);
        wire.peer.read_end();
        drop(wire);
        app.wait().unwrap();
    }
}

#[test]
fn either_side_refuses_text_that_is_not_utf8_and_writes_nothing() {
    for side in BOTH_SIDES {
        let (mut wire, app) = open(side, Limits::default(), |mut ws| {
            for bytes in [&b"ok\xff"[..], b"\xc0", b"\xe2A"] {
                let refused = ws.send_stream(MessageKind::Text)?.write_all(bytes).unwrap_err();
                assert!(matches!(cause(&refused), Some(Error::Misuse(_))), "{refused:?}");
            }
            let mut cut = ws.send_stream(MessageKind::Text)?;
            cut.write_all(b"ok\xe2\x98")?;
            assert!(matches!(cut.finish(), Err(Error::Misuse(_))));
            ws.send("still open")
        });
        assert_eq!(wire.read(), Frame { first: 0x81, payload: b"still open".into() });
        assert_eq!(wire.read_close(), 1000);
        app.wait().unwrap();
    }
}

#[test]
fn either_side_writes_no_part_of_a_piece_of_text_that_it_refuses() {
    for side in BOTH_SIDES {
        let (mut wire, app) = open(side, Limits::default(), |mut ws| {
            let mut message = ws.send_stream(MessageKind::Text)?;
            // The next pieces complete the snowman that this one begins, and only the last is good.
            message.write_all(b"a\xe2\x98")?;
            for refused in [&b"\x83b\xff"[..], b"\x83c\xf0A", b"A"] {
                message.write_all(refused).unwrap_err();
            }
            message.write_all(b"\x83d")?;
            message.finish()
        });
        let payload = "a\u{2603}d".into();
        assert_eq!(wire.read(), Frame { first: 0x81, payload });
        assert_eq!(wire.read_close(), 1000);
        app.wait().unwrap();
    }
}

#[test]
fn either_side_sends_nothing_after_its_close_whichever_way_it_is_asked() {
    for side in BOTH_SIDES {
        let (mut wire, app) = open(side, Limits::default(), |mut ws| {
            let (sender, outbox) = (ws.sender(), ws.outbox(8).unwrap());
            ws.close(1000, "").unwrap();
            let refused = [
                ws.send("late"),
                ws.feed("late"),
                ws.send(vec![0; 100_000]),
                ws.feed(vec![0; 100_000]),
                ws.send_stream(MessageKind::Text).map(|_| ()),
                ws.ping(),
                sender.send("late"),
                sender.send_stream(MessageKind::Binary).map(|_| ()),
                outbox.try_send(&PreparedMessage::new("late")),
            ];
            let _ = (sender.close(1001, ""), ws.close(1001, ""), ws.flush());
            refused
        });
        assert_eq!(wire.read(), Frame { first: 0x88, payload: vec![3, 232] });
        wire.send(0x88, [3, 232]);
        wire.peer.read_end();
        drop(wire);
        for (i, refused) in app.wait().into_iter().enumerate() {
            assert!(matches!(refused, Err(Error::Closed)), "call {i} at {side:?}: {refused:?}");
        }
    }
}

#[test]
fn either_side_refuses_what_another_thread_sends_after_the_peer_has_closed() {
    for side in BOTH_SIDES {
        let (mut wire, app) = open(side, Limits::default(), |mut ws| {
            let sender = ws.sender();
            let ended = ws.recv().unwrap();
            let refused = thread::spawn(move || sender.send("late")).join().unwrap();
            (ended, refused)
        });
        wire.send(0x88, [3, 232]);
        assert_eq!(wire.read_close(), 1000);
        let (ended, refused) = app.wait();
        assert_eq!(ended, None);
        assert!(matches!(refused, Err(Error::Closed)), "{refused:?}");
    }
}

#[test]
fn recv_without_patience_takes_what_is_there() {
    for side in BOTH_SIDES {
        let (mut wire, app) = open(side, Limits::default(), |mut ws| {
            let began = Instant::now();
            loop {
                match ws.recv_timeout(Duration::ZERO) {
                    Err(Error::TimedOut) if began.elapsed() < PATIENCE => {}
                    received => break received,
                }
            }
        });
        wire.send(0x81, "there");
        assert_eq!(wire.read_close(), 1000);
        assert_eq!(app.wait().unwrap(), Some(Message::Text("there".into())), "{side:?}");
    }
}

#[test]
fn what_is_fed_goes_out_in_batches_of_256_kib_or_when_it_is_flushed() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let app = run(move || {
        let server = Server::without_listener();
        let sent = || server.handle().counters().bytes_out;
        let mut ws = server.accept(listener.accept().unwrap().0).unwrap();
        let mut seen = Vec::new();
        // 255 of 1028 bytes with their headers, and one of four.
        for length in [1024; 255].into_iter().chain([2, 1024]) {
            ws.feed(vec![7; length]).unwrap();
            seen.push(sent());
        }
        ws.flush().unwrap();
        seen.push(sent());
        seen
    });
    let mut peer = Peer::new(TcpStream::connect(address).unwrap());
    peer.write(request(&[]));
    assert_eq!(peer.read_response().status, 101);
    (0..257).for_each(|_| assert_eq!(peer.read_frame().first, 0x82));
    peer.finish();
    let seen = app.wait();
    assert_eq!(seen[..255], [0; 255]);
    assert_eq!(seen[255..], [256 * 1024, 256 * 1024, 257 * 1024 + 4]);
}

#[test]
fn server_sends_large_messages_that_are_given_away_or_lent_in_the_order_in_which_they_are_fed() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let app = run(move || {
        let server = Server::without_listener();
        let mut ws = server.accept(listener.accept().unwrap().0).unwrap();
        let lent = vec![2; 100_000];
        let mut seen = Vec::new();
        let mut feed = |message: &dyn Fn(&mut WebSocket) -> Result<()>| {
            message(&mut ws).unwrap();
            seen.push(server.handle().counters().bytes_out);
        };
        feed(&|ws| ws.feed(vec![1; 40_000]));
        feed(&|ws| ws.feed(&lent[..40_000]));
        feed(&|ws| ws.feed("small"));
        // The second one that's given away makes the batch full.
        feed(&|ws| ws.feed("4".repeat(40_000)));
        feed(&|ws| ws.feed(vec![5; 40_000]));
        // One that's lent and isn't worth a copy is written at once, after what waits.
        feed(&|ws| ws.feed(&lent));
        seen
    });
    let mut peer = Peer::new(TcpStream::connect(address).unwrap());
    peer.write(request(&[]));
    assert_eq!(peer.read_response().status, 101);
    let mut expect = |first: u8, payload: Vec<u8>| {
        let frame = peer.read_frame();
        assert!(frame.first == first && frame.payload == payload, "{first:x} {:?}", payload[0]);
    };
    expect(0x82, vec![1; 40_000]);
    expect(0x82, vec![2; 40_000]);
    expect(0x81, b"small".to_vec());
    expect(0x81, vec![b'4'; 40_000]);
    expect(0x82, vec![5; 40_000]);
    expect(0x82, vec![2; 100_000]);
    peer.finish();
    let four = 3 * 40_004 + 7;
    assert_eq!(app.wait(), [0, 0, 0, four, four, four + 40_004 + 100_010]);
}

#[test]
fn either_side_knows_its_peer_and_calls_each_connection_by_a_number_of_its_own() {
    let (tell, told) = channel();
    let server = serve(
        |server| server,
        move |ws| {
            tell.send((ws.id(), ws.peer(), format!("{ws:?}"))).unwrap();
            echo_all(ws)
        },
    );
    let mut seen = HashSet::new();
    for _ in 0..3 {
        let client = ws101::connect(&server.url()).unwrap();
        assert_eq!(client.peer(), Some(server.address));
        let (id, peer, debug) = told.recv().unwrap();
        assert!(peer.is_some_and(|peer| peer.ip() == server.address.ip()));
        assert_eq!(debug, format!("WebSocket {id} /"));
        assert!(seen.insert(("server", id)) && seen.insert(("client", client.id())));
        assert!(seen.insert(("port", peer.unwrap().port().into())));
    }
}
