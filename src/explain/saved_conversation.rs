//! Saves conversations as plain text, which a person can keep, edit, send to a colleague, and have
//! explained again.
//!
//! ```text
//! # a comment
//! client "GET /chat HTTP/1.1\r\n"
//! "Host: a\r\n"
//! server 81 05 48 65 6c6c6f
//! ```
//!
//! Rules of such a text:
//! - Each line names the sender, and then its bytes: as text in quotes, with the escapes `\r`,
//!   `\n`, `\"` and `\\`, or as pairs of hexadecimal digits. Spaces or colons may separate the
//!   pairs.
//! - A line that names no sender continues the line before. If the first line names no sender, its
//!   bytes determine the sender: a request or a masked frame comes from a client.
//! - A conversation that doesn't begin with a head counts as frames without a handshake.

use std::ops::ControlFlow;

use super::annotation::Annotation;
use super::conversation::Conversation;
use super::frames::FrameExplainer;
use super::heads::Settings;
use crate::frames::header::{MASK, Role};
use crate::handshake::deflate_params::DeflateParams;

/// The maximum number of bytes that one line of hex digits represents in a saved conversation.
const LINE: usize = 24;
/// The maximum length of a line of quoted text, in bytes. The beginning of a longer line is saved
/// as hex digits.
const MAX_TEXT_LINE: usize = 4096;

/// The number of bytes that [`explain_each`] explains before it checks whether `report` wants more
/// annotations.
const PIECE: usize = 1024;

/// One turn of a conversation: the end that sends, and the bytes that it sends before the other end
/// sends again.
pub type Turn = (Role, Vec<u8>);

/// Parses the saved text of a conversation into turns. If a line is invalid, the error contains the
/// line's number and the reason.
pub fn parse(text: &str) -> Result<Vec<Turn>, String> {
    let mut turns: Vec<(Option<Role>, Vec<u8>)> = Vec::new();
    // Some editors put a byte order mark before the text.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (from, rest) = match line.split_once(char::is_whitespace).unwrap_or((line, "")) {
            ("client", rest) => (Some(Role::Client), rest),
            ("server", rest) => (Some(Role::Server), rest),
            _ => (None, line),
        };
        let bytes = parse_bytes(rest).map_err(|why| format!("line {}: {why}", number + 1))?;
        match turns.last_mut() {
            Some((last, sent)) if from.is_none() || *last == from => sent.extend(bytes),
            _ => turns.push((from, bytes)),
        }
    }
    turns.retain(|(_, sent)| !sent.is_empty());
    Ok(turns
        .into_iter()
        .map(|(from, sent)| (from.unwrap_or_else(|| guess_sender(&sent)), sent))
        .collect())
}

/// Guesses which end sent these bytes, from how they begin. A request or a masked frame comes from
/// the client, and everything else counts as the server's.
pub fn guess_sender(bytes: &[u8]) -> Role {
    let is_client = match begins_with_head(bytes) {
        true => !after_empty_line(bytes).starts_with(b"HTTP/"),
        false => bytes.get(1).is_some_and(|second| second & MASK != 0),
    };
    if is_client { Role::Client } else { Role::Server }
}

/// Returns whether these bytes look like the head of a request or response: three or more capital
/// letters, then a space, a slash or the end of the bytes. An empty line may come before them. A
/// frame rarely begins like this, because a capital letter as its first byte sets a reserved bit.
pub fn begins_with_head(bytes: &[u8]) -> bool {
    let bytes = after_empty_line(bytes);
    let word = bytes.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    word >= 3 && matches!(bytes.get(word), None | Some(b' ' | b'/'))
}

/// Returns the bytes without an empty line at their beginning.
fn after_empty_line(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\r\n").unwrap_or(bytes)
}

/// Explains the turns of a saved conversation, in order. `deflate` matters only to a conversation
/// without a handshake: it holds the agreed compression parameters, or is `None` if the frames
/// aren't compressed.
pub fn explain(
    turns: &[Turn],
    settings: &Settings,
    deflate: Option<DeflateParams>,
) -> Vec<Annotation> {
    explain_first(turns, settings, deflate, usize::MAX)
}

/// Explains the turns of a saved conversation like [`explain`], but stops after the first `most`
/// annotations, so that a long conversation takes little work and memory.
pub fn explain_first(
    turns: &[Turn],
    settings: &Settings,
    deflate: Option<DeflateParams>,
    most: usize,
) -> Vec<Annotation> {
    let mut told = Vec::new();
    if most > 0 {
        explain_each(turns, settings, deflate, &mut |annotation| {
            told.push(annotation);
            if told.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
    }
    told
}

/// Like [`explain`], but passes each annotation to `report`, and stops when `report` returns
/// `Break`. Use this function for a long conversation: an annotation takes far more memory than a
/// short frame, so all annotations together may take a thousand times the conversation's size.
pub fn explain_each(
    turns: &[Turn],
    settings: &Settings,
    deflate: Option<DeflateParams>,
    report: &mut dyn FnMut(Annotation) -> ControlFlow<()>,
) {
    let begins_with_head = turns.first().is_some_and(|(_, bytes)| begins_with_head(bytes));
    let mut conversation = begins_with_head.then(|| Conversation::new(settings.clone()));
    let mut ends = [Role::Client, Role::Server].map(|from| {
        let mut frames = FrameExplainer::new(from, 0, settings.bounds);
        deflate.into_iter().for_each(|params| frames.agree(params));
        frames
    });
    let pieces =
        turns.iter().flat_map(|(from, bytes)| bytes.chunks(PIECE).map(|piece| (*from, piece)));
    let mut flow = ControlFlow::Continue(());
    // After the last piece, `None` stands for the end of both streams.
    for piece in pieces.map(Some).chain([None]) {
        let mut report = |annotation| {
            if flow.is_continue() {
                flow = report(annotation);
            }
        };
        match (&mut conversation, piece) {
            (Some(conversation), Some((from, piece))) => {
                conversation.push(from, piece, &mut report);
            }
            (Some(conversation), None) => {
                conversation.end(Role::Client, &mut report);
                conversation.end(Role::Server, &mut report);
            }
            (None, Some((from, piece))) => {
                ends[usize::from(from == Role::Server)].push(piece, &mut report);
            }
            (None, None) => ends.iter_mut().for_each(|frames| frames.end(&mut report)),
        }
        if flow.is_break() {
            return;
        }
    }
}

/// Writes the turns of a conversation as text that [`parse`] can read again. Lines of printable
/// ASCII become quoted text, and all other bytes become hex digits. Omits a turn without bytes.
pub fn write(turns: &[Turn]) -> String {
    let mut text = String::new();
    for (from, bytes) in turns.iter().filter(|(_, bytes)| !bytes.is_empty()) {
        let name = match from {
            Role::Client => "client",
            Role::Server => "server",
        };
        text += name;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let (line, count) = match text_line_length(rest) {
                Some(count) => (quoted(&rest[..count]), count),
                None => {
                    let piece = &rest[..rest.len().min(LINE)];
                    let digits: Vec<_> = piece.iter().map(|byte| format!("{byte:02x}")).collect();
                    (digits.join(" "), piece.len())
                }
            };
            text += if rest.len() == bytes.len() { " " } else { "" };
            text += &(line + "\n");
            rest = &rest[count..];
        }
    }
    text
}

/// Returns the length in bytes of the text line at the start of `bytes`, including its CR LF.
/// Returns `None` if no CR LF ends the line within [`MAX_TEXT_LINE`] bytes, or if the line isn't
/// printable ASCII.
fn text_line_length(bytes: &[u8]) -> Option<usize> {
    let end = bytes.iter().take(MAX_TEXT_LINE).position(|&byte| byte == b'\n')? + 1;
    let line = bytes[..end].strip_suffix(b"\r\n")?;
    line.iter().all(|&byte| byte == b' ' || byte.is_ascii_graphic()).then_some(end)
}

fn quoted(bytes: &[u8]) -> String {
    let text: String = bytes.iter().map(|&byte| char::from(byte)).collect();
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", text.replace('\r', "\\r").replace('\n', "\\n"))
}

fn parse_bytes(line: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        rest = match rest.strip_prefix('"') {
            Some(text) => parse_quoted(text, &mut bytes)?,
            None => {
                let (word, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
                parse_digits(word, &mut bytes)?;
                rest
            }
        };
        rest = rest.trim_start();
    }
    Ok(bytes)
}

fn parse_digits(word: &str, bytes: &mut Vec<u8>) -> Result<(), String> {
    // Some tools that print captured packets put colons between the bytes.
    let pairs = word.replace(':', "");
    let word = if word.split(':').all(|pair| pair.len() == 2) { &pairs } else { word };
    if !word.len().is_multiple_of(2) || !word.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let word: String = word.chars().take(20).flat_map(char::escape_default).collect();
        return Err(format!("\"{word}\" isn't pairs of hexadecimal digits, such as 81 05"));
    }
    let pairs = (0..word.len()).step_by(2).map(|at| u8::from_str_radix(&word[at..at + 2], 16));
    bytes.extend(pairs.map_while(Result::ok));
    Ok(())
}

/// Parses quoted text up to the closing quote, and appends the text to `bytes`. Returns the rest of
/// the line. The caller must remove the opening quote first. Fails if the closing quote is missing,
/// or if an escape is unknown.
fn parse_quoted<'a>(text: &'a str, bytes: &mut Vec<u8>) -> Result<&'a str, String> {
    let mut characters = text.chars();
    loop {
        let character = match characters.next().ok_or("a text without its closing quote")? {
            '"' => return Ok(characters.as_str()),
            '\\' => match characters.next() {
                Some('r') => '\r',
                Some('n') => '\n',
                Some(character @ ('"' | '\\')) => character,
                _ => return Err("after a backslash comes r, n, a quote or a backslash".into()),
            },
            character => character,
        };
        bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let turns: Vec<Turn> = vec![
            (Role::Client, b"GET /\"\\ HTTP/1.1\r\nHost: a\r\n\r\n\x81\x80\0\0\0\0".to_vec()),
            (Role::Server, b"HTTP/1.1 101 \r\n\r\n".to_vec()),
            (Role::Client, (0..=255).collect()),
            (Role::Server, Vec::new()),
            (Role::Client, Vec::new()),
            (Role::Server, b"\n\r\n\n\r\r\n\xff\r\n".to_vec()),
        ];
        let text = write(&turns);
        assert_eq!(parse(&text), Ok(turns.into_iter().filter(|turn| !turn.1.is_empty()).collect()));
    }

    #[test]
    fn no_more_of_a_conversation_is_explained_than_is_asked_for() {
        let frames = b"\x81\0".repeat(10_000);
        let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(3);
        for turns in [
            vec![(Role::Server, frames.clone())],
            vec![(Role::Client, head), (Role::Server, b"HTTP/1.1 200 \r\n\r\nHello".to_vec())],
        ] {
            let all = explain(&turns, &Settings::default(), None);
            for most in [0, 1, 2, all.len(), all.len() + 1] {
                let first = explain_first(&turns, &Settings::default(), None, most);
                assert_eq!(first.len(), most.min(all.len()));
                assert!(first.capacity() < 4 * (most + PIECE), "{most}: {}", first.capacity());
                let (last, same) = (format!("{:?}", first.last()), most.checked_sub(1));
                let same = same.and_then(|last| all.get(last));
                assert!(same.is_none() || last == format!("{same:?}"), "{most}: {last}");
            }
        }
    }

    #[test]
    fn bytes_alone_say_who_sends_them() {
        for (text, from) in [
            ("81 85 37 fa 21 3d 7f9f4d5158", Role::Client),
            ("# a comment\n\n 8105\n48656c6c6f", Role::Server),
            ("81:05:48:65:6c:6c:6f", Role::Server),
            ("\"GET / HTTP/1.1\\r\\n\"", Role::Client),
            ("\"HTTP/1.1 200 OK\\r\\n\"", Role::Server),
            ("\"\\r\\nGET / HTTP/1.1\\r\\n\"", Role::Client),
            ("\"\\r\\nHTTP/1.1 200 OK\\r\\n\"", Role::Server),
            ("\u{feff}81 05", Role::Server),
        ] {
            let turns = parse(text).unwrap();
            assert_eq!((turns.len(), turns[0].0), (1, from), "{text}");
        }
        assert_eq!(parse("# nothing"), Ok(Vec::new()));
    }

    #[test]
    fn a_line_that_is_not_understood_is_named() {
        for (text, why) in [
            ("81 05\nclient 8", "line 2: \"8\" isn't pairs"),
            ("zz", "line 1: \"zz\""),
            ("81:0:5", "line 1: \"81:0:5\""),
            ("\"abc", "line 1: a text without its closing quote"),
            ("\"\\x41\"", "line 1: after a backslash"),
            ("8\u{e9}", "line 1"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.starts_with(why), "{text}: {error}");
        }
    }
}
