//! Room 5, the lifecycle: how a connection begins, lasts and ends, and what it may leak.
//!
//! `memory/` counts the leaks: memory, descriptors and threads of connections that have ended.

use std::time::Duration;

use ws101::{Error, Limits, Message, Server};

use crate::script::{end, frame_to, frames_in, open_script, script};
use crate::sockets::{BOTH_SIDES, Side, echo_handler, open, request, run, serve};

/// For deadlines that must pass.
const SOON: Duration = Duration::from_millis(100);

/// ws CVE-2016-10518, CVE-2026-45736
///
/// The application passed a number to `ping` instead of data. The library allocated that many bytes and
/// sent them uninitialised, with whatever the memory had held before.
///
/// Bytes: pings and a Close of every length, after a message with a secret
/// Holds: no line of the library is unsafe; a pong is its ping, a Close is answered with its code and reason, and no byte more
/// Twin: src/connection/write_half.rs
/// was `if encoder.pong(&payload).is_ok()`
/// now `if encoder.pong(&[&payload[..], &[0; 125]].concat()[..125]).is_ok()`
#[test]
fn cve_2016_10518_what_if_a_pong_is_longer_than_its_ping() {
    let manifest = include_str!("../../Cargo.toml");
    assert!(manifest.contains("\n[lints.rust]\nunsafe_code = \"forbid\"\n"));
    for side in BOTH_SIDES {
        let pings: Vec<Vec<u8>> = (0..=125).map(|length| vec![length; length.into()]).collect();
        let secret = frame_to(side, 0x82, [0x53; 5_000]);
        let mut bytes: Vec<u8> = pings
            .iter()
            .flat_map(|ping| [secret.clone(), frame_to(side, 0x89, ping)].concat())
            .collect();
        let goodbye = [&1000_u16.to_be_bytes()[..], b"that is all"].concat();
        bytes.extend(frame_to(side, 0x88, &goodbye));
        let mut bytes = Some(bytes);
        let (mut ws, calls) =
            open_script(side, Limits::default(), move |_| Ok(bytes.take().unwrap_or_default()));
        while ws.recv().unwrap().is_some() {}
        let frames = frames_in(&calls.lock().unwrap().written());
        let pongs = pings.into_iter().map(|ping| (0x8a, ping));
        let expected: Vec<_> = pongs.chain([(0x88, goodbye)]).collect();
        assert_eq!(frames, expected, "{side:?}");
    }
}

/// Tomcat CVE-2022-25762, CVE-2021-42340, CVE-2024-23672
///
/// One thread sent while another closed, and both used the same buffer, so a frame of one
/// connection was sent on another. Each connection leaked something, and a peer that never finished
/// closing kept all of it.
///
/// Bytes: four threads send, one closes; a peer that answers our Close with messages, or not at all
/// Holds: whole frames up to one Close and nothing after it; closing ends at its deadline; what remains: `memory/`
/// Twin: src/frames/encoder.rs
/// was `if self.closed { Err(Misuse::AfterClose) } else { Ok(()) }`
/// now `Ok(())`
/// Twin: src/connection/read_half.rs
/// was `self.read_timeout_while_closing(answer_by)?`
/// now `self.keepalive.until_next_check()`
#[test]
fn cve_2022_25762_what_if_we_send_and_close_at_the_same_time() {
    const THREADS: u8 = 4;
    for side in BOTH_SIDES {
        for _ in 0..10 {
            let (mut wire, app) = open(side, Limits::default(), |mut ws| {
                let senders = [(); THREADS as usize].map(|()| ws.sender());
                let threads: Vec<_> = (0..THREADS)
                    .zip(senders)
                    .map(|(name, sender)| {
                        run(move || {
                            let length = 1 + 3_000 * usize::from(name);
                            while sender.send(vec![name; length]).is_ok() {}
                        })
                    })
                    .collect();
                // The peer's word is the moment at which we close.
                let word = ws.recv()?;
                let closed = ws.close(1000, "");
                threads.into_iter().for_each(|thread| thread.wait());
                closed.map(|()| word)
            });
            let mut frames = 0;
            loop {
                let frame = wire.read();
                if frame.first == 0x88 {
                    break;
                }
                // One that was mixed with another has bytes of two threads in it, or a wrong length.
                let name = frame.payload[0];
                assert_eq!(frame.payload, vec![name; 1 + 3_000 * usize::from(name)], "{side:?}");
                frames += 1;
                if frames == 20 {
                    wire.send(0x81, "now");
                }
            }
            wire.send(0x88, 1000_u16.to_be_bytes());
            // A client waits a moment for its server to end the stream (§7.1.1).
            if side == Side::Client {
                wire.peer.finish();
            }
            wire.peer.read_end();
            drop(wire);
            assert_eq!(app.wait().unwrap(), Some(Message::Text("now".into())), "{side:?}");
        }
        // And one who never finishes: with pings without end, each of which is a sign of life.
        let limits = Limits { close: SOON, ..Limits::default() };
        let mut pings = 0;
        let (mut ws, calls) = open_script(side, limits, move |_| {
            pings += 1;
            // An end, for the twin: it closes for longer than this takes.
            if pings < 2_000_000 { Ok(frame_to(side, 0x89, "still here")) } else { end() }
        });
        let closed = ws.close(1000, "");
        assert!(matches!(closed, Err(Error::PeerTimeout)), "{side:?}: {closed:?}");
        assert_eq!(frames_in(&calls.lock().unwrap().written()).len(), 1, "one Close, no pong");
    }
}

/// libsoup, messages after an error close
///
/// A connection had failed and had said so. The bytes that still arrived were read and delivered.
///
/// Bytes: a frame that breaks a rule, then good messages, a ping and a Close
/// Holds: after the first error nothing is delivered, nothing is answered, and the connection is over
/// Twin: src/frames/decoder.rs
/// was `self.ended = matches!(next, Err(_) | Ok(Some(Event::Close(_))));`
/// now `self.ended = matches!(next, Ok(Some(Event::Close(_))));`
/// and: src/connection/read_half.rs
/// was `log::debug!("{} {violation}", self.write_half.id);\n                    self.over = true;`
/// now `log::debug!("{} {violation}", self.write_half.id);`
#[test]
fn libsoup_error_close_what_if_good_messages_follow_an_error() {
    for side in BOTH_SIDES {
        let bad = frame_to(side, 0x83, "bad");
        let more = [(0x81, "more"), (0x89, "ping"), (0x82, "more"), (0x81, "more")];
        let more = more.map(|(first, payload)| frame_to(side, first, payload)).concat();
        let mut reads =
            [frame_to(side, 0x81, "good"), [bad, more.clone()].concat(), more].into_iter();
        let (mut ws, calls) =
            open_script(side, Limits::default(), move |_| Ok(reads.next().unwrap_or_default()));
        assert_eq!(ws.recv().unwrap(), Some(Message::Text("good".into())));
        assert!(matches!(ws.recv(), Err(Error::Violation(_))), "{side:?}");
        for _ in 0..10 {
            assert!(matches!(ws.recv(), Ok(None)), "{side:?}");
        }
        drop(ws);
        let frames = frames_in(&calls.lock().unwrap().written());
        assert_eq!(frames.len(), 1, "{side:?}: a Close, and nothing more: {frames:?}");
        assert_eq!((frames[0].0, &frames[0].1[..2]), (0x88, &1002_u16.to_be_bytes()[..]));
    }
}

/// Slowloris CVE-2007-6750; Node CVE-2018-12122; hackney CVE-2026-47073
///
/// Each read had a deadline of its own. One byte now and then renewed it, and held a thread for
/// hours, or a message for ever.
///
/// Bytes: a head a byte at a time, that never ends; an answer to a client likewise
/// Holds: one deadline for the whole head, however slowly it arrives: 408, or `PeerTimeout` at a client
/// Twin: src/transport/head_reader.rs
/// was `match read_before(deadline, stream, buffer.space()) {`
/// now `match read_before(Deadline::after(std::time::Duration::from_secs(10)), stream, buffer.space()) {`
#[test]
fn cve_2007_6750_what_if_each_byte_comes_just_in_time() {
    /// At one byte per read, longer than any deadline of ours. The twin reads all of it.
    const BYTES: usize = 3_000_000;
    let limits = || Limits {
        head: SOON,
        connect: SOON,
        close: SOON,
        max_head: usize::MAX,
        ..Limits::default()
    };
    let dribble = |beginning: &'static str| {
        let mut bytes = beginning.bytes().chain(std::iter::repeat_n(b'a', BYTES));
        script(move |_| Ok(bytes.next().into_iter().collect()))
    };
    let (stream, calls) = dribble("GET / HTTP/1.1\r\nA: ");
    let refused = Server::without_listener().limits(limits()).accept(stream);
    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
    let answer = calls.lock().unwrap().written();
    assert!(answer.starts_with(b"HTTP/1.1 408 "), "{}", answer.escape_ascii());
    let (stream, _) = dribble("HTTP/1.1 101 Switching Protocols\r\nA: ");
    let connected = ws101::Client::new("ws://a").limits(limits()).connect_over(stream);
    assert!(matches!(connected, Err(Error::PeerTimeout)), "{connected:?}");
}

/// blaze CVE-2021-21293; Textream CVE-2026-28412; Nezha CVE-2026-53522
///
/// The number of connections had no limit. Each took a thread, a buffer and a descriptor, until one
/// of the three was used up and the server failed for all clients.
///
/// Bytes: good requests, one more than there are permits
/// Holds: that one gets a 503 with the time to retry; the others are served; a connection that ends makes room
/// Twin: src/server/registry/registry.rs
/// was `if open.len() >= max_connections || !self.is_accepting() {`
/// now `if !self.is_accepting() {`
/// Twin: the limit lifted, in the test
#[test]
fn cve_2021_21293_what_if_one_more_client_comes_than_there_are_permits() {
    const PLACES: usize = 3;
    let status_of_one_more = |max_connections| {
        let limits = Limits { max_connections, ..Limits::default() };
        let server = serve(|server| server.limits(limits), echo_handler);
        let mut inside: Vec<_> = (0..PLACES).map(|_| server.open()).collect();
        let mut outside = server.dial();
        outside.write(request(&[]));
        let response = outside.read_response();
        if response.status == 503 {
            assert_eq!(response.header("retry-after"), Some("1"));
            outside.read_end();
        }
        for peer in &mut inside {
            peer.write(frame_to(Side::Server, 0x81, "still served"));
            assert_eq!(peer.read_frame().payload, b"still served");
        }
        drop(inside.pop());
        server.wait_until(|counters| counters.open < max_connections);
        drop(server.open());
        response.status
    };
    assert_eq!(status_of_one_more(PLACES), 503);
    assert_eq!(status_of_one_more(PLACES + 1), 101, "the twin lets it in");
    // The same cap holds for whoever brings streams of their own.
    let server =
        Server::without_listener().limits(Limits { max_connections: 1, ..Limits::default() });
    let one = || {
        let mut request = Some(request(&[]).into_bytes());
        let (stream, _) = script(move |_| Ok(request.take().unwrap_or_default()));
        server.accept(stream)
    };
    let (first, second) = (one(), one());
    assert!(first.is_ok() && second.is_err());
    drop(first);
    assert!(one().is_ok());
}
