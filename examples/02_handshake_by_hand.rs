//! The handshake on a bare TCP socket: both ends, line by line. The example also shows that a
//! client and a server with the same mistake accept each other.
//!
//! run: cargo run --example 02_handshake_by_hand
//! expect: client > GET /chat HTTP/1.1
//! expect: server > HTTP/1.1 101 Switching Protocols
//! expect: client: the accept fits my key, so this is a WebSocket now
//! expect: client: the accept fits what I computed, so I believe it
//! expect: ws101:  no WebSocket: A 101 proves that the server has read this request
//! next: 03_frames_by_hand, what both ends send after the handshake

#[path = "shared/help.rs"]
mod help;

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use base64::{Engine, prelude::BASE64_STANDARD};
use sha1::{Digest, Sha1};

const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// The GUID as a tutorial misprints it: in the last group, a `C` is missing and a `7` is added.
const WRONG_GUID: &str = "258EAFA5-E914-47DA-95CA-5AB0DC85B711";

fn main() -> std::io::Result<()> {
    help::print_if_asked(include_str!("02_handshake_by_hand.rs"));
    println!("--- a server and a client by hand, with the RFC's GUID\n");
    let address = serve_one(GUID)?;
    if ask_by_hand(address, GUID)? {
        println!("client: the accept fits my key, so this is a WebSocket now\n");
    }

    println!("--- the same two, with a typo in the GUID\n");
    let address = serve_one(WRONG_GUID)?;
    if ask_by_hand(address, WRONG_GUID)? {
        println!("client: the accept fits what I computed, so I believe it\n");
    }

    println!("--- the same server, and a client by another author\n");
    let address = serve_one(WRONG_GUID)?;
    if let Err(error) = ws101::connect(&format!("ws://{address}/chat")) {
        println!("ws101:  {error}\n");
    }
    println!("A handshake that was tested only against itself proves nothing.");
    Ok(())
}

/// Starts a server that answers one request on a free port, and returns its address.
fn serve_one(guid: &'static str) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || answer(listener.accept()?.0, guid));
    Ok(address)
}

/// The server's end: finds the key in the request, and sends a response with the accept for this
/// key.
fn answer(mut stream: TcpStream, guid: &str) -> std::io::Result<()> {
    let lines = read_head(&stream)?;
    let key = value_of(&lines, "Sec-WebSocket-Key").unwrap_or_default();
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\n\
         Upgrade: websocket\r\n\
         Connection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n\
         \r\n",
        accept(key, guid)
    );
    stream.write_all(response.as_bytes())
}

/// The client's end: sends the request, and returns whether the response is a 101 with the right
/// accept.
fn ask_by_hand(address: SocketAddr, guid: &str) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(address)?;
    // Sixteen bytes. A real client uses random ones: see `accept_key::encode_key`.
    let key = BASE64_STANDARD.encode("sixteen letters!");
    let request = format!(
        "GET /chat HTTP/1.1\r\n\
         Host: {address}\r\n\
         Upgrade: websocket\r\n\
         Connection: Upgrade\r\n\
         Sec-WebSocket-Key: {key}\r\n\
         Sec-WebSocket-Version: 13\r\n\
         \r\n"
    );
    request.lines().for_each(|line| println!("client > {line}"));
    stream.write_all(request.as_bytes())?;

    let answer = read_head(&stream)?;
    answer.iter().for_each(|line| println!("server > {line}"));
    println!();
    let is_101 = answer.first().is_some_and(|line| line.starts_with("HTTP/1.1 101 "));
    Ok(is_101 && value_of(&answer, "Sec-WebSocket-Accept") == Some(&accept(&key, guid)))
}

fn accept(key: &str, guid: &str) -> String {
    BASE64_STANDARD.encode(Sha1::digest(format!("{key}{guid}")))
}

/// Reads the head's lines, up to the empty line. It doesn't limit the head's size, so use it only
/// with a peer that you trust. `src/http/head.rs` shows how to read the head of any other peer.
fn read_head(stream: &TcpStream) -> std::io::Result<Vec<String>> {
    let lines = BufReader::new(stream).lines();
    lines.take_while(|line| !line.as_ref().is_ok_and(|line| line.is_empty())).collect()
}

fn value_of<'a>(lines: &'a [String], name: &str) -> Option<&'a str> {
    let mut fields = lines.iter().filter_map(|line| line.split_once(": "));
    fields.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}
