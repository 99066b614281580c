//! **ws101** is a WebSocket server and client written by hand on `std::net`, to be read: one thread a
//! connection, blocking sockets, no async runtime, no unsafe code.
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

mod error;
mod net;
pub mod protocol;

pub use error::{Error, Result};
pub use net::client::Client;
pub use net::connection::WebSocket;
pub use net::house::Handle;
pub use net::limits::Limits;
pub use net::outbox::Outbox;
pub use net::sender::Sender;
pub use net::server::Server;
pub use net::stream::{self, Stream};
pub use net::streaming::{MessageReader, MessageWriter};
pub use net::tally::Counters;
pub use protocol::close::{Close, CloseCode};
pub use protocol::lesson::Lesson;
pub use protocol::message::{AsMessage, Kind, Message, MessageRef};
pub use protocol::prepared::Prepared;
pub use protocol::refusal::Refusal;
pub use protocol::request::Request;
pub use protocol::response::Response;

/// Opens a WebSocket: `ws://host[:port][/path][?query]`. [`Client`] can ask for more.
pub fn connect(url: &str) -> Result<WebSocket> {
    Client::new(url).connect()
}

/// The server's handshake on a stream that somebody else accepted, with the defaults of a
/// [`Server`]; [`Server::unbound`] can ask for more.
pub fn accept(stream: impl Stream) -> Result<WebSocket> {
    Server::unbound().accept(stream)
}
