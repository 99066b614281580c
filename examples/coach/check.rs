//! What a check is: what it sends and expects, what it teaches, and its verdict.
//!
//! A check that can't say `fail` with certainty says `warn` or `skip`. Its function returns at the first
//! thing that does not hold; what it returns becomes the verdict, which the check's level softens.

use crate::causes;
use crate::probe::Probe;

/// How much the RFC asks for it.
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

/// Which peers a check is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Peers {
    Servers,
    Clients,
    Both,
}

/// What a learner is told about a rule: shared by the checks that ask about the same rule.
#[derive(Clone, Copy)]
pub struct Lesson {
    pub section: &'static str,
    pub rule: &'static str,
    pub causes: &'static str,
    pub fix: &'static str,
}

/// One question to a peer.
#[derive(Clone, Copy)]
pub struct Check {
    pub id: &'static str,
    pub level: Level,
    pub peers: Peers,
    pub lesson: &'static Lesson,
    pub sends: &'static str,
    pub expects: &'static str,
    pub run: fn(&mut Probe) -> Outcome,
    /// No other check may run beside it: it asks what one connection does to the next.
    pub alone: bool,
}

/// Why a check does not pass.
#[derive(Debug, Clone)]
pub enum Stop {
    /// The rule does not hold.
    Fails(String),
    /// The RFC allows it, and there is something to say.
    Warns(String),
    /// It could not be asked.
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

    /// The usual cause in a learner's code, and the fix: this very check's, or else its rule's.
    pub fn cause_and_fix(&self) -> (&'static str, &'static str) {
        causes::own(self.id).unwrap_or((self.lesson.causes, self.lesson.fix))
    }

    pub const fn alone(self) -> Check {
        Check { alone: true, ..self }
    }

    pub fn area(&self) -> &'static str {
        self.id.split('/').next().unwrap_or_default()
    }
}
