//! A whole conversation: both directions, from the request to the last Close.
//!
//! ```text
//! client ── request ──► frames            each direction is told by itself; only the answer needs
//! server ── response ─► frames            the request, and decides what follows in both
//! ```

use super::account::{Account, What, run};
use super::frames::Frames;
use super::heads::{Arriving, Follows, Terms, request, response};
use crate::protocol::frame::Role;
use crate::protocol::request::Request;

/// Both directions.
#[derive(Debug)]
pub struct Conversation {
    terms: Terms,
    client: Half,
    server: Half,
    asked: Option<Request>,
}

/// One direction.
#[derive(Debug)]
struct Half {
    passed: u64,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Head(Arriving),
    Frames(Box<Frames>),
    Body,
    Ended,
}

impl Conversation {
    /// A conversation of which nothing has been said, judged by these terms.
    pub fn new(terms: Terms) -> Conversation {
        let half = || Half { passed: 0, stage: Stage::Head(Arriving::new(&terms)) };
        Conversation { client: half(), server: half(), asked: None, terms }
    }

    /// Takes the next bytes of one end, and tells what they are.
    pub fn push(&mut self, from: Role, mut bytes: &[u8], tell: &mut dyn FnMut(Account)) {
        while !bytes.is_empty() {
            let half = self.half(from);
            let count = match &mut half.stage {
                Stage::Head(arriving) => {
                    let (count, end) = arriving.push(bytes);
                    if end.is_some() {
                        let bytes = arriving.bytes().to_vec();
                        self.head_ends(from, &bytes, end, tell);
                    }
                    count
                }
                Stage::Frames(frames) => {
                    frames.push(bytes, tell);
                    bytes.len()
                }
                Stage::Body | Stage::Ended => {
                    let what =
                        if matches!(half.stage, Stage::Body) { What::Body } else { What::Unread };
                    tell(run(from, what, half.passed, bytes));
                    bytes.len()
                }
            };
            self.half(from).passed += count as u64;
            bytes = &bytes[count..];
        }
    }

    /// One end will say no more: tells what it has left unfinished.
    pub fn end(&mut self, from: Role, tell: &mut dyn FnMut(Account)) {
        match &mut self.half(from).stage {
            Stage::Head(arriving) => {
                let bytes = arriving.bytes().to_vec();
                if !bytes.is_empty() {
                    self.head_ends(from, &bytes, None, tell);
                }
            }
            Stage::Frames(frames) => frames.end(tell),
            Stage::Body | Stage::Ended => {}
        }
        self.half(from).stage = Stage::Ended;
    }

    fn half(&mut self, from: Role) -> &mut Half {
        match from {
            Role::Client => &mut self.client,
            Role::Server => &mut self.server,
        }
    }

    fn head_ends(
        &mut self,
        from: Role,
        bytes: &[u8],
        end: Option<super::heads::End>,
        tell: &mut dyn FnMut(Account),
    ) {
        let length = bytes.len() as u64;
        let bounds = self.terms.bounds;
        match from {
            Role::Client => {
                let (account, asked) = request(bytes, end, &self.terms.rules);
                let frames = asked.as_ref().is_some_and(|r| r.head().lists("Upgrade", "websocket"));
                let begun = asked.is_some();
                self.asked = asked;
                // The server has the last word. Until then: frames, if they were asked for.
                self.client.stage = match (begun, frames) {
                    (true, true) => {
                        Stage::Frames(Box::new(Frames::new(Role::Client, length, bounds, false)))
                    }
                    (true, false) => Stage::Body,
                    (false, _) => Stage::Ended,
                };
                tell(account);
            }
            Role::Server => {
                let (account, follows) = response(bytes, end, self.asked.as_ref());
                match follows {
                    Follows::Body => {
                        self.server.stage = Stage::Body;
                        self.client.stage = Stage::Body;
                    }
                    Follows::Frames { rsv1_has_meaning } => {
                        let start = self.client.passed;
                        let frames = |from, start| {
                            Box::new(Frames::new(from, start, bounds, rsv1_has_meaning))
                        };
                        self.server.stage = Stage::Frames(frames(Role::Server, length));
                        // A client that waited for the answer, as it must, has sent no frame so far.
                        if !matches!(self.client.stage, Stage::Frames(_)) || rsv1_has_meaning {
                            self.client.stage = Stage::Frames(frames(Role::Client, start));
                        }
                    }
                }
                tell(account);
            }
        }
    }
}

/// A head as it would be the first of a conversation, with what follows it.
pub fn explain_request(bytes: &[u8], terms: &Terms) -> Vec<Account> {
    let mut conversation = Conversation::new(terms.clone());
    all(|tell| {
        conversation.push(Role::Client, bytes, tell);
        conversation.end(Role::Client, tell);
    })
}

/// An answer to a request, with what follows it.
pub fn explain_response(bytes: &[u8], asked: &[u8], terms: &Terms) -> Vec<Account> {
    let mut conversation = Conversation::new(terms.clone());
    conversation.push(Role::Client, asked, &mut |_| {});
    all(|tell| {
        conversation.push(Role::Server, bytes, tell);
        conversation.end(Role::Server, tell);
    })
}

/// Frames that one end sends, the last of them perhaps cut.
pub fn explain_frames(bytes: &[u8], from: Role, terms: &Terms) -> Vec<Account> {
    let mut frames = Frames::new(from, 0, terms.bounds, false);
    all(|tell| {
        frames.push(bytes, tell);
        frames.end(tell);
    })
}

fn all(mut explain: impl FnMut(&mut dyn FnMut(Account))) -> Vec<Account> {
    let mut accounts = Vec::new();
    explain(&mut |account| accounts.push(account));
    accounts
}
