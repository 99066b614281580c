//! Stage 10, UTF-8: the server accepts only valid text.
//!
//! It checks a text piece by piece as its bytes arrive, and sends 1007 as soon as a byte is
//! invalid. A character may begin in one piece or fragment and end in the next, but it must be
//! complete when the message ends. A Close's reason is checked, too. RFC 6455 §5.6, §8.1.
//!
//! Still missing: the validation of frames (stage 11).
//!
//! run: cargo run --example course_10 [ADDRESS]

use std::convert::Infallible;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use base64::{Engine, prelude::BASE64_STANDARD};
use sha1::{Digest, Sha1};

/// The maximum size of a head, in bytes. The server stores no more, and rejects a longer head.
const MAX_HEAD: u64 = 16 * 1024;
/// The largest message, in bytes, that the server accepts. A longer one ends the connection.
const MAX_MESSAGE: u64 = 16 * 1024 * 1024;

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
    // Send short messages at once. Otherwise, the kernel may hold one back until the peer has
    // acknowledged earlier bytes (Nagle's algorithm).
    stream.set_nodelay(true)?;
    // One buffer for the whole connection: it may already hold bytes that came after the head.
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

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// The close code that says why a connection ends.
type Code = u16;

const PROTOCOL_ERROR: Code = 1002;
/// The peer's Close had no code, so the server's has none either.
const NO_CODE: Code = 1005;
/// The stream ended without a Close, so the server sends none.
const LOST: Code = 1006;
const INVALID_PAYLOAD: Code = 1007;
const TOO_BIG: Code = 1009;

/// A control frame, or a message as far as it has arrived.
struct Message {
    opcode: u8,
    payload: Vec<u8>,
    /// How many bytes at the text's beginning have been checked. They're complete characters.
    checked: usize,
}

impl Message {
    /// Checks the text's new bytes. Fails if it can't become valid UTF-8, whatever bytes follow.
    fn check(&mut self) -> Result<(), Code> {
        if self.opcode != TEXT {
            return Ok(());
        }
        match str::from_utf8(&self.payload[self.checked..]) {
            Ok(_) => self.checked = self.payload.len(),
            // The last character is incomplete; its other bytes may follow.
            Err(error) if error.error_len().is_none() => self.checked += error.valid_up_to(),
            Err(_) => return Err(INVALID_PAYLOAD),
        }
        Ok(())
    }
}

/// Answers each message and control frame until the connection has to end. Then returns the close
/// code, as an error.
fn converse(reader: &mut impl BufRead, mut writer: impl Write) -> Result<Infallible, Code> {
    let mut unfinished = None;
    loop {
        let header = read_header(reader)?;
        let mut message = match header.opcode {
            CONTINUATION => unfinished.take().ok_or(PROTOCOL_ERROR)?,
            TEXT | BINARY if unfinished.is_some() => return Err(PROTOCOL_ERROR),
            opcode => Message { opcode, payload: Vec::new(), checked: 0 },
        };
        read_payload(reader, header, &mut message)?;
        match message.opcode {
            TEXT | BINARY if !header.fin => unfinished = Some(message),
            TEXT if message.checked < message.payload.len() => return Err(INVALID_PAYLOAD),
            TEXT | BINARY => {
                write_frame(&mut writer, message.opcode, &message.payload).or(Err(LOST))?
            }
            PING => write_frame(&mut writer, PONG, &message.payload).or(Err(LOST))?,
            CLOSE => return Err(close_code(&message.payload)),
            _ => {}
        }
    }
}

/// Returns the code that answers the peer's Close: the peer's own code, `NO_CODE` if it has none,
/// or 1002 or 1007 if the Close is invalid.
fn close_code(payload: &[u8]) -> Code {
    let [high, low, ref reason @ ..] = *payload else {
        return if payload.is_empty() { NO_CODE } else { PROTOCOL_ERROR };
    };
    match u16::from_be_bytes([high, low]) {
        _ if str::from_utf8(reason).is_err() => INVALID_PAYLOAD,
        // 1005, 1006 and 1015 stand for "no code" inside programs and are never sent; 1004 is
        // reserved.
        code @ (1000..=1003 | 1007..=1014 | 3000..=4999) => code,
        _ => PROTOCOL_ERROR,
    }
}

/// A frame's header: everything before the payload.
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
#[derive(Clone, Copy)]
struct Header {
    fin: bool,
    opcode: u8,
    length: u64,
    mask: [u8; 4],
}

fn read_header(reader: &mut impl BufRead) -> Result<Header, Code> {
    let [first, second] = next_bytes(reader)?;
    let length = match second & 0x7F {
        126 => u64::from(u16::from_be_bytes(next_bytes(reader)?)),
        127 => u64::from_be_bytes(next_bytes(reader)?),
        length => u64::from(length),
    };
    // A mask of zeros leaves the payload unchanged.
    let mask = if second & 0x80 != 0 { next_bytes(reader)? } else { [0; 4] };
    Ok(Header { fin: first & 0x80 != 0, opcode: first & 0x0F, length, mask })
}

/// Returns the next `N` bytes of the stream, and reads until it has them all.
fn next_bytes<const N: usize>(reader: &mut impl BufRead) -> Result<[u8; N], Code> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes).or(Err(LOST))?;
    Ok(bytes)
}

/// Unmasks the frame's payload and appends it to the message, piece by piece as it arrives. The
/// buffer grows with the bytes that arrive, and not with the length that the header announces.
fn read_payload(
    reader: &mut impl BufRead,
    mut header: Header,
    message: &mut Message,
) -> Result<(), Code> {
    if header.length > MAX_MESSAGE - message.payload.len() as u64 {
        return Err(TOO_BIG);
    }
    while header.length > 0 {
        let bytes = reader.fill_buf().or(Err(LOST))?;
        let count = bytes.len().min(header.length as usize);
        if count == 0 {
            return Err(LOST);
        }
        let masked = bytes[..count].iter().zip(header.mask.iter().cycle());
        message.payload.extend(masked.map(|(byte, mask)| byte ^ mask));
        reader.consume(count);
        // `length` always counts the bytes still to come, and `mask` begins with the mask byte for
        // the first of them.
        header.length -= count as u64;
        header.mask.rotate_left(count % 4);
        message.check()?;
    }
    Ok(())
}

/// Sends a whole message as one frame, in one write. A server's frames have no mask.
fn write_frame(writer: &mut impl Write, opcode: u8, payload: &[u8]) -> io::Result<()> {
    let first = 0x80 | opcode;
    let header = match payload.len() {
        length @ ..=125 => vec![first, length as u8],
        length @ ..=0xFFFF => [&[first, 126], &(length as u16).to_be_bytes()[..]].concat(),
        length => [&[first, 127], &(length as u64).to_be_bytes()[..]].concat(),
    };
    writer.write_all(&[&header, payload].concat())
}
