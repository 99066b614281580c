//! Counts durations in a fixed array of buckets, from a nanosecond to centuries. Each bucket is at
//! most 3 % wide, and counting a duration costs next to nothing.

use std::time::Duration;

/// Buckets in each doubling: 2 to this power.
const BITS: u32 = 5;
const PER_DOUBLING: usize = 1 << BITS;
const BUCKETS: usize = PER_DOUBLING * (64 - BITS as usize + 1);

pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    pub fn new() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0 }
    }

    pub fn add(&mut self, duration: Duration, count: u64) {
        self.counts[bucket(duration.as_nanos() as u64)] += count;
        self.total += count;
    }

    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.total += other.total;
    }

    pub fn total(&self) -> u64 {
        self.total
    }

    /// The duration that this share of all does not exceed; nothing if nothing was counted.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let wanted = (self.total as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        let found = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        })?;
        Some(Duration::from_nanos(lower_bound(found)))
    }
}

/// Small numbers have a bucket each; of others the topmost bits below the leading one choose it
/// within its doubling.
fn bucket(nanos: u64) -> usize {
    if nanos < PER_DOUBLING as u64 {
        return nanos as usize;
    }
    let shift = nanos.ilog2() - BITS;
    PER_DOUBLING * shift as usize + (nanos >> shift) as usize
}

fn lower_bound(bucket: usize) -> u64 {
    let shift = (bucket / PER_DOUBLING).saturating_sub(1);
    ((bucket - PER_DOUBLING * shift) as u64) << shift
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_begins_at_or_just_below_what_it_holds() {
        for nanos in (0..64)
            .flat_map(|power| [1u64 << power, (1 << power) + (1 << power) / 3])
            .chain([0, u64::MAX])
        {
            let begins = lower_bound(bucket(nanos));
            assert!(
                begins <= nanos && nanos - begins <= nanos / PER_DOUBLING as u64,
                "{nanos}: {begins}"
            );
        }
    }

    #[test]
    fn quantiles_are_where_they_belong() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.quantile(0.5), None);
        histogram.add(Duration::from_nanos(10), 98);
        histogram.add(Duration::from_nanos(20), 2);
        assert_eq!(histogram.quantile(0.5), Some(Duration::from_nanos(10)));
        assert_eq!(histogram.quantile(0.99), Some(Duration::from_nanos(20)));
    }
}
