//! Ctrl-C for the examples: each connection gets a Close (1001), and the program ends once the peers have
//! answered. A second Ctrl-C ends it at once.
//!
//! `std` has no signals. The crate `ctrlc` has, and calls `end` on a thread of its own. With its feature
//! `termination` it would do the same on SIGTERM.

#![allow(dead_code, reason = "each example takes what it needs")]

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::exit;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, Once, Weak};
use std::time::Duration;

use ws101::{CloseCode, Handle, Sender, WebSocket};

/// How long a server's clients have to answer its Close.
const GRACE: Duration = Duration::from_secs(2);
/// How a shell counts a program that Ctrl-C has ended: 128, and the number of SIGINT.
const INTERRUPTED: i32 = 128 + 2;

/// Whether Ctrl-C was pressed.
static PRESSED: AtomicBool = AtomicBool::new(false);
static TO_END: Mutex<ToEnd> =
    Mutex::new(ToEnd { servers: Vec::new(), connections: Vec::new(), listeners: Vec::new() });

/// What Ctrl-C ends.
struct ToEnd {
    servers: Vec<Handle>,
    connections: Vec<Weak<Sender>>,
    listeners: Vec<SocketAddr>,
}

/// Ctrl-C stops this server, and its `serve` returns.
pub fn stops(server: Handle) {
    add(|to_end| to_end.servers.push(server));
}

/// Ctrl-C closes this connection, and its `recv` returns `None`. Keep what this returns for as long as the
/// connection is open.
#[must_use]
pub fn closes(connection: &WebSocket) -> Arc<Sender> {
    let sender = Arc::new(connection.sender());
    add(|to_end| {
        to_end.connections.retain(|other| other.strong_count() > 0);
        to_end.connections.push(Arc::downgrade(&sender));
        // It was pressed while this connection was being opened.
        if was_pressed() {
            let _ = sender.close(CloseCode::GOING_AWAY, "");
        }
    });
    sender
}

/// Accepts as `listener.incoming()` does, until Ctrl-C.
pub fn incoming(listener: &TcpListener) -> impl Iterator<Item = io::Result<TcpStream>> {
    add(|to_end| to_end.listeners.extend(listener.local_addr()));
    listener.incoming().take_while(|_| !was_pressed())
}

pub fn was_pressed() -> bool {
    PRESSED.load(SeqCst)
}

fn add(what: impl FnOnce(&mut ToEnd)) {
    static BEFORE_THE_FIRST: Once = Once::new();
    BEFORE_THE_FIRST.call_once(|| {
        if let Err(error) = ctrlc::set_handler(end) {
            eprintln!("Ctrl-C sends no Close: {error}");
        }
    });
    what(&mut TO_END.lock().unwrap());
}

/// None of this waits: the program ends as the calls of its own threads return.
fn end() {
    if PRESSED.swap(true, SeqCst) {
        exit(INTERRUPTED);
    }
    let to_end = TO_END.lock().unwrap();
    to_end.servers.iter().for_each(|server| server.stop(GRACE));
    // Wakes `accept`, which `std` can't.
    let woken = to_end.listeners.iter().filter(|address| TcpStream::connect(address).is_ok());
    let connections = to_end.connections.iter().filter_map(Weak::upgrade);
    let closed = connections.filter(|it| it.close(CloseCode::GOING_AWAY, "").is_ok());
    if to_end.servers.len() + woken.count() + closed.count() == 0 {
        exit(INTERRUPTED); // Nothing is open: a client that waits before it tries again, say.
    }
}
