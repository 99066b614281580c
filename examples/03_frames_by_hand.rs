//! Frames, bit by bit: takes apart the examples of RFC 6455 §5.7, and puts one together.
//!
//! run: cargo run --example 03_frames_by_hand
//! expect: server → client, byte 0: text, 5 bytes
//! expect:   81 05 48 65 6c 6c 6f
//! expect:   1.......  FIN: the last fragment
//! expect:   ....0001  opcode: text
//! expect:   payload   "Hello": UTF-8
//! expect:   81 85 37 fa 21 3d 7f 9f 4d 51 58
//! expect:   +-+-+---+-------+-+-------------+
//! expect:   mask key  37 fa 21 3d
//! expect:   payload   "Hello": UTF-8
//! expect:   ! broken: 1002: A client masks every frame
//! expect: sent: 82 83 01 02 03 04 62 63 77
//! next: 04_echo, a server that sends and receives them

#[path = "shared/help.rs"]
mod help;

use ws101::explain::conversation::explain_frames;
use ws101::explain::heads::Settings;
use ws101::explain::print::{Style, annotation};
use ws101::frames::header::{Header, Opcode, Role};
use ws101::frames::mask;

/// The sender, the bytes, and what they are.
const FRAMES: [(Role, &[u8], &str); 6] = [
    (Role::Server, b"\x81\x05Hello", "a text message in one frame, from a server"),
    (
        Role::Client,
        b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
        "the same from a client, which masks",
    ),
    (Role::Server, b"\x01\x03Hel\x80\x02lo", "the same in two fragments"),
    (Role::Server, b"\x89\x05Hello", "a ping; its pong must say Hello, too"),
    (Role::Server, b"\x82\x7e\x01\x00...", "a frame of 256 bytes, of which three have arrived"),
    (Role::Client, b"\x81\x05Hello", "a client that forgot its mask"),
];

fn main() {
    help::print_if_asked(include_str!("03_frames_by_hand.rs"));
    for (from, bytes, story) in FRAMES {
        println!("--- {story}\n");
        for frame in explain_frames(bytes, from, &Settings::default()) {
            println!("{}", annotation(&frame, "", Style { colour: false, pictures: true }));
        }
    }
    println!("--- put together: a binary message, \"cat\", as a client sends it\n");
    println!("sent: {}", hex(&put_together(b"cat", [1, 2, 3, 4])));
}

fn put_together(payload: &[u8], key: mask::Key) -> Vec<u8> {
    let length = payload.len() as u64;
    let header = Header { fin: true, rsv1: false, opcode: Opcode::Binary, mask: Some(key), length };
    let mut frame = Vec::new();
    header.write(&mut frame);
    let start = frame.len();
    frame.extend_from_slice(payload);
    mask::apply(key, 0, &mut frame[start..]);
    frame
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}
