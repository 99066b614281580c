//! Gives the same bytes to ws101 and to tungstenite, as frames that arrive at either end. If the
//! two differ in another way than those in [`Difference`], each of which has its reason, the target
//! fails.

use std::io::{self, Read, Write};

use tungstenite::protocol::{Role as TheirRole, WebSocket, WebSocketConfig};
use tungstenite::{Error, Message as TheirMessage};
use ws101::frames::assembler::Bounds;
use ws101::frames::decoder::Event;
use ws101::frames::header::Role;
use ws101::frames::message::Message;
use ws101::frames::violation::Violation;

use crate::{Heard, hear, role};

const MOST: usize = 3000;
/// tungstenite has no limit of fragments.
const BOUNDS: Bounds = Bounds { max_message: MOST as u64, max_fragments: u64::MAX };

/// Where ws101 and tungstenite do not say the same.
#[derive(Debug, PartialEq, Eq)]
enum Difference {
    /// §5.2 asks for the fewest bytes that can hold a length; tungstenite takes any. So for us a control
    /// frame (§5.5) with more than seven bits for its length is too long, whatever they say.
    AnyWayToWriteALength,
    /// What the first bytes of a frame show, we fail at once; tungstenite when the frame is whole, which
    /// it never becomes here.
    Later,
    /// §7.4.2: a code that has not been given out. tungstenite tells its caller that the peer closed
    /// with 1002, and says so to the peer: nobody is misled, so it is the same in other words.
    CloseInOtherWords,
    /// 1014 has been registered since (RFC 6455 §11.7, by IANA), and so it may arrive; tungstenite takes
    /// it for one that has not been given out.
    Code1014,
}

pub fn check(data: &[u8]) {
    let [choice, bytes @ ..] = data else { return };
    let role = role(choice & 1 == 1);
    let ours = hear(role, BOUNDS, None, false, [bytes].into_iter());
    let theirs = theirs(role, bytes);
    if !agree(&ours, &theirs) {
        let difference = explain(&ours, &theirs);
        assert!(difference.is_some(), "ws101: {ours:?}\ntungstenite: {theirs:?}");
    }
}

/// What tungstenite has heard, and how it ended.
#[derive(Debug)]
struct Theirs {
    events: Vec<Event>,
    end: End,
}

#[derive(Debug, PartialEq, Eq)]
enum End {
    /// The stream ended before the conversation did.
    Cut,
    Closed,
    Failed(String),
}

fn theirs(role: Role, bytes: &[u8]) -> Theirs {
    let role = if role == Role::Server { TheirRole::Server } else { TheirRole::Client };
    let config = WebSocketConfig::default()
        .max_message_size(Some(MOST))
        .max_frame_size(Some(MOST))
        .read_buffer_size(4096);
    let mut socket = WebSocket::from_raw_socket(Peer(bytes), role, Some(config));
    let mut events = Vec::new();
    loop {
        let close =
            |code: u16, reason: &str| ws101::Close { code: code.into(), reason: reason.into() };
        match socket.read() {
            Ok(TheirMessage::Text(text)) => {
                events.push(Event::Message(Message::Text(text.as_str().into())));
            }
            Ok(TheirMessage::Binary(bytes)) => {
                events.push(Event::Message(Message::Binary(bytes.into())));
            }
            Ok(TheirMessage::Ping(payload)) => events.push(Event::Ping(payload.into())),
            Ok(TheirMessage::Pong(payload)) => events.push(Event::Pong(payload.into())),
            Ok(TheirMessage::Close(None)) => {
                events.push(Event::Close(close(1005, "")));
                return Theirs { events, end: End::Closed };
            }
            Ok(TheirMessage::Close(Some(frame))) => {
                events.push(Event::Close(close(frame.code.into(), frame.reason.as_str())));
                return Theirs { events, end: End::Closed };
            }
            Ok(TheirMessage::Frame(_)) => panic!("frames are not given out"),
            Err(Error::Protocol(
                tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
            )) => return Theirs { events, end: End::Cut },
            Err(error) => return Theirs { events, end: End::Failed(error.to_string()) },
        }
    }
}

/// A peer that says these bytes and ends, and to whom anything can be said.
struct Peer<'a>(&'a [u8]);

impl Read for Peer<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

impl Write for Peer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn agree(ours: &Heard, theirs: &Theirs) -> bool {
    let end = match (ours.violation, ours.events.last()) {
        (Some(_), _) => matches!(theirs.end, End::Failed(_)),
        (None, Some(Event::Close(_))) => theirs.end == End::Closed,
        (None, _) => theirs.end == End::Cut,
    };
    end && ours.events == theirs.events
}

fn explain(ours: &Heard, theirs: &Theirs) -> Option<Difference> {
    if let ([before @ .., Event::Close(said)], [same @ .., Event::Close(told)]) =
        (&ours.events[..], &theirs.events[..])
        && (before, said.code.0, told.code.0) == (same, 1014, 1002)
    {
        return Some(Difference::Code1014);
    }
    // Else we never hear more than tungstenite, or other things: only fail earlier.
    let violation = ours.violation?;
    let more = theirs.events.strip_prefix(&ours.events[..])?;
    match violation {
        Violation::LengthNotMinimal(_) | Violation::ControlTooLong => {
            Some(Difference::AnyWayToWriteALength)
        }
        Violation::CloseCode(_) => match more {
            [Event::Close(close)] if close.code.0 == 1002 => Some(Difference::CloseInOtherWords),
            _ => None,
        },
        _ if more.is_empty() && theirs.end == End::Cut => Some(Difference::Later),
        _ => None,
    }
}
