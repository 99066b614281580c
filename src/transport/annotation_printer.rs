//! The [`Explainer`]: taps put their annotations into its queue, and its thread prints them.
//!
//! A terminal may be stopped (Ctrl-S), or a pipe may be full, but no connection waits for the
//! output. While the queue is full, the explainer drops new annotations. In their place, it prints
//! how many it has dropped: the next item in the queue carries this number.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use super::deadline::Deadline;
use crate::explain::annotation::Annotation;
use crate::explain::text::{Style, annotation as lines};

/// The maximum number of queued annotations. While the queue is full, the explainer drops new
/// annotations.
const MAX_QUEUED: usize = 256;
/// The maximum time that dropping an [`Explainer`] waits for the last annotations to be printed.
const LAST_LINES_TIMEOUT: Duration = Duration::from_secs(2);

/// Prints annotations (explanations of HTTP heads and frames) in a thread of its own. Each
/// connection's [`Tap`](super::tap::Tap) passes its annotations to a [`sink`](Explainer::sink) of
/// the explainer. Dropping the explainer waits until the last annotations are printed, for at most
/// two seconds. If the output fails, the explainer logs the error, and prints nothing more.
pub struct Explainer {
    queue: Queue,
}

/// The sending side of the explainer's queue. Each sink holds a clone.
#[derive(Clone)]
struct Queue {
    sender: SyncSender<QueueItem>,
    /// How many annotations the sinks have dropped, because the queue was full, since they last
    /// queued an item.
    omitted: Arc<AtomicU64>,
}

/// An item in the explainer's queue: an annotation to print, or a marker that shows when all the
/// annotations before it are printed.
struct QueueItem {
    /// How many annotations the sinks dropped, because the queue was full, between the previous
    /// item and this one.
    omitted: u64,
    content: Content,
}

enum Content {
    /// An annotation to print, preceded by the name of its connection. The name may be empty.
    Annotation(String, Box<Annotation>),
    /// A marker that a thread queues while it drops the [`Explainer`]. The printing thread drops
    /// the marker once it has printed all annotations before it, which wakes the waiting thread.
    Mark(#[expect(dead_code)] SyncSender<()>),
}

impl Explainer {
    /// Creates an explainer that prints to standard output. It prints in colour if standard output
    /// is a terminal, and the environment variable `NO_COLOR` is unset or empty. Fails if the
    /// printing thread can't be started.
    pub fn stdout() -> io::Result<Explainer> {
        let colour = wants_colour(io::stdout().is_terminal(), env::var_os("NO_COLOR"));
        Explainer::new(io::stdout(), Style { colour, pictures: false })
    }

    /// Like [`stdout`](Explainer::stdout), but prints to standard error, for programs that need
    /// standard output for something else.
    pub fn stderr() -> io::Result<Explainer> {
        let colour = wants_colour(io::stderr().is_terminal(), env::var_os("NO_COLOR"));
        Explainer::new(io::stderr(), Style { colour, pictures: false })
    }

    /// Creates an explainer that prints to `out`, such as a file, in the given style. Fails if the
    /// printing thread can't be started.
    pub fn new(out: impl Write + Send + 'static, style: Style) -> io::Result<Explainer> {
        let (sender, items) = sync_channel(MAX_QUEUED);
        let thread = thread::Builder::new().name("explainer".into());
        thread.spawn(move || print_all(out, style, &items))?;
        Ok(Explainer { queue: Queue { sender, omitted: Arc::default() } })
    }

    /// Returns a function that queues annotations for printing. Pass it to a connection's
    /// [`Tap`](super::tap::Tap) as its sink. The function never blocks: while the queue is full, it
    /// drops annotations. Each printed annotation begins with `name`, which tells connections
    /// apart. Pass an empty `name` if there's only one connection.
    pub fn sink(
        &self,
        name: impl Into<String>,
    ) -> impl Fn(Annotation) + Clone + Send + Sync + 'static {
        let (queue, name) = (self.queue.clone(), name.into());
        move |annotation| {
            let annotation = Content::Annotation(name.clone(), Box::new(annotation));
            if queue.try_send(annotation).is_err() {
                queue.omitted.fetch_add(1, SeqCst);
            }
        }
    }
}

impl Queue {
    /// Puts an item into the queue, and with it the number of annotations that were dropped before
    /// it. Fails if the queue is full, or if the printing thread has ended.
    fn try_send(&self, content: Content) -> Result<(), TrySendError<QueueItem>> {
        let omitted = self.omitted.swap(0, SeqCst);
        let sent = self.sender.try_send(QueueItem { omitted, content });
        if sent.is_err() {
            self.omitted.fetch_add(omitted, SeqCst);
        }
        sent
    }
}

impl Drop for Explainer {
    fn drop(&mut self) {
        let (mark, printed) = sync_channel(0);
        let (deadline, mut mark) = (Deadline::after(LAST_LINES_TIMEOUT), Content::Mark(mark));
        while let (Err(TrySendError::Full(back)), Ok(_)) =
            (self.queue.try_send(mark), deadline.remaining())
        {
            mark = back.content;
            thread::sleep(Duration::from_millis(1));
        }
        let _ = printed.recv_timeout(deadline.remaining().unwrap_or_default());
    }
}

/// Returns whether to print in colour: `true` if the output is a terminal, and `NO_COLOR` is unset
/// or empty.
fn wants_colour(is_terminal: bool, no_color: Option<OsString>) -> bool {
    is_terminal && no_color.is_none_or(|value| value.is_empty())
}

fn print_all(mut out: impl Write, style: Style, queue: &Receiver<QueueItem>) {
    for QueueItem { omitted, content } in queue {
        let mut text = match omitted {
            0 => String::new(),
            count => {
                format!("({count} omitted here: they came faster than they could be printed)\n\n")
            }
        };
        if let Content::Annotation(name, annotation) = &content {
            text += &(lines(annotation, name, style) + "\n");
        }
        if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            // The output is closed, or its disk is full.
            log::error!("the explainer prints no more: {error}");
            return;
        }
    }
}

impl fmt::Debug for Explainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Explainer").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_colour_unless_no_color_is_set() {
        assert!(wants_colour(true, None) && wants_colour(true, Some("".into())));
        assert!(!wants_colour(true, Some("1".into())));
        assert!(!wants_colour(false, None) && !wants_colour(false, Some("".into())));
    }
}
