//! The smallest pieces of HTTP's grammar: tokens, the white space around values (RFC 9110 §5.6),
//! and the percent-encoding of URLs (RFC 3986 §2.1).

/// Removes the spaces and tabs around a header's value. HTTP allows no other white space there.
pub fn trim(value: &str) -> &str {
    value.trim_matches([' ', '\t'])
}

/// Decodes the percent-encoding in a part of a URL. A `%` without two hex digits after it stays
/// unchanged. Returns `None` if the result isn't UTF-8.
pub(crate) fn percent_decoded(text: &str) -> Option<String> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let [first, others @ ..] = rest {
        let escaped = match others {
            [high, low, ..] if *first == b'%' => digit(high).zip(digit(low)),
            _ => None,
        };
        let (byte, after) = match escaped {
            Some((high, low)) => ((high * 16 + low) as u8, &others[2..]),
            None => (*first, others),
        };
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

/// Returns whether this text is a token (RFC 9110 §5.6.2), as header names, methods and
/// subprotocols must be.
pub fn is_token(text: &str) -> bool {
    let is_token_byte =
        |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_token_byte)
}
