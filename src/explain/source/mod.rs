//! Finds the code behind each byte: the lines of this crate that decided about a field, and the
//! rule that these lines enforce.
//!
//! ```text
//! span, verdict ─► deciding_anchor ─► Anchor: file, function, a few words ─► Passage: the lines, some marked
//! annotation ────► trace ─► the anchors that this frame or head passed, with its own values
//! ```
//!
//! Rules of this folder:
//! - The program contains its own source (`include_str!`), so the code on display is the code that
//!   runs.
//! - An anchor names a function and a few words in it, never a line number. The marked lines are
//!   the statement with those words, and the comment above it, which names the rule.
//! - A test checks that each anchor is found exactly once, and that its marked lines name its rule.

pub mod deciding_anchor;
pub mod trace;

/// The comment marker before each source excerpt that a walkthrough chapter shows. The text is
/// split in two, so that this line isn't a marker itself.
const CHAPTER_MARKER: &str = concat!("// ", "WALK: ");

/// A name for lines of ws101's source: those that decide what a field means, or whether bytes break
/// a rule.
#[derive(Debug)]
pub struct Anchor {
    /// The anchor's unique name, such as `opcode`. Links refer to the anchor by this name.
    pub id: &'static str,
    /// The path of the source file, relative to `src`.
    pub file: &'static str,
    /// The name of the function that contains the anchor's lines, such as `Header::parse`.
    pub function: &'static str,
    /// A few words that locate the deciding statement. Empty if the anchor covers the whole
    /// function.
    words: &'static str,
    /// The RFC section whose rule the anchor's lines enforce, such as `RFC 7692 §7.2`. A section
    /// without an RFC number belongs to RFC 6455. Empty if no RFC has such a rule.
    pub section: &'static str,
    /// The file name of the walkthrough chapter that explains the anchor's lines.
    chapter: &'static str,
}

/// The source of the function that an anchor points to, ready to be shown.
#[derive(Debug)]
pub struct Passage {
    /// The anchor that points to the marked lines.
    pub anchor: &'static Anchor,
    /// All lines of the function, with the anchor's own lines marked.
    pub lines: Vec<Line>,
    /// The walkthrough's chapter and paragraph that explain the marked lines.
    pub chapter: Chapter,
}

/// One line of the function that an anchor points to.
#[derive(Debug)]
pub struct Line {
    /// The number of this line in its source file, counted from 1.
    pub number: usize,
    /// The text of this line, without the function's indentation.
    pub text: &'static str,
    /// Whether this is one of the anchor's own lines, which are marked when the passage is shown.
    pub is_marked: bool,
}

/// A chapter of the walkthrough, with one paragraph that explains an anchor's source lines.
#[derive(Debug)]
pub struct Chapter {
    /// The name of the chapter's file, in `src/walkthrough`.
    pub file: &'static str,
    /// The title of the chapter.
    pub title: &'static str,
    /// The text of the explaining paragraph, without Markdown.
    pub text: String,
}

impl Anchor {
    /// Returns the anchor named `id`, or `None` if there's no such anchor.
    pub fn named(id: &str) -> Option<&'static Anchor> {
        ANCHORS.iter().find(|anchor| anchor.id == id)
    }

    /// Returns all anchors, in the order in which a connection executes their lines.
    pub fn all() -> &'static [Anchor] {
        ANCHORS
    }

    /// Returns the function that this anchor points to, with the anchor's lines marked. Fails if
    /// the file, the function or a single line with the anchor's words can't be found: the error
    /// says which.
    pub fn passage(&'static self) -> Result<Passage, String> {
        let lost =
            |what: &str| format!("{}: {what} of {} in src/{}", self.id, self.function, self.file);
        let text = source_without_tests(self.file).ok_or_else(|| lost("no file"))?;
        let all: Vec<&'static str> = text.lines().collect();
        let (first, last) =
            find_function(&all, self.function).ok_or_else(|| lost("no function"))?;
        let lines = &all[first..=last];
        let (from, to) = match self.words {
            "" => (0, lines.len() - 1),
            words => find_statement(lines, words)
                .ok_or_else(|| lost(&format!("no single line with {words:?}")))?,
        };
        let depth = indent(lines[0]);
        let line = |(index, line): (usize, &&'static str)| {
            // The markers of the chapters' excerpts aren't shown.
            let text = line.split(CHAPTER_MARKER).next().unwrap_or_default();
            let is_mark = text.trim().is_empty() && !line.is_empty();
            (!is_mark).then(|| Line {
                number: first + index + 1,
                text: text.get(depth..).unwrap_or_default().trim_end(),
                is_marked: (from..=to).contains(&index),
            })
        };
        let lines = lines.iter().enumerate().filter_map(line).collect();
        Ok(Passage { anchor: self, lines, chapter: self.chapter() })
    }

    /// Returns the anchor's chapter with one paragraph: the first that names the anchor's function,
    /// else the first that names the anchor's RFC section, else the chapter's first.
    fn chapter(&self) -> Chapter {
        let found = CHAPTERS.iter().find(|(file, _)| *file == self.chapter);
        let (file, text) = found.copied().unwrap_or_default();
        let title = text.lines().next().unwrap_or_default().trim_start_matches("# ");
        let name = self.function.rsplit("::").next().unwrap_or_default();
        let section = self.section.rsplit(' ').next().unwrap_or_default();
        let is_prose = |paragraph: &&str| {
            paragraph.len() > 60 && !paragraph.starts_with(['<', '#', '|', '`', '-', '>', '*', ' '])
        };
        let prose: Vec<&str> = text.split("\n\n").filter(is_prose).collect();
        let names = |paragraph: &&&str| paragraph.contains(&format!("`{name}`"));
        let rules = |paragraph: &&&str| mentions_section(paragraph, section);
        let chosen = prose.iter().find(names).or(prose.iter().find(rules)).or(prose.first());
        Chapter { file, title, text: strip_markdown(chosen.unwrap_or(&"")) }
    }
}

impl Passage {
    /// Returns whether the passage's marked lines name this RFC section. If the lines name no
    /// section at all, this checks the opening comment of the file instead.
    pub fn names_section(&self, section: &str) -> bool {
        let marked = self.lines.iter().filter(|line| line.is_marked).map(|line| line.text);
        let marked: Vec<&str> = marked.collect();
        let marked = marked.join("\n");
        let text = source_without_tests(self.anchor.file).unwrap_or_default();
        let opening: Vec<&str> = text.lines().take_while(|line| line.starts_with("//!")).collect();
        let (rfc, section) = match section.rsplit_once(' ') {
            Some((rfc, section)) => (rfc, section),
            None => ("", section),
        };
        let text = if marked.contains('§') { marked } else { opening.join("\n") };
        text.contains(rfc) && mentions_section(&text, section)
    }
}

/// Returns whether a text names exactly this RFC section: for §5.1, neither §5.11 nor §5.1.2
/// counts.
fn mentions_section(text: &str, section: &str) -> bool {
    text.match_indices(section).any(|(at, _)| {
        let after = &text[at + section.len()..];
        let is_more = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
        !is_more(after) && !after.strip_prefix('.').is_some_and(is_more)
    })
}

/// Returns the source of the file `name` in `src`, without its tests. Returns `None` if no anchor
/// points to this file.
fn source_without_tests(name: &str) -> Option<&'static str> {
    let (_, text) = FILES.iter().find(|(file, _)| *file == name)?;
    text.split("\n#[cfg(test)]\nmod tests").next()
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Finds a function in a file, with the comments and attributes above it. Returns the indexes of
/// the first and last line. Returns `None` unless exactly one function has this name.
fn find_function(lines: &[&str], function: &str) -> Option<(usize, usize)> {
    let (of, name) = function.split_once("::").unwrap_or(("", function));
    let mut found = None;
    let mut inside = "";
    for (index, line) in lines.iter().enumerate() {
        if indent(line) == 0 && !line.is_empty() {
            inside = line;
        }
        if !is_function(line, name) || !is_in_impl(inside, line, of) {
            continue;
        }
        if found.is_some() {
            return None;
        }
        found = Some(index);
    }
    let at = found?;
    let is_before = |line: &&&str| line.trim_start().starts_with(['/', '#']);
    let first = at - lines[..at].iter().rev().take_while(is_before).count();
    let depth = indent(lines[at]);
    let is_end = |line: &&str| indent(line) == depth && line.trim_start().starts_with('}');
    let length = match lines[at].ends_with('}') {
        true => 0,
        false => lines[at..].iter().position(is_end)?,
    };
    Some((first, at + length))
}

fn is_function(line: &str, name: &str) -> bool {
    let words = line.trim_start().trim_start_matches("pub(crate) ").trim_start_matches("pub ");
    let rest = words.trim_start_matches("const ").strip_prefix("fn ");
    rest.and_then(|rest| rest.strip_prefix(name)).is_some_and(|rest| rest.starts_with(['(', '<']))
}

/// Returns whether a line is inside an `impl` block of the type `of`, or outside all blocks if `of`
/// is empty. `block` is the first line of the surrounding block.
fn is_in_impl(block: &str, line: &str, of: &str) -> bool {
    match of {
        "" => indent(line) == 0,
        of => {
            let block = block.strip_prefix("impl").filter(|_| indent(line) > 0).unwrap_or_default();
            block.split(|c: char| !c.is_alphanumeric()).any(|word| word == of)
        }
    }
}

/// Finds the statement that contains these words, with the nearest comment above, unless a blank
/// line separates the two. Returns the indexes of the first and last line. Returns `None` unless
/// exactly one line contains the words.
fn find_statement(lines: &[&str], words: &str) -> Option<(usize, usize)> {
    let mut found = lines.iter().enumerate().filter(|(_, line)| line.contains(words));
    let (at, _) = found.next().filter(|_| found.next().is_none())?;
    let is_comment = |line: &str| line.trim_start().starts_with("//");
    let mut from = at;
    while from > 0 && !is_comment(lines[from]) && !lines[from - 1].is_empty() {
        from -= 1;
    }
    match is_comment(lines[from]) && !lines[from].trim_start().starts_with("///") {
        true => {
            while from > 0 && is_comment(lines[from - 1]) {
                from -= 1;
            }
        }
        // There's no comment above, so the statement stands alone.
        false => from = at,
    }
    let depth = indent(lines[from]);
    let ends = |line: &&str| indent(line) <= depth && line.ends_with(['}', ';', ',']);
    let length = lines[at..].iter().position(ends).unwrap_or(0);
    Some((from, at + length))
}

/// Converts Markdown to plain text: replaces links with their text, and removes other markup.
fn strip_markdown(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('[') {
        let (before, link) = rest.split_at(start);
        out += before;
        match link.split_once(']') {
            Some((name, after)) => {
                out += &name[1..];
                rest = match after.strip_prefix('(').and_then(|target| target.split_once(')')) {
                    Some((_, after)) => after,
                    None => after,
                };
            }
            None => {
                out += link;
                rest = "";
            }
        }
    }
    out += rest;
    out.replace(['`', '*'], "").split_whitespace().collect::<Vec<_>>().join(" ")
}

macro_rules! files {
    ($folder:literal, $($file:literal,)*) => {
        &[$(($file, include_str!(concat!($folder, $file)))),*]
    };
}

/// The source files that anchors point to, each as its path and its text.
const FILES: &[(&str, &str)] = files![
    "../../",
    "http/head.rs",
    "http/request.rs",
    "handshake/accept_key.rs",
    "handshake/client.rs",
    "handshake/deflate_params.rs",
    "handshake/server.rs",
    "frames/assembler.rs",
    "frames/close.rs",
    "frames/decoder.rs",
    "frames/deflate/mod.rs",
    "frames/header.rs",
    "frames/mask.rs",
    "frames/utf8.rs",
    "explain/frames/deflate_spans.rs",
    "explain/frames/mod.rs",
    "explain/heads/body_end.rs",
    "connection/keepalive.rs",
    "connection/pending_control.rs",
    "connection/read_half.rs",
    "connection/websocket.rs",
    "connection/write_half.rs",
];

/// The walkthrough chapters that anchors refer to, each as its file name and its text.
const CHAPTERS: &[(&str, &str)] = files![
    "../../walkthrough/",
    "01_the_request.md",
    "02_the_decision.md",
    "03_the_101.md",
    "04_the_frame.md",
    "05_the_mask.md",
    "06_messages.md",
    "07_closing.md",
    "08_threads.md",
    "09_attacks_and_limits.md",
    "10_the_client.md",
    "11_compression.md",
];

const fn anchor(
    id: &'static str,
    (file, function): (&'static str, &'static str),
    words: &'static str,
    section: &'static str,
    chapter: &'static str,
) -> Anchor {
    Anchor { id, file, function, words, section, chapter }
}

/// The file and the name of each function that several anchors share.
mod functions {
    pub const SCAN: (&str, &str) = ("http/head.rs", "Scan::advance");
    pub const PARSE_REQUEST: (&str, &str) = ("http/request.rs", "Request::parse");
    pub const DECIDE: (&str, &str) = ("handshake/server.rs", "decide");
    pub const VERIFY: (&str, &str) = ("handshake/client.rs", "ClientRequest::verify_with_offers");
    pub const HEADER: (&str, &str) = ("frames/header.rs", "Header::parse");
    pub const FRAGMENT: (&str, &str) = ("frames/assembler.rs", "Assembler::begin_data_frame");
    pub const APPEND: (&str, &str) = ("frames/assembler.rs", "Assembler::append");
    pub const CLOSE: (&str, &str) = ("frames/close.rs", "Close::parse");
    pub const INFLATE: (&str, &str) = ("frames/deflate/mod.rs", "Inflater::inflate");
    pub const PARAMETERS: (&str, &str) = ("handshake/deflate_params.rs", "DeflateParams::parse");
    pub const PARAMETER_ANSWER: (&str, &str) =
        ("handshake/deflate_params.rs", "DeflateParams::answer");
    pub const PARAMETER_CHECK: (&str, &str) =
        ("handshake/deflate_params.rs", "DeflateParams::check_answer");
    pub const VERSION: (&str, &str) = ("handshake/server.rs", "check_version");
    pub const STEP: (&str, &str) = ("frames/decoder.rs", "Decoder::step");
    pub const RECEIVE: (&str, &str) = ("connection/read_half.rs", "ReadHalf::next_event");
}

use functions::*;

const C01: &str = "01_the_request.md";
const C02: &str = "02_the_decision.md";
const C03: &str = "03_the_101.md";
const C04: &str = "04_the_frame.md";
const C05: &str = "05_the_mask.md";
const C06: &str = "06_messages.md";
const C07: &str = "07_closing.md";
const C08: &str = "08_threads.md";
const C09: &str = "09_attacks_and_limits.md";
const C10: &str = "10_the_client.md";
const C11: &str = "11_compression.md";

/// All anchors, in the order in which a connection executes their lines.
const ANCHORS: &[Anchor] = &[
    // These anchors are for the head of a request.
    anchor("head.end", SCAN, "self.scanned > EMPTY_LINE.len()", "RFC 9112 §2.2", C01),
    anchor("head.bytes", SCAN, "_ => return Err(refusal_of_bad_byte", "RFC 9112 §2.2", C01),
    anchor("head.size", ("http/head.rs", "refusal_too_large"), "", "RFC 9112 §2.2", C09),
    anchor("head.field", ("http/head.rs", "check_field"), "", "RFC 9112 §5", C01),
    anchor("request.line", PARSE_REQUEST, "Some([b'1', b'.'", "RFC 9112 §3", C01),
    anchor("request.words", PARSE_REQUEST, "let mut words", "RFC 9112 §3", C01),
    anchor("request.target", PARSE_REQUEST, "target.contains('#')", "§3", C01),
    // These anchors are for the server's decision.
    anchor(
        "method",
        ("handshake/server.rs", "check_method"),
        "match request.method()",
        "§4.1",
        C02,
    ),
    anchor(
        "http.version",
        ("handshake/server.rs", "check_http_version"),
        "\"HTTP/1.0\" => Err",
        "§4.2.1",
        C02,
    ),
    anchor(
        "body",
        ("handshake/server.rs", "check_body_end"),
        "let no_length",
        "RFC 9112 §11.2",
        C02,
    ),
    anchor(
        "host",
        ("handshake/server.rs", "check_host"),
        "head.only(\"Host\")",
        "RFC 9112 §3.2",
        C02,
    ),
    anchor("upgrade", DECIDE, "\"Upgrade\", \"websocket\"", "§4.2", C02),
    anchor(
        "connection",
        ("handshake/server.rs", "check_connection"),
        "head.list_contains(",
        "§4.2.1",
        C02,
    ),
    anchor("version", VERSION, "== Some(VERSION)", "§4.2.1", C02),
    anchor("draft", VERSION, "\"the draft of 2010\"", "§4.4", C02),
    anchor("key", ("handshake/server.rs", "check_key"), "accept_key::decode_key", "§4.2.1", C02),
    anchor("origin", ("handshake/server.rs", "check_origin"), "let sent", "§10.2", C02),
    anchor("path", ("handshake/server.rs", "check_path"), "match listed.is_empty()", "§4.2.2", C02),
    anchor(
        "subprotocol",
        ("handshake/server.rs", "choose_subprotocol"),
        "let chosen",
        "§4.2.2",
        C02,
    ),
    anchor(
        "extensions",
        ("handshake/deflate_params.rs", "choose_answer"),
        "extension::parse(head)",
        "§9.1",
        C11,
    ),
    anchor(
        "offer",
        ("handshake/deflate_params.rs", "choose_answer"),
        "let mut offers",
        "RFC 7692 §5",
        C11,
    ),
    anchor("parameter", PARAMETERS, "_ => return None", "RFC 7692 §7.1", C11),
    anchor(
        "takeover",
        PARAMETER_ANSWER,
        "server_no_context_takeover: offer",
        "RFC 7692 §7.1.1.1",
        C11,
    ),
    anchor("window.server", PARAMETER_ANSWER, "Some(asked.min(ours))", "RFC 7692 §7.1.2.1", C11),
    anchor(
        "window.client",
        PARAMETER_ANSWER,
        "let client_max_window_bits",
        "RFC 7692 §7.1.2.2",
        C11,
    ),
    anchor("parameter.twice", PARAMETERS, "seen.contains", "RFC 7692 §7.1", C11),
    // These anchors are for the 101 and the client's checks of it.
    anchor(
        "accept.computed",
        ("handshake/accept_key.rs", "accept"),
        "chain_update(GUID)",
        "§1.3",
        C03,
    ),
    anchor("101", ("handshake/server.rs", "Agreement::response"), "", "§4.2.2", C03),
    anchor("status.line", ("handshake/client.rs", "status_of"), "", "RFC 9112 §4", C10),
    anchor("status", VERIFY, "let status = status_of", "§4.1", C10),
    anchor("status.version", VERIFY, "\"a 101 of HTTP/1.0\"", "RFC 9110 §7.8", C10),
    anchor("interim", ("handshake/client.rs", "is_interim"), "", "RFC 9110 §15.2", C10),
    anchor("answer.upgrade", VERIFY, "wrong_101(head, \"Upgrade\"", "§4.1", C10),
    anchor("answer.connection", VERIFY, "wrong_101(head, \"Connection\"", "§4.1", C10),
    anchor("answer.accept", VERIFY, "wrong_101(head, \"Sec-WebSocket-Accept\"", "§4.1", C10),
    anchor("answer.subprotocol", VERIFY, "let is_offered", "§4.1", C10),
    anchor(
        "answer.extensions",
        ("handshake/deflate_params.rs", "verify_answer"),
        "let [first",
        "§4.1",
        C11,
    ),
    anchor(
        "answer.offer",
        ("handshake/deflate_params.rs", "verify_answer"),
        "params.check_answer(first)",
        "RFC 7692 §7.1",
        C11,
    ),
    anchor(
        "answer.window.server",
        PARAMETER_CHECK,
        "\"a server_max_window_bits",
        "RFC 7692 §7.1.2.1",
        C11,
    ),
    anchor(
        "answer.window.client",
        PARAMETER_CHECK,
        "\"a client_max_window_bits",
        "RFC 7692 §7.1.2.2",
        C11,
    ),
    anchor("http.body", ("explain/heads/body_end.rs", "Body::announced"), "", "RFC 9112 §6", C02),
    // These anchors are for the headers of frames.
    anchor(
        "read",
        ("connection/read_half.rs", "ReadHalf::wait_for_bytes"),
        "stream.read(",
        "",
        C06,
    ),
    anchor("first.byte", HEADER, "let opcode = Opcode::parse", "§5.2", C04),
    anchor(
        "opcode",
        ("frames/header.rs", "Opcode::parse"),
        "Violation::UnknownOpcode",
        "§5.2",
        C04,
    ),
    anchor("reserved", HEADER, "Violation::ReservedBits", "§5.2", C04),
    anchor("control.whole", HEADER, "Violation::ControlFragmented", "§5.5", C04),
    anchor("masked", HEADER, "Violation::NotMasked", "§5.1", C05),
    anchor("control.short", HEADER, "Violation::ControlTooLong", "§5.5", C04),
    anchor("length", HEADER, "length => (u64::from(length), 0)", "§5.2", C04),
    anchor("length.top", HEADER, "Violation::LengthTopBit", "§5.2", C04),
    anchor("length.least", HEADER, "Violation::LengthNotMinimal", "§5.2", C04),
    anchor("fragment", ("frames/assembler.rs", "Assembler::check_order"), "", "§5.4", C06),
    anchor("fragment.count", FRAGMENT, "Violation::TooManyFragments", "§5.4", C09),
    anchor("message.size", FRAGMENT, "Violation::MessageTooLong", "§10.4", C09),
    anchor(
        "opaque",
        ("explain/frames/mod.rs", "FrameExplainer::begin_frame"),
        "Opcode::Binary as u8",
        "§9.2",
        C04,
    ),
    // These anchors are for payloads.
    anchor("unmask", STEP, "mask::apply", "", C05),
    anchor("mask", ("frames/mask.rs", "apply"), "", "§5.3", C05),
    anchor("inflate", INFLATE, "status.map_err", "RFC 7692 §7.2", C11),
    anchor("inflate.size", INFLATE, "Violation::MessageTooLong", "RFC 7692 §7.2", C11),
    anchor("inflate.blocks", INFLATE, "Violation::TooManyLastBlocks", "RFC 7692 §7.2.3.4", C11),
    anchor(
        "inflate.end",
        ("frames/deflate/mod.rs", "Inflater::finish"),
        "&TAIL[..]",
        "RFC 7692 §7.2.2",
        C11,
    ),
    anchor(
        "block",
        ("explain/frames/deflate_spans.rs", "describe_block"),
        "",
        "RFC 1951 §3.2.3",
        C11,
    ),
    anchor("text", ("frames/utf8.rs", "Text::push"), "check(whole)", "§8.1", C06),
    anchor("text.character", ("frames/utf8.rs", "Text::push_to_incomplete"), "", "§8.1", C06),
    anchor("text.end", ("frames/utf8.rs", "Text::finish"), "", "§8.1", C06),
    anchor("text.message", APPEND, "Violation::TextNotUtf8", "§5.4", C06),
    anchor("binary", APPEND, "self.bytes.extend_from_slice", "§5.4", C06),
    anchor("message", ("frames/assembler.rs", "Assembler::finish"), "", "§5.4", C06),
    anchor("close.code", CLOSE, "Violation::CloseCode(code)", "§5.5.1", C07),
    anchor("close.half", CLOSE, "Violation::CloseOfOneByte", "§5.5.1", C07),
    anchor("close.reason", CLOSE, "Violation::ReasonNotUtf8", "§5.5.1", C07),
    // These anchors are for what the connection does with decoded frames.
    anchor("event", STEP, "Event::Message(self.message.finish", "", C06),
    anchor("ended", ("frames/decoder.rs", "Decoder::next_event"), "", "§7.1.7", C07),
    anchor("receive", RECEIVE, "return Ok(Some(event))", "", C06),
    anchor("ping", RECEIVE, "self.write_half.pong(payload)", "§5.5.2", C08),
    anchor("pong.sent", ("connection/write_half.rs", "WriteHalf::pong"), "", "", C08),
    anchor(
        "pong.pending",
        ("connection/pending_control.rs", "PendingControl::set_pong"),
        "",
        "§5.5.3",
        C08,
    ),
    anchor("pong", ("connection/keepalive.rs", "Keepalive::note_pong"), "", "§5.5.3", C08),
    anchor("close", ("connection/read_half.rs", "ReadHalf::answer_peer_close"), "", "§5.5.1", C07),
    anchor("violation", RECEIVE, "self.write_half.fail(", "§7.1.7", C07),
    anchor("handler", ("connection/websocket.rs", "WebSocket::recv"), "", "", C06),
];
