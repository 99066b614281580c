//! A chat, and its page on the same port. Each message goes to all members, and a slow member
//! doesn't delay the others.
//!
//! run: cargo run --example 06_chat [ADDRESS] [--explain]
//! then: open http://127.0.0.1:9001 in two windows
//! or: cargo run --example 05_client ws://127.0.0.1:9001/chat
//! expect: listening on ws://127.0.0.1:9001
//! next: 07_tap, which shows the bytes of each connection

#[path = "shared/ctrl_c.rs"]
mod ctrl_c;
#[path = "shared/help.rs"]
mod help;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use ws101::{
    Error, Explainer, Limits, Message, Outbox, PreparedMessage, Response, Result, Server, WebSocket,
};

/// How many messages may wait in a member's queue. If one more comes, the server aborts the
/// member's connection.
const BOUND: usize = 64;

/// The members' outboxes, by the ids of their connections.
pub type Members = Mutex<HashMap<u64, Outbox>>;

fn main() -> Result<()> {
    help::print_if_asked(include_str!("06_chat.rs"));
    env_logger::init();
    let (options, mut addresses): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|argument| argument == "--explain");
    let address = addresses.pop().unwrap_or("127.0.0.1:9001".into());
    let mut server = Server::bind(address)?
        .paths(["/chat"])
        .http(|request| match request.path() {
            "/" => Some(page()),
            _ => None,
        })
        .limits(Limits { max_message: 4096, ..Limits::default() });
    if !options.is_empty() {
        server = server.explain(Explainer::stdout()?);
    }
    ctrl_c::stops(server.handle());
    println!("listening on ws://{}", server.local_addr()?);
    println!("open http://{} in two windows; Ctrl-C ends this program", server.local_addr()?);

    let members = Arc::new(Members::default());
    server.serve(move |ws| serve_member(ws, &members))
}

/// Serves one member, from joining to leaving.
pub fn serve_member(mut ws: WebSocket, members: &Members) -> Result<()> {
    let name = format!("guest {}", ws.id());
    members.lock().unwrap().insert(ws.id(), ws.outbox(BOUND)?);
    tell_all(members, &format!("{name} comes in"));
    let ended = relay_messages(&mut ws, &name, members);
    members.lock().unwrap().remove(&ws.id());
    tell_all(members, &format!("{name} leaves"));
    ended
}

fn relay_messages(ws: &mut WebSocket, name: &str, members: &Members) -> Result<()> {
    while let Some(message) = ws.recv()? {
        match message {
            Message::Text(text) => tell_all(members, &format!("{name}: {text}")),
            Message::Binary(_) => return ws.close(1003, "text only"),
        }
    }
    Ok(())
}

/// Encodes a message once, and puts it into each member's queue. This never waits for a member.
pub fn tell_all(members: &Members, text: &str) {
    let message = PreparedMessage::new(text);
    for outbox in members.lock().unwrap().values() {
        // The queue is full, so the member is too slow. The abort ends its `recv` loop, and
        // `serve_member` then removes it from `members`. A member whose connection is closing gets
        // no abort (`try_send` then fails with `Closed`), because it may still be receiving what
        // was queued before.
        if let Err(Error::WriteTimeout) = outbox.try_send(&message) {
            outbox.abort();
        }
    }
}

fn page() -> Response {
    let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'";
    Response::html(include_str!("chat/page.html")).header("Content-Security-Policy", policy)
}
