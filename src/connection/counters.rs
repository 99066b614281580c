//! What a server counts: connections, refusals by status, messages and bytes both ways.
//!
//! A connection counts for itself, too, so that the log can say what passed through it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use crate::transport::lock::lock;

/// Running totals of a server or of one connection. A connection adds to them once per read or write,
/// not once per message.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    /// Those of the server that a connection belongs to.
    server: Option<Arc<Totals>>,
    accepted: AtomicU64,
    messages_in: AtomicU64,
    messages_out: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    refused: Mutex<BTreeMap<u16, u64>>,
}

/// What a server has counted so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// WebSockets that are open now.
    pub open: usize,
    /// WebSockets opened since the server started.
    pub accepted: u64,
    /// Refused requests, by the status of the refusal.
    pub refused: BTreeMap<u16, u64>,
    /// Whole messages received.
    pub messages_in: u64,
    /// Whole messages sent.
    pub messages_out: u64,
    /// Bytes of frames received.
    pub bytes_in: u64,
    /// Bytes of frames sent.
    pub bytes_out: u64,
}

impl Totals {
    /// The totals of a new connection. What is added to them is added to the server's as well.
    pub(crate) fn of_connection(server: Arc<Totals>) -> Arc<Totals> {
        Arc::new(Totals { server: Some(server), ..Totals::default() })
    }

    pub(crate) fn accepted(&self) {
        self.accepted.fetch_add(1, Relaxed);
    }

    pub(crate) fn refused(&self, status: u16) {
        *lock(&self.refused).entry(status).or_default() += 1;
    }

    pub(crate) fn received(&self, messages: u64, bytes: usize) {
        self.messages_in.fetch_add(messages, Relaxed);
        self.bytes_in.fetch_add(bytes as u64, Relaxed);
        if let Some(server) = &self.server {
            server.received(messages, bytes);
        }
    }

    pub(crate) fn sent(&self, messages: u64, bytes: usize) {
        self.messages_out.fetch_add(messages, Relaxed);
        self.bytes_out.fetch_add(bytes as u64, Relaxed);
        if let Some(server) = &self.server {
            server.sent(messages, bytes);
        }
    }

    pub(crate) fn counters(&self, open: usize) -> Counters {
        Counters {
            open,
            accepted: self.accepted.load(Relaxed),
            refused: lock(&self.refused).clone(),
            messages_in: self.messages_in.load(Relaxed),
            messages_out: self.messages_out.load(Relaxed),
            bytes_in: self.bytes_in.load(Relaxed),
            bytes_out: self.bytes_out.load(Relaxed),
        }
    }
}

/// What passed through a connection, for its last line in the log.
impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |count: &AtomicU64| count.load(Relaxed);
        let (messages, bytes) = (of(&self.messages_in), of(&self.bytes_in));
        write!(f, "{messages} messages and {bytes} bytes in, ")?;
        let (messages, bytes) = (of(&self.messages_out), of(&self.bytes_out));
        write!(f, "{messages} messages and {bytes} bytes out")
    }
}
