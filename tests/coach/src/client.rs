//! A client that asks for a WebSocket, checks the answer, and echoes what the server sends (RFC 6455 §4.1).

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use base64::prelude::*;

use crate::connection::{Connection, random};
use crate::deflate::{Deflate, Params};
use crate::echo::Echo;
use crate::handshake::accept;
use crate::head::Head;
use crate::switch::{Switch::*, has};
use crate::wire::TEXT;

const OFFER: &str = "permessage-deflate; client_max_window_bits";

/// Connects to `ws://HOST:PORT/PATH` or `HOST:PORT`, and echoes until the connection ends.
pub fn run(url: &str) -> io::Result<()> {
    let mut done = converse(url);
    while has(ConnectsAgain) {
        done = converse(url);
    }
    done
}

fn converse(url: &str) -> io::Result<()> {
    let rest = url.strip_prefix("ws://").unwrap_or(url);
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut stream = TcpStream::connect(authority)?;
    stream.set_nodelay(true)?;
    let key = key();
    let request = request(authority, path, &key);
    if has(DribblesItsRequest) {
        for byte in request.as_bytes() {
            stream.write_all(&[*byte])?;
            thread::sleep(Duration::from_millis(1));
        }
    } else {
        stream.write_all(request.as_bytes())?;
    }
    let frames_before = has(FramesBeforeTheAnswer);
    if frames_before {
        stream.write_all(&[0x81, 0x80, 1, 2, 3, 4])?;
    }
    let (head, input) = read_head(&mut stream)?;
    match opened(&head, &key) {
        Some(deflate) => {
            let connection = Connection::new(stream, false, input);
            Echo::new(connection, deflate.map(|params| Deflate::new(&params, false))).run();
            Ok(())
        }
        None => {
            if has(RefusedAndLeftOpen) {
                thread::sleep(Duration::from_secs(60));
            }
            if has(RefusedAndTalksOn) {
                let mut connection = Connection::new(stream, false, Vec::new());
                while connection.write_frame(true, 0, TEXT, b"still there?").is_ok() {
                    thread::sleep(Duration::from_millis(20));
                }
                return Err(io::Error::other("the server ended the stream"));
            }
            let _ = stream.shutdown(Shutdown::Write);
            Err(io::Error::other("the server's answer opens no WebSocket"))
        }
    }
}

/// A fresh key: sixteen random bytes in base64.
fn key() -> String {
    let mut bytes: Vec<u8> = (0..4).flat_map(|_| random()).collect();
    match () {
        () if has(KeyFixed) => return "dGhlIHNhbXBsZSBub25jZQ==".into(),
        () if has(KeyShort) => bytes.truncate(15),
        () if has(KeyLong) => bytes.push(0),
        () if has(KeyOfOneByte) => bytes = vec![bytes[0]; 16],
        () if has(KeyHex) => return bytes[..8].iter().map(|byte| format!("{byte:02x}")).collect(),
        () => {}
    }
    BASE64_STANDARD.encode(bytes)
}

fn request(authority: &str, path: &str, key: &str) -> String {
    let first = match () {
        () if has(AsksWithPost) => format!("POST /{path} HTTP/1.1"),
        () if has(AsksInHttp10) => format!("GET /{path} HTTP/1.0"),
        () if has(AsksWithFragment) => format!("GET /{path}#top HTTP/1.1"),
        () if has(AsksForNoSlash) => format!("GET {path} HTTP/1.1"),
        () if has(AsksForAbsoluteUri) => format!("GET http://{authority}/{path} HTTP/1.1"),
        () => format!("GET /{path} HTTP/1.1"),
    };
    let host = match () {
        () if has(AsksWithoutHost) => String::new(),
        () if has(AsksWithoutPort) => {
            format!("Host: {}\r\n", authority.split(':').next().unwrap_or_default())
        }
        () if has(AsksWithUrlAsHost) => format!("Host: ws://{authority}\r\n"),
        () => format!("Host: {authority}\r\n"),
    };
    let upgrade = if has(AsksWithoutUpgrade) { "" } else { "Upgrade: websocket\r\n" };
    let connection = match () {
        () if has(AsksWithoutConnection) => "Connection: keep-alive\r\n",
        () if has(AsksLikeFirefox) => "Connection: keep-alive, Upgrade\r\n",
        () => "Connection: Upgrade\r\n",
    };
    let key = match () {
        () if has(AsksWithoutKey) => String::new(),
        () if has(AsksWithTwoKeys) => {
            format!("Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Key: {key}\r\n")
        }
        () => format!("Sec-WebSocket-Key: {key}\r\n"),
    };
    let version = match () {
        () if has(AsksWithoutVersion) => "",
        () if has(AsksForVersion8) => "Sec-WebSocket-Version: 8\r\n",
        () => "Sec-WebSocket-Version: 13\r\n",
    };
    let extensions = match () {
        () if has(DeflateNotOffered) => String::new(),
        () if has(DeflateOfferBroken) => {
            "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=99\r\n".into()
        }
        () => format!("Sec-WebSocket-Extensions: {OFFER}\r\n"),
    };
    let rest = match () {
        () if has(AsksWithCookies) => {
            "Cookie: a=b\r\nUser-Agent: zoo\r\nOrigin: http://127.0.0.1\r\nPragma: no-cache\r\n"
                .into()
        }
        () if has(SubprotocolOfferEmpty) => "Sec-WebSocket-Protocol:\r\n".into(),
        () if offered().is_empty() => String::new(),
        () => format!("Sec-WebSocket-Protocol: {}\r\n", offered()),
    };
    let all = format!("{first}\r\n{host}{upgrade}{connection}{key}{version}{extensions}{rest}\r\n");
    if has(AsksInBareLineFeeds) {
        all.replace("\r\n", "\n")
    } else if has(SpaceBeforeColonWritten) {
        all.replace(": ", " : ")
    } else if has(AsksInLowerCase) {
        all.replace("Sec-WebSocket-", "sec-websocket-").replace("Upgrade:", "upgrade:")
    } else {
        all
    }
}

/// The subprotocols that this client offers.
fn offered() -> &'static str {
    match () {
        () if has(SubprotocolOfferTwice) => "chat, chat",
        () if has(LeavesWithoutSubprotocol) => "chat, superchat",
        () => "",
    }
}

/// Reads the head of the answer, and returns what came after it as well.
fn read_head(stream: &mut TcpStream) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let mut input = Vec::new();
    let mut bytes = [0; 4096];
    loop {
        if let Some(end) = input.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = input.split_off(end + 4);
            return Ok((input, rest));
        }
        if has(OneReadOneHead) && !input.is_empty() || input.len() > 65_536 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        match stream.read(&mut bytes)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => input.extend_from_slice(&bytes[..read]),
        }
    }
}

/// Whether the answer opens the WebSocket (§4.1, "If the status code ..."), and with which compression.
fn opened(head: &[u8], key: &str) -> Option<Option<Params>> {
    let answer = Head::parse(head)?;
    let unless = |holds: bool, switch| (holds || has(switch)).then_some(());
    let mut words = answer.first.splitn(3, ' ');
    unless(words.next() == Some("HTTP/1.1"), AnswerVersionUnchecked)?;
    unless(words.next() == Some("101"), StatusUnchecked)?;
    if has(ReasonPhraseChecked) && words.next() != Some("Switching Protocols") {
        return None;
    }
    let contains =
        |name, token| answer.lines(name).iter().any(|line| line.to_lowercase().contains(token));
    if !has(AnswerUpgradeContains) || !contains("Upgrade", "websocket") {
        unless(answer.lists("Upgrade", "websocket"), AnswerUpgradeUnchecked)?;
    }
    if !has(AnswerConnectionContains) || !contains("Connection", "upgrade") {
        unless(answer.lists("Connection", "upgrade"), AnswerConnectionUnchecked)?;
    }
    let accepts = answer.lines("Sec-WebSocket-Accept");
    unless(accepts.len() < 2, TwoAcceptsAccepted)?;
    unless(!accepts.is_empty(), NoAcceptAccepted)?;
    if let Some(&given) = accepts.first() {
        let right = if has(AcceptCaseIgnored) {
            given.eq_ignore_ascii_case(&accept(key))
        } else if has(AcceptComparedInPart) {
            given.get(..10) == accept(key).get(..10)
        } else {
            given == accept(key)
        };
        unless(right, WrongAcceptAccepted)?;
    }
    let chosen = answer.lines("Sec-WebSocket-Protocol");
    let is_offered = match chosen[..] {
        [] => !has(LeavesWithoutSubprotocol),
        [one] => offered().split(", ").any(|name| name == one),
        _ => false,
    };
    unless(is_offered, SubprotocolUncheckedByClient)?;
    let extensions: Vec<String> = answer
        .list("Sec-WebSocket-Extensions")
        .into_iter()
        .filter(|item| !item.is_empty())
        .collect();
    match &extensions[..] {
        [] => Some(None),
        [one] if one.split(';').next() == Some("permessage-deflate") && !has(DeflateNotOffered) => {
            Params::answered(one).map(Some)
        }
        _ if has(ExtensionUncheckedByClient) => Some(None),
        _ => None,
    }
}
