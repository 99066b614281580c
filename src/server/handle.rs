//! The handle on a running server: it stops the server, in three ways, and reads its counters.
//!
//! | call | new clients | open connections | the server ends |
//! |---|---|---|---|
//! | `stop_accepting` | get a 503 | stay | with a later `drain` or `stop` |
//! | `drain(grace)` | get a 503 | get their Close in batches, spread over four fifths of the grace | when all have closed, at the latest when the grace is over |
//! | `stop(grace)` | get a 503 for a second at most; then nothing listens | get their Close as soon as they have no reply to send | the same |
//!
//! A server goes down this table and never up. No call waits for the server's end; `serve` returns
//! then.

use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::registry::Registry;
use crate::connection::counters::Counters;
use crate::error::Result;
use crate::frames::close::Close;
use crate::frames::close_code::CloseCode;

/// A handle on a server. From any thread it stops the server, at once or slowly, and reads its
/// counters.
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
    /// Lets no new client in, and keeps the open connections. A client that asks for a WebSocket
    /// gets a 503 with `Retry-After`. The server still answers plain HTTP, so that a readiness page
    /// can answer 503 itself: see [`is_accepting`](Handle::is_accepting). A server can't accept
    /// again afterwards; call [`drain`](Handle::drain) or [`stop`](Handle::stop) to end it.
    pub fn stop_accepting(&self) {
        self.registry.stop_accepting();
    }

    /// Returns whether the server lets new clients in: until the first call of
    /// [`stop_accepting`](Handle::stop_accepting), [`drain`](Handle::drain) or
    /// [`stop`](Handle::stop). (While all places are taken this is still `true`.)
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
    /// The server lets no new client in, as after [`stop_accepting`](Handle::stop_accepting). It
    /// closes the open connections with 1001 in batches, spread evenly over the first four fifths
    /// of the grace. Each connection ends as with [`stop`](Handle::stop): queued messages go out
    /// first, and so do the replies that its handler sends before it waits in `recv` again. In the
    /// last fifth, or once all connections have closed, the server stops, and `serve` returns.
    ///
    /// A second call changes nothing. `stop` ends the drain at once.
    pub fn drain(&self, grace: Duration) {
        self.drain_with_close(grace, Close::going_away());
    }

    /// Like [`drain`](Handle::drain), with your own code and reason. 1012 tells clients that the
    /// server restarts and that they should come back after a while. If the code or the reason may
    /// not be sent, it returns [`Error::Misuse`](crate::Error::Misuse) and changes nothing.
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
        if !self.registry.begin_draining(grace, close) {
            return;
        }
        let registry = self.registry.clone();
        let draining = thread::Builder::new().name("draining".into()).spawn(move || {
            registry.drain(grace / 5 * 4);
            registry.begin_stopping();
        });
        if let Err(error) = draining {
            log::error!("drain: {error}; the server closes all connections at once");
            self.registry.begin_stopping();
        }
    }

    /// Begins to stop the server, and returns at once.
    ///
    /// The server accepts no new connection, and closes the open ones with 1001. Queued messages go
    /// out first, and so do the replies that a handler sends before it waits in `recv` again. If a
    /// handler is still busy after nine tenths of the grace, its connection closes anyway. The
    /// peers have the whole grace for their own Close. Then the server aborts the connections that
    /// are still open, and `serve` returns.
    ///
    /// A second call only changes the grace.
    pub fn stop(&self, grace: Duration) {
        self.stop_with_close(grace, Close::going_away());
    }

    /// Like [`stop`](Handle::stop), with your own code and reason, such as 1012 and "restarting".
    /// If the code or the reason may not be sent, it returns
    /// [`Error::Misuse`](crate::Error::Misuse) and stops nothing.
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
        self.registry.set_grace(grace, close);
        self.registry.begin_stopping();
    }

    /// Returns the server's counters as they are now: connections, refusals, messages and bytes.
    pub fn counters(&self) -> Counters {
        self.registry.counters()
    }
}
