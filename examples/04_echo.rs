//! A WebSocket echo server: what comes is sent back.
//!
//! run: cargo run --example 04_echo [ADDRESS] [--explain]
//! then: open any page of http://127.0.0.1:9001, and in its console
//!     ws = new WebSocket("ws://127.0.0.1:9001"); ws.onmessage = e => console.log(e.data);
//!     ws.onopen = () => ws.send("hello")
//! or: cargo run --example 05_client ws://127.0.0.1:9001
//! look at each byte: cargo run --example 04_echo -- --explain
//! expect: listening on ws://127.0.0.1:9001
//! next: 05_client, the other end of the wire

use ws101::{Explainer, Response, Server};

fn main() -> ws101::Result<()> {
    env_logger::init();
    let (options, mut addresses): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|argument| argument == "--explain");
    let address = addresses.pop().unwrap_or("127.0.0.1:9001".into());
    // A page of this very host and port may connect; one of another site is told 403.
    let mut server = Server::bind(address)?.http(|_| Some(Response::html(PAGE)));
    if !options.is_empty() {
        server = server.explain(Explainer::stdout()?);
    }
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
