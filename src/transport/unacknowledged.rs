//! How many of the bytes that we wrote has the peer's TCP stack not acknowledged yet?
//!
//! A `write` hands its bytes to our own operating system, which keeps up to a few megabytes of them
//! until the peer's TCP stack has acknowledged them. If the connection ends before that, these
//! bytes may be lost, and we must be able to report the loss. Linux shows the number of
//! unacknowledged bytes for each TCP connection, in a table of lines like this one:
//!
//! ```text
//!   sl  local_address rem_address   st tx_queue rx_queue ...
//!    0: 0100007F:2329 0100007F:C350 01 0003F2A1:00000000 ...
//! ```
//!
//! Rules of this file:
//! - The table has a line for each of the machine's connections, so reading it takes milliseconds.
//!   Therefore, we read it at most ten times a second in all, for any number of connections. A call
//!   between two readings returns `None`.
//! - On systems other than Linux, the result is always `None`.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::lock::lock;

/// The minimum time between two readings of the operating system's connection table.
const READ_TABLE_EVERY: Duration = Duration::from_millis(100);

/// The TCP state `FIN_WAIT_1`, as it appears in the operating system's connection table. In this
/// state, as in `LAST_ACK` and `CLOSING`, our FIN has been sent and not yet acknowledged.
const FIN_WAIT_1: &str = "04";
const LAST_ACK: &str = "09";
const CLOSING: &str = "0B";

/// Returns the number of bytes written to this stream that the peer's TCP stack has not
/// acknowledged. Returns `None` if our operating system doesn't provide the number. Also returns
/// `None` if its connection table was read less than 100 ms ago, for this or any other connection,
/// because reading a long table takes milliseconds.
pub(crate) fn unacknowledged(stream: &TcpStream) -> Option<u64> {
    static LAST_READ: Mutex<Option<Instant>> = Mutex::new(None);
    let (local, peer) = (stream.local_addr().ok()?, stream.peer_addr().ok()?);
    let mut last_reading = lock(&LAST_READ);
    if last_reading.is_some_and(|last| last.elapsed() < READ_TABLE_EVERY) {
        return None;
    }
    *last_reading = Some(Instant::now());
    let table = if local.is_ipv4() { "/proc/self/net/tcp" } else { "/proc/self/net/tcp6" };
    unacknowledged_in_table(BufReader::new(File::open(table).ok()?), local, peer)
}

fn unacknowledged_in_table(
    table: impl BufRead,
    local: SocketAddr,
    peer: SocketAddr,
) -> Option<u64> {
    let ends = format!(" {} {} ", format_for_table(local), format_for_table(peer));
    let line = table.lines().map_while(Result::ok).find(|line| line.contains(&ends))?;
    let (_, rest) = line.split_once(&ends)?;
    let (state, queues) = rest.split_once(' ')?;
    let unacknowledged = u64::from_str_radix(queues.split_once(':')?.0, 16).ok()?;
    // Once we have shut down our side, the FIN counts as a byte until it's acknowledged.
    let waits_for_end = matches!(state, FIN_WAIT_1 | LAST_ACK | CLOSING);
    Some(unacknowledged.saturating_sub(waits_for_end.into()))
}

/// Formats an address as it appears in the operating system's connection table, all in hex: the IP
/// address in 32-bit words in this machine's byte order, then the port. For example, 127.0.0.1:9001
/// becomes `0100007F:2329` on a little-endian machine.
fn format_for_table(address: SocketAddr) -> String {
    let words = |bytes: &[u8]| -> String {
        let words = bytes.chunks_exact(4).map(|word| [word[0], word[1], word[2], word[3]]);
        words.map(|word| format!("{:08X}", u32::from_ne_bytes(word))).collect()
    };
    let ip = match address {
        SocketAddr::V4(address) => words(&address.ip().octets()),
        SocketAddr::V6(address) => words(&address.ip().octets()),
    };
    format!("{ip}:{:04X}", address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn a_line_of_the_table_is_found_by_both_addresses() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when\n   \
                     0: 0100007F:2329 0100007F:C351 01 00000001:00000000 00:00000000\n   \
                     1: 0100007F:2329 0100007F:C350 01 0003F2A1:00000007 00:00000000\n   \
                     2: B80D0120000000000000000001000000:2329 00000000000000000000000001000000:C350 04 \
                     0000000A:00000000 00:00000000\n";
        let find = |local: &str, peer: &str| {
            unacknowledged_in_table(table.as_bytes(), local.parse().unwrap(), peer.parse().unwrap())
        };
        assert_eq!(find("127.0.0.1:9001", "127.0.0.1:50000"), Some(0x3f2a1));
        assert_eq!(find("127.0.0.1:9001", "127.0.0.1:50001"), Some(1));
        assert_eq!(find("127.0.0.1:9001", "127.0.0.1:50002"), None);
        assert_eq!(find("[2001:db8::1]:9001", "[::1]:50000"), Some(9));
    }
}
