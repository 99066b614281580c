//! A stream in the model, with the library's end and the peer's. Bytes cross it in any number of
//! pieces, and other threads may run before each piece.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::net::Shutdown;
use std::sync::Arc;

use crate::Stream;
use crate::model::sync::{Condvar, Mutex};
use crate::model::thread::panicking;
use crate::model::time::{Duration, pass};

#[derive(Default)]
pub struct Wire {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// What the peer has said, and we have not read.
    coming: VecDeque<u8>,
    said: Vec<u8>,
    /// Nothing more can be read, or written.
    no_more_in: bool,
    no_more_out: bool,
    /// The peer takes nothing.
    stuck: bool,
    /// So many reads wait longer than they may.
    long_waits: usize,
    /// How long a read may wait, and a write.
    patience: Duration,
    patience_out: Duration,
    /// Nobody has our end any more.
    let_go: bool,
}

/// A frame that we have said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub first: u8,
    pub payload: Vec<u8>,
}

pub const PING: u8 = 0x89;
pub const PONG: u8 = 0x8a;
pub const CLOSE: u8 = 0x88;

/// The peer's end.
impl Wire {
    /// Says a frame, with a mask that changes nothing.
    pub fn say(&self, first: u8, payload: &[u8]) {
        self.change(|state| {
            state.coming.extend([first, 0x80 | payload.len() as u8, 0, 0, 0, 0]);
            state.coming.extend(payload);
        });
    }

    /// Says its Close, and ends once we have: as a client should.
    pub fn close_and_end(&self) {
        self.say(CLOSE, &1000_u16.to_be_bytes());
        self.wait(|state| state.no_more_out);
        self.end();
    }

    pub fn end(&self) {
        self.change(|state| state.no_more_in = true);
    }

    pub fn take_nothing(&self) {
        self.change(|state| state.stuck = true);
    }

    /// Some read will have waited too long.
    pub fn let_time_pass(&self) {
        self.change(|state| state.long_waits += 1);
    }

    /// Waits until we have said this.
    pub fn wait_for(&self, first: u8, payload: &[u8]) {
        let frame = Frame { first, payload: payload.into() };
        self.wait(|state| frames(&state.said).0.contains(&frame));
    }

    pub fn wait_for_close(&self) {
        self.wait(|state| frames(&state.said).0.iter().any(|frame| frame.first == CLOSE));
    }

    /// Waits until nobody has our end: no thread is left that waits for anything.
    pub fn wait_until_let_go(&self) {
        self.wait(|state| state.let_go);
    }

    /// All that we have said. It must be whole frames, of which none is behind a Close, and none of
    /// another message between the fragments of one. Messages here repeat one letter.
    pub fn heard(&self) -> Vec<Frame> {
        let (heard, rest) = frames(&self.state.lock().unwrap().said);
        assert_eq!(rest, [], "a frame was cut, behind {heard:?}");
        let close = heard.iter().position(|frame| frame.first == CLOSE);
        assert!(
            close.is_none_or(|at| at + 1 == heard.len()),
            "something is behind a Close: {heard:?}"
        );
        let mut open = None;
        for Frame { first, payload } in &heard {
            let letter = payload.first().copied();
            match (first & 0x0f, open) {
                (0, Some(begun)) => assert!(letter.is_none() || letter == begun, "{heard:?}"),
                (1 | 2, None) => {}
                (8.., _) => continue,
                _ => panic!("two messages are mixed: {heard:?}"),
            }
            assert!(payload.iter().all(|byte| Some(*byte) == letter), "{heard:?}");
            open = if first & 0x80 == 0 { open.or(Some(letter)) } else { None };
        }
        heard
    }

    /// Of those frames, the messages of this letter.
    pub fn messages_of(&self, letter: u8) -> usize {
        let is_one = |frame: &&Frame| frame.first & 0x8f == 0x81 && frame.payload[0] == letter;
        self.heard().iter().filter(is_one).count()
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
        self.changed.notify_all();
    }

    fn wait(&self, until: impl Fn(&State) -> bool) {
        let mut state = self.state.lock().unwrap();
        while !until(&state) {
            state = self.changed.wait(state).unwrap();
        }
    }
}

/// Whole frames without masks, and what is behind them.
fn frames(mut bytes: &[u8]) -> (Vec<Frame>, Vec<u8>) {
    let mut found = Vec::new();
    while let [first, length, rest @ ..] = bytes {
        // Frames here are short, or long enough for eight bytes of length.
        let split = match (length, rest.split_first_chunk()) {
            (127, Some((long, rest))) => rest.split_at_checked(u64::from_be_bytes(*long) as usize),
            (0..=125, _) => rest.split_at_checked(usize::from(*length)),
            _ => None,
        };
        let Some((payload, rest)) = split else { break };
        found.push(Frame { first: *first, payload: payload.into() });
        bytes = rest;
    }
    (found, bytes.into())
}

/// The library's end.
pub struct OurEnd(pub Arc<Wire>);

impl Stream for OurEnd {
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        let Wire { state, changed } = &*self.0;
        let mut state = state.lock().unwrap();
        loop {
            if !state.coming.is_empty() {
                let count = into.len().min(state.coming.len());
                for (place, byte) in into.iter_mut().zip(state.coming.drain(..count)) {
                    *place = byte;
                }
                return Ok(count);
            }
            if state.no_more_in {
                return Ok(0);
            }
            if state.long_waits > 0 {
                state.long_waits -= 1;
                pass(state.patience);
                return Err(ErrorKind::WouldBlock.into());
            }
            state = changed.wait(state).unwrap();
        }
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let Wire { state, changed } = &*self.0;
        let mut state = state.lock().unwrap();
        while state.stuck && !state.no_more_out {
            // A short wait is waited out. A long one goes on until somebody ends it.
            if state.patience_out < Duration::from_secs(1) {
                pass(state.patience_out);
                return Err(ErrorKind::WouldBlock.into());
            }
            state = changed.wait(state).unwrap();
        }
        if state.no_more_out {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        // A part at a time, so that a frame takes several calls, but a long one not many.
        let count = bytes.len() - bytes.len().div_euclid(2).min(100);
        state.said.extend_from_slice(&bytes[..count]);
        changed.notify_all();
        Ok(count)
    }

    fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.0.change(|state| state.patience = timeout);
        Ok(())
    }

    fn set_write_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.0.change(|state| state.patience_out = timeout);
        Ok(())
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.0.change(|state| {
            state.no_more_in |= how != Shutdown::Write;
            state.no_more_out |= how != Shutdown::Read;
        });
        Ok(())
    }
}

impl Drop for OurEnd {
    fn drop(&mut self) {
        if !panicking() {
            self.0.change(|state| state.let_go = true);
        }
    }
}
