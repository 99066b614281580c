//! Stage 3, refusals: a request that can't become a WebSocket gets an HTTP answer that says why.
//!
//! The server answers 400 if the request is malformed, is too long, has a body, or doesn't have
//! exactly one `Host` and one valid key. It answers 405 if the method isn't GET, and 426 if the
//! request doesn't ask for a WebSocket, or asks for another version. Then it waits a moment, so
//! that the peer can read the answer. RFC 6455 §4.2.1, §4.4.
//!
//! Still missing: frames (stage 4). The server closes the stream after its 101.
//!
//! run: cargo run --example course_03 [ADDRESS]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use base64::{Engine, prelude::BASE64_STANDARD};
use sha1::{Digest, Sha1};

/// The maximum size of a head, in bytes. The server stores no more, and rejects a longer head.
const MAX_HEAD: u64 = 16 * 1024;

/// How long the server waits for the peer to read the server's last bytes and close the stream.
const LINGER: Duration = Duration::from_secs(1);

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
        Ok(response) => stream.write_all(response.as_bytes())?,
        Err(refusal) => stream.write_all(refuse(refusal).as_bytes())?,
    }
    hang_up(stream)
}

/// Shuts down the server's side of the stream, and discards bytes until the peer shuts down its
/// own. After `LINGER`, starts no further read. If the server closed the socket with unread bytes,
/// TCP would send a reset, which might overtake the server's last bytes. The timeout is set before
/// the shutdown, because macOS refuses to set it once both sides are shut down.
fn hang_up(mut stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(LINGER))?;
    stream.shutdown(Shutdown::Write)?;
    let deadline = Instant::now() + LINGER;
    while Instant::now() < deadline && stream.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {}
    Ok(())
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

/// A status line's code and reason, followed by the headers that belong to this status.
type Refusal = &'static str;

const BAD_REQUEST: Refusal = "400 Bad Request";
const UPGRADE_REQUIRED: Refusal = "426 Upgrade Required\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13";

fn refuse(refusal: Refusal) -> String {
    format!("HTTP/1.1 {refusal}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
}

/// Returns the 101, or the refusal of a request that breaks a rule.
fn decide(head: &str) -> Result<String, Refusal> {
    let head = head.strip_suffix("\r\n\r\n").and_then(|head| head.split_once("\r\n"));
    let (request_line, headers) = head.ok_or(BAD_REQUEST)?;
    let key = values(headers, "Sec-WebSocket-Key").join(", ");
    let rules = [
        (request_line.split(' ').count() == 3, BAD_REQUEST),
        (headers.split("\r\n").all(is_header), BAD_REQUEST),
        (request_line.starts_with("GET "), "405 Method Not Allowed\r\nAllow: GET"),
        (values(headers, "Host").len() == 1, BAD_REQUEST),
        // The bytes after the head must be frames, so the request must not have a body.
        (values(headers, "Content-Length").iter().all(|length| *length == "0"), BAD_REQUEST),
        (values(headers, "Transfer-Encoding").is_empty(), BAD_REQUEST),
        // HTTP/1.0 has no Upgrade.
        (request_line.ends_with(" HTTP/1.1"), UPGRADE_REQUIRED),
        (lists(headers, "Upgrade", "websocket"), UPGRADE_REQUIRED),
        (lists(headers, "Connection", "Upgrade"), UPGRADE_REQUIRED),
        (values(headers, "Sec-WebSocket-Version") == ["13"], UPGRADE_REQUIRED),
        // The key is base64 of 16 bytes. Two keys, joined with a comma, fail here too.
        (BASE64_STANDARD.decode(&key).is_ok_and(|bytes| bytes.len() == 16), BAD_REQUEST),
    ];
    if let Some((_, refusal)) = rules.into_iter().find(|(holds, _)| !holds) {
        return Err(refusal);
    }
    let accept = accept_key(&key);
    Ok(format!(
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
