//! A client that stays connected. When its connection ends, it finds out why, waits, and connects
//! again. It then continues after the last message that it has received.
//!
//! run: cargo run --example 13_stay_connected [URL]
//! then: without a URL it meets a server of its own, which ends the connection in three ways
//! expect: listening on ws://127.0.0.1:9001
//! expect: news 1
//! expect: news 3
//! expect: the server closed with 1012 (restarting): connect again in
//! expect: news 4
//! expect: the connection was lost: connect again in
//! expect: refused with 503: connect again in
//! expect: news 6
//! expect: news 9
//! expect: the server closed with 1000 (that was all): done
//! next: 14_files, which sends large files in constant memory
//!
//! Three rules keep a thousand such clients from overloading a server that restarts:
//!
//! - Wait before each attempt, twice as long after each failure, up to a limit. After a connection
//!   that worked, begin with the short wait again.
//! - Wait a random part of that time. Otherwise all clients come back at the same time, again and
//!   again.
//! - Don't repeat an attempt that can't succeed: after an invalid URL, a refused token, or a broken
//!   rule.
//!
//! When a connection is lost, the server can't know which messages arrived. So the client names its
//! last one in the URL (`?after=3`), and the server continues after it. No message is lost, and none
//! comes twice.

#[path = "shared/ctrl_c.rs"]
mod ctrl_c;
#[path = "shared/help.rs"]
mod help;

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use ws101::diagnostic::escape;
use ws101::{CloseCode, Error, Message, Refusal, Result, Server, WebSocket, connect};

/// The upper bounds of the random wait: before the first new attempt, and after many failures.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

fn main() -> Result<()> {
    help::print_if_asked(include_str!("13_stay_connected.rs"));
    env_logger::init();
    let url = match std::env::args().nth(1) {
        Some(url) => url,
        None => serve_news()?,
    };
    stay_connected(&url)
}

/// Connects, reads, and connects again, until the server has sent all news. Fails if another attempt
/// can't succeed.
fn stay_connected(url: &str) -> Result<()> {
    let (mut last, mut wait) = (0, FIRST_WAIT);
    let separator = if url.contains('?') { '&' } else { '?' };
    loop {
        let (had, start) = (last, Instant::now());
        let why = match read_news(&format!("{url}{separator}after={last}"), &mut last) {
            Ended::Done(why) => {
                println!("{why}: done");
                return Ok(());
            }
            Ended::Failed(why) => {
                let why = format!("{why}: another attempt would end like this one");
                return Err(Error::other(why));
            }
            Ended::Interrupted(_) if ctrl_c::was_pressed() => {
                println!("Ctrl-C: done");
                return Ok(());
            }
            Ended::Interrupted(why) => why,
        };
        // This connection worked: it brought news, or lasted longer than any attempt to connect.
        if last > had || start.elapsed() > LONGEST_WAIT {
            wait = FIRST_WAIT;
        }
        let pause = random_part_of(wait);
        println!("{why}: connect again in {} ms", pause.as_millis());
        thread::sleep(pause);
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// How a connection ended, for a client that decides what to do next.
enum Ended {
    /// The server has sent everything, so the client ends.
    Done(String),
    /// The connection was lost or refused for now, so another attempt may succeed.
    Interrupted(String),
    /// Another attempt would fail in the same way.
    Failed(String),
}

/// Connects and reads until the connection ends. Stores the number of each message in `last`, so
/// that the next connection can continue after it.
fn read_news(url: &str, last: &mut u64) -> Ended {
    let mut ws = match connect(url) {
        Ok(ws) => ws,
        Err(error) => return cause_of(error),
    };
    let _guard = ctrl_c::closes(&ws);
    loop {
        match ws.recv() {
            Ok(Some(Message::Text(text))) => {
                println!("news {}", escape(&text));
                *last = text.parse().unwrap_or(*last);
            }
            Ok(Some(Message::Binary(_))) => {}
            Ok(None) => return meaning_of_close(&ws),
            Err(error) => return cause_of(error),
        }
    }
}

/// Decides what the server's Close means. `recv` returns `None` after any Close, so only the close
/// code tells whether the server has sent everything.
fn meaning_of_close(ws: &WebSocket) -> Ended {
    let Some(close) = ws.closed_with() else { return Ended::Interrupted("no Close came".into()) };
    let why = format!("the server closed with {} ({})", close.code, escape(&close.reason));
    match close.code {
        CloseCode::NORMAL => Ended::Done(why),
        // The server stops, restarts, or is overloaded, so a later attempt may succeed.
        CloseCode::GOING_AWAY | CloseCode::SERVICE_RESTART | CloseCode::TRY_AGAIN_LATER => {
            Ended::Interrupted(why)
        }
        _ => Ended::Failed(why),
    }
}

fn cause_of(error: Error) -> Ended {
    match error {
        Error::ConnectionLost(_) => Ended::Interrupted("the connection was lost".into()),
        Error::PeerTimeout | Error::WriteTimeout => {
            Ended::Interrupted("the server was silent".into())
        }
        // For example, no server listens at the address yet.
        Error::Io(error) => Ended::Interrupted(error.to_string()),
        Error::Rejected(rejection) => match rejection.status {
            // A later attempt may succeed, for instance once the server has restarted.
            Some(status @ (408 | 429 | 500..=599)) => {
                Ended::Interrupted(format!("refused with {status}"))
            }
            _ => Ended::Failed(rejection.to_string()),
        },
        error => Ended::Failed(error.to_string()),
    }
}

/// Returns a random time between half of `wait` and all of it.
fn random_part_of(wait: Duration) -> Duration {
    // std has no random numbers, but the keys of its hash maps are unpredictable.
    let random = RandomState::new().hash_one(0) >> 32;
    wait.mul_f64(0.5 + random as f64 / 2f64.powi(33))
}

/// Starts a server with nine pieces of news, and returns its URL. It closes the first connection
/// early, aborts the second, refuses the third with a 503, and sends the rest on the fourth.
fn serve_news() -> Result<String> {
    let visits = AtomicUsize::new(0);
    let requests = AtomicUsize::new(0);
    let server =
        Server::bind("127.0.0.1:0")?.authorize(move |_| match requests.fetch_add(1, Relaxed) {
            2 => Err(Refusal::because(503, "Too many at once; try again.")),
            _ => Ok(()),
        });
    let url = format!("ws://{}", server.local_addr()?);
    println!("listening on {url}");
    thread::spawn(move || server.serve(move |ws| tell_news(ws, visits.fetch_add(1, Relaxed))));
    Ok(url)
}

fn tell_news(mut ws: WebSocket, visit: usize) -> Result<()> {
    let after = ws.request().parameter("after").and_then(|after| after.parse().ok()).unwrap_or(0);
    for number in after + 1..=9_u64 {
        ws.send(number.to_string())?;
        match (visit, number) {
            (0, 3) => return ws.close(CloseCode::SERVICE_RESTART, "restarting"),
            (1, 5) => {
                // The abort stands for a cut cable. The server can't know whether the last message
                // arrived, so the client's next URL names the last one that did.
                ws.sender().abort();
                return Ok(());
            }
            _ => {}
        }
    }
    ws.close(CloseCode::NORMAL, "that was all")
}
