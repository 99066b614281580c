//! Where the space is small, all of it: each header, code, length, short text and changed head.
//!
//! What must come of each is not taken from the code that is tested: [`rfc`] says it, which was written
//! from the text of the RFCs, in their order, and uses nothing of this crate.
//!
//! Some spaces take too long without optimisation. Those are left to
//! `cargo test --release --all-features --test exhaustive`.

mod codes;
mod ear;
mod headers;
mod lengths;
mod requests;
mod rfc;
mod texts;
