//! A client behind an HTTP proxy: it asks the proxy for a tunnel (CONNECT), and opens its WebSocket
//! through the tunnel.
//!
//! run: cargo run --example 17_through_a_proxy
//! or: cargo run --example 17_through_a_proxy URL, through the proxy that `https_proxy` or `http_proxy` names
//! expect: the proxy was asked: CONNECT 127.0.0.1:9001 HTTP/1.1
//! expect: an echo: hello
//! expect: not opened: 403
//! next: 18_reload_a_certificate, without a restart of the server
//!
//! In many offices, programs reach the internet only through a proxy. The proxy can't read what
//! `wss://` carries, and needn't know WebSocket: after its 200, it copies bytes in both directions.
//! `Client::proxy` names a proxy; `Client::proxy_from_environment` uses the one that the
//! environment names, with the exceptions in `no_proxy`.

#[path = "shared/ctrl_c.rs"]
mod ctrl_c;
#[path = "shared/help.rs"]
mod help;

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

use ws101::diagnostic::escape;
use ws101::{Client, Error, Result, Server};

fn main() -> Result<()> {
    help::print_if_asked(include_str!("17_through_a_proxy.rs"));
    env_logger::init();
    if let Some(url) = std::env::args().nth(1) {
        return echo(Client::new(url).proxy_from_environment());
    }
    let server = Server::bind("127.0.0.1:0")?;
    let address = server.local_addr()?;
    thread::spawn(move || {
        server.serve(|mut ws| {
            while let Some(message) = ws.recv()? {
                ws.send(message)?;
            }
            Ok(())
        })
    });
    let proxy = format!("http://{}", start_proxy()?);
    echo(Client::new(format!("ws://{address}")).proxy(&proxy))?;
    // The proxy refuses tunnels to port 25, at which mail servers listen.
    match Client::new("ws://127.0.0.1:25").proxy(&proxy).connect() {
        Err(Error::Rejected(answer)) => println!("not opened: {}", answer.status.unwrap_or(0)),
        other => println!("{other:?}"),
    }
    Ok(())
}

fn echo(client: Client) -> Result<()> {
    let mut ws = client.connect()?;
    let _guard = ctrl_c::closes(&ws);
    ws.send("hello")?;
    if let Some(message) = ws.recv()? {
        let text = message.as_text().unwrap_or_default();
        println!("an echo: {}", escape(text));
    }
    ws.close(1000, "")
}

/// Starts a proxy that knows only CONNECT, and returns its address.
fn start_proxy() -> io::Result<std::net::SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            thread::spawn(move || serve_proxy(client));
        }
    });
    Ok(address)
}

fn serve_proxy(mut client: TcpStream) -> io::Result<()> {
    let mut head = BufReader::new(client.try_clone()?).lines();
    let first = head.next().unwrap_or(Ok(String::new()))?;
    println!("the proxy was asked: {first}");
    // Skip the rest of the head, up to its empty line.
    for line in head {
        if line?.is_empty() {
            break;
        }
    }
    let target = first.split(' ').nth(1).unwrap_or_default();
    if target.ends_with(":25") {
        return client.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n");
    }
    let Ok(server) = TcpStream::connect(target) else {
        return client.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n");
    };
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    let copy = |mut from: &TcpStream, mut to: &TcpStream| {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    };
    thread::scope(|scope| {
        scope.spawn(|| copy(&client, &server));
        copy(&server, &client);
    });
    Ok(())
}
