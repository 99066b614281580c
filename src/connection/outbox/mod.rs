//! How does a thread send to a peer that may be slow?
//!
//! ```text
//! any thread ──► outbox: try_send ──► queue ──► the outbox's thread ──► write half ──► peer
//! ```
//!
//! Read its files in this order; each imports only those above it. The write half belongs between
//! `queue.rs` and `outbox.rs`: it knows the queues, because it sends our Close after they are sent.
//!
//! | file | the question it answers |
//! |---|---|
//! | `queue.rs` | How do many threads put messages in, and one take them out? |
//! | `outbox.rs` | How does a thread send to a peer that may be slow? |

pub(crate) mod outbox;
pub(crate) mod queue;
