//! Writes annotations and passages of source code as JSON, for a page that shows them, such as the
//! playground's. This file builds the JSON by hand, without a library.
//!
//! ```text
//! {"from":"client","what":"frame","start":0,"length":7,"title":"text, 1 bytes, masked",
//!  "bytes":"8181...","payload":"61","inflated":null,
//!  "spans":[{"from":0,"to":1,"field":"FIN",...,"code":"fragment"}],
//!  "verdict":{"kind":"fine"},"walk":[{"code":"read","says":"7 bytes, ...","wrong":false},...]}
//! ```

use super::annotation::{Annotation, AnnotationKind, Span, Verdict};
use super::source::anchors::Anchor;
use super::source::steps::{Step, steps};
use super::source::{Passage, anchor_lookup};
use crate::frames::header::Role;

/// Returns an annotation (the explanation of a head or frame) as a JSON object. Each span names the
/// anchor of the source lines that read or validate its field. If the bytes break a rule, the
/// verdict names the anchor of the lines that detect it. `walk` lists the steps that ws101's code
/// takes to handle the bytes.
pub fn annotation(annotation: &Annotation) -> String {
    let what = match annotation.what {
        AnnotationKind::Request => "request",
        AnnotationKind::Response => "response",
        AnnotationKind::Frame => "frame",
        AnnotationKind::Body => "body",
        AnnotationKind::Unread => "unread",
    };
    let from = match annotation.from {
        Role::Client => "client",
        Role::Server => "server",
    };
    let inflated = annotation.inflated.as_ref().map_or("null".into(), |inflated| {
        object(&[("bytes", hex(&inflated.bytes)), ("length", inflated.length.to_string())])
    });
    object(&[
        ("from", string(from)),
        ("what", string(what)),
        ("start", annotation.start.to_string()),
        ("length", annotation.length.to_string()),
        ("title", string(&annotation.title)),
        ("bytes", hex(&annotation.bytes)),
        ("payload", hex(&annotation.payload)),
        ("inflated", inflated),
        ("spans", array(annotation.spans.iter().map(|one| span(annotation, one)))),
        ("verdict", verdict(annotation)),
        ("walk", array(steps(annotation).iter().map(step))),
    ])
}

fn anchor_id(anchor: Option<&Anchor>) -> String {
    anchor.map_or("null".into(), |anchor| string(anchor.id))
}

fn step(step: &Step) -> String {
    let Step { anchor, says, is_wrong } = step;
    object(&[
        ("code", string(anchor.id)),
        ("function", string(anchor.function)),
        ("says", string(says)),
        ("wrong", is_wrong.to_string()),
    ])
}

/// Returns a passage (the source of an anchor's function) as a JSON object. The object contains the
/// function's lines, each with a flag that tells whether the anchor marks it, and the walkthrough
/// paragraph that explains the marked lines.
pub fn passage(passage: &Passage) -> String {
    let Passage { anchor, lines, chapter } = passage;
    let lines = lines.iter().map(|line| {
        object(&[
            ("number", line.number.to_string()),
            ("text", string(line.text)),
            ("marked", line.is_marked.to_string()),
        ])
    });
    object(&[
        ("id", string(anchor.id)),
        ("file", string(anchor.file)),
        ("function", string(anchor.function)),
        ("section", string(anchor.section)),
        ("lines", array(lines)),
        ("chapter", string(chapter.file)),
        ("title", string(chapter.title)),
        ("text", string(&chapter.text)),
    ])
}

fn span(annotation: &Annotation, span: &Span) -> String {
    object(&[
        ("from", span.bits.start.to_string()),
        ("to", span.bits.end.to_string()),
        ("field", string(&span.field)),
        ("value", string(&span.value)),
        ("meaning", string(&span.meaning)),
        ("section", string(span.section)),
        ("code", anchor_id(anchor_lookup::of_span(annotation, span))),
    ])
}

fn verdict(annotation: &Annotation) -> String {
    let verdict = &annotation.verdict;
    let kind = match verdict {
        Verdict::Fine => "fine",
        Verdict::Incomplete(_) => "missing",
        Verdict::Refused(_) => "refused",
        Verdict::Rejected(_) => "rejected",
        Verdict::Broken(_) => "broken",
    };
    let mut fields = vec![("kind", string(kind))];
    if let Verdict::Incomplete(what) = verdict {
        fields.push(("missing", string(what)));
    }
    fields.extend(verdict.code().map(|status| ("code", status.to_string())));
    fields.push(("place", anchor_id(anchor_lookup::of_verdict(annotation))));
    if let Some(diagnostic) = verdict.diagnostic() {
        let parts = [&*diagnostic.rule, &diagnostic.seen, diagnostic.cause, diagnostic.fix];
        fields.extend(["rule", "seen", "cause", "fix"].into_iter().zip(parts.map(string)));
    }
    object(&fields)
}

/// Returns a JSON object with these names and values. Each value must already be valid JSON. This
/// function escapes the names, which are plain text.
pub fn object(fields: &[(&str, String)]) -> String {
    let fields: Vec<String> =
        fields.iter().map(|(name, value)| format!("{}:{value}", string(name))).collect();
    format!("{{{}}}", fields.join(","))
}

/// Returns a JSON array of these values. Each value must already be valid JSON.
pub fn array(values: impl Iterator<Item = String>) -> String {
    format!("[{}]", values.collect::<Vec<_>>().join(","))
}

/// Returns a text as a JSON string (RFC 8259 §7). Also escapes `<`, so that the string is safe
/// inside an HTML page's script.
pub fn string(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '<' | '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' => {
                out += &format!("\\u{:04x}", c as u32);
            }
            _ => out.push(c),
        }
    }
    out + "\""
}

/// Returns bytes as a JSON string of hex digits, two digits per byte.
pub fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    string(&digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_can_neither_end_early_nor_close_a_script() {
        assert_eq!(
            string("a\"\\\n</script>\u{2028}\u{1F980}"),
            "\"a\\\"\\\\\\u000a\\u003c/script>\\u2028\u{1F980}\""
        );
    }
}
