//! An echo server over TLS (wss), with its page over https on the same port.
//!
//! run: cargo run --features tls --example 11_secure [ADDRESS [CERTIFICATE KEY [ROOTS_OF_CLIENTS]]]
//! then: cargo run --features tls --example 05_client wss://127.0.0.1:9001 --root CERTIFICATE
//! or: curl --cacert CERTIFICATE https://localhost:9001
//! or: open https://localhost:9001 in a browser, and accept the certificate despite the warning
//! expect: listening on wss://127.0.0.1:9001
//! expect: its certificate:
//! next: 12_compressed, which makes messages smaller
//!
//! Unless you name a certificate, the server makes a self-signed one for localhost, writes it to a
//! file beside the program, and prints the file's name. No authority has signed it, so a client
//! must be told to trust it (`--root`). The private key never leaves the process. To use a
//! certificate from an authority, name two files: the certificate chain, then its key. Clients then
//! need no `--root`.
//!
//! With a fourth argument, a file of root certificates, the server also asks each client for a
//! certificate, and accepts only those that one of these roots has signed. It prints the
//! fingerprint of each client's certificate. Clients then need no password: curl may connect with a
//! certificate and key of its own (`--cert CERTIFICATE --key KEY`), and a client without a
//! certificate may not.

#[path = "secure/certificate.rs"]
mod certificate;
#[path = "shared/ctrl_c.rs"]
mod ctrl_c;
#[path = "shared/help.rs"]
mod help;

use std::io::{Write, stdout};
use std::path::PathBuf;
use std::sync::Arc;

use certificate::{VALID, self_signed};
use ring::digest::{SHA256, digest};
use ws101::rustls::pki_types::pem::PemObject;
use ws101::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use ws101::rustls::{RootCertStore, ServerConfig, server::WebPkiClientVerifier};
use ws101::{Error, Response, Result, Server, Tls};

fn main() -> Result<()> {
    help::print_if_asked(include_str!("11_secure.rs"));
    env_logger::init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let server = Server::bind(arguments.first().map_or("127.0.0.1:9001", String::as_str))?;
    let address = server.local_addr()?;
    let (tls, certificate) = match &arguments[..] {
        [_, certificate, key] => {
            (Tls::from_pem_files(certificate, key)?, PathBuf::from(certificate))
        }
        [_, certificate, key, roots] => {
            (tls_that_asks_clients(certificate, key, roots)?, PathBuf::from(certificate))
        }
        [] | [_] => self_signed_tls(address.port())?,
        _ => {
            return Err(Error::other(
                "usage: 11_secure [ADDRESS [CERTIFICATE KEY [ROOTS_OF_CLIENTS]]]",
            ));
        }
    };
    let server = server.tls(tls).http(|_| Some(Response::html(PAGE)));
    ctrl_c::stops(server.handle());
    println!("listening on wss://{address}");
    println!("its certificate: {}", certificate.display());
    println!("try: curl --cacert {} https://{address}", certificate.display());
    println!("or open https://{address} in a browser; Ctrl-C ends this program");
    server.serve(|mut ws| {
        if let Some(certificate) = ws.request().peer_certificates().first() {
            let fingerprint = fingerprint(certificate);
            // If no program reads the output any more, `println!` would panic.
            let _ = writeln!(stdout(), "a client with the certificate {fingerprint}");
        }
        while let Some(message) = ws.recv()? {
            ws.feed(message)?;
        }
        Ok(())
    })
}

/// Makes a self-signed certificate for this machine. Returns the TLS settings with it, and the file
/// to which it was written. The port is in the file's name, so that a server on another port doesn't
/// overwrite the file.
fn self_signed_tls(port: u16) -> Result<(Tls, PathBuf)> {
    let made = self_signed(&["localhost", "127.0.0.1", "::1"], VALID);
    let file = std::env::current_exe()?.with_extension(format!("{port}.pem"));
    std::fs::write(&file, &made.certificate)?;
    Ok((Tls::from_pem(made.certificate.as_bytes(), made.key.as_bytes())?, file))
}

/// Makes TLS settings that require a certificate from each client, signed by one of these roots.
/// All three arguments name PEM files.
fn tls_that_asks_clients(certificate: &str, key: &str, roots: &str) -> Result<Tls> {
    let read = |file: &str| -> Result<Vec<CertificateDer<'static>>> {
        let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
        read.map_err(|error| Error::other(format!("{file}: {error}")))
    };
    let mut trusted = RootCertStore::empty();
    read(roots)?.into_iter().try_for_each(|root| trusted.add(root)).map_err(Error::other)?;
    let key = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| Error::other(format!("{key}: {error}")))?;
    let clients = WebPkiClientVerifier::builder(Arc::new(trusted)).build().map_err(Error::other)?;
    let config = ServerConfig::builder().with_client_cert_verifier(clients);
    let config = config.with_single_cert(read(certificate)?, key).map_err(Error::other)?;
    Ok(Tls::from_config(Arc::new(config)))
}

/// Computes a certificate's fingerprint, as `openssl x509 -fingerprint -sha256` prints it. A server
/// can tell clients apart by their certificates' fingerprints, so the certificates need no names.
fn fingerprint(certificate: &[u8]) -> String {
    let sum = digest(&SHA256, certificate);
    sum.as_ref().iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

/// The page for a browser. A page that came over https may open only wss.
const PAGE: &str = "<!doctype html><meta charset=utf-8><title>Secure echo</title>\
    <p>There is a WebSocket at this address, over TLS. Open the console and say hello:\
    <pre>ws = new WebSocket(`wss://${location.host}`)\n\
    ws.onmessage = event => console.log(event.data)\n\
    ws.onopen = () => ws.send('hello')</pre>";
