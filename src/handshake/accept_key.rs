//! Computes `Sec-WebSocket-Accept`, the server's response to the client's key. The value proves to
//! the client that a WebSocket server read its request (RFC 6455 §1.3).
//!
//! ```text
//! Sec-WebSocket-Key:     dGhlIHNhbXBsZSBub25jZQ==              the client's 16 random bytes
//!   + 258EAFA5-E914-47DA-95CA-C5AB0DC85B11                     a text that only WebSocket uses
//!   → SHA-1 → base64
//! Sec-WebSocket-Accept:  s3pPLMBiTxaQ9kYGzzhZRbK+xOo=          proof: the server read the key
//! ```
//!
//! This isn't authentication: anyone who reads this comment can compute the value. It proves only
//! that a server that speaks WebSocket, and not a cache, responded to this very request.
//!
//! Elsewhere: [`handshake::server`](super::server) refuses a missing or repeated key, and
//! [`handshake::client`](super::client) verifies the value in the response.

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use sha1::{Digest, Sha1};

/// The text that the server appends to every client's key before hashing. If you retype it, check
/// it against the RFC and not against your own client: the same typo at both ends would go
/// unnoticed.
pub const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The base64 variant of `Sec-WebSocket-Key` and `Sec-WebSocket-Accept`: the standard alphabet,
/// with padding. The unused bits at a key's end may have any value, because they don't change the
/// decoded bytes.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

// WALK: accept
/// Returns the `Sec-WebSocket-Accept` value for a client's key: the base64 of the SHA-1 hash of the
/// key's text followed by the GUID.
///
/// ```
/// let accept = ws101::handshake::accept_key::accept("dGhlIHNhbXBsZSBub25jZQ==");
/// assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// ```
pub fn accept(key: &str) -> String {
    BASE64.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

/// Encodes 16 bytes as the value of `Sec-WebSocket-Key`. The client must choose these bytes at
/// random for each connection, so that it can detect a response to an earlier request.
pub fn encode_key(bytes: [u8; 16]) -> String {
    BASE64.encode(bytes)
}

/// Decodes a client's key from its base64 text. Fails unless the text decodes to exactly 16 bytes.
/// The error describes what's wrong with the text, for the server's refusal.
pub fn decode_key(key: &str) -> Result<[u8; 16], String> {
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
        assert_eq!(encode_key(bytes), "dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(decode_key(&encode_key(bytes)), Ok(bytes));
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
            assert_eq!(
                decode_key(&BASE64.encode(vec![7; length])).is_ok(),
                length == 16,
                "{length}"
            );
        }
        for bad in [
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25jZQ=",
            "dGhlIHNhbXBsZSBub25jZQ===",
            "dGhl HNhbXBsZSBub25jZQ==",
            "dGhlIHNhbXBsZSBub25jZ_==",
        ] {
            assert!(decode_key(bad).is_err(), "{bad}");
        }
        assert_eq!(
            decode_key("dGhlIHNhbXBsZSBub25jZR==").as_ref(),
            Ok(b"the sample nonce"),
            "loose bits"
        );
    }
}
