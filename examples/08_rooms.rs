//! Rooms with a door: whose page may knock (`Origin`), who may come in (a cookie for pages, a token for
//! programs), where to (the path), and what is spoken there (a subprotocol).
//!
//! run: cargo run --example 08_rooms [ADDRESS] [--origin ORIGIN]...
//! then: open http://127.0.0.1:9001
//! or: cargo run --example 05_client ws://127.0.0.1:9001/tea --header 'Authorization: Bearer TOKEN'
//! expect: listening on ws://127.0.0.1:9001
//! expect: a program's token:
//! next: 09_why_websocket, what all this is for
//!
//! A refusal says at which of the questions somebody failed: 403, 404, 401, in this order. It prints
//! who comes, who goes, and who is turned away.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex};

use ws101::explain::json::{object, string};
use ws101::{
    Limits, Message, Outbox, PreparedMessage, Refusal, Request, Response, Result, Server, WebSocket,
};

const ROOMS: [&str; 3] = ["/tea", "/garden", "/workshop"];
/// What is said as `{"who":..,"says":..}`, and as `who: says`. Who offers neither gets text.
const JSON: &str = "rooms.json";
const TEXT: &str = "rooms.text";
const COOKIE: &str = "visitor";
/// How many visitors may be known. Whoever hands out keys without end runs out of memory.
const MOST_KNOWN: usize = 1000;
/// How many messages may wait for a member.
const BOUND: usize = 64;

fn main() -> Result<()> {
    env_logger::init();
    let (mut address, mut origins) = ("127.0.0.1:9001".into(), Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--origin" => origins.extend(arguments.next()),
            _ => address = argument,
        }
    }
    let house = Arc::new(House::default());
    let (at_the_door, on_the_pages) = (house.clone(), house.clone());
    let mut server = Server::bind(address)?
        .paths(ROOMS)
        .subprotocols([JSON, TEXT])
        .authorize(move |request| let_in(request, &at_the_door))
        .http(move |request| page(request, &on_the_pages))
        .limits(Limits { max_message: 4096, ..Limits::default() });
    // A browser sends our cookie along whoever's page it is that asks. So that is the first question:
    // pages of this very host and port may ask, unless others are named here.
    if !origins.is_empty() {
        server = server.origins(origins);
    }
    let address = server.local_addr()?;
    println!("listening on ws://{address}");
    println!("a program's token: {}", house.make_known("robot").unwrap_or_default());
    println!("open http://{address}");
    server.serve(move |ws| visit(ws, &house))
}

/// Whom we know, and who is here.
#[derive(Default)]
struct House {
    /// By the secret in their cookie or token. Looked up by a hash that nobody can foresee, so how long
    /// it takes tells nothing about the secrets that are in it.
    known: Mutex<HashMap<String, String>>,
    /// By the number of their connection.
    members: Mutex<HashMap<u64, Member>>,
}

struct Member {
    room: String,
    speaks_json: bool,
    outbox: Outbox,
}

impl House {
    /// A new secret for somebody: 128 bits, from the operating system.
    fn make_known(&self, name: &str) -> Option<String> {
        let half = || RandomState::new().hash_one(name);
        let secret = format!("{:016x}{:016x}", half(), half());
        let mut known = self.known.lock().unwrap();
        (known.len() < MOST_KNOWN).then(|| known.insert(secret.clone(), name.into()))?;
        Some(secret)
    }

    /// Who asks, and how we know.
    fn who(&self, request: &Request) -> Option<(String, &'static str)> {
        let token = request.header("Authorization").and_then(|v| v.strip_prefix("Bearer "));
        let (secret, how) = match (token, request.cookie(COOKIE)) {
            (Some(token), _) => (token, "token"),
            (None, Some(cookie)) => (cookie, "cookie"),
            (None, None) => return None,
        };
        Some((self.known.lock().unwrap().get(secret)?.clone(), how))
    }

    /// Says something in a room, to each in the words that were agreed on.
    fn tell(&self, room: &str, who: &str, says: &str) {
        let text = PreparedMessage::new(format!("{who}: {says}"));
        let json = PreparedMessage::new(object(&[("who", string(who)), ("says", string(says))]));
        for member in self.members.lock().unwrap().values().filter(|member| member.room == room) {
            let message = if member.speaks_json { &json } else { &text };
            // Too slow, or gone: see 06_chat.
            if member.outbox.try_send(message).is_err() {
                member.outbox.abort();
            }
        }
    }
}

/// The last question, when origin and path are right: do we know who asks?
fn let_in(request: &Request, house: &House) -> std::result::Result<(), Refusal> {
    match house.who(request) {
        Some(_) => Ok(()),
        None => {
            println!("somebody is turned away from {}", request.path());
            let how = "This room is for visitors that are known: by the cookie that the page sets, or by \
                       `Authorization: Bearer` and the token that the server printed.";
            Err(Refusal::because(401, how).header("WWW-Authenticate", "Bearer"))
        }
    }
}

fn visit(mut ws: WebSocket, house: &House) -> Result<()> {
    let room = ws.request().path().to_owned();
    let Some((name, how)) = house.who(ws.request()) else { return ws.close(1008, "unknown") };
    let speaks = ws.subprotocol().unwrap_or(TEXT).to_owned();
    println!("{name} comes to {room} with a {how}, and speaks {speaks}");
    let member =
        Member { room: room.clone(), speaks_json: speaks == JSON, outbox: ws.outbox(BOUND)? };
    house.members.lock().unwrap().insert(ws.id(), member);
    house.tell(&room, &name, "hello");
    let ended = talk(&mut ws, &room, &name, house);
    house.members.lock().unwrap().remove(&ws.id());
    house.tell(&room, &name, "goodbye");
    println!("{name} leaves {room}");
    ended
}

fn talk(ws: &mut WebSocket, room: &str, name: &str, house: &House) -> Result<()> {
    while let Some(message) = ws.recv()? {
        match message {
            Message::Text(text) => house.tell(room, name, &text),
            Message::Binary(_) => return ws.close(1003, "text only"),
        }
    }
    Ok(())
}

/// The way to a cookie. A real one asks for a password, in a POST over https.
fn page(request: &Request, house: &House) -> Option<Response> {
    const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
        connect-src 'self'; form-action 'self'; frame-ancestors 'none'";
    let page = match request.path() {
        "/" if house.who(request).is_some() => Response::html(include_str!("rooms/page.html")),
        "/" => Response::html(include_str!("rooms/door.html")),
        "/enter" => {
            let name = request.query()?.strip_prefix("name=")?;
            if !(1..=16).contains(&name.len()) || !name.bytes().all(|b| b.is_ascii_alphanumeric()) {
                return Some(Response::text("A name has up to 16 letters and digits.").status(400));
            }
            let Some(secret) = house.make_known(name) else {
                return Some(Response::text("There are enough visitors.").status(503));
            };
            println!("{name} is given a cookie");
            // No script can read it, and no page of another site can send it.
            let cookie = format!("{COOKIE}={secret}; Path=/; HttpOnly; SameSite=Strict");
            Response::text("").status(302).header("Location", "/").header("Set-Cookie", &cookie)
        }
        _ => return None,
    };
    Some(page.header("Content-Security-Policy", POLICY).header("Cache-Control", "no-store"))
}
