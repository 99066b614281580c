//! Reads the body of a server's response as text, which the client shows in an error (RFC 9112 §6).
//! The response's head determines where the body ends:
//!
//! ```text
//! Content-Length: 5 │ Hello            that many bytes
//! Transfer-Encoding: chunked │ 5 CRLF Hello CRLF 0 CRLF CRLF
//!                                      pieces, each with its length in hex; the last one is empty
//! neither │ Hello                      all bytes until the stream ends
//! ```
//!
//! Rules of this file:
//! - A 204 and a 304 have no body, whatever their heads say.
//! - [`Body`] stores only as many bytes as its caller allows, and examines each byte once.
//! - A chunk whose length is malformed ends the body. The chunks before it are kept.

use super::head::Head;

/// The body of an HTTP response, which the client receives piece by piece.
#[derive(Debug)]
pub struct Body {
    rest: Expected,
    bytes: Vec<u8>,
    /// The maximum number of bytes that this body stores. Later bytes are dropped.
    most: usize,
}

/// The part of a body that comes next in the stream.
#[derive(Debug)]
enum Expected {
    /// Nothing more follows: the body has ended.
    Nothing,
    /// The body ends after this many more bytes.
    Bytes(u64),
    /// The next bytes belong to the line with the next chunk's length. Holds the part of this line
    /// that has already arrived.
    ChunkLength(String),
    /// This many more bytes of a chunk follow, including the CR LF that ends the chunk.
    Chunk(u64),
    /// The body continues until the stream ends, because the head announces neither a valid
    /// `Content-Length` nor chunks.
    All,
}

/// The maximum size, in bytes, of the line that contains a chunk's length. A longer line ends the
/// body. Without this limit, a hostile server could fill the client's memory with a line that never
/// ends.
const MAX_CHUNK_LINE: usize = 256;

impl Body {
    /// Creates the body of a response with this head and status. The body is still empty. `most` is
    /// the maximum number of bytes that it will store.
    pub fn after_head(head: &Head, status: u16, most: usize) -> Body {
        let length = head.header("Content-Length").and_then(|length| length.parse().ok());
        let rest = match length {
            _ if matches!(status, 204 | 304) => Expected::Nothing,
            // RFC 9112 §6.3: `Transfer-Encoding` takes precedence over `Content-Length`.
            _ if head.list_contains("Transfer-Encoding", "chunked") => {
                Expected::ChunkLength(String::new())
            }
            Some(length) => Expected::Bytes(length),
            None => Expected::All,
        };
        Body { rest, bytes: Vec::new(), most }
    }

    /// Returns whether the body needs no more bytes: it has ended, or it already stores its maximum
    /// number of bytes.
    pub fn has_enough(&self) -> bool {
        matches!(self.rest, Expected::Nothing | Expected::Bytes(0)) || self.bytes.len() == self.most
    }

    /// Adds the next bytes from the stream to the body. Ignores bytes after the body's end, and
    /// stores no more bytes than the body's maximum.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.has_enough() {
            match &mut self.rest {
                Expected::Nothing => {}
                Expected::All => self.keep(std::mem::take(&mut bytes)),
                Expected::Bytes(left) => {
                    let some = take_at_most(&mut bytes, *left);
                    *left -= some.len() as u64;
                    self.keep(some);
                }
                Expected::ChunkLength(line) => {
                    line.push(char::from(take_at_most(&mut bytes, 1)[0]));
                    if let Some(line) = line.strip_suffix("\r\n") {
                        self.rest = match chunk_length(line) {
                            // The last chunk has length 0. Trailers may follow it, but they don't
                            // belong to the body. A malformed length ends the body, too.
                            None | Some(0) => Expected::Nothing,
                            Some(length) => Expected::Chunk(length.saturating_add(2)),
                        };
                    } else if line.len() > MAX_CHUNK_LINE {
                        self.rest = Expected::Nothing;
                    }
                }
                Expected::Chunk(left) => {
                    let of_payload = left.saturating_sub(2);
                    let some =
                        take_at_most(&mut bytes, if of_payload > 0 { of_payload } else { *left });
                    *left -= some.len() as u64;
                    if *left == 0 {
                        self.rest = Expected::ChunkLength(String::new());
                    }
                    if of_payload > 0 {
                        self.keep(some);
                    }
                }
            }
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = self.most - self.bytes.len();
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Returns the stored bytes as text. Bytes that aren't UTF-8 become U+FFFD.
    pub fn into_text(self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// Removes and returns the first `most` bytes of `bytes`, or all of them if there are fewer.
fn take_at_most<'a>(bytes: &mut &'a [u8], most: u64) -> &'a [u8] {
    let count = usize::try_from(most).map_or(bytes.len(), |most| most.min(bytes.len()));
    let (first, rest) = bytes.split_at(count);
    *bytes = rest;
    first
}

/// Parses a chunk's hexadecimal length from the line before the chunk, and ignores the chunk
/// extensions after the length (RFC 9112 §7.1.1). Returns `None` if the line has no valid length.
fn chunk_length(line: &str) -> Option<u64> {
    let digits = line.split([';', ' ', '\t']).next().unwrap_or_default();
    let are_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u64::from_str_radix(digits, 16).ok().filter(|_| are_hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a body in one piece and byte by byte, and checks that both results are the same.
    /// Returns the body's text and whether the body ended.
    fn read(status: u16, fields: &str, bytes: &str) -> (String, bool) {
        let head = format!("HTTP/1.1 {status} x\r\n{fields}\r\n");
        let head = Head::parse_response(head.as_bytes()).unwrap();
        let read_in = |pieces: usize| {
            let mut body = Body::after_head(&head, status, 16);
            bytes.as_bytes().chunks(pieces).for_each(|piece| body.push(piece));
            let is_over = body.has_enough();
            (body.into_text(), is_over)
        };
        assert_eq!(read_in(1), read_in(bytes.len().max(1)), "{fields}{bytes}");
        read_in(1)
    }

    #[test]
    fn a_body_ends_where_its_length_or_its_last_chunk_says() {
        let chunked = "Transfer-Encoding: chunked\r\n";
        for (status, fields, bytes, text, is_over) in [
            (404, "", "no end", "no end", false),
            (404, "Content-Length: 5\r\n", "Hello, and more", "Hello", true),
            (404, "Content-Length: 5\r\n", "Hel", "Hel", false),
            (404, "Content-Length: 0\r\n", "x", "", true),
            (404, "Content-Length: x\r\n", "no end", "no end", false),
            (
                404,
                chunked,
                "5\r\nHello\r\n2;a=b\r\n, \r\nA\r\n0123456789\r\n",
                "Hello, 012345678",
                true,
            ),
            (404, chunked, "5\r\nHello\r\n0\r\nX: y\r\n\r\n", "Hello", true),
            (404, chunked, "5\r\nHello", "Hello", false),
            (404, chunked, "5\r\nHello\r", "Hello", false),
            (404, &format!("{chunked}Content-Length: 2\r\n"), "3\r\nabc\r\n0\r\n", "abc", true),
            (404, chunked, "no length\r\nHello", "", true),
            (404, chunked, "-5\r\nHello", "", true),
            (404, chunked, "fffffffffffffffff\r\nHello", "", true),
            (404, chunked, "ffffffffffffffff\r\nHello", "Hello", false),
            (204, "", "x", "", true),
            (304, "Content-Length: 5\r\n", "Hello", "", true),
        ] {
            assert_eq!(read(status, fields, bytes), (text.into(), is_over), "{fields}{bytes}");
        }
    }

    #[test]
    fn what_if_the_line_of_a_chunk_has_no_end() {
        let line = format!("5;{}", "x".repeat(1000));
        assert_eq!(read(404, "Transfer-Encoding: chunked\r\n", &line), (String::new(), true));
    }
}
