//! Chat rooms with access control. The server checks the page's `Origin`, the room (by its path)
//! and the visitor (by a secret), and chooses a subprotocol.
//!
//! run: cargo run --example 08_rooms [ADDRESS] [--origin ORIGIN]...
//! then: open http://127.0.0.1:9001
//! or: cargo run --example 05_client ws://127.0.0.1:9001/tea --header 'Authorization: Bearer TOKEN'
//! expect: listening on ws://127.0.0.1:9001
//! expect: a program's token:
//! next: 09_why_websocket, which compares WebSocket with plain HTTP
//!
//! The status of a refusal shows which check failed: 403 is for the origin, 404 for the path, 401
//! for the visitor. The server checks them in this order, and prints which visitors come, leave and
//! are refused.
//!
//! A program sends its secret in `Authorization`. A page can't, because a script can't set a header on
//! a WebSocket. It shouldn't put its secret in the URL, which ends up in the logs of each server and
//! proxy on the way. That leaves three other ways, and this server accepts all of them:
//!
//! - **A cookie.** With `HttpOnly`, no script can read it. But the browser also sends it with
//!   requests from pages of other sites, so check the origin, and set `SameSite`.
//! - **The list of subprotocols**, here as `rooms.token.SECRET`. Each script of the page can read
//!   the secret, and a proxy may log it with the head. Therefore, let it expire soon. The server
//!   must choose another name from the list.
//! - **The first message.** This keeps the secret out of all heads and logs, though each script of
//!   the page can still read it. But until the message comes, any stranger can hold a connection
//!   and its thread, so limit that time. In this example, only the room `workshop` accepts it.

#[path = "shared/ctrl_c.rs"]
mod ctrl_c;
#[path = "shared/help.rs"]
mod help;

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::io::{Write, stdout};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ws101::explain::json::{object, string};
use ws101::{
    Admission, Error, Limits, Message, Outbox, PreparedMessage, Refusal, Request, Response, Result,
    Server, WebSocket,
};

const ROOMS: [&str; 3] = ["/tea", "/garden", WORKSHOP];
/// The room whose visitors may send their secret as the first message, and how long they may take.
const WORKSHOP: &str = "/workshop";
const FIRST_MESSAGE: Duration = Duration::from_secs(5);
/// The subprotocol in which a message is `{"who":..,"says":..}`.
const JSON: &str = "rooms.json";
/// The subprotocol in which a message is `who: says`. A client without a subprotocol gets messages
/// in this format, too.
const TEXT: &str = "rooms.text";
const COOKIE: &str = "visitor";
/// The prefix of a page's secret in its list of subprotocols. The server supports no subprotocol
/// with this prefix, so it never chooses the secret.
const TOKEN: &str = "rooms.token.";
/// How many visitors the server knows at a time. Without a limit, a stranger who asks for cookies
/// could fill the memory. At the limit, the server forgets its oldest visitor, because refusing new
/// ones would let that stranger lock out all others.
const MOST_KNOWN: usize = 1000;
/// How many messages may wait in a member's queue. If one more comes, the server aborts the
/// member's connection.
const BOUND: usize = 64;

fn main() -> Result<()> {
    help::print_if_asked(include_str!("08_rooms.rs"));
    env_logger::init();
    let (mut address, mut origins) = ("127.0.0.1:9001".into(), Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--origin" => origins.extend(arguments.next()),
            _ => address = argument,
        }
    }
    let rooms = Arc::new(Rooms::default());
    let (for_admit, for_pages) = (rooms.clone(), rooms.clone());
    let mut server = Server::bind(address)?
        .paths(ROOMS)
        .subprotocols([JSON, TEXT])
        .admit(move |request| admit(request, &for_admit))
        .http(move |request| page(request, &for_pages))
        .limits(Limits { max_message: 4096, ..Limits::default() });
    // A browser may send this server's cookie with the requests of other pages, too, so the server
    // checks the origin first. By default, only pages of the server's own host and port may
    // connect.
    if !origins.is_empty() {
        server = server.origins(origins);
    }
    ctrl_c::stops(server.handle());
    let address = server.local_addr()?;
    println!("listening on ws://{address}");
    println!("a program's token: {}", rooms.make_known("robot"));
    println!("open http://{address} in a browser; Ctrl-C ends this program");
    server.serve(move |ws| visit(ws, &rooms))
}

/// The known visitors, and the members of the rooms.
#[derive(Default)]
struct Rooms {
    /// The names of known visitors, by the secret in their cookie or token. The map's hash is
    /// unpredictable, so the time of a lookup reveals nothing about the secrets.
    known: Mutex<HashMap<String, String>>,
    /// The secrets of visitors, oldest first. A program's secret isn't in this list, so the server
    /// never forgets it.
    visitors: Mutex<VecDeque<String>>,
    /// The members of all rooms, by the ids of their connections.
    members: Mutex<HashMap<u64, Member>>,
}

/// A visitor's name, and what proved it, such as `cookie`.
#[derive(Clone)]
struct Visitor {
    name: String,
    how: &'static str,
}

struct Member {
    room: String,
    speaks_json: bool,
    outbox: Outbox,
}

impl Rooms {
    /// Makes a secret of 128 bits for this name, and remembers the name. The bits are
    /// unpredictable, because `RandomState` hashes with random keys.
    fn make_known(&self, name: &str) -> String {
        let half = || RandomState::new().hash_one(name);
        let secret = format!("{:016x}{:016x}", half(), half());
        self.known.lock().unwrap().insert(secret.clone(), name.into());
        secret
    }

    /// Makes a secret for a visitor. If the server then knows too many visitors, it forgets the
    /// oldest, who must enter again.
    fn welcome(&self, name: &str) -> String {
        let secret = self.make_known(name);
        let mut visitors = self.visitors.lock().unwrap();
        visitors.push_back(secret.clone());
        if visitors.len() > MOST_KNOWN
            && let Some(oldest) = visitors.pop_front()
        {
            self.known.lock().unwrap().remove(&oldest);
        }
        secret
    }

    /// Finds the visitor whose secret is in the request's header, cookie or list of subprotocols.
    /// Returns `None` if there's no secret, or if the server doesn't know it.
    fn who(&self, request: &Request) -> Option<Visitor> {
        let header = request.header("Authorization").and_then(|v| v.strip_prefix("Bearer "));
        let offered = request.head().list("Sec-WebSocket-Protocol");
        let listed = || offered.iter().find_map(|name| name.strip_prefix(TOKEN));
        let (secret, how) = match (header, listed(), request.cookie(COOKIE)) {
            (Some(secret), ..) => (secret, "token"),
            (None, Some(secret), _) => (secret, "token in the list of subprotocols"),
            (None, None, Some(secret)) => (secret, "cookie"),
            (None, None, None) => return None,
        };
        self.known_by(secret, how)
    }

    fn known_by(&self, secret: &str, how: &'static str) -> Option<Visitor> {
        Some(Visitor { name: self.known.lock().unwrap().get(secret)?.clone(), how })
    }

    /// Sends a line to all members of a room, to each in the format of its subprotocol.
    fn tell(&self, room: &str, who: &str, says: &str) {
        let text = PreparedMessage::new(format!("{who}: {says}"));
        let json = PreparedMessage::new(object(&[("who", string(who)), ("says", string(says))]));
        for member in self.members.lock().unwrap().values().filter(|member| member.room == room) {
            let message = if member.speaks_json { &json } else { &text };
            // The member is too slow. Other errors need no abort: see 06_chat.
            if let Err(Error::WriteTimeout) = member.outbox.try_send(message) {
                member.outbox.abort();
            }
        }
    }
}

/// The last check, after origin and path. Passes a known visitor on to the handler. Any other
/// request gets a 401, except in the workshop, which lets it in without a visitor.
fn admit(request: &Request, rooms: &Rooms) -> std::result::Result<Admission, Refusal> {
    match rooms.who(request) {
        Some(visitor) => Ok(Admission::of(visitor)),
        None if request.path() == WORKSHOP => Ok(Admission::new()),
        None => {
            report(&format!("an unknown visitor is refused at {}", request.path()));
            let how = "This room is for known visitors. Send the cookie that the page sets, or \
                       `Authorization: Bearer` and the token that the server printed.";
            Err(Refusal::because(401, how).header("WWW-Authenticate", "Bearer"))
        }
    }
}

fn visit(mut ws: WebSocket, rooms: &Rooms) -> Result<()> {
    let room = ws.request().path().to_owned();
    let visitor = match ws.identity::<Visitor>() {
        Some(visitor) => Some(visitor.clone()),
        None => ask(&mut ws, rooms)?,
    };
    let Some(Visitor { name, how }) = visitor else {
        return ws.close(1008, "the first message must be your secret");
    };
    let speaks = ws.subprotocol().unwrap_or(TEXT).to_owned();
    report(&format!("{name} enters {room} with a {how}, and speaks {speaks}"));
    let member =
        Member { room: room.clone(), speaks_json: speaks == JSON, outbox: ws.outbox(BOUND)? };
    rooms.members.lock().unwrap().insert(ws.id(), member);
    rooms.tell(&room, &name, "hello");
    let ended = talk(&mut ws, &room, &name, rooms);
    rooms.members.lock().unwrap().remove(&ws.id());
    rooms.tell(&room, &name, "goodbye");
    report(&format!("{name} leaves {room}"));
    ended
}

/// Prints what a visitor does. If no program reads this server's output any more, the server goes on
/// without it. (`println!` would panic, and the visitor would get a 500, or a Close with 1011.)
fn report(line: &str) {
    let _ = writeln!(stdout(), "{line}");
}

/// Waits for the secret of a visitor whose request has none that the server knows. Returns `None`
/// if the first message is no known secret, or doesn't come in time.
fn ask(ws: &mut WebSocket, rooms: &Rooms) -> Result<Option<Visitor>> {
    match ws.recv_timeout(FIRST_MESSAGE) {
        Ok(Some(Message::Text(secret))) => {
            Ok(rooms.known_by(&secret, "token in the first message"))
        }
        Ok(_) | Err(Error::TimedOut) => Ok(None),
        Err(error) => Err(error),
    }
}

fn talk(ws: &mut WebSocket, room: &str, name: &str, rooms: &Rooms) -> Result<()> {
    while let Some(message) = ws.recv()? {
        match message {
            Message::Text(text) => rooms.tell(room, name, &text),
            Message::Binary(_) => return ws.close(1003, "text only"),
        }
    }
    Ok(())
}

/// Serves the pages, and the form that sets the cookie. A real server would ask for a password, in
/// a POST over https.
fn page(request: &Request, rooms: &Rooms) -> Option<Response> {
    const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
        connect-src 'self'; form-action 'self'; frame-ancestors 'none'";
    let page = match request.path() {
        "/" if rooms.who(request).is_some() => Response::html(include_str!("rooms/page.html")),
        "/" => Response::html(include_str!("rooms/login.html")),
        "/enter" => {
            let name = request.query()?.strip_prefix("name=")?;
            if !(1..=16).contains(&name.len()) || !name.bytes().all(|b| b.is_ascii_alphanumeric()) {
                return Some(Response::text("A name has up to 16 letters and digits.").status(400));
            }
            let secret = rooms.welcome(name);
            report(&format!("{name} gets a cookie"));
            // No script can read this cookie, and no page of another site can make the browser send
            // it.
            let cookie = format!("{COOKIE}={secret}; Path=/; HttpOnly; SameSite=Strict");
            Response::text("").status(302).header("Location", "/").header("Set-Cookie", &cookie)
        }
        _ => return None,
    };
    Some(page.header("Content-Security-Policy", POLICY).header("Cache-Control", "no-store"))
}
