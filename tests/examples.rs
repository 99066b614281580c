//! Each example does what it says at its top: it is run, and every `//! expect:` line must come, in
//! that order. Ports differ from run to run, so they are compared as 9001.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};

/// The program of an example: `cargo test` has built it beside this test.
fn program(name: &str) -> Command {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.set_file_name("examples");
    Command::new(path.join(name))
}

/// What an example promises to print.
fn expected(name: &str) -> Vec<String> {
    let path = format!("{}/examples/{name}.rs", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let lines: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("//! expect: "))
        .map(str::to_owned)
        .collect();
    assert!(!lines.is_empty(), "{name} promises nothing");
    lines
}

fn assert_printed(name: &str, output: &str) {
    let mut lines = output.lines();
    for promise in expected(name) {
        assert!(
            lines.any(|line| line.starts_with(&promise)),
            "{name}: no {promise:?} in\n{output}"
        );
    }
}

fn run(name: &str, arguments: &[&str]) -> String {
    let output = program(name).args(arguments).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{name}: {output:?}");
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
}

/// A server of an example, on a free port. Stopped when dropped.
struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    address: String,
}

fn start(name: &str) -> Running {
    let mut child = program(name).arg("127.0.0.1:0").stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    let (_, port) = line.trim_end().rsplit_once(':').expect("listening on ws://ADDRESS");
    let first = expected(name).remove(0);
    assert!(line.replace(port, "9001").starts_with(&first), "{name}: no {first:?} in {line:?}");
    Running { child, stdout, address: format!("127.0.0.1:{port}") }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let mut rest = String::new();
        let _ = self.stdout.read_to_string(&mut rest);
    }
}

#[test]
fn examples_that_print_and_end_print_what_they_promise() {
    for name in ["01_accept_key", "02_handshake_by_hand", "03_frames_by_hand"] {
        assert_printed(name, &run(name, &[]));
    }
}

#[test]
#[cfg(feature = "deflate")]
fn compressed_prints_what_it_promises() {
    assert_printed("12_compressed", &run("12_compressed", &[]));
}

#[test]
fn echo_and_client_talk_to_each_other() {
    let echo = start("04_echo");
    let mut client = program("05_client");
    client.arg(format!("ws://{}", echo.address)).stdin(Stdio::piped());
    let mut client = client.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    use std::io::Write;
    client.stdin.take().unwrap().write_all("hello\nw\u{f6}rld\n".as_bytes()).unwrap();
    let output = client.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "hello\nw\u{f6}rld\n");
    assert_printed("05_client", &String::from_utf8(output.stderr).unwrap());
}

#[test]
fn testee_echoes_and_chat_tells_everybody() {
    let testee = start("testee");
    let mut ws = ws101::connect(&format!("ws://{}", testee.address)).unwrap();
    ws.send("hello").unwrap();
    assert_eq!(ws.recv().unwrap().unwrap().as_text(), Some("hello"));

    let chat = start("06_chat");
    let url = format!("ws://{}/chat", chat.address);
    let mut first = ws101::connect(&url).unwrap();
    assert!(first.recv().unwrap().unwrap().as_text().unwrap().ends_with("comes in"));
    let mut second = ws101::connect(&url).unwrap();
    second.send("anybody here?").unwrap();
    let mut heard = || loop {
        let message = first.recv().unwrap().unwrap();
        if message.as_text().unwrap().ends_with(": anybody here?") {
            return true;
        }
    };
    assert!(heard());
}

#[cfg(feature = "tls")]
#[test]
fn secure_makes_a_certificate_with_which_the_client_trusts_it_and_without_which_it_does_not() {
    let mut secure = start("11_secure");
    let mut line = String::new();
    secure.stdout.read_line(&mut line).unwrap();
    let certificate = line.trim_end().strip_prefix("its certificate: ").unwrap();
    let url = format!("wss://{}", secure.address);
    run("05_client", &[&url, "--root", certificate]);
    let output = program("05_client").arg(&url).stdin(Stdio::null()).output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("fix: Give a self-signed one as a root"), "{said}");
}
