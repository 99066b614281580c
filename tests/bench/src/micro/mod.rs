//! The smallest pieces, each beside a naive version of it: does being less obvious pay?
//!
//! The naive ones are what the RFC says, word by word, and what the library's tests hold the others
//! against. Here too both must give the same before they are timed.

mod accept;
mod head;
mod header;
mod mask;
mod message;
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
    other: Box<dyn FnMut()>,
}

impl Case {
    /// Two ways to do the same. They may work on what they are given in place.
    pub fn new<I, O>(
        title: impl Into<String>,
        input: I,
        ours: fn(&mut I) -> O,
        other: fn(&mut I) -> O,
    ) -> Result<Case>
    where
        I: Clone + PartialEq + 'static,
        O: PartialEq + 'static,
    {
        let title = title.into();
        let (mut for_ours, mut for_other) = (input.clone(), input);
        if ours(&mut for_ours) != other(&mut for_other) || for_ours != for_other {
            return Err(format!("{title}: both don't give the same").into());
        }
        Ok(Case {
            title,
            ours: Box::new(move || drop(black_box(ours(black_box(&mut for_ours))))),
            other: Box::new(move || drop(black_box(other(black_box(&mut for_other))))),
        })
    }

    /// Times both in turns: medians of ours, of the other one, and of their ratio.
    fn time(&mut self, rounds: usize) -> Option<[Median; 3]> {
        let (of_ours, of_other) = (how_often(&mut self.ours), how_often(&mut self.other));
        let (mut ours, mut other) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            ours.push(seconds_each(&mut self.ours, of_ours));
            other.push(seconds_each(&mut self.other, of_other));
        }
        let ratios = other.iter().zip(&ours).map(|(other, ours)| other / ours).collect();
        let [ours, other, ratios] = [ours, other, ratios].map(middle_half);
        Some([Median::of(ours)?, Median::of(other)?, Median::of(ratios)?])
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

/// Times all of them, and prints two tables.
pub fn run(rounds: usize) -> Result<()> {
    let pieces =
        [mask::cases()?, utf8::cases()?, head::cases()?, header::cases()?, accept::cases()?];
    println!("# The smallest pieces, beside naive ones\n");
    println!("Medians of {rounds} rounds in turns, ± half the distance between the quartiles.\n");
    table("naive", pieces.into_iter().flatten(), rounds);
    println!("\n# Messages, beside the least that they can take\n");
    table("least", message::cases()?.into_iter(), rounds);
    Ok(())
}

fn table(other: &str, cases: impl Iterator<Item = Case>, rounds: usize) {
    println!("| | ours | {other} | {other} / ours |\n|---|---:|---:|---:|");
    for mut case in cases {
        let Some([ours, other, ratio]) = case.time(rounds) else { continue };
        println!(
            "| {} | {} | {} | {:.2} × ± {:.0} % |",
            case.title,
            nanoseconds(ours),
            nanoseconds(other),
            ratio.value,
            ratio.spread * 100.0
        );
    }
}

fn nanoseconds(median: Median) -> String {
    let nanos = median.value * 1e9;
    let digits = if nanos < 100.0 { 1 } else { 0 };
    format!("{nanos:.digits$} ns ± {:.0} %", median.spread * 100.0)
}
