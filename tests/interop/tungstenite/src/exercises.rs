//! What is done over one connection: each exercise of the plan, sent with tungstenite's own calls,
//! compared with what comes back, and ended with a clean close.

use std::fmt::Debug;
use std::net::TcpStream;
use std::time::{Duration, Instant};
use tungstenite::http::HeaderMap;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::protocol::{CloseFrame, frame::Frame};
use tungstenite::{Bytes, Error, Message, WebSocket};

pub type Ws = WebSocket<TcpStream>;

/// Why an exercise did not succeed.
pub enum Trouble {
    /// What came is not what should have come.
    Wrong(String),
    /// The crate has no means to do this, or has a rule of its own against it.
    Cannot(&'static str),
}

impl<E: std::error::Error> From<E> for Trouble {
    fn from(why: E) -> Self {
        Trouble::Wrong(why.to_string())
    }
}

/// How long we wait for one thing. The pings of ws101 are 20 seconds apart.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Less than ws101's own 5 seconds: a close must be answered, not given up.
const PATIENCE_TO_CLOSE: Duration = Duration::from_secs(4);

// ---- payloads ----

/// A text of exactly `size` bytes, with characters of one to four bytes where there is room.
fn text_of(size: usize) -> String {
    let unit = "Grüße, 漢字 und 🦀; ";
    let whole = size / unit.len();
    unit.repeat(whole) + &".".repeat(size - whole * unit.len())
}

/// Bytes without a period (xorshift), so that nothing shifted or swapped can look right.
fn binary_of(size: usize) -> Bytes {
    let mut state = 0x9e37_79b9_u32 ^ size as u32;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    std::iter::repeat_with(next).take(size).collect()
}

fn same<T: PartialEq + Debug>(came: T, expected: T, what: &str) -> Result<(), Trouble> {
    if came == expected {
        return Ok(());
    }
    Err(Trouble::Wrong(format!("{what}: expected {}, came {}", shown(&expected), shown(&came))))
}

fn shown(value: &impl Debug) -> String {
    format!("{value:?}").chars().take(80).collect()
}

fn same_message(came: Message, expected: Message) -> Result<(), Trouble> {
    if came == expected {
        return Ok(());
    }
    let kind = |message: &Message| if message.is_text() { "text" } else { "binary" };
    let kinds = (kind(&expected), kind(&came));
    let (a, b) = (expected.into_data(), came.into_data());
    let agreeing = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    Err(Trouble::Wrong(format!(
        "echo: expected {} of {} bytes, came {} of {} bytes; they agree in the first {agreeing} bytes",
        kinds.0,
        a.len(),
        kinds.1,
        b.len(),
    )))
}

// ---- exercises ----

/// One exercise, over an open connection, to its clean close.
pub fn perform(exercise: &str, ws: &mut Ws) -> Result<(), Trouble> {
    let words: Vec<&str> = exercise.split(' ').collect();
    match words[..] {
        ["text", size] => echo(ws, text_of(size.parse()?).into())?,
        ["binary", size] => echo(ws, binary_of(size.parse()?).into())?,
        ["fragments"] => fragments(ws)?,
        ["ping", size] => ping(ws, binary_of(size.parse()?))?,
        ["subprotocols", _] => echo(ws, "no subprotocol chosen".into())?,
        ["silence"] => {
            next(ws, Message::is_ping)?;
            next(ws, Message::is_ping)?;
            echo(ws, "still here".into())?;
        }
        ["close", "none"] => return close(ws, None, ""),
        ["close", code, reason] => return close(ws, Some(code.parse()?), reason),
        ["too-big", size] => return too_big(ws, size.parse()?),
        _ => {
            return Err(Trouble::Wrong(format!(
                "the plan names an exercise which nobody knows: {exercise}"
            )));
        }
    }
    close(ws, Some(1000), "")
}

/// The next message of the wanted kind; the crate answers pings that come meanwhile, in its next call.
fn next(ws: &mut Ws, wanted: fn(&Message) -> bool) -> Result<Message, Trouble> {
    let until = Instant::now() + PATIENCE; // the timeout of one read begins anew with every ping
    while Instant::now() < until {
        let message = ws.read()?;
        if wanted(&message) {
            return Ok(message);
        }
        if !message.is_ping() && !message.is_pong() {
            return Err(Trouble::Wrong(format!("came unexpectedly: {}", shown(&message))));
        }
    }
    Err(Trouble::Wrong("what it waited for did not come in time".to_owned()))
}

fn is_data(message: &Message) -> bool {
    message.is_text() || message.is_binary()
}

fn echo(ws: &mut Ws, message: Message) -> Result<(), Trouble> {
    ws.send(message.clone())?;
    same_message(next(ws, is_data)?, message)
}

fn ping(ws: &mut Ws, payload: Bytes) -> Result<(), Trouble> {
    ws.send(Message::Ping(payload.clone()))?;
    same(next(ws, Message::is_pong)?, Message::Pong(payload), "pong")
}

/// One text in three fragments, cut inside characters, with pings between them.
fn fragments(ws: &mut Ws) -> Result<(), Trouble> {
    let text = text_of(200_000);
    let whole = Bytes::from(text.clone());
    let pieces = [whole.slice(..3), whole.slice(3..100_003), whole.slice(100_003..)];
    for (index, piece) in pieces.into_iter().enumerate() {
        let opcode = OpCode::Data(if index == 0 { Data::Text } else { Data::Continue });
        ws.send(Message::Frame(Frame::message(piece, opcode, index == 2)))?;
        if index < 2 {
            ping(ws, "between".into())?;
        }
    }
    same_message(next(ws, is_data)?, text.into())
}

/// Sends a Close; the same must come back.
pub fn close(ws: &mut Ws, code: Option<u16>, reason: &str) -> Result<(), Trouble> {
    ws.get_ref().set_read_timeout(Some(PATIENCE_TO_CLOSE))?;
    ws.close(code.map(|code| CloseFrame { code: code.into(), reason: reason.into() }))?;
    let (code_back, reason_back) = closed(ws)?;
    // ws101 sends back what it understood, the reason too: so this compares what both ends saw.
    same(code_back, code, "close code that came back")?;
    same(reason_back.as_str(), reason, "close reason that came back")?;
    end(ws)
}

/// Waits for the other side's Close; its code and reason.
fn closed(ws: &mut Ws) -> Result<(Option<u16>, String), Trouble> {
    let Message::Close(frame) = next(ws, Message::is_close)? else {
        unreachable!("next() gives what was wanted")
    };
    Ok(frame
        .map_or((None, String::new()), |frame| (Some(frame.code.into()), frame.reason.to_string())))
}

/// Reads on until the connection itself is closed, which is the server's to do.
fn end(ws: &mut Ws) -> Result<(), Trouble> {
    match ws.read() {
        Err(Error::ConnectionClosed) => Ok(()),
        other => Err(Trouble::Wrong(format!("behind the Close frame came {}", shown(&other)))),
    }
}

fn too_big(ws: &mut Ws, size: usize) -> Result<(), Trouble> {
    _ = ws.send(Message::Binary(vec![0; size].into())); // it may be closed while we still send
    let (code, reason) = closed(ws)?;
    same(code, Some(1009), "close code")?;
    same(reason.is_empty(), false, "an empty reason")
}

/// The part of the server while `run` speaks through 05_client, which then closes.
pub fn converse(ws: &mut Ws, headers: &HeaderMap) -> Result<(), Trouble> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    same(header("Origin"), Some("http://interop.example"), "Origin")?;
    same(header("X-Interop"), Some("yes"), "X-Interop")?;
    same(header("Sec-WebSocket-Protocol"), Some("superchat"), "subprotocol")?;
    for _ in 0..2 {
        let line = next(ws, is_data)?;
        ws.send(format!("Echo: {line}").into())?;
    }
    same(closed(ws)?.0, Some(1000), "close code of 05_client")?;
    end(ws)
}
