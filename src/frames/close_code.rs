//! Close codes: why a connection ended, as a number (RFC 6455 §7.4).
//!
//! Some codes only ever name what happened at one end (1005, 1006, 1015): they are for logs, and never
//! travel. All others travel if their range has been given out. What those with a name mean to a person
//! is told in `explain/payload.rs`.

use std::fmt;

/// Why a connection was closed, as a number (§7.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(pub u16);

impl CloseCode {
    /// All that was to be said has been said.
    pub const NORMAL: CloseCode = CloseCode(1000);
    /// The server stops, or the page is left.
    pub const GOING_AWAY: CloseCode = CloseCode(1001);
    /// A rule of the protocol was broken.
    pub const PROTOCOL_ERROR: CloseCode = CloseCode(1002);
    /// A kind of message that this side does not take.
    pub const UNSUPPORTED: CloseCode = CloseCode(1003);
    /// Never sent: the Close frame had no code.
    pub const NO_STATUS: CloseCode = CloseCode(1005);
    /// Never sent: the connection ended without a Close frame.
    pub const ABNORMAL: CloseCode = CloseCode(1006);
    /// Text that is not UTF-8.
    pub const INVALID_PAYLOAD: CloseCode = CloseCode(1007);
    /// Against the policy of this side.
    pub const POLICY: CloseCode = CloseCode(1008);
    /// A message larger than this side takes.
    pub const TOO_BIG: CloseCode = CloseCode(1009);
    /// The server lacks an extension that the client needs.
    pub const MISSING_EXTENSION: CloseCode = CloseCode(1010);
    /// This side failed.
    pub const INTERNAL_ERROR: CloseCode = CloseCode(1011);
    /// The server starts anew.
    pub const SERVICE_RESTART: CloseCode = CloseCode(1012);
    /// The server has too much to do: come back later.
    pub const TRY_AGAIN_LATER: CloseCode = CloseCode(1013);
    /// A gateway got a bad answer from behind.
    pub const BAD_GATEWAY: CloseCode = CloseCode(1014);
    /// Never sent: the TLS handshake failed.
    pub const TLS_FAILED: CloseCode = CloseCode(1015);

    // WALK: may-be-sent
    // §7.4.1 and the registry it opened; §7.4.2: 3000-3999 are registered by libraries, 4000-4999
    // are anybody's. What is not in a range that is given out may not travel.
    /// Whether this code may travel in a Close frame.
    pub fn may_be_sent(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
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
