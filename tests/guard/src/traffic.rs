//! Sends messages over a wire in memory, and computes what each message costs.
//!
//! A connection runs twice, with a few batches and with many more. All costs that don't belong to a
//! message (the handshake, growing buffers, the Close) are the same in both runs, so the difference is
//! the cost of the messages.

use std::fmt;
use std::sync::Arc;

use ws101::{PreparedMessage, Server, WebSocket};

use crate::Result;
use crate::counters::counted;
use crate::fixtures::{BINARY, PING, PONG, REQUEST, TEXT, masked, plain};
use crate::wire::{Batch, Calls, Wire};

pub struct Traffic {
    pub does: Does,
    pub in_flight: usize,
    /// Bytes of payload.
    pub size: usize,
    pub text: bool,
}

/// What the server does about it.
#[derive(Clone, Copy, PartialEq)]
pub enum Does {
    /// Answers with `feed`.
    Feed,
    /// Answers with `send`.
    Send,
    /// Answers pings.
    Pong,
    /// Sends a prepared message without being asked.
    Broadcast,
    /// Opens the connection, and sees it closed.
    Nothing,
}

/// In the order of the bounds.
pub const COUNTS: [&str; 5] =
    ["reads", "writes", "other calls", "allocations", "bytes copied for each of payload"];

/// Enough for all that grows to have grown.
const FEW: u64 = 50;
const MANY: u64 = 250;

impl Traffic {
    /// What a message costs, in the order of `COUNTS`.
    pub fn cost(&self) -> Result<[f64; 5]> {
        if self.does == Does::Nothing {
            return Ok(self.run(0)?.for_each(1.0, REQUEST.len()));
        }
        let (few, many) = (self.run(FEW)?, self.run(MANY)?);
        let messages = (MANY - FEW) * self.in_flight as u64;
        Ok(many.minus(&few).for_each(messages as f64, self.size))
    }

    /// A connection over which so many batches pass, on this thread.
    fn run(&self, batches: u64) -> Result<Cost> {
        let wire = Arc::new(Wire::new(self.batch(), batches));
        let message = PreparedMessage::new(self.payload(0));
        let before = counted();
        let ws = Server::without_listener().accept(wire.clone())?;
        self.converse(ws, &message, batches)?;
        let counted = counted() - before;
        let Calls { reads, writes, others } = wire.calls();
        Ok(Cost([reads, writes, others, counted.allocations, counted.copied]))
    }

    fn converse(&self, mut ws: WebSocket, prepared: &PreparedMessage, batches: u64) -> Result<()> {
        if self.does == Does::Broadcast {
            let sender = ws.sender();
            for _ in 0..batches {
                sender.send(prepared)?;
            }
        }
        while let Some(message) = ws.recv()? {
            match self.does {
                Does::Feed => ws.feed(message)?,
                _ => ws.send(message)?,
            }
        }
        Ok(())
    }

    fn batch(&self) -> Batch {
        let (mut requests, mut replies) = (Vec::new(), Vec::new());
        let first = if self.text { TEXT } else { BINARY };
        for index in 0..self.in_flight {
            let payload = self.payload(index);
            let payload = payload.as_bytes();
            match self.does {
                Does::Pong => {
                    requests.extend(masked(PING, payload));
                    replies.extend(plain(PONG, payload));
                }
                Does::Broadcast => replies.extend(plain(first, payload)),
                _ => {
                    requests.extend(masked(first, payload));
                    replies.extend(plain(first, payload));
                }
            }
        }
        Batch { requests, replies }
    }

    /// A text of this size, different for each index, that isn't all ASCII.
    fn payload(&self, index: usize) -> String {
        let mut text = String::new();
        for character in "Grüße auf dem Draht, 一つの糸 🦀 ".chars().cycle().skip(index) {
            if text.len() + character.len_utf8() > self.size {
                break;
            }
            text.push(character);
        }
        text.extend(std::iter::repeat_n('.', self.size - text.len()));
        text
    }
}

/// What was counted, in the order of `COUNTS`.
struct Cost([u64; 5]);

impl Cost {
    fn minus(&self, other: &Cost) -> Cost {
        Cost(std::array::from_fn(|i| self.0[i] - other.0[i]))
    }

    fn for_each(&self, messages: f64, size: usize) -> [f64; 5] {
        let mut each = self.0.map(|count| count as f64 / messages);
        each[4] /= size as f64;
        each
    }
}

impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Traffic { does, in_flight, size, text } = self;
        let does = match does {
            Does::Feed => "feed",
            Does::Send => "send",
            Does::Pong => "pong",
            Does::Broadcast => "broadcast",
            Does::Nothing => return f.write_str("a connection opened and closed"),
        };
        let size = if *size < 1024 { format!("{size} B") } else { format!("{} KiB", size / 1024) };
        write!(f, "{does}, {in_flight} × {size}{}", if *text { " of text" } else { "" })
    }
}
