//! Stage 1, the head: the server reads a request, however its bytes arrive, and understands it.
//!
//! It answers 101 to a request for a WebSocket and hangs up on any other. It reads up to the empty
//! line, and never more than `MAX_HEAD`; it compares names and tokens in any letter case; it finds
//! a token in a list on one line or on several. RFC 6455 §4.2.1; RFC 9112 §2, §5.
//!
//! Still missing: the answer to the key, without which no client believes the 101 (stage 2), and
//! all that follows. Up to stage 11 the server serves one peer at a time.
//!
//! run: cargo run --example course_01 [ADDRESS]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

/// In bytes. What a peer sends is bounded before it is kept.
const MAX_HEAD: u64 = 16 * 1024;

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:9001".into());
    let listener = TcpListener::bind(address)?;
    println!("listening on ws://{}", listener.local_addr()?);
    for stream in listener.incoming() {
        // An error ends this connection, and not the server.
        stream.and_then(|stream| serve(&stream)).unwrap_or_else(|error| eprintln!("{error}"));
    }
    Ok(())
}

/// Serves one peer, from its first byte to its last.
fn serve(mut stream: &TcpStream) -> io::Result<()> {
    // One buffer for the whole connection: it may already hold what follows the head.
    let mut reader = BufReader::new(stream);
    let head = read_head(&mut reader)?;
    match decide(&head) {
        Some(response) => stream.write_all(response.as_bytes()),
        None => Ok(()),
    }
}

/// The bytes up to the empty line; fewer if the peer leaves early or sends too many.
fn read_head(reader: &mut impl BufRead) -> io::Result<String> {
    let mut bytes = Vec::new();
    let mut reader = reader.take(MAX_HEAD);
    while !bytes.ends_with(b"\r\n\r\n") && reader.read_until(b'\n', &mut bytes)? > 0 {}
    // A header that the server doesn't read may hold bytes that aren't UTF-8.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A name, a colon and a value, with no space before the colon.
fn is_header(line: &str) -> bool {
    let is_name = |(name, _): (&str, &str)| !name.contains([' ', '\t']);
    line.split_once(':').is_some_and(is_name) && !line.contains(['\r', '\n', '\0'])
}

/// The header's values, one for each of its lines.
fn values<'a>(headers: &'a str, name: &str) -> Vec<&'a str> {
    let headers = headers.split("\r\n").filter_map(|line| line.split_once(':'));
    let known = headers.filter(|(known, _)| known.eq_ignore_ascii_case(name));
    known.map(|(_, value)| value.trim_matches([' ', '\t'])).collect()
}

/// Whether the header's list has this token, in any letter case. A list may go on over several
/// lines.
fn lists(headers: &str, name: &str, token: &str) -> bool {
    let list = values(headers, name).join(",");
    list.split(',').any(|item| item.trim().eq_ignore_ascii_case(token))
}

/// The answer to a request for a WebSocket; none to any other.
fn decide(head: &str) -> Option<&'static str> {
    let (_request_line, headers) = head.strip_suffix("\r\n\r\n")?.split_once("\r\n")?;
    let is_upgrade = headers.split("\r\n").all(is_header)
        && lists(headers, "Upgrade", "websocket")
        && lists(headers, "Connection", "Upgrade");
    if !is_upgrade {
        return None;
    }
    Some("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
}
