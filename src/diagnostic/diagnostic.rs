//! A diagnostic explains an error: the rule, what was seen, the usual cause and the fix.
//!
//! Each refusal, handshake error, TLS error, violation and misuse has a [`Diagnostic`], so that the
//! developer needn't guess what a `400` or `1002` means. The texts of the diagnostics are in
//! `diagnostics.md`, which people can read as a page. The code that detects a broken rule passes
//! the diagnostic's heading to [`Diagnostic::about`], and describes what it saw. Text from a peer
//! is [quoted](super::quote()): escaped and shortened.

use std::borrow::Cow;
use std::fmt;

/// The text of `diagnostics.md`, which contains one section per diagnostic.
const DIAGNOSTICS: &str = include_str!("diagnostics.md");

/// The explanation of one error, in four parts: the rule, what was seen, the usual cause and the
/// fix. `Display` omits a part that is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What the broken rule requires, and usually its RFC section.
    pub rule: Cow<'static, str>,
    /// What ws101 saw that broke the rule, such as a text that the peer sent.
    pub seen: String,
    /// What usually causes this error.
    pub cause: &'static str,
    /// What the developer can do about this error.
    pub fix: &'static str,
}

impl Diagnostic {
    /// Returns the diagnostic under this `heading` in `diagnostics.md`. `seen` describes what the
    /// program saw, and replaces the `{}` of the section's `seen` line. If no section has this
    /// heading, the diagnostic consists of the heading alone.
    pub fn about(heading: &'static str, seen: impl fmt::Display) -> Diagnostic {
        let section =
            DIAGNOSTICS.split("\n### ").find_map(|s| s.strip_prefix(heading)?.strip_prefix('\n'));
        let mut lines = section.unwrap_or(heading).lines();
        let rule = lines.next().unwrap_or(heading).into();
        let mut part =
            |title| lines.next().and_then(|line| line.strip_prefix(title)).unwrap_or_default();
        let seen = part("- seen: ").replacen("{}", &seen.to_string(), 1);
        Diagnostic { rule, seen, cause: part("- cause: "), fix: part("- fix: ") }
    }

    /// Creates a diagnostic that consists of just this sentence, for an error that isn't in
    /// `diagnostics.md`.
    pub fn just(sentence: impl Into<String>) -> Diagnostic {
        Diagnostic { rule: Cow::Owned(sentence.into()), seen: String::new(), cause: "", fix: "" }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rule)?;
        let parts = [("seen", self.seen.as_str()), ("usual cause", self.cause), ("fix", self.fix)];
        let parts = parts.iter().filter(|(_, text)| !text.is_empty());
        parts.into_iter().try_for_each(|(title, text)| write!(f, "\n  {title}: {text}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diagnostic_shows_only_the_parts_it_has() {
        assert_eq!(
            Diagnostic::just("Only members may enter.").to_string(),
            "Only members may enter."
        );
        let diagnostic = Diagnostic::about("unknown opcode", 3);
        assert_eq!(diagnostic.seen, "opcode 3");
        assert_eq!(diagnostic.to_string().lines().count(), 4);
    }

    #[test]
    fn each_diagnostic_has_four_parts_and_a_heading_of_its_own() {
        let headings: Vec<_> =
            DIAGNOSTICS.lines().filter_map(|line| line.strip_prefix("### ")).collect();
        for (i, heading) in headings.iter().enumerate() {
            let Diagnostic { rule, seen, cause, fix } = Diagnostic::about(heading, "x");
            assert!([&rule, &*seen, cause, fix].iter().all(|part| !part.is_empty()), "{heading}");
            assert!(!headings[..i].contains(heading), "{heading} stands twice");
        }
    }
}
