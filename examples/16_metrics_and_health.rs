//! An echo server with what an operator needs: pages for its counters and its health, and limits on
//! how long a client may stay and how much it may send.
//!
//! run: cargo run --example 16_metrics_and_health [ADDRESS [SECONDS]], the maximum lifetime of a connection
//! then: curl http://127.0.0.1:9001/metrics, and the same with /health and /ready
//! then: press Enter to let no more clients in, and Enter again to drain and stop; Ctrl-C stops it, too
//! expect: listening on ws://127.0.0.1:9001
//! expect: about to stop: /ready says 503, new clients get a 503, open connections live on
//! expect: stopped
//! next: 17_through_a_proxy, for a client that can reach a server only through a proxy
//!
//! `/health` says whether the process works: if this page doesn't answer, a supervisor restarts the
//! process. `/ready` says whether new clients may connect: while this page answers 503, a load
//! balancer sends them elsewhere. Before a deployment, `/ready` first answers 503. Once the
//! balancer has noticed, the server closes its connections a few at a time, and stops.
//! `examples/service` does this on SIGTERM.

#[path = "shared/ctrl_c.rs"]
mod ctrl_c;
#[path = "shared/help.rs"]
mod help;

use std::io::{Write, stdin, stdout};
use std::thread;
use std::time::{Duration, Instant};

use ws101::{CloseCode, Counters, Error, Handle, Limits, Response, Result, Server, WebSocket};

/// How long a client may stay connected before it must connect again. As clients reconnect, a load
/// balancer can send some of them to a new server.
const LONGEST_LIFE: Duration = Duration::from_secs(3600);
/// How many messages a client may send in a burst, and how many more it may send each second.
const BURST: f64 = 20.0;
const PER_SECOND: f64 = 5.0;
/// The time over which the server closes its connections, a few at a time.
const DRAIN: Duration = Duration::from_secs(10);

fn main() -> Result<()> {
    help::print_if_asked(include_str!("16_metrics_and_health.rs"));
    env_logger::init();
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or("127.0.0.1:9001".into());
    let life = match arguments.next() {
        Some(seconds) => match seconds.parse() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) => return Err(Error::other(format!("{seconds:?} is no number of seconds"))),
        },
        None => LONGEST_LIFE,
    };

    let limits = Limits::default();
    let most = limits.max_connections;
    let server = Server::bind(address)?.limits(limits);
    ctrl_c::stops(server.handle());
    let (handle, for_pages) = (server.handle(), server.handle());
    let server = server
        .http(move |request| {
            let counters = for_pages.counters();
            match request.path() {
                "/metrics" => Some(open_metrics(&counters)),
                "/health" => Some(Response::text("it works\n")),
                "/ready" if !for_pages.is_accepting() => {
                    Some(Response::text("about to stop\n").status(503))
                }
                "/ready" if counters.open >= most => Some(Response::text("full\n").status(503)),
                "/ready" => Some(Response::text("ready\n")),
                _ => None,
            }
        })
        .spawn(move |ws| echo(ws, life))?;
    println!("listening on ws://{}", server.local_addr());

    thread::spawn(move || stop_on_enter(&handle));
    server.join()?;
    let _ = writeln!(stdout(), "stopped");
    Ok(())
}

fn stop_on_enter(handle: &Handle) -> Result<()> {
    // If there is no standard input, `read_line` returns at once, and the server runs until Ctrl-C.
    if stdin().read_line(&mut String::new())? == 0 {
        return Ok(());
    }
    handle.stop_accepting();
    // If no program reads the output any more, `println!` would panic, and the server never drain.
    let _ = writeln!(
        stdout(),
        "about to stop: /ready says 503, new clients get a 503, open connections live on"
    );
    stdin().read_line(&mut String::new())?;
    // Close the connections over some time. If they all closed at once, all clients would connect
    // to the next server at once.
    handle.drain_with(DRAIN, CloseCode::SERVICE_RESTART, "this server restarts")
}

/// Echoes until the client leaves, has been connected for long enough, or sends too much.
fn echo(mut ws: WebSocket, life: Duration) -> Result<()> {
    let (born, mut last, mut allowed) = (Instant::now(), Instant::now(), BURST);
    loop {
        let rest = life.saturating_sub(born.elapsed());
        let message = match ws.recv_timeout(rest) {
            Ok(Some(message)) if !rest.is_zero() => message,
            Ok(None) => return Ok(()),
            // 1012 asks the client to connect again. `13_stay_connected` does, after a random
            // pause.
            Ok(_) | Err(Error::TimedOut) => {
                return ws.close(CloseCode::SERVICE_RESTART, "connected for long enough");
            }
            Err(error) => return Err(error),
        };
        // A token bucket: each message takes a token, and new tokens come with time.
        allowed = BURST.min(allowed + last.elapsed().as_secs_f64() * PER_SECOND) - 1.0;
        last = Instant::now();
        if allowed < 0.0 {
            return ws.close(CloseCode::POLICY, "too many messages");
        }
        ws.send(message)?;
    }
}

/// Writes the counters in the text format of OpenMetrics, which Prometheus reads.
fn open_metrics(counters: &Counters) -> Response {
    let mut page = format!("# TYPE ws101_open gauge\nws101_open {}\n", counters.open);
    for (name, count) in [
        ("accepted", counters.accepted),
        ("messages_in", counters.messages_in),
        ("messages_out", counters.messages_out),
        ("bytes_in", counters.bytes_in),
        ("bytes_out", counters.bytes_out),
    ] {
        page += &format!("# TYPE ws101_{name} counter\nws101_{name}_total {count}\n");
    }
    page += "# TYPE ws101_refused counter\n";
    for (status, count) in &counters.refused {
        page += &format!("ws101_refused_total{{status=\"{status}\"}} {count}\n");
    }
    page += "# EOF\n";
    Response::new("application/openmetrics-text; version=1.0.0; charset=utf-8", page)
}
