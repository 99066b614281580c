//! A queue in front of a peer that may be slow: whoever sends never waits.
//!
//! ```text
//! try_send ─► [ at most `bound` messages ] ─► a thread ─► link ─► peer
//!     └─ full: the peer is too slow, says the answer; the caller decides what becomes of it
//! ```
//!
//! For broadcasts: a slow member neither delays the others nor grows without bound. The thread takes
//! all that waits at once, and sends it in one write.

use std::sync::Arc;
use std::thread;

use super::queue::Queue;
use super::write_half::WriteHalf;
use crate::error::Result;
use crate::frames::message::AsMessage;
use crate::frames::prepared::PreparedMessage;

/// The handle of a queue. Clones share it; when the last one is gone, what is in it is still sent.
#[derive(Clone)]
pub struct Outbox {
    entrance: Arc<Entrance>,
    write_half: Arc<WriteHalf>,
}

/// Where messages are put in. There is a thread at the other end as long as it is there.
struct Entrance(Arc<Queue>);

impl Drop for Entrance {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Outbox {
    pub(crate) fn new(write_half: &Arc<WriteHalf>, bound: usize) -> Result<Outbox> {
        let queue = Arc::new(Queue::new(bound));
        let (of_thread, write_half) = ((queue.clone(), write_half.clone()), write_half.clone());
        let thread = thread::Builder::new().name(format!("outbox {}", write_half.id));
        thread.stack_size(128 * 1024).spawn(move || send_all(&of_thread.0, &of_thread.1))?;
        write_half.outboxes.add(queue.clone());
        Ok(Outbox { entrance: Arc::new(Entrance(queue)), write_half })
    }

    /// Puts a message into the queue and returns at once. [`Error::WriteTimeout`](crate::Error::WriteTimeout):
    /// it is full, and this message will not be sent. [`Error::Closed`](crate::Error::Closed): the
    /// connection has ended.
    pub fn try_send(&self, message: &PreparedMessage) -> Result<()> {
        self.entrance.0.put(message.clone())
    }

    /// Ends the connection on the spot: for a peer that is too slow, and could not be told anyhow.
    pub fn abort(&self) {
        self.write_half.abort();
    }
}

// WALK: outbox
/// The thread's work: until the queue is closed and empty, or the peer is gone.
fn send_all(queue: &Queue, write_half: &WriteHalf) {
    while let Some(messages) = queue.take() {
        let mut feed_all = messages
            .iter()
            .map(|message| write_half.feed(|encoder| encoder.message(message.as_message())));
        let fed = feed_all.try_for_each(|fed| fed);
        if fed.and_then(|()| write_half.send(|_| Ok(&[]))).is_err() {
            break;
        }
    }
    queue.end();
}
