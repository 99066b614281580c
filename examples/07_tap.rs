//! A tap between any client and any server: it passes the bytes on, and explains each of them.
//!
//! run: cargo run --example 07_tap LISTEN TARGET [--to FILE] [--pictures]
//! for example: cargo run --example 04_echo, and
//!     cargo run --example 07_tap 127.0.0.1:9002 127.0.0.1:9001, and
//!     echo hello | cargo run --example 05_client ws://127.0.0.1:9002
//! expect: listening on ws://127.0.0.1:9001
//! next: 08_rooms, a server that checks which clients may connect
//!
//! The tap passes the bytes on unchanged. The explanations come from `src/explain`, and each begins
//! with the number of its connection. Ctrl-C ends the tap and the TCP connections to both ends. The
//! tap sends no Close, because it's neither the client nor the server.

#[path = "shared/ctrl_c.rs"]
mod ctrl_c;
#[path = "shared/help.rs"]
mod help;

use std::fs::File;
use std::io::{ErrorKind, IoSlice};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ws101::explain::print::Style;
use ws101::frames::header::Role;
use ws101::{Explainer, Result, Stream, Tap};

/// How long the tap waits after `accept` has failed, before it tries again.
const REST: Duration = Duration::from_millis(50);

fn main() -> ExitCode {
    help::print_if_asked(include_str!("07_tap.rs"));
    env_logger::init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let pictures = arguments.iter().any(|argument| argument == "--pictures");
    let words: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|word| *word != "--pictures").collect();
    let explainer = match words.as_slice() {
        [_, _, "--to", file] => File::create(file)
            .and_then(|file| Explainer::new(file, Style { colour: false, pictures })),
        [_, _] if pictures => Explainer::new(std::io::stdout(), Style { colour: false, pictures }),
        [_, _] => Explainer::stdout(),
        _ => {
            eprintln!("usage: 07_tap LISTEN TARGET [--to FILE] [--pictures]");
            return ExitCode::FAILURE;
        }
    };
    match explainer.map_err(ws101::Error::Io).and_then(|it| relay(words[0], words[1], it)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn relay(listen: &str, target: &str, explainer: Explainer) -> Result<()> {
    let listener = TcpListener::bind(listen)?;
    println!("listening on ws://{}", listener.local_addr()?);
    for (number, client) in (1..).zip(ctrl_c::incoming(&listener)) {
        let name = format!("#{number}");
        let client = match client {
            Ok(client) => client,
            Err(error) => {
                eprintln!("{name} can't be accepted: {error}");
                // If no file descriptor is free, the client stays in the listening socket's queue,
                // and the next `accept` fails at once. Without a pause, this loop would use a whole
                // core.
                thread::sleep(REST);
                continue;
            }
        };
        let server = match TcpStream::connect(target) {
            Ok(server) => server,
            Err(error) => {
                eprintln!("{name} gets no connection to {target}: {error}");
                continue;
            }
        };
        // Send each piece at once. If this setting fails, the bytes still pass, only later.
        let _ = client.set_nodelay(true).and(server.set_nodelay(true));
        // On the stream to the client, this program stands in for the server: what it reads comes
        // from the client, and what it writes from the server.
        let client = Arc::new(Tap::new(client, Role::Server, explainer.sink(name.clone())));
        let server = Arc::new(server);
        let (from_client, to_server) = (client.clone(), server.clone());
        let there = thread::Builder::new().spawn(move || pump(&*from_client, &*to_server));
        let closes = client.clone();
        let back = thread::Builder::new().spawn(move || pump(&*server, &*client));
        if let Err(error) = there.and(back) {
            eprintln!("{name} gets no thread: {error}");
            let _ = closes.shutdown(Shutdown::Both);
        }
    }
    Ok(())
}

/// Copies bytes from one stream to the other. When `from` ends, ends this direction of `to`, too.
/// If one of them fails, shuts down the other.
fn pump(from: &dyn Stream, to: &dyn Stream) {
    let mut room = vec![0; 64 * 1024];
    loop {
        let count = match from.read(&mut room) {
            Ok(0) => break drop(to.shutdown(Shutdown::Write)),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => break drop(to.shutdown(Shutdown::Both)),
        };
        let mut rest = &room[..count];
        while !rest.is_empty() {
            match to.write(&[IoSlice::new(rest)]) {
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return drop(from.shutdown(Shutdown::Both)),
            }
        }
    }
}
