//! What is an open WebSocket, and how do its threads share it?
//!
//! ```text
//!              ┌── read_half: recv, keepalive ◄──┐
//! websocket ───┤        │ pong or Close due      stream
//!              └── write_half: one lock ─────────►┘
//!                      ▲
//! sender, outbox ──────┘   other threads
//! ```
//!
//! In `recv`, the reading thread never waits for the write lock, which the sending threads share.
//! If that lock is taken, the reading thread leaves its pong or Close in [`pending_control`], and
//! the thread that holds the lock sends the frame. Waiting could cause a deadlock: if the reading
//! threads of both ends waited for their write locks, neither end would read any more. Then the
//! threads that hold those locks could never finish their writes.
//!
//! Read this folder's files in this order; each imports only files above it.
//!
//! | file | the question it answers |
//! |---|---|
//! | `pending_control.rs` | Which control frames wait for the thread that holds the write lock? |
//! | `closing_state.rs` | What ends a connection, what goes out before our Close, and how long may that take? |
//! | `message_lock.rs` | What waits while a message is written piece by piece? |
//! | `outbox/queue.rs` | How do many threads put messages into a queue, and one thread take them out? |
//! | `write_half.rs` | What do the threads of a connection share, and who waits for whom? |
//! | `sender.rs` | How do other threads send? |
//! | `thread_budget.rs` | How many threads may this process still start? |
//! | `outbox/outbox.rs` | How does a thread send to a peer that may be slow? |
//! | `close_guard.rs` | What closes a connection when its `WebSocket` is dropped? |
//! | `keepalive.rs` | Is the peer still there? |
//! | `read_half.rs` | What happens in `recv`? |
//! | `websocket.rs` | What can a caller do with a WebSocket? |
//! | `message_reader.rs` | How is a long message read in constant memory? |
//! | `message_writer.rs` | How is a long message written in constant memory? |

pub(crate) mod close_guard;
pub(crate) mod closing_state;
pub(crate) mod keepalive;
pub(crate) mod message_lock;
pub(crate) mod message_reader;
pub(crate) mod message_writer;
pub(crate) mod outbox;
pub(crate) mod pending_control;
pub(crate) mod read_half;
pub(crate) mod sender;
pub(crate) mod thread_budget;
pub(crate) mod websocket;
pub(crate) mod write_half;
