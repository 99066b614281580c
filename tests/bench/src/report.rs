//! Writes the results as Markdown: a table for each measure, then the goals.

use crate::arguments::Arguments;
use crate::background_load::MUCH;
use crate::goals::{self, Goal, OURS, Target};
use crate::peers::Peer;
use crate::results::{Measure, Median, Results, Sample};
use crate::scenarios::HELD;

const TABLES: &[(Measure, &str)] = &[
    (Measure::Rate, "Messages a second (k: arrivals; i, o: whole conversations)"),
    (Measure::P50, "Round trip, p50"),
    (Measure::P99, "Round trip, p99"),
    (Measure::Cpu, "Server's time for each message (k: arrival; i, o: whole conversation)"),
    (
        Measure::Waits,
        "Context switches of the server for each message (k: arrival), because it waits",
    ),
    (Measure::Resident, "Server's memory at the end"),
    (Measure::Idle(0), "Memory for each idle connection, 5,000 held"),
    (Measure::Idle(1), "Memory for each idle connection, 10,000 held"),
];

/// Peers that ours is set in proportion to, beside the rates.
const COMPARED: &[&str] = &["raw", "tungstenite"];

/// Names the peers that are not here.
pub fn left_out(missing: &[&Peer]) -> String {
    let line = |peer: &&Peer| {
        let Peer { name, title, .. } = peer;
        format!(
            "{name} ({title}) is left out: it is not installed; tests/bench/install-peers does that\n"
        )
    };
    missing.iter().map(line).collect()
}

pub fn markdown(
    arguments: &Arguments,
    peers: &[&Peer],
    missing: &[&Peer],
    results: &Results,
) -> String {
    let mut text = format!(
        "# Echo servers side by side\n\n\
         Medians of {} interleaved rounds of {} s, ± half the distance between the \
         extremes. Server on core {}, load on core {}; a0: both on core {}.\n\n",
        arguments.rounds,
        arguments.duration.as_secs_f64(),
        arguments.cores.server,
        arguments.cores.load,
        arguments.cores.server,
    );
    let disturbed = results.all(Measure::Others).filter(|share| *share > MUCH).count();
    if disturbed > 0 {
        let all = results.all(Measure::Others).count();
        text += &format!("Others disturbed {disturbed} of {all} measurements.\n\n");
    }
    for scenario in &arguments.scenarios {
        text += &format!("- {}: {}\n", scenario.name, scenario.title);
    }
    text += "\nA dash: this peer does not do that, or there is no server for it here.\n";
    if !missing.is_empty() {
        text += &format!("\n{}", left_out(missing));
    }
    for (measure, title) in TABLES {
        text += &table(arguments, peers, results, *measure, title);
    }
    text + &goals_table(results)
}

/// A table of one measure, if anything was measured of it.
fn table(
    arguments: &Arguments,
    peers: &[&Peer],
    results: &Results,
    measure: Measure,
    title: &str,
) -> String {
    let measured = |name: &str| peers.iter().any(|peer| peer.name == name);
    let compares = measure == Measure::Rate && measured(OURS);
    let compared: Vec<&str> =
        COMPARED.iter().copied().filter(|peer| compares && measured(peer)).collect();
    let rows: Vec<String> = arguments
        .scenarios
        .iter()
        .filter(|scenario| {
            peers.iter().any(|peer| results.median(scenario.name, peer.name, measure).is_some())
        })
        .map(|scenario| {
            let mut cells = vec![scenario.name.to_owned()];
            cells.extend(peers.iter().map(|peer| {
                match results.median(scenario.name, peer.name, measure) {
                    Some(median) => value_and_spread(measure, median),
                    None if !results.was_tried(scenario.name, peer.name) => "–".to_owned(),
                    None => "failed".to_owned(),
                }
            }));
            cells.extend(compared.iter().map(|peer| {
                let ratio = results.ratio(scenario.name, measure, OURS, peer);
                ratio.map_or(String::new(), |ratio| times(ratio.value))
            }));
            row(cells)
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let mut heads = vec![String::new()];
    heads.extend(peers.iter().map(|peer| peer.name.to_owned()));
    heads.extend(compared.iter().map(|peer| format!("{OURS} / {peer}")));
    format!("\n## {title}\n\n{}{}{}", row(heads.clone()), rule(heads.len()), rows.concat())
}

fn goals_table(results: &Results) -> String {
    let rows: Vec<String> = goals::ALL
        .iter()
        .filter_map(|goal| {
            let outcome = goal.outcome(results)?;
            let verdict = if outcome.met { "met" } else { "**missed**" };
            Some(row(vec![
                goal.scenario.into(),
                goal.ours.into(),
                wanted(goal),
                reached(goal, outcome.reached),
                goal.floor(results).map_or("–".into(), |floor| reached(goal, floor)),
                verdict.into(),
            ]))
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let heads = ["", "", "goal", "reached", "the floor reaches", ""].map(str::to_owned).to_vec();
    format!("\n## Goals\n\n{}{}{}", row(heads), rule(6), rows.concat())
}

fn wanted(goal: &Goal) -> String {
    let what = match goal.measure {
        Measure::Cpu => " in time for each".to_owned(),
        Measure::Idle(stage) => format!(" for each of {} idle", HELD[stage]),
        Measure::Held => " idle connections held".to_owned(),
        _ => String::new(),
    };
    match goal.target {
        Target::Times(least, peer) => format!("{} {peer}{what}", times(least)),
        Target::AtMost(most) => format!("at most {}{what}", value(goal.measure, most)),
        Target::AtLeast(least) => format!("at least {}{what}", value(goal.measure, least)),
    }
}

fn reached(goal: &Goal, median: Median) -> String {
    match goal.target {
        Target::Times(..) => format!("{} ± {}", times(median.value), percent(median.spread)),
        _ => value_and_spread(goal.measure, median),
    }
}

/// One measurement, while it goes on.
pub fn in_a_line(sample: &Sample) -> String {
    let names = |measure: &Measure| match measure {
        Measure::Rate => "a second",
        Measure::P50 => "p50",
        Measure::P99 => "p99",
        Measure::Cpu => "of server time each",
        Measure::Waits => "waits each",
        Measure::Resident => "resident",
        Measure::Idle(_) => "for each idle connection",
        Measure::Held => "held",
        Measure::Others => "of our cores for others",
    };
    let parts: Vec<String> = sample
        .iter()
        .map(|(measure, found)| format!("{} {}", value(*measure, *found), names(measure)))
        .collect();
    parts.join(", ")
}

fn value_and_spread(measure: Measure, median: Median) -> String {
    format!("{} ± {}", value(measure, median.value), percent(median.spread))
}

pub fn value(measure: Measure, value: f64) -> String {
    match measure {
        Measure::Rate | Measure::Held => count(value),
        Measure::P50 | Measure::P99 | Measure::Cpu => time(value),
        Measure::Waits => format!("{value:.2}"),
        Measure::Resident => format!("{:.1} MiB", value / 1024.0),
        Measure::Idle(_) => format!("{value:.1} KiB"),
        Measure::Others => percent(value),
    }
}

/// A whole number with commas; in millions when there are many.
fn count(value: f64) -> String {
    if value >= 1e6 {
        return format!("{:.2} M", value / 1e6);
    }
    let number = (value.round() as u64).to_string();
    match number.len() {
        4.. => format!("{},{}", &number[..number.len() - 3], &number[number.len() - 3..]),
        _ => number,
    }
}

fn time(seconds: f64) -> String {
    match seconds {
        1e-3.. => format!("{:.2} ms", seconds * 1e3),
        1e-4.. => format!("{:.0} µs", seconds * 1e6),
        1e-6.. => format!("{:.1} µs", seconds * 1e6),
        _ => format!("{:.0} ns", seconds * 1e9),
    }
}

pub fn times(value: f64) -> String {
    if value >= 10.0 { format!("{value:.1} ×") } else { format!("{value:.2} ×") }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

pub fn row(cells: Vec<String>) -> String {
    format!("| {} |\n", cells.join(" | "))
}

/// The line under a table's head: the first column to the left, the others to the right.
pub fn rule(columns: usize) -> String {
    format!("|---|{}\n", "---:|".repeat(columns - 1))
}
