//! The bytes of a conversation, told to a person.
//!
//! ```
//! use ws101::explain::conversation::explain_frames;
//! use ws101::explain::heads::Terms;
//! use ws101::explain::print::{Style, account};
//! use ws101::protocol::frame::Role;
//!
//! let told = explain_frames(b"\x81\x05Hello", Role::Server, &Terms::default());
//! assert_eq!(told[0].title, "text, 5 bytes");
//! assert_eq!(told[0].spans.last().unwrap().value, "\"Hello\"");
//! print!("{}", account(&told[0], "", Style::default()));
//! ```
//!
//! Everything here asks the [`protocol`](crate::protocol) what bytes are and whether they may stand
//! there; it only adds words and positions. The [map](crate) says in which order to read.

pub mod account;
pub mod bits;
pub mod compressed;
pub mod conversation;
pub mod extensions;
pub mod frames;
pub mod headers;
pub mod heads;
pub mod json;
pub mod lines;
pub mod payload;
pub mod print;
pub mod reading;
