//! The catalogue of the museum: which exhibit is in which room, read from the exhibits' comments.
//!
//! An exhibit's comment has three paragraphs: its ids, its story, and lines that begin with `Bytes:`,
//! `Holds:` and `Twin:`. If a `Twin:` names a file, the lines `was` and `now` follow: what the file says
//! with the guard, and what it says without. `and:` names a further place of the same twin, and `\n`
//! stands for a line's end. `twins` reads these lines, too.

use std::io::Write;

/// The rooms, in their order. The room of its own crate comes last.
const ROOMS: [(&str, &str); 7] = [
    ("lengths.rs", include_str!("lengths.rs")),
    ("floods.rs", include_str!("floods.rs")),
    ("compression.rs", include_str!("compression.rs")),
    ("handshake.rs", include_str!("handshake.rs")),
    ("secure.rs", include_str!("secure.rs")),
    ("lifecycle.rs", include_str!("lifecycle.rs")),
    ("unnumbered.rs", include_str!("unnumbered.rs")),
];
const COUNTED: (&str, &str) = ("memory/tests/counted.rs", include_str!("memory/tests/counted.rs"));

/// The guide through the rooms.
const GUIDE: &str = include_str!("../../src/walkthrough/museum.md");

/// Published faults that no exhibit can show: their ids, and why.
const NOT_HERE: [(&str, &str); 1] = [(
    "websockets CVE-2021-33880",
    "the time of a password comparison told how much of the password was right. This library \
     compares no secrets: `authorize` passes the request to the application, which must compare them",
)];

struct Exhibit {
    name: String,
    ids: String,
    story: String,
    bytes: String,
    holds: String,
    twins: Vec<String>,
}

/// What `twins` removes must occur exactly once in the source.
#[test]
fn each_guard_that_a_twin_takes_away_stands_once_in_its_file() {
    for (room, text) in ROOMS.into_iter().chain([COUNTED]) {
        let mut file = "";
        let lines = text.lines().enumerate();
        for (at, line) in lines.filter_map(|(at, it)| Some((at, it.trim().strip_prefix("/// ")?))) {
            if let Some(path) = line.strip_prefix("Twin: ").or(line.strip_prefix("and: ")) {
                file = path;
            } else if let Some(was) =
                line.strip_prefix("was `").and_then(|was| was.strip_suffix('`'))
            {
                let path = format!("{}/{file}", env!("CARGO_MANIFEST_DIR"));
                let source =
                    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
                let count = source.matches(&was.replace("\\n", "\n")).count();
                assert_eq!(
                    count,
                    1,
                    "tests/museum/{room}:{}: {file} no longer says this once: `{was}`. Write here what it says \
                     instead, and change `now` in the same way; the place of the line doesn't matter",
                    at + 1
                );
            }
        }
    }
}

/// All exhibits of a room: each comment with a test below it.
fn exhibits(text: &str) -> Vec<Exhibit> {
    let (mut found, mut comment) = (Vec::new(), Vec::new());
    let mut is_test = false;
    for line in text.lines().map(str::trim) {
        if let Some(said) = line.strip_prefix("///") {
            comment.push(said.trim());
        } else if line == "#[test]" {
            is_test = true;
        } else if let (true, Some(rest)) = (is_test, line.strip_prefix("fn ")) {
            found.push(exhibit(rest.split('(').next().unwrap(), &comment));
            (comment, is_test) = (Vec::new(), false);
        } else if !line.starts_with("#[") {
            comment.clear();
        }
    }
    found
}

fn exhibit(name: &str, comment: &[&str]) -> Exhibit {
    let mut paragraphs = comment.split(|line| line.is_empty());
    let mut paragraph = || paragraphs.next().unwrap_or_default();
    let (ids, story, facts) = (paragraph().join(" "), paragraph().join(" "), paragraph());
    let one = |title: &str| -> String {
        let mut lines = facts.iter().filter_map(|line| line.strip_prefix(title));
        let line = lines.next().unwrap_or_else(|| panic!("{name} has a line {title}"));
        assert_eq!(lines.next(), None, "{name} has one line {title}");
        line.trim().into()
    };
    let (bytes, holds, twins) = (one("Bytes:"), one("Holds:"), twins(facts));
    Exhibit { name: name.into(), ids, story, bytes, holds, twins }
}

/// Each twin as one line: what is removed, and where.
fn twins(facts: &[&str]) -> Vec<String> {
    let mut twins = Vec::<String>::new();
    for line in facts {
        match line.split_once(' ') {
            Some(("Twin:", whose)) => twins.push(whose.into()),
            Some(("and:", file)) => *twins.last_mut().unwrap() += &format!("; {file}"),
            Some(("was", text)) => *twins.last_mut().unwrap() += &format!(": {text}"),
            Some(("now", "``")) => *twins.last_mut().unwrap() += " is taken out",
            Some(("now", text)) => *twins.last_mut().unwrap() += &format!(" becomes {text}"),
            _ => {}
        }
    }
    twins
}

/// The room's title line, such as `Room 1, lengths: ..`.
fn title(text: &str) -> &str {
    text.lines().next().unwrap().trim_start_matches("//! ")
}

/// The first sentence of a story, for the list.
fn first_sentence(story: &str) -> &str {
    story.split_inclusive(". ").next().unwrap().trim()
}

fn print() -> String {
    let mut out = String::from("\n");
    for (file, text) in ROOMS.into_iter().chain([COUNTED]) {
        out += &format!("{}\n  tests/museum/{file}\n\n", title(text));
        for Exhibit { name, ids, story, bytes, holds, twins } in exhibits(text) {
            out += &format!("  {name}\n    ids:   {ids}\n    story: {}\n", first_sentence(&story));
            out += &format!("    bytes: {bytes}\n    holds: {holds}\n");
            for twin in twins {
                out += &format!("    twin:  {twin}\n");
            }
            out.push('\n');
        }
    }
    for (ids, why) in NOT_HERE {
        out += &format!("Not here: {ids}\n  {why}.\n");
    }
    out
}

/// Prints the catalogue if the test run names the museum.
#[test]
fn catalogue() {
    if std::env::args().skip(1).any(|argument| argument.contains("museum")) {
        // Not `print!`, which the test runner keeps to itself.
        std::io::stdout().write_all(print().as_bytes()).unwrap();
    }
}

#[test]
fn each_exhibit_has_its_ids_its_story_what_holds_and_a_twin() {
    let mut names = std::collections::HashSet::new();
    for (file, text) in ROOMS.into_iter().chain([COUNTED]) {
        let exhibits = exhibits(text);
        let tests = text.lines().filter(|line| line.trim() == "#[test]").count();
        assert_eq!(exhibits.len(), tests, "{file}: each test is an exhibit");
        assert!(!exhibits.is_empty(), "{file} is empty");
        for Exhibit { name, ids, story, bytes, holds, twins } in exhibits {
            for part in [&ids, &story, &bytes, &holds] {
                assert!(part.len() > 3, "{name} has all its parts");
            }
            assert!(!twins.is_empty(), "{name} has a twin, or says why not");
            assert!(names.insert(name.clone()), "{name} stands twice");
        }
    }
}

#[test]
fn each_exhibit_is_named_after_its_first_id() {
    let letters = |text: &str| text.to_lowercase().replace(|c: char| !c.is_alphanumeric(), "_");
    for (_, text) in ROOMS.into_iter().chain([COUNTED]) {
        for Exhibit { name, ids, .. } in exhibits(text) {
            let id = name.split("_what_if_").next().unwrap();
            let ids = letters(&ids);
            let words = id.split('_').filter(|word| !ids.contains(word)).count();
            assert_eq!(words, 0, "{name} is named after one of {ids}");
        }
    }
}

/// The first of an exhibit's ids.
fn first_id(ids: &str) -> &str {
    ids.split([',', ';', ':']).next().unwrap()
}

/// The rows of the guide: the room, how the test's name begins, and where the fault was seen.
fn rows_of_guide() -> Vec<(&'static str, &'static str, &'static str)> {
    let mut room = "";
    let mut rows = Vec::new();
    for line in GUIDE.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            room = heading;
        } else if let Some(row) = line.strip_prefix("| `") {
            let mut columns = row.split('|').map(str::trim);
            let name = columns.next().unwrap().trim_end_matches('`');
            rows.push((room, name, columns.next().unwrap()));
        }
    }
    rows
}

#[test]
fn the_guide_names_each_exhibit_in_its_room_with_its_first_id_and_none_that_is_not_there() {
    let rows = rows_of_guide();
    let mut shown = std::collections::HashSet::new();
    for (file, text) in ROOMS.into_iter().chain([COUNTED]) {
        // `Room 1`; rooms that several share have no number of their own.
        let number = title(text).split(',').next().unwrap();
        for Exhibit { name, ids, .. } in exhibits(text) {
            let word = name.split("_what_if_").next().unwrap();
            let row = rows.iter().find(|(_, name, _)| *name == word);
            let (room, _, seen) = row.unwrap_or_else(|| panic!("the guide does not name {word}"));
            assert!(seen.starts_with(first_id(&ids)), "{word} was seen in {seen}");
            let in_its_room = number.starts_with("Rooms") || room.starts_with(number);
            assert!(in_its_room, "{word} of {file} stands in {room}");
            shown.insert(word.to_owned());
        }
    }
    for (_, word, _) in &rows {
        assert!(shown.contains(*word), "no exhibit {word}");
    }
    assert_eq!(rows.len(), shown.len(), "an exhibit stands twice");
    for (ids, _) in NOT_HERE {
        assert!(GUIDE.contains(ids), "the guide does not say that {ids} is not here");
    }
}
