//! For any bytes, `explain` describes each byte once, and its verdict is the library's.
//!
//! The inputs are good conversations with a few bytes changed, cut, doubled or inserted. They come
//! from a generator with a seed, which a failure prints.

#[cfg_attr(not(feature = "deflate"), path = "no_deflate.rs")]
mod compressed;
mod conversations;
mod frames;
mod heads;
mod playground;
#[path = "../protocol/refused_requests.rs"]
mod refused_requests;
mod source;
mod support;
mod text;
