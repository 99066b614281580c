//! Lists all ways in which a peer can break the rules of frames and messages, and the matching
//! close codes.
//!
//! A [`Violation`] ends the connection (RFC 6455 §7.1.7): we send its close code, and the decoder
//! delivers nothing more. *Our caller's* mistakes have their own type:
//! [`Misuse`](crate::diagnostic::misuse::Misuse).

use std::fmt;

use super::close_code::CloseCode;
use crate::diagnostic::Diagnostic;

/// A way in which the peer broke the rules of frames or messages. We end the connection with the
/// matching close code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// The peer set reserved bits that no agreed extension defines. Holds the frame's first byte.
    ReservedBits(u8),
    /// The peer sent a frame with this opcode, which no RFC defines.
    UnknownOpcode(u8),
    /// A client sent an unmasked frame. Clients must mask every frame.
    NotMasked,
    /// A server sent a masked frame. Servers must not mask frames.
    Masked,
    /// The peer fragmented a control frame: the frame's FIN bit isn't set.
    ControlFragmented,
    /// The peer sent a control frame with more than 125 bytes of payload.
    ControlTooLong,
    /// The peer encoded this payload length in more bytes than necessary.
    LengthNotMinimal(u64),
    /// The peer sent this 64-bit payload length, whose top bit is set but must be 0.
    LengthTopBit(u64),
    /// The peer sent a continuation frame, but there was no unfinished message to continue.
    NothingToContinue,
    /// The peer began a new message before it had ended the previous one.
    MessageInsideMessage,
    /// The peer sent a message that's larger than our limit. Holds the limit in bytes. If a frame
    /// header already announces too many bytes, we don't wait for them.
    MessageTooLong(u64),
    /// The peer sent a message that has more fragments than our limit. Holds the limit.
    TooManyFragments(u64),
    /// The peer sent too many DEFLATE blocks with the BFINAL bit set, which marks a stream's last
    /// block. On average, we accept one such block per message, and one more per KiB of compressed
    /// data. The reason is the work: after each of these blocks, the inflater copies its window, up
    /// to 32 KiB.
    TooManyLastBlocks,
    /// The peer sent a compressed message whose DEFLATE data is invalid or incomplete.
    NotDeflate,
    /// The peer sent a text message whose payload isn't valid UTF-8.
    TextNotUtf8,
    /// The peer sent a Close frame with a one-byte payload, which is only half a close code.
    CloseOfOneByte,
    /// The peer sent a Close frame with this close code, which no Close frame may contain.
    CloseCode(CloseCode),
    /// The peer sent a Close frame whose reason isn't UTF-8.
    ReasonNotUtf8,
}

impl Violation {
    /// Returns `(code, heading, seen)`: the close code, the diagnostic's heading, and the value
    /// that broke the rule or the limit that was exceeded. `seen` is empty if the heading says
    /// everything.
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

    /// Returns the close code that we send to the peer for this violation.
    pub fn close_code(self) -> CloseCode {
        self.facts().0
    }

    /// Returns the reason that we send in the Close frame, such as `unknown opcode`. The same text
    /// is the heading of the violation's diagnostic. A reason must fit into 123 bytes, the space
    /// that a Close frame has for it.
    pub fn reason(self) -> &'static str {
        self.facts().1
    }

    /// Returns the diagnostic, for people and logs: the broken rule, what the decoder saw, the
    /// usual cause and the fix.
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
