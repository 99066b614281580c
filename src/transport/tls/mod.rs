//! TLS for `wss`: which certificate a server shows, and which certificates a client trusts (feature
//! `tls`).
//!
//! A server shows a certificate, and proves that it has the certificate's key ([`Tls`]). Before a
//! client sends one byte of HTTP, it follows the certificate up to a root that it trusts, and checks
//! that the certificate names the right host ([`Trust`]). This check can't be switched off. To use a
//! certificate of your own, name it as a root.
//!
//! The cryptography is rustls. [`tls_stream`] lets several threads share one TLS connection.

pub(crate) mod tls_stream;

/// The tests make their certificates as the example does.
#[cfg(test)]
#[path = "../../../examples/secure/certificate.rs"]
mod certificate;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, Connection, RootCertStore,
    ServerConfig, ServerConnection,
};

use self::tls_stream::{Failure, handshake};
use super::deadline::Deadline;
use super::stream::{Stream, is_timeout};
use crate::diagnostic::misuse::Misuse;
use crate::diagnostic::{Diagnostic, quote};
use crate::error::{Error, Result};
use crate::http::refusal::Refusal;

/// A server's certificate and its key, for [`Server::tls`](crate::Server::tls).
///
/// Needs the feature `tls`.
///
/// ```no_run
/// let tls = ws101::Tls::from_pem_files("fullchain.pem", "privkey.pem")?;
/// let server = ws101::Server::bind("127.0.0.1:9001")?.tls(tls);
/// # ws101::Result::Ok(())
/// ```
#[derive(Clone, Debug)]
pub struct Tls {
    config: Arc<ServerConfig>,
}

impl Tls {
    /// Reads two files. The first holds the server's certificate, followed by the certificates that
    /// lead up to its root. The second holds the certificate's private key.
    pub fn from_pem_files(certificates: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Tls> {
        let read = |path: &Path| {
            std::fs::read(path).map_err(|error| no_certificate(path.display(), error))
        };
        Tls::from_pem(&read(certificates.as_ref())?, &read(key.as_ref())?)
    }

    /// The same, from the files' contents.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Tls> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificates)
            .collect::<std::result::Result<_, _>>()
            .map_err(|error| no_certificate("the certificate", error))?;
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| no_certificate("the private key", error))?;
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .and_then(|config| config.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|error| no_certificate("certificate and key together", error))?;
        Ok(Tls { config: Arc::new(config) })
    }

    /// The server's side of the handshake.
    pub(crate) fn accept(
        &self,
        stream: Arc<dyn Stream>,
        deadline: Deadline,
    ) -> Result<Arc<dyn Stream>> {
        let tls = ServerConnection::new(self.config.clone()).map_err(disagreed)?;
        match handshake(Connection::Server(tls), stream, deadline) {
            Ok(stream) => Ok(Arc::new(stream)),
            Err(Failure::NotTls(seen)) => {
                Err(Refusal::new(400, "plain to a TLS port", seen).into())
            }
            Err(failure) => Err(failed(failure)),
        }
    }
}

/// Which roots a client trusts, and which host the server's certificate must name.
pub(crate) struct Trust {
    config: Arc<ClientConfig>,
    host: ServerName<'static>,
}

impl Trust {
    /// Trusts the roots of a PEM file, or those of the system, for this host.
    pub(crate) fn new(url: &str, host: &str, roots: Option<&Path>) -> Result<Trust> {
        let mut store = RootCertStore::empty();
        match roots {
            Some(path) => {
                let no_root = |error: &dyn fmt::Display| no_certificate(path.display(), error);
                let roots = CertificateDer::pem_file_iter(path).map_err(|error| no_root(&error))?;
                for root in roots {
                    let root = root.map_err(|error| no_root(&error))?;
                    store.add(root).map_err(|error| no_root(&error))?;
                }
                if store.is_empty() {
                    return Err(no_root(&"no certificate stands in it"));
                }
            }
            // Some of a system's roots may be malformed. The others are still good.
            None => {
                let found = rustls_native_certs::load_native_certs();
                if store.add_parsable_certificates(found.certs).0 == 0 {
                    return Err(no_certificate("the system's roots", "none is found"));
                }
            }
        }
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(disagreed)?
            .with_root_certificates(store)
            .with_no_client_auth();
        // A client makes only one connection, so there's nothing to resume.
        config.resumption = Resumption::disabled();
        let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let host = ServerName::try_from(name)
            .map_err(|_| Misuse::Address(url.into(), "no certificate can name this host"))?;
        Ok(Trust { config: Arc::new(config), host })
    }

    /// The client's side of the handshake. If it succeeds, the server has proved that it's this host.
    pub(crate) fn connect(
        self,
        stream: Arc<dyn Stream>,
        deadline: Deadline,
    ) -> Result<Arc<dyn Stream>> {
        let tls = ClientConnection::new(self.config, self.host).map_err(disagreed)?;
        match handshake(Connection::Client(tls), stream, deadline) {
            Ok(stream) => Ok(Arc::new(stream)),
            Err(failure) => Err(failed(failure)),
        }
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn no_certificate(what: impl fmt::Display, error: impl fmt::Display) -> Error {
    tls_error(Diagnostic::about("no certificate or key", format!("{what}: {error}")))
}

fn failed(failure: Failure) -> Error {
    match failure {
        Failure::Broken(error) if is_timeout(&error) => Error::PeerTimeout,
        Failure::Broken(error) => Error::ConnectionLost(error),
        Failure::NotTls(seen) => tls_error(Diagnostic::about("an answer that is not TLS", seen)),
        Failure::Refused(error) => disagreed(error),
    }
}

/// The diagnostic for an error of rustls: the peer broke a rule, or the ends didn't agree.
fn disagreed(error: rustls::Error) -> Error {
    use rustls::Error::{AlertReceived, InvalidCertificate};
    const DAY: u64 = 24 * 60 * 60;
    let diagnostic = match &error {
        InvalidCertificate(CertificateError::UnknownIssuer) => {
            Diagnostic::about("an untrusted certificate", "an issuer that is no root of ours")
        }
        // For example, the client has last year's self-signed certificate: the same name, another key.
        InvalidCertificate(
            CertificateError::BadSignature
            | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. },
        ) => Diagnostic::about(
            "an untrusted certificate",
            "a signature that is not by the root of that name",
        ),
        InvalidCertificate(CertificateError::NotValidForNameContext { expected, presented }) => {
            let named: Vec<_> = presented.iter().take(8).map(quote).collect();
            let named = if named.is_empty() { "none".into() } else { named.join(", ") };
            let host = quote(expected.to_str().as_bytes());
            Diagnostic::about("a certificate for another host", format!("{host}; it names {named}"))
        }
        InvalidCertificate(CertificateError::ExpiredContext { time, not_after }) => {
            let days = time.as_secs().saturating_sub(not_after.as_secs()) / DAY;
            Diagnostic::about("a certificate out of its time", format!("it ended {days} days ago"))
        }
        InvalidCertificate(CertificateError::NotValidYetContext { time, not_before }) => {
            let days = not_before.as_secs().saturating_sub(time.as_secs()) / DAY;
            Diagnostic::about("a certificate out of its time", format!("it begins in {days} days"))
        }
        // rustls has no variant for this error of webpki, so it arrives as `Other`.
        InvalidCertificate(CertificateError::Other(other))
            if format!("{other:?}").contains("CaUsedAsEndEntity") =>
        {
            Diagnostic::about(
                "a root used as a certificate",
                "`CA:TRUE` in the server's own certificate",
            )
        }
        AlertReceived(
            alert @ (AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired),
        ) => Diagnostic::about(
            "a client that does not trust this certificate",
            format!("its alert {alert:?}"),
        ),
        _ => Diagnostic::about("no agreement on TLS", quote(error.to_string())),
    };
    tls_error(diagnostic)
}

fn tls_error(diagnostic: Diagnostic) -> Error {
    Error::Tls(Box::new(diagnostic))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::pki_types::UnixTime;
    use std::io::ErrorKind::{ConnectionReset, TimedOut, WouldBlock};
    use std::time::Duration;

    fn day(number: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(number * 86_400))
    }

    #[test]
    fn a_certificate_out_of_its_time_says_by_how_many_days() {
        let said = |error| disagreed(rustls::Error::InvalidCertificate(error)).to_string();
        let ended = CertificateError::ExpiredContext { time: day(20_000), not_after: day(19_970) };
        assert!(said(ended).contains("it ended 30 days ago"));
        let begins =
            CertificateError::NotValidYetContext { time: day(20_000), not_before: day(20_400) };
        assert!(said(begins).contains("it begins in 400 days"));
    }

    #[test]
    fn an_error_without_a_diagnostic_of_its_own_is_reported_in_the_words_of_rustls() {
        let other = CertificateError::Other(rustls::OtherError(Arc::new(fmt::Error)));
        let said = disagreed(rustls::Error::InvalidCertificate(other)).to_string();
        assert!(!said.contains("CA:TRUE"), "{said}");
    }

    #[test]
    fn each_alert_of_a_client_that_does_not_trust_us_says_so() {
        for alert in [
            AlertDescription::UnknownCA,
            AlertDescription::BadCertificate,
            AlertDescription::CertificateUnknown,
            AlertDescription::CertificateExpired,
        ] {
            let said = disagreed(rustls::Error::AlertReceived(alert)).to_string();
            assert!(said.contains(&format!("its alert {alert:?}")), "{said}");
        }
        let other = disagreed(rustls::Error::AlertReceived(AlertDescription::DecodeError));
        assert!(!other.to_string().contains("its alert"));
    }

    #[test]
    fn a_tls_handshake_that_takes_too_long_is_a_peer_timeout_and_one_that_is_cut_off_is_a_lost_connection()
     {
        for kind in [TimedOut, WouldBlock] {
            assert!(matches!(failed(Failure::Broken(kind.into())), Error::PeerTimeout));
        }
        assert!(matches!(
            failed(Failure::Broken(ConnectionReset.into())),
            Error::ConnectionLost(_)
        ));
    }
}
