//! How is a connection encrypted, for `wss` (feature `tls`)?
//!
//! rustls does the cryptography. [`certificates`] says which certificate a server presents, and
//! which certificates a client trusts. [`tls_stream`] lets several threads share one TLS
//! connection.
//!
//! All other features of rustls are available through the caller's own configuration
//! ([`Tls::from_config`], `Client::tls_config`): client certificates, ALPN, a certificate that
//! changes while the server runs. A server or client of this crate refuses a connection for which
//! ALPN chose something other than HTTP/1.1 (RFC 7301).
//!
//! Read this folder's files in this order; each imports only files above it.
//!
//! | file | the question it answers |
//! |---|---|
//! | `tls_stream.rs` | How do a reader and a writer share one TLS connection, so that neither waits for the other's system call? |
//! | `handshake_errors.rs` | Why did a TLS handshake fail? |
//! | `certificates.rs` | Which certificate does a server show, and which does a client trust? (feature `tls`; without it `absent.rs`) |

pub(crate) mod certificates;
pub(crate) mod handshake_errors;
pub(crate) mod tls_stream;

pub use self::certificates::Tls;
pub(crate) use self::certificates::{ClientConfig, TrustedRoots};
pub(crate) use self::handshake_errors::late_alert;

/// Generates the certificates for this module's tests, with the same code as the example `secure`.
#[cfg(test)]
#[path = "../../../examples/secure/certificate.rs"]
mod certificate;
