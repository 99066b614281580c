//! The bytes of a conversation, told to a person.
//!
//! Everything here asks the [`protocol`](crate::protocol) what bytes are and whether they may stand
//! there; it only adds words and positions. The [map](crate) says in which order to read.

pub mod account;
pub mod bits;
pub mod conversation;
pub mod frames;
pub mod headers;
pub mod heads;
pub mod json;
pub mod payload;
pub mod print;
