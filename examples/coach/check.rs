//! A check: what it sends and expects, what it explains, and its verdict.
//!
//! A check that isn't certain of a failure returns `warn` or `skip`. Its function returns at the first thing
//! that does not hold. The check's level may soften the result: only a MUST can fail.

use crate::causes;
use crate::probe::Probe;

/// How strongly the RFC requires what a check asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    Must,
    Should,
    Advice,
}

impl Level {
    pub fn name(self) -> &'static str {
        match self {
            Level::Must => "must",
            Level::Should => "should",
            Level::Advice => "advice",
        }
    }
}

/// Whether a check is for servers, for clients, or for both.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Peers {
    Servers,
    Clients,
    Both,
}

/// The explanation of a rule, shared by all checks of that rule.
#[derive(Clone, Copy)]
pub struct Lesson {
    pub section: &'static str,
    pub rule: &'static str,
    pub causes: &'static str,
    pub fix: &'static str,
}

/// One check of a peer: its texts, and the function that runs it.
#[derive(Clone, Copy)]
pub struct Check {
    pub id: &'static str,
    pub level: Level,
    pub peers: Peers,
    pub lesson: &'static Lesson,
    pub sends: &'static str,
    pub expects: &'static str,
    pub run: fn(&mut Probe) -> Outcome,
    /// Whether this check must run alone, because it tests how one connection affects another.
    pub alone: bool,
}

/// Why a check does not pass, with what it saw.
#[derive(Debug, Clone)]
pub enum Stop {
    /// The peer broke the rule.
    Fails(String),
    /// The RFC allows what the peer did, but its author should know.
    Warns(String),
    /// The check could not run, for example because a simpler one fails.
    Skips(String),
}

pub type Outcome = Result<(), Stop>;

pub fn fails<T>(seen: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Fails(seen.into()))
}

pub fn warns<T>(seen: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Warns(seen.into()))
}

pub fn skips<T>(why: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Skips(why.into()))
}

pub const fn check(
    id: &'static str,
    lesson: &'static Lesson,
    sends: &'static str,
    expects: &'static str,
    run: fn(&mut Probe) -> Outcome,
) -> Check {
    let (level, peers) = (Level::Must, Peers::Servers);
    Check { id, level, peers, lesson, sends, expects, run, alone: false }
}

impl Check {
    pub const fn should(self) -> Check {
        Check { level: Level::Should, ..self }
    }

    pub const fn advice(self) -> Check {
        Check { level: Level::Advice, ..self }
    }

    pub const fn both(self) -> Check {
        Check { peers: Peers::Both, ..self }
    }

    pub const fn clients(self) -> Check {
        Check { peers: Peers::Clients, ..self }
    }

    /// Returns the usual cause in a learner's code, and the fix: those that fit what the check saw,
    /// or those of this check, or otherwise those of its rule.
    pub fn cause_and_fix(&self, seen: &str) -> (&'static str, &'static str) {
        causes::for_seen(self.id, seen)
            .or_else(|| causes::own(self.id))
            .unwrap_or((self.lesson.causes, self.lesson.fix))
    }

    pub const fn alone(self) -> Check {
        Check { alone: true, ..self }
    }

    pub fn area(&self) -> &'static str {
        self.id.split('/').next().unwrap_or_default()
    }
}
