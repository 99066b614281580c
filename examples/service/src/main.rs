//! A server for a supervisor such as systemd: it accepts a socket from the supervisor, says whether
//! it's ready, and stops on a signal.
//!
//! run: cargo run --manifest-path examples/service/Cargo.toml [ADDRESS]
//! under systemd, or by hand: systemd-socket-activate --listen 127.0.0.1:9001 PROGRAM
//!
//! - **Socket activation.** systemd opens the socket, starts the program when the first client
//!   connects, and keeps the socket while the program restarts. From SIGTERM until the old process
//!   stops accepting, new clients receive a 503. Clients that connect later wait for the new
//!   process. The variables `LISTEN_FDS` and `LISTEN_PID` tell the program that it has been given a
//!   socket. Only unsafe code can turn a descriptor's number into a socket. The library has no
//!   unsafe code, so the crate `listenfd` does it here.
//! - **Readiness.** A load balancer requests `/ready`, and sends new clients elsewhere while the answer is 503.
//! - **Signals.** On SIGTERM or Ctrl-C the server closes its connections, a few at a time, and ends. `std` has
//!   no signals, so here the crate `ctrlc` handles them.

use std::io::{Write, stdout};
use std::time::Duration;

use listenfd::ListenFd;
use ws101::{CloseCode, Error, Listener, Response, Result, Server};

/// How long the server may take to stop. It must be shorter than the supervisor's time limit, after
/// which it kills the process: systemd's `TimeoutStopSec`, Kubernetes'
/// `terminationGracePeriodSeconds`.
const GRACE: Duration = Duration::from_secs(10);

fn main() -> Result<()> {
    env_logger::init();
    let server = match given_listener()? {
        Some(listener) => Server::on(listener)?,
        None => Server::bind(std::env::args().nth(1).unwrap_or("127.0.0.1:9001".into()))?,
    };
    let handle = server.handle();
    let server = server.http(move |request| match (request.path(), handle.is_accepting()) {
        ("/ready", true) => Some(Response::text("ready\n")),
        ("/ready", false) => Some(Response::text("about to stop\n").status(503)),
        _ => None,
    });

    let handle = server.handle();
    let drain = move || handle.drain_with(GRACE, CloseCode::SERVICE_RESTART, "restarting");
    ctrlc::set_handler(move || drain().expect("a code that may be sent")).map_err(Error::other)?;

    match server.local_addr() {
        Ok(address) => println!("listening on ws://{address}"),
        Err(_) => println!("listening on a Unix socket"),
    }
    server.serve(|mut ws| {
        while let Some(message) = ws.recv()? {
            ws.send(message)?;
        }
        Ok(())
    })?;
    // If no program reads the output any more, `println!` would panic, and the exit status be 101.
    let _ = writeln!(stdout(), "stopped");
    Ok(())
}

/// Returns the TCP or Unix socket that the supervisor has opened for this program, if there is one.
/// Fails if there are several, because the clients of the others would wait forever.
fn given_listener() -> Result<Option<Listener>> {
    let mut given = ListenFd::from_env();
    if given.len() > 1 {
        return Err(Error::other(
            "the supervisor has opened several sockets, and this server takes one",
        ));
    }
    match given.take_tcp_listener(0) {
        Ok(listener) => Ok(listener.map(Listener::from)),
        Err(_) => Ok(given.take_unix_listener(0)?.map(Listener::from)),
    }
}
