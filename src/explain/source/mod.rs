//! Which source lines of this crate decide what a field means, or whether bytes break a rule?
//!
//! ```text
//! span, verdict ─► anchor_lookup ─► Anchor: file, function, a few words ─► passage: the lines, some marked
//! annotation ────► steps ─► the anchors that this frame or head passed, with its own values
//!                  (anchors: the table of all anchors)
//! ```
//!
//! Rules of this folder:
//! - An anchor names a function and a few words in it. It names no line number, because an edit
//!   elsewhere in the file could change that number. The marked lines are the statement with those
//!   words, and the comment above it, which names the rule.
//! - A test checks that each anchor is found exactly once, and that its marked lines name its rule.
//!
//! Read this folder's files in this order; each imports only files above it.
//!
//! | file | the question it answers |
//! |---|---|
//! | `anchors.rs` | Which source lines decide about a field or a rule? |
//! | `passage.rs` | Where are an anchor's lines, and what do they say? |
//! | `anchor_lookup.rs` | Which anchor belongs to a field or a verdict? |
//! | `steps.rs` | Which source lines handle a head or a frame, step by step? |

pub mod anchor_lookup;
pub mod anchors;
pub mod passage;
pub mod steps;

pub use self::passage::{Chapter, Line, Passage};
