//! A museum of what has gone wrong in WebSocket software, and holds here.
//!
//! Each exhibit is a test, named after its first id. Its comment names all ids of published faults of
//! its class, tells their story, and says what holds here. And it names its *twin*: the guard taken
//! away, with which exactly this test must fail. A guard that nobody would miss guards nothing.
//!
//! ```text
//! cargo test museum                           all exhibits, behind the catalogue
//! cargo test --all-features museum            with those of compression and TLS
//! cargo test museum -- --exact museum::catalogue::catalogue        the catalogue alone
//! tests/museum/twins [NAME ...]               takes each guard away, in a copy of the source
//! cargo test --manifest-path tests/museum/memory/Cargo.toml        what has to be counted by an allocator
//! ```
//!
//! Bytes are written by hand here, as the other tests write them; nothing of ours makes them.

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
