//! `--help` for the examples: prints the comment at the top of an example.

/// If the program was started with `--help`, prints the `//!` comment of its source and ends the
/// program. Lines that only a test reads are left out.
pub fn print_if_asked(source: &str) {
    if !std::env::args().skip(1).any(|argument| argument == "--help" || argument == "-h") {
        return;
    }
    let comment = source.lines().map_while(|line| line.strip_prefix("//!"));
    for line in comment.filter(|line| !line.starts_with(" expect:")) {
        println!("{}", line.strip_prefix(' ').unwrap_or(line));
    }
    std::process::exit(0);
}
