//! A server's settings, and the application's functions that the server calls.

use std::sync::Arc;

use super::application_check::ApplicationCheck;
use crate::diagnostic::misuse::Misuse;
use crate::frames::deflate;
use crate::handshake::server::Rules;
use crate::http::request::Request;
use crate::http::response::Response;
use crate::limits::Limits;
use crate::transport::stream::WrapStream;
use crate::transport::tls::Tls;

/// A server's configuration: which requests it accepts, its limits, and the application's
/// callbacks.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) rules: Rules,
    pub(crate) limits: Arc<Limits>,
    pub(crate) tls: Option<Tls>,
    pub(crate) admit: Option<Box<ApplicationCheck>>,
    pub(crate) http: Option<Box<HttpHandler>>,
    pub(crate) wrap_stream: WrapStream,
}

impl Options {
    /// Validates the configuration before the first connection. Fails if a list of origins, hosts
    /// or paths has an entry that can never match a request, or if a subprotocol or the compression
    /// settings are invalid.
    pub(crate) fn validate_configuration(&self) -> std::result::Result<(), Misuse> {
        self.rules.deflate.as_ref().map_or(Ok(()), deflate::validate)?;
        self.rules.validate()
    }
}

/// The application's function for requests that don't ask for a WebSocket. It returns the response,
/// or `None` if the application has no page for the request.
pub(crate) type HttpHandler = dyn Fn(&Request) -> Option<Response> + Send + Sync;
