//! The goals for ws101, as multiples of what other servers reach in the same run.

use crate::peers::{FLOOR, SIMD};
use crate::results::{Measure, Median, Results};

/// Who is measured against the others.
pub const OURS: &str = "ws101";

pub struct Goal {
    pub scenario: &'static str,
    /// Who is to reach it: `OURS`, or `SIMD`.
    pub ours: &'static str,
    pub measure: Measure,
    pub target: Target,
}

pub enum Target {
    /// So many times better than the peer: more a second, or that much less time.
    Times(f64, &'static str),
    AtMost(f64),
    AtLeast(f64),
}

/// What was found of a goal, if it was measured.
pub struct Outcome {
    pub reached: Median,
    pub met: bool,
}

const fn rate(scenario: &'static str, times: f64, peer: &'static str) -> Goal {
    goal(scenario, OURS, Measure::Rate, Target::Times(times, peer))
}

const fn goal(
    scenario: &'static str,
    ours: &'static str,
    measure: Measure,
    target: Target,
) -> Goal {
    Goal { scenario, ours, measure, target }
}

pub const ALL: &[Goal] = &[
    rate("a0", 0.97, "raw"),
    rate("a0", 1.03, "tungstenite"),
    rate("b", 0.95, "raw"),
    rate("b", 1.15, "tungstenite"),
    rate("c", 0.95, "raw"),
    rate("c", 1.4, "tungstenite"),
    rate("d", 0.8, "raw"),
    rate("d", 30.0, "tungstenite"),
    rate("e", 0.88, "raw"),
    rate("e", 7.5, "tungstenite"),
    rate("f", 0.9, "raw"),
    rate("f", 1.5, "tungstenite"),
    rate("f", 1.1, "fastwebsockets"),
    rate("g", 1.0, "raw"),
    rate("g", 1.05, "tungstenite"),
    rate("h", 0.29, "raw"),
    rate("h", 1.33, "tungstenite"),
    goal("h", SIMD, Measure::Rate, Target::Times(0.67, "raw")),
    goal("h", SIMD, Measure::Rate, Target::Times(3.1, "tungstenite")),
    rate("i", 1.0, "raw"),
    goal("i", OURS, Measure::Cpu, Target::Times(1.6, "tungstenite")),
    goal("j", OURS, Measure::Idle(0), Target::AtMost(11.8)),
    goal("j", OURS, Measure::Held, Target::AtLeast(10_000.0)),
];

impl Goal {
    pub fn outcome(&self, results: &Results) -> Option<Outcome> {
        let reached = self.reached_by(self.ours, results)?;
        let met = match self.target {
            Target::Times(least, _) | Target::AtLeast(least) => reached.value >= least,
            Target::AtMost(most) => reached.value <= most,
        };
        Some(Outcome { reached, met })
    }

    /// What the floor reaches: with nothing checked, a server of our design comes so far.
    pub fn floor(&self, results: &Results) -> Option<Median> {
        self.reached_by(FLOOR, results)
    }

    fn reached_by(&self, peer: &str, results: &Results) -> Option<Median> {
        match self.target {
            // Of a rate the larger is better, of a time the smaller.
            Target::Times(_, other) if self.measure == Measure::Rate => {
                results.ratio(self.scenario, self.measure, peer, other)
            }
            Target::Times(_, other) => results.ratio(self.scenario, self.measure, other, peer),
            Target::AtMost(_) | Target::AtLeast(_) => {
                results.median(self.scenario, peer, self.measure)
            }
        }
    }
}
