//! The client's side of the opening handshake: it writes the request and verifies the response (RFC
//! 6455 §4.1).
//!
//! The client accepts a response only if the response proves that a WebSocket server read this very
//! request. All extensions and subprotocols in the response must come from the client's offers. The
//! client leaves redirects to its caller, because only the caller knows which servers may receive
//! its cookies.

use std::fmt;

use super::accept_key;
use super::deflate_params::{self, DeflateConfig, DeflateParams};
use super::extension::HEADER;
use super::server::{VERSION, check_subprotocols};
use super::url::{Address, without_secrets};
use crate::diagnostic::misuse::Misuse;
use crate::diagnostic::{Diagnostic, escape, quote, quote_all};
use crate::http::head::Head;
use crate::http::refusal::Refusal;
use crate::http::response::write_header;
use crate::http::status_line::status_of;

/// The application's settings for a client's handshake request, apart from the URL: subprotocols,
/// additional headers, and compression.
#[derive(Clone, Debug, Default)]
pub struct ClientRequest {
    /// The subprotocols that the client offers, in order of preference.
    pub subprotocols: Vec<String>,
    /// Headers that the application adds to the request, such as `Cookie`, `Origin` or
    /// `Authorization`.
    pub headers: Vec<(String, String)>,
    /// The compression settings that the client offers, or `None` if it offers no compression. Must
    /// be `None` in a build without the `deflate` feature.
    pub deflate: Option<DeflateConfig>,
}

/// The result of verifying a server's 101: the subprotocol and the compression parameters that both
/// ends agreed on.
#[derive(Clone, Debug)]
pub struct VerifiedResponse {
    /// The subprotocol that the server chose from the client's offers, or `None` if it chose none.
    pub subprotocol: Option<String>,
    /// The agreed compression parameters, or `None` if the connection isn't compressed.
    pub deflate: Option<DeflateParams>,
}

/// Headers that an application must not add to a handshake request. The client sets most of them
/// itself. `Content-Length` and `Transfer-Encoding` would announce a body, and the request has
/// none.
const RESERVED_HEADERS: [&str; 9] = [
    "Host",
    "Upgrade",
    "Connection",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Version",
    "Sec-WebSocket-Protocol",
    HEADER,
    // A request for a WebSocket has no body.
    "Content-Length",
    "Transfer-Encoding",
];

impl ClientRequest {
    /// Returns the bytes of the handshake request to send to the server. `key` is the client's
    /// `Sec-WebSocket-Key`. Fails if
    /// - a subprotocol isn't a token or is listed twice,
    /// - a compression setting is out of range,
    /// - the request target isn't an ASCII path, or
    /// - a header is invalid, or reserved for the client (such as `Host`).
    pub fn request(&self, address: &Address, key: &str) -> Result<Vec<u8>, Misuse> {
        check_subprotocols(&self.subprotocols).map_err(|name| Misuse::Subprotocol(name.into()))?;
        if !address.target.starts_with('/') || !address.target.bytes().all(|b| b.is_ascii_graphic())
        {
            return Err(Misuse::Address(without_secrets(&address.target), "not a path"));
        }
        let mut out = format!("GET {} HTTP/1.1\r\n", address.target).into_bytes();
        write_header(&mut out, "Host", &address.authority())?;
        write_header(&mut out, "Upgrade", "websocket")?;
        write_header(&mut out, "Connection", "Upgrade")?;
        write_header(&mut out, "Sec-WebSocket-Key", key)?;
        write_header(&mut out, "Sec-WebSocket-Version", VERSION)?;
        if !self.subprotocols.is_empty() {
            write_header(&mut out, "Sec-WebSocket-Protocol", &self.subprotocols.join(", "))?;
        }
        if let Some(settings) = &self.deflate {
            settings.validate()?;
            write_header(&mut out, HEADER, &DeflateParams::offer(settings).to_string())?;
        }
        for (name, value) in &self.headers {
            if RESERVED_HEADERS.iter().any(|ours| ours.eq_ignore_ascii_case(name)) {
                return Err(Misuse::Header(name.clone(), value.clone()));
            }
            write_header(&mut out, name, value)?;
        }
        out.extend_from_slice(b"\r\n");
        Ok(out)
    }

    /// Verifies that `head` is a valid 101 from a server that read our request with this `key`.
    /// Returns what both ends agreed on, or the error that the caller of `connect` receives.
    pub fn verify(&self, head: &Head, key: &str) -> Result<VerifiedResponse, HandshakeError> {
        self.verify_with_offers(
            head,
            key,
            self.deflate.as_ref().map(DeflateParams::offer).as_slice(),
        )
    }

    // WALK: verify
    /// Verifies a 101 like [`verify`](ClientRequest::verify), but the caller passes the compression
    /// `offers` in the order in which the request lists them. Our client sends at most one offer.
    /// The `explain` module also verifies the handshakes of other clients, which may send several.
    pub fn verify_with_offers(
        &self,
        head: &Head,
        key: &str,
        offers: &[DeflateParams],
    ) -> Result<VerifiedResponse, HandshakeError> {
        // §4.1: any status other than 101 is plain HTTP.
        let status = status_of(head.first_line())
            .ok_or(HandshakeError::not_http(quote(head.first_line())))?;
        if status != 101 {
            return Err(not_switching(status, head));
        }
        // RFC 9110 §7.8: HTTP/1.0 has no upgrades.
        if head.first_line().starts_with("HTTP/1.0") {
            let seen = quote(head.first_line());
            return Err(HandshakeError::new(Some(101), "a 101 of HTTP/1.0", seen).with_head(head));
        }
        // §4.1: `Upgrade` is websocket, `Connection` lists upgrade.
        if !head.only("Upgrade").is_some_and(|one| one.eq_ignore_ascii_case("websocket")) {
            return Err(wrong_101(head, "Upgrade", "websocket"));
        }
        if !head.list_contains("Connection", "upgrade") {
            return Err(wrong_101(head, "Connection", "Upgrade"));
        }
        // §4.1: `Sec-WebSocket-Accept` is computed from our key.
        let expected = accept_key::accept(key);
        if head.only("Sec-WebSocket-Accept") != Some(&expected) {
            return Err(wrong_101(head, "Sec-WebSocket-Accept", &expected));
        }
        // §4.1: the server names only extensions and subprotocols that the client offered.
        let deflate = deflate_params::verify_response(head, offers)
            .map_err(|expected| wrong_101(head, HEADER, expected))?;
        let subprotocol = head.only("Sec-WebSocket-Protocol");
        let is_offered = |chosen: &str| self.subprotocols.iter().any(|offered| offered == chosen);
        if head.header("Sec-WebSocket-Protocol").is_some() && !subprotocol.is_some_and(is_offered) {
            return Err(wrong_101(head, "Sec-WebSocket-Protocol", "one that was offered, or none"));
        }
        Ok(VerifiedResponse { subprotocol: subprotocol.map(str::to_owned), deflate })
    }
}

/// The error of a client's failed handshake: the server opened no WebSocket, or the server's
/// response doesn't match the client's request.
#[derive(Clone, Debug)]
pub struct HandshakeError {
    /// The HTTP status of the server's or the proxy's response, or `None` if the response wasn't
    /// valid HTTP or its head was too large. A 408, 429 or 5xx may have come without TLS although
    /// the URL is `wss://`: [`Error::Rejected`](crate::Error::Rejected) says why.
    pub status: Option<u16>,
    /// The head of the server's response. The application may need its `Retry-After`, `Location` or
    /// `WWW-Authenticate`. `None` if
    /// - the head was too large,
    /// - the response wasn't valid HTTP,
    /// - a proxy that opened no tunnel sent the response, or
    /// - the response came without TLS although the URL is `wss://`.
    pub head: Option<Box<Head>>,
    /// The response's body as text: at most 4 KiB, and only what arrives within a second. It's
    /// empty if the response has no body.
    pub body: String,
    /// The diagnostic: the rule that the response broke, what the client saw, the usual cause and
    /// the fix.
    pub diagnostic: Box<Diagnostic>,
}

impl HandshakeError {
    fn new(status: Option<u16>, heading: &'static str, seen: impl fmt::Display) -> HandshakeError {
        HandshakeError {
            status,
            head: None,
            body: String::new(),
            diagnostic: Box::new(Diagnostic::about(heading, seen)),
        }
    }

    /// Creates the error for a response whose head can't be parsed, for the reason that `refusal`
    /// names. The error names this reason in two cases: the head is too large, or it begins like
    /// HTTP (`begins_as_http`) but has a bare LF. In all other cases, the error says that the
    /// response isn't HTTP.
    pub(crate) fn bad_head(refusal: &Refusal, begins_as_http: bool) -> HandshakeError {
        let heading = match refusal.diagnostic_heading() {
            "a bare LF" if begins_as_http => "an answer with bare LFs",
            "a head too large" => "an answer with too large a head",
            _ => "an answer that is not HTTP",
        };
        HandshakeError::new(None, heading, &refusal.diagnostic().seen)
    }

    /// Returns the value of the response's first header with this name, ignoring the name's case.
    /// Returns `None` if the response has no such header, or if this error holds no
    /// [`head`](HandshakeError::head).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.as_ref()?.header(name)
    }

    /// Adds the response's head to this error, because the application may need the head's headers.
    fn with_head(self, head: &Head) -> HandshakeError {
        HandshakeError { head: Some(Box::new(head.clone())), ..self }
    }

    /// Creates the error for a proxy that opened no tunnel to the server. `status` is the status of
    /// the proxy's response, or `None` if the response isn't valid HTTP. `host` is the proxy's
    /// host, and `seen` describes the response.
    pub(crate) fn by_proxy(status: Option<u16>, host: &str, seen: &str) -> HandshakeError {
        let seen = format!("{seen} from {}", quote(host));
        HandshakeError::new(status, "a proxy that opens no tunnel", seen)
    }

    /// Creates the error for a server whose response isn't HTTP. `seen` describes the response.
    pub fn not_http(seen: impl fmt::Display) -> HandshakeError {
        HandshakeError::new(None, "an answer that is not HTTP", seen)
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.diagnostic.fmt(f)?;
        match self.body.trim_end() {
            "" => Ok(()),
            body => write!(f, "\n  the server says:\n{}", indented(body)),
        }
    }
}

/// Indents each line of a response's body for an error message, and [escapes](escape) the
/// characters that could mislead a reader.
fn indented(body: &str) -> String {
    body.lines().map(|line| format!("    {}", escape(line))).collect::<Vec<_>>().join("\n")
}

impl std::error::Error for HandshakeError {}

/// The headers in which a server tells a refused client what to do instead.
const ADVICE_HEADERS: [&str; 5] =
    ["Location", "WWW-Authenticate", "Proxy-Authenticate", "Retry-After", "Sec-WebSocket-Version"];

fn not_switching(status: u16, head: &Head) -> HandshakeError {
    let heading = match status {
        // A 304 isn't a redirect: it indicates that the client's cached copy is still valid.
        300..=303 | 305..=399 => "a redirect",
        401 | 407 => "an answer that asks who you are",
        403 => "an answer that forbids",
        426 => "an answer that asks for an upgrade",
        408 | 429 | 503 => "an answer that asks to wait",
        _ => "another answer",
    };
    let mut seen = quote(head.first_line());
    for name in ADVICE_HEADERS {
        if let Some(value) = head.header(name) {
            seen += &format!(", {name}: {}", quote(value));
        }
    }
    HandshakeError::new(Some(status), heading, seen).with_head(head)
}

fn wrong_101(head: &Head, name: &str, expected: &str) -> HandshakeError {
    let values = quote_all(&head.values(name));
    let seen = format!("{name}: {values}; expected: {expected}");
    HandshakeError::new(Some(101), "a wrong 101", seen).with_head(head)
}
