//! The map of the source is true: `lib.rs` lists the folders so that none imports a later one, each
//! folder's `mod.rs` lists its files in such an order, and the README shows the same map. The
//! folders that may not know sockets, clocks or threads don't name any. The headings that the code
//! names for its diagnostics exist.
//!
//! Imports are found by parsing: `use` trees are expanded (`use std::{net, thread}` names both), and
//! paths in the code (`crate::server::..`, `super::..`) count like imports.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Folders that know no sockets, clocks or threads.
const PURE: [&str; 5] = ["diagnostic", "http", "handshake", "frames", "explain"];
/// What such a folder must not name.
const IMPURE: [&str; 10] = [
    "std::net",
    "std::io",
    "std::thread",
    "std::time",
    "std::env",
    "std::fs",
    "std::process",
    "std::os",
    "std::sync::Mutex",
    "std::sync::Condvar",
];

fn read(path: impl AsRef<Path>) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The table rows under a column head of the documentation: the first cell, without its backticks.
fn listed(text: &str, head: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.trim_start_matches("//! "));
    let rows = lines.skip_while(|line| !line.starts_with(&format!("| {head} |"))).skip(2);
    let rows = rows.take_while(|line| line.starts_with("| `"));
    rows.map(|row| row.split('`').nth(1).unwrap().to_owned()).collect()
}

/// All rows of tables.
fn rows(text: &str) -> Vec<&str> {
    let lines = text.lines().map(|line| line.trim_start_matches("//! "));
    lines.filter(|line| line.starts_with("| `")).collect()
}

/// The folders of the map, and `error.rs`, `limits.rs` and `counters.rs` among them.
fn folders() -> Vec<String> {
    listed(&read("src/lib.rs"), "folder")
}

/// All files in reading order, as paths below `src`.
fn reading_order() -> Vec<String> {
    let files_of = |folder: String| match folder.ends_with(".rs") {
        true => vec![folder],
        false => {
            let files = listed(&read(format!("src/{folder}/mod.rs")), "file");
            assert!(!files.is_empty(), "src/{folder}/mod.rs lists no files");
            files.into_iter().map(|file| format!("{folder}/{file}")).collect()
        }
    };
    folders().into_iter().flat_map(files_of).collect()
}

/// Whether a file is a folder's `mod.rs` that lists the others, and holds no code itself.
fn lists_others(file: &str) -> bool {
    file.ends_with("mod.rs") && !listed(&read(format!("src/{file}")), "file").is_empty()
}

/// All Rust files under `src` that hold code.
fn on_disk() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = BTreeSet::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.extension() {
                _ if path.is_dir() => folders.push(path),
                Some(rs) if rs == "rs" => {
                    let file = path.strip_prefix(&root).unwrap().to_string_lossy();
                    files.insert(file.replace('\\', "/"));
                }
                _ => {}
            }
        }
    }
    files
        .retain(|file| !lists_others(file) && !["lib.rs", "walkthrough/mod.rs"].contains(&&**file));
    // These stand in where a feature is off, and are named beside the file that they replace.
    files.retain(|file| !file.ends_with("/absent.rs"));
    files
}

/// The code of a file: without comments, strings' contents, and its tests.
fn code(file: &str) -> String {
    let text = read(format!("src/{file}"));
    let text = text.split("\n#[cfg(test)]\nmod tests").next().unwrap();
    let lines = text.lines().map(|line| line.split("//").next().unwrap());
    lines.map(|line| format!("{line}\n")).collect()
}

/// Every path that code names: `use` trees expanded, and paths that begin with `crate`, `super` or
/// `std`.
fn paths(code: &str) -> Vec<String> {
    let mut paths = Vec::new();
    let mut rest = code;
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    while let Some(start) = rest.find(is_word) {
        rest = &rest[start..];
        let word = &rest[..rest.find(|c| !is_word(c)).unwrap_or(rest.len())];
        let behind = &rest[word.len()..];
        // The word may stand in a string, too: an import begins its line.
        let line = code[..code.len() - rest.len()].rsplit('\n').next().unwrap().trim();
        if word == "use" && ["", "pub", "pub(crate)"].contains(&line) {
            let (tree, more) = behind.split_once(';').expect("a use ends");
            expand("", tree.trim(), &mut paths);
            rest = more;
        } else if ["crate", "super", "std", "core"].contains(&word) && behind.starts_with("::") {
            let is_path = |c: char| is_word(c) || c == ':';
            let length = rest.find(|c| !is_path(c)).unwrap_or(rest.len());
            paths.push(rest[..length].trim_end_matches(':').to_owned());
            rest = &rest[length..];
        } else {
            rest = behind;
        }
    }
    paths
}

/// The paths of a `use` tree below a prefix.
fn expand(prefix: &str, tree: &str, paths: &mut Vec<String>) {
    let tree = tree.trim();
    let Some((before, inside)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap().trim();
        let path = path.trim_end_matches("::self").trim_end_matches("self");
        if !tree.is_empty() {
            paths.push(format!("{prefix}{path}").trim_end_matches("::").to_owned());
        }
        return;
    };
    let inside = inside.trim_end().strip_suffix('}').expect("a brace that closes");
    let prefix = format!("{prefix}{}", before.trim());
    let mut depth = 0;
    let is_comma = |c: char| {
        depth += match c {
            '{' => 1,
            '}' => -1,
            _ => 0,
        };
        c == ',' && depth == 0
    };
    inside.split(is_comma).for_each(|branch| expand(&prefix, branch, paths));
}

/// The module of a file, as the parts of its path.
fn module(file: &str) -> Vec<&str> {
    let file = file.trim_end_matches(".rs").trim_end_matches("/mod");
    file.split('/').collect()
}

/// The files of this crate that a file needs.
fn needed_by<'a>(file: &str, all: &'a [String]) -> BTreeSet<&'a str> {
    let modules: BTreeMap<Vec<&str>, &str> =
        all.iter().map(|file| (module(file), file.as_str())).collect();
    let mut needed = BTreeSet::new();
    for path in paths(&code(file)) {
        let mut parts: Vec<&str> = path.split("::").collect();
        let mut whole = match parts[0] {
            "crate" => Vec::new(),
            "super" | "self" => module(file),
            _ => continue,
        };
        while let Some(&("crate" | "super" | "self")) = parts.first() {
            if parts.remove(0) == "super" {
                whole.pop();
            }
        }
        whole.extend(parts);
        // A folder's `mod.rs` hands out what its main file defines.
        if whole.first() == Some(&"diagnostic") && whole.get(1) != Some(&"misuse") {
            whole = vec!["diagnostic", "diagnostic"];
        }
        while !whole.is_empty() {
            if let Some(found) = modules.get(&whole) {
                needed.insert(*found);
                break;
            }
            whole.pop();
        }
    }
    needed.remove(file);
    needed
}

#[test]
fn a_use_tree_cannot_hide_what_it_names() {
    let code = "use std::{net, sync::{Arc, Mutex as M}, thread::{self, Builder}};\n\
                use crate::server::{self};\nfn f() { crate::client::client::x(); }\n";
    let expected = [
        "std::net",
        "std::sync::Arc",
        "std::sync::Mutex",
        "std::thread",
        "std::thread::Builder",
        "crate::server",
        "crate::client::client::x",
    ];
    assert_eq!(paths(code), expected);
}

#[test]
fn the_map_lists_each_file_once() {
    let listed = reading_order();
    let set: BTreeSet<String> = listed.iter().cloned().collect();
    assert_eq!(set, on_disk());
    assert_eq!(set.len(), listed.len(), "a file stands twice");
}

#[test]
fn a_folder_within_a_folder_lists_its_files_in_the_order_of_the_map() {
    let list = "connection/outbox/mod.rs";
    assert!(lists_others(list));
    let folder = list.trim_end_matches("mod.rs");
    let order = reading_order();
    let within: Vec<_> = order.iter().filter_map(|file| file.strip_prefix(folder)).collect();
    assert_eq!(listed(&read(format!("src/{list}")), "file"), within);
}

#[test]
fn each_file_needs_only_those_above_it_in_the_map() {
    let listed = reading_order();
    for (place, file) in listed.iter().enumerate() {
        for needed in needed_by(file, &listed) {
            let above = listed[..place].iter().any(|one| one == needed);
            assert!(above, "{file} needs {needed}, which does not stand above it");
        }
    }
}

#[test]
fn the_pure_folders_name_no_sockets_clocks_or_threads() {
    for file in on_disk() {
        if !PURE.contains(&file.split('/').next().unwrap()) {
            continue;
        }
        for path in paths(&code(&file)) {
            let path = path.replacen("core::", "std::", 1);
            let is_named = |word: &str| path == word || path.starts_with(&format!("{word}::"));
            // Addresses are values: a `Host` may be one, and `Request::peer` says with its port where a request
            // came from. No function of these folders can connect to one.
            let values = ["IpAddr", "Ipv4Addr", "Ipv6Addr", "SocketAddr"]
                .map(|name| format!("std::net::{name}"));
            let is_impure = IMPURE.into_iter().any(is_named) && !values.contains(&path);
            assert!(!is_impure, "{file} names {path}");
        }
    }
}

#[test]
fn the_core_is_about_a_dozen_files_of_the_map() {
    let core = listed(&read("src/lib.rs"), "core file");
    assert!((12..=15).contains(&core.len()), "{}", core.len());
    let all = reading_order();
    for file in core {
        assert!(all.contains(&file), "{file} is no file");
    }
}

#[test]
fn the_readme_shows_the_same_map() {
    let (readme, lib) = (read("README.md"), read("src/lib.rs"));
    let core = listed(&lib, "core file");
    for row in rows(&lib).into_iter().filter(|row| !core.iter().any(|file| row.contains(file))) {
        assert!(readme.contains(row), "README.md lacks this row of src/lib.rs: {row}");
    }
    let (_, core_of_readme) = readme.split_once("| part of the story |").expect("the core's table");
    let quoted = core_of_readme.split("\n\n").next().unwrap_or_default().split('`');
    let files: Vec<&str> = quoted.skip(1).step_by(2).collect();
    assert_eq!(files, core, "README.md lists the core as src/lib.rs does");
}

/// The question that a chapter opens with.
fn question(chapter: &str) -> String {
    chapter.lines().nth(2).unwrap().trim_matches('*').to_owned()
}

#[test]
fn the_walkthrough_lists_each_chapter_once_with_its_question() {
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
        assert_eq!(row[2], question(&text), "{name}");
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
fn each_diagnostic_that_the_code_names_exists_and_none_is_unused() {
    let diagnostics = read("src/diagnostic/diagnostics.md");
    let headings: BTreeSet<&str> =
        diagnostics.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let all_code: String = on_disk().iter().map(|file| code(file)).collect();
    for heading in &headings {
        assert!(
            all_code.contains(&format!("\"{heading}\"")),
            "no code names {heading:?}: remove it from diagnostics.md"
        );
    }
    // (`tests/tables.rs` looks at those that a refusal names.)
    for call in all_code.split("Diagnostic::about(\"").skip(1) {
        let heading = call.split('"').next().unwrap();
        assert!(headings.contains(heading), "no diagnostic {heading:?}");
    }
}

#[test]
fn each_file_opens_by_saying_what_it_does() {
    for file in on_disk() {
        assert!(read(format!("src/{file}")).starts_with("//! "), "{file} does not open with //!");
    }
}
