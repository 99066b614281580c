//! wss: who proves to be whom, and who is believed (feature `tls`).
//!
//! A server shows a certificate, and proves with its key that it is its own ([`Tls`]). A client
//! follows the certificate up to a root that it trusts, and looks whether it names the host that was
//! asked for, before one byte of HTTP leaves ([`Trust`]). There is no way to switch this off: whoever
//! has a certificate of their own gives it as a root, which says whom to trust, and not: anybody.
//!
//! The cryptography is that of rustls. How threads share it: [`tls_stream`].

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
    /// From two files: the server's certificate with those that lead up to its root behind it, and the
    /// certificate's private key.
    pub fn from_pem_files(certificates: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Tls> {
        let read = |path: &Path| {
            std::fs::read(path).map_err(|error| no_certificate(path.display(), error))
        };
        Tls::from_pem(&read(certificates.as_ref())?, &read(key.as_ref())?)
    }

    /// The same, from what stands in the files.
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

/// Whom a client trusts, and to be whom.
pub(crate) struct Trust {
    config: Arc<ClientConfig>,
    host: ServerName<'static>,
}

impl Trust {
    /// Trust in the roots of a PEM file, or else of the system, to say who is this host.
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
            // Of a whole system's roots some may be odd, and the others are still good.
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
        // One connection, with nothing to resume.
        config.resumption = Resumption::disabled();
        let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let host = ServerName::try_from(name)
            .map_err(|_| Misuse::Address(url.into(), "no certificate can name this host"))?;
        Ok(Trust { config: Arc::new(config), host })
    }

    /// The client's side of the handshake. When it returns, the server is who it should be.
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
    teach(Diagnostic::about("no certificate or key", format!("{what}: {error}")))
}

fn failed(failure: Failure) -> Error {
    match failure {
        Failure::Broken(error) if is_timeout(&error) => Error::PeerTimeout,
        Failure::Broken(error) => Error::ConnectionLost(error),
        Failure::NotTls(seen) => teach(Diagnostic::about("an answer that is not TLS", seen)),
        Failure::Refused(error) => disagreed(error),
    }
}

/// What to learn from it, where rustls and the peer don't agree.
fn disagreed(error: rustls::Error) -> Error {
    use rustls::Error::{AlertReceived, InvalidCertificate};
    const DAY: u64 = 24 * 60 * 60;
    let diagnostic = match &error {
        InvalidCertificate(CertificateError::UnknownIssuer) => Diagnostic::about(
            "a certificate that nobody vouches for",
            "an issuer that is no root of ours",
        ),
        // What a client sees that was given last year's self-signed certificate: the same name, another key.
        InvalidCertificate(
            CertificateError::BadSignature
            | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. },
        ) => Diagnostic::about(
            "a certificate that nobody vouches for",
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
        // webpki says so in an error of its own, which rustls passes on without a name for it.
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
        ) => Diagnostic::about("a client that does not trust us", format!("its alert {alert:?}")),
        _ => Diagnostic::about("no agreement on TLS", quote(error.to_string())),
    };
    teach(diagnostic)
}

fn teach(diagnostic: Diagnostic) -> Error {
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
    fn an_error_that_has_no_lesson_of_its_own_is_told_in_the_words_of_the_library() {
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
    fn a_handshake_that_takes_too_long_is_silent_and_one_that_is_cut_is_lost() {
        for kind in [TimedOut, WouldBlock] {
            assert!(matches!(failed(Failure::Broken(kind.into())), Error::PeerTimeout));
        }
        assert!(matches!(
            failed(Failure::Broken(ConnectionReset.into())),
            Error::ConnectionLost(_)
        ));
    }
}
