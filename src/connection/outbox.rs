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
use super::write_half::Link;
use crate::error::Result;
use crate::frames::message::AsMessage;
use crate::frames::prepared::Prepared;

/// The handle of a queue. Clones share it; when the last one is gone, what is in it is still sent.
#[derive(Clone)]
pub struct Outbox {
    entrance: Arc<Entrance>,
    link: Arc<Link>,
}

/// Where messages are put in. There is a thread at the other end as long as it is there.
struct Entrance(Arc<Queue>);

impl Drop for Entrance {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Outbox {
    pub(crate) fn new(link: &Arc<Link>, bound: usize) -> Result<Outbox> {
        let queue = Arc::new(Queue::new(bound));
        let (of_thread, link) = ((queue.clone(), link.clone()), link.clone());
        let thread = thread::Builder::new().name(format!("outbox {}", link.id));
        thread.stack_size(128 * 1024).spawn(move || send_all(&of_thread.0, &of_thread.1))?;
        link.outboxes.add(queue.clone());
        Ok(Outbox { entrance: Arc::new(Entrance(queue)), link })
    }

    /// Puts a message into the queue and returns at once. [`Error::TooSlow`](crate::Error::TooSlow):
    /// it is full, and this message will not be sent. [`Error::Closed`](crate::Error::Closed): the
    /// connection has ended.
    pub fn try_send(&self, message: &Prepared) -> Result<()> {
        self.entrance.0.put(message.clone())
    }

    /// Ends the connection on the spot: for a peer that is too slow, and could not be told anyhow.
    pub fn cut(&self) {
        self.link.cut();
    }
}

// WALK: outbox
/// The thread's work: until the queue is closed and empty, or the peer is gone.
fn send_all(queue: &Queue, link: &Link) {
    while let Some(messages) = queue.take() {
        let mut feed_all = messages
            .iter()
            .map(|message| link.feed(|outgoing| outgoing.message(message.as_message())));
        let fed = feed_all.try_for_each(|fed| fed);
        if fed.and_then(|()| link.send(|_| Ok(&[]))).is_err() {
            break;
        }
    }
    queue.end();
}
