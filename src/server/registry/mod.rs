//! What do a server and its connections share?
//!
//! ```text
//! accepted ──► pending_connections ──┬─ asks for a WebSocket ──► registry: takes a permit, is open
//!                 │                  └─ asks for a page ──► page_slots: takes a slot
//!                 └─ is evicted by newer clients
//! ```
//!
//! Read this folder's files in this order; each imports only files above it.
//!
//! | file | the question it answers |
//! |---|---|
//! | `page_slots.rs` | How many pages may be generated at a time? |
//! | `pending_connections.rs` | Which connections are pending, and which of them is evicted? |
//! | `registry.rs` | What do a server and its connections share, and which connections are open? |

pub(crate) mod page_slots;
pub(crate) mod pending_connections;
pub(crate) mod registry;
