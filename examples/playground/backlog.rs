//! The queue of texts for a page that reads slowly. A separate thread sends them. The queue is
//! bounded in bytes, because some texts are a thousand times longer than others.
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

/// How many bytes may wait in the queue. A page that reads never falls that far behind.
pub const MOST_WAITING: usize = 2 << 20;

/// The end of the queue into which texts are put. When it is dropped, the thread sends the waiting
/// texts, and ends.
pub struct Backlog {
    texts: Sender<String>,
    waiting: Arc<AtomicUsize>,
}

impl Backlog {
    /// Starts a thread that passes each text to `send`, until `send` returns `false`.
    pub fn new(mut send: impl FnMut(&str) -> bool + Send + 'static) -> io::Result<Backlog> {
        let (texts, queue) = channel::<String>();
        let waiting = Arc::new(AtomicUsize::new(0));
        let counter = waiting.clone();
        let thread = thread::Builder::new().name("lens".into()).stack_size(128 * 1024);
        thread.spawn(move || {
            for text in queue {
                let is_sent = send(&text);
                // A text counts against the limit until it is sent.
                counter.fetch_sub(text.len(), SeqCst);
                if !is_sent {
                    break;
                }
            }
        })?;
        Ok(Backlog { texts, waiting })
    }

    /// Puts a text into the queue, and returns at once. Returns `false` if it has no room; the text
    /// is then dropped.
    pub fn put(&self, text: String) -> bool {
        let length = text.len();
        if self.waiting.fetch_add(length, SeqCst) + length > MOST_WAITING {
            self.waiting.fetch_sub(length, SeqCst);
            return false;
        }
        // If the page is gone, the thread has ended. The text is lost, and the count no longer
        // matters.
        let _ = self.texts.send(text);
        true
    }
}
