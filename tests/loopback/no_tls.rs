//! A build without the feature `tls`: a program that asks for TLS gets an error that names the
//! feature.

use std::io::ErrorKind;
use std::net::TcpListener;

use ws101::{Client, Error, Tls, connect};

use crate::support::in_memory;

fn tells_the_feature<T>(what: ws101::Result<T>) {
    match what.err() {
        Some(Error::Misuse(misuse)) => {
            assert!(misuse.to_string().contains(r#"features = ["tls"]"#), "{misuse}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn client_without_tls_refuses_a_wss_address_without_dialling_or_writing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("wss://{}", listener.local_addr().unwrap());
    tells_the_feature(connect(&url));
    tells_the_feature(Client::new(&url).root_certificates("own.pem").connect());
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    // A stream of one's own must not turn wss into plain text.
    let (stream, written) = in_memory(|_| Vec::new());
    tells_the_feature(Client::new(url).connect_over(stream));
    assert_eq!(*written.lock().unwrap(), []);
}

#[test]
fn server_without_tls_takes_no_certificate() {
    tells_the_feature(Tls::from_pem_files("certificate.pem", "key.pem"));
    tells_the_feature(Tls::from_pem(b"", b""));
}
