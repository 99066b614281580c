#![doc = include_str!("README.md")]

#[doc = include_str!("rustdoc.md")]
#[doc = include_str!("01_the_request.md")]
pub mod ch01_the_request {}

#[doc = include_str!("rustdoc.md")]
#[doc = include_str!("02_the_decision.md")]
pub mod ch02_the_decision {}

#[doc = include_str!("rustdoc.md")]
#[doc = include_str!("03_the_101.md")]
pub mod ch03_the_101 {}

#[doc = include_str!("rustdoc.md")]
#[doc = include_str!("04_the_frame.md")]
pub mod ch04_the_frame {}

#[doc = include_str!("rustdoc.md")]
#[doc = include_str!("05_the_mask.md")]
pub mod ch05_the_mask {}

#[doc = include_str!("rustdoc.md")]
#[doc = include_str!("06_messages.md")]
pub mod ch06_messages {}
