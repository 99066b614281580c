//! How does an HTTP request become a WebSocket, at both ends?
//!
//! ```text
//!  client: url ──► request ─────────────────────► server: decide
//!                                                    │   key, version, origin, subprotocol, extensions
//!  client: verify ◄── 101 Switching Protocols ◄──────┤
//!                 ◄── refusal (400, 403, 426, ..) ◄──┘
//! ```
//!
//! Read this folder's files in this order; each imports only files above it.
//!
//! | file | the question it answers |
//! |---|---|
//! | `accept_key.rs` | How does a client know that a WebSocket server read its request? |
//! | `hosts.rs` | Which hosts does the server answer for? |
//! | `origin.rs` | Which pages may connect? |
//! | `extension.rs` | What does `Sec-WebSocket-Extensions` list? |
//! | `deflate_params.rs` | Which compression parameters do both ends agree on? |
//! | `server.rs` | Does this request become a WebSocket? |
//! | `url.rs` | What are the parts of a WebSocket URL? |
//! | `client.rs` | What does a client ask for, and which responses does it accept? |

pub mod accept_key;
pub mod client;
pub mod deflate_params;
pub mod extension;
pub mod hosts;
pub mod origin;
pub mod server;
pub mod url;
