//! ws101 over real sockets, on the loopback interface: what a peer sees.
//!
//! No test waits for time to pass where it can wait for something to happen, and each takes a free
//! port. What a peer sends and gets is written as bytes, so nothing here relies on the code it tests.

mod client;
mod conversation;
mod decisions;
#[cfg(feature = "deflate")]
mod deflate;
mod house;
mod life;
mod streams;
mod support;
#[cfg_attr(not(feature = "tls"), path = "no_tls.rs")]
mod tls;
