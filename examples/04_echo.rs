//! A WebSocket echo server: it sends each message back.
//!
//! run: cargo run --example 04_echo [ADDRESS] [--explain]
//! then: open http://127.0.0.1:9001 in a browser, and say in its console:
//!     ws = new WebSocket("ws://127.0.0.1:9001"); ws.onmessage = e => console.log(e.data);
//!     ws.onopen = () => ws.send("hello")
//! or: cargo run --example 05_client ws://127.0.0.1:9001
//! to see each byte: cargo run --example 04_echo -- --explain
//! expect: listening on ws://127.0.0.1:9001
//! next: 05_client, the other end of the connection

#[path = "shared/ctrl_c.rs"]
mod ctrl_c;
#[path = "shared/help.rs"]
mod help;

use ws101::{Explainer, Response, Server};

fn main() -> ws101::Result<()> {
    help::print_if_asked(include_str!("04_echo.rs"));
    env_logger::init();
    let (options, mut addresses): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|argument| argument == "--explain");
    let address = addresses.pop().unwrap_or("127.0.0.1:9001".into());
    // Pages of this host and port may connect. Pages of other sites get a 403.
    let mut server = Server::bind(address)?.http(|_| Some(Response::html(PAGE)));
    if !options.is_empty() {
        server = server.explain(Explainer::stdout()?);
    }
    ctrl_c::stops(server.handle());
    println!("listening on ws://{}", server.local_addr()?);
    println!("open http://{} in a browser; Ctrl-C ends this program", server.local_addr()?);
    server.serve(|mut ws| {
        while let Some(message) = ws.recv()? {
            // `send` would write each reply at once. `feed` collects the replies to all messages of
            // one read, and `recv` writes them together before it waits for more bytes.
            ws.feed(message)?;
        }
        Ok(())
    })
}

/// A page on the same port, in whose console you can open the WebSocket.
const PAGE: &str = "<!doctype html><meta charset=utf-8><title>Echo</title>\
    <p>There is a WebSocket at this address. Open the console and say hello:\
    <pre>ws = new WebSocket(`ws://${location.host}`)\n\
    ws.onmessage = event => console.log(event.data)\n\
    ws.onopen = () => ws.send('hello')</pre>";
