//! A queue for a peer that may be slow: the thread that puts a message in never waits.
//!
//! ```text
//! try_send ─► [ at most `bound` messages ] ─► a thread ─► write half ─► peer
//!     └─ full: the peer is too slow, and `try_send` says so; the caller decides what to do
//! ```
//!
//! Outboxes are made for broadcasts. A slow peer fills only its own queue, which is bounded, and
//! delays no other peer. (Without outboxes, each broadcast would wait for its slowest peer. This is
//! called head-of-line blocking.) An outbox's thread takes all queued messages at once and sends
//! them in as few writes as possible.

use std::fmt;
use std::sync::Arc;

use super::queue::{Backlog, Queue};
use crate::connection::thread_budget::{Purpose, spawn};
use crate::connection::write_half::WriteHalf;
use crate::error::Result;
use crate::frames::message::AsMessage;
use crate::frames::prepared::PreparedMessage;

/// The stack size of an outbox's thread, in bytes.
const STACK: usize = 128 * 1024;

/// A bounded message queue for one peer, with a thread that sends the messages. Clones share the
/// queue. When you drop the last clone, the thread sends the messages still queued, and then ends.
///
/// An `Outbox` doesn't keep the connection open. However, the socket's file descriptor isn't freed
/// until every clone is dropped, so remove an outbox from your list once its connection has ended.
#[derive(Clone)]
pub struct Outbox {
    input: Arc<CloseOnDrop>,
    write_half: Arc<WriteHalf>,
}

/// The queue that all clones of an [`Outbox`] share. Dropping this value closes the queue, so that
/// the outbox's thread ends once it has sent the queued messages.
struct CloseOnDrop(Arc<Queue>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// The queue as the outbox's thread holds it. When the thread ends, this value is dropped, which
/// closes the queue and drops the messages still in it. This also happens if the application's own
/// stream panics in the thread.
struct AbandonOnDrop(Arc<Queue>);

impl Drop for AbandonOnDrop {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

impl Outbox {
    pub(crate) fn new(write_half: &Arc<WriteHalf>, bound: usize) -> Result<Outbox> {
        let queue = Arc::new(Queue::new(bound));
        let (thread_queue, thread_write_half) = (AbandonOnDrop(queue.clone()), write_half.clone());
        let name = format!("outbox {}", write_half.id);
        spawn(Purpose::Outbox, name, STACK, move || {
            send_until_closed(&thread_queue.0, &thread_write_half)
        })?;
        write_half.outboxes.add(queue.clone());
        Ok(Outbox { input: Arc::new(CloseOnDrop(queue)), write_half: write_half.clone() })
    }

    /// Puts a message into the queue and returns at once. Fails with
    /// [`Error::WriteTimeout`](crate::Error::WriteTimeout) if the queue is full, and with
    /// [`Error::Closed`](crate::Error::Closed) if the connection is closing or has ended. In both
    /// cases, the message won't be sent. (An outbox's messages stay in order, but a later `send` on
    /// the connection may overtake them.)
    ///
    /// If the queue is full, you can give up on the peer with [`abort`](Outbox::abort). Don't call
    /// it after `Closed`: a closing connection still sends the messages that were queued before.
    pub fn try_send(&self, message: &PreparedMessage) -> Result<()> {
        self.input.0.put(message.clone())
    }

    /// Returns the number of messages that this outbox has yet to send, and their size in bytes. A
    /// message counts until our operating system has taken it. Use these numbers to find slow
    /// peers, and to send them less. Both numbers are zero once the connection has ended.
    pub fn backlog(&self) -> Backlog {
        self.input.0.backlog()
    }

    /// Ends the connection at once, without a Close. The queued messages are lost. Use this for a
    /// peer that reads too slowly (`try_send` fails with `WriteTimeout`), because a Close would
    /// have to wait for the queued messages.
    pub fn abort(&self) {
        self.write_half.abort();
    }
}

// WALK: outbox
/// Runs an outbox's thread: sends messages until the queue is closed and empty, or until a write
/// fails. Before the thread ends, it sends our Close if the Close was waiting only for this queue.
fn send_until_closed(queue: &Queue, write_half: &WriteHalf) {
    while let Some(messages) = queue.wait_and_take_all() {
        let mut feed_all = messages
            .iter()
            .map(|message| write_half.feed_queued(|encoder| encoder.message(message.as_message())));
        let fed = feed_all.try_for_each(|fed| fed);
        if fed.and_then(|()| write_half.flush()).is_err() {
            break;
        }
        queue.note_sent();
    }
    let unsent = queue.abandon();
    if unsent > 0 {
        log::info!("{} ends with {unsent} queued messages unsent", write_half.id);
    }
    let _ = write_half.advance_close();
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outbox {} {:?}", self.write_half.id, self.backlog())
    }
}
