//! Streams that fail at each byte of whole conversations. Both the application and the peer must
//! receive either everything, or a first part of it and then an error.
//!
//! No sockets and no second thread: the peer lives inside the stream ([`peer`]), and the stream's
//! plan ([`faulty_stream`]) says at which byte of which direction what goes wrong. So each run is the same each time,
//! and one that would hang is found by counting its calls.

mod conversations;
mod faulty_stream;
mod life;
mod peer;
mod reads;
#[cfg(feature = "tls")]
mod secure;
mod writes;
