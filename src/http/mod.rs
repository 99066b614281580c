//! How is the head of an HTTP/1.1 message read and written by hand?
//!
//! ```text
//! bytes ──► head: where it ends, its lines ──► request: method, target, version
//!                                                  │
//!               response ◄── refusal ◄── a rule is broken
//! ```
//!
//! Read this folder's files in this order; each imports only files above it.
//!
//! | file | the question it answers |
//! |---|---|
//! | `syntax.rs` | What is a token, what is white space, and how is percent-encoding decoded? |
//! | `date.rs` | How does HTTP write the time? |
//! | `status_line.rs` | What does a response's status line say? |
//! | `response.rs` | How is an HTTP response written? |
//! | `refusal.rs` | How is a request refused so that its sender learns why? |
//! | `head.rs` | Where does a head end, and what are its lines? |
//! | `body.rs` | Where does a response's body end? |
//! | `authority.rs` | Which host and port does an address name? |
//! | `request.rs` | What does the first line of a request say? |

pub mod authority;
pub mod body;
pub mod date;
pub mod head;
pub mod refusal;
pub mod request;
pub mod response;
pub mod status_line;
pub mod syntax;
