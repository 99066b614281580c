//! How does a thread send to a peer that may be slow?
//!
//! ```text
//! any thread ──► outbox: try_send ──► queue ──► the outbox's thread ──► write half ──► peer
//! ```
//!
//! Read this folder's files in this order; each imports only files above it. Read the write half
//! between `queue.rs` and `outbox.rs`: it uses the queues, because it sends our Close only after
//! the queued messages.
//!
//! | file | the question it answers |
//! |---|---|
//! | `queue.rs` | How do many threads put messages into a queue, and one thread take them out? |
//! | `outbox.rs` | How does a thread send to a peer that may be slow? |

pub(crate) mod outbox;
pub(crate) mod queue;
