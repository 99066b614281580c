//! Echo servers side by side: how many messages, how fast, at what cost.
//!
//! ```text
//! cargo run --release --manifest-path tests/bench/Cargo.toml -- [OPTION ...] [SCENARIO ...]
//! ```
//!
//! Reading order: `scenarios` (what is measured), `peers` and `servers` (who is measured;
//! `examples` builds those of the library, `certificate` is for those that speak TLS), `payload`
//! and `wire` (the bytes that travel), `load` (who asks), `process` (how a server is started,
//! pinned and watched), `background_load` (how busy other processes keep our cores), `rounds` (in which order), `results` (what is kept
//! of it), `goals`, `report`, `chart` and `figures` (what is made of it). Two stand by themselves:
//! `micro`, the smallest pieces beside naive ones, and `conformance`, which servers keep to the
//! RFC.
//!
//! Progress goes to standard error, the report to standard output as Markdown.

mod arguments;
mod background_load;
mod certificate;
mod chart;
mod conformance;
mod examples;
mod figures;
mod goals;
mod histogram;
mod load;
mod micro;
mod payload;
mod peers;
mod process;
mod report;
mod results;
mod rounds;
mod scenarios;
mod servers;
mod wire;

use arguments::{Arguments, Command};

/// Whatever goes wrong in here is told to a person and needs no type of its own.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() {
    let done = match Arguments::parse(std::env::args().skip(1)) {
        Ok(Command::Serve { name, mode }) => servers::serve(&name, &mode),
        Ok(Command::Measure(arguments)) => measure(&arguments),
        Ok(Command::Micro(arguments)) => micro(&arguments),
        Ok(Command::Coach(arguments)) => conformance::run(&arguments),
        Ok(Command::Explain) => {
            print!("{}", arguments::explanation());
            Ok(())
        }
        Err(error) => Err(error),
    };
    if let Err(error) = done {
        eprintln!("bench: {error}");
        std::process::exit(1);
    }
}

fn micro(arguments: &Arguments) -> Result<()> {
    process::move_to_core(arguments.cores.load)?;
    micro::run(arguments.rounds)
}

fn measure(arguments: &Arguments) -> Result<()> {
    process::check_pinning()?;
    certificate::make()?;
    let (peers, missing) = peers::present(&arguments.peers);
    eprint!("{}", report::left_out(&missing));
    for peer in &peers {
        peer.prepare()?;
    }
    let results = rounds::run(arguments, &peers);
    print!("{}", report::markdown(arguments, &peers, &missing, &results));
    let conformance = conformance::read()?;
    if let Some(file) = &arguments.svg {
        std::fs::write(file, chart::svg(&peers, &results, &conformance))?;
    }
    if arguments.update {
        figures::write(arguments, &peers, &results, &conformance)?;
    }
    Ok(())
}
