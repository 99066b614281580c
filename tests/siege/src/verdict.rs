//! The line that a row prints: what must hold, and what was measured.

use std::fmt::{self, Display, Write};
use std::time::Duration;

/// What a row has found, claim by claim.
#[derive(Default)]
pub struct Verdict {
    claims: Vec<String>,
    failed: bool,
}

impl Verdict {
    /// So many, and neither more nor fewer.
    pub fn exactly(&mut self, what: &str, counted: u64, due: u64) {
        self.claim(counted == due, format!("{what} {counted} of {due}"));
    }

    pub fn at_most<T: Measure>(&mut self, what: &str, measured: T, bound: T) {
        let holds = measured <= bound;
        self.claim(holds, format!("{what} {}, at most {}", measured.shown(), bound.shown()));
    }

    pub fn at_least<T: Measure>(&mut self, what: &str, measured: T, bound: T) {
        let holds = measured >= bound;
        self.claim(holds, format!("{what} {}, at least {}", measured.shown(), bound.shown()));
    }

    /// Held against a bound, and told beside the goal, which is further.
    pub fn towards<T: Measure>(&mut self, what: &str, measured: T, bound: T, goal: T) {
        if bound == goal {
            return self.at_most(what, measured, bound);
        }
        let met = if measured <= goal { "met" } else { "not met" };
        let shown = (measured.shown(), bound.shown(), goal.shown());
        let text = format!("{what} {}, at most {} (goal {}: {met})", shown.0, shown.1, shown.2);
        self.claim(measured <= bound, text);
    }

    /// It happened, in time.
    pub fn within(&mut self, what: &str, took: Option<Duration>, bound: Duration) {
        match took {
            Some(took) => self.at_most(what, took, bound),
            None => self.claim(false, format!("{what}: never, at most {}", bound.shown())),
        }
    }

    /// A figure that nothing is held against.
    pub fn note(&mut self, text: impl Display) {
        self.claims.push(text.to_string());
    }

    /// This, and nothing else: a status, a code.
    pub fn is<T: Display + PartialEq>(&mut self, what: &str, seen: T, due: T) {
        let holds = seen == due;
        let text =
            if holds { format!("{what} {seen}") } else { format!("{what} {seen}, not {due}") };
        self.claim(holds, text);
    }

    /// There must be none of these, and then nothing is said; else the first one is told.
    pub fn none(&mut self, what: &str, found: &[String]) {
        if let Some(first) = found.first() {
            self.claim(false, format!("{what}: {}, the first: {first}", found.len()));
        }
    }

    fn claim(&mut self, holds: bool, text: String) {
        self.failed |= !holds;
        self.claims.push(if holds { text } else { format!("FAILED: {text}") });
    }

    pub fn holds(&self) -> bool {
        !self.failed
    }
}

impl Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.claims.join("; "))
    }
}

/// What can be held against a bound.
pub trait Measure: PartialOrd {
    fn shown(&self) -> String;
}

impl Measure for u64 {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Measure for f64 {
    fn shown(&self) -> String {
        let mut shown = String::new();
        let _ = write!(shown, "{self:.1}");
        shown
    }
}

impl Measure for Duration {
    fn shown(&self) -> String {
        if *self == Duration::MAX {
            return "never".into();
        }
        match self.as_secs_f64() {
            seconds if seconds >= 1.0 => format!("{seconds:.1} s"),
            seconds => format!("{:.1} ms", seconds * 1000.0),
        }
    }
}
