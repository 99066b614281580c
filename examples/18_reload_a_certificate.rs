//! A server that changes its certificate while it runs: new connections get the new certificate,
//! and open connections continue.
//!
//! run: cargo run --features tls --example 18_reload_a_certificate [ADDRESS CERTIFICATE KEY]
//! then: replace the two files, and it serves the new ones within a minute; Ctrl-C ends the program
//! or: without arguments it makes two certificates, and changes from one to the other during a connection
//! expect: listening on wss://127.0.0.1:9001
//! expect: a client that trusts the first certificate: hello
//! expect: the certificate is changed
//! expect: the connection that was open: hello
//! expect: a client that trusts the first certificate: no TLS
//! expect: a client that trusts the second certificate: hello
//! next: src/lib.rs, which shows the reading order of the library
//!
//! A certificate may have to be renewed every few weeks, and a chat shouldn't lose its members each
//! time. TLS needs the certificate only in its handshake, so the server looks up the current one
//! for each new connection. rustls has the trait `ResolvesServerCert` for this, and
//! `Tls::from_config` takes any rustls configuration.

#[path = "secure/certificate.rs"]
mod certificate;
#[path = "shared/ctrl_c.rs"]
mod ctrl_c;
#[path = "shared/help.rs"]
mod help;

use std::sync::{Arc, RwLock};
use std::thread;
use std::time::Duration;

use certificate::{SelfSigned, VALID, self_signed};
use ws101::rustls::pki_types::pem::PemObject;
use ws101::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use ws101::rustls::server::{ClientHello, ResolvesServerCert};
use ws101::rustls::sign::CertifiedKey;
use ws101::rustls::{ClientConfig, RootCertStore, ServerConfig, crypto::ring};
use ws101::{Client, Error, Result, RunningServer, Server, Tls, WebSocket};

/// The current certificate and its key, which new connections use.
#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap().clone())
    }
}

impl Current {
    /// Changes the certificate. Fails, and keeps the old one, if the new certificate and key can't
    /// be parsed or don't belong together.
    fn change(&self, certificate: &[u8], key: &[u8]) -> Result<()> {
        let new = read(certificate, key)?;
        *self.0.write().unwrap() = new;
        Ok(())
    }
}

/// Reads a chain of certificates and its key, both in PEM, and checks that they belong together.
fn read(certificate: &[u8], key: &[u8]) -> Result<Arc<CertifiedKey>> {
    let chain: std::result::Result<_, _> = CertificateDer::pem_slice_iter(certificate).collect();
    let key = PrivateKeyDer::from_pem_slice(key).map_err(Error::other)?;
    let provider = ring::default_provider();
    let read = CertifiedKey::from_der(chain.map_err(Error::other)?, key, &provider);
    Ok(Arc::new(read.map_err(Error::other)?))
}

fn main() -> Result<()> {
    help::print_if_asked(include_str!("18_reload_a_certificate.rs"));
    env_logger::init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [address, certificate, key] = &arguments[..] {
        let (certificate, key) = (certificate.clone(), key.clone());
        let files = move || Ok((std::fs::read(&certificate)?, std::fs::read(&key)?));
        let mut served = files()?;
        let (server, current) = start(address, &served)?;
        thread::spawn(move || {
            loop {
                thread::sleep(Duration::from_secs(60));
                // A renewal replaces one file after the other. Until the two fit, the server keeps
                // the old certificate.
                let changed = files().and_then(|found| match found == served {
                    true => Ok(()),
                    false => current.change(&found.0, &found.1).map(|()| served = found),
                });
                if let Err(error) = changed {
                    eprintln!("the certificate stays as it was: {error}");
                }
            }
        });
        return server.join();
    }
    if !arguments.is_empty() {
        return Err(Error::other("usage: 18_reload_a_certificate [ADDRESS CERTIFICATE KEY]"));
    }
    let [first, second] = [(); 2].map(|()| self_signed(&["127.0.0.1"], VALID));
    let pem = (first.certificate.clone().into(), first.key.clone().into());
    let (server, current) = start("127.0.0.1:0", &pem)?;
    let url = format!("wss://{}", server.local_addr());
    let mut open = connect(&url, &first)?;
    println!("a client that trusts the first certificate: {}", echo(&mut open)?);

    current.change(second.certificate.as_bytes(), second.key.as_bytes())?;
    println!("the certificate is changed");
    println!("the connection that was open: {}", echo(&mut open)?);
    for (name, made) in [("first", &first), ("second", &second)] {
        let said = match connect(&url, made).and_then(|mut ws| echo(&mut ws)) {
            Ok(echo) => echo,
            Err(error) => error.to_string(),
        };
        println!("a client that trusts the {name} certificate: {said}");
    }
    Ok(())
}

/// Starts an echo server with this certificate and key. Returns the server, and the `Current`
/// through which its certificate can be changed.
fn start(address: &str, pem: &(Vec<u8>, Vec<u8>)) -> Result<(RunningServer, Arc<Current>)> {
    let current = Arc::new(Current(RwLock::new(read(&pem.0, &pem.1)?)));
    let config = ServerConfig::builder().with_no_client_auth().with_cert_resolver(current.clone());
    let server = Server::bind(address)?.tls(Tls::from_config(Arc::new(config)));
    ctrl_c::stops(server.handle());
    let server = server.spawn(|mut ws| {
        while let Some(message) = ws.recv()? {
            ws.send(message)?;
        }
        Ok(())
    })?;
    println!("listening on wss://{}", server.local_addr());
    Ok((server, current))
}

/// Connects, and trusts only this certificate.
fn connect(url: &str, trusted: &SelfSigned) -> Result<WebSocket> {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(trusted.certificate.as_bytes());
    roots.add(root.map_err(Error::other)?).map_err(Error::other)?;
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    Client::new(url).tls_config(Arc::new(config)).connect()
}

fn echo(ws: &mut WebSocket) -> Result<String> {
    ws.send("hello")?;
    let message = ws.recv()?.ok_or(Error::Closed)?;
    Ok(message.as_text().unwrap_or_default().to_owned())
}
