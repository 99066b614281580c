//! A refusal names the rule that a request broke. It becomes an HTTP response: a status, headers,
//! and a diagnostic as the body.
//!
//! The server always responds to a bad request. The client receives the rule, what the server saw,
//! the usual cause and the fix, as plain text. After a refusal, the server closes the connection,
//! so that it never mistakes later bytes for another request.

use std::fmt;

use super::response::Response;
use crate::diagnostic::Diagnostic;

/// A server's refusal of a request: why the server opened no WebSocket, and the HTTP response that
/// explains this to the client.
#[derive(Clone, Debug)]
pub struct Refusal {
    status: u16,
    headers: Vec<(String, String)>,
    diagnostic: Box<Diagnostic>,
    /// The diagnostic's heading in `diagnostics.md`, by which the `explain` module locates the code
    /// that refused the request. It's empty if the application created the refusal.
    heading: &'static str,
}

impl Refusal {
    /// Creates a refusal with this HTTP `status`. Its diagnostic is the one under `heading` in
    /// `diagnostics.md`, and `seen` is what the server saw in the request.
    #[cold]
    pub(crate) fn new(status: u16, heading: &'static str, seen: impl fmt::Display) -> Refusal {
        Refusal::with(status, heading, Diagnostic::about(heading, seen))
    }

    /// Creates the application's own refusal, for instance in a server's `authorize` hook.
    /// `sentence` explains the refusal to the client. If `status` is 205, which allows no body, or
    /// isn't between 200 and 599, the client receives a 500 instead.
    ///
    /// ```
    /// let refusal = ws101::Refusal::because(401, "Members only.").header("WWW-Authenticate", "Bearer");
    /// assert_eq!(refusal.status(), 401);
    /// ```
    pub fn because(status: u16, sentence: impl Into<String>) -> Refusal {
        Refusal::with(status, "", Diagnostic::just(sentence))
    }

    fn with(status: u16, heading: &'static str, diagnostic: Diagnostic) -> Refusal {
        Refusal { status, headers: Vec::new(), diagnostic: Box::new(diagnostic), heading }
    }

    /// Adds a header to the refusal's HTTP response. If the header is invalid, or is one that only
    /// the server may set (see [`Response::header`]), the client receives a 500 instead of this
    /// refusal.
    pub fn header(mut self, name: &str, value: &str) -> Refusal {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Returns the HTTP status of the refusal's response, such as 403.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Returns the diagnostic, which explains the refusal. The client receives it as the response's
    /// body.
    pub fn diagnostic(&self) -> &Diagnostic {
        &self.diagnostic
    }

    pub(crate) fn diagnostic_heading(&self) -> &'static str {
        self.heading
    }

    /// Returns the response to send to the client: the status, the added headers, and the
    /// diagnostic as plain text.
    pub fn response(&self) -> Response {
        let response = Response::text(format!("{self}\n")).status(self.status);
        self.headers.iter().fold(response, |response, (name, value)| response.header(name, value))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = super::status_line::reason(self.status);
        write!(f, "{} {reason}: {}", self.status, self.diagnostic)
    }
}

impl std::error::Error for Refusal {}
