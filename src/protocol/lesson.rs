//! What an error owes the person who meets it: the rule, what was seen, the usual cause and the fix.
//!
//! Every refusal, violation and misuse of this crate carries one [`Lesson`], so that nobody has to
//! guess what `400` or `1002` was about. Text that came from a peer is quoted, escaped and cut
//! short before it is shown to anybody.

use std::borrow::Cow;
use std::fmt;

/// Four sentences about one thing that went wrong. Those that are empty are not shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lesson {
    /// What the rule asks, and where it stands.
    pub rule: Cow<'static, str>,
    /// What was there instead.
    pub seen: String,
    /// How people usually get here.
    pub cause: &'static str,
    /// What to do about it.
    pub fix: Cow<'static, str>,
}

impl Lesson {
    /// A lesson from its four parts.
    pub fn new(
        rule: impl Into<Cow<'static, str>>,
        seen: impl Into<String>,
        cause: &'static str,
        fix: impl Into<Cow<'static, str>>,
    ) -> Lesson {
        Lesson { rule: rule.into(), seen: seen.into(), cause, fix: fix.into() }
    }
}

impl fmt::Display for Lesson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rule)?;
        for (title, text) in
            [("seen", self.seen.as_str()), ("usual cause", self.cause), ("fix", &self.fix)]
        {
            if !text.is_empty() {
                write!(f, "\n  {title}: {text}")?;
            }
        }
        Ok(())
    }
}

/// Quotes what a peer sent: control bytes escaped, cut short after 80 characters.
pub fn quote(text: impl AsRef<[u8]>) -> String {
    const SHOWN: usize = 80;
    let bytes = text.as_ref();
    let shown = &bytes[..bytes.len().min(SHOWN)];
    let dots = if shown.len() < bytes.len() { "..." } else { "" };
    format!("\"{}{dots}\"", shown.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_escapes_control_bytes_and_is_cut_short() {
        assert_eq!(quote("a\r\nb\u{7f}"), r#""a\r\nb\x7f""#);
        assert_eq!(quote([b'x'; 1000]).len(), 2 + 80 + 3);
    }

    #[test]
    fn a_lesson_shows_only_the_parts_it_has() {
        let lesson = Lesson::new("Only members may enter.", "", "", "Log in first.");
        assert_eq!(lesson.to_string(), "Only members may enter.\n  fix: Log in first.");
    }
}
