//! What applications and operators set up around a server: their own listeners, a client's address,
//! extra headers, how a server stops, and how much is waiting to be sent.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use ws101::explain::text::Style;
use ws101::{
    Admission, Backlog, Client, Close, CloseCode, Error, Explainer, Limits, PreparedMessage,
    Refusal, Response, Result, Server, WebSocket,
};

use crate::support::*;

#[test]
fn server_runs_on_a_listener_that_exists() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // As a supervisor may hand it over.
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::on(listener).unwrap().spawn(echo_handler).unwrap();
    assert_eq!(server.local_addr(), address);
    let mut ws = ws101::connect(&format!("ws://{address}")).unwrap();
    ws.send("hello").unwrap();
    assert_eq!(ws.recv().unwrap().unwrap().as_text(), Some("hello"));
    assert_eq!(server.handle().counters().open, 1);
    ws.close(1000, "").unwrap();
    server.stop(Duration::from_secs(5)).unwrap();
    assert!(matches!(ws101::connect(&format!("ws://{address}")), Err(Error::Io(_))));
}

#[test]
fn a_server_that_stops_leaves_a_shared_listener_blocking() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let shared = listener.try_clone().unwrap();
    Server::on(listener).unwrap().spawn(echo_handler).unwrap().stop(Duration::ZERO).unwrap();
    // The connection that woke the server's own `accept` may come to this one. It sends nothing.
    let accepting = run(move || {
        loop {
            let (mut client, address) = shared.accept()?;
            if client.read(&mut [0])? > 0 {
                return io::Result::Ok(address);
            }
        }
    });
    // A non-blocking `accept` would fail at once, even if the client came later.
    thread::sleep(Duration::from_millis(50));
    let mut client = TcpStream::connect(address).unwrap();
    client.write_all(b"x").unwrap();
    assert_eq!(accepting.wait().unwrap(), client.local_addr().unwrap());
}

#[cfg(unix)]
#[test]
fn server_runs_on_a_unix_socket_and_stops() {
    use std::os::unix::net::{UnixListener, UnixStream};
    let path = std::env::temp_dir().join(format!("ws101-{}.socket", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let server =
        Server::on(UnixListener::bind(&path).unwrap()).unwrap().spawn(echo_handler).unwrap();
    let stream = UnixStream::connect(&path).unwrap();
    let mut ws = Client::new("ws://localhost/").connect_over(stream).unwrap();
    ws.send("hello").unwrap();
    assert_eq!(ws.recv().unwrap().unwrap().as_text(), Some("hello"));
    let handle = server.handle();
    let stopped = run(move || server.stop(Duration::from_secs(5)));
    // The Close of a server that stops.
    assert!(ws.recv().unwrap().is_none());
    assert_eq!(ws.closed_with().unwrap().code.0, 1001);
    drop(ws);
    stopped.wait().unwrap();
    assert_eq!(handle.counters().open, 0);
    std::fs::remove_file(&path).unwrap();
}

#[cfg(unix)]
#[test]
fn a_server_whose_unix_path_belongs_to_another_now_still_closes_its_connections() {
    use std::os::unix::net::{UnixListener, UnixStream};
    let path = std::env::temp_dir().join(format!("ws101-rebound-{}.socket", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let server =
        Server::on(UnixListener::bind(&path).unwrap()).unwrap().spawn(echo_handler).unwrap();
    let connect = || {
        let stream = UnixStream::connect(&path).unwrap();
        Client::new("ws://localhost/").connect_over(stream).unwrap()
    };
    // The second client never reads its Close, so it must be aborted.
    let (mut ws, _silent) = (connect(), connect());
    std::fs::remove_file(&path).unwrap();
    let _next = UnixListener::bind(&path).unwrap();
    let handle = server.handle();
    handle.stop(Duration::from_millis(100));
    let ended = run(move || ws.recv().map(|message| (message, ws.closed_with().unwrap().code.0)));
    assert_eq!(ended.wait().unwrap(), (None, 1001));
    let start = Instant::now();
    while handle.counters().open > 0 {
        assert!(start.elapsed() < PATIENCE, "a silent client isn't aborted");
        thread::yield_now();
    }
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn a_server_whose_listener_is_shared_still_closes_its_connections() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let other = listener.try_clone().unwrap();
    // Another acceptor, which drops all the clients that it gets.
    thread::spawn(move || while other.accept().is_ok() {});
    let server = Server::on(listener).unwrap().spawn(echo_handler).unwrap();
    let start = Instant::now();
    let mut ws = loop {
        assert!(start.elapsed() < PATIENCE, "the server gets no client");
        if let Ok(ws) = ws101::connect(&format!("ws://{address}")) {
            break ws;
        }
    };
    server.handle().stop(Duration::from_secs(1));
    let ended = run(move || ws.recv().map(|message| (message, ws.closed_with().unwrap().code.0)));
    assert_eq!(ended.wait().unwrap(), (None, 1001));
    // It leaves `accept` once it is woken, or with its next client.
    let stopped = Arc::new(AtomicBool::new(false));
    let has_stopped = stopped.clone();
    let joining = run(move || {
        server.join().unwrap();
        has_stopped.store(true, SeqCst);
    });
    let start = Instant::now();
    while !stopped.load(SeqCst) && start.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(100));
        let _ = TcpStream::connect(address);
    }
    joining.wait();
}

#[test]
fn what_serve_would_refuse_spawn_refuses_before_it_starts_a_thread() {
    let server = Server::without_listener();
    assert!(matches!(server.spawn(echo_handler), Err(Error::Misuse(_))));
    let server = Server::bind("127.0.0.1:0").unwrap().paths(["chat"]);
    assert!(matches!(server.spawn(echo_handler), Err(Error::Misuse(_))));
}

#[test]
fn the_address_of_a_client_is_known_where_its_request_is_judged() {
    let server = Server::bind("127.0.0.1:0")
        .unwrap()
        .authorize(|request| match request.peer() {
            Some(peer) if peer.ip().is_loopback() => Ok(()),
            peer => Err(Refusal::because(403, format!("{peer:?}"))),
        })
        .http(|request| Some(Response::text(request.peer().unwrap().to_string())))
        .spawn(|mut ws| {
            let same = ws.request().peer() == ws.peer();
            ws.send(format!("{same} {}", ws.peer().unwrap()))
        })
        .unwrap();
    let mut ws = ws101::connect(&format!("ws://{}", server.local_addr())).unwrap();
    let said = ws.recv().unwrap().unwrap();
    assert!(said.as_text().unwrap().starts_with("true 127.0.0.1:"), "{said:?}");
    drop(ws);
    server.stop(Duration::from_secs(5)).unwrap();
}

struct User(&'static str);

#[test]
fn what_the_check_found_out_reaches_the_handler_and_its_headers_the_client() {
    let server = Server::bind("127.0.0.1:0")
        .unwrap()
        .admit(|request| match request.parameter("name").as_deref() {
            Some("ada") => Ok(Admission::of(User("Ada"))
                .header("Set-Cookie", "a=1")
                .header("Set-Cookie", "b=2")
                .header("X-Trace", "7")),
            Some("bad") => Ok(Admission::new().header("Sec-WebSocket-Protocol", "chat")),
            Some("worse") => Ok(Admission::new().header("X-A", "1\r\nX-B: 2")),
            _ => Err(Refusal::because(401, "Who is it?").header("WWW-Authenticate", "Bearer")),
        })
        .spawn(|mut ws| {
            let name = ws.identity::<User>().map_or("nobody", |user| user.0);
            let other = ws.identity::<String>().is_some();
            ws.send(format!("{name} {other}"))
        })
        .unwrap();
    let url = |name: &str| format!("ws://{}/?name={name}", server.local_addr());
    let mut ws = ws101::connect(&url("ada")).unwrap();
    assert_eq!(ws.recv().unwrap().unwrap().as_text(), Some("Ada false"));
    let response = ws.response().unwrap();
    assert_eq!(response.values("set-cookie"), ["a=1", "b=2"]);
    assert_eq!(response.header("X-Trace"), Some("7"));
    // What can't be sent is the server's own fault, and no client gets a part of it.
    for name in ["bad", "worse"] {
        match ws101::connect(&url(name)) {
            Err(Error::Rejected(rejection)) => assert_eq!(rejection.status, Some(500)),
            other => panic!("{other:?}"),
        }
    }
    match ws101::connect(&url("eve")) {
        Err(Error::Rejected(rejection)) => {
            assert_eq!(rejection.status, Some(401));
            assert_eq!(rejection.header("www-authenticate"), Some("Bearer"));
        }
        other => panic!("{other:?}"),
    }
    drop(ws);
    server.stop(Duration::from_secs(5)).unwrap();
}

#[test]
fn a_500_for_a_header_frees_its_place_before_it_is_sent() {
    let limits = Limits { max_connections: 1, close: 2 * PATIENCE, ..Limits::default() };
    let server = serve(
        |server| {
            server.limits(limits).admit(|request| match request.path() {
                "/bad" => Ok(Admission::new().header("Upgrade", "x")),
                _ => Ok(Admission::new()),
            })
        },
        echo_handler,
    );
    let mut bad = server.dial();
    bad.write(request(&[]).replace("GET / ", "GET /bad "));
    assert_eq!(bad.read_response().status, 500);
    // The first client stays, so the server still waits for it to close.
    drop(server.open());
    drop(bad);
}

// How a server stops.

/// A page for a load balancer, which answers 503 itself once no new client is let in.
fn with_readiness_page(server: Server) -> Server {
    let handle = server.handle();
    server.http(move |request| match (request.path(), handle.is_accepting()) {
        ("/ready", true) => Some(Response::text("ready")),
        ("/ready", false) => Some(Response::text("about to stop").status(503)),
        _ => None,
    })
}

fn readiness(server: &Running) -> (u16, String) {
    let mut peer = server.dial();
    peer.write(head("GET /ready HTTP/1.1", &["Host: 127.0.0.1"]));
    let answer = peer.read_response();
    (answer.status, answer.body)
}

/// A new client's answer.
fn one_more(server: &Running) -> (u16, Option<String>) {
    let mut peer = server.dial();
    peer.write(request(&[]));
    let answer = peer.read_response();
    (answer.status, answer.header("retry-after").map(String::from))
}

/// The Close that comes next, which the peer then answers.
fn answer_close(peer: &mut Peer) -> Close {
    let frame = peer.read_frame();
    assert_eq!(frame.first, 0x88, "{frame:02x?}");
    peer.write(masked(0x88, &frame.payload));
    peer.read_end();
    Close::parse(&frame.payload).unwrap()
}

#[test]
fn server_that_accepts_no_more_keeps_those_inside_and_answers_its_readiness_page() {
    let server = serve(with_readiness_page, echo_handler);
    let mut inside = server.open();
    assert!(server.handle.is_accepting());
    assert_eq!(readiness(&server), (200, "ready".into()));
    server.handle.stop_accepting();
    server.handle.stop_accepting();
    assert!(!server.handle.is_accepting());
    assert_eq!(readiness(&server), (503, "about to stop".into()));
    for _ in 0..2 {
        assert_eq!(one_more(&server), (503, Some("1".into())));
    }
    inside.write(masked(0x81, "still here"));
    assert_eq!(inside.read_frame(), Frame { first: 0x81, payload: b"still here".into() });
    let stopped = run(move || server.stop(PATIENCE));
    assert_eq!(answer_close(&mut inside), Close::new(1001, "the server stops").unwrap());
    stopped.wait().unwrap();
}

#[test]
fn server_that_accepts_no_more_refuses_a_client_that_is_still_being_authorized() {
    let ((entered, has_entered), (go, may_go)) = (channel(), channel());
    let may_go = Mutex::new(may_go);
    let server = serve(
        |server| {
            server.authorize(move |_| {
                entered.send(()).unwrap();
                may_go.lock().unwrap().recv().unwrap();
                Ok(())
            })
        },
        echo_handler,
    );
    let mut peer = server.dial();
    peer.write(request(&[]));
    has_entered.recv_timeout(PATIENCE).unwrap();
    server.handle.stop_accepting();
    go.send(()).unwrap();
    assert_eq!(peer.read_response().status, 503);
}

#[test]
fn server_that_drains_closes_its_connections_one_after_the_other_over_the_grace() {
    const CLIENTS: u32 = 5;
    let grace = Duration::from_millis(2_000);
    let server = serve(|server| server, echo_handler);
    let mut peers: Vec<Peer> = (0..CLIENTS).map(|_| server.open()).collect();
    // One whose 101 is only just written when the drain begins gets its Close at once: these are open.
    for peer in &mut peers {
        peer.write(masked(0x81, "open"));
        assert_eq!(peer.read_frame().payload, b"open");
    }
    let start = Instant::now();
    server.handle.drain_with(grace, 1012, "restarting").unwrap();
    // A second call changes nothing.
    server.handle.drain(Duration::ZERO);
    let waiting: Vec<_> = peers
        .into_iter()
        .map(|mut peer| run(move || (answer_close(&mut peer), start.elapsed())))
        .collect();
    assert_eq!(one_more(&server).0, 503, "meanwhile new clients get an answer");
    // The oldest goes first. Each Close comes no earlier than its share of four fifths of the grace.
    for (number, app) in (0..CLIENTS).zip(waiting) {
        let (close, after) = app.wait();
        assert_eq!(close, Close::new(1012, "restarting").unwrap());
        assert!(after >= grace / 5 * 4 / CLIENTS * number, "{number} after {after:?}");
    }
    run(move || server.join()).wait().unwrap();
}

#[test]
fn server_that_drains_sends_what_is_queued_first_and_stops_once_all_have_left() {
    let server = serve(
        |server| server,
        |mut ws| {
            let outbox = ws.outbox(8)?;
            (0..8).try_for_each(|n| outbox.try_send(&PreparedMessage::new(format!("{n}"))))?;
            ws.recv().map(drop)
        },
    );
    let mut peer = server.open();
    server.wait_until(|counters| counters.open == 1);
    // A grace that no test would wait for: all have left long before its end.
    server.handle.drain(60 * PATIENCE);
    for n in 0..8 {
        assert_eq!(peer.read_frame().payload, format!("{n}").as_bytes());
    }
    assert_eq!(answer_close(&mut peer).code.0, 1001);
    run(move || server.join()).wait().unwrap();
}

#[test]
fn server_that_drains_ends_at_the_end_of_the_grace_whoever_stays_and_at_once_when_stopped() {
    for is_stopped in [false, true] {
        let server = serve(|server| server, echo_handler);
        // These never answer a Close.
        let peers = [server.open(), server.open()];
        server.wait_until(|counters| counters.open == 2);
        server.handle.drain(if is_stopped { 60 * PATIENCE } else { Duration::from_millis(300) });
        if is_stopped {
            server.handle.stop(Duration::ZERO);
        }
        run(move || server.join()).wait().unwrap();
        drop(peers);
    }
}

#[test]
fn server_that_drains_with_nobody_inside_stops_at_once() {
    let server = serve(|server| server, echo_handler);
    server.handle.drain(60 * PATIENCE);
    run(move || server.join()).wait().unwrap();
}

#[test]
fn server_stops_with_a_code_and_reason_of_the_operators_and_refuses_those_that_may_not_be_sent() {
    let server = serve(|server| server, echo_handler);
    let mut peer = server.open();
    server.wait_until(|counters| counters.open == 1);
    let (handle, long) = (server.handle.clone(), "x".repeat(124));
    for (code, reason) in [(1006, ""), (1005, ""), (999, ""), (1012, long.as_str())] {
        let stopped = handle.stop_with(PATIENCE, code, reason);
        assert!(matches!(stopped, Err(Error::Misuse(_))), "{code}: {stopped:?}");
        let drained = handle.drain_with(PATIENCE, code, reason);
        assert!(matches!(drained, Err(Error::Misuse(_))), "{code}: {drained:?}");
    }
    assert!(handle.is_accepting(), "a refused call changes nothing");
    assert_eq!(one_more(&server).0, 101);
    handle.stop_with(PATIENCE, 1012, "restarting").unwrap();
    assert!(!handle.is_accepting());
    assert_eq!(answer_close(&mut peer), Close::new(1012, "restarting").unwrap());
    run(move || server.join()).wait().unwrap();
}

// What a connection tells of itself.

#[test]
fn either_side_knows_the_close_that_it_sent_beside_the_peers() {
    let (tell, told) = channel();
    let server = serve(
        |server| server,
        move |mut ws| {
            let before = ws.sent_close();
            let end = ws.recv();
            tell.send((before, end.is_ok(), ws.sent_close(), ws.closed_with().cloned())).unwrap();
            Ok(())
        },
    );
    let close = |code, reason| Some(Close::new(code, reason).unwrap());
    // The peer closes: the server's own Close repeats the code.
    let mut ws = ws101::connect(&server.url()).unwrap();
    assert_eq!(ws.sent_close(), None);
    ws.close(4001, "enough").unwrap();
    assert_eq!(ws.sent_close(), close(4001, "enough"));
    let (before, is_end, ours, theirs) = told.recv_timeout(PATIENCE).unwrap();
    assert_eq!((before, is_end, theirs), (None, true, close(4001, "enough")));
    assert_eq!(ours.map(|close| close.code.0), Some(4001));
    // The peer breaks a rule: it gets a Close and sends none.
    let mut peer = server.open();
    peer.write([0x81, 0x00]);
    let (_, is_end, ours, theirs) = told.recv_timeout(PATIENCE).unwrap();
    assert_eq!((is_end, ours.map(|close| close.code.0), theirs), (false, Some(1002), None));
    // The peer is gone: neither sends one.
    let peer = server.open();
    peer.finish();
    let (_, is_end, ours, theirs) = told.recv_timeout(PATIENCE).unwrap();
    assert_eq!((is_end, ours, theirs), (false, None, None));
}

#[test]
fn an_outbox_tells_how_many_messages_and_bytes_wait_in_it_until_they_are_sent() {
    const LENGTH: usize = 16 * 1024 * 1024;
    let (tell, told) = channel();
    let (go, gone) = channel();
    let gone = Mutex::new(gone);
    let limits = Limits { write: 2 * PATIENCE, ping_every: None, ..Limits::default() };
    let server = serve(
        |server| server.limits(limits),
        move |ws: WebSocket| -> Result<()> {
            let outbox = ws.outbox(8)?;
            let empty = outbox.backlog();
            let message = PreparedMessage::new(vec![0; LENGTH]);
            (0..4).try_for_each(|_| outbox.try_send(&message))?;
            // The peer reads nothing yet, so not all of it can have been sent.
            tell.send((empty, outbox.backlog())).unwrap();
            gone.lock().unwrap().recv().unwrap();
            while outbox.backlog() != Backlog::default() {
                std::thread::yield_now();
            }
            tell.send((outbox.backlog(), outbox.backlog())).unwrap();
            Ok(())
        },
    );
    let mut peer = server.open();
    let (empty, full) = told.recv_timeout(PATIENCE).unwrap();
    assert_eq!(empty, Backlog { messages: 0, bytes: 0 });
    assert!((1..=4).contains(&full.messages), "{full:?}");
    assert_eq!(full.bytes, full.messages * LENGTH);
    go.send(()).unwrap();
    for _ in 0..4 {
        assert_eq!(peer.read_frame().payload.len(), LENGTH);
    }
    assert_eq!(told.recv_timeout(PATIENCE).unwrap().1, Backlog::default());
}

/// What became of a connection, in one match, after the error has passed through `io::Error`.
fn what_happened(result: Result<Option<Close>>) -> &'static str {
    let result = result.map_err(|error| Error::from(std::io::Error::from(error)));
    match result {
        Ok(None) => "open",
        Ok(Some(close)) if close.code == CloseCode::GOING_AWAY => "going away",
        Ok(Some(close)) if close.code.is_failure() => "failed",
        Ok(Some(_)) => "done",
        Err(Error::Rejected(_) | Error::Refused(_)) => "refused by policy",
        Err(Error::ConnectionLost(_)) => "connection lost",
        Err(Error::PeerTimeout) => "peer silent",
        Err(Error::Violation(_)) => "protocol broken",
        Err(Error::Tls(_)) => "TLS",
        Err(Error::Misuse(_)) => "misuse",
        Err(Error::Io(_)) => "own I/O",
        Err(Error::Other(_)) => "the application's own",
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn one_match_tells_a_client_what_became_of_its_connection() {
    let server = serve(
        |server| {
            server.authorize(|request| match request.path() {
                "/refused" => Err(Refusal::because(403, "not you")),
                _ => Ok(()),
            })
        },
        |mut ws| match ws.request().path() {
            "/away" => ws.close(CloseCode::GOING_AWAY, ""),
            "/lost" => {
                ws.sender().abort();
                Ok(())
            }
            "/failed" => Err(Error::other("a bug")),
            _ => Ok(()),
        },
    );
    // A server that says nothing, and one that sends a frame with a mask.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let wrong = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = |listener: &TcpListener| format!("ws://{}/", listener.local_addr().unwrap());
    let (to_silent, to_wrong) = (at(&silent), at(&wrong));
    let breaks_a_rule = run(move || {
        let mut peer = Peer::new(wrong.accept().unwrap().0);
        let request = peer.read_head();
        peer.write(switching_protocols(&request));
        peer.write(masked(0x81, "hello"));
        peer
    });

    let end_of = |url: &str| {
        let connect = if url == to_silent { Duration::from_secs(1) } else { PATIENCE };
        let limits = Limits { connect, ..Limits::default() };
        let mut ws = Client::new(url).limits(limits).connect()?;
        while ws.recv()?.is_some() {}
        Ok(ws.closed_with().cloned())
    };
    for (url, expected) in [
        (server.url() + "/refused", "refused by policy"),
        (server.url() + "/away", "going away"),
        (server.url() + "/lost", "connection lost"),
        (server.url() + "/failed", "failed"),
        (server.url() + "/done", "done"),
        (to_silent.clone(), "peer silent"),
        (to_wrong, "protocol broken"),
        ("ws://127.0.0.1:1".into(), "own I/O"),
        ("http://localhost".into(), "misuse"),
        // A server without TLS; a build without it.
        (server.url().replace("ws:", "wss:"), if cfg!(feature = "tls") { "TLS" } else { "misuse" }),
    ] {
        assert_eq!(what_happened(end_of(&url)), expected, "{url}");
    }
    assert_eq!(what_happened(Err(Error::other("mine"))), "the application's own");
    drop(breaks_a_rule.wait());
}

/// An output that takes its time, as a terminal may.
struct SlowOutput(Arc<Mutex<Vec<u8>>>);

impl Write for SlowOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        thread::sleep(Duration::from_millis(1));
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn server_has_explained_the_last_byte_of_its_connections_once_serve_returns() {
    // The connection's thread and that of `serve` race to their ends.
    for _ in 0..50 {
        let output = Arc::new(Mutex::new(Vec::new()));
        let style = Style { colour: false, pictures: false };
        let explainer = Explainer::new(SlowOutput(output.clone()), style).unwrap();
        let server = serve(|server| server.explain(explainer), echo_handler);
        let mut client = Client::new(server.url()).connect().unwrap();
        let closed = run(move || client.recv());
        server.wait_until(|counters| counters.open == 1);
        server.stop(PATIENCE).unwrap();
        let text = String::from_utf8(output.lock().unwrap().clone()).unwrap();
        assert_eq!(text.matches(": close, ").count(), 2, "{text}");
        assert!(matches!(closed.wait(), Ok(None)));
    }
}

#[test]
fn server_has_explained_its_last_refusals_once_serve_returns() {
    let mut explained = 0;
    for _ in 0..10 {
        let output = Arc::new(Mutex::new(Vec::new()));
        let style = Style { colour: false, pictures: false };
        let explainer = Explainer::new(SlowOutput(output.clone()), style).unwrap();
        let server = serve(|server| server.explain(explainer), echo_handler);
        let mut peers: Vec<_> = (0..20).map(|_| server.dial()).collect();
        peers.iter_mut().for_each(|peer| peer.write("GET / HTTP/1.1\r\n"));
        // Those that aren't accepted by then are refused without an explanation.
        thread::sleep(Duration::from_millis(50));
        server.stop(PATIENCE).unwrap();
        let text = String::from_utf8(output.lock().unwrap().clone()).unwrap();
        let requests = text.matches(": a request").count();
        assert!(text.matches(": a response: 503").count() >= requests, "{text}");
        explained += requests;
    }
    assert!(explained > 0);
}
