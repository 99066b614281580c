//! A whole conversation: both directions, from the request to the last Close.
//!
//! ```text
//! client ── request ──────────────────► frames   each direction is told by itself; only the answer
//! server ── (interim) ─► response ────► frames   needs the request, and decides what follows in both
//! ```

use super::annotation::{Annotation, What, run};
use super::frames::Frames;
use super::heads::{Arriving, End, Follows, Settings, request, response};
use crate::frames::header::Role;
use crate::http::request::Request;

/// Both directions.
#[derive(Debug)]
pub struct Conversation {
    terms: Settings,
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
    pub fn new(terms: Settings) -> Conversation {
        let half = || Half { passed: 0, stage: Stage::Head(Arriving::new(&terms, 0)) };
        Conversation { client: half(), server: half(), asked: None, terms }
    }

    /// Takes the next bytes of one end, and tells what they are.
    pub fn push(&mut self, from: Role, mut bytes: &[u8], tell: &mut dyn FnMut(Annotation)) {
        while !bytes.is_empty() {
            let half = self.half(from);
            let count = match &mut half.stage {
                Stage::Head(arriving) => {
                    let (count, end) = arriving.push(bytes);
                    if end.is_some() {
                        let (start, bytes) = (arriving.start(), arriving.bytes().to_vec());
                        self.head_ends(from, start, &bytes, end, tell);
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
    pub fn end(&mut self, from: Role, tell: &mut dyn FnMut(Annotation)) {
        match &mut self.half(from).stage {
            Stage::Head(arriving) => {
                let (start, bytes) = (arriving.start(), arriving.bytes().to_vec());
                if !bytes.is_empty() {
                    self.head_ends(from, start, &bytes, None, tell);
                }
            }
            Stage::Frames(frames) => frames.end(tell),
            Stage::Body | Stage::Ended => {}
        }
        self.half(from).stage = Stage::Ended;
    }

    /// Whether the server has answered, for good: what follows in either direction is decided.
    pub fn is_answered(&self) -> bool {
        !matches!(self.server.stage, Stage::Head(_))
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
        start: u64,
        bytes: &[u8],
        end: Option<End>,
        tell: &mut dyn FnMut(Annotation),
    ) {
        let (behind, bounds) = (start + bytes.len() as u64, self.terms.bounds);
        match from {
            Role::Client => {
                let (annotation, asked) = request(bytes, end, &self.terms.rules);
                let frames = asked.as_ref().is_some_and(|r| r.head().lists("Upgrade", "websocket"));
                let begun = asked.is_some();
                self.asked = asked;
                // The server has the last word. Until then: frames, if they were asked for.
                self.client.stage = match (begun, frames) {
                    (true, true) => {
                        Stage::Frames(Box::new(Frames::new(Role::Client, behind, bounds)))
                    }
                    (true, false) => Stage::Body,
                    (false, _) => Stage::Ended,
                };
                tell(annotation);
            }
            Role::Server => {
                let (annotation, follows) = response(bytes, start, end, self.asked.as_ref());
                tell(annotation);
                self.follow(follows, behind, tell);
            }
        }
    }

    /// The server has answered, which decides what follows in both directions. From byte `start` in
    /// its own; in that of the client something may be under way.
    fn follow(&mut self, follows: Follows, start: u64, tell: &mut dyn FnMut(Annotation)) {
        let bounds = self.terms.bounds;
        match follows {
            Follows::Response => self.server.stage = Stage::Head(Arriving::new(&self.terms, start)),
            Follows::Body => {
                self.server.stage = Stage::Body;
                match &mut self.client.stage {
                    Stage::Head(_) => {}
                    Stage::Frames(frames) => {
                        frames.end(tell);
                        self.client.stage = Stage::Body;
                    }
                    Stage::Body | Stage::Ended => self.client.stage = Stage::Body,
                }
            }
            Follows::Frames(agreed) => {
                let frames = |from, start| {
                    let mut frames = Frames::new(from, start, bounds);
                    agreed.into_iter().for_each(|terms| frames.agree(terms));
                    Stage::Frames(Box::new(frames))
                };
                self.server.stage = frames(Role::Server, start);
                match &mut self.client.stage {
                    Stage::Head(_) => {}
                    Stage::Frames(of_client) => {
                        agreed.into_iter().for_each(|terms| of_client.agree(terms));
                    }
                    Stage::Body | Stage::Ended => {
                        self.client.stage = frames(Role::Client, self.client.passed);
                    }
                }
            }
        }
    }
}

/// A head as it would be the first of a conversation, with what follows it.
pub fn explain_request(bytes: &[u8], terms: &Settings) -> Vec<Annotation> {
    let mut conversation = Conversation::new(terms.clone());
    all(|tell| {
        conversation.push(Role::Client, bytes, tell);
        conversation.end(Role::Client, tell);
    })
}

/// An answer to a request, with what follows it.
pub fn explain_response(bytes: &[u8], asked: &[u8], terms: &Settings) -> Vec<Annotation> {
    let mut conversation = Conversation::new(terms.clone());
    conversation.push(Role::Client, asked, &mut |_| {});
    all(|tell| {
        conversation.push(Role::Server, bytes, tell);
        conversation.end(Role::Server, tell);
    })
}

/// Frames that one end sends, the last of them perhaps cut.
pub fn explain_frames(bytes: &[u8], from: Role, terms: &Settings) -> Vec<Annotation> {
    let mut frames = Frames::new(from, 0, terms.bounds);
    all(|tell| {
        frames.push(bytes, tell);
        frames.end(tell);
    })
}

fn all(mut explain: impl FnMut(&mut dyn FnMut(Annotation))) -> Vec<Annotation> {
    let mut annotations = Vec::new();
    explain(&mut |annotation| annotations.push(annotation));
    annotations
}
