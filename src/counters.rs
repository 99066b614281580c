//! A server's counters: connections, refusals by status, and the messages and bytes in both
//! directions.
//!
//! Each connection also counts its own messages and bytes, for its last log line.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::{fmt, iter};

use crate::transport::lock::lock;

/// A server's running totals. The threads of all its connections compete for these counters, so a
/// connection adds to them once per read or write, not once per message.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    traffic: AtomicCounts,
    accepted: AtomicU64,
    refused: Mutex<BTreeMap<u16, u64>>,
}

/// Counts one connection's traffic, for its last log line. On a server, everything that's counted
/// here is also added to the server's totals.
#[derive(Debug, Default)]
pub(crate) struct ConnectionCounts {
    counts: AtomicCounts,
    server: Option<Arc<Totals>>,
}

/// Messages and bytes in both directions: of one connection, or of a whole server.
#[derive(Debug, Default)]
struct AtomicCounts {
    messages_in: AtomicU64,
    messages_out: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

/// A snapshot of a server's counters, as [`Handle::counters`](crate::Handle::counters) returns it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// The number of WebSockets that were open when the snapshot was taken.
    pub open: usize,
    /// The number of WebSockets that have been opened since the server started. A connection counts
    /// just before its 101 is sent, so a client that vanishes at that moment is included.
    pub accepted: u64,
    /// The number of requests that the server has refused, by the HTTP status of the response. A
    /// status without refusals has no entry. A client that closes without sending a byte, such as a
    /// load balancer's TCP check, isn't counted.
    pub refused: BTreeMap<u16, u64>,
    /// The number of complete messages that the server has received. Messages that arrived together
    /// may be counted only when `recv` has returned the last of them.
    pub messages_in: u64,
    /// The number of complete messages that the server has sent.
    pub messages_out: u64,
    /// The number of bytes that the server has received in frames, including the frames' headers.
    /// HTTP isn't counted.
    pub bytes_in: u64,
    /// The number of bytes that the server has sent in frames, including the frames' headers. HTTP
    /// isn't counted.
    pub bytes_out: u64,
}

impl Totals {
    pub(crate) fn count_opened(&self) {
        self.accepted.fetch_add(1, Relaxed);
    }

    pub(crate) fn count_refused(&self, status: u16) {
        *lock(&self.refused).entry(status).or_default() += 1;
    }

    pub(crate) fn snapshot(&self, open: usize) -> Counters {
        Counters {
            open,
            accepted: self.accepted.load(Relaxed),
            refused: lock(&self.refused).clone(),
            messages_in: self.traffic.messages_in.load(Relaxed),
            messages_out: self.traffic.messages_out.load(Relaxed),
            bytes_in: self.traffic.bytes_in.load(Relaxed),
            bytes_out: self.traffic.bytes_out.load(Relaxed),
        }
    }
}

impl ConnectionCounts {
    /// Creates the counts of a server's new connection, all zero. Everything that the connection
    /// counts is also added to the server's totals, `server`.
    pub(crate) fn adding_to(server: Arc<Totals>) -> ConnectionCounts {
        ConnectionCounts { server: Some(server), ..ConnectionCounts::default() }
    }

    pub(crate) fn count_received(&self, messages: u64, bytes: usize) {
        for counts in self.own_and_server_totals() {
            counts.messages_in.fetch_add(messages, Relaxed);
            counts.bytes_in.fetch_add(bytes as u64, Relaxed);
        }
    }

    pub(crate) fn count_sent_bytes(&self, bytes: usize) {
        for counts in self.own_and_server_totals() {
            counts.bytes_out.fetch_add(bytes as u64, Relaxed);
        }
    }

    pub(crate) fn count_sent_messages(&self, messages: u64) {
        for counts in self.own_and_server_totals() {
            counts.messages_out.fetch_add(messages, Relaxed);
        }
    }

    pub(crate) fn bytes_sent(&self) -> u64 {
        self.counts.bytes_out.load(Relaxed)
    }

    pub(crate) fn messages_sent(&self) -> u64 {
        self.counts.messages_out.load(Relaxed)
    }

    /// Returns the counts that a read or a write adds to: the connection's own counts, and on a
    /// server also the server's totals.
    fn own_and_server_totals(&self) -> impl Iterator<Item = &AtomicCounts> {
        iter::once(&self.counts).chain(self.server.iter().map(|server| &server.traffic))
    }
}

/// Formats the counts for the connection's last log line, such as
/// `1 messages and 22 bytes in, 1 messages and 14 bytes out`.
impl fmt::Display for ConnectionCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let load = |count: &AtomicU64| count.load(Relaxed);
        let AtomicCounts { messages_in, messages_out, bytes_in, bytes_out } = &self.counts;
        write!(f, "{} messages and {} bytes in, ", load(messages_in), load(bytes_in))?;
        write!(f, "{} messages and {} bytes out", load(messages_out), load(bytes_out))
    }
}
