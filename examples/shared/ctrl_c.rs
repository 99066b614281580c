//! Ctrl-C for the examples: each open connection gets a Close (1001), and the program ends once the peers have
//! answered. A second Ctrl-C ends it at once.
//!
//! `std` can't catch signals. The crate `ctrlc` can, and calls `end` in a thread of its own. With its feature
//! `termination` it would call it on SIGTERM, too.

#![allow(dead_code, reason = "each example uses the functions that it needs")]

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::exit;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, Once, Weak};
use std::time::Duration;

use ws101::{CloseCode, Handle, Sender, WebSocket};

/// How long the clients of a server have to answer its Close.
const GRACE: Duration = Duration::from_secs(2);
/// The exit status of a program that Ctrl-C has ended, as shells count it: 128 and the number of SIGINT.
const INTERRUPTED: i32 = 128 + 2;

static PRESSED: AtomicBool = AtomicBool::new(false);
static OPEN: Mutex<Open> =
    Mutex::new(Open { servers: Vec::new(), connections: Vec::new(), listeners: Vec::new() });

/// What Ctrl-C ends.
struct Open {
    servers: Vec<Handle>,
    /// A connection whose `Arc` is dropped has ended.
    connections: Vec<Weak<Sender>>,
    listeners: Vec<SocketAddr>,
}

/// Lets Ctrl-C stop this server: its `serve` returns.
pub fn stops(server: Handle) {
    add(|open| open.servers.push(server));
}

/// Lets Ctrl-C close this connection: its `recv` returns `None`. Keep what this returns until the connection has
/// ended.
#[must_use]
pub fn closes(connection: &WebSocket) -> Arc<Sender> {
    let sender = Arc::new(connection.sender());
    add(|open| {
        open.connections.retain(|other| other.strong_count() > 0);
        open.connections.push(Arc::downgrade(&sender));
        // Ctrl-C was pressed while this connection was being opened.
        if was_pressed() {
            let _ = sender.close(CloseCode::GOING_AWAY, "");
        }
    });
    sender
}

/// Accepts as `listener.incoming()` does, until Ctrl-C.
pub fn incoming(listener: &TcpListener) -> impl Iterator<Item = io::Result<TcpStream>> {
    add(|open| open.listeners.extend(listener.local_addr()));
    listener.incoming().take_while(|_| !was_pressed())
}

/// Whether Ctrl-C was pressed.
pub fn was_pressed() -> bool {
    PRESSED.load(SeqCst)
}

fn add(what: impl FnOnce(&mut Open)) {
    static CATCH: Once = Once::new();
    CATCH.call_once(|| {
        if let Err(error) = ctrlc::set_handler(end) {
            eprintln!("Ctrl-C ends this program without a Close: {error}");
        }
    });
    what(&mut OPEN.lock().unwrap());
}

/// Ends all that is open. It doesn't wait: the program ends when its own threads have seen the end of each.
fn end() {
    if PRESSED.swap(true, SeqCst) {
        exit(INTERRUPTED);
    }
    let open = OPEN.lock().unwrap();
    open.servers.iter().for_each(|server| server.stop(GRACE));
    // `std` can't wake a thread that waits in `accept`, but a connection does.
    let woken = open.listeners.iter().filter(|address| TcpStream::connect(address).is_ok());
    let connections = open.connections.iter().filter_map(Weak::upgrade);
    let closed = connections.filter(|it| it.close(CloseCode::GOING_AWAY, "").is_ok());
    // A client may have no connection, because it waits before its next attempt.
    if open.servers.len() + woken.count() + closed.count() == 0 {
        exit(INTERRUPTED);
    }
}
