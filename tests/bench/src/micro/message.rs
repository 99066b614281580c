//! A message through the library, without a socket: what it adds to the kernel's work in d, e and f.
//!
//! Beside it the least that the same can take as long as a message is memory of its own, and several
//! threads may send: nothing is checked, and where a frame begins and ends is known beforehand.

use std::hint::black_box;
use std::sync::{Mutex, PoisonError};

use ws101::frames::assembler::Bounds;
use ws101::frames::buffer::Buffer;
use ws101::frames::decoder::{Decoder, Event};
use ws101::frames::encoder::Encoder;
use ws101::frames::header::{Header, Opcode, Role};
use ws101::frames::mask;

use super::Case;
use crate::Result;

const KEY: mask::Key = [0x37, 0xfa, 0x21, 0x3d];
const BOUNDS: Bounds = Bounds { max_message: 64 * 1024, max_fragments: 1 };

pub fn cases() -> Result<Vec<Case>> {
    let case = |(messages, length): (usize, usize)| {
        let plural = if messages == 1 { "" } else { "s" };
        let title = format!("{messages} message{plural} of {length} B");
        Case::new(title, Echo::new(messages, length), Echo::ours, Echo::least)
    };
    [(1, 32), (64, 32), (16, 1024), (2, 64 * 1024)].into_iter().map(case).collect()
}

/// What a client sends at once, and the end of a connection that answers with the same.
struct Echo {
    wire: Vec<u8>,
    messages: usize,
    length: usize,
    incoming: Decoder,
    outgoing: Mutex<Encoder>,
    /// What `least` has in place of them.
    buffer: Vec<u8>,
    batch: Mutex<Vec<u8>>,
    /// The answer. A copy of the batch, as that of the wire, stands for the kernel's.
    written: Vec<u8>,
}

impl Echo {
    fn new(messages: usize, length: usize) -> Echo {
        let mut frame = Vec::new();
        header(Some(KEY), length).write(&mut frame);
        let start = frame.len();
        frame.extend((0..length).map(|i| i as u8));
        mask::apply(KEY, 0, &mut frame[start..]);
        Echo {
            wire: frame.repeat(messages),
            messages,
            length,
            incoming: Decoder::new(Role::Server, BOUNDS, Buffer::default()),
            outgoing: Mutex::new(Encoder::new(None)),
            buffer: Vec::new(),
            batch: Mutex::default(),
            written: Vec::new(),
        }
    }

    fn ours(&mut self) {
        let mut rest = &self.wire[..];
        while !rest.is_empty() {
            let space = self.incoming.space();
            let (come, later) = rest.split_at(space.len().min(rest.len()));
            space[..come.len()].copy_from_slice(come);
            self.incoming.filled(come.len());
            rest = later;
            while let Ok(Some(Event::Message(message))) = self.incoming.next_event() {
                let mut outgoing = self.outgoing.lock().unwrap_or_else(PoisonError::into_inner);
                let _ = outgoing.owned_message(message);
            }
        }
        let outgoing = self.outgoing.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.written.clear();
        outgoing.batch().for_each_slice(|slice| self.written.extend_from_slice(slice));
        outgoing.clear_batch();
    }

    fn least(&mut self) {
        self.buffer.clear();
        self.buffer.extend_from_slice(&self.wire);
        for frame in self.buffer.chunks_exact_mut(self.wire.len() / self.messages) {
            let payload = frame.len() - self.length;
            mask::apply(KEY, 0, &mut frame[payload..]);
            let message = black_box(frame[payload..].to_vec());
            let mut batch = self.batch.lock().unwrap_or_else(PoisonError::into_inner);
            header(None, message.len()).write(&mut batch);
            batch.extend_from_slice(&message);
        }
        let batch = self.batch.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.written.clear();
        self.written.extend_from_slice(batch);
        batch.clear();
    }
}

fn header(mask: Option<mask::Key>, length: usize) -> Header {
    Header { fin: true, rsv1: false, opcode: Opcode::Binary, mask, length: length as u64 }
}

/// A new connection, of which nothing has been asked.
impl Clone for Echo {
    fn clone(&self) -> Echo {
        Echo::new(self.messages, self.length)
    }
}

/// Two that have given the same answer.
impl PartialEq for Echo {
    fn eq(&self, other: &Echo) -> bool {
        self.written == other.written
    }
}
