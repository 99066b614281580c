//! The accept loop: it accepts connections and gives each one its own thread.
//!
//! Rules of this file:
//! - The accepting thread doesn't wait for clients. Each handshake runs in its connection's own
//!   thread. If no thread can be started for a client, the
//!   [`refusing_thread`](super::threads::refusing_thread) refuses that client. The accepting thread
//!   itself sends a 503, with short timeouts, only if no descriptor is left or the server is
//!   stopping.
//! - If one connection fails, or its handler panics, the other connections and the listener
//!   continue. The listener also survives a lack of descriptors or threads.

use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::options::Options;
use super::registry::registry::{Registry, ReserveDescriptor, UnansweredGuard};
use super::threads::refusing_thread::{RefusingThread, refuse_with_503};
use super::threads::thread_pool::ThreadPool;
use super::upgrade::{ABOUT_TO_STOP, upgrade};
use crate::connection::websocket::WebSocket;
use crate::error::{Error, Result};
use crate::frames::close_code::CloseCode;
use crate::transport::deadline::Deadline;
use crate::transport::listener::Listener;
use crate::transport::stream::Stream;

/// Accepts connections until the server stops, and gives each one its own thread. (A draining
/// server still accepts clients, to refuse them or to answer plain HTTP.) Returns once all
/// connections have closed and all responses have been sent, or at the end of the grace period.
pub(super) fn serve_until_stopped(
    listener: Listener,
    options: Options,
    registry: Arc<Registry>,
    handler: Box<Handler>,
) -> Result<()> {
    log::info!("listening on {:?}", listener.wake_address()?);
    let threads = ThreadPool::new(options.limits.stack, serve_one);
    let refusing = RefusingThread::new(registry.clone())?;
    let shared = Arc::new(Shared { options, registry, handler });
    // If the process runs out of descriptors, this one is freed. The server then accepts the next
    // client with it, and refuses that client with a 503.
    let mut reserve = ReserveDescriptor::new();
    shared.registry.set_is_in_accept(true);
    while !shared.registry.is_stopping() {
        match listener.accept() {
            Ok(stream) if shared.registry.is_stopping() => {
                refuse_with_503(&*stream, ABOUT_TO_STOP, &shared.registry)
            }
            Ok(stream) => {
                reserve = reserve.or_else(ReserveDescriptor::new);
                match reserve {
                    Some(_) => give_thread(stream, &threads, &refusing, &shared),
                    None => refuse_with_503(&*stream, "no descriptor is left", &shared.registry),
                }
            }
            // Another process that shares the listener has made it non-blocking.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let _ = listener.set_nonblocking(false);
            }
            Err(error) if concerns_one_client(&error) => {}
            Err(error) => {
                log::warn!("accept: {error}");
                if reserve.take().is_none() {
                    thread::sleep(PAUSE_WITHOUT_DESCRIPTOR);
                }
            }
        }
    }
    refuse_all_in_listen_queue(&listener, &shared.registry);
    shared.registry.set_is_in_accept(false);
    drop(listener);
    shared.registry.shut_down();
    log::info!("stopped");
    Ok(())
}

/// The state shared by all of a server's threads.
struct Shared {
    options: Options,
    registry: Arc<Registry>,
    handler: Box<Handler>,
}

/// An accepted connection. The accepting thread passes it to the connection's own thread.
struct Accepted {
    id: u64,
    stream: Arc<dyn Stream>,
    shared: Arc<Shared>,
    /// Makes a stopping server wait until the client has its response.
    unanswered: UnansweredGuard,
}

type Handler = dyn Fn(WebSocket) -> Result<()> + Send + Sync;

/// Gives an accepted connection its own thread. If no thread can be started, hands the client over
/// to the refusing thread, which sends a 503.
fn give_thread(
    stream: Arc<dyn Stream>,
    threads: &ThreadPool<Accepted>,
    refusing: &RefusingThread,
    shared: &Arc<Shared>,
) {
    let id = shared.registry.next_id();
    let unanswered = shared.registry.count_unanswered();
    let accepted = Accepted { id, stream: stream.clone(), shared: shared.clone(), unanswered };
    if let Err(error) = threads.assign(accepted) {
        log::warn!("{id} gets no thread: {error}");
        refusing.hand_over(stream, shared.registry.count_unanswered());
    }
}

// WALK: life
/// Serves one connection from its first byte to its last, in the connection's own thread.
fn serve_one(accepted: Accepted) {
    if let Some((shared, ws)) = open(accepted) {
        run_handler(shared, ws);
    }
}

/// Answers the client's request, and returns the open WebSocket with what its handler needs.
/// Returns `None` if the response wasn't a 101, or if the client received no response. This
/// function is never inlined, so that its local variables take no stack space while the handler
/// runs.
#[inline(never)]
fn open(accepted: Accepted) -> Option<(Arc<Shared>, WebSocket)> {
    let Accepted { id, stream, shared, unanswered } = accepted;
    log::debug!("{id} comes from {:?}", stream.peer());
    let (options, registry) = (&shared.options, &shared.registry);
    let upgraded = catch_unwind(AssertUnwindSafe(|| upgrade(id, stream, options, registry)));
    // On an error or a panic, `upgrade` has already sent the client any response that it could.
    let opened = match upgraded {
        Ok(Ok(ws)) => Some((shared, ws)),
        Ok(Err(_)) | Err(_) => {
            drop(shared); // before `serve` may return: see `run_handler`
            None
        }
    };
    // A stopping server no longer needs to wait for a response to this client.
    drop(unanswered);
    opened
}

// WALK: handler
/// Runs the application's handler, and sets the close code 1011 if the handler returns an error or
/// panics. This function is never inlined, so that its local variables take no stack space during
/// the handshake (a thread's stack never shrinks).
#[inline(never)]
fn run_handler(shared: Arc<Shared>, ws: WebSocket) {
    let id = ws.id();
    // Held until the handler has ended, because the handler's result decides the close code.
    let close_guard = ws.close_guard();
    match catch_unwind(AssertUnwindSafe(|| (shared.handler)(ws))) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            match &error {
                // The peer or the network caused these errors. The close guard's log line names
                // them.
                Error::Violation(_)
                | Error::Closed
                | Error::ConnectionLost(_)
                | Error::PeerTimeout
                | Error::WriteTimeout
                | Error::BytesLost(_)
                | Error::TimedOut => close_guard.note_cause(&error),
                error => log::warn!("{id} the handler failed: {error}"),
            }
            close_guard.set_code(CloseCode::INTERNAL_ERROR);
        }
        Err(_) => {
            log::error!("{id} the handler panicked");
            close_guard.set_code(CloseCode::INTERNAL_ERROR);
        }
    }
    // Dropping the last `shared` drops the application's functions, and waits for the explainer's
    // last lines. `serve` must do that, because it may return as soon as this connection has
    // closed, and the program may then exit. Therefore this thread drops its own `shared` first.
    drop(shared);
    drop(close_guard);
}

/// Sends a 503 to the clients that are still in the listen queue, because the server is stopping.
/// Stops after a second, even if clients are left. When the caller closes the listener, the
/// remaining clients are disconnected, or wait for another process that shares the listener.
fn refuse_all_in_listen_queue(listener: &Listener, registry: &Registry) {
    let deadline = Deadline::after(Duration::from_secs(1));
    let _ = listener.set_nonblocking(true);
    while !deadline.has_passed() {
        match listener.accept() {
            Ok(stream) => refuse_with_503(&*stream, ABOUT_TO_STOP, registry),
            Err(error) if concerns_one_client(&error) => {}
            // The queue is empty, or no descriptor is left.
            Err(_) => break,
        }
    }
    // Another process that shares the listener also shares this setting, and its `accept` must wait
    // for clients.
    let _ = listener.set_nonblocking(false);
}

/// Returns whether `accept` failed for a reason that the server can ignore: a client disconnected
/// before it was accepted, or a signal interrupted the call.
fn concerns_one_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted
    )
}

/// How long the accepting thread sleeps when no descriptor is left, not even the reserve. Without
/// this pause, `accept` would fail again at once, and the thread would spin.
const PAUSE_WITHOUT_DESCRIPTOR: Duration = Duration::from_millis(50);
