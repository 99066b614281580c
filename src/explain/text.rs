//! Formats an annotation as text for an 80-column terminal, with or without colour.
//!
//! ```text
//! client → server, byte 0: text, 5 bytes, masked
//!   81 85 37 fa 21 3d 7f 9f 4d 51 58
//!   1.......  FIN: the last fragment of its message (§5.4)
//! ```
//!
//! This file can also draw a frame's bits as the RFC does (§5.2). A peer's text can't control the
//! terminal, because it's already escaped when it arrives here: see
//! [`annotation`](super::annotation).

use super::annotation::{Annotation, AnnotationKind, Span, Verdict, hex};
use crate::frames::header::Role;

/// The style in which annotations are printed on a terminal.
#[derive(Clone, Copy, Debug, Default)]
pub struct Style {
    /// Whether to print in colour, with terminal escape codes.
    pub colour: bool,
    /// Whether to draw each frame's bits as a diagram, in the style of the RFC.
    pub pictures: bool,
}

/// The maximum width of a printed line, in columns. Most terminals are at least this wide.
const COLUMNS: usize = 80;
/// The maximum width of a printed connection name, in columns. A longer name is cut off.
const MAX_NAME_WIDTH: usize = 24;
/// The number of bits in one row of a frame's bit diagram.
const ROW: u64 = 32;
/// The maximum number of rows in a frame's bit diagram. The bits after these rows aren't drawn.
const MAX_ROWS: u64 = 5;

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "31";
const CLIENT: &str = "1;36";
const SERVER: &str = "1;35";

/// Returns an annotation (the explanation of a head or frame) as lines of text. The first line
/// begins with `name`, the name of the annotation's connection. Pass an empty name if only one
/// connection is explained.
pub fn annotation(annotation: &Annotation, name: &str, style: Style) -> String {
    let paint = |code: &str, text: &str| match style.colour {
        true => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        false => text.to_owned(),
    };
    let (direction, colour) = match annotation.from {
        Role::Client => ("client → server", CLIENT),
        Role::Server => ("server → client", SERVER),
    };
    let mut width = 0;
    let fits = |&c: &char| {
        width += char_width(c);
        width <= MAX_NAME_WIDTH
    };
    let name: String = name.chars().take_while(fits).collect();
    let name = if name.is_empty() { name } else { name + " " };
    let place = format!(", byte {}:", annotation.start);
    let before = text_width(&name) + text_width(direction) + text_width(&place);
    let mut title = wrap(&format!(" {}", annotation.title), COLUMNS - before, COLUMNS - 4);
    let first = paint(BOLD, &title.remove(0));
    let mut out = format!("{name}{}{place}{first}\n", paint(colour, direction));
    title.iter().for_each(|line| out += &format!("    {}\n", paint(BOLD, line)));
    if annotation.what == AnnotationKind::Frame {
        for line in wrap(&hex(&annotation.bytes, 48), COLUMNS - 2, COLUMNS - 2) {
            out += &format!("  {}\n", paint(DIM, &line));
        }
        if style.pictures {
            out += &bit_diagram(annotation);
        }
    }
    for span in &annotation.spans {
        let (first, rest) = span_lines(annotation.what, span);
        out += &format!("  {}\n", paint_field(&first, span, &paint));
        rest.iter().for_each(|line| out += &format!("  {}\n", paint(DIM, line)));
    }
    let verdict = match &annotation.verdict {
        Verdict::Fine => String::new(),
        Verdict::Incomplete(what) => format!("incomplete: {what} missing"),
        Verdict::Refused(refusal) => format!("refused: {refusal}"),
        Verdict::Rejected(rejection) => format!("not accepted: {}", rejection.diagnostic),
        Verdict::Broken(violation) => format!("broken: {violation}"),
    };
    for line in verdict.lines() {
        for line in wrap(line, COLUMNS - 4, COLUMNS - 4) {
            out += &format!("  {}\n", paint(RED, &format!("! {line}")));
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

/// Returns the printed lines of a span (one explained part of a head or frame): the first line, and
/// the indented lines after it.
fn span_lines(what: AnnotationKind, span: &Span) -> (String, Vec<String>) {
    let width = COLUMNS - 2;
    let section = format!(" ({})", span.section);
    if what != AnnotationKind::Frame {
        let mut value = wrap(&format!("{}: {}", span.field, span.value), width, width - 4);
        let first = value.remove(0);
        let below = wrap(&(span.meaning.clone() + &section), width - 4, width - 4);
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
    let left = format!("{left:<8}  ");
    let mut wrapped = wrap(&(text + &section), width - text_width(&left), width - 10);
    let first = left + &wrapped.remove(0);
    (first, wrapped.iter().map(|line| format!("{:10}{line}", "")).collect())
}

/// Breaks a text at its spaces into lines. The first line has at most `first` columns, and every
/// later line at most `width` columns. Breaks a word only if it's longer than a line. Returns at
/// least one line, even for an empty text.
pub fn wrap(text: &str, first: usize, width: usize) -> Vec<String> {
    let (mut lines, mut line, mut used, mut room) = (Vec::new(), String::new(), 0, first);
    for (index, word) in text.split(' ').enumerate() {
        if index > 0 && used + 1 + text_width(word) <= room {
            line.push(' ');
            used += 1;
        } else if index > 0 {
            lines.push(std::mem::take(&mut line));
            (used, room) = (0, width);
        }
        for c in word.chars() {
            if used + char_width(c) > room {
                lines.push(std::mem::take(&mut line));
                (used, room) = (0, width);
            }
            line.push(c);
            used += char_width(c);
        }
    }
    lines.push(line);
    lines
}

/// Returns the width of a text in terminal columns.
fn text_width(text: &str) -> usize {
    text.chars().map(char_width).sum()
}

/// Returns the width of a character in terminal columns: two for East Asian scripts and emoji,
/// otherwise one.
fn char_width(c: char) -> usize {
    match c {
        '\u{1100}'..='\u{115f}'
        | '\u{231a}'..='\u{231b}'
        | '\u{23e9}'..='\u{23ff}'
        | '\u{2600}'..='\u{27bf}'
        | '\u{2b00}'..='\u{2bff}'
        | '\u{2e80}'..='\u{303e}'
        | '\u{3041}'..='\u{a4cf}'
        | '\u{a960}'..='\u{a97f}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{ffe0}'..='\u{ffe6}'
        | '\u{16fe0}'..='\u{18aff}'
        | '\u{1b000}'..='\u{1b2ff}'
        | '\u{1f000}'..='\u{1faff}'
        | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

/// Draws a frame's bits as RFC 6455 does: 32 bits per row, a bar where each field begins, and the
/// fields' names below each row. Only the first five rows are drawn.
pub fn bit_diagram(annotation: &Annotation) -> String {
    let bits = (annotation.bytes.len() as u64 * 8).min(ROW * MAX_ROWS);
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
        assert!(wrap(&text, 10, 70).iter().all(|line| line.len() <= 70));
        let name =
            "a name that is longer than any terminal is wide, and not at all helpful to anyone";
        for frame in [
            [&b"\x81\x7e\x01\x00"[..], &[b'a'; 256]].concat(),
            [&b"\x81\x7e\x01\x2c"[..], "\u{6f22}".repeat(100).as_bytes()].concat(),
            b"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff".to_vec(),
            b"\x88\x02\x03\xed".to_vec(),
        ] {
            for mut told in explain_frames(&frame, Role::Server, &Settings::default()) {
                for name in ["", "tab 12", name] {
                    told.start = if name.is_empty() { 0 } else { u64::MAX };
                    let style = Style { colour: false, pictures: true };
                    let printed = annotation(&told, name, style);
                    assert!(printed.lines().all(|line| text_width(line) <= COLUMNS), "{printed}");
                }
            }
        }
    }

    #[test]
    fn a_wide_name_fits_the_line_too() {
        let mut told = explain_frames(b"\x81\x05Hello", Role::Server, &Settings::default());
        for start in [0, 100_000_000, u64::MAX] {
            told[0].start = start;
            let printed = annotation(&told[0], &"\u{6f22}".repeat(24), Style::default());
            assert!(printed.lines().all(|line| text_width(line) <= COLUMNS), "{printed}");
            assert!(printed.starts_with(&("\u{6f22}".repeat(12) + " server")), "{printed}");
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
