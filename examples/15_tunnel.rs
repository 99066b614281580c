//! A tunnel, which carries a TCP connection over a WebSocket, through a network that lets only HTTP
//! pass.
//!
//! run: cargo run --example 15_tunnel
//! at the far end: 15_tunnel serve ADDRESS TARGET, where TARGET is the host and port to be reached
//! at the near end: 15_tunnel dial ADDRESS URL, and programs connect to ADDRESS as if it were the target
//! expect: 1048576 bytes came back through the tunnel, unchanged
//! expect: the end of the request reached the target, and the end of its answer came back
//! next: 16_metrics_and_health, what an operator wants to know about a server
//!
//! ```text
//! program ── TCP ── dial ── WebSocket ── serve ── TCP ── target
//! ```
//!
//! - **Backpressure** needs no code here. If a program doesn't read, its socket's buffer fills up,
//!   and the thread that writes to it blocks. That thread then no longer receives from the
//!   WebSocket, whose buffers fill up in turn, and in the end the target blocks, too. No queue
//!   grows. (If the program reads nothing for longer than the other end's keepalive waits, that end
//!   gives up on the connection.)
//! - **Half-close**: TCP ends each direction separately, and `nc` and HTTP/1.0 rely on that. A
//!   WebSocket ends both directions at once. Therefore the tunnel sends an empty message when one
//!   direction has ended, and a Close when both have.
//!
//! Anyone who can open the WebSocket can reach the target. Before you run `serve` where others can
//! connect, add a check (`admit`, see 08_rooms).

#[path = "shared/ctrl_c.rs"]
mod ctrl_c;
#[path = "shared/help.rs"]
mod help;

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use ws101::diagnostic::escape;
use ws101::{CloseCode, Error, Result, Sender, Server, Stream, WebSocket, connect};

/// How long `dial` waits after it couldn't accept a program's connection.
const REST: Duration = Duration::from_millis(50);

fn main() -> Result<()> {
    help::print_if_asked(include_str!("15_tunnel.rs"));
    env_logger::init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", address, target] => serve(Server::bind(address)?, target.to_owned()),
        ["dial", address, url] => dial(TcpListener::bind(address)?, url),
        [] => demonstrate(),
        _ => Err(Error::other(
            "usage: 15_tunnel | 15_tunnel serve ADDRESS TARGET | 15_tunnel dial ADDRESS URL",
        )),
    }
}

/// The far end: opens a connection to the target for each WebSocket.
fn serve(server: Server, target: String) -> Result<()> {
    ctrl_c::stops(server.handle());
    println!("listening on ws://{}", server.local_addr()?);
    server.serve(move |mut ws| match TcpStream::connect(&target) {
        Ok(tcp) => tunnel(ws, tcp),
        Err(error) => ws.close(CloseCode::BAD_GATEWAY, &format!("the target: {}", error.kind())),
    })
}

/// The near end: opens a WebSocket for each TCP connection.
fn dial(listener: TcpListener, url: &str) -> Result<()> {
    println!("listening on {}", listener.local_addr()?);
    thread::scope(|scope| {
        for tcp in ctrl_c::incoming(&listener) {
            let tcp = match tcp {
                Ok(tcp) => tcp,
                Err(error) => {
                    eprintln!("a program can't be accepted: {error}");
                    // If no file descriptor is free, one will be once another tunnel has ended.
                    // Without a pause, this loop would use a whole core until then.
                    thread::sleep(REST);
                    continue;
                }
            };
            let carry = move || {
                let carried = connect(url).and_then(|ws| {
                    let _guard = ctrl_c::closes(&ws);
                    tunnel(ws, tcp)
                });
                carried.unwrap_or_else(|error| eprintln!("{error}"));
            };
            // (`scope.spawn` would panic if no thread is free.)
            if let Err(error) = thread::Builder::new().spawn_scoped(scope, carry) {
                eprintln!("a program gets no thread: {error}");
            }
        }
        Ok(())
    })
}

/// Carries bytes in both directions, with a thread for each, until both have ended.
fn tunnel(mut ws: WebSocket, tcp: TcpStream) -> Result<()> {
    // Send each piece at once. If this setting fails, the bytes still pass, only later.
    let _ = tcp.set_nodelay(true);
    let sender = ws.sender();
    let one_has_ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let carry = || {
            // If the WebSocket fails, `from_websocket` gets the error, too, and returns it.
            let _ = to_websocket(&tcp, &sender, &one_has_ended);
        };
        if let Err(error) = thread::Builder::new().spawn_scoped(scope, carry) {
            return ws.close(CloseCode::TRY_AGAIN_LATER, &format!("no thread: {}", error.kind()));
        }
        let ended = from_websocket(&mut ws, &tcp, &one_has_ended);
        // If the other thread is still waiting in `read`, the shutdown ends that `read`.
        let _ = tcp.shutdown(Shutdown::Both);
        ended
    })
}

fn from_websocket(
    ws: &mut WebSocket,
    mut tcp: &TcpStream,
    one_has_ended: &AtomicBool,
) -> Result<()> {
    while let Some(message) = ws.recv()? {
        if !message.as_bytes().is_empty() {
            if tcp.write_all(message.as_bytes()).is_err() {
                return ws.close(CloseCode::BAD_GATEWAY, "the TCP connection is gone");
            }
            continue;
        }
        let _ = tcp.shutdown(Shutdown::Write);
        if one_has_ended.swap(true, SeqCst) {
            return ws.close(CloseCode::NORMAL, "");
        }
    }
    match ws.closed_with() {
        // For example, the far end couldn't reach the target, or a program's TCP connection is gone.
        Some(close) if close.code.is_failure() => {
            Err(Error::other(format!("closed with {}", escape(&close.to_string()))))
        }
        _ => Ok(()),
    }
}

fn to_websocket(tcp: &TcpStream, sender: &Sender, one_has_ended: &AtomicBool) -> Result<()> {
    let mut buffer = [0; 16 * 1024];
    loop {
        // On Windows, a shutdown ends this waiting read, but not one of `std`.
        let count = match Stream::read(tcp, &mut buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return sender.close(CloseCode::BAD_GATEWAY, "the TCP connection is gone"),
        };
        // If `count` is 0, no more bytes come in this direction, and the empty message tells the
        // other end.
        sender.send(&buffer[..count])?;
        if count == 0 {
            return match one_has_ended.swap(true, SeqCst) {
                true => sender.close(CloseCode::NORMAL, ""),
                false => Ok(()),
            };
        }
    }
}

/// Runs both ends, a target that echoes, and a program that sends a mebibyte through the tunnel.
fn demonstrate() -> Result<()> {
    let target = TcpListener::bind("127.0.0.1:0")?;
    let target_address = target.local_addr()?.to_string();
    thread::spawn(move || -> io::Result<()> {
        let (mut tcp, _) = target.accept()?;
        io::copy(&mut tcp.try_clone()?, &mut tcp)?;
        tcp.shutdown(Shutdown::Write)
    });
    let server = Server::bind("127.0.0.1:0")?;
    let url = format!("ws://{}", server.local_addr()?);
    thread::spawn(move || serve(server, target_address));
    let near = TcpListener::bind("127.0.0.1:0")?;
    let near_address = near.local_addr()?;
    thread::spawn(move || dial(near, &url));

    let tcp = TcpStream::connect(near_address)?;
    let bytes: Vec<u8> = (0..1u32 << 20).map(|at| (at % 251) as u8).collect();
    let mut back = Vec::new();
    thread::scope(|scope| -> io::Result<()> {
        scope.spawn(|| (&tcp).write_all(&bytes).and_then(|()| tcp.shutdown(Shutdown::Write)));
        (&tcp).read_to_end(&mut back)?;
        Ok(())
    })?;
    assert_eq!(back, bytes);
    println!("{} bytes came back through the tunnel, unchanged", back.len());
    println!("the end of the request reached the target, and the end of its answer came back");
    Ok(())
}
