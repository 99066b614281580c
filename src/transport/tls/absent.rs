//! Replaces the other files of this folder when the `tls` feature is off. Its types have the same
//! names but no values, and each of their constructors fails with an error that names the feature
//! to turn on.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::deadline::Deadline;
use super::stream::Stream;
use crate::diagnostic::misuse::Misuse;
use crate::error::{Error, Result};

/// A server's certificate and its private key. No value of this type can exist, because this build
/// lacks the `tls` feature.
#[derive(Clone, Debug)]
pub enum Tls {}

impl Tls {
    /// Always fails in this build: reading a certificate requires the `tls` feature.
    pub fn from_pem_files(certificates: impl AsRef<Path>, _key: impl AsRef<Path>) -> Result<Tls> {
        Err(Misuse::NoTls(certificates.as_ref().display().to_string()).into())
    }

    /// Always fails in this build: reading a certificate requires the `tls` feature.
    pub fn from_pem(_certificates: &[u8], _key: &[u8]) -> Result<Tls> {
        Err(Misuse::NoTls("a certificate".into()).into())
    }

    pub(crate) fn accept(&self, _: Arc<dyn Stream>, _: Deadline) -> Result<Arc<dyn Stream>> {
        match *self {}
    }
}

/// A client's rustls configuration. No value of this type can exist, because this build lacks the
/// `tls` feature.
#[derive(Debug)]
pub enum ClientConfig {}

/// Always returns `None`: without TLS, no stream ends with a TLS alert.
pub(crate) fn late_alert(_: &io::Error) -> Option<Error> {
    None
}

/// The root certificates that a client trusts for `wss://`. No value of this type can exist,
/// because this build lacks the `tls` feature.
pub(crate) enum TrustedRoots {}

impl TrustedRoots {
    pub(crate) fn new(
        url: &str,
        _host: &str,
        _roots: Option<&Path>,
        _config: Option<Arc<ClientConfig>>,
    ) -> Result<TrustedRoots> {
        Err(Misuse::NoTls(url.into()).into())
    }

    pub(crate) fn connect(self, _: Arc<dyn Stream>, _: Deadline) -> Result<Arc<dyn Stream>> {
        match self {}
    }
}
