//! Parses `Sec-WebSocket-Extensions`: its header lines become a list of extensions (RFC 6455 §9.1).
//!
//! ```text
//! permessage-deflate; client_max_window_bits , permessage-deflate; server_max_window_bits="10"
//! └──── name ──────┘  └──── parameter ─────┘   └──── the next ───┘ └──── parameter ─────┘ └ value
//! ```
//!
//! Rules of this file:
//! - The list may span several lines. A comma or semicolon inside quotes isn't a separator.
//! - A quoted value means the same as an unquoted one. The text inside the quotes must be a token.
//! - This file checks only the grammar. [`deflate_params`](super::deflate_params) interprets the
//!   names and decides which extension to use.

use crate::http::head::Head;
use crate::http::syntax::{is_token, trim};

/// The name of the header in which a client offers extensions and a server accepts them.
pub const HEADER: &str = "Sec-WebSocket-Extensions";

/// An extension that a client offers or a server accepts in a `Sec-WebSocket-Extensions` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// The extension's name, such as `permessage-deflate`.
    pub name: String,
    /// The extension's parameters, in the header's order. Each has a name, and some have a value.
    pub parameters: Vec<(String, Option<String>)>,
}

/// The error for a `Sec-WebSocket-Extensions` line that breaks the grammar or names no extension.
/// This error holds the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAnExtensionList(pub String);

/// Parses all extensions that a request or response lists, in their order. Returns an empty list if
/// the head has no `Sec-WebSocket-Extensions` line. Fails at the first such line that breaks the
/// grammar or names no extension.
pub fn parse(head: &Head) -> Result<Vec<Extension>, NotAnExtensionList> {
    let mut all = Vec::new();
    for line in head.values(HEADER) {
        // §9.1: a line names at least one extension.
        let some = parse_line(line).filter(|some| !some.is_empty());
        all.extend(some.ok_or(NotAnExtensionList(line.into()))?);
    }
    Ok(all)
}

fn parse_line(line: &str) -> Option<Vec<Extension>> {
    let mut cursor = Cursor { rest: trim(line) };
    let mut found = Vec::new();
    loop {
        // RFC 9110 §5.6.1: empty list elements are skipped.
        while cursor.take_separator(',') {}
        if cursor.rest.is_empty() {
            return Some(found);
        }
        found.push(cursor.take_extension()?);
        if !cursor.rest.is_empty() && !cursor.take_separator(',') {
            return None;
        }
    }
}

/// The rest of a `Sec-WebSocket-Extensions` line: the part that isn't parsed yet.
struct Cursor<'a> {
    rest: &'a str,
}

impl Cursor<'_> {
    fn take_extension(&mut self) -> Option<Extension> {
        let name = self.take_token()?;
        let mut parameters = Vec::new();
        while self.take_separator(';') {
            let parameter = self.take_token()?;
            let value = if self.take_separator('=') { Some(self.take_value()?) } else { None };
            parameters.push((parameter, value));
        }
        Some(Extension { name, parameters })
    }

    /// Skips white space, then the separator `mark` if it comes next, and white space after it.
    /// Returns whether `mark` came next.
    fn take_separator(&mut self, mark: char) -> bool {
        self.rest = trim(self.rest);
        let after_mark = self.rest.strip_prefix(mark);
        self.rest = trim(after_mark.unwrap_or(self.rest));
        after_mark.is_some()
    }

    fn take_token(&mut self) -> Option<String> {
        let end = self.rest.find([',', ';', '=', ' ', '\t']).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest;
        is_token(token).then(|| token.into())
    }

    fn take_value(&mut self) -> Option<String> {
        let Some(quoted) = self.rest.strip_prefix('"') else { return self.take_token() };
        let mut value = String::new();
        let mut characters = quoted.chars();
        loop {
            match characters.next()? {
                '"' => break,
                '\\' => value.push(characters.next()?),
                character => value.push(character),
            }
        }
        self.rest = characters.as_str();
        // RFC 6455 §9.1: the quoted text is a token.
        is_token(&value).then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> Option<String> {
        let one = |extension: Extension| {
            let parameters = extension.parameters.into_iter().map(|(name, value)| match value {
                Some(value) => format!("; {name}={value}"),
                None => format!("; {name}"),
            });
            extension.name + &parameters.collect::<String>()
        };
        Some(parse_line(line)?.into_iter().map(one).collect::<Vec<_>>().join(" | "))
    }

    #[test]
    fn a_list_is_split_at_commas_and_semicolons_but_not_within_quotes() {
        for (line, expected) in [
            ("a", "a"),
            ("a,b", "a | b"),
            ("a ; b\t;c = d , e;f=\"g\"", "a; b; c=d | e; f=g"),
            (r#"a; b="\1\0", c"#, "a; b=10 | c"),
            (" , a, ,b,", "a | b"),
            ("", ""),
        ] {
            assert_eq!(shown(line).as_deref(), Some(expected), "{line:?}");
        }
    }

    #[test]
    fn a_list_against_the_grammar_is_refused() {
        for line in [
            "a b",
            ";a",
            "a;",
            "a;;b",
            "a; b=",
            "a; =b",
            "a; b=c d",
            "a=b",
            "a; b=\"",
            "a; b=\"c",
            "a; b=\"c\"d",
            r#"a; b="c\"#,
            "a; b=\"\"",
            "a; b=\"c,d\"",
            "a; b=\"c d\"",
            "a/b",
            "\u{e9}",
            "a; b=\"\u{e9}\"",
        ] {
            assert_eq!(shown(line), None, "{line:?}");
        }
    }

    #[test]
    fn section_9_1_a_line_without_an_extension_is_no_list() {
        for line in ["", " ", ",", " , ,"] {
            let head = format!("GET / HTTP/1.1\r\n{HEADER}: {line}\r\n\r\n");
            let head = Head::parse(head.as_bytes()).unwrap();
            assert_eq!(parse(&head), Err(NotAnExtensionList(trim(line).into())), "{line:?}");
        }
    }

    #[test]
    fn a_list_goes_over_several_lines() {
        let head =
            b"GET / HTTP/1.1\r\nSec-WebSocket-Extensions: a\r\nsec-websocket-extensions: b\r\n\r\n";
        let names = parse(&Head::parse(head).unwrap()).unwrap().into_iter().map(|one| one.name);
        assert_eq!(names.collect::<Vec<_>>(), ["a", "b"]);
    }
}
