//! What is said about a head or a frame: its bytes, a span for each of its parts, and the verdict.
//!
//! ```text
//! 81 85 37 fa 21 3d 7f 9f 4d 51 58                           the bytes as they were sent
//! |FIN|RSV1|RSV2-3|opcode|MASK|length|mask key|payload|      the spans
//! ```
//!
//! Rules of this file:
//! - Spans are counted in bits from the start of the annotation, as in the RFC's pictures. They
//!   cover it completely: no gap and no overlap, whatever the bytes are.
//! - In the same way, the annotations of one direction cover all its bytes.
//! - A verdict is the protocol's own: a refusal, a handshake error or a violation, with its
//!   diagnostic.

use std::ops::Range;

use crate::diagnostic::{Diagnostic, escaped};
use crate::frames::header::Role;
use crate::frames::violation::Violation;
use crate::handshake::client::HandshakeError;
use crate::http::refusal::Refusal;

/// How many bytes of each annotation are kept for display. `length` counts the others too.
pub const SHOWN: usize = 4096;
/// Bytes that aren't taken apart are reported in runs of at most this length.
const LONGEST_RUN: u64 = 64 * 1024;

/// A part of an annotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its place: bits, counted from the start of the annotation.
    pub bits: Range<u64>,
    /// The name of the field.
    pub field: String,
    /// Its value.
    pub value: String,
    /// What the value means.
    pub meaning: String,
    /// The section of an RFC that defines the field.
    pub section: &'static str,
}

/// What an annotation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The head of a request.
    Request,
    /// The head of a response.
    Response,
    /// A frame.
    Frame,
    /// The body of a request or response that opens no WebSocket.
    Body,
    /// Bytes after an error or a Close: the receiver doesn't read them.
    Unread,
}

/// Whether the bytes break a rule, and how the receiver answers.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// The bytes break no rule.
    Fine,
    /// The stream ended inside it. The text says what is missing.
    Missing(String),
    /// A request that a server refuses.
    Refused(Refusal),
    /// A response that a client doesn't accept.
    Rejected(HandshakeError),
    /// A frame that breaks a rule.
    Broken(Violation),
}

impl Verdict {
    /// The diagnostic, if the bytes break a rule.
    pub fn diagnostic(&self) -> Option<Diagnostic> {
        match self {
            Verdict::Fine | Verdict::Missing(_) => None,
            Verdict::Refused(refusal) => Some(refusal.diagnostic().clone()),
            Verdict::Rejected(rejection) => Some((*rejection.diagnostic).clone()),
            Verdict::Broken(violation) => Some(violation.diagnostic()),
        }
    }

    /// The status or the close code that the peer would get.
    pub fn code(&self) -> Option<u16> {
        match self {
            Verdict::Refused(refusal) => Some(refusal.status()),
            Verdict::Broken(violation) => Some(violation.close_code().0),
            Verdict::Fine | Verdict::Missing(_) | Verdict::Rejected(_) => None,
        }
    }
}

/// What a compressed payload inflates to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inflated {
    /// The first bytes, at most [`SHOWN`].
    pub bytes: Vec<u8>,
    /// The whole length.
    pub length: u64,
}

/// The explanation of a head, a frame, or a run of bytes that is neither.
#[derive(Clone, Debug)]
pub struct Annotation {
    /// The sender.
    pub from: Role,
    /// What it is about.
    pub what: What,
    /// How many bytes came before this one in its direction.
    pub start: u64,
    /// How many bytes it covers.
    pub length: u64,
    /// A summary in one line.
    pub title: String,
    /// The bytes as they were sent, the first [`SHOWN`] of them.
    pub bytes: Vec<u8>,
    /// The unmasked payload of a frame, as far as the bytes contain it.
    pub payload: Vec<u8>,
    /// What a compressed payload inflates to, if this build can inflate.
    pub inflated: Option<Inflated>,
    /// Its parts.
    pub spans: Vec<Span>,
    /// Whether it breaks a rule.
    pub verdict: Verdict,
}

/// Bytes of one direction that are only counted: a body, or bytes after the end of the
/// conversation.
///
/// A run collects them until it ends. So the annotations don't depend on the pieces in which the
/// bytes arrived.
#[derive(Debug)]
pub struct Run {
    from: Role,
    what: What,
    start: u64,
    length: u64,
    shown: Vec<u8>,
}

impl Run {
    /// Creates an empty run that begins at byte `start` of its direction.
    pub fn new(from: Role, what: What, start: u64) -> Run {
        Run { from, what, start, length: 0, shown: Vec::new() }
    }

    /// Adds bytes. Reports the run when it has its greatest length.
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

    /// Reports the collected bytes, if there are any, and begins a new run after them.
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

/// Converts a range of bytes to a range of bits.
pub(crate) fn bits(bytes: Range<u64>) -> Range<u64> {
    bytes.start * 8..bytes.end * 8
}

/// Makes a peer's text safe to show, and shortens it to `most` characters.
pub(crate) fn visible(bytes: &[u8], most: usize) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * most)]);
    let mut shown: String = text.chars().take(most).flat_map(escaped).collect();
    if text.chars().nth(most).is_some() || bytes.len() > 4 * most {
        shown += "...";
    }
    shown
}

/// Puts a peer's text in quotes, safe to show.
pub(crate) fn quoted(bytes: &[u8]) -> String {
    format!("\"{}\"", visible(bytes, 400))
}

/// Writes up to `most` bytes as pairs of hexadecimal digits.
pub(crate) fn hex(bytes: &[u8], most: usize) -> String {
    let mut digits: Vec<String> =
        bytes.iter().take(most).map(|byte| format!("{byte:02x}")).collect();
    if bytes.len() > most {
        digits.push("...".into());
    }
    digits.join(" ")
}
