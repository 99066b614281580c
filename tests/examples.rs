//! Each example does what its head says. The tests run it, and look for its `//! expect:` lines in
//! its output, in their order. Ports differ from run to run, so the tests replace each port with
//! 9001.

#[path = "examples/broadcast.rs"]
mod broadcast;
#[cfg(unix)]
#[path = "examples/ctrl_c.rs"]
mod ctrl_c;
#[path = "examples/files.rs"]
mod files;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};

/// The program of an example: `cargo test` has built it beside this test.
fn program(name: &str) -> Command {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.set_file_name("examples");
    Command::new(path.join(name))
}

/// The lines that an example is expected to print.
fn expected(name: &str) -> Vec<String> {
    let path = format!("{}/examples/{name}.rs", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let lines: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("//! expect: "))
        .map(str::to_owned)
        .collect();
    assert!(!lines.is_empty(), "{name} expects nothing");
    lines
}

fn assert_printed(name: &str, output: &str) {
    let mut lines = output.lines();
    for begin in expected(name) {
        assert!(lines.any(|line| line.starts_with(&begin)), "{name}: no {begin:?} in\n{output}");
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
    start_with(name, &[])
}

/// The same, with arguments after its address.
fn start_with(name: &str, arguments: &[&str]) -> Running {
    let mut program = program(name);
    program.arg("127.0.0.1:0").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    let child = program.spawn();
    let mut child = child.unwrap_or_else(|error| panic!("{name}: {error}; cargo build --examples"));
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    let (_, port) = line.trim_end().rsplit_once(':').expect("listening on ws://ADDRESS");
    let first = expected(name).remove(0);
    assert!(line.replace(port, "9001").starts_with(&first), "{name}: no {first:?} in {line:?}");
    Running { child, stdout, address: format!("127.0.0.1:{port}") }
}

impl Running {
    /// Closes the reading end of the server's output, as `head` does once it has its lines.
    #[cfg(unix)]
    fn close_output(&mut self) {
        let (reader, _) = std::io::pipe().unwrap();
        self.stdout = BufReader::new(std::os::fd::OwnedFd::from(reader).into());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let mut rest = String::new();
        let _ = self.stdout.read_to_string(&mut rest);
    }
}

/// Starts a program whose first line ends with the address at which it listens.
fn listening(program: &mut Command) -> Running {
    let mut child = program.spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    let address = line.trim_end().rsplit([' ', '/']).next().unwrap().to_owned();
    Running { child, stdout, address }
}

/// All examples on disk, in their order: the numbered ones, then those with a name alone.
fn all() -> Vec<String> {
    let folder = format!("{}/examples", env!("CARGO_MANIFEST_DIR"));
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> =
        files.filter_map(|file| file.to_str()?.strip_suffix(".rs").map(str::to_owned)).collect();
    names.sort();
    names
}

#[test]
fn each_example_says_its_idea_how_to_run_it_what_it_prints_and_what_to_read_next() {
    let names = all();
    for (i, name) in names.iter().enumerate() {
        let path = format!("{}/examples/{name}.rs", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        let story: Vec<&str> = text.lines().take_while(|line| line.starts_with("//!")).collect();
        let at = |what: &str| {
            let found = story.iter().position(|line| line.starts_with(&format!("//! {what}: ")));
            found.unwrap_or_else(|| panic!("{name} has no line `//! {what}: `"))
        };
        assert!(!story[0].contains("run:") && at("run") < at("expect"), "{name}: first its idea");
        assert!(at("expect") < at("next"), "{name}: what to read next comes last");
        assert!(story[at("run")].contains(&format!("--example {name}")), "{name}: how to run it");
        let overlong = story.iter().find(|line| line.chars().count() > 110);
        assert_eq!(overlong, None, "{name}");
        // Numbered ones lead from one to the next; what the last of them names is the library.
        let next = story[at("next")].trim_start_matches("//! next: ");
        let is_numbered = |name: &&String| name.as_bytes()[0].is_ascii_digit();
        if is_numbered(&name) {
            let expected = names.get(i + 1).filter(is_numbered).map_or("src/lib.rs", |it| it);
            assert!(next.starts_with(expected), "{name}: {next:?} is not {expected}");
        }
    }
}

#[test]
fn each_example_that_is_asked_for_help_prints_how_to_run_it_and_ends() {
    for name in all() {
        let needs_tls = ["11_secure", "18_reload_a_certificate"].contains(&name.as_str());
        let is_built = (cfg!(feature = "tls") || !needs_tls)
            && (cfg!(feature = "deflate") || name != "12_compressed");
        if is_built {
            let help = run(&name, &["--help"]);
            let usage = format!("--example {name}");
            assert!(help.contains("run: ") && help.contains(&usage), "{name}: {help}");
        }
    }
}

#[test]
fn the_list_of_examples_names_each_in_its_order() {
    let path = format!("{}/examples/README.md", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let rows = text.split("| example |").nth(1).unwrap().split("\n\n").next().unwrap();
    let listed: Vec<&str> =
        rows.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert_eq!(listed, all());
}

#[test]
fn examples_without_a_server_print_the_lines_that_they_expect() {
    for name in [
        "01_accept_key",
        "02_handshake_by_hand",
        "03_frames_by_hand",
        "09_why_websocket",
        "10_before_the_rfc",
        "explain",
    ] {
        assert_printed(name, &run(name, &[]));
    }
}

#[test]
fn stay_connected_comes_back_after_each_kind_of_end_and_misses_nothing() {
    let printed = run("13_stay_connected", &[]);
    let port = printed.split("127.0.0.1:").nth(1).unwrap().split('\n').next().unwrap();
    assert_printed("13_stay_connected", &printed.replace(port, "9001"));
    let news: Vec<&str> = printed.lines().filter_map(|line| line.strip_prefix("news ")).collect();
    assert_eq!(news, ["1", "2", "3", "4", "5", "6", "7", "8", "9"]);
}

/// The first line that `13_stay_connected` prints with this URL.
fn first_line_of_stay_connected(url: &str) -> String {
    let mut program = program("13_stay_connected");
    let mut child = program.arg(url).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let _ = child.kill();
    let _ = child.wait();
    line
}

#[test]
fn stay_connected_keeps_the_query_of_its_url() {
    let server = ws101::Server::bind("127.0.0.1:0").unwrap().spawn(|mut ws| {
        let query = ws.request().query().unwrap_or_default().to_owned();
        ws.send(query)
    });
    let server = server.unwrap();
    let line = first_line_of_stay_connected(&format!("ws://{}/?room=1", server.local_addr()));
    assert_eq!(line, "news room=1&after=0\n");
}

#[test]
fn stay_connected_and_through_a_proxy_show_nothing_that_moves_the_terminal() {
    let server = ws101::Server::bind("127.0.0.1:0").unwrap();
    let server = server.spawn(|mut ws| ws.send("\u{1b}[2J")).unwrap();
    let url = format!("ws://{}", server.local_addr());
    let line = first_line_of_stay_connected(&url);
    assert!(line.starts_with("news ") && !line.contains('\u{1b}'), "{line:?}");
    let mut direct = program("17_through_a_proxy");
    let output = direct.arg(&url).env("no_proxy", "*").output().unwrap();
    let line = String::from_utf8(output.stdout).unwrap();
    assert!(line.starts_with("an echo") && !line.contains('\u{1b}'), "{line:?}");
}

#[test]
fn stay_connected_tries_again_after_a_status_that_may_pass_and_after_no_other() {
    for (status, may_pass) in [
        (401, false),
        (403, false),
        (404, false),
        (408, true),
        (429, true),
        (500, true),
        (503, true),
    ] {
        let refuse = move |_: &_| Err(ws101::Refusal::because(status, "not now"));
        let server = ws101::Server::bind("127.0.0.1:0").unwrap().authorize(refuse);
        let server = server.spawn(|_| Ok(())).unwrap();
        let line = first_line_of_stay_connected(&format!("ws://{}", server.local_addr()));
        let tries_again = format!("refused with {status}: connect again in");
        assert_eq!(line.starts_with(&tries_again), may_pass, "{status}: {line}");
    }
}

#[test]
#[cfg(feature = "tls")]
fn stay_connected_tries_again_after_a_plain_503_before_tls() {
    use std::io::Write;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("wss://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut peer, _) = listener.accept().unwrap();
        peer.read_exact(&mut [0; 5]).unwrap();
        peer.write_all(b"HTTP/1.1 503 Service Unavailable\r\n\r\n").unwrap();
        // Until the client has gone.
        let _ = peer.read_to_end(&mut Vec::new());
    });
    let line = first_line_of_stay_connected(&url);
    assert!(line.starts_with("refused with 503: connect again in"), "{line}");
    server.join().unwrap();
}

#[test]
fn a_client_that_cannot_do_what_it_was_asked_for_fails() {
    let missing: &[(&str, &[&str])] = &[
        ("13_stay_connected", &["http://127.0.0.1:1/"]),
        ("14_files", &["put", "ws://127.0.0.1:1"]),
        ("15_tunnel", &["dial", "127.0.0.1:0"]),
    ];
    for (name, arguments) in missing {
        let output = program(name).args(*arguments).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.starts_with("Error: "), "{name}: {said}");
    }
}

#[test]
fn a_server_of_files_without_its_folder_does_not_serve() {
    let mut program = program("14_files");
    program.args(["serve", "no_such_folder", "127.0.0.1:0"]).stdout(Stdio::piped());
    let mut child = program.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let _ = child.kill();
    let _ = child.wait();
    assert_eq!(line, "");
}

#[test]
fn files_and_tunnel_carry_each_byte_both_ways() {
    for name in ["14_files", "15_tunnel"] {
        assert_printed(name, &run(name, &[]));
    }
}

#[test]
fn metrics_and_health_tell_an_operator_what_happens_until_the_last_client_has_left() {
    use std::io::Write;
    let mut server = start("16_metrics_and_health");
    let (address, url) = (server.address.clone(), format!("ws://{}", server.address));
    let page = |path: &str| {
        let mut page = std::net::TcpStream::connect(&address).unwrap();
        write!(page, "GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
        let mut text = String::new();
        page.read_to_string(&mut text).unwrap();
        text
    };
    let mut ws = ws101::connect(&url).unwrap();
    let mut echo = || {
        ws.send("hello").unwrap();
        assert_eq!(ws.recv().unwrap().unwrap().as_text(), Some("hello"));
    };
    echo();
    for path in ["/health", "/ready"] {
        assert!(page(path).starts_with("HTTP/1.1 200 "), "{path}");
    }
    // A client that sends too much.
    let mut flood = ws101::connect(&url).unwrap();
    (0..1000).for_each(|_| drop(flood.send("x")));
    while let Ok(Some(_)) = flood.recv() {}
    assert_eq!(flood.closed_with().unwrap().code.0, 1008);
    drop(flood);

    let mut stdin = server.child.stdin.take().unwrap();
    writeln!(stdin).unwrap();
    let mut line = String::new();
    server.stdout.read_line(&mut line).unwrap();
    assert_eq!(line.trim_end(), expected("16_metrics_and_health")[1]);
    assert!(page("/health").starts_with("HTTP/1.1 200 "));
    assert!(page("/ready").starts_with("HTTP/1.1 503 "));
    match ws101::connect(&url) {
        Err(ws101::Error::Rejected(refused)) => assert_eq!(refused.status, Some(503)),
        other => panic!("{other:?}"),
    }
    echo();
    let metrics = page("/metrics");
    for part in [
        "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n",
        "\n# TYPE ws101_open gauge\nws101_open ",
        "\n# TYPE ws101_accepted counter\nws101_accepted_total ",
        "\nws101_messages_out_total ",
        "\nws101_refused_total{status=\"503\"} 1\n# EOF\n",
    ] {
        assert!(format!("\n{metrics}").contains(part), "{part:?} in {metrics}");
    }
    writeln!(stdin).unwrap();
    assert_eq!(ws.recv().unwrap(), None);
    assert_eq!(ws.closed_with().unwrap().code.0, 1012);
    drop(ws);
    line.clear();
    server.stdout.read_line(&mut line).unwrap();
    assert_eq!(line.trim_end(), "stopped");
    assert!(server.child.wait().unwrap().success());
}

#[cfg(unix)] // For `close_output`.
#[test]
fn metrics_and_health_whose_output_is_closed_still_drain_on_enter_and_end_with_success() {
    use std::io::Write;
    let mut server = start("16_metrics_and_health");
    server.close_output();
    let mut ws = ws101::connect(&format!("ws://{}", server.address)).unwrap();
    server.child.stdin.take().unwrap().write_all(b"\n\n").unwrap();
    let patience = std::time::Duration::from_secs(20);
    assert_eq!(ws.recv_timeout(patience).expect("a Close"), None);
    assert_eq!(ws.closed_with().unwrap().code.0, 1012);
    drop(ws);
    assert!(server.child.wait().unwrap().success());
}

#[test]
fn metrics_and_health_with_a_time_that_is_no_number_of_seconds_does_not_serve() {
    let mut server = program("16_metrics_and_health");
    let output = server.args(["127.0.0.1:1x", "1h"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("\"1h\" is no number of seconds"), "{said}");
}

#[test]
fn a_client_of_16_metrics_and_health_that_has_lived_longest_is_asked_to_connect_again() {
    let server = start_with("16_metrics_and_health", &["1"]);
    let mut ws = ws101::connect(&format!("ws://{}", server.address)).unwrap();
    assert_eq!(ws.recv().unwrap(), None);
    assert_eq!(ws.closed_with().unwrap().code.0, 1012);
}

#[test]
#[cfg(unix)]
fn a_proxy_variable_that_is_not_utf_8_does_not_let_a_client_bypass_the_proxy() {
    use std::os::unix::ffi::OsStrExt;
    let proxy = std::ffi::OsStr::from_bytes(b"http://ada:p\xff@a proxy:1");
    let mut client = program("17_through_a_proxy");
    client.arg("ws://127.0.0.1:1").env("http_proxy", proxy);
    let output = client.env_remove("no_proxy").env_remove("NO_PROXY").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("A proxy is http://"), "{said}");
}

#[test]
fn through_a_proxy_speaks_of_no_tunnel_if_the_environment_names_no_proxy() {
    let echo = start("04_echo");
    let mut client = program("17_through_a_proxy");
    client.arg(format!("ws://{}", echo.address));
    for name in ["http_proxy", "all_proxy", "ALL_PROXY"] {
        client.env_remove(name);
    }
    let printed = String::from_utf8(client.output().unwrap().stdout).unwrap();
    assert_eq!(printed, "an echo: hello\n");
}

#[test]
#[cfg(feature = "tls")]
fn secure_with_too_few_or_too_many_files_serves_no_certificate_of_its_own_instead() {
    for files in [&["certificate"][..], &["certificate", "key", "roots", "more roots"]] {
        let mut server = program("11_secure");
        let output = server.arg("127.0.0.1:0").args(files).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("usage: 11_secure"), "{files:?}: {said}");
    }
}

#[test]
#[cfg(feature = "tls")]
fn the_secure_example_names_the_file_that_it_cannot_read() {
    for files in [&["missing", "key"][..], &["certificate", "key", "missing"]] {
        let mut server = program("11_secure");
        let output = server.arg("127.0.0.1:0").args(files).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("missing: "), "{files:?}: {said}");
    }
}

#[test]
fn through_a_proxy_goes_what_the_proxy_lets_through() {
    let printed = run("17_through_a_proxy", &[]);
    let port = printed.split("CONNECT 127.0.0.1:").nth(1).unwrap().split(' ').next().unwrap();
    assert_printed("17_through_a_proxy", &printed.replace(port, "9001"));
}

#[test]
#[cfg(feature = "deflate")]
fn compressed_prints_the_lines_that_it_expects() {
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
fn testee_echoes_and_the_chat_sends_each_message_to_all_members() {
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

#[test]
fn rooms_let_in_known_visitors_and_speak_the_agreed_subprotocol() {
    let mut rooms = start("08_rooms");
    let mut line = String::new();
    rooms.stdout.read_line(&mut line).unwrap();
    let [_, begin] = &expected("08_rooms")[..] else { panic!("two lines") };
    let token = line.trim_end().strip_prefix(begin).unwrap().trim();
    let (address, tea) = (rooms.address.clone(), format!("ws://{}/tea", rooms.address));
    let status = |client: ws101::Client| match client.connect() {
        Err(ws101::Error::Rejected(rejection)) => rejection.status,
        other => panic!("{other:?}"),
    };
    assert_eq!(status(ws101::Client::new(&tea)), Some(401));
    let robot = || ws101::Client::new(&tea).header("Authorization", format!("Bearer {token}"));
    let mut robot = robot().subprotocols(["rooms.text"]).connect().unwrap();
    assert_eq!(robot.recv().unwrap().unwrap().as_text(), Some("robot: hello"));

    // Like a browser: it sends a name, gets a cookie, and sends the cookie along.
    use std::io::Write;
    let mut page = std::net::TcpStream::connect(&address).unwrap();
    write!(page, "GET /enter?name=Ada HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    let mut text = String::new();
    page.read_to_string(&mut text).unwrap();
    let cookie = text.split("Set-Cookie: ").nth(1).unwrap().split(';').next().unwrap();
    let ada = |url: &str, origin: &str| {
        let client = ws101::Client::new(url).header("Cookie", cookie).origin(origin);
        client.subprotocols(["rooms.json", "rooms.text"])
    };
    let ours = format!("http://{address}");
    assert_eq!(status(ada(&tea, "http://evil.example")), Some(403));
    assert_eq!(status(ada(&format!("ws://{address}/cellar"), &ours)), Some(404));
    let mut ada = ada(&tea, &ours).connect().unwrap();
    assert_eq!(ada.subprotocol(), Some("rooms.json"));
    assert_eq!(ada.recv().unwrap().unwrap().as_text(), Some(r#"{"who":"Ada","says":"hello"}"#));
    robot.send("tea?").unwrap();
    assert_eq!(ada.recv().unwrap().unwrap().as_text(), Some(r#"{"who":"robot","says":"tea?"}"#));
    assert_eq!(robot.recv().unwrap().unwrap().as_text(), Some("Ada: hello"));
    assert_eq!(robot.recv().unwrap().unwrap().as_text(), Some("robot: tea?"));
}

#[test]
fn rooms_take_a_pages_secret_in_the_list_of_subprotocols_and_the_workshop_in_the_first_message() {
    let mut rooms = start("08_rooms");
    let mut line = String::new();
    rooms.stdout.read_line(&mut line).unwrap();
    let secret = line.trim_end().rsplit(' ').next().unwrap().to_owned();
    let at = |room: &str| ws101::Client::new(format!("ws://{}/{room}", rooms.address));
    let listed = |secret: &str| ["rooms.json".to_owned(), format!("rooms.token.{secret}")];
    let status = |client: ws101::Client| match client.connect() {
        Err(ws101::Error::Rejected(rejection)) => rejection.status,
        other => panic!("{other:?}"),
    };
    let mut ws = at("tea").subprotocols(listed(&secret)).connect().unwrap();
    assert_eq!(ws.subprotocol(), Some("rooms.json"));
    assert_eq!(ws.recv().unwrap().unwrap().as_text(), Some(r#"{"who":"robot","says":"hello"}"#));
    assert_eq!(status(at("tea").subprotocols(listed("guess"))), Some(401));

    let mut ws = at("workshop").connect().unwrap();
    ws.send(secret).unwrap();
    assert_eq!(ws.recv().unwrap().unwrap().as_text(), Some("robot: hello"));
    for wrong in [ws101::Message::Text("guess".into()), ws101::Message::Binary(vec![1])] {
        let mut ws = at("workshop").connect().unwrap();
        ws.send(wrong).unwrap();
        assert_eq!(ws.recv().unwrap(), None);
        assert_eq!(ws.closed_with().unwrap().code, ws101::CloseCode::POLICY);
    }
}

#[cfg(unix)] // For `close_output`.
#[test]
fn rooms_whose_output_is_closed_let_in_and_refuse_visitors_as_before() {
    let mut rooms = start("08_rooms");
    let mut lines = (&mut rooms.stdout).lines().map(Result::unwrap);
    let token = lines.next().unwrap().rsplit(' ').next().unwrap().to_owned();
    assert!(lines.next().unwrap().starts_with("open "), "the last line before it serves");
    rooms.close_output();
    let client = || ws101::Client::new(format!("ws://{}/tea", rooms.address));
    match client().connect() {
        Err(ws101::Error::Rejected(rejection)) => assert_eq!(rejection.status, Some(401)),
        other => panic!("{other:?}"),
    }
    let mut robot = client().header("Authorization", format!("Bearer {token}")).connect().unwrap();
    assert_eq!(robot.recv().unwrap().unwrap().as_text(), Some("robot: hello"));
}

#[test]
fn rooms_let_in_visitors_after_a_stranger_has_asked_for_a_thousand_keys_and_forget_no_program() {
    let mut rooms = start("08_rooms");
    let mut line = String::new();
    rooms.stdout.read_line(&mut line).unwrap();
    let token = line.trim_end().rsplit(' ').next().unwrap().to_owned();
    let address = rooms.address.clone();
    let enter = || {
        use std::io::Write;
        let mut page = std::net::TcpStream::connect(&address).unwrap();
        write!(page, "GET /enter?name=Eve HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
        let mut text = String::new();
        page.read_to_string(&mut text).unwrap();
        let cookie = text.split("Set-Cookie: ").nth(1).unwrap_or_else(|| panic!("{text}"));
        cookie.split(';').next().unwrap().to_owned()
    };
    let come = |name, value: String| {
        let client = ws101::Client::new(format!("ws://{address}/tea")).header(name, value);
        client.subprotocols(["rooms.text"]).connect()
    };
    let first = enter();
    assert!(come("Cookie", first.clone()).is_ok());
    let others: Vec<String> = (0..1_000).map(|_| enter()).collect();
    assert!(come("Cookie", others[999].clone()).is_ok());
    assert!(come("Cookie", first).is_err(), "only so many are known");
    assert!(come("Authorization", format!("Bearer {token}")).is_ok());
}

#[cfg(feature = "tls")]
#[test]
fn reload_a_certificate_with_too_few_or_too_many_arguments_does_not_serve_certificates_of_its_own_instead()
 {
    for arguments in [&["127.0.0.1:0"][..], &["127.0.0.1:0", "certificate"], &["a", "b", "c", "d"]]
    {
        let output = program("18_reload_a_certificate").args(arguments).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("usage: 18_reload_a_certificate"), "{arguments:?}: {said}");
    }
}

#[cfg(feature = "tls")]
#[test]
fn reload_a_certificate_changes_it_under_an_open_connection() {
    let printed = run("18_reload_a_certificate", &[]);
    let port = printed.split("127.0.0.1:").nth(1).unwrap().split('\n').next().unwrap();
    assert_printed("18_reload_a_certificate", &printed.replace(port, "9001"));
}

#[cfg(feature = "tls")]
#[test]
fn a_client_trusts_11_secure_only_with_the_certificate_that_it_makes() {
    let mut secure = start("11_secure");
    // Another one, with another certificate, takes nothing away from the first.
    let _other = start("11_secure");
    let mut line = String::new();
    secure.stdout.read_line(&mut line).unwrap();
    let certificate = line.trim_end().strip_prefix("its certificate: ").unwrap();
    let url = format!("wss://{}", secure.address);
    run("05_client", &[&url, "--root", certificate]);
    let output = program("05_client").arg(&url).stdin(Stdio::null()).output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("fix: Name a self-signed certificate as a root"), "{said}");
}

#[test]
fn the_playground_serves_its_page_and_explains_a_wire_on_its_lens() {
    let playground = start("playground");
    let (address, url) = (&playground.address, format!("ws://{}", playground.address));
    let mut page = std::net::TcpStream::connect(address).unwrap();
    use std::io::Write;
    write!(page, "GET / HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    let mut text = String::new();
    page.read_to_string(&mut text).unwrap();
    assert!(text.contains("Content-Security-Policy: default-src 'none'") && text.contains("<h1"));

    let lens = ws101::Client::new(format!("{url}/lens")).subprotocols(["lens.ws101"]);
    let mut lens = lens.connect().unwrap();
    let mut hear = |what: &str| loop {
        let message = lens.recv().unwrap().unwrap();
        let text = message.as_text().unwrap().to_owned();
        if text.contains(what) {
            return text;
        }
    };
    let you = hear("\"about\":\"you\"");
    let ticket = you.split("\"ticket\":\"").nth(1).unwrap().split('"').next().unwrap();
    let mut wire = ws101::connect(&format!("{url}/wire?ticket={ticket}")).unwrap();
    hear("a request for a WebSocket");
    wire.send("Hello").unwrap();
    assert_eq!(wire.recv().unwrap().unwrap().as_text(), Some("Hello"));
    hear("\"title\":\"text, 5 bytes, masked\"");

    // On request it breaks a rule, and says which one.
    lens.send("break reserved bit").unwrap();
    assert!(matches!(wire.recv(), Err(ws101::Error::Violation(_))));
    let mut ended = false;
    while !ended {
        let text = lens.recv().unwrap().unwrap().as_text().unwrap().to_owned();
        ended = text.contains("\"kind\":\"broken\",\"code\":1002");
    }
    // It refuses a host that isn't loopback, and a page of another site.
    for (line, status) in [("Host: evil.example", "421"), ("Origin: http://evil.example", "403")] {
        let (host, origin) = match line.strip_prefix("Origin: ") {
            Some(origin) => (address.as_str(), format!("Origin: {origin}\r\n")),
            None => (line.strip_prefix("Host: ").unwrap(), String::new()),
        };
        let mut peer = std::net::TcpStream::connect(address).unwrap();
        write!(
            peer,
            "GET /lens HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{origin}\r\n"
        )
        .unwrap();
        let mut text = String::new();
        peer.read_to_string(&mut text).unwrap();
        assert!(text.starts_with(&format!("HTTP/1.1 {status}")), "{text}");
    }
}

#[test]
fn a_tap_between_echo_and_client_explains_each_byte_and_changes_none() {
    let echo = start("04_echo");
    let mut tap = program("07_tap");
    tap.args(["127.0.0.1:0", &echo.address]).stdout(Stdio::piped());
    let mut child = tap.spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    let address = line.trim_end().rsplit("ws://").next().unwrap().to_owned();
    assert_printed("07_tap", &line.replace(address.rsplit(':').next().unwrap(), "9001"));
    let mut tap = Running { child, stdout, address };

    let client = program("05_client")
        .args([&format!("ws://{}", tap.address), "--explain"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(client.status.success(), "{client:?}");
    let at_client = String::from_utf8(client.stderr).unwrap();
    for end in ["client → server, byte ", "server → client, byte "] {
        assert!(at_client.contains(&format!("{end}0: a re")), "{at_client}");
    }
    // The same is told in the middle, down to the Close of both ends.
    let mut at_tap = String::new();
    while at_tap.matches("code      1000: normal:").count() < 2 {
        assert!(tap.stdout.read_line(&mut at_tap).unwrap() > 0, "{at_tap}");
    }
    assert!(at_tap.starts_with("#1 client → server, byte 0: a request for a WebSocket\n"));
}

#[test]
fn a_tap_that_cannot_listen_leaves_the_file_of_an_earlier_run_as_it_was() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let file = std::env::temp_dir().join(format!("ws101-tap-{}.txt", std::process::id()));
    std::fs::write(&file, "what an earlier run has explained").unwrap();
    let mut tap = program("07_tap");
    tap.args([&taken.local_addr().unwrap().to_string(), "127.0.0.1:1", "--to"]).arg(&file);
    let ended = tap.output().unwrap();
    let left = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert!(!ended.status.success(), "{ended:?}");
    assert_eq!(left, "what an earlier run has explained");
}

#[test]
fn a_tunnel_to_a_target_that_refuses_says_so_at_its_near_end() {
    use std::net::TcpStream;
    let mut far = program("15_tunnel");
    // Nothing listens at port 1, and no client gets it, which could then connect to itself.
    far.args(["serve", "127.0.0.1:0", "127.0.0.1:1"]);
    let far = listening(far.stdout(Stdio::piped()));
    let mut near = program("15_tunnel");
    near.args(["dial", "127.0.0.1:0", &format!("ws://{}", far.address)]);
    let mut near = listening(near.stdout(Stdio::piped()).stderr(Stdio::piped()));
    let mut program = TcpStream::connect(&near.address).unwrap();
    assert_eq!(program.read(&mut [0]).unwrap(), 0);
    let (said, hears) = std::sync::mpsc::channel();
    let stderr = BufReader::new(near.child.stderr.take().unwrap());
    std::thread::spawn(move || {
        stderr.lines().map_while(Result::ok).for_each(|l| drop(said.send(l)))
    });
    let line = hears.recv_timeout(std::time::Duration::from_secs(60)).unwrap();
    assert!(line.contains("1014") && line.contains("the target: connection refused"), "{line}");
}

#[test]
fn a_tunnel_passes_small_pieces_on_at_once() {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::time::{Duration, Instant};
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut far = program("15_tunnel");
    far.args(["serve", "127.0.0.1:0", &target.local_addr().unwrap().to_string()]);
    let far = listening(far.stdout(Stdio::piped()));
    let mut near = program("15_tunnel");
    near.args(["dial", "127.0.0.1:0", &format!("ws://{}", far.address)]);
    let near = listening(near.stdout(Stdio::piped()));
    let program = TcpStream::connect(&near.address).unwrap();
    let (target, _) = target.accept().unwrap();
    [&program, &target].iter().for_each(|end| end.set_nodelay(true).unwrap());
    // Two pieces in each direction. TCP delays the second one by about 40 ms until the first is
    // acknowledged, unless each end of the tunnel has turned that off.
    let pass = |mut from: &TcpStream, mut to: &TcpStream| {
        for piece in [b"a", b"b"] {
            from.write_all(piece).unwrap();
            std::thread::sleep(Duration::from_millis(2));
        }
        to.read_exact(&mut [0; 2]).unwrap();
    };
    let time = || {
        let start = Instant::now();
        (0..20).for_each(|_| {
            pass(&program, &target);
            pass(&target, &program);
        });
        start.elapsed()
    };
    // (On a busy machine, some of these times are long for other reasons, so one short time is
    // enough.)
    assert!((0..20).any(|_| time() < Duration::from_millis(700)));
}

#[cfg(target_os = "linux")]
#[test]
fn a_tunnel_without_a_descriptor_goes_on_when_there_are_some_again() {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::time::{Duration, Instant};
    let echo = start("04_echo");
    let url = format!("ws://{}", echo.address);
    // Each tunnel takes two descriptors: with one limit none is left to accept the next program, with the other none
    // to dial the far end. The shell sets the limit, and becomes the tunnel's near end.
    for limit in [20, 21] {
        let confined = format!(
            "ulimit -n {limit}; exec '{}' \"$@\"",
            program("15_tunnel").get_program().display()
        );
        let mut near = Command::new("sh");
        near.args(["-c", &confined, "near", "dial", "127.0.0.1:0", &url]);
        let near = listening(near.stdout(Stdio::piped()).stderr(Stdio::null()));

        let (descriptors, start) = (format!("/proc/{}/fd", near.child.id()), Instant::now());
        let mut crowd = Vec::new();
        // A thread that waits in `accept` holds a descriptor for it already, which isn't listed. If only one more is
        // free, the next program's thread and the next `accept` both want it.
        while std::fs::read_dir(&descriptors).unwrap().count() < limit - 2 {
            assert!(start.elapsed() < Duration::from_secs(20), "it has not run out");
            crowd.push(TcpStream::connect(&near.address).unwrap());
            std::thread::sleep(Duration::from_millis(50));
        }
        // The near end may end at the first of these, so the others may find no listener.
        crowd.extend((0..20).filter_map(|_| TcpStream::connect(&near.address).ok()));
        drop(crowd);
        let echoed = || {
            let mut tcp = TcpStream::connect(&near.address)?;
            tcp.set_read_timeout(Some(Duration::from_secs(20)))?;
            tcp.write_all(b"x")?;
            tcp.read_exact(&mut [0])
        };
        let start = Instant::now();
        while let Err(error) = echoed() {
            assert!(start.elapsed() < Duration::from_secs(20), "{limit}: {error}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

#[cfg(target_pointer_width = "64")]
#[test]
fn a_tunnel_without_a_thread_closes_that_one_connection_and_goes_on() {
    use std::io::Read;
    use std::net::TcpStream;
    use std::time::Duration;
    // No machine has room for such a stack, so no thread of the default size can start. (The library gives its own
    // threads a size.)
    let tunnel = |arguments: [&str; 3]| {
        let mut tunnel = program("15_tunnel");
        tunnel.args(arguments).env("RUST_MIN_STACK", (1u64 << 50).to_string());
        listening(tunnel.stdout(Stdio::piped()).stderr(Stdio::null()))
    };
    let echo = start("04_echo");
    let mut near = tunnel(["dial", "127.0.0.1:0", &format!("ws://{}", echo.address)]);
    for _ in 0..2 {
        let mut tcp = TcpStream::connect(&near.address).unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        assert_eq!(tcp.read(&mut [0]).unwrap(), 0);
        assert!(near.child.try_wait().unwrap().is_none(), "the near end has ended");
    }
    let far = tunnel(["serve", "127.0.0.1:0", &echo.address]);
    let mut ws = ws101::connect(&format!("ws://{}", far.address)).unwrap();
    assert!(ws.recv().unwrap().is_none());
    assert_eq!(ws.closed_with().unwrap().code.0, 1013);
}

#[cfg(target_pointer_width = "64")]
#[test]
fn the_coach_without_a_thread_for_its_checks_does_them_itself() {
    let echo = start("04_echo");
    let mut coach = program("coach");
    coach.args(["--stage", "4", &format!("ws://{}", echo.address)]);
    // No machine has room for such a stack.
    let coached = coach.env("RUST_MIN_STACK", (1u64 << 50).to_string()).output().unwrap();
    assert!(coached.status.success(), "{coached:?}");
}

/// Time that a process has spent on a core, all its threads together.
#[cfg(target_os = "linux")]
fn time_on_a_core(child: &Child) -> std::time::Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    // After the name in brackets, the 12th and 13th field: user and system time, in hundredths of a second.
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks = fields.split(' ').skip(11).take(2).map(|field| field.parse::<u32>().unwrap());
    std::time::Duration::from_millis(10) * ticks.sum::<u32>()
}

#[cfg(target_os = "linux")]
#[test]
fn a_tap_without_a_descriptor_rests_and_goes_on_when_there_are_some_again() {
    use std::net::TcpStream;
    use std::time::{Duration, Instant};
    let echo = start("04_echo");
    // Each connection takes two descriptors: with one limit none is left to accept the next one, with the other
    // none to go on to the server. The shell sets the limit, and becomes the tap.
    for limit in [20, 21] {
        let confined = format!(
            "ulimit -n {limit}; exec '{}' \"$@\"",
            program("07_tap").get_program().display()
        );
        let mut tap = Command::new("sh");
        tap.args(["-c", &confined, "tap", "127.0.0.1:0", &echo.address]);
        let mut child = tap.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = line.trim_end().rsplit("ws://").next().unwrap().to_owned();
        let tap = Running { child, stdout, address };

        let (descriptors, start) = (format!("/proc/{}/fd", tap.child.id()), Instant::now());
        let (mut crowd, come) = (Vec::new(), || TcpStream::connect(&tap.address).unwrap());
        // One at a time, because of those that come at once, the tap drops as many as it can't dial for. A thread that
        // waits in `accept` holds a descriptor for it already, which isn't listed. If only one more is free, the next
        // client's thread and the next `accept` both want it.
        while std::fs::read_dir(&descriptors).unwrap().count() < limit - 2 {
            assert!(start.elapsed() < Duration::from_secs(20), "it has not run out");
            crowd.push(come());
            std::thread::sleep(Duration::from_millis(50));
        }
        crowd.extend((0..20).map(|_| come()));
        let before = time_on_a_core(&tap.child);
        std::thread::sleep(Duration::from_secs(1));
        let spent = time_on_a_core(&tap.child) - before;
        assert!(spent < Duration::from_millis(250), "{spent:?} of a second on a core");
        drop(crowd);
        let start = Instant::now();
        let url = format!("ws://{}", tap.address);
        let mut ws = loop {
            match ws101::connect(&url) {
                Ok(ws) => break ws,
                Err(error) => assert!(start.elapsed() < Duration::from_secs(20), "{error}"),
            }
        };
        ws.send("hello").unwrap();
        assert_eq!(ws.recv().unwrap().unwrap().as_text(), Some("hello"));
    }
}
