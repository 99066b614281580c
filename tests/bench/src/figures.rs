//! What was found, in the files that show it to a reader: the tables in
//! `src/walkthrough/figures.md`, a sentence in `README.md`, and the chart beside this crate.
//! `UPDATE=1` writes them; it measures what they show, all of it, so that no old figure stands
//! beside a new one.
//!
//! In Markdown, what is written stands between `<!-- bench -->` and `<!-- /bench -->`.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::arguments::Arguments;
use crate::conformance::Conformance;
use crate::examples::root;
use crate::goals::OURS;
use crate::peers::{self, FLOOR, Peer, SIMD};
use crate::report::{row, rule, times, value};
use crate::results::{Measure, Results};
use crate::rounds::ROUNDS_OF_A_CURVE;
use crate::scenarios::{ALL, Kind, Scenario};
use crate::{Result, chart, process};

/// A column for each of these, whether it is installed or not.
const COLUMNS: &[&str] =
    &[LIMIT, OURS, "tungstenite", "tokio-tungstenite", "fastwebsockets", "uWebSockets"];
const LIMIT: &str = "raw";
/// Ours is set in proportion to these.
const COMPARED: &[&str] = &[LIMIT, "tungstenite"];

/// The rows of what is counted by messages, and of these the ones that only the server's time is
/// told of.
const ROWS: &[&str] =
    &["a0", "b", "c", "n1024", "d", "e", "p", "f", "g", "q", "h", "i", "o", "m", "l"];
const TIME_ALONE: &[&str] = &["m", "l"];
/// Who is measured beside ours in these; the columns' libraries have no server for them.
const BESIDE: &[(&str, &[&str])] = &[("l", &["ws", "websockets"])];

const COMMAND: &str = "UPDATE=1 cargo run --release --manifest-path tests/bench/Cargo.toml";

const BEGIN: &str = "<!-- bench -->\n";
const END: &str = "<!-- /bench -->";

/// What the files show: each row, the memory of idle connections, and what the chart draws.
pub fn shows(scenario: &Scenario) -> bool {
    ROWS.contains(&scenario.name) || matches!(scenario.kind, Kind::Idle) || scenario.is_called("n")
}

pub fn shows_peer(scenario: &Scenario, peer: &Peer) -> bool {
    let beside = BESIDE.iter().find(|(name, _)| *name == scenario.name);
    COLUMNS.contains(&peer.name)
        || [SIMD, FLOOR].contains(&peer.name)
        || beside.is_some_and(|(_, beside)| beside.contains(&peer.name))
}

pub fn write(
    arguments: &Arguments,
    peers: &[&Peer],
    results: &Results,
    conformance: &Conformance,
) -> Result<()> {
    let sheet = Sheet { results, conformance };
    put(&root().join("src/walkthrough/figures.md"), &sheet.tables(arguments))?;
    put(&root().join("README.md"), &sheet.sentence())?;
    fs::write(peers::folder().join("chart.svg"), chart::svg(peers, results, conformance))?;
    Ok(())
}

/// Puts a text between the marks of a file.
fn put(file: &Path, text: &str) -> Result<()> {
    let old = fs::read_to_string(file)?;
    let new = between_marks(&old, text).ok_or(format!("{} has no marks", file.display()))?;
    Ok(fs::write(file, new)?)
}

fn between_marks(old: &str, text: &str) -> Option<String> {
    let (before, rest) = old.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{text}{END}{after}"))
}

struct Sheet<'a> {
    results: &'a Results,
    conformance: &'a Conformance,
}

impl Sheet<'_> {
    fn tables(&self, arguments: &Arguments) -> String {
        let mut text =
            "Messages a second (in the rows of 32 clients: whole conversations):\n\n".to_owned();
        text += &self.table(Measure::Rate, COMPARED);
        text += "\nThe server's processor time for one message (or one conversation):\n\n";
        text += &self.table(Measure::Cpu, &[]);
        text += "\n";
        let dash = "A dash: that library, or the bench's server on it, doesn't do this.";
        text += &paragraph(&format!("{dash} {}", self.compressed()));
        text += &paragraph(&self.marks());
        text += &self.note(arguments);
        text
    }

    fn table(&self, measure: Measure, compared: &[&str]) -> String {
        let mut heads = vec![String::new()];
        heads.extend(COLUMNS.iter().map(|peer| self.marked(peer)));
        heads.extend(compared.iter().map(|peer| format!("{OURS} / {peer}")));
        let mut text = row(heads.clone()) + &rule(heads.len());
        for scenario in ROWS.iter().filter_map(|name| ALL.iter().find(|one| one.name == *name)) {
            if measure == Measure::Rate && TIME_ALONE.contains(&scenario.name) {
                continue;
            }
            text += &self.row(scenario.title, scenario, measure, COLUMNS, compared);
            if scenario.is_about_utf8() {
                let ours = COLUMNS.iter().map(|peer| if *peer == OURS { SIMD } else { "" });
                let title = "the same, ws101 with its feature `simd`";
                text += &self.row(title, scenario, measure, &ours.collect::<Vec<_>>(), compared);
            }
        }
        if measure == Measure::Cpu {
            for scenario in ALL.iter().filter(|scenario| matches!(scenario.kind, Kind::Idle)) {
                let title = "memory of an idle connection, of 10,000";
                text += &self.row(title, scenario, Measure::Idle(1), COLUMNS, compared);
            }
        }
        text
    }

    fn row(
        &self,
        title: &str,
        scenario: &Scenario,
        measure: Measure,
        peers: &[&str],
        compared: &[&str],
    ) -> String {
        let found = |peer: &str| Some(self.results.median(scenario.name, peer, measure)?.value);
        let best = best_by_half(measure, peers.iter().map(|peer| (*peer, found(peer))));
        let mut cells = vec![title.to_owned()];
        cells.extend(peers.iter().map(|peer| match found(peer) {
            Some(number) if best == Some(peer) => format!("**{}**", value(measure, number)),
            Some(number) => value(measure, number),
            None if peer.is_empty() => String::new(),
            None => "–".to_owned(),
        }));
        let ours = peers.iter().find(|peer| [OURS, SIMD].contains(*peer)).unwrap_or(&OURS);
        cells.extend(compared.iter().map(|peer| {
            let ratio = self.results.ratio(scenario.name, measure, ours, peer);
            ratio.map_or("–".to_owned(), |ratio| times(ratio.value))
        }));
        row(cells)
    }

    /// The name of a peer as a column's head: with a mark if it breaks rules.
    fn marked(&self, peer: &str) -> String {
        let mark = if self.conformance.get(peer).is_some_and(|found| found.failed > 0) {
            "\\*"
        } else {
            ""
        };
        format!("{peer}{mark}")
    }

    /// What the marks mean, and which versions were measured.
    fn marks(&self) -> String {
        let (mut failing, mut keeping, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
        for peer in
            COLUMNS.iter().filter(|peer| **peer != LIMIT).filter_map(|name| peers::named(name))
        {
            let name = peer.name;
            match self.conformance.get(name).filter(|found| found.version == peer.version()) {
                Some(found) if found.failed > 0 => {
                    failing.push(format!("{name} {} of {}", found.failed, found.asked));
                }
                Some(_) => keeping.push(name.to_owned()),
                None => unknown.push(name.to_owned()),
            }
        }
        let mut text = String::new();
        if !failing.is_empty() {
            text += &format!(
                "\\* This server breaks rules of the RFC. Of the coach's checks these fail, each of them a MUST: {}.",
                failing.join(", ")
            );
        }
        if !keeping.is_empty() {
            text += &format!(" {} fails none.", keeping.join(" and "));
        }
        if !unknown.is_empty() {
            text += &format!(" Not coached in this version: {}.", unknown.join(", "));
        }
        text
    }

    /// Ours beside those that compress.
    fn compressed(&self) -> String {
        let found = |peer: &str| self.results.median("l", peer, Measure::Cpu);
        match (found("ws"), found("websockets")) {
            (Some(node), Some(python)) => format!(
                "Compressed JSON takes Node's `ws` {} and Python's `websockets` {}.",
                value(Measure::Cpu, node.value),
                value(Measure::Cpu, python.value)
            ),
            _ => String::new(),
        }
    }

    /// When and how it was measured.
    fn note(&self, arguments: &Arguments) -> String {
        let versions: Vec<String> = COLUMNS
            .iter()
            .filter(|peer| **peer != LIMIT)
            .filter_map(|name| peers::named(name))
            .map(|peer| match peer.name {
                "uWebSockets" => {
                    format!("uWebSockets as PyPI's socketify {} ships it", peer.version())
                }
                name => format!("{name} {}", peer.version()),
            })
            .collect();
        let note = format!(
            "Measured on {} on a machine with {} cores ({}, {}), the server on one and the load on another: \
             medians of {} interleaved rounds of {} s ({} rounds for 1,024 and for idle connections), with {}. \
             This command took the measurements, and wrote the tables and the chart in the README:",
            today(),
            process::cores().map_or("some".to_owned(), |cores| cores.to_string()),
            std::env::consts::OS,
            std::env::consts::ARCH,
            arguments.rounds,
            arguments.duration.as_secs_f64(),
            ROUNDS_OF_A_CURVE.min(arguments.rounds),
            versions.join(", "),
        );
        paragraph(&note) + "```sh\n" + COMMAND + "\n```\n"
    }

    /// For the README.
    fn sentence(&self) -> String {
        let time = |peer| {
            let found = self.results.median("a0", peer, Measure::Cpu);
            found.map_or("–".to_owned(), |found| value(Measure::Cpu, found.value))
        };
        format!(
            "To echo a message of 32 bytes, ws101 takes {} of processor time, and a plain TCP server {}.\n",
            time(OURS),
            time(LIMIT)
        )
    }
}

/// Words in lines of at most 120 characters, and an empty line.
fn paragraph(text: &str) -> String {
    let mut lines = String::new();
    let mut length = 0;
    for word in text.split_whitespace() {
        let word_length = word.chars().count();
        if length > 0 && length + 1 + word_length > 120 {
            lines.push('\n');
            length = 0;
        } else if length > 0 {
            lines.push(' ');
            length += 1;
        }
        lines += word;
        length += word_length;
    }
    lines + "\n\n"
}

/// The peer that is at least twice as good as the next best, the limit aside.
fn best_by_half<'a>(
    measure: Measure,
    found: impl Iterator<Item = (&'a str, Option<f64>)>,
) -> Option<&'a str> {
    let found = found.filter_map(|(peer, value)| (peer != LIMIT).then_some((peer, value?)));
    // Of a rate the larger is better, of a time and of memory the smaller.
    let mut costs: Vec<(&str, f64)> = found
        .map(|(peer, value)| (peer, if measure == Measure::Rate { 1.0 / value } else { value }))
        .collect();
    costs.sort_by(|one, other| one.1.total_cmp(&other.1));
    let [(best, cost), (_, next), ..] = costs[..] else { return None };
    (cost * 2.0 <= next).then_some(best)
}

fn today() -> String {
    let date = Command::new("date").arg("+%F").output();
    date.ok()
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .unwrap_or_default()
        .trim()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_put_between_the_marks_and_nothing_else_changes() {
        let old = "before\n<!-- bench -->\nold\n<!-- /bench -->\nafter\n";
        let new = "before\n<!-- bench -->\nnew\n<!-- /bench -->\nafter\n";
        assert_eq!(between_marks(old, "new\n").as_deref(), Some(new));
        assert_eq!(between_marks("no marks\n", "new\n"), None);
    }

    #[test]
    fn a_paragraph_has_short_lines_and_all_of_its_words() {
        let text = "word ".repeat(60);
        let lines = paragraph(&text);
        assert!(lines.ends_with("word\n\n") && lines.lines().all(|line| line.len() <= 120));
        assert_eq!(lines.split_whitespace().count(), 60);
        assert_eq!(lines.lines().count(), 4);
    }

    #[test]
    fn a_figure_stands_out_if_it_is_twice_as_good_as_the_next_and_the_limit_does_not_count() {
        let rates = [("raw", Some(9.0)), ("one", Some(4.0)), ("two", Some(2.0)), ("three", None)];
        assert_eq!(best_by_half(Measure::Rate, rates.into_iter()), Some("one"));
        assert_eq!(best_by_half(Measure::Cpu, rates.into_iter()), Some("two"));
        let near = [("one", Some(3.0)), ("two", Some(2.0))];
        assert_eq!(best_by_half(Measure::Rate, near.into_iter()), None);
    }
}
