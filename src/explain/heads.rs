//! The head of a request or a response, line by line.
//!
//! The bytes go through [`Scan`], which says where the head ends or which byte can't stand in one;
//! each line is one span, with its CR LF. What the lines say is what [`Head`] made of them, and the
//! verdict is that of [`decide`] or [`Ask::verify`].

use super::account::{Account, SHOWN, Span, Verdict, What, bits, hex, visible};
use super::headers::purpose;
use crate::protocol::ask::{Ask, status_of};
use crate::protocol::authority::Origins;
use crate::protocol::frame::Role;
use crate::protocol::handshake::{Decision, Rules, decide};
use crate::protocol::head::{Head, Scan};
use crate::protocol::key;
use crate::protocol::message::Bounds;
use crate::protocol::refusal::Refusal;
use crate::protocol::request::Request;

/// What is judged by, where the RFC leaves a choice.
#[derive(Clone, Debug)]
pub struct Terms {
    /// What the server asks of a request.
    pub rules: Rules,
    /// Bytes of a head.
    pub max_head: usize,
    /// Lines of a head.
    pub max_head_lines: usize,
    /// How large a message may become.
    pub bounds: Bounds,
}

/// The RFC alone, with bounds so wide that only the hostile meet them.
impl Default for Terms {
    fn default() -> Terms {
        Terms {
            rules: Rules { origins: Origins::Any, ..Rules::default() },
            max_head: 64 * 1024,
            max_head_lines: 400,
            bounds: Bounds { max_message: i64::MAX as u64, max_fragments: u64::MAX },
        }
    }
}

/// A head that is arriving.
#[derive(Debug)]
pub struct Arriving {
    scan: Scan,
    bytes: Vec<u8>,
}

/// Where a head ends, and how.
pub enum End {
    /// It is whole.
    Whole,
    /// It is none.
    Bad(Refusal),
}

impl Arriving {
    /// Nothing of it has come.
    pub fn new(terms: &Terms) -> Arriving {
        Arriving { scan: Scan::new(terms.max_head, terms.max_head_lines), bytes: Vec::new() }
    }

    /// Takes what has come, up to the end of the head; says how many bytes that were, and whether the
    /// head has ended.
    pub fn push(&mut self, bytes: &[u8]) -> (usize, Option<End>) {
        let before = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        let end = match self.scan.advance(&self.bytes) {
            Ok(None) => return (bytes.len(), None),
            Ok(Some(_)) => End::Whole,
            Err(refusal) => End::Bad(refusal),
        };
        self.bytes.truncate(self.scan.scanned());
        (self.bytes.len() - before, Some(end))
    }

    /// What has come of it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// A request, by the rules of a server. Also what it asks for, if it is to become a WebSocket.
pub fn request(bytes: &[u8], end: Option<End>, rules: &Rules) -> (Account, Option<Request>) {
    let (mut title, mut asked) = ("a request".to_owned(), None);
    let verdict = match end {
        None => Verdict::Missing("the empty line that ends a head".into()),
        Some(End::Bad(refusal)) => Verdict::Refused(refusal),
        Some(End::Whole) => match judge(bytes, rules) {
            Ok((request, decision)) => {
                title = match &decision {
                    Decision::Switch(_) => "a request, to become a WebSocket".into(),
                    Decision::PlainHttp => "a request in plain HTTP".into(),
                };
                asked = Some(request);
                Verdict::Fine
            }
            Err(refusal) => {
                title = format!("a request, refused with {}", refusal.status());
                asked = Request::parse(bytes).ok();
                Verdict::Refused(refusal)
            }
        },
    };
    (account(Role::Client, What::Request, title, bytes, verdict, None), asked)
}

fn judge(bytes: &[u8], rules: &Rules) -> Result<(Request, Decision), Refusal> {
    let request = Request::parse(bytes)?;
    let decision = decide(&request, rules)?;
    Ok((request, decision))
}

/// A response, as the one who asked would judge it. Also whether frames follow, and whether an
/// extension gives RSV1 a meaning in them.
pub fn response(bytes: &[u8], end: Option<End>, asked: Option<&Request>) -> (Account, Follows) {
    let key = asked.and_then(|request| request.header("Sec-WebSocket-Key"));
    let no_frames = |verdict| ("a response".to_owned(), Follows::Body, verdict);
    let (title, follows, verdict) = match (end, Head::parse(bytes)) {
        (None, _) => no_frames(Verdict::Missing("the empty line that ends a head".into())),
        (Some(End::Bad(refusal)), _) | (Some(End::Whole), Err(refusal)) => {
            no_frames(Verdict::Refused(refusal))
        }
        (Some(End::Whole), Ok(head)) => answer(bytes, head, asked, key),
    };
    (account(Role::Server, What::Response, title, bytes, verdict, key), follows)
}

/// What a whole head answers: in a line, what follows it, and whether the client takes it.
fn answer(
    bytes: &[u8],
    head: Head,
    asked: Option<&Request>,
    key: Option<&str>,
) -> (String, Follows, Verdict) {
    let asked_to_switch = asked.is_some_and(|r| r.head().lists("Upgrade", "websocket"));
    let deflate = offers_deflate(&head) && asked.is_some_and(|r| offers_deflate(r.head()));
    match status_of(head.first_line()) {
        // Nobody asked for a WebSocket: there is nothing to judge.
        Some(status) if status != 101 && !asked_to_switch => {
            (format!("a response: {status}"), Follows::Body, Verdict::Fine)
        }
        Some(101) => {
            let title = "a response: from here on, frames".into();
            let follows = Follows::Frames { rsv1_has_meaning: deflate };
            (title, follows, verify(bytes, head, asked, key, deflate))
        }
        status => {
            let status = status.map_or("not HTTP".into(), |status| status.to_string());
            let title = format!("a response: {status}, no WebSocket");
            (title, Follows::Body, verify(bytes, head, asked, key, deflate))
        }
    }
}

/// What comes behind a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follows {
    /// A body, or nothing.
    Body,
    /// Frames, in both directions.
    Frames {
        /// permessage-deflate was agreed on.
        rsv1_has_meaning: bool,
    },
}

fn verify(
    bytes: &[u8],
    head: Head,
    asked: Option<&Request>,
    key: Option<&str>,
    deflate: bool,
) -> Verdict {
    let offered = asked.into_iter().flat_map(|r| r.head().list("Sec-WebSocket-Protocol"));
    let ask = Ask { subprotocols: offered.map(str::to_owned).collect(), ..Ask::default() };
    // An `Ask` of ours offers no extension, and so takes none. Where this client did offer the one
    // that was taken, the rest of the answer is judged without it.
    let head =
        if deflate { without(bytes, "Sec-WebSocket-Extensions").unwrap_or(head) } else { head };
    match ask.verify(&head, key.unwrap_or_default()) {
        Ok(_) => Verdict::Fine,
        Err(rejection) => Verdict::Rejected(rejection),
    }
}

fn offers_deflate(head: &Head) -> bool {
    let mut names =
        head.list("Sec-WebSocket-Extensions").map(|one| one.split(';').next().unwrap_or(one));
    names.any(|name| name.trim() == "permessage-deflate")
}

fn without(bytes: &[u8], name: &str) -> Option<Head> {
    let is_it = |line: &&[u8]| {
        line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()))
    };
    let kept: Vec<u8> = bytes
        .split_inclusive(|&byte| byte == b'\n')
        .filter(|line| !is_it(line))
        .flatten()
        .copied()
        .collect();
    Head::parse(&kept).ok()
}

/// Each line is a span. `key`: what an accept in it has to answer.
fn account(
    from: Role,
    what: What,
    title: String,
    bytes: &[u8],
    verdict: Verdict,
    key: Option<&str>,
) -> Account {
    let mut spans = Vec::new();
    let mut at = 0;
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        let end = at + line.len() as u64;
        let [field, value, meaning] = match at {
            0 => first_line(what, line),
            _ => field_line(line, key),
        };
        let section = section(at, what, &field);
        spans.push(Span { bits: bits(at..end), field, value, meaning, section });
        at = end;
    }
    let shown = bytes[..bytes.len().min(SHOWN)].to_vec();
    Account {
        from,
        what,
        start: 0,
        length: at,
        title,
        bytes: shown,
        payload: Vec::new(),
        spans,
        verdict,
    }
}

fn section(at: u64, what: What, field: &str) -> &'static str {
    match (at, what) {
        (0, What::Response) => "§4.2.2",
        (0, _) => "§4.1",
        _ if field == "end of head" => "RFC 9112 §2.1",
        _ => purpose(field).map_or("RFC 9110 §5", |(_, section)| section),
    }
}

fn first_line(what: What, line: &[u8]) -> [String; 3] {
    let value = visible(line.trim_ascii_end(), 200);
    let (field, meaning) = match what {
        What::Response => match status_of(&value) {
            Some(101) => ("status line", "101: the protocol changes on this very connection"),
            Some(_) => ("status line", "any other status than 101: no WebSocket"),
            None => ("first line", "this is not a status line of HTTP/1.1"),
        },
        _ => match Request::parse(&[line, b"\r\n"].concat()) {
            Ok(_) => ("request line", "method, target and version, one space in between"),
            Err(_) => ("first line", "this is not a request line of HTTP/1.1"),
        },
    };
    [field.into(), value, meaning.into()]
}

/// A line of its own makes a head of its own: so it is [`Head`] that takes it apart.
fn field_line(line: &[u8], key: Option<&str>) -> [String; 3] {
    if line == b"\r\n" {
        return [
            "end of head".into(),
            "empty line".into(),
            "what follows is no head any more".into(),
        ];
    }
    let text = visible(line.trim_ascii_end(), 200);
    if !line.ends_with(b"\r\n") {
        return ["cut".into(), text, "a line that has not ended".into()];
    }
    let Ok(head) = Head::parse(&[b"\r\n", line].concat()) else {
        return ["no header".into(), text, "this line is not `Name: value`".into()];
    };
    let Some((name, value)) = head.fields().next() else {
        return ["no header".into(), text, "this line is not `Name: value`".into()];
    };
    let meaning = match (name.to_ascii_lowercase().as_str(), key) {
        ("sec-websocket-key", _) => match key::decode(value) {
            Ok(bytes) => format!("16 bytes: {}", hex(&bytes, 16)),
            Err(why) => why,
        },
        ("sec-websocket-accept", Some(key)) => match key::accept(key) {
            fits if fits == value => "it answers the key: SHA-1 of key and GUID, in base64".into(),
            expected => format!("it does not answer the key; that would be {expected}"),
        },
        _ => purpose(name).map_or("not looked at by the handshake", |(purpose, _)| purpose).into(),
    };
    [visible(name.as_bytes(), 60), visible(value.as_bytes(), 400), meaning]
}
