//! The peer, inside the stream: it sends its bytes as soon as it may, and keeps the bytes that it
//! receives.

use std::collections::VecDeque;

use ws101::frames::header::Role;
use ws101::handshake::accept_key;

/// The other end of a stream: bytes that it has for us, and bytes that we have for it.
pub trait Wire: Send {
    /// How many bytes wait to be read. None: the peer has ended.
    fn available(&self) -> usize;
    /// Takes some of them.
    fn take(&mut self, into: &mut [u8]);
    /// The peer gets these.
    fn hear(&mut self, bytes: &[u8]);
    /// All that it has got; behind TLS, what that said.
    fn heard(&self) -> &[u8];
    /// Whether it can believe that nothing more will come: behind TLS the end is signed.
    fn knows_the_end(&self) -> bool;
}

/// What the peer says, and when.
pub struct Script {
    /// Our role; the peer's is the other.
    role: Role,
    deflate: bool,
    frames: Vec<u8>,
    heard: Vec<u8>,
    answered: bool,
}

impl Script {
    /// A peer of this role that sends these frames once there is a WebSocket.
    pub fn new(role: Role, deflate: bool, frames: &[u8]) -> Script {
        Script { role, deflate, frames: frames.into(), heard: Vec::new(), answered: false }
    }

    /// Before it has heard anything. A client asks, and need not wait to send more: that may arrive in
    /// one piece.
    pub fn opening(&self) -> Vec<u8> {
        if self.role == Role::Client {
            return Vec::new();
        }
        let offer = if self.deflate { OFFER } else { "" };
        let head = format!(
            "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{offer}\r\n"
        );
        [head.as_bytes(), &self.frames].concat()
    }

    /// Hears more, and says what it has to answer.
    pub fn hear(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.heard.extend_from_slice(bytes);
        if self.role == Role::Server || self.answered || !self.heard.ends_with(b"\r\n\r\n") {
            return Vec::new();
        }
        self.answered = true;
        let request = String::from_utf8(self.heard.clone()).unwrap();
        let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
        let accept = accept_key::accept(key.unwrap());
        let answer = if self.deflate { OFFER } else { "" };
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n{answer}\r\n"
        );
        [head.as_bytes(), &self.frames].concat()
    }

    pub fn heard(&self) -> &[u8] {
        &self.heard
    }
}

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";

/// A peer without TLS.
pub struct Plain {
    script: Script,
    waiting: VecDeque<u8>,
}

impl Plain {
    pub fn new(script: Script) -> Plain {
        Plain { waiting: script.opening().into(), script }
    }
}

impl Wire for Plain {
    fn available(&self) -> usize {
        self.waiting.len()
    }

    fn take(&mut self, into: &mut [u8]) {
        into.iter_mut().for_each(|byte| *byte = self.waiting.pop_front().unwrap());
    }

    fn hear(&mut self, bytes: &[u8]) {
        self.waiting.extend(self.script.hear(bytes));
    }

    fn heard(&self) -> &[u8] {
        self.script.heard()
    }

    fn knows_the_end(&self) -> bool {
        true
    }
}
