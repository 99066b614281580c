//! The head of a request or a response: where it ends, and what is decided about it.
//!
//! The bytes go through [`Scan`], which says where the head ends or which byte can't stand in one.
//! The verdict is that of [`decide`] or [`ClientRequest::verify_offers`]; [`head_lines`] has the words.

use super::annotation::{Annotation, SHOWN, Span, Verdict, What};
use super::extensions::{Bargain, agreed, offers, taken};
use super::head_lines;
use crate::frames::assembler::Bounds;
use crate::frames::header::Role;
use crate::handshake::client::{ClientRequest, is_interim, status_of};
use crate::handshake::deflate_params::DeflateParams;
use crate::handshake::origin::Origins;
use crate::handshake::server::{Decision, Rules, decide};
use crate::http::head::{Head, Scan};
use crate::http::refusal::Refusal;
use crate::http::request::Request;

/// What is judged by, where the RFC leaves a choice.
#[derive(Clone, Debug)]
pub struct Settings {
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
impl Default for Settings {
    fn default() -> Settings {
        Settings {
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
    start: u64,
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
    /// Nothing of it has come; it will start at byte `start` of its direction.
    pub fn new(terms: &Settings, start: u64) -> Arriving {
        let scan = Scan::new(terms.max_head, terms.max_head_lines);
        Arriving { start, scan, bytes: Vec::new() }
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

    /// Where it starts.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// What has come of it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// A request, by the rules of a server. Also what it asks for, if it is to become a WebSocket.
pub fn request(bytes: &[u8], end: Option<End>, rules: &Rules) -> (Annotation, Option<Request>) {
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
    let bargain = Bargain::Offers { settings: rules.deflate.as_ref(), is_taken: false };
    let spans = head_lines::spans(What::Request, bytes, None, bargain);
    (annotation(Role::Client, What::Request, 0, title, bytes, spans, verdict), asked)
}

fn judge(bytes: &[u8], rules: &Rules) -> Result<(Request, Decision), Refusal> {
    let request = Request::parse(bytes)?;
    let decision = decide(&request, rules)?;
    Ok((request, decision))
}

/// What comes behind a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follows {
    /// Another response: this one was interim.
    Response,
    /// A body, or nothing.
    Body,
    /// Frames, in both directions; compressed, if that was agreed on.
    Frames(Option<DeflateParams>),
}

/// A response that starts at byte `start`, as the one who asked would judge it; and what follows it.
pub fn response(
    bytes: &[u8],
    start: u64,
    end: Option<End>,
    asked: Option<&Request>,
) -> (Annotation, Follows) {
    let key = asked.and_then(|request| request.header("Sec-WebSocket-Key"));
    let offers = asked.map(|request| offers(request.head())).unwrap_or_default();
    let no_frames = |verdict| ("a response".to_owned(), Follows::Body, verdict);
    let head = Head::parse(bytes);
    let taken = head.as_ref().map_or(Ok(0), |head| taken(head, &offers));
    let (title, follows, verdict) = match (end, head) {
        (None, _) => no_frames(Verdict::Missing("the empty line that ends a head".into())),
        (Some(End::Bad(refusal)), _) | (Some(End::Whole), Err(refusal)) => {
            no_frames(Verdict::Refused(refusal))
        }
        (Some(End::Whole), Ok(head)) => answer(&head, asked, key, &offers),
    };
    let bargain = Bargain::Answer { offers: offers.len(), taken };
    let spans = head_lines::spans(What::Response, bytes, key, bargain);
    (annotation(Role::Server, What::Response, start, title, bytes, spans, verdict), follows)
}

/// What a whole head answers: in a line, what follows it, and whether the client takes it.
fn answer(
    head: &Head,
    asked: Option<&Request>,
    key: Option<&str>,
    offers: &[DeflateParams],
) -> (String, Follows, Verdict) {
    let asked_to_switch = asked.is_some_and(|r| r.head().lists("Upgrade", "websocket"));
    let verify = || {
        let offered = asked.into_iter().flat_map(|r| r.head().list("Sec-WebSocket-Protocol"));
        let ask = ClientRequest {
            subprotocols: offered.map(str::to_owned).collect(),
            ..ClientRequest::default()
        };
        match ask.verify_offers(head, key.unwrap_or_default(), offers) {
            Ok(_) => Verdict::Fine,
            Err(rejection) => Verdict::Rejected(rejection),
        }
    };
    match status_of(head.first_line()) {
        Some(status) if is_interim(status) => {
            let title = format!("a response: {status}, an interim one");
            (title, Follows::Response, Verdict::Fine)
        }
        // Nobody asked for a WebSocket: there is nothing to judge.
        Some(status) if status != 101 && !asked_to_switch => {
            (format!("a response: {status}"), Follows::Body, Verdict::Fine)
        }
        Some(101) => {
            let title = "a response: from here on, frames".into();
            (title, Follows::Frames(agreed(head, offers)), verify())
        }
        status => {
            let status = status.map_or("not HTTP".into(), |status| status.to_string());
            let title = format!("a response: {status}, no WebSocket");
            (title, Follows::Body, verify())
        }
    }
}

fn annotation(
    from: Role,
    what: What,
    start: u64,
    title: String,
    bytes: &[u8],
    spans: Vec<Span>,
    verdict: Verdict,
) -> Annotation {
    Annotation {
        from,
        what,
        start,
        length: bytes.len() as u64,
        title,
        bytes: bytes[..bytes.len().min(SHOWN)].to_vec(),
        payload: Vec::new(),
        inflated: None,
        spans,
        verdict,
    }
}
