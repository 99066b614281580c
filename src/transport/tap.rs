//! A stream that explains what passes through it, in both directions.
//!
//! ```text
//! connection ◄──► Tap ◄──► stream        the bytes are the stream's, unchanged and not held back
//!                  └─► tell(annotation)     a head, a frame, or a run of other bytes
//! ```
//!
//! Rules of this file:
//! - Bytes are explained when they have passed: what a read brought, what a write took. So a tap can't
//!   change, lose or reorder them.
//! - Those who write take turns, so that each direction is told in the order of the wire. Who reads
//!   waits for them as long as there are heads, since an answer decides what follows it in both
//!   directions; no longer. `tell` is called in the thread of the connection and must not wait either;
//!   a [`Explainer`](super::explainer::Explainer) has a queue.
//! - If explaining panics, the explanations end, and the connection does not notice.

use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use super::lock::lock;
use super::stream::Stream;
use crate::explain::annotation::Annotation;
use crate::explain::conversation::Conversation;
use crate::explain::heads::Settings;
use crate::frames::header::Role;

/// A stream, and somebody who hears what passes.
///
/// ```no_run
/// use ws101::frames::header::Role;
///
/// let stream = std::net::TcpStream::connect("127.0.0.1:9001")?;
/// let tap = ws101::Tap::new(stream, Role::Client, |annotation| println!("{}", annotation.title));
/// let ws = ws101::Client::new("ws://127.0.0.1:9001").connect_over(tap)?;
/// # ws101::Result::Ok(())
/// ```
pub struct Tap<S: Stream> {
    stream: S,
    /// What we write is from this end.
    ours: Role,
    /// Held over a write and what is told of it, so that both have the same order.
    writing: Mutex<()>,
    /// The answer has been told: nothing that we write decides any more what they may send.
    is_open: AtomicBool,
    /// `None` once explaining has failed.
    hearing: Mutex<Option<Hearing>>,
}

struct Hearing {
    conversation: Conversation,
    tell: Box<dyn FnMut(Annotation) + Send>,
}

impl<S: Stream> Tap<S> {
    /// Explains a stream at our end of it, judged by the RFC alone.
    pub fn new(stream: S, ours: Role, tell: impl FnMut(Annotation) + Send + 'static) -> Tap<S> {
        Tap::with_settings(stream, ours, Settings::default(), tell)
    }

    /// The same, judged by the rules and bounds of a certain server.
    pub fn with_settings(
        stream: S,
        ours: Role,
        terms: Settings,
        tell: impl FnMut(Annotation) + Send + 'static,
    ) -> Tap<S> {
        let hearing = Hearing { conversation: Conversation::new(terms), tell: Box::new(tell) };
        let (writing, is_open) = (Mutex::default(), AtomicBool::new(false));
        Tap { stream, ours, writing, is_open, hearing: Mutex::new(Some(hearing)) }
    }

    fn explain(&self, what: impl FnOnce(&mut Conversation, &mut dyn FnMut(Annotation))) {
        let mut hearing = lock(&self.hearing);
        let Some(Hearing { conversation, tell }) = hearing.as_mut() else { return };
        let told = catch_unwind(AssertUnwindSafe(|| {
            what(conversation, tell);
            conversation.is_answered()
        }));
        match told {
            Ok(is_answered) => self.is_open.store(is_answered, SeqCst),
            Err(_) => {
                log::error!("explaining failed; the connection goes on without");
                self.is_open.store(true, SeqCst);
                *hearing = None;
            }
        }
    }
}

impl<S: Stream> Stream for Tap<S> {
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(into)?;
        let _writing = (!self.is_open.load(SeqCst)).then(|| lock(&self.writing));
        let (theirs, ended) = (self.ours.other(), count == 0 && !into.is_empty());
        self.explain(|conversation, tell| match ended {
            true => conversation.end(theirs, tell),
            false => conversation.push(theirs, &into[..count], tell),
        });
        Ok(count)
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let _writing = lock(&self.writing);
        let count = self.stream.write(slices)?;
        let mut rest = count;
        self.explain(|conversation, tell| {
            for slice in slices {
                let passed = &slice[..rest.min(slice.len())];
                conversation.push(self.ours, passed, tell);
                rest -= passed.len();
            }
        });
        Ok(count)
    }

    fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(timeout)
    }

    fn set_write_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.stream.set_write_timeout(timeout)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.stream.shutdown(how)
    }

    fn peer(&self) -> Option<SocketAddr> {
        self.stream.peer()
    }
}

/// What was cut off in mid-frame is told at the end.
impl<S: Stream> Drop for Tap<S> {
    fn drop(&mut self) {
        let (ours, theirs) = (self.ours, self.ours.other());
        self.explain(|conversation, tell| {
            conversation.end(theirs, tell);
            conversation.end(ours, tell);
        });
    }
}
