//! In place of `tls.rs` where the feature `tls` is off: the same names, and whoever asks for TLS is
//! told which feature to turn on.

use std::path::Path;
use std::sync::Arc;

use super::deadline::Deadline;
use super::stream::Stream;
use crate::diagnostic::misuse::Misuse;
use crate::error::Result;

/// A server's certificate and its key. This build has no TLS, so there is none: turn on the feature
/// `tls`.
#[derive(Clone, Debug)]
pub enum Tls {}

impl Tls {
    /// Fails: it needs the feature `tls`.
    pub fn from_pem_files(certificates: impl AsRef<Path>, _key: impl AsRef<Path>) -> Result<Tls> {
        Err(Misuse::NoTls(certificates.as_ref().display().to_string()).into())
    }

    /// Fails: it needs the feature `tls`.
    pub fn from_pem(_certificates: &[u8], _key: &[u8]) -> Result<Tls> {
        Err(Misuse::NoTls("a certificate".into()).into())
    }

    pub(crate) fn accept(&self, _: Arc<dyn Stream>, _: Deadline) -> Result<Arc<dyn Stream>> {
        match *self {}
    }
}

/// Whom a client trusts: without TLS, nobody.
pub(crate) enum Trust {}

impl Trust {
    pub(crate) fn new(url: &str, _host: &str, _roots: Option<&Path>) -> Result<Trust> {
        Err(Misuse::NoTls(url.into()).into())
    }

    pub(crate) fn connect(self, _: Arc<dyn Stream>, _: Deadline) -> Result<Arc<dyn Stream>> {
        match self {}
    }
}
