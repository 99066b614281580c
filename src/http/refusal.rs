//! Refusals: a broken rule in, an HTTP response out, with a status, headers and a diagnostic as
//! body.
//!
//! The server always answers a bad request. The client gets the rule, what the server saw, the
//! usual cause and the fix, as plain text. The server closes the connection after a refusal, so
//! that it never takes bytes after a bad request for another request.

use std::fmt;

use super::response::Response;
use crate::diagnostic::Diagnostic;

/// Why a request didn't become a WebSocket.
#[derive(Clone, Debug)]
pub struct Refusal {
    status: u16,
    headers: Vec<(String, String)>,
    diagnostic: Box<Diagnostic>,
    /// The diagnostic's heading in `diagnostics.md`, by which `explain` finds the code. Empty for a
    /// refusal that the application made.
    heading: &'static str,
}

impl Refusal {
    /// Creates a refusal with this status and the diagnostic under this heading of
    /// `diagnostics.md`.
    #[cold]
    pub(crate) fn new(status: u16, heading: &'static str, seen: impl fmt::Display) -> Refusal {
        Refusal::with(status, heading, Diagnostic::about(heading, seen))
    }

    /// A refusal of your own, for instance in `authorize`: a status and a sentence.
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

    /// Adds a header to the response.
    pub fn header(mut self, name: &str, value: &str) -> Refusal {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The HTTP status of the response.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The diagnostic in the response's body.
    pub fn diagnostic(&self) -> &Diagnostic {
        &self.diagnostic
    }

    pub(crate) fn heading(&self) -> &'static str {
        self.heading
    }

    /// Returns the response to send.
    pub fn response(&self) -> Response {
        let response = Response::text(format!("{self}\n")).status(self.status);
        self.headers.iter().fold(response, |response, (name, value)| response.header(name, value))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = super::response::reason(self.status);
        write!(f, "{} {reason}: {}", self.status, self.diagnostic)
    }
}

impl std::error::Error for Refusal {}
