//! Streams that misbehave, at each byte of whole conversations: what the application hears, and what
//! the peer does, must be what they would have been, or a beginning of it and an error that says so.
//!
//! No sockets and no second thread: the peer lives inside the stream ([`peer`]), and a plan
//! ([`plan`]) says at which byte of which direction what goes wrong. So each run is the same each time,
//! and one that would hang is found by counting its calls.

mod conversations;
mod life;
mod peer;
mod plan;
mod reads;
#[cfg(feature = "tls")]
mod secure;
mod writes;
