//! A server that runs in its own thread: the program can stop it, and wait for it to end.

use std::net::SocketAddr;
use std::panic::resume_unwind;
use std::thread::JoinHandle;
use std::time::Duration;

use super::handle::Handle;
use crate::error::Result;

/// A server that runs in its own thread, started by
/// [`Server::spawn`](super::server::Server::spawn). Dropping this value doesn't stop the server.
#[derive(Debug)]
pub struct RunningServer {
    pub(super) address: Result<SocketAddr>,
    pub(super) handle: Handle,
    pub(super) thread: JoinHandle<Result<()>>,
}

impl RunningServer {
    /// Returns the address that the server listens on.
    ///
    /// # Panics
    ///
    /// Panics if the server listens on a Unix socket, which has no IP address.
    pub fn local_addr(&self) -> SocketAddr {
        *self.address.as_ref().expect("a TCP listener")
    }

    /// Returns a handle that can stop the server and read its counters.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Stops the server with this grace period (see [`Handle::stop`]), waits until it has stopped,
    /// and returns the result of `serve`. Panics if `serve` panicked.
    pub fn stop(self, grace: Duration) -> Result<()> {
        self.handle.stop(grace);
        self.join()
    }

    /// Waits until the server has stopped, and returns the result of `serve`. Panics if `serve`
    /// panicked.
    pub fn join(self) -> Result<()> {
        self.thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    }
}
