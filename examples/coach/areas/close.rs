//! Stage 8: the closing handshake.

use std::time::{Duration, Instant};

use crate::check::{Check, Lesson, Outcome, check, fails, skips, warns};
use crate::probe::{Line, Next, Probe, word};
use crate::wire::{CLOSE, Came, TEXT, frame, legal, quote};

const ANSWER: Lesson = Lesson {
    section: "§5.5.1",
    rule: "A peer answers a Close with a Close, unless it has already sent one. Then the connection ends.",
    causes: "The code closes the socket as soon as opcode 8 comes, so a browser reports 1006; or it ignores the Close.",
    fix: "On opcode 8 write a Close with the same code, flush, and only then close the socket.",
};
const ENDS: Lesson = Lesson {
    section: "§7.1.1",
    rule: "After both Closes the server closes the TCP connection at once.",
    causes: "The read loop continues after the Close, so both ends wait for each other.",
    fix: "Leave the loop once the Close is written, and close the socket.",
};
const CODES: Lesson = Lesson {
    section: "§7.4",
    rule: "A Close may carry 1000 to 1003, 1007 to 1014 and 3000 to 4999. 1005, 1006 and 1015 are never sent, and numbers below 1000 aren't codes.",
    causes: "The body is copied into the answer unchecked, or the list of allowed codes is too short.",
    fix: "Check the code against that list; answer 1002 if it may not be sent.",
};
const BODY: Lesson = Lesson {
    section: "§5.5.1",
    rule: "The body of a Close is empty, or a code of two bytes and a reason in UTF-8, at most 125 bytes in all.",
    causes: "Two bytes are read without checking the length, or the reason isn't checked.",
    fix: "Length 0: no code. Length 1: a protocol error. Otherwise two bytes of code, high byte first, and the rest as UTF-8.",
};
const AFTER: Lesson = Lesson {
    section: "§5.5.1",
    rule: "After it has sent a Close, an endpoint sends no more data frames, and no second Close.",
    causes: "Another thread, or a queue, writes its waiting echoes after the Close.",
    fix: "Under the lock for writing, note that the Close was sent, and then write nothing more.",
};

fn body(code: u16, reason: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes()[..], reason].concat()
}

/// Sends a Close after an exchange that shows that the connection works. Returns the peer's Close.
fn closed(p: &mut Probe, body: &[u8]) -> Result<(Came, Line), crate::check::Stop> {
    let mut line = p.open()?;
    line.control(TEXT, word().as_bytes())?;
    line.frame(frame(CLOSE, body));
    Ok((line.close_comes()?, line))
}

fn good(p: &mut Probe, code: u16) -> Outcome {
    let (close, _) = closed(p, &body(code, b""))?;
    match close.code() {
        Some(got @ (1002 | 1007)) if got != code => {
            fails(format!("a Close with {got}, as if {code} were an error"))
        }
        _ => Ok(()),
    }
}

/// Sends a code that may not be sent. The peer must not send it back.
fn bad(p: &mut Probe, code: u16) -> Outcome {
    let mut line = p.open()?;
    line.control(TEXT, word().as_bytes())?;
    line.frame(frame(CLOSE, body(code, b"")));
    match line.is_failed()? {
        Some(got) if got == code => fails(format!("a Close with {code}: the code was sent back")),
        Some(got) if !legal(got) => fails(format!("a Close with {got}, which may not be sent")),
        Some(1000) => warns(format!("a Close with 1000: {code} was taken for a good code")),
        _ => Ok(()),
    }
}

fn ended(p: &mut Probe) -> Outcome {
    let (_, mut line) = closed(p, &body(1000, b""))?;
    let wait = Duration::from_secs(8).max(line.pace().answer());
    match line.ends(wait) {
        true => Ok(()),
        false => fails(format!("the stream was still open {} s after both Closes", wait.as_secs())),
    }
}

/// Sends a Close with a valid reason. The peer may send it back whole, shorter or not at all, but
/// not cut inside a character.
fn reasoned(p: &mut Probe, reason: &str) -> Outcome {
    let (close, _) = closed(p, &body(1000, reason.as_bytes()))?;
    match close.payload.get(2..).map(std::str::from_utf8) {
        Some(Err(_)) => fails(format!(
            "a Close whose reason was cut inside a character: {}",
            quote(&close.payload[2..])
        )),
        _ => Ok(()),
    }
}

/// Checks that neither a data frame nor a second Close comes after the peer's Close.
pub fn nothing_after_close(line: &mut Line) -> Outcome {
    let wait = line.pace().moment() * 2;
    let until = Instant::now() + wait * 4;
    while Instant::now() < until {
        match line.next(wait) {
            Next::Frame(came) if came.opcode() == CLOSE => return fails("a second Close"),
            // §5.5.1 forbids only data frames, so a ping or pong may still come.
            Next::Frame(came) if came.is_control() => {}
            Next::Frame(came) => return fails(format!("{} after the Close", came.told())),
            Next::Nonsense(why) => return fails(why),
            Next::Ended | Next::Silent => break,
        }
    }
    Ok(())
}

const fn code(id: &'static str, sends: &'static str, run: fn(&mut Probe) -> Outcome) -> Check {
    check(id, &CODES, sends, "a Close that doesn't call it an error", run).both()
}

const fn no_code(id: &'static str, sends: &'static str, run: fn(&mut Probe) -> Outcome) -> Check {
    check(id, &CODES, sends, "an end, and not that code back", run).both()
}

pub const CHECKS: &[Check] = &[
    check("close/answered", &ANSWER, "a Close with 1000", "a Close", |p| {
        closed(p, &body(1000, b"")).map(drop)
    })
    .both(),
    check("close/empty", &ANSWER, "a Close without a body", "a Close", |p| {
        let (close, _) = closed(p, b"")?;
        match close.code() {
            Some(code) if !legal(code) => {
                fails(format!("a Close with {code}, which may not be sent"))
            }
            _ => Ok(()),
        }
    })
    .both(),
    check("close/same-code", &ANSWER, "a Close with 4001", "a Close with 4001, as is usual", |p| {
        let (close, _) = closed(p, &body(4001, b""))?;
        match close.code() {
            Some(4001) => Ok(()),
            Some(other) => warns(format!("the code {other}, and not the code that came, 4001")),
            None => warns("a Close without a code, though one came, 4001"),
        }
    })
    .both()
    .should(),
    check(
        "close/then-ends",
        &ENDS,
        "a Close with 1000",
        "a Close, and then the end of the stream",
        ended,
    ),
    check(
        "close/answer-frame",
        &BODY,
        "a Close with 1000",
        "a Close with FIN, no reserved bits, masked only if a client sends it, and no body or a code that may be sent",
        |p| {
            let (close, _) = closed(p, &body(1000, b""))?;
            let wrong = !close.fin()
                || close.reserved() != 0
                || close.payload.len() == 1
                || close.payload.len() > 125
                || close.code().is_some_and(|code| !legal(code))
                || close
                    .payload
                    .get(2..)
                    .is_some_and(|reason| std::str::from_utf8(reason).is_err());
            match wrong {
                true => {
                    fails(format!("first byte {:08b}, body {}", close.first, quote(&close.payload)))
                }
                false if close.mask.is_some() != p.is_client() => {
                    fails(match close.mask {
                        Some(key) => format!("a Close with MASK set, and the key {key:02x?}"),
                        None => "a Close without a mask".into(),
                    })
                }
                false => Ok(()),
            }
        },
    )
    .both(),
    code("close/code-1001", "a Close with 1001", |p| good(p, 1001)),
    code("close/code-1003", "a Close with 1003", |p| good(p, 1003)),
    code("close/code-1007", "a Close with 1007", |p| good(p, 1007)),
    code("close/code-1008", "a Close with 1008", |p| good(p, 1008)),
    code("close/code-1009", "a Close with 1009", |p| good(p, 1009)),
    code("close/code-1010", "a Close with 1010", |p| good(p, 1010)),
    code("close/code-1011", "a Close with 1011", |p| good(p, 1011)),
    code("close/code-1012", "a Close with 1012", |p| good(p, 1012)).should(),
    code("close/code-1013", "a Close with 1013", |p| good(p, 1013)).should(),
    code("close/code-1014", "a Close with 1014", |p| good(p, 1014)).should(),
    code("close/code-3000", "a Close with 3000", |p| good(p, 3000)),
    code("close/code-4999", "a Close with 4999", |p| good(p, 4999)),
    no_code("close/bad-code-0", "a Close with 0, which may not be sent", |p| bad(p, 0)),
    no_code("close/bad-code-999", "a Close with 999, which may not be sent", |p| bad(p, 999)),
    no_code("close/bad-code-1004", "a Close with 1004, which may not be sent", |p| bad(p, 1004))
        .should(),
    no_code("close/bad-code-1005", "a Close with 1005, which may not be sent", |p| bad(p, 1005)),
    no_code("close/bad-code-1006", "a Close with 1006, which may not be sent", |p| bad(p, 1006)),
    no_code("close/bad-code-1015", "a Close with 1015, which may not be sent", |p| bad(p, 1015)),
    no_code("close/bad-code-2999", "a Close with 2999, which may not be sent", |p| bad(p, 2999))
        .should(),
    no_code("close/bad-code-5000", "a Close with 5000, which may not be sent", |p| bad(p, 5000))
        .should(),
    check(
        "close/one-byte",
        &BODY,
        "a Close with a body of one byte",
        "an end; not that byte back",
        |p| {
            let mut line = p.open()?;
            line.control(TEXT, word().as_bytes())?;
            line.frame(frame(CLOSE, [3]));
            line.is_failed()?;
            match &line.closed {
                Some(close) if close.payload.len() == 1 => fails("a Close with one byte of body"),
                Some(close) if close.code().is_some_and(|code| !legal(code)) => fails(close.told()),
                Some(close) if matches!(close.code(), None | Some(1000)) => {
                    warns("a Close as if the body were good; 1002 would say what is wrong")
                }
                _ => Ok(()),
            }
        },
    )
    .both(),
    check(
        "close/reason",
        &BODY,
        "a Close with a code and a reason that ends with `€`",
        "a Close, whose reason is UTF-8 if it has one",
        |p| reasoned(p, "adiós €"),
    )
    .both(),
    check(
        "close/reason-123",
        &BODY,
        "a Close with a reason of 123 bytes, in characters of three",
        "a Close, whose reason is UTF-8 if it has one",
        |p| reasoned(p, &"€".repeat(41)),
    )
    .both(),
    check(
        "close/reason-not-utf8",
        &BODY,
        "a Close whose reason isn't UTF-8",
        "an end; not that reason back",
        |p| {
            let mut line = p.open()?;
            line.control(TEXT, word().as_bytes())?;
            line.frame(frame(CLOSE, body(1000, &[0xce, 0xba, 0xff])));
            line.is_failed()?;
            match &line.closed {
                Some(close)
                    if close.payload.get(2..).is_some_and(|r| std::str::from_utf8(r).is_err()) =>
                {
                    fails(format!(
                        "a Close whose reason isn't UTF-8: {}",
                        quote(&close.payload[2..])
                    ))
                }
                Some(close) if matches!(close.code(), None | Some(1000)) => {
                    warns("a Close as if the reason were good; 1007 would say what is wrong")
                }
                _ => Ok(()),
            }
        },
    )
    .both(),
    check(
        "close/nothing-after",
        &AFTER,
        "a Close, and nothing more",
        "nothing after the peer's Close",
        |p| {
            let (_, mut line) = closed(p, &body(1000, b""))?;
            nothing_after_close(&mut line)
        },
    )
    .both(),
    check(
        "close/data-after",
        &AFTER,
        "a Close and a text in one write",
        "a Close, and no echo after it",
        |p| {
            let mut line = p.open()?;
            line.control(TEXT, word().as_bytes())?;
            let bytes = line.encode_all(&[frame(CLOSE, body(1000, b"")), frame(TEXT, word())]);
            line.send(&bytes);
            match line.close_comes() {
                Ok(_) => nothing_after_close(&mut line),
                Err(_) if line.ends(Duration::ZERO) => {
                    skips("the stream ended without a Close: see close/answered")
                }
                Err(stop) => Err(stop),
            }
        },
    )
    .both(),
    check("close/once", &AFTER, "two Closes in one write", "one Close", |p| {
        let mut line = p.open()?;
        line.control(TEXT, word().as_bytes())?;
        let close = frame(CLOSE, body(1000, b""));
        let bytes = line.encode_all(&[close.clone(), close]);
        line.send(&bytes);
        match line.close_comes() {
            Ok(_) => nothing_after_close(&mut line),
            Err(_) if line.ends(Duration::ZERO) => {
                skips("the stream ended without a Close: see close/answered")
            }
            Err(stop) => Err(stop),
        }
    })
    .both(),
    check(
        "close/in-pieces",
        &ANSWER,
        "a Close, each byte in a packet of its own",
        "a Close",
        |p| {
            let mut line = p.open()?;
            line.control(TEXT, word().as_bytes())?;
            let bytes = line.encode(&frame(CLOSE, body(1000, b"bye")));
            line.pieces(&bytes, 1);
            line.close_comes().map(drop)
        },
    )
    .both(),
    check(
        "close/inside-message",
        &ANSWER,
        "the first fragment of a message, and a Close",
        "a Close",
        |p| {
            let mut line = p.open()?;
            line.control(TEXT, word().as_bytes())?;
            line.frames(&[frame(TEXT, "begun").more(), frame(CLOSE, body(1000, b""))]);
            line.close_comes().map(drop)
        },
    )
    .both(),
    check(
        "close/finishes-first",
        &AFTER,
        "a text and a Close in one write",
        "the echo, and then the Close",
        |p| {
            let mut line = p.open()?;
            line.control(TEXT, word().as_bytes())?;
            let word = word();
            let bytes = line.encode_all(&[frame(TEXT, &word), frame(CLOSE, body(1000, b""))]);
            line.send(&bytes);
            line.close_comes()?;
            match line.unasked.iter().any(|m| m.payload == word.as_bytes()) {
                true => Ok(()),
                false => warns("the Close came without the echo: what was under way was lost"),
            }
        },
    )
    .both()
    .advice(),
    check(
        "close/without-close",
        &ENDS,
        "the end of the stream without a Close",
        "the next connection is served",
        |p| {
            let mut line = p.open()?;
            line.control(TEXT, word().as_bytes())?;
            line.shutdown();
            drop(line);
            p.open()?.alive()
        },
    ),
];
