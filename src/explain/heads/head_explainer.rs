//! Explains the head of a request or a response: where it ends, what its lines mean, and whether
//! its receiver accepts it.
//!
//! Rules of this file:
//! - [`Scan`] finds where the head ends, or the first byte that makes the head invalid. [`decide`]
//!   gives a server's verdict on a request, and [`ClientRequest::verify_with_offers`] a client's
//!   verdict on a response.
//! - A request that doesn't ask for a WebSocket is plain HTTP, and so is its response. Such a
//!   request may have any method, and its response any status but 101.
//! - A response may accept any extension that the client offered, even one that this crate doesn't
//!   know.

use super::body_end::{Body, opens_tunnel};
use super::extensions::{Agreed, Negotiation, Offers};
use super::head_lines;
use crate::diagnostic::{Diagnostic, quote};
use crate::explain::annotation::{Annotation, AnnotationKind, MAX_SHOWN, Span, Verdict};
use crate::frames::assembler::Bounds;
use crate::frames::header::Role;
use crate::handshake::client::{ClientRequest, HandshakeError};
use crate::handshake::origin::Origins;
use crate::handshake::server::{Decision, Rules, decide};
use crate::http::head::{Head, Scan};
use crate::http::refusal::Refusal;
use crate::http::request::Request;
use crate::http::status_line::{is_interim, status_of};

/// The rules and limits that the RFC leaves to each implementation. The explainer's verdicts depend
/// on them.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The server's requirements for a request, beyond those of the RFC.
    pub rules: Rules,
    /// The maximum size of an HTTP head, in bytes.
    pub max_head: usize,
    /// The maximum number of lines in an HTTP head.
    pub max_head_lines: usize,
    /// The maximum size of a WebSocket message in bytes, and its maximum number of fragments.
    pub bounds: Bounds,
}

/// By default, only the RFC's rules apply, and the limits are far above the usual sizes of heads
/// and messages.
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

/// The maximum number of bytes that one call of [`ArrivingHead::push`] appends.
const PIECE: usize = 1024;

/// The HTTP head of a request or response while its bytes arrive.
#[derive(Debug)]
pub struct ArrivingHead {
    start: u64,
    scan: Scan,
    bytes: Vec<u8>,
}

/// How a head has ended: complete, or with a byte that makes it invalid.
#[derive(Debug)]
pub enum EndedHead {
    /// The head is complete: the empty line that ends it has arrived.
    Whole,
    /// The head is invalid: its latest byte broke a rule or exceeded a limit, which the refusal
    /// names.
    Bad(Refusal),
}

impl ArrivingHead {
    /// Creates an empty head, before its first byte has arrived. `start` is the head's offset in
    /// the sender's byte stream.
    pub fn new(settings: &Settings, start: u64) -> ArrivingHead {
        let scan = Scan::new(settings.max_head, settings.max_head_lines);
        ArrivingHead { start, scan, bytes: Vec::new() }
    }

    /// Appends the bytes up to the end of the head, but at most `PIECE` of them. Returns how many
    /// bytes it has appended, and how the head has ended (`None` if more bytes must follow).
    pub fn push(&mut self, bytes: &[u8]) -> (usize, Option<EndedHead>) {
        let before = self.bytes.len();
        // `bytes` may hold many short heads, and each call ends at the end of one. If each call
        // copied all the rest, the work would be quadratic.
        let piece = &bytes[..bytes.len().min(PIECE)];
        self.bytes.extend_from_slice(piece);
        let end = match self.scan.advance(&self.bytes) {
            Ok(None) => return (piece.len(), None),
            Ok(Some(_)) => EndedHead::Whole,
            Err(refusal) => EndedHead::Bad(refusal),
        };
        self.bytes.truncate(self.scan.scanned());
        (self.bytes.len() - before, Some(end))
    }

    /// Returns the head's offset in the sender's byte stream.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// Returns the bytes of the head that have arrived so far.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// A parsed request and its extension offers, which the explanation of the response needs.
#[derive(Debug)]
pub struct ParsedRequest {
    request: Request,
    offers: Offers,
}

impl ParsedRequest {
    fn new(request: Request) -> ParsedRequest {
        let offers = Offers::parse(request.head());
        ParsedRequest { request, offers }
    }

    /// Returns whether this request asks for a WebSocket: whether its `Upgrade` header lists
    /// `websocket`.
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

/// The kind of bytes that a client sends after the head of its request.
#[derive(Debug, PartialEq, Eq)]
pub enum AfterRequest {
    /// An HTTP body follows, possibly empty. After the body, another request may follow.
    Body(Body),
    /// WebSocket frames follow, if the server opens a WebSocket.
    Frames,
    /// The explainer can't tell what follows, because the head is incomplete or can't be parsed.
    Nothing,
}

/// Explains a request's head, with the verdict of a server that applies `rules`. `end` is `None` if
/// the stream ended inside the head. Also returns the parsed request (`None` if it can't be
/// parsed), and the kind of bytes that follow the head.
pub fn request(
    bytes: &[u8],
    start: u64,
    end: Option<EndedHead>,
    rules: &Rules,
) -> (Annotation, Option<ParsedRequest>, AfterRequest) {
    let (mut title, mut asked, mut then) = ("a request".to_owned(), None, AfterRequest::Nothing);
    let verdict = match end {
        None => Verdict::Incomplete("the empty line that ends a head".into()),
        Some(EndedHead::Bad(refusal)) => Verdict::Refused(refusal),
        Some(EndedHead::Whole) => {
            asked = Request::parse(bytes).ok().map(ParsedRequest::new);
            then = match Head::parse(bytes) {
                Ok(head) => match Body::of_request(&head) {
                    body if body.is_over() && asks_for_websocket(&head) && asked.is_some() => {
                        AfterRequest::Frames
                    }
                    body => AfterRequest::Body(body),
                },
                Err(_) => AfterRequest::Nothing,
            };
            match decide_request(bytes, rules) {
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
    let spans = head_lines::spans(AnnotationKind::Request, bytes, None, negotiation);
    (
        annotation(Role::Client, AnnotationKind::Request, start, title, bytes, spans, verdict),
        asked,
        then,
    )
}

fn decide_request(bytes: &[u8], rules: &Rules) -> Result<Decision, Refusal> {
    decide(&Request::parse(bytes)?, rules)
}

/// The kind of bytes that a server sends after the head of its response.
#[derive(Debug, PartialEq, Eq)]
pub enum AfterResponse {
    /// Another response follows, because this response is interim (status 1xx, but not 101).
    Response,
    /// An HTTP body follows, possibly empty. If the server keeps the connection open, another
    /// response may follow the body.
    Body(Body, ConnectionReuse),
    /// WebSocket frames follow in both directions, with these extensions.
    Frames(Agreed),
}

/// Whether the client may send another request after a response's body (RFC 9112 §9.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionReuse {
    /// The connection stays open for another request.
    Open,
    /// The server closes the connection after the body.
    Closed,
}

/// Explains a response's head, with the verdict of the client that sent the request `asked`.
/// `asked` is `None` if that request wasn't seen or can't be parsed. `end` is `None` if the stream
/// ended inside the head. Also returns the kind of bytes that follow the head.
pub fn response(
    bytes: &[u8],
    start: u64,
    end: Option<EndedHead>,
    asked: Option<&ParsedRequest>,
) -> (Annotation, AfterResponse) {
    let head = Head::parse_response(bytes);
    let is_http = bytes.starts_with(b"HTTP/");
    let (title, follows, verdict) = match (&end, &head) {
        (None, _) => evaluate_unreadable_response(Verdict::Incomplete(
            "the empty line that ends a head".into(),
        )),
        (Some(EndedHead::Bad(refusal)), _) | (Some(EndedHead::Whole), Err(refusal)) => {
            evaluate_unreadable_response(Verdict::Rejected(HandshakeError::bad_head(
                refusal, is_http,
            )))
        }
        (Some(EndedHead::Whole), Ok(head)) => evaluate_response(head, asked),
    };
    let none = Offers::default();
    let offers = asked.map_or(&none, |asked| &asked.offers);
    let negotiation = Negotiation::of_answer(head.ok().as_ref(), offers, asked.is_some());
    let key = asked.map(|asked| asked.key().unwrap_or_default());
    let spans = head_lines::spans(AnnotationKind::Response, bytes, key, negotiation);
    (
        annotation(Role::Server, AnnotationKind::Response, start, title, bytes, spans, verdict),
        follows,
    )
}

fn evaluate_unreadable_response(verdict: Verdict) -> (String, AfterResponse, Verdict) {
    ("a response".into(), AfterResponse::Body(Body::UntilEnd, ConnectionReuse::Closed), verdict)
}

/// Evaluates a complete response head. Returns the title of its annotation, the kind of bytes that
/// follow the head, and the client's verdict.
fn evaluate_response(
    head: &Head,
    asked: Option<&ParsedRequest>,
) -> (String, AfterResponse, Verdict) {
    let wants_websocket = asked.is_some_and(ParsedRequest::wants_websocket);
    let method = asked.map_or("", |asked| asked.request.method());
    let body = || AfterResponse::Body(Body::of_response(head, method), reuse_after(head, method));
    match status_of(head.first_line()) {
        Some(status) if is_interim(status) => {
            let title = format!("a response: {status}, which is interim");
            (title, AfterResponse::Response, Verdict::Fine)
        }
        Some(101) => {
            let agreed = asked.map_or_else(
                || Offers::agreed_without_request(head),
                |asked| asked.offers.agreed(head),
            );
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

/// Checks the head of a response as the client that sent the request `asked` would check it, and
/// returns the verdict: fine, or rejected with the reason.
fn verify(head: &Head, asked: &ParsedRequest) -> Verdict {
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
    match ask.verify_with_offers(head, key, asked.offers.params()) {
        Ok(_) => Verdict::Fine,
        Err(rejection) => Verdict::Rejected(rejection),
    }
}

/// Returns the error for a 101 that answers a request without a `Sec-WebSocket-Key`. Without this
/// error, `verify` would accept a `Sec-WebSocket-Accept` that was computed from an empty key.
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

fn reuse_after(head: &Head, method: &str) -> ConnectionReuse {
    // RFC 9110 §9.3.6: a proxy that has opened a tunnel keeps the connection open. Many proxies
    // answer with HTTP/1.0 or `Connection: close`, which doesn't close the tunnel.
    if opens_tunnel(head, method) {
        return ConnectionReuse::Open;
    }
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
    what: AnnotationKind,
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
        message_kind: None,
        bytes: bytes[..bytes.len().min(MAX_SHOWN)].to_vec(),
        payload: Vec::new(),
        inflated: None,
        spans,
        verdict,
    }
}
