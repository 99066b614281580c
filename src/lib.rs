//! **ws101** is a WebSocket server and client, hand-written on `std::net`: one thread per
//! connection, blocking sockets, no async runtime, no unsafe code. It exists to be read, learnt
//! from and used. The 101 in its name is the status code of a successful handshake, and the usual
//! number of an introductory course.
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
//! # What you want to do
//!
//! | task | type or method |
//! |---|---|
//! | serve WebSocket | [`Server::bind`], [`Server::serve`]; in a separate thread: [`Server::spawn`] |
//! | serve on an inherited socket, or on a Unix socket | [`Server::on`] |
//! | connect to a server | [`connect`], or [`Client`] for headers, subprotocols, root certificates |
//! | receive messages | [`WebSocket::recv`], [`WebSocket::recv_timeout`] |
//! | send messages | [`WebSocket::send`]; many in one write: [`WebSocket::feed`] and [`WebSocket::flush`] |
//! | send from other threads | [`WebSocket::sender`], which returns a [`Sender`] |
//! | broadcast without waiting for slow peers | [`WebSocket::outbox`], which returns an [`Outbox`]; [`PreparedMessage`] |
//! | send and receive long messages in constant memory | [`WebSocket::send_stream`], [`WebSocket::recv_stream`] |
//! | close, and learn how the peer closed | [`WebSocket::close`], [`WebSocket::closed_with`], [`CloseCode`] |
//! | find out what went wrong, and whether to try again | [`Error`] and its table |
//! | check a token or a cookie | [`Server::authorize`], with your check, which returns `Ok` or a [`Refusal`] |
//! | tell the handler who the client is, and set headers on the 101 | [`Server::admit`], with your check, which returns an [`Admission`] or a [`Refusal`]; [`WebSocket::identity`] |
//! | allow pages from other sites | [`Server::origins`] |
//! | serve plain HTTP on the same port | [`Server::http`], with your function, which returns a [`Response`] or `None` |
//! | change the limits on sizes, counts and times | [`Limits`] |
//! | stop a server at once or gracefully, and read its counters | [`Server::handle`], which returns a [`Handle`] with [`Handle::stop`], [`Handle::drain`] and [`Handle::counters`] |
//! | connect through an HTTP proxy | [`Client::proxy`], [`Client::proxy_from_environment`] |
//! | use TLS (feature `tls`) | [`Server::tls`] with a [`Tls`], [`Client::root_certificates`]; with a rustls configuration: `Tls::from_config`, [`Client::tls_config`]; a client's certificate: [`Request::peer_certificates`] |
//! | compress messages (feature `deflate`) | [`DeflateConfig`]; a message that contains a secret: [`Uncompressed`] |
//! | use your own stream | [`accept`], [`Server::accept`], [`Client::connect_over`], [`Stream`] |
//! | explain the bytes of a running server or client | [`Server::explain`], [`Client::explain`] with an [`Explainer`]; on your own stream: [`Tap`] |
//! | explain recorded bytes | [`explain`] |
//! | use the handshake or the frames without sockets | [`http`], [`handshake`], [`frames`] |
//! | look up a common question, such as why a connection ends with 1006 | [`walkthrough::how_do_i`] |
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
//! In this table, each entry imports only from the entries above it. Each folder's `mod.rs` lists
//! its files in reading order. `diagnostic`, `http`, `handshake`, `frames` and `explain` use no
//! sockets, clocks or threads, so their tests need only bytes.
//!
//! | folder | the question it answers |
//! |---|---|
//! | `diagnostic` | What does each error explain to the developer who meets it? |
//! | `http` | How is the head of an HTTP/1.1 message read and written by hand? |
//! | `handshake` | How does an HTTP request become a WebSocket, at both ends? |
//! | `frames` | How do bytes become messages, and how do messages become bytes? |
//! | `explain` | What does each byte of a conversation say, and does it break a rule? |
//! | `error.rs` | What can go wrong, and who is at fault? |
//! | `limits.rs` | How much memory and time, and how many connections, may peers take? |
//! | `transport` | Which byte stream carries a connection, and how long may a read or a write on it take? |
//! | `counters.rs` | What does a server count, and what does each connection count? |
//! | `connection` | What is an open WebSocket, and how do its threads share it? |
//! | `server` | How does a server accept connections, give each a thread, and stop? |
//! | `client` | How does a client dial, ask and verify? |
//!
//! ## The core
//!
//! These files cover a connection from the handshake to the close, and take less than an hour to
//! read. You can understand them without the other files, which hold compression, TLS, taps,
//! outboxes, the server's registry of its connections, and thread reuse.
//!
//! | core file | its step |
//! |---|---|
//! | `http/head.rs` | Bytes become the lines of a head. |
//! | `http/request.rs` | The first line becomes method, path and version. |
//! | `handshake/accept_key.rs` | The client's key becomes the server's proof. |
//! | `handshake/server.rs` | The request becomes a decision, and the decision a 101. |
//! | `frames/mask.rs` | Payloads are unmasked. |
//! | `frames/header.rs` | The first bytes of a frame become its header. |
//! | `frames/utf8.rs` | Bytes become valid UTF-8 text. |
//! | `frames/assembler.rs` | Fragments become a message. |
//! | `frames/decoder.rs` | Bytes become events. |
//! | `frames/encoder.rs` | Messages become bytes. |
//! | `connection/write_half.rs` | Threads take turns to write whole frames. |
//! | `connection/read_half.rs` | `recv` waits for messages, and answers pings and the Close. |
//! | `connection/websocket.rs` | The two halves become what a handler uses. |
//! | `server/accept_loop.rs` | Each connection gets a thread. |
//!
//! # The walkthrough
//!
//! The [`walkthrough`] in `src/walkthrough` follows the bytes through this code, in sixteen
//! chapters with exercises.

mod client;
mod connection;
mod counters;
pub mod diagnostic;
mod error;
pub mod explain;
pub mod frames;
pub mod handshake;
pub mod http;
mod limits;
mod server;
mod transport;
// The chapters are documentation, so this module is compiled only for rustdoc and doc tests.
#[cfg(any(doc, doctest))]
pub mod walkthrough;

#[doc(inline)]
pub use client::client::Client;
#[doc(inline)]
pub use connection::message_reader::MessageReader;
#[doc(inline)]
pub use connection::message_writer::MessageWriter;
#[doc(inline)]
pub use connection::outbox::outbox::Outbox;
#[doc(inline)]
pub use connection::outbox::queue::Backlog;
#[doc(inline)]
pub use connection::sender::Sender;
#[doc(inline)]
pub use connection::websocket::WebSocket;
#[doc(inline)]
pub use counters::Counters;
#[doc(inline)]
pub use diagnostic::Diagnostic;
#[doc(inline)]
pub use error::{Error, Result};
#[doc(inline)]
pub use frames::close::Close;
#[doc(inline)]
pub use frames::close_code::CloseCode;
#[doc(inline)]
pub use frames::message::{AsMessage, Message, MessageKind, MessageRef, Uncompressed};
#[doc(inline)]
pub use frames::prepared::PreparedMessage;
#[doc(inline)]
pub use handshake::client::HandshakeError;
#[doc(inline)]
pub use handshake::deflate_params::DeflateConfig;
#[doc(inline)]
pub use http::head::Head;
#[doc(inline)]
pub use http::refusal::Refusal;
#[doc(inline)]
pub use http::request::Request;
#[doc(inline)]
pub use http::response::Response;
#[doc(inline)]
pub use limits::Limits;
#[doc(inline)]
pub use server::application_check::Admission;
#[doc(inline)]
pub use server::handle::Handle;
#[doc(inline)]
pub use server::running_server::RunningServer;
#[doc(inline)]
pub use server::server::Server;
#[doc(inline)]
pub use transport::annotation_printer::Explainer;
#[doc(inline)]
pub use transport::listener::Listener;
#[doc(inline)]
pub use transport::stream::Stream;
#[doc(inline)]
pub use transport::tap::Tap;
#[doc(inline)]
pub use transport::tls::Tls;

/// The TLS library rustls, in the version that ws101 uses. Use this re-export to build the
/// configurations for [`Tls::from_config`] and [`Client::tls_config`]. These functions don't accept
/// types from an incompatible rustls version.
#[cfg(feature = "tls")]
pub use rustls;

/// Connects to a server and opens a WebSocket. The URL is `ws://host[:port][/path][?query]`, or
/// `wss://` for TLS. Blocks until the WebSocket is open. Fails with [`Rejected`](Error::Rejected)
/// if the server rejects the handshake, and with [`PeerTimeout`](Error::PeerTimeout) if the
/// WebSocket isn't open after 10 seconds. A slow lookup of the hostname may make the call take
/// longer, because the lookup can't be interrupted. For other settings, use [`Client`].
pub fn connect(url: &str) -> Result<WebSocket> {
    Client::new(url).connect()
}

/// Opens a WebSocket as a server with the default settings, on a stream that your own code has
/// accepted. Blocks until the client's request has been read and answered. Fails with
/// [`Refused`](Error::Refused) if the server refuses the request, and with
/// [`ConnectionLost`](Error::ConnectionLost) if the client closes without sending a byte. For other
/// settings, use [`Server::without_listener`].
pub fn accept(stream: impl Stream) -> Result<WebSocket> {
    Server::without_listener().accept(stream)
}

/// Makes `cargo test` run the code examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
