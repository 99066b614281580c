//! Frames, bit by bit: the examples of RFC 6455 §5.7, taken apart, and one put together.
//!
//! run: cargo run --example 03_frames_by_hand
//! expect: 81 05 48 65 6c 6c 6f
//! expect:   1.......  FIN: the last fragment
//! expect:   ....0001  opcode: text
//! expect: 81 85 37 fa 21 3d 7f 9f 4d 51 58
//! expect:   payload   "Hello"
//! expect: sent: 82 83 01 02 03 04 62 63 77
//! next: 04_echo, a server that speaks in them

use ws101::protocol::frame::{FIN, Header, LENGTH, MASK, OPCODE, Opcode, Role};
use ws101::protocol::mask;

/// Who reads it, the bytes, and what the RFC says of them.
const FRAMES: [(Role, &[u8], &str); 5] = [
    (Role::Client, b"\x81\x05Hello", "a text message in one frame, from a server"),
    (
        Role::Server,
        b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
        "the same from a client, which masks",
    ),
    (Role::Client, b"\x01\x03Hel", "a fragment: its message goes on"),
    (Role::Client, b"\x80\x02lo", "and ends here"),
    (Role::Client, b"\x89\x05Hello", "a ping; its pong will say Hello as well"),
];

fn main() {
    for (reader, bytes, story) in FRAMES {
        println!("{story}\n\n{}", hex(bytes));
        take_apart(reader, bytes);
        println!();
    }
    println!("put together: \"cat\", in binary, as a client sends it\n");
    println!("sent: {}", hex(&put_together(b"cat", [1, 2, 3, 4])));
}

fn take_apart(reader: Role, bytes: &[u8]) {
    let Ok(Some((header, length))) = Header::parse(bytes, reader, false) else {
        return println!("  not a frame, or not a whole header");
    };
    let (first, second) = (bytes[0], bytes[1]);
    let fin = if header.fin { "the last fragment" } else { "more fragments follow" };
    println!("  {}.......  FIN: {fin}", (first & FIN != 0) as u8);
    println!("  ....{:04b}  opcode: {}", first & OPCODE, header.opcode);
    println!("  {}.......  MASK", (second & MASK != 0) as u8);
    println!("  .{:07b}  length: {}", second & LENGTH, header.length);
    let mut payload = bytes[length..].to_vec();
    if let Some(key) = header.mask {
        println!("  key       {}", hex(&key));
        println!("  masked    {}", hex(&payload));
        mask::apply(key, 0, &mut payload);
    }
    println!("  payload   \"{}\"", payload.escape_ascii());
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
