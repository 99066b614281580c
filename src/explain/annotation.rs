//! An annotation explains a head, a frame, or a run of other bytes. It holds the bytes, a span for
//! each part (the part's position and its explanation), and a verdict: whether the bytes break a
//! rule.
//!
//! ```text
//! 81 85 37 fa 21 3d 7f 9f 4d 51 58                           the bytes as they were sent
//! |FIN|RSV1|RSV2-3|opcode|MASK|length|mask key|payload|      the spans
//! ```
//!
//! Rules of this file:
//! - A span's position is counted in bits from the first annotated byte, as in the RFC's diagrams.
//!   The spans cover all annotated bytes without gaps or overlaps, even if the bytes break a rule.
//! - In the same way, the annotations of one direction together cover all bytes that were sent in
//!   that direction.
//! - The protocol code decides whether the bytes break a rule. If they do, the verdict holds the
//!   refusal, handshake error or violation, with its diagnostic.

use std::ops::Range;

use crate::diagnostic::{Diagnostic, escape_char};
use crate::frames::header::Role;
use crate::frames::message::MessageKind;
use crate::frames::violation::Violation;
use crate::handshake::client::HandshakeError;
use crate::http::refusal::Refusal;

/// The maximum number of bytes that an annotation keeps of its head or frame, for display. The
/// annotation's `length` still counts all bytes.
pub const MAX_SHOWN: usize = 4096;
/// The maximum number of bytes in one annotation of a [`Run`], a sequence of bytes that share one
/// explanation, such as an HTTP body. A longer run gets several annotations.
const MAX_RUN: u64 = 64 * 1024;

/// One part of a head or a frame with its explanation, such as a frame's opcode or an HTTP header
/// field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The range of bits that this part covers, counted from the first bit of the annotated bytes.
    pub bits: Range<u64>,
    /// The name of the explained field, such as `opcode` or `Host`.
    pub field: String,
    /// The field's value as text that is safe to show on a terminal or a page.
    pub value: String,
    /// A short explanation of what the value means.
    pub meaning: String,
    /// The section of the RFC or other standard that defines the field, such as `RFC 9112 §3.2`. A
    /// bare section, such as `§5.2`, belongs to RFC 6455.
    pub section: &'static str,
}

/// The kind of bytes that an annotation explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnnotationKind {
    /// The bytes are an HTTP request's head.
    Request,
    /// The bytes are an HTTP response's head.
    Response,
    /// The bytes are a WebSocket frame.
    Frame,
    /// The bytes belong to the HTTP body of a request or response that opens no WebSocket.
    Body,
    /// The receiver doesn't read these bytes. They come after bytes that broke a rule, after a
    /// Close frame, or after an HTTP response that ends the connection.
    Unread,
}

/// The verdict on an annotation's bytes: whether they're complete, and which rule they break, if
/// any.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// The bytes break no rule.
    Fine,
    /// The stream ended inside the head or frame. The string names what is missing, such as
    /// `3 of 5 bytes of payload`.
    Incomplete(String),
    /// The bytes are a request that the server refuses.
    Refused(Refusal),
    /// The bytes are a response that the client rejects.
    Rejected(HandshakeError),
    /// The bytes are a frame that breaks a protocol rule.
    Broken(Violation),
}

impl Verdict {
    /// Returns the diagnostic that explains the broken rule. Returns `None` if the bytes break no
    /// rule, or are merely incomplete.
    pub fn diagnostic(&self) -> Option<Diagnostic> {
        match self {
            Verdict::Fine | Verdict::Incomplete(_) => None,
            Verdict::Refused(refusal) => Some(refusal.diagnostic().clone()),
            Verdict::Rejected(rejection) => Some((*rejection.diagnostic).clone()),
            Verdict::Broken(violation) => Some(violation.diagnostic()),
        }
    }

    /// Returns the HTTP status that answers a refused request, or the close code that answers a
    /// broken frame. Returns `None` for every other verdict, including `Rejected`: a client sends
    /// no answer to a response that it rejects.
    pub fn code(&self) -> Option<u16> {
        match self {
            Verdict::Refused(refusal) => Some(refusal.status()),
            Verdict::Broken(violation) => Some(violation.close_code().0),
            Verdict::Fine | Verdict::Incomplete(_) | Verdict::Rejected(_) => None,
        }
    }
}

/// The result of inflating (decompressing) a frame's compressed payload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inflated {
    /// The first inflated bytes, at most [`MAX_SHOWN`].
    pub bytes: Vec<u8>,
    /// The total number of inflated bytes. If a byte makes the text invalid UTF-8, the count ends
    /// with that byte.
    pub length: u64,
}

/// The explanation of an HTTP head, a WebSocket frame, or a run of bytes that is neither.
#[derive(Clone, Debug)]
pub struct Annotation {
    /// Which end of the connection sent these bytes: the client or the server.
    pub from: Role,
    /// The kind of bytes that this annotation explains.
    pub what: AnnotationKind,
    /// The number of bytes that the sender had sent on this connection before these bytes.
    pub start: u64,
    /// The number of bytes that this annotation covers.
    pub length: u64,
    /// A one-line summary of the annotated bytes, such as `text, 5 bytes`.
    pub title: String,
    /// Whether a data frame belongs to a text or a binary message. `None` if the annotated bytes
    /// aren't a data frame, if the frame's header is broken or incomplete, or if a reserved bit
    /// shows that an extension that we don't know has changed the message's payload.
    pub message_kind: Option<MessageKind>,
    /// The first [`MAX_SHOWN`] of the annotated bytes, as they were sent: a masked payload is still
    /// masked.
    pub bytes: Vec<u8>,
    /// A frame's unmasked payload, as far as `bytes` contains it. Empty if the bytes aren't a
    /// frame.
    pub payload: Vec<u8>,
    /// The inflated payload of a compressed frame. `None` if the frame isn't compressed, or if
    /// ws101 was built without the `deflate` feature.
    pub inflated: Option<Inflated>,
    /// The spans that explain these bytes, in the order of the bytes.
    pub spans: Vec<Span>,
    /// Whether the bytes are complete, and which rule they break, if any.
    pub verdict: Verdict,
}

/// Bytes of one direction that are counted but not explained: an HTTP body, or bytes that the
/// receiver doesn't read.
///
/// A run becomes an annotation only when it ends or reaches its maximum length, so the annotations
/// don't depend on the pieces in which the bytes arrived.
#[derive(Debug)]
pub struct Run {
    from: Role,
    what: AnnotationKind,
    start: u64,
    length: u64,
    shown: Vec<u8>,
}

impl Run {
    /// Creates an empty run. `start` is the run's offset in the sender's byte stream.
    pub fn new(from: Role, what: AnnotationKind, start: u64) -> Run {
        Run { from, what, start, length: 0, shown: Vec::new() }
    }

    /// Adds bytes to the run. Whenever the run reaches its maximum length, passes the run's
    /// annotation to `report` and begins a new run.
    pub fn push(&mut self, mut bytes: &[u8], report: &mut dyn FnMut(Annotation)) {
        while !bytes.is_empty() {
            let room = usize::try_from(MAX_RUN - self.length).unwrap_or(usize::MAX);
            let (piece, rest) = bytes.split_at(room.min(bytes.len()));
            let shown = (MAX_SHOWN - self.shown.len()).min(piece.len());
            self.shown.extend_from_slice(&piece[..shown]);
            self.length += piece.len() as u64;
            bytes = rest;
            if self.length == MAX_RUN {
                self.report_rest(report);
            }
        }
    }

    /// Reports any bytes that haven't been reported yet, in one annotation. Later bytes begin a new
    /// run.
    pub fn report_rest(&mut self, report: &mut dyn FnMut(Annotation)) {
        let next = Run::new(self.from, self.what, self.start + self.length);
        let ended = std::mem::replace(self, next);
        if ended.length > 0 {
            report(ended.annotation());
        }
    }

    fn annotation(self) -> Annotation {
        let Run { from, what, start, length, shown } = self;
        let (title, field, meaning, section) = match what {
            AnnotationKind::Unread => (
                "bytes after the end",
                "unread",
                "after an error, a Close or the last response, the receiver reads nothing more",
                "§7.1.7",
            ),
            _ => (
                "bytes of plain HTTP",
                "body",
                "the body of an HTTP message, which isn't part of WebSocket",
                "RFC 9112 §6",
            ),
        };
        let span = Span {
            bits: bits_of_bytes(0..length),
            field: field.into(),
            value: format!("{length} bytes"),
            meaning: meaning.into(),
            section,
        };
        Annotation {
            from,
            what,
            start,
            length,
            title: title.into(),
            message_kind: None,
            bytes: shown,
            payload: Vec::new(),
            inflated: None,
            spans: vec![span],
            verdict: Verdict::Fine,
        }
    }
}

/// Converts a range of bytes to the range of their bits, such as `1..3` to `8..24`.
pub(crate) fn bits_of_bytes(bytes: Range<u64>) -> Range<u64> {
    bytes.start * 8..bytes.end * 8
}

/// Turns a peer's bytes into text that is safe to show: at most the first `most` characters,
/// escaped, followed by `...` if there are more. Invalid UTF-8 becomes U+FFFD.
pub(crate) fn visible(bytes: &[u8], most: usize) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * most)]);
    let mut shown: String = text.chars().take(most).flat_map(escape_char).collect();
    if text.chars().nth(most).is_some() || bytes.len() > 4 * most {
        shown += "...";
    }
    shown
}

/// Turns a peer's bytes into quoted text that is safe to show: at most the first 400 characters.
/// Escapes them as [`visible`] does.
pub(crate) fn quoted(bytes: &[u8]) -> String {
    format!("\"{}\"", visible(bytes, 400))
}

/// Formats the first `most` bytes as pairs of hex digits, followed by `...` if there are more
/// bytes.
pub(crate) fn hex(bytes: &[u8], most: usize) -> String {
    let mut digits: Vec<String> =
        bytes.iter().take(most).map(|byte| format!("{byte:02x}")).collect();
    if bytes.len() > most {
        digits.push("...".into());
    }
    digits.join(" ")
}
