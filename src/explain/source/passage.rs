//! Finds an anchor's lines in the source, and the paragraph of a chapter that explains them.
//!
//! Rules of this file:
//! - The program contains its own source (`include_str!`), so the code on display is the code that
//!   runs.
//! - The marked lines are the statement with the anchor's words, and the comment above it, which
//!   names the rule.

use super::anchors::Anchor;

/// The comment marker before each source excerpt that a walkthrough chapter shows. The text is
/// split in two, so that this line isn't a marker itself.
const CHAPTER_MARKER: &str = concat!("// ", "WALK: ");

/// The source of the function that an anchor points to, ready to be shown.
#[derive(Debug)]
pub struct Passage {
    /// The anchor that points to the marked lines.
    pub anchor: &'static Anchor,
    /// All lines of the function, with the anchor's own lines marked.
    pub lines: Vec<Line>,
    /// The walkthrough chapter that explains the anchor's lines, and its paragraph about them.
    pub chapter: Chapter,
}

/// One line of the function that an anchor points to.
#[derive(Debug)]
pub struct Line {
    /// The number of this line in its source file, counted from 1.
    pub number: usize,
    /// The text of this line, without the function's indentation.
    pub text: &'static str,
    /// Whether this is one of the anchor's own lines, which are marked when the passage is shown.
    pub is_marked: bool,
}

/// A chapter of the walkthrough, with one paragraph that explains an anchor's source lines.
#[derive(Debug)]
pub struct Chapter {
    /// The name of the chapter's file, in `src/walkthrough`.
    pub file: &'static str,
    /// The title of the chapter.
    pub title: &'static str,
    /// The walkthrough's paragraph that explains these source lines, without Markdown.
    pub text: String,
}

impl Anchor {
    /// Returns the function that this anchor points to, with the anchor's lines marked. Fails if
    /// the file or the function isn't found, or if the anchor's words don't occur on exactly one
    /// line of the function. The error says which.
    pub fn passage(&'static self) -> Result<Passage, String> {
        let lost =
            |what: &str| format!("{}: {what} of {} in src/{}", self.id, self.function, self.file);
        let text = source_without_tests(self.file).ok_or_else(|| lost("no file"))?;
        let all: Vec<&'static str> = text.lines().collect();
        let (first, last) =
            find_function(&all, self.function).ok_or_else(|| lost("no function"))?;
        let lines = &all[first..=last];
        let (from, to) = match self.words {
            "" => (0, lines.len() - 1),
            words => find_statement(lines, words)
                .ok_or_else(|| lost(&format!("no single line with {words:?}")))?,
        };
        let depth = indent(lines[0]);
        let line = |(index, line): (usize, &&'static str)| {
            // The passage doesn't show the chapters' markers.
            let text = line.split(CHAPTER_MARKER).next().unwrap_or_default();
            let is_mark = text.trim().is_empty() && !line.is_empty();
            (!is_mark).then(|| Line {
                number: first + index + 1,
                text: text.get(depth..).unwrap_or_default().trim_end(),
                is_marked: (from..=to).contains(&index),
            })
        };
        let lines = lines.iter().enumerate().filter_map(line).collect();
        Ok(Passage { anchor: self, lines, chapter: self.chapter() })
    }

    /// Returns the anchor's chapter with one paragraph: the first that names the anchor's function,
    /// else the first that names the anchor's RFC section, else the chapter's first.
    fn chapter(&self) -> Chapter {
        let found = CHAPTERS.iter().find(|(file, _)| *file == self.chapter);
        let (file, text) = found.copied().unwrap_or_default();
        let title = text.lines().next().unwrap_or_default().trim_start_matches("# ");
        let name = self.function.rsplit("::").next().unwrap_or_default();
        let section = self.section.rsplit(' ').next().unwrap_or_default();
        let is_prose = |paragraph: &&str| {
            paragraph.len() > 60 && !paragraph.starts_with(['<', '#', '|', '`', '-', '>', '*', ' '])
        };
        let prose: Vec<&str> = text.split("\n\n").filter(is_prose).collect();
        let names = |paragraph: &&&str| paragraph.contains(&format!("`{name}`"));
        let rules = |paragraph: &&&str| mentions_section(paragraph, section);
        let chosen = prose.iter().find(names).or(prose.iter().find(rules)).or(prose.first());
        Chapter { file, title, text: strip_markdown(chosen.unwrap_or(&"")) }
    }
}

impl Passage {
    /// Returns whether the passage's marked lines name this RFC section. If they name no section at
    /// all, the opening comment of the file must name it.
    pub fn names_section(&self, section: &str) -> bool {
        let marked = self.lines.iter().filter(|line| line.is_marked).map(|line| line.text);
        let marked: Vec<&str> = marked.collect();
        let marked = marked.join("\n");
        let text = source_without_tests(self.anchor.file).unwrap_or_default();
        let opening: Vec<&str> = text.lines().take_while(|line| line.starts_with("//!")).collect();
        let (rfc, section) = match section.rsplit_once(' ') {
            Some((rfc, section)) => (rfc, section),
            None => ("", section),
        };
        let text = if marked.contains('§') { marked } else { opening.join("\n") };
        text.contains(rfc) && mentions_section(&text, section)
    }
}

/// Returns whether a text names exactly this RFC section. For example, neither §5.11 nor §5.1.2
/// counts as §5.1.
fn mentions_section(text: &str, section: &str) -> bool {
    text.match_indices(section).any(|(at, _)| {
        let after = &text[at + section.len()..];
        let is_more = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
        !is_more(after) && !after.strip_prefix('.').is_some_and(is_more)
    })
}

/// Returns the source of the file `name` in `src`, without its tests. Returns `None` if no anchor
/// points to this file.
fn source_without_tests(name: &str) -> Option<&'static str> {
    let (_, text) = FILES.iter().find(|(file, _)| *file == name)?;
    text.split("\n#[cfg(test)]\nmod tests").next()
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Finds a function, such as `decide` or `Header::parse`, in the lines of a file. Returns the
/// indexes of its first and last line, including the comments and attributes above it. Returns
/// `None` unless exactly one function has this name.
fn find_function(lines: &[&str], function: &str) -> Option<(usize, usize)> {
    let (of, name) = function.split_once("::").unwrap_or(("", function));
    let mut found = None;
    let mut inside = "";
    for (index, line) in lines.iter().enumerate() {
        if indent(line) == 0 && !line.is_empty() {
            inside = line;
        }
        if !is_function(line, name) || !is_in_impl(inside, line, of) {
            continue;
        }
        if found.is_some() {
            return None;
        }
        found = Some(index);
    }
    let at = found?;
    let is_before = |line: &&&str| line.trim_start().starts_with(['/', '#']);
    let first = at - lines[..at].iter().rev().take_while(is_before).count();
    let depth = indent(lines[at]);
    let is_end = |line: &&str| indent(line) == depth && line.trim_start().starts_with('}');
    let length = match lines[at].ends_with('}') {
        true => 0,
        false => lines[at..].iter().position(is_end)?,
    };
    Some((first, at + length))
}

fn is_function(line: &str, name: &str) -> bool {
    let words = line.trim_start().trim_start_matches("pub(crate) ").trim_start_matches("pub ");
    let rest = words.trim_start_matches("const ").strip_prefix("fn ");
    rest.and_then(|rest| rest.strip_prefix(name)).is_some_and(|rest| rest.starts_with(['(', '<']))
}

/// Returns whether the function on `line` is in an `impl` block of the type `of`. If `of` is empty,
/// returns whether the function is in no block at all. `block` is the first line of the block
/// around the function, or `line` itself if there's no such block.
fn is_in_impl(block: &str, line: &str, of: &str) -> bool {
    match of {
        "" => indent(line) == 0,
        of => {
            let block = block.strip_prefix("impl").filter(|_| indent(line) > 0).unwrap_or_default();
            block.split(|c: char| !c.is_alphanumeric()).any(|word| word == of)
        }
    }
}

/// Finds the statement that contains these words, and the nearest comment above it. Ignores doc
/// comments, and comments that a blank line separates from the statement. Returns the indexes of
/// the first and last line, including the comment. Returns `None` unless exactly one line contains
/// the words.
fn find_statement(lines: &[&str], words: &str) -> Option<(usize, usize)> {
    let mut found = lines.iter().enumerate().filter(|(_, line)| line.contains(words));
    let (at, _) = found.next().filter(|_| found.next().is_none())?;
    let is_comment = |line: &str| line.trim_start().starts_with("//");
    let mut from = at;
    while from > 0 && !is_comment(lines[from]) && !lines[from - 1].is_empty() {
        from -= 1;
    }
    match is_comment(lines[from]) && !lines[from].trim_start().starts_with("///") {
        true => {
            while from > 0 && is_comment(lines[from - 1]) {
                from -= 1;
            }
        }
        // There's no comment above, so the statement stands alone.
        false => from = at,
    }
    let depth = indent(lines[from]);
    let ends = |line: &&str| indent(line) <= depth && line.ends_with(['}', ';', ',']);
    let length = lines[at..].iter().position(ends).unwrap_or(0);
    Some((from, at + length))
}

/// Converts a paragraph of Markdown to a single line of plain text: replaces each link with its
/// text, removes backticks and asterisks, and joins the lines with spaces.
fn strip_markdown(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('[') {
        let (before, link) = rest.split_at(start);
        out += before;
        match link.split_once(']') {
            Some((name, after)) => {
                out += &name[1..];
                rest = match after.strip_prefix('(').and_then(|target| target.split_once(')')) {
                    Some((_, after)) => after,
                    None => after,
                };
            }
            None => {
                out += link;
                rest = "";
            }
        }
    }
    out += rest;
    out.replace(['`', '*'], "").split_whitespace().collect::<Vec<_>>().join(" ")
}

macro_rules! files {
    ($folder:literal, $($file:literal,)*) => {
        &[$(($file, include_str!(concat!($folder, $file)))),*]
    };
}

/// The source files to which anchors point, each as its path and its text.
const FILES: &[(&str, &str)] = files![
    "../../",
    "http/head.rs",
    "http/request.rs",
    "http/status_line.rs",
    "handshake/accept_key.rs",
    "handshake/client.rs",
    "handshake/deflate_params.rs",
    "handshake/server.rs",
    "frames/assembler.rs",
    "frames/close.rs",
    "frames/decoder.rs",
    "frames/deflate/inflater.rs",
    "frames/header.rs",
    "frames/mask.rs",
    "frames/utf8.rs",
    "explain/frames/deflate_spans.rs",
    "explain/frames/frame_explainer.rs",
    "explain/heads/body_end.rs",
    "connection/keepalive.rs",
    "connection/pending_control.rs",
    "connection/read_half.rs",
    "connection/websocket.rs",
    "connection/write_half.rs",
];

/// The walkthrough chapters that anchors refer to, each as its file name and its text.
const CHAPTERS: &[(&str, &str)] = files![
    "../../walkthrough/",
    "01_the_request.md",
    "02_the_decision.md",
    "03_the_101.md",
    "04_the_frame.md",
    "05_the_mask.md",
    "06_messages.md",
    "07_closing.md",
    "08_threads.md",
    "09_attacks_and_limits.md",
    "10_the_client.md",
    "11_compression.md",
];
