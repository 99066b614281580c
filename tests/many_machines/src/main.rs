//! Tests the chat on three servers: with faults, and with many members.
//!
//!     many_machines_test faults [NAME]    faults, and what all members heard after each
//!     many_machines_test measure          fan-out with 1, 2 and 3 servers and up to 3,000 members
//!
//! With `UPDATE=1` in the environment, the figures go into the chapter.

mod chapter;
mod cluster;
mod compare;
mod faults;
mod measure;
mod member;

use std::process::exit;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let word = |at: usize| arguments.get(at).map_or("", String::as_str);
    let update = std::env::var_os("UPDATE").is_some();
    match word(0) {
        "" | "faults" => {
            println!("{}", chapter::heading(&faults::HEADINGS));
            let rows = faults::run(word(1), |row| {
                println!("{}  {:5.1} s", chapter::line(&row.cells()), row.seconds);
            });
            let failed: Vec<_> = rows.iter().filter(|row| row.failed).map(|row| row.name).collect();
            failed.iter().for_each(|name| println!("FAILED: {name}"));
            println!("{} passed, {} failed", rows.len() - failed.len(), failed.len());
            if update && failed.is_empty() && word(1).is_empty() {
                let cells: Vec<_> = rows.iter().map(faults::Row::cells).collect();
                chapter::write("faults", &faults::HEADINGS, &cells, "");
            }
            exit(i32::from(!failed.is_empty() || rows.is_empty()));
        }
        "measure" => {
            let load = std::fs::read_to_string("/proc/loadavg").expect("the load");
            let below =
                format!("(The machine's load before: {}.)", load.split(' ').next().unwrap());
            println!("{}", chapter::heading(&measure::HEADINGS));
            let rows = measure::run(|row| println!("{}", chapter::line(row)));
            if update {
                chapter::write("measure", &measure::HEADINGS, &rows, &below);
            }
        }
        _ => {
            eprintln!("faults [NAME], or measure");
            exit(2);
        }
    }
}
