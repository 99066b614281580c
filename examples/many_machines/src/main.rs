//! One server of a chat that runs on several servers. All members get all messages in the same
//! order, whichever server they are on. If a member's server dies, the member reconnects to another
//! one, and misses nothing.
//!
//! run: cargo run --manifest-path examples/many_machines/Cargo.toml [ADDRESS] [--redis URL --name NAME] [--history N]
//! then: open http://127.0.0.1:9001 in two windows
//! or: examples/many_machines/run starts three of them, with Redis between and haproxy in front
//! expect: listening on ws://127.0.0.1:9001
//!
//! Without `--redis`, the server keeps the messages in its memory, so it runs alone. When it reads
//! a line `drain` from standard input, it closes its connections and ends, so that it can be
//! restarted. `/health` is for a load balancer: 200 means ready, 404 draining, 503 without contact
//! to the store.
//!
//! Read `store.rs`, `room.rs`, `chat.rs`, `member.rs`, then `redis_streams.rs` and the three Lua scripts.

mod chat;
#[path = "../../shared/ctrl_c.rs"]
mod ctrl_c;
#[path = "../../shared/help.rs"]
mod help;
mod member;
mod memory;
mod redis_streams;
mod room;
mod store;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ws101::{Error, Limits, Request, Response, Result, Server};

use crate::chat::{Chat, Health};
use crate::memory::Memory;
use crate::redis_streams::Redis;
use crate::store::{ROOMS, Store};

/// How long the server waits after it began to drain, before it sends the first member away.
/// haproxy checks `/health` every 300 ms, so it knows by then.
const NOTICE: Duration = Duration::from_millis(1000);
/// The time over which a draining server sends its members away.
const DRAIN_OVER: Duration = Duration::from_secs(2);

fn main() -> Result<()> {
    help::print_if_asked(include_str!("main.rs"));
    env_logger::init();
    let (mut address, mut redis, mut name) = ("127.0.0.1:9001".to_owned(), None, None);
    let mut history = 1000;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            // Without its URL, the server would run alone.
            "--redis" => {
                let url = arguments.next().ok_or_else(|| Error::other("--redis takes a URL"))?;
                redis = Some(url);
            }
            "--name" => name = arguments.next(),
            "--history" => {
                let number = arguments.next().and_then(|n| n.parse().ok()).filter(|n| *n > 0);
                history = number.ok_or_else(|| Error::other("--history takes a number"))?;
            }
            _ => address = argument,
        }
    }
    // The store keeps each server's lists of members under the server's name.
    let name = match (name, &redis) {
        (None, Some(_)) => return Err(Error::other("--redis needs a --name for each server")),
        (name, _) => name.unwrap_or_else(|| "alone".into()),
    };
    let store: Box<dyn Store> = match redis {
        None => Box::new(Memory::new(history)),
        Some(url) => {
            Box::new(Redis::new(&url, history).map_err(|why| Error::other(why.to_string()))?)
        }
    };
    let chat = Arc::new(Chat::new(name, store, history));
    let on_the_pages = chat.clone();
    let server = Server::bind(address)?
        .paths(ROOMS.map(|room| format!("/chat/{room}")))
        .http(move |request| page(request, &on_the_pages))
        .limits(Limits { max_message: 8192, ..Limits::default() });
    ctrl_c::stops(server.handle());
    println!("listening on ws://{}", server.local_addr()?);
    println!("open http://{}", server.local_addr()?);

    spawn("reader", &chat, |chat| chat.read());
    spawn("presence", &chat, |chat| chat.keep_presence());
    spawn("watch", &chat, |chat| chat.watch_store());
    let handle = server.handle();
    spawn("stdin", &chat, move |chat| {
        for line in std::io::stdin().lines().map_while(std::io::Result::ok) {
            if line.trim() == "drain" {
                chat.drain(NOTICE, DRAIN_OVER);
                handle.stop(Duration::from_secs(1));
            }
        }
    });
    server.serve(move |ws| member::visit(ws, &chat))
}

fn spawn(name: &str, chat: &Arc<Chat>, work: impl FnOnce(&Chat) + Send + 'static) {
    let chat = chat.clone();
    let spawned = thread::Builder::new().name(name.into()).spawn(move || work(&chat));
    spawned.expect("a server that starts has room for a few threads");
}

/// Serves the page, and the balancer's check of `/health`.
fn page(request: &Request, chat: &Chat) -> Option<Response> {
    const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
        connect-src 'self'; frame-ancestors 'none'";
    match request.path() {
        "/" => Some(
            Response::html(include_str!("page.html")).header("Content-Security-Policy", POLICY),
        ),
        "/health" => Some(match chat.health() {
            Health::Ready => Response::text("ready\n"),
            // With haproxy's `http-check disable-on-404`, this stops new connections, and open ones
            // stay.
            Health::Draining => Response::text("draining\n").status(404),
            Health::OutOfTouch => Response::text("the store does not answer\n").status(503),
        }),
        _ => None,
    }
}
