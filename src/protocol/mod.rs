//! WebSocket without a socket: bytes in, bytes and values out.
//!
//! Nothing here knows of sockets, clocks or threads, so all of it can be tested, fuzzed and read by
//! itself. The [map](crate) says in which order.

pub mod ask;
pub mod authority;
pub mod buffer;
pub mod close;
pub mod close_code;
#[cfg_attr(not(feature = "deflate"), path = "no_deflate.rs")]
pub mod deflate;
pub mod extension;
pub mod frame;
pub mod handshake;
pub mod head;
pub mod incoming;
pub mod key;
pub mod lesson;
pub mod mask;
pub mod message;
pub mod misuse;
pub mod outgoing;
pub mod prepared;
pub mod refusal;
pub mod request;
pub mod response;
pub mod terms;
pub mod text;
pub mod token;
pub mod violation;
