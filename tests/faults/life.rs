//! One run: an application that echoes each message over a failing stream, and how its connection
//! ended.

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use ws101::frames::header::Role;
use ws101::frames::message::{Message, MessageKind};
use ws101::{Client, Close, DeflateConfig, Error, Limits, Result, Server, Stream, WebSocket};

/// How the application goes about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// `recv` and `send`.
    Whole,
    /// `recv_timeout` with a millisecond, until something comes, and `feed`.
    Impatient,
    /// `recv_stream` and `send_stream`.
    Streamed,
}

pub const MANNERS: [Manner; 3] = [Manner::Whole, Manner::Impatient, Manner::Streamed];

/// What the application heard, and how it ended.
#[derive(Debug)]
pub struct Heard {
    pub messages: Vec<Message>,
    /// How many of them were sent back, as far as the application knows.
    pub returned: usize,
    /// How often it was told that nothing had come in time.
    pub timeouts: usize,
    pub end: End,
}

#[derive(Debug)]
pub enum End {
    /// There was no WebSocket.
    NotOpened(Error),
    /// The peer has closed.
    Closed(Close),
    /// It ended otherwise; after that nothing could be sent.
    Failed(Error),
}

pub fn limits() -> Limits {
    // A silence of a millisecond is worth a ping; timeouts that are planned take no time at all.
    Limits { ping_every: Some(Duration::from_millis(1)), ..Limits::default() }
}

/// Opens a WebSocket over this stream, and sends back what comes.
pub fn live(role: Role, deflate: bool, manner: Manner, stream: Arc<impl Stream>) -> Heard {
    let server = Server::without_listener().limits(limits());
    live_as(role, deflate, manner, stream, server, Client::new("ws://a/").limits(limits()))
}

/// The same, as this server or this client.
pub fn live_as(
    role: Role,
    deflate: bool,
    manner: Manner,
    stream: Arc<impl Stream>,
    server: Server,
    client: Client,
) -> Heard {
    // So that what is sent is compressed, too.
    let settings = DeflateConfig { from: 0, ..DeflateConfig::default() };
    let opened = match (role, deflate) {
        (Role::Server, true) => server.deflate(settings).accept(stream),
        (Role::Server, false) => server.accept(stream),
        (Role::Client, true) => client.deflate(settings).connect_over(stream),
        (Role::Client, false) => client.connect_over(stream),
    };
    let mut heard =
        Heard { messages: vec![], returned: 0, timeouts: 0, end: End::Failed(Error::Closed) };
    let mut ws = match opened {
        Ok(ws) => ws,
        Err(error) => return Heard { end: End::NotOpened(error), ..heard },
    };
    heard.end = match echo(&mut ws, manner, &mut heard) {
        Ok(()) => End::Closed(ws.closed_with().expect("a code, if there was a Close").clone()),
        Err(error) => {
            assert!(ws.send("after the end").is_err(), "it failed with {error}, and sends");
            // Where sending failed, there may be more to hear that had come before.
            while let Ok(Some(message)) = ws.recv() {
                heard.messages.push(message);
            }
            End::Failed(error)
        }
    };
    heard
}

fn echo(ws: &mut WebSocket, manner: Manner, heard: &mut Heard) -> Result<()> {
    loop {
        let message = match manner {
            Manner::Whole => ws.recv(),
            Manner::Impatient => ws.recv_timeout(Duration::from_millis(1)),
            Manner::Streamed => read_through(ws),
        };
        let message = match message {
            Err(Error::TimedOut) => {
                heard.timeouts += 1;
                continue;
            }
            other => other?,
        };
        let Some(message) = message else { return Ok(()) };
        heard.messages.push(message.clone());
        match manner {
            Manner::Whole => ws.send(message)?,
            Manner::Impatient => ws.feed(message)?,
            Manner::Streamed => {
                let (front, back) = message.as_bytes().split_at(message.as_bytes().len() / 2);
                let mut writer = ws.send_stream(message.kind())?;
                writer.write_all(front)?;
                writer.flush()?;
                writer.write_all(back)?;
                writer.finish()?;
            }
        }
        heard.returned += 1;
    }
}

/// A message, read as a stream. One that is cut is an error, and never a shorter message.
fn read_through(ws: &mut WebSocket) -> Result<Option<Message>> {
    let Some(mut reader) = ws.recv_stream()? else { return Ok(None) };
    let (kind, mut bytes) = (reader.kind(), Vec::new());
    let read = reader.read_to_end(&mut bytes);
    if read.is_err() && ws.closed_with().is_some() {
        // The peer closed in mid-message: not a message, and a clean end.
        return Ok(None);
    }
    read?;
    Ok(Some(match kind {
        MessageKind::Text => Message::Text(String::from_utf8(bytes).expect("text is UTF-8")),
        MessageKind::Binary => Message::Binary(bytes),
    }))
}
