//! The handle on a running server: it can refuse new clients, stop the server slowly or at once,
//! and read the server's counters.
//!
//! | call | new clients | open connections | the server ends |
//! |---|---|---|---|
//! | `stop_accepting` | receive a 503 | stay open | with a later `drain` or `stop` |
//! | `drain(grace)` | receive a 503 | are sent their Close in batches, spread over four fifths of the grace period | once all have closed, at the latest when the grace period is over |
//! | `stop(grace)` | receive a 503 for up to a second; then nothing listens | are sent their Close as soon as they have no reply to send | once all have closed, at the latest when the grace period is over |
//!
//! After one of these calls, only the calls in the rows below it still have an effect. (A second
//! `stop` sets a new grace period.) Each call returns at once; `serve` returns when the server has
//! ended.

use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::registry::registry::Registry;
use crate::counters::Counters;
use crate::error::Result;
use crate::frames::close::Close;
use crate::frames::close_code::CloseCode;

/// A handle on a running server. It can stop the server from any thread, at once or slowly, and
/// read its counters.
#[derive(Clone)]
pub struct Handle {
    pub(crate) registry: Arc<Registry>,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("counters", &self.counters()).finish()
    }
}

impl Handle {
    /// Stops admitting new clients, and keeps the open connections. A client that asks for a
    /// WebSocket receives a 503 with `Retry-After`. The server still answers plain HTTP, so a
    /// readiness page can tell a load balancer to choose another server: see the example of
    /// [`is_accepting`](Handle::is_accepting). The server can't admit clients again afterwards.
    /// Call [`drain`](Handle::drain) or [`stop`](Handle::stop) to end the server.
    pub fn stop_accepting(&self) {
        self.registry.stop_accepting();
    }

    /// Returns whether the server admits new clients. It does until the first call to
    /// [`stop_accepting`](Handle::stop_accepting), [`drain`](Handle::drain) or
    /// [`stop`](Handle::stop). (The result is `true` even while the server is full.)
    ///
    /// ```no_run
    /// use ws101::{Response, Server};
    ///
    /// let server = Server::bind("127.0.0.1:9001")?;
    /// let handle = server.handle();
    /// server
    ///     .http(move |request| match (request.path(), handle.is_accepting()) {
    ///         ("/ready", true) => Some(Response::text("ready")),
    ///         ("/ready", false) => Some(Response::text("about to stop").status(503)),
    ///         _ => None,
    ///     })
    ///     .serve(|mut ws| ws.send("hello"))
    /// # ;ws101::Result::Ok(())
    /// ```
    pub fn is_accepting(&self) -> bool {
        self.registry.is_accepting()
    }

    /// Begins to stop the server slowly, so that thousands of clients don't all reconnect to
    /// another server in the same second. Returns at once.
    ///
    /// The server admits no new client, as after [`stop_accepting`](Handle::stop_accepting). It
    /// closes the open connections with close code 1001 in batches, spread evenly over the first
    /// four fifths of the grace period. Each connection ends as with [`stop`](Handle::stop): queued
    /// messages go out first, and so do the replies that its handler sends before it waits in
    /// `recv` again. After these four fifths, or as soon as all connections have closed, the server
    /// stops. `serve` returns when all have closed, or at the end of the grace period.
    ///
    /// A second call changes nothing. A call to `stop` during the drain takes over at once, with a
    /// grace period of its own.
    pub fn drain(&self, grace: Duration) {
        self.drain_with_close(grace, Close::going_away());
    }

    /// Like [`drain`](Handle::drain), but with your own close code and reason. Close code 1012
    /// tells clients that the server is restarting and that they should reconnect after a while.
    /// Returns [`Error::Misuse`](crate::Error::Misuse), and changes nothing, if the code must not
    /// be sent in a Close (such as 1006) or the reason is longer than 123 bytes.
    pub fn drain_with(
        &self,
        grace: Duration,
        code: impl Into<CloseCode>,
        reason: &str,
    ) -> Result<()> {
        self.drain_with_close(grace, Close::new(code, reason)?);
        Ok(())
    }

    fn drain_with_close(&self, grace: Duration, close: Close) {
        if !self.registry.enter_draining(grace, close) {
            return;
        }
        let registry = self.registry.clone();
        let draining = thread::Builder::new().name("draining".into()).spawn(move || {
            registry.drain(grace / 5 * 4);
            registry.stop_after_drain();
        });
        if let Err(error) = draining {
            log::error!("drain: {error}; the server closes all connections at once");
            self.registry.stop_after_drain();
        }
    }

    /// Begins to stop the server, and returns at once.
    ///
    /// The server accepts no new connection, and closes the open ones with close code 1001. Queued
    /// messages go out first, and so do the replies that a handler sends before it waits in `recv`
    /// again. If a handler is still busy after nine tenths of the grace period, its connection's
    /// Close goes out anyway.
    ///
    /// The peers have the whole grace period to send their own Close, with two exceptions: the
    /// keepalive still gives up on a silent peer, and a handler that calls `close` waits only for
    /// `Limits::close`. Pages that are being sent also have the whole grace period. At the end of
    /// the grace period, the server aborts the connections that are still open, and `serve`
    /// returns. (On some listeners, `serve` may return later than that: see
    /// [`Server::on`](crate::Server::on).)
    ///
    /// A second call sets a new grace period, which begins with that call.
    pub fn stop(&self, grace: Duration) {
        self.stop_with_close(grace, Close::going_away());
    }

    /// Like [`stop`](Handle::stop), but with your own close code and reason, such as 1012 and
    /// "restarting". Returns [`Error::Misuse`](crate::Error::Misuse), and doesn't stop the server,
    /// if the code must not be sent in a Close (such as 1006) or the reason is longer than 123
    /// bytes.
    pub fn stop_with(
        &self,
        grace: Duration,
        code: impl Into<CloseCode>,
        reason: &str,
    ) -> Result<()> {
        self.stop_with_close(grace, Close::new(code, reason)?);
        Ok(())
    }

    fn stop_with_close(&self, grace: Duration, close: Close) {
        self.registry.stop(grace, close);
    }

    /// Returns the current values of the server's [counters](Counters).
    pub fn counters(&self) -> Counters {
        self.registry.counters()
    }
}
