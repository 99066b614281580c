//! Lingering close: ending a stream so that the peer can still read our last bytes.

use std::net::Shutdown;
use std::time::Duration;

use super::deadline::{Deadline, read_before};
use super::stream::Stream;

// WALK: lingering-close
/// Ends a stream so that the peer can read our last bytes.
///
/// A socket that is closed with unread bytes in it sends a reset. A reset destroys what is still on
/// its way to the peer, such as the very frame that says what went wrong. So this ends our
/// direction, then reads and drops what the peer still sends until the peer ends its direction too,
/// within a deadline and a bound.
pub fn lingering_close(deadline: Deadline, stream: &dyn Stream) {
    let _ = stream.shutdown(Shutdown::Write);
    discard_input(deadline, stream);
    let _ = stream.shutdown(Shutdown::Both);
}

/// Waits up to a second for the peer to end the stream. The side that ends it first keeps its port
/// in TIME_WAIT for minutes, which a server can bear better than a client (RFC 6455 §7.1.1).
pub fn await_peer_eof(deadline: Deadline, stream: &dyn Stream) {
    const EOF_WAIT: Duration = Duration::from_secs(1);
    let rest = deadline.remaining().unwrap_or_default();
    discard_input(Deadline::after(rest.min(EOF_WAIT)), stream);
}

fn discard_input(deadline: Deadline, stream: &dyn Stream) {
    const MOST: usize = 64 * 1024 * 1024;
    let mut waste = [0; 4096];
    let mut wasted = 0;
    while wasted < MOST {
        match read_before(deadline, stream, &mut waste) {
            Ok(0) => return,
            Ok(count) => wasted += count,
            Err(_) => break,
        }
    }
}
