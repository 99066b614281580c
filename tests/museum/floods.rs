//! Room 2, fragments, buffers, floods: small things in large numbers.
//!
//! Each frame keeps every rule. Together the frames are a million objects, a queue without end, or work
//! that grows with the square of the input. The exhibits that need a counting allocator are in `memory/`.

use std::sync::mpsc::channel;
use std::time::Duration;

use ws101::frames::assembler::Bounds;
use ws101::{Error, Limits, Message};

use super::lengths::DEFAULT;
use crate::frames::{Listener, NO_BOUNDS, ROLES, binary, frame, head, peer_of, text};
use crate::script::{end, frame_to, open_script};
use crate::sockets::{BOTH_SIDES, PATIENCE, Side, echo_handler, open, run};

/// For deadlines that must pass.
const SOON: Duration = Duration::from_millis(100);

/// Netty CVE-2014-0193; Bandit CVE-2026-42786; hackney CVE-2026-47073; NATS CVE-2026-33219
///
/// Each frame had a limit, but the message had none. Frames of one byte, each well within the
/// limit, were joined until the memory was full.
///
/// Bytes: `01 81 m x`, then `00 81 m x` without end
/// Holds: the limit applies to the sum, and the header that exceeds it is answered with 1009
/// Twin: src/frames/assembler.rs
/// was `Some(sum) if sum <= self.max_announced_total() => self.announced = sum,`
/// now `Some(sum) if sum <= self.max_announced_total() => self.announced = 0,`
/// Twin: the limit lifted, in the test
#[test]
fn cve_2014_0193_what_if_a_message_is_made_of_frames_that_are_each_small() {
    let code_at = |role, bounds| {
        let mut listener = Listener::within(role, bounds);
        for number in 0..2_000 {
            let first = if number == 0 { 0x01 } else { 0x00 };
            let bytes = frame(peer_of(role), &[first, 1], b"x");
            let (header, payload) = bytes.split_at(bytes.len() - 1);
            listener.hear(header);
            if let Some(code) = listener.failed_with() {
                return Some((number, code));
            }
            listener.hear(payload);
        }
        None
    };
    for role in ROLES {
        let bounds = Bounds { max_message: 1_000, ..DEFAULT };
        assert_eq!(code_at(role, bounds), Some((1_000, 1009)), "{role:?}");
        assert_eq!(code_at(role, NO_BOUNDS), None, "{role:?}: the twin goes on");
    }
}

/// ws CVE-2026-48779; ws #2331; undici CVE-2026-12151
///
/// Each fragment was an object in a list. A limit on bytes doesn't bound a million empty fragments,
/// and the first fix counted only fragments that weren't empty.
///
/// Bytes: `00 80 m`, and `00 81 m 61`, 200,000 times; 10^6 times, and their memory: `memory/`
/// Holds: at most 131,072 fragments, empty ones included; one more is 1009
/// Twin: src/frames/assembler.rs
/// was `self.fragments += 1;`
/// now `self.fragments += u64::from(header.length > 0);`
/// Twin: the limit lifted, in the test
#[test]
fn cve_2026_48779_what_if_a_message_has_more_fragments_than_sense() {
    const MANY: u64 = 200_000;
    for role in ROLES {
        for payload in [&b""[..], b"a"] {
            let fragments_taken = |bounds| {
                let mut listener = Listener::within(role, bounds);
                listener.hear(&frame(peer_of(role), &head(0x01, payload.len()), payload));
                let next = frame(peer_of(role), &head(0x00, payload.len()), payload);
                let taken = (1..MANY).take_while(|_| {
                    listener.hear(&next);
                    listener.failed_with() != Some(1009)
                });
                1 + taken.count() as u64
            };
            assert_eq!(fragments_taken(DEFAULT), 131_072, "{role:?}");
            assert_eq!(fragments_taken(NO_BOUNDS), MANY, "{role:?}: the twin goes on");
        }
    }
}

/// ws-rs RUSTSEC-2020-0043; QEMU CVE-2017-15268
///
/// The peer sends requests and reads no answers. The program stored each answer that it couldn't
/// send.
///
/// Bytes: `82 FF 00 00 00 00 00 01 00 00 m ..` to an echo, again and again, while the peer reads nothing
/// Holds: we stop reading while we wait to write; at the write deadline the peer is dropped
/// Twin: src/transport/min_write_rate.rs
/// was `Err(error) if is_timeout(&error) && waits + 1 < CALLS_PER_PERIOD => waits += 1,`
/// now `Err(error) if is_timeout(&error) => waits = 0,`
/// and: src/transport/min_write_rate.rs
/// was `Some((_, before)) if written - before < MIN_PROGRESS => {`
/// now `Some(_) if false => {`
#[test]
fn rustsec_2020_0043_what_if_a_peer_asks_and_reads_no_answer() {
    for side in BOTH_SIDES {
        let limits = Limits { write: SOON, ..Limits::default() };
        let (mut wire, app) = open(side, limits, echo_handler);
        let question = wire.frame(0x82, vec![7; 65_536]);
        wire.peer.stream.set_write_timeout(Some(PATIENCE / 4)).unwrap();
        let mut asked = 0;
        while std::io::Write::write_all(&mut wire.peer.stream, &question).is_ok() {
            asked += question.len();
            assert!(asked < 64 << 20, "{side:?} takes in what it can't answer");
        }
        let ended = app.wait();
        assert!(matches!(ended, Err(Error::WriteTimeout)), "{side:?}: {ended:?}");
    }
}

/// curl CVE-2026-11586; curl CVE-2025-5399
///
/// Each ping queued a pong, although the peer read none. Another program retried a pong that
/// couldn't be written in a busy loop.
///
/// Bytes: `89 84 m` and a number, 20,000 times, while a long message of ours is stuck in the buffers
/// Holds: pings are still read; one pong waits, for the latest of them; no thread retries it in between
/// Twin: src/connection/pending_control.rs
/// was `lock(&self.frames).pong = Some(payload);`
/// now `lock(&self.frames).pong.get_or_insert_default().extend(payload);`
/// Twin: src/connection/write_half.rs
/// was `fn answer_ping(&self, payload: Vec<u8>) -> Result<()> {\n        if let Some(mut encoder) = self.try_lock() {`
/// now `fn answer_ping(&self, payload: Vec<u8>) -> Result<()> {\n        if let Some(mut encoder) = Some(self.lock()) {`
#[test]
fn cve_2026_11586_what_if_pings_flood_in_and_no_pong_can_go_out() {
    const PINGS: u32 = 20_000;
    /// More than fits into all the buffers between two ends.
    const HUGE: usize = 32 << 20;
    for side in BOTH_SIDES {
        let (tell, told) = channel();
        let limits = Limits { write: 3 * PATIENCE, ping_every: None, ..Limits::default() };
        let (mut wire, app) = open(side, limits, move |mut ws| {
            let sender = ws.sender();
            let stuck = run(move || sender.send(vec![0; HUGE]));
            let after_the_pings = ws.recv();
            tell.send(()).unwrap();
            stuck.wait().unwrap();
            after_the_pings
        });
        // The huge message is on its way, and will not get through.
        let [first, _, length @ ..] = wire.peer.read_exact::<10>();
        assert_eq!((first, u64::from_be_bytes(length)), (0x82, HUGE as u64));
        let pings: Vec<u8> =
            (0..PINGS).flat_map(|number| wire.frame(0x89, number.to_be_bytes())).collect();
        wire.peer.write(pings);
        wire.send(0x81, "done");
        told.recv_timeout(PATIENCE).expect("the pings are read");
        let mask = if side == Side::Client { 4 } else { 0 };
        for _ in 0..(HUGE + mask) / 4096 {
            wire.peer.read_exact::<4096>();
        }
        for _ in 0..mask {
            wire.peer.read_exact::<1>();
        }
        let latest = wire.read();
        assert_eq!((latest.first, &*latest.payload), (0x8a, &(PINGS - 1).to_be_bytes()[..]));
        assert_eq!(wire.read_close(), 1000, "no other pong");
        assert_eq!(app.wait().unwrap(), Some(Message::Text("done".into())));
    }
}

/// Undertow CVE-2021-3690; coder/websocket (2021)
///
/// A pong without a ping leaked its buffer. Another program sent a second pong into a closed
/// channel, which panics. (Ten thousand pongs here. A million, with an allocator that counts, in
/// `memory/`.)
///
/// Bytes: `8A 80 m`, `8A FD m ..`
/// Holds: pongs are read and ignored; the message after them arrives
/// Twin: src/connection/read_half.rs
/// was `Ok(Some(Event::Pong(payload))) => self.keepalive.note_pong(&payload),`
/// now `Ok(Some(Event::Pong(payload))) => self.keepalive.note_pong(&payload[1..]),`
#[test]
fn cve_2021_3690_what_if_pongs_come_without_a_ping() {
    for side in BOTH_SIDES {
        let pongs = [frame_to(side, 0x8a, ""), frame_to(side, 0x8a, [7; 125])].concat();
        let mut reads = 0;
        let (mut ws, calls) = open_script(side, Limits::default(), move |_| {
            reads += 1;
            match reads {
                ..=100 => Ok(pongs.repeat(50)),
                101 => Ok(frame_to(side, 0x81, "still here")),
                _ => end(),
            }
        });
        assert_eq!(ws.recv().unwrap(), Some(Message::Text("still here".into())), "{side:?}");
        assert_eq!(calls.lock().unwrap().written(), b"", "nothing is answered");
    }
}

/// Asterisk CVE-2014-9374, CVE-2018-7287
///
/// A frame had no payload. One version freed an empty buffer twice; a later one waited in a loop
/// for the first of zero bytes.
///
/// Bytes: `81 80 m`; `01 80 m`, `00 80 m`, `80 80 m`
/// Holds: an empty message is delivered as one, even if it came in empty fragments
/// Twin: src/frames/decoder.rs
/// was `let whole = count == missing;`
/// now `let whole = count == missing && count > 0;`
#[test]
fn cve_2014_9374_what_if_a_message_is_empty() {
    for role in ROLES {
        let mut listener = Listener::within(role, DEFAULT);
        for first in [0x81, 0x82, 0x01, 0x00, 0x80, 0x89, 0x81] {
            listener.hear(&frame(peer_of(role), &[first, 0], b""));
        }
        let ping = ws101::frames::decoder::Event::Ping(vec![]);
        let expected = [text(""), binary(b""), text(""), ping, text("")];
        assert_eq!(listener.events, expected, "{role:?}");
    }
}

/// mod_lua CVE-2015-0228
///
/// A crafted ping of a few bytes crashed the process of the web server.
///
/// Bytes: `89 80 m`; `89 FD m` and 125 bytes; `89 FE 00 7E m` and 126 bytes
/// Holds: answered, answered with the same bytes, 1002
/// Twin: src/frames/header.rs
/// was `if opcode.is_control() && usize::from(second & LENGTH) > MAX_CONTROL_PAYLOAD {`
/// now `if opcode.is_control() && usize::from(second & LENGTH) > 126 {`
#[test]
fn cve_2015_0228_what_if_a_ping_is_empty_or_as_long_as_can_be_or_longer() {
    for side in BOTH_SIDES {
        let (mut wire, app) = open(side, Limits::default(), echo_handler);
        for payload in [&[][..], &[7; 125]] {
            wire.send(0x89, payload);
            let pong = wire.read();
            assert_eq!((pong.first, &*pong.payload), (0x8a, payload), "{side:?}");
        }
        wire.send(0x89, [7; 126]);
        assert_eq!(wire.read_close(), 1002, "{side:?}");
        assert!(matches!(app.wait(), Err(Error::Violation(_))));
    }
}
