//! A WebSocket echo server: what comes is sent back.
//!
//! run: cargo run --example 04_echo [ADDRESS]
//! then: open any page of http://127.0.0.1:9001, and in its console
//!     ws = new WebSocket("ws://127.0.0.1:9001"); ws.onmessage = e => console.log(e.data);
//!     ws.onopen = () => ws.send("hello")
//! or: cargo run --example 05_client ws://127.0.0.1:9001
//! look at each frame: RUST_LOG=trace cargo run --example 04_echo
//! expect: listening on ws://127.0.0.1:9001
//! next: 05_client, the other end of the wire

use ws101::{Response, Server};

fn main() -> ws101::Result<()> {
    env_logger::init();
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:9001".into());
    // A page of this very host and port may connect; one of another site is told 403.
    let server = Server::bind(address)?.pages(|_| Some(Response::html(PAGE)));
    println!("listening on ws://{}", server.local_addr()?);
    server.serve(|mut ws| {
        while let Some(message) = ws.recv()? {
            // `send` would write each reply at once. What is fed goes out before `recv` waits for
            // more: all replies to one read in one write.
            ws.feed(message)?;
        }
        Ok(())
    })
}

/// Something to open a console on.
const PAGE: &str = "<!doctype html><meta charset=utf-8><title>Echo</title>\
    <p>There is a WebSocket at this address. Open the console and say hello:\
    <pre>ws = new WebSocket(`ws://${location.host}`)\n\
    ws.onmessage = event => console.log(event.data)\n\
    ws.onopen = () => ws.send('hello')</pre>";
