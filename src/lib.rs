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
//!  bytes ── connection ──► head::parse ──► handshake::decide ──► the 101, or a refusal ──► out
//!    │  what came behind the head stays in the same buffer
//!    └──► incoming: frame ─► unmask ─► (inflate) ─► message ──► Event ──► handler
//!  bytes ◄── stream ◄── one lock, whole frames ◄── outgoing: frame ◄─ mask ◄─ (deflate) ◄── send / pong / close
//! ```
//!
//! `protocol` is bytes in, bytes and values out: it knows no sockets, clocks or threads. `net` puts it
//! on sockets and threads, `explain` tells the same bytes to a person. Read in this order; each file
//! needs only those above it.
//!
//! | file | minutes | the question it answers |
//! |---|---|---|
//! | `protocol/lesson.rs` | 2 | What does an error owe the person who meets it? (`lessons.md`: all of them) |
//! | `protocol/close_code.rs` | 2 | Which codes end a connection, and which may travel? |
//! | `protocol/misuse.rs` | 2 | What may our own caller not ask for? |
//! | `protocol/violation.rs` | 3 | How can a peer break the rules, and what is it told? |
//! | `protocol/token.rs` | 1 | What are names made of? |
//! | `protocol/response.rs` | 2 | What does an answer in plain HTTP look like? |
//! | `protocol/refusal.rs` | 2 | How is a request refused so that somebody learns from it? |
//! | `protocol/head.rs` | 6 | Where does a head end, and what are its lines? |
//! | `protocol/authority.rs` | 4 | Who is asked (`Host`), and which page asks (`Origin`)? |
//! | `protocol/request.rs` | 3 | What does the first line of a request say? |
//! | `protocol/key.rs` | 2 | How does a client know that a WebSocket server read its request? |
//! | `protocol/extension.rs` | 2 | What stands in `Sec-WebSocket-Extensions`? |
//! | `protocol/terms.rs` | 5 | On which terms do both ends compress? |
//! | `protocol/handshake.rs` | 6 | Does this request become a WebSocket? |
//! | `protocol/ask.rs` | 5 | What does a client ask, and which answers does it take? |
//! | `protocol/mask.rs` | 2 | What is a mask, and what is it for? |
//! | `protocol/frame.rs` | 6 | What stands in front of a payload, bit by bit? |
//! | `protocol/close.rs` | 2 | What does a Close frame say? |
//! | `protocol/text.rs` | 3 | How is text checked that arrives in pieces? |
//! | `protocol/message.rs` | 4 | How do fragments become a message, within limits? |
//! | `protocol/buffer.rs` | 2 | Where do bytes wait that have come and are not yet read? |
//! | `protocol/deflate.rs` | 5 | How is a message compressed, and inflated within limits? (feature `deflate`; else `no_deflate.rs`) |
//! | `protocol/incoming.rs` | 5 | How do bytes become events? |
//! | `protocol/outgoing.rs` | 4 | How do messages become bytes, and which may not be sent? |
//! | `protocol/prepared.rs` | 1 | How is one encoding sent to many? |
//! | `explain/account.rs` | 2 | What is told of a head or a frame? |
//! | `explain/headers.rs` | 1 | What are the header fields of a handshake for? |
//! | `explain/extensions.rs` | 4 | What is offered and taken, parameter by parameter? |
//! | `explain/lines.rs` | 2 | What do the lines of a head say? |
//! | `explain/heads.rs` | 4 | Where does a head end, and what is decided about it? |
//! | `explain/reading.rs` | 4 | How are payloads read, and where do they go wrong? |
//! | `explain/bits.rs` | 2 | What does each bit of a header say? |
//! | `explain/compressed.rs` | 2 | What do compressed payloads say? |
//! | `explain/payload.rs` | 3 | What do payloads say? |
//! | `explain/frames.rs` | 4 | How are frames told as they arrive? |
//! | `explain/conversation.rs` | 3 | How are both directions told? |
//! | `explain/json.rs` | 1 | How is it told to a page? |
//! | `explain/print.rs` | 3 | How is it told to a terminal? |
//! | `error.rs` | 3 | What can go wrong, and who is at fault? |
//! | `net/limits.rs` | 2 | How much, how many, how long? |
//! | `net/stream.rs` | 4 | What do we need of the operating system? |
//! | `net/random.rs` | 2 | Where do bytes come from that nobody can guess? |
//! | `net/queue.rs` | 2 | How can many give and one take, and nobody wait? |
//! | `net/tap.rs` | 3 | How is a connection explained while it goes on? |
//! | `net/narrator.rs` | 2 | Who prints it, and what if nobody reads? |
//! | `net/tls/records.rs` | 6 | How do threads share TLS, and none waits for another's system call? |
//! | `net/tls.rs` | 4 | Who proves to be whom, and who is believed? (feature `tls`) |
//! | `net/no_tls.rs` | 1 | What if TLS is not built in? |
//! | `net/tally.rs` | 1 | What does a server count? |
//! | `net/slot.rs` | 1 | What can be left for whoever is writing? |
//! | `net/link.rs` | 8 | What do the threads of a connection share, and who waits for whom? |
//! | `net/sender.rs` | 1 | How do other threads send? |
//! | `net/outbox.rs` | 2 | How does one send to a peer that may be slow? |
//! | `net/house.rs` | 5 | Who is in the house, who must make way, and how does everybody leave? |
//! | `net/farewell.rs` | 1 | Who says goodbye? |
//! | `net/pulse.rs` | 2 | Is the peer still there? |
//! | `net/receiver.rs` | 6 | What happens in `recv`? |
//! | `net/connection.rs` | 4 | What can one do with a WebSocket? |
//! | `net/streaming.rs` | 3 | How does a long message pass in constant memory? |
//! | `net/head_reader.rs` | 1 | How long may a head take? |
//! | `net/greet.rs` | 3 | How does a stream become a `WebSocket`? |
//! | `net/threads.rs` | 1 | Where does a connection get its thread from? |
//! | `net/server.rs` | 5 | How does each connection get a thread, and what if there is none? |
//! | `net/client.rs` | 4 | How does one dial, ask and verify? |
//!
//! # The walkthrough
//!
//! Fifteen chapters in `src/walkthrough` follow the bytes through this code, with exercises: [`walkthrough`].

mod error;
pub mod explain;
mod net;
pub mod protocol;
// For readers and for the tests alone.
#[cfg(any(doc, doctest))]
pub mod walkthrough;

pub use error::{Error, Result};
pub use net::client::Client;
pub use net::connection::WebSocket;
pub use net::house::Handle;
pub use net::limits::Limits;
pub use net::narrator::Narrator;
pub use net::outbox::Outbox;
pub use net::sender::Sender;
pub use net::server::Server;
pub use net::stream::Stream;
pub use net::streaming::{MessageReader, MessageWriter};
pub use net::tally::Counters;
pub use net::tap::Tap;
pub use net::tls::Tls;
pub use protocol::close::Close;
pub use protocol::close_code::CloseCode;
pub use protocol::lesson::Lesson;
pub use protocol::message::{AsMessage, Kind, Message, MessageRef, Plain};
pub use protocol::prepared::Prepared;
pub use protocol::refusal::Refusal;
pub use protocol::request::Request;
pub use protocol::response::Response;
pub use protocol::terms::Deflate;

/// Opens a WebSocket: `ws://host[:port][/path][?query]`, or `wss://`. [`Client`] can ask for more.
pub fn connect(url: &str) -> Result<WebSocket> {
    Client::new(url).connect()
}

/// The server's handshake on a stream that somebody else accepted, with the defaults of a
/// [`Server`]; [`Server::unbound`] can ask for more.
pub fn accept(stream: impl Stream) -> Result<WebSocket> {
    Server::unbound().accept(stream)
}

/// The README's code is run with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
