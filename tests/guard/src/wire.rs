//! A client in memory, at the other end of a [`Stream`]: it keeps a number of messages in flight,
//! checks each answer, and counts the calls of the stream. Nothing depends on the order in which
//! threads run, so the counts are the same in every run.
//!
//! The client sends messages in batches. A read of the server takes as much of the batch as its buffer
//! holds. After the last byte of the last answer, the next batch is ready. After the last batch, the
//! client closes.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ws101::Stream;

use crate::counters::uncounted;
use crate::fixtures::{CLOSE, REQUEST};

/// Calls of a stream: on a socket each is a system call.
#[derive(Clone, Copy, Default)]
pub struct Calls {
    pub reads: u64,
    pub writes: u64,
    /// Timeouts that were set, and ends.
    pub others: u64,
}

/// What is sent at once, and what must come back before the next is sent.
pub struct Batch {
    pub requests: Vec<u8>,
    pub replies: Vec<u8>,
}

pub struct Wire {
    batch: Batch,
    state: Mutex<State>,
}

struct State {
    calls: Calls,
    phase: Phase,
    /// Where in what is sent the next byte to be read lies.
    read: usize,
    /// Where in what must come back the next byte belongs.
    answered: usize,
    /// Batches that are still to come after this one.
    left: u64,
}

#[derive(PartialEq)]
enum Phase {
    Request,
    Batches,
    Close,
}

impl Wire {
    /// A client that will send so many batches.
    pub fn new(batch: Batch, batches: u64) -> Wire {
        let state = State {
            calls: Calls::default(),
            phase: Phase::Request,
            read: 0,
            answered: 0,
            left: batches,
        };
        Wire { batch, state: Mutex::new(state) }
    }

    pub fn calls(&self) -> Calls {
        self.state().calls
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Gives the next bytes of what is there.
    fn give(&mut self, batch: &Batch, into: &mut [u8]) -> usize {
        let there = match self.phase {
            Phase::Request => REQUEST,
            Phase::Batches => &batch.requests,
            Phase::Close => CLOSE,
        };
        let rest = &there[self.read..];
        // On a socket it would wait for ever: answers are owed, and nobody will send more before.
        let owes = rest.is_empty() && self.phase == Phase::Batches;
        assert!(!owes, "it reads on, and has not answered all that came");
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        self.read += count;
        count
    }

    /// Checks the next bytes of the answers.
    fn take(&mut self, batch: &Batch, bytes: &[u8]) {
        match self.phase {
            // The library's own tests check what it says; here it is enough that it comes at once.
            Phase::Request => {
                assert!(bytes.starts_with(b"HTTP/1.1 101 ") && bytes.ends_with(b"\r\n\r\n"));
                self.next_batch();
            }
            Phase::Batches => {
                let end = self.answered + bytes.len();
                assert!(
                    batch.replies.get(self.answered..end) == Some(bytes),
                    "an answer is not what was sent"
                );
                self.answered = end;
                if end == batch.replies.len() {
                    self.next_batch();
                }
            }
            Phase::Close => {}
        }
    }

    fn next_batch(&mut self) {
        self.phase = if self.left > 0 { Phase::Batches } else { Phase::Close };
        self.left = self.left.saturating_sub(1);
        (self.read, self.answered) = (0, 0);
    }
}

impl Stream for Wire {
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        uncounted(|| {
            let mut state = self.state();
            state.calls.reads += 1;
            Ok(state.give(&self.batch, into))
        })
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        uncounted(|| {
            let mut state = self.state();
            state.calls.writes += 1;
            for slice in slices.iter().filter(|slice| !slice.is_empty()) {
                state.take(&self.batch, slice);
            }
            Ok(slices.iter().map(|slice| slice.len()).sum())
        })
    }

    fn set_read_timeout(&self, _: Duration) -> io::Result<()> {
        self.state().calls.others += 1;
        Ok(())
    }

    fn set_write_timeout(&self, _: Duration) -> io::Result<()> {
        self.state().calls.others += 1;
        Ok(())
    }

    fn shutdown(&self, _: Shutdown) -> io::Result<()> {
        self.state().calls.others += 1;
        Ok(())
    }
}
