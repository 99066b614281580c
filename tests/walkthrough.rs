//! The walkthrough is true: the source that it shows is in the source, its explanations of bytes
//! are those of `explain`, and the files, tests and anchors that it names exist. `cargo test` runs
//! its Rust as doctests. The explanations of bytes in the README and `conversation.md` are checked,
//! too.
//!
//! A comment before each block says where the block comes from:
//!
//! ```text
//! <!-- source: length -->             the source at `// WALK: length`: an item, or lines up to a blank one
//! <!-- explain frames                 what `explain` tells of these bytes; or `conversation`, with heads;
//! server 81 05 "Hello"                also `pictures`, `same-host` for a server's own rules, and `only=2`
//! -->                                 for the second annotation alone; `brief`: without bits that say little;
//!                                     `inflated`: held against it only where the feature deflate is on
//! <!-- prints: 01_accept_key -->      lines that an example prints, in that order; `...` leaves some out
//! <!-- lines of: README.md -->        lines that stand in a file, in that order
//! <!-- picture -->                    a drawing
//! <!-- stage: 5 -->                   what course_05 changes of course_04; or course_01, whole
//! <!-- pseudocode -->                 what to build, in ten lines or so
//! <!-- coach: after -->               what the coach says: `tests/course/run` holds it, and writes it anew
//! ```
//!
//! `UPDATE=1 cargo test --all-features --test walkthrough` writes `source`, `explain` and `stage` anew, both
//! `rustdoc.md`, and the list of questions at the top of `how_do_i.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use ws101::explain::annotation::Annotation;
use ws101::explain::conversation::{Conversation, explain_frames};
use ws101::explain::heads::Settings;
use ws101::explain::text::{Style, annotation};
use ws101::frames::header::Role;
use ws101::handshake::origin::Origins;

const FOLDER: &str = "src/walkthrough";
const COURSE: &str = "src/walkthrough/course";
const HOW_TO_MEND: &str =
    "if the text is what has to change: UPDATE=1 cargo test --all-features --test walkthrough";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The chapters, in their order: file name and text.
fn chapters() -> Vec<(String, String)> {
    let mut names: Vec<String> = files_in(FOLDER, "md");
    names.retain(|name| name.starts_with(|c: char| c.is_ascii_digit()));
    names.sort();
    names.into_iter().map(|name| (name.clone(), read(format!("{FOLDER}/{name}")))).collect()
}

/// The chapters of the course that builds a server, in their order, named from the folder of the walkthrough.
fn stages() -> Vec<(String, String)> {
    let mut names = files_in(COURSE, "md");
    names.retain(|name| name.starts_with(|c: char| c.is_ascii_digit()));
    names.sort();
    let named = |name: String| (format!("course/{name}"), read(format!("{COURSE}/{name}")));
    names.into_iter().map(named).collect()
}

/// All pages of that course.
fn course() -> Vec<(String, String)> {
    stages().into_iter().chain(["course/README.md", "course/teacher.md"].map(page)).collect()
}

fn files_in(folder: &str, extension: &str) -> Vec<String> {
    let names = fs::read_dir(root().join(folder)).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(&format!(".{extension}"))).collect()
}

/// A block of a chapter.
#[derive(Debug)]
struct Block {
    /// Chapter and line, for a message.
    place: String,
    /// What the comment in front of it says; empty without one.
    mark: String,
    /// What stands behind the three ticks.
    info: String,
    body: String,
    /// Of the body, in bytes of the chapter.
    start: usize,
}

fn blocks(name: &str, text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let (mut mark, mut in_mark) = (String::new(), false);
    let mut open: Option<Block> = None;
    let mut at = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let start = at;
        at += line.len();
        let line = line.trim_end_matches('\n');
        match &mut open {
            Some(block) if line == "```" => {
                block.body = text[block.start..start].to_owned();
                blocks.extend(open.take());
            }
            Some(_) => {}
            None if line.starts_with("```") => {
                let place = format!("{FOLDER}/{name}:{}", number + 1);
                let (mark, info) = (std::mem::take(&mut mark), line[3..].to_owned());
                open = Some(Block { place, mark, info, body: String::new(), start: at });
            }
            None => {
                if line.starts_with("<!-- ") {
                    (mark, in_mark) = (String::new(), true);
                } else if !in_mark {
                    mark.clear();
                }
                if in_mark {
                    mark += line.trim_start_matches("<!-- ").trim_end_matches("-->").trim_end();
                    mark.push('\n');
                    in_mark = !line.ends_with("-->");
                }
            }
        }
    }
    assert!(open.is_none(), "{name}: a block that does not end");
    blocks
}

fn all_blocks() -> Vec<Block> {
    let all = chapters().into_iter().chain(looked_up()).chain(course());
    all.flat_map(|(name, text)| blocks(&name, &text)).collect()
}

/// What a block must say, if it is one that can be written anew.
fn generated(block: &Block) -> Option<String> {
    if let Some(anchor) = block.mark.strip_prefix("source: ") {
        return Some(source_at(anchor.trim(), &block.place));
    }
    if let Some(stage) = block.mark.strip_prefix("stage: ") {
        return Some(change(stage.trim().parse().expect(&block.place)));
    }
    let (options, lines) = block.mark.strip_prefix("explain ")?.split_once('\n').unwrap();
    if options.contains("inflated") && !cfg!(feature = "deflate") {
        return None;
    }
    Some(explained(options, lines, &block.place))
}

// Anchors in the source.

/// All anchors of `src` and of the example that has a chapter of its own: by name, the file and the
/// line, counted from 0.
fn anchors() -> BTreeMap<String, (String, usize)> {
    let mut anchors = BTreeMap::new();
    let mut folders = vec![root().join("src"), root().join("examples/many_machines/src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let file = path.strip_prefix(root()).unwrap().to_string_lossy();
                let file = file.replace('\\', "/");
                for (number, line) in read(&path).lines().enumerate() {
                    let Some((_, anchor)) = line.split_once("// WALK: ") else { continue };
                    let earlier = anchors.insert(anchor.to_owned(), (file.clone(), number));
                    assert!(earlier.is_none(), "{anchor} stands in {file} and in {earlier:?}");
                }
            }
        }
    }
    anchors
}

/// The source at an anchor. On a line of its own before an item: the item, with its comments. Within
/// code: the lines up to a blank one, or to the end of the block that they stand in.
fn source_at(anchor: &str, place: &str) -> String {
    let anchors = anchors();
    let found = anchors.get(anchor);
    let (file, start) = found.unwrap_or_else(|| panic!("{place}: no anchor {anchor} in src"));
    let text = read(file);
    let lines: Vec<&str> = text.lines().skip(*start).collect();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let depth = indent(lines[0]);
    let is_comment = |line: &str| line.trim_start().starts_with(['/', '#']);
    let first = lines.iter().position(|line| !is_comment(line)).unwrap();
    let is_item = lines[0].trim_start().starts_with("// WALK: ");
    let is_end = |line: &&str| match is_item {
        true => indent(line) == depth && (line.ends_with('}') || line.ends_with(';')),
        false => line.is_empty() || indent(line) < depth,
    };
    let length = first + lines[first..].iter().position(is_end).unwrap() + usize::from(is_item);
    let shown = lines[..length].iter().map(|line| line.get(depth..).unwrap_or_default());
    shown.map(|line| format!("{line}\n")).collect()
}

// What a stage of the course changes.

/// The reference of a stage, without the comment at its top.
fn reference(stage: usize) -> String {
    let text = read(format!("examples/course/course_{stage:02}.rs"));
    let code = text.lines().skip_while(|line| line.starts_with("//!") || line.is_empty());
    code.map(|line| format!("{line}\n")).collect()
}

/// What changes from one reference to the next, with the lines around it and the item that it stands in.
fn change(stage: usize) -> String {
    const AROUND: usize = 2;
    let new = reference(stage);
    if stage == 1 {
        return new;
    }
    let old = reference(stage - 1);
    let edits = edits(&old.lines().collect::<Vec<_>>(), &new.lines().collect::<Vec<_>>());
    let is_near = |at: usize| {
        let from = at.saturating_sub(AROUND);
        edits[from..(at + AROUND + 1).min(edits.len())].iter().any(|edit| edit.0 != ' ')
    };
    let (mut shown, mut item, mut was_near) = (String::new(), "", false);
    for (at, (sign, line)) in edits.iter().enumerate() {
        if is_near(at) && !was_near && at > 0 {
            shown += &format!("@@ {item} @@\n");
        }
        was_near = is_near(at);
        if was_near {
            shown += format!("{sign}{line}").trim_end();
            shown.push('\n');
        }
        let is_item =
            ["fn ", "impl", "struct ", "const ", "use "].iter().any(|it| line.starts_with(it));
        if is_item && *sign != '-' {
            item = line.trim_end_matches(['{', '(', ' ']);
        }
    }
    shown
}

/// Each line of both texts once, with a sign: ' ' in both, '-' in the old one alone, '+' in the new one alone.
fn edits<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<(char, &'a str)> {
    // How many lines the rests of both texts have in common, by where they begin.
    let mut common = vec![vec![0_u16; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] = match old[i] == new[j] {
                true => common[i + 1][j + 1] + 1,
                false => common[i + 1][j].max(common[i][j + 1]),
            };
        }
    }
    let (mut i, mut j, mut edits) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            edits.push((' ', old[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || i < old.len() && common[i + 1][j] >= common[i][j + 1] {
            edits.push(('-', old[i]));
            i += 1;
        } else {
            edits.push(('+', new[j]));
            j += 1;
        }
    }
    edits
}

#[test]
fn what_a_stage_changes_leads_from_one_reference_to_the_next() {
    for stage in 2..=14 {
        let (old, new) = (reference(stage - 1), reference(stage));
        let edits = edits(&old.lines().collect::<Vec<_>>(), &new.lines().collect::<Vec<_>>());
        let without = |sign: char| {
            let kept = edits.iter().filter(|edit| edit.0 != sign);
            kept.map(|edit| format!("{}\n", edit.1)).collect::<String>()
        };
        assert_eq!((without('+'), without('-')), (old, new), "stage {stage}");
    }
}

// What `explain` tells.

fn explained(options: &str, lines: &str, place: &str) -> String {
    let mut settings = Settings::default();
    if options.contains("same-host") {
        settings.rules.origins = Origins::SameHost;
    }
    let mut said = Vec::new();
    for line in lines.lines().filter(|line| !line.is_empty()) {
        match line.split_once(' ') {
            Some(("client", rest)) => said.push((Role::Client, bytes(rest, place))),
            Some(("server", rest)) => said.push((Role::Server, bytes(rest, place))),
            // More of what the same end says.
            _ => said.last_mut().expect(place).1.extend(bytes(line, place)),
        }
    }
    let mut told: Vec<Annotation> = Vec::new();
    if options.starts_with("frames") {
        for (from, bytes) in &said {
            told.extend(explain_frames(bytes, *from, &settings));
        }
    } else {
        assert!(options.starts_with("conversation"), "{place}: explain what?");
        let mut conversation = Conversation::new(settings);
        let tell = &mut |annotation| told.push(annotation);
        said.iter().for_each(|(from, bytes)| conversation.push(*from, bytes, tell));
        for end in [Role::Client, Role::Server] {
            conversation.end(end, tell);
        }
    }
    if let Some((_, only)) = options.split_once("only=") {
        let only: usize = only.split(' ').next().unwrap().parse().expect(place);
        told = vec![told.swap_remove(only - 1)];
    }
    let style = Style { colour: false, pictures: options.contains("pictures") };
    let told: Vec<String> = told.iter().map(|one| annotation(one, "", style)).collect();
    let is_left_out = |line: &&str| {
        let fields = ["  RSV1: ", "  RSV2-3: ", "  MASK: ", "  length: "];
        options.contains("brief") && fields.iter().any(|field| line.contains(field))
    };
    let told = told.join("\n");
    let lines = told.lines().filter(|line| !is_left_out(line));
    lines.map(|line| format!("{line}\n")).collect()
}

/// Bytes as a mark writes them: pairs of hex digits, and text in quotes with \r, \n and \".
fn bytes(line: &str, place: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() {
        if let Some(text) = rest.strip_prefix('"') {
            let end = text.replace("\\\"", "__").find('"').expect(place);
            let text = text[..end].replace("\\r", "\r").replace("\\n", "\n").replace("\\\"", "\"");
            bytes.extend_from_slice(text.as_bytes());
            rest = rest[end + 2..].trim_start();
        } else {
            let (pair, more) = rest.split_once(' ').unwrap_or((rest, ""));
            bytes.push(u8::from_str_radix(pair, 16).unwrap_or_else(|_| panic!("{place}: {pair}")));
            rest = more.trim_start();
        }
    }
    bytes
}

#[test]
fn the_source_and_the_bytes_that_prose_shows_are_the_real_ones() {
    let update = std::env::var_os("UPDATE").is_some();
    let readme = ("../../README.md".to_owned(), read("README.md"));
    let pages = [readme, page("conversation.md")].into_iter().chain(course());
    for (name, text) in chapters().into_iter().chain(pages) {
        let mut new = text.clone();
        // From the last to the first, so that those before stay where they are.
        for block in blocks(&name, &text).iter().rev() {
            let Some(right) = generated(block) else { continue };
            let info = match block.mark.trim_end() {
                "stage: 1" => "rust,ignore",
                mark if mark.starts_with("source: ") => "rust,ignore",
                mark if mark.starts_with("stage: ") => "diff",
                _ => "text",
            };
            assert_eq!(block.info, info, "{}", block.place);
            if update {
                new.replace_range(block.start..block.start + block.body.len(), &right);
            } else {
                let place = &block.place;
                assert_eq!(block.body, right, "{place}, right is\n{right}\n{HOW_TO_MEND}");
            }
        }
        if update && new != text {
            fs::write(root().join(FOLDER).join(&name), new).unwrap();
        }
    }
}

#[test]
fn each_block_is_run_or_compared_with_something() {
    let mut readme = blocks("../../README.md", &read("README.md"));
    readme.retain(|block| block.mark.starts_with("lines"));
    for Block { place, mark, info, body, .. } in all_blocks().into_iter().chain(readme) {
        let (kind, what) = mark.trim_end().split_once(' ').unwrap_or((mark.trim_end(), ""));
        match (kind, info.as_str()) {
            ("source:", "rust,ignore") | ("explain", "text") | ("picture", "text") => {}
            ("stage:", "rust,ignore" | "diff") => {}
            ("coach:", "text") if ["before", "after"].contains(&what) => {}
            ("pseudocode", "text") => assert!(body.lines().count() <= 16, "{place}: too long"),
            ("prints:", "text") => {
                let output = example(what);
                assert_in_order(&body, &output, &place);
            }
            ("lines", _) => assert_in_order(&body, &read(what.trim_start_matches("of: ")), &place),
            // Doctests. `no_run` is compiled; `compile_fail` must not compile.
            ("", "rust" | "rust,no_run" | "rust,compile_fail" | "rust,should_panic") => {}
            ("", "sh") => body.lines().for_each(|line| assert_can_be_run(line, &place)),
            _ => panic!("{place}: a block of {info:?} marked {mark:?} is held by nothing"),
        }
    }
}

fn example(name: &str) -> String {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.set_file_name("examples");
    let output = Command::new(path.join(name)).output().unwrap_or_else(|error| {
        panic!("{name}: {error}; first build it: cargo build --all-features --examples")
    });
    String::from_utf8(output.stdout).unwrap()
}

/// Ports differ from run to run. A configuration of `tests/proxies` has a name between @ for one.
fn without_port(line: &str) -> String {
    match line.split_once("127.0.0.1:") {
        Some((before, after)) => {
            let after = match after.strip_prefix('@').and_then(|name| name.split_once('@')) {
                Some((_, after)) => after,
                None => after.trim_start_matches(|c: char| c.is_ascii_digit()),
            };
            format!("{before}127.0.0.1:{after}")
        }
        None => line.to_owned(),
    }
}

fn assert_in_order(shown: &str, text: &str, place: &str) {
    let mut lines = text.lines().map(|line| without_port(line.trim()));
    for line in shown.lines().map(str::trim).filter(|line| !line.is_empty() && *line != "...") {
        assert!(
            lines.any(|one| one.ends_with(&without_port(line))),
            "{place}: no {line:?} in\n{text}"
        );
    }
}

/// A command in a chapter names examples, tests and files that exist.
fn assert_can_be_run(line: &str, place: &str) {
    let words: Vec<&str> = line.split_whitespace().collect();
    for (word, next) in words.iter().zip(words.iter().skip(1)) {
        let named = match *word {
            "--example" => assert_is_example(next, place),
            "--test" if next.starts_with(char::is_lowercase) => {
                let exists = [format!("tests/{next}.rs"), format!("tests/{next}/main.rs")]
                    .iter()
                    .any(|path| root().join(path).exists());
                assert!(exists, "{place}: no test {next}");
                true
            }
            _ => false,
        };
        // Behind `--test NAME` the name of a test, if it is one.
        if named && *word == "--test" {
            for name in words.iter().skip_while(|word| *word != next).skip(1) {
                if name.contains('_') {
                    assert!(tests_of(next).contains(*name), "{place}: no test {name} in {next}");
                }
            }
        }
    }
}

fn assert_is_example(name: &str, place: &str) -> bool {
    let paths = [format!("{name}.rs"), format!("{name}/main.rs"), format!("course/{name}.rs")];
    let exists = paths.iter().any(|path| root().join("examples").join(path).exists());
    assert!(exists, "{place}: no example {name}");
    true
}

/// All that a test of that name is made of.
fn tests_of(name: &str) -> String {
    match root().join(format!("tests/{name}.rs")) {
        path if path.exists() => read(path),
        _ => {
            let folder = format!("tests/{name}");
            files_in(&folder, "rs").iter().map(|file| read(format!("{folder}/{file}"))).collect()
        }
    }
}

/// What stands outside of blocks and comments.
fn prose(name: &str, text: &str) -> String {
    let mut prose = text.to_owned();
    for block in blocks(name, text).iter().rev() {
        prose.replace_range(block.start..block.start + block.body.len(), "");
    }
    while let Some(start) = prose.find("<!-- ") {
        let end = start + prose[start..].find("-->").expect(name) + 3;
        prose.replace_range(start..end, "");
    }
    prose
}

/// What a reference of Markdown leads to: `[label]: target`.
fn definitions(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter_map(|line| line.strip_prefix('[')?.split_once("]: "));
    lines.map(|(label, target)| (label.to_owned(), target.to_owned())).collect()
}

#[test]
fn each_anchor_is_named_in_prose_and_each_that_is_named_is_in_the_file_that_is_named_with_it() {
    let anchors = anchors();
    let mut named = BTreeSet::new();
    for (name, text) in chapters() {
        let definitions = definitions(&text);
        for block in blocks(&name, &text) {
            named.extend(block.mark.strip_prefix("source: ").map(|one| one.trim().to_owned()));
        }
        let prose = prose(&name, &text);
        for (at, _) in prose.match_indices("`WALK: ") {
            let anchor = prose[at + 7..].split('`').next().unwrap();
            let (file, _) =
                anchors.get(anchor).unwrap_or_else(|| panic!("{name}: no anchor {anchor}"));
            named.insert(anchor.to_owned());
            // Written as [`frame.rs`] (`WALK: length`).
            let before = prose[..at].strip_suffix('(').map(str::trim_end);
            let before = before.and_then(|text| text.strip_suffix(']'));
            let label = before.and_then(|text| text.rsplit('[').next());
            let label = label.unwrap_or_else(|| panic!("{name}: no file in front of {anchor}"));
            let target = definitions.get(label).unwrap_or_else(|| panic!("{name}: no [{label}]:"));
            assert_eq!(
                format!("src/{}", target.trim_start_matches("../")),
                *file,
                "{name}: {anchor}"
            );
        }
    }
    let orphans: Vec<_> = anchors.keys().filter(|anchor| !named.contains(*anchor)).collect();
    assert!(orphans.is_empty(), "no chapter names {orphans:?}");
}

#[test]
fn each_test_example_and_file_that_prose_names_is_there() {
    for (name, text) in chapters().into_iter().chain(looked_up()).chain(course()) {
        let prose = prose(&name, &text);
        // Between single ticks.
        for word in prose.split('`').skip(1).step_by(2) {
            if word.starts_with(|c: char| c.is_ascii_digit()) && word.contains("_") {
                let word = word.split(' ').next().unwrap();
                assert_is_example(word, &name);
            }
            let is_path = word.contains('/') && !word.contains([' ', ':', '<', '*']);
            let is_ours = ["src/", "tests/", "examples/"].iter().any(|top| word.starts_with(top));
            if is_path && is_ours {
                assert!(root().join(word).exists(), "{name}: no file {word}");
            }
        }
    }
}

#[test]
fn each_chapter_opens_with_a_question_and_ends_with_exercises_that_have_solutions_out_of_sight() {
    for (name, text) in chapters() {
        let mut lines = text.lines();
        let heading = lines.next().unwrap();
        let number: usize = name[..2].parse().unwrap();
        assert!(heading.starts_with(&format!("# {number}. ")), "{name}: {heading}");
        let question = lines.nth(1).unwrap();
        assert!(question.starts_with("**") && question.ends_with("?**"), "{name}: {question}");
        let (_, exercises) =
            text.split_once("\n## Exercises\n").unwrap_or_else(|| panic!("{name}"));
        let count = exercises.matches("\n**Exercise ").count();
        assert!((2..=3).contains(&count), "{name}: {count} exercises");
        assert_eq!(exercises.matches("<details>").count(), count, "{name}: solutions");
        assert_eq!(exercises.matches("</details>").count(), count, "{name}: solutions");
        for exercise in exercises.split("\n**Exercise ").skip(1) {
            let runs = ["```rust\n", "```sh\n", "cargo "].iter().any(|one| exercise.contains(one));
            assert!(runs, "{name}: an answer that nothing checks: {exercise}");
        }
    }
}

// Links: in Markdown they lead to files beside the chapter, in rustdoc to its pages.

/// A page that is no chapter.
fn page(name: &str) -> (String, String) {
    (name.into(), read(format!("{FOLDER}/{name}")))
}

/// The pages for looking things up that are written by hand.
fn looked_up() -> [(String, String); 2] {
    ["museum.md", "how_do_i.md"].map(page)
}

/// What rustdoc reads before a chapter, before a page for looking things up, and before the index.
fn rustdoc_definitions() -> String {
    let mut lines = BTreeSet::new();
    for (name, text) in chapters().into_iter().chain(looked_up()).chain([page("README.md")]) {
        // From the page of a chapter, or of the index above it, to the pages of the crate.
        let up = if name == "README.md" { "" } else { "../" };
        for (label, target) in definitions(&text) {
            let page = match target.strip_suffix(".md") {
                Some(
                    page @ ("how_do_i"
                    | "museum"
                    | "rfc"
                    | "tables"
                    | "figures"
                    | "conversation"
                    | "the_state_of_the_field"),
                ) => {
                    format!("{up}{page}/index.html")
                }
                Some("course/README") => format!("{up}course/index.html"),
                Some(chapter) => format!("{up}ch{chapter}/index.html"),
                None if target == "../lib.rs" => format!("{up}../index.html"),
                None => format!("{up}../../src/ws101/{}.html", target.trim_start_matches("../")),
            };
            lines.insert(format!("[{label}]: {page}\n"));
        }
    }
    lines.into_iter().collect()
}

#[test]
fn links_lead_to_files_in_markdown_and_to_pages_in_rustdoc() {
    let right = rustdoc_definitions();
    let path = format!("{FOLDER}/rustdoc.md");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(root().join(&path), &right).unwrap();
    }
    assert_eq!(read(&path), right, "{HOW_TO_MEND}");
    let labels: Vec<_> = right.lines().map(|line| line.split("]: ").next().unwrap()).collect();
    let different: BTreeSet<_> = labels.iter().collect();
    assert_eq!(labels.len(), different.len(), "a label leads to two places");
    for (name, text) in chapters().into_iter().chain(looked_up()) {
        let definitions = definitions(&text);
        for (label, target) in &definitions {
            assert!(root().join(FOLDER).join(target).exists(), "{name}: {label} leads nowhere");
            assert!(text.contains(&format!("[{label}]")), "{name}: nobody needs {label}");
        }
        // An inline link would lead astray in one of the two.
        let prose = prose(&name, &text);
        let inline = prose.match_indices("](").map(|(at, _)| &prose[at..]);
        // A heading of the same page has the same address in both.
        let inline: Vec<_> = inline.filter(|link| !link.starts_with("](#")).collect();
        assert!(inline.is_empty(), "{name}: an inline link {:?}", inline[0].lines().next());
        for label in
            prose.split('[').skip(1).filter_map(|rest| rest.split_once(']')).map(|one| one.0)
        {
            let is_code = label.starts_with('`') && label.ends_with(".rs`");
            assert!(!is_code || definitions.contains_key(label), "{name}: [{label}] has no target");
        }
    }
}

// "How do I ..?"

/// The list of questions at the top of the page: under each heading, its questions, each a link to its answer.
fn list_of_questions(text: &str) -> String {
    let mut list = String::new();
    for line in text.lines() {
        if let Some(group) = line.strip_prefix("## ") {
            list += &format!("\n**{group}**\n\n");
        } else if let Some(question) = line.strip_prefix("### ") {
            let kept = question.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            let address = kept.collect::<String>().to_lowercase().replace(' ', "-");
            list += &format!("- [{question}](#{address})\n");
        }
    }
    list
}

#[test]
fn the_page_of_questions_lists_each_at_its_top_and_answers_it_in_two_to_five_sentences_with_lines_that_are_held()
 {
    const TOP: &str = "<!-- questions -->\n";
    let (name, text) = page("how_do_i.md");
    let start = text.find(TOP).expect("no list of questions") + TOP.len();
    let end = text.find("\n## ").unwrap();
    let right = list_of_questions(&text);
    if std::env::var_os("UPDATE").is_some() && text[start..end] != right {
        let mut new = text.clone();
        new.replace_range(start..end, &right);
        fs::write(root().join(FOLDER).join(&name), new).unwrap();
    } else {
        assert_eq!(text[start..end], right, "{HOW_TO_MEND}");
    }
    let answers: Vec<&str> = text[end..].split("\n### ").skip(1).collect();
    assert!(answers.len() >= 30, "{} questions", answers.len());
    for answer in answers {
        let (question, answer) = answer.split_once("\n\n").unwrap();
        assert!(question.ends_with('?'), "{question}");
        assert!(right.matches(&format!("[{question}]")).count() == 1, "twice: {question}");
        assert!(answer.contains("\n```"), "no lines: {question}");
        let paragraph = answer.split("\n\n").next().unwrap().replace('\n', " ") + " ";
        let count = paragraph.matches(". ").count();
        assert!((2..=5).contains(&count), "{question} has {count} sentences");
    }
}

// The course that builds a server.

#[test]
fn each_stage_of_the_coach_has_its_chapter_and_each_chapter_all_its_parts() {
    let areas = read("examples/coach/areas/mod.rs");
    let areas = areas.lines().filter_map(|line| line.trim().strip_prefix("stage(\""));
    let areas: Vec<&str> = areas.map(|line| line.split('"').next().unwrap()).collect();
    let stages = stages();
    assert_eq!(stages.len(), areas.len());
    for (number, (area, (name, text))) in (1..).zip(areas.iter().zip(&stages)) {
        assert_eq!(*name, format!("course/{number:02}_{area}.md"));
        assert!(text.starts_with(&format!("# {number}. ")), "{name}");
        let mut rest = text.as_str();
        for part in [
            "\n## Build\n",
            "<!-- pseudocode -->",
            "\n## Traps\n",
            "\n## Check\n",
            &format!("coach -- --stage {number} ws://127.0.0.1:9001"),
            "<!-- coach: before -->",
            "<!-- coach: after -->",
            "\n## One way\n",
            &format!("<!-- stage: {number} -->"),
            "\n## A question\n",
            "<details><summary>Answer</summary>",
            "\n## In the library\n",
        ] {
            let at = rest.find(part).unwrap_or_else(|| panic!("{name}: no {part:?}, or not here"));
            rest = &rest[at..];
        }
        let hook = text.split("\n## ").next().unwrap();
        assert!(hook.contains("<!-- explain "), "{name} opens without bytes");
        for (at, _) in text.match_indices("stage ") {
            let digits: String = text[at + 6..].chars().take_while(char::is_ascii_digit).collect();
            let named = digits.parse().unwrap_or(0);
            assert!(named <= number + 1 || number < 4, "{name} needs stage {named}");
        }
    }
}

/// What rustdoc reads before a page of the course.
fn course_definitions() -> String {
    let mut lines = BTreeSet::new();
    for (name, text) in course() {
        // From a page to the folder of all pages of the course; its README is that folder's own page.
        let up = if name.ends_with("README.md") { "" } else { "../" };
        for (label, target) in definitions(&text) {
            let page = match target.strip_suffix(".md") {
                Some("README") => format!("{up}index.html"),
                Some("teacher") => format!("{up}teacher/index.html"),
                Some("../README") => format!("{up}../index.html"),
                Some(chapter) => match chapter.strip_prefix("../") {
                    Some(page @ ("museum" | "rfc" | "figures" | "conversation")) => {
                        format!("{up}../{page}/index.html")
                    }
                    Some(chapter) => format!("{up}../ch{chapter}/index.html"),
                    None => format!("{up}stage_{chapter}/index.html"),
                },
                None => {
                    format!("{up}../../../src/ws101/{}.html", target.trim_start_matches("../"))
                }
            };
            lines.insert(format!("[{label}]: {page}\n"));
        }
    }
    lines.into_iter().collect()
}

#[test]
fn links_of_the_course_lead_to_files_in_markdown_and_to_pages_in_rustdoc() {
    let right = course_definitions();
    let path = format!("{COURSE}/rustdoc.md");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(root().join(&path), &right).unwrap();
    }
    assert_eq!(read(&path), right, "{HOW_TO_MEND}");
    let labels: Vec<_> = right.lines().map(|line| line.split("]: ").next().unwrap()).collect();
    for (one, next) in labels.iter().zip(labels.iter().skip(1)) {
        assert_ne!(one, next, "a label leads to two places");
    }
    for (name, text) in course() {
        for (label, target) in definitions(&text) {
            assert!(root().join(COURSE).join(&target).exists(), "{name}: {label} leads nowhere");
            assert!(text.contains(&format!("[{label}]")), "{name}: no text has [{label}]");
        }
        assert!(!prose(&name, &text).contains("]("), "{name}: an inline link");
    }
}
