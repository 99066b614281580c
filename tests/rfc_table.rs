//! The table of clauses in `src/walkthrough/rfc.md` is true: each clause of each section of RFC
//! 6455 has a row, and the place in the source and the test that a row names exist.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// How many clauses each section of RFC 6455 has: MUST, MUST NOT, SHOULD, SHOULD NOT.
///
/// Counted by a script in the RFC's text: the heads and feet of its pages taken out, cut at the
/// headings that begin a line with a number, and of each section each of these words in capitals, the
/// longer one where `NOT` follows. Sections without any are left out. REQUIRED, SHALL, SHALL NOT and
/// RECOMMENDED stand only in §2, where the words are explained, once each.
const CLAUSES: [(&str, [usize; 4]); 41] = [
    ("2", [2, 1, 2, 1]),
    ("3", [1, 1, 0, 0]),
    ("4.1", [39, 0, 3, 0]),
    ("4.2.1", [1, 0, 0, 1]),
    ("4.2.2", [8, 2, 0, 0]),
    ("4.3", [1, 0, 0, 0]),
    ("4.4", [1, 0, 0, 0]),
    ("5.1", [3, 1, 0, 0]),
    ("5.2", [10, 0, 0, 0]),
    ("5.3", [3, 1, 0, 0]),
    ("5.4", [4, 6, 0, 0]),
    ("5.5", [1, 1, 0, 0]),
    ("5.5.1", [4, 2, 2, 0]),
    ("5.5.2", [1, 0, 1, 0]),
    ("5.6", [1, 0, 0, 0]),
    ("5.8", [1, 0, 0, 0]),
    ("6.1", [8, 0, 0, 0]),
    ("6.2", [5, 0, 0, 0]),
    ("7.1.1", [0, 0, 4, 0]),
    ("7.1.2", [1, 0, 1, 0]),
    ("7.1.7", [2, 1, 2, 1]),
    ("7.2.1", [2, 0, 0, 1]),
    ("7.2.2", [1, 0, 0, 0]),
    ("7.2.3", [0, 0, 3, 0]),
    ("7.3", [0, 0, 0, 1]),
    ("7.4.1", [0, 3, 1, 0]),
    ("8.1", [1, 0, 0, 0]),
    ("9", [1, 1, 0, 0]),
    ("9.1", [4, 1, 0, 0]),
    ("10.2", [0, 0, 2, 0]),
    ("10.3", [1, 0, 0, 0]),
    ("10.4", [1, 0, 1, 0]),
    ("10.6", [1, 0, 1, 0]),
    ("10.7", [1, 0, 2, 0]),
    ("11.1.1", [2, 0, 0, 0]),
    ("11.1.2", [2, 0, 0, 0]),
    ("11.3.1", [0, 1, 0, 0]),
    ("11.3.2", [0, 1, 0, 0]),
    ("11.3.3", [0, 1, 0, 0]),
    ("11.3.4", [0, 1, 0, 0]),
    ("11.3.5", [0, 1, 0, 0]),
];

/// The sections of RFC 7692 that have rules of ours, in their order.
const COMPRESSION: [&str; 9] = ["5", "6", "7.1", "7.1.1", "7.1.2", "7.2.1", "7.2.2", "7.2.3", "8"];

const WORDS: [&str; 4] = ["MUST", "MUST NOT", "SHOULD", "SHOULD NOT"];

/// How a reason begins that stands where there is no test.
const REASONS: [&str; 3] = ["left to the caller: ", "does not arise: ", "not kept: "];

/// A section and its rows, cell by cell.
struct Section {
    number: String,
    rows: Vec<Vec<String>>,
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).ok()
}

fn text() -> String {
    read("src/walkthrough/rfc.md").expect("src/walkthrough/rfc.md")
}

/// The tables under the heading of this RFC.
fn sections(rfc: &str) -> Vec<Section> {
    let text = text();
    let under = text.split(&format!("\n## {rfc}\n")).nth(1).unwrap_or_else(|| panic!("no {rfc}"));
    let under = under.split("\n## ").next().unwrap();
    let mut found = Vec::new();
    for part in under.split("\n### §").skip(1) {
        let number = part.split(' ').next().unwrap().to_owned();
        // Behind the heads of the columns and the line beneath them.
        let rows = part.lines().filter(|line| line.starts_with('|')).skip(2);
        let cells = |row: &str| {
            row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
        };
        found.push(Section { number, rows: rows.map(cells).collect() });
    }
    found
}

/// What stands between two backticks, if nothing else does: `FILE: ITEM`.
fn pointer(cell: &str) -> Option<(&str, &str)> {
    cell.strip_prefix('`')?.strip_suffix('`')?.split_once(": ")
}

/// Whether a file under `src` defines an item: `name`, or `Type::name`.
fn is_defined(file: &str, item: &str) -> bool {
    let Some(text) = read(&format!("src/{file}")) else { return false };
    let code = text.split("\n#[cfg(test)]\nmod tests").next().unwrap();
    match item.split_once("::") {
        None => defines(code, item),
        // The blocks of that type, each of which ends with a brace at the beginning of a line.
        Some((of, name)) => code.split("\n}").any(|block| {
            let mut lines = block.lines().skip_while(|line| !is_about(line, of));
            lines.next().is_some() && defines(&lines.collect::<Vec<_>>().join("\n"), name)
        }),
    }
}

/// Whether a line begins what belongs to a type.
fn is_about(line: &str, of: &str) -> bool {
    let begins = ["impl", "pub trait ", "trait "].iter().any(|word| line.starts_with(word));
    begins && line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == of)
}

fn defines(code: &str, name: &str) -> bool {
    code.lines().map(|line| line.split("//").next().unwrap()).any(|line| {
        let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
        words.any(|word| {
            ["fn", "struct", "enum", "trait", "const", "static", "type"].contains(&word)
        }) && words.next() == Some(name)
    })
}

/// Whether a file has a test of that name.
fn is_test(file: &str, name: &str) -> bool {
    let Some(text) = read(file) else { return false };
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let Some(at) = lines.iter().position(|line| line.starts_with(&format!("fn {name}("))) else {
        return false;
    };
    let above = lines[..at].iter().rev().take_while(|line| line.starts_with("#["));
    above.into_iter().any(|line| *line == "#[test]")
}

/// Checks who is bound, the place, and the test or the reason: what all rows have in common.
fn check(section: &str, who: &str, asks: &str, place: &str, test: &str) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("§{section} {asks:?}: {what}"));
    if asks.is_empty() {
        return wrong("it says nothing");
    }
    match (who, pointer(place), pointer(test)) {
        ("others", None, None) if place == "–" && test == "–" => Ok(()),
        ("client" | "server" | "both", Some((file, item)), Some((tests, name))) => {
            if !is_defined(file, item) {
                return wrong(&format!("{file} defines no {item}"));
            }
            match is_test(tests, name) {
                true => Ok(()),
                false => wrong(&format!("{tests} has no test {name}")),
            }
        }
        ("client" | "server" | "both", None, None) if place == "–" => {
            match REASONS.iter().any(|begin| test.strip_prefix(begin).is_some_and(|r| r.len() > 7))
            {
                true => Ok(()),
                false => wrong(&format!("{test:?} is no reason")),
            }
        }
        _ => wrong("it has neither a place and a test, nor a reason"),
    }
}

#[test]
fn each_section_has_a_row_for_each_of_its_clauses_in_the_order_of_the_rfc() {
    let all = sections("RFC 6455");
    let numbers: Vec<&str> = all.iter().map(|section| section.number.as_str()).collect();
    assert_eq!(numbers, CLAUSES.map(|(number, _)| number));
    for (section, (number, counts)) in all.iter().zip(CLAUSES) {
        let count = |word: &&str| section.rows.iter().filter(|row| row[1] == **word).count();
        assert_eq!(
            WORDS.each_ref().map(count),
            counts,
            "§{number}: MUST, MUST NOT, SHOULD, SHOULD NOT"
        );
        let places: Vec<String> = section.rows.iter().map(|row| row[0].clone()).collect();
        let expected: Vec<String> = (1..=places.len()).map(|place| place.to_string()).collect();
        assert_eq!(places, expected, "§{number} is numbered");
        assert_eq!(places.len(), counts.iter().sum::<usize>(), "§{number}");
    }
}

#[test]
fn the_rfc_has_140_times_must_and_30_times_should() {
    let sum = |which: [usize; 2]| -> usize {
        CLAUSES.iter().flat_map(|(_, counts)| which.map(|i| counts[i])).sum()
    };
    assert_eq!((sum([0, 1]), sum([2, 3])), (140, 30));
}

#[test]
fn each_clause_has_a_place_and_a_test_or_a_reason_why_not() {
    let mut wrong = Vec::new();
    for section in sections("RFC 6455") {
        for row in &section.rows {
            let [_, _, who, asks, place, test] = &row[..] else { panic!("not six cells: {row:?}") };
            wrong.extend(check(&section.number, who, asks, place, test).err());
        }
    }
    let compression = sections("RFC 7692");
    assert_eq!(compression.iter().map(|one| one.number.as_str()).collect::<Vec<_>>(), COMPRESSION);
    for section in compression {
        assert!(!section.rows.is_empty());
        for row in &section.rows {
            let [_, who, asks, place, test] = &row[..] else { panic!("not five cells: {row:?}") };
            wrong.extend(check(&section.number, who, asks, place, test).err());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_sums_at_the_top_are_those_of_the_rows() {
    let mut sums = BTreeMap::from([("all", 0), ("others", 0), ("shown", 0)]);
    for row in sections("RFC 6455").iter().flat_map(|section| &section.rows) {
        *sums.get_mut("all").unwrap() += 1;
        let kind = match (row[2].as_str(), pointer(&row[4])) {
            ("others", _) => "others",
            (_, Some(_)) => "shown",
            _ => REASONS.into_iter().find(|begin| row[5].starts_with(begin)).expect("a reason"),
        };
        *sums.entry(kind).or_default() += 1;
    }
    let [left, does_not_arise, not_kept] = REASONS.map(|begin| sums.get(begin).unwrap_or(&0));
    let sentence = format!(
        "Of {} clauses, {} bind others than a client or a server. {} are kept, and a test shows it. \
         {left} are left to the caller, {does_not_arise} do not arise here, and {not_kept} are not kept.",
        sums["all"], sums["others"], sums["shown"]
    );
    let text = text().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains(&sentence), "at its top should stand: {sentence}");
}

#[test]
fn what_is_not_there_is_found_out() {
    assert!(
        is_defined("frames/header.rs", "Header::parse") && is_defined("frames/mask.rs", "apply")
    );
    for (file, item) in [
        ("frames/header.rs", "Header::encode"),
        ("frames/header.rs", "Opcode::write"),
        ("frames/header.rs", "headers"),
        ("protocol/nothing.rs", "apply"),
    ] {
        assert!(!is_defined(file, item), "{file}: {item}");
    }
    assert!(is_test("tests/rfc_table.rs", "what_is_not_there_is_found_out"));
    assert!(!is_test("tests/rfc_table.rs", "is_test") && !is_test("tests/rfc_table.rs", "nothing"));
    assert!(check("1", "client", "Asks.", "–", "because").is_err());
    assert!(check("1", "client", "Asks.", "`frames/mask.rs: apply`", "–").is_err());
}
