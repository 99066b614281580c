//! Tokens and the white space around values, the smallest pieces of HTTP's grammar (RFC 9110 §5.6).

/// Removes the white space around a value: spaces and tabs, nothing else.
pub fn trim(value: &str) -> &str {
    value.trim_matches([' ', '\t'])
}

/// Whether this is a token (RFC 9110 §5.6.2). Header names, methods and subprotocols are tokens.
pub fn is_token(text: &str) -> bool {
    let is_token_byte =
        |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_token_byte)
}
