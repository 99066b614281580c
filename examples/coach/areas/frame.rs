//! Stage 4: the first frame, and its echo.

use crate::check::{Check, Lesson, Outcome, Stop, check, fails, skips};
use crate::probe::{Message, Probe, word};
use crate::wire::{BINARY, TEXT, frame, opcode_name};

const ECHO: Lesson = Lesson {
    section: "§5.6",
    rule: "A message arrives with the same bytes and the same kind, text or binary, as it was sent. The coach expects the peer to echo each message.",
    causes: "The payload isn't unmasked, or it's decoded and encoded again; or the answer's opcode is always text.",
    fix: "XOR each byte with the mask's byte i mod 4; answer with the opcode that came.",
};
const UNMASKED: Lesson = Lesson {
    section: "§5.1",
    rule: "A server doesn't mask its frames, and a client must close the connection if it gets a masked one.",
    causes: "One function writes frames for both ends.",
    fix: "Leave the MASK bit at 0 and write no key.",
};
const MASKED: Lesson = Lesson {
    section: "§5.3",
    rule: "A client masks each frame with four new, unpredictable bytes.",
    causes: "Control frames or empty ones aren't masked; or the mask is a constant or a counter.",
    fix: "Take four bytes from the system's random source for each frame.",
};
const BITS: Lesson = Lesson {
    section: "§5.2",
    rule: "FIN is set on the last frame of a message; the three reserved bits are 0 unless an extension was agreed on.",
    causes: "The frame's first byte is copied into the answer, or is a wrong constant.",
    fix: "Write 0x80 | opcode: 0x81 for text, 0x82 for binary.",
};
const MASK: Lesson = Lesson {
    section: "§5.3",
    rule: "The mask is four bytes of the header, of any value: byte i of the payload is XORed with byte i mod 4 of the mask.",
    causes: "The first frame's mask is used for all frames, or i doesn't count from the payload's beginning.",
    fix: "Read the mask from each header, and begin each payload with i = 0.",
};

fn text(p: &mut Probe, payload: &str) -> Result<Message, crate::check::Stop> {
    p.open()?.echo(TEXT, payload.as_bytes())
}

fn each_frame(p: &mut Probe, wrong: fn(&crate::wire::Came) -> Option<String>) -> Outcome {
    let mut line = p.open()?;
    let text = match line.echo(TEXT, word().as_bytes()) {
        Err(Stop::Fails(seen)) => return skips(format!("no echo to look at: {seen}")),
        other => other?,
    };
    text.frames.iter().find_map(wrong).map_or(Ok(()), fails)?;
    // If a binary message doesn't come back, frame/kind-binary reports that.
    match line.echo(BINARY, word().as_bytes()) {
        Ok(binary) => binary.frames.iter().find_map(wrong).map_or(Ok(()), fails),
        Err(_) => Ok(()),
    }
}

fn with_mask(p: &mut Probe, keys: &[[u8; 4]]) -> Outcome {
    let mut line = p.open()?;
    line.control(TEXT, word().as_bytes())?;
    for key in keys {
        let word = word();
        line.frame(frame(TEXT, &word).key(*key));
        line.comes_back(word.as_bytes())?;
    }
    Ok(())
}

fn kind(p: &mut Probe, opcode: u8) -> Outcome {
    p.open()?.echo(opcode, word().as_bytes())?.is_of(opcode)
}

/// Returns the first masks of a client's echoes on one connection, at least six.
fn masks(p: &mut Probe) -> Result<Vec<u32>, Stop> {
    let mut line = p.open()?;
    let mut keys = Vec::new();
    for _ in 0..6 {
        let word = word();
        let message = line.echo(TEXT, word.as_bytes())?;
        keys.extend(message.frames.iter().filter_map(|frame| frame.mask.map(u32::from_be_bytes)));
    }
    if keys.len() < 6 {
        return skips("its frames aren't masked");
    }
    // Among many more, two may be the same by chance.
    keys.truncate(12);
    Ok(keys)
}

pub const CHECKS: &[Check] = &[
    check("frame/text", &ECHO, "a short text", "its bytes", |p| text(p, &word()).map(drop)).both(),
    check("frame/kind-text", &ECHO, "a short text", "a text, and not a binary message", |p| {
        kind(p, TEXT)
    })
    .both(),
    check(
        "frame/kind-binary",
        &ECHO,
        "a short binary message after a text",
        "a binary message, and not a text",
        |p| {
            // A peer may keep the kind of the connection's first message.
            let mut line = p.open()?;
            let _ = line.echo(TEXT, word().as_bytes());
            match line.echo(BINARY, word().as_bytes()) {
                Ok(message) => message.is_of(BINARY),
                // Other checks report a peer that doesn't echo after a text.
                Err(_) => kind(p, BINARY),
            }
        },
    )
    .both(),
    check(
        "frame/binary-all-bytes",
        &ECHO,
        "two binary messages with each byte from 0 to 255",
        "the same bytes",
        |p| {
            let bytes: Vec<u8> = (0..=255).collect();
            let mut line = p.open()?;
            bytes.chunks(64).try_for_each(|piece| line.echo(BINARY, piece).map(drop))
        },
    )
    .both(),
    check(
        "frame/unmasked",
        &UNMASKED,
        "a short text and a short binary message",
        "echoes whose MASK bit is 0",
        |p| {
            each_frame(p, |f| {
                f.mask.map(|key| format!("a frame with MASK set, and the key {key:02x?}"))
            })
        },
    ),
    check(
        "frame/masked",
        &MASKED,
        "texts of 14, 0, 1, 125, 200 and 14 bytes, and a binary message",
        "echoes whose MASK bit is 1",
        |p| {
            let mut line = p.open()?;
            for length in [14, 0, 1, 125, 200, 14] {
                let text = &word().repeat(15)[..length];
                match line.echo(TEXT, text.as_bytes()) {
                    Ok(message) if message.frames.iter().any(|frame| frame.mask.is_none()) => {
                        return fails(format!("an echo of {length} bytes without a mask"));
                    }
                    // Without an echo of a short text, there's nothing to check. If another length
                    // has no echo, the area `lengths` reports that.
                    Err(Stop::Fails(seen)) if length == 14 => {
                        return skips(format!("no echo to look at: {seen}"));
                    }
                    Err(Stop::Fails(_)) => line = p.open()?,
                    other => drop(other?),
                }
            }
            match line.echo(BINARY, word().as_bytes()) {
                Ok(message) if message.frames.iter().any(|frame| frame.mask.is_none()) => {
                    fails("a binary echo without a mask")
                }
                _ => Ok(()),
            }
        },
    )
    .clients(),
    check(
        "frame/no-reserved-bits",
        &BITS,
        "a short text and a short binary message",
        "echoes whose reserved bits are 0",
        |p| {
            each_frame(p, |f| {
                (f.reserved() != 0).then(|| format!("the first byte {:08b}", f.first))
            })
        },
    )
    .both(),
    check(
        "frame/complete",
        &BITS,
        "a short text",
        "an echo whose last frame alone has FIN, and whose further frames are continuations",
        |p| {
            let word = word();
            let mut line = p.open()?;
            match line.echo(TEXT, word.as_bytes()) {
                Ok(message) => match message.frames.iter().skip(1).find(|f| f.opcode() != 0) {
                    Some(f) => fails(format!(
                        "a second {} frame inside a message",
                        opcode_name(f.opcode())
                    )),
                    None => Ok(()),
                },
                Err(Stop::Fails(_)) if line.is_unfinished() => fails("no frame with FIN came"),
                Err(Stop::Fails(seen)) => skips(format!("no echo to look at: {seen}")),
                Err(stop) => Err(stop),
            }
        },
    )
    .both(),
    check(
        "frame/another-mask",
        &MASK,
        "three texts, each with another mask",
        "each comes back",
        |p| with_mask(p, &[[1, 2, 3, 4], [0xf0, 0x0f, 0xaa, 0x55], [0x80, 0, 0, 1]]),
    ),
    check("frame/zero-mask", &MASK, "a text with the mask 00 00 00 00", "it comes back", |p| {
        with_mask(p, &[[0; 4]])
    }),
    check("frame/ff-mask", &MASK, "a text with the mask ff ff ff ff", "it comes back", |p| {
        with_mask(p, &[[0xff; 4]])
    }),
    check(
        "frame/mask-continues",
        &MASK,
        "texts of 1 to 9 bytes, with a mask of four different bytes",
        "each comes back",
        |p| {
            let mut line = p.open()?;
            for length in 1..=9 {
                let payload = &b"#abcdefgh"[..length];
                line.frame(frame(TEXT, payload).key([0x11, 0x22, 0x44, 0x88]));
                line.comes_back(payload)?;
            }
            Ok(())
        },
    ),
    check(
        "frame/spaces-kept",
        &ECHO,
        "a text with spaces and line feeds at both ends",
        "the same bytes",
        |p| text(p, &format!(" \n {} \r\n ", word())).map(drop),
    )
    .both(),
    check(
        "frame/ten-in-turn",
        &ECHO,
        "ten texts, each after the echo of the one before",
        "ten echoes",
        |p| {
            let mut line = p.open()?;
            (0..line.pace().many(10)).try_for_each(|_| line.alive())
        },
    )
    .both(),
    check(
        "frame/fresh-masks",
        &MASKED,
        "six texts, on each of two connections",
        "six different masks, and other masks on the second connection",
        |p| {
            let keys = masks(p)?;
            match () {
                () if (1..keys.len()).any(|i| keys[..i].contains(&keys[i])) => {
                    fails(format!("masks {keys:08x?}"))
                }
                () if masks(p)? == keys => {
                    fails(format!("the same masks on two connections: {keys:08x?}"))
                }
                () => Ok(()),
            }
        },
    )
    .clients(),
    check(
        "frame/masks-random",
        &MASKED,
        "six texts",
        "masks whose four bytes aren't all the same, and whose every byte changes",
        |p| {
            let keys: Vec<[u8; 4]> = masks(p)?.into_iter().map(u32::to_be_bytes).collect();
            let is_one_byte = |key: &[u8; 4]| key.iter().all(|byte| *byte == key[0]);
            let stays = |i: usize| keys.iter().all(|key| key[i] == keys[0][i]);
            match keys.iter().all(is_one_byte) || (0..4).any(stays) {
                true => fails(format!("masks {keys:02x?}")),
                false => Ok(()),
            }
        },
    )
    .clients(),
    check(
        "frame/masks-not-counted",
        &MASKED,
        "six texts",
        "masks without a constant difference",
        |p| {
            let keys = masks(p)?;
            let steps: Vec<u32> = keys.windows(2).map(|two| two[1].wrapping_sub(two[0])).collect();
            match steps.windows(2).all(|two| two[0] == two[1]) {
                true => fails(format!("masks {keys:08x?}")),
                false => Ok(()),
            }
        },
    )
    .clients()
    .should(),
];
