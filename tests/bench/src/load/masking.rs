//! A client's side of a connection that masks what it writes, a piece at a time, as clients do that
//! keep their payload: the server gets a piece while the next one is being masked.
//!
//! A server that is done with a piece before the next one comes waits for each. So a fast one waits
//! more often than a slow one, and each time the client pays for waking it.

use std::hint::black_box;
use std::io::{Read, Result, Write};
use std::net::TcpStream;

pub struct Masking {
    stream: TcpStream,
    piece: Vec<u8>,
}

impl Masking {
    pub fn new(stream: TcpStream, piece: usize) -> Self {
        Self { stream, piece: vec![0; piece] }
    }
}

impl Write for Masking {
    /// The bytes were masked beforehand. This changes none of them, and takes as long as masking
    /// does.
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let key = black_box(0);
        let length = bytes.len().min(self.piece.len());
        for (masked, byte) in self.piece.iter_mut().zip(bytes) {
            *masked = byte ^ key;
        }
        self.stream.write(&self.piece[..length])
    }

    fn flush(&mut self) -> Result<()> {
        self.stream.flush()
    }
}

impl Read for Masking {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize> {
        self.stream.read(bytes)
    }
}
