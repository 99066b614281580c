//! An annotation explains a head or a frame: it holds the bytes, a span for each part, and a
//! verdict.
//!
//! ```text
//! 81 85 37 fa 21 3d 7f 9f 4d 51 58                           the bytes as they were sent
//! |FIN|RSV1|RSV2-3|opcode|MASK|length|mask key|payload|      the spans
//! ```
//!
//! Rules of this file:
//! - A span's position is counted in bits from the start of the annotation, as in the RFC's
//!   diagrams. The spans cover the annotation without gaps or overlaps, even if the bytes break a
//!   rule.
//! - In the same way, the annotations for one direction cover all its bytes.
//! - A verdict comes from the protocol code: a refusal, a handshake error or a violation, with its
//!   diagnostic.

use std::ops::Range;

use crate::diagnostic::{Diagnostic, escaped};
use crate::frames::header::Role;
use crate::frames::violation::Violation;
use crate::handshake::client::HandshakeError;
use crate::http::refusal::Refusal;

/// The maximum number of bytes that an annotation keeps for display. Its `length` counts the later
/// bytes too.
pub const SHOWN: usize = 4096;
/// The maximum number of bytes that one annotation of a [`Run`] covers. A longer run is split into
/// several annotations.
const LONGEST_RUN: u64 = 64 * 1024;

/// One explained part of a head or a frame, such as the opcode or a header field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The position of this part, in bits from the start of the annotation.
    pub bits: Range<u64>,
    /// The name of the field, such as `opcode` or `Host`.
    pub field: String,
    /// The field's value, in a form that is safe to show.
    pub value: String,
    /// A short explanation of what the value means.
    pub meaning: String,
    /// The RFC section that defines the field. If it names no RFC, it's a section of RFC 6455.
    pub section: &'static str,
}

/// The kind of bytes that an annotation explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The bytes are the head of a request.
    Request,
    /// The bytes are the head of a response.
    Response,
    /// The bytes are a WebSocket frame.
    Frame,
    /// The bytes belong to the body of a request or response that opens no WebSocket.
    Body,
    /// The bytes come after an error or a Close, so the receiver doesn't read them.
    Unread,
}

/// The verdict on an annotation's bytes: whether they break a rule, and how their receiver answers.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// The bytes break no rule.
    Fine,
    /// The stream ended inside the head or frame. The text names what is missing.
    Missing(String),
    /// The bytes are a request that the server refuses.
    Refused(Refusal),
    /// The bytes are a response that the client doesn't accept.
    Rejected(HandshakeError),
    /// The bytes are a frame that breaks a rule.
    Broken(Violation),
}

impl Verdict {
    /// Returns the diagnostic of the broken rule, or `None` if the bytes break no rule.
    pub fn diagnostic(&self) -> Option<Diagnostic> {
        match self {
            Verdict::Fine | Verdict::Missing(_) => None,
            Verdict::Refused(refusal) => Some(refusal.diagnostic().clone()),
            Verdict::Rejected(rejection) => Some((*rejection.diagnostic).clone()),
            Verdict::Broken(violation) => Some(violation.diagnostic()),
        }
    }

    /// Returns the HTTP status or the close code with which the receiver answers a broken rule.
    /// `None` if it sends none.
    pub fn code(&self) -> Option<u16> {
        match self {
            Verdict::Refused(refusal) => Some(refusal.status()),
            Verdict::Broken(violation) => Some(violation.close_code().0),
            Verdict::Fine | Verdict::Missing(_) | Verdict::Rejected(_) => None,
        }
    }
}

/// The result of inflating a compressed payload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inflated {
    /// The first inflated bytes, at most [`SHOWN`].
    pub bytes: Vec<u8>,
    /// The total number of inflated bytes.
    pub length: u64,
}

/// The explanation of a head, a frame, or a run of bytes that is neither.
#[derive(Clone, Debug)]
pub struct Annotation {
    /// The end of the connection that sent these bytes.
    pub from: Role,
    /// The kind of bytes that this annotation explains.
    pub what: What,
    /// The number of bytes that the sender had sent before these.
    pub start: u64,
    /// The number of bytes that this annotation covers.
    pub length: u64,
    /// A one-line summary of the head or frame.
    pub title: String,
    /// The first [`SHOWN`] bytes, as they were sent.
    pub bytes: Vec<u8>,
    /// The unmasked payload of a frame, up to the last byte that `bytes` contains.
    pub payload: Vec<u8>,
    /// The inflated form of a compressed payload. `None` if the payload isn't compressed, or if
    /// this build can't inflate.
    pub inflated: Option<Inflated>,
    /// The explained parts, in order.
    pub spans: Vec<Span>,
    /// Whether the bytes break a rule.
    pub verdict: Verdict,
}

/// A run of bytes in one direction that are counted but not explained: a body, or bytes after the
/// end of the conversation.
///
/// A run becomes an annotation only when it ends or reaches its maximum length, so the annotations
/// don't depend on the pieces in which the bytes arrived.
#[derive(Debug)]
pub struct Run {
    from: Role,
    what: What,
    start: u64,
    length: u64,
    shown: Vec<u8>,
}

impl Run {
    /// Creates an empty run. `start` is the number of bytes that the sender had sent before it.
    pub fn new(from: Role, what: What, start: u64) -> Run {
        Run { from, what, start, length: 0, shown: Vec::new() }
    }

    /// Adds bytes to the run. A run that reaches its maximum length is passed to `report`, and a
    /// new one begins.
    pub fn push(&mut self, mut bytes: &[u8], report: &mut dyn FnMut(Annotation)) {
        while !bytes.is_empty() {
            let room = usize::try_from(LONGEST_RUN - self.length).unwrap_or(usize::MAX);
            let (piece, rest) = bytes.split_at(room.min(bytes.len()));
            let shown = (SHOWN - self.shown.len()).min(piece.len());
            self.shown.extend_from_slice(&piece[..shown]);
            self.length += piece.len() as u64;
            bytes = rest;
            if self.length == LONGEST_RUN {
                self.end(report);
            }
        }
    }

    /// Ends the run: passes the collected bytes to `report`, if there are any, and begins a new
    /// run.
    pub fn end(&mut self, report: &mut dyn FnMut(Annotation)) {
        let next = Run::new(self.from, self.what, self.start + self.length);
        let ended = std::mem::replace(self, next);
        if ended.length > 0 {
            report(ended.annotation());
        }
    }

    fn annotation(self) -> Annotation {
        let Run { from, what, start, length, shown } = self;
        let (title, field, meaning, section) = match what {
            What::Unread => (
                "bytes after the end",
                "unread",
                "after an error or a Close, the receiver reads nothing more",
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
            bits: bits(0..length),
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
            bytes: shown,
            payload: Vec::new(),
            inflated: None,
            spans: vec![span],
            verdict: Verdict::Fine,
        }
    }
}

/// Converts a byte range to a bit range, for a [`Span`].
pub(crate) fn bits(bytes: Range<u64>) -> Range<u64> {
    bytes.start * 8..bytes.end * 8
}

/// Turns a peer's bytes into text that is safe to show: escaped, and shortened to at most `most`
/// characters.
pub(crate) fn visible(bytes: &[u8], most: usize) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * most)]);
    let mut shown: String = text.chars().take(most).flat_map(escaped).collect();
    if text.chars().nth(most).is_some() || bytes.len() > 4 * most {
        shown += "...";
    }
    shown
}

/// Turns a peer's bytes into quoted text that is safe to show: escaped, and shortened.
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
