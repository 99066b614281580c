//! WebSocket without a socket: bytes in, bytes and values out.
//!
//! Nothing here knows of sockets, clocks or threads, so all of it can be tested, fuzzed and read by
//! itself. The files, in reading order:
//!
//! 1. [`lesson`], [`misuse`], [`violation`], [`refusal`]: what can go wrong, and what we say to it
//! 2. [`head`], [`request`], [`authority`]: a head read by hand; who is asked, and who asks
//! 3. [`key`], [`handshake`], [`response`], [`ask`]: the key's answer, the decision and the 101; the client's side of it
//! 4. [`frame`], [`mask`], [`close`]: one picture, read and written; four bytes of XOR; the last word
//! 5. [`text`], [`message`], [`prepared`]: UTF-8 as it arrives; fragments to messages
//! 6. [`buffer`], [`incoming`], [`outgoing`]: the two halves of a connection

pub mod ask;
pub mod authority;
pub mod buffer;
pub mod close;
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
pub mod text;
pub mod violation;

pub use close::CloseCode;
