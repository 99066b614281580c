//! A connection's deadlines and limits, and what happens when a peer exceeds one.
//!
//! A deadline is short where it must pass, and longer than any test where it must not. A test
//! learns from a channel or from bytes how far the other side is. Nothing here relies on how long
//! something takes, except for the times that deadlines promise, and those have a generous margin.

use std::io::{self, Cursor, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use ws101::{
    Client, Error, Limits, Message, MessageKind, Outbox, PreparedMessage, Result, Server, Stream,
    WebSocket,
};

use crate::support::{
    App, BOTH_SIDES, Frame, LINES, PATIENCE, Peer, Running, Side, Wire, cause, echo_handler, head,
    masked, open, request, run, serve, switching_protocols,
};

/// More than all buffers between two ends take.
const HUGE: usize = 64 * 1024 * 1024;
/// For deadlines that must come.
const SOON: Duration = Duration::from_millis(100);

/// Limits whose deadlines don't come, for others to shorten.
fn unhurried() -> Limits {
    Limits { write: 2 * PATIENCE, ping_every: None, close: 2 * PATIENCE, ..Limits::default() }
}

/// Leaves, and waits for what the application ended with.
fn leave<T>(wire: Wire, app: App<T>) -> T {
    drop(wire);
    app.wait()
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
    let length = if number.is_multiple_of(20) { 40_000 } else { number as usize * 37 % 2_000 };
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

/// Three threads, each of which sends message after message in four fragments, all of one letter.
#[test]
fn section_5_4_no_two_messages_in_fragments_mix_though_several_threads_send_them() {
    const EACH: usize = 50;
    for side in BOTH_SIDES {
        let (mut wire, app) = open(side, unhurried(), |mut ws| {
            let send_all = |letter: u8| {
                let sender = ws.sender();
                move || {
                    for _ in 0..EACH {
                        let mut message = sender.send_stream(MessageKind::Binary)?;
                        for _ in 0..3 {
                            message.write_all(&[letter])?;
                            message.flush()?;
                        }
                        message.finish()?;
                    }
                    Ok::<_, Error>(())
                }
            };
            let threads = [b'a', b'b', b'c'].map(|letter| run(send_all(letter)));
            threads.into_iter().try_for_each(App::wait)?;
            ws.close(1000, "")
        });
        for _ in 0..3 * EACH {
            let begin = wire.read();
            assert_eq!((begin.first, begin.payload.len()), (0x02, 1), "a message begins");
            for _ in 0..2 {
                assert_eq!(wire.read(), Frame { first: 0x00, payload: begin.payload.clone() });
            }
            assert_eq!(wire.read(), Frame { first: 0x80, payload: Vec::new() });
        }
        wire.send(0x88, [3, 232]);
        assert_eq!(wire.read_close(), 1000);
        app.wait().unwrap();
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
fn what_if_a_peer_breaks_a_rule_while_a_long_write_of_another_thread_is_stuck() {
    for side in BOTH_SIDES {
        let (tell, told) = channel();
        let (mut wire, app) = open(side, unhurried(), move |mut ws| {
            let sender = ws.sender();
            let sent = run(move || sender.send(vec![0; HUGE]));
            tell.send(ws.recv()).unwrap();
            sent.wait()
        });
        read_huge_header(&mut wire, side);
        wire.send(0x83, "bad");
        // Whoever reads learns it at once, and the peer when it has read what is in front.
        let end = told.recv_timeout(PATIENCE).unwrap();
        assert!(matches!(end, Err(Error::Violation(_))), "{end:?}");
        skip(&wire.peer, HUGE);
        assert_eq!(wire.read_close(), 1002);
        app.wait().unwrap();
    }
}

#[test]
fn either_side_ends_without_a_goodbye_when_another_thread_cuts_it() {
    for side in BOTH_SIDES {
        let (tell, told) = channel();
        let (mut wire, app) = open(side, unhurried(), move |mut ws| {
            tell.send(ws.sender()).unwrap();
            ws.recv()
        });
        told.recv_timeout(PATIENCE).unwrap().abort();
        wire.peer.read_end();
        assert!(matches!(app.wait(), Err(Error::ConnectionLost(_))));
    }
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
    assert!(matches!(sent.wait(), Err(Error::WriteTimeout | Error::ConnectionLost(_))));
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
        assert!(matches!(huge, Err(Error::WriteTimeout)), "{huge:?}");
        assert!(matches!(late, Err(Error::Closed)), "{late:?}");
        drop(wire);
    }
}

#[test]
fn either_side_wakes_whoever_reads_when_another_thread_finds_the_peer_too_slow_and_says_so() {
    for side in BOTH_SIDES {
        let limits = Limits { write: SOON, ..unhurried() };
        let (wire, app) = open(side, limits.clone(), |mut ws| {
            let sender = ws.sender();
            let sent = run(move || sender.send(vec![0; HUGE]));
            (ws.recv(), sent.wait())
        });
        let (came, sent) = app.wait();
        assert!(matches!(came, Err(Error::WriteTimeout)), "{came:?}");
        assert!(matches!(sent, Err(Error::WriteTimeout)), "{sent:?}");
        drop(wire);

        // Only `recv` can report why an outbox's write has failed.
        let (wire, app) = open(side, limits, |mut ws| {
            let outbox = ws.outbox(1).unwrap();
            outbox.try_send(&PreparedMessage::new(vec![0; HUGE])).unwrap();
            ws.recv()
        });
        let came = app.wait();
        assert!(matches!(came, Err(Error::WriteTimeout)), "{came:?}");
        drop(wire);
    }
}

#[test]
fn either_side_gives_up_before_a_second_write_deadline_whatever_its_own_system_has_taken() {
    for side in BOTH_SIDES {
        let write = Duration::from_secs(2);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connected = TcpStream::connect(address).unwrap();
        let accepted = listener.accept().unwrap().0;
        let waits = Arc::<AtomicUsize>::default();
        let watched = |stream| Watched {
            stream,
            reads: channel().0,
            writes: Arc::default(),
            waits: waits.clone(),
        };
        let limits = Limits { write, ..unhurried() };
        let (mut peer, opening) = match side {
            Side::Server => {
                let (peer, stream) = (Peer::new(connected), watched(accepted));
                (peer, run(move || Server::without_listener().limits(limits).accept(stream)))
            }
            Side::Client => {
                let (peer, stream) = (Peer::new(accepted), watched(connected));
                let client = Client::new(format!("ws://{address}/")).limits(limits);
                (peer, run(move || client.connect_over(stream)))
            }
        };
        match side {
            Side::Server => peer.write(request(&[])),
            Side::Client => {
                let answer = switching_protocols(&peer.read_head());
                peer.write(answer);
            }
        }
        let mut ws = opening.wait().unwrap();
        waits.store(0, SeqCst);
        let start = Instant::now();
        let sent = run(move || ws.send(vec![0; HUGE])).wait();
        assert!(matches!(sent, Err(Error::WriteTimeout)), "{sent:?}");
        assert!(start.elapsed() > write - SOON, "{:?}", start.elapsed());
        // Each wait takes a quarter of the deadline.
        assert!(waits.load(SeqCst) < 8, "{side:?}: {waits:?} waits");
    }
}

/// A stream to a peer that takes so many bytes in each wait of ours, and not one more. A real one
/// could not be had so exact: the time it takes is that wait itself.
struct Slow {
    request: Mutex<Cursor<Vec<u8>>>,
    takes: usize,
    deadline: Mutex<Duration>,
    open: AtomicBool,
}

impl Stream for Slow {
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        self.request.lock().unwrap().read(&mut into[..1])
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

impl Slow {
    fn new(sends: Vec<u8>, takes: usize) -> Slow {
        let (request, open) = (Mutex::new(Cursor::new(sends)), AtomicBool::new(false));
        Slow { request, takes, deadline: Mutex::default(), open }
    }
}

#[test]
fn whoever_has_no_patience_gets_what_is_there_though_writing_has_taken_longer() {
    let sends = [request(&[]).as_bytes(), &masked(0x81, "here")].concat();
    let limits = Limits { write: Duration::from_millis(40), close: SOON, ..unhurried() };
    let server = Server::without_listener().limits(limits);
    let mut ws = server.accept(Slow::new(sends, 64 * 1024)).unwrap();
    // Each time the write takes all the time there is, and a look finds one byte.
    let came = (0..20).find_map(|_| {
        ws.feed("slow").unwrap();
        match ws.recv_timeout(Duration::ZERO) {
            Err(Error::TimedOut) => None,
            came => came.unwrap(),
        }
    });
    assert_eq!(came, texts(&["here"]).pop());
}

#[test]
fn server_drops_a_peer_that_takes_less_than_64_kib_in_a_write_deadline_and_waits_for_others() {
    let short = Duration::from_millis(5);
    let limits = Limits { write: short, close: short, ..unhurried() };
    // A deadline has four or five waits.
    for (takes, is_kept) in [(64 * 1024, true), (12 * 1024, false), (1, false), (0, false)] {
        let stream = Slow::new(request(&[]).into(), takes);
        let mut ws = Server::without_listener().limits(limits.clone()).accept(stream).unwrap();
        match ws.send(vec![0; 640 * 1024]) {
            Ok(()) => assert!(is_kept, "{takes}"),
            Err(Error::WriteTimeout) => assert!(!is_kept, "{takes}"),
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
        assert!(matches!(end, Err(Error::WriteTimeout)), "{end:?}");
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
        let (end, after) = leave(wire, app);
        assert!(matches!(end, Err(Error::PeerTimeout)), "{end:?}");
        assert!(matches!(after, Ok(None)), "{after:?}");
    }
}

#[test]
fn either_side_pings_in_time_though_each_recv_waits_for_less() {
    const EVERY: Duration = Duration::from_secs(2);
    for side in BOTH_SIDES {
        let limits = Limits { ping_every: Some(EVERY), ..Limits::default() };
        let (mut wire, app) = open(side, limits, |mut ws| {
            // Neither the time between two calls nor that of a call which ends too soon is lost.
            thread::sleep(EVERY / 2);
            let (first, second) = (ws.recv_timeout(EVERY / 3), ws.recv_timeout(2 * PATIENCE));
            (first.is_err(), second)
        });
        let start = Instant::now();
        assert_eq!(wire.read().first, 0x89);
        let waited = start.elapsed();
        assert!(waited < EVERY * 3 / 2, "{side:?}: {waited:?}");
        wire.send(0x81, "");
        let (has_waited, received) = app.wait();
        assert!(has_waited && matches!(received, Ok(Some(_))), "{side:?}: {received:?}");
    }
}

#[test]
fn either_side_keeps_a_peer_that_shows_any_sign_of_life() {
    for side in BOTH_SIDES {
        let limits = Limits { ping_every: Some(Duration::from_millis(5)), ..unhurried() };
        let limits = Limits { pong: 2 * PATIENCE, ..limits };
        let (mut wire, app) =
            open(side, limits, |mut ws| read_all(&mut ws).map(|messages| (messages, ws.latency())));
        // We ask again only when the last question has been settled: by a pong, or by anything.
        for first in [0x8a, 0x8a, 0x8a, 0x81, 0x81, 0x01, 0x80] {
            let Frame { first: ping, payload } = wire.read();
            assert_eq!(ping, 0x89);
            wire.send(first, if first == 0x8a { payload } else { b"alive".into() });
        }
        wire.send(0x88, [3, 232]);
        while wire.read().first == 0x89 {}
        let (messages, latency) = leave(wire, app).unwrap();
        assert_eq!(messages, texts(&["alive", "alive", "alivealive"]));
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
        let (other, own) = leave(wire, app);
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

#[test]
fn either_side_ends_its_stream_behind_what_it_says_of_a_broken_rule_while_the_application_still_has_it()
 {
    for side in BOTH_SIDES {
        let (let_go, may_go) = channel::<()>();
        let (mut wire, app) = open(side, unhurried(), move |mut ws| {
            let broken = ws.recv();
            let _ = may_go.recv();
            broken
        });
        wire.send(0x83, "");
        assert_eq!(wire.read_close(), 1002);
        drop(let_go);
        let broken = app.wait();
        assert!(matches!(broken, Err(Error::Violation(_))), "{side:?}: {broken:?}");
    }
}

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
        assert!(matches!(closed, Err(Error::PeerTimeout)), "{closed:?}");
    }
}

#[test]
fn what_if_we_close_while_another_thread_is_stuck_in_a_write() {
    for side in BOTH_SIDES {
        let (tell, told) = channel();
        // Our Close must wait for that thread, whose minimum rate is the bound.
        let limits = Limits { write: SOON, ..unhurried() };
        let (mut wire, app) = open(side, limits, move |mut ws| {
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
        assert!(matches!(closed, Err(Error::WriteTimeout)), "{closed:?}");
        assert!(sent.is_err());
    }
}

#[test]
fn what_if_a_peer_answers_our_close_with_messages_without_end() {
    for side in BOTH_SIDES {
        let limits = Limits { close: SOON, ..unhurried() };
        let (mut wire, app) = open(side, limits, |mut ws| ws.close(1000, ""));
        // Long ones: a slow machine decodes few of them in a read.
        let messages = [wire.frame(0x81, [b'a'; 1_000]), wire.frame(0x89, [b'?'; 125])].concat();
        while wire.peer.stream.write_all(&messages).is_ok() {}
        let closed = app.wait();
        assert!(matches!(closed, Err(Error::PeerTimeout)), "{closed:?}");
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
        let (messages, closed_with) = leave(wire, app).unwrap();
        assert_eq!(messages, texts(&["last words"]));
        assert_eq!(closed_with.unwrap().code.0, 4000);
        assert!(matches!(sender.send("late"), Err(Error::Closed)));
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
        server.wait_until(|counters| counters.open == 2);
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
    let (tell, ends) = channel();
    let server = serve(
        |server| server.limits(Limits { head: 2 * PATIENCE, ..unhurried() }),
        move |mut ws| match ws.request().path() {
            "/hang" => {
                let _ = never.lock().unwrap().recv();
                Ok(())
            }
            "/flood" => {
                tell.send(ws.send(vec![0; HUGE])).unwrap();
                Ok(())
            }
            _ => {
                tell.send(ws.recv().map(|_| ())).unwrap();
                Ok(())
            }
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
    assert!(start.elapsed() < PATIENCE / 2, "{:?}", start.elapsed());
    for peer in [&mut idle, &mut hanging] {
        let Frame { first, payload } = peer.read_frame();
        assert_eq!((first, &payload[..2]), (0x88, &[3, 233][..]));
    }
    // Nobody has answered or read, and yet the handlers are rid of them.
    for end in [0; 2].map(|_| ends.recv_timeout(PATIENCE).unwrap()) {
        assert!(matches!(end, Err(Error::ConnectionLost(_))), "{end:?}");
    }
    let response = in_mid_head.read_response();
    assert_eq!(response.status, 503);
    assert!(response.body.contains("about to stop"), "{}", response.body);
    drop(hang);
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
    let server = serve(
        |server| server.limits(unhurried()),
        |mut ws| {
            while let Some(message) = ws.recv()? {
                ws.feed(message)?;
            }
            Ok(())
        },
    );
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
    let echoed = 7 + 204 + 18 + 70_010;
    server.wait_until(|counters| counters.bytes_out == echoed + 3);
    for (bytes, status) in [
        (request(&["Origin: http://elsewhere.example"]), 403),
        (request(&["Origin: http://elsewhere.example"]), 403),
        (head("POST / HTTP/1.1", &LINES), 405),
    ] {
        let mut refused = server.dial();
        refused.write(bytes);
        assert_eq!(refused.read_response().status, status);
    }
    peer.write(masked(0x88, [3, 232]));
    assert_eq!(peer.read_close(), 1000);
    drop(peer);
    server.wait_until(|counters| counters.open == 0);
    let counters = server.handle.counters();
    assert_eq!((counters.open, counters.accepted), (0, 1));
    assert_eq!(counters.refused.into_iter().collect::<Vec<_>>(), [(403, 2), (405, 1)]);
    assert_eq!((counters.messages_in, counters.messages_out), (4, 4));
    assert_eq!(counters.bytes_in as usize, messages.len() + 7 + 8);
}

#[test]
fn a_message_is_counted_while_its_handler_still_works_on_it() {
    let (end, ended) = channel::<()>();
    let ended = Mutex::new(ended);
    let server = serve(
        |server| server.limits(unhurried()),
        move |mut ws| {
            ws.recv()?;
            let _ = ended.lock().unwrap().recv();
            Ok(())
        },
    );
    let mut peer = server.open();
    peer.write(masked(0x81, "subscribe"));
    server.wait_until(|counters| (counters.messages_in, counters.bytes_in) == (1, 6 + 9));
    drop(end);
}

// Messages as streams.

/// Bytes that tell where they stand: each read can be held against what it should be.
fn pattern(length: usize) -> Vec<u8> {
    (0..=250).cycle().take(length).collect()
}

#[test]
fn either_side_reads_a_long_message_while_it_arrives() {
    // A multiple of the pattern and of a mask.
    const CHUNK: usize = 251 * 256;
    const CHUNKS: usize = HUGE / CHUNK;
    for side in BOTH_SIDES {
        let (tell, told) = channel();
        let limits = Limits { max_message: HUGE as u64, ..unhurried() };
        let (mut wire, app) = open(side, limits, move |mut ws| {
            let mut message = ws.recv_stream()?.unwrap();
            let (expected, mut bytes) = (pattern(CHUNK), vec![0; CHUNK]);
            for _ in 0..CHUNKS {
                message.read_exact(&mut bytes)?;
                assert!(bytes == expected);
                tell.send(message.kind()).unwrap();
            }
            Ok::<_, Error>(message.read(&mut bytes)?)
        });
        let chunk = wire.payload(pattern(CHUNK));
        let header = wire.announce(0x82, (CHUNKS * CHUNK) as u64);
        wire.peer.write(header);
        for _ in 0..CHUNKS {
            wire.peer.write(&chunk);
            // What has been sent is read before the rest is.
            assert_eq!(told.recv_timeout(PATIENCE), Ok(MessageKind::Binary));
        }
        assert_eq!(leave(wire, app).unwrap(), 0);
    }
}

#[test]
fn either_side_takes_a_long_stream_and_no_longer_message_for_it() {
    for side in BOTH_SIDES {
        let limits = Limits { max_message: 100, max_stream: Some(1_000), ..unhurried() };
        let (mut wire, app) = open(side, limits, |mut ws| {
            let mut stream = Vec::new();
            let command = ws.recv()?.unwrap();
            ws.recv_stream()?.unwrap().read_to_end(&mut stream)?;
            let message = ws.recv()?.unwrap();
            // Left half way: the rest is skipped, within the limit of a stream.
            drop(ws.recv_stream()?.unwrap());
            let too_long = ws.recv().unwrap_err();
            Ok::<_, Error>((command, stream, message, too_long.to_string()))
        });
        wire.send(0x81, "a command");
        wire.send(0x02, [b's'; 600]);
        wire.send(0x80, [b's'; 400]);
        wire.send(0x82, [b'm'; 100]);
        wire.send(0x82, [b's'; 1_000]);
        let one_too_many = wire.header(0x82, 101, &[]);
        wire.peer.write(one_too_many);
        assert_eq!(wire.read_close(), 1009);
        let (command, stream, message, too_long) = app.wait().unwrap();
        assert_eq!(command.as_text(), Some("a command"));
        assert!(stream == [b's'; 1_000] && message.as_bytes() == [b'm'; 100]);
        assert!(too_long.contains("more than 100 bytes"), "{too_long}");
    }
}

#[test]
fn either_side_refuses_a_stream_over_its_own_limit_with_1009() {
    for side in BOTH_SIDES {
        let limits = Limits { max_message: 100, max_stream: Some(1_000), ..unhurried() };
        let (mut wire, app) = open(side, limits, |mut ws| ws.recv_stream().map(drop));
        let one_too_many = wire.header(0x82, 126, &1_001_u16.to_be_bytes());
        wire.peer.write(one_too_many);
        assert_eq!(wire.read_close(), 1009);
        assert!(matches!(app.wait(), Err(Error::Violation(_))));
    }
}

#[test]
fn what_if_a_stream_is_announced_that_no_memory_holds() {
    for side in BOTH_SIDES {
        let (tell, told) = channel();
        let (mut wire, app) =
            open(side, Limits { max_message: u64::MAX, ..unhurried() }, move |mut ws| {
                let mut message = ws.recv_stream()?.unwrap();
                let mut bytes = [0; 5];
                message.read_exact(&mut bytes)?;
                tell.send(bytes).unwrap();
                let end = message.read(&mut bytes).unwrap_err();
                Ok::<_, Error>(end.kind())
            });
        let beginning = [wire.announce(0x82, i64::MAX as u64), wire.payload("Hello")].concat();
        wire.peer.write(beginning);
        assert_eq!(&told.recv_timeout(PATIENCE).unwrap(), b"Hello");
        wire.peer.finish();
        assert_eq!(app.wait().unwrap(), ErrorKind::UnexpectedEof);
    }
}

#[test]
fn either_side_reads_a_stream_of_text_in_whole_characters() {
    let text = "a\u{e9}\u{2603}\u{1f600}".repeat(20);
    for side in BOTH_SIDES {
        let (mut wire, app) =
            open(side, Limits { max_fragments: 1_000, ..unhurried() }, |mut ws| {
                let mut message = ws.recv_stream()?.unwrap();
                let (mut whole, mut bytes) = (String::new(), [0; 4096]);
                loop {
                    let count = message.read(&mut bytes)?;
                    if count == 0 {
                        return Ok::<_, Error>((message.kind(), whole));
                    }
                    whole.push_str(str::from_utf8(&bytes[..count]).expect("whole characters"));
                }
            });
        wire.send(0x01, "");
        for byte in text.bytes() {
            wire.send(0x00, [byte]);
        }
        wire.send(0x80, "");
        assert_eq!(leave(wire, app).unwrap(), (MessageKind::Text, text.clone()));
    }
}

/// What can go wrong behind a first fragment of four bytes, within `narrow` limits.
fn broken_streams(wire: &Wire) -> [(u16, Vec<u8>); 7] {
    let cut_off = [wire.header(0x80, 9, &[]), wire.payload("A")].concat();
    let bad = [
        (1007, [wire.frame(0x00, "\u{2603}"), wire.frame(0x80, b"\xe2\x98")]),
        (1007, [wire.frame(0x00, b"\xe2"), cut_off]),
        (1009, [wire.frame(0x00, [b'a'; 60]), wire.header(0x80, 37, &[])]),
        (1009, [wire.frame(0x00, ""), wire.announce(0x80, 1 << 40)]),
        (1009, [wire.frame(0x00, ""), wire.frame(0x00, "").repeat(2)]),
        (1002, [wire.frame(0x01, "another"), vec![]]),
        (1002, [wire.frame(0x83, ""), vec![]]),
    ];
    bad.map(|(code, frames)| (code, frames.concat()))
}

#[test]
fn either_side_keeps_the_rules_in_a_stream_and_the_peer_is_told() {
    let narrow = || Limits { max_message: 100, max_fragments: 3, ..unhurried() };
    for side in BOTH_SIDES {
        let rows = broken_streams(&open(side, narrow(), drop).0);
        for (i, (code, rest)) in rows.into_iter().enumerate() {
            println!("{side:?}, row {i}");
            let (tell, told) = channel();
            let (mut wire, app) = open(side, narrow(), move |mut ws| {
                let mut message = ws.recv_stream().unwrap().unwrap();
                let mut bytes = [0; 4];
                message.read_exact(&mut bytes).unwrap();
                tell.send(bytes).unwrap();
                let failed = message.read_to_end(&mut Vec::new()).unwrap_err();
                (failed, ws.recv())
            });
            wire.send(0x01, "good");
            assert_eq!(&told.recv_timeout(PATIENCE).unwrap(), b"good");
            wire.peer.write(rest);
            assert_eq!(wire.read_close(), code);
            let (failed, after) = app.wait();
            let Some(Error::Violation(violation)) = cause(&failed) else { panic!("{failed}") };
            assert_eq!(violation.close_code().0, code);
            assert!(matches!(after, Ok(None)), "{after:?}");
        }
    }
}

#[test]
fn either_side_does_not_take_a_close_in_mid_message_for_the_end_of_the_message() {
    for side in BOTH_SIDES {
        let (mut wire, app) = open(side, unhurried(), |mut ws| {
            let mut message = ws.recv_stream().unwrap().unwrap();
            let mut bytes = Vec::new();
            let failed = message.read_to_end(&mut bytes).unwrap_err();
            (bytes, failed, ws.closed_with().unwrap().code.0)
        });
        wire.send(0x02, "half");
        wire.send(0x88, [3, 233]);
        assert_eq!(wire.read_close(), 1001);
        let (bytes, failed, code) = app.wait();
        assert_eq!((&*bytes, failed.kind(), code), (&b"half"[..], ErrorKind::UnexpectedEof, 1001));
        // The operating system isn't to blame, so a handler's `?` doesn't make this an `Io`.
        let error = Error::from(failed);
        assert!(matches!(error, Error::Closed), "{error}");
    }
}

#[test]
fn either_side_skips_what_was_not_read_of_a_stream_and_gets_the_next_message() {
    for side in BOTH_SIDES {
        let (mut wire, app) = open(side, unhurried(), |mut ws| {
            let begin = |ws: &mut WebSocket| {
                let mut byte = [0];
                ws.recv_stream()?.unwrap().read_exact(&mut byte)?;
                assert_eq!(&byte, b"s");
                Ok::<_, Error>(())
            };
            begin(&mut ws)?;
            let first = ws.recv()?;
            begin(&mut ws)?;
            // The rest of that is not here yet.
            let waited = ws.recv_timeout(Duration::from_millis(1));
            assert!(matches!(waited, Err(Error::TimedOut)), "{waited:?}");
            ws.send("go on")?;
            let second = ws.recv_timeout(PATIENCE)?;
            begin(&mut ws)?;
            begin(&mut ws)?;
            Ok::<_, Error>([first, second, ws.recv()?])
        });
        let stream = [wire.frame(0x02, "skip"), wire.frame(0x00, ""), wire.frame(0x80, [1; 300])];
        let [beginning, middle, end] = &stream;
        wire.peer.write([&stream.concat()[..], &wire.frame(0x81, "first")].concat());
        wire.peer.write(beginning);
        assert_eq!(wire.read().payload, b"go on");
        wire.peer.write([&middle[..], end, &wire.frame(0x81, "second")].concat());
        wire.peer.write(stream.concat().repeat(2));
        wire.send(0x88, [3, 232]);
        assert_eq!(wire.read_close(), 1000);
        let came: Vec<_> = app.wait().unwrap().into_iter().flatten().collect();
        assert_eq!(came, texts(&["first", "second"]));
    }
}

#[test]
fn either_side_goes_on_as_a_stream_where_it_had_begun_to_wait_for_a_whole_message() {
    for side in BOTH_SIDES {
        let (tell, told) = channel();
        let (mut wire, app) = open(side, unhurried(), move |mut ws| {
            while told.try_recv().is_err() {
                let waited = ws.recv_timeout(Duration::from_millis(1));
                assert!(matches!(waited, Err(Error::TimedOut)), "{waited:?}");
            }
            ws.send("go on")?;
            let mut whole = String::new();
            ws.recv_stream()?.unwrap().read_to_string(&mut whole)?;
            Ok::<_, Error>((whole, ws.recv()?))
        });
        wire.send(0x01, "half");
        // The pong says that what came before the ping has been taken in.
        wire.send(0x89, "");
        assert_eq!(wire.read().first, 0x8a);
        tell.send(()).unwrap();
        assert_eq!(wire.read().payload, b"go on");
        wire.send(0x80, " and half");
        wire.send(0x81, "next");
        let (whole, next) = leave(wire, app).unwrap();
        assert_eq!((&*whole, next), ("half and half", texts(&["next"]).pop()));
    }
}

#[test]
fn either_side_writes_a_long_message_in_fragments_of_a_bounded_length_before_all_of_it_is_there() {
    const CHUNK: usize = 251 * 100;
    const CHUNKS: usize = 100;
    const MOST: usize = 128 * 1024;
    for side in BOTH_SIDES {
        let (tell, told) = channel();
        let (mut wire, app) = open(side, unhurried(), move |mut ws| {
            let mut message = ws.send_stream(MessageKind::Binary)?;
            for chunk in 0..CHUNKS {
                if chunk == CHUNKS / 2 {
                    told.recv().unwrap();
                }
                message.write_all(&pattern(CHUNK))?;
            }
            message.finish()
        });
        let (mut came, mut half_seen, mut is_first) = (0, false, true);
        loop {
            let Frame { first, payload } = wire.read();
            assert!(payload.len() <= MOST);
            // Nor a crumb, but at the end.
            assert!(payload.len() >= MOST / 2 || came + payload.len() == CHUNKS * CHUNK);
            let start = came % 251;
            assert!(payload == pattern(start + payload.len())[start..]);
            came += payload.len();
            match (is_first, came == CHUNKS * CHUNK) {
                (true, _) => assert_eq!(first, 0x02),
                (false, false) => assert_eq!(first, 0x00),
                (false, true) => break assert_eq!(first, 0x80),
            }
            is_first = false;
            if !half_seen && came + MOST > CHUNKS / 2 * CHUNK {
                half_seen = true;
                tell.send(()).unwrap();
            }
        }
        leave(wire, app).unwrap();
    }
}

#[test]
fn either_side_sends_a_pong_between_two_fragments_of_a_long_stream() {
    for side in BOTH_SIDES {
        let (tell, told) = channel();
        let (mut wire, app) = open(side, unhurried(), move |mut ws| {
            let sender = ws.sender();
            let sent = run(move || {
                let mut message = sender.send_stream(MessageKind::Text)?;
                for part in ["in ", "three ", "parts"] {
                    message.write_all(part.as_bytes())?;
                    message.flush()?;
                    told.recv().unwrap();
                }
                message.finish()
            });
            // Each message says that the ping before it has been taken in.
            while ws.recv()?.is_some() {
                tell.send(()).unwrap();
            }
            sent.wait()
        });
        let frame = |first, payload: &str| Frame { first, payload: payload.into() };
        assert_eq!(wire.read(), frame(0x01, "in "));
        for (ping, fragment) in [("1", (0x00, "three ")), ("2", (0x00, "parts")), ("3", (0x80, ""))]
        {
            wire.send(0x89, ping);
            wire.send(0x81, "go on");
            // Behind this fragment at the latest; before it, if the last one was not yet done with.
            let mut two = [wire.read(), wire.read()];
            two.sort_by_key(|frame| frame.first & 0x0f);
            assert_eq!(two, [frame(fragment.0, fragment.1), frame(0x8a, ping)]);
        }
        wire.send(0x88, [3, 232]);
        assert_eq!(wire.read_close(), 1000);
        app.wait().unwrap();
    }
}

#[test]
fn either_side_closes_with_1011_when_a_stream_is_given_up_half_way() {
    for side in BOTH_SIDES {
        let (mut wire, app) = open(side, unhurried(), |mut ws| {
            // Nothing of this one has been sent: nothing has to be taken back.
            ws.send_stream(MessageKind::Text)?.write_all(b"never mind")?;
            ws.send("good")?;
            let mut message = ws.send_stream(MessageKind::Text)?;
            message.write_all(b"half")?;
            message.flush()?;
            drop(message);
            let refused = ws.send("late");
            assert!(matches!(refused, Err(Error::Closed)), "{refused:?}");
            Ok::<_, Error>(())
        });
        assert_eq!(wire.read(), Frame { first: 0x81, payload: b"good".into() });
        assert_eq!(wire.read(), Frame { first: 0x01, payload: b"half".into() });
        assert_eq!(wire.read_close(), 1011);
        app.wait().unwrap();
    }
}

#[test]
fn what_if_the_peer_never_answers_the_close_of_a_stream_that_was_given_up() {
    for side in BOTH_SIDES {
        let (wire, app) = open(side, Limits { close: SOON, ..unhurried() }, |mut ws| {
            let mut message = ws.send_stream(MessageKind::Binary)?;
            message.write_all(b"half")?;
            message.flush()?;
            drop(message);
            ws.recv()
        });
        let ended = app.wait();
        assert!(matches!(ended, Err(Error::PeerTimeout)), "{side:?}: {ended:?}");
        drop(wire);
    }
}

// Many readers.

#[test]
fn server_delays_nobody_for_a_slow_member_and_drops_that_one_at_its_bound() {
    let (tell, told) = channel();
    let server = serve(
        |server| server.limits(unhurried()),
        move |mut ws| {
            tell.send(ws.outbox(8)?).unwrap();
            read_all(&mut ws).map(|_| ())
        },
    );
    let join = || {
        let peer = server.open();
        (peer, told.recv_timeout(PATIENCE).unwrap())
    };
    let (mut first, first_box): (Peer, Outbox) = join();
    let (mut second, second_box) = join();
    let (mut slow, slow_box) = join();
    let mut taken_for_slow = 0;
    for number in 0.. {
        assert!(number < HUGE / 100_000, "the queue of one who doesn't read is full one day");
        let payload = [&usize::to_be_bytes(number)[..], &[0; 100_000]].concat();
        let message = PreparedMessage::new(&payload);
        for outbox in [&first_box, &second_box] {
            outbox.try_send(&message).unwrap();
        }
        match slow_box.try_send(&message) {
            Ok(()) => taken_for_slow += 1,
            Err(Error::WriteTimeout) => break,
            Err(error) => panic!("{error}"),
        }
        // Those who read have it now, whatever the slow one does.
        for peer in [&mut first, &mut second] {
            assert!(peer.read_frame() == Frame { first: 0x82, payload: payload.clone() });
        }
    }
    assert!(taken_for_slow >= 8, "{taken_for_slow}");
    slow_box.abort();
    server.wait_until(|counters| counters.open == 2);
    // Its queue is full until its thread has seen the end.
    let start = Instant::now();
    while !matches!(slow_box.try_send(&PreparedMessage::new("late")), Err(Error::Closed)) {
        assert!(start.elapsed() < PATIENCE, "still open");
        thread::yield_now();
    }
    // What had come before is there, in order, and then an end in mid-frame or between two.
    for number in 0..taken_for_slow {
        let mut frame = [0; 10 + 8];
        if slow.stream.read_exact(&mut frame).is_err() {
            break;
        }
        assert_eq!(frame[10..], usize::to_be_bytes(number));
        if io::copy(&mut (&slow.stream).take(100_000), &mut io::sink()).unwrap_or(0) < 100_000 {
            break;
        }
    }
}

#[test]
fn either_side_sends_what_is_queued_in_order_before_its_close() {
    for side in BOTH_SIDES {
        for closes in [false, true] {
            let (mut wire, app) = open(side, unhurried(), move |mut ws| {
                let outbox = ws.outbox(1_000).unwrap();
                for number in 0..1_000 {
                    outbox.try_send(&PreparedMessage::new(number.to_string()))?;
                }
                if closes { ws.close(1000, "") } else { Ok(()) }
            });
            for number in 0..1_000 {
                assert_eq!(wire.read().payload, number.to_string().into_bytes());
            }
            let close = Frame { first: 0x88, payload: vec![3, 232] };
            assert_eq!(wire.read(), close);
            wire.send(close.first, close.payload);
            wire.peer.read_end();
            leave(wire, app).unwrap();
        }
    }
}

#[test]
fn server_lets_go_of_a_connection_when_it_has_ended() {
    for outbox in [false, true] {
        let (mut peer, watch, app) = open_watched(unhurried(), move |mut ws| {
            let _outbox = outbox.then(|| ws.outbox(8).unwrap());
            read_all(&mut ws)
        });
        peer.write(masked(0x88, [3, 232]));
        assert_eq!(peer.read_close(), 1000);
        drop(peer);
        app.wait().unwrap();
        watch.wait_until_let_go();
    }
}

#[test]
fn either_side_sends_what_was_prepared_once_to_several() {
    for side in BOTH_SIDES {
        let prepared = ["", "Hello", &"x".repeat(100_000)].map(PreparedMessage::new);
        let (tell, told) = channel();
        let mut wires = [0; 3].map(|_| {
            let tell = tell.clone();
            open(side, unhurried(), move |mut ws| {
                tell.send(ws.sender()).unwrap();
                read_all(&mut ws)
            })
        });
        for sender in told.iter().take(3) {
            prepared.iter().for_each(|message| sender.send(message).unwrap());
        }
        for (wire, _) in &mut wires {
            for length in [0, 5, 100_000] {
                let Frame { first, payload } = wire.read();
                assert_eq!((first, payload.len()), (0x81, length));
                assert!(length != 5 || payload == b"Hello");
            }
        }
    }
}

#[test]
fn server_writes_what_was_fed_at_once_and_before_it_waits() {
    let (tell, told) = channel();
    let (mut peer, watch, app) = open_watched(unhurried(), move |mut ws| {
        for number in 0..100 {
            ws.feed(format!("{number}"))?;
        }
        told.recv().unwrap();
        ws.flush()?;
        told.recv().unwrap();
        ws.feed("before the wait")?;
        ws.recv()
    });
    let before = watch.writes.load(SeqCst);
    tell.send(()).unwrap();
    for number in 0..100 {
        assert_eq!(peer.read_frame().payload, format!("{number}").into_bytes());
    }
    assert_eq!(watch.writes.load(SeqCst), before + 1, "one write for all of them");
    tell.send(()).unwrap();
    assert_eq!(peer.read_frame().payload, b"before the wait");
    peer.write(masked(0x88, [3, 232]));
    assert_eq!(peer.read_close(), 1000);
    drop(peer);
    assert_eq!(app.wait().unwrap(), None);
}

// Streams of other kinds.

#[cfg(unix)]
#[test]
fn both_sides_talk_over_a_unix_socket_that_somebody_else_made() {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let server = run(move || {
        let mut ws = ws101::accept(ours)?;
        let echoed = ws.recv()?.unwrap();
        ws.send(&echoed)?;
        assert_eq!((ws.peer(), ws.recv()?), (None, None));
        Ok::<_, Error>(echoed.as_bytes().len())
    });
    let mut ws = Client::new("ws://localhost/").connect_over(theirs).unwrap();
    ws.send(pattern(1_000_000)).unwrap();
    assert!(ws.recv().unwrap() == Some(Message::Binary(pattern(1_000_000))));
    ws.close(1000, "").unwrap();
    assert_eq!(server.wait().unwrap(), 1_000_000);
}

/// A socket that can be watched: it tells before it waits in a read, and counts its writes, and those
/// that had to wait, because they didn't take all they were given.
struct Watched {
    stream: TcpStream,
    reads: Sender<()>,
    writes: Arc<AtomicUsize>,
    waits: Arc<AtomicUsize>,
}

/// What is seen of it.
struct Watch {
    reads: Receiver<()>,
    writes: Arc<AtomicUsize>,
}

impl Watch {
    /// Waits until somebody reads.
    fn wait_for_read(&self) {
        self.reads.recv_timeout(PATIENCE).expect("somebody reads");
    }

    /// Waits until nobody has the socket any more.
    fn wait_until_let_go(&self) {
        let start = Instant::now();
        while self.reads.recv_timeout(PATIENCE) != Err(RecvTimeoutError::Disconnected) {
            assert!(start.elapsed() < PATIENCE, "the socket is still held");
        }
    }
}

impl Stream for Watched {
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        let _ = self.reads.send(());
        Stream::read(&self.stream, into)
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.writes.fetch_add(1, SeqCst);
        let written = Stream::write(&self.stream, slices);
        let given = slices.iter().map(|slice| slice.len()).sum();
        let has_waited = !written.as_ref().is_ok_and(|&count| count == given);
        self.waits.fetch_add(has_waited.into(), SeqCst);
        written
    }

    fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        Stream::set_read_timeout(&self.stream, timeout)
    }

    fn set_write_timeout(&self, timeout: Duration) -> io::Result<()> {
        Stream::set_write_timeout(&self.stream, timeout)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        Stream::shutdown(&self.stream, how)
    }
}

/// As `open`, at a server, over a socket that is watched from when it is open.
fn open_watched<T: Send + 'static>(
    limits: Limits,
    app: impl FnOnce(WebSocket) -> T + Send + 'static,
) -> (Peer, Watch, App<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut peer = Peer::new(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
    let (tell, reads) = channel();
    let writes = Arc::<AtomicUsize>::default();
    let stream = Watched {
        stream: listener.accept().unwrap().0,
        reads: tell,
        writes: writes.clone(),
        waits: Arc::default(),
    };
    peer.write(request(&[]));
    let ws = Server::without_listener().limits(limits).accept(stream).unwrap();
    assert_eq!(peer.read_response().status, 101);
    reads.try_iter().for_each(drop);
    (peer, Watch { reads, writes }, run(move || app(ws)))
}

// A peer, or a thread of ours, that gives up half way.

#[test]
fn a_close_that_the_peer_does_not_answer_in_time_is_not_waited_for_in_reads_that_find_nothing() {
    let (_peer, watch, app) =
        open_watched(Limits { close: SOON, ..unhurried() }, |mut ws| ws.close(1000, ""));
    assert!(matches!(app.wait(), Err(Error::PeerTimeout)));
    let reads = watch.reads.try_iter().count();
    assert!(reads < 8, "{reads} reads, though the peer has sent nothing");
}

#[test]
fn what_if_a_message_is_begun_and_given_up_while_a_ping_waits_for_its_turn() {
    let (hold, held) = channel();
    let (let_go, told) = channel::<()>();
    let (mut peer, watch, _app) = open_watched(unhurried(), move |mut ws| {
        let sender = ws.sender();
        thread::spawn(move || {
            let message = sender.send_stream(MessageKind::Binary);
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
        leave(wire, app).unwrap();
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
        assert!(matches!(end, Err(Error::PeerTimeout)), "{end:?}");
    }
}

#[test]
fn what_if_the_peer_answers_the_close_that_another_thread_sent_with_pings_without_end() {
    for side in BOTH_SIDES {
        let (mut wire, app) = open(side, Limits { close: SOON, ..unhurried() }, |mut ws| {
            ws.sender().close(1000, "").unwrap();
            ws.recv()
        });
        // Long ones: a slow machine decodes few of them in a read.
        let ping = wire.frame(0x89, "?".repeat(125));
        let flood = run(move || while wire.peer.stream.write_all(&ping).is_ok() {});
        let end = app.wait();
        assert!(matches!(end, Err(Error::PeerTimeout)), "{end:?}");
        flood.wait();
    }
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

#[test]
fn server_lets_go_of_a_connection_that_is_lost_though_it_had_an_outbox() {
    let (peer, watch, app) = open_watched(unhurried(), |mut ws| {
        ws.outbox(8).unwrap();
        ws.recv()
    });
    watch.wait_for_read();
    drop(peer);
    assert!(matches!(app.wait(), Err(Error::ConnectionLost(_))));
    watch.wait_until_let_go();
}

#[test]
fn server_lets_go_of_a_connection_that_is_cut_though_it_had_an_outbox() {
    let (_peer, watch, app) = open_watched(unhurried(), |ws| ws.outbox(8).unwrap().abort());
    app.wait();
    watch.wait_until_let_go();
}

#[test]
fn what_if_a_writer_of_text_goes_on_after_its_bytes_were_refused() {
    for side in BOTH_SIDES {
        let (wire, app) = open(side, unhurried(), |mut ws| {
            let mut message = ws.send_stream(MessageKind::Text)?;
            message.write_all(b"\xe2")?;
            for _ in 0..10 {
                let refused = message.write_all(b"A").unwrap_err();
                assert!(matches!(cause(&refused), Some(Error::Misuse(_))), "{refused:?}");
            }
            let refused = message.finish();
            assert!(matches!(refused, Err(Error::Misuse(_))), "{refused:?}");
            Ok::<_, Error>(())
        });
        assert_eq!(wire.read_close(), 1000);
        app.wait().unwrap();
    }
}

// A machine that has run out of something.

#[test]
fn server_without_threads_refuses_with_503_and_its_listener_lives() {
    // No machine has an address space for such a stack: each thread is one too many.
    let limits = Limits { stack: usize::MAX / 4, ..unhurried() };
    let server = serve(|server| server.limits(limits), echo_handler);
    let ask = || {
        let mut peer = server.dial();
        let mut answer = String::new();
        peer.stream.write_all(request(&[]).as_bytes())?;
        peer.stream.read_to_string(&mut answer).map(|_| answer)
    };
    let start = Instant::now();
    for _ in 0..5 {
        let answer = loop {
            match ask() {
                Ok(answer) => break answer,
                // The refusing thread waits 50 ms for a request. A busy machine may take longer.
                Err(error) => assert!(start.elapsed() < PATIENCE, "{error}"),
            }
        };
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.contains("\r\nRetry-After: "), "{answer}");
    }
    server.stop(2 * PATIENCE).unwrap();
}

/// What only another process can run out of, and what only Linux tells of another process.
#[cfg(target_os = "linux")]
mod another_process {
    use std::io::{BufRead, BufReader};
    use std::net::{SocketAddr, TcpStream};
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    use super::assert_echo;
    use crate::support::{Peer, request};

    /// The echo of the examples, in a process of its own with little to live on.
    struct Testee {
        process: Child,
        address: SocketAddr,
    }

    impl Testee {
        /// Starts it under a limit, which a shell sets.
        fn start(limit: &str) -> Testee {
            let tests = std::env::current_exe().unwrap();
            let testee = tests.parent().unwrap().parent().unwrap().join("examples/testee");
            assert!(testee.exists(), "`cargo test` builds it, `--test` alone does not: {testee:?}");
            let mut process = Command::new("sh")
                .args(["-c", &format!("{limit}; exec \"$0\" 127.0.0.1:0")])
                .arg(testee)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut line = String::new();
            BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
            let address = line.trim().strip_prefix("listening on ws://").unwrap().parse().unwrap();
            Testee { process, address }
        }

        fn dial(&self) -> Peer {
            let mut peer = Peer::new(TcpStream::connect(self.address).unwrap());
            peer.write(request(&[]));
            peer
        }

        /// How many descriptors it holds.
        fn descriptors(&self) -> usize {
            std::fs::read_dir(format!("/proc/{}/fd", self.process.id())).unwrap().count()
        }

        /// The processor time that it has used.
        fn time_used(&self) -> Duration {
            let stat =
                std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
            // Behind the name, which ends with the last bracket; in hundredths of a second (proc(5)).
            let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
            let hundredths = [11, 12].map(|i| fields[i].parse::<u64>().unwrap());
            Duration::from_millis(10 * hundredths.iter().sum::<u64>())
        }

        /// Takes more connections than there is room for; then room is made again.
        fn crowd_and_release(mut self, connections: usize) {
            let (start, used, before) = (Instant::now(), self.time_used(), self.descriptors());
            let peers: Vec<Peer> = (0..connections).map(|_| self.dial()).collect();
            // Each is let in, or told that there is no room; and stays on the line.
            let (mut inside, mut refused) = (Vec::new(), Vec::new());
            for mut peer in peers {
                match peer.read_response().status {
                    101 => inside.push(peer),
                    503 => refused.push(peer),
                    status => panic!("{status}"),
                }
            }
            assert!(
                inside.len() > 5 && refused.len() > 5,
                "{} in, {} out",
                inside.len(),
                refused.len()
            );
            // It took its time for those that it refused, and did not spend it in a loop.
            let (took, used) = (start.elapsed(), self.time_used() - used);
            assert!(used < Duration::from_millis(200) + took / 4, "{used:?} of {took:?}");
            inside.iter_mut().for_each(|peer| assert_echo(peer, "still served"));
            drop((inside, refused));
            // Its deadlines are longer than this, so that it can't be one of them that makes room.
            let start = Instant::now();
            // It may not have had its reserve yet when we looked first.
            while self.descriptors() > before + 1 {
                assert!(start.elapsed() < Duration::from_secs(4), "{} left", self.descriptors());
            }
            for _ in 0..3 {
                assert_eq!(self.dial().read_response().status, 101, "there is room");
            }
            assert_eq!(self.process.try_wait().unwrap(), None, "it lives");
        }
    }

    impl Drop for Testee {
        fn drop(&mut self) {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }

    #[test]
    fn server_without_descriptors_refuses_lives_rests_and_recovers() {
        Testee::start("ulimit -n 40").crowd_and_release(60);
    }
}
