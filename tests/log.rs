//! What the library writes to the log. These tests are a separate program, because a program has
//! only one logger.

#[cfg(feature = "tls")]
#[path = "../examples/secure/certificate.rs"]
mod certificate;

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Mutex, Once};
use std::thread;
use std::time::Duration;

use ws101::explain::text::Style;
use ws101::{Client, Error, Explainer, Limits, Refusal, Response, Server, Stream};

/// All lines, in their order, each behind its level.
static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Log;

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        LINES.lock().unwrap().push(format!("{} {}", record.level(), record.args()));
    }

    fn flush(&self) {}
}

fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Log).unwrap();
        log::set_max_level(log::LevelFilter::Debug);
    });
}

/// Opens a connection to a server that supports only the subprotocol `spoken`. Its client offers these.
fn offer_subprotocols(offered: &str) {
    listen();
    let line = match offered {
        "" => String::new(),
        offered => format!("Sec-WebSocket-Protocol: {offered}\r\n"),
    };
    let head = format!(
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{line}\r\n"
    );
    let limits = Limits { close: Duration::ZERO, ..Limits::default() };
    let server = Server::without_listener().limits(limits).subprotocols(["spoken"]);
    server.accept(Stuck(Mutex::new(head.into()))).unwrap();
}

#[test]
fn server_logs_subprotocols_of_which_it_speaks_none_behind_the_connections_number_and_no_others() {
    for (offered, is_told) in [("strange, foreign", true), ("strange, spoken", false), ("", false)]
    {
        offer_subprotocols(offered);
        // (Other tests log lines of this kind at the same time.)
        let line = format!("DEBUG 1 none of \"{offered}\" is spoken here");
        let told = LINES.lock().unwrap().iter().any(|told| told.starts_with(&line));
        assert_eq!(told, is_told, "{offered:?}");
    }
}

#[test]
fn server_logs_a_peers_subprotocols_cut_short_and_escaped() {
    offer_subprotocols(&(0..35).map(|i| format!("name{i}")).collect::<Vec<_>>().join(", "));
    let lines = LINES.lock().unwrap();
    let line = lines.iter().find(|line| line.contains("name0")).expect("they are logged");
    assert!(line.len() < 200, "{} bytes", line.len());
}

#[test]
fn section_7_1_7_server_logs_why_it_failed_a_connection() {
    listen();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let mut ws = Server::without_listener().accept(listener.accept().unwrap().0).unwrap();
        ws.recv().unwrap_err()
    });
    let mut peer = TcpStream::connect(address).unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // A request, and a frame without a mask behind it.
    let request = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n\
                   \u{1}\u{5}Hello";
    peer.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // It ends the stream behind its Close, and waits for us to do so.
    peer.read_to_end(&mut answer).unwrap();
    drop(peer);
    assert!(matches!(server.join().unwrap(), Error::Violation(_)));
    let lines = LINES.lock().unwrap();
    let says_why = |line: &String| line.contains("1002: A client masks every frame");
    assert!(lines.iter().any(says_why), "{lines:#?}");
}

#[test]
fn server_logs_how_many_connections_it_aborts_when_it_stops_and_nothing_if_there_are_none() {
    listen();
    for linger in [0, 1] {
        LINES.lock().unwrap().retain(|line| !line.contains("are aborted"));
        let server = Server::bind("127.0.0.1:0").unwrap();
        let (address, handle) = (server.local_addr().unwrap(), server.handle());
        let serving = thread::spawn(move || {
            server.serve(|mut ws| {
                ws.send("open")?;
                while ws.recv()?.is_some() {}
                Ok(())
            })
        });
        let mut clients: Vec<_> =
            (0..linger).map(|_| ws101::connect(&format!("ws://{address}")).unwrap()).collect();
        // A connection that opens only once the grace period is over isn't among those counted.
        assert!(clients.iter_mut().all(|ws| ws.recv().unwrap().is_some()));
        handle.stop(Duration::ZERO);
        serving.join().unwrap().unwrap();
        drop(clients);
        let lines = LINES.lock().unwrap();
        let told: Vec<_> = lines.iter().filter(|line| line.contains("are aborted")).collect();
        assert_eq!(told.len(), linger, "{told:?}");
        assert!(told.iter().all(|line| line.starts_with("INFO 1 connections")), "{told:?}");
    }
}

#[test]
fn server_logs_a_page_or_refusal_that_cannot_be_sent_behind_the_number_of_its_connection() {
    listen();
    let server = Server::without_listener()
        .http(|_| Some(Response::text("").header("Connection", "its page")))
        .authorize(|_| Err(Refusal::because(205, "no page")));
    let plain = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let upgrade = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    for (number, request) in [(1, plain), (2, upgrade)] {
        let stream = Stuck(Mutex::new(request.into()));
        server.accept(stream).expect_err("a page or a refusal");
        let begin = format!("ERROR {number} a page or refusal can't be sent");
        let lines = LINES.lock().unwrap();
        assert!(lines.iter().any(|line| line.starts_with(&begin)), "{begin}: {lines:#?}");
    }
}

#[test]
fn client_logs_where_it_connected_without_the_query() {
    listen();
    let server = Server::bind("127.0.0.1:0").unwrap();
    let (address, handle) = (server.local_addr().unwrap(), server.handle());
    let serving = thread::spawn(move || server.serve(|mut ws| ws.recv().map(drop)));
    drop(ws101::connect(&format!("ws://{address}/here?token=hidden")).unwrap());
    // With time to close: another test counts what is cut.
    handle.stop(Duration::from_secs(20));
    serving.join().unwrap().unwrap();
    let lines = LINES.lock().unwrap();
    let connected = format!("connected to \"ws://{address}/here\"");
    assert!(lines.iter().any(|line| line.contains(&connected)), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("hidden")), "{lines:#?}");
}

/// Opens a connection at this path to a server with this handler, and plays the client. What the log
/// says of it at `info` and above, when it has closed: the server's lines, and not the client's.
fn lines_of(
    path: &str,
    handler: impl Fn(ws101::WebSocket) -> ws101::Result<()> + Send + Sync + 'static,
    client: impl FnOnce(TcpStream, ws101::WebSocket),
) -> Vec<String> {
    listen();
    let server = Server::bind("127.0.0.1:0").unwrap();
    let (address, handle) = (server.local_addr().unwrap(), server.handle());
    let serving = thread::spawn(move || server.serve(handler));
    let stream = TcpStream::connect(address).unwrap();
    let url = format!("ws://{address}{path}?token=hidden");
    let ws = Client::new(url).connect_over(stream.try_clone().unwrap()).unwrap();
    client(stream, ws);
    handle.stop(Duration::from_secs(20));
    serving.join().unwrap().unwrap();
    let lines = LINES.lock().unwrap();
    let is_of_client = |line: &str| line.contains(&address.to_string());
    let is_told = |line: &str| !line.starts_with("DEBUG ") && !line.starts_with("TRACE ");
    let of_path = lines.iter().filter(|line| line.contains(path));
    of_path.filter(|line| is_told(line) && !is_of_client(line)).cloned().collect()
}

#[test]
fn server_logs_one_line_for_a_connection_with_peer_path_code_seconds_and_traffic() {
    let echo = |mut ws: ws101::WebSocket| {
        while let Some(message) = ws.recv()? {
            ws.send(message)?;
        }
        Ok(())
    };
    let lines = lines_of("/whole-line", echo, |_, mut ws| {
        ws.send("Hello").unwrap();
        assert!(ws.recv().unwrap().is_some());
        ws.close(4000, "bye").unwrap();
    });
    let [line] = &lines.iter().filter(|line| line.contains("whole-line")).collect::<Vec<_>>()[..]
    else {
        panic!("{lines:#?}")
    };
    for part in [
        "INFO ",
        " closed: peer 127.0.0.1:",
        ", path \"/whole-line\", code 4000",
        " s, ",
        // 6 + 5 of the message, 6 + 5 of the Close; 2 + 5 and 2 + 5.
        "1 messages and 22 bytes in, 1 messages and 14 bytes out",
    ] {
        assert!(line.contains(part), "no {part:?} in {line:?}");
    }
    assert!(!line.contains("hidden"), "{line}");
}

#[test]
fn client_counts_the_bytes_that_come_with_the_101() {
    listen();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/comes-with-the-101", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
        let accept = ws101::handshake::accept_key::accept(key);
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        let frames = b"\x81\x05Hello\x88\x02\x03\xe8";
        stream.write_all(&[answer.as_bytes(), frames].concat()).unwrap();
        stream.read_exact(&mut [0; 8]).unwrap(); // the client's Close
    });
    let mut ws = Client::new(url).connect().unwrap();
    while ws.recv().unwrap().is_some() {}
    drop(ws);
    server.join().unwrap();
    let lines = LINES.lock().unwrap();
    let is_last =
        |line: &&String| line.contains(" closed: ") && line.contains("/comes-with-the-101");
    let line = lines.iter().find(is_last).expect("it's logged");
    assert!(line.contains("1 messages and 11 bytes in"), "{line}");
}

/// A stream whose peer has sent its request, and takes nothing from then on.
struct Stuck(Mutex<Vec<u8>>);

impl Stream for Stuck {
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        let request = std::mem::take(&mut *self.0.lock().unwrap());
        into[..request.len()].copy_from_slice(&request);
        if request.is_empty() { Err(ErrorKind::WouldBlock.into()) } else { Ok(request.len()) }
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(slices.iter().map(|slice| slice.len()).sum())
    }

    fn set_read_timeout(&self, _: Duration) -> io::Result<()> {
        Ok(())
    }

    fn set_write_timeout(&self, _: Duration) -> io::Result<()> {
        Ok(())
    }

    fn shutdown(&self, _: Shutdown) -> io::Result<()> {
        Ok(())
    }

    fn unacknowledged(&self) -> Option<u64> {
        Some(4_321)
    }
}

#[test]
fn server_logs_how_many_bytes_a_peer_has_not_taken_that_never_answers_our_close() {
    listen();
    for (path, closes) in [("/is-dropped", false), ("/is-closed", true)] {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        let limits = Limits { close: Duration::from_millis(50), ..Limits::default() };
        let server = Server::without_listener().limits(limits);
        let mut ws = server.accept(Stuck(Mutex::new(request.into()))).unwrap();
        ws.send(vec![0; 10_000]).unwrap();
        if closes {
            // The handler ignores this error.
            assert!(matches!(ws.close(1000, ""), Err(Error::BytesLost(4_321))));
        }
        drop(ws);
        let lines = LINES.lock().unwrap();
        let is_last = |line: &&String| line.contains("closed: ") && line.contains(path);
        let line = lines.iter().find(is_last).expect("its end is logged");
        assert!(line.contains("did not take our last 4321 bytes"), "{line}");
    }
}

#[test]
fn server_logs_no_loss_for_a_peer_that_has_closed_and_whose_acknowledgement_is_on_its_way() {
    listen();
    let request =
        b"GET /far-away HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n\
        \x88\x82\0\0\0\0\x03\xe8";
    let mut ws = Server::without_listener().accept(Stuck(Mutex::new(request.into()))).unwrap();
    assert!(ws.recv().unwrap().is_none());
    drop(ws);
    let lines = LINES.lock().unwrap();
    let is_last = |line: &&String| line.contains("closed: ") && line.contains("far-away");
    let line = lines.iter().find(is_last).expect("its end is logged");
    assert!(line.contains(", code 1000, "), "{line}");
}

#[test]
fn server_logs_a_vanished_peer_in_one_line_at_info_and_says_why() {
    let receive = |mut ws: ws101::WebSocket| ws.recv().map(drop);
    let lines = lines_of("/vanished", receive, |stream, ws| {
        stream.shutdown(std::net::Shutdown::Both).unwrap();
        drop(ws);
    });
    let [line] = &lines[..] else { panic!("{lines:#?}") };
    assert!(
        line.starts_with("INFO ") && line.contains("code 1006 (the connection ended"),
        "{line}"
    );
    let lines = LINES.lock().unwrap();
    let is_warning = |line: &String| line.starts_with("WARN") && line.contains("Close frame");
    assert!(!lines.iter().any(is_warning), "{lines:#?}");
}

#[test]
fn server_logs_a_handlers_own_failure_at_warn() {
    let fail = |_: ws101::WebSocket| Err(Error::other("the table of orders is locked"));
    lines_of("/failing", fail, |_, ws| drop(ws));
    let lines = LINES.lock().unwrap();
    let told = lines.iter().find(|line| line.contains("the table of orders is locked"));
    assert!(told.expect("it is logged").starts_with("WARN "), "{told:?}");
}

#[cfg(feature = "tls")]
#[test]
fn server_logs_a_client_that_speaks_plain_http_to_its_tls_port_once() {
    listen();
    let made = certificate::self_signed(&["localhost"], certificate::VALID);
    let tls = ws101::Tls::from_pem(made.certificate.as_bytes(), made.key.as_bytes()).unwrap();
    let stream = Stuck(Mutex::new(b"GET /plain-to-a-tls-port HTTP/1.1\r\n".into()));
    Server::without_listener().tls(tls).accept(stream).expect_err("a refusal");
    let lines = LINES.lock().unwrap();
    let told = lines.iter().filter(|line| line.contains("plain-to-a-tls-port"));
    assert_eq!(told.count(), 1, "{lines:#?}");
}

#[cfg(feature = "tls")]
#[test]
fn server_warns_of_a_root_that_is_used_as_a_certificate_and_of_no_other_certificate() {
    listen();
    let told = || LINES.lock().unwrap().iter().filter(|line| line.contains("CA:TRUE")).count();
    let made = certificate::self_signed(&["localhost"], certificate::VALID);
    ws101::Tls::from_pem(made.certificate.as_bytes(), made.key.as_bytes()).unwrap();
    assert_eq!(told(), 0);
    let root = include_bytes!("loopback/a_root.pem");
    ws101::Tls::from_pem(root, root).unwrap();
    assert_eq!(told(), 1);
    assert!(LINES.lock().unwrap().iter().any(|line| {
        line.starts_with("WARN") && line.contains("CA:TRUE") && line.contains("CA:FALSE")
    }));
}

/// An output like a file on a disk that's full.
struct FullDisk;

impl Write for FullDisk {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_explainer_that_cannot_print_any_more_logs_why() {
    listen();
    let explainer = Explainer::new(FullDisk, Style::default()).unwrap();
    let server = Server::bind("127.0.0.1:0").unwrap().spawn(|_| Ok(())).unwrap();
    Client::new(format!("ws://{}", server.local_addr())).explain(&explainer).connect().unwrap();
    // This waits for the printing thread.
    drop(explainer);
    let line = "ERROR the explainer prints no more: no storage space";
    assert_eq!(LINES.lock().unwrap().iter().filter(|logged| *logged == line).count(), 1);
}
