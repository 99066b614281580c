//! Parses the head of an HTTP message: its bytes become a first line and header fields.
//!
//! ```text
//! GET /chat HTTP/1.1 CRLF          the first line
//! Host: example.com CRLF           fields: name, colon, value
//! Upgrade: websocket CRLF
//! CRLF                             an empty line ends the head; later bytes aren't part of it
//! ```
//!
//! Rules of this file:
//! - [`Scan`] finds the end of the head. It examines each byte once, even if the head arrives in
//!   pieces, so its work is linear. It refuses a forbidden byte at once, without waiting for the
//!   rest of the head.
//! - [`Head`] then validates each line.
//! - Both are strict where lenient parsers have made request smuggling possible (RFC 9112 §2.2,
//!   §5). Only CR LF ends a line. Together, they refuse a space before the colon, a control byte
//!   other than a tab, and a folded line, which continues the line before it. Only
//!   [`Head::parse_response`] accepts folded lines.
//! - The head's size is limited: too many bytes or lines cause a 431.
//! - One empty line may precede the first line, and counts as part of the head.
//!   [`request`](super::request) skips it, as RFC 9112 §2.2 recommends for servers. A client
//!   rejects a response that begins with an empty line.
//!
//! Elsewhere: [`request`](super::request) reads the request line,
//! [`handshake::client`](crate::handshake::client) reads the status line, and
//! [`handshake::server`](crate::handshake::server) decides what the fields mean.

use super::refusal::Refusal;
use super::syntax::{is_token, trim};
use crate::diagnostic::quote;

/// The first byte that a TLS client sends: the record type of its handshake. Plain HTTP never
/// begins with this byte, so the byte reveals a client that speaks TLS to a plain port.
const TLS_HANDSHAKE: u8 = 0x16;
/// The bytes of an empty line. An empty line ends each HTTP head, and one may precede a head.
pub(super) const EMPTY_LINE: &[u8] = b"\r\n";

/// A scan for the empty line that ends an HTTP head. It examines each byte once, even if the head
/// arrives in many pieces.
#[derive(Debug)]
pub struct Scan {
    max_bytes: usize,
    max_lines: usize,
    scanned: usize,
    lines: usize,
    line_is_empty: bool,
    after_cr: bool,
}

impl Scan {
    /// Starts a scan for a head of at most `max_bytes` bytes and `max_lines` lines. A larger head
    /// is refused with a 431.
    pub fn new(max_bytes: usize, max_lines: usize) -> Scan {
        Scan { max_bytes, max_lines, scanned: 0, lines: 0, line_is_empty: true, after_cr: false }
    }

    /// Returns how many bytes the scan has examined. After a refusal, the last of these bytes is
    /// the byte that caused the refusal.
    pub fn scanned(&self) -> usize {
        self.scanned
    }

    // WALK: scan
    /// Continues the scan in `bytes`, which must hold everything that has arrived since the head
    /// began. Returns `Some(n)` if the first `n` bytes are the head, and `None` if the head isn't
    /// complete yet. Fails at the first byte that HTTP forbids or that exceeds a limit.
    pub fn advance(&mut self, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        while let Some(&byte) = bytes.get(self.scanned) {
            self.scanned += 1;
            if self.scanned > self.max_bytes {
                return Err(refusal_too_large(format!("more than {} bytes", self.max_bytes)));
            }
            match (self.after_cr, byte) {
                (true, b'\n') if self.line_is_empty && self.scanned > EMPTY_LINE.len() => {
                    return Ok(Some(self.scanned));
                }
                // RFC 9112 §2.2: old clients send an empty line after a body, before the next
                // request.
                (true, b'\n') if self.line_is_empty => self.after_cr = false,
                (true, b'\n') => {
                    (self.after_cr, self.line_is_empty) = (false, true);
                    self.lines += 1;
                    if self.lines > self.max_lines {
                        return Err(refusal_too_large(format!(
                            "more than {} lines",
                            self.max_lines
                        )));
                    }
                }
                (false, b'\r') => self.after_cr = true,
                (false, b'\t' | b' '..=b'~' | 0x80..) => self.line_is_empty = false,
                // All remaining cases are errors: CR without LF, LF without CR, and control bytes.
                (_, TLS_HANDSHAKE) if self.scanned == 1 => {
                    return Err(Refusal::new(400, "TLS to a plain port", ""));
                }
                (true, _) => return Err(refusal_of_bare_cr(self.scanned - 2, byte)),
                _ => return Err(refusal_of_bad_byte(byte, self.scanned - 1)),
            }
        }
        Ok(None)
    }
}

/// The head of an HTTP request or response: its first line, then the header fields in their order.
///
/// A `Head` stores its text and the offsets of its line ends, and searches for a field's name on
/// each call. A connection keeps its request's head until the connection closes, so a small `Head`
/// matters more than a fast search.
#[derive(Clone, Debug)]
pub struct Head {
    text: String,
    /// For each line of the text, the offset of the byte after its CR LF.
    line_ends: Vec<usize>,
}

impl Head {
    /// Parses a head. `bytes` is the complete head, up to and including the empty line that ends
    /// it. [`Scan`] finds that end. Refuses the head with a 400 if a header field is malformed.
    pub fn parse(bytes: &[u8]) -> Result<Head, Refusal> {
        let text = decode_utf8_or_latin1(bytes);
        let head = Head { line_ends: line_ends(&text), text };
        head.raw_field_lines().try_for_each(check_field)?;
        Ok(head)
    }

    /// Parses the head of a server's response. Unlike [`parse`](Head::parse), this function allows
    /// folded lines: a line that begins with white space continues the line before it (RFC 9112
    /// §5.2).
    ///
    /// Folded lines are safe for a client that sends only one request: there is no second response
    /// that an attacker could smuggle into the first.
    pub fn parse_response(bytes: &[u8]) -> Result<Head, Refusal> {
        Head::parse(&unfold(bytes))
    }

    /// Returns the first line: the request line of a request, or the status line of a response.
    pub fn first_line(&self) -> &str {
        self.line(0, self.line_ends.first().copied().unwrap_or_default())
    }

    /// Returns the value of the first header field with this name, or `None` if the head has no
    /// such field. Ignores the name's case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.values_named(name).next()
    }

    /// Returns the values of all header fields with this name, in their order in the head. Ignores
    /// the name's case.
    pub fn values(&self, name: &str) -> Vec<&str> {
        self.values_named(name).collect()
    }

    /// Returns the value of the header field with this name, or `None` if the head has no such
    /// field or more than one. Ignores the name's case.
    pub fn only(&self, name: &str) -> Option<&str> {
        let mut values = self.values_named(name);
        values.next().filter(|_| values.next().is_none())
    }

    /// Returns the elements of the comma-separated list in the header field `name`. The list may
    /// span several fields with this name. Empty elements are skipped (RFC 9110 §5.6.1.2).
    pub fn list(&self, name: &str) -> Vec<&str> {
        self.elements(name).collect()
    }

    /// Returns whether the comma-separated list in the header `name` contains the element `token`.
    /// Upper and lower case make no difference, neither in the header's name nor in the element.
    pub fn list_contains(&self, name: &str, token: &str) -> bool {
        self.elements(name).any(|element| element.eq_ignore_ascii_case(token))
    }

    /// Returns all header fields in their order in the head, as pairs of name and value.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        let fields = self.raw_field_lines().filter_map(|line| line.split_once(':'));
        fields.map(|(name, value)| (name, trim(value)))
    }

    fn elements<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let elements = self.values_named(name).flat_map(|value| value.split(','));
        elements.map(trim).filter(|element| !element.is_empty())
    }

    /// Returns the values of the header fields with this name. Compares the names only if a line
    /// has a colon right after `name.len()` bytes. That check is cheap, and most lines fail it.
    fn values_named<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.raw_field_lines().filter_map(move |line| {
            let (start, rest) = line.split_at_checked(name.len())?;
            let value = rest.strip_prefix(':')?;
            start.eq_ignore_ascii_case(name).then(|| trim(value))
        })
    }

    fn raw_field_lines(&self) -> impl Iterator<Item = &str> {
        self.line_ends.windows(2).map(|ends| self.line(ends[0], ends[1]))
    }

    fn line(&self, start: usize, end: usize) -> &str {
        without_line_break(&self.text[start..end])
    }
}

/// Returns, for each line of a head, the offset of the byte after its CR LF. The empty line that
/// ends the head isn't included.
fn line_ends(text: &str) -> Vec<usize> {
    let mut ends = Vec::with_capacity(text.bytes().filter(|&byte| byte == b'\n').count());
    let mut end = 0;
    for line in text.split_inclusive('\n') {
        if end > 0 && without_line_break(line).is_empty() {
            break;
        }
        end += line.len();
        ends.push(end);
    }
    ends
}

fn without_line_break(line: &str) -> &str {
    let line = line.strip_suffix('\n').unwrap_or(line);
    line.strip_suffix('\r').unwrap_or(line)
}

/// Converts a head's bytes to text. A line that isn't UTF-8 is read as Latin-1, as in old headers
/// (RFC 9110 §5.5): each byte becomes one character. That way, different values stay different. If
/// U+FFFD replaced such bytes instead, one cookie could be mistaken for another.
fn decode_utf8_or_latin1(bytes: &[u8]) -> String {
    if let Ok(text) = str::from_utf8(bytes) {
        return text.to_owned();
    }
    let mut text = String::new();
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        match str::from_utf8(line) {
            Ok(line) => text.push_str(line),
            Err(_) => text.extend(line.iter().copied().map(char::from)),
        }
    }
    text
}

/// Unfolds the header fields of a response: joins each line that begins with white space to the
/// field before it.
fn unfold(bytes: &[u8]) -> Vec<u8> {
    let mut unfold: Vec<u8> = Vec::with_capacity(bytes.len());
    for (i, line) in bytes.split_inclusive(|&byte| byte == b'\n').enumerate() {
        // The status line isn't a field, so the line after it can't continue it.
        let is_folded = i > 1 && matches!(line, [b' ' | b'\t', ..]);
        match is_folded {
            true => {
                unfold.truncate(unfold.trim_ascii_end().len());
                unfold.push(b' ');
                unfold.extend_from_slice(line.trim_ascii_start());
                // If the line is all white space, trimming has also removed its CR LF.
                if line.trim_ascii().is_empty() {
                    unfold.extend_from_slice(EMPTY_LINE);
                }
            }
            false => unfold.extend_from_slice(line),
        }
    }
    unfold
}

fn check_field(line: &str) -> Result<(), Refusal> {
    if line.starts_with([' ', '\t']) {
        return Err(Refusal::new(400, "a folded line", quote(line)));
    }
    match line.split_once(':') {
        Some((name, _)) if is_token(name) => Ok(()),
        _ => Err(Refusal::new(400, "not a header", quote(line))),
    }
}

fn refusal_too_large(seen: String) -> Refusal {
    Refusal::new(431, "a head too large", seen)
}

fn refusal_of_bare_cr(at: usize, next: u8) -> Refusal {
    let seen = format!("byte 0x0d (CR) at offset {at}, with {next:#04x} after it and not LF");
    Refusal::new(400, "a control byte", seen)
}

fn refusal_of_bad_byte(byte: u8, at: usize) -> Refusal {
    let heading = if byte == b'\n' { "a bare LF" } else { "a control byte" };
    Refusal::new(400, heading, format!("byte {byte:#04x} at offset {at}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nX-List: b , c\r\nx-list:d\r\n\r\n";

    fn scan(bytes: &[u8]) -> Result<Option<usize>, u16> {
        Scan::new(16_384, 100).advance(bytes).map_err(|refusal| refusal.status())
    }

    #[test]
    fn a_head_ends_at_its_empty_line_and_leaves_what_follows() {
        let with_more = [HEAD, b"\x81\x85"].concat();
        assert_eq!(scan(&with_more), Ok(Some(HEAD.len())));
    }

    #[test]
    fn a_head_byte_by_byte_needs_more_until_its_last() {
        let mut scan = Scan::new(16_384, 100);
        for end in 0..HEAD.len() {
            assert_eq!(scan.advance(&HEAD[..end]).unwrap(), None, "after {end} bytes");
        }
        assert_eq!(scan.advance(HEAD).unwrap(), Some(HEAD.len()));
    }

    #[test]
    fn a_bad_byte_is_refused_as_soon_as_it_is_there() {
        for bad in (0..=0x1f).filter(|b| !b"\t\r".contains(b)).chain([0x7f]) {
            assert_eq!(
                scan(&[b"GET / HTTP/1.1\r\nX: ", &[bad][..]].concat()),
                Err(400),
                "{bad:#x}"
            );
        }
        assert_eq!(scan(b"GET\rx"), Err(400));
        let shown = Scan::new(100, 9).advance(b"GET\rX").unwrap_err().to_string();
        assert!(shown.contains("0x0d (CR) at offset 3, with 0x58 after it"), "{shown}");
        assert_eq!(scan(&[TLS_HANDSHAKE]), Err(400));
    }

    #[test]
    fn a_head_may_be_as_large_as_the_limit_and_no_larger() {
        let mut exact = Scan::new(HEAD.len(), 4);
        assert_eq!(exact.advance(HEAD).unwrap(), Some(HEAD.len()));
        assert_eq!(Scan::new(HEAD.len() - 1, 4).advance(HEAD).unwrap_err().status(), 431);
        assert_eq!(Scan::new(HEAD.len(), 3).advance(HEAD).unwrap_err().status(), 431);
    }

    #[test]
    fn names_ignore_letter_case_and_lists_go_over_several_lines() {
        let head = Head::parse(HEAD).unwrap();
        assert_eq!(head.first_line(), "GET / HTTP/1.1");
        assert_eq!(head.header("HOST"), Some("a"));
        assert_eq!(head.list("x-list"), ["b", "c", "d"]);
        assert!(head.list_contains("X-List", "C") && !head.list_contains("X-List", "cd"));
    }

    #[test]
    fn the_fields_are_the_lines_between_the_first_line_and_the_empty_one() {
        for text in ["", "\r\n", "a", "a\r\n", "a\r\n\r\n", "a\r\nb:\r\nc:\n\nd", "\r\nb:c\r\n"] {
            let head = Head::parse(text.as_bytes()).unwrap();
            assert_eq!(head.first_line(), text.lines().next().unwrap_or_default(), "{text:?}");
            let fields = text.lines().skip(1).take_while(|line| !line.is_empty());
            assert!(head.raw_field_lines().eq(fields), "{text:?}");
        }
    }

    #[test]
    fn lines_that_are_no_headers_are_refused() {
        for line in ["A : b", " a: b", "\ta: b", ": b", "a", "a b: c", "a\u{e9}: b"] {
            let head = format!("GET / HTTP/1.1\r\n{line}\r\n\r\n");
            assert_eq!(Head::parse(head.as_bytes()).unwrap_err().status(), 400, "{line:?}");
        }
    }

    #[test]
    fn a_value_in_latin_1_does_not_spoil_the_head() {
        let head = Head::parse(b"GET / HTTP/1.1\r\nA: \xe9\r\nB: c\r\n\r\n").unwrap();
        assert_eq!(head.header("b"), Some("c"));
    }

    #[test]
    fn a_folded_line_of_an_answer_joins_the_line_before_it() {
        let parse = |text: &str| Head::parse_response(text.as_bytes());
        let head = parse("HTTP/1.1 200 OK\r\nA: b \r\n\t c\r\n d\r\nE: f\r\n \r\n\r\n").unwrap();
        assert_eq!((head.header("a"), head.header("e")), (Some("b c d"), Some("f")));
        assert!(parse("HTTP/1.1 200 OK\r\n A: b\r\n\r\n").is_err(), "the first line has no value");
        assert!(Head::parse(b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n").is_err());
    }

    #[test]
    fn values_that_differ_in_a_byte_that_is_no_utf_8_stay_different() {
        let value = |byte: u8| {
            let bytes =
                [b"GET / HTTP/1.1\r\nA: \xc3\xa9\r\nB: x", &[byte][..], b"\r\n\r\n"].concat();
            let head = Head::parse(&bytes).unwrap();
            assert_eq!(head.header("a"), Some("\u{e9}"), "a line in UTF-8 beside it");
            head.header("b").unwrap().to_owned()
        };
        let values: std::collections::HashSet<String> = (0x80..=0xff).map(value).collect();
        assert_eq!(values.len(), 128);
    }

    #[test]
    fn one_empty_line_in_front_is_part_of_the_head_and_a_second_one_its_end() {
        let with_empty_line = [b"\r\n", HEAD].concat();
        assert_eq!(scan(&with_empty_line), Ok(Some(HEAD.len() + 2)));
        assert_eq!(scan(b"\r\n"), Ok(None));
        assert_eq!(scan(b"\r\n\r\nGET"), Ok(Some(4)));
        assert_eq!(scan(b"\n"), Err(400));
    }

    #[test]
    fn what_if_a_head_is_all_white_space_and_colons() {
        let spaces =
            format!("GET / HTTP/1.1\r\nA:{}x{}\r\n\r\n", " ".repeat(8000), " ".repeat(8000));
        assert_eq!(Head::parse(spaces.as_bytes()).unwrap().header("a"), Some("x"));
    }
}
