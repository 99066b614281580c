//! The bytes on the wire: a client's request and frames, and the answers that a server must send.

/// The RFC's own, §1.3.
pub const REQUEST: &[u8] =
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
/// The answer to its key.
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

pub const TEXT: u8 = 0x81;
pub const BINARY: u8 = 0x82;
pub const PING: u8 = 0x89;
pub const PONG: u8 = 0x8a;

/// A masked Close with 1000.
pub const CLOSE: &[u8] = &[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8];

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A frame as a client sends it.
pub fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(first, 0x80, payload.len());
    frame.extend(KEY);
    frame.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// The same as a server sends it.
pub fn plain(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(first, 0, payload.len());
    frame.extend(payload);
    frame
}

fn header(first: u8, mask: u8, length: usize) -> Vec<u8> {
    let mut header = vec![first];
    match length {
        ..126 => header.push(mask | length as u8),
        126..65_536 => {
            header.push(mask | 126);
            header.extend((length as u16).to_be_bytes());
        }
        _ => {
            header.push(mask | 127);
            header.extend((length as u64).to_be_bytes());
        }
    }
    header
}
