//! Parses the command line: which scenarios to measure, on which peers, and for how long.

use std::path::PathBuf;
use std::time::Duration;

use crate::{Result, figures, peers, scenarios, servers};

/// What the program is asked to do.
pub enum Command {
    /// Be one of the servers: how the bench starts itself.
    Serve {
        name: String,
        mode: String,
    },
    Measure(Arguments),
    /// Time the smallest pieces instead.
    Micro(Arguments),
    /// Ask each server whether it keeps to the RFC instead.
    Coach(Arguments),
    Explain,
}

pub struct Arguments {
    /// In the order of `scenarios::ALL`.
    pub scenarios: Vec<&'static scenarios::Scenario>,
    /// Names of peers; empty means all that are there.
    pub peers: Vec<String>,
    pub quick: bool,
    /// `UPDATE=1`: what is found is written into the files that show it.
    pub update: bool,
    /// Where to draw a chart, if anywhere.
    pub svg: Option<PathBuf>,
    /// How often each server is measured in each scenario.
    pub rounds: usize,
    /// How long one measurement lasts, after its warm-up.
    pub duration: Duration,
    pub warm_up: Duration,
    /// How often a measurement is tried anew because others disturbed it.
    pub again: usize,
    /// Where the server runs, and where the load.
    pub cores: Cores,
}

#[derive(Clone, Copy)]
pub struct Cores {
    pub server: usize,
    pub load: usize,
}

impl Arguments {
    pub fn parse(words: impl Iterator<Item = String>) -> Result<Command> {
        let mut words = words;
        let mut quick = false;
        let mut micro = false;
        let mut coach = false;
        let mut rounds = None;
        let mut again = None;
        let mut seconds = None;
        let mut svg = None;
        let mut peers = Vec::new();
        let mut named = Vec::new();
        let mut cores = Cores { server: 0, load: 1 };

        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} wants a value"));
            match word.as_str() {
                "serve" => return Ok(Command::Serve { name: value()?, mode: value()? }),
                "--help" | "-h" => return Ok(Command::Explain),
                "--micro" => micro = true,
                "--coach" => coach = true,
                "--quick" => quick = true,
                "--rounds" => rounds = Some(value()?.parse()?),
                "--seconds" => seconds = Some(Duration::try_from_secs_f64(value()?.parse()?)?),
                "--peers" => peers = value()?.split(',').map(str::to_owned).collect(),
                "--svg" => svg = Some(value()?.into()),
                "--again" => again = Some(value()?.parse()?),
                "--cores" => cores = Cores::parse(&value()?)?,
                name if !name.starts_with('-') => named.push(name.to_owned()),
                unknown => return Err(format!("no option {unknown}; try --help").into()),
            }
        }

        if let Some(unknown) =
            named.iter().find(|name| !scenarios::ALL.iter().any(|s| s.is_called(name)))
        {
            return Err(format!("no scenario {unknown}; try --help").into());
        }
        if let Some(unknown) = peers.iter().find(|name| peers::named(name).is_none()) {
            return Err(format!("no peer {unknown}; try --help").into());
        }
        let update = std::env::var_os("UPDATE").is_some();
        let measures = !micro && !coach;
        if update && measures && !(named.is_empty() && peers.is_empty()) {
            return Err("UPDATE=1 writes whole tables: name no scenarios and no peers".into());
        }
        let usual = match (quick, update) {
            (true, _) => 300,
            (_, true) => 500,
            _ => 1000,
        };
        let duration = seconds.unwrap_or(Duration::from_millis(usual));
        let arguments = Self {
            scenarios: scenarios::ALL
                .iter()
                .filter(|scenario| match named.is_empty() {
                    true => !update || figures::shows(scenario),
                    false => named.iter().any(|name| scenario.is_called(name)),
                })
                .collect(),
            peers,
            quick,
            update,
            svg,
            rounds: rounds
                .unwrap_or(match (micro, quick, update) {
                    (true, ..) => 101,
                    (_, true, _) => 3,
                    (.., true) => 5,
                    _ => 7,
                })
                .max(1),
            duration,
            warm_up: duration / 3,
            again: again.unwrap_or(if update { 1 } else { 2 }),
            cores,
        };
        Ok(match (micro, coach) {
            (true, _) => Command::Micro(arguments),
            (_, true) => Command::Coach(arguments),
            _ => Command::Measure(arguments),
        })
    }
}

impl Cores {
    fn parse(text: &str) -> Result<Self> {
        let (server, load) =
            text.split_once(',').ok_or("--cores wants two numbers: SERVER,LOAD")?;
        Ok(Self { server: server.parse()?, load: load.parse()? })
    }
}

pub fn explanation() -> String {
    let mut text = String::from(
        "\
usage: bench [OPTION ...] [SCENARIO ...]

  --micro           instead: mask, UTF-8, head, frame header and accept key, beside naive ones;
                    messages without a socket, beside the least that they can take
  --coach           instead: which rules of the RFC does each server break? UPDATE=1 keeps it in coached.txt
  --quick           short rounds, for development
  --rounds N        how often each server is measured (7; UPDATE=1: 5; quick: 3; micro: 101)
  --seconds S       how long each time (1; UPDATE=1: 0.5; quick: 0.3)
  --again N         measure anew, so often at most, where others took much of our cores (2; UPDATE=1: 1)
  --peers A,B       only these
  --svg FILE        draw a chart as well
  --cores S,L       the server's core and the load's (0,1)

With UPDATE=1 it measures what src/walkthrough/figures.md and chart.svg show, and writes both, and a sentence of the README.

scenarios (all, unless some are named; n is all of n1 to n4096):
",
    );
    for scenario in scenarios::ALL {
        text += &format!("  {:<5} {}\n", scenario.name, scenario.title);
    }
    text += "\npeers:\n";
    for peer in peers::ALL {
        text += &format!("  {:<20} {}\n", peer.name, peer.title);
    }
    text += &format!(
        "\nbench serve NAME echo|broadcast|deflate|tls is one of the servers alone: {}\n",
        servers::names().join(", ")
    );
    text
}
