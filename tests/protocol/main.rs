//! The protocol by itself, through its public face: bytes in, bytes and values out, no socket.
//!
//! What must hold is taken from the text of the RFCs and from published transcripts. Where an answer
//! has to be computed, it is computed by a slow hand of its own, never by the code that is tested.

mod beginnings;
mod client;
mod conversations;
mod diagnostics;
mod encoder;
mod handshake;
mod heads;
mod lengths;
mod limits;
mod splits;
mod support;
mod transcripts;
mod vectors;
mod violations;
