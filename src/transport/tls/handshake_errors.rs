//! Turns a failed TLS handshake into an [`Error`], whose diagnostic names the usual cause.

use std::io;

use rustls::{AlertDescription, CertificateError};

use super::tls_stream::HandshakeFailure;
use crate::diagnostic::{Diagnostic, quote};
use crate::error::{Error, InHandshake};
use crate::frames::header::Role;
use crate::handshake::client::HandshakeError;
use crate::http::status_line::status_of;
use crate::transport::stream::is_timeout;

/// Returns whether this is webpki's error for a server that presents a CA certificate as its own.
/// rustls has no variant for that error, so it arrives as `Other`.
pub(super) fn is_ca_used_as_end_entity(error: &CertificateError) -> bool {
    matches!(error, CertificateError::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity"))
}

pub(super) fn ca_as_certificate() -> Diagnostic {
    Diagnostic::about("a root used as a certificate", "`CA:TRUE` in the server's own certificate")
}

/// Converts the error of a client's read or write to an [`Error`] that names the server's TLS
/// alert. Returns `None` if no alert caused the error. An alert about the client's certificate may
/// come after the handshake: with TLS 1.3, the client completes its handshake before the server has
/// checked that certificate.
pub(crate) fn late_alert(error: &io::Error) -> Option<Error> {
    match error.get_ref()?.downcast_ref()? {
        alert @ rustls::Error::AlertReceived(_) => Some(disagreed(alert.clone(), Role::Client)),
        _ => None,
    }
}

pub(super) fn failed(failure: HandshakeFailure, role: Role) -> Error {
    match failure {
        HandshakeFailure::Broken(error) if is_timeout(&error) => Error::PeerTimeout,
        HandshakeFailure::Broken(error) => match role {
            Role::Client => InHandshake::mark(error),
            Role::Server => Error::ConnectionLost(error),
        },
        HandshakeFailure::NotTls(bytes) => not_tls(&bytes),
        HandshakeFailure::Refused(error) => disagreed(error, role),
        HandshakeFailure::OtherProtocol(seen) => {
            tls_error(Diagnostic::about("a protocol other than HTTP/1.1", seen))
        }
    }
}

/// Returns a client's error for a server whose first bytes aren't TLS. They may be a plain 503 from
/// a server that is stopping or has no thread left, but anyone on the network path can send such
/// bytes. Therefore the error holds only the status and the quoted status line, not the headers or
/// the body. The client learns only whether to try again later, which harms no one.
fn not_tls(bytes: &[u8]) -> Error {
    let text = String::from_utf8_lossy(bytes);
    let line = text.lines().next().unwrap_or_default();
    match status_of(line) {
        Some(status @ (408 | 429 | 500..=599)) => Error::Rejected(HandshakeError {
            status: Some(status),
            head: None,
            body: String::new(),
            diagnostic: Box::new(Diagnostic::about("a plain answer before TLS", quote(line))),
        }),
        _ => tls_error(Diagnostic::about("an answer that is not TLS", quote(bytes))),
    }
}

/// Converts a rustls error, such as one about an untrusted certificate, to an [`Error`] that
/// explains the cause. `role` is our end's role: on a server, the same rustls error may have
/// another cause than on a client.
pub(super) fn disagreed(error: rustls::Error, role: Role) -> Error {
    use rustls::Error::{AlertReceived, InvalidCertificate, NoCertificatesPresented};
    const DAY: u64 = 24 * 60 * 60;
    let diagnostic = match &error {
        NoCertificatesPresented | InvalidCertificate(_) if role == Role::Server => {
            Diagnostic::about(
                "a client's certificate that is not accepted",
                quote(error.to_string()),
            )
        }
        AlertReceived(alert) if role == Role::Client && is_about_a_certificate(*alert) => {
            let seen = format!("the server's alert {alert:?}");
            Diagnostic::about("a client's certificate that is not accepted", seen)
        }
        InvalidCertificate(CertificateError::UnknownIssuer) => {
            Diagnostic::about("an untrusted certificate", "an issuer that is no root of ours")
        }
        // For example, the client trusts last year's self-signed certificate, and the server now
        // presents one with the same name and a different key.
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
        InvalidCertificate(why) if is_ca_used_as_end_entity(why) => ca_as_certificate(),
        InvalidCertificate(why) => {
            Diagnostic::about("a certificate that cannot be used", quote(why.to_string()))
        }
        AlertReceived(alert) if is_about_a_certificate(*alert) => Diagnostic::about(
            "a client that does not trust this certificate",
            format!("its alert {alert:?}"),
        ),
        _ => Diagnostic::about("no agreement on TLS", quote(error.to_string())),
    };
    tls_error(diagnostic)
}

/// Returns whether this alert means that the peer doesn't accept our certificate, or demands one
/// (RFC 8446 §6.2). The peer sends a `DecryptError` if one of its roots has our issuer's name but a
/// different key. (`AccessDenied` has other causes, too, such as a server without a certificate for
/// the client's host.)
fn is_about_a_certificate(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRevoked
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRequired
            | AlertDescription::BadCertificateStatusResponse
            | AlertDescription::DecryptError
    )
}

pub(super) fn tls_error(diagnostic: Diagnostic) -> Error {
    Error::Tls(Box::new(diagnostic))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::pki_types::UnixTime;
    use std::fmt;
    use std::io::ErrorKind::{ConnectionReset, TimedOut, WouldBlock};
    use std::sync::Arc;
    use std::time::Duration;

    fn day(number: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(number * 86_400))
    }

    #[test]
    fn a_certificate_out_of_its_time_says_by_how_many_days() {
        let said =
            |error| disagreed(rustls::Error::InvalidCertificate(error), Role::Client).to_string();
        let ended = CertificateError::ExpiredContext { time: day(20_000), not_after: day(19_970) };
        assert!(said(ended).contains("it ended 30 days ago"));
        let begins =
            CertificateError::NotValidYetContext { time: day(20_000), not_before: day(20_400) };
        assert!(said(begins).contains("it begins in 400 days"));
    }

    #[test]
    fn an_error_without_a_diagnostic_of_its_own_is_reported_in_the_words_of_rustls() {
        let other = CertificateError::Other(rustls::OtherError(Arc::new(fmt::Error)));
        let said = disagreed(rustls::Error::InvalidCertificate(other), Role::Client).to_string();
        assert!(!said.contains("CA:TRUE"), "{said}");
        assert!(said.contains("OtherError(Error)") && !said.contains("agree on TLS"), "{said}");
    }

    #[test]
    fn a_certificate_for_another_purpose_is_not_told_as_an_old_peer() {
        let purpose = rustls::Error::InvalidCertificate(CertificateError::InvalidPurpose);
        let said = disagreed(purpose, Role::Client).to_string();
        assert!(said.contains("serverAuth") && !said.contains("TLS 1.3"), "{said}");
    }

    #[test]
    fn each_alert_of_a_client_that_does_not_trust_us_says_so() {
        for alert in [
            AlertDescription::UnknownCA,
            AlertDescription::BadCertificate,
            AlertDescription::CertificateUnknown,
            AlertDescription::CertificateExpired,
            AlertDescription::CertificateRevoked,
            AlertDescription::UnsupportedCertificate,
            AlertDescription::BadCertificateStatusResponse,
            AlertDescription::DecryptError,
        ] {
            let said = disagreed(rustls::Error::AlertReceived(alert), Role::Server).to_string();
            assert!(said.contains(&format!("its alert {alert:?}")), "{said}");
        }
        let other =
            disagreed(rustls::Error::AlertReceived(AlertDescription::DecodeError), Role::Server);
        assert!(!other.to_string().contains("its alert"));
    }

    #[test]
    fn a_tls_handshake_that_takes_too_long_is_a_peer_timeout_and_one_that_is_cut_off_is_a_lost_connection()
     {
        for kind in [TimedOut, WouldBlock] {
            assert!(matches!(
                failed(HandshakeFailure::Broken(kind.into()), Role::Client),
                Error::PeerTimeout
            ));
        }
        assert!(matches!(
            failed(HandshakeFailure::Broken(ConnectionReset.into()), Role::Client),
            Error::ConnectionLost(_)
        ));
    }
}
