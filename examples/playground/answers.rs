//! The library's answers to the page's questions. Nothing in this file touches a connection.

use std::net::IpAddr;

use base64::{Engine, prelude::BASE64_STANDARD};
use sha1::{Digest, Sha1};
use ws101::explain::annotation::Annotation;
use ws101::explain::conversation::{Conversation, explain_response};
use ws101::explain::heads::Settings;
use ws101::explain::json::{self, array, hex, string};
use ws101::explain::saved_conversation;
use ws101::explain::source::anchors::Anchor;
use ws101::frames::assembler::Bounds;
use ws101::frames::header::Role;
use ws101::handshake::accept_key;
use ws101::handshake::deflate_params::DeflateParams;
use ws101::handshake::hosts::Hosts;
use ws101::handshake::origin::Origins;
use ws101::handshake::server::{Decision, Rules, decide, refusal_of_plain_http};
use ws101::http::head::Scan;
use ws101::{DeflateConfig, Limits, Refusal, Request};

/// The paths of the two WebSockets.
pub const PATHS: [&str; 2] = ["/wire", "/lens"];
/// The longest message that a page may send, in bytes. Saved conversations are the longest.
pub const MAX_MESSAGE: u64 = 256 * 1024;
/// How many annotations an answer has at most.
const MOST_TOLD: usize = 64;
/// How many bytes of a request are explained before the number of annotations is checked.
const PIECE: usize = 1024;
/// How many bytes an answer has at most, so that the page doesn't have to draw too much.
const LONGEST_ANSWER: usize = 512 * 1024;
/// The GUID from a tutorial, as a tutorial misprints it: in the last group, a `C` is missing and a
/// `7` is added.
const WRONG_GUID: &str = "258EAFA5-E914-47DA-95CA-5AB0DC85B711";

/// Frames that no server may send: name, description, bytes.
pub const BREAKS: [(&str, &str, &[u8]); 13] = [
    ("masked", "A server's frame with a mask", b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"),
    ("reserved bit", "RSV2 set, although it is unassigned", b"\xa1\x05Hello"),
    ("not compressed", "RSV1 set, as if the text were compressed", b"\xc1\x05Hello"),
    ("unknown opcode", "Opcode 3, which no RFC defines", b"\x83\x05Hello"),
    ("bad UTF-8", "A text with the bytes c3 28", b"\x81\x02\xc3\x28"),
    ("fragmented ping", "A ping with FIN 0", b"\x09\x02hi"),
    (
        "long ping",
        "A ping of 126 bytes",
        b"\x89\x7e\x00\x7e012345678901234567890123456789012345678901234567890123456789\
          012345678901234567890123456789012345678901234567890123456789012345",
    ),
    ("lying length", "A length with its top bit set", b"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff"),
    ("wasteful length", "The length 5, written in two bytes", b"\x81\x7e\x00\x05Hello"),
    ("continuation of nothing", "A continuation, although no message has begun", b"\x80\x02lo"),
    (
        "message in a message",
        "A text that begins before the last one has ended",
        b"\x01\x03Hel\x81\x02lo",
    ),
    ("forbidden code", "A Close with 1005, which may not be sent", b"\x88\x02\x03\xed"),
    ("half a code", "A Close of one byte", b"\x88\x01\x03"),
];

/// Returns the server's settings for compression, or `None` in a build without the feature.
pub fn deflate() -> Option<DeflateConfig> {
    cfg!(feature = "deflate").then(DeflateConfig::default)
}

/// Returns the settings with which the explainer decides as a server at this address would.
pub fn settings(address: IpAddr) -> Settings {
    let limits = Limits::default();
    let rules = Rules {
        hosts: if address.to_canonical().is_loopback() { Hosts::Loopback } else { Hosts::Any },
        origins: Origins::SameHost,
        paths: PATHS.map(str::to_owned).into(),
        subprotocols: vec![crate::SUBPROTOCOL.into()],
        deflate: deflate(),
    };
    let bounds = Bounds { max_message: MAX_MESSAGE, max_fragments: limits.max_fragments };
    Settings { rules, bounds, max_head: limits.max_head, max_head_lines: limits.max_head_lines }
}

/// Computes the accept of a key, step by step, and the accept that a wrong GUID would give.
pub fn key_steps(key: &str) -> Vec<(&'static str, String)> {
    let decoded = match accept_key::decode_key(key) {
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

/// Explains a request, the server's decision about it, and its answer.
pub fn decision(request: &[u8], settings: &Settings) -> Vec<(&'static str, String)> {
    let told = explain_head_and_more(request, settings);
    let answer = answer_to(request, settings);
    let answer = explain_response(&answer, request, settings);
    vec![("annotations", annotations(&told)), ("answer", annotations(&answer))]
}

/// Explains a request and the bytes after it, but not much more than an answer has room for.
fn explain_head_and_more(request: &[u8], settings: &Settings) -> Vec<Annotation> {
    let (mut conversation, mut told) = (Conversation::new(settings.clone()), Vec::new());
    for piece in request.chunks(PIECE) {
        if told.len() >= MOST_TOLD {
            return told;
        }
        conversation.push(Role::Client, piece, &mut |annotation| told.push(annotation));
    }
    conversation.end(Role::Client, &mut |annotation| told.push(annotation));
    told
}

/// Returns the bytes of the server's answer. They are empty if the head is incomplete.
fn answer_to(request: &[u8], settings: &Settings) -> Vec<u8> {
    let decided = || -> Result<Vec<u8>, Refusal> {
        let mut scan = Scan::new(settings.max_head, settings.max_head_lines);
        let Some(length) = scan.advance(request)? else { return Ok(Vec::new()) };
        let (request, rules) = (Request::parse(&request[..length])?, &settings.rules);
        match decide(&request, rules)? {
            Decision::Switch(agreement) => Ok(agreement.response()),
            Decision::PlainHttp => match crate::page(&request) {
                Some(page) => Ok(page.encode().unwrap_or_default()),
                None => Err(refusal_of_plain_http(&request, rules, true)),
            },
        }
    };
    decided().unwrap_or_else(|refusal| refusal.response().encode().unwrap_or_default())
}

/// Explains frames, and says whether this end may send them.
pub fn verdict(from: &str, digits: &str, settings: &Settings) -> Vec<(&'static str, String)> {
    let bytes =
        saved_conversation::parse(digits).map(|turns| turns.into_iter().flat_map(|turn| turn.1));
    let from = match from {
        "server" => Role::Server,
        _ => Role::Client,
    };
    match bytes {
        Ok(bytes) => {
            let turns = [(from, bytes.collect())];
            let told = saved_conversation::explain_first(&turns, settings, agreed(), MOST_TOLD);
            vec![("annotations", annotations(&told))]
        }
        Err(why) => vec![("wrong", string(&format!("This can't be read: {why}.")))],
    }
}

/// Explains a saved conversation again. It may come from another server, so only the RFC's rules
/// apply, and not this server's settings.
pub fn opened(text: &str) -> Vec<(&'static str, String)> {
    match saved_conversation::parse(text) {
        Ok(turns) if turns.is_empty() => {
            vec![("wrong", string("This file has no bytes of a conversation in it."))]
        }
        Ok(turns) => {
            // One more than an answer shows, so that the page can say that there are more.
            let told = saved_conversation::explain_first(
                &turns,
                &Settings::default(),
                agreed(),
                MOST_TOLD + 1,
            );
            vec![("annotations", annotations(&told)), ("count", told.len().to_string())]
        }
        Err(why) => vec![("wrong", string(&format!("This can't be read: {why}.")))],
    }
}

/// Returns the lines of source at an anchor.
pub fn passage(id: &str) -> Vec<(&'static str, String)> {
    let passage = Anchor::named(id).and_then(|anchor| anchor.passage().ok());
    let passage = passage.map_or("null".into(), |passage| json::passage(&passage));
    vec![("id", string(id)), ("passage", passage)]
}

/// Returns the parameters of compression that apply to frames without a handshake.
fn agreed() -> Option<DeflateParams> {
    deflate().map(|_| DeflateParams::default())
}

/// Writes annotations as JSON, as many as an answer has room for.
fn annotations(told: &[Annotation]) -> String {
    let mut room = LONGEST_ANSWER;
    let fits = |one: &String| {
        let has_room = one.len() <= room;
        room = room.saturating_sub(one.len());
        has_room
    };
    array(told.iter().take(MOST_TOLD).map(json::annotation).take_while(fits))
}
