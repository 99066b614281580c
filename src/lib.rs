//! **ws101** is a WebSocket server and client written by hand on `std::net`, to be read: one thread a
//! connection, blocking sockets, no async runtime, no unsafe code. 101 is the status code of the
//! handshake, and the number of a first course.
//!
//! ```no_run
//! use ws101::Server;
//!
//! fn main() -> ws101::Result<()> {
//!     env_logger::init();
//!     Server::bind("127.0.0.1:9001")?.serve(|mut ws| {
//!         while let Some(message) = ws.recv()? {
//!             ws.send(message)?;
//!         }
//!         Ok(())
//!     })
//! }
//! ```
//!
//! # The map
//!
//! ```text
//!  bytes ── transport ──► http::head ──► handshake::server::decide ──► the 101, or a refusal ──► out
//!    │  what follows the head stays in the same buffer
//!    └──► frames::decoder: header ─► unmask ─► (inflate) ─► message ──► connection: recv ──► handler
//!  bytes ◄── connection: one lock, whole frames ◄── frames::encoder: header ◄─ mask ◄─ (deflate) ◄── send
//! ```
//!
//! A folder imports only from those above it. Each folder's `mod.rs` lists its files in reading order.
//! `diagnostic`, `http`, `handshake`, `frames` and `explain` know no sockets, clocks or threads.
//!
//! | folder | the question it answers |
//! |---|---|
//! | `diagnostic` | What does every error owe the person who meets it? |
//! | `http` | What is the head of an HTTP/1.1 message, read and written by hand? |
//! | `handshake` | How does an HTTP request become a WebSocket, at both ends? |
//! | `frames` | How do bytes become messages, and messages bytes? |
//! | `explain` | What do these bytes mean, told to a person? |
//! | `error.rs` | What can go wrong, and who is at fault? |
//! | `transport` | Which stream of bytes carries a connection, and how long may it take? |
//! | `connection` | What is an open WebSocket, and how do its threads share it? |
//! | `server` | How does a server accept connections, give each a thread, and stop? |
//! | `client` | How does a client dial, ask and verify? |
//!
//! ## The core
//!
//! These files tell the whole story once, and take less than an hour. What they leave out (compression,
//! TLS, taps, outboxes, the registry, thread reuse) stands in the other files, and nothing in the core
//! needs it to be understood.
//!
//! | core file | its step |
//! |---|---|
//! | `http/head.rs` | Bytes become the lines of a head. |
//! | `http/request.rs` | The first line becomes method, path and version. |
//! | `handshake/accept_key.rs` | The key becomes its answer. |
//! | `handshake/server.rs` | The request becomes a decision, and the decision a 101. |
//! | `frames/mask.rs` | The mask comes off. |
//! | `frames/header.rs` | The first bytes of a frame become its header. |
//! | `frames/utf8.rs` | Bytes become checked text. |
//! | `frames/assembler.rs` | Fragments become a message. |
//! | `frames/decoder.rs` | Bytes become events. |
//! | `frames/encoder.rs` | Messages become bytes. |
//! | `connection/write_half.rs` | Threads take turns to write whole frames. |
//! | `connection/read_half.rs` | `recv` waits, answers pings, and ends. |
//! | `connection/websocket.rs` | The two halves become what a handler uses. |
//! | `server/server.rs` | Each connection gets a thread. |
//!
//! # The walkthrough
//!
//! Fifteen chapters in `src/walkthrough` follow the bytes through this code, with exercises: [`walkthrough`].

mod client;
mod connection;
pub mod diagnostic;
mod error;
pub mod explain;
pub mod frames;
pub mod handshake;
pub mod http;
mod server;
mod transport;
// For readers and for the tests alone.
#[cfg(any(doc, doctest))]
pub mod walkthrough;

pub use client::client::Client;
pub use connection::counters::Counters;
pub use connection::limits::Limits;
pub use connection::message_stream::{MessageReader, MessageWriter};
pub use connection::outbox::Outbox;
pub use connection::sender::Sender;
pub use connection::websocket::WebSocket;
pub use diagnostic::Diagnostic;
pub use error::{Error, Result};
pub use frames::close::Close;
pub use frames::close_code::CloseCode;
pub use frames::message::{AsMessage, Message, MessageKind, MessageRef, Uncompressed};
pub use frames::prepared::PreparedMessage;
pub use handshake::deflate_params::DeflateConfig;
pub use http::refusal::Refusal;
pub use http::request::Request;
pub use http::response::Response;
pub use server::registry::Handle;
pub use server::server::Server;
pub use transport::explainer::Explainer;
pub use transport::stream::Stream;
pub use transport::tap::Tap;
pub use transport::tls::Tls;

/// Opens a WebSocket: `ws://host[:port][/path][?query]`, or `wss://`. [`Client`] can ask for more.
pub fn connect(url: &str) -> Result<WebSocket> {
    Client::new(url).connect()
}

/// The server's handshake on a stream that somebody else accepted, with the defaults of a
/// [`Server`]; [`Server::without_listener`] can ask for more.
pub fn accept(stream: impl Stream) -> Result<WebSocket> {
    Server::without_listener().accept(stream)
}

/// The README's code is run with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
