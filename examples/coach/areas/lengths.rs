//! Stage 5: payloads of every length, and lengths in the fewest bytes.

use crate::check::{Check, Lesson, Outcome, Stop, check, fails, skips, warns};
use crate::probe::{Probe, odd};
use crate::wire::{BINARY, CONTINUATION, Came, TEXT, frame};

const LENGTH: Lesson = Lesson {
    section: "§5.2",
    rule: "A length up to 125 is in the second byte. 126 there means that the next two bytes have the length, and 127 the next eight, high byte first.",
    causes: "The code doesn't handle 126 or 127; it reads the length as a signed number, low byte first, or only half of its 64 bits; or it takes one read for the whole payload.",
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
            let is_misread = is_misread(p, opcode, length) && in_short_frames(p, opcode, length)?;
            match is_misread {
                false => warns(format!(
                    "it closed with 1009: its own limit is below {length} bytes, which is allowed"
                )),
                true => fails(format!(
                    "{seen}; but as many bytes come back in frames with shorter lengths, and no frame whose length has as many bits does, so it's the length that is misread"
                )),
            }
        }
        other => other.map(drop),
    }
}

/// Whether a refused length seems misread. Otherwise the peer has a limit for frames, which is
/// allowed: then a shorter frame comes back whose length is written in the same way.
fn is_misread(p: &mut Probe, opcode: u8, length: usize) -> bool {
    let mut comes = |length| {
        let line = p.open();
        line.and_then(|mut line| line.echo(opcode, &payload(opcode, length))).is_ok()
    };
    match length {
        ..=126 => true,
        127..=32_767 => !comes(126),
        // The first lengths that need the sign of 16 bits, and 64 bits. A limit for frames is
        // hardly just below them.
        32_768 | 65_536 => comes(length - 1),
        32_769..=65_535 => !comes(32_768) && is_misread(p, opcode, 32_768),
        65_537.. => !comes(65_536) && is_misread(p, opcode, 65_536),
    }
}

/// Whether the peer echoes the same number of bytes if they are sent in frames with short lengths.
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

const fn one(id: &'static str, sends: &'static str, run: fn(&mut Probe) -> Outcome) -> Check {
    check(id, &LENGTH, sends, "the same bytes", run).both()
}

const fn least(id: &'static str, sends: &'static str, run: fn(&mut Probe) -> Outcome) -> Check {
    check(id, &FEWEST, sends, "an echo whose length is written in the fewest bytes", run).both()
}

pub const CHECKS: &[Check] = &[
    one("lengths/text-126", "a text of 126 bytes", text::<126>),
    one("lengths/text-0", "a text of no bytes", text::<0>),
    one("lengths/binary-0", "a binary message of no bytes", binary::<0>),
    one("lengths/text-1", "a text of one byte", text::<1>),
    one("lengths/text-125", "a text of 125 bytes", text::<125>),
    one("lengths/binary-125", "a binary message of 125 bytes", binary::<125>),
    one("lengths/binary-126", "a binary message of 126 bytes", binary::<126>),
    one("lengths/text-127", "a text of 127 bytes", text::<127>),
    one("lengths/binary-127", "a binary message of 127 bytes", binary::<127>),
    one("lengths/binary-128", "a binary message of 128 bytes", binary::<128>),
    one("lengths/binary-255", "a binary message of 255 bytes", binary::<255>),
    one("lengths/binary-256", "a binary message of 256 bytes", binary::<256>),
    one("lengths/binary-32768", "a binary message of 32,768 bytes", binary::<32_768>),
    one("lengths/text-65535", "a text of 65,535 bytes", text::<65_535>),
    one("lengths/binary-65535", "a binary message of 65,535 bytes", binary::<65_535>),
    one("lengths/text-65536", "a text of 65,536 bytes", text::<65_536>),
    one("lengths/binary-65536", "a binary message of 65,536 bytes", binary::<65_536>),
    one("lengths/text-1MiB", "a text of 1 MiB", text::<{ 1 << 20 }>),
    one("lengths/binary-1MiB", "a binary message of 1 MiB", binary::<{ 1 << 20 }>),
    least("lengths/fewest-bytes-125", "a binary message of 125 bytes", |p| fewest(p, 125)),
    least("lengths/fewest-bytes-126", "a binary message of 126 bytes", |p| fewest(p, 126)),
    least("lengths/fewest-bytes-65535", "a binary message of 65,535 bytes", |p| fewest(p, 65_535)),
];
