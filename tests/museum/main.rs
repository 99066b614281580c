//! A museum of faults in WebSocket software, which ws101 doesn't have.
//!
//! Each exhibit is a test, named after its first id. Its comment lists the ids of all published faults of
//! this kind, tells their story, and says what holds here. It also names its *twin*: our source without
//! the guard, with which exactly this test must fail. So each guard is proved to be needed.
//!
//! ```text
//! cargo test museum                           the catalogue, then all exhibits
//! cargo test --all-features museum            with those of compression and TLS
//! cargo test museum -- --exact museum::catalogue::catalogue        the catalogue alone
//! tests/museum/twins [NAME ...]               removes each guard in a copy of the source
//! cargo test --manifest-path tests/museum/memory/Cargo.toml        exhibits that need a counting allocator
//! ```
//!
//! The bytes are written by hand, as in the other tests, and not by the code under test.

#[allow(dead_code, reason = "the museum borrows what it needs")]
#[path = "../protocol/support.rs"]
mod frames;
#[allow(dead_code, reason = "the museum borrows what it needs")]
#[path = "../loopback/support.rs"]
mod sockets;

mod script;

/// `cargo test museum` finds the rooms by this name.
#[path = "."]
mod museum {
    mod catalogue;

    mod compression;
    mod floods;
    mod handshake;
    mod lengths;
    mod lifecycle;
    #[cfg(feature = "tls")]
    mod secure;
    mod unnumbered;
}
