//! `wss://`: opens a TLS stream, with the system's roots, with the roots in a file, or without
//! checking the certificate.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, InvalidMessage, RootCertStore,
    SignatureScheme, StreamOwned,
};

use crate::probe::Socket;

impl Socket for StreamOwned<ClientConnection, TcpStream> {
    fn tcp(&self) -> &TcpStream {
        &self.sock
    }
}

/// Makes the TLS configuration: which root certificates are trusted, or none checked with
/// `--insecure`.
pub fn config(root: Option<&str>, insecure: bool) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    if insecure {
        let any = Arc::new(Any(provider));
        return Ok(Arc::new(
            builder.dangerous().with_custom_certificate_verifier(any).with_no_client_auth(),
        ));
    }
    let mut roots = RootCertStore::empty();
    match root {
        Some(file) => {
            let certificates =
                CertificateDer::pem_file_iter(file).map_err(|error| format!("{file}: {error}"))?;
            for certificate in certificates {
                let certificate = certificate.map_err(|error| format!("{file}: {error}"))?;
                roots.add(certificate).map_err(|error| format!("{file}: {error}"))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

/// How long the coach waits for each piece of a server's TLS handshake. A plain server, or one that
/// is busy with another client, sends none.
const HANDSHAKE_WAIT: Duration = Duration::from_secs(5);

/// Wraps a TCP stream in TLS, as its client.
pub fn wrap(config: Arc<ClientConfig>, host: &str, tcp: TcpStream) -> io::Result<Box<dyn Socket>> {
    let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(name).map_err(io::Error::other)?;
    let tls = ClientConnection::new(config, name).map_err(io::Error::other)?;
    tcp.set_read_timeout(Some(HANDSHAKE_WAIT))?;
    tcp.set_write_timeout(Some(HANDSHAKE_WAIT))?;
    let mut stream = StreamOwned::new(tls, tcp);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                let seconds = HANDSHAKE_WAIT.as_secs();
                let why = format!("the server didn't answer the TLS handshake in {seconds} s");
                io::Error::new(io::ErrorKind::TimedOut, why)
            }
            io::ErrorKind::UnexpectedEof => io::Error::new(
                error.kind(),
                "the server ended the connection during the TLS handshake",
            ),
            _ if is_no_tls(&error) => io::Error::new(error.kind(), "its answer isn't TLS"),
            _ => error,
        })?;
    }
    Ok(Box::new(stream))
}

/// Whether the server's first bytes aren't a TLS record: it may speak plain HTTP.
fn is_no_tls(error: &io::Error) -> bool {
    let error = error.get_ref().and_then(|error| error.downcast_ref());
    matches!(error, Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)))
}

/// Accepts any certificate (`--insecure`).
#[derive(Debug)]
struct Any(Arc<CryptoProvider>);

impl ServerCertVerifier for Any {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn coach_gives_up_on_a_server_that_never_answers_the_tls_handshake() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let tcp = TcpStream::connect(silent.local_addr().unwrap()).unwrap();
        let Err(error) = wrap(config(None, true).unwrap(), "localhost", tcp) else {
            panic!("a handshake with a silent server");
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
    }

    #[test]
    fn coach_names_a_server_that_speaks_no_tls_as_such() {
        for (answer, why) in [
            (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "its answer isn't TLS"),
            (b"", "ended the connection during the TLS handshake"),
        ] {
            let plain = TcpListener::bind("127.0.0.1:0").unwrap();
            let tcp = TcpStream::connect(plain.local_addr().unwrap()).unwrap();
            let (mut stream, _) = plain.accept().unwrap();
            let server = std::thread::spawn(move || {
                stream.read_exact(&mut [0; 5]).unwrap();
                stream.write_all(answer).unwrap();
                stream.shutdown(std::net::Shutdown::Write).unwrap();
                let _ = stream.read_to_end(&mut Vec::new());
            });
            let Err(error) = wrap(config(None, true).unwrap(), "localhost", tcp) else {
                panic!("a handshake with a plain server");
            };
            assert!(error.to_string().contains(why), "{error}");
            server.join().unwrap();
        }
    }
}
