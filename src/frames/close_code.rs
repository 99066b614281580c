//! Close codes are numbers that say why a connection ended (RFC 6455 §7.4).
//!
//! Three codes are never sent. A client or a server only records them for itself: 1005 if the
//! peer's Close had no code, 1006 if the connection ended without a Close, and 1015 if the TLS
//! handshake failed. [`CloseCode::may_be_sent`] tells which of the other codes may be sent.
//! `explain/frames/payload.rs` explains each named code in a sentence.

use std::fmt;

/// A close code: a number that says why a connection ends (RFC 6455 §7.4). A Close frame may
/// contain it. Three of the codes are only recorded, never sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(pub u16);

impl CloseCode {
    /// The connection has served its purpose and ends normally.
    pub const NORMAL: CloseCode = CloseCode(1000);
    /// The closing end is going away: the server is shutting down, or the user has left the page.
    pub const GOING_AWAY: CloseCode = CloseCode(1001);
    /// The closing end detected that its peer broke a protocol rule.
    pub const PROTOCOL_ERROR: CloseCode = CloseCode(1002);
    /// The closing end received a kind of message that it doesn't accept, such as a binary message.
    pub const UNSUPPORTED: CloseCode = CloseCode(1003);
    /// The Close frame had no code. This code is only recorded, never sent.
    pub const NO_STATUS: CloseCode = CloseCode(1005);
    /// The connection ended without a Close frame. This code is only recorded, never sent.
    pub const ABNORMAL: CloseCode = CloseCode(1006);
    /// The closing end received a payload that doesn't match the message's type, such as text that
    /// isn't UTF-8.
    pub const INVALID_PAYLOAD: CloseCode = CloseCode(1007);
    /// The closing end received a message that its own policy forbids. This code is also used when
    /// no other one fits.
    pub const POLICY: CloseCode = CloseCode(1008);
    /// The closing end received a message that is larger than it accepts.
    pub const TOO_BIG: CloseCode = CloseCode(1009);
    /// The client needs an extension that the server didn't accept in the handshake.
    pub const MISSING_EXTENSION: CloseCode = CloseCode(1010);
    /// The closing end failed with an internal error.
    pub const INTERNAL_ERROR: CloseCode = CloseCode(1011);
    /// The server is restarting. The client may connect again after a while.
    pub const SERVICE_RESTART: CloseCode = CloseCode(1012);
    /// The server is overloaded. The client should try again later.
    pub const TRY_AGAIN_LATER: CloseCode = CloseCode(1013);
    /// The closing end is a gateway, and received an invalid response from the server behind it.
    pub const BAD_GATEWAY: CloseCode = CloseCode(1014);
    /// The TLS handshake failed. This code is only recorded, never sent.
    pub const TLS_FAILED: CloseCode = CloseCode(1015);

    // WALK: may-be-sent
    // §7.4.1 and IANA's registry define which codes below 3000 may be sent. §7.4.2: libraries
    // register codes from 3000 to 3999, and applications may use 4000 to 4999 freely. No other code
    // may be sent.
    /// Returns whether this code may be sent in a Close frame: `true` for 1000 to 1003, 1007 to
    /// 1014, and 3000 to 4999.
    pub fn may_be_sent(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }

    /// Returns whether this code indicates a failure. The result is `false` for the codes of a
    /// normal end (1000, 1001, 1005, 1012), and for 3000 to 4999, whose meaning only the
    /// application knows. It's `true` for all other codes.
    pub fn is_failure(self) -> bool {
        !matches!(self.0, 1000 | 1001 | 1005 | 1012 | 3000..=4999)
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<u16> for CloseCode {
    fn from(code: u16) -> CloseCode {
        CloseCode(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_that_ended_as_it_may_is_no_failure_and_a_broken_one_is() {
        for fine in [1000, 1001, 1005, 1012, 3000, 4000, 4999] {
            assert!(!CloseCode(fine).is_failure(), "{fine}");
        }
        for bad in
            [1002, 1003, 1006, 1007, 1008, 1009, 1010, 1011, 1013, 1014, 1015, 0, 999, 2999, 5000]
        {
            assert!(CloseCode(bad).is_failure(), "{bad}");
        }
    }
}
