//! Explains each bit of a frame's header, and its payload, while the frame's bytes arrive. They may
//! arrive in any pieces.
//!
//! Rules of this file:
//! - Each frame goes through the same checks as in [`Decoder`](crate::frames::decoder::Decoder), in
//!   the same order: first the header, then the payload, and last a Close's code and reason. A test
//!   compares the verdicts with `Decoder`'s.
//! - Memory is bounded: only a frame's first 4096 bytes are kept. Later bytes are checked and
//!   counted, but not kept.
//! - A violation in the header is reported when the header is complete, and any other violation
//!   when the frame is complete. That way, the annotations don't depend on the pieces in which the
//!   bytes arrive.
//! - Bytes after a violation or a Close are only counted.

use super::header_bits::{ExtensionsInUse, header_spans};
use super::payload::spans as payload_spans;
use super::payload_decoder::{Findings, MessageContext, PayloadDecoder};
use crate::explain::annotation::{Annotation, AnnotationKind, MAX_SHOWN, Run, Verdict};
use crate::frames::assembler::Bounds;
use crate::frames::close::Close;
use crate::frames::header::{Header, MAX_HEADER, OPCODE, Opcode, Role, header_length};
use crate::frames::mask;
use crate::frames::violation::Violation;
use crate::handshake::deflate_params::DeflateParams;

/// An explainer for the frames that one end of a connection sends. A connection needs two
/// explainers, one for each end.
#[derive(Debug)]
pub struct FrameExplainer {
    from: Role,
    decoder: PayloadDecoder,
    /// Whether both ends agreed on an extension that this crate doesn't know. Such an extension may
    /// use the reserved bits.
    unknown_extension: bool,
    /// Whether an extension that this crate doesn't know encodes the current message. If so, the
    /// explainer shows the payload without decoding it.
    opaque: bool,
    /// The current frame's offset in the sender's byte stream.
    start: u64,
    /// The bytes of the current frame's header that have arrived.
    head: Vec<u8>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// A frame's header is arriving, or no byte of the next frame has arrived.
    Header,
    /// A frame's header has broken a rule, and the rest of this header is arriving. Holds the
    /// violation.
    BrokenHeader(Violation),
    /// A frame's payload is arriving.
    Payload(Box<ArrivingFrame>),
    /// The receiver reads nothing more, after a violation, a Close or the end of the stream. Later
    /// bytes are only counted.
    Ended(Run),
}

/// A frame whose header is complete, but whose payload hasn't arrived in full.
#[derive(Debug)]
struct ArrivingFrame {
    header: Header,
    context: MessageContext,
    /// How many bytes of this frame's payload have arrived.
    arrived: u64,
    /// The frame's first bytes (header and payload), as they were sent. At most [`MAX_SHOWN`].
    bytes: Vec<u8>,
    /// The unmasked form of the payload bytes that `bytes` contains.
    payload: Vec<u8>,
    /// The rule that the payload breaks, or `None` if the bytes that have arrived break no rule.
    broken: Option<Violation>,
}

impl FrameExplainer {
    /// Creates an explainer for the frames that `from` sends. `start` is the first frame's offset
    /// in that end's byte stream. A message that exceeds `bounds` counts as broken.
    pub fn new(from: Role, start: u64, bounds: Bounds) -> FrameExplainer {
        FrameExplainer {
            from,
            decoder: PayloadDecoder::new(from.other(), bounds),
            unknown_extension: false,
            opaque: false,
            start,
            head: Vec::new(),
            state: State::Header,
        }
    }

    /// Records that both ends have agreed on compression with these parameters.
    pub fn agree(&mut self, params: DeflateParams) {
        self.decoder.agree(params);
    }

    /// Records that both ends have agreed on an extension that this crate doesn't know. From then
    /// on, the reserved bits that mean nothing to this crate may be set.
    pub fn note_unknown_extension(&mut self) {
        self.unknown_extension = true;
    }

    /// Returns whether the next byte would begin a frame: no frame is unfinished, and the receiver
    /// still reads.
    pub fn is_between_frames(&self) -> bool {
        matches!(self.state, State::Header) && self.head.is_empty()
    }

    /// Reads the sender's next bytes. For each frame that these bytes complete, calls `report` with
    /// its annotation.
    pub fn push(&mut self, mut bytes: &[u8], report: &mut dyn FnMut(Annotation)) {
        while !bytes.is_empty() {
            let count = match &mut self.state {
                State::Header => self.take_header(bytes, report),
                State::BrokenHeader(_) => self.take_broken_header(bytes, report),
                State::Payload(_) => self.take_payload(bytes, report),
                State::Ended(run) => {
                    run.push(bytes, report);
                    bytes.len()
                }
            };
            bytes = &bytes[count..];
        }
    }

    /// Ends the explanation. Call this when the sender's stream has ended, or when it carries no
    /// more frames. Reports any bytes that no annotation covers yet, such as an incomplete frame.
    pub fn end(&mut self, report: &mut dyn FnMut(Annotation)) {
        match std::mem::replace(&mut self.state, State::Header) {
            State::Ended(mut run) => {
                run.report_rest(report);
                self.state = State::Ended(run);
                return;
            }
            State::Payload(frame) => {
                let missing = frame.header.length - frame.arrived;
                let missing = format!("{missing} of {} bytes of payload", frame.header.length);
                let verdict = frame.broken.map_or(Verdict::Incomplete(missing), Verdict::Broken);
                self.report(*frame, verdict, report);
            }
            State::BrokenHeader(broken) => self.report_broken_header(broken, report),
            State::Header if !self.head.is_empty() => {
                let missing = match self.head.get(1) {
                    Some(&second) => header_length(second) - self.head.len(),
                    None => 1,
                };
                let missing = format!("at least {missing} bytes of the header");
                let title = "a frame, incomplete in its header".into();
                self.report_header(title, Verdict::Incomplete(missing), report);
            }
            State::Header => {}
        }
        self.end_reading();
    }

    /// Consumes bytes of the current frame's header, and returns how many. When the header is
    /// complete, calls `begin_payload`. If the header breaks a rule, leaves the rest of it to
    /// `take_broken_header`.
    fn take_header(&mut self, bytes: &[u8], report: &mut dyn FnMut(Annotation)) -> usize {
        for (index, &byte) in bytes.iter().enumerate() {
            self.head.push(byte);
            match self.parse_frame_header() {
                Ok(None) => {}
                Ok(Some((header, context))) => {
                    self.begin_payload(header, context, report);
                    return index + 1;
                }
                Err(violation) => {
                    self.state = State::BrokenHeader(violation);
                    self.take_broken_header(&[], report);
                    return index + 1;
                }
            }
        }
        bytes.len()
    }

    /// Validates the part of the current frame's header that has arrived. Returns the header and
    /// the message's context, or `None` until the header is complete. Fails as soon as the header
    /// breaks a rule.
    fn parse_frame_header(&mut self) -> Result<Option<(Header, MessageContext)>, Violation> {
        let mut head = [0; MAX_HEADER];
        head[..self.head.len()].copy_from_slice(&self.head);
        let extensions = self.extensions();
        let opcode = Opcode::parse(head[0])?;
        let begins = matches!(opcode, Opcode::Text | Opcode::Binary);
        let is_opaque = extensions.unknown && head[0] & extensions.unknown_reserved_bits() != 0;
        if extensions.unknown {
            head[0] &= !extensions.unknown_reserved_bits();
        }
        if begins && is_opaque {
            // §9.2: an extension may change the payload. Therefore a text payload needn't be UTF-8,
            // and is checked like a binary one.
            head[0] = head[0] & !OPCODE | Opcode::Binary as u8;
        }
        let begun = self.decoder.begin_frame(&head[..self.head.len()])?;
        let Some(header) = begun else { return Ok(None) };
        if begins {
            self.opaque = is_opaque;
        }
        let context = MessageContext { opaque: self.opaque, ..self.decoder.message_context() };
        Ok(Some((Header { opcode, ..header }, context)))
    }

    fn extensions(&self) -> ExtensionsInUse {
        ExtensionsInUse {
            deflate: self.decoder.rsv1_has_meaning(),
            unknown: self.unknown_extension,
        }
    }

    /// Consumes the rest of a header that has broken a rule, so that the annotation can show the
    /// whole header. Returns how many bytes it consumed. Once the header is complete, passes its
    /// annotation to `report`. The explainer reads no frame from later bytes.
    fn take_broken_header(&mut self, bytes: &[u8], report: &mut dyn FnMut(Annotation)) -> usize {
        let State::BrokenHeader(violation) = self.state else { return 0 };
        let mut taken = 0;
        loop {
            let is_whole =
                self.head.get(1).is_some_and(|&second| self.head.len() == header_length(second));
            if is_whole {
                self.report_broken_header(violation, report);
                self.end_reading();
                return taken;
            }
            let Some(&byte) = bytes.get(taken) else { return taken };
            self.head.push(byte);
            taken += 1;
        }
    }

    /// Starts to collect the payload of a frame whose header is complete. If the payload is empty,
    /// the frame is complete too, and its annotation goes to `report` at once.
    fn begin_payload(
        &mut self,
        header: Header,
        context: MessageContext,
        report: &mut dyn FnMut(Annotation),
    ) {
        let (bytes, payload) = (self.head.clone(), Vec::new());
        let frame = ArrivingFrame { header, context, arrived: 0, bytes, payload, broken: None };
        self.state = State::Payload(Box::new(frame));
        if header.length == 0 {
            self.take_payload(&[], report);
        }
    }

    /// Consumes the bytes that belong to the current frame's payload, and returns how many it
    /// consumed. Once the payload is complete, passes the frame's annotation to `report`. If the
    /// frame breaks a rule or is a Close, no later frame is explained.
    fn take_payload(&mut self, bytes: &[u8], report: &mut dyn FnMut(Annotation)) -> usize {
        let state = std::mem::replace(&mut self.state, State::Header);
        let State::Payload(mut frame) = state else { return 0 };
        let missing = usize::try_from(frame.header.length - frame.arrived).unwrap_or(usize::MAX);
        let piece = &bytes[..missing.min(bytes.len())];
        let room = MAX_SHOWN.saturating_sub(frame.bytes.len()).min(piece.len());
        frame.bytes.extend_from_slice(&piece[..room]);
        self.unmask_and_decode(&mut frame, piece, room);
        if frame.arrived < frame.header.length {
            self.state = State::Payload(frame);
            return piece.len();
        }
        let verdict = match frame.broken.map_or_else(|| self.check_whole_payload(&frame), Err) {
            Ok(()) => Verdict::Fine,
            Err(violation) => Verdict::Broken(violation),
        };
        let is_last = matches!(verdict, Verdict::Broken(_)) || frame.header.opcode == Opcode::Close;
        self.report(*frame, verdict, report);
        if is_last {
            self.end_reading();
        }
        piece.len()
    }

    /// Unmasks a piece of a frame's payload, and keeps the piece's first `room` bytes in `frame`.
    /// In a data frame, also decodes the piece: inflates it if necessary, and checks text for
    /// UTF-8. Records in `frame` the first rule that the payload breaks, if any.
    fn unmask_and_decode(&mut self, frame: &mut ArrivingFrame, piece: &[u8], room: usize) {
        let mut plain = [0; 4096];
        let mut kept = room;
        for part in piece.chunks(plain.len()) {
            let plain = &mut plain[..part.len()];
            plain.copy_from_slice(part);
            if let Some(key) = frame.header.mask {
                mask::apply(key, frame.arrived, plain);
            }
            frame.arrived += part.len() as u64;
            let keep = kept.min(plain.len());
            frame.payload.extend_from_slice(&plain[..keep]);
            kept -= keep;
            if frame.broken.is_none() && !frame.header.opcode.is_control() {
                frame.broken = self.decoder.decode(plain).err();
            }
        }
    }

    /// Checks the rules that apply only to a complete payload: a Close's code and reason must be
    /// valid, and a message mustn't end inside a character or a DEFLATE block.
    fn check_whole_payload(&mut self, frame: &ArrivingFrame) -> Result<(), Violation> {
        match frame.header.opcode {
            Opcode::Close => Close::parse(&frame.payload).map(drop),
            Opcode::Ping | Opcode::Pong => Ok(()),
            Opcode::Text | Opcode::Binary | Opcode::Continuation => {
                self.decoder.finish(&frame.header)
            }
        }
    }

    fn end_reading(&mut self) {
        self.state = State::Ended(Run::new(self.from, AnnotationKind::Unread, self.start));
    }

    fn report(
        &mut self,
        frame: ArrivingFrame,
        verdict: Verdict,
        report: &mut dyn FnMut(Annotation),
    ) {
        let ArrivingFrame { header, context, arrived, bytes, payload, .. } = frame;
        let found = self.decoder.take_findings();
        let mut spans = header_spans(&self.head, self.extensions(), Some(header.length));
        let at = self.head.len() as u64;
        spans.extend(payload_spans(&header, context, &found, at, arrived, &payload));
        let (title, length) = (title(&header, context, &found, &verdict), at + arrived);
        let is_decoded_data = !header.opcode.is_control() && !context.opaque;
        let message_kind = context.inside.filter(|_| is_decoded_data);
        let (from, start) = (self.from, self.start);
        self.head.clear();
        self.start += length;
        report(Annotation {
            from,
            what: AnnotationKind::Frame,
            start,
            length,
            title,
            message_kind,
            bytes,
            payload,
            inflated: found.inflated,
            spans,
            verdict,
        });
    }

    fn report_broken_header(&mut self, broken: Violation, report: &mut dyn FnMut(Annotation)) {
        let title = format!("a broken frame: {}", broken.reason());
        self.report_header(title, Verdict::Broken(broken), report);
    }

    /// Passes the annotation of a broken or incomplete frame header to `report`. The annotation
    /// contains no payload.
    fn report_header(
        &mut self,
        title: String,
        verdict: Verdict,
        report: &mut dyn FnMut(Annotation),
    ) {
        let bytes = std::mem::take(&mut self.head);
        let spans = header_spans(&bytes, self.extensions(), wrongly_encoded_length(&verdict));
        let (from, start, length) = (self.from, self.start, bytes.len() as u64);
        self.start += length;
        report(Annotation {
            from,
            what: AnnotationKind::Frame,
            start,
            length,
            title,
            message_kind: None,
            bytes,
            payload: Vec::new(),
            inflated: None,
            spans,
            verdict,
        });
    }
}

/// Returns the payload length from a header whose only fault is the length's encoding, so that the
/// header's spans can show the length. It's encoded in more bytes than necessary, or its top bit is
/// set. Returns `None` for any other verdict.
fn wrongly_encoded_length(verdict: &Verdict) -> Option<u64> {
    match verdict {
        Verdict::Broken(Violation::LengthNotMinimal(n) | Violation::LengthTopBit(n)) => Some(*n),
        _ => None,
    }
}

/// Returns the title of a frame's annotation, such as `text, 5 bytes, masked`. Log lines describe a
/// frame in the same words, because they also display its [`Header`].
fn title(header: &Header, context: MessageContext, found: &Findings, verdict: &Verdict) -> String {
    let of = match (header.opcode, context.inside) {
        (Opcode::Continuation, Some(kind)) if !context.opaque => {
            format!(", of a {} message", kind.opcode())
        }
        _ => String::new(),
    };
    let note = match (verdict, &found.inflated) {
        (Verdict::Broken(violation), _) => format!(": broken, {}", violation.reason()),
        (Verdict::Incomplete(_), _) => ": incomplete".into(),
        (_, Some(inflated)) => format!(": {} bytes inflated", inflated.length),
        _ => String::new(),
    };
    format!("{header}{of}{note}")
}
