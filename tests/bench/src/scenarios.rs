//! The scenarios that are measured. Each is one row in every table.
//!
//! "k in flight" means that a connection keeps k messages unanswered: for each answer it sends a
//! new message, and all that are due in one write. A new kind of load becomes a `Kind`, with its
//! own file in `load`.

use crate::servers::Mode;

pub struct Scenario {
    pub name: &'static str,
    pub title: &'static str,
    pub kind: Kind,
}

pub enum Kind {
    /// One connection that waits for each answer, server and load on one core: what a message costs
    /// both together.
    PingPong { payload: Payload },
    /// Many connections without a pause.
    Echo { connections: usize, in_flight: usize, payload: Payload },
    /// One member speaks; once all have its message, it speaks again.
    Broadcast { members: usize, payload: Payload },
    /// Messages compressed, both ways.
    Deflate { connections: usize, payload: Payload },
    /// Messages over TLS.
    Tls { connections: usize, payload: Payload },
    /// Connections that all rest, then all send a batch at once.
    Bursts { connections: usize, batch: usize, payload: Payload },
    /// As `Echo` with one in flight, but each connection has a thread of its own that masks and
    /// writes a message piece by piece, and reads once all is written.
    Pieces { connections: usize, piece: usize, payload: Payload },
    /// Clients that connect, upgrade, send some messages, one after the other, and close as they
    /// should; over and over.
    Conversations { clients: usize, messages: usize, payload: Payload },
    /// Connections that have echoed one message and then hold still.
    Idle,
}

#[derive(Clone, Copy)]
pub enum Payload {
    /// Bytes without a pattern, as a binary message.
    Binary(usize),
    /// Characters of two, three and four bytes, as a text message.
    Text(usize),
    /// What programs tell each other, as a text message.
    Json(usize),
}

/// Stages of the idle scenario: so many connections are held when memory is read.
pub const HELD: [usize; 2] = [5_000, 10_000];

const KIB: usize = 1024;

pub const ALL: &[Scenario] = &[
    Scenario {
        name: "a0",
        title: "1 connection, 32 B, ping-pong, both on one core",
        kind: Kind::PingPong { payload: Payload::Binary(32) },
    },
    Scenario {
        name: "b",
        title: "64 connections, 32 B",
        kind: Kind::Echo { connections: 64, in_flight: 1, payload: Payload::Binary(32) },
    },
    Scenario {
        name: "c",
        title: "512 connections, 125 B",
        kind: Kind::Echo { connections: 512, in_flight: 1, payload: Payload::Binary(125) },
    },
    Scenario {
        name: "d",
        title: "16 connections, 64 in flight, 32 B",
        kind: Kind::Echo { connections: 16, in_flight: 64, payload: Payload::Binary(32) },
    },
    Scenario {
        name: "e",
        title: "16 connections, 16 in flight, 1 KiB",
        kind: Kind::Echo { connections: 16, in_flight: 16, payload: Payload::Binary(KIB) },
    },
    Scenario {
        name: "f",
        title: "4 connections, 2 in flight, 64 KiB",
        kind: Kind::Echo { connections: 4, in_flight: 2, payload: Payload::Binary(64 * KIB) },
    },
    Scenario {
        name: "g",
        title: "2 connections, 1 MiB",
        kind: Kind::Echo { connections: 2, in_flight: 1, payload: Payload::Binary(KIB * KIB) },
    },
    Scenario {
        name: "h",
        title: "8 connections, 4 in flight, 16 KiB of non-ASCII text",
        kind: Kind::Echo { connections: 8, in_flight: 4, payload: Payload::Text(16 * KIB) },
    },
    Scenario {
        name: "i",
        title: "32 clients: open, and close as they should",
        kind: Kind::Conversations { clients: 32, messages: 0, payload: Payload::Json(256) },
    },
    Scenario { name: "j", title: "idle connections held", kind: Kind::Idle },
    Scenario {
        name: "k",
        title: "broadcast of 125 B to 1,000 connections",
        kind: Kind::Broadcast { members: 1_000, payload: Payload::Binary(125) },
    },
    Scenario {
        name: "l",
        title: "16 connections, 2 KiB of JSON, compressed",
        kind: Kind::Deflate { connections: 16, payload: Payload::Json(2 * KIB) },
    },
    Scenario {
        name: "m",
        title: "16 connections, 1 KiB, TLS",
        kind: Kind::Tls { connections: 16, payload: Payload::Binary(KIB) },
    },
    Scenario {
        name: "o",
        title: "32 clients: open, 10 texts there and back, close",
        kind: Kind::Conversations { clients: 32, messages: 10, payload: Payload::Json(256) },
    },
    Scenario {
        name: "p",
        title: "64 connections, bursts of 16 messages of 1 KiB on each",
        kind: Kind::Bursts { connections: 64, batch: 16, payload: Payload::Binary(KIB) },
    },
    Scenario {
        name: "q",
        title: "2 connections, 1 MiB, masked and sent 64 KiB at a time",
        kind: Kind::Pieces { connections: 2, piece: 64 * KIB, payload: Payload::Binary(KIB * KIB) },
    },
    growth("n1", "1 connection, 32 B", 1),
    growth("n4", "4 connections, 32 B", 4),
    growth("n16", "16 connections, 32 B", 16),
    growth("n64", "64 connections, 32 B", 64),
    growth("n256", "256 connections, 32 B", 256),
    growth("n1024", "1,024 connections, 32 B", 1024),
    growth("n4096", "4,096 connections, 32 B", 4096),
];

const fn growth(name: &'static str, title: &'static str, connections: usize) -> Scenario {
    let kind = Kind::Echo { connections, in_flight: 1, payload: Payload::Binary(32) };
    Scenario { name, title, kind }
}

impl Scenario {
    /// By its name, or by the letter of it: `n` is all of `n1` to `n4096`.
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || self.name.trim_end_matches(|c: char| c.is_ascii_digit()) == name
    }

    /// Whether checking text is most of its work.
    pub fn is_about_utf8(&self) -> bool {
        matches!(self.kind, Kind::Echo { payload: Payload::Text(_), .. })
    }

    /// What it asks a server to do.
    pub fn mode(&self) -> Mode {
        match self.kind {
            Kind::Broadcast { .. } => Mode::Broadcast,
            Kind::Deflate { .. } => Mode::Deflate,
            Kind::Tls { .. } => Mode::Tls,
            _ => Mode::Echo,
        }
    }
}

/// The scenarios that differ in nothing but the number of connections, and that number.
pub fn of_growth() -> impl Iterator<Item = (&'static Scenario, usize)> {
    ALL.iter().filter(|scenario| scenario.is_called("n")).filter_map(|scenario| {
        match scenario.kind {
            Kind::Echo { connections, .. } => Some((scenario, connections)),
            _ => None,
        }
    })
}
