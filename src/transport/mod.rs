//! Which byte stream carries a connection, and how long may a read or a write on it take?
//!
//! ```text
//! connection ──► (tap) ──► (tls) ──► stream ──► the operating system
//!                  │
//!                  └──► annotation printer: prints the explanations
//! ```
//!
//! A read must end before its [`deadline`]. A write must keep up the [`min_write_rate`]. At the
//! end, a [`lingering_close`] lets the peer read our last bytes.
//!
//! Read this folder's files in this order; each imports only files above it.
//!
//! | file | the question it answers |
//! |---|---|
//! | `lock.rs` | How do we lock a mutex after a thread has panicked while it held the lock? |
//! | `unacknowledged.rs` | How many of our bytes has the peer's TCP stack not acknowledged? |
//! | `stream.rs` | What must a byte stream be able to do? |
//! | `listener.rs` | On which sockets can a server listen? |
//! | `deadline.rs` | How does a read or a write end before a fixed time? |
//! | `min_write_rate.rs` | When does a connection give up on a peer that reads too slowly? |
//! | `renewable_deadline.rs` | How much more time does a peer get while it's still reading our bytes? |
//! | `lingering_close.rs` | How does a stream end so that the peer can read our last bytes? |
//! | `head_reader.rs` | How is an HTTP head read from a stream? |
//! | `tap.rs` | How is a connection explained while it is open? |
//! | `annotation_printer.rs` | Which thread prints the explanations, and what happens while the output is blocked? |
//! | `tls/tls_stream.rs` | How do a reader and a writer share one TLS connection, so that neither waits for the other's system call? |
//! | `tls/handshake_errors.rs` | Why did a TLS handshake fail? (feature `tls`) |
//! | `tls/certificates.rs` | Which certificate does a server show, and which does a client trust? (feature `tls`; without it `tls/absent.rs`) |

pub(crate) mod annotation_printer;
pub(crate) mod deadline;
pub(crate) mod head_reader;
pub(crate) mod lingering_close;
pub(crate) mod listener;
pub(crate) mod lock;
pub(crate) mod min_write_rate;
pub(crate) mod renewable_deadline;
pub(crate) mod stream;
pub(crate) mod tap;
#[cfg_attr(not(feature = "tls"), path = "tls/absent.rs")]
pub(crate) mod tls;
pub(crate) mod unacknowledged;
