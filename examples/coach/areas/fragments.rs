//! Stage 9: messages in several frames.

use crate::check::{Check, Lesson, Outcome, check};
use crate::probe::{Line, Probe, word};
use crate::wire::{BINARY, CONTINUATION, Frame, PING, PONG, TEXT, frame};

const FRAGMENTS: Lesson = Lesson {
    section: "§5.4",
    rule: "A message may come in fragments: the first has the opcode, the others opcode 0, the last one FIN. Any of them may be empty.",
    causes: "Each frame is taken for a message, opcode 0 is unknown, or an empty last fragment is ignored together with its FIN.",
    fix: "Keep the first fragment's opcode, append each payload, and deliver the message when FIN comes.",
};
const BETWEEN: Lesson = Lesson {
    section: "§5.4",
    rule: "Control frames may come between fragments, and the receiver answers them at once.",
    causes: "The ping's payload is appended to the message, or the ping's opcode replaces the message's.",
    fix: "Handle control frames separately, before you touch the unfinished message.",
};
const CHARACTER: Lesson = Lesson {
    section: "§5.6",
    rule: "A fragment of a text may end within a character; only the whole message must be UTF-8.",
    causes: "Each fragment is decoded separately.",
    fix: "Decode the whole message, or keep the state of the decoder from fragment to fragment.",
};
const ORDER: Lesson = Lesson {
    section: "§5.4",
    rule: "Opcode 0 continues an unfinished message, and a new message begins only after the last one has ended. Anything else fails the connection.",
    causes: "The code doesn't remember whether a message is unfinished.",
    fix: "Keep the opcode of the unfinished message, if there is one, and close with 1002 if a frame doesn't fit.",
};

fn split(opcode: u8, parts: &[&[u8]]) -> Vec<Frame> {
    let last = parts.len() - 1;
    let frames = parts.iter().enumerate().map(|(i, part)| {
        let frame = frame(if i == 0 { opcode } else { CONTINUATION }, part);
        if i == last { frame } else { frame.more() }
    });
    frames.collect()
}

fn opened(p: &mut Probe) -> Result<Line, crate::check::Stop> {
    let mut line = p.open()?;
    line.control(TEXT, word().as_bytes())?;
    Ok(line)
}

fn sent(p: &mut Probe, opcode: u8, parts: &[&[u8]]) -> Outcome {
    let mut line = opened(p)?;
    line.frames(&split(opcode, parts));
    // A slow peer takes its time for each frame, and the wait for an echo is derived from one.
    let wait = line.pace().slowest() * parts.len() as u32;
    line.pending(wait);
    line.comes_back_as(opcode, &parts.concat())
}

fn words(count: usize) -> String {
    (0..count).map(|_| word()).collect()
}

pub const CHECKS: &[Check] = &[
    check("fragments/two", &FRAGMENTS, "a text in two fragments", "the whole text", |p| {
        sent(p, TEXT, &[words(1).as_bytes(), b" second"])
    })
    .both(),
    check("fragments/three", &FRAGMENTS, "a text in three fragments", "the whole text", |p| {
        sent(p, TEXT, &[words(1).as_bytes(), b" second", b" third"])
    })
    .both(),
    check(
        "fragments/hundred",
        &FRAGMENTS,
        "a text in a hundred fragments",
        "the whole text",
        |p| {
            let text = words(8);
            let parts: Vec<&[u8]> = text.as_bytes()[..100].chunks(1).collect();
            sent(p, TEXT, &parts)
        },
    )
    .both(),
    check(
        "fragments/of-one-byte",
        &FRAGMENTS,
        "a text in fragments of one byte",
        "the whole text",
        |p| {
            let text = words(1);
            sent(p, TEXT, &text.as_bytes().chunks(1).collect::<Vec<_>>())
        },
    )
    .both(),
    check(
        "fragments/binary",
        &FRAGMENTS,
        "a binary message in three fragments",
        "the whole message",
        |p| sent(p, BINARY, &[words(1).as_bytes(), &[0, 255], &[128; 9]]),
    )
    .both(),
    check(
        "fragments/empty-first",
        &FRAGMENTS,
        "an empty first fragment, and one with the text",
        "the text",
        |p| sent(p, TEXT, &[b"", words(1).as_bytes()]),
    )
    .both(),
    check("fragments/empty-middle", &FRAGMENTS, "an empty fragment between two", "the text", |p| {
        sent(p, TEXT, &[words(1).as_bytes(), b"", b"end"])
    })
    .both(),
    check(
        "fragments/empty-last",
        &FRAGMENTS,
        "a fragment with the text, and an empty last one",
        "the text",
        |p| sent(p, TEXT, &[words(1).as_bytes(), b""]),
    )
    .both(),
    check("fragments/all-empty", &FRAGMENTS, "three empty fragments", "an empty text", |p| {
        sent(p, TEXT, &[b"", b"", b""])
    })
    .both(),
    check(
        "fragments/in-one-write",
        &FRAGMENTS,
        "three fragments in one write",
        "the whole text",
        |p| {
            let mut line = opened(p)?;
            let text = words(3);
            let bytes =
                line.encode_all(&split(TEXT, &text.as_bytes().chunks(14).collect::<Vec<_>>()));
            line.send(&bytes);
            line.comes_back(text.as_bytes()).map(drop)
        },
    )
    .both(),
    check(
        "fragments/in-pieces",
        &FRAGMENTS,
        "two fragments, each byte in a packet of its own",
        "the whole text",
        |p| {
            let mut line = opened(p)?;
            let text = words(1);
            let bytes =
                line.encode_all(&split(TEXT, &text.as_bytes().chunks(8).collect::<Vec<_>>()));
            line.pieces(&bytes, 1);
            line.comes_back(text.as_bytes()).map(drop)
        },
    )
    .both(),
    check(
        "fragments/of-126",
        &FRAGMENTS,
        "a text in fragments of 126 bytes",
        "the whole text",
        |p| {
            let text = words(27);
            let mut line = p.open()?;
            line.control(TEXT, text.as_bytes())?;
            line.frames(&split(TEXT, &text.as_bytes().chunks(126).collect::<Vec<_>>()));
            line.comes_back(text.as_bytes()).map(drop)
        },
    )
    .both(),
    check(
        "fragments/ping-between",
        &BETWEEN,
        "a ping between two fragments",
        "the pong, and the whole text",
        |p| {
            let mut line = opened(p)?;
            line.frame(frame(PING, "plain"));
            if line.pong_comes(b"plain").is_err() {
                return crate::check::skips("a plain ping isn't answered: see ping/answered");
            }
            let text = words(1);
            let mut frames = split(TEXT, &text.as_bytes().chunks(8).collect::<Vec<_>>());
            frames.insert(1, frame(PING, "between"));
            line.frames(&frames);
            line.pong_comes(b"between")?;
            line.comes_back_as(TEXT, text.as_bytes())
        },
    )
    .both(),
    check(
        "fragments/pong-at-once",
        &BETWEEN,
        "a first fragment and a ping; the last fragment only when the pong has come",
        "the pong before the message has ended",
        |p| {
            let mut line = opened(p)?;
            line.frame(frame(PING, "plain"));
            if line.pong_comes(b"plain").is_err() {
                return crate::check::skips("a plain ping isn't answered: see ping/answered");
            }
            let text = words(2);
            let (first, last) = text.as_bytes().split_at(14);
            line.frames(&[frame(TEXT, first).more(), frame(PING, "now")]);
            line.pong_comes(b"now")?;
            line.frame(frame(CONTINUATION, last));
            line.comes_back_as(TEXT, text.as_bytes())
        },
    )
    .both()
    .should(),
    check(
        "fragments/pong-between",
        &BETWEEN,
        "a pong between two fragments",
        "the whole text",
        |p| {
            let mut line = opened(p)?;
            let text = words(1);
            let mut frames = split(TEXT, &text.as_bytes().chunks(8).collect::<Vec<_>>());
            frames.insert(1, frame(PONG, "between"));
            line.frames(&frames);
            line.comes_back_as(TEXT, text.as_bytes())
        },
    )
    .both(),
    check(
        "fragments/cut-in-character",
        &CHARACTER,
        "a text in two fragments, cut within a character",
        "the whole text",
        |p| {
            let text = words(1) + "€";
            let (a, b) = text.as_bytes().split_at(text.len() - 2);
            sent(p, TEXT, &[a, b])
        },
    )
    .both(),
    check(
        "fragments/then-another",
        &FRAGMENTS,
        "a text in two fragments, and a text in one",
        "both",
        |p| {
            let mut line = opened(p)?;
            let text = words(1);
            line.frames(&split(TEXT, &text.as_bytes().chunks(8).collect::<Vec<_>>()));
            line.comes_back(text.as_bytes())?;
            line.alive()
        },
    )
    .both(),
    check(
        "fragments/nothing-to-continue",
        &ORDER,
        "opcode 0, and no message has begun",
        "a Close, or the end of the stream",
        |p| p.open()?.breaks(&[frame(CONTINUATION, "lost")]),
    )
    .both(),
    check(
        "fragments/nothing-left-to-continue",
        &ORDER,
        "a whole text in two fragments, and then opcode 0",
        "a Close, or the end of the stream",
        |p| {
            p.open()?.breaks(&[
                frame(TEXT, "a").more(),
                frame(CONTINUATION, "b"),
                frame(CONTINUATION, "c"),
            ])
        },
    )
    .both(),
    check(
        "fragments/message-inside",
        &ORDER,
        "a first fragment, and then a whole text",
        "a Close, or the end of the stream",
        |p| p.open()?.breaks(&[frame(TEXT, "a").more(), frame(TEXT, "b")]),
    )
    .both(),
    check(
        "fragments/binary-inside",
        &ORDER,
        "a first fragment of a text, and then one of a binary message",
        "a Close, or the end of the stream",
        |p| {
            p.open()?.breaks(&[
                frame(TEXT, "a").more(),
                frame(BINARY, "b").more(),
                frame(CONTINUATION, "c"),
            ])
        },
    )
    .both(),
];
