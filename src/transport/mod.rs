//! Which stream of bytes carries a connection, and how long may it take?
//!
//! ```text
//! connection ──► (tap) ──► (tls) ──► stream ──► the operating system
//!                  │
//!                  └──► explainer: prints what passes by
//! ```
//!
//! Reads keep a [`deadline`]. Writes keep a [`min_write_rate`]. A stream ends with a
//! [`lingering_close`].
//!
//! Read its files in this order; each imports only those above it.
//!
//! | file | the question it answers |
//! |---|---|
//! | `lock.rs` | How do we lock a mutex if another thread has panicked with the lock? |
//! | `unacknowledged.rs` | How many of our bytes has the peer's system not taken? |
//! | `stream.rs` | What do we need of the operating system? |
//! | `listener.rs` | Where do connections come from? |
//! | `deadline.rs` | How do reads and writes keep an absolute deadline? |
//! | `min_write_rate.rs` | When is a peer that reads slowly given up? |
//! | `lingering_close.rs` | How does a stream end so that the peer can read our last bytes? |
//! | `head_reader.rs` | How is a head read from a stream? |
//! | `tap.rs` | How is a connection explained while it is open? |
//! | `explainer.rs` | Which thread prints the explanations, and what if their reader stops reading? |
//! | `tls/tls_stream.rs` | How do threads share TLS, so that none waits for another's system call? |
//! | `tls/mod.rs` | Which certificate does a server show, and which does a client trust? (feature `tls`; without it `tls/absent.rs`) |

pub(crate) mod deadline;
pub(crate) mod explainer;
pub(crate) mod head_reader;
pub(crate) mod lingering_close;
pub(crate) mod listener;
pub(crate) mod lock;
pub(crate) mod min_write_rate;
pub(crate) mod stream;
pub(crate) mod tap;
#[cfg_attr(not(feature = "tls"), path = "tls/absent.rs")]
pub(crate) mod tls;
pub(crate) mod unacknowledged;
