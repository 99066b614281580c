//! The scenarios: what the threads of a connection do at the same time. Each runs from its
//! beginning in as many orders as the checker tries. The checker also finds a thread that waits for
//! ever.

use std::io::Write;
use std::sync::Arc;

use crate::connection::close_guard::{CloseGuard, CloseObserver};
use crate::connection::write_half::WriteHalf;
use crate::frames::buffer::Buffer;
use crate::frames::decoder::Decoder;
use crate::frames::encoder::Encoder;
use crate::frames::header::Role;
use crate::model::sync::atomic::{AtomicBool, Ordering::SeqCst};
use crate::model::thread::{JoinHandle, spawn, yield_now};
use crate::model::time::Duration;
use crate::server::registry::registry::Registry;
use crate::wire::{CLOSE, Frame, OurEnd, PING, PONG, Wire};
use crate::{
    AsMessage, Close, CloseCode, Error, Handle, Limits, MessageKind, Outbox, PreparedMessage,
    Request, Sender, WebSocket,
};

/// The link of a server's connection.
fn write_half(id: u64, wire: &Arc<Wire>, limits: &Limits) -> Arc<WriteHalf> {
    let stream = Arc::new(OurEnd(wire.clone()));
    WriteHalf::new(id, stream, Encoder::new(None), &Arc::new(limits.clone()), Default::default())
}

fn websocket(
    write_half: Arc<WriteHalf>,
    limits: &Limits,
    owner: Option<Arc<dyn CloseObserver>>,
) -> WebSocket {
    let decoder = Decoder::new(Role::Server, limits.message_bounds(), Buffer::default());
    let request = Request::parse(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").expect("a request");
    WebSocket::new(CloseGuard::new(write_half, owner, request.into()), decoder, None)
}

fn connection(limits: &Limits) -> (Arc<Wire>, WebSocket) {
    let wire = Arc::default();
    let write_half = write_half(1, &wire, limits);
    let ws = websocket(write_half, limits, None);
    (wire, ws)
}

/// Does something as the peer.
fn peer(wire: &Arc<Wire>, act: impl FnOnce(&Wire) + Send + 'static) -> JoinHandle<()> {
    let wire = wire.clone();
    spawn(move || act(&wire))
}

/// Sends two messages of a letter, and tells how many were taken. None are only where we have closed.
fn sends(sender: Sender, letter: &'static str) -> JoinHandle<usize> {
    let send = move |length| match sender.send(letter.repeat(length)) {
        Ok(()) => 1,
        Err(Error::Closed) => 0,
        Err(error) => panic!("{error}"),
    };
    spawn(move || (1..=2).map(send).sum())
}

fn frame(first: u8, payload: &[u8]) -> Frame {
    Frame { first, payload: payload.into() }
}

/// The slot by itself: one sends, while the thread that reads answers a ping, and writes before it
/// waits.
pub fn a_pong_beside_a_send() {
    let wire = Arc::default();
    let write_half = write_half(1, &wire, &Limits::default());
    let sender = Sender::new(write_half.clone());
    let sending = spawn(move || sender.send("a").expect("nothing is closed"));
    write_half.answer_ping(b"p".into()).expect("nothing is closed");
    write_half.flush_unless_busy().expect("nothing fails");
    sending.join().expect("it sends");
    let mut heard = wire.heard();
    heard.sort_by_key(|frame| frame.first);
    assert_eq!(heard, [frame(0x81, b"a"), frame(PONG, b"p")]);
}

/// The slot by itself: one sends, while another closes.
pub fn a_close_beside_a_send() {
    let wire = Arc::default();
    let sender = Sender::new(write_half(1, &wire, &Limits::default()));
    let sending = spawn({
        let sender = sender.clone();
        move || sender.send("a").is_ok()
    });
    sender.close(1000, "").expect("a code that may travel");
    let sent = sending.join().expect("it sends");
    assert_eq!(wire.messages_of(b'a'), usize::from(sent));
    assert_eq!(wire.heard().last().map(|frame| frame.first), Some(CLOSE));
}

/// A message that is too large to be copied is written behind its header. Nothing may come between.
pub fn large_messages() {
    let wire = Arc::default();
    let sender = Sender::new(write_half(1, &wire, &Limits::default()));
    let sending = ["a", "b"].map(|letter| {
        let sender = sender.clone();
        spawn(move || sender.send(letter.repeat(100_000)).expect("nothing is closed"))
    });
    sender.send("c").expect("nothing is closed");
    for thread in sending {
        thread.join().expect("it sends");
    }
    assert_eq!([b'a', b'b', b'c'].map(|letter| wire.messages_of(letter)), [1, 1, 1]);
}

/// Two threads send while pings come; the peer closes once it has its answer.
pub fn sends_and_pings() {
    let (wire, mut ws) = connection(&Limits::default());
    let sending = ["a", "b"].map(|letter| sends(ws.sender(), letter));
    let peer = peer(&wire, |wire| {
        wire.say(PING, b"p");
        wire.say(PING, b"q");
        // Only the latest ping is owed an answer.
        wire.wait_for(PONG, b"q");
        wire.close_and_end();
    });
    assert!(matches!(ws.recv(), Ok(None)));
    let sent = sending.map(|thread| thread.join().expect("it sends"));
    drop(ws);
    peer.join().expect("the peer has its answer");
    wire.wait_until_let_go();
    assert_eq!([b'a', b'b'].map(|letter| wire.messages_of(letter)), sent);
    assert!(wire.heard().iter().any(|frame| frame.first == CLOSE));
}

/// A message is written piece by piece, for as long as the peer has no answer to its ping.
pub fn a_pong_within_a_long_message() {
    let (wire, mut ws) = connection(&Limits::default());
    let answered = Arc::new(AtomicBool::new(false));
    let (sender, other) = (ws.sender(), sends(ws.sender(), "b"));
    let writing = spawn({
        let answered = answered.clone();
        move || {
            let mut message = sender.send_stream(MessageKind::Binary).expect("nothing is closed");
            loop {
                message.write_all(b"a").expect("nothing fails");
                message.flush().expect("nothing fails");
                if answered.load(SeqCst) {
                    break;
                }
                yield_now();
            }
            message.finish().expect("nothing fails");
        }
    });
    let peer = peer(&wire, move |wire| {
        wire.say(PING, b"p");
        wire.wait_for(PONG, b"p");
        answered.store(true, SeqCst);
        wire.wait_for(0x80, b"");
        wire.wait_for(0x81, b"bb");
        wire.close_and_end();
    });
    assert!(matches!(ws.recv(), Ok(None)));
    drop(ws);
    peer.join().expect("the peer has its answer");
    writing.join().expect("it writes");
    assert_eq!(other.join().expect("it sends"), 2);
    wire.wait_until_let_go();
    wire.heard();
}

/// Another thread closes, while a third sends and the one that reads waits, and asks in each silence
/// whether the peer is there.
pub fn a_close_from_elsewhere() {
    let second = Duration::from_secs(1);
    let patient = 1000 * second;
    let limits =
        Limits { ping_every: Some(second), pong: patient, close: patient, ..Limits::default() };
    let (wire, mut ws) = connection(&limits);
    let sending = sends(ws.sender(), "a");
    let sender = ws.sender();
    let closing = spawn(move || sender.close(1000, "").expect("a code that may travel"));
    let clock = peer(&wire, Wire::let_time_pass);
    let peer = peer(&wire, |wire| {
        wire.wait_for_close();
        wire.close_and_end();
    });
    let received = ws.recv();
    assert!(matches!(received, Ok(None)), "{received:?}");
    drop(ws);
    for thread in [closing, clock, peer] {
        thread.join().expect("it ends");
    }
    let sent = sending.join().expect("it sends");
    wire.wait_until_let_go();
    assert_eq!(wire.messages_of(b'a'), sent);
}

/// All three close at once: this thread, another, and the peer.
pub fn everybody_closes() {
    let (wire, mut ws) = connection(&Limits::default());
    let sender = ws.sender();
    let other = spawn(move || sender.close(1001, "").expect("a code that may travel"));
    let peer = peer(&wire, Wire::close_and_end);
    ws.close(1000, "").expect("the peer answers");
    drop(ws);
    for thread in [other, peer] {
        thread.join().expect("it ends");
    }
    wire.wait_until_let_go();
    assert_eq!(wire.heard().len(), 1);
}

/// The connection is dropped while another thread sends, and messages wait in an outbox: what the
/// outbox has taken is sent, and its thread ends.
pub fn a_drop_with_a_full_outbox() {
    let (wire, ws) = connection(&Limits::default());
    let outbox = ws.outbox(2).expect("there is a thread");
    let sending = sends(ws.sender(), "a");
    let filling = spawn({
        let outbox = outbox.clone();
        let taken =
            move |length| outbox.try_send(&PreparedMessage::new("b".repeat(length))).is_ok();
        move || (1..=2).filter(|length| taken(*length)).count()
    });
    let taken = usize::from(outbox.try_send(&PreparedMessage::new("c")).is_ok());
    drop(outbox);
    let peer = peer(&wire, |wire| {
        wire.wait_for_close();
        wire.close_and_end();
    });
    drop(ws);
    let sent = sending.join().expect("it sends");
    let filled = filling.join().expect("it fills");
    peer.join().expect("the peer has our Close");
    wire.wait_until_let_go();
    assert_eq!([b'a', b'b', b'c'].map(|letter| wire.messages_of(letter)), [sent, filled, taken]);
}

/// The peer takes nothing: one thread hangs in a write, with the lock. Then somebody cuts, and all
/// come out.
pub fn a_cut_while_nothing_is_taken() {
    let (wire, mut ws) = connection(&Limits::default());
    wire.take_nothing();
    let outbox = ws.outbox(1).expect("there is a thread");
    outbox.try_send(&PreparedMessage::new("b")).expect("there is room");
    let (sender, cutter) = (ws.sender(), ws.sender());
    let sending = spawn(move || sender.send("a").is_ok());
    let cutting = spawn(move || cutter.abort());
    wire.say(PING, b"p");
    assert!(!matches!(ws.recv(), Ok(Some(_))));
    assert!(!sending.join().expect("it comes out"));
    drop((outbox, ws));
    cutting.join().expect("it cuts");
    wire.wait_until_let_go();
}

/// The peer takes nothing, and the connection is dropped: past the deadline of a write it ends all the
/// same.
pub fn a_drop_while_nothing_is_taken() {
    let limits = Limits { write: Duration::from_millis(40), ..Limits::default() };
    let (wire, ws) = connection(&limits);
    wire.take_nothing();
    let sender = ws.sender();
    let sending = spawn(move || sender.send("a").is_ok());
    wire.end();
    drop(ws);
    assert!(!sending.join().expect("it comes out"));
    wire.wait_until_let_go();
}

/// The server stops while one connection is open, one opens, and one leaves: each that is open is told
/// so, and nobody is waited for who has left.
pub fn the_server_stops() {
    let registry = Registry::new(None);
    let visit = |id, leaves: bool| {
        let registry = registry.clone();
        spawn(move || {
            let Some(permit) = registry.permit(id, 3) else { return };
            let (wire, limits) = (Arc::default(), Limits::default());
            let write_half = write_half(id, &wire, &limits);
            let owner = permit.register_open(&write_half);
            let peer = peer(&wire, |wire| {
                wire.wait_for_close();
                wire.close_and_end();
            });
            let mut ws = websocket(write_half, &limits, Some(owner));
            if !leaves {
                assert!(matches!(ws.recv(), Ok(None)));
                let told =
                    frame(CLOSE, &[&1001_u16.to_be_bytes()[..], b"the server stops"].concat());
                assert_eq!(wire.heard(), [told]);
            }
            drop(ws);
            peer.join().expect("the peer has our Close");
            wire.wait_until_let_go();
        })
    };
    let visitors = [visit(1, false), visit(2, true), visit(3, false)];
    Handle { registry: registry.clone() }.stop(Duration::from_secs(1));
    for visitor in visitors {
        visitor.join().expect("everybody leaves");
    }
}

/// The peer has broken a rule while another thread sends: it is told, when both are through.
pub fn a_failure_beside_a_send() {
    let wire = Arc::default();
    let write_half = write_half(1, &wire, &Limits::default());
    let sender = Sender::new(write_half.clone());
    let sending = spawn(move || sender.send("a").is_ok());
    write_half.fail(Close { code: CloseCode::PROTOCOL_ERROR, reason: String::new() });
    sending.join().expect("it sends");
    let heard: Vec<u8> = wire.heard().iter().map(|frame| frame.first).collect();
    assert!(heard.contains(&CLOSE), "both are through, and no Close is out: {heard:02x?}");
}

/// One feeds, and does something else then, while another closes: the Close waits for nobody.
pub fn a_close_beside_a_feed() {
    let (wire, mut ws) = connection(&Limits::default());
    let sender = ws.sender();
    let closing = spawn(move || sender.close(1000, "").expect("a code that may travel"));
    let _ = ws.feed("a");
    closing.join().expect("it closes");
    let heard: Vec<u8> = wire.heard().iter().map(|frame| frame.first).collect();
    wire.end();
    drop(ws);
    assert!(heard.contains(&CLOSE), "both are through, and no Close is out: {heard:02x?}");
}

/// One writes what it has fed before it waits, while another looks whether the lock is free: the peer
/// has the message, whoever wrote it.
pub fn a_look_beside_a_flush() {
    let wire = Arc::default();
    let write_half = write_half(1, &wire, &Limits::default());
    let other = write_half.clone();
    let looking = spawn(move || other.is_writing());
    write_half.feed(|encoder| encoder.message("a".as_message())).expect("nothing is closed");
    write_half.flush_unless_busy().expect("nothing fails");
    looking.join().expect("it looks");
    assert_eq!(wire.messages_of(b'a'), 1);
}

/// Fills an outbox from another thread; how many messages it has taken.
fn fills(outbox: &Outbox, letter: &'static str) -> JoinHandle<usize> {
    let outbox = outbox.clone();
    let taken = move |length| outbox.try_send(&PreparedMessage::new(letter.repeat(length))).is_ok();
    spawn(move || (1..=2).filter(|length| taken(*length)).count())
}

/// Another thread closes while two fill an outbox, and a third sends: what was taken is sent, and our
/// Close comes last.
pub fn a_close_with_a_full_outbox() {
    let (wire, mut ws) = connection(&Limits::default());
    let outbox = ws.outbox(4).expect("there is a thread");
    let (filling, sending) = (fills(&outbox, "b"), sends(ws.sender(), "a"));
    let sender = ws.sender();
    let closing = spawn(move || sender.close(1000, "").expect("a code that may travel"));
    drop(outbox);
    let peer = peer(&wire, |wire| {
        wire.wait_for_close();
        wire.close_and_end();
    });
    assert!(matches!(ws.recv(), Ok(None)));
    drop(ws);
    let (filled, sent) = (filling.join().expect("it fills"), sending.join().expect("it sends"));
    closing.join().expect("it closes");
    peer.join().expect("the peer has our Close");
    wire.wait_until_let_go();
    assert_eq!([b'a', b'b'].map(|letter| wire.messages_of(letter)), [sent, filled]);
}

/// One thread closes, another looks whether our Close is due, and a third fills an outbox: what was taken is
/// sent.
pub fn a_close_beside_an_outbox() {
    let wire = Arc::default();
    let write_half = write_half(1, &wire, &Limits::default());
    let outbox = Outbox::new(&write_half, 1).expect("there is a thread");
    let sender = Sender::new(write_half.clone());
    let closing = spawn(move || sender.close(1000, "").expect("a code that may travel"));
    let filling = spawn(move || outbox.try_send(&PreparedMessage::new("b")).is_ok());
    // As the reading thread does before it waits.
    write_half.advance_close().expect("nothing fails");
    let taken = filling.join().expect("it fills");
    closing.join().expect("it closes");
    drop(write_half);
    wire.wait_until_let_go();
    assert_eq!(wire.messages_of(b'b'), usize::from(taken));
    assert_eq!(wire.heard().last().map(|frame| frame.first), Some(CLOSE));
}

/// The peer closes while an outbox is being filled: the same.
pub fn a_close_of_the_peer_with_a_full_outbox() {
    let (wire, mut ws) = connection(&Limits::default());
    let outbox = ws.outbox(4).expect("there is a thread");
    let filling = fills(&outbox, "b");
    drop(outbox);
    let peer = peer(&wire, Wire::close_and_end);
    assert!(matches!(ws.recv(), Ok(None)));
    drop(ws);
    let filled = filling.join().expect("it fills");
    peer.join().expect("the peer has our Close");
    wire.wait_until_let_go();
    assert_eq!(wire.messages_of(b'b'), filled);
    assert_eq!(wire.heard().last().map(|frame| frame.first), Some(CLOSE));
}

/// One thread writes a message in two fragments, another sends, a third closes: a message that has begun
/// is whole before our Close, and the one that was refused isn't there.
pub fn a_close_within_a_long_message() {
    let (wire, ws) = connection(&Limits::default());
    let (sender, closer) = (ws.sender(), ws.sender());
    let sending = sends(ws.sender(), "b");
    let writing = spawn(move || {
        let Ok(mut message) = sender.send_stream(MessageKind::Text) else { return false };
        message.write_all(b"a").expect("our Close waits for it");
        message.flush().expect("our Close waits for it");
        message.finish().expect("our Close waits for it");
        true
    });
    let closing = spawn(move || closer.close(1000, "").expect("a code that may travel"));
    let peer = peer(&wire, |wire| {
        wire.wait_for_close();
        wire.close_and_end();
    });
    closing.join().expect("it closes");
    let (written, sent) = (writing.join().expect("it writes"), sending.join().expect("it sends"));
    // The last of them has sent our Close.
    wire.wait_for_close();
    drop(ws);
    peer.join().expect("the peer has our Close");
    wire.wait_until_let_go();
    let ends = wire.heard().iter().filter(|frame| frame.first == 0x80).count();
    assert_eq!((ends, wire.messages_of(b'b')), (usize::from(written), sent));
    assert_eq!(wire.heard().last().map(|frame| frame.first), Some(CLOSE));
}

/// The server stops while a handler answers, by itself and through an outbox: both replies go out, and
/// then the Close.
pub fn the_server_stops_while_a_handler_answers() {
    let registry = Registry::new(None);
    let (wire, limits) = (Arc::<Wire>::default(), Limits::default());
    let permit = registry.permit(1, 1).expect("there is room");
    let write_half = write_half(1, &wire, &limits);
    let owner = permit.register_open(&write_half);
    let mut ws = websocket(write_half, &limits, Some(owner));
    let outbox = ws.outbox(1).expect("there is a thread");
    wire.say(0x81, b"q");
    assert!(matches!(ws.recv(), Ok(Some(_))));
    let stopping = spawn(move || Handle { registry }.stop(Duration::from_secs(1)));
    let peer = peer(&wire, |wire| {
        wire.wait_for_close();
        wire.close_and_end();
    });
    ws.send("a").expect("the server waits for it");
    outbox.try_send(&PreparedMessage::new("b")).expect("the server waits for it");
    assert!(matches!(ws.recv(), Ok(None)));
    drop((outbox, ws));
    for thread in [stopping, peer] {
        thread.join().expect("it ends");
    }
    wire.wait_until_let_go();
    let heard: Vec<u8> = wire.heard().iter().map(|frame| frame.first).collect();
    assert_eq!(heard, [0x81, 0x81, CLOSE]);
}

/// The server stops at once while another thread begins to drain it: it ends with the grace of `stop`,
/// whichever came first.
pub fn a_drain_beside_a_stop() {
    let registry = Registry::new(None);
    let draining = Handle { registry: registry.clone() };
    let draining = spawn(move || draining.drain(Duration::from_secs(3600)));
    Handle { registry: registry.clone() }.stop(Duration::ZERO);
    assert!(registry.grace().close_by.has_passed(), "the grace is that of the drain");
    draining.join().expect("it returns at once");
    assert!(registry.grace().close_by.has_passed(), "the grace is that of the drain");
}
