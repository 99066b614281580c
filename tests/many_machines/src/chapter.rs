//! Writes a table into the chapter: between `<!-- measured: NAME -->` and `<!-- end of NAME -->`.

use std::fs;
use std::process::Command;

const CHAPTER: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../src/walkthrough/16_many_machines.md");

/// Puts the table there, with the day and the command. `below`: a line of its own, or nothing.
pub fn write(name: &str, headings: &[&str], rows: &[Vec<String>], below: &str) {
    let day = Command::new("date").args(["-u", "+%F"]).output().expect("date").stdout;
    let day = String::from_utf8(day).expect("a day");
    let mut new = format!(
        "Written by `UPDATE=1 tests/many_machines/run {name}`, {}, on one machine with {} cores.\n\n",
        day.trim(),
        std::thread::available_parallelism().expect("a number of cores"),
    );
    new += &markdown(headings, rows);
    if !below.is_empty() {
        new += &format!("\n{below}\n");
    }
    let text = fs::read_to_string(CHAPTER).expect(CHAPTER);
    let between = between(&text, name).unwrap_or_else(|| panic!("{CHAPTER} has no {name}"));
    let text = format!("{}\n{new}{}", &text[..between.start], &text[between.end..]);
    fs::write(CHAPTER, text).expect(CHAPTER);
    println!("written into the chapter: {name}");
}

/// What stands between the marks.
fn between(text: &str, name: &str) -> Option<std::ops::Range<usize>> {
    let start = format!("<!-- measured: {name} -->\n");
    let start = text.find(&start)? + start.len();
    let end = text[start..].find(&format!("<!-- end of {name} -->"))?;
    Some(start..start + end)
}

fn markdown(headings: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let headings: Vec<String> = headings.iter().map(|heading| heading.to_string()).collect();
    let numbers = "---:|".repeat(headings.len() - 1);
    let mut table = line(&headings) + &format!("|---|{numbers}\n");
    rows.iter().for_each(|row| table += &line(row));
    table
}

/// The same on a terminal, a line at a time.
pub fn line(cells: &[String]) -> String {
    let (name, numbers) = cells.split_first().expect("a name");
    let numbers: Vec<_> = numbers.iter().map(|cell| format!("{cell:>9}")).collect();
    format!("{name:<48}{}", numbers.join(""))
}

/// Headings in lines of words, since they are wider than their numbers.
pub fn heading(headings: &[&str]) -> String {
    let words: Vec<Vec<&str>> =
        headings[1..].iter().map(|heading| heading.split(' ').collect()).collect();
    let height = words.iter().map(Vec::len).max().unwrap_or(0);
    let row = |at: usize| {
        let cell = |words: &Vec<&str>| {
            let word = (at + words.len()).checked_sub(height).map_or("", |at| words[at]);
            format!("{word:>9}")
        };
        let first = if at + 1 == height { headings[0] } else { "" };
        format!("{first:<48}{}", words.iter().map(cell).collect::<String>())
    };
    (0..height).map(row).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_put_between_its_marks_alone() {
        let text = "a\n<!-- measured: x -->\nold\n<!-- end of x -->\nb\n";
        assert_eq!(&text[between(text, "x").unwrap()], "old\n");
        assert_eq!(between(text, "y"), None);
        let rows = [vec!["one".to_owned(), "1".to_owned()]];
        assert_eq!(
            markdown(&["name", "count"], &rows),
            "| name | count |\n|---|---:|\n| one | 1 |\n"
        );
    }
}
