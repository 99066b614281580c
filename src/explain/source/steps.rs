//! Lists the steps in which ws101's code handles a head or a frame: the source lines of each step,
//! in order, and the values there.
//!
//! ```text
//! frame     read ─► header ─► order ─► unmask ─► inflate, UTF-8 ─► message ─► handler
//! request   scan ─► fields ─► request line ─► each check ─► accept ─► 101
//! response  scan ─► fields ─► status ─► each check of the client
//! ```
//!
//! If the code detects a broken rule, the list ends at that step. For a frame, one more step
//! describes how the connection reacts. A check without a step of its own appears only if it fails,
//! at its place in the table of [`anchors`](super::anchors). The steps are derived from the
//! annotation alone, not recorded while the code runs.

use super::anchor_lookup;
use super::anchors::Anchor;
use crate::explain::annotation::{
    Annotation, AnnotationKind, Inflated, Span, Verdict, hex, visible,
};
use crate::frames::header::{FIN, Header, Opcode, RSV1};
use crate::frames::mask;
use crate::frames::message::MessageKind;
use crate::handshake::accept_key;
use crate::http::head::Head;

/// One step in the handling of a head or frame: the lines of ws101's source, and what happened
/// there.
#[derive(Debug)]
pub struct Step {
    /// The anchor that points to the source lines of this step.
    pub anchor: &'static Anchor,
    /// A description of what happened at these lines, with values from the head or frame.
    pub says: String,
    /// Whether the code detected a broken rule at this step.
    pub is_wrong: bool,
}

/// Returns the steps that ws101's code takes to handle an annotated head or frame, in order. There
/// are none for an HTTP body and for bytes that the receiver doesn't read.
pub fn steps(annotation: &Annotation) -> Vec<Step> {
    let mut list =
        StepList { annotation, wrong: anchor_lookup::of_verdict(annotation), steps: Vec::new() };
    // Each of these functions returns early at the step whose check fails.
    let _ = match annotation.what {
        AnnotationKind::Frame => list.add_frame_steps(),
        AnnotationKind::Request => list.add_request_steps(),
        AnnotationKind::Response => list.add_response_steps(),
        AnnotationKind::Body | AnnotationKind::Unread => Some(()),
    };
    // The check that failed may have no step of its own.
    if let Some(wrong) = list.wrong
        && !list.steps.iter().any(|step| step.is_wrong)
    {
        let earlier = Anchor::all().iter().take_while(|anchor| anchor.id != wrong.id);
        let earlier: Vec<&str> = earlier.map(|anchor| anchor.id).collect();
        list.steps.retain(|step| earlier.contains(&step.anchor.id));
        let _ = list.reach(wrong.id, "");
    }
    // The connection reacts to a broken frame with a Close.
    if matches!(annotation.verdict, Verdict::Broken(_)) {
        let code = annotation.verdict.code().unwrap_or_default();
        let says = format!("a Close with {code} is sent, and nothing more is read");
        list.steps.extend(step_at("violation", says, false));
    }
    list.steps
}

/// The names of the spans that don't count as a header field: those of a head's first and last
/// line, and those of a `Sec-WebSocket-Extensions` field after its first span, which has the
/// field's name.
const NOT_FIELDS: [&str; 7] = [
    "request line",
    "status line",
    "first line",
    "empty line",
    "end of head",
    "extension",
    "parameter",
];

struct StepList<'a> {
    annotation: &'a Annotation,
    /// The anchor at which the code detects the broken rule, or `None` if the bytes break no rule.
    wrong: Option<&'static Anchor>,
    steps: Vec<Step>,
}

fn step_at(id: &str, says: String, is_wrong: bool) -> Option<Step> {
    Anchor::named(id).map(|anchor| Step { anchor, says, is_wrong })
}

impl StepList<'_> {
    /// Adds a step for the anchor `id`, with the description `says`. If the lines at this anchor
    /// detect that the bytes break a rule, the step describes this rule instead, and the result is
    /// `None`: the caller must then stop adding steps.
    fn reach(&mut self, id: &str, says: impl Into<String>) -> Option<()> {
        let is_wrong = self.wrong.is_some_and(|wrong| wrong.id == id);
        let says = match (is_wrong, self.annotation.verdict.diagnostic()) {
            (true, Some(diagnostic)) => {
                let seen = if diagnostic.seen.is_empty() { says.into() } else { diagnostic.seen };
                format!("{seen}: {}", diagnostic.rule)
            }
            _ => says.into(),
        };
        self.steps.extend(step_at(id, says, is_wrong));
        (!is_wrong).then_some(())
    }

    fn span(&self, field: &str) -> Option<&Span> {
        self.annotation.spans.iter().find(|span| span.field == field)
    }

    fn field_value(&self, field: &str) -> String {
        self.span(field).map(|span| span.value.clone()).unwrap_or_default()
    }

    fn add_frame_steps(&mut self) -> Option<()> {
        let annotation = self.annotation;
        let &first = annotation.bytes.first()?;
        let (start, length) = (annotation.start, annotation.length);
        self.reach("read", format!("{length} bytes, from byte {start} of this direction"))?;
        // 1. The first byte holds FIN, the reserved bits and the opcode.
        let (fin, rsv) = (u8::from(first & FIN != 0), first >> 4 & 0b111);
        self.reach("first.byte", format!("the first byte is {first:02x}"))?;
        let opcode = Opcode::parse(first);
        let name = opcode.map_or("unknown".into(), |opcode| opcode.to_string());
        self.reach("opcode", format!("opcode {:x}: {name}", first & 0x0f))?;
        let opcode = opcode.ok()?;
        self.reach("reserved", format!("reserved bits {rsv:03b}"))?;
        if opcode.is_control() {
            self.reach("control.whole", format!("FIN is {fin}"))?;
        } else {
            let says = match opcode {
                Opcode::Continuation => "a message has begun, and this frame continues it".into(),
                _ => format!("no message is unfinished: a {name} message begins"),
            };
            self.reach("fragment", says)?;
        }
        // 2. The second byte, the length and the key complete the header.
        let &second = annotation.bytes.get(1)?;
        self.reach("masked", format!("the second byte is {second:02x}: MASK is {}", second >> 7))?;
        if opcode.is_control() {
            self.reach("control.short", format!("the length is {}", second & 0x7f))?;
        }
        self.reach("length", format!("the short length is {}", second & 0x7f))?;
        if self.span("long length").is_some() {
            let long = self.field_value("long length");
            self.reach("length.top", format!("the long length is {long}"))?;
            self.reach("length.least", format!("the long length is {long}"))?;
        }
        let header = self.parse_frame_header()?;
        // 3. Does the message fit the limits?
        if !opcode.is_control() && annotation.inflated.is_none() {
            self.reach("message.size", format!("{} bytes announced", header.length))?;
        }
        // 4. Is the payload unmasked, and what does it say?
        if header.length > 0 {
            // A long frame's annotation doesn't keep all of its payload.
            let arrived = length - (annotation.bytes.len() - annotation.payload.len()) as u64;
            let offset = format!("{arrived} bytes of payload, from offset 0");
            self.reach("unmask", offset)?;
            if let Some(key) = header.mask {
                self.unmask(key)?;
            }
        }
        if matches!(annotation.verdict, Verdict::Incomplete(_)) {
            return Some(());
        }
        match opcode.is_control() {
            true => self.add_control_frame_steps(opcode),
            false => self.add_data_frame_steps(&header),
        }
    }

    fn parse_frame_header(&self) -> Option<Header> {
        let first = self.annotation.bytes.first()?;
        let end =
            self.annotation.spans.iter().rfind(|span| {
                matches!(span.field.as_str(), "length" | "long length" | "mask key")
            })?;
        let bytes = self.annotation.bytes.get(..(end.bits.end / 8) as usize)?;
        let bytes = [&[first & !0x70], &bytes[1..]].concat();
        let reader = self.annotation.from.other();
        Header::parse(&bytes, reader, false).ok().flatten().map(|(header, _)| header)
    }

    fn unmask(&mut self, key: mask::Key) -> Option<()> {
        let annotation = self.annotation;
        let sent = &annotation.bytes[annotation.bytes.len() - annotation.payload.len()..];
        let (sent, plain) = (hex(sent, 4), hex(&annotation.payload, 4));
        self.reach("mask", format!("key {}: {sent} becomes {plain}", hex(&key, 4)))
    }

    fn add_control_frame_steps(&mut self, opcode: Opcode) -> Option<()> {
        match opcode {
            Opcode::Ping => {
                self.reach("ping", format!("payload {}", self.field_value("payload")))?;
                self.reach("pong.sent", "if no other thread is writing, the pong is written now")?;
                self.reach("pong.pending", "otherwise it waits here for the thread that is writing")
            }
            Opcode::Pong => self.reach(
                "pong",
                format!("payload {}: is it that of our ping?", self.field_value("payload")),
            ),
            _ => {
                match self.span("code").is_some() {
                    true => {
                        self.reach("close.code", format!("code {}", self.field_value("code")))?;
                        self.reach(
                            "close.reason",
                            format!("reason {}", self.field_value("reason")),
                        )?;
                    }
                    false => self.reach("close.code", "no code, so 1005 is reported")?,
                }
                self.reach(
                    "close",
                    "our Close goes out, if it hasn't yet, and nothing more is read",
                )?;
                self.reach("handler", "recv returns None")
            }
        }
    }

    fn add_data_frame_steps(&mut self, header: &Header) -> Option<()> {
        let annotation = self.annotation;
        let Some(kind) = annotation.message_kind else {
            return self.reach("opaque", "only the agreed extension can decode the payload");
        };
        let first = annotation.bytes.first().copied().unwrap_or_default();
        let length = match &annotation.inflated {
            Some(Inflated { length, .. }) => {
                self.reach("inflate", format!("{} bytes inflate to {length}", header.length))?;
                *length
            }
            None if first & RSV1 != 0 => {
                let says = "a build without the feature `deflate` can't inflate the payload";
                return self.reach("inflate", says);
            }
            None => header.length,
        };
        match kind {
            MessageKind::Text => {
                let ends_inside_character =
                    annotation.spans.iter().any(|s| s.meaning.contains("continues in"));
                let kept = if ends_inside_character {
                    "; the start of the last character is kept"
                } else {
                    ""
                };
                self.reach("text", format!("{length} bytes are checked{kept}"))?;
                self.reach("text.message", format!("{length} bytes are appended"))?;
            }
            MessageKind::Binary => {
                self.reach("binary", format!("{length} bytes are appended"))?;
            }
        }
        if !header.fin {
            return self.reach("event", "FIN is 0: no message yet, the next frame is read");
        }
        if annotation.inflated.is_some() {
            self.reach("inflate.end", "00 00 ff ff is appended: the last block must end here")?;
        }
        self.reach("message", "the message is whole")?;
        self.reach("event", "FIN is 1: the decoder returns the message")?;
        self.reach("receive", "the reading thread passes it on")?;
        self.reach("handler", "recv returns the message to the handler")
    }

    fn add_request_steps(&mut self) -> Option<()> {
        let head = self.head()?;
        let line = head.first_line().to_owned();
        let shown = |text: &str| visible(text.as_bytes(), 80);
        self.reach("request.words", shown(&line))?;
        self.reach("request.line", format!("version {}", shown(line.rsplit(' ').next()?)))?;
        self.reach("request.target", format!("target {}", shown(line.split(' ').nth(1)?)))?;
        let field = |name: &str| match head.values(name).as_slice() {
            [] => format!("{name}: none"),
            values => format!("{name}: {}", shown(&values.join(" and "))),
        };
        self.reach("body", field("Content-Length"))?;
        self.reach("host", field("Host"))?;
        self.reach("upgrade", field("Upgrade"))?;
        if !head.list_contains("Upgrade", "websocket") {
            return Some(());
        }
        self.reach("method", format!("method {}", shown(line.split(' ').next()?)))?;
        self.reach("http.version", format!("version {}", shown(line.rsplit(' ').next()?)))?;
        self.reach("connection", field("Connection"))?;
        self.reach("version", field("Sec-WebSocket-Version"))?;
        self.reach("key", field("Sec-WebSocket-Key"))?;
        self.reach("origin", field("Origin"))?;
        let target = line.split(' ').nth(1).unwrap_or_default();
        self.reach("path", format!("path {}", shown(target.split('?').next()?)))?;
        self.reach("subprotocol", field("Sec-WebSocket-Protocol"))?;
        self.reach("extensions", field("Sec-WebSocket-Extensions"))?;
        if head.header("Sec-WebSocket-Extensions").is_some() {
            self.reach("offer", "the first offer that this server accepts, if it accepts one")?;
        }
        let accept = accept_key::accept(head.header("Sec-WebSocket-Key").unwrap_or_default());
        self.reach("accept.computed", format!("the accept is {accept}"))?;
        self.reach("101", "the answer is made")
    }

    fn add_response_steps(&mut self) -> Option<()> {
        let head = self.head()?;
        let line = visible(head.first_line().as_bytes(), 80);
        self.reach("status.line", line.clone())?;
        if self.span("status line").is_some_and(|span| span.section == "RFC 9110 §15.2") {
            return self.reach("interim", "interim, so the next head is read");
        }
        self.reach("status", line)?;
        if self.annotation.bytes.get(9..12) != Some(b"101") {
            return self.reach("http.body", "what follows is a body");
        }
        let field = |name: &str| match head.values(name).as_slice() {
            [] => format!("{name}: none"),
            values => format!("{name}: {}", visible(values.join(" and ").as_bytes(), 80)),
        };
        self.reach("answer.upgrade", field("Upgrade"))?;
        self.reach("answer.connection", field("Connection"))?;
        self.reach("answer.accept", field("Sec-WebSocket-Accept"))?;
        self.reach("answer.extensions", field("Sec-WebSocket-Extensions"))?;
        self.reach("answer.subprotocol", field("Sec-WebSocket-Protocol"))
    }

    /// Parses the head, and adds the steps that are the same for each head. Returns `None` if the
    /// head is malformed, incomplete or too large, or if its annotation keeps only some of its
    /// bytes.
    fn head(&mut self) -> Option<Head> {
        let annotation = self.annotation;
        let is_field = |span: &&Span| !NOT_FIELDS.contains(&span.field.as_str());
        let fields = annotation.spans.iter().filter(is_field).count();
        self.reach("head.bytes", format!("{} bytes, each allowed in a head", annotation.length))?;
        if matches!(annotation.verdict, Verdict::Incomplete(_)) {
            return None;
        }
        self.reach("head.end", format!("the empty line ends at byte {}", annotation.length))?;
        let noun = if fields == 1 { "field" } else { "fields" };
        self.reach("head.field", format!("{fields} {noun}, each with name and colon"))?;
        let bytes = &annotation.bytes;
        let parsed = match annotation.what {
            AnnotationKind::Response => Head::parse_response(bytes),
            _ => Head::parse(bytes.strip_prefix(b"\r\n").unwrap_or(bytes)),
        };
        parsed.ok().filter(|_| annotation.length <= bytes.len() as u64)
    }
}
