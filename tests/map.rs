//! The map in `lib.rs` is true: it lists every file, in an order in which nothing needs what comes
//! later, and the README shows the same. So are the headings by which the code names its lessons.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The rows of the reading order, as they stand in a text: `| file | minutes | question |`.
fn rows(text: &str) -> Vec<&str> {
    let lines = text.lines().map(|line| line.trim_start_matches("//! "));
    lines.filter(|line| line.starts_with("| `") && line.contains(".rs` |")).collect()
}

/// The files of a text's reading order.
fn listed(text: &str) -> Vec<&str> {
    rows(text).iter().map(|row| row.split('`').nth(1).unwrap()).collect()
}

fn read(path: impl AsRef<Path>) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All Rust files under `src`, but for those that only name others.
fn on_disk() -> BTreeSet<String> {
    let mut files = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let root = folders[0].clone();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.extension() {
                _ if path.is_dir() => folders.push(path),
                Some(rs) if rs == "rs" => {
                    files.insert(path.strip_prefix(&root).unwrap().to_string_lossy().into_owned());
                }
                _ => {}
            }
        }
    }
    files.retain(|file| !file.ends_with("mod.rs") && file != "lib.rs");
    // It stands in for deflate.rs, and says nothing of its own.
    files.remove("protocol/no_deflate.rs");
    files
}

/// The code of a file: without comments, and without its tests.
fn code(file: &str) -> String {
    let text = read(format!("src/{file}"));
    let text = text.split("\n#[cfg(test)]\nmod tests").next().unwrap();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_map_lists_each_file_once() {
    let text = read("src/lib.rs");
    let listed = listed(&text);
    let set: BTreeSet<String> = listed.iter().map(|file| file.to_string()).collect();
    assert_eq!(set, on_disk());
    assert_eq!(set.len(), listed.len(), "a file stands twice");
}

#[test]
fn the_readme_shows_the_same_map() {
    assert_eq!(rows(&read("README.md")), rows(&read("src/lib.rs")));
}

/// The question of a chapter, and how many minutes it takes to read: what stands above its exercises,
/// at 220 words or 40 lines of code a minute.
fn question_and_minutes(chapter: &str) -> (String, f64) {
    let (lesson, _) = chapter.split_once("\n## Exercises").unwrap();
    let (mut words, mut lines) = (0, 0);
    for (number, part) in lesson.split("\n```").enumerate() {
        match number % 2 {
            0 => words += part.split_whitespace().count(),
            _ => lines += part.lines().count(),
        }
    }
    let question = lesson.lines().nth(2).unwrap().trim_matches('*').to_owned();
    (question, words as f64 / 220.0 + lines as f64 / 40.0)
}

#[test]
fn the_walkthrough_lists_each_chapter_once_with_its_minutes_and_its_question() {
    let index = read("src/walkthrough/README.md");
    let rows: Vec<Vec<&str>> = index
        .lines()
        .filter(|line| line.starts_with("| ["))
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/walkthrough");
    let names = fs::read_dir(folder).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut chapters: Vec<String> = names.filter(|name| name.starts_with(['0', '1'])).collect();
    chapters.sort();
    assert_eq!(rows.len(), chapters.len());
    let modules = read("src/walkthrough/mod.rs");
    let mut above = 0;
    for (number, (row, name)) in rows.iter().zip(&chapters).enumerate() {
        assert!(name.starts_with(&format!("{:02}_", number + 1)), "{name}");
        let text = read(format!("src/walkthrough/{name}"));
        let (question, minutes) = question_and_minutes(&text);
        assert_eq!(row[3], question, "{name}");
        let listed: f64 = row[2].parse().unwrap();
        assert!(
            (listed - minutes).abs() <= 1.0,
            "{name} takes {minutes:.1} minutes: src/walkthrough/README.md says {listed}"
        );
        assert!((4.0..9.0).contains(&minutes), "{name} takes {minutes:.1} minutes");
        let title = row[1].trim_matches(['[', ']']);
        assert!(text.starts_with(&format!("# {}. {title}\n", number + 1)), "{name}");
        assert!(index.contains(&format!("\n[{title}]: {name}\n")), "{name}");
        let module = name.trim_end_matches(".md");
        let module = format!("#[doc = include_str!(\"{name}\")]\npub mod ch{module} {{}}\n");
        let place = modules.find(&module).unwrap_or_else(|| panic!("{name} is no module"));
        assert!(place >= above, "{name} stands out of order");
        above = place;
    }
}

#[test]
fn readme_and_lib_point_to_the_walkthrough() {
    assert!(read("README.md").contains("](src/walkthrough/README.md)"));
    assert!(read("src/lib.rs").contains("[`walkthrough`]"));
}

#[test]
fn each_file_needs_only_those_above_it_in_the_map() {
    let text = read("src/lib.rs");
    let listed = listed(&text);
    for (place, file) in listed.iter().enumerate() {
        let (folder, _) = file.rsplit_once('/').unwrap_or(("", file));
        for line in code(file).lines() {
            let needed = if let Some(rest) = line.trim().strip_prefix("use super::") {
                format!("{folder}/{rest}")
            } else if let Some(rest) = line.trim().strip_prefix("use crate::") {
                rest.replacen("::", "/", 1)
            } else {
                continue;
            };
            let module = needed.split([':', ';', '{']).next().unwrap();
            let module = if module.starts_with("error/") { "error" } else { module };
            let needed = format!("{module}.rs");
            let above = listed[..place].contains(&needed.as_str());
            assert!(above, "{file} needs {needed}, which does not stand above it: {line}");
        }
    }
}

#[test]
fn the_protocol_knows_no_sockets_clocks_or_threads() {
    for file in on_disk().iter().filter(|file| file.starts_with("protocol/")) {
        for word in
            ["std::net", "std::io", "std::thread", "std::time", "std::sync::Mutex", "crate::net"]
        {
            assert!(!code(file).contains(word), "{file} names {word}");
        }
    }
}

#[test]
fn explain_asks_the_protocol_and_nobody_else() {
    for file in on_disk().iter().filter(|file| file.starts_with("explain/")) {
        for line in code(file).lines().filter(|line| line.contains("crate::")) {
            let asks = line.contains("crate::protocol::");
            assert!(asks, "{file} asks somebody else than the protocol: {line}");
        }
        for word in ["std::net", "std::io", "std::thread", "std::time", "std::env"] {
            assert!(!code(file).contains(word), "{file} names {word}");
        }
    }
}

#[test]
fn each_lesson_that_the_code_names_is_there_and_none_is_left_over() {
    let lessons = read("src/protocol/lessons.md");
    let headings: BTreeSet<&str> =
        lessons.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let all_code: String = on_disk().iter().map(|file| code(file)).collect();
    for heading in &headings {
        assert!(all_code.contains(&format!("\"{heading}\"")), "nobody teaches {heading:?}");
    }
    // A lesson is named where one is made: in the first string behind one of these.
    for start in
        ["Lesson::about(\"", "Refusal::new(400, \"", "Refusal::new(426, \"", "Refusal::new(431, \""]
    {
        for call in all_code.split(start).skip(1) {
            let heading = call.split('"').next().unwrap();
            assert!(headings.contains(heading), "no lesson {heading:?}");
        }
    }
}

#[test]
fn each_file_opens_with_its_story_and_is_short() {
    for file in on_disk() {
        let text = read(format!("src/{file}"));
        assert!(text.starts_with("//! "), "{file} has no story");
        let before_tests = text.split("\n#[cfg(test)]\nmod tests").next().unwrap();
        let lines = before_tests.lines().count();
        assert!(lines <= 330, "{file} has {lines} lines without its tests: it holds two ideas");
    }
}
