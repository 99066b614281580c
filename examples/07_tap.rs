//! A tap on the wire: stands between any client and any server, and explains every byte.
//!
//! run: cargo run --example 07_tap LISTEN TARGET [--to FILE] [--pictures]
//! for instance: cargo run --example 04_echo, and
//!     cargo run --example 07_tap 127.0.0.1:9002 127.0.0.1:9001, and
//!     echo hello | cargo run --example 05_client ws://127.0.0.1:9002
//! expect: listening on ws://127.0.0.1:9001
//! next: 08_rooms, where not everybody is let in
//!
//! It passes on what it reads, as it was read, and says which connection each line is about. What it
//! tells comes from `src/explain`.

use std::fs::File;
use std::io::{ErrorKind, IoSlice};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use ws101::explain::print::Style;
use ws101::frames::header::Role;
use ws101::{Explainer, Result, Stream, Tap};

fn main() -> ExitCode {
    env_logger::init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let pictures = arguments.iter().any(|argument| argument == "--pictures");
    let words: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|word| *word != "--pictures").collect();
    let narrator = match words.as_slice() {
        [_, _, "--to", file] => File::create(file)
            .and_then(|file| Explainer::new(file, Style { colour: false, pictures })),
        [_, _] if pictures => Explainer::new(std::io::stdout(), Style { colour: false, pictures }),
        [_, _] => Explainer::stdout(),
        _ => {
            eprintln!("usage: 07_tap LISTEN TARGET [--to FILE] [--pictures]");
            return ExitCode::FAILURE;
        }
    };
    match narrator.map_err(ws101::Error::Io).and_then(|it| stand_between(words[0], words[1], it)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn stand_between(listen: &str, target: &str, narrator: Explainer) -> Result<()> {
    let listener = TcpListener::bind(listen)?;
    println!("listening on ws://{}", listener.local_addr()?);
    for (number, client) in (1..).zip(listener.incoming()) {
        let Ok(client) = client else { continue };
        let name = format!("#{number}");
        let Ok(server) = TcpStream::connect(target) else {
            eprintln!("{name} nobody answers at {target}");
            continue;
        };
        // What comes in one piece shall leave in one, and at once. If not: the bytes are the same.
        let _ = client.set_nodelay(true).and(server.set_nodelay(true));
        // To the client we are its server: it is this end that is tapped, in both directions.
        let client = Arc::new(Tap::new(client, Role::Server, narrator.sink(name)));
        let server = Arc::new(server);
        let (from_client, to_server) = (client.clone(), server.clone());
        thread::spawn(move || pump(&*from_client, &*to_server));
        thread::spawn(move || pump(&*server, &*client));
    }
    Ok(())
}

/// Passes bytes on until their stream ends, and then its end.
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
