//! Reads a request's head: its bytes become a method, a target and a host (RFC 9112 §3).
//!
//! ```text
//! GET /chat?room=1 HTTP/1.1             origin-form: a path, and perhaps a query
//! GET ws://example.com/chat HTTP/1.1    absolute-form, which names the host and is sent to proxies
//! OPTIONS * HTTP/1.1                    asterisk-form, about the server as a whole
//! CONNECT example.com:80 HTTP/1.1       authority-form, which asks a proxy for a tunnel
//! ```
//!
//! This file checks only the syntax. It refuses a first line that isn't a request line (400), a
//! version other than HTTP/1 (505), and a target in none of these forms (400). It skips one empty
//! line before the request line (RFC 9112 §2.2).
//!
//! Elsewhere: [`head`](super::head) validates the header fields, [`authority`](super::authority)
//! reads a host and port, and [`handshake::server`](crate::handshake::server) decides whether the
//! request becomes a WebSocket.

use std::net::SocketAddr;

use super::authority::Authority;
use super::head::{EMPTY_LINE, Head};
use super::refusal::Refusal;
use super::syntax::{is_token, percent_decoded, trim};
use crate::diagnostic::quote;

/// A client's request: its method, target and headers. A server's `authorize` hook, for example,
/// receives the request and decides whether to accept the client.
#[derive(Clone, Debug)]
pub struct Request {
    head: Head,
    /// The peer's address, or `None` if the stream has no such address. The request keeps it from
    /// the handshake on, because the operating system forgets it when the TCP connection ends.
    peer: Option<SocketAddr>,
    /// The client's TLS certificates, or `None` if the client presented none. They're boxed, so
    /// that a request without certificates stays small.
    certificates: Option<Box<ClientCertificates>>,
}

/// The certificates that a client presented in the TLS handshake, encoded as DER. The client's own
/// certificate comes first.
#[derive(Clone, Debug)]
struct ClientCertificates(Vec<Vec<u8>>);

impl Request {
    /// Parses a request's head. `bytes` is the complete head, up to and including the empty line
    /// that ends it. [`Scan`](super::head::Scan) finds that end. Refuses a malformed head or
    /// request line with a 400, and an HTTP version other than 1.x with a 505.
    pub fn parse(bytes: &[u8]) -> Result<Request, Refusal> {
        let head = Head::parse(bytes.strip_prefix(EMPTY_LINE).unwrap_or(bytes))?;
        let line = head.first_line();

        // 1. The request line is three words, separated by single spaces.
        let mut words = line.split(' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(refusal_of_bad_line(line));
        };
        if !is_token(method) || target.is_empty() {
            return Err(refusal_of_bad_line(line));
        }
        // 2. The version is HTTP/1. HTTP/1.0 and 1.1 heads have the same syntax. Any other
        // well-formed version gets a 505, so that the client learns what's wrong.
        match version.strip_prefix("HTTP/").map(str::as_bytes) {
            Some([b'1', b'.', b'0'..=b'9']) => {}
            Some([b'0'..=b'9', b'.', b'0'..=b'9']) => {
                return Err(Refusal::new(505, "another version of HTTP", quote(version)));
            }
            _ => return Err(refusal_of_bad_line(line)),
        }
        // 3. The target is visible ASCII without a fragment (RFC 6455 §3).
        if !target.bytes().all(|byte| byte.is_ascii_graphic()) || target.contains('#') {
            return Err(refusal_of_bad_target(target));
        }
        if split_off_authority(method, target).is_none() {
            return Err(refusal_of_bad_target(target));
        }
        Ok(Request { head, peer: None, certificates: None })
    }

    /// Sets the peer's address, and the certificates that the client presented in the TLS
    /// handshake. A server calls this after it has read the request's head. A client calls this
    /// after it has verified the server's 101, and passes no certificates.
    pub(crate) fn set_peer(&mut self, peer: Option<SocketAddr>, certificates: Vec<Vec<u8>>) {
        self.peer = peer;
        self.certificates =
            (!certificates.is_empty()).then(|| Box::new(ClientCertificates(certificates)));
    }

    /// Returns the peer's address: on a server the client's, and on a client the server's. If a
    /// proxy stands between them, the address is the proxy's, unless the stream from the server's
    /// `wrap_stream` knows the client's address. Returns `None` if there's no such address, as with
    /// a Unix socket.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Returns the TLS certificates that the client presented, encoded as DER. The client's own
    /// certificate comes first, and the TLS handshake has proved that the client holds its private
    /// key.
    ///
    /// The slice is empty if the client presented none, or if the server doesn't ask for
    /// certificates (`Tls::from_config` shows how to ask for them).
    pub fn peer_certificates(&self) -> &[Vec<u8>] {
        self.certificates.as_ref().map_or(&[], |shown| &shown.0)
    }

    /// Returns the request's method, such as `POST`. Only a `GET` can open a WebSocket.
    pub fn method(&self) -> &str {
        self.head.first_line().split(' ').next().unwrap_or_default()
    }

    /// Returns the request's HTTP version, such as `HTTP/1.0`. A request with `HTTP/1.0` can't open
    /// a WebSocket.
    pub fn version(&self) -> &str {
        self.head.first_line().rsplit(' ').next().unwrap_or_default()
    }

    /// Returns the request target as the client sent it: usually a path and a query, sometimes
    /// preceded by a scheme and a host.
    pub fn target(&self) -> &str {
        self.head.first_line().split(' ').nth(1).unwrap_or_default()
    }

    /// Returns the target's path, still percent-encoded. Returns `/` if the path is empty.
    pub fn path(&self) -> &str {
        match self.authority_and_path().1.split('?').next() {
            None | Some("") => "/",
            Some(path) => path,
        }
    }

    /// Returns the target's query: everything after the first `?`, still percent-encoded. Returns
    /// `None` if the target has no `?`.
    pub fn query(&self) -> Option<&str> {
        self.authority_and_path().1.split_once('?').map(|(_, query)| query)
    }

    /// Returns the decoded value of the first query parameter with this name. Both `%20` and `+`
    /// become a space, because browsers use both. For a parameter without a value, the result is
    /// `""`.
    ///
    /// Returns `None` if there's no such parameter, or if its value doesn't decode to UTF-8.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let decoded = |text: &str| percent_decoded(&text.replace('+', " "));
        let pairs = self.query()?.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let mut named = pairs.filter(|(key, _)| decoded(key).is_some_and(|key| key == name));
        named.next().and_then(|(_, value)| decoded(value))
    }

    /// Returns the host that the client asks for, with its port if the client named a port. A host
    /// in the target takes precedence over the `Host` header. Returns `None` if the request has
    /// neither.
    pub fn host(&self) -> Option<&str> {
        self.authority_and_path().0.or_else(|| self.header("Host"))
    }

    /// Returns the value of the request's first header with this name, or `None` if the request has
    /// no such header. Ignores the name's case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// Returns the value of the first cookie with this name, or `None` if the request has no such
    /// cookie. Unlike header names, cookie names are case-sensitive.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies().find(|cookie| cookie.0 == name).map(|cookie| cookie.1)
    }

    /// Returns all cookies of the request's `Cookie` headers, as pairs of name and value (RFC 6265
    /// §4.2.1). Skips text without a `=`.
    pub fn cookies(&self) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.head.values("Cookie").into_iter().flat_map(|line| line.split(';'));
        pairs.filter_map(|pair| trim(pair).split_once('='))
    }

    /// Returns the request's complete head: the request line and all header fields. Use it for
    /// headers that may occur more than once.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Splits the target into its authority, if it has one, and the rest: path and query. Does so
    /// on each call, because storing these parts would take memory. The split can't fail, because
    /// [`parse`](Request::parse) refuses a target that can't be split.
    fn authority_and_path(&self) -> (Option<&str>, &str) {
        split_off_authority(self.method(), self.target()).unwrap_or_default()
    }
}

/// Splits a request target into its authority, if it has one, and the rest: path and query. Returns
/// `None` if the target has none of the four forms of RFC 9112 §3.2, or an unknown scheme.
fn split_off_authority<'a>(method: &str, target: &'a str) -> Option<(Option<&'a str>, &'a str)> {
    if target.starts_with('/') || (method, target) == ("OPTIONS", "*") {
        return Some((None, target));
    }
    if method == "CONNECT" {
        return Authority::parse(target).map(|_| (Some(target), ""));
    }
    let (scheme, rest) = target.split_once("://")?;
    if !["ws", "wss", "http", "https"].iter().any(|known| known.eq_ignore_ascii_case(scheme)) {
        return None;
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    Authority::parse(authority)?;
    Some((Some(authority), path))
}

fn refusal_of_bad_line(line: &str) -> Refusal {
    Refusal::new(400, "not a request line", quote(line))
}

fn refusal_of_bad_target(target: &str) -> Refusal {
    Refusal::new(400, "not a target", quote(target))
}

/// Returns whether an unparsed request begins like a HEAD request. If so, its refusal must have no
/// body (RFC 9110 §9.3.2).
pub(crate) fn begins_with_head_method(bytes: &[u8]) -> bool {
    bytes.strip_prefix(EMPTY_LINE).unwrap_or(bytes).starts_with(b"HEAD ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(first_line: &str) -> Result<Request, u16> {
        let head =
            format!("{first_line}\r\nHost: a:1\r\nCookie: x=1; y=\"2\"\r\ncookie: z=\r\n\r\n");
        Request::parse(head.as_bytes()).map_err(|refusal| refusal.status())
    }

    #[test]
    fn a_target_is_split_into_path_and_query() {
        let request = parse("GET /chat/%20?a=b?c HTTP/1.1").unwrap();
        assert_eq!(
            (request.method(), request.path(), request.query()),
            ("GET", "/chat/%20", Some("a=b?c"))
        );
        assert_eq!(request.host(), Some("a:1"));
    }

    #[test]
    fn a_parameter_of_the_query_is_found_and_decoded() {
        let target =
            "/?room=a%20b+c&a=1&a=2&empty=&alone&%6e%61me=%E2%82%AC&bad=%ff&x=%zz%4&=none&y=1=2";
        let request = parse(&format!("GET {target} HTTP/1.1")).unwrap();
        for (name, value) in [
            ("room", Some("a b c")),
            ("a", Some("1")),
            ("empty", Some("")),
            ("alone", Some("")),
            ("name", Some("\u{20ac}")),
            ("bad", None),
            ("x", Some("%zz%4")),
            ("", Some("none")),
            ("y", Some("1=2")),
            ("Room", None),
            ("missing", None),
        ] {
            assert_eq!(request.parameter(name).as_deref(), value, "{name}");
        }
        assert_eq!(parse("GET / HTTP/1.1").unwrap().parameter("a"), None);
    }

    #[test]
    fn an_absolute_target_names_the_host() {
        for (target, host, path) in [
            ("ws://example.com:8080/", "example.com:8080", "/"),
            ("HTTPS://[::1]:1/x?y", "[::1]:1", "/x"),
            ("http://b?c", "b", "/"),
            ("wss://b", "b", "/"),
        ] {
            let request = parse(&format!("GET {target} HTTP/1.1")).unwrap();
            assert_eq!((request.host(), request.path()), (Some(host), path), "{target}");
            assert_eq!(request.target(), target);
        }
    }

    #[test]
    fn cookies_are_found_over_several_lines() {
        let request = parse("GET / HTTP/1.1").unwrap();
        assert_eq!(request.cookies().collect::<Vec<_>>(), [("x", "1"), ("y", "\"2\""), ("z", "")]);
        assert_eq!(request.cookie("y"), Some("\"2\""));
        assert_eq!(request.cookie("X"), None);
    }

    #[test]
    fn a_first_line_that_is_no_request_is_refused() {
        for line in [
            "",
            " ",
            "GET",
            "GET /",
            "GET  / HTTP/1.1",
            "GET / HTTP/1.1 ",
            " GET / HTTP/1.1",
            "G@T / HTTP/1.1",
            "GET / http/1.1",
            "GET / HTTP/1",
            "GET / HTTP/1.1x",
            "GET /\u{e9} HTTP/1.1",
            "GET /#a HTTP/1.1",
            "GET * HTTP/1.1",
            "GET a:1 HTTP/1.1",
            "GET ftp://a/ HTTP/1.1",
            "GET ws:///x HTTP/1.1",
            "GET ws://u@a/ HTTP/1.1",
            "GET chat HTTP/1.1",
        ] {
            assert_eq!(parse(line).err(), Some(400), "{line:?}");
        }
    }

    #[test]
    fn another_version_of_http_is_refused_with_505() {
        for version in ["HTTP/0.9", "HTTP/2.0", "HTTP/3.1"] {
            assert_eq!(parse(&format!("GET / {version}")).err(), Some(505), "{version}");
        }
        for version in ["HTTP/1.0", "HTTP/1.1", "HTTP/1.2"] {
            assert_eq!(parse(&format!("GET / {version}")).unwrap().version(), version);
        }
    }

    #[test]
    fn one_empty_line_in_front_of_a_request_is_skipped() {
        assert_eq!(parse("\r\nGET /a HTTP/1.1").unwrap().path(), "/a");
        assert_eq!(parse("\r\n\r\nGET /a HTTP/1.1").err(), Some(400));
    }
}
