//! A stream that fails in a planned way at a given byte of one direction.

use std::io::{self, ErrorKind, IoSlice};
use std::net::Shutdown;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use ws101::Stream;

use crate::peer::Wire;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A call that takes one byte, and no more.
    One,
    /// A signal came: `EINTR`.
    Interrupted,
    /// A timeout, at once, and in the words of Unix.
    TimedOut,
    /// A timeout after as long as the call was allowed to take, in the words of Windows.
    Late,
    /// The end: a read of nothing, or a write that takes nothing; at this call and all that follow.
    End,
    /// The connection is gone, for both directions.
    Reset,
}

/// Which direction, seen from the side that is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Read,
    Write,
}

use Direction::{Read, Write};

/// What goes wrong behind so many bytes of a direction. No call crosses such a place.
pub type Plan<'a> = &'a [(Direction, usize, Fault)];

/// A stream that keeps to a plan.
pub struct Faulty {
    state: Mutex<State>,
}

struct State {
    wire: Box<dyn Wire>,
    plan: Vec<(Direction, usize, Fault)>,
    passed: [usize; 2],
    /// The same, when we shut down our side.
    passed_by_our_end: Option<[usize; 2]>,
    timeouts: [Duration; 2],
    /// What a direction says from now on.
    forever: [Option<Fault>; 2],
    shut: [bool; 2],
    /// Calls that got nothing done, one after the other.
    idle: usize,
}

impl Faulty {
    pub fn new(wire: impl Wire + 'static, plan: Plan<'_>) -> Arc<Faulty> {
        Arc::new(Faulty {
            state: Mutex::new(State {
                wire: Box::new(wire),
                plan: plan.to_vec(),
                passed: [0; 2],
                passed_by_our_end: None,
                timeouts: [Duration::MAX; 2],
                forever: [None; 2],
                shut: [false; 2],
                idle: 0,
            }),
        })
    }

    /// How many bytes have passed in a direction.
    pub fn passed(&self, direction: Direction) -> usize {
        self.state.lock().unwrap().passed[direction as usize]
    }

    /// How many bytes have passed in a direction before we shut down our side. After that, we read
    /// for only a short time.
    #[cfg(feature = "tls")]
    pub fn passed_by_our_end(&self, direction: Direction) -> usize {
        let state = self.state.lock().unwrap();
        state.passed_by_our_end.expect("we have shut down our side")[direction as usize]
    }

    /// What the peer has heard.
    pub fn heard(&self) -> Vec<u8> {
        self.state.lock().unwrap().wire.heard().to_vec()
    }

    /// Whether the peer has heard that nothing more will come, in a way that it can believe.
    pub fn peer_knows_the_end(&self) -> bool {
        let state = self.state.lock().unwrap();
        state.shut[Write as usize] && state.wire.knows_the_end()
    }

    /// Whether the plan has come to its end.
    pub fn all_went_wrong(&self) -> bool {
        self.state.lock().unwrap().plan.is_empty()
    }
}

impl State {
    /// How many bytes of this call may pass, of so many; or how it fails instead.
    fn judge(&mut self, direction: Direction, count: usize) -> io::Result<usize> {
        let index = direction as usize;
        let planned =
            self.plan.iter().position(|&(d, at, _)| d == direction && at == self.passed[index]);
        let fault = match planned {
            Some(place) => Some(self.plan.remove(place).2),
            None => self.forever[index],
        };
        let ahead =
            self.plan.iter().filter(|&&(d, at, _)| d == direction && at > self.passed[index]);
        let to_next = ahead.map(|&(_, at, _)| at - self.passed[index]).min();
        let count = count.min(to_next.unwrap_or(usize::MAX));
        let judged = self.apply(fault, direction, count);
        // Two timeouts in a row, say, may be planned; a hundred calls for nothing are a hang.
        self.idle = if matches!(judged, Ok(1..)) { 0 } else { self.idle + 1 };
        assert!(self.idle < 100, "it goes on for ever, and nothing comes of it");
        judged
    }

    fn apply(
        &mut self,
        fault: Option<Fault>,
        direction: Direction,
        count: usize,
    ) -> io::Result<usize> {
        let index = direction as usize;
        match fault {
            None => Ok(count),
            Some(Fault::One) => Ok(count.min(1)),
            Some(Fault::Interrupted) => Err(ErrorKind::Interrupted.into()),
            Some(Fault::TimedOut) => Err(ErrorKind::WouldBlock.into()),
            Some(Fault::Late) => {
                thread::sleep(self.timeouts[index]);
                Err(ErrorKind::TimedOut.into())
            }
            Some(fault @ Fault::End) => {
                self.forever[index] = Some(fault);
                Ok(0)
            }
            Some(fault @ Fault::Reset) => {
                self.forever = [Some(fault); 2];
                Err(ErrorKind::ConnectionReset.into())
            }
        }
    }
}

impl Stream for Faulty {
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state.lock().unwrap();
        if state.shut[Read as usize] {
            state.judge(Read, 0)?;
            return Ok(0);
        }
        let available = state.wire.available().min(into.len());
        let count = state.judge(Read, available)?;
        state.wire.take(&mut into[..count]);
        state.passed[Read as usize] += count;
        Ok(count)
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut state = self.state.lock().unwrap();
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        if bytes.is_empty() {
            return Ok(0);
        }
        if state.shut[Write as usize] {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let count = state.judge(Write, bytes.len())?;
        state.wire.hear(&bytes[..count]);
        state.passed[Write as usize] += count;
        Ok(count)
    }

    fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.state.lock().unwrap().timeouts[Read as usize] = timeout;
        Ok(())
    }

    fn set_write_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.state.lock().unwrap().timeouts[Write as usize] = timeout;
        Ok(())
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        if how != Shutdown::Read {
            let passed = state.passed;
            state.passed_by_our_end.get_or_insert(passed);
        }
        state.shut[Read as usize] |= how != Shutdown::Write;
        state.shut[Write as usize] |= how != Shutdown::Read;
        Ok(())
    }
}
