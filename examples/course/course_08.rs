//! Stage 8, the closing handshake: an echo server that a browser can't tell from a real one.
//!
//! The server answers a Close with a Close of the same code, and then ends the stream before the
//! client does. It answers 1002 to a Close of one byte or with a code that must not be sent, and
//! 1009 to a payload that is too long. RFC 6455 §5.5.1, §7.1, §7.4.
//!
//! Still missing: messages in fragments (stage 9), as some browsers send long ones; the
//! checks of text (10) and of all else that a peer must not send (11).
//!
//! run: cargo run --example course_08 [ADDRESS]

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use base64::{Engine, prelude::BASE64_STANDARD};
use sha1::{Digest, Sha1};

/// In bytes. What a peer sends is bounded before it is kept.
const MAX_HEAD: u64 = 16 * 1024;

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:9001".into());
    let listener = TcpListener::bind(address)?;
    println!("listening on ws://{}", listener.local_addr()?);
    for stream in listener.incoming() {
        // An error ends this connection, and not the server.
        if let Err(error) = stream.and_then(serve) {
            eprintln!("{error}");
        }
    }
    Ok(())
}

/// Serves one peer, from its first byte to its last.
fn serve(stream: TcpStream) -> io::Result<()> {
    // A short message leaves at once, and doesn't wait until the peer has acknowledged the last.
    stream.set_nodelay(true)?;
    // One buffer for the whole connection: it may already hold what follows the head.
    let mut reader = BufReader::new(&stream);
    let text = read_head(&mut reader)?;
    match Head::parse(&text).ok_or(BAD_REQUEST).and_then(|head| decide(&head)) {
        Ok(response) => {
            (&stream).write_all(response.as_bytes())?;
            let code = match converse(&mut reader, &mut &stream) {
                Ok(code) => code,
                Err(Failure::Violation(code)) => Some(code),
                Err(Failure::Lost(error)) => return Err(error),
            };
            let payload = code.map_or(vec![], |code| code.to_be_bytes().to_vec());
            write_frame(&mut &stream, CLOSE, &payload)?;
        }
        Err(refusal) => refuse(&stream, refusal)?,
    }
    hang_up(&stream)
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
    method: &'a str,
    target: &'a str,
    version: &'a str,
    headers: Vec<(&'a str, &'a str)>,
}

impl<'a> Head<'a> {
    /// None if the text isn't a head.
    fn parse(text: &'a str) -> Option<Head<'a>> {
        let mut lines = text.strip_suffix("\r\n\r\n")?.split("\r\n");
        let request_line: Vec<&str> = lines.next()?.split(' ').collect();
        let [method, target, version] = request_line[..] else { return None };
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(':')?;
            let is_header = !name.is_empty() && !name.contains([' ', '\t']);
            let is_clean = !line.contains(['\r', '\n', '\0']);
            (is_header && is_clean).then_some((name, value.trim_matches([' ', '\t'])))
        });
        Some(Head { method, target, version, headers: headers.collect::<Option<_>>()? })
    }

    /// The header's values, one for each of its lines.
    fn values(&self, name: &str) -> impl Iterator<Item = &'a str> {
        let lines = self.headers.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name));
        lines.map(|(_, value)| *value)
    }

    /// The value of a header that comes exactly once.
    fn only(&self, name: &str) -> Option<&'a str> {
        let mut values = self.values(name);
        values.next().filter(|_| values.next().is_none())
    }

    /// The items of the header's list, which may go on over several lines.
    fn items(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.values(name).flat_map(|list| list.split(',')).map(str::trim)
    }

    /// Whether the header's list has this token, in any letter case.
    fn lists(&self, name: &str, token: &str) -> bool {
        self.items(name).any(|item| item.eq_ignore_ascii_case(token))
    }
}

/// A status, with the headers that belong to it.
type Refusal = &'static str;

const BAD_REQUEST: Refusal = "400 Bad Request";
const METHOD_NOT_ALLOWED: Refusal = "405 Method Not Allowed\r\nAllow: GET";
const UPGRADE_REQUIRED: Refusal = "426 Upgrade Required\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13";
const VERSION_NOT_SUPPORTED: Refusal = "505 HTTP Version Not Supported";

/// The 101, or why there's none.
fn decide(head: &Head) -> Result<String, Refusal> {
    let key = head.only("Sec-WebSocket-Key").unwrap_or_default();
    let rules = [
        (head.version == "HTTP/1.1", VERSION_NOT_SUPPORTED),
        (head.method == "GET", METHOD_NOT_ALLOWED),
        (!head.target.is_empty(), BAD_REQUEST),
        (head.values("Host").next().is_some(), BAD_REQUEST),
        // The bytes after this head must be frames, and not a body.
        (head.values("Content-Length").all(|length| length == "0"), BAD_REQUEST),
        (head.values("Transfer-Encoding").next().is_none(), BAD_REQUEST),
        (head.lists("Upgrade", "websocket"), UPGRADE_REQUIRED),
        (head.lists("Connection", "Upgrade"), UPGRADE_REQUIRED),
        (head.only("Sec-WebSocket-Version") == Some("13"), UPGRADE_REQUIRED),
        (is_key(key), BAD_REQUEST),
    ];
    if let Some((_, refusal)) = rules.into_iter().find(|(holds, _)| !holds) {
        return Err(refusal);
    }
    Ok(format!(
        "HTTP/1.1 101 Switching Protocols\r\n\
         Upgrade: websocket\r\n\
         Connection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n\
         \r\n",
        accept_key(key)
    ))
}

/// The same text for every server, from RFC 6455 §1.3.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The answer to a client's key.
fn accept_key(key: &str) -> String {
    BASE64_STANDARD.encode(Sha1::digest(format!("{key}{GUID}")))
}

/// Whether this is base64 of 16 bytes: 22 digits and two signs for what is missing to 24.
fn is_key(key: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    key.len() == 24 && key.strip_suffix("==").is_some_and(|digits| digits.bytes().all(is_digit))
}

/// Answers with the refusal.
fn refuse(mut stream: &TcpStream, refusal: Refusal) -> io::Result<()> {
    let response = format!("HTTP/1.1 {refusal}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(response.as_bytes())
}

/// How long the peer may take to read the last bytes and close.
const LINGER: Duration = Duration::from_secs(1);

/// Ends the stream, and waits for the peer to end it too. If the server closed it with bytes of the
/// peer unread, TCP would reset it, and the reset might overtake what the server wrote last.
fn hang_up(mut stream: &TcpStream) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    stream.set_read_timeout(Some(LINGER))?;
    let deadline = Instant::now() + LINGER;
    while Instant::now() < deadline && stream.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {}
    Ok(())
}

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

const PROTOCOL_ERROR: u16 = 1002;
const MESSAGE_TOO_BIG: u16 = 1009;

/// In bytes.
const MAX_MESSAGE: u64 = 16 * 1024 * 1024;

/// Why a conversation ends without a Close from the peer.
enum Failure {
    Lost(io::Error),
    /// The code tells the peer what it did wrong.
    Violation(u16),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Lost(error)
    }
}

/// Echoes each message until the peer closes. Returns the code of its Close.
fn converse(reader: &mut impl BufRead, writer: &mut impl Write) -> Result<Option<u16>, Failure> {
    loop {
        let header = read_header(reader)?;
        let payload = read_payload(reader, &header)?;
        match header.opcode {
            TEXT | BINARY => write_frame(writer, header.opcode, &payload)?,
            CLOSE => return close_code(&payload),
            PING => write_frame(writer, PONG, &payload)?,
            _ => {}
        }
    }
}

/// An empty Close has no code. What follows a code is its reason, for a person to read.
fn close_code(payload: &[u8]) -> Result<Option<u16>, Failure> {
    let code = match payload {
        [] => return Ok(None),
        [_] => return Err(Failure::Violation(PROTOCOL_ERROR)),
        [high, low, ..] => u16::from_be_bytes([*high, *low]),
    };
    match code {
        // No peer sends 1005, 1006 or 1015, which stand for a missing code; 1004 has no meaning.
        1000..=1003 | 1007..=1014 | 3000..=4999 => Ok(Some(code)),
        _ => Err(Failure::Violation(PROTOCOL_ERROR)),
    }
}

/// What a frame says before its payload.
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
struct Header {
    opcode: u8,
    length: u64,
    mask: [u8; 4],
}

fn read_header(reader: &mut impl BufRead) -> Result<Header, Failure> {
    let [first, second] = next_bytes(reader)?;
    let length = match second & 0x7F {
        126 => u64::from(u16::from_be_bytes(next_bytes(reader)?)),
        127 => u64::from_be_bytes(next_bytes(reader)?),
        length => u64::from(length),
    };
    if length > MAX_MESSAGE {
        return Err(Failure::Violation(MESSAGE_TOO_BIG));
    }
    // A mask of zeros changes nothing.
    let mask = if second & 0x80 != 0 { next_bytes(reader)? } else { [0; 4] };
    Ok(Header { opcode: first & 0x0F, length, mask })
}

/// The next bytes of the stream, in however many reads they come.
fn next_bytes<const N: usize>(reader: &mut impl BufRead) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// The payload, unmasked. Memory grows with what comes, and not with what the header announces.
fn read_payload(reader: &mut impl BufRead, header: &Header) -> io::Result<Vec<u8>> {
    let mut payload = Vec::new();
    if (reader.take(header.length).read_to_end(&mut payload)? as u64) < header.length {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    for (byte, mask) in payload.iter_mut().zip(header.mask.iter().cycle()) {
        *byte ^= mask;
    }
    Ok(payload)
}

/// Sends a whole message in one frame and one write. A server doesn't mask.
fn write_frame(writer: &mut impl Write, opcode: u8, payload: &[u8]) -> io::Result<()> {
    let first = 0x80 | opcode;
    let mut frame = match payload.len() {
        length @ ..=125 => vec![first, length as u8],
        length @ ..=0xFFFF => [&[first, 126], &(length as u16).to_be_bytes()[..]].concat(),
        length => [&[first, 127], &(length as u64).to_be_bytes()[..]].concat(),
    };
    frame.extend_from_slice(payload);
    writer.write_all(&frame)
}
