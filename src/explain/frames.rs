//! Frames, bit by bit, as they arrive: bytes in whatever pieces, annotations out.
//!
//! ```text
//! bytes ─► Header::parse ─► spans of its bits ─┐
//!              └─► mask off ─► Reading ────────┴─► Annotation: title, spans, payload, verdict
//! ```
//!
//! Rules of this file:
//! - It is told what [`Header::parse`], [`Reading`] and [`Close::parse`] say, in the order in which
//!   [`Decoder`](crate::frames::decoder::Decoder) asks them. A test compares the two.
//! - Memory is bounded: of a long payload its first bytes are kept, and its length.
//! - After a violation or a Close, bytes are counted, and not read.

use super::annotation::{Annotation, SHOWN, Verdict, What, run};
use super::header_bits::header_spans;
use super::payload::spans as payload_spans;
use super::payload_decoder::{Context, Found, Reading};
use crate::frames::assembler::Bounds;
use crate::frames::close::Close;
use crate::frames::header::{Header, Opcode, Role, header_length};
use crate::frames::mask;
use crate::frames::violation::Violation;
use crate::handshake::deflate_params::DeflateParams;

/// One direction of frames.
#[derive(Debug)]
pub struct Frames {
    from: Role,
    reading: Reading,
    /// How many bytes went before what is in hand.
    start: u64,
    /// The bytes of a header, as far as it has come.
    head: Vec<u8>,
    frame: Option<Frame>,
    /// A violation or a Close was the last that is read.
    ended: bool,
}

/// A frame whose payload is arriving.
#[derive(Debug)]
struct Frame {
    header: Header,
    context: Context,
    taken: u64,
    /// The first bytes of the frame as they travelled.
    bytes: Vec<u8>,
    /// The first bytes of the payload, without mask.
    payload: Vec<u8>,
}

impl Frames {
    /// The frames of this sender, from byte `start` of its direction on.
    pub fn new(from: Role, start: u64, bounds: Bounds) -> Frames {
        Frames {
            from,
            reading: Reading::new(from.other(), bounds),
            start,
            head: Vec::new(),
            frame: None,
            ended: false,
        }
    }

    /// Both ends have agreed to compress, on these terms.
    pub fn agree(&mut self, terms: DeflateParams) {
        self.reading.agree(terms);
    }

    /// Takes the next bytes, and tells each frame that ends in them.
    pub fn push(&mut self, mut bytes: &[u8], tell: &mut dyn FnMut(Annotation)) {
        while !bytes.is_empty() {
            let count = match (&self.frame, self.ended) {
                (_, true) => self.unread(bytes, tell),
                (None, false) => self.begin(bytes, tell),
                (Some(_), false) => self.proceed(bytes, tell),
            };
            bytes = &bytes[count..];
        }
    }

    /// The stream has ended: tells what was cut.
    pub fn end(&mut self, tell: &mut dyn FnMut(Annotation)) {
        if let Some(frame) = self.frame.take() {
            let missing = frame.header.length - frame.taken;
            let missing = format!("{missing} of {} bytes of payload", frame.header.length);
            self.tell(frame, Verdict::Missing(missing), tell);
        } else if !self.head.is_empty() {
            let missing = match self.head.get(1) {
                Some(&second) => header_length(second) - self.head.len(),
                None => 1,
            };
            let missing = format!("at least {missing} bytes of the header");
            self.tell_header("a frame, cut in its header".into(), Verdict::Missing(missing), tell);
        }
        self.ended = true;
    }

    /// Takes bytes of a header; says how many.
    fn begin(&mut self, bytes: &[u8], tell: &mut dyn FnMut(Annotation)) -> usize {
        for (index, &byte) in bytes.iter().enumerate() {
            self.head.push(byte);
            match self.reading.begin(&self.head) {
                Ok(None) => {}
                Ok(Some(header)) => {
                    self.enter(header, tell);
                    return index + 1;
                }
                Err(violation) => {
                    return self.fail(violation, &bytes[index + 1..], tell) + index + 1;
                }
            }
        }
        bytes.len()
    }

    /// A header is broken. What has come of the rest of it belongs to the picture; says how much.
    fn fail(&mut self, broken: Violation, rest: &[u8], tell: &mut dyn FnMut(Annotation)) -> usize {
        let second = self.head.get(1).or(rest.first()).copied();
        let missing = second.map_or(0, |second| header_length(second) - self.head.len());
        let count = missing.min(rest.len());
        self.head.extend_from_slice(&rest[..count]);
        self.ended = true;
        let title = format!("a broken frame: {}", broken.reason());
        self.tell_header(title, Verdict::Broken(broken), tell);
        count
    }

    /// A header is whole.
    fn enter(&mut self, header: Header, tell: &mut dyn FnMut(Annotation)) {
        let context = self.reading.context();
        let (bytes, payload) = (self.head.clone(), Vec::new());
        self.frame = Some(Frame { header, context, taken: 0, bytes, payload });
        if header.length == 0 {
            self.proceed(&[], tell);
        }
    }

    /// Takes bytes of a payload; says how many.
    fn proceed(&mut self, bytes: &[u8], tell: &mut dyn FnMut(Annotation)) -> usize {
        let Some(mut frame) = self.frame.take() else { return 0 };
        let missing = usize::try_from(frame.header.length - frame.taken).unwrap_or(usize::MAX);
        let piece = &bytes[..missing.min(bytes.len())];
        let room = SHOWN.saturating_sub(frame.bytes.len()).min(piece.len());
        frame.bytes.extend_from_slice(&piece[..room]);
        let verdict = self.read(&mut frame, piece, room).and_then(|()| {
            match frame.taken == frame.header.length {
                true => self.finish(&frame).map(Some),
                false => Ok(None),
            }
        });
        match verdict {
            Ok(None) => self.frame = Some(frame),
            Ok(Some(())) => self.tell(frame, Verdict::Fine, tell),
            Err(violation) => {
                self.ended = true;
                self.tell(frame, Verdict::Broken(violation), tell);
            }
        }
        piece.len()
    }

    /// Reads a piece of payload as the protocol does; keeps no more than the first `room` bytes.
    fn read(&mut self, frame: &mut Frame, piece: &[u8], room: usize) -> Result<(), Violation> {
        let mut plain = [0; 4096];
        let mut kept = room;
        let mut read = Ok(());
        for part in piece.chunks(plain.len()) {
            let plain = &mut plain[..part.len()];
            plain.copy_from_slice(part);
            if let Some(key) = frame.header.mask {
                mask::apply(key, frame.taken, plain);
            }
            frame.taken += part.len() as u64;
            let keep = kept.min(plain.len());
            frame.payload.extend_from_slice(&plain[..keep]);
            kept -= keep;
            if read.is_ok() && !frame.header.opcode.is_control() {
                read = self.reading.read(plain);
            }
        }
        read
    }

    /// The payload is whole.
    fn finish(&mut self, frame: &Frame) -> Result<(), Violation> {
        match frame.header.opcode {
            Opcode::Close => {
                Close::parse(&frame.payload)?;
                self.ended = true;
            }
            Opcode::Ping | Opcode::Pong => {}
            Opcode::Text | Opcode::Binary | Opcode::Continuation => {
                self.reading.finish(&frame.header)?;
            }
        }
        Ok(())
    }

    fn unread(&mut self, bytes: &[u8], tell: &mut dyn FnMut(Annotation)) -> usize {
        let annotation = run(self.from, What::Unread, self.start, bytes);
        self.start += annotation.length;
        tell(annotation);
        bytes.len()
    }

    fn tell(&mut self, frame: Frame, verdict: Verdict, tell: &mut dyn FnMut(Annotation)) {
        let Frame { header, context, taken, bytes, payload } = frame;
        let found = self.reading.take_found();
        let deflate = self.reading.rsv1_has_meaning();
        let mut spans = header_spans(&self.head, deflate, Some(header.length));
        let at = self.head.len() as u64;
        spans.extend(payload_spans(&header, context, &found, at, taken, &payload));
        let (title, length) = (title(&header, context, &found, &verdict), at + taken);
        let (from, start) = (self.from, self.start);
        self.head.clear();
        self.start += length;
        tell(Annotation {
            from,
            what: What::Frame,
            start,
            length,
            title,
            bytes,
            payload,
            inflated: found.inflated,
            spans,
            verdict,
        });
    }

    /// Tells of a header without a payload.
    fn tell_header(&mut self, title: String, verdict: Verdict, tell: &mut dyn FnMut(Annotation)) {
        let bytes = std::mem::take(&mut self.head);
        let spans = header_spans(&bytes, self.reading.rsv1_has_meaning(), length_in(&verdict));
        let (from, start, length) = (self.from, self.start, bytes.len() as u64);
        self.start += length;
        tell(Annotation {
            from,
            what: What::Frame,
            start,
            length,
            title,
            bytes,
            payload: Vec::new(),
            inflated: None,
            spans,
            verdict,
        });
    }
}

/// The length that a violation is about.
fn length_in(verdict: &Verdict) -> Option<u64> {
    match verdict {
        Verdict::Broken(Violation::LengthNotMinimal(n) | Violation::LengthTopBit(n)) => Some(*n),
        _ => None,
    }
}

/// `text, 5 bytes, masked`, as the log has it, and what more there is to say of it.
fn title(header: &Header, context: Context, found: &Found, verdict: &Verdict) -> String {
    let of = match (header.opcode, context.inside) {
        (Opcode::Continuation, Some(kind)) => format!(", of a {} message", kind.opcode()),
        _ => String::new(),
    };
    let note = match (verdict, &found.inflated) {
        (Verdict::Broken(violation), _) => format!(": broken, {}", violation.reason()),
        (Verdict::Missing(_), _) => ": cut".into(),
        (_, Some(inflated)) => format!(": {} bytes inflated", inflated.length),
        _ => String::new(),
    };
    format!("{header}{of}{note}")
}
