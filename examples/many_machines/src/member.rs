//! A member's connection: parsing its URL, joining the room, and appending its messages to the
//! store.
//!
//! A member connects to `/chat/ROOM?name=NAME&key=KEY`, and adds `&epoch=EPOCH&offset=OFFSET` when it comes back. It sends `NUMBER TEXT`, and counts its messages from 1. Once the store has a message, the server confirms it with `{"type":"said","number":NUMBER}`. On its next connection, the member sends unconfirmed messages again, with the same numbers.

use std::thread;
use std::time::{Duration, Instant};

use ws101::explain::json::{object, string};
use ws101::{Message, Request, Result, WebSocket};

use crate::chat::Chat;
use crate::room::Member;
use crate::store::{Position, ROOMS, Said};

/// How many messages may wait for a member, in addition to the room's history, which a returning
/// member may get all at once.
const ROOM_TO_SPARE: usize = 256;
/// How long the server retries to append a member's message if the store doesn't answer. After
/// that, it sends the member away.
const PATIENCE: Duration = Duration::from_secs(5);
/// The largest message number. Lua counts in floating point, and larger numbers wouldn't be exact.
const MOST: u64 = 1 << 53;

/// What a member's URL says: its room, name, key, and position.
#[derive(Debug, PartialEq, Eq)]
struct Visit {
    room: usize,
    name: String,
    key: String,
    position: Option<Position>,
}

impl Visit {
    /// Parses the request's URL. An error says what is wrong with it, as the reason of a Close.
    fn parse(request: &Request) -> std::result::Result<Visit, &'static str> {
        let name = request.path().rsplit('/').next();
        let room = ROOMS.iter().position(|room| Some(*room) == name);
        let word = |name, most| {
            let is_word = |word: &String| {
                (1..=most).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_alphanumeric())
            };
            request.parameter(name).filter(is_word)
        };
        let offset = request.parameter("offset").and_then(|offset| offset.parse().ok());
        let position = match (word("epoch", 32), offset) {
            (Some(epoch), Some(offset)) => Some(Position { epoch, offset }),
            _ if ["epoch", "offset"].iter().any(|half| request.parameter(half).is_some()) => {
                return Err("epoch and offset, as they were told");
            }
            _ => None,
        };
        Ok(Visit {
            room: room.ok_or("no such room")?,
            name: word("name", 16).ok_or("name: 1 to 16 letters and digits")?,
            key: word("key", 32).ok_or("key: 1 to 32 letters and digits")?,
            position,
        })
    }
}

/// Serves one member, from joining to leaving: the handler of each connection.
pub fn visit(mut ws: WebSocket, chat: &Chat) -> Result<()> {
    let Visit { room, name, key, position } = match Visit::parse(ws.request()) {
        Ok(visit) => visit,
        Err(reason) => return ws.close(1008, reason),
    };
    let outbox = ws.outbox(chat.history.saturating_add(ROOM_TO_SPARE))?;
    let member = Member { name: name.clone(), outbox, sender: ws.sender() };
    if !chat.join(room, ws.id(), member, position) {
        return ws.close(1013, "this server has not heard from its store");
    }
    let ended = listen(&mut ws, chat, room, &name, &key);
    chat.room(room).leave(ws.id());
    ended
}

fn listen(ws: &mut WebSocket, chat: &Chat, room: usize, who: &str, from: &str) -> Result<()> {
    while let Some(message) = ws.recv()? {
        let Message::Text(text) = message else { return ws.close(1003, "text only") };
        let said = text.split_once(' ').and_then(|(number, says)| {
            let number = number.parse().ok().filter(|number| (1..MOST).contains(number))?;
            Some(Said { from: from.into(), number, who: who.into(), says: says.into() })
        });
        let Some(said) = said else { return ws.close(1008, "NUMBER TEXT") };
        if !append(chat, room, &said) {
            return ws.close(1013, "the store does not answer");
        }
        let number = said.number.to_string();
        ws.send(&*object(&[("type", string("said")), ("number", number)]))?;
    }
    Ok(())
}

/// Appends a message, and retries while the store doesn't answer. The message's number makes that
/// safe, because the store appends each number only once.
fn append(chat: &Chat, room: usize, said: &Said) -> bool {
    let since = Instant::now();
    loop {
        match chat.store.append(room, said) {
            Ok(()) => return true,
            Err(error) if since.elapsed() > PATIENCE => {
                log::info!("a message is given back to its sender: {error}");
                return false;
            }
            Err(_) => thread::sleep(Duration::from_millis(200)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(target: &str) -> std::result::Result<Visit, &'static str> {
        let head = format!("GET {target} HTTP/1.1\r\nHost: chat\r\n\r\n");
        Visit::parse(&Request::parse(head.as_bytes()).unwrap())
    }

    #[test]
    fn a_url_says_who_comes_where_and_from_which_position() {
        let visit = parse("/chat/garden?name=ann&key=k1&epoch=e&offset=7").unwrap();
        let position = Some(Position { epoch: "e".into(), offset: 7 });
        let right = Visit { room: 1, name: "ann".into(), key: "k1".into(), position };
        assert_eq!(visit, right);
        assert_eq!(parse("/chat/tea?name=ann&key=k").unwrap().position, None);
    }

    #[test]
    fn a_url_with_half_a_position_or_a_strange_name_is_refused() {
        assert!(parse("/chat/cellar?name=ann&key=k").is_err());
        assert!(parse("/chat/tea?name=a%0Ab&key=k").is_err());
        assert!(parse("/chat/tea?name=ann").is_err());
        assert!(parse("/chat/tea?name=ann&key=k&epoch=e").is_err());
        assert!(parse("/chat/tea?name=ann&key=k&offset=7").is_err());
        assert!(parse("/chat/tea?name=ann&key=k&epoch=e&offset=-1").is_err());
    }
}
