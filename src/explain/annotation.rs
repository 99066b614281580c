//! What is told of a head or a frame: its bytes, a span for each part of them, and the verdict.
//!
//! ```text
//! 81 85 37 fa 21 3d 7f 9f 4d 51 58      bytes, as they travelled
//! |FIN|RSV1|RSV2-3|opcode|MASK|length|mask key|payload|      spans
//! ```
//!
//! Rules of this file:
//! - Spans are counted in bits from the beginning of the annotation, as the pictures of the RFC are.
//!   They tile it: none is missing, none overlaps, whatever the bytes are.
//! - Accounts tile their direction of a conversation in the same way.
//! - A verdict is the protocol's own: its refusal, rejection or violation, with its diagnostic.

use std::ops::Range;

use crate::diagnostic::Diagnostic;
use crate::diagnostic::escaped;
use crate::frames::header::Role;
use crate::frames::violation::Violation;
use crate::handshake::client::HandshakeError;
use crate::http::refusal::Refusal;

/// How much of each annotation is kept to be shown; what is longer is told by its length.
pub const SHOWN: usize = 4096;

/// A part of an annotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Where: bits from the beginning of the annotation.
    pub bits: Range<u64>,
    /// What it is called.
    pub field: String,
    /// What stands there.
    pub value: String,
    /// What that says.
    pub meaning: String,
    /// Where the rule stands.
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
    /// What follows a head that opened no WebSocket.
    Body,
    /// What follows the end: nobody reads it.
    Unread,
}

/// What the protocol says of it.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// Nothing is wrong.
    Fine,
    /// It is cut: what is missing.
    Missing(String),
    /// A request that a server refuses.
    Refused(Refusal),
    /// A response that a client does not take.
    Rejected(HandshakeError),
    /// A frame that breaks a rule.
    Broken(Violation),
}

impl Verdict {
    /// The diagnostic, if there is one to be learnt.
    pub fn diagnostic(&self) -> Option<Diagnostic> {
        match self {
            Verdict::Fine | Verdict::Missing(_) => None,
            Verdict::Refused(refusal) => Some(refusal.diagnostic().clone()),
            Verdict::Rejected(rejection) => Some((*rejection.diagnostic).clone()),
            Verdict::Broken(violation) => Some(violation.diagnostic()),
        }
    }

    /// The status or the close code that tells it to the peer.
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
    /// Its first bytes, at most [`SHOWN`] of them.
    pub bytes: Vec<u8>,
    /// How many bytes it has.
    pub length: u64,
}

/// What is told of a head, a frame, or a run of bytes that is neither.
#[derive(Clone, Debug)]
pub struct Annotation {
    /// Who sent it.
    pub from: Role,
    /// What it is.
    pub what: What,
    /// How many bytes went before it, in its direction.
    pub start: u64,
    /// How many bytes it has.
    pub length: u64,
    /// It in one line.
    pub title: String,
    /// Its bytes as they travelled, the first [`SHOWN`] of them.
    pub bytes: Vec<u8>,
    /// The payload of a frame, its mask taken off; no more of it than of the bytes.
    pub payload: Vec<u8>,
    /// What a compressed payload inflates to, if this build can look inside.
    pub inflated: Option<Inflated>,
    /// Its parts.
    pub spans: Vec<Span>,
    /// Whether it may stand there.
    pub verdict: Verdict,
}

/// An annotation of bytes that are not taken apart.
pub fn run(from: Role, what: What, start: u64, bytes: &[u8]) -> Annotation {
    let length = bytes.len() as u64;
    let (title, meaning) = match what {
        What::Unread => ("bytes behind the end", "nobody reads what follows an error or a Close"),
        _ => ("bytes of plain HTTP", "a body: it is no WebSocket, so it is not taken apart"),
    };
    let field = if what == What::Unread { "unread" } else { "body" };
    let (value, section) =
        (format!("{length} bytes"), if what == What::Unread { "§7.1.7" } else { "RFC 9112 §6" });
    let span = Span {
        bits: bits(0..length),
        field: field.into(),
        value,
        meaning: meaning.into(),
        section,
    };
    let shown = bytes[..bytes.len().min(SHOWN)].to_vec();
    let (payload, spans, verdict) = (Vec::new(), vec![span], Verdict::Fine);
    Annotation {
        from,
        what,
        start,
        length,
        title: title.into(),
        bytes: shown,
        payload,
        inflated: None,
        spans,
        verdict,
    }
}

/// Bytes to bits.
pub(crate) fn bits(bytes: Range<u64>) -> Range<u64> {
    bytes.start * 8..bytes.end * 8
}

/// Text of a peer, made safe to be shown, and cut short.
pub(crate) fn visible(bytes: &[u8], most: usize) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * most)]);
    let mut shown: String = text.chars().take(most).flat_map(escaped).collect();
    if text.chars().nth(most).is_some() || bytes.len() > 4 * most {
        shown += "...";
    }
    shown
}

/// A text of a peer between quotes.
pub(crate) fn quoted(bytes: &[u8]) -> String {
    format!("\"{}\"", visible(bytes, 400))
}

/// Bytes as people write them: two digits each, no more than so many.
pub(crate) fn hex(bytes: &[u8], most: usize) -> String {
    let mut digits: Vec<String> =
        bytes.iter().take(most).map(|byte| format!("{byte:02x}")).collect();
    if bytes.len() > most {
        digits.push("...".into());
    }
    digits.join(" ")
}
