//! Room 6, without a number: faults that have no CVE number, and that often cost the most time.
//!
//! They need no attacker. Two programs wait for each other, a Close is lost, a timeout is in the wrong
//! place. Each was found by a developer whose program hung.

use std::io::Write;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ws101::frames::close::Close;
use ws101::frames::decoder::Event;
use ws101::frames::encoder::Encoder;
use ws101::{Client, Error, Limits, Message, Outbox, PreparedMessage, Result, Server, WebSocket};

use super::lengths::{DEFAULT, announcing};
use crate::frames::{Listener, ROLES, frame, head, peer_of, text};
use crate::script::{end, frame_to, frames_in, open_script, script, switching, timeout};
use crate::sockets::{BOTH_SIDES, PATIENCE, Peer, Side, echo_handler, open, request, run, serve};

/// More than fits into all the buffers between two ends.
const HUGE: usize = 32 << 20;
/// For deadlines that must pass.
const SOON: Duration = Duration::from_millis(100);

/// Limits whose deadlines are too long to pass. Tests shorten some of them.
fn unhurried() -> Limits {
    Limits { write: 3 * PATIENCE, ping_every: None, close: 3 * PATIENCE, ..Limits::default() }
}

fn message(text: &str) -> Option<Message> {
    Some(Message::Text(text.into()))
}

/// IXWebSocket #575; erigon #20923
///
/// Both ends write a huge message, and neither reads before it has written. The buffers between
/// them are full, and each end waits for the other: a deadlock.
///
/// Bytes: 32 MiB in each direction, at the same time
/// Holds: both ends give up at the write deadline; if either application reads meanwhile, both messages arrive
/// Twin: src/transport/min_write_rate.rs
/// was `Err(error) if error.kind() == ErrorKind::Interrupted => {}`
/// now `Err(error) if error.kind() == ErrorKind::Interrupted || is_timeout(&error) => continue,`
#[test]
fn ixwebsocket_575_what_if_both_ends_write_something_huge_and_neither_reads() {
    let limits = || Limits { write: SOON, ..Limits::default() };
    let (tell, told) = channel();
    let server = serve(
        |server| server.limits(limits()),
        move |mut ws| {
            tell.send(ws.send(vec![1; HUGE])).unwrap();
            Ok(())
        },
    );
    let client = Client::new(server.url()).limits(limits());
    let app = run(move || client.connect().unwrap().send(vec![2; HUGE]));
    for sent in [app.wait(), told.recv_timeout(PATIENCE).expect("the server gives up too")] {
        assert!(matches!(sent, Err(Error::WriteTimeout | Error::ConnectionLost(_))), "{sent:?}");
    }
    // One thread sends, and another reads: then nobody is stuck.
    fn exchange(mut ws: WebSocket) -> Result<usize> {
        let sender = ws.sender();
        let sending = run(move || sender.send(vec![3; 6 << 20]));
        let length = ws.recv()?.unwrap().as_bytes().len();
        sending.wait()?;
        Ok(length)
    }
    let server = serve(|server| server, |ws| exchange(ws).map(drop));
    let client = Client::new(server.url());
    assert_eq!(run(move || exchange(client.connect().unwrap())).wait().unwrap(), 6 << 20);
}

/// websockets 11.0.2; tungstenite #183, #506
///
/// An end that closes waits for the other end's Close. That Close waited after messages which the
/// program didn't take out of a full buffer. In another library this wait had no end.
///
/// Bytes: our receive buffer full of messages, and a peer that never reads
/// Holds: `close` returns when the minimum rate of writing gives the peer up, also while another thread is stuck in a write
/// Twin: none of one change, since the bound on a stall ends it as well
#[test]
fn websockets_11_0_2_what_if_we_close_and_the_peer_neither_reads_nor_answers() {
    for side in BOTH_SIDES {
        let limits = Limits { write: SOON, close: SOON, ..unhurried() };
        let (go, gone) = channel();
        let (mut wire, app) = open(side, limits, move |mut ws| {
            let sender = ws.sender();
            let stuck = run(move || sender.send(vec![0; HUGE]));
            gone.recv().unwrap();
            let start = Instant::now();
            let closed = ws.close(1000, "");
            (closed, start.elapsed(), stuck.wait())
        });
        // The huge message has begun; then our own go in until no more will.
        wire.peer.read_exact::<2>();
        wire.peer.stream.set_write_timeout(Some(Duration::from_millis(20))).unwrap();
        let unread = wire.frame(0x82, [7; 60_000]);
        while wire.peer.stream.write_all(&unread).is_ok() {}
        go.send(()).unwrap();
        let (closed, took, stuck) = app.wait();
        assert!(matches!(closed, Err(Error::WriteTimeout)), "{side:?}: {closed:?}");
        assert!(stuck.is_err() && took < PATIENCE / 2, "{took:?}");
    }
}

/// a reset that destroys the Close frame
///
/// A socket that is dropped with unread bytes in it sends a reset, and a reset destroys what is on
/// its way to the peer: the very frame that says what went wrong. The peer sees "connection reset".
///
/// Bytes: a frame that breaks a rule, and a megabyte after it
/// Holds: the peer reads our Close with its 1002, 1007 or 1009, and then an end, never a reset
/// Twin: src/transport/lingering_close.rs
/// was `while wasted < MOST && !linger.renew_or_expire(stream) {`
/// now `while wasted > MOST && !linger.renew_or_expire(stream) {`
/// and: src/connection/write_half.rs
/// was `unanswered = Some(self.unanswered_close_error());`
/// now `unanswered = Some(Error::PeerTimeout);`
#[test]
fn reset_what_if_a_megabyte_is_unread_when_we_close() {
    for side in BOTH_SIDES {
        for (first, payload, code) in [(0x83, &b""[..], 1002), (0x81, b"\xff", 1007)] {
            let (mut wire, app) = open(side, Limits::default(), echo_handler);
            let bytes = [wire.frame(first, payload), wire.frame(0x82, vec![0; 1 << 20])].concat();
            wire.peer.write(bytes);
            assert_eq!(wire.read_close(), code, "{side:?}");
            assert!(matches!(app.wait(), Err(Error::Violation(_))));
        }
        let limits = Limits { max_message: 1_000, ..Limits::default() };
        let (mut wire, app) = open(side, limits, echo_handler);
        wire.send(0x82, vec![0; 1 << 20]);
        assert_eq!(wire.read_close(), 1009, "{side:?}");
        assert!(matches!(app.wait(), Err(Error::Violation(_))));
    }
}

/// end of file in mid-frame
///
/// The stream ended in the middle of a message, and the part that had arrived was delivered as the
/// whole message. In other programs the end was taken for a clean close.
///
/// Bytes: a message, and one in two fragments with a ping between them, cut at every byte
/// Holds: whole messages are delivered, then it is an error; never a part, never a clean end
/// Twin: src/connection/read_half.rs
/// was `Ok(0) => return Err(self.abort_lost_connection(ErrorKind::UnexpectedEof.into())),`
/// now `Ok(0) => { self.over = true; return Ok(()); }`
#[test]
fn end_of_file_what_if_the_stream_ends_after_any_byte() {
    for side in BOTH_SIDES {
        let first = frame_to(side, 0x81, "first");
        let parts = [(0x01, "sec"), (0x89, "ping"), (0x80, "ond")];
        let second = parts.map(|(first, payload)| frame_to(side, first, payload)).concat();
        let whole = [first.clone(), second].concat();
        for cut in 0..=whole.len() {
            let mut bytes = Some(whole[..cut].to_vec());
            let (mut ws, _) =
                open_script(side, Limits::default(), move |_| Ok(bytes.take().unwrap_or_default()));
            if cut >= first.len() {
                assert_eq!(ws.recv().unwrap(), message("first"), "{side:?}: {cut}");
            }
            if cut == whole.len() {
                assert_eq!(ws.recv().unwrap(), message("second"), "{side:?}");
            }
            let ended = ws.recv();
            assert!(matches!(ended, Err(Error::ConnectionLost(_))), "{side:?}: {cut}: {ended:?}");
            assert_eq!(ws.closed_with(), None);
        }
    }
}

/// fastwebsockets, data after Close and Close sent twice
///
/// After a Close frame more bytes were read and delivered. And an end that was asked to close by
/// both the peer and the application sent two Closes.
///
/// Bytes: `88 82 m 03 E8`, then a message, a ping and another Close; then the application closes, and drops the connection
/// Holds: nothing after the Close is delivered or answered; ours is sent once, with the peer's code
/// Twin: src/connection/read_half.rs
/// was `self.over = true;\n        self.write_half.answer_close(close.clone());`
/// now `self.write_half.answer_close(close.clone());`
/// and: src/frames/decoder.rs
/// was `self.ended = matches!(next, Err(_) | Ok(Some(Event::Close(_))));`
/// now `self.ended = matches!(next, Err(_));`
#[test]
fn fastwebsockets_close_what_if_something_follows_a_close() {
    for side in BOTH_SIDES {
        let parts = [
            (0x81, &b"before"[..]),
            (0x88, &[0x03, 0xe9, b'x']),
            (0x81, b"after"),
            (0x89, b"ping"),
            (0x88, &[0x03, 0xe8]),
        ];
        let mut bytes = Some(parts.map(|(first, payload)| frame_to(side, first, payload)).concat());
        let (mut ws, calls) =
            open_script(side, Limits::default(), move |_| Ok(bytes.take().unwrap_or_default()));
        let sender = ws.sender();
        assert_eq!(ws.recv().unwrap(), message("before"));
        for _ in 0..5 {
            assert_eq!(ws.recv().unwrap(), None, "{side:?}");
        }
        assert_eq!(ws.closed_with().map(|close| close.code.0), Some(1001));
        assert!(matches!(ws.send("late"), Err(Error::Closed)));
        assert!(matches!(sender.send("late"), Err(Error::Closed)));
        let _ = (sender.close(1000, ""), ws.close(1000, ""));
        drop(ws);
        let frames = frames_in(&calls.lock().unwrap().written());
        assert_eq!(frames, [(0x88, vec![0x03, 0xe9, b'x'])], "{side:?}");
    }
}

/// `read_exact` with a timeout
///
/// A read for an exact number of bytes got some of them, and then its timeout passed. These bytes
/// were lost, and the next read took the middle of a frame for a header.
///
/// Bytes: a conversation, with a timeout before each of its bytes
/// Holds: the same messages, whether `recv` waits on, or the caller gives up and asks again
/// Twin: src/frames/buffer.rs
/// was `if self.start == self.end && self.room.len() > MIN_SIZE {`
/// now `if self.room.len() >= MIN_SIZE {`
#[test]
fn read_exact_what_if_each_byte_comes_after_a_timeout() {
    for side in BOTH_SIDES {
        let parts = [(0x81, "one"), (0x01, "t"), (0x89, "ping"), (0x00, "w"), (0x80, "o")];
        let parts = parts.map(|(first, payload)| frame_to(side, first, payload)).concat();
        let bytes = [parts, frame_to(side, 0x82, [7; 300])].concat();
        let expected = ["one", "two"].map(|text| Message::Text(text.into()));
        let expected = [&expected[..], &[Message::Binary(vec![7; 300])]].concat();
        // The connection pings at each silence, and gives back what it does not need.
        let restless = Limits { ping_every: Some(Duration::ZERO), pong: PATIENCE, ..unhurried() };
        for limits in [unhurried(), restless] {
            for patience in [None, Some(Duration::from_millis(1))] {
                let (mut bytes, mut is_late) = (bytes.clone().into_iter(), false);
                let (mut ws, _) = open_script(side, limits.clone(), move |_| {
                    is_late = !is_late;
                    if is_late { timeout() } else { Ok(bytes.next().into_iter().collect()) }
                });
                let mut messages = Vec::new();
                while messages.len() < expected.len() {
                    let received = match patience {
                        None => ws.recv(),
                        Some(patience) => ws.recv_timeout(patience),
                    };
                    match received {
                        Ok(message) => messages.extend(message),
                        Err(Error::TimedOut) => {}
                        Err(error) => panic!("{side:?}: {error} behind {messages:?}"),
                    }
                }
                assert_eq!(messages, expected, "{side:?}");
            }
        }
    }
}

/// tungstenite #15, #225: a dead peer
///
/// The peer's machine lost its power, so it sends neither an end nor a reset. `recv` waited for
/// ever.
///
/// Bytes: none
/// Holds: after the ping interval we send a ping; if nothing comes in the time for the pong, it is `PeerTimeout`
/// Twin: src/connection/keepalive.rs
/// was `(Some(deadline), _) if deadline.has_passed() => SilenceAction::GiveUp,`
/// now `(Some(deadline), _) if deadline.has_passed() => SilenceAction::Wait,`
/// Twin: the limit lifted, in the test
#[test]
fn tungstenite_15_what_if_the_peer_is_dead() {
    const MOMENT: Duration = Duration::from_millis(5);
    for side in BOTH_SIDES {
        let of_dead_peer = |ping_every| {
            let limits = Limits { ping_every, pong: MOMENT, ..Limits::default() };
            let mut reads = 0;
            let (mut ws, calls) = open_script(side, limits, move |_| {
                reads += 1;
                // An end, for the twin.
                if reads < 500_000 { timeout() } else { end() }
            });
            let ended = ws.recv();
            let frames = frames_in(&calls.lock().unwrap().written());
            (ended, frames)
        };
        let (ended, frames) = of_dead_peer(Some(MOMENT));
        assert!(matches!(ended, Err(Error::PeerTimeout)), "{side:?}: {ended:?}");
        assert_eq!(frames.iter().map(|frame| frame.0).collect::<Vec<_>>(), [0x89], "asked once");
        let (ended, frames) = of_dead_peer(None);
        assert!(
            matches!(ended, Err(Error::ConnectionLost(_))),
            "the twin waits to the end: {ended:?}"
        );
        assert_eq!(frames, []);
    }
}

/// tungstenite 0.21
///
/// A pong was put into a buffer that was sent with the next message. An application that only reads
/// sends no message, so the peer took it for dead.
///
/// Bytes: `89 84 m ping`, and nothing after it
/// Holds: the pong is on the wire before the next read that can wait
/// Twin: src/connection/read_half.rs
/// was `let flushed = self.write_half.flush_unless_busy();`
/// now `let flushed = Ok(());`
#[test]
fn tungstenite_0_21_what_if_the_application_only_reads() {
    for side in BOTH_SIDES {
        let at_each_read = Arc::<Mutex<Vec<usize>>>::default();
        let seen = at_each_read.clone();
        let (mut ws, _) = open_script(side, Limits::default(), move |calls| {
            let mut seen = seen.lock().unwrap();
            seen.push(frames_in(&calls.written()).len());
            match seen.len() {
                1 => Ok(frame_to(side, 0x89, "ping")),
                2 => Ok([frame_to(side, 0x89, "ping"), frame_to(side, 0x81, "a")].concat()),
                3 => Ok(frame_to(side, 0x81, "b")),
                _ => end(),
            }
        });
        assert_eq!(ws.recv().unwrap(), message("a"));
        assert_eq!(ws.recv().unwrap(), message("b"));
        assert_eq!(*at_each_read.lock().unwrap(), [0, 1, 2], "{side:?}: pongs at each read");
    }
}

/// aiohttp #12988
///
/// A control frame may come between two fragments. Its payload was appended to the message, or the
/// message was thought to end with it.
///
/// Bytes: `01 81 m a`, ping, `00 81 m b`, pong, .. `80 81 m z`
/// Holds: each ping is answered, in order, and the message consists of its fragments
/// Twin: src/frames/decoder.rs
/// was `_ if header.opcode.is_control() => self.control.extend_from_slice(piece),`
/// now `_ if header.opcode.is_control() => self.message.append(piece)?,`
#[test]
fn aiohttp_12988_what_if_control_frames_stand_between_all_fragments() {
    const LETTERS: &str = "abcdefghijklmnopqrstuvwxyz";
    for role in ROLES {
        let mut bytes = Vec::new();
        let mut expected = Vec::new();
        for (at, letter) in LETTERS.bytes().enumerate() {
            let first = [0x01, 0x00, 0x80][usize::from(at > 0) + usize::from(at == 25)];
            bytes.extend(frame(peer_of(role), &[first, 1], &[letter]));
            if at < 25 {
                let number = [at as u8; 4];
                bytes.extend(frame(peer_of(role), &[0x89, 4], &number));
                bytes.extend(frame(peer_of(role), &[0x8a, 4], &number));
                expected.extend([Event::Ping(number.into()), Event::Pong(number.into())]);
            }
        }
        expected.push(text(LETTERS));
        let (mut whole, mut in_bytes) = (Listener::new(role), Listener::new(role));
        whole.hear(&bytes);
        in_bytes.hear_byte_by_byte(&bytes);
        assert_eq!((whole.events, in_bytes.events), (expected.clone(), expected), "{role:?}");
    }
}

/// fastwebsockets, text that ends in mid-character
///
/// A message ended within a character. The complete part of its text was delivered, and the rest
/// was dropped.
///
/// Bytes: `01 82 m e2 98`, `80 80 m`; `81 82 m e2 98`
/// Holds: 1007, and nothing is delivered; a character that is split between two fragments is a valid character
/// Twin: src/frames/utf8.rs
/// was `0 => Ok(self.take_complete()),\n            _ => Err(NotUtf8),`
/// now `0 => Ok(self.take_complete()),\n            _ => Ok(self.take_complete()),`
#[test]
fn fastwebsockets_text_what_if_a_text_ends_in_mid_character() {
    for role in ROLES {
        for cut in [&b"\xc3"[..], b"\xe2", b"\xe2\x98", b"\xf0\x9f", b"\xf0\x9f\x98"] {
            let cut = [b"whole, and ", cut].concat();
            let message =
                |first, bytes: &[u8]| frame(peer_of(role), &head(first, bytes.len()), bytes);
            for bytes in [message(0x81, &cut), [message(0x01, &cut), message(0x80, b"")].concat()] {
                let mut listener = Listener::within(role, DEFAULT);
                listener.hear(&bytes);
                assert_eq!((listener.failed_with(), listener.events.len()), (Some(1007), 0));
            }
        }
        let mut listener = Listener::within(role, DEFAULT);
        for (first, bytes) in [(0x01, &b"\xe2"[..]), (0x00, b"\x98"), (0x80, b"\x83")] {
            listener.hear(&frame(peer_of(role), &head(first, bytes.len()), bytes));
        }
        assert_eq!(listener.events, [text("\u{2603}")]);
    }
}

/// UTF-8 found bad only at the end of the frame, as all peers do
///
/// A text of a gigabyte begins with an invalid byte. The program read all of it before it reported
/// the error.
///
/// Bytes: `81 FF 00 00 00 00 00 10 00 00 m`, and a bad byte somewhere in it
/// Holds: 1007 at the first invalid byte, and not before it
/// Twin: src/frames/assembler.rs
/// was `self.text.push(piece).map_err(|_| Violation::TextNotUtf8)`
/// now `{ self.bytes.extend_from_slice(piece); Ok(()) }`
#[test]
fn utf_8_what_if_a_text_is_bad_long_before_its_end() {
    // The last byte of each is the first that can't be.
    let bad: [&[u8]; 8] = [
        b"\xff",
        b"\x80",
        b"\xc0",
        b"\xe0\x80",
        b"\xed\xa0",
        b"\xf0\x8f",
        b"\xf4\x90",
        b"\xe2\x98\x41",
    ];
    for role in ROLES {
        for bad in bad {
            for good in [0, 1, 1_000] {
                let payload = [&vec![b'a'; good][..], bad].concat();
                let bytes = frame(peer_of(role), &announcing(0x81, 1 << 20), &payload);
                let (last, before) = bytes.split_last().unwrap();
                let mut listener = Listener::within(role, DEFAULT);
                listener.hear(before);
                assert_eq!(listener.failed_with(), None, "{role:?}: {bad:02x?}");
                listener.hear(&[*last]);
                assert_eq!(listener.failed_with(), Some(1007), "{role:?}: {bad:02x?}");
            }
        }
    }
}

/// http-parser-js #63
///
/// A first frame came in one packet with the request, or with the 101. The parser of the head read
/// it too, and threw it away.
///
/// Bytes: the request and `81 85 m Hello` in one write, or in two, cut at each byte; the 101 likewise
/// Holds: the message is delivered
/// Twin: src/server/upgrade.rs
/// was `buffer.consume(length);`
/// now `buffer.clear();`
/// Twin: src/client/client.rs
/// was `buffer.consume(length);`
/// now `buffer.clear();`
#[test]
fn http_parser_js_63_what_if_a_frame_comes_with_the_head() {
    let whole = [request(&[]).into_bytes(), frame_to(Side::Server, 0x81, "Hello")].concat();
    for cut in 0..whole.len() {
        let mut pieces = vec![whole[cut..].to_vec(), whole[..cut].to_vec()];
        pieces.retain(|piece| !piece.is_empty());
        let (stream, _) = script(move |_| Ok(pieces.pop().unwrap_or_default()));
        let mut ws = Server::without_listener().accept(stream).unwrap();
        assert_eq!(ws.recv().unwrap(), message("Hello"), "cut at {cut}");
    }
    let length = switching(b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n").len() + 7;
    for cut in 0..length {
        let mut pieces = None;
        let (stream, _) = script(move |calls| {
            let pieces: &mut Vec<Vec<u8>> = pieces.get_or_insert_with(|| {
                let answer = switching(&calls.written()).into_bytes();
                let whole = [answer, frame_to(Side::Client, 0x81, "Hello")].concat();
                assert_eq!(whole.len(), length);
                let pieces = [whole[cut..].to_vec(), whole[..cut].to_vec()];
                pieces.into_iter().filter(|piece| !piece.is_empty()).collect()
            });
            Ok(pieces.pop().unwrap_or_default())
        });
        let mut ws = Client::new("ws://a").connect_over(stream).unwrap();
        assert_eq!(ws.recv().unwrap(), message("Hello"), "cut at {cut}");
    }
}

/// lengths in more bytes than they need, which all peers but one accept
///
/// A length can be written in three ways, and the RFC allows only the shortest. Two programs on one
/// connection that disagree about it can read the same bytes differently.
///
/// Bytes: `81 FE 00 05 m Hello`, `81 FF 00 00 00 00 00 00 00 05 m Hello`
/// Holds: 1002 for every length that fits into fewer bytes, at both ends; the first that doesn't fit is accepted
/// Twin: src/frames/header.rs
/// was `if length < least {`
/// now `if false {`
#[test]
fn lengths_what_if_a_length_is_written_longer_than_need_be() {
    for role in ROLES {
        let judged = |head: &[u8]| {
            let mut listener = Listener::within(role, DEFAULT);
            listener.hear(&frame(peer_of(role), head, b""));
            listener.failed_with()
        };
        for length in 0..=u16::MAX {
            let in_16_bits = [&[0x82, 126][..], &length.to_be_bytes()].concat();
            let expected = (length < 126).then_some(1002);
            assert_eq!(judged(&in_16_bits), expected, "{role:?}: {length}");
            assert_eq!(judged(&announcing(0x82, length.into())), Some(1002), "{role:?}: {length}");
        }
        assert_eq!(judged(&announcing(0x82, 65_536)), None, "{role:?}");
    }
}

/// tungstenite: control frames over 125 bytes, and closes that may not be, sent
///
/// A library sent what its caller asked for: a ping that no peer accepts, or a close code that
/// exists only in logs. The peer failed the connection, and its log blamed the network.
///
/// Bytes: pings of 126 bytes, a reason of 124, and each of the 65,536 close codes, from our caller
/// Holds: the call fails, nothing is written, and the connection goes on
/// Twin: src/frames/close.rs
/// was `return Err(Misuse::CloseCode(code.0));`
/// now `let _ = Misuse::CloseCode(code.0);`
/// Twin: src/frames/encoder.rs
/// was `if payload.len() > MAX_CONTROL_PAYLOAD {`
/// now `if payload.len() > MAX_CONTROL_PAYLOAD + 1 {`
#[test]
fn tungstenite_what_if_our_caller_asks_for_what_no_peer_may_take() {
    // §7.4: the codes that may stand in a frame.
    let may_be_sent = |code| matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
    for side in BOTH_SIDES {
        let (mut ws, calls) = open_script(side, Limits::default(), |_| end());
        let (sender, longest) = (ws.sender(), "r".repeat(123));
        for code in (0..=u16::MAX).filter(|&code| !may_be_sent(code)) {
            assert!(matches!(ws.close(code, ""), Err(Error::Misuse(_))), "{code}");
            assert!(matches!(sender.close(code, ""), Err(Error::Misuse(_))), "{code}");
        }
        let too_long = longest.clone() + "r";
        assert!(matches!(ws.close(1000, &too_long), Err(Error::Misuse(_))));
        assert_eq!(calls.lock().unwrap().writes.len(), 0, "{side:?}");
        ws.send("it goes on").unwrap();
        assert_eq!(frames_in(&calls.lock().unwrap().written()).len(), 1, "{side:?}");
        assert!((0..=u16::MAX).filter(|&code| may_be_sent(code)).all(|code| {
            Close::new(code, &longest).is_ok_and(|close| close.payload().len() == 125)
        }));
    }
    let mut outgoing = Encoder::new(None);
    for length in [126, 127, 65_536] {
        assert!(
            outgoing.ping(&vec![0; length]).is_err() && outgoing.pong(&vec![0; length]).is_err()
        );
    }
    assert_eq!(outgoing.batch().copied_bytes(), b"");
}

/// ranch #36; libuv #690
///
/// No descriptor was free, so `accept` failed. The connection stayed in the queue, so `accept`
/// failed again at once, in a busy loop.
///
/// Bytes: sixty connections to a process that may have forty descriptors
/// Holds: each gets in, or gets a 503; `accept` fails no more often than it refuses a client or pauses; open connections are served; there is room again when they end
/// Twin: src/server/accept_loop.rs
/// was `if reserve.take().is_none() {\n                    thread::sleep(PAUSE_WITHOUT_DESCRIPTOR);\n                }`
/// now ``
#[cfg(target_os = "linux")]
#[test]
fn ranch_36_what_if_there_are_no_descriptors_left() {
    use descriptors::Poor;
    if std::env::var_os(descriptors::SERVES).is_some() {
        return descriptors::serve();
    }
    let server = Poor::start("museum::unnumbered::ranch_36_what_if_there_are_no_descriptors_left");
    let start = Instant::now();
    let peers: Vec<Peer> = (0..60).map(|_| server.dial()).collect();
    let (mut inside, mut refused) = (Vec::new(), Vec::new());
    for mut peer in peers {
        match peer.read_response().status {
            101 => inside.push(peer),
            503 => refused.push(peer),
            status => panic!("{status}"),
        }
    }
    assert!(inside.len() > 5 && refused.len() > 5, "{} in, {} out", inside.len(), refused.len());
    for peer in &mut inside {
        peer.write(frame_to(Side::Server, 0x81, "how often did accept fail?"));
        let failures: u128 = String::from_utf8(peer.read_frame().payload).unwrap().parse().unwrap();
        let rests = start.elapsed().as_millis() / 50;
        assert!(failures <= refused.len() as u128 + rests + 10, "{failures} in {rests} rests");
    }
    drop((inside, refused));
    let start = Instant::now();
    while server.dial().read_response().status != 101 {
        assert!(start.elapsed() < PATIENCE / 4, "there is no room again");
    }
}

/// A server in a process of its own with few descriptors: this test program, started as a server.
#[cfg(target_os = "linux")]
mod descriptors {
    use std::io::{BufRead, BufReader};
    use std::net::{SocketAddr, TcpStream};
    use std::process::{Child, Command, Stdio};
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use super::*;

    pub const SERVES: &str = "MUSEUM_SERVES";

    /// Counts how often `accept` says that it failed.
    struct Failures(AtomicUsize);

    static FAILURES: Failures = Failures(AtomicUsize::new(0));

    impl log::Log for Failures {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }

        fn log(&self, record: &log::Record<'_>) {
            if record.args().to_string().starts_with("accept: ") {
                self.0.fetch_add(1, SeqCst);
            }
        }

        fn flush(&self) {}
    }

    pub fn serve() {
        log::set_logger(&FAILURES).unwrap();
        log::set_max_level(log::LevelFilter::Warn);
        let server = Server::bind("127.0.0.1:0").unwrap();
        println!("\nlistening on {}", server.local_addr().unwrap());
        let answer = |mut ws: WebSocket| {
            while ws.recv()?.is_some() {
                ws.send(FAILURES.0.load(SeqCst).to_string())?;
            }
            Ok(())
        };
        server.serve(answer).unwrap();
    }

    pub struct Poor {
        process: Child,
        address: SocketAddr,
    }

    impl Poor {
        pub fn start(test: &str) -> Poor {
            let mut process = Command::new("sh")
                .args(["-c", "ulimit -n 40; exec \"$0\" --exact \"$1\" --nocapture"])
                .arg(std::env::current_exe().unwrap())
                .arg(test)
                .env(SERVES, "")
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let lines = BufReader::new(process.stdout.take().unwrap()).lines();
            let mut lines = lines.map(|line| line.unwrap());
            let address = lines.find_map(|line| Some(line.strip_prefix("listening on ")?.parse()));
            Poor { process, address: address.expect("it listens").unwrap() }
        }

        pub fn dial(&self) -> Peer {
            let mut peer = Peer::new(TcpStream::connect(self.address).unwrap());
            peer.write(request(&[]));
            peer
        }
    }

    impl Drop for Poor {
        fn drop(&mut self) {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

/// `thread::spawn`, where there are no threads left
///
/// `thread::spawn` panics if the system has no thread to give. The thread that accepts called it,
/// so one thread too many ended the listener.
///
/// Bytes: good requests, to a server whose threads ask for a stack that no machine has
/// Holds: each gets a 503 with the time to retry; the listener goes on, and stops when it is asked to
/// Twin: src/server/threads/thread_pool.rs
/// was `        spawn(Purpose::Connection, "connection".into(), self.stack, work)`
/// now `        spawn(Purpose::Connection, "connection".into(), self.stack, work).unwrap();\n        Ok(())`
#[test]
fn thread_spawn_what_if_there_are_no_threads_left() {
    let limits = Limits { stack: usize::MAX / 4, ..Limits::default() };
    let server = serve(|server| server.limits(limits), echo_handler);
    for _ in 0..5 {
        let mut peer = server.dial();
        peer.write(request(&[]));
        let response = peer.read_response();
        assert_eq!((response.status, response.header("retry-after")), (503, Some("1")));
        peer.read_end();
    }
    server.stop(Duration::ZERO).unwrap();
}

/// a handler that panics
///
/// A mistake of the application, with one message, ended the thread, the process, or a lock that
/// all connections shared. In other servers the connection's permit was never returned.
///
/// Bytes: a message at which the handler panics, and others beside it
/// Holds: its peer gets 1011, its permit is returned, and no other connection notices
/// Twin: src/server/registry/registry.rs
/// was `lock(&self.open).remove(&id);`
/// now ``
#[test]
fn panic_what_if_a_handler_panics() {
    let limits = Limits { max_connections: 2, ..Limits::default() };
    let server = serve(
        |server| server.limits(limits),
        |mut ws| {
            while let Some(message) = ws.recv()? {
                assert_ne!(message.as_text(), Some("panic"), "on purpose");
                ws.send(message)?;
            }
            Ok(())
        },
    );
    let mut bystander = server.open();
    for _ in 0..20 {
        let mut peer = server.open();
        peer.write(frame_to(Side::Server, 0x81, "panic"));
        assert_eq!(peer.read_close(), 1011);
        drop(peer);
        server.wait_until(|counters| counters.open == 1);
        bystander.write(frame_to(Side::Server, 0x81, "here"));
        assert_eq!(bystander.read_frame().payload, b"here");
    }
}

/// ws #1620: a slow consumer in a broadcast
///
/// One of many clients stopped reading. The server stored its messages without a bound, or all
/// other clients waited until it read again.
///
/// Bytes: messages of 100 KB to three clients, one of which reads nothing
/// Holds: the other two get each message at once; at its bound the third is recognised and dropped
/// Twin: src/connection/outbox/queue.rs
/// was `if state.queued.len() + state.being_sent >= self.bound {`
/// now `if false {`
#[test]
fn ws_1620_what_if_one_of_many_does_not_read() {
    const BOUND: usize = 8;
    let (tell, told) = channel();
    let server = serve(
        |server| server.limits(unhurried()),
        move |mut ws| {
            tell.send(ws.outbox(BOUND)?).unwrap();
            while ws.recv()?.is_some() {}
            Ok(())
        },
    );
    let join = || (server.open(), told.recv_timeout(PATIENCE).unwrap());
    let mut readers: [(Peer, Outbox); 2] = [join(), join()];
    let (_slow, slow_box) = join();
    for number in 0_u32.. {
        assert!(number < 1_000, "100 MB are kept for one who does not read");
        let payload = [&number.to_be_bytes()[..], &[0; 100_000]].concat();
        let message = PreparedMessage::new(&payload);
        let to_slow = slow_box.try_send(&message);
        for (peer, outbox) in &mut readers {
            outbox.try_send(&message).unwrap();
            assert!(peer.read_frame().payload == payload, "each, at once, in order");
        }
        match to_slow {
            Ok(()) => {}
            Err(Error::WriteTimeout) if number as usize >= BOUND => break,
            Err(error) => panic!("{error} at {number}"),
        }
    }
    slow_box.abort();
    server.wait_until(|counters| counters.open == 2);
}

/// Nagle
///
/// Header and payload were sent in two writes. The second write waited until the first was
/// acknowledged, and the acknowledgement waited 40 ms for data to travel with. (Whether the sockets
/// have TCP_NODELAY is tested in `memory/`, which can ask them.)
///
/// Bytes: messages of 0 bytes to a megabyte
/// Holds: one write per message, at both ends
/// Twin: src/connection/write_half.rs
/// was `write_with_min_rate(self.limits.write, &*self.stream, slices, note)`
/// now `slices.iter().try_for_each(|slice| write_with_min_rate(self.limits.write, &*self.stream, &mut [*slice], note))`
#[test]
fn nagle_what_if_a_message_goes_out_in_two_writes() {
    for side in BOTH_SIDES {
        let (mut ws, calls) = open_script(side, Limits::default(), |_| end());
        for length in [0, 1, 125, 126, 4_096, 32_767, 32_768, 65_535, 65_536, 1 << 20] {
            ws.send(vec![7; length]).unwrap();
            let calls = std::mem::take(&mut *calls.lock().unwrap());
            assert_eq!(calls.writes.len(), 1, "{side:?}: {length} bytes");
            assert_eq!(frames_in(&calls.written()), [(0x82, vec![7; length])]);
        }
    }
}
