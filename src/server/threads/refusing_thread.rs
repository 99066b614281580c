//! A thread that refuses the clients for which no other thread can be started.
//!
//! ```text
//! accept ──► no thread for this client ──► [ at most 64 clients ] ──► the refusing thread ──► 503
//!                                                └── full: the connection is closed without a response
//! ```
//!
//! Rules of this file:
//! - A refused client may stay silent, or read nothing. The accepting thread doesn't wait for it,
//!   because a thread may already be free for the next client.
//! - The refusing thread starts with the server, because later on it might be impossible to start a
//!   thread.
//! - Each client has a short timeout, and the queue is bounded. A crowd of refused clients
//!   therefore holds at most 65 descriptors: 64 in the queue, and one for the client being refused.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use crate::http::request::begins_with_head_method;
use crate::limits::Limits;
use crate::server::registry::registry::{Registry, UnansweredGuard};
use crate::server::upgrade::{refusal_without_room, respond_and_close};
use crate::transport::deadline::{Deadline, read_before};
use crate::transport::stream::{Stream, is_timeout};

/// The maximum number of clients that may wait for the refusing thread. Any further client is
/// disconnected without a response.
const MAX_WAITING: usize = 64;
/// The maximum time to wait for a client's request, and then again for the client to close after
/// its 503. It's short because other clients wait in the meantime.
const TIMEOUT: Duration = Duration::from_millis(50);
/// The stack size of the refusing thread, in bytes.
const STACK: usize = 64 * 1024;

/// The thread that sends a 503 to each client for which no thread can be started. It ends once this
/// value is dropped and all waiting clients have been refused.
pub(crate) struct RefusingThread(SyncSender<(Arc<dyn Stream>, UnansweredGuard)>);

impl RefusingThread {
    pub(crate) fn new(registry: Arc<Registry>) -> io::Result<RefusingThread> {
        let (give, given) = sync_channel::<(Arc<dyn Stream>, UnansweredGuard)>(MAX_WAITING);
        let refuse_all = move || {
            for (stream, unanswered) in given {
                refuse_with_503(&*stream, "no thread is left", &registry);
                drop(unanswered);
            }
        };
        thread::Builder::new().name("refusing".into()).stack_size(STACK).spawn(refuse_all)?;
        Ok(RefusingThread(give))
    }

    /// Hands this client over to the refusing thread, and returns at once. If [`MAX_WAITING`]
    /// clients are already waiting for that thread, closes this client's connection without a
    /// response.
    pub(crate) fn hand_over(&self, stream: Arc<dyn Stream>, unanswered: UnansweredGuard) {
        if self.0.try_send((stream, unanswered)).is_err() {
            log::debug!("a client is closed without an answer: too many wait for theirs");
        }
    }
}

/// Refuses a client with a 503 when the server can't take it on. The response says what the server
/// has `seen`, such as "no descriptor is left". Waits at most 50 ms for the client's request, sends
/// the 503 even if no request has come, and then waits at most 50 ms for the client to close. Only
/// a client that closes without a request receives nothing.
pub(crate) fn refuse_with_503(stream: &dyn Stream, seen: &'static str, registry: &Registry) {
    // Read the request, or what has arrived of it: closing a socket with unread bytes sends a
    // reset, which could destroy the response.
    let mut request = [0; 4096];
    let read = read_before(Deadline::after(TIMEOUT), stream, &mut request);
    // A client that sent nothing and has closed or reset its connection receives no response. The
    // connection with which `stop` wakes `accept` is such a client.
    let has_gone = read.map_or_else(|error| !is_timeout(&error), |count| count == 0);
    if !has_gone {
        registry.totals.count_refused(503);
        let limits = Limits { close: TIMEOUT, ..Limits::default() };
        let response = refusal_without_room(seen).response();
        // RFC 9110 §9.3.2: a response to HEAD has no body.
        let response = match begins_with_head_method(&request) {
            true => response.for_head_request(),
            false => response,
        };
        respond_and_close(stream, &response, &limits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{IoSlice, Write};
    use std::mem;
    use std::net::Shutdown;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::sync::mpsc::{Receiver, channel};

    const PATIENCE: Duration = Duration::from_secs(20);

    /// A client that stays silent until the test lets it continue. It counts the responses that it
    /// receives.
    struct Silent {
        go: Mutex<Receiver<()>>,
        answers: Arc<AtomicUsize>,
    }

    impl Stream for Silent {
        fn read(&self, _: &mut [u8]) -> io::Result<usize> {
            let _ = self.go.lock().unwrap().recv_timeout(PATIENCE);
            Err(io::ErrorKind::WouldBlock.into())
        }

        fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            self.answers.fetch_add(1, SeqCst);
            Ok(slices.iter().map(|slice| slice.len()).sum())
        }

        fn set_read_timeout(&self, _: Duration) -> io::Result<()> {
            Ok(())
        }

        fn set_write_timeout(&self, _: Duration) -> io::Result<()> {
            Ok(())
        }

        fn shutdown(&self, _: Shutdown) -> io::Result<()> {
            Ok(())
        }
    }

    /// A client that sends its request at once, and then closes. It keeps the response that it
    /// receives. A client without a request resets its connection instead of closing it.
    struct Asking {
        request: Mutex<Option<&'static [u8]>>,
        response: Mutex<Vec<u8>>,
    }

    impl Stream for Asking {
        fn read(&self, mut into: &mut [u8]) -> io::Result<usize> {
            let mut request = self.request.lock().unwrap();
            let left = request.as_mut().ok_or(io::ErrorKind::ConnectionReset)?;
            into.write(mem::take(left))
        }

        fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            self.response.lock().unwrap().write_vectored(slices)
        }

        fn set_read_timeout(&self, _: Duration) -> io::Result<()> {
            Ok(())
        }

        fn set_write_timeout(&self, _: Duration) -> io::Result<()> {
            Ok(())
        }

        fn shutdown(&self, _: Shutdown) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_head_request_that_is_refused_without_a_thread_gets_no_body() {
        let registry = Registry::new(None);
        let ask = |request: Option<&'static str>| {
            let request = Mutex::new(request.map(str::as_bytes));
            let client = Asking { request, response: Mutex::default() };
            refuse_with_503(&client, "no thread is left", &registry);
            String::from_utf8(client.response.into_inner().unwrap()).unwrap()
        };
        let to_get = ask(Some("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
        let (_, body) = to_get.split_once("\r\n\r\n").unwrap();
        assert!(body.contains("no thread is left"), "{to_get}");
        let to_head = ask(Some("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert!(to_head.starts_with("HTTP/1.1 503 "), "{to_head}");
        assert!(to_head.ends_with("\r\n\r\n"), "{to_head}");
        // The head still gives the length of the body that a GET receives.
        assert!(to_head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())), "{to_head}");
        assert_eq!(ask(Some("")), "", "a client that closes without a byte receives nothing");
        // Some load balancers end their check of a port with a reset.
        assert_eq!(ask(None), "", "and so does one that resets its connection");
        assert_eq!(registry.counters().refused, [(503, 2)].into());
    }

    #[test]
    fn whoever_gives_a_crowd_of_silent_clients_to_be_refused_waits_for_none_of_them() {
        let (go, gone) = channel();
        let answers = Arc::new(AtomicUsize::new(0));
        let stream = Arc::new(Silent { go: Mutex::new(gone), answers: answers.clone() });
        let registry = Registry::new(None);
        let refusing = RefusingThread::new(registry.clone()).unwrap();
        (0..10 * MAX_WAITING).for_each(|_| {
            refusing.hand_over(stream.clone(), registry.count_unanswered());
        });
        assert_eq!(answers.load(SeqCst), 0, "all were given before one was answered");
        let held = Arc::strong_count(&stream) - 1;
        assert!((MAX_WAITING..=MAX_WAITING + 1).contains(&held), "{held} are held");
        drop((go, refusing));
        let start = std::time::Instant::now();
        while Arc::strong_count(&stream) > 1 {
            assert!(start.elapsed() < PATIENCE, "the refusing thread goes on without end");
            thread::yield_now();
        }
        assert_eq!(answers.load(SeqCst), held, "each that was held has its answer");
        while registry.unanswered() > 0 {
            assert!(start.elapsed() < PATIENCE, "{} still count", registry.unanswered());
            thread::yield_now();
        }
        assert_eq!(registry.counters().refused, [(503, held as u64)].into());
    }
}
