//! Sockets, threads and deadlines, around the [`protocol`](crate::protocol).
//!
//! In reading order:
//!
//! 1. [`stream`], [`limits`]: what we need of the operating system; how much, how many, how long
//! 2. [`link`], [`sender`], [`connection`]: one lock for what goes out; `recv`, `send`, `close`
//! 3. [`streaming`], [`outbox`]: long messages piece by piece; peers that may be slow
//! 4. [`head_reader`], [`greet`], [`house`], [`server`], [`farewell`]: from `accept` to goodbye
//! 5. [`random`], [`client`]: bytes that nobody can guess; dial, ask, verify
//! 6. [`tally`]: what a server counts

pub(crate) mod client;
pub(crate) mod connection;
pub(crate) mod farewell;
pub(crate) mod greet;
pub(crate) mod head_reader;
pub(crate) mod house;
pub(crate) mod limits;
pub(crate) mod link;
pub(crate) mod outbox;
pub(crate) mod random;
pub(crate) mod sender;
pub(crate) mod server;
pub mod stream;
pub(crate) mod streaming;
pub(crate) mod tally;
