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
    let text = read_head(&mut reader)?;
    match Head::parse(&text).and_then(|head| decide(&head)) {
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

/// What a request says before its empty line.
struct Head<'a> {
    headers: Vec<(&'a str, &'a str)>,
}

impl<'a> Head<'a> {
    /// None if the text isn't a head.
    fn parse(text: &'a str) -> Option<Head<'a>> {
        let mut lines = text.strip_suffix("\r\n\r\n")?.split("\r\n");
        let _request_line = lines.next()?;
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(':')?;
            let is_clean = !name.contains([' ', '\t']) && !line.contains(['\r', '\n', '\0']);
            is_clean.then_some((name, value.trim_matches([' ', '\t'])))
        });
        Some(Head { headers: headers.collect::<Option<_>>()? })
    }

    /// The header's values, one for each of its lines.
    fn values(&self, name: &str) -> Vec<&'a str> {
        let lines = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        lines.map(|(_, value)| *value).collect()
    }

    /// Whether the header's list has this token, in any letter case. A list may go on over several
    /// lines.
    fn lists(&self, name: &str, token: &str) -> bool {
        let list = self.values(name).join(",");
        list.split(',').any(|item| item.trim().eq_ignore_ascii_case(token))
    }
}

/// The answer to a request for a WebSocket; none to any other.
fn decide(head: &Head) -> Option<&'static str> {
    if !(head.lists("Upgrade", "websocket") && head.lists("Connection", "Upgrade")) {
        return None;
    }
    Some("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
}
