//! Which certificate a server presents, and which certificates a client trusts.
//!
//! A server presents a certificate, and proves that it holds the certificate's private key
//! ([`Tls`]). Before a client sends any HTTP, it follows the certificate's chain to a trusted root,
//! and checks that the certificate names the right host ([`TrustedRoots`]). Only the caller's own
//! rustls configuration could turn these checks off. To trust your own certificate, name it as a
//! root (`Client::root_certificates`).

use std::path::Path;
use std::sync::Arc;
use std::{fmt, io};

pub use rustls::ClientConfig;
use rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConnection, Connection, RootCertStore, ServerConfig, ServerConnection};

use rustls_native_certs::{CertificateResult, ErrorKind};

use super::handshake_errors::{
    ca_as_certificate, disagreed, failed, is_ca_used_as_end_entity, tls_error,
};
use super::tls_stream::{HandshakeFailure, handshake};
use crate::diagnostic::misuse::Misuse;
use crate::diagnostic::{Diagnostic, quote};
use crate::error::{Error, Result};
use crate::frames::header::Role;
use crate::http::refusal::Refusal;
use crate::transport::deadline::Deadline;
use crate::transport::stream::Stream;

/// A server's certificate and its private key, for [`Server::tls`](crate::Server::tls).
///
/// Needs the `tls` feature.
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
    /// Reads a server's certificate and private key from two PEM files. The first file holds the
    /// server's certificate, followed by the intermediate certificates. The second file holds the
    /// private key. Fails if a file can't be read or parsed, or if the key doesn't match the
    /// certificate. Logs a warning if the certificate is a root, because some clients, such as
    /// ws101's, refuse a root as a server's certificate.
    pub fn from_pem_files(certificates: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Tls> {
        Tls::from_pem(&read_file(certificates.as_ref())?, &read_file(key.as_ref())?)
    }

    /// Like [`from_pem_files`](Tls::from_pem_files), but takes the contents of the two files
    /// instead of their paths.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Tls> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificates)
            .collect::<std::result::Result<_, _>>()
            .map_err(|error| no_certificate("the certificate", error))?;
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| no_certificate("the private key", error))?;
        if chain.first().is_some_and(is_ca) {
            log::warn!("clients will refuse this certificate: {}", ca_as_certificate());
        }
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .and_then(|config| config.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|error| no_certificate("certificate and key together", error))?;
        Ok(Tls::from_config(Arc::new(config)))
    }

    /// Uses your own rustls configuration, for everything beyond a certificate and a key: client
    /// certificates, ALPN, a resolver that changes the certificate while the server runs. This
    /// crate re-exports [`rustls`] in the matching version.
    ///
    /// List nothing but `http/1.1` in `alpn_protocols`: the server refuses a connection for which
    /// ALPN chooses another protocol. Leave `max_early_data_size` at 0, because the server reads no
    /// early data.
    ///
    /// ```no_run
    /// use std::sync::Arc;
    /// use ws101::rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
    /// use ws101::rustls::{RootCertStore, ServerConfig, server::WebPkiClientVerifier};
    /// use ws101::{Error, Server, Tls};
    ///
    /// // Only clients with a certificate that leads up to this root may connect. Then `admit` and the
    /// // handler find the certificate in `Request::peer_certificates`.
    /// let mut roots = RootCertStore::empty();
    /// let root = CertificateDer::from_pem_file("root-of-clients.pem").map_err(Error::other)?;
    /// roots.add(root).map_err(Error::other)?;
    /// let clients = WebPkiClientVerifier::builder(Arc::new(roots)).build().map_err(Error::other)?;
    ///
    /// let chain = vec![CertificateDer::from_pem_file("certificate.pem").map_err(Error::other)?];
    /// let key = PrivateKeyDer::from_pem_file("key.pem").map_err(Error::other)?;
    /// let config = ServerConfig::builder().with_client_cert_verifier(clients);
    /// let config = config.with_single_cert(chain, key).map_err(Error::other)?;
    /// let server = Server::bind("127.0.0.1:9001")?.tls(Tls::from_config(Arc::new(config)));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn from_config(config: Arc<ServerConfig>) -> Tls {
        Tls { config }
    }

    /// Performs the server's side of the TLS handshake before the deadline, and returns the
    /// encrypted stream. If the client's first bytes aren't TLS (they may be plain HTTP), this
    /// fails with a refusal whose status is 400.
    pub(crate) fn accept(
        &self,
        stream: Arc<dyn Stream>,
        deadline: Deadline,
    ) -> Result<Arc<dyn Stream>> {
        let tls = ServerConnection::new(self.config.clone())
            .map_err(|error| disagreed(error, Role::Server))?;
        match handshake(Connection::Server(tls), stream, deadline) {
            Ok(stream) => Ok(Arc::new(stream)),
            Err(HandshakeFailure::NotTls(bytes)) => {
                Err(Refusal::new(400, "plain to a TLS port", quote(bytes)).into())
            }
            Err(failure) => Err(failed(failure, Role::Server)),
        }
    }
}

/// The root certificates that a client trusts, and the host that the server's certificate must
/// name.
pub(crate) struct TrustedRoots {
    config: Arc<ClientConfig>,
    host: ServerName<'static>,
}

impl TrustedRoots {
    /// Takes a client's trusted roots from the caller's `config` if there is one, otherwise from
    /// the PEM file `roots` if there is one, and otherwise from the system. The server's
    /// certificate must name `host`. `url` is for error messages.
    pub(crate) fn new(
        url: &str,
        host: &str,
        roots: Option<&Path>,
        config: Option<Arc<ClientConfig>>,
    ) -> Result<TrustedRoots> {
        let config = match config {
            Some(config) => config,
            None => Arc::new(trusting(roots)?),
        };
        let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let host = ServerName::try_from(name)
            .map_err(|_| Misuse::Address(url.into(), "no certificate can name this host"))?;
        Ok(TrustedRoots { config, host })
    }

    /// Performs the client's side of the TLS handshake before the deadline, and returns the
    /// encrypted stream. By then, the server has proved that it's the host that the client's URL
    /// names.
    pub(crate) fn connect(
        self,
        stream: Arc<dyn Stream>,
        deadline: Deadline,
    ) -> Result<Arc<dyn Stream>> {
        let tls = ClientConnection::new(self.config, self.host)
            .map_err(|error| disagreed(error, Role::Client))?;
        match handshake(Connection::Client(tls), stream, deadline) {
            Ok(stream) => Ok(Arc::new(stream)),
            Err(failure) => Err(failed(failure, Role::Client)),
        }
    }
}

/// Returns a rustls configuration that trusts the root certificates in the PEM file `roots`, or the
/// system's root certificates if `roots` is `None`. Fails if there's no root certificate, or if the
/// file can't be read or parsed.
fn trusting(roots: Option<&Path>) -> Result<ClientConfig> {
    let mut store = RootCertStore::empty();
    match roots {
        Some(path) => {
            let no_root = |error: &dyn fmt::Display| no_certificate(path.display(), error);
            for root in CertificateDer::pem_slice_iter(&read_file(path)?) {
                let root = root.map_err(|error| no_root(&error))?;
                store.add(root).map_err(|error| no_root(&error))?;
            }
            if store.is_empty() {
                return Err(no_root(&"no certificate stands in it"));
            }
        }
        None => add_system_roots(&mut store, rustls_native_certs::load_native_certs())?,
    }
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| disagreed(error, Role::Client))?
        .with_root_certificates(store)
        .with_no_client_auth();
    // A `Client` opens only one connection, so it has no earlier TLS session to resume.
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// Adds the system's root certificates to `store`, except malformed and unreadable ones. Fails if
/// none remains. The error names the cause: for example, the process may have no free file
/// descriptor to read the roots.
fn add_system_roots(store: &mut RootCertStore, found: CertificateResult) -> Result<()> {
    if store.add_parsable_certificates(found.certs).0 > 0 {
        return Ok(());
    }
    for error in &found.errors {
        if let ErrorKind::Io { inner, path } = &error.kind {
            let why = format!("the system's roots in {}: {inner}", path.display());
            return Err(io::Error::new(inner.kind(), why).into());
        }
    }
    Err(match found.errors.first() {
        Some(error) => no_certificate("the system's roots", error),
        None => no_certificate("the system's roots", "none is found"),
    })
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Reads a PEM file. Fails with `Error::Tls` if there's no such file, or if this process may not
/// read it: a later attempt would fail in the same way. Fails with `Error::Io` for any other
/// reason, which may be temporary, such as a lack of file descriptors.
fn read_file(path: &Path) -> Result<Vec<u8>> {
    use io::ErrorKind::{IsADirectory, NotADirectory, NotFound, PermissionDenied};
    std::fs::read(path).map_err(|error| match error.kind() {
        NotFound | PermissionDenied | IsADirectory | NotADirectory => {
            no_certificate(path.display(), error)
        }
        kind => io::Error::new(kind, format!("{}: {error}", path.display())).into(),
    })
}

fn no_certificate(what: impl fmt::Display, error: impl fmt::Display) -> Error {
    tls_error(Diagnostic::about("no certificate or key", format!("{what}: {error}")))
}

/// Returns whether this certificate may sign others (`CA:TRUE`). Some clients, such as those that
/// use rustls, refuse such a certificate as a server's own. A rustls server presents it without a
/// warning, so [`Tls::from_pem`] uses this function to log one.
fn is_ca(certificate: &CertificateDer<'_>) -> bool {
    let Ok(certificate) = ParsedCertificate::try_from(certificate) else { return false };
    let roots = RootCertStore::empty();
    let algorithms = provider().signature_verification_algorithms.all;
    let now = UnixTime::now();
    verify_server_cert_signed_by_trust_anchor(&certificate, &roots, &[], now, algorithms)
        .is_err_and(
            |error| matches!(error, rustls::Error::InvalidCertificate(why) if is_ca_used_as_end_entity(&why)),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_without_a_descriptor_say_why() {
        let none_but = |kind| {
            let mut found = CertificateResult::default();
            found.errors.push(rustls_native_certs::Error { context: "failed to open file", kind });
            add_system_roots(&mut RootCertStore::empty(), found)
        };
        let inner = io::Error::other("Too many open files");
        let failed = none_but(ErrorKind::Io { inner, path: "/etc/ssl/roots.pem".into() });
        assert!(matches!(&failed, Err(Error::Io(_))), "{failed:?}");
        let said = failed.unwrap_err().to_string();
        assert!(said.contains("/etc/ssl/roots.pem: Too many open files"), "{said}");
        // A failure that isn't about reading names its reason within the diagnostic.
        let failed = none_but(ErrorKind::Os("the keychain is locked".into()));
        assert!(matches!(&failed, Err(Error::Tls(_))), "{failed:?}");
        assert!(failed.unwrap_err().to_string().contains("the keychain is locked"));
        let found = CertificateResult::default();
        let failed = add_system_roots(&mut RootCertStore::empty(), found).unwrap_err();
        assert!(failed.to_string().contains("none is found"), "{failed}");
    }
}
