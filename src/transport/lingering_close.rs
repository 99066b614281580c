//! Lingering close: ending a stream so that the peer can still read our last bytes.

use std::net::Shutdown;
use std::time::Duration;

use super::deadline::{Deadline, read_before};
use super::renewable_deadline::RenewableDeadline;
use super::stream::{Stream, is_timeout};

// WALK: lingering-close
/// Ends a stream so that the peer can read our last bytes.
///
/// Closing a socket with unread bytes in it sends a reset. A reset destroys the bytes that are
/// still on their way to the peer, such as the Close that names what went wrong. Therefore this
/// function first shuts down our side of the stream. Then it reads and drops the peer's bytes until
/// the peer shuts down its side too, the deadline passes without a renewal, or 64 MiB have arrived.
/// Returns whether the stream has ended: the peer shut down its side, or a read failed with an
/// error other than a timeout.
pub fn lingering_close(linger: impl Into<RenewableDeadline>, stream: &dyn Stream) -> bool {
    let _ = stream.shutdown(Shutdown::Write);
    let has_ended = discard_input(linger.into(), stream);
    let _ = stream.shutdown(Shutdown::Both);
    has_ended
}

/// Waits for the peer to end the stream, for at most a second and no longer than the deadline.
/// Discards the bytes that still arrive.
///
/// The end that closes a TCP connection first keeps it in the TIME_WAIT state for a minute or more.
/// Meanwhile, a client can't open a new connection with the same addresses and ports, but a server
/// can accept one. Therefore a client lets the server close first (RFC 6455 §7.1.1).
pub fn await_peer_eof(deadline: Deadline, stream: &dyn Stream) {
    const EOF_WAIT: Duration = Duration::from_secs(1);
    let rest = deadline.remaining().unwrap_or_default();
    discard_input(RenewableDeadline::until(Deadline::after(rest.min(EOF_WAIT))), stream);
}

/// Reads and drops the peer's bytes until the stream ends, the deadline passes and isn't renewed,
/// or 64 MiB have been read. Returns whether the stream has ended, with or without an error.
fn discard_input(mut linger: RenewableDeadline, stream: &dyn Stream) -> bool {
    const MOST: usize = 64 * 1024 * 1024;
    let mut waste = [0; 4096];
    let mut wasted = 0;
    while wasted < MOST && !linger.renew_or_expire(stream) {
        match read_before(linger.deadline(), stream, &mut waste) {
            Ok(0) => return true,
            Ok(count) => {
                linger.note_peer_is_alive();
                wasted += count;
            }
            Err(error) if is_timeout(&error) && linger.renew_if_alive(stream) => {}
            Err(error) if is_timeout(&error) => return false,
            Err(_) => return true,
        }
    }
    false
}
