//! Reads and writes the payload of a Close frame: a close code and a reason (RFC 6455 §5.5.1).
//!
//! ```text
//!  0                   1
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 ...
//! +-------------------------------+-------------------------------+
//! |      code, high byte first    |   reason, UTF-8, 0-123 bytes  |
//! +-------------------------------+-------------------------------+
//! ```
//!
//! The payload is either empty or begins with the two-byte code. This file refuses a forbidden
//! code, whether it comes from the peer or from our caller. [`CloseCode`] defines which codes may
//! be sent.

use std::fmt;

use super::close_code::CloseCode;
use super::header::MAX_CONTROL_PAYLOAD;
use super::violation::Violation;
use crate::diagnostic::misuse::Misuse;

/// The payload of a Close frame: a close code, and the sender's reason for closing the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    /// The close code, or [`CloseCode::NO_STATUS`] if the Close frame has no payload.
    pub code: CloseCode,
    /// The reason in words, for people and logs. It's often empty.
    pub reason: String,
}

impl Close {
    /// Creates a Close with this code and reason. Fails if the code must not be sent (see
    /// [`CloseCode::may_be_sent`]), or if the reason is longer than 123 bytes.
    pub fn new(code: impl Into<CloseCode>, reason: &str) -> Result<Close, Misuse> {
        let code = code.into();
        if !code.may_be_sent() {
            return Err(Misuse::CloseCode(code.0));
        }
        if reason.len() > MAX_CONTROL_PAYLOAD - 2 {
            return Err(Misuse::ControlTooLong(reason.len() + 2));
        }
        Ok(Close { code, reason: reason.into() })
    }

    /// Creates the Close that a stopping or draining server sends by default, with close code 1001.
    /// An application that wants to send a different Close calls `stop_with` or `drain_with`.
    pub(crate) fn going_away() -> Close {
        Close { code: CloseCode::GOING_AWAY, reason: "the server stops".into() }
    }

    /// Parses the payload of a Close frame from the peer. The code of an empty payload is
    /// [`CloseCode::NO_STATUS`]. Fails if the payload is one byte long, if its code must not be
    /// sent, or if its reason isn't UTF-8.
    pub fn parse(payload: &[u8]) -> Result<Close, Violation> {
        match payload {
            [] => Ok(Close { code: CloseCode::NO_STATUS, reason: String::new() }),
            // §5.5.1: a payload that isn't empty begins with the two-byte code.
            [_] => Err(Violation::CloseOfOneByte),
            [high, low, reason @ ..] => {
                let code = CloseCode(u16::from_be_bytes([*high, *low]));
                if !code.may_be_sent() {
                    return Err(Violation::CloseCode(code));
                }
                // §5.5.1: the reason is UTF-8.
                let reason = str::from_utf8(reason).map_err(|_| Violation::ReasonNotUtf8)?;
                Ok(Close { code, reason: reason.into() })
            }
        }
    }

    /// Returns the payload to send in a Close frame: the two-byte code, then the reason. If the
    /// code is [`CloseCode::NO_STATUS`], the payload is empty, and the reason isn't sent.
    pub fn payload(&self) -> Vec<u8> {
        match self.code {
            CloseCode::NO_STATUS => Vec::new(),
            code => [&code.0.to_be_bytes(), self.reason.as_bytes()].concat(),
        }
    }
}

impl fmt::Display for Close {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason.as_str() {
            "" => write!(f, "{}", self.code),
            reason => write!(f, "{} {reason:?}", self.code),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns whether §7.4 or the IANA registry lists this code as one that may be sent.
    fn registered(code: u16) -> bool {
        let numbered = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014];
        numbered.contains(&code) || (3000..4000).contains(&code) || (4000..5000).contains(&code)
    }

    #[test]
    fn each_of_65536_codes_arrives_or_is_a_violation_and_may_be_sent_or_not_alike() {
        for code in 0..=u16::MAX {
            let parsed = Close::parse(&code.to_be_bytes());
            match registered(code) {
                true => assert_eq!(parsed.unwrap().code, CloseCode(code)),
                false => assert_eq!(parsed, Err(Violation::CloseCode(CloseCode(code)))),
            }
            assert_eq!(Close::new(code, "").is_ok(), registered(code), "{code}");
        }
    }

    #[test]
    fn a_payload_is_empty_or_has_a_whole_code() {
        assert_eq!(Close::parse(&[]).unwrap().code, CloseCode::NO_STATUS);
        assert_eq!(Close::parse(&[3]), Err(Violation::CloseOfOneByte));
    }

    #[test]
    fn a_reason_is_utf8_of_at_most_123_bytes() {
        assert_eq!(Close::parse(b"\x03\xe8\xff"), Err(Violation::ReasonNotUtf8));
        assert_eq!(Close::parse(b"\x03\xe8\xce"), Err(Violation::ReasonNotUtf8));
        assert!(Close::new(1000, &"x".repeat(123)).is_ok());
        assert!(Close::new(1000, &"x".repeat(124)).is_err());
    }

    #[test]
    fn what_is_written_is_read_again() {
        for close in [Close::new(1000, "").unwrap(), Close::new(4999, "bye \u{2603}").unwrap()] {
            assert_eq!(Close::parse(&close.payload()), Ok(close));
        }
        assert_eq!(Close::parse(&[]).unwrap().payload(), []);
    }

    #[test]
    fn a_close_is_described_in_one_line_whatever_its_reason() {
        assert_eq!(Close::new(1000, "").unwrap().to_string(), "1000");
        assert_eq!(Close::new(1000, "bye\n").unwrap().to_string(), r#"1000 "bye\n""#);
    }
}
