//! Finds where the body of a plain HTTP message ends, and so where the next head on the connection
//! begins.
//!
//! ```text
//! Content-Length: 5      5 bytes                                           RFC 9112 §6.2
//! Transfer-Encoding      size CRLF data CRLF .. 0 CRLF trailers CRLF       RFC 9112 §7.1
//! neither                a request has no body; a response goes on to the end of the stream
//! 2xx to CONNECT         no body: the connection is now a tunnel                   RFC 9110 §9.3.6
//! ```
//!
//! This file doesn't validate bodies. If a body's length can't be determined, the body extends to
//! the end of the stream (RFC 9112 §6).

use crate::http::head::Head;
use crate::http::status_line::status_of;

/// The maximum length of a chunk's size line, in bytes. After a longer size line, all bytes up to
/// the end of the stream count as the body.
const MAX_LINE: usize = 4096;

/// The part of an HTTP body that hasn't arrived yet.
#[derive(Debug, PartialEq, Eq)]
pub enum Body {
    /// This many bytes of the body are still to come. At 0, the body has ended.
    Length(u64),
    /// The body comes in chunks, each preceded by its size. The [`ChunkPart`] is expected next.
    Chunked(ChunkPart),
    /// All bytes up to the end of the stream belong to the body.
    UntilEnd,
}

/// The part of a chunked body that is arriving.
#[derive(Debug, PartialEq, Eq)]
pub enum ChunkPart {
    /// A chunk's size line is arriving. Holds the bytes of this line that have arrived.
    Size(Vec<u8>),
    /// A chunk's data is arriving. Holds the number of bytes still to come, including the CR LF
    /// after the data.
    Data(u64),
    /// A trailer line (a header field after the chunks) is arriving. Holds the number of its bytes
    /// that have arrived. An empty line ends the body.
    Trailer(usize),
}

impl Body {
    /// Returns the body that a request's head announces. If the head has neither
    /// `Transfer-Encoding` nor `Content-Length`, the body is empty.
    pub fn of_request(head: &Head) -> Body {
        Body::announced(head).unwrap_or(Body::Length(0))
    }

    /// Returns the body that a response's head announces. `method` is the method of the request
    /// that the response answers. The first case that applies determines the body:
    /// - If the status line is malformed, the body extends to the end of the stream.
    /// - If the method is HEAD, if the status is 204 or 304, or if the response [opens a
    ///   tunnel](opens_tunnel), the body is empty.
    /// - If the head has `Transfer-Encoding` or `Content-Length`, these fields determine the body.
    /// - Any other body extends to the end of the stream.
    pub fn of_response(head: &Head, method: &str) -> Body {
        let status = status_of(head.first_line());
        match (method, status) {
            // RFC 9110 §6.4.1: these responses have no body, whatever their fields say.
            ("HEAD", Some(_)) | (_, Some(204 | 304)) => Body::Length(0),
            _ if opens_tunnel(head, method) => Body::Length(0),
            (_, Some(_)) => Body::announced(head).unwrap_or(Body::UntilEnd),
            (_, None) => Body::UntilEnd,
        }
    }

    /// Returns the body that a head's fields announce, or `None` if the head has neither
    /// `Transfer-Encoding` nor `Content-Length`. If these fields don't determine where the body
    /// ends, it extends to the end of the stream.
    fn announced(head: &Head) -> Option<Body> {
        if head.header("Transfer-Encoding").is_some() {
            let last = head.list("Transfer-Encoding").pop();
            return Some(if last.is_some_and(|last| last.eq_ignore_ascii_case("chunked")) {
                Body::Chunked(ChunkPart::start_of_chunk())
            } else {
                Body::UntilEnd
            });
        }
        let length = head.values("Content-Length");
        let first = length.first()?;
        let is_number = first.bytes().all(|byte| byte.is_ascii_digit());
        let length = first.parse().ok().filter(|_| is_number && length.len() == 1);
        Some(length.map_or(Body::UntilEnd, Body::Length))
    }

    /// Consumes the bytes that belong to the body, and returns how many it consumed.
    pub fn take(&mut self, bytes: &[u8]) -> usize {
        match self {
            Body::UntilEnd => bytes.len(),
            Body::Length(left) => {
                let count = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= count as u64;
                count
            }
            Body::Chunked(_) => {
                let mut count = 0;
                while let (Body::Chunked(chunks), false) = (&mut *self, count == bytes.len()) {
                    let (taken, next) = chunks.take(&bytes[count..]);
                    count += taken;
                    next.into_iter().for_each(|next| *self = next);
                }
                match self {
                    Body::Chunked(_) | Body::Length(_) => count,
                    Body::UntilEnd => bytes.len(),
                }
            }
        }
    }

    /// Returns whether the body has ended, so that another head may follow.
    pub fn is_over(&self) -> bool {
        *self == Body::Length(0)
    }
}

/// Returns whether a response opens a tunnel: it answers a CONNECT request, and its status is 2xx
/// (RFC 9110 §9.3.6). `method` is the request's method. After the response's `head`, client and
/// server send bytes through the tunnel, for example another request and its response.
pub fn opens_tunnel(head: &Head, method: &str) -> bool {
    method == "CONNECT" && matches!(status_of(head.first_line()), Some(200..=299))
}

impl ChunkPart {
    fn start_of_chunk() -> ChunkPart {
        ChunkPart::Size(Vec::new())
    }

    /// Consumes bytes up to the end of the current line or chunk, and returns how many. The second
    /// value is `None` while the chunked body continues. Otherwise, it's the body's new state:
    /// `Length(0)` after the empty line that ends the body, or `UntilEnd` if a size line is invalid
    /// or too long.
    fn take(&mut self, bytes: &[u8]) -> (usize, Option<Body>) {
        let line = bytes.iter().position(|&byte| byte == b'\n').map(|end| end + 1);
        let in_line = line.unwrap_or(bytes.len());
        match self {
            ChunkPart::Size(begun) => {
                begun.extend_from_slice(&bytes[..in_line.min(MAX_LINE + 1)]);
                match (line, begun.len() > MAX_LINE) {
                    (_, true) => (in_line, Some(Body::UntilEnd)),
                    (None, false) => (in_line, None),
                    (Some(_), false) => match parse_size(begun) {
                        None => (in_line, Some(Body::UntilEnd)),
                        Some(0) => {
                            *self = ChunkPart::Trailer(0);
                            (in_line, None)
                        }
                        Some(size) => {
                            *self = ChunkPart::Data(size.saturating_add(2));
                            (in_line, None)
                        }
                    },
                }
            }
            ChunkPart::Data(left) => {
                let count = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= count as u64;
                if *left == 0 {
                    *self = ChunkPart::start_of_chunk();
                }
                (count, None)
            }
            ChunkPart::Trailer(begun) => {
                *begun += in_line;
                let ended = line.is_some() && *begun <= 2;
                if line.is_some() {
                    *begun = 0;
                }
                (in_line, ended.then_some(Body::Length(0)))
            }
        }
    }
}

/// Parses a chunk's size in bytes from its size line, and ignores chunk extensions after the size.
/// Returns `None` if the line contains no valid size.
fn parse_size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|&byte| byte == b';').next()?.trim_ascii();
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
    u64::from_str_radix(str::from_utf8(digits).ok()?, 16).ok().filter(|_| is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(fields: &str) -> Head {
        Head::parse(format!("HTTP/1.1 200 OK\r\n{fields}\r\n").as_bytes()).unwrap()
    }

    #[test]
    fn a_body_ends_at_the_same_byte_in_whatever_pieces_it_comes() {
        let chunks = b"4;a=b\r\nWiki\r\nA\r\n0123456789\r\n0\r\nX: y\r\n\r\n".as_slice();
        for (fields, body) in [
            ("Content-Length: 5\r\n", b"Hello".as_slice()),
            ("Transfer-Encoding: chunked\r\n", chunks),
            ("Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n"),
        ] {
            let bytes = [body, b"HTTP/1.1 "].concat();
            for cut in 0..=bytes.len() {
                let mut rest = Body::of_response(&head(fields), "GET");
                let mut taken = rest.take(&bytes[..cut]);
                assert_eq!(taken, cut.min(body.len()), "{fields}, cut at {cut}");
                taken += rest.take(&bytes[taken..]);
                assert_eq!((taken, rest.is_over()), (body.len(), true), "{fields}, cut at {cut}");
            }
        }
    }

    #[test]
    fn a_message_of_unknown_length_goes_on_to_the_end() {
        for fields in [
            "",
            "Content-Length: -1\r\n",
            "Content-Length: 1\r\nContent-Length: 2\r\n",
            "Transfer-Encoding: gzip\r\n",
        ] {
            assert_eq!(Body::of_response(&head(fields), "GET"), Body::UntilEnd, "{fields}");
        }
        let empty = head("Transfer-Encoding: \r\nContent-Length: 4\r\n");
        assert_eq!(Body::of_request(&empty), Body::UntilEnd);
        let mut chunks = Body::of_response(&head("Transfer-Encoding: chunked\r\n"), "GET");
        assert_eq!(chunks.take(b"zz\r\nmore"), 8);
        assert_eq!(chunks, Body::UntilEnd);
        let mut chunks = Body::of_response(&head("Transfer-Encoding: chunked\r\n"), "GET");
        assert_eq!(chunks.take(&[b'0'; 10_000]), 10_000);
        assert_eq!(chunks, Body::UntilEnd);
    }

    #[test]
    fn some_messages_have_no_body() {
        assert!(Body::of_request(&head("")).is_over());
        assert!(Body::of_response(&head("Content-Length: 9\r\n"), "HEAD").is_over());
        let no_content = Head::parse(b"HTTP/1.1 204 \r\nContent-Length: 9\r\n\r\n").unwrap();
        assert!(Body::of_response(&no_content, "GET").is_over());
        assert!(Body::of_response(&head("Content-Length: 9\r\n"), "CONNECT").is_over());
        let no_tunnel = Head::parse(b"HTTP/1.1 403 \r\nContent-Length: 9\r\n\r\n").unwrap();
        assert_eq!(Body::of_response(&no_tunnel, "CONNECT"), Body::Length(9));
    }
}
