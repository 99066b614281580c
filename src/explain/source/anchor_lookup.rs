//! Finds the anchor for a field, or for a verdict that names a broken rule. An anchor is a
//! reference to lines of ws101's source: those that read or validate the field, or those that
//! detect the broken rule.
//!
//! A `match` names the anchor of each violation. For refusals and handshake errors, tables in
//! [`anchors`](super::anchors) name the anchor by the heading of the error's diagnostic.

use super::anchors::{Anchor, HANDSHAKE_ERRORS, REFUSALS, WRONG_101};
use crate::diagnostic::Diagnostic;
use crate::explain::annotation::{Annotation, AnnotationKind, Span, Verdict};
use crate::explain::frames::payload_decoder::{DONT_END_WITH_BLOCK, ENDS_INSIDE_CHARACTER};
use crate::frames::header::Opcode;
use crate::frames::violation::Violation;

/// Returns the anchor on the lines of ws101's source that read or validate this span's field.
/// Returns `None` only if the table of anchors lacks it, which would be a bug.
pub fn of_span(annotation: &Annotation, span: &Span) -> Option<&'static Anchor> {
    let id = match annotation.what {
        AnnotationKind::Frame => of_frame(annotation, span),
        AnnotationKind::Request => of_request(span),
        AnnotationKind::Response => of_response(span),
        AnnotationKind::Body => "http.body",
        AnnotationKind::Unread => "ended",
    };
    Anchor::named(id)
}

fn of_frame(annotation: &Annotation, span: &Span) -> &'static str {
    let opcode = annotation.bytes.first().map(|&first| Opcode::parse(first));
    let opcode = opcode.and_then(Result::ok);
    match (span.field.as_str(), opcode) {
        ("FIN", _) => "fragment",
        ("RSV1" | "RSV2-3", _) if span.section == "§9.2" => "opaque",
        ("RSV1" | "RSV2-3", _) => "reserved",
        ("opcode", _) => "opcode",
        ("MASK", _) => "masked",
        ("length", _) => "length",
        ("long length", _) => "length.least",
        ("mask key", _) => "mask",
        ("BTYPE" | "BFINAL" | "codes" | "table" | "padding" | "unknown", _) => "block",
        ("unread", _) => "ended",
        ("code", _) => "close.code",
        ("reason", _) | (_, Some(Opcode::Close)) => "close.reason",
        (_, Some(Opcode::Ping)) => "ping",
        (_, Some(Opcode::Pong)) => "pong",
        _ if span.section == "§9.2" => "opaque",
        _ if span.section.starts_with("RFC 7692") => "inflate.end",
        ("bad byte", _) => "text.character",
        ("incomplete", _) => "text.end",
        _ if span.meaning.contains("UTF-8") => "text",
        _ => "binary",
    }
}

fn of_request(span: &Span) -> &'static str {
    match span.field.to_ascii_lowercase().as_str() {
        "request line" => "request.line",
        "first line" => "request.words",
        "end of head" | "empty line" => "head.end",
        "host" => "host",
        "upgrade" => "upgrade",
        "connection" => "connection",
        "sec-websocket-key" => "key",
        "sec-websocket-version" => "version",
        "sec-websocket-key1" | "sec-websocket-key2" => "draft",
        "sec-websocket-accept" => "answer.accept",
        "origin" => "origin",
        "sec-websocket-protocol" => "subprotocol",
        "content-length" | "transfer-encoding" => "body",
        "sec-websocket-extensions" | "extension" if span.section == "RFC 7692 §5" => "offer",
        "sec-websocket-extensions" | "extension" | "parameter" => of_parameter(span, true),
        _ => "head.field",
    }
}

fn of_response(span: &Span) -> &'static str {
    match span.field.to_ascii_lowercase().as_str() {
        "status line" if span.section == "RFC 9110 §15.2" => "interim",
        "status line" => "status",
        "first line" => "status.line",
        "end of head" => "head.end",
        "sec-websocket-accept" => "answer.accept",
        "sec-websocket-version" => "version",
        "upgrade" => "answer.upgrade",
        "connection" => "answer.connection",
        "sec-websocket-protocol" => "answer.subprotocol",
        "content-length" | "transfer-encoding" => "http.body",
        "sec-websocket-extensions" | "extension" if span.section != "§9.1" => "answer.offer",
        "sec-websocket-extensions" | "extension" | "parameter" => of_parameter(span, false),
        _ => "head.field",
    }
}

fn of_parameter(span: &Span, is_offer: bool) -> &'static str {
    match (span.section, is_offer) {
        ("§9.1", _) => "extensions",
        ("RFC 7692 §7.1.1.1" | "RFC 7692 §7.1.1.2", _) => "takeover",
        ("RFC 7692 §7.1.2.1", true) => "window.server",
        ("RFC 7692 §7.1.2.2", true) => "window.client",
        ("RFC 7692 §7.1.2.1", false) => "answer.window.server",
        ("RFC 7692 §7.1.2.2", false) => "answer.window.client",
        _ if span.meaning.starts_with("named twice") => "parameter.twice",
        _ => "parameter",
    }
}

/// Returns the anchor of the source lines that detected the broken rule in `annotation`. Returns
/// `None` if the bytes break no rule or are merely incomplete. Also returns `None` if the tables
/// lack the heading of a refusal or handshake error, which would be a bug.
pub fn of_verdict(annotation: &Annotation) -> Option<&'static Anchor> {
    let means = |words| annotation.spans.iter().any(|span| span.meaning.contains(words));
    let is_empty = annotation.payload.is_empty();
    let has_field = |name| annotation.spans.iter().any(|span| span.field == name);
    let id = match &annotation.verdict {
        Verdict::Fine | Verdict::Incomplete(_) => return None,
        // The end of the message broke the rule, and none of its bytes did: the payload is empty,
        // or its explanation says so.
        Verdict::Broken(Violation::NotDeflate) if is_empty || means(DONT_END_WITH_BLOCK) => {
            "inflate.end"
        }
        Verdict::Broken(Violation::TextNotUtf8) if is_empty || means(ENDS_INSIDE_CHARACTER) => {
            "text.end"
        }
        Verdict::Broken(violation) => of_violation(*violation, annotation.inflated.is_some()),
        Verdict::Refused(refusal) => {
            let is_old = refusal.diagnostic().seen.contains("HTTP/1.0");
            match REFUSALS.iter().find(|(heading, _)| *heading == refusal.diagnostic_heading())? {
                (_, "request.line") if is_old => "http.version",
                (_, id) => id,
            }
        }
        Verdict::Rejected(rejection) => {
            let seen = &rejection.diagnostic.seen;
            let wrong = WRONG_101.iter().find(|(name, _)| seen.starts_with(name));
            match wrong {
                Some((_, id)) if rejection.status == Some(101) => id,
                _ => match of_handshake_error(&rejection.diagnostic)? {
                    "status.line" if !has_field("end of head") => "head.bytes",
                    "status.line" if has_field("no header") => "head.field",
                    id => id,
                },
            }
        }
    };
    Anchor::named(id)
}

/// Returns the id of the anchor on the source lines that detect this violation. `is_compressed`
/// says whether the frame belongs to a compressed message: the inflater limits the inflated size of
/// such a message, and the assembler limits the size of all others.
pub fn of_violation(violation: Violation, is_compressed: bool) -> &'static str {
    match violation {
        Violation::ReservedBits(_) => "reserved",
        Violation::UnknownOpcode(_) => "opcode",
        Violation::NotMasked | Violation::Masked => "masked",
        Violation::ControlFragmented => "control.whole",
        Violation::ControlTooLong => "control.short",
        Violation::LengthNotMinimal(_) => "length.least",
        Violation::LengthTopBit(_) => "length.top",
        Violation::NothingToContinue | Violation::MessageInsideMessage => "fragment",
        Violation::MessageTooLong(_) if is_compressed => "inflate.size",
        Violation::MessageTooLong(_) => "message.size",
        Violation::TooManyFragments(_) => "fragment.count",
        Violation::TooManyLastBlocks => "inflate.blocks",
        Violation::NotDeflate => "inflate",
        Violation::TextNotUtf8 => "text.message",
        Violation::CloseOfOneByte => "close.half",
        Violation::CloseCode(_) => "close.code",
        Violation::ReasonNotUtf8 => "close.reason",
    }
}

fn of_handshake_error(diagnostic: &Diagnostic) -> Option<&'static str> {
    let is_it = |heading: &'static str| {
        let of_heading = Diagnostic::about(heading, "");
        of_heading.rule == diagnostic.rule && of_heading.cause == diagnostic.cause
    };
    HANDSHAKE_ERRORS.iter().find(|(heading, _)| is_it(heading)).map(|(_, id)| *id)
}
