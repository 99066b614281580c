//! Sockets, threads and deadlines, around the [`protocol`](crate::protocol).
//!
//! The [map](crate) says in which order to read.

pub(crate) mod client;
pub(crate) mod connection;
pub(crate) mod farewell;
pub(crate) mod greet;
pub(crate) mod head_reader;
pub(crate) mod house;
pub(crate) mod limits;
pub(crate) mod link;
pub(crate) mod narrator;
pub(crate) mod outbox;
pub(crate) mod pulse;
pub(crate) mod queue;
pub(crate) mod random;
pub(crate) mod receiver;
pub(crate) mod sender;
pub(crate) mod server;
pub(crate) mod slot;
pub(crate) mod stream;
pub(crate) mod streaming;
pub(crate) mod tally;
pub(crate) mod tap;
pub(crate) mod threads;
#[cfg_attr(not(feature = "tls"), path = "no_tls.rs")]
pub(crate) mod tls;
