//! What the page asks, answered by `explain` and `protocol`: nothing here touches a connection.

use base64::{Engine, prelude::BASE64_STANDARD};
use sha1::{Digest, Sha1};
use ws101::explain::annotation::Annotation;
use ws101::explain::conversation::{explain_request, explain_response};
use ws101::explain::frames::Frames;
use ws101::explain::heads::Settings;
use ws101::explain::json::{self, array, hex, string};
use ws101::frames::assembler::Bounds;
use ws101::frames::header::Role;
use ws101::handshake::accept_key;
use ws101::handshake::origin::Origins;
use ws101::handshake::server::{Decision, Rules, decide};
use ws101::http::head::Scan;
use ws101::{DeflateConfig, Limits, Refusal, Request, Response};

/// Where there is a WebSocket.
pub const PATHS: [&str; 2] = ["/wire", "/lens"];
/// More than a page needs to send.
pub const MAX_MESSAGE: u64 = 64 * 1024;
/// Of the bytes that a page has judged, so many frames are told, at most.
const MOST_TOLD: usize = 64;
/// A GUID that stands in a tutorial: some of its last digits have changed places.
const WRONG_GUID: &str = "258EAFA5-E914-47DA-95CA-5AB0DC85B711";

/// Frames that no server may send: name, story, bytes.
pub const BREAKS: [(&str, &str, &[u8]); 13] = [
    ("masked", "A server's frame with a mask", b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"),
    ("reserved bit", "RSV2 set, though nothing gave it a meaning", b"\xa1\x05Hello"),
    ("not compressed", "RSV1 set, as if it were compressed", b"\xc1\x05Hello"),
    ("unknown opcode", "Opcode 3, which nobody has defined", b"\x83\x05Hello"),
    ("bad UTF-8", "A text of the bytes c3 28", b"\x81\x02\xc3\x28"),
    ("fragmented ping", "A ping that says more will follow", b"\x09\x02hi"),
    (
        "long ping",
        "A ping of 126 bytes",
        b"\x89\x7e\x00\x7e012345678901234567890123456789012345678901234567890123456789\
          012345678901234567890123456789012345678901234567890123456789012345",
    ),
    ("lying length", "A length with its top bit set", b"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff"),
    ("wasteful length", "The length 5, written in two bytes", b"\x81\x7e\x00\x05Hello"),
    ("continuation of nothing", "A fragment, where no message has begun", b"\x80\x02lo"),
    ("message in a message", "A text begins before the last one ended", b"\x01\x03Hel\x81\x02lo"),
    ("forbidden code", "A Close with 1005, which never travels", b"\x88\x02\x03\xed"),
    ("half a code", "A Close of one byte", b"\x88\x01\x03"),
];

/// How this server compresses, if it was built with that.
pub fn deflate() -> Option<DeflateConfig> {
    cfg!(feature = "deflate").then(DeflateConfig::default)
}

/// What this server judges by.
pub fn terms() -> Settings {
    let limits = Limits::default();
    let rules = Rules {
        origins: Origins::SameHost,
        paths: PATHS.map(str::to_owned).into(),
        subprotocols: vec![crate::SUBPROTOCOL.into()],
        deflate: deflate(),
        ..Rules::default()
    };
    let bounds = Bounds { max_message: MAX_MESSAGE, max_fragments: limits.max_fragments };
    Settings { rules, bounds, max_head: limits.max_head, max_head_lines: limits.max_head_lines }
}

/// From a key to its answer, step by step; and what a wrong GUID would have given.
pub fn key_steps(key: &str) -> Vec<(&'static str, String)> {
    let decoded = match accept_key::decode(key) {
        Ok(bytes) => ("bytes", hex(&bytes)),
        Err(why) => ("wrong", string(&why)),
    };
    let hash = |guid: &str| Sha1::digest(format!("{key}{guid}"));
    vec![
        ("key", string(key)),
        decoded,
        ("guid", string(accept_key::GUID)),
        ("hash", hex(&hash(accept_key::GUID))),
        ("accept", string(&accept_key::accept(key))),
        ("wrongGuid", string(WRONG_GUID)),
        ("wrongAccept", string(&BASE64_STANDARD.encode(hash(WRONG_GUID)))),
    ]
}

/// What this server would decide about a request, and answer.
pub fn decision(request: &[u8]) -> Vec<(&'static str, String)> {
    let terms = terms();
    let told = explain_request(request, &terms);
    let answer = answer_to(request, &terms);
    let answer = explain_response(&answer, request, &terms);
    vec![("annotations", annotations(&told)), ("answer", annotations(&answer))]
}

/// The bytes that would go out. None, while the head is not whole.
fn answer_to(request: &[u8], terms: &Settings) -> Vec<u8> {
    let decided = || -> Result<Vec<u8>, Refusal> {
        let mut scan = Scan::new(terms.max_head, terms.max_head_lines);
        let Some(length) = scan.advance(request)? else { return Ok(Vec::new()) };
        match decide(&Request::parse(&request[..length])?, &terms.rules)? {
            Decision::Switch(agreement) => Ok(agreement.response()),
            Decision::PlainHttp => Ok(Response::html("(this page)").encode().unwrap_or_default()),
        }
    };
    decided().unwrap_or_else(|refusal| refusal.response().encode().unwrap_or_default())
}

/// What frames are, and whether they may be sent by this end.
pub fn verdict(from: &str, digits: &str) -> Vec<(&'static str, String)> {
    let from = if from == "server" { Role::Server } else { Role::Client };
    let digits: Vec<u8> = digits.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = digits.chunks(2).map(byte).collect();
    match bytes
        .filter(|_| digits.len().is_multiple_of(2) && digits.iter().all(u8::is_ascii_hexdigit))
    {
        Some(bytes) => vec![("annotations", annotations(&judged(&bytes, from)))],
        None => {
            vec![("wrong", string("Bytes are written in pairs of digits: 81 05 48 65 6c 6c 6f"))]
        }
    }
}

fn judged(bytes: &[u8], from: Role) -> Vec<Annotation> {
    let mut frames = Frames::new(from, 0, terms().bounds);
    if deflate().is_some() {
        frames.agree(ws101::handshake::deflate_params::DeflateParams::default());
    }
    let mut told = Vec::new();
    frames.push(bytes, &mut |annotation| told.push(annotation));
    frames.end(&mut |annotation| told.push(annotation));
    told
}

fn annotations(told: &[Annotation]) -> String {
    array(told.iter().take(MOST_TOLD).map(json::annotation))
}
