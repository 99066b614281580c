//! The accept key, step by step: how a server calculates it from the client's key.
//!
//! run: cargo run --example 01_accept_key [KEY]
//! expect: the client's key      dGhlIHNhbXBsZSBub25jZQ==
//! expect: + the RFC's GUID      258EAFA5-E914-47DA-95CA-C5AB0DC85B11
//! expect: SHA-1 of both         b37a4f2cc0624f1690f64606cf385945b2bec4ea
//! expect: in base64             s3pPLMBiTxaQ9kYGzzhZRbK+xOo=
//! next: 02_handshake_by_hand, in which both ends compute it

#[path = "shared/help.rs"]
mod help;

use sha1::{Digest, Sha1};
use ws101::handshake::accept_key;

/// The key of RFC 6455 §1.3: base64 of "the sample nonce".
const SAMPLE: &str = "dGhlIHNhbXBsZSBub25jZQ==";

fn main() {
    help::print_if_asked(include_str!("01_accept_key.rs"));
    let key = std::env::args().nth(1).unwrap_or(SAMPLE.into());
    match accept_key::decode_key(&key) {
        Ok(bytes) => println!("a valid key, 16 bytes {}", bytes.escape_ascii()),
        Err(why) => println!("not a valid key       it is {why}"),
    }

    let both = format!("{key}{}", accept_key::GUID);
    let hash = Sha1::digest(&both);
    println!("the client's key      {key}");
    println!("+ the RFC's GUID      {}", accept_key::GUID);
    println!(
        "SHA-1 of both         {}",
        hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    );
    println!("in base64             {}", accept_key::accept(&key));
    println!();
    println!("The server sends the last line as Sec-WebSocket-Accept, and the client checks it.");
    println!(
        "It is no secret, because anyone can compute it. It proves that the server knows the rule,"
    );
    println!("and that it has read this request.");
}
