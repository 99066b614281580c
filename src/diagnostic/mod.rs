//! What does each error explain to the developer who meets it?
//!
//! ```text
//! a rule is broken ──► heading of its diagnostic + what was seen
//!                              │  looked up in diagnostics.md
//!                              ▼
//!                      rule, seen, usual cause, fix
//! ```
//!
//! Read this folder's files in this order; each imports only files above it.
//!
//! | file | the question it answers |
//! |---|---|
//! | `quote.rs` | How is a peer's text made safe to show? |
//! | `diagnostic.rs` | What are the four parts of a diagnostic? (`diagnostics.md` lists all diagnostics) |
//! | `misuse.rs` | Which of the application's calls to this library are refused? |

mod diagnostic;
pub mod misuse;
mod quote;

pub use diagnostic::Diagnostic;
pub(crate) use quote::escape_char;
pub use quote::{escape, quote, quote_all};
