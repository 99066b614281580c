//! Which thread serves a connection, and which one refuses a client for which there is no thread?
//!
//! ```text
//!                     ┌─ a thread is idle, or one can be started ──► thread_pool: serves the connection
//! accepted stream ────┤
//!                     └─ no thread can be started ──► refusing_thread: sends a 503
//! ```
//!
//! Read this folder's files in this order; each imports only files above it.
//!
//! | file | the question it answers |
//! |---|---|
//! | `refusing_thread.rs` | Which thread refuses a client if no thread can be started for it? |
//! | `thread_pool.rs` | Which thread serves a connection? |

pub(crate) mod refusing_thread;
pub(crate) mod thread_pool;
