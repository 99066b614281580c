//! A queue in front of a peer that may be slow: whoever sends never waits.
//!
//! ```text
//! try_send ─► [ at most `bound` messages ] ─► a thread ─► link ─► peer
//!     └─ full: the peer is too slow, says the answer; the caller decides what becomes of it
//! ```
//!
//! For broadcasts: a slow member neither delays the others nor grows without bound. The thread takes
//! all that waits at once, and sends it in one write.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use super::link::{Link, lock};
use super::stream::Deadline;
use crate::error::{Error, Result};
use crate::protocol::message::AsMessage;
use crate::protocol::prepared::Prepared;

/// The handle of a queue. Clones share it.
#[derive(Clone)]
pub struct Outbox {
    queue: Arc<Queue>,
    link: Arc<Link>,
}

/// What the handles and the thread share.
pub(crate) struct Queue {
    bound: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Prepared>,
    /// Taken out, and being written.
    in_hand: usize,
    /// No more are taken; the thread ends when it has sent what waits.
    closed: bool,
    /// The thread has ended.
    ended: bool,
}

impl Outbox {
    pub(crate) fn new(link: &Arc<Link>, bound: usize) -> Result<Outbox> {
        let queue = Arc::new(Queue { bound, state: Mutex::default(), changed: Condvar::new() });
        let outbox = Outbox { queue: queue.clone(), link: link.clone() };
        let of_thread = outbox.clone();
        thread::Builder::new()
            .name(format!("outbox {}", link.id))
            .stack_size(128 * 1024)
            .spawn(move || of_thread.queue.send_all(&of_thread.link))?;
        link.add_outbox(queue);
        Ok(outbox)
    }

    /// Puts a message into the queue and returns at once. [`Error::TooSlow`]: it is full, and this
    /// message will not be sent. [`Error::Closed`]: the connection has ended.
    pub fn try_send(&self, message: &Prepared) -> Result<()> {
        let mut state = lock(&self.queue.state);
        if state.closed || state.ended {
            return Err(Error::Closed);
        }
        if state.waiting.len() + state.in_hand >= self.queue.bound {
            return Err(Error::TooSlow);
        }
        state.waiting.push_back(message.clone());
        self.queue.changed.notify_all();
        Ok(())
    }

    /// Ends the connection on the spot: for a peer that is too slow, and could not be told anyhow.
    pub fn cut(&self) {
        self.link.cut();
    }
}

impl Queue {
    /// The thread's work: until the queue is closed and empty, or the peer is gone.
    fn send_all(&self, link: &Link) {
        let mut sent = Ok(());
        while sent.is_ok() {
            let Some(messages) = self.take() else { break };
            sent = messages.iter().try_for_each(|message| {
                link.feed(|outgoing| outgoing.message(message.as_message()))
            });
            sent = sent.and_then(|()| link.send(|_| Ok(&[])));
        }
        let mut state = lock(&self.state);
        (state.waiting, state.in_hand, state.ended) = (VecDeque::new(), 0, true);
        self.changed.notify_all();
    }

    /// Waits for messages, and takes all of them. `None`: there will be no more.
    fn take(&self) -> Option<VecDeque<Prepared>> {
        let mut state = lock(&self.state);
        state.in_hand = 0;
        while state.waiting.is_empty() && !state.closed {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.in_hand = state.waiting.len();
        Some(std::mem::take(&mut state.waiting)).filter(|messages| !messages.is_empty())
    }

    /// Takes no more, and waits until what is in the queue is sent.
    pub(crate) fn finish(&self, deadline: Deadline) {
        let mut state = lock(&self.state);
        state.closed = true;
        self.changed.notify_all();
        while let (false, Ok(patience)) = (state.ended, deadline.remaining()) {
            let waited = self.changed.wait_timeout(state, patience);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
