//! A client behind an HTTP proxy: its CONNECT request, and how it handles each answer (RFC 9110
//! §9.3.6).

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use ws101::{Client, Error, Limits, Message};

use crate::support::*;

/// A proxy that accepts one connection, reads the head, and answers. On a 200 of its own it opens the tunnel.
/// Gives its address, and what it was asked.
fn proxy(answer: &'static str) -> (String, thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            client.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        client.write_all(answer.as_bytes()).unwrap();
        let target = head.split(' ').nth(1).unwrap().to_owned();
        if answer.contains("HTTP/1.1 2") && answer.ends_with("\r\n\r\n") {
            tunnel(&client, &TcpStream::connect(target).unwrap());
        }
        head
    });
    (address, asked)
}

fn tunnel(a: &TcpStream, b: &TcpStream) {
    let carry = |mut from: &TcpStream, mut to: &TcpStream| {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    };
    thread::scope(|scope| {
        scope.spawn(|| carry(a, b));
        carry(b, a);
    });
}

#[test]
fn client_asks_the_proxy_for_a_tunnel_and_speaks_with_the_server_through_it() {
    let server = serve(|server| server, echo_handler);
    let (proxy, asked) = proxy("HTTP/1.1 200 Connection established\r\nVia: a\r\n\r\n");
    let url = format!("ws://{}/chat?token=1", server.address);
    let mut ws = Client::new(url).proxy(format!("http://ada:x@{proxy}")).connect().unwrap();
    ws.send("hello").unwrap();
    assert_eq!(ws.recv().unwrap().unwrap().as_text(), Some("hello"));
    ws.close(1000, "").unwrap();
    drop(ws);
    // The proxy learns host and port, and neither path nor query.
    let server = server.address;
    assert_eq!(
        asked.join().unwrap(),
        format!(
            "CONNECT {server} HTTP/1.1\r\nHost: {server}\r\n\
             Proxy-Authorization: Basic YWRhOng=\r\n\r\n"
        )
    );
}

#[test]
fn client_passes_over_a_proxys_interim_answers() {
    // RFC 9110 §15.2: they come before the answer, and may have headers.
    let server = serve(|server| server, echo_handler);
    for answer in [
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 x\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    ] {
        let (proxy, asked) = proxy(answer);
        let mut ws =
            Client::new(format!("ws://{}", server.address)).proxy(proxy).connect().unwrap();
        ws.close(1000, "").unwrap();
        drop(ws);
        asked.join().unwrap();
    }
}

#[test]
fn client_says_why_a_proxy_opens_no_tunnel_and_never_shows_its_password() {
    for (answer, status) in [
        ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", Some(407)),
        ("HTTP/1.1 502 Bad Gateway\r\n\r\n", Some(502)),
        ("HTTP/1.1 302 Found\r\nLocation: http://evil.example/\r\n\r\n", Some(302)),
        ("SSH-2.0-x\r\n\r\n", None),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n", Some(101)),
        // Something speaks before the server was asked: no tunnel that can be trusted.
        ("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 101 Switching", Some(200)),
    ] {
        let (proxy, asked) = proxy(answer);
        let client = Client::new("ws://127.0.0.1:1/").proxy(format!("http://ada:secret@{proxy}"));
        match client.connect() {
            Err(Error::Rejected(rejection)) => {
                assert_eq!(rejection.status, status, "{answer}");
                let said = rejection.to_string();
                assert!(said.contains("CONNECT") && !said.contains("secret"), "{said}");
                assert_eq!(said.contains("then \"HTTP/1.1 101"), status == Some(200), "{said}");
            }
            other => panic!("{answer}: {other:?}"),
        }
        asked.join().unwrap();
    }
}

#[test]
fn client_waits_no_longer_for_a_proxy_than_for_a_server() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let limits = Limits { connect: Duration::from_millis(200), ..Limits::default() };
    let proxy = format!("http://{}", silent.local_addr().unwrap());
    let client = Client::new("ws://127.0.0.1:1/").limits(limits).proxy(proxy);
    assert!(matches!(client.connect(), Err(Error::PeerTimeout)));

    let (proxy, asked) = proxy_that_leaves();
    let client = Client::new("ws://127.0.0.1:1/").proxy(proxy);
    let lost = client.connect().unwrap_err();
    assert!(matches!(lost, Error::ConnectionLost(_)));
    assert!(lost.to_string().contains("during the handshake"), "{lost}");
    asked.join().unwrap();
}

#[test]
fn client_says_of_a_proxy_that_greets_and_then_waits_or_leaves_what_it_said() {
    for waits in [true, false] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = format!("http://{}", listener.local_addr().unwrap());
        let greets = run(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"220 mail.example ESMTP\r\n").unwrap();
            if !waits {
                stream.shutdown(Shutdown::Write).unwrap();
            }
            let _ = stream.read_to_end(&mut Vec::new());
        });
        let limits = Limits { connect: Duration::from_secs(2), ..Limits::default() };
        let refused = Client::new("ws://127.0.0.1:1/").limits(limits).proxy(proxy).connect();
        let Err(Error::Rejected(refused)) = refused else { panic!("{refused:?}") };
        let said = refused.to_string();
        assert!(said.contains("220 mail.example ESMTP"), "{said}");
        // Its words are quoted once.
        assert!(said.contains("then no end of a head") && !said.contains("\\\""), "{said}");
        greets.wait();
    }
}

/// A client that connects over a stream of its own ignores its proxy's address.
#[test]
fn connect_over_needs_no_proxy() {
    let server = echo();
    let stream = TcpStream::connect(server.address).unwrap();
    let mut ws = Client::new("ws://a/").proxy("socks5://127.0.0.1:1").connect_over(stream).unwrap();
    ws.send("Hello").unwrap();
    assert_eq!(ws.recv().unwrap(), Some(Message::Text("Hello".into())));
}

fn proxy_that_leaves() -> (String, thread::JoinHandle<String>) {
    proxy("")
}

#[test]
fn client_refuses_a_proxy_that_it_cannot_use_before_it_dials() {
    for url in ["socks5://127.0.0.1:1", "https://127.0.0.1:1", "http://a b:1"] {
        let connected = Client::new("ws://127.0.0.1:1/").proxy(url).connect();
        assert!(matches!(connected, Err(Error::Misuse(_))), "{url}: {connected:?}");
    }
}
