//! The server's arguments, which decide whether it runs alone.

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
