//! A gibibyte of zeros in less than a mebibyte: refused when the limit is reached, and until then no more memory
//! is used than the limit.
//!
//! The bomb is made by hand (RFC 1951): a block whose own code has one bit for "258 bytes as before" and one bit
//! for "as the last one", so that two bits make 258 bytes.

use std::net::SocketAddr;

use crate::peer::{BINARY, FIN, Peer, RSV1};
use crate::process::Process;
use crate::verdict::Verdict;
use crate::{Result, Siege};

const KIB: u64 = 1024;
const GIB: u64 = 1024 * 1024 * KIB;
/// The server's default.
const MAX_MESSAGE: u64 = 16 * 1024 * KIB;

pub fn row(_: &Siege) -> Result<Verdict> {
    let mut server = Process::with(&[], &["--deflate"])?;
    let to = server.address;
    let mut verdict = Verdict::default();
    // 1. A small one, which must go off as said: then the large one is no mere garbage. And from then on the
    // connection has what it needs to inflate anything. With 258 bytes more it is too large.
    let mut peer = open(to)?;
    peer.send(FIN | RSV1 | BINARY, &bomb(MAX_MESSAGE / 258))?;
    let echo = u64::from(peer.next()?.first == FIN | RSV1 | BINARY);
    verdict.exactly("16 MiB of zeros sent back", echo, 1);
    verdict.exactly(
        "258 bytes more told",
        told(&mut open(to)?, &bomb(MAX_MESSAGE / 258 + 1))?,
        1009,
    );
    // 2. A gibibyte.
    let large = of_a_gibibyte();
    verdict.at_most("bytes of the bomb", large.len() as u64, 1024 * KIB);
    server.forget_peak()?;
    let (held, resident) = (server.counters()?.of("held"), server.resident()?);
    verdict.is("a gibibyte told", told(&mut peer, &large)?, 1009);
    let peak = server.counters()?.of("peak").saturating_sub(held) / KIB;
    let bound = MAX_MESSAGE / KIB + 64;
    verdict.at_most("KiB asked for at the peak", peak, bound);
    let peak = server.peak()?.saturating_sub(resident);
    verdict.at_most("KiB more in memory at the peak", peak, bound);
    Peer::open(to, "/echo")?.echo("still there?")?;
    Ok(verdict)
}

/// A WebSocket that compresses.
pub fn open(to: SocketAddr) -> Result<Peer> {
    let mut peer = Peer::dial(to)?;
    match peer.ask(to, "/echo", "Sec-WebSocket-Extensions: permessage-deflate\r\n")? {
        101 => Ok(peer),
        status => Err(format!("the server answered {status}").into()),
    }
}

/// With which code a bomb is answered.
pub fn told(peer: &mut Peer, bomb: &[u8]) -> Result<u64> {
    peer.send(FIN | RSV1 | BINARY, bomb)?;
    peer.read_to_close().map(|code| code.unwrap_or_default().into())
}

pub fn of_a_gibibyte() -> Vec<u8> {
    bomb(GIB / 258 + 1)
}

/// One zero, and then so many times 258 more; without the four bytes that RFC 7692 §7.2.1 takes from the end.
fn bomb(times: u64) -> Vec<u8> {
    let mut bits = Bits::default();
    // A block that is not the last, with a code of its own: 286 codes for bytes and lengths, 1 for distances.
    bits.put(0b0, 1);
    bits.put(0b10, 2);
    bits.put(286 - 257, 5);
    bits.put(0, 5);
    // How the lengths of the codes are told: "1" and "2" in two bits, "many zeros" (18) in one. Three bits for
    // each, in the order of RFC 1951 §3.2.7: 16 17 18 0 8 7 9 6 10 5 11 4 12 3 13 2 14 1.
    let of_lengths = [0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 2];
    bits.put(of_lengths.len() as u32 - 4, 4);
    of_lengths.iter().for_each(|length| bits.put(*length, 3));
    // Codes are written from their highest bit: 18 is 0, "1" is 10, "2" is 11.
    let zeros = |bits: &mut Bits, count: u32| {
        bits.put(0b0, 1);
        bits.put(count - 11, 7);
    };
    let one = |bits: &mut Bits| bits.put(0b01, 2);
    let two = |bits: &mut Bits| bits.put(0b11, 2);
    // The byte 0 has two bits, the end of the block (256) two, 258 as before (285) one, the distance 1 one.
    two(&mut bits);
    zeros(&mut bits, 138);
    zeros(&mut bits, 255 - 138);
    two(&mut bits);
    zeros(&mut bits, 285 - 257);
    one(&mut bits);
    one(&mut bits);
    // So 285 is 0, the byte 0 is 10, the end 11; the distance is 0.
    bits.put(0b01, 2);
    (0..times).for_each(|_| bits.put(0b00, 2));
    bits.put(0b11, 2);
    // An empty block without compression, up to the end of a byte: its last four bytes are not sent.
    bits.put(0b000, 3);
    bits.bytes
}

/// Bits, from the lowest one of each byte.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    /// How many of the last byte are taken; none if it is full.
    taken: u32,
}

impl Bits {
    fn put(&mut self, bits: u32, count: u32) {
        for index in 0..count {
            if self.taken == 0 {
                self.bytes.push(0);
            }
            if let Some(last) = self.bytes.last_mut() {
                *last |= ((bits >> index & 1) as u8) << self.taken;
            }
            self.taken = (self.taken + 1) % 8;
        }
    }
}
