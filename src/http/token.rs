//! Tokens, and the blanks around them: the small change of HTTP (RFC 9110 §5.6).

/// Takes off the white space that may stand around a value: spaces and tabs, nothing else.
pub fn trim(value: &str) -> &str {
    value.trim_matches([' ', '\t'])
}

/// Whether this is a token (RFC 9110 §5.6.2): what names, methods and subprotocols are made of.
pub fn is_token(text: &str) -> bool {
    let is_token_byte =
        |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_token_byte)
}
