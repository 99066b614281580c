//! A WebSocket client for the terminal. It sends each line of its input as a message, and prints each
//! message that it receives.
//!
//! run: cargo run --example 05_client URL [OPTION]...
//! options: --origin O, --protocol P, --header 'N: V', --root FILE, --explain
//! for example: echo hello | cargo run --example 05_client ws://127.0.0.1:9001
//! to see each byte: add --explain
//! expect: closed: 1000
//! next: 06_chat, in which many clients talk to each other
//!
//! At the end of its input, or on Ctrl-C, the client sends a Close, and prints the messages that
//! arrive before the server's Close. If it can't connect, or the connection breaks, it says why and
//! exits with status 1.

#[path = "shared/ctrl_c.rs"]
mod ctrl_c;
#[path = "shared/help.rs"]
mod help;

use std::io::BufRead;
use std::process::ExitCode;
use std::thread;

use ws101::diagnostic::escape;
use ws101::{Client, Explainer, Message, Result, Sender, WebSocket};

fn main() -> ExitCode {
    help::print_if_asked(include_str!("05_client.rs"));
    env_logger::init();
    let (explain, arguments): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|argument| argument == "--explain");
    let Some(client) = from_arguments(arguments.iter().cloned()) else {
        eprintln!(
            "usage: 05_client URL [--origin O] [--protocol P] [--header 'N: V'] [--root FILE] [--explain]"
        );
        return ExitCode::FAILURE;
    };
    let talked = match explain.is_empty() {
        true => client.connect().and_then(talk),
        // The explainer prints from a queue. Dropping the explainer waits up to two seconds until
        // its queue is printed.
        false => Explainer::stderr()
            .map_err(ws101::Error::Io)
            .and_then(|explainer| talk(client.explain(&explainer).connect()?)),
    };
    match talked {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn talk(mut ws: WebSocket) -> Result<()> {
    let _guard = ctrl_c::closes(&ws);
    // One thread sends lines while the other waits for messages.
    let sender = ws.sender();
    thread::spawn(move || send_lines(sender));
    while let Some(message) = ws.recv()? {
        match message {
            // Control characters in the text could clear the terminal or change its title, so
            // they're escaped.
            Message::Text(text) => println!("{}", escape(&text)),
            Message::Binary(bytes) => println!("{} bytes: {:02x?}", bytes.len(), bytes),
        }
    }
    if let Some(close) = ws.closed_with() {
        eprintln!("closed: {}", escape(&close.to_string()));
    }
    Ok(())
}

/// Sends each line of the input, then a Close. The server answers with its Close, which ends `recv`
/// in the main thread.
fn send_lines(sender: Sender) {
    for line in std::io::stdin().lock().split(b'\n').map_while(|line| line.ok()) {
        let sent = match str::from_utf8(&line) {
            Ok(text) => sender.send(text.trim_end_matches('\r')),
            // Text must be UTF-8, so these bytes are sent as a binary message.
            Err(_) => sender.send(&line),
        };
        if sent.is_err() {
            return; // `recv`, in the main thread, returns the error.
        }
    }
    let _ = sender.close(1000, "");
}

fn from_arguments(mut arguments: impl Iterator<Item = String>) -> Option<Client> {
    let mut client = Client::new(arguments.next().filter(|url| !url.starts_with("--"))?);
    while let Some(option) = arguments.next() {
        let value = arguments.next()?;
        client = match option.as_str() {
            "--origin" => client.origin(value),
            "--protocol" => client.subprotocols([value]),
            // For wss:// (feature `tls`): trust the certificate in this PEM file.
            "--root" => client.root_certificates(value),
            "--header" => {
                let (name, value) = value.split_once(':')?;
                client.header(name, value.trim_start())
            }
            _ => return None,
        };
    }
    Some(client)
}
