//! The key and its answer: how a client knows that a WebSocket server read its request (RFC 6455 §1.3).
//!
//! ```text
//! Sec-WebSocket-Key:     dGhlIHNhbXBsZSBub25jZQ==              16 random bytes of the client
//!   + 258EAFA5-E914-47DA-95CA-C5AB0DC85B11                     a text that nobody else would append
//!   → SHA-1 → base64
//! Sec-WebSocket-Accept:  s3pPLMBiTxaQ9kYGzzhZRbK+xOo=          proof: we read it, and we know the rule
//! ```
//!
//! It keeps nobody out: all that it takes is in this comment. It shows that the answer is to this
//! very request, and comes neither from a cache nor from a server of something else.

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use sha1::{Digest, Sha1};

/// Appended to every key before it is hashed. Check it against the RFC, not against your own client:
/// a wrong one on both ends agrees with itself.
pub const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Base64 as browsers write it. Loose bits behind the last byte are let pass: they change nothing.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

// WALK: accept
/// The answer to a key: base64 of the SHA-1 of the key, as it was sent, and the GUID.
///
/// ```
/// let accept = ws101::handshake::accept_key::accept("dGhlIHNhbXBsZSBub25jZQ==");
/// assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// ```
pub fn accept(key: &str) -> String {
    BASE64.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

/// A key, made of 16 bytes that nobody can guess.
pub fn encode(bytes: [u8; 16]) -> String {
    BASE64.encode(bytes)
}

/// The 16 bytes of a key, or what it is instead.
pub fn decode(key: &str) -> Result<[u8; 16], String> {
    let bytes = BASE64.decode(key).map_err(|error| format!("not base64: {error}"))?;
    let length = bytes.len();
    bytes.try_into().map_err(|_| format!("base64 of {length} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_the_rfc_is_made_of_its_sixteen_bytes_and_read_again() {
        let bytes = *b"the sample nonce";
        assert_eq!(encode(bytes), "dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(decode(&encode(bytes)), Ok(bytes));
    }

    #[test]
    fn accept_answers_the_keys_of_the_rfc_and_of_texts_that_others_wrote() {
        for (key, answer) in [
            ("dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            ("q4xkcO32u266gldTuKaSOw==", "fA9dggdnMPU79lJgAE3W4TRnyDM="),
            ("x3JJHMbDL1EzLkh9GBhXDw==", "HSmrc0sMlYUkAGmm5OPpG2HaGWk="),
        ] {
            assert_eq!(accept(key), answer);
        }
    }

    #[test]
    fn only_base64_of_sixteen_bytes_is_a_key() {
        for length in [0, 1, 15, 16, 17, 18, 24, 32, 4096] {
            assert_eq!(decode(&BASE64.encode(vec![7; length])).is_ok(), length == 16, "{length}");
        }
        for bad in [
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25jZQ=",
            "dGhlIHNhbXBsZSBub25jZQ===",
            "dGhl HNhbXBsZSBub25jZQ==",
            "dGhlIHNhbXBsZSBub25jZ_==",
        ] {
            assert!(decode(bad).is_err(), "{bad}");
        }
        assert_eq!(
            decode("dGhlIHNhbXBsZSBub25jZR==").as_ref(),
            Ok(b"the sample nonce"),
            "loose bits"
        );
    }
}
