//! The bytes of a conversation, told to a person.
//!
//! ```
//! use ws101::explain::conversation::explain_frames;
//! use ws101::explain::heads::Settings;
//! use ws101::explain::print::{Style, annotation};
//! use ws101::frames::header::Role;
//!
//! let told = explain_frames(b"\x81\x05Hello", Role::Server, &Settings::default());
//! assert_eq!(told[0].title, "text, 5 bytes");
//! assert_eq!(told[0].spans.last().unwrap().value, "\"Hello\"");
//! print!("{}", annotation(&told[0], "", Style::default()));
//! ```
//!
//! Everything here asks `http`, `handshake` and `frames` what bytes are and whether they may stand
//! there; it only adds words and positions. The [map](crate) says in which order to read.
//!
//! Read its files in this order; each imports only those above it.
//!
//! | file | the question it answers |
//! |---|---|
//! | `annotation.rs` | What is said about a head or a frame? |
//! | `header_glossary.rs` | What is each header field of a handshake for? |
//! | `extensions.rs` | Which extensions are offered and accepted, parameter by parameter? |
//! | `head_lines.rs` | What does each line of a head say? |
//! | `heads.rs` | Where does a head end, and what is decided about it? |
//! | `payload_decoder.rs` | How is a payload decoded, and where is it wrong? |
//! | `header_bits.rs` | What does each bit of a frame's header say? |
//! | `compressed.rs` | What does a compressed payload say? |
//! | `payload.rs` | What does a payload say? |
//! | `frames.rs` | How are frames explained as they arrive? |
//! | `conversation.rs` | How are both directions explained together? |
//! | `json.rs` | How is an annotation sent to a page? |
//! | `print.rs` | How is an annotation printed at a terminal? |

pub mod annotation;
pub mod compressed;
pub mod conversation;
pub mod extensions;
pub mod frames;
pub mod head_lines;
pub mod header_bits;
pub mod header_glossary;
pub mod heads;
pub mod json;
pub mod payload;
pub mod payload_decoder;
pub mod print;
