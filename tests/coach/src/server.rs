//! The server: accepts connections, reads and answers each head, and then echoes messages (RFC 6455
//! §4.2).

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::exit;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use crate::connection::Connection;
use crate::deflate::Deflate;
use crate::echo::Echo;
use crate::handshake::{self, Answer};
use crate::switch::{Switch::*, has};

/// The most that a head may hold.
const MAX_HEAD: usize = 16 * 1024;

/// How many connections came, and how many of them are not over.
static CAME: AtomicUsize = AtomicUsize::new(0);
static OPEN: AtomicUsize = AtomicUsize::new(0);
/// Whether the server has answered a request.
static ANSWERED: AtomicBool = AtomicBool::new(false);
/// Whether a faulty server has just refused a request.
static REFUSED: AtomicBool = AtomicBool::new(false);

pub fn serve(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    println!("listening on ws://{}", listener.local_addr()?);
    if has(ListensBetweenClients) {
        return serve_between(listener);
    }
    for stream in listener.incoming() {
        let Ok(stream) = stream else { continue };
        let came = CAME.fetch_add(1, SeqCst) + 1;
        if has(DiesAfterFiftyConnections) && came > 50 {
            exit(1);
        }
        if REFUSED.swap(false, SeqCst) {
            continue;
        }
        let open = OPEN.fetch_add(1, SeqCst) + 1;
        if has(RoomForEight) && open > 8 || has(RoomNeverReleased) && came > 60 {
            OPEN.fetch_sub(1, SeqCst);
            continue;
        }
        let is_full = (has(RoomForTwo) || has(RoomForTwoSaid)) && open > 2;
        if is_full {
            OPEN.fetch_sub(1, SeqCst);
            thread::spawn(|| refuse_one_more(stream));
        } else if has(OneClientAtATime) {
            converse(stream);
        } else if has(HeadsReadWhileAccepting) {
            if let Some(echo) = open_one(stream) {
                thread::spawn(|| echo.run());
            }
        } else {
            thread::spawn(|| converse(stream));
        }
    }
    Ok(())
}

/// Serves one client at a time, and doesn't listen meanwhile.
fn serve_between(mut listener: TcpListener) -> io::Result<()> {
    let address = listener.local_addr()?;
    loop {
        let (stream, _) = listener.accept()?;
        drop(listener);
        converse(stream);
        listener = TcpListener::bind(address)?;
    }
}

fn converse(stream: TcpStream) {
    if let Some(echo) = open_one(stream) {
        echo.run();
    }
    OPEN.fetch_sub(1, SeqCst);
}

/// Says that the server is full: with 503, or with a Close after the 101.
fn refuse_one_more(mut stream: TcpStream) {
    if has(RoomForTwoSaid) {
        if let Some(echo) = open_one(stream) {
            echo.end(1013);
        }
    } else if read_head(&mut stream, &mut Vec::new()).is_some() {
        let _ = stream.write_all(&handshake::refusal(503, ""));
        Connection::new(stream, true, Vec::new()).finish();
    }
}

/// Reads heads until one opens a WebSocket. `None` if the connection ends instead.
fn open_one(mut stream: TcpStream) -> Option<Echo> {
    stream.set_nodelay(true).ok()?;
    let mut input = Vec::new();
    loop {
        let Some(head) = read_head(&mut stream, &mut input) else {
            if has(DiesOfHalfHeads) {
                exit(1);
            }
            return None;
        };
        let answer = match handshake::answer(&head) {
            Answer::Open { .. } if has(EarlyFramesRefused) && !input.is_empty() => {
                Answer::Refused { head: handshake::refusal(400, "") }
            }
            answer => answer,
        };
        match answer {
            Answer::Open { head, deflate } => {
                let mut connection = Connection::new(stream, true, input);
                connection.add_to_clients().ok()?;
                write_head(&mut connection.stream, &head)?;
                if has(AnswerEndsUnfinished) {
                    return None;
                }
                return Some(Echo::new(
                    connection,
                    deflate.map(|params| Deflate::new(&params, true)),
                ));
            }
            Answer::Refused { head } => {
                REFUSED.store(has(NextDroppedAfterRefusal), SeqCst);
                write_head(&mut stream, &head)?;
                if !has(KeptAliveAfterRefusal) {
                    Connection::new(stream, true, Vec::new()).finish();
                    return None;
                }
            }
            Answer::Silence { hangs_up } => {
                if !hangs_up {
                    thread::sleep(Duration::from_secs(60));
                }
                return None;
            }
        }
    }
}

/// Reads up to the empty line, and leaves in `input` what came after it.
fn read_head(stream: &mut TcpStream, input: &mut Vec<u8>) -> Option<Vec<u8>> {
    let mut bytes = [0; 4096];
    loop {
        if let Some(end) = input.windows(4).position(|four| four == b"\r\n\r\n") {
            // A server that looks for the end of the head at the end of a read waits for more.
            if !has(HeadEndsWithARead) || input.len() == end + 4 {
                let head = input.drain(..end + 4).collect();
                return Some(head);
            }
        } else if has(OneReadOneHead) && !input.is_empty() {
            let _ = stream.write_all(
                b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            );
            return None;
        }
        let most = if has(HeadOf512BytesAtMost) { 512 } else { MAX_HEAD };
        if input.len() > most {
            return None;
        }
        match stream.read(&mut bytes) {
            Ok(read) if read > 0 => input.extend_from_slice(&bytes[..read]),
            _ => return None,
        }
    }
}

fn write_head(stream: &mut TcpStream, head: &[u8]) -> Option<()> {
    if has(FirstAnswerLate) && !ANSWERED.swap(true, SeqCst) {
        thread::sleep(Duration::from_secs(4));
    }
    if has(AnswersSlowly) {
        thread::sleep(Duration::from_millis(150));
    }
    if has(EarlyHintsFirst) && head.starts_with(b"HTTP/1.1 101") {
        stream.write_all(b"HTTP/1.1 103 Early Hints\r\nX-Zoo: hint\r\n\r\n").ok()?;
    }
    if has(PausesInItsAnswer) {
        let (first, last) = head.split_at(head.len() / 2);
        stream.write_all(first).ok()?;
        thread::sleep(Duration::from_millis(300));
        return stream.write_all(last).ok();
    }
    if !has(DribblesItsAnswer) {
        return stream.write_all(head).ok();
    }
    for byte in head {
        stream.write_all(&[*byte]).ok()?;
        thread::sleep(Duration::from_millis(1));
    }
    Some(())
}
