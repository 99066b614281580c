//! The goals for ws101, as multiples of what other servers reach in the same run.

use crate::results::{Measure, Median, Results};

/// Who is to reach it.
pub const OURS: &str = "ws101";

pub struct Goal {
    pub scenario: &'static str,
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
    Goal { scenario, measure: Measure::Rate, target: Target::Times(times, peer) }
}

const FASTER_UTF8: bool = cfg!(feature = "simd");

pub const ALL: &[Goal] = &[
    rate("a0", 0.97, "raw"),
    rate("a0", 1.08, "tungstenite"),
    rate("b", 0.95, "raw"),
    rate("b", 1.15, "tungstenite"),
    rate("c", 1.0, "raw"),
    rate("c", 1.4, "tungstenite"),
    rate("d", 0.9, "raw"),
    rate("d", 30.0, "tungstenite"),
    rate("d", 30.0, "fastwebsockets"),
    rate("e", 0.95, "raw"),
    rate("e", 7.5, "tungstenite"),
    rate("f", 0.95, "raw"),
    rate("f", 1.6, "tungstenite"),
    rate("f", 1.15, "fastwebsockets"),
    rate("g", 1.0, "raw"),
    rate("g", 1.0, "tungstenite"),
    rate("h", if FASTER_UTF8 { 0.65 } else { 0.3 }, "raw"),
    rate("h", if FASTER_UTF8 { 3.0 } else { 1.35 }, "tungstenite"),
    #[cfg(feature = "simd")]
    rate("h", 1.3, "fastwebsockets"),
    rate("i", 1.1, "raw"),
    Goal { scenario: "i", measure: Measure::Cpu, target: Target::Times(1.5, "tungstenite") },
    Goal { scenario: "j", measure: Measure::Idle(0), target: Target::AtMost(12.0) },
    Goal { scenario: "j", measure: Measure::Held, target: Target::AtLeast(10_000.0) },
];

impl Goal {
    pub fn outcome(&self, results: &Results) -> Option<Outcome> {
        let reached = match self.target {
            // Of a rate the larger is better, of a time the smaller.
            Target::Times(_, peer) if self.measure == Measure::Rate => {
                results.ratio(self.scenario, self.measure, OURS, peer)
            }
            Target::Times(_, peer) => results.ratio(self.scenario, self.measure, peer, OURS),
            Target::AtMost(_) | Target::AtLeast(_) => {
                results.median(self.scenario, OURS, self.measure)
            }
        }?;
        let met = match self.target {
            Target::Times(least, _) | Target::AtLeast(least) => reached.value >= least,
            Target::AtMost(most) => reached.value <= most,
        };
        Some(Outcome { reached, met })
    }
}
