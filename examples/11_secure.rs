//! wss: the echo over TLS, and its page over https on the same port.
//!
//! run: cargo run --features tls --example 11_secure [ADDRESS [CERTIFICATE KEY]]
//! then: cargo run --features tls --example 05_client wss://127.0.0.1:9001 --root CERTIFICATE
//! or: curl --cacert CERTIFICATE https://localhost:9001
//! or: open https://localhost:9001 in a browser, and let it go on in spite of its warning
//! expect: listening on wss://127.0.0.1:9001
//! expect: its certificate:
//! next: 12_compressed, which makes messages smaller
//!
//! Without a certificate it makes its own, for localhost, puts it beside the program, and says where.
//! Nobody vouches for it, so a client must be given it as a root. The key never leaves the process.
//! A real one, from an authority, needs no root: give both files, the certificate's chain first.

#[path = "secure/certificate.rs"]
mod certificate;

use std::path::PathBuf;

use certificate::{VALID, self_signed};
use ws101::{Response, Result, Server, Tls};

fn main() -> Result<()> {
    env_logger::init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let address = arguments.first().map_or("127.0.0.1:9001", String::as_str);
    let (tls, certificate) = match &arguments[..] {
        [_, certificate, key] => {
            (Tls::from_pem_files(certificate, key)?, PathBuf::from(certificate))
        }
        _ => of_our_own()?,
    };
    let server = Server::bind(address)?.tls(tls).http(|_| Some(Response::html(PAGE)));
    let address = server.local_addr()?;
    println!("listening on wss://{address}");
    println!("its certificate: {}", certificate.display());
    println!("try: curl --cacert {} https://{address}", certificate.display());
    println!("or open https://{address} in a browser");
    server.serve(|mut ws| {
        while let Some(message) = ws.recv()? {
            ws.feed(message)?;
        }
        Ok(())
    })
}

/// A certificate for this machine, and the file in which it stands.
fn of_our_own() -> Result<(Tls, PathBuf)> {
    let made = self_signed(&["localhost", "127.0.0.1", "::1"], VALID);
    let file = std::env::current_exe()?.with_extension("pem");
    std::fs::write(&file, &made.certificate)?;
    Ok((Tls::from_pem(made.certificate.as_bytes(), made.key.as_bytes())?, file))
}

/// Over https, a page may open wss only: the address says which.
const PAGE: &str = "<!doctype html><meta charset=utf-8><title>Secure echo</title>\
    <p>There is a WebSocket at this address, over TLS. Open the console and say hello:\
    <pre>ws = new WebSocket(`wss://${location.host}`)\n\
    ws.onmessage = event => console.log(event.data)\n\
    ws.onopen = () => ws.send('hello')</pre>";
