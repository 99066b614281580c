//! Stage 8, the closing handshake: the smallest honest WebSocket server.
//!
//! It echoes, and a browser can't tell it from a large one. It answers a Close with a Close of the
//! same code, and ends the stream before the client does. It answers 1002 to a Close of one byte or
//! with a code that must not be sent, and 1009 to a payload that is too long.
//! RFC 6455 §5.5.1, §7.1, §7.4.
//!
//! Still missing: messages in fragments (stage 9), as some browsers send long ones; the checks of
//! text (10) and of all else that a peer must not send (11); a second peer at the same time (12).
//!
//! run: cargo run --example course_08 [ADDRESS]

use std::convert::Infallible;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use base64::{Engine, prelude::BASE64_STANDARD};
use sha1::{Digest, Sha1};

/// In bytes. What a peer sends is bounded before it is kept.
const MAX_HEAD: u64 = 16 * 1024;
const MAX_MESSAGE: u64 = 16 * 1024 * 1024;

/// How long the peer may take to read the last bytes and close.
const LINGER: Duration = Duration::from_secs(1);

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
    // A short message leaves at once, and doesn't wait until the peer has acknowledged the last.
    stream.set_nodelay(true)?;
    // One buffer for the whole connection: it may already hold what follows the head.
    let mut reader = BufReader::new(stream);
    let head = read_head(&mut reader)?;
    match decide(&head) {
        Ok(response) => {
            stream.write_all(response.as_bytes())?;
            match converse(&mut reader, stream) {
                Err(LOST) => {}
                Err(NO_CODE) => write_frame(&mut stream, CLOSE, &[])?,
                Err(code) => write_frame(&mut stream, CLOSE, &code.to_be_bytes())?,
            }
        }
        Err(refusal) => stream.write_all(refuse(refusal).as_bytes())?,
    }
    hang_up(stream)
}

/// Ends the stream, and waits for the peer to end it too. If the server closed it with bytes of the
/// peer unread, TCP would reset it, and the reset might overtake what the server wrote last.
fn hang_up(mut stream: &TcpStream) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    stream.set_read_timeout(Some(LINGER))?;
    let deadline = Instant::now() + LINGER;
    while Instant::now() < deadline && stream.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {}
    Ok(())
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

/// A status, with the headers that belong to it.
type Refusal = &'static str;

const BAD_REQUEST: Refusal = "400 Bad Request";
const UPGRADE_REQUIRED: Refusal = "426 Upgrade Required\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13";

fn refuse(refusal: Refusal) -> String {
    format!("HTTP/1.1 {refusal}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
}

/// The 101, or why there's none.
fn decide(head: &str) -> Result<String, Refusal> {
    let head = head.strip_suffix("\r\n\r\n").and_then(|head| head.split_once("\r\n"));
    let (request_line, headers) = head.ok_or(BAD_REQUEST)?;
    let key = values(headers, "Sec-WebSocket-Key").join(", ");
    let rules = [
        (request_line.split(' ').count() == 3, BAD_REQUEST),
        (headers.split("\r\n").all(is_header), BAD_REQUEST),
        (request_line.starts_with("GET "), "405 Method Not Allowed\r\nAllow: GET"),
        (values(headers, "Host").len() == 1, BAD_REQUEST),
        // The bytes after this head must be frames, and not a body.
        (values(headers, "Content-Length").iter().all(|length| *length == "0"), BAD_REQUEST),
        (values(headers, "Transfer-Encoding").is_empty(), BAD_REQUEST),
        // HTTP/1.0 knows no upgrade.
        (request_line.ends_with(" HTTP/1.1"), UPGRADE_REQUIRED),
        (lists(headers, "Upgrade", "websocket"), UPGRADE_REQUIRED),
        (lists(headers, "Connection", "Upgrade"), UPGRADE_REQUIRED),
        (values(headers, "Sec-WebSocket-Version") == ["13"], UPGRADE_REQUIRED),
        // The key is base64 of 16 bytes. Two keys, joined, are not.
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

/// The same text for every server, from RFC 6455 §1.3.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The answer to a client's key.
fn accept_key(key: &str) -> String {
    BASE64_STANDARD.encode(Sha1::digest(format!("{key}{GUID}")))
}

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// With which code a connection ends, and so why.
type Code = u16;

const PROTOCOL_ERROR: Code = 1002;
/// The peer's Close had no code.
const NO_CODE: Code = 1005;
/// The stream ended without a Close.
const LOST: Code = 1006;
const TOO_BIG: Code = 1009;

/// Answers each frame, until one ends the conversation.
fn converse(reader: &mut impl BufRead, mut writer: impl Write) -> Result<Infallible, Code> {
    loop {
        let (opcode, payload) = read_frame(reader)?;
        match opcode {
            TEXT | BINARY => write_frame(&mut writer, opcode, &payload).or(Err(LOST))?,
            PING => write_frame(&mut writer, PONG, &payload).or(Err(LOST))?,
            CLOSE => return Err(close_code(&payload)),
            _ => {}
        }
    }
}

/// The code of the peer's Close. What follows it is its reason, for a person to read.
fn close_code(payload: &[u8]) -> Code {
    let [high, low, ..] = *payload else {
        return if payload.is_empty() { NO_CODE } else { PROTOCOL_ERROR };
    };
    match u16::from_be_bytes([high, low]) {
        // No peer sends 1005, 1006 or 1015, which stand for a missing code; 1004 has no meaning.
        code @ (1000..=1003 | 1007..=1014 | 3000..=4999) => code,
        _ => PROTOCOL_ERROR,
    }
}

/// Reads a frame: its opcode, and its payload without the mask.
///
/// ```text
///  7 6 5 4 3 2 1 0   7 6 5 4 3 2 1 0
/// +-+-+-+-+-------+ +-+-------------+-----------------+----------------+---------+
/// |F|R|R|R| opcode| |M| length:     | the length, if  | mask, 4 bytes, | payload |
/// |I|S|S|S|       | |A| up to 125,  | 126: 2 bytes,   | if MASK is set |         |
/// |N|V|V|V|       | |S| 126 or 127  | 127: 8 bytes    |                |         |
/// | |1|2|3|       | |K|             |                 |                |         |
/// +-+-+-+-+-------+ +-+-------------+-----------------+----------------+---------+
/// ```
fn read_frame(reader: &mut impl BufRead) -> Result<(u8, Vec<u8>), Code> {
    let [first, second] = next_bytes(reader)?;
    let length = match second & 0x7F {
        126 => u64::from(u16::from_be_bytes(next_bytes(reader)?)),
        127 => u64::from_be_bytes(next_bytes(reader)?),
        length => u64::from(length),
    };
    if length > MAX_MESSAGE {
        return Err(TOO_BIG);
    }
    // A mask of zeros changes nothing.
    let mask = if second & 0x80 != 0 { next_bytes(reader)? } else { [0; 4] };
    // Memory grows with what comes, and not with what the header announces.
    let mut payload = Vec::new();
    match reader.take(length).read_to_end(&mut payload) {
        Ok(count) if count as u64 == length => {}
        _ => return Err(LOST),
    }
    payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    Ok((first & 0x0F, payload))
}

/// The next bytes of the stream, in however many reads they come.
fn next_bytes<const N: usize>(reader: &mut impl BufRead) -> Result<[u8; N], Code> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes).or(Err(LOST))?;
    Ok(bytes)
}

/// Sends a whole message in one frame and one write. A server doesn't mask.
fn write_frame(writer: &mut impl Write, opcode: u8, payload: &[u8]) -> io::Result<()> {
    let first = 0x80 | opcode;
    let header = match payload.len() {
        length @ ..=125 => vec![first, length as u8],
        length @ ..=0xFFFF => [&[first, 126], &(length as u16).to_be_bytes()[..]].concat(),
        length => [&[first, 127], &(length as u64).to_be_bytes()[..]].concat(),
    };
    writer.write_all(&[&header, payload].concat())
}
