//! The server's side of the opening handshake: it decides how to handle a request (RFC 6455 §4.2).
//!
//! A request has three possible outcomes: a WebSocket (the 101), plain HTTP (the client didn't ask
//! for an upgrade), or a [`Refusal`] that names the broken rule.
//!
//! Elsewhere: [`request`](crate::http::request) validates the request's syntax, [`accept_key`]
//! computes the proof in the 101, [`hosts`](super::hosts) compares hosts, [`origin`] compares
//! origins, [`deflate_params`] negotiates compression, and [`refusal`](crate::http::refusal) turns
//! a refusal into a response.

use std::collections::HashSet;

use super::accept_key;
use super::deflate_params::{self, DeflateConfig, DeflateParams};
use super::hosts::Hosts;
use super::origin::{self, Origins};
use crate::diagnostic::misuse::Misuse;
use crate::diagnostic::{quote, quote_all};
use crate::http::authority::Authority;
use crate::http::head::Head;
use crate::http::refusal::Refusal;
use crate::http::request::Request;
use crate::http::response::write_header;
use crate::http::syntax::is_token;

/// The only version of the WebSocket protocol that this crate supports (§4.1).
pub const VERSION: &str = "13";

/// The rules that a server's operator sets for requests, in addition to the RFC's rules.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// The web pages that may open a connection, identified by their origins. The default is
    /// `SameHost`. For a `Server` with TLS, it's `SameHostOverTls`.
    pub origins: Origins,
    /// The hosts that a request may ask for, such as `example.com`. The server refuses a request
    /// for any other host with a 421. A `Server` that listens on a loopback address has the default
    /// `Loopback`, which allows only `localhost`, names that end with `.localhost`, and loopback
    /// addresses. Otherwise, the default is `Any`.
    pub hosts: Hosts,
    /// The paths on which the server accepts WebSocket connections. An empty list allows any path.
    pub paths: Vec<String>,
    /// The subprotocols that the server supports. If several match, the client's order of
    /// preference decides.
    pub subprotocols: Vec<String>,
    /// The server's compression settings, or `None` if the server doesn't compress. Must be `None`
    /// in a build without the `deflate` feature.
    pub deflate: Option<DeflateConfig>,
}

impl Rules {
    /// Validates the configured rules before the server starts. Fails with a [`Misuse`] if
    /// - a subprotocol isn't a token or is listed twice,
    /// - a compression setting is out of range, or
    /// - no request could ever match a listed origin, host or path.
    pub fn validate(&self) -> Result<(), Misuse> {
        self.deflate.as_ref().map_or(Ok(()), DeflateConfig::validate)?;
        check_subprotocols(&self.subprotocols).map_err(|name| Misuse::Subprotocol(name.into()))?;
        let never = |setting, bad: &String| Err(Misuse::NeverMatches(setting, bad.clone()));
        if let Origins::Listed(listed) = &self.origins
            && let Some(bad) = listed.iter().find(|one| !origin::can_match(one))
        {
            return never("origins", bad);
        }
        if let Hosts::Listed(listed) = &self.hosts
            && let Some(bad) = listed.iter().find(|one| !can_be_asked_for(one))
        {
            return never("hosts", bad);
        }
        match self.paths.iter().find(|path| !is_path(path)) {
            Some(bad) => never("paths", bad),
            None => Ok(()),
        }
    }
}

/// The server's decision on a request that it doesn't refuse.
#[derive(Debug)]
pub enum Decision {
    /// The request doesn't ask for a WebSocket. The server responds with plain HTTP, such as a
    /// page.
    PlainHttp,
    /// The request becomes a WebSocket: the server responds with a 101.
    Switch(Agreement),
}

/// Headers that an application must not add to the 101. The server sets `Upgrade` and `Connection`
/// itself. `Content-Length` and `Transfer-Encoding` would announce a body, and a 101 has none.
/// Names that begin with `Sec-WebSocket-` are reserved, too.
const RESERVED_HEADERS: [&str; 4] =
    ["Upgrade", "Connection", "Content-Length", "Transfer-Encoding"];

/// The result of a successful handshake at the server: the client's key, and the subprotocol and
/// the compression parameters that both ends agreed on. [`response`](Agreement::response) makes the
/// 101 from it.
#[derive(Clone, Debug)]
pub struct Agreement {
    key: String,
    /// The subprotocol that both ends will use, or `None` if they have none in common.
    pub subprotocol: Option<String>,
    /// The agreed compression parameters, or `None` if the connection isn't compressed.
    pub deflate: Option<DeflateParams>,
}

impl Agreement {
    /// Returns the bytes of the 101 response (§4.2.2), with the application's `headers` after the
    /// handshake's headers. Fails if one of `headers` is invalid, or reserved for the handshake
    /// (such as `Upgrade` or `Content-Length`).
    #[inline(never)]
    pub fn response_with(&self, headers: &[(String, String)]) -> Result<Vec<u8>, Misuse> {
        let mut response = self.response();
        response.truncate(response.len() - b"\r\n".len());
        for (name, value) in headers {
            let name_is = |ours: &&str| ours.eq_ignore_ascii_case(name);
            let is_ours = RESERVED_HEADERS.iter().any(name_is)
                || name.to_ascii_lowercase().starts_with("sec-websocket-");
            if is_ours {
                return Err(Misuse::Header(name.clone(), value.clone()));
            }
            write_header(&mut response, name, value)?;
        }
        response.extend_from_slice(b"\r\n");
        Ok(response)
    }

    /// Returns the bytes of the 101 response (§4.2.2), with only the handshake's headers.
    pub fn response(&self) -> Vec<u8> {
        // The name comes from the server's own list, so the client can't inject text here.
        let protocol_line = |name: &String| format!("Sec-WebSocket-Protocol: {name}\r\n");
        let extensions_line =
            |params: &DeflateParams| format!("{}: {params}\r\n", super::extension::HEADER);
        // (`concat` allocates exactly what the response needs.)
        let parts = [
            "HTTP/1.1 101 Switching Protocols\r\n\
             Upgrade: websocket\r\n\
             Connection: Upgrade\r\n\
             Sec-WebSocket-Accept: ",
            &accept_key::accept(&self.key),
            "\r\n",
            &self.subprotocol.as_ref().map(protocol_line).unwrap_or_default(),
            &self.deflate.as_ref().map(extensions_line).unwrap_or_default(),
            "\r\n",
        ];
        parts.concat().into_bytes()
    }
}

// WALK: decide
/// Decides whether a request becomes a WebSocket, receives a plain HTTP response, or is refused.
/// The server calls this function once per connection, after reading the request's head.
pub fn decide(request: &Request, rules: &Rules) -> Result<Decision, Refusal> {
    // 1. Is it clear where the request ends, and does the server answer for its host?
    check_body_framing(request)?;
    let host = check_host(request, &rules.hosts)?;
    // 2. Does the client ask for a WebSocket? The server may ignore any other upgrade, such as h2c.
    if !request.head().list_contains("Upgrade", "websocket") {
        return Ok(Decision::PlainHttp);
    }
    // 3. Is it an HTTP/1.1 GET, as a WebSocket handshake requires?
    check_method(request)?;
    check_http_version(request)?;
    check_connection(request.head())?;
    // 4. Are the WebSocket version and the key valid? The version is checked first, because another
    // version may use another kind of key.
    check_version(request.head())?;
    let key = check_key(request.head())?;
    // 5. May this page connect, and which subprotocol and compression do both ends support?
    check_origin(request.head(), &rules.origins, host)?;
    check_path(request.path(), &rules.paths)?;
    let subprotocol = choose_subprotocol(request.head(), &rules.subprotocols)?;
    let deflate = deflate_params::answer_offers(request.head(), rules.deflate.as_ref())?;
    Ok(Decision::Switch(Agreement { key: key.to_owned(), subprotocol, deflate }))
}

fn check_method(request: &Request) -> Result<(), Refusal> {
    // §4.1: the method of a handshake is GET.
    match request.method() {
        "GET" => Ok(()),
        other => {
            let refusal = Refusal::new(405, "a method other than GET", quote(other));
            Err(refusal.header("Allow", "GET"))
        }
    }
}

fn check_http_version(request: &Request) -> Result<(), Refusal> {
    // §4.2.1: HTTP/1.1 or higher. RFC 9110 §7.8: HTTP/1.0 has no upgrades.
    match request.version() {
        "HTTP/1.0" => Err(Refusal::new(505, "another version of HTTP", quote(request.version()))),
        _ => Ok(()),
    }
}

fn check_body_framing(request: &Request) -> Result<(), Refusal> {
    // A proxy might read the bytes after an upgrade request as its body, while the server reads
    // them as frames. An attacker can smuggle requests through that gap (RFC 9112 §11.2). Therefore
    // a GET or a HEAD must not have a body. Any other method can't upgrade, so it may have a body
    // whose end is unambiguous (§6.3).
    let head = request.head();
    let lengths = head.values("Content-Length");
    let no_length = matches!(lengths.as_slice(), [] | ["0"]);
    let no_body = no_length && head.header("Transfer-Encoding").is_none();
    let has_clear_end = match (lengths.as_slice(), head.values("Transfer-Encoding").as_slice()) {
        ([length], []) => !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit()),
        ([], [coding]) => request.version() != "HTTP/1.0" && coding.eq_ignore_ascii_case("chunked"),
        _ => false,
    };
    match no_body || has_clear_end && !matches!(request.method(), "GET" | "HEAD") {
        true => Ok(()),
        false => {
            let lengths = quote_all(&lengths);
            let codings = quote_all(&head.values("Transfer-Encoding"));
            let seen = format!("Content-Length: {lengths}; Transfer-Encoding: {codings}");
            Err(Refusal::new(400, "a body", seen))
        }
    }
}

/// Returns the host that the client asks for, or an empty text if an HTTP/1.0 request names none.
/// Refuses the request with a 400 if its `Host` is repeated or invalid, or if it's missing in
/// HTTP/1.1 or later. Refuses it with a 421 if the server doesn't answer for the host.
fn check_host<'a>(request: &'a Request, ours: &Hosts) -> Result<&'a str, Refusal> {
    // RFC 9112 §3.2: a request has exactly one `Host`, even if its target names a host too.
    let head = request.head();
    let asked = match head.only("Host") {
        Some(host) if Authority::parse(host).is_some() => request.host().unwrap_or(host),
        // HTTP/1.0 doesn't require a `Host`, and health checkers send none. Every browser sends
        // one.
        None if request.version() == "HTTP/1.0" && head.header("Host").is_none() => {
            match request.host() {
                Some(of_target) => of_target,
                None => return Ok(""),
            }
        }
        _ => {
            let seen = format!("Host: {}", quote_all(&head.values("Host")));
            return Err(Refusal::new(400, "not one host", seen));
        }
    };
    match ours.answers_for(asked) {
        true => Ok(asked),
        false => {
            let seen = format!("{}; this server answers for {ours}", quote(asked));
            Err(Refusal::new(421, "a host not ours", seen))
        }
    }
}

fn check_connection(head: &Head) -> Result<(), Refusal> {
    // §4.2.1: `Connection` is a list that contains the token `Upgrade`.
    match head.list_contains("Connection", "upgrade") {
        true => Ok(()),
        false => {
            let seen = quote_all(&head.values("Connection"));
            Err(Refusal::new(400, "an upgrade without connection", seen))
        }
    }
}

// WALK: version
fn check_version(head: &Head) -> Result<(), Refusal> {
    // §4.2.1: the version is 13. §4.4: to any other version, the server responds with the version
    // that it supports.
    if head.only("Sec-WebSocket-Version") == Some(VERSION) {
        return Ok(());
    }
    let is_of_2010 = |name: &str| head.header(name).is_some();
    let refusal = match is_of_2010("Sec-WebSocket-Key1") || is_of_2010("Sec-WebSocket-Key2") {
        true => Refusal::new(426, "the draft of 2010", ""),
        false => {
            Refusal::new(426, "not version 13", quote_all(&head.values("Sec-WebSocket-Version")))
        }
    };
    Err(refusal.header("Sec-WebSocket-Version", VERSION).header("Upgrade", "websocket"))
}

fn check_key(head: &Head) -> Result<&str, Refusal> {
    // §4.2.1: a key is 16 bytes in base64. §11.3.1: a request has only one key.
    let seen = match head.only("Sec-WebSocket-Key") {
        Some(sent) => match accept_key::decode_key(sent) {
            Ok(_) => return Ok(sent),
            Err(why) => format!("{}, which is {why}", quote(sent)),
        },
        None => format!("{} keys", head.values("Sec-WebSocket-Key").len()),
    };
    Err(Refusal::new(400, "not a key", seen))
}

fn check_origin(head: &Head, origins: &Origins, host: &str) -> Result<(), Refusal> {
    // §4.2.2, §10.2: a page from an origin that isn't allowed gets a 403.
    let sent = head.values("Origin");
    match sent.as_slice() {
        [] => Ok(()),
        [origin] if origins.allows(origin, host) => Ok(()),
        [origin] => {
            let (origin, host) = (quote(origin), quote(host));
            let seen = format!("Origin: {origin} at Host: {host}; allowed: {origins}");
            Err(Refusal::new(403, "a foreign page", seen))
        }
        _ => Err(Refusal::new(400, "two origins", quote_all(&sent))),
    }
}

fn check_path(path: &str, listed: &[String]) -> Result<(), Refusal> {
    // §4.2.2: a request for a path without a WebSocket gets a 404.
    match listed.is_empty() || listed.iter().any(|one| one == path) {
        true => Ok(()),
        false => {
            let seen = format!("path {}; there is one at {}", quote(path), listed.join(", "));
            Err(Refusal::new(404, "no such path", seen))
        }
    }
}

// WALK: subprotocol
fn choose_subprotocol(head: &Head, ours: &[String]) -> Result<Option<String>, Refusal> {
    let offered = head.list("Sec-WebSocket-Protocol");
    // §4.1: the names are tokens, each listed once. §4.3: the header lists at least one.
    let bad = match check_subprotocols(&offered) {
        Err(bad) => Some(bad),
        Ok(()) if offered.is_empty() => head.header("Sec-WebSocket-Protocol"),
        Ok(()) => None,
    };
    if let Some(bad) = bad {
        let seen = format!("{} in {}", quote(bad), quote(offered.join(", ")));
        return Err(Refusal::new(400, "not a list of subprotocols", seen));
    }
    // §4.2.2: the client lists its names in order of preference. If the ends have no name in
    // common, the connection has no subprotocol.
    let chosen = offered.iter().find(|name| ours.iter().any(|one| one == *name));
    Ok(chosen.map(|&name| name.to_owned()))
}

/// Checks that each name in a list of subprotocols is a token, and that no name is listed twice.
/// The error is the first name that breaks one of these rules.
pub(crate) fn check_subprotocols<T: AsRef<str>>(names: &[T]) -> Result<(), &str> {
    let mut earlier = HashSet::new();
    let mut names = names.iter().map(AsRef::as_ref);
    let bad = names.find(|name| !is_token(name) || !earlier.insert(*name));
    bad.map_or(Ok(()), Err)
}

/// Returns whether a request can ask for `host`, an entry of the configured list. It must be a host
/// with an optional port. An entry with a `*` can never match: a `*` is no wildcard here, and no
/// hostname contains one.
fn can_be_asked_for(host: &str) -> bool {
    Authority::parse(host).is_some() && !host.contains('*')
}

/// Returns whether `path` can occur as the path of a request. It must begin with `/`, and contain
/// only visible ASCII characters other than `?` and `#`.
fn is_path(path: &str) -> bool {
    let may_be_in_path = |byte: u8| byte.is_ascii_graphic() && !b"?#".contains(&byte);
    path.starts_with('/') && path.bytes().all(may_be_in_path)
}

/// Returns the refusal for a plain HTTP request for which the application has no page. `has_pages`
/// says whether the application serves any pages. The first case that applies determines the
/// status:
/// - 404, if the application serves pages, and `rules` doesn't list the path;
/// - 405, for a method other than GET;
/// - 505, for HTTP/1.0;
/// - 426, for any other request.
pub fn refusal_of_plain_http(request: &Request, rules: &Rules, has_pages: bool) -> Refusal {
    // RFC 9110 §15.5.5: an unknown path gets a 404, unless a WebSocket opens there.
    if has_pages && !rules.paths.iter().any(|path| path == request.path()) {
        return Refusal::new(404, "no such page", quote(request.path()));
    }
    let wrong = check_method(request).and_then(|()| check_http_version(request));
    wrong.err().unwrap_or_else(upgrade_required)
}

/// Returns the refusal for a plain HTTP request to a path that serves only a WebSocket: a 426,
/// which asks the client to upgrade.
pub fn upgrade_required() -> Refusal {
    let refusal = Refusal::new(426, "no upgrade", "");
    refusal.header("Upgrade", "websocket").header("Sec-WebSocket-Version", VERSION)
}
