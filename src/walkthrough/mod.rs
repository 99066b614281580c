//! How WebSocket works, explained with this crate's code, and a course in which you build a server
//! yourself.
//!
#![cfg_attr(not(doctest), doc = include_str!("rustdoc.md"))]
#![doc = include_str!("README.md")]

// Each chapter is a Markdown file, for readers of the repository and of rustdoc. Its links lead to
// files of the repository. In rustdoc, where the chapter is the documentation of a module,
// `rustdoc.md` comes first and defines the same links with rustdoc's pages as targets. If a link is
// defined twice, the first definition counts.

#[cfg_attr(not(doctest), doc = include_str!("rustdoc.md"))]
#[doc = include_str!("01_the_request.md")]
pub mod ch01_the_request {}

#[cfg_attr(not(doctest), doc = include_str!("rustdoc.md"))]
#[doc = include_str!("02_the_decision.md")]
pub mod ch02_the_decision {}

#[cfg_attr(not(doctest), doc = include_str!("rustdoc.md"))]
#[doc = include_str!("03_the_101.md")]
pub mod ch03_the_101 {}

#[cfg_attr(not(doctest), doc = include_str!("rustdoc.md"))]
#[doc = include_str!("04_the_frame.md")]
pub mod ch04_the_frame {}

#[cfg_attr(not(doctest), doc = include_str!("rustdoc.md"))]
#[doc = include_str!("05_the_mask.md")]
pub mod ch05_the_mask {}

#[cfg_attr(not(doctest), doc = include_str!("rustdoc.md"))]
#[doc = include_str!("06_messages.md")]
pub mod ch06_messages {}

#[cfg_attr(not(doctest), doc = include_str!("rustdoc.md"))]
#[doc = include_str!("07_closing.md")]
pub mod ch07_closing {}

#[cfg_attr(not(doctest), doc = include_str!("rustdoc.md"))]
#[doc = include_str!("08_threads.md")]
pub mod ch08_threads {}

#[cfg_attr(not(doctest), doc = include_str!("rustdoc.md"))]
#[doc = include_str!("09_attacks_and_limits.md")]
pub mod ch09_attacks_and_limits {}

#[cfg_attr(not(doctest), doc = include_str!("rustdoc.md"))]
#[doc = include_str!("10_the_client.md")]
pub mod ch10_the_client {}

#[cfg_attr(not(doctest), doc = include_str!("rustdoc.md"))]
#[doc = include_str!("11_compression.md")]
pub mod ch11_compression {}

#[cfg_attr(not(doctest), doc = include_str!("rustdoc.md"))]
#[doc = include_str!("12_tls_and_proxies.md")]
pub mod ch12_tls_and_proxies {}

#[cfg_attr(not(doctest), doc = include_str!("rustdoc.md"))]
#[doc = include_str!("13_many.md")]
pub mod ch13_many {}

#[cfg_attr(not(doctest), doc = include_str!("rustdoc.md"))]
#[doc = include_str!("14_what_a_thread_costs.md")]
pub mod ch14_what_a_thread_costs {}

#[cfg_attr(not(doctest), doc = include_str!("rustdoc.md"))]
#[doc = include_str!("15_before_and_after.md")]
pub mod ch15_before_and_after {}

#[cfg_attr(not(doctest), doc = include_str!("rustdoc.md"))]
#[doc = include_str!("16_many_machines.md")]
pub mod ch16_many_machines {}

// Pages for looking things up.

#[cfg_attr(not(doctest), doc = include_str!("rustdoc.md"))]
#[doc = include_str!("how_do_i.md")]
pub mod how_do_i {}

#[cfg_attr(not(doctest), doc = include_str!("rustdoc.md"))]
#[doc = include_str!("museum.md")]
pub mod museum {}

#[doc = include_str!("the_state_of_the_field.md")]
pub mod the_state_of_the_field {}

#[doc = include_str!("rfc.md")]
pub mod rfc {}

#[doc = include_str!("tables.md")]
pub mod tables {}

#[doc = include_str!("figures.md")]
pub mod figures {}

#[doc = include_str!("conversation.md")]
pub mod conversation {}

// The course, in which you build a server in any language.

#[cfg_attr(not(doctest), doc = include_str!("course/rustdoc.md"))]
#[doc = include_str!("course/README.md")]
pub mod course {
    #[cfg_attr(not(doctest), doc = include_str!("course/rustdoc.md"))]
    #[doc = include_str!("course/01_head.md")]
    pub mod stage_01_head {}

    #[cfg_attr(not(doctest), doc = include_str!("course/rustdoc.md"))]
    #[doc = include_str!("course/02_accept.md")]
    pub mod stage_02_accept {}

    #[cfg_attr(not(doctest), doc = include_str!("course/rustdoc.md"))]
    #[doc = include_str!("course/03_refuse.md")]
    pub mod stage_03_refuse {}

    #[cfg_attr(not(doctest), doc = include_str!("course/rustdoc.md"))]
    #[doc = include_str!("course/04_frame.md")]
    pub mod stage_04_frame {}

    #[cfg_attr(not(doctest), doc = include_str!("course/rustdoc.md"))]
    #[doc = include_str!("course/05_lengths.md")]
    pub mod stage_05_lengths {}

    #[cfg_attr(not(doctest), doc = include_str!("course/rustdoc.md"))]
    #[doc = include_str!("course/06_stream.md")]
    pub mod stage_06_stream {}

    #[cfg_attr(not(doctest), doc = include_str!("course/rustdoc.md"))]
    #[doc = include_str!("course/07_ping.md")]
    pub mod stage_07_ping {}

    #[cfg_attr(not(doctest), doc = include_str!("course/rustdoc.md"))]
    #[doc = include_str!("course/08_close.md")]
    pub mod stage_08_close {}

    #[cfg_attr(not(doctest), doc = include_str!("course/rustdoc.md"))]
    #[doc = include_str!("course/09_fragments.md")]
    pub mod stage_09_fragments {}

    #[cfg_attr(not(doctest), doc = include_str!("course/rustdoc.md"))]
    #[doc = include_str!("course/10_utf8.md")]
    pub mod stage_10_utf8 {}

    #[cfg_attr(not(doctest), doc = include_str!("course/rustdoc.md"))]
    #[doc = include_str!("course/11_rules.md")]
    pub mod stage_11_rules {}

    #[cfg_attr(not(doctest), doc = include_str!("course/rustdoc.md"))]
    #[doc = include_str!("course/12_many.md")]
    pub mod stage_12_many {}

    #[cfg_attr(not(doctest), doc = include_str!("course/rustdoc.md"))]
    #[doc = include_str!("course/13_policy.md")]
    pub mod stage_13_policy {}

    #[cfg_attr(not(doctest), doc = include_str!("course/rustdoc.md"))]
    #[doc = include_str!("course/14_deflate.md")]
    pub mod stage_14_deflate {}

    #[cfg_attr(not(doctest), doc = include_str!("course/rustdoc.md"))]
    #[doc = include_str!("course/teacher.md")]
    pub mod teacher {}
}
