//! Explains the head of a request or a response: where it ends, what its lines mean, and how its
//! receiver judges it.
//!
//! ```text
//! bytes ─► Scan ─► ArrivingHead ─► request / response ─► Annotation, and what follows the head
//!                                     │      └─► decide, verify_offers: the verdict
//!                                     └─► head_lines ─► header_glossary, extensions: the spans
//! ```
//!
//! Rules of this file:
//! - [`Scan`] finds where the head ends, or which byte no head may contain. [`decide`] judges a
//!   request as a server does. [`ClientRequest::verify_offers`] judges a response as a client does.
//! - A request that doesn't ask for a WebSocket is plain HTTP, and so is its response. The method
//!   and the status aren't judged.
//! - An extension other than permessage-deflate is accepted if the client offered it.

pub mod body_end;
pub mod extensions;
pub mod head_lines;
pub mod header_glossary;

use self::body_end::Body;
use self::extensions::{Agreed, Negotiation, Offers};
use super::annotation::{Annotation, SHOWN, Span, Verdict, What};
use crate::diagnostic::{Diagnostic, quote};
use crate::frames::assembler::Bounds;
use crate::frames::header::Role;
use crate::handshake::client::{ClientRequest, HandshakeError, is_interim, status_of};
use crate::handshake::origin::Origins;
use crate::handshake::server::{Decision, Rules, decide};
use crate::http::head::{Head, Scan};
use crate::http::refusal::Refusal;
use crate::http::request::Request;

/// The rules and limits on which the verdicts depend, because the RFC leaves them to each server.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The server's requirements for a request, beyond those of the RFC.
    pub rules: Rules,
    /// The maximum size of a head, in bytes.
    pub max_head: usize,
    /// The maximum number of lines in a head.
    pub max_head_lines: usize,
    /// The limits on a message: its maximum numbers of bytes and fragments.
    pub bounds: Bounds,
}

/// By default, only the RFC's rules apply, and the limits are ones that only an attacker reaches.
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

/// The head of a request or response while it arrives.
#[derive(Debug)]
pub struct ArrivingHead {
    start: u64,
    scan: Scan,
    bytes: Vec<u8>,
}

/// The result of scanning an arriving head.
pub enum HeadEnd {
    /// The head is complete: its empty line has arrived.
    Whole,
    /// The last byte that arrived can't be part of a head.
    Bad(Refusal),
}

impl ArrivingHead {
    /// Creates a head before its first byte has arrived. `start` is the number of bytes that its
    /// sender had sent before it.
    pub fn new(settings: &Settings, start: u64) -> ArrivingHead {
        let scan = Scan::new(settings.max_head, settings.max_head_lines);
        ArrivingHead { start, scan, bytes: Vec::new() }
    }

    /// Takes bytes up to the end of the head. Returns how many bytes it took, and how the head
    /// ended, or `None` if the head needs more bytes.
    pub fn push(&mut self, bytes: &[u8]) -> (usize, Option<HeadEnd>) {
        let before = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        let end = match self.scan.advance(&self.bytes) {
            Ok(None) => return (bytes.len(), None),
            Ok(Some(_)) => HeadEnd::Whole,
            Err(refusal) => HeadEnd::Bad(refusal),
        };
        self.bytes.truncate(self.scan.scanned());
        (self.bytes.len() - before, Some(end))
    }

    /// Returns the number of bytes that the sender had sent before this head.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// Returns the bytes of the head that have arrived so far.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// The facts about a request that its response's explanation needs.
#[derive(Debug)]
pub struct RequestSeen {
    request: Request,
    offers: Offers,
}

impl RequestSeen {
    fn new(request: Request) -> RequestSeen {
        let offers = Offers::parse(request.head());
        RequestSeen { request, offers }
    }

    /// Returns whether the client asked for a WebSocket with this request.
    pub fn wants_websocket(&self) -> bool {
        asks_for_websocket(self.request.head())
    }

    fn key(&self) -> Option<&str> {
        self.request.header("Sec-WebSocket-Key").filter(|key| !key.is_empty())
    }
}

fn asks_for_websocket(head: &Head) -> bool {
    head.list_contains("Upgrade", "websocket")
}

/// The bytes that a client sends after the head of its request.
#[derive(Debug, PartialEq, Eq)]
pub enum AfterRequest {
    /// A body follows, possibly empty, and then another request.
    Body(Body),
    /// Frames follow, if the server opens a WebSocket.
    Frames,
    /// Bytes follow that can't be explained, because the request can't be read.
    Nothing,
}

/// Explains a request's head, with the verdict of a server that has these rules. Also returns the
/// request, if it can be read, and what follows the head.
pub fn request(
    bytes: &[u8],
    start: u64,
    end: Option<HeadEnd>,
    rules: &Rules,
) -> (Annotation, Option<RequestSeen>, AfterRequest) {
    let (mut title, mut asked, mut then) = ("a request".to_owned(), None, AfterRequest::Nothing);
    let verdict = match end {
        None => Verdict::Missing("the empty line that ends a head".into()),
        Some(HeadEnd::Bad(refusal)) => Verdict::Refused(refusal),
        Some(HeadEnd::Whole) => {
            asked = Request::parse(bytes).ok().map(RequestSeen::new);
            then = match Head::parse(bytes) {
                Ok(head) if asks_for_websocket(&head) && asked.is_some() => AfterRequest::Frames,
                Ok(head) => AfterRequest::Body(Body::of_request(&head)),
                Err(_) => AfterRequest::Nothing,
            };
            match decide_on(bytes, rules) {
                Ok(Decision::Switch(_)) => {
                    title = "a request for a WebSocket".into();
                    Verdict::Fine
                }
                Ok(Decision::PlainHttp) => {
                    title = "a request in plain HTTP".into();
                    Verdict::Fine
                }
                Err(refusal) => {
                    title = format!("a request, refused with {}", refusal.status());
                    Verdict::Refused(refusal)
                }
            }
        }
    };
    let negotiation = Negotiation::Offers { settings: rules.deflate.as_ref(), is_taken: false };
    let spans = head_lines::spans(What::Request, bytes, None, negotiation);
    (annotation(Role::Client, What::Request, start, title, bytes, spans, verdict), asked, then)
}

fn decide_on(bytes: &[u8], rules: &Rules) -> Result<Decision, Refusal> {
    decide(&Request::parse(bytes)?, rules)
}

/// The bytes that follow the head of a server's response.
#[derive(Debug, PartialEq, Eq)]
pub enum AfterResponse {
    /// Another response follows, because this one is interim.
    Response,
    /// A body follows, possibly empty. Another response comes after it if the server keeps the
    /// connection open.
    Body(Body, ConnectionReuse),
    /// Frames follow in both directions, with these extensions.
    Frames(Agreed),
}

/// Whether a connection is reused after a response's body (RFC 9112 §9.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionReuse {
    /// The connection stays open for another request.
    Open,
    /// The server closes the connection.
    Closed,
}

/// Explains a response's head, with the verdict of the client that sent the request `asked`. Also
/// returns what follows the head.
pub fn response(
    bytes: &[u8],
    start: u64,
    end: Option<HeadEnd>,
    asked: Option<&RequestSeen>,
) -> (Annotation, AfterResponse) {
    let head = Head::parse_answer(bytes);
    let is_http = bytes.starts_with(b"HTTP/");
    let (title, follows, verdict) = match (&end, &head) {
        (None, _) => {
            unreadable_response(Verdict::Missing("the empty line that ends a head".into()))
        }
        (Some(HeadEnd::Bad(refusal)), _) | (Some(HeadEnd::Whole), Err(refusal)) => {
            unreadable_response(Verdict::Rejected(HandshakeError::bad_head(refusal, is_http)))
        }
        (Some(HeadEnd::Whole), Ok(head)) => answer(head, asked),
    };
    let none = Offers::default();
    let offers = asked.map_or(&none, |asked| &asked.offers);
    let negotiation = Negotiation::answer(head.ok().as_ref(), offers, asked.is_some());
    let key = asked.map(|asked| asked.key().unwrap_or_default());
    let spans = head_lines::spans(What::Response, bytes, key, negotiation);
    (annotation(Role::Server, What::Response, start, title, bytes, spans, verdict), follows)
}

fn unreadable_response(verdict: Verdict) -> (String, AfterResponse, Verdict) {
    ("a response".into(), AfterResponse::Body(Body::UntilEnd, ConnectionReuse::Closed), verdict)
}

/// Judges a complete response head. Returns its title, what follows it, and the client's verdict.
fn answer(head: &Head, asked: Option<&RequestSeen>) -> (String, AfterResponse, Verdict) {
    let wants_websocket = asked.is_some_and(RequestSeen::wants_websocket);
    let method = asked.map_or("", |asked| asked.request.method());
    let body = || AfterResponse::Body(Body::of_response(head, method), reuse_after(head));
    match status_of(head.first_line()) {
        Some(status) if is_interim(status) => {
            let title = format!("a response: {status}, which is interim");
            (title, AfterResponse::Response, Verdict::Fine)
        }
        Some(101) => {
            let agreed = asked.map(|asked| asked.offers.agreed(head)).unwrap_or_default();
            let verdict = asked.map_or(Verdict::Fine, |asked| verify(head, asked));
            ("a response: frames follow".into(), AfterResponse::Frames(agreed), verdict)
        }
        // The client asked for no WebSocket, so it accepts any response.
        Some(status) if !wants_websocket => {
            (format!("a response: {status}"), body(), Verdict::Fine)
        }
        status => {
            let status = status.map_or("not HTTP".into(), |status| status.to_string());
            let title = format!("a response: {status}, no WebSocket");
            let verdict = match asked {
                Some(asked) => verify(head, asked),
                None => Verdict::Rejected(HandshakeError::not_http(quote(head.first_line()))),
            };
            (title, body(), verdict)
        }
    }
}

/// Returns the client's verdict on the response to its request `asked`.
fn verify(head: &Head, asked: &RequestSeen) -> Verdict {
    let offered = asked.request.head().list("Sec-WebSocket-Protocol");
    let ask = ClientRequest {
        subprotocols: offered.into_iter().map(str::to_owned).collect(),
        ..ClientRequest::default()
    };
    let is_101 = status_of(head.first_line()) == Some(101);
    let (key, known) = (asked.key(), asked.offers.head_without_unknown(head));
    if key.is_none() && is_101 {
        return Verdict::Rejected(no_key(head));
    }
    let (key, head) = (key.unwrap_or_default(), known.as_ref().unwrap_or(head));
    match ask.verify_offers(head, key, asked.offers.params()) {
        Ok(_) => Verdict::Fine,
        Err(rejection) => Verdict::Rejected(rejection),
    }
}

/// Returns the error for a 101 in response to a request without a key. The client would otherwise
/// expect the `Sec-WebSocket-Accept` of an empty key.
fn no_key(head: &Head) -> HandshakeError {
    let accept = head.header("Sec-WebSocket-Accept").map_or("none".into(), quote);
    let seen =
        format!("Sec-WebSocket-Accept: {accept}; expected: no 101, as the request has no key");
    let diagnostic = Box::new(Diagnostic::about("a wrong 101", seen));
    HandshakeError {
        status: Some(101),
        head: Some(Box::new(head.clone())),
        body: String::new(),
        diagnostic,
    }
}

fn reuse_after(head: &Head) -> ConnectionReuse {
    let is_old = head.first_line().starts_with("HTTP/1.0");
    match head.list_contains("Connection", "close")
        || (is_old && !head.list_contains("Connection", "keep-alive"))
    {
        true => ConnectionReuse::Closed,
        false => ConnectionReuse::Open,
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
