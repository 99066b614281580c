//! A stream that explains what passes through it, in both directions.
//!
//! ```text
//! connection ◄──► Tap ◄──► stream        the bytes pass unchanged
//!                  └─► sink(annotation)    a head, a frame, or a run of other bytes
//! ```
//!
//! Rules of this file:
//! - The tap explains bytes after they have passed: what a read returned, and what a write
//!   accepted. That way, it can't change, lose or reorder any bytes.
//! - Writing threads take turns, so that the explanations come in the same order as the written
//!   bytes. During the handshake, the reading thread takes its turn, too: the bytes that it reads
//!   can't be explained before the request or response that another thread has just written. After
//!   the handshake, the reading thread never waits for a write.
//! - The tap calls the sink in the connection's own threads, so the sink must not block. That's why
//!   an [`Explainer`](super::annotation_printer::Explainer) has a queue.
//! - If explaining panics, the explanations stop, and the connection continues.

use std::fmt;
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

/// A stream that explains the bytes that pass through it: it calls a function, its *sink*, with an
/// annotation of each HTTP head and each frame.
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
    /// The role of this end of the connection: client or server.
    ours: Role,
    /// The lock that a thread holds while it writes and explains its bytes, so that the
    /// explanations come in the order of the bytes.
    writing: Mutex<()>,
    /// Whether the server's response to the handshake has been explained. From then on, our bytes
    /// no longer affect how to explain the peer's bytes, so a read needn't lock `writing`.
    is_open: AtomicBool,
    /// The explainer's state, and the sink that receives its annotations. `None` after a panic in
    /// the explainer: the explanations then stop, but the connection continues.
    explaining: Mutex<Option<Explanation>>,
}

struct Explanation {
    conversation: Conversation,
    sink: Box<dyn FnMut(Annotation) + Send>,
}

impl<S: Stream> Tap<S> {
    /// Creates a tap on `stream` that passes its annotations to `sink`. `ours` is the role of this
    /// end of the connection. `sink` runs in the threads that read and write, so it must not block.
    /// The tap checks the bytes only against the RFCs' rules. To check a server's own rules and
    /// limits as well, use [`with_settings`](Tap::with_settings).
    pub fn new(stream: S, ours: Role, sink: impl FnMut(Annotation) + Send + 'static) -> Tap<S> {
        Tap::with_settings(stream, ours, Settings::default(), sink)
    }

    /// Like [`Tap::new`], but the tap also checks the bytes against the rules and limits in
    /// `settings`.
    pub fn with_settings(
        stream: S,
        ours: Role,
        settings: Settings,
        sink: impl FnMut(Annotation) + Send + 'static,
    ) -> Tap<S> {
        let explaining =
            Explanation { conversation: Conversation::new(settings), sink: Box::new(sink) };
        let (writing, is_open) = (Mutex::default(), AtomicBool::new(false));
        Tap { stream, ours, writing, is_open, explaining: Mutex::new(Some(explaining)) }
    }

    fn explain(&self, step: impl FnOnce(&mut Conversation, &mut dyn FnMut(Annotation))) {
        let mut explaining = lock(&self.explaining);
        let Some(Explanation { conversation, sink }) = explaining.as_mut() else { return };
        let explained = catch_unwind(AssertUnwindSafe(|| {
            step(conversation, sink);
            conversation.is_answered()
        }));
        match explained {
            Ok(is_answered) => self.is_open.store(is_answered, SeqCst),
            Err(_) => {
                log::error!("explaining failed; the connection goes on without");
                self.is_open.store(true, SeqCst);
                *explaining = None;
            }
        }
    }
}

impl<S: Stream> Stream for Tap<S> {
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(into)?;
        let _writing = (!self.is_open.load(SeqCst)).then(|| lock(&self.writing));
        let (theirs, ended) = (self.ours.other(), count == 0 && !into.is_empty());
        self.explain(|conversation, sink| match ended {
            true => conversation.end(theirs, sink),
            false => conversation.push(theirs, &into[..count], sink),
        });
        Ok(count)
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let _writing = lock(&self.writing);
        let count = self.stream.write(slices)?;
        let mut rest = count;
        self.explain(|conversation, sink| {
            for slice in slices {
                let passed = &slice[..rest.min(slice.len())];
                conversation.push(self.ours, passed, sink);
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

    fn peer_certificates(&self) -> Vec<Vec<u8>> {
        self.stream.peer_certificates()
    }

    fn unacknowledged(&self) -> Option<u64> {
        self.stream.unacknowledged()
    }
}

/// Dropping a tap explains the bytes that no annotation covers yet, in both directions. Usually,
/// these are the beginning of an HTTP head or a frame whose rest never arrived.
impl<S: Stream> Drop for Tap<S> {
    fn drop(&mut self) {
        let (ours, theirs) = (self.ours, self.ours.other());
        self.explain(|conversation, sink| {
            conversation.end(theirs, sink);
            conversation.end(ours, sink);
        });
    }
}

impl<S: Stream> fmt::Debug for Tap<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tap").field("ours", &self.ours).finish_non_exhaustive()
    }
}
