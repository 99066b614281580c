//! An echo server and an echo client for test suites to run against.
//!
//! run: cargo run --release --example testee [ADDRESS] [OPTION]...
//! options: --deflate, --max-message BYTES, --max-connections N
//! or: cargo run --release --example testee -- --client URL [--deflate]
//! expect: listening on ws://127.0.0.1:9001
//! next: tests/autobahn/run, the largest of these suites
//!
//! After `--deflate`, `--terms` sets the parameters to negotiate:
//! `--terms 'client_max_window_bits=10; …'`.
//!
//! As a client, it runs the cases of a suite's server: it asks `URL/getCaseCount` for their number, echoes on
//! `URL/runCase?case=N&agent=ws101` for each case, and ends with `URL/updateReports?agent=ws101`.

#[path = "shared/ctrl_c.rs"]
mod ctrl_c;
#[path = "shared/help.rs"]
mod help;

use std::process::ExitCode;

use ws101::{Client, DeflateConfig, Limits, Result, Server, WebSocket};

/// The options of the command line.
#[derive(Default)]
struct Options {
    address: Option<String>,
    client: Option<String>,
    limits: Limits,
    deflate: Option<DeflateConfig>,
}

fn main() -> ExitCode {
    help::print_if_asked(include_str!("testee.rs"));
    env_logger::init();
    let done = match options(std::env::args().skip(1)) {
        Err(wrong) => {
            eprintln!("{wrong}");
            return ExitCode::from(2);
        }
        Ok(Options { client: Some(url), limits, deflate, .. }) => play(&url, &limits, deflate),
        Ok(Options { address, limits, deflate, .. }) => serve(address, limits, deflate),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(address: Option<String>, limits: Limits, deflate: Option<DeflateConfig>) -> Result<()> {
    let address = address.unwrap_or("127.0.0.1:9001".into());
    let mut server = Server::bind(address)?.limits(limits);
    if let Some(settings) = deflate {
        server = server.deflate(settings);
    }
    ctrl_c::stops(server.handle());
    println!("listening on ws://{}", server.local_addr()?);
    server.serve(echo)
}

/// Compresses messages of any size, because a test suite checks small ones, too.
const ALL: DeflateConfig = DeflateConfig { from: 0, ..DeflateConfig::DEFAULT };

fn echo(mut ws: WebSocket) -> Result<()> {
    while let Some(message) = ws.recv()? {
        ws.feed(message)?;
    }
    Ok(())
}

fn play(url: &str, limits: &Limits, deflate: Option<DeflateConfig>) -> Result<()> {
    let url = url.trim_end_matches('/');
    let connect = |path: &str| {
        let client = Client::new(format!("{url}{path}")).limits(limits.clone());
        match deflate {
            Some(settings) => client.deflate(settings).connect(),
            None => client.connect(),
        }
    };
    let mut ws = connect("/getCaseCount")?;
    let count = ws.recv()?.and_then(|count| count.as_text()?.parse::<u32>().ok());
    let count =
        count.ok_or_else(|| ws101::Error::other("the suite did not say how many cases it has"))?;
    drop(ws);
    for case in 1..=count {
        let ws = connect(&format!("/runCase?case={case}&agent=ws101"))?;
        let _guard = ctrl_c::closes(&ws);
        // Some cases break the protocol on purpose, so an error is expected. The suite's server
        // decides whether the case passed.
        if let Err(error) = echo(ws) {
            println!("case {case}: {error}");
        }
        if ctrl_c::was_pressed() {
            return Ok(());
        }
    }
    let mut ws = connect("/updateReports?agent=ws101")?;
    while ws.recv()?.is_some() {}
    println!("{count} cases played");
    Ok(())
}

fn options(mut arguments: impl Iterator<Item = String>) -> std::result::Result<Options, String> {
    let mut options = Options::default();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        let number = |value: String| value.parse().map_err(|_| format!("{value} is no number"));
        match argument.as_str() {
            "--client" => options.client = Some(value()?),
            "--max-message" => options.limits.max_message = number(value()?)?,
            "--max-connections" => options.limits.max_connections = number(value()?)? as usize,
            "--deflate" if cfg!(feature = "deflate") => options.deflate = Some(ALL),
            "--deflate" => return Err("this build has no permessage-deflate".into()),
            "--terms" => {
                let settings = options.deflate.as_mut().ok_or("--terms stands behind --deflate")?;
                terms(&value()?, settings)?;
            }
            option if option.starts_with("--") => return Err(format!("what is {option}?")),
            _ => options.address = Some(argument),
        }
    }
    Ok(options)
}

/// Parses a list of compression parameters, named as in RFC 7692, and sets them in `settings`.
fn terms(text: &str, settings: &mut DeflateConfig) -> std::result::Result<(), String> {
    for parameter in text.split(';').map(str::trim) {
        let (name, bits) = parameter.split_once('=').unwrap_or((parameter, ""));
        let bits = || bits.parse().map_err(|_| format!("how many bits are {parameter}?"));
        match name {
            "server_no_context_takeover" => settings.server_no_context_takeover = true,
            "client_no_context_takeover" => settings.client_no_context_takeover = true,
            "server_max_window_bits" => settings.server_max_window_bits = bits()?,
            "client_max_window_bits" => settings.client_max_window_bits = bits()?,
            _ => return Err(format!("what is {parameter}?")),
        }
    }
    Ok(())
}
