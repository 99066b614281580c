//! Stage 6: TCP is a stream, so frames arrive cut into pieces or several at once.

use crate::check::{Check, Lesson, Outcome, check, warns};
use crate::probe::{Line, Probe, word};
use crate::wire::{BINARY, Frame, TEXT, frame};

const CUT: Lesson = Lesson {
    section: "§5.2",
    rule: "A frame may arrive in any number of pieces, cut anywhere, even inside its header.",
    causes: "The code takes one read for one frame, or it parses or drops half a header.",
    fix: "Append each read to a buffer, and parse a frame only once its header and payload are complete.",
};
const GLUED: Lesson = Lesson {
    section: "§5.2",
    rule: "Several frames may arrive with one read.",
    causes: "The code throws away the rest of the buffer after the first frame.",
    fix: "Remove the bytes of one frame, keep the rest, and parse again before the next read.",
};

fn cut(p: &mut Probe, length: usize, places: &[usize]) -> Outcome {
    let mut line = p.open()?;
    let text = format!("{}{}", word(), "x".repeat(length));
    line.control(TEXT, text.as_bytes())?;
    let bytes = line.encode(&frame(TEXT, &text));
    let mut from = 0;
    for &place in places {
        line.send(&bytes[from..place]);
        line.pause();
        from = place;
    }
    line.send(&bytes[from..]);
    line.comes_back(text.as_bytes()).map(drop)
}

fn glued(p: &mut Probe, count: usize, kinds: &[u8]) -> Outcome {
    let mut line = p.open()?;
    for kind in kinds {
        line.control(*kind, word().as_bytes())?;
    }
    let count = line.pace().many(count);
    let words: Vec<String> = (0..count).map(|_| word()).collect();
    let frames: Vec<Frame> =
        words.iter().enumerate().map(|(i, word)| frame(kinds[i % kinds.len()], word)).collect();
    let bytes = line.encode_all(&frames);
    line.send(&bytes);
    all_back(&mut line, &words)
}

fn all_back(line: &mut Line, words: &[String]) -> Outcome {
    words.iter().try_for_each(|word| line.comes_back(word.as_bytes()).map(drop))
}

pub const CHECKS: &[Check] = &[
    check(
        "stream/cut-after-first-byte",
        &CUT,
        "a text frame, cut after its first byte",
        "the echo",
        |p| cut(p, 0, &[1]),
    )
    .both(),
    check(
        "stream/cut-in-length",
        &CUT,
        "a frame of 300 bytes, cut within its 16-bit length",
        "the echo",
        |p| cut(p, 300, &[3]),
    )
    .both(),
    check("stream/cut-in-mask", &CUT, "a text frame, cut within its mask", "the echo", |p| {
        cut(p, 0, &[4])
    }),
    check("stream/cut-in-payload", &CUT, "a text frame, cut within its payload", "the echo", |p| {
        cut(p, 0, &[11])
    })
    .both(),
    check(
        "stream/cut-everywhere",
        &CUT,
        "ten text frames, each cut at another place",
        "ten echoes",
        |p| {
            let mut line = p.open()?;
            line.control(TEXT, word().as_bytes())?;
            for place in 1..=10 {
                let word = word();
                let bytes = line.encode(&frame(TEXT, &word));
                line.send(&bytes[..place]);
                line.pause();
                line.send(&bytes[place..]);
                line.comes_back(word.as_bytes())?;
            }
            Ok(())
        },
    )
    .both(),
    check(
        "stream/byte-by-byte",
        &CUT,
        "a text frame, each byte in a packet of its own",
        "the echo",
        |p| {
            let mut line = p.open()?;
            line.control(TEXT, word().as_bytes())?;
            let word = word();
            let bytes = line.encode(&frame(TEXT, &word));
            line.pieces(&bytes, 1);
            line.comes_back(word.as_bytes()).map(drop)
        },
    )
    .both(),
    check("stream/two-in-one-write", &GLUED, "two text frames in one write", "two echoes", |p| {
        glued(p, 2, &[TEXT])
    })
    .both(),
    check("stream/ten-in-one-write", &GLUED, "ten text frames in one write", "ten echoes", |p| {
        glued(p, 10, &[TEXT])
    })
    .both(),
    check(
        "stream/hundred-in-one-write",
        &GLUED,
        "a hundred text frames in one write",
        "a hundred echoes",
        |p| glued(p, 100, &[TEXT]),
    )
    .both(),
    check(
        "stream/kinds-in-one-write",
        &GLUED,
        "texts and binary messages in one write",
        "all echoes",
        |p| glued(p, 6, &[TEXT, BINARY]),
    )
    .both(),
    check(
        "stream/frame-and-a-half",
        &GLUED,
        "a frame and the half of the next in one write; then the rest",
        "both echoes",
        |p| {
            let mut line = p.open()?;
            line.control(TEXT, word().as_bytes())?;
            let words = [word(), word()];
            let bytes = line.encode_all(&[frame(TEXT, &words[0]), frame(TEXT, &words[1])]);
            let cut = bytes.len() - 9;
            line.send(&bytes[..cut]);
            line.pause();
            line.send(&bytes[cut..]);
            all_back(&mut line, &words)
        },
    )
    .both(),
    check(
        "stream/large-in-pieces",
        &CUT,
        "a frame of 5,000 bytes in pieces of 500",
        "the echo",
        |p| {
            let mut line = p.open()?;
            let text = format!("{}{}", word(), "y".repeat(5000));
            line.control(TEXT, text.as_bytes())?;
            let bytes = line.encode(&frame(TEXT, &text));
            line.pieces(&bytes, 500);
            line.comes_back(text.as_bytes()).map(drop)
        },
    )
    .both(),
    check(
        "stream/large-then-small",
        &GLUED,
        "a frame of 5,000 bytes and a short one in one write",
        "both echoes",
        |p| {
            let mut line = p.open()?;
            let words = [format!("{}{}", word(), "z".repeat(5000)), word()];
            line.control(TEXT, words[0].as_bytes())?;
            let bytes = line.encode_all(&[frame(TEXT, &words[0]), frame(TEXT, &words[1])]);
            line.send(&bytes);
            all_back(&mut line, &words)
        },
    )
    .both(),
    check(
        "stream/order",
        &GLUED,
        "twenty texts",
        "their echoes in that order (messages of a connection keep their order)",
        |p| {
            let mut line = p.open()?;
            line.control(TEXT, word().as_bytes())?;
            let words: Vec<String> = (0..line.pace().many(20)).map(|_| word()).collect();
            words.iter().for_each(|word| line.frame(frame(TEXT, word)));
            let before = line.unasked.len();
            all_back(&mut line, &words)?;
            let late = line.unasked[before..]
                .iter()
                .any(|m| words.iter().any(|w| w.as_bytes() == m.payload));
            if late { warns("echoes came in another order") } else { Ok(()) }
        },
    )
    .both(),
];
