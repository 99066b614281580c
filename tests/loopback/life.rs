//! Deadlines, limits, life and death.
//!
//! A deadline is short where it must come, and longer than any test where it must not. That the other
//! side has got somewhere, a test is told by a channel or by bytes; nothing here relies on how long
//! something takes, but for the bounds that the deadlines promise, and those are taken generously.

use std::io::{self, BufRead, BufReader, Cursor, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use ws101::{
    Client, Error, Kind, Limits, Message, Outbox, Prepared, Result, Server, Stream, WebSocket,
};

use crate::support::{
    App, BOTH_SIDES, Frame, LINES, PATIENCE, Peer, Running, Side, Wire, cause, echo_handler, head, masked,
    open, request, run, serve,
};

/// More than all buffers between two ends take.
const HUGE: usize = 64 * 1024 * 1024;
/// For deadlines that must come.
const SOON: Duration = Duration::from_millis(100);

/// Limits whose deadlines don't come, for others to shorten.
fn unhurried() -> Limits {
    Limits { write: 2 * PATIENCE, ping_every: None, close: 2 * PATIENCE, ..Limits::default() }
}

/// The messages that come until the peer closes.
fn read_all(ws: &mut WebSocket) -> Result<Vec<Message>> {
    let mut messages = Vec::new();
    while let Some(message) = ws.recv()? {
        messages.push(message);
    }
    Ok(messages)
}

fn texts(texts: &[&str]) -> Vec<Message> {
    texts.iter().map(|&text| Message::Text(text.into())).collect()
}

/// Reads so many bytes, and looks at none.
fn skip(peer: &Peer, count: usize) {
    let skipped = io::copy(&mut (&peer.stream).take(count as u64), &mut io::sink()).unwrap();
    assert_eq!(skipped, count as u64);
}

/// Reads the header of a frame of `HUGE` bytes, and no byte of what it announces.
fn read_huge_header(wire: &mut Wire, side: Side) {
    let [first, _, length @ ..] = wire.peer.read_exact::<10>();
    assert_eq!((first, u64::from_be_bytes(length)), (0x82, HUGE as u64));
    if side == Side::Client {
        wire.peer.read_exact::<4>();
    }
}

// Full duplex.

/// A message that knows which thread sent it, and as which.
fn numbered(thread: u8, number: u32) -> Vec<u8> {
    let length = if number % 20 == 0 { 40_000 } else { number as usize * 37 % 2_000 };
    [&[thread][..], &number.to_be_bytes(), &vec![thread ^ number as u8; length]].concat()
}

#[test]
fn either_side_reads_while_its_threads_send_and_no_two_frames_mix() {
    const EACH: u32 = 200;
    for side in BOTH_SIDES {
        let (mut wire, app) = open(side, unhurried(), |mut ws| {
            let send_all = |thread| {
                let sender = ws.sender();
                move || (0..EACH).try_for_each(|number| sender.send(numbered(thread, number)))
            };
            let threads = [0, 1, 2, 3].map(|thread| run(send_all(thread)));
            let messages = read_all(&mut ws)?;
            threads.into_iter().try_for_each(App::wait)?;
            Ok::<_, Error>(messages)
        });
        let message = wire.frame(0x82, [1; 300]);
        let mut stream = wire.peer.stream.try_clone().unwrap();
        let writing = run(move || (0..500).try_for_each(|_| stream.write_all(&message)));
        let mut next = [0; 4];
        for _ in 0..4 * EACH {
            let Frame { first, payload } = wire.read();
            let thread = payload[0];
            let number = &mut next[usize::from(thread)];
            assert!(first == 0x82 && payload == numbered(thread, *number), "{thread} {number}");
            *number += 1;
        }
        writing.wait().unwrap();
        wire.send(0x88, [3, 232]);
        assert_eq!(wire.read_close(), 1000);
        assert_eq!(app.wait().unwrap(), vec![Message::Binary(vec![1; 300]); 500]);
    }
}

#[test]
fn either_side_takes_in_messages_and_pings_while_a_long_write_of_another_thread_is_stuck() {
    for side in BOTH_SIDES {
        let (tell, told) = channel();
        let (mut wire, app) = open(side, unhurried(), move |mut ws| {
            let sender = ws.sender();
            let sent = run(move || sender.send(vec![0; HUGE]));
            for _ in 0..3 {
                tell.send(ws.recv().unwrap()).unwrap();
            }
            let end = ws.recv();
            (sent.wait(), end)
        });
        read_huge_header(&mut wire, side);
        // None of this is answered yet, and all of it is read.
        for (ping, message) in ["a", "b", "c"].into_iter().zip(texts(&["a", "b", "c"])) {
            wire.send(0x89, ping);
            wire.send(0x81, message.as_bytes());
            assert_eq!(told.recv_timeout(PATIENCE).unwrap(), Some(message));
        }
        skip(&wire.peer, HUGE);
        // Only the latest of the pings is owed an answer.
        assert_eq!(wire.read(), Frame { first: 0x8a, payload: b"c".into() });
        wire.send(0x88, [3, 232]);
        assert_eq!(wire.read_close(), 1000);
        let (sent, end) = app.wait();
        sent.unwrap();
        assert_eq!(end.unwrap(), None);
    }
}

#[test]
fn what_if_a_message_is_begun_and_given_up_while_a_ping_waits_for_its_turn() {
    let (hold, held) = channel();
    let (let_go, told) = channel::<()>();
    let (mut peer, watch, _app) = open_watched(unhurried(), move |mut ws| {
        let sender = ws.sender();
        thread::spawn(move || {
            let message = sender.send_stream(Kind::Binary);
            hold.send(()).unwrap();
            told.recv().unwrap();
            drop(message);
        });
        held.recv().unwrap();
        read_all(&mut ws)
    });
    watch.wait_for_read();
    peer.write(masked(0x89, "?"));
    // The ping has been taken in, and whoever reads waits for more.
    watch.wait_for_read();
    let_go.send(()).unwrap();
    assert_eq!(peer.read_frame(), Frame { first: 0x8a, payload: b"?".into() });
}

// Peers that don't read, or read slowly.

#[test]
fn what_if_both_ends_write_something_huge_and_neither_reads() {
    let limits = || Limits { write: SOON, ..unhurried() };
    let (tell, told) = channel();
    let server = serve(
        |server| server.limits(limits()),
        move |mut ws| {
            let sent = ws.send(vec![0; HUGE]);
            tell.send(sent.is_err()).unwrap();
            sent
        },
    );
    let mut ws = Client::new(server.url()).limits(limits()).connect().unwrap();
    let sent = run(move || ws.send(vec![0; HUGE]));
    // Whose deadline comes first cuts the connection, and so ends the other's wait.
    assert!(matches!(sent.wait(), Err(Error::TooSlow | Error::Lost(_))));
    assert!(told.recv_timeout(PATIENCE).unwrap());
}

#[test]
fn both_sides_finish_something_huge_at_once_if_they_read_meanwhile() {
    let exchange = |mut ws: WebSocket| {
        let sender = ws.sender();
        let sent = run(move || sender.send(vec![7; HUGE / 4]));
        let came = ws.recv()?.map(|message| message.as_bytes() == vec![7; HUGE / 4]);
        sent.wait()?;
        Ok::<_, Error>(came)
    };
    let (tell, told) = channel();
    let server = serve(
        |server| server.limits(Limits { max_message: HUGE as u64, ..unhurried() }),
        move |ws| {
            tell.send(exchange(ws)?).unwrap();
            Ok(())
        },
    );
    let client = Client::new(server.url()).limits(unhurried());
    let came = run(move || exchange(client.connect()?)).wait().unwrap();
    assert_eq!((came, told.recv_timeout(PATIENCE).unwrap()), (Some(true), Some(true)));
}

#[test]
fn either_side_drops_a_peer_that_does_not_read_at_the_write_deadline() {
    for side in BOTH_SIDES {
        let limits = Limits { write: SOON, ..unhurried() };
        let (wire, app) = open(side, limits, |mut ws| (ws.send(vec![0; HUGE]), ws.send("late")));
        let (huge, late) = app.wait();
        assert!(matches!(huge, Err(Error::TooSlow)), "{huge:?}");
        assert!(matches!(late, Err(Error::Closed)), "{late:?}");
        drop(wire);
    }
}

#[test]
fn either_side_wakes_whoever_reads_when_another_thread_finds_the_peer_too_slow() {
    for side in BOTH_SIDES {
        let limits = Limits { write: SOON, ..unhurried() };
        let (wire, app) = open(side, limits, |mut ws| {
            let sender = ws.sender();
            let sent = run(move || sender.send(vec![0; HUGE]));
            (ws.recv(), sent.wait())
        });
        let (came, sent) = app.wait();
        assert!(matches!(came, Err(Error::Lost(_))), "{came:?}");
        assert!(matches!(sent, Err(Error::TooSlow)), "{sent:?}");
        drop(wire);
    }
}

/// A stream to a peer that takes so many bytes in each write deadline, and not one more. A real one
/// could not be had so exact: the time it takes is the deadline itself.
struct Slow {
    request: Mutex<Cursor<String>>,
    takes: usize,
    deadline: Mutex<Duration>,
    open: AtomicBool,
}

impl Stream for Slow {
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        self.request.lock().unwrap().read(into)
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let total = slices.iter().map(|slice| slice.len()).sum();
        if !self.open.swap(true, SeqCst) {
            return Ok(total); // The 101.
        }
        let (start, deadline) = (Instant::now(), *self.deadline.lock().unwrap());
        while let Some(rest) = deadline.checked_sub(start.elapsed()) {
            thread::park_timeout(rest);
        }
        match self.takes.min(total) {
            0 => Err(ErrorKind::WouldBlock.into()),
            taken => Ok(taken),
        }
    }

    fn set_read_timeout(&self, _: Duration) -> io::Result<()> {
        Ok(())
    }

    fn set_write_timeout(&self, timeout: Duration) -> io::Result<()> {
        *self.deadline.lock().unwrap() = timeout;
        Ok(())
    }

    fn shutdown(&self, _: Shutdown) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn server_drops_a_peer_that_takes_less_than_64_kib_in_a_write_deadline_and_waits_for_others() {
    let short = Duration::from_millis(5);
    let limits = Limits { write: short, close: short, ..unhurried() };
    for (takes, is_kept) in [(64 * 1024, true), (64 * 1024 - 1, false), (1, false), (0, false)] {
        let (request, open) = (Mutex::new(Cursor::new(request(&[]))), AtomicBool::new(false));
        let stream = Slow { request, takes, deadline: Mutex::default(), open };
        let mut ws = Server::unbound().limits(limits.clone()).accept(stream).unwrap();
        match ws.send(vec![0; 640 * 1024]) {
            Ok(()) => assert!(is_kept, "{takes}"),
            Err(Error::TooSlow) => assert!(!is_kept, "{takes}"),
            Err(other) => panic!("{takes}: {other}"),
        }
    }
}

#[test]
fn what_if_a_peer_floods_us_with_pings_and_reads_no_pong() {
    for side in BOTH_SIDES {
        let limits = Limits { write: SOON, ..unhurried() };
        let (mut wire, app) = open(side, limits, |mut ws| read_all(&mut ws));
        let pings = wire.frame(0x89, [b'?'; 125]).repeat(1_000);
        while wire.peer.stream.write_all(&pings).is_ok() {}
        let end = app.wait();
        assert!(matches!(end, Err(Error::TooSlow)), "{end:?}");
    }
}

// Silent peers.

#[test]
fn either_side_pings_a_silent_peer_and_gives_it_up() {
    for side in BOTH_SIDES {
        let limits = Limits { ping_every: Some(SOON), pong: SOON, ..unhurried() };
        let (mut wire, app) = open(side, limits, |mut ws| (ws.recv(), ws.recv()));
        assert_eq!(wire.read().first, 0x89);
        wire.peer.read_end();
        drop(wire);
        let (end, after) = app.wait();
        assert!(matches!(end, Err(Error::Silent)), "{end:?}");
        assert!(matches!(after, Ok(None)), "{after:?}");
    }
}

#[test]
fn either_side_keeps_a_peer_that_answers_its_pings_and_knows_how_long_that_takes() {
    for side in BOTH_SIDES {
        let ping_every = Some(Duration::from_millis(10));
        let limits = Limits { ping_every, pong: Duration::from_secs(1), ..unhurried() };
        let (mut wire, app) = open(side, limits, |mut ws| {
            let before = ws.latency();
            read_all(&mut ws).map(|messages| (before, messages, ws.latency()))
        });
        // If no answer counted, the first ping would be the end of it.
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(1_200) {
            let Frame { first, payload } = wire.read();
            assert_eq!(first, 0x89);
            wire.send(0x8a, payload);
        }
        wire.send(0x81, "alive");
        wire.send(0x88, [3, 232]);
        while wire.read().first == 0x89 {}
        drop(wire);
        let (before, messages, latency) = app.wait().unwrap();
        assert_eq!((before, messages), (None, texts(&["alive"])));
        assert!(latency.is_some_and(|latency| latency < PATIENCE), "{latency:?}");
    }
}

#[test]
fn either_side_measures_the_latency_by_the_pong_of_its_own_ping_only() {
    for side in BOTH_SIDES {
        let (mut wire, app) = open(side, unhurried(), |mut ws| {
            ws.ping().unwrap();
            ws.recv().unwrap();
            let other = ws.latency();
            ws.recv().unwrap();
            (other, ws.latency())
        });
        let ping = wire.read();
        wire.send(0x8a, "another");
        wire.send(0x81, "");
        wire.send(0x8a, ping.payload);
        wire.send(0x81, "");
        let (other, own) = app.wait();
        assert!(other.is_none() && own.is_some(), "{other:?} {own:?}");
    }
}

#[test]
fn either_side_gives_up_a_message_in_time_before_each_of_its_bytes_and_gets_it_whole_and_once() {
    for side in BOTH_SIDES {
        // A message without a taker: whoever reads goes on only when the next byte is on its way.
        let (tell, told) = sync_channel(0);
        let (mut wire, app) = open(side, unhurried(), move |mut ws| {
            let mut messages = Vec::new();
            loop {
                match ws.recv_timeout(Duration::from_millis(1)) {
                    Ok(Some(message)) => messages.push(message),
                    Ok(None) => return messages,
                    Err(Error::TimedOut) => tell.send(messages.len()).unwrap(),
                    Err(error) => panic!("{error}"),
                }
            }
        });
        let (beginning, end) = (wire.frame(0x01, "Hel"), wire.frame(0x80, "lo"));
        let message = [beginning, wire.frame(0x89, "?"), end].concat();
        for byte in &message {
            assert_eq!(told.recv_timeout(PATIENCE), Ok(0));
            wire.peer.write([*byte]);
        }
        assert_eq!(wire.read(), Frame { first: 0x8a, payload: b"?".into() });
        while told.recv_timeout(PATIENCE) == Ok(0) {}
        wire.send(0x88, [3, 232]);
        // It may still find that nothing is here: until the Close is.
        thread::spawn(move || while told.recv().is_ok() {});
        assert_eq!(wire.read_close(), 1000);
        assert_eq!(app.wait(), texts(&["Hello"]));
    }
}

// Closing.

/// Writes messages until the other side's buffers are full.
fn fill(wire: &mut Wire) {
    let messages = wire.frame(0x82, vec![0; 1_000_000]);
    wire.peer.stream.set_write_timeout(Some(SOON)).unwrap();
    while wire.peer.stream.write_all(&messages).is_ok() {}
}

#[test]
fn what_if_a_peer_has_filled_our_buffers_and_never_reads_nor_answers_our_close() {
    for side in BOTH_SIDES {
        let (tell, told) = channel();
        let (mut wire, app) = open(side, Limits { close: SOON, ..unhurried() }, move |mut ws| {
            told.recv().unwrap();
            ws.close(1000, "")
        });
        fill(&mut wire);
        tell.send(()).unwrap();
        let closed = app.wait();
        assert!(matches!(closed, Err(Error::Silent)), "{closed:?}");
    }
}

#[test]
fn what_if_we_close_while_another_thread_is_stuck_in_a_write() {
    for side in BOTH_SIDES {
        let (tell, told) = channel();
        let (mut wire, app) = open(side, Limits { close: SOON, ..unhurried() }, move |mut ws| {
            let sender = ws.sender();
            let sent = run(move || sender.send(vec![0; HUGE]));
            told.recv().unwrap();
            let closed = ws.close(1000, "");
            (closed, sent.wait())
        });
        read_huge_header(&mut wire, side);
        fill(&mut wire);
        tell.send(()).unwrap();
        let (closed, sent) = app.wait();
        assert!(matches!(closed, Err(Error::TooSlow)), "{closed:?}");
        assert!(sent.is_err());
    }
}

#[test]
fn what_if_a_peer_answers_our_close_with_messages_without_end() {
    for side in BOTH_SIDES {
        let limits = Limits { close: SOON, ..unhurried() };
        let (mut wire, app) = open(side, limits, |mut ws| ws.close(1000, ""));
        let messages = [wire.frame(0x81, "a"), wire.frame(0x89, "?")].concat().repeat(100);
        while wire.peer.stream.write_all(&messages).is_ok() {}
        let closed = app.wait();
        assert!(matches!(closed, Err(Error::Silent)), "{closed:?}");
    }
}

#[test]
fn either_side_ends_its_recv_when_another_thread_has_closed_and_the_peer_has_answered() {
    for side in BOTH_SIDES {
        let (tell, told) = channel();
        let (mut wire, app) = open(side, unhurried(), move |mut ws| {
            tell.send(ws.sender()).unwrap();
            read_all(&mut ws).map(|messages| (messages, ws.closed_with().cloned()))
        });
        let sender = told.recv_timeout(PATIENCE).unwrap();
        sender.close(4000, "enough").unwrap();
        assert_eq!(wire.read(), Frame { first: 0x88, payload: b"\x0f\xa0enough".into() });
        // What the peer sends before its own Close still counts.
        wire.send(0x81, "last words");
        wire.send(0x88, b"\x0f\xa0");
        wire.peer.read_end();
        drop(wire);
        let (messages, closed_with) = app.wait().unwrap();
        assert_eq!(messages, texts(&["last words"]));
        assert_eq!(closed_with.unwrap().code.0, 4000);
        assert!(matches!(sender.send("late"), Err(Error::Closed)));
    }
}

#[test]
fn what_if_the_peer_never_answers_the_close_that_another_thread_sent() {
    for side in BOTH_SIDES {
        let (tell, told) = channel();
        let (mut wire, app) = open(side, Limits { close: SOON, ..unhurried() }, move |mut ws| {
            tell.send(ws.sender()).unwrap();
            ws.recv()
        });
        told.recv_timeout(PATIENCE).unwrap().close(1000, "").unwrap();
        assert_eq!(wire.read().first, 0x88);
        let end = app.wait();
        assert!(matches!(end, Err(Error::Silent)), "{end:?}");
    }
}

#[test]
fn what_if_the_peer_answers_the_close_that_another_thread_sent_with_pings_without_end() {
    for side in BOTH_SIDES {
        let (mut wire, app) = open(side, Limits { close: SOON, ..unhurried() }, |mut ws| {
            ws.sender().close(1000, "").unwrap();
            ws.recv()
        });
        let ping = wire.frame(0x89, "?");
        let flood = run(move || while wire.peer.stream.write_all(&ping).is_ok() {});
        let end = app.wait();
        assert!(matches!(end, Err(Error::Silent)), "{end:?}");
        flood.wait();
    }
}

#[test]
fn either_side_waits_for_the_answer_to_its_close_longer_than_it_waits_to_ping() {
    for side in BOTH_SIDES {
        let ping_every = Some(Duration::from_millis(1));
        let (tell, told) = channel();
        let (mut wire, app) = open(side, Limits { ping_every, ..unhurried() }, move |mut ws| {
            let closed = ws.close(1000, "");
            tell.send(()).unwrap();
            closed
        });
        while wire.read().first == 0x89 {}
        told.recv_timeout(SOON).unwrap_err();
        wire.send(0x88, [3, 232]);
        app.wait().unwrap();
    }
}

#[test]
fn either_side_says_1000_when_its_websocket_is_dropped() {
    for side in BOTH_SIDES {
        let (wire, app) = open(side, unhurried(), drop);
        assert_eq!(wire.read_close(), 1000);
        app.wait();
    }
}

#[test]
fn client_says_1011_when_its_thread_panics() {
    let (wire, _app) = open(Side::Client, unhurried(), |_ws| -> () { panic!("on purpose") });
    assert_eq!(wire.read_close(), 1011);
}

/// A raw connection to a path.
fn open_at(server: &Running, path: &str) -> Peer {
    let mut peer = server.dial();
    peer.write(head(&format!("GET {path} HTTP/1.1"), &LINES));
    assert_eq!(peer.read_response().status, 101);
    peer
}

/// A masked text there, and the same unmasked back.
fn assert_echo(peer: &mut Peer, text: &str) {
    peer.write(masked(0x81, text));
    assert_eq!(peer.read_frame(), Frame { first: 0x81, payload: text.into() });
}

#[test]
fn server_says_how_a_handler_ended_and_frees_its_place_while_others_notice_nothing() {
    let server = serve(
        |server| server.limits(Limits { max_connections: 2, ..unhurried() }),
        |mut ws| match ws.request().path() {
            "/panic" => panic!("on purpose"),
            "/panic-without" => {
                drop(ws);
                panic!("on purpose")
            }
            "/fail" => Err(Error::other("on purpose")),
            "/fail-late" => {
                ws.recv()?;
                Err(Error::other("on purpose"))
            }
            "/return" => Ok(()),
            _ => echo_handler(ws),
        },
    );
    let mut bystander = server.open();
    let ends = [
        ("/panic", 1011),
        ("/panic-without", 1011),
        ("/fail", 1011),
        ("/fail-late", 1011),
        ("/return", 1000),
    ];
    for (path, code) in ends.repeat(3) {
        let mut peer = open_at(&server, path);
        assert_eq!(server.handle.counters().open, 2);
        if path == "/fail-late" {
            peer.write(masked(0x81, "go on"));
        }
        assert_eq!(peer.read_close(), code, "{path}");
        drop(peer);
        server.wait_until(|counters| counters.open == 1);
        assert_echo(&mut bystander, "undisturbed");
    }
}

#[test]
fn server_frees_the_place_of_a_peer_that_ends_without_a_close() {
    let server = serve(|server| server.limits(unhurried()), echo_handler);
    for _ in 0..20 {
        let mut peer = server.open();
        assert_echo(&mut peer, "hello");
        drop(peer);
    }
    server.wait_until(|counters| counters.open == 0);
    assert_eq!(server.handle.counters().accepted, 20);
}

// Stopping.

#[test]
fn server_that_stops_tells_everybody_1001_and_returns_when_they_have_left() {
    let server = serve(|server| server.limits(unhurried()), echo_handler);
    let mut peers = [0; 5].map(|_| server.open());
    peers.iter_mut().for_each(|peer| assert_echo(peer, "hello"));
    let peers = peers.map(|mut peer| {
        run(move || {
            let close = peer.read_frame();
            peer.write(masked(0x88, &close.payload[..2]));
            peer.read_end();
            close
        })
    });
    let start = Instant::now();
    server.stop(2 * PATIENCE).unwrap();
    assert!(start.elapsed() < PATIENCE, "nobody is waited for who has left");
    for peer in peers {
        let Frame { first, payload } = peer.wait();
        assert_eq!((first, &payload[..2]), (0x88, &[3, 233][..]));
    }
}

#[test]
fn what_if_the_server_stops_among_peers_that_are_frozen_or_in_mid_head_and_handlers_that_hang() {
    let (hang, never) = channel::<()>();
    let never = Mutex::new(never);
    let server = serve(
        |server| server.limits(Limits { head: 2 * PATIENCE, ..unhurried() }),
        move |mut ws| match ws.request().path() {
            "/flood" => ws.send(vec![0; HUGE]),
            "/hang" => {
                let _ = never.lock().unwrap().recv();
                Ok(())
            }
            _ => ws.recv().map(|_| ()),
        },
    );
    let mut flooded = open_at(&server, "/flood");
    flooded.read_exact::<10>();
    let mut in_mid_head = server.dial();
    in_mid_head.write("GET / HTTP/1.1\r\nHost: ");
    let mut idle = open_at(&server, "/idle");
    let mut hanging = open_at(&server, "/hang");
    let grace = SOON;
    let start = Instant::now();
    server.stop(grace).unwrap();
    assert!(start.elapsed() < grace + Duration::from_secs(3), "{:?}", start.elapsed());
    for peer in [&mut idle, &mut hanging] {
        let Frame { first, payload } = peer.read_frame();
        assert_eq!((first, &payload[..2]), (0x88, &[3, 233][..]));
    }
    // Whoever was frozen sees an end, or a reset: it was sent more than it took.
    let _ = io::copy(&mut flooded.stream, &mut io::sink());
    assert_eq!(in_mid_head.read_response().status, 408);
    drop(hang);
}

#[test]
fn server_that_has_stopped_lets_nobody_in() {
    let server = serve(|server| server, echo_handler);
    let (address, handle) = (server.address, server.handle.clone());
    server.stop(Duration::ZERO).unwrap();
    assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    assert_eq!(handle.counters().open, 0);
}

// Counting.

#[test]
fn server_refuses_one_more_than_its_places_with_503_and_has_room_again_when_someone_leaves() {
    let limits = Limits { max_connections: 2, ..unhurried() };
    let server = serve(|server| server.limits(limits), echo_handler);
    let (mut first, mut second) = (server.open(), server.open());
    for _ in 0..2 {
        let mut third = server.dial();
        third.write(request(&[]));
        let response = third.read_response();
        assert_eq!(response.status, 503);
        assert!(response.header("retry-after").is_some());
        third.read_end();
        assert_echo(&mut first, "unharmed");
        assert_echo(&mut second, "unharmed");
    }
    first.write(masked(0x88, [3, 232]));
    assert_eq!(first.read_close(), 1000);
    drop(first);
    server.wait_until(|counters| counters.open == 1);
    assert_echo(&mut server.open(), "in");
    assert_echo(&mut second, "still here");
    assert_eq!(server.handle.counters().refused.get(&503), Some(&2));
}

#[test]
fn server_counts_who_is_open_who_was_refused_and_messages_and_bytes_both_ways() {
    let server = serve(|server| server.limits(unhurried()), |mut ws| {
        while let Some(message) = ws.recv()? {
            ws.feed(message)?;
        }
        Ok(())
    });
    let messages = [
        masked(0x81, "hello"),
        masked(0x82, [0; 200]),
        masked(0x01, "in two "),
        masked(0x80, "fragments"),
        masked(0x82, vec![0; 70_000]),
    ];
    let messages = messages.concat();
    // The first comes in the same write as the request.
    let mut peer = server.dial();
    peer.write([request(&[]).as_bytes(), &messages].concat());
    assert_eq!(peer.read_response().status, 101);
    skip(&peer, (2 + 5) + (4 + 200) + (2 + 16) + (10 + 70_000));
    let counters = server.handle.counters();
    assert_eq!((counters.open, counters.accepted), (1, 1));
    peer.write(masked(0x89, "?"));
    assert_eq!(peer.read_frame().first, 0x8a);
    peer.write(masked(0x88, [3, 232]));
    assert_eq!(peer.read_close(), 1000);
    drop(peer);
    for (bytes, status) in [
        (request(&["Origin: http://elsewhere.example"]), 403),
        (request(&["Origin: http://elsewhere.example"]), 403),
        (head("POST / HTTP/1.1", &LINES), 405),
    ] {
        let mut refused = server.dial();
        refused.write(bytes);
        assert_eq!(refused.read_response().status, status);
    }
    server.wait_until(|counters| counters.open == 0);
    let counters = server.handle.counters();
    assert_eq!((counters.open, counters.accepted), (0, 1));
    assert_eq!(counters.refused.into_iter().collect::<Vec<_>>(), [(403, 2), (405, 1)]);
    assert_eq!((counters.messages_in, counters.messages_out), (4, 4));
    assert_eq!(counters.bytes_in as usize, messages.len() + 7 + 8);
    assert_eq!(counters.bytes_out, 7 + 204 + 18 + 70_010 + 3 + 4);
}

#[test]
fn server_counts_what_it_fed_last_and_its_own_close() {
    let server = serve(|server| server.limits(unhurried()), |mut ws| ws.feed("bye"));
    let mut peer = server.open();
    assert_eq!(peer.read_frame().payload, b"bye");
    assert_eq!(peer.read_close(), 1000);
    drop(peer);
    server.wait_until(|counters| counters.open == 0);
    let counters = server.handle.counters();
    assert_eq!((counters.messages_out, counters.bytes_out), (1, 5 + 4));
}
