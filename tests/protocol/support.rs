//! Helpers for these tests: frames written as the RFC draws them, a decoder that collects its
//! events, and a random generator with a seed.

use ws101::Diagnostic;
use ws101::frames::assembler::Bounds;
use ws101::frames::buffer::Buffer;
use ws101::frames::close::Close;
use ws101::frames::decoder::{Decoder, Event};
use ws101::frames::header::Role;
use ws101::frames::message::{Message, MessageKind};
use ws101::frames::violation::Violation;

/// The mask of the examples in §5.7.
pub const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

pub const ROLES: [Role; 2] = [Role::Server, Role::Client];

/// Where a test is not about limits.
pub const NO_BOUNDS: Bounds = Bounds { max_message: u64::MAX, max_fragments: u64::MAX };

pub fn peer_of(role: Role) -> Role {
    match role {
        Role::Server => Role::Client,
        Role::Client => Role::Server,
    }
}

/// A frame as `sender` writes it. The head is given as a server's; a client sets its mask bit, puts
/// the key behind it, and masks the payload (§5.3, to the letter).
pub fn frame(sender: Role, head: &[u8], payload: &[u8]) -> Vec<u8> {
    frame_with(sender, KEY, head, payload)
}

pub fn frame_with(sender: Role, key: [u8; 4], head: &[u8], payload: &[u8]) -> Vec<u8> {
    if sender == Role::Server {
        return [head, payload].concat();
    }
    let mut bytes = vec![head[0], head[1] | 0b1000_0000];
    bytes.extend_from_slice(&head[2..]);
    bytes.extend_from_slice(&key);
    bytes.extend(payload.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]));
    bytes
}

/// The head of a server's frame (§5.2).
pub fn head(first: u8, length: usize) -> Vec<u8> {
    match length {
        0..=125 => vec![first, length as u8],
        126..=65_535 => vec![first, 126, (length >> 8) as u8, length as u8],
        _ => [&[first, 127][..], &(length as u64).to_be_bytes()].concat(),
    }
}

pub fn text(text: &str) -> Event {
    Event::Message(Message::Text(text.into()))
}

pub fn binary(bytes: &[u8]) -> Event {
    Event::Message(Message::Binary(bytes.into()))
}

pub fn close(code: u16, reason: &str) -> Event {
    Event::Close(Close { code: code.into(), reason: reason.into() })
}

/// The receiving half at one end, and all that it has heard.
pub struct Listener {
    incoming: Decoder,
    pub events: Vec<Event>,
    pub violation: Option<Violation>,
}

impl Listener {
    pub fn new(role: Role) -> Listener {
        Listener::within(role, NO_BOUNDS)
    }

    pub fn within(role: Role, bounds: Bounds) -> Listener {
        let incoming = Decoder::new(role, bounds, Buffer::default());
        Listener { incoming, events: Vec::new(), violation: None }
    }

    pub fn in_pieces(mut self) -> Listener {
        self.incoming.deliver_pieces(true);
        self
    }

    /// Takes all these bytes as one read, and then whatever events they make.
    pub fn hear(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let space = self.incoming.space();
            let count = space.len().min(bytes.len());
            space[..count].copy_from_slice(&bytes[..count]);
            self.incoming.filled(count);
            bytes = &bytes[count..];
        }
        loop {
            match self.incoming.next_event() {
                Ok(Some(event)) => self.events.push(event),
                Ok(None) => return,
                Err(violation) => {
                    assert_eq!(self.violation, None, "the connection had failed already");
                    self.violation = Some(violation);
                }
            }
        }
    }

    pub fn hear_byte_by_byte(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.hear(&[byte]));
    }

    /// The close code that the peer would be told.
    pub fn failed_with(&self) -> Option<u16> {
        self.violation.map(|violation| violation.close_code().0)
    }

    /// Whether something has begun whose end has not come.
    pub fn is_mid_message(&mut self) -> bool {
        self.incoming.is_mid_message()
    }

    /// A silence: memory that it does not need goes back.
    pub fn idle(&mut self) {
        self.incoming.free_idle_memory();
    }

    /// How many bytes it would take at the next read.
    pub fn room(&mut self) -> usize {
        self.incoming.space().len()
    }
}

/// Puts pieces together to the messages that they are of.
pub fn joined(events: &[Event]) -> Vec<Event> {
    let mut whole = Vec::new();
    let mut so_far: Option<(MessageKind, Vec<u8>)> = None;
    for event in events {
        let Event::Piece { kind, bytes, last } = event else {
            whole.push(event.clone());
            continue;
        };
        let (begun, gathered) = so_far.get_or_insert((*kind, Vec::new()));
        assert_eq!(begun, kind, "a message is of one kind");
        if *kind == MessageKind::Text {
            assert!(str::from_utf8(bytes).is_ok(), "a piece of text has whole characters");
        }
        gathered.extend_from_slice(bytes);
        if *last {
            whole.push(match kind {
                MessageKind::Text => text(str::from_utf8(gathered).unwrap()),
                MessageKind::Binary => binary(gathered),
            });
            so_far = None;
        }
    }
    whole
}

/// The lines of a head, some of them changed: `Name: value` takes the place of all lines of that name
/// (given twice, it stands there twice), and `-Name` leaves them out.
pub fn changed<'a>(lines: &[&'a str], changes: &[&'a str]) -> Vec<&'a str> {
    fn name_of(line: &str) -> &str {
        line.trim_start_matches('-').split(':').next().unwrap()
    }
    let is_changed = |line: &str| {
        changes.iter().any(|change| name_of(change).eq_ignore_ascii_case(name_of(line)))
    };
    let added = changes.iter().filter(|change| !change.starts_with('-'));
    lines.iter().filter(|line| !is_changed(line)).chain(added).copied().collect()
}

/// A head of these lines.
pub fn head_of(first: &str, lines: &[&str]) -> String {
    let lines = lines.iter().map(|line| format!("{line}\r\n"));
    format!("{first}\r\n{}\r\n", lines.collect::<String>())
}

/// Says all that a person needs, on four lines, and nothing that a terminal would obey.
pub fn teaches(shown: &str, diagnostic: &Diagnostic) {
    let Diagnostic { rule, seen, cause, fix } = diagnostic;
    for part in [rule, &seen[..], cause, fix] {
        assert!(!part.is_empty() && shown.contains(part), "{shown}");
    }
    let lines: Vec<_> = shown.lines().collect();
    assert_eq!(lines.len(), 4, "{shown}");
    for (line, title) in lines.iter().zip(["", "  seen: ", "  usual cause: ", "  fix: "]) {
        assert!(line.starts_with(title), "{shown}");
        assert!(!line.contains(|c: char| c.is_control()), "{shown:?}");
    }
}

/// Chance that is the same at every run (xorshift64*).
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Chance {
        Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() >> 32) as usize % end
    }

    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}
