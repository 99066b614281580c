//! An annotation as lines for a terminal: 80 columns, colour only if it is asked for.
//!
//! ```text
//! client → server, byte 0: text, 5 bytes, masked
//!   81 85 37 fa 21 3d 7f 9f 4d 51 58
//!   1.......  FIN: the last fragment of its message (§5.4)
//! ```
//!
//! Or as a picture, as the RFC draws it (§5.2). Text of a peer has been made safe before it came
//! here: see [`annotation`](super::annotation).

use super::annotation::{Annotation, Span, Verdict, What, hex};
use crate::frames::header::Role;

/// How it is to look.
#[derive(Clone, Copy, Debug, Default)]
pub struct Style {
    /// With the colours of a terminal.
    pub colour: bool,
    /// With a picture of the bits of each frame.
    pub pictures: bool,
}

/// What a terminal is that nobody has widened.
const COLUMNS: usize = 80;
/// Bits in a row of the picture.
const ROW: u64 = 32;
/// Rows of a picture; the rest is told by its span.
const MOST_ROWS: u64 = 5;

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "31";
const GREEN: &str = "32";
const CLIENT: &str = "1;36";
const SERVER: &str = "1;35";

/// All lines of an annotation. `name`: of the connection, where there are several.
pub fn annotation(annotation: &Annotation, name: &str, style: Style) -> String {
    let paint = |code: &str, text: &str| match style.colour {
        true => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        false => text.to_owned(),
    };
    let (direction, colour) = match annotation.from {
        Role::Client => ("client → server", CLIENT),
        Role::Server => ("server → client", SERVER),
    };
    let name = if name.is_empty() { String::new() } else { format!("{name} ") };
    let place = format!(", byte {}: ", annotation.start);
    let before = name.chars().count() + direction.chars().count() + place.len();
    let title = wrap(&annotation.title, COLUMNS.saturating_sub(before));
    let mut out =
        format!("{name}{}{place}{}\n", paint(colour, direction), paint(BOLD, &title.join(" ")));
    if annotation.what == What::Frame {
        for line in wrap(&hex(&annotation.bytes, 48), COLUMNS - 2) {
            out += &format!("  {}\n", paint(DIM, &line));
        }
        if style.pictures {
            out += &picture(annotation);
        }
    }
    for span in &annotation.spans {
        let (first, rest) = lines(annotation.what, span);
        out += &format!("  {}\n", paint_field(&first, span, &paint));
        rest.iter().for_each(|line| out += &format!("  {}\n", paint(DIM, line)));
    }
    let (colour, told) = match &annotation.verdict {
        Verdict::Fine => (GREEN, String::new()),
        Verdict::Missing(what) => (RED, format!("cut: {what} missing")),
        Verdict::Refused(refusal) => (RED, format!("refused: {refusal}")),
        Verdict::Rejected(rejection) => (RED, format!("not taken: {}", rejection.diagnostic)),
        Verdict::Broken(violation) => (RED, format!("broken: {violation}")),
    };
    for line in told.lines() {
        for line in wrap(line, COLUMNS - 6) {
            out += &format!("  {}\n", paint(colour, &format!("! {line}")));
        }
    }
    out
}

fn paint_field(line: &str, span: &Span, paint: &dyn Fn(&str, &str) -> String) -> String {
    match line.find(&span.field) {
        Some(at) if !span.field.is_empty() => {
            let (before, rest) = line.split_at(at);
            let (field, after) = rest.split_at(span.field.len());
            format!("{before}{}{after}", paint(BOLD, field))
        }
        _ => line.to_owned(),
    }
}

/// The first line of a span, and those below it.
fn lines(what: What, span: &Span) -> (String, Vec<String>) {
    let width = COLUMNS - 2;
    let section = format!(" ({})", span.section);
    if what != What::Frame {
        let mut value = wrap(&format!("{}: {}", span.field, span.value), width);
        let first = value.remove(0);
        let below = wrap(&(span.meaning.clone() + &section), width - 4);
        let indented = value.iter().chain(&below).map(|line| format!("    {line}")).collect();
        return (first, indented);
    }
    let bits = span.bits.end - span.bits.start;
    let (left, text) = match bits < 8 {
        true => {
            let before = (span.bits.start % 8) as usize;
            let pattern = format!("{}{}", ".".repeat(before), span.value);
            (format!("{pattern:.<8}"), format!("{}: {}", span.field, span.meaning))
        }
        false => (span.field.clone(), format!("{}: {}", span.value, span.meaning)),
    };
    let mut wrapped = wrap(&(text + &section), width - 10);
    let first = format!("{left:<8}  {}", wrapped.remove(0));
    (first, wrapped.iter().map(|line| format!("{:10}{line}", "")).collect())
}

/// Breaks at blanks, or within a word that is longer than a line. One line at least.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(16);
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last().map_or(0, |line| line.chars().count());
        let length = word.chars().count();
        match last {
            0 => {}
            _ if last + 1 + length <= width => {
                lines.last_mut().into_iter().for_each(|l| l.push(' '))
            }
            _ => lines.push(String::new()),
        }
        for c in word.chars() {
            if lines.last().is_some_and(|line| line.chars().count() == width) {
                lines.push(String::new());
            }
            lines.last_mut().into_iter().for_each(|line| line.push(c));
        }
    }
    lines
}

/// The bits as the RFC draws them: a row of 32, with a wall where a field begins, and the names below.
pub fn picture(annotation: &Annotation) -> String {
    let bits = (annotation.bytes.len() as u64 * 8).min(ROW * MOST_ROWS);
    let bit = |at: u64| annotation.bytes[(at / 8) as usize] >> (7 - at % 8) & 1;
    let wall = |at: u64| {
        at.is_multiple_of(ROW)
            || at == bits
            || annotation.spans.iter().any(|span| span.bits.start == at)
    };
    let mut out = String::new();
    out += "   0                   1                   2                   3\n";
    out += "   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1\n";
    for row in (0..bits).step_by(ROW as usize) {
        let end = (row + ROW).min(bits);
        let (mut border, mut values, mut names) =
            ("  ".to_owned(), "  ".to_owned(), "  ".to_owned());
        for at in row..end {
            border += if wall(at) { "+-" } else { "--" };
            values += &format!("{}{}", if wall(at) { '|' } else { ' ' }, bit(at));
        }
        for span in
            annotation.spans.iter().filter(|span| span.bits.start < end && span.bits.end > row)
        {
            let cells = span.bits.end.min(end) - span.bits.start.max(row);
            let width = (cells * 2 - 1) as usize;
            let name: String = span.field.chars().take(width).collect();
            names += &format!("|{name:^width$}");
        }
        out += &format!("{border}+\n{values}|\n{names}|\n");
        if end == bits {
            out += &format!("{border}+\n");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::conversation::explain_frames;
    use crate::explain::heads::Settings;

    #[test]
    fn lines_are_no_longer_than_a_terminal_is_wide() {
        let text = "x".repeat(500) + " y";
        assert!(wrap(&text, 70).iter().all(|line| line.chars().count() <= 70));
        let frame = [&b"\x81\x7e\x01\x00"[..], &[b'a'; 256]].concat();
        for told in explain_frames(&frame, Role::Server, &Settings::default()) {
            let printed = annotation(&told, "tab 12", Style { colour: false, pictures: true });
            assert!(printed.lines().all(|line| line.chars().count() <= COLUMNS), "{printed}");
        }
    }

    #[test]
    fn nothing_of_a_peer_reaches_the_terminal_unescaped() {
        let frame = b"\x82\x06\x1b[2J\x07\x9b".to_vec();
        let text = [&b"\x81\x06"[..], "\u{1b}\u{9b}\u{202e}".as_bytes()].concat();
        for bytes in [frame, text] {
            for told in explain_frames(&bytes, Role::Server, &Settings::default()) {
                let printed = annotation(&told, "", Style::default());
                assert!(!printed.chars().any(|c| c != '\n' && (c.is_control() || c == '\u{202e}')));
            }
        }
    }
}
