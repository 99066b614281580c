//! How a connection ends: what is sent before our Close, which deadline applies when, and what must
//! never be lost. (The table of all endings is in `src/connection/closing_state.rs`.)

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use ws101::{Client, Error, Limits, MessageKind, PreparedMessage, Sender, Server, Stream, connect};

use crate::support::{
    BOTH_SIDES, Frame, PATIENCE, Peer, Side, echo_handler, masked, open, request, run, serve,
    switching_protocols, unmasked,
};

/// More than all buffers between two ends take.
const HUGE: usize = 64 * 1024 * 1024;
/// For deadlines that must come.
const SOON: Duration = Duration::from_millis(100);

/// After this, a closing deadline of `SOON` has passed, and so have the short reads after it.
const LONGER_THAN_CLOSING: Duration = Duration::from_millis(1_500);

/// Limits whose deadlines don't come, for others to shorten.
fn unhurried() -> Limits {
    Limits { write: 2 * PATIENCE, ping_every: None, close: 2 * PATIENCE, ..Limits::default() }
}

fn going_away() -> Frame {
    Frame { first: 0x88, payload: b"\x03\xe9the server stops".into() }
}

/// Reads frames up to the Close, which must be the last; how long their payloads were.
fn read_up_to_close(peer: &mut Peer) -> (Vec<usize>, Frame) {
    let mut lengths = Vec::new();
    loop {
        let frame = peer.read_frame();
        if frame.first == 0x88 {
            return (lengths, frame);
        }
        lengths.push(frame.payload.len());
    }
}

// 1 and 2: whose time runs when.

#[test]
fn either_side_gives_the_peer_its_time_to_close_from_when_our_close_is_written() {
    for side in BOTH_SIDES {
        let limits = Limits { close: SOON, ..unhurried() };
        let (tell, told) = channel();
        let (mut wire, app) = open(side, limits, move |mut ws| {
            let sender = ws.sender();
            let sent = run(move || sender.send(vec![0; HUGE]));
            told.recv().unwrap();
            ws.sender().close(1000, "").unwrap();
            (ws.recv(), sent.wait())
        });
        // The message has begun, and our Close must wait for its end.
        assert_eq!(wire.peer.read_exact::<2>(), [0x82, if wire.mask_bit() { 0xff } else { 0x7f }]);
        tell.send(()).unwrap();
        thread::sleep(LONGER_THAN_CLOSING);
        let rest = HUGE + 8 + if wire.mask_bit() { 4 } else { 0 };
        io::copy(&mut io::Read::take(&wire.peer.stream, rest as u64), &mut io::sink()).unwrap();
        assert_eq!(wire.read(), Frame { first: 0x88, payload: vec![3, 232] });
        wire.send(0x88, [3, 232]);
        let (end, sent) = app.wait();
        assert!(matches!(end, Ok(None)), "{side:?}: {end:?}");
        sent.unwrap();
    }
}

#[test]
fn server_that_stops_lets_a_long_message_finish_within_the_grace() {
    let (tell, told) = channel();
    let server = serve(
        |server| server.limits(Limits { close: SOON, ..unhurried() }),
        move |mut ws| {
            let sent = ws.send(vec![0; HUGE]);
            tell.send((sent, ws.recv())).unwrap();
            Ok(())
        },
    );
    let mut peer = server.open();
    peer.read_exact::<2>();
    server.handle.stop(PATIENCE);
    io::copy(&mut io::Read::take(&peer.stream, HUGE as u64 + 8), &mut io::sink()).unwrap();
    assert_eq!(peer.read_frame(), going_away());
    thread::sleep(LONGER_THAN_CLOSING);
    peer.write(masked(0x88, [3, 233]));
    let (sent, end) = told.recv_timeout(PATIENCE).unwrap();
    sent.unwrap();
    assert!(matches!(end, Ok(None)), "{end:?}");
}

#[test]
fn server_that_stops_gives_a_peer_the_whole_grace_for_its_close() {
    let (tell, told) = channel();
    let server = serve(
        |server| server.limits(Limits { close: SOON, ..unhurried() }),
        move |mut ws| {
            tell.send(ws.recv()).unwrap();
            Ok(())
        },
    );
    let mut peer = server.open();
    server.wait_until(|counters| counters.open == 1);
    server.handle.stop(PATIENCE);
    assert_eq!(peer.read_frame(), going_away());
    thread::sleep(LONGER_THAN_CLOSING);
    peer.write(masked(0x88, [3, 233]));
    let end = told.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(end, Ok(None)), "{end:?}");
}

#[test]
fn a_silent_client_does_not_hold_a_drain_to_its_end() {
    for calls_close in [false, true] {
        let limits = match calls_close {
            true => Limits { close: SOON, ..unhurried() },
            false => Limits { ping_every: Some(15 * SOON), pong: 15 * SOON, ..unhurried() },
        };
        let (tell, told) = channel();
        let server = serve(
            |server| server.limits(limits),
            move |mut ws| {
                while calls_close && ws.sent_close().is_none() {
                    let received = ws.recv_timeout(SOON);
                    assert!(matches!(received, Err(Error::TimedOut)), "{received:?}");
                }
                let ended = match calls_close {
                    true => ws.close(1000, ""),
                    false => ws.recv().map(drop),
                };
                tell.send(ended).unwrap();
                Ok(())
            },
        );
        let mut peer = server.open();
        server.wait_until(|counters| counters.open == 1);
        server.handle.drain(5 * PATIENCE);
        while let Frame { first: 0x89, payload } = peer.read_frame() {
            peer.write(masked(0x8a, payload));
        }
        // That was the Close. From now on, the peer is silent.
        let ended = told.recv_timeout(PATIENCE).expect("it ends before the drain");
        assert!(matches!(ended, Err(Error::PeerTimeout)), "{calls_close}: {ended:?}");
    }
}

#[test]
fn server_that_stops_waits_for_no_peer_that_has_answered_its_close_and_keeps_its_stream() {
    let server = serve(|server| server.limits(unhurried()), echo_handler);
    let mut peer = server.open();
    let mut ws = connect(&server.url()).unwrap();
    ws.send("here").unwrap();
    ws.recv().unwrap();
    server.wait_until(|counters| counters.open == 2);
    let stopped = run(move || server.stop(4 * PATIENCE));
    assert_eq!(peer.read_frame(), going_away());
    peer.write(masked(0x88, [3, 233]));
    assert!(matches!(ws.recv(), Ok(None)));
    // Neither has ended its stream, and neither will before the server is out.
    stopped.wait().unwrap();
    peer.read_end();
    drop((peer, ws));
}

#[test]
fn client_ends_its_stream_when_recv_has_returned_none_and_keeps_no_handlers_thread_waiting() {
    let server = serve(|server| server.limits(unhurried()), |mut ws| ws.send("the last"));
    let mut ws = connect(&server.url()).unwrap();
    assert!(matches!(ws.recv(), Ok(Some(_))) && matches!(ws.recv(), Ok(None)));
    server.wait_until(|counters| counters.open == 0);
    drop(ws);
}

/// A stream that counts the long waits for bytes which follow the end of our side.
struct WaitsAfterOurEnd {
    stream: Arc<dyn Stream>,
    has_ended: AtomicBool,
    waits: Arc<AtomicUsize>,
}

impl Stream for WaitsAfterOurEnd {
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        self.stream.read(into)
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.stream.write(slices)
    }

    fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        let is_long = self.has_ended.load(SeqCst) && timeout > SOON;
        self.waits.fetch_add(is_long.into(), SeqCst);
        self.stream.set_read_timeout(timeout)
    }

    fn set_write_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.stream.set_write_timeout(timeout)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.has_ended.store(true, SeqCst);
        self.stream.shutdown(how)
    }
}

#[test]
fn client_waits_only_once_for_a_server_that_has_closed_and_does_not_end_the_stream() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let waits = Arc::<AtomicUsize>::default();
    let counted = waits.clone();
    let client = Client::new(url).limits(unhurried()).wrap_stream(move |stream| {
        let (has_ended, waits) = (AtomicBool::new(false), counted.clone());
        Arc::new(WaitsAfterOurEnd { stream, has_ended, waits })
    });
    let app = run(move || client.connect().unwrap().close(1000, ""));
    let mut peer = Peer::new(listener.accept().unwrap().0);
    let answer = switching_protocols(&peer.read_head());
    peer.write(answer);
    assert_eq!(peer.read_masked_frame().1.first, 0x88);
    peer.write(unmasked(0x88, [3, 232]));
    assert!(app.wait().is_ok());
    peer.read_end();
    assert_eq!(waits.load(SeqCst), 0);
}

// 3: what goes out before our Close.

#[test]
fn server_sends_all_that_is_queued_before_its_close_whoever_closes() {
    const MESSAGES: usize = 32;
    const LENGTH: usize = 1_000_000;
    for closes_by in ["ws.close", "drop", "Sender::close", "stop", "the peer"] {
        let (tell, told) = channel();
        let (go, gone) = channel();
        let gone = Mutex::new(gone);
        let server = serve(
            |server| server.limits(unhurried()),
            move |mut ws| {
                let outbox = ws.outbox(MESSAGES)?;
                let message = PreparedMessage::new(vec![0; LENGTH]);
                (0..MESSAGES).try_for_each(|_| outbox.try_send(&message))?;
                tell.send(()).unwrap();
                gone.lock().unwrap().recv().unwrap();
                match closes_by {
                    "ws.close" => ws.close(1000, ""),
                    "drop" => Ok(()),
                    "Sender::close" => {
                        ws.sender().close(1000, "")?;
                        ws.recv().map(drop)
                    }
                    _ => ws.recv().map(drop),
                }
            },
        );
        let mut peer = server.open();
        told.recv_timeout(PATIENCE).unwrap();
        match closes_by {
            "stop" => server.handle.stop(PATIENCE),
            "the peer" => peer.write(masked(0x88, [3, 232])),
            _ => {}
        }
        go.send(()).unwrap();
        let (lengths, _) = read_up_to_close(&mut peer);
        assert_eq!(lengths, [LENGTH; MESSAGES], "{closes_by}");
        if closes_by != "the peer" {
            peer.write(masked(0x88, [3, 232]));
        }
        peer.read_end();
    }
}

#[test]
fn server_that_stops_sends_a_reply_that_is_ready_within_the_grace() {
    for feeds in [false, true] {
        let (tell, told) = channel();
        let (go, gone) = channel();
        let gone = Mutex::new(gone);
        let server = serve(
            |server| server.limits(unhurried()),
            move |mut ws| {
                while let Some(question) = ws.recv()? {
                    tell.send(()).unwrap();
                    gone.lock().unwrap().recv().unwrap();
                    if feeds { ws.feed(question)? } else { ws.send(question)? }
                }
                Ok(())
            },
        );
        let (mut idle, mut peer) = (server.open(), server.open());
        peer.write(masked(0x81, "question"));
        told.recv_timeout(PATIENCE).unwrap();
        server.handle.stop(PATIENCE);
        // The other handler is idle, so that its peer is told at once; this one still answers.
        assert_eq!(idle.read_frame(), going_away());
        idle.write(masked(0x88, [3, 233]));
        idle.read_end();
        thread::sleep(SOON);
        go.send(()).unwrap();
        assert_eq!(peer.read_frame(), Frame { first: 0x81, payload: b"question".into() });
        assert_eq!(peer.read_frame(), going_away());
        peer.write(masked(0x88, [3, 233]));
        peer.read_end();
        drop((idle, peer));
        server.stop(PATIENCE).unwrap();
    }
}

#[test]
fn server_that_stops_sends_its_close_before_the_grace_ends_where_a_handler_only_sends() {
    let server = serve(
        |server| server.limits(unhurried()),
        |mut ws| {
            loop {
                ws.send("tick")?;
                thread::sleep(SOON / 10);
            }
        },
    );
    let mut peer = server.open();
    peer.read_frame();
    let answered = run(move || {
        let (_, close) = read_up_to_close(&mut peer);
        // On a busy machine, the grace may end before this answer. It then fails.
        let _ = peer.stream.write_all(&masked(0x88, [3, 233]));
        close
    });
    server.stop(10 * SOON).unwrap();
    assert_eq!(answered.wait(), going_away());
}

#[test]
fn either_side_refuses_new_messages_once_it_was_asked_to_close() {
    for side in BOTH_SIDES {
        let (tell, told) = channel();
        let (mut wire, app) = open(side, unhurried(), move |mut ws| {
            let sender = ws.sender();
            let sent = run(move || sender.send(vec![0; HUGE]));
            told.recv().unwrap();
            let sender = ws.sender();
            sender.close(1000, "").unwrap();
            // Our Close waits for the long message; these don't.
            let refused = [sender.send("late"), ws.send("late"), ws.feed("late")];
            (refused, ws.recv(), sent.wait())
        });
        wire.peer.read_exact::<2>();
        tell.send(()).unwrap();
        let rest = HUGE + 8 + if wire.mask_bit() { 4 } else { 0 };
        io::copy(&mut io::Read::take(&wire.peer.stream, rest as u64), &mut io::sink()).unwrap();
        assert_eq!(wire.read().first, 0x88, "nothing comes between");
        wire.send(0x88, [3, 232]);
        drop(wire);
        let (refused, end, sent) = app.wait();
        assert!(refused.iter().all(|refused| matches!(refused, Err(Error::Closed))), "{refused:?}");
        assert!(matches!(end, Ok(None)) && sent.is_ok(), "{end:?} {sent:?}");
    }
}

// 4 and 5: what has come, and what was sent.

/// A stream whose writes can be made to fail, or to panic when they have written; and that counts its
/// reads.
struct Faulty {
    stream: Arc<dyn Stream>,
    fails: Arc<AtomicBool>,
    panics: Arc<AtomicBool>,
    reads: Arc<AtomicUsize>,
}

impl Stream for Faulty {
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        self.reads.fetch_add(1, SeqCst);
        self.stream.read(into)
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.fails.load(SeqCst) {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let count = self.stream.write(slices)?;
        assert!(!self.panics.load(SeqCst), "on purpose");
        Ok(count)
    }

    timeouts_and_shutdown_of!(stream);

    fn peer(&self) -> Option<SocketAddr> {
        self.stream.peer()
    }
}

/// What a test tells such a stream, and learns from it.
#[derive(Clone, Default)]
struct Faults {
    fails: Arc<AtomicBool>,
    panics: Arc<AtomicBool>,
    reads: Arc<AtomicUsize>,
}

impl Faults {
    fn wrap(&self) -> impl Fn(Arc<dyn Stream>) -> Arc<dyn Stream> + Send + Sync + 'static {
        let Faults { fails, panics, reads } = self.clone();
        move |stream| {
            let (fails, panics, reads) = (fails.clone(), panics.clone(), reads.clone());
            Arc::new(Faulty { stream, fails, panics, reads })
        }
    }
}

#[test]
fn server_delivers_all_messages_that_have_come_though_it_cannot_write_a_pong() {
    for closes in [false, true] {
        let faults = Faults::default();
        let (tell, told) = channel();
        let (go, gone) = channel();
        let gone = Mutex::new(gone);
        let server = serve(
            |server| server.limits(unhurried()).wrap_stream(faults.wrap()),
            move |mut ws| {
                gone.lock().unwrap().recv().unwrap();
                let mut count = 0;
                let end = loop {
                    match ws.recv() {
                        Ok(Some(_)) => count += 1,
                        end => break end,
                    }
                };
                tell.send((count, end, ws.closed_with().map(|close| close.code.0))).unwrap();
                Ok(())
            },
        );
        let mut peer = server.open();
        // In all, 126 kB: on each system, the buffers between the two ends take that.
        let message = [masked(0x89, ""), masked(0x82, [0; 300])].concat();
        peer.write(message.repeat(400));
        if closes {
            peer.write(masked(0x88, [3, 232]));
        }
        peer.finish();
        faults.fails.store(true, SeqCst);
        go.send(()).unwrap();
        let (count, end, closed_with) = told.recv_timeout(PATIENCE).unwrap();
        assert_eq!(count, 400);
        match closes {
            true => assert_eq!((end.unwrap(), closed_with), (None, Some(1000))),
            false => assert!(matches!(end, Err(Error::ConnectionLost(_))), "{end:?}"),
        }
    }
}

#[test]
fn server_gives_a_peer_that_still_reads_a_long_message_more_time_to_close() {
    const LENGTH: usize = HUGE / 4;
    const PIECE: usize = LENGTH / 64;
    for drops in [true, false] {
        let (tell, told) = channel();
        let server = serve(
            |server| server.limits(Limits { close: 3 * SOON, ..unhurried() }),
            move |mut ws| {
                ws.send(vec![0; LENGTH])?;
                if !drops {
                    tell.send(ws.close(1000, "")).unwrap();
                }
                Ok(())
            },
        );
        let mut peer = server.open();
        assert_eq!(peer.read_exact::<10>()[0], 0x82);
        // A slow reader, whose pings show that it's alive.
        let mut piece = vec![0; PIECE];
        for _ in 0..64 {
            io::Read::read_exact(&mut peer.stream, &mut piece).expect("all of it");
            peer.write(masked(0x89, ""));
            thread::sleep(SOON / 4);
        }
        while peer.read_frame().first == 0x8a {}
        peer.write(masked(0x88, [3, 232]));
        peer.read_end();
        if !drops {
            told.recv_timeout(PATIENCE).unwrap().unwrap();
        }
    }
}

#[test]
fn flush_fails_once_another_threads_write_has_dropped_the_batch() {
    for side in BOTH_SIDES {
        let (wire, app) = open(side, Limits { write: SOON, ..unhurried() }, |mut ws| {
            ws.feed("the first").unwrap();
            let flushed = ws.flush();
            ws.feed("the second").unwrap();
            let sender = ws.sender();
            let sent = run(move || sender.send(vec![0; HUGE])).wait();
            (flushed, sent, ws.flush(), ws.send("the third"))
        });
        let (flushed, sent, flushed_again, sent_again) = app.wait();
        assert!(flushed.is_ok(), "{side:?}: {flushed:?}");
        assert!(matches!(sent, Err(Error::WriteTimeout)), "{side:?}: {sent:?}");
        assert!(matches!(flushed_again, Err(Error::Closed)), "{side:?}: {flushed_again:?}");
        assert!(matches!(sent_again, Err(Error::Closed)), "{side:?}: {sent_again:?}");
        drop(wire);
    }
}

#[test]
fn flush_has_nothing_to_fail_for_after_a_clean_close() {
    for side in BOTH_SIDES {
        let (mut wire, app) = open(side, unhurried(), |mut ws| {
            let (ended, flushed) = (ws.recv(), ws.flush());
            (ended, flushed, ws.close(1000, ""), ws.flush())
        });
        wire.send(0x88, [3, 232]);
        assert_eq!(wire.read_close(), 1000);
        let ended = app.wait();
        assert!(matches!(ended, (Ok(None), Ok(()), Ok(()), Ok(()))), "{side:?}: {ended:?}");
    }
}

#[test]
fn flush_and_close_fail_once_the_connection_has_ended_without_a_close() {
    for side in BOTH_SIDES {
        let (wire, app) = open(side, Limits { write: SOON, ..unhurried() }, |mut ws| {
            ws.feed("the first").unwrap();
            let sender = ws.sender();
            sender.send(vec![0; HUGE]).unwrap_err();
            // The first call tells why the connection has ended.
            let closed = ws.close(1000, "");
            (closed, ws.flush(), ws.close(1000, ""), sender.close(1000, ""), ws.sent_close())
        });
        let (closed, flushed, again, sender_closed, sent) = app.wait();
        assert!(matches!(closed, Err(Error::WriteTimeout)), "{side:?}: {closed:?}");
        for ended in [flushed, again, sender_closed] {
            assert!(matches!(ended, Err(Error::Closed)), "{side:?}: {ended:?}");
        }
        assert_eq!(sent, None);
        drop(wire);

        let (wire, app) = open(side, unhurried(), |mut ws| {
            let ended = ws.recv();
            (ended, ws.sender().close(1000, ""), ws.close(1000, ""))
        });
        drop(wire);
        let (ended, sender_closed, closed) = app.wait();
        assert!(matches!(ended, Err(Error::ConnectionLost(_))), "{side:?}: {ended:?}");
        assert!(matches!(sender_closed, Err(Error::Closed)), "{side:?}: {sender_closed:?}");
        assert!(matches!(closed, Err(Error::Closed)), "{side:?}: {closed:?}");
    }
}

#[test]
fn nothing_is_sent_and_no_thread_waits_for_a_message_after_an_abort() {
    for side in BOTH_SIDES {
        let (wire, app) = open(side, unhurried(), |mut ws| {
            let (outbox, sender) = (ws.outbox(1).unwrap(), ws.sender());
            let (tell, told) = channel();
            let writing = ws.sender();
            // A thread that never goes on with its message, nor gives it up.
            thread::spawn(move || {
                let _writer = writing.send_stream(MessageKind::Binary).unwrap();
                tell.send(()).unwrap();
                thread::sleep(10 * PATIENCE);
            });
            told.recv().unwrap();
            outbox.try_send(&PreparedMessage::new("queued")).unwrap();
            let waiting = run(move || sender.send("waits"));
            outbox.abort();
            let start = Instant::now();
            while outbox.backlog().messages > 0 && start.elapsed() < PATIENCE / 2 {
                thread::yield_now();
            }
            (waiting.wait(), ws.ping(), outbox.backlog().messages)
        });
        let (waited, pinged, left) = app.wait();
        assert!(matches!(waited, Err(Error::Closed)), "{side:?}: {waited:?}");
        assert!(matches!(pinged, Err(Error::Closed)), "{side:?}: {pinged:?}");
        assert_eq!(left, 0, "{side:?}");
        drop(wire);
    }
}

/// A stream over which the connection is aborted during a write, which succeeds all the same.
struct AbortedInWrite {
    request: Mutex<io::Cursor<Vec<u8>>>,
    aborts: Arc<Mutex<Option<Sender>>>,
    writes: Arc<AtomicUsize>,
}

impl Stream for AbortedInWrite {
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        io::Read::read(&mut *self.request.lock().unwrap(), into)
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if let Some(sender) = self.aborts.lock().unwrap().take() {
            sender.abort();
        }
        self.writes.fetch_add(1, SeqCst);
        Ok(slices.iter().map(|slice| slice.len()).sum())
    }

    neither_timeouts_nor_shutdown!();
}

#[test]
fn no_ping_is_sent_after_an_abort_that_came_in_the_middle_of_a_write() {
    let (aborts, writes) = (Arc::new(Mutex::new(None)), Arc::<AtomicUsize>::default());
    let request = Mutex::new(io::Cursor::new(request(&[]).into()));
    let stream = AbortedInWrite { request, aborts: aborts.clone(), writes: writes.clone() };
    let mut ws = Server::without_listener().accept(stream).unwrap();
    *aborts.lock().unwrap() = Some(ws.sender());
    let _ = ws.send("x");
    let before = writes.load(SeqCst);
    let pinged = ws.ping();
    assert!(matches!(pinged, Err(Error::Closed)), "{pinged:?}");
    assert_eq!(writes.load(SeqCst), before, "nothing is sent");
}

#[test]
fn pongs_between_two_fragments_keep_neither_a_send_nor_a_close_waiting() {
    for closes in [false, true] {
        let limits = Limits { write: 5 * SOON, ..unhurried() };
        let (end, has_ended) = channel();
        let (mut wire, app) = open(Side::Server, limits, move |mut ws| {
            let (writing, sender) = (ws.sender(), ws.sender());
            let (tell, told) = channel();
            thread::spawn(move || {
                let mut writer = writing.send_stream(MessageKind::Binary).unwrap();
                writer.write_all(b"begun").and_then(|()| writer.flush()).unwrap();
                tell.send(()).unwrap();
                thread::sleep(10 * PATIENCE);
            });
            told.recv().unwrap();
            let sent = run(move || match closes {
                false => {
                    let sent = sender.send("waits");
                    end.send(()).unwrap();
                    sent
                }
                true => Ok(()),
            });
            let ended = if closes { ws.close(1000, "") } else { ws.recv().map(drop) };
            (sent.wait(), ended)
        });
        assert_eq!(wire.read().first, 0x02);
        // The peer pings more often than `Limits::write`, until our Close comes or the `send` ends.
        let start = Instant::now();
        let mut is_closed = false;
        while !is_closed && has_ended.try_recv().is_err() && start.elapsed() < PATIENCE / 2 {
            wire.send(0x89, "");
            is_closed = wire.read().first == 0x88;
            thread::sleep(SOON / 2);
        }
        assert_eq!(is_closed, closes, "our Close no longer waits for the message");
        wire.send(0x88, [3, 232]);
        let (sent, ended) = app.wait();
        ended.unwrap();
        assert!(closes || matches!(sent, Err(Error::WriteTimeout)), "{sent:?}");
    }
}

/// A stream whose peer has sent its request, and takes nothing from then on.
struct Stuck(Mutex<io::Cursor<Vec<u8>>>);

impl Stream for Stuck {
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        match io::Read::read(&mut *self.0.lock().unwrap(), into)? {
            0 => Err(ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(slices.iter().map(|slice| slice.len()).sum())
    }

    neither_timeouts_nor_shutdown!();

    fn unacknowledged(&self) -> Option<u64> {
        Some(1_234)
    }
}

#[test]
fn close_tells_how_many_bytes_the_peers_system_has_not_taken() {
    let stream = Stuck(Mutex::new(io::Cursor::new(request(&[]).into())));
    let server = Server::without_listener().limits(Limits { close: SOON, ..unhurried() });
    let mut ws = server.accept(stream).unwrap();
    ws.send(vec![0; 2_000]).unwrap();
    let closed = ws.close(1000, "");
    assert!(matches!(closed, Err(Error::BytesLost(1_234))), "{closed:?}");
    assert!(closed.unwrap_err().to_string().contains("our last 1234 bytes"));
}

/// A stream whose peer has sent its request, and then only acknowledges: these bytes are left when
/// the connection asks.
struct Acknowledges {
    request: Mutex<io::Cursor<Vec<u8>>>,
    unacknowledged: Mutex<VecDeque<u64>>,
}

impl Stream for Acknowledges {
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        match io::Read::read(&mut *self.request.lock().unwrap(), into)? {
            0 => {
                thread::sleep(SOON / 50);
                Err(ErrorKind::WouldBlock.into())
            }
            count => Ok(count),
        }
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(slices.iter().map(|slice| slice.len()).sum())
    }

    neither_timeouts_nor_shutdown!();

    fn unacknowledged(&self) -> Option<u64> {
        self.unacknowledged.lock().unwrap().pop_front()
    }
}

#[test]
fn a_ping_behind_a_long_message_waits_while_the_peer_acknowledges() {
    // What is unacknowledged at each question. After the last one, the peer has had its time.
    let questions: [&[u64]; 5] = [
        &[1_000_000, 900_000, 800_000, 790_000],
        &[1_000_000, 900_000, 0, 0],
        &[1_000_000, 1_000_000],
        &[65_535],
        &[0],
    ];
    for unacknowledged in questions {
        let stream = Arc::new(Acknowledges {
            request: Mutex::new(io::Cursor::new(request(&[]).into())),
            unacknowledged: Mutex::new(unacknowledged.iter().copied().collect()),
        });
        let limits = Limits { ping_every: Some(SOON / 10), pong: SOON / 10, ..unhurried() };
        let server = Server::without_listener().limits(limits);
        let mut ws = server.accept(stream.clone()).unwrap();
        ws.send(vec![0; 1_100_000]).unwrap();
        let received = run(move || ws.recv()).wait();
        assert!(matches!(received, Err(Error::PeerTimeout)), "{received:?}");
        let left = stream.unacknowledged.lock().unwrap().clone();
        assert!(left.is_empty(), "{unacknowledged:?}: it gave up before {left:?}");
    }
}

/// A stream whose peer has sent its request, and then only acknowledges. Of a long message, it takes
/// a piece every now and then.
struct TakesPieces {
    acknowledges: Acknowledges,
    written: AtomicUsize,
    takes: usize,
}

const IN_BUFFERS: usize = 1_000_000;

impl Stream for TakesPieces {
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        self.acknowledges.read(into)
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let all = slices.iter().map(|slice| slice.len()).sum();
        let count = if all > IN_BUFFERS + 100 { 100_000 } else { all };
        if self.written.load(SeqCst) + count > self.takes {
            return Err(ErrorKind::BrokenPipe.into());
        }
        if all > count {
            thread::sleep(SOON / 2);
        }
        self.written.fetch_add(count, SeqCst);
        Ok(count)
    }

    neither_timeouts_nor_shutdown!();

    fn unacknowledged(&self) -> Option<u64> {
        Some(self.written.load(SeqCst).min(IN_BUFFERS) as u64)
    }
}

fn takes_pieces(takes: usize) -> TakesPieces {
    let request = Mutex::new(io::Cursor::new(request(&[]).into()));
    let acknowledges = Acknowledges { request, unacknowledged: Mutex::default() };
    TakesPieces { acknowledges, written: AtomicUsize::new(0), takes }
}

#[test]
fn a_peer_that_acknowledges_a_long_message_is_kept_while_another_thread_still_writes_it() {
    let pong = 10 * SOON;
    let limits = Limits { ping_every: Some(SOON), pong, ..unhurried() };
    let stream = Arc::new(takes_pieces(usize::MAX));
    let mut ws = Server::without_listener().limits(limits).accept(stream.clone()).unwrap();
    ws.send(vec![0; IN_BUFFERS]).unwrap();
    let before_ping = stream.written.load(SeqCst);
    let sender = ws.sender();
    let received = run(move || ws.recv());
    let start = Instant::now();
    while stream.written.load(SeqCst) == before_ping {
        assert!(start.elapsed() < PATIENCE, "no ping");
        thread::yield_now();
    }
    // Now the ping waits in the buffers.
    let start = Instant::now();
    let sent = run(move || sender.send(vec![0; 5_000_000]));
    let received = received.wait();
    let kept_for = start.elapsed();
    sent.wait().unwrap();
    assert!(matches!(received, Err(Error::PeerTimeout)), "{received:?}");
    assert!(kept_for > 15 * SOON, "{kept_for:?}");
}

#[test]
fn bytes_of_a_message_that_goes_out_in_part_are_counted() {
    let server = Server::without_listener().limits(unhurried());
    let handle = server.handle();
    let mut ws = server.accept(takes_pieces(500_000)).unwrap();
    let sent = ws.send(vec![0; 2_000_000]);
    assert!(matches!(sent, Err(Error::ConnectionLost(_))), "{sent:?}");
    let counters = handle.counters();
    assert_eq!((counters.messages_out, counters.bytes_out), (0, 400_000));
}

#[test]
#[cfg(target_os = "linux")]
fn a_tcp_stream_tells_how_many_bytes_the_peers_system_has_not_taken() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let mut stream = listener.accept().unwrap().0;
    let unsent = |stream: &TcpStream| stream.unacknowledged().expect("Linux knows");
    stream.set_nonblocking(true).unwrap();
    let mut written = 0;
    while let Ok(count) = Write::write(&mut stream, &[0; 65_536]) {
        written += count as u64;
    }
    let stuck = unsent(&stream);
    assert!(stuck > 0 && stuck <= written, "{stuck} of {written}");
    io::copy(&mut io::Read::take(&mut peer, written), &mut io::sink()).unwrap();
    let start = Instant::now();
    while unsent(&stream) > 0 {
        assert!(start.elapsed() < PATIENCE);
    }
}

/// Messages for a peer that doesn't read: more bytes than the peer's system takes, and half of what
/// ours keeps. (With more, a write may have to wait.)
#[cfg(target_os = "linux")]
const KEPT: [usize; 125] = [10_000; 125];

#[cfg(target_os = "linux")]
fn send_what_is_kept(ws: &mut ws101::WebSocket) {
    KEPT.iter().for_each(|length| ws.send(vec![0; *length]).unwrap());
}

#[test]
#[cfg(target_os = "linux")]
fn close_tells_the_lost_bytes_of_a_tcp_peer_that_stopped_after_64_kib() {
    let limits = Limits { close: 3 * SOON, ..unhurried() };
    let (mut wire, app) = open(Side::Server, limits, |mut ws| {
        ws.send(vec![0; 100_000]).unwrap();
        send_what_is_kept(&mut ws);
        ws.close(1000, "")
    });
    assert_eq!(wire.read().payload.len(), 100_000);
    let closed = app.wait();
    assert!(matches!(closed, Err(Error::BytesLost(1..))), "{closed:?}");
}

#[test]
#[cfg(target_os = "linux")]
fn close_tells_the_lost_bytes_of_a_tcp_peer_that_has_closed_and_takes_no_more() {
    for receives in [true, false] {
        let limits = Limits { close: 3 * SOON, ..unhurried() };
        let (mut wire, app) = open(Side::Server, limits, move |mut ws| {
            send_what_is_kept(&mut ws);
            let received = if receives { ws.recv() } else { Ok(None) };
            (received, ws.close(1000, ""))
        });
        wire.send(0x88, [3, 232]);
        let (received, closed) = app.wait();
        assert!(matches!(received, Ok(None)), "{received:?}");
        assert!(matches!(closed, Err(Error::BytesLost(1..))), "{closed:?}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn connections_that_close_at_once_each_get_their_time() {
    const CONNECTIONS: usize = 10;
    let together = Arc::new(std::sync::Barrier::new(CONNECTIONS));
    let peers: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let together = together.clone();
            let limits = Limits { close: 10 * SOON, ..unhurried() };
            let (mut wire, app) = open(Side::Server, limits, move |mut ws| {
                send_what_is_kept(&mut ws);
                together.wait();
                drop(ws);
            });
            let reads = run(move || {
                let mut left = KEPT.iter().map(|length| 4 + length).sum::<usize>() + 4;
                let mut piece = vec![0; 32_768];
                while left > 0 {
                    // It reads steadily, and takes longer than the deadline.
                    thread::sleep(SOON / 2);
                    match io::Read::read(&mut wire.peer.stream, &mut piece) {
                        Ok(count @ 1..) => left -= count,
                        end => return Err(format!("{end:?} with {left} bytes left")),
                    }
                }
                wire.peer.write(masked(0x88, [3, 232]));
                Ok(())
            });
            (reads, app)
        })
        .collect();
    for (reads, app) in peers {
        assert_eq!(reads.wait(), Ok(()));
        app.wait();
    }
}

/// A stream whose timeouts can't be set any more once its peer's request is read.
struct Shut(Mutex<io::Cursor<Vec<u8>>>);

impl Stream for Shut {
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        io::Read::read(&mut *self.0.lock().unwrap(), into)
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(slices.iter().map(|slice| slice.len()).sum())
    }

    fn set_read_timeout(&self, _: Duration) -> io::Result<()> {
        let cursor = self.0.lock().unwrap();
        match cursor.position() < cursor.get_ref().len() as u64 {
            true => Ok(()),
            false => Err(ErrorKind::InvalidInput.into()),
        }
    }

    fn set_write_timeout(&self, _: Duration) -> io::Result<()> {
        Ok(())
    }

    fn shutdown(&self, _: Shutdown) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_connection_whose_timeouts_can_not_be_set_any_more_is_lost() {
    let stream = Shut(Mutex::new(io::Cursor::new(request(&[]).into())));
    let mut ws = Server::without_listener().limits(unhurried()).accept(stream).unwrap();
    let lost = ws.recv();
    assert!(
        matches!(&lost, Err(Error::ConnectionLost(why)) if why.kind() == ErrorKind::InvalidInput),
        "{lost:?}"
    );
}

// 6: a message that is written piece by piece.

#[test]
fn either_side_answers_a_ping_while_a_message_is_open_and_does_not_go_on() {
    for side in BOTH_SIDES {
        let (tell, told) = channel();
        let (mut wire, app) = open(side, unhurried(), move |mut ws| {
            let sender = ws.sender();
            let (begin, begun) = channel();
            let writing = run(move || {
                let mut message = sender.send_stream(MessageKind::Text)?;
                message.write_all(b"half")?;
                message.flush()?;
                begin.send(()).unwrap();
                told.recv().unwrap();
                message.finish()
            });
            // While the other thread writes, a ping would be skipped.
            begun.recv().unwrap();
            ws.ping().unwrap();
            let end = ws.recv();
            (writing.wait(), end)
        });
        assert_eq!([wire.read().first, wire.read().first], [0x01, 0x89]);
        wire.send(0x89, "?");
        assert_eq!(wire.read(), Frame { first: 0x8a, payload: b"?".into() });
        tell.send(()).unwrap();
        assert_eq!(wire.read(), Frame { first: 0x80, payload: vec![] });
        wire.send(0x88, [3, 232]);
        assert_eq!(wire.read_close(), 1000);
        let (written, end) = app.wait();
        assert!(written.is_ok() && matches!(end, Ok(None)), "{written:?} {end:?}");
    }
}

#[test]
fn either_side_says_which_rule_was_broken_while_a_message_is_open() {
    for side in BOTH_SIDES {
        let (tell, told) = channel::<()>();
        let (mut wire, app) = open(side, unhurried(), move |mut ws| {
            let sender = ws.sender();
            let writing = run(move || {
                let mut message = sender.send_stream(MessageKind::Text)?;
                message.write_all(b"half")?;
                message.flush()?;
                told.recv().unwrap_err();
                message.write_all(b"and half")?;
                message.finish()
            });
            (ws.recv(), writing.wait())
        });
        assert_eq!(wire.read().first, 0x01);
        wire.send(0x83, "");
        assert_eq!(wire.read_close(), 1002);
        drop(tell);
        let (broken, written) = app.wait();
        assert!(matches!(broken, Err(Error::Violation(_))), "{broken:?}");
        assert!(matches!(written, Err(Error::Closed)), "{written:?}");
    }
}

#[test]
fn either_side_refuses_a_second_message_of_the_thread_that_has_one_open() {
    for side in BOTH_SIDES {
        let (mut wire, app) = open(side, unhurried(), |mut ws| {
            let sender = ws.sender();
            let mut message = sender.send_stream(MessageKind::Text)?;
            let refused = [
                ws.send("second"),
                ws.feed("second"),
                sender.send("second"),
                sender.send_stream(MessageKind::Text).map(drop),
            ];
            for refused in refused {
                assert!(matches!(refused, Err(Error::Misuse(_))), "{refused:?}");
            }
            message.write_all(b"first")?;
            message.finish()?;
            ws.send("second")
        });
        for text in ["first", "second"] {
            assert_eq!(wire.read().payload, text.as_bytes());
        }
        assert_eq!(wire.read_close(), 1000);
        app.wait().unwrap();
    }
}

#[test]
fn either_side_gives_up_a_message_at_the_write_deadline_where_another_thread_has_one_open() {
    for side in BOTH_SIDES {
        let (tell, told) = channel::<()>();
        let limits = Limits { write: SOON, ..unhurried() };
        let (mut wire, app) = open(side, limits, move |mut ws| {
            let sender = ws.sender();
            let (begin, begun) = channel();
            let writing = run(move || {
                let message = sender.send_stream(MessageKind::Text)?;
                begin.send(()).unwrap();
                told.recv().unwrap_err();
                message.finish()
            });
            begun.recv().unwrap();
            let late = ws.send("second");
            drop(tell);
            writing.wait()?;
            ws.send("third").map(|()| late)
        });
        assert_eq!(wire.read(), Frame { first: 0x81, payload: vec![] });
        assert_eq!(wire.read().payload, b"third");
        assert_eq!(wire.read_close(), 1000);
        let late = app.wait().unwrap();
        assert!(matches!(late, Err(Error::WriteTimeout)), "{late:?}");
    }
}

#[test]
fn either_side_closes_within_a_message_that_does_not_go_on_for_a_write_deadline() {
    for side in BOTH_SIDES {
        let (tell, told) = channel::<()>();
        let limits = Limits { write: SOON, ..unhurried() };
        let (mut wire, app) = open(side, limits, move |mut ws| {
            let sender = ws.sender();
            let (begin, begun) = channel();
            let writing = run(move || {
                let mut message = sender.send_stream(MessageKind::Text)?;
                message.write_all(b"half")?;
                message.flush()?;
                begin.send(()).unwrap();
                told.recv().unwrap_err();
                message.finish()
            });
            begun.recv().unwrap();
            let closed = ws.close(1000, "");
            drop(tell);
            (closed, writing.wait())
        });
        assert_eq!(wire.read().first, 0x01);
        assert_eq!(wire.read(), Frame { first: 0x88, payload: vec![3, 232] });
        wire.send(0x88, [3, 232]);
        wire.peer.finish();
        let (closed, written) = app.wait();
        closed.unwrap();
        assert!(matches!(written, Err(Error::Closed)), "{written:?}");
    }
}

#[test]
fn a_send_that_waits_for_another_threads_message_is_refused_once_the_connection_is_closing() {
    for side in BOTH_SIDES {
        let (wire, app) = open(side, unhurried(), |ws| {
            let (writing, waiting, sender) = (ws.sender(), ws.sender(), ws.sender());
            let (tell, told) = channel();
            // A message that goes on and has no end: our Close waits for it.
            thread::spawn(move || {
                let mut message = writing.send_stream(MessageKind::Binary).unwrap();
                while message.write_all(b"more").and_then(|()| message.flush()).is_ok() {
                    let _ = tell.send(());
                    thread::sleep(SOON);
                }
            });
            told.recv().unwrap();
            let waits = run(move || waiting.send("waits"));
            sender.close(1000, "").unwrap();
            let refused = [waits.wait(), run(move || sender.send("late")).wait()];
            ws.sender().abort();
            refused
        });
        let refused = app.wait();
        assert!(refused.iter().all(|sent| matches!(sent, Err(Error::Closed))), "{refused:?}");
        drop(wire);
    }
}

// 7 and 8.

#[test]
fn recv_timeout_returns_in_its_time_when_the_peer_closes_while_another_thread_is_stuck_in_a_write()
{
    for side in BOTH_SIDES {
        let (mut wire, app) = open(side, unhurried(), |mut ws| {
            let sender = ws.sender();
            let sent = run(move || sender.send(vec![0; HUGE]));
            let start = Instant::now();
            let end = loop {
                match ws.recv_timeout(SOON) {
                    Err(Error::TimedOut) => {}
                    end => break end,
                }
            };
            let took = start.elapsed();
            ws.sender().abort();
            (end, took, sent.wait())
        });
        wire.peer.read_exact::<2>();
        wire.send(0x88, [3, 232]);
        let (end, took, sent) = app.wait();
        assert!(matches!(end, Ok(None)) && sent.is_err(), "{end:?} {sent:?}");
        assert!(took < PATIENCE / 2, "{took:?}");
    }
}

#[test]
fn server_breaks_off_a_batch_that_its_stream_has_panicked_over_and_doubles_nothing() {
    let faults = Faults::default();
    let (tell, told) = channel();
    let (go, gone) = channel();
    let gone = Mutex::new(gone);
    let switch = faults.panics.clone();
    let server = serve(
        |server| server.limits(unhurried()).wrap_stream(faults.wrap()),
        move |mut ws| {
            gone.lock().unwrap().recv().unwrap();
            switch.store(true, SeqCst);
            let panicked = catch_unwind(AssertUnwindSafe(|| ws.send("one"))).is_err();
            switch.store(false, SeqCst);
            tell.send((panicked, ws.send("two"))).unwrap();
            Ok(())
        },
    );
    let mut peer = server.open();
    go.send(()).unwrap();
    let (panicked, second) = told.recv_timeout(PATIENCE).unwrap();
    assert!(panicked && matches!(second, Err(Error::Closed)), "{second:?}");
    assert_eq!(peer.read_frame(), Frame { first: 0x81, payload: b"one".into() });
    peer.read_end();
}

#[test]
fn server_frees_the_place_of_a_connection_whose_stream_panics_over_its_close() {
    let faults = Faults::default();
    let switch = faults.panics.clone();
    let server = serve(
        |server| server.wrap_stream(faults.wrap()),
        move |mut ws| {
            let _ = ws.recv();
            switch.store(true, SeqCst);
            Ok(())
        },
    );
    let mut peer = server.open();
    server.wait_until(|counters| counters.open == 1);
    peer.write(masked(0x81, "go"));
    server.wait_until(|counters| counters.open == 0);
}

#[test]
fn server_outlives_a_panic_before_a_message_whose_stream_panics_over_a_close_that_waited_for_it() {
    let faults = Faults::default();
    let switch = faults.panics.clone();
    let server = serve(
        |server| server.wrap_stream(faults.wrap()),
        move |mut ws| {
            let sender = ws.sender();
            let _message = ws.send_stream(MessageKind::Binary)?;
            let closing = std::thread::spawn(move || sender.close(1000, ""));
            closing.join().unwrap()?;
            switch.store(true, SeqCst);
            panic!("the handler fails");
        },
    );
    let _peer = server.open();
    server.wait_until(|counters| counters.open == 0);
}

#[test]
fn server_outlives_a_panic_in_mid_message_whose_stream_panics_over_the_close() {
    let faults = Faults::default();
    let switch = faults.panics.clone();
    let server = serve(
        |server| server.wrap_stream(faults.wrap()),
        move |mut ws| {
            let mut message = ws.send_stream(MessageKind::Binary)?;
            message.write_all(b"begun").and_then(|()| message.flush())?;
            switch.store(true, SeqCst);
            panic!("the handler fails");
        },
    );
    let mut peer = server.open();
    assert_eq!(peer.read_frame().first, 0x02);
    server.wait_until(|counters| counters.open == 0);
}

#[test]
fn an_outbox_keeps_no_message_after_its_stream_has_panicked() {
    let faults = Faults::default();
    let switch = faults.panics.clone();
    let (tell, told) = channel();
    let server = serve(
        |server| server.wrap_stream(faults.wrap()),
        move |ws| {
            let outbox = ws.outbox(8)?;
            switch.store(true, SeqCst);
            outbox.try_send(&PreparedMessage::new("kept"))?;
            let start = Instant::now();
            while outbox.backlog().messages > 0 && start.elapsed() < PATIENCE / 2 {
                thread::yield_now();
            }
            tell.send(outbox.backlog().messages).unwrap();
            Ok(())
        },
    );
    let _peer = server.open();
    assert_eq!(told.recv_timeout(PATIENCE).unwrap(), 0);
}

// 9 and 10.

#[test]
fn a_bound_server_that_accepts_streams_of_its_caller_closes_them_when_it_stops() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = Server::bind("127.0.0.1:0").unwrap().limits(unhurried());
    let handle = server.handle();
    let mut peer = Peer::new(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
    peer.write(request(&[]));
    let mut ws = server.accept(listener.accept().unwrap().0).unwrap();
    assert_eq!(peer.read_response().status, 101);
    handle.stop(3 * SOON);
    let ended = run(move || ws.recv());
    assert_eq!(peer.read_frame(), going_away());
    let ended = ended.wait();
    assert!(matches!(ended, Err(Error::ConnectionLost(_))), "it is cut: {ended:?}");
}

#[test]
fn counters_do_not_count_as_open_what_authorize_still_thinks_about() {
    let (tell, told) = channel();
    let (go, gone) = channel::<()>();
    let (gone, tell) = (Mutex::new(gone), Mutex::new(tell));
    let server = serve(
        |server| {
            server.authorize(move |_| {
                tell.lock().unwrap().send(()).unwrap();
                gone.lock().unwrap().recv().unwrap();
                Ok(())
            })
        },
        echo_handler,
    );
    let mut peer = server.dial();
    peer.write(request(&[]));
    told.recv_timeout(PATIENCE).unwrap();
    assert_eq!(server.handle.counters().open, 0);
    go.send(()).unwrap();
    assert_eq!(peer.read_response().status, 101);
    assert_eq!(server.handle.counters().open, 1, "who has its 101 is open");
}

#[test]
fn server_does_not_read_all_the_time_while_it_closes_with_a_pong_overdue() {
    let silence = Duration::from_millis(300);
    let limits =
        Limits { ping_every: Some(silence), pong: 4 * silence, close: 6 * silence, ..unhurried() };
    let faults = Faults::default();
    let (tell, told) = channel();
    let server = serve(
        |server| server.limits(limits).wrap_stream(faults.wrap()),
        move |mut ws| {
            tell.send(ws.sender()).unwrap();
            ws.recv().map(drop)
        },
    );
    let mut peer = server.open();
    assert_eq!(peer.read_frame().first, 0x89);
    // Now a pong is due, and stays so. Even a slow machine closes before it is overdue.
    told.recv_timeout(PATIENCE).unwrap().close(1000, "").unwrap();
    assert_eq!(peer.read_frame().first, 0x88);
    peer.read_end();
    // After the deadline, one or two short reads find nothing.
    let reads = faults.reads.load(SeqCst);
    assert!(reads < 20, "{reads} reads");
}

#[test]
fn a_small_limit_for_closing_wakes_no_idle_connection() {
    let limits = Limits { close: Duration::from_millis(20), ..unhurried() };
    let faults = Faults::default();
    let server = serve(|server| server.limits(limits).wrap_stream(faults.wrap()), echo_handler);
    let _peer = server.open();
    thread::sleep(5 * SOON);
    // One for the head, one that waits.
    let reads = faults.reads.load(SeqCst);
    assert!(reads <= 2, "{reads} reads");
}

/// A stream on which each call that would wait is interrupted by a signal: a read without bytes,
/// and a write of a long message.
struct Signalled(Mutex<io::Cursor<Vec<u8>>>);

impl Stream for Signalled {
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        match io::Read::read(&mut *self.0.lock().unwrap(), into)? {
            0 => {
                thread::sleep(SOON / 20);
                Err(ErrorKind::Interrupted.into())
            }
            count => Ok(count),
        }
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let length = slices.iter().map(|slice| slice.len()).sum();
        if length >= HUGE {
            thread::sleep(SOON / 20);
            return Err(ErrorKind::Interrupted.into());
        }
        Ok(length)
    }

    neither_timeouts_nor_shutdown!();
}

#[test]
fn interruptions_extend_neither_the_write_rate_nor_the_keepalive() {
    let accept = |limits| {
        let stream = Signalled(Mutex::new(io::Cursor::new(request(&[]).into())));
        Server::without_listener().limits(limits).accept(stream).unwrap()
    };
    let mut ws = accept(Limits { ping_every: Some(SOON), pong: SOON, ..unhurried() });
    let received = run(move || ws.recv()).wait();
    assert!(matches!(received, Err(Error::PeerTimeout)), "{received:?}");
    let mut ws = accept(Limits { write: SOON, ..unhurried() });
    let sent = run(move || ws.send(vec![0; HUGE])).wait();
    assert!(matches!(sent, Err(Error::WriteTimeout)), "{sent:?}");
}

/// A stream whose reads return these pieces, in order, and then its end. During a piece that's
/// `None`, the process is stopped by a signal, for longer than a pong may take.
struct StoppedMeanwhile(Mutex<VecDeque<Option<Vec<u8>>>>);

impl StoppedMeanwhile {
    const PONG: Duration = Duration::from_secs(1);
}

impl Stream for StoppedMeanwhile {
    fn read(&self, mut into: &mut [u8]) -> io::Result<usize> {
        let arrived = self.0.lock().unwrap().pop_front();
        match arrived {
            Some(Some(bytes)) => into.write(&bytes),
            Some(None) => {
                thread::sleep(Self::PONG + SOON);
                Err(ErrorKind::Interrupted.into())
            }
            None => Ok(0),
        }
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(slices.iter().map(|slice| slice.len()).sum())
    }

    neither_timeouts_nor_shutdown!();
}

#[test]
fn an_answer_that_came_while_the_process_was_stopped_is_read_before_the_peer_is_given_up() {
    let request = Some(request(&[]).into());
    let frame = Some(masked(0x81, "hi"));
    // The first interruption comes after a silence, so a ping follows, and the second one comes
    // after the ping's deadline.
    let pieces = [request, None, None, frame];
    for polls in [false, true] {
        let stream = StoppedMeanwhile(Mutex::new(pieces.clone().into()));
        let limits = Limits { ping_every: Some(SOON), pong: StoppedMeanwhile::PONG, ..unhurried() };
        let mut ws = Server::without_listener().limits(limits).accept(stream).unwrap();
        let received = run(move || {
            loop {
                match if polls { ws.recv_timeout(Duration::ZERO) } else { ws.recv() } {
                    Err(Error::TimedOut) => {}
                    received => return received,
                }
            }
        });
        let received = received.wait();
        assert!(matches!(&received, Ok(Some(text)) if text.as_bytes() == b"hi"), "{received:?}");
    }
}
