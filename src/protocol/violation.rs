//! Every way in which a peer can break the rules of frames and messages, and the answer to each.
//!
//! A [`Violation`] ends the connection: the peer is told the close code, and nothing that came after
//! is delivered. Each knows its code and its [`Lesson`]. What *our* caller may not do is another
//! type: [`Misuse`](super::misuse::Misuse).

use std::fmt;

use super::close::CloseCode;
use super::lesson::Lesson;

/// A rule that the peer broke after the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// Reserved bits are set that no extension gave a meaning; the first byte of the frame.
    ReservedBits(u8),
    /// An opcode that no RFC has defined.
    UnknownOpcode(u8),
    /// A frame from a client without a mask.
    NotMasked,
    /// A frame from a server with a mask.
    Masked,
    /// A control frame that says it is a fragment.
    ControlFragmented,
    /// A control frame of more than 125 bytes.
    ControlTooLong,
    /// A length in more bytes than it needs.
    LengthNotMinimal(u64),
    /// A length with its top bit set.
    LengthTopBit(u64),
    /// A continuation where no message has begun.
    NothingToContinue,
    /// A new message inside another.
    MessageInsideMessage,
    /// A message of more than so many bytes.
    MessageTooLong(u64),
    /// A message in more than so many fragments.
    TooManyFragments(u64),
    /// Text that is not UTF-8.
    TextNotUtf8,
    /// A Close frame with half a code.
    CloseOfOneByte,
    /// A close code that may not travel.
    CloseCode(CloseCode),
    /// A close reason that is not UTF-8.
    ReasonNotUtf8,
}

impl Violation {
    /// The close code that tells the peer.
    pub fn close_code(self) -> CloseCode {
        use Violation::*;
        match self {
            ReservedBits(_) | UnknownOpcode(_) | NotMasked | Masked | ControlFragmented
            | ControlTooLong | LengthNotMinimal(_) | LengthTopBit(_) | NothingToContinue
            | MessageInsideMessage | CloseOfOneByte | CloseCode(_) => {
                super::CloseCode::PROTOCOL_ERROR
            }
            TextNotUtf8 | ReasonNotUtf8 => super::CloseCode::NOT_UTF8,
            MessageTooLong(_) | TooManyFragments(_) => super::CloseCode::TOO_BIG,
        }
    }

    /// A few words for the reason of the Close frame, which is short.
    pub fn reason(self) -> &'static str {
        use Violation::*;
        match self {
            ReservedBits(_) => "reserved bits set (5.2)",
            UnknownOpcode(_) => "unknown opcode (5.2)",
            NotMasked => "client frame without mask (5.1)",
            Masked => "server frame with mask (5.1)",
            ControlFragmented => "fragmented control frame (5.5)",
            ControlTooLong => "control frame over 125 bytes (5.5)",
            LengthNotMinimal(_) => "length not minimal (5.2)",
            LengthTopBit(_) => "length with top bit set (5.2)",
            NothingToContinue => "continuation of nothing (5.4)",
            MessageInsideMessage => "message inside a message (5.4)",
            MessageTooLong(_) => "message too long",
            TooManyFragments(_) => "too many fragments",
            TextNotUtf8 => "text is not UTF-8 (8.1)",
            CloseOfOneByte => "close payload of one byte (5.5.1)",
            CloseCode(_) => "close code may not be sent (7.4)",
            ReasonNotUtf8 => "close reason is not UTF-8 (5.5.1)",
        }
    }

    /// The rule, what was seen, the usual cause and the fix.
    pub fn lesson(self) -> Lesson {
        use Violation::*;
        const BYTES_LOST: &str =
            "bytes lost or doubled before this frame, so that payload was read as a header";
        let (rule, seen, cause, fix) = match self {
            ReservedBits(byte) => (
                "RSV1, RSV2 and RSV3 are 0 unless an extension was agreed on that uses them (RFC 6455 §5.2).",
                format!("a first byte of {byte:#04x}"),
                "a peer that compresses though permessage-deflate was not agreed on, or bytes out of step",
                "Send compressed frames only if the 101 lists permessage-deflate.",
            ),
            UnknownOpcode(opcode) => (
                "Opcodes are 0, 1, 2, 8, 9 and 10; the others are reserved (RFC 6455 §5.2).",
                format!("opcode {opcode}"),
                BYTES_LOST,
                "Check the lengths of the frames before this one.",
            ),
            NotMasked => (
                "A client masks every frame it sends (RFC 6455 §5.1).",
                "a mask bit of 0".into(),
                "a frame built by hand, or a server's encoder used by a client",
                "Set the mask bit, send four random bytes, and XOR the payload with them.",
            ),
            Masked => (
                "A server never masks a frame (RFC 6455 §5.1).",
                "a mask bit of 1".into(),
                "a client's encoder used by a server",
                "Clear the mask bit and send the payload as it is.",
            ),
            ControlFragmented => (
                "Close, Ping and Pong are never fragmented (RFC 6455 §5.5).",
                "a control frame without FIN".into(),
                BYTES_LOST,
                "Set FIN on every control frame.",
            ),
            ControlTooLong => (
                "A control frame holds at most 125 bytes (RFC 6455 §5.5).",
                "a control frame with an extended length".into(),
                "a long close reason, or data sent as a ping",
                "Shorten it; data belongs into a message.",
            ),
            LengthNotMinimal(length) => (
                "A length takes the fewest bytes that can hold it (RFC 6455 §5.2).",
                format!("a length of {length} in more bytes than it needs"),
                "an encoder that always writes the long form",
                "Up to 125 in 7 bits, up to 65,535 in 16 bits, all above in 64.",
            ),
            LengthTopBit(length) => (
                "The top bit of a 64-bit length is 0 (RFC 6455 §5.2).",
                format!("{length:#018x}"),
                BYTES_LOST,
                "Check the lengths of the frames before this one.",
            ),
            NothingToContinue => (
                "A continuation follows a fragment without FIN (RFC 6455 §5.4).",
                "opcode 0 where no message has begun".into(),
                "FIN set on a first fragment, or two senders on one connection",
                "Begin with opcode 1 or 2 and clear FIN until the last fragment.",
            ),
            MessageInsideMessage => (
                "The fragments of a message are not mixed with those of another (RFC 6455 §5.4).",
                "opcode 1 or 2 before the last message had its FIN".into(),
                "two senders on one connection, or opcode 1 repeated on each fragment",
                "Send opcode 0 on all fragments but the first, one message at a time.",
            ),
            MessageTooLong(limit) => (
                "A message may not be longer than the limit of the side that takes it.",
                format!("more than {limit} bytes"),
                "a file sent as one message, or a length that lies",
                "Send smaller messages, or raise `max_message` in the limits.",
            ),
            TooManyFragments(limit) => (
                "A message may not have more fragments than the limit of the side that takes it.",
                format!("more than {limit} fragments"),
                "a sender that makes a fragment of every few bytes",
                "Send larger fragments, or raise `max_fragments` in the limits.",
            ),
            TextNotUtf8 => (
                "A text message is UTF-8 from its first byte to its last (RFC 6455 §8.1).",
                "a byte that no UTF-8 has there, or an end in mid-character".into(),
                "Latin-1 or binary data sent with opcode 1",
                "Encode it as UTF-8, or send it as binary (opcode 2).",
            ),
            CloseOfOneByte => (
                "A Close frame is empty or begins with a code of two bytes (RFC 6455 §5.5.1).",
                "a payload of one byte".into(),
                "a code written as one byte",
                "Write the code as two bytes, the high one first.",
            ),
            CloseCode(code) => (
                "Codes that travel are 1000-1003, 1007-1014 and 3000-4999 (RFC 6455 §7.4).",
                format!("close code {code}"),
                "a code that only names what happened at one end (1005, 1006, 1015), or one made up",
                "Use 1000, or one of your own from 4000 on.",
            ),
            ReasonNotUtf8 => (
                "The reason of a Close frame is UTF-8 (RFC 6455 §5.5.1).",
                "a byte that no UTF-8 has there, or an end in mid-character".into(),
                "a reason cut to 123 bytes in the middle of a character",
                "Cut it at a character.",
            ),
        };
        Lesson::new(rule, seen, cause, fix)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.close_code(), self.lesson())
    }
}

impl std::error::Error for Violation {}
