//! Every way in which a peer can break the rules of frames and messages, and the close code for
//! each.
//!
//! A [`Violation`] ends the connection (RFC 6455 §7.1.7): we send its close code, and the decoder
//! delivers nothing more. *Our caller's* mistakes have their own type:
//! [`Misuse`](crate::diagnostic::misuse::Misuse).

use std::fmt;

use super::close_code::CloseCode;
use crate::diagnostic::Diagnostic;

/// A rule that the peer broke after the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// Reserved bits are set that no agreed extension defines. Holds the frame's first byte.
    ReservedBits(u8),
    /// An opcode that no RFC defines.
    UnknownOpcode(u8),
    /// A frame from a client without a mask.
    NotMasked,
    /// A frame from a server with a mask.
    Masked,
    /// A control frame without FIN.
    ControlFragmented,
    /// A control frame of more than 125 bytes.
    ControlTooLong,
    /// A length written in more bytes than it needs.
    LengthNotMinimal(u64),
    /// A length with its top bit set.
    LengthTopBit(u64),
    /// A continuation when no message has begun.
    NothingToContinue,
    /// A new message that begins before the last one has ended.
    MessageInsideMessage,
    /// A message of more bytes than this limit.
    MessageTooLong(u64),
    /// A message of more fragments than this limit.
    TooManyFragments(u64),
    /// A compressed message of many blocks with BFINAL and little else.
    TooManyLastBlocks,
    /// A compressed message that isn't DEFLATE or is incomplete.
    NotDeflate,
    /// Text that isn't UTF-8.
    TextNotUtf8,
    /// A Close frame whose payload is only one byte, half a code.
    CloseOfOneByte,
    /// A close code that may not be sent.
    CloseCode(CloseCode),
    /// A close reason that isn't UTF-8.
    ReasonNotUtf8,
}

impl Violation {
    /// The close code, the diagnostic's heading, and what the reader saw.
    fn facts(self) -> (CloseCode, &'static str, String) {
        use CloseCode as Code;
        let nothing = String::new();
        match self {
            Violation::ReservedBits(byte) => {
                (Code::PROTOCOL_ERROR, "reserved bits", format!("{byte:#04x}"))
            }
            Violation::UnknownOpcode(opcode) => {
                (Code::PROTOCOL_ERROR, "unknown opcode", opcode.to_string())
            }
            Violation::NotMasked => (Code::PROTOCOL_ERROR, "client frame without mask", nothing),
            Violation::Masked => (Code::PROTOCOL_ERROR, "server frame with mask", nothing),
            Violation::ControlFragmented => {
                (Code::PROTOCOL_ERROR, "fragmented control frame", nothing)
            }
            Violation::ControlTooLong => (Code::PROTOCOL_ERROR, "control frame too long", nothing),
            Violation::LengthNotMinimal(n) => {
                (Code::PROTOCOL_ERROR, "length not minimal", n.to_string())
            }
            Violation::LengthTopBit(n) => {
                (Code::PROTOCOL_ERROR, "length with its top bit set", format!("{n:#018x}"))
            }
            Violation::NothingToContinue => {
                (Code::PROTOCOL_ERROR, "continuation of nothing", nothing)
            }
            Violation::MessageInsideMessage => {
                (Code::PROTOCOL_ERROR, "message inside a message", nothing)
            }
            Violation::MessageTooLong(limit) => {
                (Code::TOO_BIG, "message too long", limit.to_string())
            }
            Violation::TooManyFragments(limit) => {
                (Code::TOO_BIG, "too many fragments", limit.to_string())
            }
            Violation::TooManyLastBlocks => (Code::TOO_BIG, "too many last blocks", nothing),
            Violation::NotDeflate => (Code::INVALID_PAYLOAD, "not DEFLATE", nothing),
            Violation::TextNotUtf8 => (Code::INVALID_PAYLOAD, "text not UTF-8", nothing),
            Violation::CloseOfOneByte => {
                (Code::PROTOCOL_ERROR, "close payload of one byte", nothing)
            }
            Violation::CloseCode(code) => {
                (Code::PROTOCOL_ERROR, "close code that may not be sent", code.to_string())
            }
            Violation::ReasonNotUtf8 => (Code::INVALID_PAYLOAD, "close reason not UTF-8", nothing),
        }
    }

    /// The close code that we send to the peer.
    pub fn close_code(self) -> CloseCode {
        self.facts().0
    }

    /// The reason for the Close frame, which has room for only a few words.
    pub fn reason(self) -> &'static str {
        self.facts().1
    }

    /// The rule, what the reader saw, the usual cause and the fix.
    pub fn diagnostic(self) -> Diagnostic {
        let (_, heading, seen) = self.facts();
        Diagnostic::about(heading, seen)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.close_code(), self.diagnostic())
    }
}

impl std::error::Error for Violation {}
