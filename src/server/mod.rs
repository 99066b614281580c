//! How does a server accept connections, give each a thread, and stop?
//!
//! ```text
//! accept ──► a thread of the pool ──► upgrade: head ► decision ► permit ► authorize ► 101 ──► handler
//!                                        │
//!                                        ├──► pending: which clients may be evicted
//!                                        └──► registry: which connections are open ◄── shutdown
//! ```
//!
//! Read this folder's files in this order; each imports only files above it.
//!
//! | file | the question it answers |
//! |---|---|
//! | `registry/page_slots.rs` | How many pages may be generated at a time? |
//! | `registry/pending_connections.rs` | Which connections are pending, and which of them is evicted? |
//! | `registry/registry.rs` | What do a server and its connections share, and which connections are open? |
//! | `shutdown.rs` | How does a server drain, and how does it stop? |
//! | `handle.rs` | How does an operator stop the server, at once or slowly? |
//! | `application_check.rs` | How does the application admit a client, and tell the handler who it is? |
//! | `options.rs` | Which settings does a server have? |
//! | `upgrade.rs` | How does an accepted stream become a `WebSocket`? |
//! | `threads/refusing_thread.rs` | Which thread refuses a client if no thread can be started for it? |
//! | `threads/thread_pool.rs` | Which thread serves a connection? |
//! | `running_server.rs` | How does a program stop a server that runs in its own thread, and wait for it to end? |
//! | `accept_loop.rs` | How is each connection accepted, and what happens if there is no thread for it? |
//! | `server.rs` | How does a program configure a server, and start it? |

pub(crate) mod accept_loop;
pub(crate) mod application_check;
pub(crate) mod handle;
pub(crate) mod options;
pub(crate) mod registry;
pub(crate) mod running_server;
pub(crate) mod server;
pub(crate) mod shutdown;
pub(crate) mod threads;
pub(crate) mod upgrade;
