//! Frames by hand: the example reads one frame bit by bit and writes another, with only shifts and
//! XOR. At the end, the library explains the same frames for comparison.
//!
//! run: cargo run --example 03_frames_by_hand
//! expect: 81 85 37 fa 21 3d 7f 9f 4d 51 58
//! expect:   1.......  FIN: this frame ends its message
//! expect:   ....0001  opcode 1: text
//! expect:   1.......  MASK: four bytes of mask follow the length
//! expect:   .0000101  length: 5
//! expect:   7f 9f 4d 51 58  payload, as it travels
//! expect:   XOR 37 fa 21 3d 37
//! expect:   48 65 6c 6c 6f  "Hello"
//! expect: 82 83 01 02 03 04 62 63 77
//! expect: the library says the same of both
//! expect: server → client, byte 0: text, 256 bytes
//! expect:   ! broken: 1002: A client masks every frame
//! next: 04_echo, a server that sends and receives them

#[path = "shared/help.rs"]
mod help;

use ws101::explain::conversation::explain_frames;
use ws101::explain::heads::Settings;
use ws101::explain::text::{Style, annotation};
use ws101::frames::header::Role;

/// A masked "Hello", as RFC 6455 §5.7 prints it.
const HELLO: [u8; 11] = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];

fn main() {
    help::print_if_asked(include_str!("03_frames_by_hand.rs"));
    println!("--- read by hand: what a browser sends for ws.send(\"Hello\")\n");
    let hello = read(&HELLO).expect("the frame is whole");

    println!("--- written by hand: \"cat\", in binary, as a client sends it\n");
    let cat = write(BINARY, b"cat", [1, 2, 3, 4]);
    println!("{}\n", hex(&cat));

    println!("--- told by the library\n");
    assert!(explained(Role::Client, &HELLO).contains(&format!("{hello:?}")));
    assert!(explained(Role::Client, &cat).contains("63 61 74"));
    println!("the library says the same of both, and more of others:\n");
    println!("{}", explained(Role::Server, b"\x81\x7e\x01\x00..."));
    println!("{}", explained(Role::Client, b"\x81\x05Hello"));
}

const TEXT: u8 = 1;
const BINARY: u8 = 2;

/// Decodes a short, masked text frame, and prints each step. Returns `None` if bytes are missing or
/// if it's another kind of frame.
fn read(frame: &[u8]) -> Option<String> {
    println!("{}", hex(frame));
    let (first, second) = (*frame.first()?, *frame.get(1)?);

    let (fin, opcode) = (first >> 7, first & 0b1111);
    println!("  {fin}.......  FIN: this frame ends its message");
    println!("  .{:03b}....  reserved", first >> 4 & 0b111);
    println!("  ....{opcode:04b}  opcode {opcode}: text");

    let (masked, length) = (second >> 7, second & 0b0111_1111);
    println!("  {masked}.......  MASK: four bytes of mask follow the length");
    println!("  .{length:07b}  length: {length}");
    // 126 and 127 aren't lengths: they say that the length is in the next 2 or 8 bytes.
    if opcode != TEXT || masked == 0 || length > 125 {
        return None;
    }

    let (mask, payload) = (frame.get(2..6)?, frame.get(6..6 + usize::from(length))?);
    let key: Vec<u8> = mask.iter().copied().cycle().take(payload.len()).collect();
    let plain: Vec<u8> = payload.iter().zip(&key).map(|(byte, key)| byte ^ key).collect();
    let text = String::from_utf8(plain).ok()?;
    println!("  {}  payload, as it travels", hex(payload));
    println!("  XOR {}", hex(&key));
    println!("  {}  {text:?}\n", hex(text.as_bytes()));
    Some(text)
}

/// Encodes a whole message of at most 125 bytes as one masked frame, as a client sends it.
fn write(opcode: u8, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    assert!(payload.len() <= 125, "a longer one needs a length of 2 or 8 bytes more");
    let mut frame = vec![1 << 7 | opcode, 1 << 7 | payload.len() as u8];
    frame.extend(mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

fn explained(from: Role, bytes: &[u8]) -> String {
    let style = Style { colour: false, pictures: false };
    let told = explain_frames(bytes, from, &Settings::default());
    told.iter().map(|one| annotation(one, "", style)).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}
