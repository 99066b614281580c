//! How does a client dial, ask and verify?
//!
//! ```text
//! url ──► dial ──► (proxy) ──► (tls) ──► request ──► head of the answer ──► verify ──► WebSocket
//! ```
//!
//! Read this folder's files in this order; each imports only files above it.
//!
//! | file | the question it answers |
//! |---|---|
//! | `random.rs` | Where do unpredictable bytes come from? |
//! | `proxy.rs` | How does a client reach a server through an HTTP proxy? |
//! | `client.rs` | How does a client dial, ask and verify? |

pub(crate) mod client;
pub(crate) mod proxy;
pub(crate) mod random;
