//! The server's arguments, which decide whether it runs alone.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// The last line that the server prints on standard error. It ends at once, because of its arguments.
fn refused(arguments: &[&str]) -> String {
    let mut server = Command::new(env!("CARGO_BIN_EXE_server"));
    // If it runs all the same, it can't listen here, and says that instead.
    server.arg("127.0.0.1:not-a-port").args(arguments).stdin(Stdio::null());
    String::from_utf8(server.output().unwrap().stderr).unwrap()
}

#[test]
fn a_server_whose_store_has_no_url_does_not_run_alone() {
    assert!(refused(&["--redis"]).contains("--redis takes a URL"));
}

#[test]
fn two_servers_of_one_store_do_not_have_the_same_name_by_default() {
    assert!(refused(&["--redis", "redis://127.0.0.1:1"]).contains("--name"));
}

#[test]
fn a_server_that_keeps_all_history_lets_members_in() {
    let mut server = Command::new(env!("CARGO_BIN_EXE_server"));
    server.args(["127.0.0.1:0", "--history", &usize::MAX.to_string()]);
    let mut server = server.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut line, mut stdout) = (String::new(), BufReader::new(server.stdout.take().unwrap()));
    stdout.read_line(&mut line).unwrap();
    let url = line.trim_end().trim_start_matches("listening on ");
    let told =
        ws101::connect(&format!("{url}/chat/tea?name=ann&key=k")).and_then(|mut ws| ws.recv());
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(format!("{told:?}").contains("position"), "{told:?}");
}
