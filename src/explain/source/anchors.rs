//! The table of anchors. Each anchor is a reference to the lines of this crate's source that decide
//! what a field means, or whether bytes break a rule.
//!
//! Further tables name the anchor of each refusal and of each handshake error. Their key is the
//! heading of the error's diagnostic. If you add a refusal, add its anchor and its row in
//! [`REFUSALS`].

/// A reference to the lines of ws101's source that decide what a field means, or whether bytes
/// break a rule.
#[derive(Debug)]
pub struct Anchor {
    /// The anchor's unique name, such as `opcode`. The tables below and the playground's page refer
    /// to the anchor by this name.
    pub id: &'static str,
    /// The path of the source file, relative to `src`.
    pub file: &'static str,
    /// The name of the function that contains the anchor's lines, such as `Header::parse`.
    pub function: &'static str,
    /// A few words of the deciding statement. They must occur on only one line of the function.
    /// Empty if the anchor covers the whole function.
    pub(super) words: &'static str,
    /// The RFC section whose rule the anchor's lines enforce, such as `RFC 7692 §7.2`. A section
    /// without an RFC number belongs to RFC 6455. Empty if no RFC has such a rule.
    pub section: &'static str,
    /// The file name of the walkthrough chapter that explains the anchor's lines.
    pub(super) chapter: &'static str,
}

impl Anchor {
    /// Returns the anchor named `id`, or `None` if no anchor has this name.
    pub fn named(id: &str) -> Option<&'static Anchor> {
        ANCHORS.iter().find(|anchor| anchor.id == id)
    }

    /// Returns all anchors, grouped by the stages of a connection.
    pub fn all() -> &'static [Anchor] {
        ANCHORS
    }
}

const fn anchor(
    id: &'static str,
    (file, function): (&'static str, &'static str),
    words: &'static str,
    section: &'static str,
    chapter: &'static str,
) -> Anchor {
    Anchor { id, file, function, words, section, chapter }
}

/// Functions to which several anchors point. Each constant holds the function's file and its name.
mod functions {
    pub const SCAN: (&str, &str) = ("http/head.rs", "Scan::advance");
    pub const PARSE_REQUEST: (&str, &str) = ("http/request.rs", "Request::parse");
    pub const DECIDE: (&str, &str) = ("handshake/server.rs", "decide");
    pub const VERIFY: (&str, &str) = ("handshake/client.rs", "ClientRequest::verify_with_offers");
    pub const HEADER: (&str, &str) = ("frames/header.rs", "Header::parse");
    pub const FRAGMENT: (&str, &str) = ("frames/assembler.rs", "Assembler::begin_data_frame");
    pub const APPEND: (&str, &str) = ("frames/assembler.rs", "Assembler::append");
    pub const CLOSE: (&str, &str) = ("frames/close.rs", "Close::parse");
    pub const INFLATE: (&str, &str) = ("frames/deflate/inflater.rs", "Inflater::inflate");
    pub const PARAMETERS: (&str, &str) = ("handshake/deflate_params.rs", "DeflateParams::parse");
    pub const PARAMETER_ANSWER: (&str, &str) =
        ("handshake/deflate_params.rs", "DeflateParams::answer");
    pub const PARAMETER_CHECK: (&str, &str) =
        ("handshake/deflate_params.rs", "DeflateParams::check_response");
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

/// All anchors, grouped by the stages of a connection, from the request's head to the decoded
/// frames. Within a group, the checks stand in the order in which the code makes them.
const ANCHORS: &[Anchor] = &[
    // The head of a request.
    anchor("head.size", ("http/head.rs", "refusal_too_large"), "", "RFC 9112 §2.2", C09),
    anchor("head.bytes", SCAN, "_ => return Err(refusal_of_bad_byte", "RFC 9112 §2.2", C01),
    anchor("head.end", SCAN, "self.scanned > EMPTY_LINE.len()", "RFC 9112 §2.2", C01),
    anchor("head.field", ("http/head.rs", "check_field"), "", "RFC 9112 §5", C01),
    anchor("request.words", PARSE_REQUEST, "let mut words", "RFC 9112 §3", C01),
    anchor("request.line", PARSE_REQUEST, "Some([b'1', b'.'", "RFC 9112 §3", C01),
    anchor("request.target", PARSE_REQUEST, "target.contains('#')", "§3", C01),
    // The server's decision.
    anchor(
        "body",
        ("handshake/server.rs", "check_body_framing"),
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
        ("handshake/deflate_params.rs", "answer_offers"),
        "extension::parse(head)",
        "§9.1",
        C11,
    ),
    anchor(
        "offer",
        ("handshake/deflate_params.rs", "answer_offers"),
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
    // The 101, and the client's checks of it.
    anchor(
        "accept.computed",
        ("handshake/accept_key.rs", "accept"),
        "chain_update(GUID)",
        "§1.3",
        C03,
    ),
    anchor("101", ("handshake/server.rs", "Agreement::response"), "", "§4.2.2", C03),
    anchor("status.line", ("http/status_line.rs", "status_of"), "", "RFC 9112 §4", C10),
    anchor("status", VERIFY, "let status = status_of", "§4.1", C10),
    anchor("status.version", VERIFY, "\"a 101 of HTTP/1.0\"", "RFC 9110 §7.8", C10),
    anchor("interim", ("http/status_line.rs", "is_interim"), "", "RFC 9110 §15.2", C10),
    anchor("answer.upgrade", VERIFY, "wrong_101(head, \"Upgrade\"", "§4.1", C10),
    anchor("answer.connection", VERIFY, "wrong_101(head, \"Connection\"", "§4.1", C10),
    anchor("answer.accept", VERIFY, "wrong_101(head, \"Sec-WebSocket-Accept\"", "§4.1", C10),
    anchor("answer.subprotocol", VERIFY, "let is_offered", "§4.1", C10),
    anchor(
        "answer.extensions",
        ("handshake/deflate_params.rs", "verify_response"),
        "let [first",
        "§4.1",
        C11,
    ),
    anchor(
        "answer.offer",
        ("handshake/deflate_params.rs", "verify_response"),
        "params.check_response(first)",
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
    // The headers of frames.
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
    anchor("fragment", ("frames/assembler.rs", "Assembler::check_order"), "", "§5.4", C06),
    anchor("masked", HEADER, "Violation::NotMasked", "§5.1", C05),
    anchor("control.short", HEADER, "Violation::ControlTooLong", "§5.5", C04),
    anchor("length", HEADER, "length => (u64::from(length), 0, rest)", "§5.2", C04),
    anchor("length.top", HEADER, "Violation::LengthTopBit", "§5.2", C04),
    anchor("length.least", HEADER, "Violation::LengthNotMinimal", "§5.2", C04),
    anchor("fragment.count", FRAGMENT, "Violation::TooManyFragments", "§5.4", C09),
    anchor("message.size", FRAGMENT, "Violation::MessageTooLong", "§10.4", C09),
    anchor(
        "opaque",
        ("explain/frames/frame_explainer.rs", "FrameExplainer::parse_frame_header"),
        "Opcode::Binary as u8",
        "§9.2",
        C04,
    ),
    // The payloads of frames.
    anchor("unmask", STEP, "mask::apply", "", C05),
    anchor("mask", ("frames/mask.rs", "apply"), "", "§5.3", C05),
    anchor("inflate", INFLATE, "status.map_err", "RFC 7692 §7.2", C11),
    anchor("inflate.size", INFLATE, "Violation::MessageTooLong", "RFC 7692 §7.2", C11),
    anchor("inflate.blocks", INFLATE, "Violation::TooManyLastBlocks", "RFC 7692 §7.2.3.4", C11),
    anchor(
        "inflate.end",
        ("frames/deflate/inflater.rs", "Inflater::finish"),
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
    anchor("text.message", APPEND, "Violation::TextNotUtf8", "§5.4", C06),
    anchor("binary", APPEND, "self.bytes.extend_from_slice", "§5.4", C06),
    anchor("text.end", ("frames/utf8.rs", "Text::finish"), "", "§8.1", C06),
    anchor("message", ("frames/assembler.rs", "Assembler::finish"), "", "§5.4", C06),
    anchor("close.half", CLOSE, "Violation::CloseOfOneByte", "§5.5.1", C07),
    anchor("close.code", CLOSE, "Violation::CloseCode(code)", "§5.5.1", C07),
    anchor("close.reason", CLOSE, "Violation::ReasonNotUtf8", "§5.5.1", C07),
    // What the connection does with decoded frames.
    anchor("event", STEP, "Event::Message(self.message.finish", "", C06),
    anchor("ended", ("frames/decoder.rs", "Decoder::next_event"), "", "§7.1.7", C07),
    anchor("receive", RECEIVE, "return Ok(Some(event))", "", C06),
    anchor("ping", RECEIVE, "self.write_half.answer_ping(payload)", "§5.5.2", C08),
    anchor("pong.sent", ("connection/write_half.rs", "WriteHalf::answer_ping"), "", "", C08),
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

/// Every refusal of a request, as a pair: the heading of its diagnostic, and the id of the anchor
/// on the lines that refuse the request. A test checks that no refusal is missing.
pub const REFUSALS: &[(&str, &str)] = &[
    ("a bare LF", "head.bytes"),
    ("a control byte", "head.bytes"),
    ("TLS to a plain port", "head.bytes"),
    ("a folded line", "head.field"),
    ("not a header", "head.field"),
    ("a head too large", "head.size"),
    ("not a request line", "request.words"),
    ("another version of HTTP", "request.line"),
    ("not a target", "request.target"),
    ("a method other than GET", "method"),
    ("a body", "body"),
    ("not one host", "host"),
    ("a host not ours", "host"),
    ("an upgrade without connection", "connection"),
    ("not version 13", "version"),
    ("the draft of 2010", "draft"),
    ("not a key", "key"),
    ("two origins", "origin"),
    ("a foreign page", "origin"),
    ("no such path", "path"),
    ("not a list of subprotocols", "subprotocol"),
    ("not a list of extensions", "extensions"),
];

/// Every error with which a client rejects a server's response, as a pair: the heading of its
/// diagnostic, and the id of the anchor on the lines that detect the error. A test checks that no
/// error is missing. An error about a proxy's response has no anchor.
pub const HANDSHAKE_ERRORS: &[(&str, &str)] = &[
    ("an answer that is not HTTP", "status.line"),
    ("an answer with bare LFs", "head.bytes"),
    ("an answer with too large a head", "head.size"),
    ("a 101 of HTTP/1.0", "status.version"),
    ("a redirect", "status"),
    ("an answer that asks who you are", "status"),
    ("an answer that forbids", "status"),
    ("an answer that asks for an upgrade", "status"),
    ("an answer that asks to wait", "status"),
    ("another answer", "status"),
    ("a wrong 101", "status"),
];

/// The header fields that can make a 101 invalid, as pairs: the beginning of the diagnostic's
/// `seen` (the field's name and a colon), and the id of the anchor on the lines that validate the
/// field.
pub(super) const WRONG_101: &[(&str, &str)] = &[
    ("Upgrade:", "answer.upgrade"),
    ("Connection:", "answer.connection"),
    ("Sec-WebSocket-Accept:", "answer.accept"),
    ("Sec-WebSocket-Protocol:", "answer.subprotocol"),
    ("Sec-WebSocket-Extensions:", "answer.extensions"),
];
