//! Writes HTTP responses other than a 101, such as pages and refusals.
//!
//! Each response announces that it's the last on its connection. It also gives its body's exact
//! length, except for a 204 and for a 304 without a body. This file uses no clock, so the caller
//! passes in the time for the `Date` header. This file refuses a header whose name or value could
//! break out of its line (response splitting), before any byte is written.
//!
//! Elsewhere: a client reads responses with
//! [`Head::parse_response`](super::head::Head::parse_response), and a server writes the 101 in
//! [`handshake::server`](crate::handshake::server).

use super::date::http_date;
use super::status_line::reason;
use super::syntax::is_token;
use crate::diagnostic::misuse::Misuse;

/// A plain HTTP response, such as a page for a client that didn't ask for a WebSocket. The server
/// closes the connection after sending it.
///
/// ```
/// let page = ws101::Response::html("<h1>Hello</h1>").header("Cache-Control", "no-store");
/// ```
#[derive(Clone, Debug)]
pub struct Response {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    sends_body: bool,
}

impl Response {
    /// Creates a response with an HTML page as its body, and status 200.
    pub fn html(body: impl Into<String>) -> Response {
        Response::new("text/html; charset=utf-8", body.into())
    }

    /// Creates a response with a plain-text body in UTF-8, and status 200.
    pub fn text(body: impl Into<String>) -> Response {
        Response::new("text/plain; charset=utf-8", body.into())
    }

    /// Creates a response with any body, and status 200. `content_type` is the body's media type,
    /// such as `image/png`.
    pub fn new(content_type: &str, body: impl Into<Vec<u8>>) -> Response {
        let headers = vec![("Content-Type".into(), content_type.into())];
        Response { status: 200, headers, body: body.into(), sends_body: true }
    }

    /// Turns this response into one for a HEAD request: the head gives the body's length, but the
    /// body isn't sent.
    pub(crate) fn for_head_request(self) -> Response {
        Response { sends_body: false, ..self }
    }

    /// Sets the status, which is 200 by default. If the status is below 200 or above 599, or if a
    /// 205 has a body, the client receives a 500 instead of this response.
    pub fn status(mut self, status: u16) -> Response {
        self.status = status;
        self
    }

    /// Adds a header to the response. A `Content-Type` replaces the earlier one. If the header is
    /// invalid, or reserved for the server (`Content-Length`, `Transfer-Encoding` or `Connection`),
    /// the client receives a 500 instead of this response.
    pub fn header(mut self, name: &str, value: &str) -> Response {
        if name.eq_ignore_ascii_case("Content-Type") {
            self.headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        }
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Encodes the whole response, head and body, without a `Date` header. Fails if the status
    /// isn't between 200 and 599, if a 205 has a body, or if a header is invalid or reserved for
    /// the server.
    pub fn encode(&self) -> Result<Vec<u8>, Misuse> {
        Ok([&self.head(None)?, self.body()].concat())
    }

    /// Returns the body to send. The slice is empty if the status is 204 or 304, or if the response
    /// answers a HEAD request.
    pub fn body(&self) -> &[u8] {
        // RFC 9110 §6.4.1: responses with these statuses have no body.
        let has_body = self.sends_body && !matches!(self.status, 204 | 304);
        if has_body { &self.body } else { &[] }
    }

    /// Returns the HTTP head to send. `now` is the Unix time, in seconds, for the `Date` header
    /// (RFC 9110 §6.6.1). If `now` is `None`, or if the application has set a `Date` itself, this
    /// function adds none. Fails like [`encode`](Response::encode).
    pub fn head(&self, now: Option<u64>) -> Result<Vec<u8>, Misuse> {
        let Response { status, headers, body, .. } = self;
        // RFC 9110 §15: a 1xx isn't the final response. §15.3.6: a 205 has no content.
        if !(200..=599).contains(status) || (*status == 205 && !body.is_empty()) {
            return Err(Misuse::Status(*status));
        }
        let has = |asked: &str| headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(asked));
        let mut out = format!("HTTP/1.1 {status} {}\r\n", reason(*status)).into_bytes();
        for (name, value) in headers {
            if RESERVED_HEADERS.iter().any(|ours| name.eq_ignore_ascii_case(ours)) {
                return Err(Misuse::Header(name.clone(), value.clone()));
            }
            write_header(&mut out, name, value)?;
        }
        if let Some(date) = now.and_then(http_date).filter(|_| !has("Date")) {
            write_header(&mut out, "Date", &date)?;
        }
        // RFC 9110 §8.6: a 204 has no `Content-Length`. A 304's `Content-Length` is the length of
        // the body that a 200 would have. If the application gives the 304 no body, we don't know
        // that length.
        if !(*status == 204 || *status == 304 && body.is_empty()) {
            write_header(&mut out, "Content-Length", &body.len().to_string())?;
        }
        // The body may quote the request, so `nosniff` keeps a browser from guessing that the body
        // is a page or a script.
        write_header(&mut out, "X-Content-Type-Options", "nosniff")?;
        // RFC 9110 §7.8: a sender of `Upgrade` lists it in `Connection` as well.
        let connection = if has("Upgrade") { "upgrade, close" } else { "close" };
        write_header(&mut out, "Connection", connection)?;
        out.extend_from_slice(b"\r\n");
        Ok(out)
    }
}

/// Headers that an application must not set on a response. They tell the client where the response
/// ends, so only the server may set them.
const RESERVED_HEADERS: [&str; 3] = ["Content-Length", "Transfer-Encoding", "Connection"];

/// Appends a header line to `out`. Fails if the name isn't a token, or if the value contains a
/// control character other than a tab. Without this check, a CR LF in the value could end the line
/// and begin another header.
pub(crate) fn write_header(out: &mut Vec<u8>, name: &str, value: &str) -> Result<(), Misuse> {
    if !is_token(name) || !may_be_value(value) {
        return Err(Misuse::Header(name.into(), value.into()));
    }
    for piece in [name, ": ", value, "\r\n"] {
        out.extend_from_slice(piece.as_bytes());
    }
    Ok(())
}

/// Returns whether `value` is allowed as a header's value. It must not contain ASCII control
/// characters other than tabs.
fn may_be_value(value: &str) -> bool {
    value.bytes().all(|byte| byte == b'\t' || !byte.is_ascii_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_says_its_length_and_that_it_is_the_last() {
        let bytes = Response::text("hello").encode().unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
        assert!(
            text.contains("\r\nContent-Length: 5\r\n")
                && text.contains("\r\nConnection: close\r\n")
        );
        assert!(text.ends_with("\r\n\r\nhello"));
    }

    /// Checks a sample of the reason phrases in RFC 9110 §15 and RFC 6585.
    #[test]
    fn each_status_goes_with_the_words_of_its_rfc() {
        for line in [
            "200 OK",
            "205 Reset Content",
            "304 Not Modified",
            "308 Permanent Redirect",
            "405 Method Not Allowed",
            "414 URI Too Long",
            "421 Misdirected Request",
            "422 Unprocessable Content",
            "429 Too Many Requests",
            "505 HTTP Version Not Supported",
            "299 Other",
        ] {
            let status = line[..3].parse().unwrap();
            let bytes = Response::text("").status(status).encode().unwrap();
            assert!(bytes.starts_with(format!("HTTP/1.1 {line}\r\n").as_bytes()), "{line}");
        }
    }

    #[test]
    fn a_status_that_no_page_can_have_is_a_misuse() {
        for status in [0, 7, 100, 101, 199, 600, 1000] {
            let sent = Response::text("").status(status).encode();
            assert_eq!(sent, Err(Misuse::Status(status)));
        }
        assert_eq!(Response::text("a").status(205).encode(), Err(Misuse::Status(205)));
        assert!(Response::text("").status(205).encode().is_ok());
        assert!(Response::text("a").status(599).encode().is_ok());
    }

    #[test]
    fn a_response_has_one_content_type_the_last_that_was_set() {
        let page = Response::text("a").header("content-type", "image/png");
        let text = String::from_utf8(page.encode().unwrap()).unwrap();
        assert_eq!(text.to_ascii_lowercase().matches("content-type:").count(), 1, "{text}");
        assert!(text.contains("image/png"), "{text}");
    }

    #[test]
    fn a_response_has_one_date_the_handler_s_or_that_of_now() {
        let now = Some(0);
        let dates = |response: Response, now| {
            let head = String::from_utf8(response.head(now).unwrap()).unwrap();
            let lines = head.lines().filter(|line| line.to_ascii_lowercase().starts_with("date:"));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(dates(Response::text("a"), now), ["Date: Thu, 01 Jan 1970 00:00:00 GMT"]);
        assert_eq!(dates(Response::text("a").header("date", "x"), now), ["date: x"]);
        assert_eq!(dates(Response::text("a"), None), [""; 0]);
    }

    #[test]
    fn the_headers_of_a_response_may_not_set_its_length() {
        for name in ["content-length", "Transfer-Encoding", "CONNECTION"] {
            assert!(Response::text("a").header(name, "1").encode().is_err(), "{name}");
        }
    }

    #[test]
    fn a_204_has_neither_body_nor_length_and_a_304_no_body() {
        let sent = |status| {
            let bytes = Response::text("body").status(status).encode().unwrap();
            String::from_utf8(bytes).unwrap()
        };
        assert!(!sent(204).contains("Content-Length") && sent(204).ends_with("\r\n\r\n"));
        assert!(sent(304).contains("Content-Length: 4\r\n") && sent(304).ends_with("\r\n\r\n"));
        // Its length would be that of a 200's body, which isn't known to be empty.
        let unmodified = Response::text("").status(304).encode().unwrap();
        assert!(!String::from_utf8(unmodified).unwrap().contains("Content-Length"));
    }

    #[test]
    fn a_header_that_would_break_out_of_its_line_is_refused() {
        for (name, value) in
            [("A", "b\r\nC: d"), ("A", "\n"), ("A", "\0"), ("A: b\r\nC", "d"), ("", "b")]
        {
            assert!(
                Response::text("").header(name, value).encode().is_err(),
                "{name:?}: {value:?}"
            );
        }
    }
}
