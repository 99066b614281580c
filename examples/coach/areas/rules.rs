//! Stage 11: frames that break a rule.

use crate::areas::close::nothing_after_close;
use crate::check::{Check, Lesson, Outcome, check, fails, warns};
use crate::library::{FIN, RSV1};
use crate::probe::{Next, Probe, word};
use crate::wire::{BINARY, CLOSE, CONTINUATION, Came, Frame, PING, PONG, TEXT, Width, frame};

const MASKS: Lesson = Lesson {
    section: "§5.1",
    rule: "A server closes the connection when it gets an unmasked frame, and a client when it gets a masked one.",
    causes: "The MASK bit only decides whether the payload is XORed.",
    fix: "Check the MASK bit of each frame, even of control frames and empty ones, and close with 1002 if it's wrong.",
};
const RESERVED: Lesson = Lesson {
    section: "§5.2",
    rule: "A reserved bit fails the connection, unless a negotiated extension gives it a meaning.",
    causes: "The code takes the opcode from the first byte, and ignores the other bits.",
    fix: "If first & 0x70 isn't 0, close with 1002.",
};
const OPCODE: Lesson = Lesson {
    section: "§5.2",
    rule: "An unknown opcode (3 to 7, 11 to 15) fails the connection.",
    causes: "A `default` branch ignores the frame, or takes it for a message.",
    fix: "Close with 1002 in the default branch.",
};
const CONTROL: Lesson = Lesson {
    section: "§5.5",
    rule: "Control frames have at most 125 bytes of payload, and aren't fragmented.",
    causes: "The same code handles control frames and messages, and doesn't check a control frame's length or FIN.",
    fix: "For opcodes of 8 and above, close with 1002 if the length code is above 125 or FIN is 0.",
};
const LENGTH: Lesson = Lesson {
    section: "§5.2",
    rule: "A length is written in the fewest bytes, and the top bit of a 64-bit length is 0.",
    causes: "The code doesn't check an extended length, or reads it as a signed number.",
    fix: "Close with 1002 if a 16-bit length is below 126, a 64-bit one below 65,536, or its top bit set.",
};
const CODE: Lesson = Lesson {
    section: "§7.1.7",
    rule: "An endpoint that fails a connection should say why, in a Close with a code such as 1002. Other connections go on.",
    causes: "The code closes the socket at each error without a Close, or an exception ends the whole server.",
    fix: "Send a Close with 1002 before you close the socket; catch errors for each connection.",
};

const AFTER: Lesson = Lesson {
    section: "§7.1.7",
    rule: "After a violation, an endpoint processes no more data from its peer: it sends a Close, and ends the connection.",
    causes: "The code sends a Close with 1002, and then goes on with the next frame.",
    fix: "Leave the loop after the Close for an error, too, even if the buffer has more frames.",
};

const FAILS: &str = "a Close, or the end of the stream";

fn breaks(p: &mut Probe, frames: &[Frame]) -> Outcome {
    p.open()?.breaks(frames)
}

fn opcode<const N: u8>(p: &mut Probe) -> Outcome {
    breaks(p, &[frame(N, "")])
}

/// Checks that the answer to a broken Close has an error's code, and not 1000.
fn not_as_if_good(close: &Came) -> Outcome {
    match close.code() {
        None | Some(1000) => {
            warns("a Close as if the frame were good; 1002 would say what is wrong")
        }
        _ => Ok(()),
    }
}

const fn unknown(id: &'static str, sends: &'static str, run: fn(&mut Probe) -> Outcome) -> Check {
    check(id, &OPCODE, sends, FAILS, run).both()
}

fn width(p: &mut Probe, length: usize, width: Width) -> Outcome {
    let payload = vec![b'w'; length];
    let mut line = p.open()?;
    line.control(BINARY, &payload)?;
    line.breaks(&[frame(BINARY, payload).width(width)])
}

pub const CHECKS: &[Check] = &[
    check("rules/unmasked", &MASKS, "a text frame without a mask", FAILS, |p| {
        breaks(p, &[frame(TEXT, "bare").unmasked()])
    }),
    check("rules/unmasked-empty", &MASKS, "an empty text frame without a mask", FAILS, |p| {
        breaks(p, &[frame(TEXT, "").unmasked()])
    }),
    check("rules/unmasked-ping", &MASKS, "a ping without a mask", FAILS, |p| {
        breaks(p, &[frame(PING, "bare").unmasked()])
    }),
    check("rules/unmasked-pong", &MASKS, "a pong without a mask", FAILS, |p| {
        breaks(p, &[frame(PONG, "bare").unmasked()])
    }),
    check(
        "rules/unmasked-later",
        &MASKS,
        "a masked first fragment, and an unmasked second",
        FAILS,
        |p| breaks(p, &[frame(TEXT, "a").more(), frame(CONTINUATION, "b").unmasked()]),
    ),
    check("rules/masked", &MASKS, "a masked text frame from the server", FAILS, |p| {
        breaks(p, &[frame(TEXT, "masked").key([1, 2, 3, 4])])
    })
    .clients(),
    check("rules/rsv1", &RESERVED, "a text frame with RSV1, and no extension", FAILS, |p| {
        breaks(p, &[frame(TEXT, "rsv1").bits(RSV1)])
    })
    .both(),
    check("rules/rsv2", &RESERVED, "a text frame with RSV2", FAILS, |p| {
        breaks(p, &[frame(TEXT, "rsv2").bits(0x20)])
    })
    .both(),
    check("rules/rsv3", &RESERVED, "a binary frame with RSV3", FAILS, |p| {
        breaks(p, &[frame(BINARY, "rsv3").bits(0x10)])
    })
    .both(),
    check("rules/rsv-on-ping", &RESERVED, "a ping with RSV2", FAILS, |p| {
        breaks(p, &[frame(PING, "rsv").bits(0x20)])
    })
    .both(),
    check("rules/rsv-on-pong", &RESERVED, "a pong with RSV2", FAILS, |p| {
        breaks(p, &[frame(PONG, "rsv").bits(0x20)])
    })
    .both(),
    check("rules/rsv-on-continuation", &RESERVED, "a second fragment with RSV3", FAILS, |p| {
        breaks(p, &[frame(TEXT, "a").more(), frame(CONTINUATION, "b").bits(0x10)])
    })
    .both(),
    unknown("rules/opcode-3", "an empty frame with the opcode 3", opcode::<3>),
    unknown("rules/opcode-4", "an empty frame with the opcode 4", opcode::<4>),
    unknown("rules/opcode-5", "an empty frame with the opcode 5", opcode::<5>),
    unknown("rules/opcode-6", "an empty frame with the opcode 6", opcode::<6>),
    unknown("rules/opcode-7", "an empty frame with the opcode 7", opcode::<7>),
    unknown("rules/opcode-b", "an empty frame with the opcode 11", opcode::<11>),
    unknown("rules/opcode-c", "an empty frame with the opcode 12", opcode::<12>),
    unknown("rules/opcode-d", "an empty frame with the opcode 13", opcode::<13>),
    unknown("rules/opcode-e", "an empty frame with the opcode 14", opcode::<14>),
    unknown("rules/opcode-f", "an empty frame with the opcode 15", opcode::<15>),
    check("rules/ping-too-long", &CONTROL, "a ping of 126 bytes", FAILS, |p| {
        breaks(p, &[frame(PING, [b'p'; 126])])
    })
    .both(),
    check("rules/pong-too-long", &CONTROL, "a pong of 126 bytes", FAILS, |p| {
        breaks(p, &[frame(PONG, [b'p'; 126])])
    })
    .both(),
    check(
        "rules/close-too-long",
        &CONTROL,
        "a Close of 126 bytes",
        "an end; none of more than 125 bytes back",
        |p| {
            let mut line = p.open()?;
            line.breaks(&[frame(CLOSE, [&[3, 232][..], &[b'c'; 124]].concat())])?;
            match &line.closed {
                Some(close) if close.payload.len() > 125 => {
                    fails("a Close of more than 125 bytes came back")
                }
                Some(close) => not_as_if_good(close),
                None => Ok(()),
            }
        },
    )
    .both(),
    check("rules/ping-fragmented", &CONTROL, "a ping without FIN", FAILS, |p| {
        breaks(p, &[frame(PING, "half").more()])
    })
    .both(),
    check("rules/close-fragmented", &CONTROL, "a Close without FIN", FAILS, |p| {
        let mut line = p.open()?;
        line.breaks(&[frame(CLOSE, [3, 232]).more()])?;
        line.closed.as_ref().map_or(Ok(()), not_as_if_good)
    })
    .both(),
    check("rules/length-16-for-125", &LENGTH, "125 bytes, with a 16-bit length", FAILS, |p| {
        width(p, 125, Width::Two)
    })
    .both(),
    check("rules/length-16-for-0", &LENGTH, "an empty frame, with a 16-bit length", FAILS, |p| {
        breaks(p, &[frame(BINARY, "").width(Width::Two)])
    })
    .both(),
    check(
        "rules/length-16-for-ping",
        &LENGTH,
        "a ping of 5 bytes, with a 16-bit length",
        FAILS,
        |p| breaks(p, &[frame(PING, "short").width(Width::Two)]),
    )
    .both(),
    check("rules/length-64-for-125", &LENGTH, "125 bytes, with a 64-bit length", FAILS, |p| {
        width(p, 125, Width::Eight)
    })
    .both(),
    check("rules/length-64-for-65535", &LENGTH, "65,535 bytes, with a 64-bit length", FAILS, |p| {
        width(p, 65_535, Width::Eight)
    })
    .both(),
    check("rules/length-top-bit", &LENGTH, "a 64-bit length whose top bit is set", FAILS, |p| {
        // Send as many bytes as the low half of the length says. A peer that ignores the high bits
        // takes them for the message.
        let low = frame(BINARY, vec![b't'; 70_000]);
        breaks(p, &[low.claims((1 << 63) | 70_000).width(Width::Eight)])
    })
    .both(),
    check(
        "rules/length-huge",
        &LENGTH,
        "a frame that claims 2^62 bytes",
        "a Close with 1009 at once, rather than a wait for so many",
        |p| {
            let mut line = p.open()?;
            line.control(TEXT, word().as_bytes())?;
            line.frame(frame(BINARY, "").claims(1 << 62).width(Width::Eight));
            let wait = line.pace().moment() * 2;
            match line.message(wait) {
                Err(Next::Silent) => warns("it waits for the bytes: limit a message's length"),
                _ => Ok(()),
            }
        },
    )
    .both()
    .advice(),
    check("rules/close-code", &CODE, "a frame with an unknown opcode", "a Close with 1002", |p| {
        let mut line = p.open()?;
        line.control(TEXT, word().as_bytes())?;
        line.frame(frame(0, "").bits(FIN | 3));
        match line.is_failed_with_a_legal_code()? {
            Some(1002) => Ok(()),
            Some(code) => warns(format!("a Close with {code}")),
            None => warns("the end of the stream, without a Close that says why"),
        }
    })
    .both()
    .should(),
    check(
        "rules/nothing-after",
        &AFTER,
        "a frame with an unknown opcode and a text in one write",
        "a Close or the end of the stream, and no echo after it",
        |p| {
            let mut line = p.open()?;
            line.control(TEXT, word().as_bytes())?;
            let bytes = line.encode_all(&[frame(3, ""), frame(TEXT, word())]);
            line.send(&bytes);
            line.is_failed()?;
            nothing_after_close(&mut line)
        },
    )
    .both(),
    check(
        "rules/others-unharmed",
        &CODE,
        "a broken frame on one connection, while another is open",
        "the other goes on",
        |p| {
            let mut good = p.open()?;
            let first = word();
            if good.control(TEXT, first.as_bytes()).is_err() {
                return crate::check::skips("no plain exchange");
            }
            let Ok(mut bad) = p.open() else {
                return crate::check::skips("no second connection: see many/two-at-once");
            };
            bad.frame(frame(3, "x").bits(RSV1));
            bad.ends(bad.pace().moment());
            good.alive()
        },
    )
    .alone(),
];
