//! The answer to a key, step by step: what makes a request for a WebSocket into one.
//!
//! run: cargo run --example 01_accept_key [KEY]
//! expect: the client's key      dGhlIHNhbXBsZSBub25jZQ==
//! expect: + the RFC's GUID      258EAFA5-E914-47DA-95CA-C5AB0DC85B11
//! expect: SHA-1 of both         b37a4f2cc0624f1690f64606cf385945b2bec4ea
//! expect: in base64             s3pPLMBiTxaQ9kYGzzhZRbK+xOo=
//! next: 02_handshake_by_hand, where both ends use it

use sha1::{Digest, Sha1};
use ws101::handshake::accept_key;

/// The key of RFC 6455 §1.3: base64 of "the sample nonce".
const SAMPLE: &str = "dGhlIHNhbXBsZSBub25jZQ==";

fn main() {
    let key = std::env::args().nth(1).unwrap_or(SAMPLE.into());
    match accept_key::decode(&key) {
        Ok(bytes) => println!("a good key: 16 bytes      {}", bytes.escape_ascii()),
        Err(why) => println!("no good key               it is {why}"),
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
    println!("The server sends the last line as Sec-WebSocket-Accept, and the client compares.");
    println!("It is no secret: anybody can compute it. It proves that the server knows the rule,");
    println!("and read this very request.");
}
