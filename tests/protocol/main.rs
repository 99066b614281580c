//! The protocol alone, through its public API: bytes go in, bytes and values come out, without a
//! socket.
//!
//! The expected results come from the text of the RFCs and from published transcripts. Where an
//! answer has to be computed, a slow implementation in the tests computes it, never the code under
//! test.

mod client;
mod conversations;
mod diagnostics;
mod encoder;
mod first_two_bytes;
mod handshake;
mod heads;
mod lengths;
mod limits;
mod refused_requests;
mod splits;
mod support;
mod transcripts;
mod vectors;
mod violations;
