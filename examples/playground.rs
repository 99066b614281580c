//! A page on which you watch your browser's handshake and frames, break them, and see the code that
//! decides about each byte.
//!
//! run: cargo run --example playground [ADDRESS] (with `--features deflate` it compresses, too)
//! then: open the http address that it prints; Ctrl-C ends it
//! expect: listening on ws://127.0.0.1:9001
//! next: src/explain, which makes all the explanations on the page
//!
//! The page's coach checks a server that you write and run on this machine (`playground/coach.rs`).
//!
//! Each page opens two WebSockets. On its *wire*, it sends messages, which the server echoes, and a
//! tap explains every byte. On its *lens*, which has its own subprotocol, the page gets the tap's
//! annotations as JSON, and sends questions: texts whose first line is the question.
//!
//! You can safely leave the playground running. It listens on loopback unless you name another
//! address. On loopback, it accepts only requests whose `Host` is a loopback name, as every ws101
//! server does. It refuses pages of other sites, and everything has a limit.

#[path = "playground/answers.rs"]
mod answers;
#[path = "playground/backlog.rs"]
mod backlog;
#[path = "playground/coach.rs"]
#[allow(
    dead_code,
    reason = "its reports for a terminal and its checks of a client stay out of the page"
)]
mod coach;
#[path = "playground/contended.rs"]
mod contended;
#[path = "shared/ctrl_c.rs"]
mod ctrl_c;
#[path = "shared/help.rs"]
mod help;
#[path = "playground/record.rs"]
mod record;
#[path = "playground/recording_stream.rs"]
mod recording_stream;
#[path = "playground/tabs.rs"]
mod tabs;

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use answers::{BREAKS, decision, key_steps, opened, passage, verdict};
// The coach's files import these modules from the crate's root, where the program `coach` has them.
use coach::{areas, causes, check, echo, inflate, library, needs, probe, run, wire};
use recording_stream::RecordingStream;
use tabs::{Lens, Tabs, lock};
use ws101::explain::json::{array, object, string};
use ws101::frames::header::{Header, Opcode};
use ws101::{Limits, Request, Response, Result, Server, WebSocket};

/// The subprotocol of a lens.
const SUBPROTOCOL: &str = "lens.ws101";
/// The pause between the messages of a burst. In this time, a tab can read one message, unless it's
/// slow.
const BURST_PAUSE: Duration = Duration::from_millis(4);

fn main() -> Result<()> {
    help::print_if_asked(include_str!("playground.rs"));
    env_logger::init();
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:9001".into());
    let server = Server::bind(address)?;
    let tabs = Arc::new(Tabs::new(answers::settings(server.local_addr()?.ip())));
    let of_lines = tabs.clone();
    let mut server = server
        .paths(answers::PATHS)
        .subprotocols([SUBPROTOCOL])
        .http(page)
        .wrap_stream(move |stream| RecordingStream::new(stream, &of_lines))
        .limits(Limits {
            max_message: answers::MAX_MESSAGE,
            max_connections: 64,
            ..Limits::default()
        });
    if let Some(settings) = answers::deflate() {
        server = server.deflate(settings);
    }
    ctrl_c::stops(server.handle());
    let address = server.local_addr()?;
    println!("listening on ws://{address}");
    println!("open http://{address} in your browser; Ctrl-C ends the playground");
    server.serve(move |ws| match ws.request().path() {
        "/lens" => look(ws, &tabs),
        _ => talk(ws, &tabs),
    })
}

/// Serves a wire: echoes each message.
fn talk(mut ws: WebSocket, tabs: &Tabs) -> Result<()> {
    let lens = tabs.open_wire(&ws)?;
    let ended = echo(&mut ws);
    if let Some(lens) = &lens {
        tabs.close_wire(&ws, lens);
    }
    ended
}

fn echo(ws: &mut WebSocket) -> Result<()> {
    while let Some(message) = ws.recv()? {
        ws.send(message)?;
    }
    Ok(())
}

/// Serves a lens: reads the page's questions, and sends answers and annotations.
fn look(mut ws: WebSocket, tabs: &Tabs) -> Result<()> {
    if ws.subprotocol() != Some(SUBPROTOCOL) {
        return ws.close(1002, "a lens speaks lens.ws101");
    }
    let ticket = format!("{:016x}", RandomState::new().hash_one(ws.id()));
    let lens = tabs.enter(&ws, &ticket)?;
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
        ("coaches", is_local(&ws).to_string()),
        ("breaks", array(breaks)),
    ];
    lens.tell("you", you);
    let ended = answer_all(&mut ws, &lens, &ticket, tabs);
    coach::stop(&lens, "The page has gone.");
    tabs.leave(&ticket);
    ended
}

/// Returns whether the page's browser is on this machine. The coach is only for such pages.
/// Otherwise, a stranger could make it connect to servers that only this machine can reach.
fn is_local(ws: &WebSocket) -> bool {
    ws.peer().is_some_and(|peer| peer.ip().to_canonical().is_loopback())
}

fn answer_all(ws: &mut WebSocket, lens: &Arc<Lens>, ticket: &str, tabs: &Tabs) -> Result<()> {
    let is_local = is_local(ws);
    while let Some(message) = ws.recv()? {
        let Some(question) = message.as_text() else { return ws.close(1003, "text only") };
        let (first, rest) = question.split_once('\n').unwrap_or((question, ""));
        let (verb, argument) = first.split_once(' ').unwrap_or((first, ""));
        // The coach connects to another server, so only the page that has the ticket may start it.
        if verb == "coach" {
            let (shown, stage) = argument.split_once(' ').unwrap_or((argument, ""));
            if !is_local || shown != ticket {
                return ws.close(1008, "the coach is for this page, on this machine");
            }
            coach::start(lens, rest, coach::Plan::parse(stage));
            continue;
        }
        match answer(verb, argument, rest, lens, tabs) {
            Ok(true) => {}
            Ok(false) => return ws.close(1008, "no such question"),
            Err(error) => {
                lens.tell("note", vec![("text", string(&format!("That failed: {error}.")))]);
            }
        }
    }
    Ok(())
}

/// Answers one question. Returns `false` if there is no such question.
fn answer(verb: &str, argument: &str, rest: &str, lens: &Lens, tabs: &Tabs) -> Result<bool> {
    match verb {
        "key" => lens.tell("key", key_steps(rest)),
        "decide" => lens.tell("decision", decision(rest.as_bytes(), &tabs.settings)),
        "frames" => lens.tell("verdict", verdict(argument, rest, &tabs.settings)),
        "code" => lens.tell("code", passage(argument)),
        "open" => lens.tell("opened", opened(rest)),
        "contend" => lens.tell("contended", vec![("told", contended::story()?)]),
        "failure" => lens.tell("failure", vec![("failure", coach::failure(lens, argument))]),
        "stop" => coach::stop(lens, "You stopped the run."),
        "save" => {
            let record = lock(&lens.record).clone();
            let text = lock(&record).saved();
            lens.tell("saved", vec![("text", string(&text))]);
        }
        "break" => {
            if let Some((_, _, bytes)) = BREAKS.iter().find(|(name, ..)| *name == argument) {
                lens.inject(bytes)?;
            }
        }
        "ping" => lens.inject(&frame(Opcode::Ping, true, rest.as_bytes()))?,
        "fragments" => lens.inject(&fragments(rest))?,
        "close" => lens.wire()?.close(argument.parse::<u16>().unwrap_or(1000), rest)?,
        "say" => {
            for _ in 0..argument.parse().unwrap_or(1).min(100) {
                tabs.say(rest);
                thread::sleep(BURST_PAUSE);
            }
        }
        "pace" => {
            let pause = argument.parse().unwrap_or(0).min(2000);
            lens.pause.store(pause, Relaxed);
            if let Some(line) = lock(&lens.line).upgrade() {
                line.pause(Duration::from_millis(pause));
            }
            tabs.tell_all();
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Encodes a text in three fragments, with a ping between the last two. The caller sends them in
/// one write. Otherwise, an echo could come between the fragments, where only control frames are
/// allowed.
fn fragments(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let third = bytes.len() / 3;
    [
        frame(Opcode::Text, false, &bytes[..third]),
        frame(Opcode::Continuation, false, &bytes[third..2 * third]),
        frame(Opcode::Ping, true, b"in between"),
        frame(Opcode::Continuation, true, &bytes[2 * third..]),
    ]
    .concat()
}

/// Encodes a frame as a server sends it. The payload of a control frame is cut to 125 bytes.
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
    // The page loads nothing from other sites, and shows what peers send only as text.
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
