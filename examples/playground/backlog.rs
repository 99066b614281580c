//! What waits for a page that reads slowly: texts in, each sent by a thread of its own. It is bounded
//! in bytes, because the texts differ in length by a factor of a thousand.
//!
//! ```text
//! put ─► [ at most MOST_WAITING bytes ] ─► a thread ─► send
//!   └─ full: the page doesn't read, and is let go
//! ```

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Sender, channel};
use std::thread;

/// How many bytes may wait. A page that reads is never so far behind.
pub const MOST_WAITING: usize = 2 << 20;

/// The side where texts are put in. When it is dropped, the thread sends what waits, and ends.
pub struct Backlog {
    texts: Sender<String>,
    waiting: Arc<AtomicUsize>,
}

impl Backlog {
    /// A backlog whose thread hands each text to `send`, until that says `false`.
    pub fn new(mut send: impl FnMut(&str) -> bool + Send + 'static) -> io::Result<Backlog> {
        let (texts, queue) = channel::<String>();
        let waiting = Arc::new(AtomicUsize::new(0));
        let counter = waiting.clone();
        let thread = thread::Builder::new().name("lens".into()).stack_size(128 * 1024);
        thread.spawn(move || {
            for text in queue {
                let is_sent = send(&text);
                // A text counts until it is sent.
                counter.fetch_sub(text.len(), SeqCst);
                if !is_sent {
                    break;
                }
            }
        })?;
        Ok(Backlog { texts, waiting })
    }

    /// Puts a text in and returns at once. `false`: there is no room for it, so it is dropped.
    pub fn put(&self, text: String) -> bool {
        let length = text.len();
        if self.waiting.fetch_add(length, SeqCst) + length > MOST_WAITING {
            self.waiting.fetch_sub(length, SeqCst);
            return false;
        }
        // Once the page has gone, nobody sends it: the count doesn't matter any more.
        let _ = self.texts.send(text);
        true
    }
}
