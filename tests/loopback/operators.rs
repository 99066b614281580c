//! What applications and operators set up around a server: listeners of their own, who a client is, headers.

use std::net::TcpListener;
use std::time::Duration;

use ws101::{Admission, Client, Error, Refusal, Response, Server};

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
    assert_eq!(response.headers("set-cookie"), ["a=1", "b=2"]);
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
