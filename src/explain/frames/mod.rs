//! What does each bit of a frame say?
//!
//! ```text
//! bytes ─► Header::parse ─► header_bits ──────────┐
//!    └─► unmasked ─► payload_decoder ─► payload ──┴─► Annotation: title, spans, payload, verdict
//! ```
//!
//! Read this folder's files in this order; each imports only files above it.
//!
//! | file | the question it answers |
//! |---|---|
//! | `payload_decoder.rs` | How is a payload decoded, and where is it wrong? |
//! | `header_bits.rs` | What does each bit of a frame's header say? |
//! | `deflate_spans.rs` | What does a compressed payload say? |
//! | `payload.rs` | What does a payload say? |
//! | `frame_explainer.rs` | How are frames explained as they arrive? |

pub mod deflate_spans;
pub mod frame_explainer;
pub mod header_bits;
pub mod payload;
pub mod payload_decoder;

pub use self::frame_explainer::FrameExplainer;
