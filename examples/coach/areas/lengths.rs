//! Stage 5: payloads of every length, and lengths in the fewest bytes.

use crate::check::{Check, Lesson, Outcome, Stop, check, fails, skips, warns};
use crate::probe::{Probe, odd};
use crate::wire::{BINARY, CONTINUATION, Came, TEXT, frame};

const LENGTH: Lesson = Lesson {
    section: "§5.2",
    rule: "Up to 125 the length stands in the second byte; 126 there says that two bytes follow, 127 that eight do, high byte first.",
    causes: "126 or 127 isn't done; the length is read as a signed number, low byte first, or with 32 of its 64 bits; one read is taken for a whole payload.",
    fix: "Read the length unsigned and big-endian, then read until that many bytes have come.",
};
const FEWEST: Lesson = Lesson {
    section: "§5.2",
    rule: "A length is written in the fewest bytes: 7 bits up to 125, 16 up to 65,535, 64 above.",
    causes: "`< 125` or `< 65535` where `<=` is meant. Chrome refuses such frames.",
    fix: "Compare with <= 125 and <= 65535.",
};

fn payload(opcode: u8, length: usize) -> Vec<u8> {
    let start = odd() as usize;
    match opcode {
        TEXT => (0..length).map(|i| b'a' + ((i + start) % 23) as u8).collect(),
        _ => (0..length).map(|i| (i * 7 + start) as u8).collect(),
    }
}

fn of(p: &mut Probe, opcode: u8, length: usize) -> Outcome {
    let mut line = p.open()?;
    match line.echo(opcode, &payload(opcode, length)) {
        Err(Stop::Fails(seen)) if line.closed.as_ref().and_then(Came::code) == Some(1009) => {
            let small = in_short_frames(p, opcode, length)?;
            match small {
                false => warns(format!(
                    "it closed with 1009: its own limit is below {length} bytes, which is allowed"
                )),
                true => fails(format!(
                    "{seen}; but in frames with shorter lengths as many bytes come back, so it's the length that is misread"
                )),
            }
        }
        other => other.map(drop),
    }
}

/// Whether as many bytes come back if no frame needs as wide a length.
fn in_short_frames(p: &mut Probe, opcode: u8, length: usize) -> Result<bool, Stop> {
    let size = match length {
        0..=32_767 => 125,
        32_768..=65_535 => 16_000,
        _ => 32_000,
    };
    let mut line = p.open()?;
    let payload = payload(opcode, length);
    let last = payload.len().div_ceil(size) - 1;
    for (i, part) in payload.chunks(size).enumerate() {
        let frame = frame(if i == 0 { opcode } else { CONTINUATION }, part);
        line.frame(if i == last { frame } else { frame.more() });
    }
    Ok(line.comes_back(&payload).is_ok())
}

fn fewest(p: &mut Probe, length: usize) -> Outcome {
    let mut line = p.open()?;
    let message = match line.echo(BINARY, &payload(BINARY, length)) {
        Ok(message) => message,
        Err(Stop::Fails(seen)) => {
            return skips(format!("no echo of {length} bytes to look at: {seen}"));
        }
        Err(stop) => return Err(stop),
    };
    for frame in &message.frames {
        let expected = match frame.payload.len() {
            0..=125 => 0,
            126..=65_535 => 2,
            _ => 8,
        };
        if frame.length_bytes != expected {
            return fails(format!(
                "a payload of {} bytes whose length is written in {} further bytes, and not in {expected}",
                frame.payload.len(),
                frame.length_bytes
            ));
        }
    }
    Ok(())
}

fn text<const N: usize>(p: &mut Probe) -> Outcome {
    of(p, TEXT, N)
}

fn binary<const N: usize>(p: &mut Probe) -> Outcome {
    of(p, BINARY, N)
}

const fn one(id: &'static str, run: fn(&mut Probe) -> Outcome) -> Check {
    check(id, &LENGTH, "a message of that kind and length", "the same bytes", run).both()
}

const fn least(id: &'static str, run: fn(&mut Probe) -> Outcome) -> Check {
    check(
        id,
        &FEWEST,
        "a binary message of that length",
        "an echo whose length is written in the fewest bytes",
        run,
    )
    .both()
}

pub const CHECKS: &[Check] = &[
    one("lengths/text-126", text::<126>),
    one("lengths/text-0", text::<0>),
    one("lengths/binary-0", binary::<0>),
    one("lengths/text-1", text::<1>),
    one("lengths/text-125", text::<125>),
    one("lengths/binary-125", binary::<125>),
    one("lengths/binary-126", binary::<126>),
    one("lengths/text-127", text::<127>),
    one("lengths/binary-127", binary::<127>),
    one("lengths/binary-128", binary::<128>),
    one("lengths/binary-255", binary::<255>),
    one("lengths/binary-256", binary::<256>),
    one("lengths/binary-32768", binary::<32_768>),
    one("lengths/text-65535", text::<65_535>),
    one("lengths/binary-65535", binary::<65_535>),
    one("lengths/text-65536", text::<65_536>),
    one("lengths/binary-65536", binary::<65_536>),
    one("lengths/text-1MiB", text::<{ 1 << 20 }>),
    one("lengths/binary-1MiB", binary::<{ 1 << 20 }>),
    least("lengths/fewest-bytes-125", |p| fewest(p, 125)),
    least("lengths/fewest-bytes-126", |p| fewest(p, 126)),
    least("lengths/fewest-bytes-65535", |p| fewest(p, 65_535)),
    least("lengths/fewest-bytes-65536", |p| fewest(p, 65_536)),
];
