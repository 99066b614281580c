//! Rooms 4 and 6, over TLS: which peer is trusted, and which thread waits. (Feature `tls`.)

#[path = "../../examples/secure/certificate.rs"]
mod certificate;

use std::io::Read;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use ws101::{Client, Error, Limits, Server, Tls};

use self::certificate::{SelfSigned, VALID, self_signed};
use crate::script::{end, script};
use crate::sockets::{run, serve};

const EXPIRED: [&str; 2] = ["200101000000Z", "200131235959Z"];

/// A certificate, and the file that a client uses as its root.
struct Made {
    pem: SelfSigned,
    file: PathBuf,
}

fn certificate(name: &str, valid: [&str; 2]) -> Made {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let pem = self_signed(&[name], valid);
    // Named after the process, too: two may run at the same time.
    let name = format!("museum-{}-{}.pem", std::process::id(), COUNT.fetch_add(1, SeqCst));
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&file, &pem.certificate).unwrap();
    Made { pem, file }
}

impl Drop for Made {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

impl Made {
    fn tls(&self) -> Tls {
        Tls::from_pem(self.pem.certificate.as_bytes(), self.pem.key.as_bytes()).unwrap()
    }

    /// A server with this certificate, which reports the bytes that it received.
    fn config(&self) -> Arc<ServerConfig> {
        let chain = CertificateDer::from_pem_slice(self.pem.certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(self.pem.key.as_bytes()).unwrap();
        let config = ServerConfig::builder().with_no_client_auth();
        Arc::new(config.with_single_cert(vec![chain], key).unwrap())
    }
}

/// Tomcat CVE-2018-8034; Java-WebSocket CVE-2020-11050; nv-websocket-client CVE-2017-1000209; faye CVE-2020-15133; mellium CVE-2022-24968
///
/// The certificate was valid, but for another host: the client didn't compare its name with the
/// requested one. Other clients didn't check the certificate at all.
///
/// Bytes: certificates that are self-signed, of another host, or expired
/// Holds: the client fails before it sends one byte of HTTP; with the right certificate it opens
/// Twin: src/transport/tls/certificates.rs
/// was `let host = ServerName::try_from(name)`
/// now `let host = ServerName::try_from(if name.is_empty() { name } else { "example.com".into() })`
#[test]
fn cve_2018_8034_what_if_the_certificate_is_not_the_hosts() {
    let good = certificate("127.0.0.1", VALID);
    let other = certificate("127.0.0.1", VALID);
    let elsewhere = certificate("example.com", VALID);
    let expired = certificate("127.0.0.1", EXPIRED);
    for (shown, root) in [
        (&good, Some(&other)), // of the same name, with another key
        (&good, None),
        (&elsewhere, Some(&elsewhere)),
        (&expired, Some(&expired)),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("wss://{}", listener.local_addr().unwrap());
        let config = shown.config();
        let server = run(move || {
            let stream = listener.accept().unwrap().0;
            let mut tls = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
            let mut heard = Vec::new();
            let _ = tls.read_to_end(&mut heard);
            heard
        });
        let client = Client::new(url).header("Authorization", "Bearer secret");
        let client = root.map_or(client.clone(), |root| client.root_certificates(&root.file));
        let connected = client.connect();
        assert!(matches!(connected, Err(Error::Tls(_))), "{connected:?}");
        assert_eq!(server.wait(), b"", "HTTP has left");
    }
    let server = serve(|server| server.tls(good.tls()), |mut ws| ws.recv().map(drop));
    Client::new(format!("wss://{}", server.address))
        .root_certificates(&good.file)
        .connect()
        .unwrap();
}

/// rustls RUSTSEC-2024-0336, RUSTSEC-2024-0399
///
/// The peer ended TLS in the middle of its handshake, and the loop that waited for the end of the
/// handshake ran for ever. In another version, a ClientHello that came in pieces made a server
/// panic.
///
/// Bytes: `15 03 03 00 02 01 00` before, within and after a ClientHello; a ClientHello in records of one byte
/// Holds: an error after a handful of reads, at both ends
/// Twin: src/transport/tls/tls_stream.rs
/// was `0 => return Err(end_of_stream_error().into()),\n                count => arrived.filled(count),`
/// now `count => arrived.filled(count),`
#[test]
fn rustsec_2024_0336_what_if_tls_ends_before_it_has_begun() {
    const CLOSE_NOTIFY: &[u8] = &[0x15, 3, 3, 0, 2, 1, 0];
    let made = certificate("localhost", VALID);
    // What a client says first, in one record.
    let (stream, calls) = script(|_| end());
    let client = || Client::new("wss://localhost").root_certificates(&made.file);
    client().connect_over(stream).unwrap_err();
    let hello = calls.lock().unwrap().written();
    assert_eq!(hello[0], 0x16);
    let in_records_of_one: Vec<u8> =
        hello[5..].iter().flat_map(|&byte| [0x16, 3, 1, 0, 1, byte]).collect();
    // In a thread, since a twin goes round for ever.
    let reads_of_server = |bytes: Vec<u8>| {
        let tls = made.tls();
        run(move || {
            let mut pieces = bytes.chunks(100).map(Vec::from).collect::<Vec<_>>().into_iter();
            let (stream, calls) = script(move |_| Ok(pieces.next().unwrap_or_default()));
            let refused =
                Server::without_listener().tls(tls).limits(Limits::default()).accept(stream);
            assert!(refused.is_err());
            let reads = calls.lock().unwrap().reads;
            (reads, calls.lock().unwrap().written())
        })
        .wait()
    };
    for bytes in [
        CLOSE_NOTIFY.to_vec(),
        CLOSE_NOTIFY.repeat(100),
        [&hello[..20], CLOSE_NOTIFY].concat(),
        [&in_records_of_one[..600], CLOSE_NOTIFY].concat(),
        [&hello[..], &CLOSE_NOTIFY.repeat(50)].concat(),
    ] {
        let (reads, _) = reads_of_server(bytes.clone());
        assert!(reads <= bytes.len() / 100 + 3, "{reads} reads of {} bytes", bytes.len());
    }
    // A hello in the smallest of pieces is a hello: it is answered with one.
    let (_, written) = reads_of_server(in_records_of_one);
    assert_eq!(written.get(..2), Some(&[0x16, 3][..]));
    let mut three = vec![CLOSE_NOTIFY; 3].into_iter();
    let (stream, calls) = script(move |_| Ok(three.next().unwrap_or_default().into()));
    let client = client();
    let connected = run(move || client.connect_over(stream)).wait();
    assert!(connected.is_err() && calls.lock().unwrap().reads <= 5, "{connected:?}");
}

/// ws-tool: a TLS split that holds its lock across a blocking read
///
/// There was one lock around all of TLS. A thread that waited for the peer held it, and a thread
/// that wanted to send waited until the peer had sent something.
///
/// Bytes: a thread waits in `recv` for a peer that stays silent, and another sends
/// Holds: all is sent and arrives, although the peer sends nothing
/// Twin: src/transport/tls/tls_stream.rs
/// was `match self.stream.read(arrived.space()) {`
/// now `let _held = lock(&self.tls); match self.stream.read(arrived.space()) {`
#[test]
fn ws_tool_what_if_we_send_while_the_peer_is_silent() {
    // In a thread, since with its twin even the server can't be stopped.
    run(send_while_the_peer_is_silent).wait();
}

fn send_while_the_peer_is_silent() {
    const MESSAGES: usize = 50;
    let made = certificate("127.0.0.1", VALID);
    let (tell, told) = std::sync::mpsc::channel();
    let server = serve(
        |server| server.tls(made.tls()),
        move |mut ws| {
            while let Some(message) = ws.recv()? {
                tell.send(message.as_bytes().len()).unwrap();
            }
            Ok(())
        },
    );
    let mut ws = Client::new(format!("wss://{}", server.address))
        .root_certificates(&made.file)
        .connect()
        .unwrap();
    let sender = ws.sender();
    let silent = run(move || ws.recv());
    let sending = run(move || {
        (0..MESSAGES).try_for_each(|number| sender.send(vec![7; number * 10_000]))?;
        sender.close(1000, "")
    });
    sending.wait().unwrap();
    assert_eq!(
        silent.wait().unwrap(),
        None,
        "the peer has answered our Close, and said nothing else"
    );
    let lengths: Vec<usize> = told.try_iter().collect();
    assert_eq!(lengths, (0..MESSAGES).map(|number| number * 10_000).collect::<Vec<_>>());
}
