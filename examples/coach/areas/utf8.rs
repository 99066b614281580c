//! Stage 10: texts are valid UTF-8, in whatever pieces they come.

use crate::check::{Check, Lesson, Outcome, check, fails, warns};
use crate::probe::{Next, Probe, word};
use crate::wire::{BINARY, CONTINUATION, Frame, TEXT, frame};

const VALID: Lesson = Lesson {
    section: "§5.6",
    rule: "A text is UTF-8, with any characters from U+0000 to U+10FFFF except the surrogates.",
    causes: "The code converts the text to another encoding, or its decoder drops a byte order mark or stops at a zero.",
    fix: "Check the bytes, and then echo them unchanged.",
};
const INVALID: Lesson = Lesson {
    section: "§8.1",
    rule: "A text that isn't UTF-8 fails the connection, with the close code 1007.",
    causes: "The code doesn't check the bytes, or its decoder replaces bad ones.",
    fix: "Decode strictly once the message is complete, and close with 1007 on an error.",
};
const EARLY: Lesson = Lesson {
    section: "§8.1",
    rule: "A receiver can find a bad byte as soon as it comes, before the message ends.",
    causes: "The code checks a text only when it's complete.",
    fix: "Check each piece as it comes, and keep the decoder's state between pieces.",
};
const FREE: Lesson = Lesson {
    section: "§5.6",
    rule: "A binary message may be any bytes.",
    causes: "The code checks each message for UTF-8.",
    fix: "Check texts only.",
};

fn fine(p: &mut Probe, text: &str) -> Outcome {
    let mut line = p.open()?;
    line.control(TEXT, word().as_bytes())?;
    line.echo(TEXT, text.as_bytes()).map(drop)
}

fn wrong(p: &mut Probe, bytes: &[&[u8]]) -> Outcome {
    for bytes in bytes {
        let mut line = p.open()?;
        line.breaks(&[frame(TEXT, [b"ok ", *bytes].concat())]).map_err(|stop| match stop {
            crate::check::Stop::Fails(seen) => {
                crate::check::Stop::Fails(format!("after the bytes {bytes:02x?}: {seen}"))
            }
            other => other,
        })?;
    }
    Ok(())
}

fn breaks(p: &mut Probe, frames: &[Frame]) -> Outcome {
    p.open()?.breaks(frames)
}

pub const CHECKS: &[Check] = &[
    check(
        "utf8/lone-continuation",
        &INVALID,
        "a text with the byte 80 alone",
        "a Close, or the end of the stream",
        |p| wrong(p, &[&[0x80]]),
    )
    .both(),
    check("utf8/two-bytes", &VALID, "characters of two bytes", "the same bytes", |p| {
        fine(p, "Zoë, Zoe\u{308}, Ελλάδα, Україна")
    })
    .both(),
    check("utf8/three-bytes", &VALID, "characters of three bytes", "the same bytes", |p| {
        fine(p, "日本語 € ह")
    })
    .both(),
    check("utf8/four-bytes", &VALID, "characters of four bytes", "the same bytes", |p| {
        fine(p, "🦀 𝄞 𐍈")
    })
    .both(),
    check(
        "utf8/edges",
        &VALID,
        "the first and last character of each length",
        "the same bytes",
        |p| fine(p, "\u{1}\u{7f}\u{80}\u{7ff}\u{800}\u{d7ff}\u{e000}\u{ffff}\u{10000}\u{10ffff}"),
    )
    .both(),
    check(
        "utf8/noncharacters",
        &VALID,
        "U+FFFE, U+FDD0, U+1FFFF: valid, if without meaning",
        "the same bytes",
        |p| fine(p, "\u{fffe}\u{fdd0}\u{1ffff}"),
    )
    .both(),
    check("utf8/nul", &VALID, "a text with U+0000 in it", "the same bytes", |p| {
        fine(p, "before\0after")
    })
    .both(),
    check(
        "utf8/byte-order-mark",
        &VALID,
        "a text that begins with U+FEFF",
        "the same bytes, the mark with them",
        |p| fine(p, "\u{feff}marked"),
    )
    .both(),
    check(
        "utf8/binary-is-free",
        &FREE,
        "a binary message that isn't UTF-8",
        "the same bytes",
        |p| {
            let mut line = p.open()?;
            line.control(BINARY, word().as_bytes())?;
            line.echo(BINARY, &[0xff, 0xfe, 0xc0, 0x80]).map(drop)
        },
    )
    .both(),
    check(
        "utf8/no-such-byte",
        &INVALID,
        "texts with the bytes ff, and f8",
        "a Close, or the end of the stream",
        |p| wrong(p, &[&[0xff], &[0xf8, 0x88, 0x80, 0x80, 0x80]]),
    )
    .both(),
    check(
        "utf8/overlong-2",
        &INVALID,
        "c0 80 and c1 bf: a zero and U+007F in two bytes",
        "a Close, or the end of the stream",
        |p| wrong(p, &[&[0xc0, 0x80], &[0xc1, 0xbf]]),
    )
    .both(),
    check(
        "utf8/overlong-3",
        &INVALID,
        "e0 80 af and e0 9f bf: a slash and U+07FF in three bytes",
        "a Close, or the end of the stream",
        |p| wrong(p, &[&[0xe0, 0x80, 0xaf], &[0xe0, 0x9f, 0xbf]]),
    )
    .both(),
    check(
        "utf8/overlong-4",
        &INVALID,
        "f0 80 80 af and f0 8f bf bf: a slash and U+FFFF in four bytes",
        "a Close, or the end of the stream",
        |p| wrong(p, &[&[0xf0, 0x80, 0x80, 0xaf], &[0xf0, 0x8f, 0xbf, 0xbf]]),
    )
    .both(),
    check(
        "utf8/surrogate",
        &INVALID,
        "ed a0 80 and ed bf bf, halves of UTF-16 pairs",
        "a Close, or the end of the stream",
        |p| wrong(p, &[&[0xed, 0xa0, 0x80], &[0xed, 0xbf, 0xbf]]),
    )
    .both(),
    check(
        "utf8/beyond-the-last",
        &INVALID,
        "f4 90 80 80 and f5 80 80 80, above U+10FFFF",
        "a Close, or the end of the stream",
        |p| wrong(p, &[&[0xf4, 0x90, 0x80, 0x80], &[0xf5, 0x80, 0x80, 0x80]]),
    )
    .both(),
    check(
        "utf8/cut-at-the-end",
        &INVALID,
        "texts that end within a character of two, three and four bytes",
        "a Close, or the end of the stream",
        |p| wrong(p, &[&[0xe2, 0x82], &[0xc3], &[0xf0, 0x9f, 0xa6]]),
    )
    .both(),
    check(
        "utf8/cut-in-last-fragment",
        &INVALID,
        "a text in two fragments that ends within a character",
        "a Close, or the end of the stream",
        |p| breaks(p, &[frame(TEXT, "a").more(), frame(CONTINUATION, [b'b', 0xf0, 0x9f])]),
    )
    .both(),
    check(
        "utf8/in-second-fragment",
        &INVALID,
        "a text whose second fragment has a bad byte",
        "a Close, or the end of the stream",
        |p| breaks(p, &[frame(TEXT, "a").more(), frame(CONTINUATION, [b'b', 0xff, b'c'])]),
    )
    .both(),
    check(
        "utf8/missing-continuation",
        &INVALID,
        "c3 28, e2 82 28 and f0 9f a6 28: characters that don't go on",
        "a Close, or the end of the stream",
        |p| wrong(p, &[&[0xc3, 0x28], &[0xe2, 0x82, 0x28], &[0xf0, 0x9f, 0xa6, 0x28]]),
    )
    .both(),
    check(
        "utf8/at-the-end-of-long",
        &INVALID,
        "a text of 120 good bytes, and a bad one",
        "a Close, or the end of the stream",
        |p| wrong(p, &[&[&[b'a'; 115][..], &[0xff]].concat()]),
    )
    .both(),
    check("utf8/code-1007", &INVALID, "a text with a bad byte", "a Close with 1007", |p| {
        let mut line = p.open()?;
        line.control(TEXT, word().as_bytes())?;
        line.frame(frame(TEXT, [0xff]));
        match line.is_failed_with_a_legal_code()? {
            Some(1007) => Ok(()),
            Some(code) => warns(format!("a Close with {code}")),
            None => warns("the end of the stream, without a Close that says why"),
        }
    })
    .both()
    .should(),
    check(
        "utf8/early",
        &EARLY,
        "a first fragment with a bad byte; the others don't come",
        "a Close at once",
        |p| {
            early(p, |line| {
                line.frame(frame(TEXT, [b'a', 0xff]).more());
            })
        },
    )
    .both()
    .advice(),
    check(
        "utf8/early-in-frame",
        &EARLY,
        "the beginning of a frame with a bad byte; its rest doesn't come",
        "a Close at once",
        |p| {
            early(p, |line| {
                let bytes = line.encode(&frame(TEXT, [&[b'a', 0xff][..], &[b'b'; 60]].concat()));
                let cut = bytes.len() - 20;
                line.send(&bytes[..cut]);
            })
        },
    )
    .both()
    .advice(),
];

fn early(p: &mut Probe, send: fn(&mut crate::probe::Line)) -> Outcome {
    let mut line = p.open()?;
    line.control(TEXT, word().as_bytes())?;
    send(&mut line);
    let wait = line.pace().moment() * 2;
    match line.message(wait) {
        Err(Next::Ended | Next::Frame(_)) => Ok(()),
        Err(Next::Silent) => {
            warns("nothing yet: the text is checked when it's whole, which is allowed")
        }
        Ok(_) => Ok(()),
        Err(Next::Nonsense(why)) => fails(why),
    }
}
