//! Prints what taps explain: a queue, and a thread that writes lines.
//!
//! A terminal may be stopped (Ctrl-S), or a pipe full. No connection waits for that: what the queue
//! has no room for is left out, and how much that was is said later.

use std::env;
use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use super::deadline::Deadline;
use crate::explain::annotation::Annotation;
use crate::explain::print::{Style, annotation as lines};

/// How many annotations may wait to be printed.
const BOUND: usize = 256;
/// How long the last ones are waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Prints what several connections explain. Dropping it waits a moment for what is still to be printed.
pub struct Explainer {
    queue: SyncSender<Line>,
    left_out: Arc<AtomicU64>,
}

enum Line {
    /// Of the connection of that name.
    Annotation(String, Box<Annotation>),
    /// All before this have been printed, when this is dropped.
    Mark(#[expect(dead_code)] SyncSender<()>),
}

impl Explainer {
    /// To standard output: in colour if that is a terminal and `NO_COLOR` is not set.
    pub fn stdout() -> io::Result<Explainer> {
        let colour = wants_colour(io::stdout().is_terminal(), env::var_os("NO_COLOR"));
        Explainer::new(io::stdout(), Style { colour, pictures: false })
    }

    /// To standard error, for programs whose output is something else.
    pub fn stderr() -> io::Result<Explainer> {
        let colour = wants_colour(io::stderr().is_terminal(), env::var_os("NO_COLOR"));
        Explainer::new(io::stderr(), Style { colour, pictures: false })
    }

    /// To anything, in any style.
    pub fn new(out: impl Write + Send + 'static, style: Style) -> io::Result<Explainer> {
        let (queue, lines) = sync_channel(BOUND);
        let left_out = Arc::new(AtomicU64::new(0));
        let of_thread = left_out.clone();
        let thread = thread::Builder::new().name("narrator".into());
        thread.spawn(move || print_all(out, style, &lines, &of_thread))?;
        Ok(Explainer { queue, left_out })
    }

    /// What a [`Tap`](super::tap::Tap) can tell to. It never waits. `name`: of the connection, where
    /// there are several.
    pub fn sink(
        &self,
        name: impl Into<String>,
    ) -> impl Fn(Annotation) + Clone + Send + Sync + 'static {
        let (queue, left_out, name) = (self.queue.clone(), self.left_out.clone(), name.into());
        move |annotation| {
            if queue.try_send(Line::Annotation(name.clone(), Box::new(annotation))).is_err() {
                left_out.fetch_add(1, SeqCst);
            }
        }
    }
}

impl Drop for Explainer {
    fn drop(&mut self) {
        let (mark, printed) = sync_channel(0);
        let (deadline, mut mark) = (Deadline::after(PATIENCE), Line::Mark(mark));
        while let (Err(TrySendError::Full(back)), Ok(_)) =
            (self.queue.try_send(mark), deadline.remaining())
        {
            mark = back;
            thread::sleep(Duration::from_millis(1));
        }
        let _ = printed.recv_timeout(deadline.remaining().unwrap_or_default());
    }
}

/// Whether there is a terminal, and nobody has asked for none of its colours.
fn wants_colour(is_terminal: bool, no_color: Option<OsString>) -> bool {
    is_terminal && no_color.is_none_or(|value| value.is_empty())
}

fn print_all(mut out: impl Write, style: Style, queue: &Receiver<Line>, left_out: &AtomicU64) {
    for line in queue {
        let mut text = match left_out.swap(0, SeqCst) {
            0 => String::new(),
            count => {
                format!("({count} left out here: they came faster than they could be printed)\n\n")
            }
        };
        if let Line::Annotation(name, annotation) = &line {
            text += &(lines(annotation, name, style) + "\n");
        }
        if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
            return; // Nobody reads it any more.
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_colour_on_a_terminal_unless_somebody_wants_none() {
        assert!(wants_colour(true, None) && wants_colour(true, Some("".into())));
        assert!(!wants_colour(true, Some("1".into())));
        assert!(!wants_colour(false, None) && !wants_colour(false, Some("".into())));
    }
}
