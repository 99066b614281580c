//! Listens and prints what each peer sends. Your WebSocket server begins here.
//!
//! run: rustc starter.rs && ./starter [ADDRESS]
//! From stage 2 on, in a package: cargo init; cargo add sha1 base64

use std::io::{self, Read, Write};
use std::net::TcpListener;

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:9001".into());
    let listener = TcpListener::bind(address)?;
    println!("listening on ws://{}", listener.local_addr()?);
    for stream in listener.incoming() {
        let (mut stream, mut buffer) = (stream?, [0; 4096]);
        // A read returns what has arrived so far, which may be less than a request, or more.
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            io::stdout().write_all(&buffer[..count])?;
            io::stdout().flush()?;
            // Next: stop at the empty line, then answer with stream.write_all(b"HTTP/1.1 ...").
        }
    }
    Ok(())
}
