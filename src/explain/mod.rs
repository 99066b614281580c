//! What does each byte of a conversation say, and does it break a rule?
//!
//! ```text
//!                   ┌► heads ──┐
//! bytes ─► conversation        ├─► annotation ─► text ─► a terminal
//!                   └► frames ─┘     │        └► json ──► a page
//!                                    └► source: the code behind each byte
//! ```
//!
//! ```
//! use ws101::explain::conversation::explain_frames;
//! use ws101::explain::heads::Settings;
//! use ws101::explain::text::{Style, annotation};
//! use ws101::frames::header::Role;
//!
//! let told = explain_frames(b"\x81\x05Hello", Role::Server, &Settings::default());
//! assert_eq!(told[0].title, "text, 5 bytes");
//! assert_eq!(told[0].spans.last().unwrap().value, "\"Hello\"");
//! print!("{}", annotation(&told[0], "", Style::default()));
//! ```
//!
//! The explainer leaves the protocol's rules to `http`, `handshake` and `frames`, which parse the
//! bytes and detect broken rules. It adds the position of each field, and explains in words what
//! the field means. The [map](crate) shows where this folder belongs.
//!
//! Read this folder's files in this order. Each imports only files above it.
//!
//! | file | the question it answers |
//! |---|---|
//! | `annotation.rs` | What does an explanation of a head or a frame contain? |
//! | `heads/header_glossary.rs` | What is each header field of a handshake for? |
//! | `heads/extensions.rs` | Which extensions does the client offer, and which does the server accept? |
//! | `heads/head_lines.rs` | What does each line of a head say? |
//! | `heads/body_end.rs` | Where does the body of a plain HTTP message end? |
//! | `heads/head_explainer.rs` | Where does a head end, and what is decided about it? |
//! | `frames/payload_decoder.rs` | How is a payload decoded, and where is it wrong? |
//! | `frames/header_bits.rs` | What does each bit of a frame's header say? |
//! | `frames/deflate_spans.rs` | What does a compressed payload say? |
//! | `frames/payload.rs` | What does a payload say? |
//! | `frames/frame_explainer.rs` | How are frames explained as they arrive? |
//! | `conversation.rs` | How are both directions explained together? |
//! | `saved_conversation.rs` | How is a conversation saved as text, and parsed again? |
//! | `source/anchors.rs` | Which source lines decide about a field or a rule? |
//! | `source/passage.rs` | Where are an anchor's lines, and what do they say? |
//! | `source/anchor_lookup.rs` | Which anchor belongs to a field or a verdict? |
//! | `source/steps.rs` | Which source lines handle a head or a frame, step by step? |
//! | `json.rs` | How is an annotation written as JSON, for a page? |
//! | `text.rs` | How is an annotation printed on a terminal? |

pub mod annotation;
pub mod conversation;
pub mod frames;
pub mod heads;
pub mod json;
pub mod saved_conversation;
pub mod source;
pub mod text;
