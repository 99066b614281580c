//! Stage 12: more than one client, and some that behave badly. These checks run one at a time.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::check::{Check, Lesson, Outcome, Stop, check, fails, skips, warns};
use crate::probe::{Line, Message, Probe, is_busy, word};
use crate::wire::{BINARY, TEXT, frame};

const TOGETHER: Lesson = Lesson {
    section: "§4.2",
    rule: "A server serves several clients at once, and each gets only its own echoes.",
    causes: "The accept loop also serves the connection, so the second client waits until the first has left.",
    fix: "Give each connection a thread, a task, or a place in an event loop.",
};
const SLOW: Lesson = Lesson {
    section: "§10.4",
    rule: "A slow or silent client delays no other client.",
    causes: "The accept loop reads the handshake; or a write to one client blocks all others.",
    fix: "Read the head on the connection's own thread, and set a deadline for heads and writes.",
};
const QUEUE: Lesson = Lesson {
    section: "§10.4",
    rule: "A server limits what it keeps for a client that doesn't read. Otherwise one client fills its memory.",
    causes: "Sending appends to a queue and returns at once, and nothing limits the queue's length.",
    fix: "Write before the next read, so that a slow client slows itself down; or end a connection whose queue is full.",
};
const ROOM: Lesson = Lesson {
    section: "§7.2.3",
    rule: "A server frees what a connection used, however the connection ends.",
    causes: "Threads, descriptors or places in a list are freed only after a clean Close.",
    fix: "Free them where the connection's function ends, on every path.",
};

fn second(p: &mut Probe) -> Result<Line, Stop> {
    another(p, "the first connection")
}

fn another(p: &mut Probe, beside: &str) -> Result<Line, Stop> {
    if !p.target.together.load(Relaxed) {
        return skips("a second client isn't served at all: see many/two-at-once");
    }
    match p.open() {
        Err(Stop::Skips(seen)) => fails(format!("beside {beside}, another isn't served: {seen}")),
        other => other,
    }
}

/// Opens a connection. If the server accepted one when the coach began, but none now, the check
/// fails.
fn room(p: &mut Probe) -> Result<Line, Stop> {
    match p.open() {
        Err(Stop::Skips(seen)) if p.target.opens.load(Relaxed) => {
            fails(format!("a plain handshake was accepted at first, and isn't any more: {seen}"))
        }
        other => other,
    }
}

/// Checks that the server serves another client while one misbehaves.
fn served(p: &mut Probe) -> Outcome {
    let mut line = second(p)?;
    line.alive()
}

/// Opens a connection for one message. A server with few places may not have noticed yet that the
/// visitor before has left, so this tries again.
fn visits(p: &mut Probe) -> Outcome {
    match second(p)?.alive() {
        Err(Stop::Fails(seen)) if is_busy(&seen) => {
            std::thread::sleep(Duration::from_millis(160));
            second(p)?.alive()
        }
        other => other,
    }
}

/// A server that is full, and says so, breaks no rule.
fn full(places: usize) -> Outcome {
    warns(format!("it has room for {places}, and refuses more"))
}

fn crowd(p: &mut Probe, count: usize) -> Outcome {
    let mut lines = vec![room(p)?];
    while lines.len() < p.target.pace.many(count) {
        let opened = match lines.len() {
            1 => second(p),
            count => another(p, &format!("{count} connections")),
        };
        match opened {
            Ok(line) => lines.push(line),
            Err(Stop::Fails(seen)) if is_busy(&seen) && lines.len() > 1 => {
                return full(lines.len());
            }
            Err(stop) => return Err(stop),
        }
    }
    let words: Vec<String> = lines.iter().map(|_| word()).collect();
    for (line, word) in lines.iter_mut().zip(&words) {
        line.frame(frame(TEXT, word));
    }
    for (i, (line, word)) in lines.iter_mut().zip(&words).enumerate() {
        match line.comes_back(word.as_bytes()) {
            Err(Stop::Fails(seen)) if is_busy(&seen) && i > 1 => return full(i),
            other => drop(other?),
        }
    }
    // Once the last client has its echo, the others would have got a copy, too. A message of
    // another client is a fault.
    lines.iter_mut().take(5).try_for_each(Line::alive)?;
    let strangers = lines.iter().enumerate().find_map(|(i, line)| {
        let strange = |m: &&Message| {
            words.iter().enumerate().any(|(j, w)| i != j && w.as_bytes() == m.payload)
        };
        line.unasked.iter().find(strange)
    });
    match strangers {
        Some(_) => fails("a client got the echo of another one's text"),
        None => Ok(()),
    }
}

pub const CHECKS: &[Check] = &[
    check(
        "many/two-at-once",
        &TOGETHER,
        "a second client while the first is open",
        "both get their echoes",
        |p| {
            let mut first = p.open()?;
            first.control(TEXT, word().as_bytes())?;
            p.target.together.store(true, Relaxed);
            // Keep the second client open while the first sends again. Otherwise a server that
            // serves only the newest would pass.
            let both = second(p).and_then(|mut second| second.alive().and_then(|()| first.alive()));
            // The checks after this one need a second client, too. Note the result, so that they
            // are skipped and don't fail as well.
            p.target.together.store(both.is_ok(), Relaxed);
            both
        },
    ),
    check(
        "many/own-messages",
        &TOGETHER,
        "different texts on five connections at once",
        "each gets its own echo",
        |p| crowd(p, 5),
    ),
    check(
        "many/silent-in-mid-head",
        &SLOW,
        "half a request, and silence; then another client",
        "the other is served",
        |p| {
            p.open()?.control(TEXT, word().as_bytes())?;
            let bytes = p.request().bytes();
            let mut slow = p.connect()?;
            slow.send(&bytes[..bytes.len() / 2]);
            slow.pause();
            served(p)
        },
    ),
    check(
        "many/silent-before-head",
        &SLOW,
        "a connection without a byte; then another client",
        "the other is served",
        |p| {
            p.open()?.control(TEXT, word().as_bytes())?;
            let _slow = p.connect()?;
            std::thread::sleep(Duration::from_millis(20));
            served(p)
        },
    ),
    check(
        "many/silent-in-mid-frame",
        &SLOW,
        "half a frame, and silence; then another client",
        "the other is served",
        |p| {
            let mut slow = p.open()?;
            slow.control(TEXT, word().as_bytes())?;
            let bytes = slow.encode(&frame(TEXT, word()));
            slow.send(&bytes[..7]);
            slow.pause();
            served(p)
        },
    ),
    check(
        "many/never-reads",
        &SLOW,
        "many messages from a client that never reads; then another client",
        "the other is served",
        |p| {
            let mut slow = p.open()?;
            slow.control(TEXT, word().as_bytes())?;
            slow.stuff(&frame(BINARY, vec![b'n'; 60_000]), 200);
            served(p)
        },
    ),
    check(
        "many/gone-without-close",
        &ROOM,
        "ten clients that leave without a Close",
        "the next is served",
        |p| {
            for _ in 0..10 {
                room(p)?.shutdown();
            }
            room(p)?.alive()
        },
    ),
    check("many/crowd", &TOGETHER, "forty clients at once", "each gets its echo", |p| crowd(p, 40)),
    check(
        "many/room-again",
        &ROOM,
        "forty clients, twice",
        "the second forty are served, too",
        |p| {
            crowd(p, 40)?;
            crowd(p, 40)
        },
    ),
    check(
        "many/bounded-queue",
        &QUEUE,
        "40 MB of messages from a client that never reads",
        "the server stops reading until its echoes are taken, or ends the connection",
        |p| {
            let mut slow = p.open()?;
            slow.control(TEXT, word().as_bytes())?;
            // First check that the server echoes several messages from one read. Otherwise the
            // flood below would prove nothing.
            let two: Vec<String> = (0..2).map(|_| word().repeat(4000)).collect();
            let frames: Vec<_> = two.iter().map(|text| frame(TEXT, text)).collect();
            let bytes = slow.encode_all(&frames);
            slow.send(&bytes);
            if two.iter().any(|text| slow.comes_back(text.as_bytes()).is_err()) {
                return skips("messages of 56,000 bytes don't all come back");
            }
            const TIMES: usize = 700;
            // The buffers of the sockets on this machine hold far less than that.
            match slow.stuff(&frame(BINARY, vec![b'n'; 60_000]), TIMES) {
                TIMES => match slow.message(slow.pace().answer()) {
                    Ok(_) => warns("it took 40 MB while no echo was read: its queue has no bound"),
                    // The server ended the connection, and discarded what was on the way.
                    Err(_) => Ok(()),
                },
                _ => Ok(()),
            }
        },
    )
    .advice(),
    check(
        "many/idle",
        &TOGETHER,
        "an open connection that is silent while twenty others come and go",
        "it still gets its echo",
        |p| {
            let mut idle = p.open()?;
            idle.control(TEXT, word().as_bytes())?;
            for _ in 0..idle.pace().many(20) {
                visits(p)?;
            }
            idle.alive()
        },
    ),
];
