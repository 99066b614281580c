//! The zoo: WebSocket peers for testing the coach, written independently of the library.
//!
//! ```text
//! zoo server [--fault ID | --legal ID] [ADDRESS]    echoes; prints `listening on ws://ADDRESS`
//! zoo client [--fault ID | --legal ID] ADDRESS      connects there and echoes until the connection ends
//! zoo --list                                        a line for each member, for programs: see `switch::list`
//! ```
//!
//! Without a switch, a peer follows RFC 6455 and RFC 7692. With `--fault`, it breaks one rule, by a
//! published or likely mistake. With `--legal`, it does something that the RFC allows but few
//! servers do.
//!
//! Reading order: `switch` (all members, and what each must fail), `head`, `handshake`, `deflate`, `wire`, `utf8`, `rules`,
//! `connection`, `echo`, `server`, `client`.

mod client;
mod connection;
mod deflate;
mod echo;
mod handshake;
mod head;
mod rules;
mod server;
mod switch;
mod utf8;
mod wire;

use std::process::ExitCode;

use switch::Side;

/// The longest message that a peer takes.
const MAX_MESSAGE: usize = 16 << 20;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["--list"] => {
            switch::list();
            return ExitCode::SUCCESS;
        }
        ["server", ref rest @ ..] => start(Side::Server, rest)
            .and_then(|address| server::serve(address.unwrap_or("127.0.0.1:9001")).map_err(said)),
        ["client", ref rest @ ..] => start(Side::Client, rest)
            .and_then(|address| client::run(address.ok_or("no address")?).map_err(said)),
        _ => Err("zoo server|client [--fault ID | --legal ID] ADDRESS, or zoo --list".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("zoo: {why}");
            ExitCode::FAILURE
        }
    }
}

fn said(error: std::io::Error) -> String {
    error.to_string()
}

/// Sets the switch that these words name, and returns the address.
fn start<'a>(side: Side, words: &[&'a str]) -> Result<Option<&'a str>, String> {
    match *words {
        ["--fault", id, ref rest @ ..] => {
            switch::set(side, id, true).map(|()| rest.first().copied())
        }
        ["--legal", id, ref rest @ ..] => {
            switch::set(side, id, false).map(|()| rest.first().copied())
        }
        ref rest => Ok(rest.first().copied()),
    }
}
