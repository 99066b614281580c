//! A page on which you watch your own browser's handshake and frames, and break them.
//!
//! run: cargo run --example playground [ADDRESS] (with `--features deflate` it compresses, too)
//! then: open the http address that it prints
//! expect: listening on ws://127.0.0.1:9001
//! next: src/explain, where all that the page shows comes from
//!
//! Each page holds two WebSockets. On its *wire* it talks and is echoed; a tap explains that one byte
//! by byte. On its *lens* (a subprotocol of its own) the page hears what the tap tells, as JSON, and
//! asks for more: lines of text, of which the first is the question.
//!
//! Safe to leave running: it listens on loopback unless told otherwise and then answers only for
//! loopback's names; pages of other sites are refused; everything has a limit.

#[path = "playground/answers.rs"]
mod answers;
#[path = "shared/help.rs"]
mod help;
#[path = "playground/line.rs"]
mod line;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use answers::{BREAKS, decision, key_steps, terms, verdict};
use line::Line;
use ws101::explain::json::{array, object, string};
use ws101::frames::header::{Header, Opcode};
use ws101::{
    Error, Limits, Outbox, PreparedMessage, Request, Response, Result, Sender, Server, WebSocket,
};

/// What a lens speaks.
const SUBPROTOCOL: &str = "lens.ws101";
/// How many annotations may wait for a page; one more, and it is let go.
const LENS_BOUND: usize = 1024;
/// How many messages may wait for a slow tab.
const WIRE_BOUND: usize = 48;
/// Between the messages of a burst: what a tab that is not slow takes easily.
const BURST_PAUSE: Duration = Duration::from_millis(4);

fn main() -> Result<()> {
    help::print_if_asked(include_str!("playground.rs"));
    env_logger::init();
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:9001".into());
    let hall = Arc::new(Hall::default());
    let at_the_door = hall.clone();
    let mut server = Server::bind(address)?
        .paths(answers::PATHS)
        .subprotocols([SUBPROTOCOL])
        .http(page)
        .wrap_stream(move |stream| Line::new(stream, &at_the_door))
        .limits(Limits {
            max_message: answers::MAX_MESSAGE,
            max_connections: 64,
            ..Limits::default()
        });
    if let Some(settings) = answers::deflate() {
        server = server.deflate(settings);
    }
    let address = server.local_addr()?;
    if address.ip().is_loopback() {
        // A foreign name that somebody lets point to loopback is not ours (DNS rebinding).
        server = server.hosts(["localhost", "127.0.0.1", "[::1]"]);
    }
    println!("listening on ws://{address}");
    println!("open http://{address} in your browser; Ctrl-C ends the playground");
    server.serve(move |ws| match ws.request().path() {
        "/lens" => look(ws, &hall),
        _ => talk(ws, &hall),
    })
}

/// Everybody who is here.
#[derive(Default)]
struct Hall {
    lenses: Mutex<HashMap<String, Arc<Lens>>>,
    next: AtomicU64,
}

/// A page: what it hears through, and the wire that it talks on.
struct Lens {
    number: u64,
    outbox: Outbox,
    /// The connection that is looked at. It goes its own way: this only knows it.
    line: Mutex<Weak<Line>>,
    wire: Mutex<Option<(Outbox, Sender)>>,
    pause: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lens {
    /// Tells the page something. A page that does not listen is let go, so that nothing piles up.
    fn tell(&self, about: &str, mut fields: Vec<(&str, String)>) {
        fields.insert(0, ("about", string(about)));
        if self.outbox.try_send(&PreparedMessage::new(object(&fields))).is_err() {
            self.outbox.abort();
        }
    }

    /// Sends bytes on the wire as they are, past all that would refuse them.
    fn inject(&self, bytes: &[u8]) -> Result<()> {
        let line = lock(&self.line).upgrade().ok_or(Error::Closed)?;
        Ok(line.inject(bytes)?)
    }
}

impl Hall {
    fn lens(&self, request: &Request) -> Option<Arc<Lens>> {
        let ticket = request.query()?.strip_prefix("ticket=")?;
        lock(&self.lenses).get(ticket).cloned()
    }

    /// Tells every page who is here.
    fn tell_tabs(&self) {
        let lenses = lock(&self.lenses);
        let mut all: Vec<&Arc<Lens>> = lenses.values().collect();
        all.sort_by_key(|lens| lens.number);
        let tab = |lens: &&Arc<Lens>| {
            let pause = lens.pause.load(Relaxed).to_string();
            let open = lock(&lens.wire).is_some().to_string();
            object(&[("number", lens.number.to_string()), ("pause", pause), ("open", open)])
        };
        let tabs = array(all.iter().map(tab));
        all.iter().for_each(|lens| lens.tell("tabs", vec![("tabs", tabs.clone())]));
    }

    /// Sends a text on every wire. Who is too slow for it is dropped, and all are told.
    fn say(&self, text: &str) {
        let message = PreparedMessage::new(text);
        let lenses = lock(&self.lenses);
        for lens in lenses.values() {
            let Some((wire, _)) = lock(&lens.wire).clone() else { continue };
            if let Err(Error::WriteTimeout) = wire.try_send(&message) {
                wire.abort();
                let note = format!(
                    "Tab {} reads too slowly: {WIRE_BOUND} messages waited for it, so its wire was cut. \
                     Nobody else had to wait.",
                    lens.number
                );
                let note = string(&note);
                lenses.values().for_each(|lens| lens.tell("note", vec![("text", note.clone())]));
            }
        }
    }
}

/// The wire: what comes is sent back.
fn talk(mut ws: WebSocket, hall: &Hall) -> Result<()> {
    let lens = hall.lens(ws.request());
    if let Some(lens) = &lens {
        *lock(&lens.wire) = Some((ws.outbox(WIRE_BOUND)?, ws.sender()));
        hall.tell_tabs();
    }
    let ended = echo(&mut ws);
    if let Some(lens) = &lens {
        *lock(&lens.wire) = None;
        hall.tell_tabs();
    }
    ended
}

fn echo(ws: &mut WebSocket) -> Result<()> {
    while let Some(message) = ws.recv()? {
        ws.send(message)?;
    }
    Ok(())
}

/// The lens: questions in, answers and annotations out.
fn look(mut ws: WebSocket, hall: &Hall) -> Result<()> {
    if ws.subprotocol() != Some(SUBPROTOCOL) {
        return ws.close(1002, "a lens speaks lens.ws101");
    }
    let ticket = format!("{:016x}", RandomState::new().hash_one(ws.id()));
    let lens = Arc::new(Lens {
        number: hall.next.fetch_add(1, Relaxed) + 1,
        outbox: ws.outbox(LENS_BOUND)?,
        line: Mutex::new(Weak::new()),
        wire: Mutex::default(),
        pause: AtomicU64::new(0),
    });
    lock(&hall.lenses).insert(ticket.clone(), lens.clone());
    let breaks = BREAKS.iter().map(|(name, story, bytes)| {
        object(&[
            ("name", string(name)),
            ("story", string(story)),
            ("bytes", ws101::explain::json::hex(bytes)),
        ])
    });
    let you = vec![
        ("number", lens.number.to_string()),
        ("ticket", string(&ticket)),
        ("compresses", answers::deflate().is_some().to_string()),
        ("breaks", array(breaks)),
    ];
    lens.tell("you", you);
    let ended = answer_all(&mut ws, &lens, hall);
    lock(&hall.lenses).remove(&ticket);
    hall.tell_tabs();
    ended
}

fn answer_all(ws: &mut WebSocket, lens: &Lens, hall: &Hall) -> Result<()> {
    while let Some(message) = ws.recv()? {
        let Some(question) = message.as_text() else { return ws.close(1003, "text only") };
        let (first, rest) = question.split_once('\n').unwrap_or((question, ""));
        let (verb, argument) = first.split_once(' ').unwrap_or((first, ""));
        match answer(verb, argument, rest, lens, hall) {
            Ok(true) => {}
            Ok(false) => return ws.close(1008, "no such question"),
            Err(error) => lens.tell("note", vec![("text", string(&format!("Not done: {error}.")))]),
        }
    }
    Ok(())
}

/// One question. `false`: there is no such one.
fn answer(verb: &str, argument: &str, rest: &str, lens: &Lens, hall: &Hall) -> Result<bool> {
    match verb {
        "key" => lens.tell("key", key_steps(rest)),
        "decide" => lens.tell("decision", decision(rest.as_bytes())),
        "frames" => lens.tell("verdict", verdict(argument, rest)),
        "break" => {
            if let Some((_, _, bytes)) = BREAKS.iter().find(|(name, ..)| *name == argument) {
                lens.inject(bytes)?;
            }
        }
        "ping" => lens.inject(&frame(Opcode::Ping, true, rest.as_bytes()))?,
        "fragments" => fragments(lens, rest)?,
        "close" => {
            let (_, wire) = lock(&lens.wire).clone().ok_or(Error::Closed)?;
            wire.close(argument.parse::<u16>().unwrap_or(1000), rest)?;
        }
        "say" => {
            for _ in 0..argument.parse().unwrap_or(1).min(100) {
                hall.say(rest);
                thread::sleep(BURST_PAUSE);
            }
        }
        "pace" => {
            let pause = argument.parse().unwrap_or(0).min(2000);
            lens.pause.store(pause, Relaxed);
            if let Some(line) = lock(&lens.line).upgrade() {
                line.pause(Duration::from_millis(pause));
            }
            hall.tell_tabs();
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// A text in three fragments, and a ping between the last two: the only frames that may stand there.
fn fragments(lens: &Lens, text: &str) -> Result<()> {
    let bytes = text.as_bytes();
    let third = bytes.len() / 3;
    lens.inject(&frame(Opcode::Text, false, &bytes[..third]))?;
    lens.inject(&frame(Opcode::Continuation, false, &bytes[third..2 * third]))?;
    lens.inject(&frame(Opcode::Ping, true, b"in between"))?;
    lens.inject(&frame(Opcode::Continuation, true, &bytes[2 * third..]))
}

/// A frame as a server sends it. A control frame takes no more than 125 bytes.
fn frame(opcode: Opcode, fin: bool, payload: &[u8]) -> Vec<u8> {
    let most = if opcode.is_control() { 125 } else { payload.len() };
    let payload = &payload[..payload.len().min(most)];
    let mut bytes = Vec::new();
    let length = payload.len() as u64;
    Header { fin, rsv1: false, opcode, mask: None, length }.write(&mut bytes);
    bytes.extend_from_slice(payload);
    bytes
}

fn page(request: &Request) -> Option<Response> {
    // The page takes nothing from elsewhere, and shows what peers said as text only.
    const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
        img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    let response = match request.path() {
        "/" => Response::html(include_str!("playground/page.html")),
        "/page.css" => {
            Response::new("text/css; charset=utf-8", include_str!("playground/page.css"))
        }
        "/page.js" => {
            Response::new("text/javascript; charset=utf-8", include_str!("playground/page.js"))
        }
        _ => return None,
    };
    Some(
        response
            .header("Content-Security-Policy", POLICY)
            .header("Referrer-Policy", "no-referrer")
            .header("Cache-Control", "no-store"),
    )
}
