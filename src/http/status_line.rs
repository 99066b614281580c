//! The status line of a response: how its status is read, and which reason phrase follows it.

/// Parses the status in a response's status line (RFC 9112 §4). Returns `None` if the line isn't an
/// HTTP/1 status line.
pub fn status_of(line: &str) -> Option<u16> {
    let rest = line.strip_prefix("HTTP/1.")?.strip_prefix(|minor: char| minor.is_ascii_digit())?;
    let status = rest.strip_prefix(' ')?.split(' ').next()?;
    let is_status = status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit());
    status.parse().ok().filter(|_| is_status)
}

/// Returns whether a response with this status is an interim response, after which the server must
/// send a final one (RFC 9110 §15.2). A 101 is final.
pub fn is_interim(status: u16) -> bool {
    (100..200).contains(&status) && status != 101
}

/// Returns whether these bytes can be the beginning of an HTTP/1.x response. Returns `true` if
/// there are no bytes yet.
pub fn may_be_http(bytes: &[u8]) -> bool {
    let beginning = b"HTTP/1.";
    beginning.starts_with(bytes) || bytes.starts_with(beginning)
}

/// Returns the reason phrase that follows a status in the status line, such as "Not Found" for 404.
/// The phrases come from RFC 9110 §15, and those of 428, 429, 431 and 511 from RFC 6585. Any other
/// status has the phrase "Other".
pub(crate) fn reason(status: u16) -> &'static str {
    match status {
        101 => "Switching Protocols",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        305 => "Use Proxy",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        511 => "Network Authentication Required",
        _ => "Other",
    }
}
