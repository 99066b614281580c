//! The tables of `src/walkthrough/tables.md` agree with the source: limits, rules, statuses, close
//! codes.
//!
//! `UPDATE=1 cargo test --test tables` writes them anew, between their marks `<!-- table: NAME -->` and
//! `<!-- end -->`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};

use ws101::handshake::server::Rules;
use ws101::{CloseCode, Limits};

const PAGE: &str = "src/walkthrough/tables.md";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(root().join(&path)).unwrap_or_else(|e| panic!("{:?}: {e}", path.as_ref()))
}

/// Doc comments as a sentence of a table: links become their words.
fn sentence(docs: &[&str]) -> String {
    let mut text = docs.join(" ");
    while let Some((before, rest)) = text.split_once("[`") {
        let (word, rest) = rest.split_once("`]").expect("a whole link");
        let rest = match rest.strip_prefix('(') {
            Some(target) => target.split_once(')').expect("a whole link").1,
            None => rest,
        };
        text = format!("{before}`{word}`{rest}");
    }
    text
}

/// The public fields of a struct, each with its documentation.
fn fields(file: &str, structure: &str) -> Vec<(String, String)> {
    let text = read(file);
    let body = text.split(&format!("pub struct {structure} {{\n")).nth(1).expect(structure);
    let (mut docs, mut found) = (Vec::new(), Vec::new());
    for line in body.lines().take_while(|line| *line != "}").map(str::trim) {
        if let Some(doc) = line.strip_prefix("/// ") {
            docs.push(doc);
        } else if let Some((name, _)) = line.strip_prefix("pub ").and_then(|it| it.split_once(':'))
        {
            found.push((name.to_owned(), sentence(&docs)));
            docs.clear();
        }
    }
    found
}

/// The default of each field, from what `Debug` prints of the default.
fn defaults(default: &impl Debug) -> BTreeMap<String, String> {
    let text = format!("{default:?}");
    let inside = text.split_once(" { ").and_then(|it| it.1.strip_suffix(" }")).expect("a struct");
    let pairs = inside.split(", ").map(|pair| pair.split_once(": ").expect("a field"));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// A default as a person writes it.
fn shown(value: &str, is_bytes: bool) -> String {
    let value = value.strip_prefix("Some(").and_then(|it| it.strip_suffix(')')).unwrap_or(value);
    match (value.parse::<u64>(), value.strip_suffix('s')) {
        (Ok(bytes), _) if is_bytes && bytes % (1 << 20) == 0 => format!("{} MiB", bytes >> 20),
        (Ok(bytes), _) if is_bytes && bytes % (1 << 10) == 0 => format!("{} KiB", bytes >> 10),
        (Ok(count), _) if count >= 1000 => format!("{},{:03}", count / 1000, count % 1000),
        (Ok(count), _) => count.to_string(),
        (_, Some(seconds)) if seconds.parse::<f64>().is_ok() => format!("{seconds} s"),
        _ if value == "None" => "none".into(),
        _ if value == "[]" => "empty".into(),
        _ => format!("`{value}`"),
    }
}

fn table_of_fields(file: &str, structure: &str, default: &impl Debug) -> String {
    let defaults = defaults(default);
    let mut table = String::from("| field | default | what it bounds or allows |\n|---|---|---|\n");
    for (name, doc) in fields(file, structure) {
        let is_bytes = is_in_bytes(&doc);
        table += &format!("| `{name}` | {} | {doc} |\n", shown(&defaults[&name], is_bytes));
    }
    table
}

/// Whether a number is a number of bytes: the first sentence of its documentation says so.
fn is_in_bytes(doc: &str) -> bool {
    doc.split(". ").next().is_some_and(|sentence| sentence.contains("bytes"))
}

fn sources(folder: PathBuf, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        match path.is_dir() {
            true => sources(path, found),
            false if path.extension().is_some_and(|end| end == "rs") => found.push(path),
            false => {}
        }
    }
}

/// The diagnostics of each status: those that `Refusal::new` names, at once or through a parameter `heading`.
fn refusals() -> BTreeMap<u16, BTreeSet<String>> {
    let diagnostics = read("src/diagnostic/diagnostics.md");
    let headings: BTreeSet<&str> =
        diagnostics.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let (mut files, mut found) = (Vec::new(), BTreeMap::<u16, BTreeSet<String>>::new());
    sources(root().join("src"), &mut files);
    for file in files {
        let text = read(file);
        let code = text.split("\n#[cfg(test)]\nmod tests").next().unwrap();
        let (mut named, mut through_a_parameter) = (BTreeSet::new(), None);
        for call in code.split("Refusal::new(").skip(1) {
            let (status, rest) = call.split_once(',').expect("two arguments");
            let Ok(status) = status.trim().parse() else { continue };
            match rest.trim_start().strip_prefix('"') {
                Some(literal) => {
                    let heading = literal.split('"').next().unwrap();
                    assert!(headings.contains(heading), "{status} {heading:?} has no diagnostic");
                    named.insert(heading);
                    found.entry(status).or_default().insert(heading.to_owned());
                }
                None if rest.trim_start().starts_with("heading") => {
                    through_a_parameter = Some(status)
                }
                None => panic!("a diagnostic that is neither a literal nor `heading`: {rest:.40}"),
            }
        }
        if let Some(status) = through_a_parameter {
            let strings = code.split('"').skip(1).step_by(2);
            let others = strings.filter(|it| headings.contains(it) && !named.contains(it));
            found.entry(status).or_default().extend(others.map(str::to_owned));
        }
    }
    found
}

/// The reason phrase of a status.
fn phrase(status: u16) -> String {
    let text = read("src/http/status_line.rs");
    let arm = text.split(&format!("        {status} => \"")).nth(1);
    let arm = arm.unwrap_or_else(|| panic!("{status} has no words in src/http/status_line.rs"));
    arm.split('"').next().unwrap().to_owned()
}

fn table_of_statuses() -> String {
    let mut table = String::from("| status | reason phrase | diagnostics |\n|---|---|---|\n");
    for (status, headings) in refusals() {
        let headings: Vec<String> = headings.into_iter().collect();
        table += &format!("| {status} | {} | {} |\n", phrase(status), headings.join("; "));
    }
    table
}

fn table_of_close_codes() -> String {
    let text = read("src/frames/close_code.rs");
    let mut table =
        String::from("| code | name | meaning | may be sent | failure |\n|---|---|---|---|---|\n");
    let mut docs = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(doc) = line.strip_prefix("/// ") {
            docs.push(doc);
            continue;
        }
        if let Some(constant) = line.strip_prefix("pub const ") {
            let (name, rest) = constant.split_once(':').unwrap();
            let code: u16 = rest.split(['(', ')']).nth(1).unwrap().parse().unwrap();
            let word = |is_so| if is_so { "yes" } else { "no" };
            let (sent, failed) = (CloseCode(code).may_be_sent(), CloseCode(code).is_failure());
            let meaning = sentence(&docs);
            table +=
                &format!("| {code} | `{name}` | {meaning} | {} | {} |\n", word(sent), word(failed));
        }
        docs.clear();
    }
    table
}

/// The page, with each of its tables as the source has it.
fn page() -> String {
    let text = read(PAGE);
    let mut parts = text.split("<!-- table: ");
    let mut page = parts.next().unwrap().to_owned();
    for part in parts {
        let (name, rest) = part.split_once(" -->\n").expect("the end of the mark");
        let after = rest.split_once("<!-- end -->").expect("<!-- end -->").1;
        let table = match name {
            "limits" => table_of_fields("src/limits.rs", "Limits", &Limits::default()),
            "rules" => table_of_fields("src/handshake/server.rs", "Rules", &Rules::default()),
            "statuses" => table_of_statuses(),
            "close codes" => table_of_close_codes(),
            _ => panic!("no table is called {name:?}"),
        };
        page += &format!("<!-- table: {name} -->\n\n{table}\n<!-- end -->{after}");
    }
    page
}

#[test]
fn the_page_of_tables_says_what_the_source_says() {
    let right = page();
    for name in ["limits", "rules", "statuses", "close codes"] {
        assert!(right.contains(&format!("<!-- table: {name} -->")), "{PAGE} has no table {name:?}");
    }
    if std::env::var_os("UPDATE").is_some() {
        fs::write(root().join(PAGE), &right).unwrap();
    }
    assert!(
        read(PAGE) == right,
        "{PAGE} is out of date: UPDATE=1 cargo test --test tables writes it anew"
    );
}

/// Chapter 2 shows what the server answers to which request. Its table may leave statuses out, but each of those in
/// it is one that a refusal has.
#[test]
fn the_statuses_in_the_chapter_on_the_decision_are_those_of_refusals() {
    let chapter = read("src/walkthrough/02_the_decision.md");
    let table =
        chapter.split("| the request has | the server answers |").nth(1).expect("the table");
    let rows = table.lines().skip(2).map_while(|row| row.strip_prefix('|'));
    let known = refusals();
    let mut seen = 0;
    for answer in rows.map(|row| row.split('|').nth(1).expect("three columns")) {
        // A status is a word of three digits: "2,000" holds none.
        let words = answer.split_whitespace().map(|word| word.trim_matches(|c| ",;`.".contains(c)));
        let words = words.filter(|word| word.len() == 3);
        let words = words.filter(|word| word.bytes().all(|byte| byte.is_ascii_digit()));
        for status in words.map(|word| word.parse::<u16>().unwrap()) {
            assert!(
                known.contains_key(&status),
                "no refusal has {status}: mend the row {answer:?}"
            );
            seen += 1;
        }
    }
    assert!(seen > 10, "the table has only {seen} statuses");
}

/// The README's table of limits names fields in its first column: their defaults stand in the second.
#[test]
fn the_limits_in_the_readme_are_the_defaults() {
    let text = read("README.md");
    let rows = text.split("| limit | default |").nth(1).expect("the table of limits");
    let rows: Vec<Vec<&str>> = rows
        .lines()
        .skip(2)
        .map_while(|row| row.strip_prefix('|'))
        .map(|row| row.split('|').map(str::trim).collect())
        .collect();
    let defaults = defaults(&Limits::default());
    for (name, doc) in fields("src/limits.rs", "Limits") {
        let default = shown(&defaults[&name], is_in_bytes(&doc));
        // The table has those that are on by default.
        if default == "none" {
            continue;
        }
        let row = rows.iter().find(|row| row[0].contains(&format!("`{name}`")));
        let row = row.unwrap_or_else(|| panic!("the README's table of limits has no `{name}`"));
        assert!(row[1].contains(&default), "`{name}` is {default}, not {}", row[1]);
    }
}
