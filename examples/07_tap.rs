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
//! with the number of its connection. A target that doesn't answer delays neither the other clients
//! nor Ctrl-C, because the tap connects to the target in each connection's own thread.
//!
//! Ctrl-C ends the tap and the TCP connections to both ends. The tap sends no Close, because it's
//! neither the client nor the server.

#[path = "shared/ctrl_c.rs"]
mod ctrl_c;
#[path = "shared/help.rs"]
mod help;

use std::fs::File;
use std::io::{self, ErrorKind, IoSlice};
use std::net::{Shutdown, TcpListener, TcpStream, ToSocketAddrs};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use ws101::explain::annotation::Annotation;
use ws101::explain::text::Style;
use ws101::frames::header::Role;
use ws101::{Explainer, Result, Stream, Tap};

/// How long the tap waits after `accept` has failed, before it tries again.
const REST: Duration = Duration::from_millis(50);
/// How long each of the target's addresses may take to accept a connection.
const DIAL: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    help::print_if_asked(include_str!("07_tap.rs"));
    env_logger::init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let pictures = arguments.iter().any(|argument| argument == "--pictures");
    let words: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|word| *word != "--pictures").collect();
    let (listen, target, file) = match words.as_slice() {
        [listen, target, "--to", file] => (listen, target, Some(*file)),
        [listen, target] => (listen, target, None),
        _ => {
            eprintln!("usage: 07_tap LISTEN TARGET [--to FILE] [--pictures]");
            return ExitCode::FAILURE;
        }
    };
    match relay(listen, target, || explainer(file, pictures)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn explainer(file: Option<&str>, pictures: bool) -> io::Result<Explainer> {
    let style = Style { colour: false, pictures };
    match file {
        Some(file) => Explainer::new(File::create(file)?, style),
        None if pictures => Explainer::new(io::stdout(), style),
        None => Explainer::stdout(),
    }
}

fn relay(
    listen: &str,
    target: &str,
    explainer: impl FnOnce() -> io::Result<Explainer>,
) -> Result<()> {
    let listener = TcpListener::bind(listen)?;
    // Creating the file empties it, so the tap must be able to listen first.
    let explainer = explainer()?;
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
        let (target, sink) = (target.to_owned(), explainer.sink(name.clone()));
        let for_thread = name.clone();
        let thread = thread::Builder::new();
        if let Err(error) = thread.spawn(move || connect_both(&for_thread, client, &target, sink)) {
            eprintln!("{name} gets no thread: {error}");
        }
    }
    Ok(())
}

/// Connects to the target, and passes on the bytes of both directions until both have ended.
fn connect_both(
    name: &str,
    client: TcpStream,
    target: &str,
    sink: impl Fn(Annotation) + Send + Sync + 'static,
) {
    let server = match dial(target) {
        Ok(server) => server,
        Err(error) => return eprintln!("{name} gets no connection to {target}: {error}"),
    };
    // Send each piece at once. If this setting fails, the bytes still pass, only later.
    let _ = client.set_nodelay(true).and(server.set_nodelay(true));
    // On the stream to the client, this program stands in for the server: what it reads comes from
    // the client, and what it writes from the server.
    let client = Tap::new(client, Role::Server, sink);
    thread::scope(|scope| {
        match thread::Builder::new().spawn_scoped(scope, || pump(&client, &server)) {
            Ok(_) => pump(&server, &client),
            Err(error) => eprintln!("{name} gets no thread: {error}"),
        }
    });
}

/// Connects to the first of the target's addresses that accepts in time. If none does, returns the
/// last one's error.
fn dial(target: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::new(ErrorKind::NotFound, "the name has no address");
    for address in target.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, DIAL) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
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
