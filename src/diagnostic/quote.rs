//! A peer's text, made safe to show in a log line, in an error message or on a terminal.

/// Quotes a peer's text for a log line or an error message. [Escapes](escape) the characters that
/// could mislead a reader, and also quotation marks, backslashes and invalid UTF-8. Cuts a text
/// longer than 80 bytes to at most 80, and marks the cut with `...`.
pub fn quote(text: impl AsRef<[u8]>) -> String {
    const MAX_SHOWN: usize = 80;
    let bytes = text.as_ref();
    // The cut never falls inside a valid character.
    let is_inside = |&at: &usize| bytes.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
    let cut = (MAX_SHOWN - 3..=MAX_SHOWN).rev().find(|at| !is_inside(at)).unwrap_or(MAX_SHOWN);
    let (shown, dots) = match bytes.len() > MAX_SHOWN {
        true => (&bytes[..cut], "..."),
        false => (bytes, ""),
    };
    let mut quoted = String::from('"');
    for chunk in shown.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' | '\\' => quoted.extend(['\\', c]),
                c => quoted.extend(escape_char(c)),
            }
        }
        quoted += &chunk.invalid().escape_ascii().to_string();
    }
    quoted + dots + "\""
}

/// [Quotes](quote) several texts from a peer, and joins them with "and". Returns "none" for an
/// empty list.
pub fn quote_all(texts: &[&str]) -> String {
    let quoted: Vec<_> = texts.iter().map(quote).collect();
    if quoted.is_empty() { "none".into() } else { quoted.join(" and ") }
}

/// Makes a peer's text safe to show on a terminal or in a log. Escapes the characters that could
/// mislead a reader: control characters, most invisible characters, and those that change the
/// writing direction. The result isn't safe in HTML, because `<` and `&` stay as they are.
pub fn escape(text: &str) -> String {
    text.chars().flat_map(escape_char).collect()
}

/// Escapes one character of a peer's text if it could mislead a reader. Returns any other character
/// unchanged.
pub(crate) fn escape_char(c: char) -> Vec<char> {
    let misleads = matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}');
    match c.is_control() || misleads {
        true => c.escape_default().collect(),
        false => vec![c],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_escapes_control_bytes_and_is_shortened() {
        assert_eq!(quote("a\r\nb\u{7f}\"\\"), r#""a\r\nb\u{7f}\"\\""#);
        assert_eq!(quote([b'x'; 1000]).len(), 2 + 80 + 3);
        assert_eq!(quote("\u{e9}".repeat(40)), format!("\"{}\"", "\u{e9}".repeat(40)));
        assert_eq!(quote("x".repeat(79) + "\u{e9}"), format!("\"{}...\"", "x".repeat(79)));
        assert_eq!(quote([0x80; 81]).len(), 2 + 80 * 4 + 3);
        assert_eq!(quote(b"a\xe9b\xff"), r#""a\xe9b\xff""#);
    }

    #[test]
    fn a_quote_escapes_characters_that_mislead_and_shows_the_others() {
        assert_eq!(quote("caf\u{e9} \u{202e}\u{e0041}"), "\"caf\u{e9} \\u{202e}\\u{e0041}\"");
    }

    #[test]
    fn characters_that_mislead_are_escaped_and_others_are_not() {
        let shown = escape;
        for c in
            "\u{0}\u{1b}\u{7f}\u{9b}\u{ad}\u{61c}\u{180e}\u{202e}\u{2060}\u{2066}\u{fff9}\u{1bca0}\u{1d173}\u{e0041}"
                .chars()
        {
            assert_eq!(shown(&c.to_string()), c.escape_default().to_string());
        }
        let plain = "a \u{e9} \u{5d0} \u{4e2d} \u{1f600} \"'\\";
        assert_eq!(shown(plain), plain);
    }
}
