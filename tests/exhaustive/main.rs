//! Tests all inputs where there are few enough: each header, code, length, short text and changed
//! head.
//!
//! The expected result of each comes from [`rfc`], an oracle that was written from the text of the
//! RFCs, in their order, and that uses nothing of this crate.
//!
//! Some of these tests take too long without optimisation, and run only in
//! `cargo test --release --all-features --test exhaustive`.

mod codes;
mod ear;
mod headers;
mod lengths;
mod requests;
mod rfc;
mod texts;
