//! Gives the same bytes to ws101 and, through a socket, to python `wsproto`, as frames that arrive
//! at either end. If the two differ in another way than those in [`Difference`], each of which has
//! its reason, the target fails.
//!
//! [`run`](../run) starts the [server](../python/server.py) and tells its port in `PYTHON_PORT`.

use std::io::{self, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::LazyLock;
use std::time::Duration;

use ws101::frames::assembler::Bounds;
use ws101::frames::close_code::CloseCode;
use ws101::frames::decoder::Event;
use ws101::frames::header::{MASK, Role};
use ws101::frames::message::Message;
use ws101::frames::violation::Violation;

use crate::{Heard, hear, role};

/// wsproto has no limits: it leaves them to its caller.
const BOUNDS: Bounds = Bounds { max_message: u64::MAX, max_fragments: u64::MAX };
/// An answer that has not come by then won't.
const PATIENCE: Duration = Duration::from_secs(20);

/// What wsproto says to a close code that it doesn't know.
const UNKNOWN_CODE: &str = "CLOSE with unknown reserved code";

/// Where ws101 and wsproto do not say the same.
#[derive(Debug, PartialEq, Eq)]
enum Difference {
    /// What the first bytes of a frame show, we fail at once; wsproto when it has all of its length, and
    /// what fragments may not follow each other when it has a byte of the payload. None of it came here:
    /// once it does, wsproto says the same.
    Later,
    /// ED may not stand before A0 to BF (RFC 3629 §3: that would be a surrogate). We fail on the second
    /// byte; Python's decoder, which has a way to let surrogates pass, wants to see the third, and so
    /// control frames that stand before it are heard.
    SurrogateLater,
    /// 1014 has been registered since (RFC 6455 §11.7, by IANA), and so it may arrive; wsproto takes it
    /// for one that has not been given out, whatever the reason behind it.
    Code1014,
}

pub fn check(data: &[u8]) {
    let [choice, bytes @ ..] = data else { return };
    let role = role(choice & 1 == 1);
    let ours = hear(role, BOUNDS, None, false, [bytes].into_iter());
    let theirs = theirs(role, bytes);
    if !agree(&ours, &theirs) {
        let difference = explain(&ours, &theirs, role, bytes);
        assert!(difference.is_some(), "ws101: {ours:?}\nwsproto: {theirs:?}");
    }
}

/// What wsproto has heard, and how it ended.
#[derive(Debug)]
struct Theirs {
    events: Vec<Event>,
    end: End,
    /// Bytes of a character whose rest has not come.
    waiting: Vec<u8>,
}

#[derive(Debug, PartialEq, Eq)]
enum End {
    /// The bytes ended before the conversation did.
    Cut,
    Closed,
    /// The close code that the peer is to be told, and why.
    Failed(CloseCode, String),
}

fn theirs(role: Role, bytes: &[u8]) -> Theirs {
    let mut theirs = Theirs { events: Vec::new(), end: End::Cut, waiting: Vec::new() };
    let text = |bytes: &[u8]| String::from_utf8(bytes.into()).expect("Python encodes its strings");
    let code_and_text = |bytes: &[u8]| {
        let (code, reason) = bytes.split_first_chunk().expect("a code has two bytes");
        (u16::from_be_bytes(*code).into(), text(reason))
    };
    let answer = ask(role, bytes);
    let mut rest = &answer[..];
    while let [kind, item @ ..] = rest {
        let (length, said) = item.split_first_chunk().expect("an item has a length");
        let (said, others) = said.split_at(u32::from_be_bytes(*length) as usize);
        rest = others;
        let event = match kind {
            b'T' => Event::Message(Message::Text(text(said))),
            b'B' => Event::Message(Message::Binary(said.into())),
            b'?' => Event::Ping(said.into()),
            b'!' => Event::Pong(said.into()),
            b'C' => {
                theirs.end = End::Closed;
                let (code, reason) = code_and_text(said);
                Event::Close(ws101::Close { code, reason })
            }
            b'F' => {
                let (code, why) = code_and_text(said);
                theirs.end = End::Failed(code, why);
                continue;
            }
            b'W' => {
                theirs.waiting = said.into();
                continue;
            }
            b'E' => panic!("wsproto raised an exception: {}", text(said)),
            kind => panic!("the server tells of something unknown: {kind}"),
        };
        theirs.events.push(event);
    }
    theirs
}

static SERVER: LazyLock<TcpStream> = LazyLock::new(|| {
    let port =
        std::env::var("PYTHON_PORT").expect("PYTHON_PORT is where the server listens: use run");
    let server =
        TcpStream::connect(format!("127.0.0.1:{port}")).expect("the Python server listens");
    server.set_nodelay(true).expect("TCP can");
    server.set_read_timeout(Some(PATIENCE)).expect("it is not zero");
    server
});

/// One question, one answer; the server tells what they look like.
fn ask(role: Role, bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(1 + bytes.len()).expect("inputs are short");
    let is_server = u8::from(role == Role::Server);
    let question = [&length.to_be_bytes()[..], &[is_server], bytes].concat();
    let answer = || {
        (&*SERVER).write_all(&question)?;
        let mut reader = BufReader::new(&*SERVER);
        let mut length = [0; 4];
        reader.read_exact(&mut length)?;
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        reader.read_exact(&mut answer)?;
        Ok(answer)
    };
    answer().unwrap_or_else(|error: io::Error| panic!("the Python server does not answer: {error}"))
}

fn agree(ours: &Heard, theirs: &Theirs) -> bool {
    let end = match (ours.violation, &theirs.end) {
        (Some(violation), End::Failed(code, _)) => violation.close_code() == *code,
        (None, End::Closed) => matches!(ours.events.last(), Some(Event::Close(_))),
        (None, End::Cut) => !matches!(ours.events.last(), Some(Event::Close(_))),
        _ => false,
    };
    end && ours.events == theirs.events
}

fn explain(ours: &Heard, theirs: &Theirs, role: Role, bytes: &[u8]) -> Option<Difference> {
    // Of the codes that wsproto doesn't know, we let pass one.
    let code_unknown = matches!(&theirs.end, End::Failed(_, why) if why == UNKNOWN_CODE);
    match (ours.violation, &ours.events[..]) {
        (None, [before @ .., Event::Close(close)]) if code_unknown => {
            let same = before == theirs.events && close.code == CloseCode::BAD_GATEWAY;
            same.then_some(Difference::Code1014)
        }
        (Some(Violation::ReasonNotUtf8), before) if code_unknown => {
            (before == theirs.events).then_some(Difference::Code1014)
        }
        (Some(Violation::TextNotUtf8), before) => {
            let half_of_it = matches!(theirs.waiting[..], [0xed, 0xa0..=0xbf]);
            let more = theirs.events.strip_prefix(before)?;
            let only_control = !more.iter().any(|event| matches!(event, Event::Message(_)));
            (half_of_it && only_control).then_some(Difference::SurrogateLater)
        }
        (Some(violation), _) if violation.close_code() == CloseCode::PROTOCOL_ERROR => {
            // A second byte, with the mask bit as it must be, then a length, a mask and a payload, in
            // which any byte may stand.
            let mut rest = [1; 14];
            if role == Role::Server {
                rest[0] |= MASK;
            }
            let later = self::theirs(role, &[bytes, &rest].concat());
            (theirs.end == End::Cut && agree(ours, &later)).then_some(Difference::Later)
        }
        _ => None,
    }
}
