//! The smallest pieces, each beside a naive version of it: does being less obvious pay?
//!
//! The naive ones are what the RFC says, word by word, and what the library's tests hold the others
//! against. Here too both must give the same before they are timed.

mod accept;
mod head;
mod header;
mod mask;
mod utf8;

use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::Result;
use crate::results::Median;

/// How long one side is timed at once. Both sides take turns, so that a machine that slows down for a
/// while slows down for both; short ones, so that most of them are over before anybody else gets the core.
const TURN: Duration = Duration::from_millis(1);

pub struct Case {
    title: String,
    ours: Box<dyn FnMut()>,
    naive: Box<dyn FnMut()>,
}

impl Case {
    /// Two ways to do the same. They may work on what they are given in place.
    pub fn new<I, O>(
        title: impl Into<String>,
        input: I,
        ours: fn(&mut I) -> O,
        naive: fn(&mut I) -> O,
    ) -> Result<Case>
    where
        I: Clone + PartialEq + 'static,
        O: PartialEq + 'static,
    {
        let title = title.into();
        let (mut for_ours, mut for_naive) = (input.clone(), input);
        if ours(&mut for_ours) != naive(&mut for_naive) || for_ours != for_naive {
            return Err(format!("{title}: both don't give the same").into());
        }
        Ok(Case {
            title,
            ours: Box::new(move || drop(black_box(ours(black_box(&mut for_ours))))),
            naive: Box::new(move || drop(black_box(naive(black_box(&mut for_naive))))),
        })
    }

    /// Times both in turns: medians of ours, of the naive one, and of their ratio.
    fn time(&mut self, rounds: usize) -> Option<[Median; 3]> {
        let (of_ours, of_naive) = (how_often(&mut self.ours), how_often(&mut self.naive));
        let (mut ours, mut naive) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            ours.push(seconds_each(&mut self.ours, of_ours));
            naive.push(seconds_each(&mut self.naive, of_naive));
        }
        let ratios = naive.iter().zip(&ours).map(|(naive, ours)| naive / ours).collect();
        let [ours, naive, ratios] = [ours, naive, ratios].map(middle_half);
        Some([Median::of(ours)?, Median::of(naive)?, Median::of(ratios)?])
    }
}

/// Without the quarter that is smallest and the quarter that is largest: of many short turns some are
/// always interrupted.
fn middle_half(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    let quarter = values.len() / 4;
    values[quarter..values.len() - quarter].to_vec()
}

/// How often it has to be done to take a turn.
fn how_often(work: &mut dyn FnMut()) -> u32 {
    let mut times = 1;
    while seconds_each(work, times) * f64::from(times) < TURN.as_secs_f64() {
        times *= 2;
    }
    times
}

fn seconds_each(work: &mut dyn FnMut(), times: u32) -> f64 {
    let begin = Instant::now();
    for _ in 0..times {
        work();
    }
    begin.elapsed().as_secs_f64() / f64::from(times)
}

/// Times all of them, and prints a table.
pub fn run(rounds: usize) -> Result<()> {
    let cases =
        [mask::cases()?, utf8::cases()?, head::cases()?, header::cases()?, accept::cases()?];
    println!("# The smallest pieces, beside naive ones\n");
    println!("Medians of {rounds} rounds in turns, ± half the distance between the quartiles.\n");
    println!("| | ours | naive | naive / ours |\n|---|---:|---:|---:|");
    for mut case in cases.into_iter().flatten() {
        let Some([ours, naive, ratio]) = case.time(rounds) else { continue };
        println!(
            "| {} | {} | {} | {:.2} × ± {:.0} % |",
            case.title,
            nanoseconds(ours),
            nanoseconds(naive),
            ratio.value,
            ratio.spread * 100.0
        );
    }
    Ok(())
}

fn nanoseconds(median: Median) -> String {
    let nanos = median.value * 1e9;
    let digits = if nanos < 100.0 { 1 } else { 0 };
    format!("{nanos:.digits$} ns ± {:.0} %", median.spread * 100.0)
}
