//! A random generator with a seed, frames to change with it, and the checks that every explanation
//! must pass.

use ws101::DeflateConfig;
use ws101::explain::annotation::{Annotation, AnnotationKind, Verdict};
use ws101::explain::frames::FrameExplainer;
use ws101::explain::heads::Settings;
use ws101::explain::json;
use ws101::explain::text::{Style, annotation as print};
use ws101::frames::assembler::Bounds;
use ws101::frames::buffer::Buffer;
use ws101::frames::decoder::{Decoder, Event};
use ws101::frames::deflate;
use ws101::frames::header::{Header, Opcode, Role};
use ws101::frames::mask;
use ws101::frames::violation::Violation;
use ws101::handshake::deflate_params;

use crate::refused_requests::{self, MAX_HEAD, MAX_HEAD_LINES};

/// xorshift: the same numbers for the same seed.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }

    pub fn byte(&mut self) -> u8 {
        self.roll(256) as u8
    }

    /// One of those that matter in headers and texts, more often than any.
    pub fn telling_byte(&mut self) -> u8 {
        const TELLING: [u8; 18] = [
            0x81, 0x82, 0x01, 0x80, 0x00, 0x88, 0x89, 0x8a, 0xc1, 0x7e, 0x7f, 0xfe, 0xff, b'\r',
            b'\n', b':', b' ', 0xc3,
        ];
        match self.roll(3) {
            0 => self.byte(),
            _ => TELLING[self.roll(TELLING.len())],
        }
    }

    pub fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..self.roll(4) {
            let at = self.roll(bytes.len() + 1);
            match self.roll(4) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, self.telling_byte()),
                2 => drop(bytes.drain(at..(at + self.roll(3)).min(bytes.len()))),
                _ => {
                    let telling = self.telling_byte();
                    bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = telling);
                }
            }
        }
    }
}

pub const BOUNDS: Bounds = Bounds { max_message: 3000, max_fragments: 5 };

pub fn settings() -> Settings {
    Settings {
        bounds: BOUNDS,
        max_head: MAX_HEAD,
        max_head_lines: MAX_HEAD_LINES,
        ..Settings::default()
    }
}

/// Spans tile their annotation, and annotations tile what was told of.
pub fn assert_tiles(annotations: &[Annotation], bytes: &[u8], context: &str) {
    let mut at = 0;
    for annotation in annotations {
        assert_eq!(annotation.start, at, "{context}: {annotation:?}");
        let mut bit = 0;
        for span in &annotation.spans {
            assert!(span.bits.start == bit && span.bits.end > bit, "{context}: {annotation:#?}");
            bit = span.bits.end;
        }
        assert_eq!(bit, annotation.length * 8, "{context}: {annotation:#?}");
        let there = &bytes[at as usize..(at + annotation.length) as usize];
        assert!(there.starts_with(&annotation.bytes), "{context}: {annotation:?}");
        at += annotation.length;
    }
    assert_eq!(at, bytes.len() as u64, "{context}: bytes of which nothing is told");
}

/// What is printed fits a terminal and holds no control byte, whatever the peer sent.
pub fn assert_presentable(annotations: &[Annotation], context: &str) {
    for annotation in annotations {
        let style = Style { colour: false, pictures: true };
        let printed = print(annotation, "tab 1", style);
        let wide = printed.lines().find(|line| line.chars().count() > 80);
        assert_eq!(wide, None, "{context}: more than 80 columns");
        let printed = printed + &json::annotation(annotation);
        let bad = |c: char| c.is_control() && c != '\n';
        assert!(!printed.contains(bad), "{context}: {printed:?}");
    }
}

/// A frame as its sender writes it.
pub fn frame(dice: &mut Dice, from: Role, first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = match from {
        Role::Client => Some([dice.byte(), dice.byte(), dice.byte(), dice.byte()]),
        Role::Server => None,
    };
    let opcode = Opcode::parse(first).unwrap();
    let (fin, rsv1) = (first & 0x80 != 0, first & 0x40 != 0);
    let mut bytes = Vec::new();
    Header { fin, rsv1, opcode, mask, length: payload.len() as u64 }.write(&mut bytes);
    let start = bytes.len();
    bytes.extend_from_slice(payload);
    mask::apply(mask.unwrap_or_default(), 0, &mut bytes[start..]);
    bytes
}

/// What the protocol makes of frames: the events, and how it ended.
pub fn received(
    bytes: &[u8],
    reader: Role,
    agreed: Option<deflate_params::DeflateParams>,
) -> (Vec<Event>, Option<Violation>, bool) {
    let mut buffer = Buffer::default();
    let mut rest = bytes;
    while !rest.is_empty() {
        let space = buffer.space();
        let count = space.len().min(rest.len());
        space[..count].copy_from_slice(&rest[..count]);
        buffer.filled(count);
        rest = &rest[count..];
    }
    let agreed = agreed.map(|params| (params, DeflateConfig::default()));
    let (inflater, _) = deflate::inflater_and_deflater(reader, agreed, BOUNDS.max_message);
    let mut incoming = Decoder::new(reader, BOUNDS, buffer).inflating(inflater);
    let mut events = Vec::new();
    loop {
        match incoming.next_event() {
            Ok(Some(event)) => events.push(event),
            Ok(None) => return (events, None, incoming.is_mid_message()),
            Err(violation) => return (events, Some(violation), false),
        }
    }
}

/// What is told is what the protocol has made of it: as many events, and the same end.
pub fn assert_agrees(
    annotations: &[Annotation],
    received: (Vec<Event>, Option<Violation>, bool),
    context: &str,
) {
    let (events, violation, is_mid_message) = received;
    let broken = annotations.iter().find_map(|annotation| match annotation.verdict {
        Verdict::Broken(violation) => Some(violation),
        _ => None,
    });
    assert_eq!(broken, violation, "{context}");
    let whole = |annotation: &&Annotation| {
        annotation.what == AnnotationKind::Frame && matches!(annotation.verdict, Verdict::Fine)
    };
    let told = annotations.iter().filter(whole).filter(|one| ends_an_event(one)).count();
    assert_eq!(told, events.len(), "{context}: {events:?}");
    let is_cut = |annotation: &Annotation| matches!(annotation.verdict, Verdict::Incomplete(_));
    assert!(is_mid_message || !annotations.iter().any(is_cut), "{context}");
}

/// Control frames, and the last fragment of a message.
pub fn ends_an_event(annotation: &Annotation) -> bool {
    annotation.bytes[0] & 0x80 != 0
}

/// What is told of frames on which compression was agreed.
pub fn told_compressed(
    bytes: &[u8],
    from: Role,
    agreed: deflate_params::DeflateParams,
) -> Vec<Annotation> {
    let mut frames = FrameExplainer::new(from, 0, Settings::default().bounds);
    frames.agree(agreed);
    let mut annotations = Vec::new();
    frames.push(bytes, &mut |annotation| annotations.push(annotation));
    frames.end(&mut |annotation| annotations.push(annotation));
    annotations
}

/// A request that becomes a WebSocket.
pub fn request_head() -> Vec<u8> {
    refused_requests::accepted().into_bytes()
}

/// The samples of RFC 7692 §7.2.3, and what they say.
pub const COMPRESSED: [(&[u8], &str); 5] = [
    (b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00", "fixed codes"),
    (b"\xc1\x0b\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", "stored"),
    (b"\xc1\x08\xf3\x48\xcd\xc9\xc9\x07\x00\x00", "the last block"),
    (b"\xc1\x0d\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", "fixed codes"),
    (b"\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00", "fixed codes"),
];
