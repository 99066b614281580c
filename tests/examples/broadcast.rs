//! The broadcast of `06_chat`, which this file compiles in, at the moment when the server stops.

#[path = "../../examples/06_chat.rs"]
#[allow(dead_code, reason = "a test needs no `main`")]
mod chat;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use ws101::{Client, CloseCode, Limits, Server, WebSocket};

/// For what must come, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);
/// 64 MiB are more than all buffers on the way can hold. The outbox has room for as many messages.
const MESSAGES: usize = 16;
const LENGTH: usize = 4 * 1024 * 1024;

/// Limits whose deadlines don't come before the test is over.
fn unhurried() -> Limits {
    Limits { write: 2 * PATIENCE, close: 2 * PATIENCE, ping_every: None, ..Limits::default() }
}

/// Reads until the server's Close, and returns how many of the long messages have come.
fn count_long_messages(ws: &mut WebSocket) -> ws101::Result<usize> {
    let mut count = 0;
    while let Some(message) = ws.recv()? {
        count += usize::from(message.as_bytes().len() == LENGTH);
    }
    Ok(count)
}

#[test]
fn a_broadcast_while_the_server_stops_cuts_off_no_member_that_still_reads() {
    let members = Arc::new(chat::Members::default());
    let (server, shared) =
        (Server::bind("127.0.0.1:0").unwrap().limits(unhurried()), members.clone());
    let (url, handle) = (format!("ws://{}", server.local_addr().unwrap()), server.handle());
    let serving = thread::spawn(move || server.serve(move |ws| chat::serve_member(ws, &shared)));

    let join = || Client::new(&url).limits(unhurried()).connect().unwrap();
    let (mut slow, mut fast) = (join(), join());
    let start = Instant::now();
    while members.lock().unwrap().len() < 2 {
        assert!(start.elapsed() < PATIENCE, "not both are members");
        thread::yield_now();
    }
    let text = "x".repeat(LENGTH);
    (0..MESSAGES).for_each(|_| chat::tell_all(&members, &text));
    handle.stop(2 * PATIENCE);
    // The fast member answers the Close first. Its handler tells the slow member that it leaves.
    assert_eq!(count_long_messages(&mut fast).unwrap(), MESSAGES);
    let start = Instant::now();
    while handle.counters().open > 1 {
        assert!(start.elapsed() < PATIENCE, "the fast member's handler doesn't return");
        thread::yield_now();
    }
    assert_eq!(count_long_messages(&mut slow).unwrap(), MESSAGES);
    assert_eq!(slow.closed_with().unwrap().code, CloseCode::GOING_AWAY);
    serving.join().unwrap().unwrap();
}
