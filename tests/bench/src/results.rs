//! The results: one sample for each scenario, peer and round, and the medians and ratios of the
//! samples.

use std::collections::BTreeMap;

/// The order is that of the tables.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measure {
    /// Messages, or handshakes, a second.
    Rate,
    /// Round trip in seconds: half are not longer.
    P50,
    /// Round trip in seconds: one of a hundred is longer.
    P99,
    /// Seconds of the server's time for each message or handshake.
    Cpu,
    /// Voluntary context switches of the server for each message.
    Waits,
    /// Memory of the whole server at the end, in KiB.
    Resident,
    /// Memory for each idle connection, in KiB, at this stage of `scenarios::HELD`.
    Idle(usize),
    /// Idle connections that were all still there in the end.
    Held,
    /// The share of our cores that others took meanwhile.
    Others,
}

pub type Sample = BTreeMap<Measure, f64>;

/// The middle of several values, and how far they lie apart.
#[derive(Clone, Copy)]
pub struct Median {
    pub value: f64,
    /// Half the distance between the smallest and the largest, as a share of the median.
    pub spread: f64,
}

#[derive(Default)]
pub struct Results {
    /// By scenario and peer; a round that failed is `None`, so that rounds stay side by side.
    samples: BTreeMap<(&'static str, &'static str), Vec<Option<Sample>>>,
}

impl Results {
    pub fn add(&mut self, scenario: &'static str, peer: &'static str, sample: Option<Sample>) {
        self.samples.entry((scenario, peer)).or_default().push(sample);
    }

    /// Whether anything was measured, or was to be.
    pub fn was_tried(&self, scenario: &str, peer: &str) -> bool {
        self.samples.keys().any(|key| *key == (scenario, peer))
    }

    /// The values of a measure in all scenarios, peers and rounds.
    pub fn all(&self, measure: Measure) -> impl Iterator<Item = f64> {
        let samples = self.samples.values().flatten().flatten();
        samples.filter_map(move |sample| sample.get(&measure).copied())
    }

    pub fn median(&self, scenario: &str, peer: &str, measure: Measure) -> Option<Median> {
        Median::of(self.rounds(scenario, peer, measure)?.into_iter().flatten().collect())
    }

    /// One peer's value as a multiple of another's: taken round by round, since both were measured
    /// at about the same time then, and the median of that.
    pub fn ratio(
        &self,
        scenario: &str,
        measure: Measure,
        above: &str,
        below: &str,
    ) -> Option<Median> {
        let above = self.rounds(scenario, above, measure)?;
        let below = self.rounds(scenario, below, measure)?;
        Median::of(
            above
                .into_iter()
                .zip(below)
                .filter_map(|(above, below)| Some(above? / below?))
                .collect(),
        )
    }

    /// The value in each round.
    fn rounds(&self, scenario: &str, peer: &str, measure: Measure) -> Option<Vec<Option<f64>>> {
        let (_, rounds) = self.samples.iter().find(|(key, _)| **key == (scenario, peer))?;
        Some(rounds.iter().map(|sample| sample.as_ref()?.get(&measure).copied()).collect())
    }
}

impl Median {
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (first, last) = (values.first()?, values.last()?);
        let middle = values.len() / 2;
        let value = if values.len() % 2 == 1 {
            values[middle]
        } else {
            (values[middle - 1] + values[middle]) / 2.0
        };
        let range = last - first;
        Some(Self { value, spread: if range == 0.0 { 0.0 } else { range / 2.0 / value } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_middle_and_its_spread_half_the_range() {
        let median = Median::of(vec![12.0, 8.0, 10.0]).unwrap();
        assert_eq!((median.value, median.spread), (10.0, 0.2));
        assert_eq!(Median::of(vec![1.0, 2.0]).unwrap().value, 1.5);
        assert_eq!(Median::of(vec![0.0, 0.0]).unwrap().spread, 0.0);
        assert!(Median::of(vec![]).is_none());
    }

    #[test]
    fn a_ratio_skips_rounds_that_failed() {
        let mut results = Results::default();
        for (ours, theirs) in [(Some(2.0), Some(1.0)), (None, Some(9.0)), (Some(8.0), Some(4.0))] {
            let sample = |value: f64| Sample::from([(Measure::Rate, value)]);
            results.add("b", "ours", ours.map(sample));
            results.add("b", "theirs", theirs.map(sample));
        }
        assert_eq!(results.ratio("b", Measure::Rate, "ours", "theirs").unwrap().value, 2.0);
    }
}
