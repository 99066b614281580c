//! A bounded message queue: many threads put messages in and never wait, and one thread takes them
//! out.
//!
//! A full queue refuses a message with `WriteTimeout`, and a closed queue with `Closed`. A message
//! counts towards the bound until it has been sent.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::frames::message::AsMessage;
use crate::frames::prepared::PreparedMessage;
use crate::transport::lock::lock;

/// An outbox's bounded message queue. Several threads put messages in, and the outbox's thread
/// takes them out.
pub(crate) struct Queue {
    bound: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    queued: VecDeque<PreparedMessage>,
    /// The number of messages that the outbox's thread has taken out and not sent yet. They still
    /// count towards the queue's bound.
    being_sent: usize,
    /// The total payload size, in bytes, of the messages in `being_sent`.
    bytes_being_sent: usize,
    /// Whether the queue is closed. A closed queue refuses new messages, but still gives out those
    /// that it holds.
    closed: bool,
    /// Whether the outbox's thread has ended. If so, the connection's list of queues drops this
    /// queue when another queue is added.
    ended: bool,
}

/// How much an [`Outbox`](crate::Outbox) has yet to send, in messages and in bytes.
/// [`Outbox::backlog`](crate::Outbox::backlog) returns this value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// The number of messages that are queued or being sent.
    pub messages: usize,
    /// The total payload size, in bytes and before any compression, of the messages that are queued
    /// or being sent.
    pub bytes: usize,
}

fn total_bytes(messages: &VecDeque<PreparedMessage>) -> usize {
    messages.iter().map(|message| message.as_message().payload.len()).sum()
}

impl Queue {
    pub(crate) fn new(bound: usize) -> Queue {
        Queue { bound, state: Mutex::default(), changed: Condvar::new() }
    }

    // WALK: put
    /// Puts a message into the queue, without waiting. Fails with `WriteTimeout` if the queue is
    /// full, and with `Closed` if the queue is closed.
    pub(crate) fn put(&self, message: PreparedMessage) -> Result<()> {
        let mut state = lock(&self.state);
        if state.closed {
            return Err(Error::Closed);
        }
        if state.queued.len() + state.being_sent >= self.bound {
            return Err(Error::WriteTimeout);
        }
        state.queued.push_back(message);
        self.changed.notify_all();
        Ok(())
    }

    /// Waits until messages are queued, then removes and returns all of them. They count towards
    /// the queue's bound until `note_sent` is called. Returns `None` once the queue is closed and
    /// empty.
    pub(crate) fn wait_and_take_all(&self) -> Option<VecDeque<PreparedMessage>> {
        let mut state = lock(&self.state);
        while state.queued.is_empty() && !state.closed {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.being_sent = state.queued.len();
        state.bytes_being_sent = total_bytes(&state.queued);
        Some(std::mem::take(&mut state.queued)).filter(|messages| !messages.is_empty())
    }

    /// Records that the outbox's thread has sent the messages that it took out. They no longer
    /// count towards the queue's bound.
    pub(crate) fn note_sent(&self) {
        let mut state = lock(&self.state);
        (state.being_sent, state.bytes_being_sent) = (0, 0);
    }

    /// Returns the number of messages that were put into the queue and aren't sent yet, and their
    /// size in bytes.
    pub(crate) fn backlog(&self) -> Backlog {
        let state = lock(&self.state);
        let bytes = total_bytes(&state.queued) + state.bytes_being_sent;
        Backlog { messages: state.queued.len() + state.being_sent, bytes }
    }

    /// Closes the queue and drops its messages, because the outbox's thread is about to end.
    /// Returns the number of unsent messages: those still queued, and those taken out but not
    /// recorded as sent.
    pub(crate) fn abandon(&self) -> usize {
        let ended = State { closed: true, ended: true, ..State::default() };
        let state = std::mem::replace(&mut *lock(&self.state), ended);
        state.queued.len() + state.being_sent
    }

    /// Closes the queue. From now on, `put` fails, but the outbox's thread still sends the queued
    /// messages.
    pub(crate) fn close(&self) {
        lock(&self.state).closed = true;
        self.changed.notify_all();
    }

    fn is_all_sent(&self) -> bool {
        let state = lock(&self.state);
        state.queued.is_empty() && state.being_sent == 0
    }
}

/// The queues of all outboxes of a connection. The write half sends our Close only after the
/// messages in these queues.
#[derive(Default)]
pub(crate) struct OutboxQueues(Mutex<(Vec<Arc<Queue>>, IsClosed)>);

type IsClosed = bool;

impl OutboxQueues {
    /// Adds an outbox's queue, and drops the queues whose threads have ended. If `close` has been
    /// called, this closes the new queue at once.
    pub(crate) fn add(&self, queue: Arc<Queue>) {
        let (queues, is_closed) = &mut *lock(&self.0);
        queues.retain(|other| !lock(&other.state).ended);
        if *is_closed {
            queue.close();
        }
        queues.push(queue);
    }

    /// Closes all queues. From now on, their `put` fails, but the outboxes' threads still send the
    /// queued messages.
    pub(crate) fn close(&self) {
        let (queues, is_closed) = &mut *lock(&self.0);
        if !std::mem::replace(is_closed, true) {
            queues.iter().for_each(|queue| queue.close());
        }
    }

    /// Returns whether all messages in all queues are sent.
    pub(crate) fn are_all_sent(&self) -> bool {
        lock(&self.0).0.iter().all(|queue| queue.is_all_sent())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_counts_until_it_is_sent() {
        let queue = Queue::new(2);
        let put = || queue.put(PreparedMessage::new("a"));
        assert!(put().is_ok() && put().is_ok());
        assert!(matches!(put(), Err(Error::WriteTimeout)));
        assert_eq!(queue.backlog(), Backlog { messages: 2, bytes: 2 });
        assert_eq!(queue.wait_and_take_all().unwrap().len(), 2);
        assert!(matches!(put(), Err(Error::WriteTimeout)));
        assert!(!queue.is_all_sent());
        assert_eq!(queue.backlog(), Backlog { messages: 2, bytes: 2 });
        queue.note_sent();
        assert_eq!(queue.backlog(), Backlog::default());
        assert!(put().is_ok());
        assert_eq!(queue.abandon(), 1);
        assert!(matches!(put(), Err(Error::Closed)));
        assert!(queue.wait_and_take_all().is_none());
    }

    #[test]
    fn all_queues_are_closed_and_those_that_have_ended_are_forgotten() {
        let queues = OutboxQueues::default();
        let added = [1, 2, 3].map(|bound| Arc::new(Queue::new(bound)));
        for queue in &added {
            queues.add(queue.clone());
        }
        added[1].abandon();
        let late = Arc::new(Queue::new(4));
        let put = |queue: &Queue| queue.put(PreparedMessage::new("a"));
        assert!(queues.are_all_sent() && put(&added[0]).is_ok());
        assert!(!queues.are_all_sent());
        queues.close();
        queues.add(late.clone());
        let kept: Vec<_> = lock(&queues.0).0.iter().map(|queue| queue.bound).collect();
        assert_eq!(kept, [1, 3, 4]);
        assert!(added.iter().chain([&late]).all(|queue| matches!(put(queue), Err(Error::Closed))));
        assert_eq!(added[0].wait_and_take_all().unwrap().len(), 1);
        assert!(!queues.are_all_sent());
        added[0].note_sent();
        assert!(queues.are_all_sent());
    }
}
