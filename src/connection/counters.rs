//! What a server counts: connections, refusals by status, messages and bytes both ways.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::transport::lock::lock;

/// Running totals, which the connections of a server share. A connection adds to them once per read or
/// write, not once per message.
#[derive(Debug, Default)]
pub(crate) struct Totals {
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
    pub(crate) fn accepted(&self) {
        self.accepted.fetch_add(1, Relaxed);
    }

    pub(crate) fn refused(&self, status: u16) {
        *lock(&self.refused).entry(status).or_default() += 1;
    }

    pub(crate) fn received(&self, messages: u64, bytes: usize) {
        self.messages_in.fetch_add(messages, Relaxed);
        self.bytes_in.fetch_add(bytes as u64, Relaxed);
    }

    pub(crate) fn sent(&self, messages: u64, bytes: usize) {
        self.messages_out.fetch_add(messages, Relaxed);
        self.bytes_out.fetch_add(bytes as u64, Relaxed);
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
