//! Stage 7: pings are answered, pongs are not.

use crate::check::{Check, Lesson, Outcome, check, fails, skips, warns};
use crate::probe::{Probe, word};
use crate::wire::{PING, PONG, TEXT, frame};

const PONGS: Lesson = Lesson {
    section: "§5.5.3",
    rule: "A peer answers a ping, as soon as is practical, with a pong that has the ping's payload.",
    causes: "Opcode 9 is ignored or echoed as a message; the pong is empty, or not written before the next read.",
    fix: "On opcode 9 write opcode 10 with the same payload, and flush.",
};
const WRITERS: Lesson = Lesson {
    section: "§5.4",
    rule: "An endpoint finishes a frame before it begins the next. A pong may come only between frames.",
    causes: "One thread or task writes echoes and another writes pongs, without a lock between them; or the code writes half a frame, then another frame, then the rest.",
    fix: "Give each connection one writer: a lock that is held for a whole frame, or a queue of whole frames.",
};
const UNASKED: Lesson = Lesson {
    section: "§5.5.3",
    rule: "A peer may send a pong without a ping, and it needs no answer.",
    causes: "The pong is taken for an unknown opcode, echoed, or answered with a pong.",
    fix: "On opcode 10 do nothing.",
};

fn ping(p: &mut Probe, payload: &[u8]) -> Outcome {
    let mut line = p.open()?;
    line.frame(frame(PING, payload));
    line.pong_comes(payload).map(drop)
}

fn pong(p: &mut Probe, payload: &[u8]) -> Outcome {
    let mut line = p.open()?;
    let first = word();
    line.control(TEXT, first.as_bytes())?;
    line.frame(frame(PONG, payload));
    line.alive()?;
    match (line.pongs.iter().any(|pong| pong == payload), &line.unasked[..]) {
        (true, _) => warns("a pong with the same payload: no answer is expected to a pong"),
        (_, came) if !payload.is_empty() && came.iter().any(|m| m.payload == payload) => {
            fails("the pong came back as a message")
        }
        _ => Ok(()),
    }
}

pub const CHECKS: &[Check] = &[
    check("ping/answered", &PONGS, "a ping", "a pong", |p| ping(p, b"coach")).both(),
    check(
        "ping/payload",
        &PONGS,
        "a ping with a payload of its own",
        "a pong with that payload",
        |p| ping(p, word().as_bytes()),
    )
    .both(),
    check("ping/empty", &PONGS, "an empty ping", "an empty pong", |p| ping(p, b"")).both(),
    check("ping/payload-125", &PONGS, "a ping of 125 bytes", "a pong with these", |p| {
        ping(p, &[b'p'; 125])
    })
    .both(),
    check(
        "ping/payload-binary",
        &PONGS,
        "a ping whose payload is no text",
        "a pong with the same bytes",
        |p| ping(p, &[0, 0xff, 0x80, 0xfe, 0]),
    )
    .both(),
    check(
        "ping/pong-frame",
        &PONGS,
        "a ping",
        "a pong with FIN, without reserved bits, masked if a client sends it and else not",
        |p| {
            let mut line = p.open()?;
            line.frame(frame(PING, "bits"));
            let pong = line.pong_comes(b"bits")?;
            match pong.fin() && pong.reserved() == 0 && pong.mask.is_some() == p.is_client() {
                true => Ok(()),
                false => {
                    fails(format!("the first byte {:08b}, the mask {:02x?}", pong.first, pong.mask))
                }
            }
        },
    )
    .both(),
    check("ping/between-messages", &PONGS, "a text, a ping, a text", "echo, pong, echo", |p| {
        let mut line = p.open()?;
        line.control(TEXT, word().as_bytes())?;
        line.frame(frame(PING, "between"));
        line.pong_comes(b"between")?;
        line.alive()
    })
    .both(),
    check("ping/not-echoed", &PONGS, "a ping", "a pong, and no message", |p| {
        let mut line = p.open()?;
        line.control(TEXT, word().as_bytes())?;
        let word = word();
        line.frame(frame(PING, &word));
        line.alive()?;
        match line.unasked.iter().any(|m| m.payload == word.as_bytes()) {
            true => fails("the ping came back as a message"),
            false => Ok(()),
        }
    })
    .both(),
    check("ping/in-one-write", &PONGS, "a text and a ping in one write", "echo and pong", |p| {
        let mut line = p.open()?;
        let word = word();
        line.control(TEXT, word.as_bytes())?;
        let bytes = line.encode_all(&[frame(TEXT, &word), frame(PING, "glued")]);
        line.send(&bytes);
        line.pong_comes(b"glued").map(drop)
    })
    .both(),
    check("ping/in-pieces", &PONGS, "a ping, each byte in a packet of its own", "the pong", |p| {
        let mut line = p.open()?;
        let bytes = line.encode(&frame(PING, "pieces"));
        line.pieces(&bytes, 1);
        line.pong_comes(b"pieces").map(drop)
    })
    .both(),
    check(
        "ping/many",
        &PONGS,
        "twenty pings in a row",
        "a pong for the last at least (§5.5.3 allows to skip the others)",
        |p| {
            let mut line = p.open()?;
            let count = line.pace().many(20);
            let frames: Vec<_> = (1..=count).map(|i| frame(PING, format!("ping {i}"))).collect();
            line.frames(&frames);
            line.pong_comes(format!("ping {count}").as_bytes()).map(drop)
        },
    )
    .both(),
    check("ping/once", &PONGS, "a ping, and a text", "one pong, and the echo", |p| {
        let mut line = p.open()?;
        line.frame(frame(PING, "once"));
        line.pong_comes(b"once")?;
        line.alive()?;
        match line.pongs.iter().any(|pong| pong == b"once") {
            true => warns("a second pong to the same ping: allowed, and of no use"),
            false => Ok(()),
        }
    })
    .both()
    .advice(),
    check(
        "ping/beside-large",
        &WRITERS,
        "four texts of 30,000 bytes, a ping after each, before any echo is read",
        "whole echoes, and the last pong at least: no frame begins inside another",
        |p| {
            let mut line = p.open()?;
            let texts: Vec<String> =
                (0..line.pace().many(4)).map(|_| word().repeat(2142)).collect();
            line.control(TEXT, texts[0].as_bytes())?;
            line.frame(frame(PING, "plain"));
            if line.pong_comes(b"plain").is_err() {
                return skips("a plain ping isn't answered: see ping/answered");
            }
            for text in &texts {
                let bytes = line.encode_all(&[frame(TEXT, text), frame(PING, "beside")]);
                line.send(&bytes);
            }
            for text in &texts {
                line.comes_back(text.as_bytes())?;
            }
            match line.pongs.iter().any(|pong| pong == b"beside") {
                true => Ok(()),
                false => line.pong_comes(b"beside").map(drop),
            }
        },
    )
    .both(),
    check(
        "ping/unasked-pong",
        &UNASKED,
        "an unsolicited pong, and a text",
        "the echo of the text alone",
        |p| pong(p, b"unasked"),
    )
    .both(),
    check(
        "ping/unasked-empty-pong",
        &UNASKED,
        "an empty pong, and a text",
        "the echo of the text",
        |p| pong(p, b""),
    )
    .both(),
];
