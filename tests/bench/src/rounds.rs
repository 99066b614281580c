//! The order of the measurements: scenario by scenario, round by round, and in each round every
//! peer once. So if the machine is slower for a while, it's slower for all peers. Each measurement
//! starts a new process.

use crate::Result;
use crate::arguments::Arguments;
use crate::background_load::{MUCH, Watch};
use crate::figures;
use crate::load::{self, Span};
use crate::peers::Peer;
use crate::process::{self, Server};
use crate::report;
use crate::results::{Measure, Results, Sample};
use crate::scenarios::{Kind, Scenario};

/// Memory does not vary as time does: so many rounds tell it.
const ROUNDS_OF_IDLE: usize = 3;
const QUICK_ROUNDS_OF_IDLE: usize = 1;
/// Thousands of connections take long to open, and a curve has many points.
pub const ROUNDS_OF_A_CURVE: usize = 3;

pub fn run(arguments: &Arguments, peers: &[&'static Peer]) -> Results {
    let mut results = Results::default();
    for scenario in &arguments.scenarios {
        eprintln!("{}: {}", scenario.name, scenario.title);
        let rounds = rounds(arguments, scenario);
        for round in 1..=rounds {
            for peer in peers.iter().filter(|peer| takes_part(arguments, scenario, peer)) {
                let sample = measure(arguments, scenario, peer, round);
                results.add(scenario.name, peer.name, sample);
            }
        }
    }
    results
}

fn takes_part(arguments: &Arguments, scenario: &Scenario, peer: &Peer) -> bool {
    peer.takes_part(scenario) && (!arguments.update || figures::shows_peer(scenario, peer))
}

fn rounds(arguments: &Arguments, scenario: &Scenario) -> usize {
    let most = match scenario.kind {
        Kind::Idle if arguments.quick => QUICK_ROUNDS_OF_IDLE,
        Kind::Idle => ROUNDS_OF_IDLE,
        _ if arguments.update && scenario.is_called("n") => ROUNDS_OF_A_CURVE,
        _ => usize::MAX,
    };
    arguments.rounds.min(most)
}

/// One peer in one round: again while others disturb it, the least disturbed time counts.
fn measure(
    arguments: &Arguments,
    scenario: &Scenario,
    peer: &Peer,
    round: usize,
) -> Option<Sample> {
    let mut best: Option<Sample> = None;
    for _ in 0..=arguments.again {
        eprint!("  {:<5} round {round}  {:<18} ", scenario.name, peer.name);
        match measure_once(arguments, scenario, peer) {
            Err(error) => eprintln!("failed: {error}"),
            Ok(sample) => {
                eprintln!("{}", report::in_a_line(&sample));
                let others = share_of_others(&sample);
                if best.as_ref().is_none_or(|best| others < share_of_others(best)) {
                    best = Some(sample);
                }
                if others <= MUCH {
                    break;
                }
            }
        }
    }
    best
}

fn share_of_others(sample: &Sample) -> f64 {
    sample.get(&Measure::Others).copied().unwrap_or_default()
}

fn measure_once(arguments: &Arguments, scenario: &Scenario, peer: &Peer) -> Result<Sample> {
    let watch = Watch::begin(arguments.cores);
    let server = Server::start(peer, scenario.mode(), arguments.cores.server)?;
    process::move_to_core(match scenario.kind {
        Kind::PingPong { .. } => arguments.cores.server,
        _ => arguments.cores.load,
    })?;
    let span = Span { warm_up: arguments.warm_up, duration: arguments.duration };
    let mut sample = load::run(scenario, peer, &server, span)?;
    if let Some(share) = watch.share_of_others(&server) {
        sample.insert(Measure::Others, share);
    }
    Ok(sample)
}
