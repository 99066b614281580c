//! How do bytes become messages, and how do messages become bytes?
//!
//! ```text
//! bytes ──► buffer ──► decoder: header ─► unmask ─► (inflate) ─► assembler ──► Event
//! bytes ◄── batch  ◄── encoder: header ◄─ mask   ◄─ (deflate) ◄── MessageRef, ping, pong, close
//! ```
//!
//! Read this folder's files in this order; each imports only files above it.
//!
//! | file | the question it answers |
//! |---|---|
//! | `close_code.rs` | Which close codes exist, and which may be sent? |
//! | `violation.rs` | How can a peer break the rules, and which close code follows? |
//! | `mask.rs` | What is a mask, and what is it for? |
//! | `header.rs` | What does a frame's header say, bit by bit? |
//! | `close.rs` | What does a Close frame contain? |
//! | `utf8.rs` | How is text validated while it arrives in pieces? |
//! | `message.rs` | Which types represent a message, received or to be sent? |
//! | `assembler.rs` | How do fragments become a message, within limits? |
//! | `buffer.rs` | Where do received bytes wait until they're parsed? |
//! | `deflate/deflater.rs` | How is a message compressed? (feature `deflate`) |
//! | `deflate/inflater.rs` | How is a compressed message inflated, within limits? (feature `deflate`) |
//! | `deflate/mod.rs` | How does a connection get its inflater and deflater? (feature `deflate`; without it `deflate/absent.rs`) |
//! | `decoder.rs` | How do bytes become events? |
//! | `batch.rs` | Where do encoded frames wait until they're written? |
//! | `encoder.rs` | How do messages become bytes, and what may not be sent? |
//! | `prepared.rs` | How can one encoded message be sent to many connections? |

pub mod assembler;
pub mod batch;
pub mod buffer;
pub mod close;
pub mod close_code;
pub mod decoder;
#[cfg_attr(not(feature = "deflate"), path = "deflate/absent.rs")]
pub mod deflate;
pub mod encoder;
pub mod header;
pub mod mask;
pub mod message;
pub mod prepared;
pub mod utf8;
pub mod violation;
