//! A server as a supervisor runs it: it may be given its socket, says whether it's ready, and stops on a signal.
//!
//! run: cargo run --manifest-path examples/service/Cargo.toml [ADDRESS]
//! under systemd, or by hand: systemd-socket-activate --listen 127.0.0.1:9001 PROGRAM
//!
//! - **Socket activation.** systemd opens the socket, starts the program with the first client, and keeps the
//!   socket while the program restarts: clients that come meanwhile wait, and none is refused. The program
//!   learns from `LISTEN_FDS` and `LISTEN_PID` that a socket is given to it. Only unsafe code can make a socket
//!   of a descriptor's number. The library has none, so here the crate `listenfd` does it.
//! - **Readiness.** A load balancer asks for `/ready`, and sends new clients elsewhere while it's a 503.
//! - **Signals.** On SIGTERM or Ctrl-C the server closes its connections, a few at a time, and ends. `std` has
//!   no signals, so here the crate `ctrlc` handles them.

use std::time::Duration;

use listenfd::ListenFd;
use ws101::{CloseCode, Error, Listener, Response, Result, Server};

/// Shorter than the time after which the supervisor kills: systemd's `TimeoutStopSec`, Kubernetes'
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
    println!("stopped");
    Ok(())
}

/// The socket that the supervisor has opened for us, if it has: TCP or Unix.
fn given_listener() -> Result<Option<Listener>> {
    let mut given = ListenFd::from_env();
    match given.take_tcp_listener(0) {
        Ok(listener) => Ok(listener.map(Listener::from)),
        Err(_) => Ok(given.take_unix_listener(0)?.map(Listener::from)),
    }
}
