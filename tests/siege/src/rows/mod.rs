//! The rows, each in a file of its own, in the order in which they are run.

mod attack;
pub mod bomb;
mod cap;
mod churn;
mod empty_blocks;
mod floods;
mod idle;
mod news;
mod panics;
mod scarce;
mod slow_pages;
mod slowhttptest;
mod soak;
mod stop;

use crate::verdict::Verdict;
use crate::{Result, Siege};

/// A row: what it is called, and what it does.
pub type Row = (&'static str, fn(&Siege) -> Result<Verdict>);

pub const ALL: &[Row] = &[
    ("idle", idle::row),
    ("attack", attack::row),
    ("cap", cap::row),
    ("descriptors", scarce::descriptors),
    ("threads", scarce::threads),
    ("maps", scarce::maps),
    ("slow-pages", slow_pages::row),
    ("churn", churn::row),
    ("pings", floods::pings),
    ("messages", floods::messages),
    ("fragments", floods::fragments),
    ("bomb", bomb::row),
    ("empty-blocks", empty_blocks::row),
    ("news", news::row),
    ("panics", panics::row),
    ("stop", stop::row),
    ("busy-stop", stop::busy),
    ("slowhttptest", slowhttptest::row),
    ("soak", soak::row),
];
