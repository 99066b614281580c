//! An echo server over TLS (wss), with its page over https on the same port.
//!
//! run: cargo run --features tls --example 11_secure [ADDRESS [CERTIFICATE KEY]]
//! then: cargo run --features tls --example 05_client wss://127.0.0.1:9001 --root CERTIFICATE
//! or: curl --cacert CERTIFICATE https://localhost:9001
//! or: open https://localhost:9001 in a browser, and accept the certificate despite the warning
//! expect: listening on wss://127.0.0.1:9001
//! expect: its certificate:
//! next: 12_compressed, which makes messages smaller
//!
//! Without arguments the server makes a self-signed certificate for localhost, writes it to a file
//! beside the program, and prints the file's name. No authority vouches for it, so a client must be given
//! it as a root. The key never leaves the process. To use a certificate of an authority, name two files:
//! the certificate's chain, then its key. Clients then need no root.

#[path = "secure/certificate.rs"]
mod certificate;
#[path = "shared/help.rs"]
mod help;

use std::path::PathBuf;

use certificate::{VALID, self_signed};
use ws101::{Response, Result, Server, Tls};

fn main() -> Result<()> {
    help::print_if_asked(include_str!("11_secure.rs"));
    env_logger::init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let address = arguments.first().map_or("127.0.0.1:9001", String::as_str);
    let (tls, certificate) = match &arguments[..] {
        [_, certificate, key] => {
            (Tls::from_pem_files(certificate, key)?, PathBuf::from(certificate))
        }
        _ => self_signed_tls()?,
    };
    let server = Server::bind(address)?.tls(tls).http(|_| Some(Response::html(PAGE)));
    let address = server.local_addr()?;
    println!("listening on wss://{address}");
    println!("its certificate: {}", certificate.display());
    println!("try: curl --cacert {} https://{address}", certificate.display());
    println!("or open https://{address} in a browser; Ctrl-C ends this program");
    server.serve(|mut ws| {
        while let Some(message) = ws.recv()? {
            ws.feed(message)?;
        }
        Ok(())
    })
}

/// Makes a certificate for this machine. Returns it, and the file that holds it.
fn self_signed_tls() -> Result<(Tls, PathBuf)> {
    let made = self_signed(&["localhost", "127.0.0.1", "::1"], VALID);
    let file = std::env::current_exe()?.with_extension("pem");
    std::fs::write(&file, &made.certificate)?;
    Ok((Tls::from_pem(made.certificate.as_bytes(), made.key.as_bytes())?, file))
}

/// Over https, a page may open only wss.
const PAGE: &str = "<!doctype html><meta charset=utf-8><title>Secure echo</title>\
    <p>There is a WebSocket at this address, over TLS. Open the console and say hello:\
    <pre>ws = new WebSocket(`wss://${location.host}`)\n\
    ws.onmessage = event => console.log(event.data)\n\
    ws.onopen = () => ws.send('hello')</pre>";
