//! Stage 2, the accept key: the server proves that it read this very request.
//!
//! It appends the GUID to the client's key (as text), hashes the result with SHA-1, and sends the
//! hash in base64. Now a client accepts the 101. RFC 6455 §1.3, §4.2.2.
//!
//! Still missing: refusals that say why (stage 3), and frames (4). The server closes the stream
//! after its 101.
//!
//! run: cargo run --example course_02 [ADDRESS]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use base64::{Engine, prelude::BASE64_STANDARD};
use sha1::{Digest, Sha1};

/// The maximum size of a head, in bytes. The server stores no more, and rejects a longer head.
const MAX_HEAD: u64 = 16 * 1024;

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:9001".into());
    let listener = TcpListener::bind(address)?;
    println!("listening on ws://{}", listener.local_addr()?);
    for stream in listener.incoming() {
        // An error ends this connection, but not the server.
        stream.and_then(|stream| serve(&stream)).unwrap_or_else(|error| eprintln!("{error}"));
    }
    Ok(())
}

/// Serves one connection, from its first byte to its end.
fn serve(mut stream: &TcpStream) -> io::Result<()> {
    // One buffer for the whole connection: it may already hold bytes that came after the head.
    let mut reader = BufReader::new(stream);
    let head = read_head(&mut reader)?;
    match decide(&head) {
        Some(response) => stream.write_all(response.as_bytes()),
        None => Ok(()),
    }
}

/// Reads the head, including the empty line that ends it. The result lacks this line if the stream
/// ends too early, or if the head is longer than `MAX_HEAD`.
fn read_head(reader: &mut impl BufRead) -> io::Result<String> {
    let mut bytes = Vec::new();
    let mut reader = reader.take(MAX_HEAD);
    while !bytes.ends_with(b"\r\n\r\n") && reader.read_until(b'\n', &mut bytes)? > 0 {}
    // Headers that the server doesn't use may contain invalid UTF-8, which is no reason to fail.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Whether the line is a name, a colon and a value, with no space in the name.
fn is_header(line: &str) -> bool {
    let is_name = |(name, _): (&str, &str)| !name.contains([' ', '\t']);
    line.split_once(':').is_some_and(is_name) && !line.contains(['\r', '\n', '\0'])
}

/// Returns the values of all headers with this name. The result is empty if there's none.
fn values<'a>(headers: &'a str, name: &str) -> Vec<&'a str> {
    let headers = headers.split("\r\n").filter_map(|line| line.split_once(':'));
    let known = headers.filter(|(known, _)| known.eq_ignore_ascii_case(name));
    known.map(|(_, value)| value.trim_matches([' ', '\t'])).collect()
}

/// Whether the header's list contains this token, ignoring case. A list may span several lines.
fn lists(headers: &str, name: &str, token: &str) -> bool {
    let list = values(headers, name).join(",");
    list.split(',').any(|item| item.trim().eq_ignore_ascii_case(token))
}

/// Returns the 101 for a WebSocket request, and `None` for any other request.
fn decide(head: &str) -> Option<String> {
    let (_request_line, headers) = head.strip_suffix("\r\n\r\n")?.split_once("\r\n")?;
    let is_upgrade = headers.split("\r\n").all(is_header)
        && lists(headers, "Upgrade", "websocket")
        && lists(headers, "Connection", "Upgrade");
    if !is_upgrade {
        return None;
    }
    let key = values(headers, "Sec-WebSocket-Key").pop()?;
    let accept = accept_key(key);
    Some(format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    ))
}

/// The fixed text that every server appends to the client's key (RFC 6455 §1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Computes the `Sec-WebSocket-Accept` value for a client's key (RFC 6455 §4.2.2).
fn accept_key(key: &str) -> String {
    BASE64_STANDARD.encode(Sha1::digest(format!("{key}{GUID}")))
}
