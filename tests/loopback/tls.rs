//! Connections over TLS: certificates, both directions at once, endings, deadlines. (Feature
//! `tls`.)

#[path = "../../examples/secure/certificate.rs"]
mod certificate;

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{Acceptor, ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
};
use ws101::{
    Admission, Client, Error, Limits, Message, Refusal, Response, Result, Server, Tls, WebSocket,
    connect,
};

use self::certificate::{SelfSigned, VALID, self_signed};
use crate::support::{
    PATIENCE, Running, echo, echo_handler, in_memory, masked, request, run, serve,
};

const EXPIRED: [&str; 2] = ["200101000000Z", "200131235959Z"];

/// A certificate, and the file that a client is given as its root.
struct Made {
    pem: SelfSigned,
    file: PathBuf,
}

fn certificate(names: &[&str], valid: [&str; 2]) -> Made {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let pem = self_signed(names, valid);
    // Named after the process, too: two may run at the same time.
    let name = format!("root-{}-{}.pem", std::process::id(), COUNT.fetch_add(1, SeqCst));
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&file, &pem.certificate).unwrap();
    Made { pem, file }
}

impl Drop for Made {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

fn for_loopback() -> Made {
    certificate(&["127.0.0.1", "localhost"], VALID)
}

impl Made {
    fn tls(&self) -> Tls {
        Tls::from_pem(self.pem.certificate.as_bytes(), self.pem.key.as_bytes()).unwrap()
    }

    fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![CertificateDer::from_pem_slice(self.pem.certificate.as_bytes()).unwrap()]
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.pem.key.as_bytes()).unwrap()
    }

    fn server(&self) -> ServerConfig {
        let config = ServerConfig::builder().with_no_client_auth();
        config.with_single_cert(self.chain(), self.key()).unwrap()
    }

    /// Of an end that trusts this certificate.
    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.chain().remove(0)).unwrap();
        roots
    }

    fn client(&self) -> ClientConfig {
        ClientConfig::builder().with_root_certificates(self.roots()).with_no_client_auth()
    }
}

/// A server that speaks TLS, and whom a client must trust to reach it.
struct Secure {
    running: Running,
    made: Made,
}

fn secure(
    configure: impl FnOnce(Server) -> Server,
    handler: impl Fn(WebSocket) -> Result<()> + Send + Sync + 'static,
) -> Secure {
    let made = for_loopback();
    Secure { running: serve(|server| configure(server.tls(made.tls())), handler), made }
}

impl Secure {
    fn client(&self) -> Client {
        Client::new(format!("wss://{}", self.running.address)).root_certificates(&self.made.file)
    }

    fn connect(&self) -> WebSocket {
        self.client().connect().unwrap()
    }

    /// A raw client: bytes over TLS.
    fn dial(&self) -> StreamOwned<ClientConnection, TcpStream> {
        let name = "127.0.0.1".try_into().unwrap();
        let tls = ClientConnection::new(Arc::new(self.made.client()), name).unwrap();
        let stream = TcpStream::connect(self.running.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        StreamOwned::new(tls, stream)
    }

    /// The same, with a WebSocket's handshake behind it.
    fn open(&self) -> StreamOwned<ClientConnection, TcpStream> {
        let mut peer = self.dial();
        peer.write_all(request(&[]).as_bytes()).unwrap();
        assert!(read_head(&mut peer).starts_with("HTTP/1.1 101"));
        peer
    }
}

fn read_head(peer: &mut impl Read) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        peer.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// What a client learns.
fn seen_by(client: Client) -> String {
    client.connect().expect_err("no connection").to_string()
}

#[test]
fn a_connection_over_tls_knows_its_peer_and_keeps_its_time() {
    let server = secure(|server| server, echo_handler);
    let mut ws = server.connect();
    assert_eq!(ws.peer(), Some(server.running.address));
    let start = Instant::now();
    let waited = run(move || ws.recv_timeout(Duration::from_millis(50))).wait();
    assert!(matches!(waited, Err(Error::TimedOut)), "{waited:?}");
    assert!(start.elapsed() < Limits::default().head / 2, "{:?}", start.elapsed());
}

#[test]
fn an_echo_of_every_size_passes_and_ends_cleanly() {
    let server = secure(|server| server, echo_handler);
    let mut ws = server.connect();
    for length in [0, 1, 125, 126, 16_383, 16_384, 16_385, 65_535, 65_536, 1_000_000] {
        let sent = vec![7; length];
        ws.send(&sent).unwrap();
        assert!(ws.recv().unwrap() == Some(Message::Binary(sent)), "{length}");
    }
    ws.close(1000, "").unwrap();
    assert_eq!(ws.closed_with().unwrap().code.0, 1000);
}

#[test]
fn a_sender_is_never_held_up_by_a_peer_that_stays_silent() {
    let (count, bytes) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let server = secure(|server| server, {
        let (count, bytes) = (count.clone(), bytes.clone());
        move |mut ws: WebSocket| {
            while let Some(message) = ws.recv()? {
                count.fetch_add(1, SeqCst);
                bytes.fetch_add(message.as_bytes().len(), SeqCst);
            }
            Ok(())
        }
    });
    let mut ws = server.connect();
    let sender = ws.sender();
    let reader = thread::spawn(move || ws.recv());
    let large = vec![1; 1 << 20];
    for round in 0..400 {
        let start = Instant::now();
        match round % 2 {
            0 => sender.send("small").unwrap(),
            _ => sender.send(&large).unwrap(),
        }
        assert!(start.elapsed() < PATIENCE / 2, "round {round} waited for the reader");
    }
    sender.close(1000, "").unwrap();
    assert_eq!(reader.join().unwrap().unwrap(), None);
    assert_eq!(count.load(SeqCst), 400);
    assert_eq!(bytes.load(SeqCst), 200 * ((1 << 20) + 5));
}

#[test]
fn both_sides_write_something_huge_and_both_arrive() {
    fn exchange(mut ws: WebSocket) -> Result<()> {
        let sender = ws.sender();
        let thread = thread::spawn(move || sender.send(vec![1; 12 << 20]));
        let message = ws.recv()?.expect("a message");
        assert_eq!(message.as_bytes().len(), 12 << 20);
        thread.join().unwrap()
    }
    let server = secure(|server| server, exchange);
    let ws = server.connect();
    exchange(ws).unwrap();
    server.running.wait_until(|counters| counters.open == 0);
}

#[test]
fn what_if_both_write_something_huge_and_neither_reads() {
    let limits = Limits { write: Duration::from_millis(500), ..Limits::default() };
    let huge = |ws: &mut WebSocket| ws.send(vec![1; 15 << 20]);
    let server = secure(|server| server.limits(limits.clone()), move |mut ws| huge(&mut ws));
    let mut ws = server.client().limits(limits).connect().unwrap();
    let start = Instant::now();
    let sent = huge(&mut ws);
    assert!(matches!(sent, Err(Error::WriteTimeout | Error::ConnectionLost(_))), "{sent:?}");
    assert!(start.elapsed() < PATIENCE / 2);
}

#[test]
fn client_refuses_a_server_that_it_has_no_reason_to_trust_and_says_nothing_to_it() {
    let (good, other) = (for_loopback(), for_loopback());
    let elsewhere = certificate(&["example.com"], VALID);
    let expired = certificate(&["127.0.0.1"], EXPIRED);
    for (shown, root, diagnostic) in [
        (&good, Some(&other), "leads up to a root"), // of the same name
        (&good, None, "Name a self-signed certificate as a root"),
        (&elsewhere, Some(&elsewhere), "names the host"),
        (&expired, Some(&expired), "it ended"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("wss://{}", listener.local_addr().unwrap());
        let config = Arc::new(shown.server());
        let server = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut tls = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
            let mut heard = Vec::new();
            let end = tls.read_to_end(&mut heard);
            (heard, end.map_err(|error| error.to_string()))
        });
        let client = Client::new(url);
        let client = match root {
            Some(root) => client.root_certificates(&root.file),
            None => client,
        };
        let seen = seen_by(client);
        assert!(seen.contains(diagnostic), "{diagnostic}: {seen}");
        let (heard, end) = server.join().unwrap();
        assert_eq!(heard, [], "{diagnostic}");
        assert!(end.unwrap_err().contains("fatal alert"), "{diagnostic}");
    }
}

/// The client's error for a server that greets it as an IMAP server does, reads its request, and
/// then does this with the TCP stream.
fn greeted(then: impl FnOnce(&mut TcpStream) + Send + 'static) -> Error {
    let made = for_loopback();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("wss://{}", listener.local_addr().unwrap());
    let config = Arc::new(made.server());
    let server = thread::spawn(move || {
        let stream = listener.accept().unwrap().0;
        let mut tls = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
        tls.write_all(b"* OK IMAP4rev1 ready\r\n").unwrap();
        read_head(&mut tls);
        then(&mut tls.sock);
        let _ = tls.sock.read(&mut [0]);
    });
    let error = Client::new(url).root_certificates(&made.file).connect().unwrap_err();
    server.join().unwrap();
    error
}

#[test]
fn client_says_of_a_server_that_greets_and_leaves_without_close_notify_what_it_said() {
    let error = greeted(|stream| stream.shutdown(Shutdown::Write).unwrap());
    assert!(matches!(error, Error::Rejected(_)), "{error}");
    assert!(error.to_string().contains("* OK IMAP4rev1 ready"), "{error}");
}

#[test]
fn client_does_not_take_a_bad_record_after_a_greeting_for_the_end_of_the_stream() {
    let error = greeted(|stream| {
        stream.write_all(&[0x17, 3, 3, 0, 20]).unwrap();
        stream.write_all(&[0; 20]).unwrap();
    });
    assert!(matches!(error, Error::ConnectionLost(_)), "{error}");
}

#[test]
fn section_4_1_client_names_the_host_in_its_hello() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let root = for_loopback();
    let client = Client::new("wss://chat.example/").root_certificates(&root.file);
    let client = thread::spawn(move || client.connect_over(stream).map(|_| ()));
    let mut peer = listener.accept().unwrap().0;
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut hello = Acceptor::default();
    let accepted = loop {
        assert!(hello.read_tls(&mut peer).unwrap() > 0, "a hello");
        if let Some(accepted) = hello.accept().unwrap() {
            break accepted;
        }
    };
    assert_eq!(accepted.client_hello().server_name(), Some("chat.example"));
    drop(peer);
    client.join().unwrap().unwrap_err();
}

#[test]
fn client_says_what_is_wrong_with_a_root_that_is_used_as_a_certificate() {
    let root = include_str!("a_root.pem");
    let tls = Tls::from_pem(root.as_bytes(), root.as_bytes()).unwrap();
    let server = serve(|server| server.tls(tls), echo_handler);
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/loopback/a_root.pem");
    let seen = seen_by(Client::new(format!("wss://{}", server.address)).root_certificates(file));
    assert!(seen.contains("CA:TRUE"), "{seen}");
}

/// A server of many hosts, such as a proxy in front of them, that has no certificate for this one.
#[derive(Debug)]
struct NoCertificate;

impl ResolvesServerCert for NoCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        None
    }
}

#[test]
fn client_says_that_a_server_may_have_no_certificate_for_this_host() {
    let config = ServerConfig::builder().with_no_client_auth();
    let tls = Tls::from_config(Arc::new(config.with_cert_resolver(Arc::new(NoCertificate))));
    let server = serve(|server| server.tls(tls), echo_handler);
    let root = for_loopback();
    let url = format!("wss://{}", server.address);
    let seen = seen_by(Client::new(url).root_certificates(&root.file));
    assert!(seen.contains("a server without a certificate for this host"), "{seen}");
}

#[test]
fn server_learns_that_it_is_not_trusted_and_lives_on() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("wss://{}", listener.local_addr().unwrap());
    let made = for_loopback();
    let server = Server::without_listener().tls(made.tls());
    let client = thread::spawn(move || {
        (connect(&url).err(), Client::new(url).root_certificates(&made.file).connect())
    });
    let error = server.accept(listener.accept().unwrap().0).unwrap_err().to_string();
    assert!(error.contains("give the client the certificate as a root"), "{error}");
    drop(server.accept(listener.accept().unwrap().0).unwrap());
    let (refused, opened) = client.join().unwrap();
    assert!(refused.is_some() && opened.is_ok());
}

#[test]
fn a_bad_record_takes_nothing_away_from_the_good_ones_before_it() {
    let (tell, told) = channel();
    let server = secure(
        |server| server,
        move |mut ws| {
            let heard: Vec<_> = (0..3).map(|_| ws.recv()).collect();
            tell.send(heard).unwrap();
            Ok(())
        },
    );
    let mut peer = server.open();
    let mut records = Vec::new();
    for text in ["one", "two"] {
        peer.conn.writer().write_all(&masked(0x81, text)).unwrap();
        while peer.conn.wants_write() {
            peer.conn.write_tls(&mut records).unwrap();
        }
    }
    // A record that nobody has sealed.
    records.extend([&[0x17, 3, 3, 0, 20][..], &[7; 20]].concat());
    peer.sock.write_all(&records).unwrap();
    let heard = told.recv_timeout(PATIENCE).unwrap();
    for (heard, text) in heard.iter().zip(["one", "two"]) {
        assert_eq!(heard.as_ref().unwrap().as_ref().unwrap().as_text(), Some(text));
    }
    assert!(matches!(heard[2], Err(Error::ConnectionLost(_))), "{:?}", heard[2]);
}

#[test]
fn an_invalid_certificate_gets_a_diagnostic_that_says_what_it_should_be() {
    let made = for_loopback();
    let (certificate, key) = (made.pem.certificate.as_bytes(), made.pem.key.as_bytes());
    let other = for_loopback();
    for (certificate, key) in [
        (&b""[..], key),
        (certificate, &b""[..]),
        (key, certificate),
        (certificate, other.pem.key.as_bytes()),
        (b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", key),
    ] {
        let error = Tls::from_pem(certificate, key).unwrap_err().to_string();
        assert!(error.contains("BEGIN CERTIFICATE"), "{error}");
    }
    assert!(
        Tls::from_pem_files("no such file", "nor this")
            .unwrap_err()
            .to_string()
            .contains("no such")
    );
    let client = Client::new("wss://127.0.0.1:1");
    assert!(seen_by(client.clone().root_certificates("no such file")).contains("no such file"));
    let empty = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("empty-{}.pem", std::process::id()));
    std::fs::write(&empty, "").unwrap();
    assert!(seen_by(client.root_certificates(&empty)).contains("no certificate"));
    std::fs::remove_file(empty).unwrap();
}

#[test]
#[cfg(target_os = "linux")] // Reading this file fails as reading a file on a broken disk does.
fn a_pem_file_that_cannot_be_read_now_is_an_error_of_the_system_and_not_of_the_certificate() {
    let failing = "/proc/self/mem";
    let client = Client::new("wss://127.0.0.1:1").root_certificates(failing).connect();
    assert!(matches!(&client, Err(Error::Io(error)) if error.to_string().contains(failing)));
    assert!(matches!(Tls::from_pem_files(failing, failing), Err(Error::Io(_))));
    for wrong in ["no such file", "/", "/dev/null/x"] {
        let client = Client::new("wss://127.0.0.1:1").root_certificates(wrong).connect();
        assert!(matches!(client, Err(Error::Tls(_))), "{wrong}");
        assert!(matches!(Tls::from_pem_files(wrong, wrong), Err(Error::Tls(_))), "{wrong}");
    }
}

#[test]
fn plain_http_to_a_tls_port_and_tls_to_a_plain_port_are_both_answered() {
    let server = secure(|server| server, echo_handler);
    let mut peer = server.running.dial();
    peer.write(request(&[]));
    let response = peer.read_response();
    assert_eq!(response.status, 400);
    assert!(response.body.contains("This port speaks TLS"), "{}", response.body);
    assert!(seen_by(Client::new(server.running.url())).contains("This port speaks TLS"));

    let plain = echo();
    let seen = seen_by(Client::new(format!("wss://{}", plain.address)));
    assert!(seen.contains("Use ws://") && seen.contains("HTTP/1.1 400"), "{seen}");
}

#[test]
fn a_plain_503_before_tls_may_be_tried_again() {
    // No machine has an address space for such a stack: each thread is one too many.
    let limits = Limits { stack: usize::MAX / 4, ..Limits::default() };
    let server = secure(|server| server.limits(limits), echo_handler);
    let start = Instant::now();
    let rejection = loop {
        match server.client().connect() {
            Err(Error::Rejected(rejection)) => break rejection,
            // The refusing thread doesn't wait for the hello of a client on a busy machine.
            Err(Error::ConnectionLost(_)) => assert!(start.elapsed() < PATIENCE),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(rejection.status, Some(503));
    let text = rejection.to_string();
    assert!(text.contains("without TLS") && text.contains("Try again"), "{text}");
}

#[test]
fn client_takes_from_a_plain_answer_before_tls_only_that_it_may_try_again() {
    for (line, status) in [
        ("HTTP/1.1 408 Request Timeout", Some(408)),
        ("HTTP/1.1 429 Too Many Requests", Some(429)),
        ("HTTP/1.1 500 ", Some(500)),
        ("HTTP/1.0 502", Some(502)),
        ("HTTP/1.1 503 Service Unavailable", Some(503)),
        ("HTTP/1.1 599 \u{1b}[2J", Some(599)),
        ("HTTP/1.1 101 Switching Protocols", None),
        ("HTTP/1.1 200 OK", None),
        ("HTTP/1.1 301 Moved Permanently", None),
        ("HTTP/1.1 400 Bad Request", None),
        ("HTTP/1.1 401 Unauthorized", None),
        ("HTTP/1.1 403 Forbidden", None),
        ("HTTP/1.1 600 ", None),
        ("HTTP/1.1 5030", None),
        ("HTTP/2 503", None),
        ("503 Service Unavailable", None),
        ("SSH-2.0-x", None),
    ] {
        let headers = "Retry-After: 9\r\nLocation: wss://evil.example/\r\nContent-Length: 4";
        let answer = format!("{line}\r\n{headers}\r\n\r\nevil");
        let root = for_loopback();
        let (stream, written) = in_memory(move |_| answer.clone().into_bytes());
        let client = Client::new("wss://127.0.0.1/").root_certificates(&root.file);
        let error = client.connect_over(stream).expect_err(line);
        let text = error.to_string();
        match (status, error) {
            (Some(_), Error::Rejected(rejection)) => {
                assert_eq!(rejection.status, status, "{line}");
                assert!(rejection.head.is_none() && rejection.body.is_empty(), "{line}");
                assert!(text.contains("without TLS") && !text.contains("evil"), "{text}");
            }
            (None, Error::Tls(_)) => assert!(text.contains("Use ws://"), "{text}"),
            (_, error) => panic!("{line}: {error}"),
        }
        assert!(!text.contains('\u{1b}'), "{text:?}");
        // The client sent its hello, in one handshake record, and nothing more.
        let written = written.lock().unwrap();
        let length = usize::from(u16::from_be_bytes([written[3], written[4]]));
        assert_eq!((written[0], written.len()), (0x16, 5 + length), "{line}");
    }
}

#[test]
fn pages_are_served_over_tls() {
    let server = secure(|server| server.http(|_| Some(Response::html("hello"))), echo_handler);
    let mut peer = server.dial();
    peer.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    peer.read_to_string(&mut answer).expect("an end with close_notify");
    assert!(answer.ends_with("hello"), "{answer}");
}

#[test]
fn a_client_that_closes_without_a_byte_over_tls_is_no_refused_request_even_without_close_notify() {
    let server = secure(|server| server, echo_handler);
    for notify in [true, false] {
        let mut peer = server.dial();
        while peer.conn.is_handshaking() {
            peer.conn.complete_io(&mut peer.sock).unwrap();
        }
        if notify {
            peer.conn.send_close_notify();
            peer.flush().unwrap();
        }
        peer.sock.shutdown(Shutdown::Write).unwrap();
        // RFC 8446 §6.1: the server ends its side with a close_notify.
        let mut answer = String::new();
        peer.read_to_string(&mut answer).expect("an end with close_notify");
        assert_eq!(answer, "", "{notify}");
    }
    assert_eq!(server.running.handle.counters().refused, [].into());
}

#[test]
fn section_10_2_server_lets_in_no_http_page_of_its_own_host_over_tls() {
    let server = secure(|server| server, echo_handler);
    let host = server.running.address;
    for (scheme, status) in [("http", "403"), ("https", "101")] {
        let mut peer = server.dial();
        let asked = request(&[&format!("Origin: {scheme}://{host}")]);
        let asked = asked.replace("Host: 127.0.0.1\r\n", &format!("Host: {host}\r\n"));
        peer.write_all(asked.as_bytes()).unwrap();
        let answer = read_head(&mut peer);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{scheme}: {answer}");
    }
}

#[test]
fn a_client_whose_page_panics_gets_500_over_tls() {
    let server = secure(|server| server.http(|_| panic!("on purpose")), echo_handler);
    let mut peer = server.dial();
    peer.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    peer.read_to_string(&mut answer).expect("an end with close_notify");
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
}

#[test]
fn what_if_the_stream_ends_without_close_notify() {
    let (say, hear) = std::sync::mpsc::channel();
    let server = secure(
        |server| server,
        move |mut ws| {
            say.send(ws.recv()).unwrap();
            Ok(())
        },
    );
    for (bytes, notify) in
        [(&b""[..], false), (b"\x81\x85\x37\xfa\x21\x3d\x7f", false), (b"\x81", true)]
    {
        let mut peer = server.open();
        peer.write_all(bytes).unwrap();
        if notify {
            peer.conn.send_close_notify();
        }
        peer.flush().unwrap();
        peer.sock.shutdown(Shutdown::Write).unwrap();
        match hear.recv_timeout(PATIENCE).unwrap() {
            Err(Error::ConnectionLost(error)) => assert_eq!(error.kind(), ErrorKind::UnexpectedEof),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn server_sends_a_close_and_a_close_notify_to_a_peer_that_breaks_the_rules() {
    let server = secure(|server| server, echo_handler);
    let mut peer = server.open();
    // Unmasked, and a lot behind it that nobody will read.
    peer.write_all(b"\x81\x05hello").unwrap();
    peer.write_all(&vec![0; 300_000]).unwrap();
    let mut rest = Vec::new();
    peer.read_to_end(&mut rest).expect("an end with close_notify, not a reset");
    assert_eq!(rest[..4], [0x88, rest[1], 0x03, 0xea]);
}

#[test]
fn close_codes_are_seen_at_the_other_end() {
    let server = secure(
        |server| server.limits(Limits { max_message: 100, ..Limits::default() }),
        |mut ws| match ws.recv()? {
            Some(_) => ws.close(4001, "enough"),
            None => Ok(()),
        },
    );
    let mut ws = server.connect();
    ws.send("x").unwrap();
    assert_eq!(ws.recv().unwrap(), None);
    assert_eq!(ws.closed_with().unwrap().to_string(), "4001 \"enough\"");

    let mut ws = server.connect();
    ws.send("x".repeat(100_000)).unwrap();
    assert_eq!(ws.recv().unwrap(), None);
    assert_eq!(ws.closed_with().unwrap().code.0, 1009);

    let mut ws = server.connect();
    server.running.handle.stop(PATIENCE);
    assert_eq!(ws.recv().unwrap(), None);
    assert_eq!(ws.closed_with().unwrap().code.0, 1001);
}

#[test]
fn a_silent_or_dribbling_handshake_ends_at_the_deadline_of_the_head() {
    // Enough for `late` to complete its TLS handshake on a busy machine.
    let limits = Limits { head: Duration::from_secs(2), ..Limits::default() };
    let server = secure(|server| server.limits(limits), echo_handler);
    let start = Instant::now();
    // Silent from the start.
    let mut silent = server.running.dial();
    // A record that dribbles in, before and after the handshake of TLS.
    let dribble = |mut stream: TcpStream| {
        thread::spawn(move || {
            while start.elapsed() < PATIENCE && stream.write_all(&[0x17]).is_ok() {
                thread::sleep(Duration::from_millis(50));
            }
        })
    };
    let early = server.running.dial().stream;
    (&early).write_all(&[0x16, 3, 1, 2, 0]).unwrap();
    let mut late = server.dial();
    while late.conn.is_handshaking() {
        late.conn.complete_io(&mut late.sock).unwrap();
    }
    late.sock.write_all(&[0x17, 3, 3, 0x17, 0x17]).unwrap();
    let threads = [dribble(early), dribble(late.sock)];
    let _ = silent.stream.read(&mut [0; 100]);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert!(start.elapsed() < PATIENCE / 2);
    server.running.wait_until(|counters| counters.refused.get(&408) == Some(&1));
}

#[test]
fn client_gives_up_a_server_that_is_silent_in_the_handshake_of_tls() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("wss://{}", silent.local_addr().unwrap());
    let time = Duration::from_millis(200);
    let limits = Limits { connect: time, head: 10 * PATIENCE, ..Limits::default() };
    let root = for_loopback();
    let start = Instant::now();
    let client = Client::new(url).root_certificates(&root.file).limits(limits);
    let result = client.connect();
    assert!(matches!(result, Err(Error::PeerTimeout)), "{result:?}");
    assert!((time..PATIENCE / 2).contains(&start.elapsed()), "{:?}", start.elapsed());
}

#[test]
fn a_crowd_of_silent_handshakes_keeps_no_honest_client_out() {
    let limits = Limits { max_waiting: 3, ..Limits::default() };
    let server = secure(|server| server.limits(limits), echo_handler);
    let crowd: Vec<_> = (0..20).map(|_| server.running.dial().stream).collect();
    crowd.iter().for_each(|stream| stream.set_nonblocking(true).unwrap());
    let has_gone = |mut stream: &TcpStream| matches!(stream.read(&mut [0]), Ok(0));
    let start = Instant::now();
    while crowd.iter().filter(|stream| has_gone(stream)).count() < 17 {
        assert!(start.elapsed() < PATIENCE, "nobody made way");
        thread::yield_now();
    }
    drop(server.connect());
}

#[test]
fn a_timeout_between_messages_or_in_one_loses_nothing() {
    let (tell, told) = channel();
    let told = Mutex::new(told);
    let server = secure(
        |server| server,
        move |mut ws| {
            // Each message waits for a timeout of the client.
            for _ in 0..3 {
                told.lock().unwrap().recv_timeout(PATIENCE).unwrap();
                ws.send("x".repeat(40_000))?;
            }
            ws.recv().map(|_| ())
        },
    );
    let mut ws = server.connect();
    let mut messages = 0;
    while messages < 3 {
        match ws.recv_timeout(Duration::from_millis(5)) {
            Ok(message) => {
                assert_eq!(message.unwrap().as_bytes().len(), 40_000);
                messages += 1;
            }
            Err(Error::TimedOut) => tell.send(()).unwrap(),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_stream_of_ones_own_is_secured_too_if_the_address_says_wss() {
    let server = secure(|server| server, echo_handler);
    let stream = TcpStream::connect(server.running.address).unwrap();
    let mut ws = server.client().connect_over(stream).unwrap();
    assert_eq!(ws.request().host(), Some(&*server.running.address.to_string()));
    ws.send("hello").unwrap();
    assert_eq!(ws.recv().unwrap().unwrap().as_text(), Some("hello"));
}

#[test]
fn frames_that_come_with_the_request_are_not_lost() {
    let server = secure(|server| server, echo_handler);
    let mut peer = server.dial();
    peer.write_all(&[request(&[]).as_bytes(), &masked(0x81, "hello")].concat()).unwrap();
    read_head(&mut peer);
    let mut frame = [0; 7];
    peer.read_exact(&mut frame).unwrap();
    assert_eq!(&frame, b"\x81\x05hello");
}

#[test]
fn server_takes_the_bytes_of_a_record_that_is_not_yet_whole_for_a_sign_of_life() {
    let (silence, pong) = (Duration::from_millis(200), Duration::from_secs(1));
    let limits = Limits { ping_every: Some(silence), pong, ..Limits::default() };
    let (tell, told) = channel();
    let secure = secure(
        |server| server.limits(limits),
        move |mut ws| {
            tell.send(ws.recv()).unwrap();
            Ok(())
        },
    );
    let mut peer = secure.open();
    peer.read_exact(&mut [0; 10]).unwrap();
    // Now a pong is due.
    let mut record = Vec::new();
    peer.conn.writer().write_all(&masked(0x81, [b'x'; 50])).unwrap();
    peer.conn.write_tls(&mut record).unwrap();
    // Longer than the server waits for its pong.
    for byte in record {
        peer.sock.write_all(&[byte]).unwrap();
        thread::sleep(pong / 50);
    }
    let came = told.recv_timeout(PATIENCE).unwrap();
    assert_eq!(came.unwrap().unwrap().as_bytes(), [b'x'; 50]);
}

/// What both ends make of one connection, each with a configuration of its own: a message, and a clean
/// close.
fn both_ends(server: ServerConfig, client: ClientConfig) -> (Result<()>, Result<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("wss://{}", listener.local_addr().unwrap());
    let server = Server::without_listener().tls(Tls::from_config(Arc::new(server)));
    let client = run(move || {
        let mut ws = Client::new(url).tls_config(Arc::new(client)).connect()?;
        assert_eq!(ws.recv()?.unwrap().as_text(), Some("hello"));
        ws.close(1000, "")
    });
    let accepted = server.accept(listener.accept().unwrap().0).and_then(|mut ws| {
        ws.send("hello")?;
        assert_eq!(ws.recv()?, None);
        Ok(())
    });
    (accepted, client.wait())
}

#[test]
fn server_that_asks_for_certificates_lets_in_only_clients_that_it_can_trust_and_both_learn_why() {
    let (made, known, stranger) = (for_loopback(), for_loopback(), for_loopback());
    let late = certificate(&["127.0.0.1"], EXPIRED);
    for version in [&TLS12, &TLS13] {
        let come = |shown: Option<&Made>| {
            let mut roots = known.roots();
            roots.add(late.chain().remove(0)).unwrap();
            let clients = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
            let server = ServerConfig::builder().with_client_cert_verifier(clients);
            let server = server.with_single_cert(made.chain(), made.key()).unwrap();
            let client = ClientConfig::builder_with_protocol_versions(&[version])
                .with_root_certificates(made.roots());
            let client = match shown {
                Some(shown) => client.with_client_auth_cert(shown.chain(), shown.key()).unwrap(),
                None => client.with_no_client_auth(),
            };
            both_ends(server, client)
        };
        let (server, client) = come(Some(&known));
        assert!(server.is_ok() && client.is_ok(), "{version:?}: {server:?} {client:?}");
        for (shown, why) in [
            (None, "sent no certificates"),
            (Some(&stranger), "invalid peer certificate"),
            (Some(&late), "certificate expired"),
        ] {
            let (server, client) = come(shown);
            let (server, client) = (server.unwrap_err(), client.unwrap_err());
            for error in [&server, &client] {
                assert!(matches!(error, Error::Tls(_)), "{version:?} {why}: {error}");
                let said = error.to_string();
                assert!(said.contains("asks each client for a certificate"), "{version:?}: {said}");
            }
            assert!(server.to_string().contains(why), "{version:?} {why}: {server}");
            assert!(client.to_string().contains("the server's alert"), "{version:?}: {client}");
        }
    }
}

/// A stream that passes on only what each stream must have.
struct Bare(Arc<dyn ws101::Stream>);

impl ws101::Stream for Bare {
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write(slices)
    }

    timeouts_and_shutdown_of!(0);
}

#[test]
fn admit_and_the_handler_see_the_certificate_that_a_client_has_proved_to_be_its_own() {
    let (made, known) = (for_loopback(), for_loopback());
    for shown in [Some(&known), None] {
        let clients = WebPkiClientVerifier::builder(Arc::new(known.roots()));
        let clients = clients.allow_unauthenticated().build().unwrap();
        let config = ServerConfig::builder().with_client_cert_verifier(clients);
        let config = config.with_single_cert(made.chain(), made.key()).unwrap();
        let own = shown.map_or(Vec::new(), |shown| vec![shown.chain()[0].to_vec()]);
        let (expected, given) = (own.clone(), own);
        let server = serve(
            |server| {
                // What wraps the stream need not know of certificates.
                let server = server.wrap_stream(|stream| Arc::new(Bare(stream)));
                let server = server.tls(Tls::from_config(Arc::new(config)));
                server.admit(move |request| match request.peer_certificates() == given {
                    true => Ok(Admission::of(given.len())),
                    false => Err(Refusal::because(403, "another certificate")),
                })
            },
            move |mut ws| {
                assert_eq!(ws.request().peer_certificates(), expected);
                let count = *ws.identity::<usize>().unwrap();
                ws.send(count.to_string())
            },
        );
        let client = ClientConfig::builder().with_root_certificates(made.roots());
        let client = match shown {
            Some(shown) => client.with_client_auth_cert(shown.chain(), shown.key()).unwrap(),
            None => client.with_no_client_auth(),
        };
        let url = format!("wss://{}", server.address);
        let mut ws = Client::new(url).tls_config(Arc::new(client)).connect().unwrap();
        let count = if shown.is_some() { "1" } else { "0" };
        assert_eq!(ws.recv().unwrap().unwrap().as_text(), Some(count));
    }
}

#[test]
fn a_connection_opens_if_alpn_chooses_http_1_1_or_nothing_and_no_other_protocol() {
    let made = for_loopback();
    let meet = |server: &[&str], client: &[&str]| {
        let owned = |names: &[&str]| names.iter().map(|name| name.as_bytes().to_vec()).collect();
        let (mut ours, mut theirs) = (made.server(), made.client());
        (ours.alpn_protocols, theirs.alpn_protocols) = (owned(server), owned(client));
        both_ends(ours, theirs)
    };
    for (server, client) in [
        (&[][..], &["http/1.1"][..]),
        (&["http/1.1"], &[]),
        (&["http/1.1"], &["h2", "http/1.1"]),
        (&["acme-tls/1", "http/1.1"], &["http/1.1"]),
    ] {
        let (accepted, connected) = meet(server, client);
        assert!(accepted.is_ok() && connected.is_ok(), "{server:?} {client:?}: {connected:?}");
    }
    let (accepted, connected) = meet(&["h2", "http/1.1"], &["http/1.1", "h2"]);
    for said in [accepted.unwrap_err().to_string(), connected.unwrap_err().to_string()] {
        assert!(said.contains("the protocol \"h2\""), "{said}");
    }
    let (accepted, connected) = meet(&["http/1.1"], &["h2"]);
    for said in [accepted.unwrap_err().to_string(), connected.unwrap_err().to_string()] {
        assert!(said.contains("agree on TLS"), "{said}");
    }
}

/// A certificate that can be changed while the server runs.
#[derive(Debug)]
struct Changing(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Changing {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap().clone())
    }
}

#[test]
fn new_connections_see_a_certificate_that_was_changed_meanwhile_and_open_ones_live_on() {
    let (old, new) = (for_loopback(), for_loopback());
    let config = ServerConfig::builder().with_no_client_auth();
    let certified = |made: &Made| {
        let provider = config.crypto_provider();
        Arc::new(CertifiedKey::from_der(made.chain(), made.key(), provider).unwrap())
    };
    let (first, second) = (certified(&old), certified(&new));
    let changing = Arc::new(Changing(RwLock::new(first)));
    let tls = Tls::from_config(Arc::new(config.with_cert_resolver(changing.clone())));
    let server = serve(|server| server.tls(tls), echo_handler);
    let client = |made: &Made| {
        Client::new(format!("wss://{}", server.address)).tls_config(Arc::new(made.client()))
    };
    let mut open = client(&old).connect().unwrap();
    assert!(seen_by(client(&new)).contains("leads up to a root"));

    *changing.0.write().unwrap() = second;
    for ws in [&mut open, &mut client(&new).connect().unwrap()] {
        ws.send("hello").unwrap();
        assert_eq!(ws.recv().unwrap().unwrap().as_text(), Some("hello"));
    }
    assert!(seen_by(client(&old)).contains("leads up to a root"));
}

#[test]
fn client_with_a_configuration_of_its_own_reads_no_root_certificates() {
    let (made, other) = (for_loopback(), for_loopback());
    let server = serve(|server| server.tls(made.tls()), echo_handler);
    let client = || Client::new(format!("wss://{}", server.address));
    let (right, wrong) = (Arc::new(made.client()), Arc::new(other.client()));
    drop(client().root_certificates("no such file").tls_config(right.clone()).connect().unwrap());
    drop(client().tls_config(right).root_certificates(&other.file).connect().unwrap());
    assert!(seen_by(client().tls_config(wrong).root_certificates(&made.file)).contains("a root"));
}
