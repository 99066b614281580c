//! How many of the bytes that we wrote has the peer's TCP stack not acknowledged yet?
//!
//! A `write` hands its bytes to our own operating system, which keeps up to a few megabytes of them
//! until the peer's TCP stack has acknowledged them. If the connection ends before that, these
//! bytes may be lost, and we must be able to report the loss. Linux shows the number of
//! unacknowledged bytes of each TCP connection in the table `/proc/net/tcp`: before the colon in
//! the column `tx_queue`, in hexadecimal.
//!
//! ```text
//!   sl  local_address rem_address   st tx_queue rx_queue ...
//!    0: 0100007F:2329 0100007F:C350 01 0003F2A1:00000000 ...
//! ```
//!
//! Rules of this file:
//! - The table has a line for each of the machine's connections, so reading it takes milliseconds.
//!   Therefore, at least 100 ms lie between two readings, however many connections ask. A thread
//!   that asks between two readings waits for the next one. One reading answers all the threads
//!   that asked before it began.
//! - A thread never gets a number that was read before the thread asked. So a thread that asks
//!   twice gets numbers from two readings at least 100 ms apart, and can tell from their difference
//!   whether the peer takes our bytes.
//! - On systems other than Linux, the result is always `None`.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::thread;
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
/// acknowledged. May wait 100 ms for the next reading of the operating system's connection table.
/// Returns `None` if the operating system doesn't provide that table, or if it can't be read.
pub(crate) fn unacknowledged(stream: &TcpStream) -> Option<u64> {
    static IPV4: Mutex<ConnectionTable> = Mutex::new(ConnectionTable::new("/proc/self/net/tcp"));
    static IPV6: Mutex<ConnectionTable> = Mutex::new(ConnectionTable::new("/proc/self/net/tcp6"));
    let asked = Instant::now();
    let (local, peer) = (stream.local_addr().ok()?, stream.peer_addr().ok()?);
    let table = if local.is_ipv4() { &IPV4 } else { &IPV6 };
    loop {
        // No thread holds the lock while it waits, only while it reads the table.
        match lock(table).answer(asked, local, peer).ok()? {
            Answer::Bytes(bytes) => return Some(bytes),
            Answer::In(time) => thread::sleep(time),
        }
    }
}

/// What a thread learns when it asks how many of a connection's bytes are unacknowledged: their
/// number, or the time to wait before it asks again.
enum Answer {
    Bytes(u64),
    /// It's too early to read the table again. The thread must wait this long, and then ask again.
    In(Duration),
}

/// One of the operating system's connection tables (IPv4 or IPv6), and its last reading.
struct ConnectionTable {
    path: &'static str,
    /// The last reading of this table. `None` if there was none yet, or if it failed.
    reading: Option<Reading>,
}

/// One reading of the operating system's connection table: when it was made, and how many bytes
/// were unacknowledged on each connection.
struct Reading {
    began: Instant,
    ended: Instant,
    outstanding: Outstanding,
}

/// The number of unacknowledged bytes of each connection that has any. The key is the connection's
/// two addresses, as [`table_key`] formats them.
type Outstanding = HashMap<String, u64>;

impl ConnectionTable {
    const fn new(path: &'static str) -> ConnectionTable {
        ConnectionTable { path, reading: None }
    }

    /// Returns how many bytes of a connection are unacknowledged, or how long the calling thread
    /// must wait before it calls again. `asked` is the time of the thread's first call.
    /// - If the table was last read at `asked` or later, the number comes from that reading.
    /// - If it was last read before `asked`, but less than 100 ms ago, returns [`Answer::In`].
    /// - Otherwise, reads the table now. Fails if the table can't be read.
    fn answer(
        &mut self,
        asked: Instant,
        local: SocketAddr,
        peer: SocketAddr,
    ) -> io::Result<Answer> {
        if let Some(last) = self.reading.as_ref().filter(|last| last.began < asked)
            && let Some(rest) = READ_TABLE_EVERY.checked_sub(last.ended.elapsed())
            && !rest.is_zero()
        {
            return Ok(Answer::In(rest));
        }
        let reading = match self.reading.take().filter(|last| last.began >= asked) {
            Some(last) => last,
            None => self.read()?,
        };
        let bytes = reading.outstanding.get(&table_key(local, peer)).copied();
        self.reading = Some(reading);
        Ok(Answer::Bytes(bytes.unwrap_or(0)))
    }

    fn read(&self) -> io::Result<Reading> {
        let began = Instant::now();
        let outstanding = outstanding_in_table(BufReader::new(File::open(self.path)?))?;
        Ok(Reading { began, ended: Instant::now(), outstanding })
    }
}

fn outstanding_in_table(table: impl BufRead) -> io::Result<Outstanding> {
    let mut outstanding = Outstanding::new();
    for line in table.lines() {
        let line = line?;
        let mut columns = line.split_ascii_whitespace().skip(1);
        let (Some(local), Some(peer), Some(state), Some(queues)) =
            (columns.next(), columns.next(), columns.next(), columns.next())
        else {
            continue;
        };
        let queue = queues.split_once(':').and_then(|(sent, _)| u64::from_str_radix(sent, 16).ok());
        // Once we have shut down our side, the FIN counts as a byte until it's acknowledged.
        let waits_for_end = matches!(state, FIN_WAIT_1 | LAST_ACK | CLOSING);
        let bytes = queue.unwrap_or(0).saturating_sub(waits_for_end.into());
        if bytes > 0 {
            outstanding.insert(format!("{local} {peer}"), bytes);
        }
    }
    Ok(outstanding)
}

/// Formats the two addresses of a connection as they appear in the connection table.
fn table_key(local: SocketAddr, peer: SocketAddr) -> String {
    format!("{} {}", format_for_table(local), format_for_table(peer))
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
                     2: 0100007F:2329 0100007F:C353 04 00000001:00000000 00:00000000\n   \
                     3: B80D0120000000000000000001000000:2329 00000000000000000000000001000000:C350 04 \
                     0000000A:00000000 00:00000000\n";
        let outstanding = outstanding_in_table(table.as_bytes()).unwrap();
        let find = |local: &str, peer: &str| {
            outstanding.get(&table_key(local.parse().unwrap(), peer.parse().unwrap())).copied()
        };
        assert_eq!(find("127.0.0.1:9001", "127.0.0.1:50000"), Some(0x3f2a1));
        assert_eq!(find("127.0.0.1:9001", "127.0.0.1:50001"), Some(1));
        assert_eq!(find("127.0.0.1:9001", "127.0.0.1:50002"), None);
        assert_eq!(find("127.0.0.1:9001", "127.0.0.1:50003"), None, "its FIN alone is on its way");
        assert_eq!(find("[2001:db8::1]:9001", "[::1]:50000"), Some(9));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn each_thread_that_asks_is_answered_from_a_reading_that_began_after_its_question() {
        let table = Mutex::new(ConnectionTable::new("/proc/self/net/tcp"));
        let end = || "127.0.0.1:1".parse().unwrap();
        thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| {
                    for _ in 0..2 {
                        let asked = Instant::now();
                        while let Answer::In(rest) =
                            lock(&table).answer(asked, end(), end()).unwrap()
                        {
                            assert!(rest <= READ_TABLE_EVERY);
                            thread::sleep(rest);
                        }
                        assert!(lock(&table).reading.as_ref().unwrap().began >= asked);
                    }
                });
            }
        });
    }

    #[test]
    fn a_table_that_can_not_be_read_keeps_no_thread_waiting() {
        let mut table = ConnectionTable::new("/a/table/that/does/not/exist");
        let end = "127.0.0.1:1".parse().unwrap();
        for _ in 0..2 {
            assert!(table.answer(Instant::now(), end, end).is_err());
        }
    }
}
