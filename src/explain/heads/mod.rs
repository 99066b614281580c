//! What does each line of an HTTP head say, and does its receiver accept the head?
//!
//! ```text
//! bytes ─► Scan ─► ArrivingHead ─► request / response ─► Annotation, and what follows the head
//!                                     │      └─► decide, verify_with_offers: the verdict
//!                                     └─► head_lines ─► header_glossary, extensions: the spans
//! ```
//!
//! Read this folder's files in this order; each imports only files above it.
//!
//! | file | the question it answers |
//! |---|---|
//! | `header_glossary.rs` | What is each header field of a handshake for? |
//! | `extensions.rs` | Which extensions does the client offer, and which does the server accept? |
//! | `head_lines.rs` | What does each line of a head say? |
//! | `body_end.rs` | Where does the body of a plain HTTP message end? |
//! | `head_explainer.rs` | Where does a head end, and what is decided about it? |

pub mod body_end;
pub mod extensions;
pub mod head_explainer;
pub mod head_lines;
pub mod header_glossary;

pub use self::head_explainer::{
    AfterRequest, AfterResponse, ArrivingHead, ConnectionReuse, EndedHead, ParsedRequest, Settings,
    request, response,
};
