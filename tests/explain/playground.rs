//! The playground and the example `explain`, run as programs: what they answer and print.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{channel, sync_channel};
use std::time::Duration;

use ws101::frames::header::Role;
use ws101::{Client, Error, Limits, Message, WebSocket};

#[path = "../../examples/playground/backlog.rs"]
mod backlog;
#[path = "../../examples/playground/record.rs"]
mod record;

/// Longer than anything takes: it only ends a test that would hang.
const PATIENCE: Duration = Duration::from_secs(30);

/// The program of an example: `cargo test` has built it beside this test.
fn program(name: &str) -> Command {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.set_file_name("examples");
    Command::new(path.join(name))
}

/// A playground on a free port. It is stopped when dropped.
struct Playground {
    child: Child,
    /// Its other end must stay open, or printing would fail.
    _stdout: BufReader<ChildStdout>,
    address: String,
}

impl Playground {
    fn start(at: &str) -> Playground {
        let child = program("playground").arg(at).stdout(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| panic!("{error}; cargo build --examples"));
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let address = line.trim().trim_start_matches("listening on ws://").to_owned();
        Playground { child, _stdout: stdout, address }
    }

    /// A lens, and the ticket for its wires.
    fn lens(&self) -> (WebSocket, String) {
        let lens = Client::new(format!("ws://{}/lens", self.address)).subprotocols(["lens.ws101"]);
        let limits = Limits { max_message: 8 << 20, ..Limits::default() };
        let mut lens = lens.limits(limits).connect().unwrap();
        let you = hear(&mut lens, "\"about\":\"you\"");
        let ticket = you.split("\"ticket\":\"").nth(1).unwrap().split('"').next().unwrap();
        let ticket = ticket.to_owned();
        (lens, ticket)
    }

    fn wire(&self, ticket: &str) -> WebSocket {
        ws101::connect(&format!("ws://{}/wire?ticket={ticket}", self.address)).unwrap()
    }
}

impl Drop for Playground {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The next text with these words.
fn hear(ws: &mut WebSocket, words: &str) -> String {
    loop {
        let message = ws.recv_timeout(PATIENCE).unwrap().expect(words);
        let text = message.as_text().unwrap();
        if text.contains(words) {
            return text.to_owned();
        }
    }
}

fn echo(wire: &mut WebSocket, text: &str) {
    wire.send(text).unwrap();
    assert_eq!(wire.recv_timeout(PATIENCE).unwrap().unwrap().as_text(), Some(text));
}

#[test]
fn a_wire_that_is_opened_again_hears_what_is_said_to_all() {
    let playground = Playground::start("127.0.0.1:0");
    let (mut lens, ticket) = playground.lens();
    let mut first = playground.wire(&ticket);
    echo(&mut first, "first");
    let mut second = playground.wire(&ticket);
    echo(&mut second, "second");
    // The old one ends after the new one has opened, and the server has noticed.
    hear(&mut lens, "\\\"second\\\"");
    first.close(1000, "").unwrap();
    hear(&mut lens, "\"about\":\"tabs\"");
    lens.send("say 1\nhello").unwrap();
    assert_eq!(second.recv_timeout(PATIENCE).unwrap().unwrap().as_text(), Some("hello"));
    lens.send("close 4001\nenough").unwrap();
    assert!(second.recv_timeout(PATIENCE).unwrap().is_none());
    assert_eq!(second.closed_with().unwrap().code.0, 4001);
}

#[test]
fn no_echo_comes_between_the_three_fragments() {
    let playground = Playground::start("127.0.0.1:0");
    let (mut lens, ticket) = playground.lens();
    let mut wire = playground.wire(&ticket);
    // The lens is read all the time, so that it isn't let go.
    let asker = lens.sender();
    let reader = std::thread::spawn(move || while let Ok(Some(_)) = lens.recv() {});
    let sender = wire.sender();
    let noise = std::thread::spawn(move || (0..2000).try_for_each(|_| sender.send("noise")));
    for _ in 0..40 {
        asker.send("fragments\none message, in three fragments").unwrap();
    }
    let (mut whole, mut echoes) = (0, 0);
    while (whole, echoes) != (40, 2000) {
        // A frame that comes between is a violation.
        match wire.recv_timeout(PATIENCE).unwrap().unwrap().as_text() {
            Some("noise") => echoes += 1,
            Some("one message, in three fragments") => whole += 1,
            other => panic!("{other:?}"),
        }
    }
    noise.join().unwrap().unwrap();
    drop(playground);
    reader.join().unwrap();
}

#[test]
#[cfg(target_os = "linux")]
fn the_page_is_served_at_the_address_that_is_printed() {
    let playground = Playground::start("127.0.0.2:0");
    let mut page = TcpStream::connect(&playground.address).unwrap();
    write!(page, "GET / HTTP/1.1\r\nHost: {}\r\n\r\n", playground.address).unwrap();
    let mut text = String::new();
    page.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
    let mut other = TcpStream::connect(&playground.address).unwrap();
    write!(other, "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n").unwrap();
    let mut text = String::new();
    other.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 421 "), "{text}");
}

#[test]
fn the_page_decides_a_foreign_host_as_its_server_does() {
    let playground = Playground::start("127.0.0.1:0");
    let (mut lens, _) = playground.lens();
    for (host, status) in [("evil.example", 421), ("localhost:9001", 101), ("[::1]", 101)] {
        let request = format!(
            "GET /wire HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        let mut stream = TcpStream::connect(&playground.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        assert!(line.starts_with(&format!("HTTP/1.1 {status} ")), "{host}: {line}");
        lens.send(format!("decide\n{request}")).unwrap();
        let decision = hear(&mut lens, "\"about\":\"decision\"");
        let answer = decision.split("\"answer\":").nth(1).unwrap();
        assert!(answer.contains(&format!("HTTP/1.1 {status} ")), "{host}: {decision}");
    }
}

#[test]
fn a_question_of_many_frames_gets_as_many_annotations_as_an_answer_has() {
    let playground = Playground::start("127.0.0.1:0");
    let (mut lens, _) = playground.lens();
    let frames = "8100".repeat(60_000);
    for (question, about) in
        [(format!("frames server\n{frames}"), "verdict"), (format!("open\n{frames}"), "opened")]
    {
        lens.send(question).unwrap();
        let told = hear(&mut lens, &format!("\"about\":\"{about}\""));
        assert_eq!(told.matches("\"title\":\"text, 0 bytes\"").count(), 64, "{about}");
        assert!(about == "verdict" || told.contains("\"count\":65"), "{about}");
    }
}

#[test]
fn what_waits_for_a_page_is_bounded_in_bytes() {
    let (begun, has_begun) = sync_channel(0);
    let (go, may_go) = channel::<()>();
    let backlog = backlog::Backlog::new(move |_| {
        let _ = begun.send(());
        may_go.recv().is_ok()
    })
    .unwrap();
    let text = "x".repeat(10_000);
    let mut waiting = 0;
    while backlog.put(text.clone()) {
        waiting += text.len();
        assert!(waiting <= backlog::MOST_WAITING);
    }
    assert!(waiting + text.len() > backlog::MOST_WAITING);
    // A text counts until it is sent.
    has_begun.recv_timeout(PATIENCE).unwrap();
    assert!(!backlog.put(text.clone()));
    go.send(()).unwrap();
    has_begun.recv_timeout(PATIENCE).unwrap();
    assert!(backlog.put(text));
}

#[test]
fn a_lens_that_reads_nothing_is_let_go_and_its_wire_goes_on() {
    let playground = Playground::start("127.0.0.1:0");
    let (mut lens, ticket) = playground.lens();
    let mut wire = playground.wire(&ticket);
    // Each message is explained twice, in some kilobytes: more than sockets and backlog hold.
    let message = vec![7; 4096];
    for _ in 0..600 {
        wire.send(message.clone()).unwrap();
        assert_eq!(wire.recv_timeout(PATIENCE).unwrap(), Some(Message::Binary(message.clone())));
    }
    let ended = loop {
        match lens.recv_timeout(PATIENCE) {
            Ok(Some(_)) => {}
            ended => break ended,
        }
    };
    assert!(matches!(ended, Err(Error::ConnectionLost(_))), "{ended:?}");
}

#[test]
fn a_conversation_is_saved_as_text_and_explained_again() {
    let playground = Playground::start("127.0.0.1:0");
    let (mut lens, ticket) = playground.lens();
    let mut wire = playground.wire(&ticket);
    echo(&mut wire, "Hello");
    lens.send("save\n").unwrap();
    let saved = hear(&mut lens, "\"about\":\"saved\"");
    let text = saved.split("\"text\":\"").nth(1).unwrap().trim_end_matches("\"}");
    let text = text.replace("\\u000a", "\n").replace("\\\"", "\"").replace("\\\\", "\\");
    assert!(text.contains("client \"GET /wire?ticket="), "{text}");
    // Opened in the page..
    lens.send(format!("open\n{text}")).unwrap();
    let opened = hear(&mut lens, "\"about\":\"opened\"");
    assert!(opened.contains("text, 5 bytes, masked"), "{opened}");
    // .. and in a terminal.
    let mut explain = program("explain");
    let explain = explain.arg("-").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut explain = explain.spawn().unwrap();
    explain.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = explain.wait_with_output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    for line in [
        "client → server, byte 0: a request for a WebSocket",
        "server → client, byte 0: a response: frames follow",
        ": text, 5 bytes, masked",
        ": text, 5 bytes",
    ] {
        assert!(printed.contains(line), "no {line:?} in {printed}");
    }
    lens.send("open\nno bytes at all").unwrap();
    assert!(hear(&mut lens, "\"about\":\"opened\"").contains("can't be read: line 1"));
}

#[test]
fn a_saved_conversation_of_any_length_is_short_enough_to_be_opened() {
    let mut record = record::Record::default();
    for _ in 0..10_000 {
        record.add(Role::Client, b"\x81\x80\0\0\0\0");
        record.add(Role::Server, b"\x81\0");
    }
    let saved = record.saved();
    // `page.js` opens no larger file.
    assert!(saved.len() <= 200_000, "{}", saved.len());
    let turns = ws101::explain::saved_conversation::parse(&saved).unwrap();
    assert!(turns.len() > 5_000 && saved.contains("more bytes passed"), "{}", turns.len());
    // Each CR LF has a line of its own.
    let mut record = record::Record::default();
    record.add(Role::Server, &b"\r\n".repeat(50_000));
    let saved = record.saved();
    assert!(saved.len() <= 200_000, "{}", saved.len());
}

#[test]
fn a_conversation_that_has_ended_is_saved_with_its_close() {
    let playground = Playground::start("127.0.0.1:0");
    let (mut lens, ticket) = playground.lens();
    let mut wire = playground.wire(&ticket);
    echo(&mut wire, "Hello");
    wire.close(1000, "enough").unwrap();
    hear(&mut lens, "\"open\":true");
    hear(&mut lens, "\"open\":false");
    lens.send("save\n").unwrap();
    let saved = hear(&mut lens, "\"about\":\"saved\"");
    assert!(saved.contains("server 88 08 03 e8 65 6e 6f 75 67 68"), "{saved}");
}

#[test]
fn a_wire_with_a_long_head_is_shown_wherever_its_annotation_is_cut() {
    let playground = Playground::start("127.0.0.1:0");
    let (mut lens, ticket) = playground.lens();
    let name = "X-".to_owned() + &"a-name-that-is-cut-".repeat(20);
    let wire = Client::new(format!("ws://{}/wire?ticket={ticket}", playground.address));
    let wire = wire.header("Cookie", "c".repeat(3700)).header(name, "x");
    echo(&mut wire.connect().unwrap(), "Hello");
    let told = hear(&mut lens, "\"what\":\"request\"");
    // What the annotation keeps of the head ends within the name.
    assert!(told.contains("612d6e616d65") && !told.contains("3a20780d0a"), "{told}");
    hear(&mut lens, "\"title\":\"text, 5 bytes, masked\"");
}

#[test]
fn the_answer_that_is_shown_to_a_plain_request_is_the_one_that_the_server_gives() {
    let playground = Playground::start("127.0.0.1:0");
    let (mut lens, _) = playground.lens();
    for (path, status) in [("/", 200), ("/wire", 426), ("/nowhere", 404)] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", playground.address);
        let mut stream = TcpStream::connect(&playground.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
        lens.send(format!("decide\n{request}")).unwrap();
        let decision = hear(&mut lens, "\"about\":\"decision\"");
        assert!(
            decision.contains(&format!("\"value\":\"HTTP/1.1 {status} ")),
            "{path}: {decision}"
        );
    }
}

#[test]
fn a_lens_shows_the_code_behind_a_field() {
    let playground = Playground::start("127.0.0.1:0");
    let (mut lens, _) = playground.lens();
    lens.send("frames client\n81 85 37 fa 21 3d 7f 9f 4d 51 58").unwrap();
    let verdict = hear(&mut lens, "\"about\":\"verdict\"");
    for words in ["\"code\":\"mask\"", "\"walk\":[{\"code\":\"read\"", "becomes 48 65 6c 6c"] {
        assert!(verdict.contains(words), "no {words} in {verdict}");
    }
    lens.send("code mask\n").unwrap();
    let code = hear(&mut lens, "\"about\":\"code\"");
    for words in ["frames/mask.rs", "let turned = ", "\"marked\":true", "05_the_mask.md"] {
        assert!(code.contains(words), "no {words} in {code}");
    }
    lens.send("code nothing\n").unwrap();
    assert!(hear(&mut lens, "\"about\":\"code\"").contains("\"passage\":null"));
}

#[test]
fn explain_in_a_terminal_takes_bytes_files_and_standard_input() {
    let run = |arguments: &[&str]| {
        let output = program("explain").args(arguments).stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.success(), text, String::from_utf8(output.stderr).unwrap())
    };
    let (ok, printed, _) = run(&["81", "05", "48656c6c6f"]);
    assert!(ok && printed.contains("server → client, byte 0: text, 5 bytes\n"), "{printed}");
    let (ok, printed, _) = run(&["--from", "client", "--code", "8105 \"Hello\""]);
    assert!(ok && printed.contains("broken: 1002"), "{printed}");
    assert!(printed.contains("MASK: src/frames/header.rs, Header::parse"), "{printed}");
    assert!(printed.contains("return Err(Violation::NotMasked)"), "{printed}");
    let (ok, printed, _) = run(&["--walk", "8802 03ed"]);
    assert!(ok && printed.contains("src/frames/close.rs: Close::parse"), "{printed}");
    assert!(printed.lines().all(|line| line.chars().count() <= 80), "{printed}");
    let file = std::env::temp_dir().join(format!("ws101-explain-{}", std::process::id()));
    std::fs::write(&file, b"\x82\x02\xff\xfe").unwrap();
    let (ok, printed, _) = run(&[file.to_str().unwrap()]);
    std::fs::remove_file(&file).unwrap();
    assert!(ok && printed.contains("binary, 2 bytes"), "{printed}");
    std::fs::write(&file, vec![0xff; (16 << 20) + 1]).unwrap();
    let (ok, printed, complaint) = run(&[file.to_str().unwrap()]);
    std::fs::remove_file(&file).unwrap();
    assert!(ok && printed.contains("broken frame"), "{printed}");
    assert_eq!(complaint, "explain: only the first 16 MiB are explained\n");
    let (ok, printed, _) = run(&["--help"]);
    assert!(ok && printed.contains("--code      also show"), "{printed}");
    for bad in [&["zz"][..], &["--from", "me"], &["--nothing"], &["no/such/file"]] {
        let (ok, _, complaint) = run(bad);
        assert!(!ok && complaint.starts_with("explain: "), "{bad:?}: {complaint}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn explain_in_a_terminal_prints_the_first_frames_before_it_has_explained_the_rest() {
    let file = std::env::temp_dir().join(format!("ws101-many-frames-{}", std::process::id()));
    std::fs::write(&file, b"\x81\0".repeat(1 << 20)).unwrap();
    let mut shell = Command::new("sh");
    let script = "ulimit -v 300000; exec \"$0\" \"$1\"";
    shell.arg("-c").arg(script).arg(program("explain").get_program()).arg(&file);
    let mut explain = shell.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(explain.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let output = explain.wait_with_output().unwrap();
    std::fs::remove_file(&file).unwrap();
    assert_eq!(line, "server → client, byte 0: text, 0 bytes\n");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The coach's last word about a run.
fn coached(lens: &mut WebSocket, ticket: &str, plan: &str, address: &str) -> String {
    lens.send(format!("coach {ticket} {plan}\n{address}")).unwrap();
    hear(lens, "\"about\":\"coach\",\"state\":\"ends\"")
}

/// A server of a few lines: `answer` gets each connection with the head that came on it.
fn server(answer: impl Fn(TcpStream, &str) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
            std::thread::spawn(move || {
                let (mut head, mut byte) = (Vec::new(), [0]);
                while !head.ends_with(b"\r\n\r\n") && matches!((&stream).read(&mut byte), Ok(1)) {
                    head.push(byte[0]);
                }
                answer(stream, &String::from_utf8_lossy(&head));
            });
        }
    });
    address.to_string()
}

#[test]
fn the_example_ends_well_if_its_reader_has_read_enough() {
    // More than a pipe holds, so that the end of its reader meets it while it writes.
    let frames = "81 05 48 65 6c 6c 6f ".repeat(500);
    let mut explain = program("explain");
    explain.args(["--from", "server", "--code", &frames]);
    let mut explain = explain.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    explain.stdout.take().unwrap().read_exact(&mut [0; 100]).unwrap();
    let output = explain.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_coach_in_the_page_finds_no_fault_in_a_good_server() {
    let playground = Playground::start("127.0.0.1:0");
    let (mut lens, ticket) = playground.lens();
    let server = ws101::Server::bind("127.0.0.1:0").unwrap();
    let server = server
        .spawn(|mut ws| {
            while let Some(message) = ws.recv()? {
                ws.send(message)?;
            }
            Ok(())
        })
        .unwrap();
    let url = format!("ws://localhost:{}/", server.local_addr().port());
    let ends = coached(&mut lens, &ticket, "4", &url);
    assert!(ends.contains("\"why\":null") && ends.contains("\"fail\":0"), "{ends}");
    // Without a scheme, it's taken for ws.
    let ends = coached(&mut lens, &ticket, "2", &server.local_addr().to_string());
    assert!(ends.contains("\"why\":null") && ends.contains("\"fail\":0"), "{ends}");
    assert!(!ends.contains("\"pass\":0"), "{ends}");
    server.stop(Duration::ZERO).unwrap();
}

#[test]
fn the_coach_in_the_page_tells_a_failure_with_the_bytes_and_what_it_looks_at() {
    let playground = Playground::start("127.0.0.1:0");
    let (mut lens, ticket) = playground.lens();
    let wrong = server(|mut stream, _| {
        let _ = write!(
            stream,
            "HTTP/1.1 101 <img src=x>\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: <script>alert(1)</script>\r\n\r\n"
        );
    });
    lens.send(format!("coach {ticket} next\n{wrong}")).unwrap();
    let verdict = hear(&mut lens, "\"verdict\":\"fail\"");
    // A page's script can't end inside a text.
    assert!(!verdict.contains('<'), "{verdict}");
    let id = verdict.split("\"id\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    hear(&mut lens, "\"about\":\"coach\",\"state\":\"ends\"");
    lens.send(format!("failure {id}\n")).unwrap();
    let failure = hear(&mut lens, "\"about\":\"failure\"");
    for words in ["\"rule\":\"", "\"cause\":\"", "\"fix\":\"", "\"isLookedAt\":true", "\"walk\":["]
    {
        assert!(failure.contains(words), "no {words} in {failure}");
    }
    assert!(!failure.contains('<'), "{failure}");
    lens.send("failure no/such\n").unwrap();
    assert!(hear(&mut lens, "\"about\":\"failure\"").contains("\"failure\":null"));
}

#[test]
fn the_coach_in_the_page_dials_loopback_alone() {
    let playground = Playground::start("127.0.0.1:0");
    let (mut lens, ticket) = playground.lens();
    for (address, why) in [
        ("ws://192.0.2.1:9/", "192.0.2.1 leads to 192.0.2.1, which isn't a loopback address"),
        ("ws://[2001:db8::1]:9/", "isn't a loopback address"),
        ("ws://0.0.0.0:9/", "isn't a loopback address"),
        ("ws://[::ffff:192.0.2.1]:9/", "isn't a loopback address"),
        ("wss://127.0.0.1:9/", "coaches ws:// only"),
        ("http://127.0.0.1:9/", "\"state\":\"refused\""),
        ("", "Type your server's address"),
    ] {
        lens.send(format!("coach {ticket} all\n{address}")).unwrap();
        let told = hear(&mut lens, "\"about\":\"coach\"");
        assert!(told.contains("\"state\":\"refused\"") && told.contains(why), "{address}: {told}");
    }
    // Nothing listens there, which is told once the coach has tried for a while. (A port that the system gives to
    // clients would do worse: a client may get it for its own, and then connects to itself.)
    let ends = coached(&mut lens, &ticket, "all", "127.0.0.1:1");
    assert!(ends.contains("\"why\":\"the server can't be reached"), "{ends}");
}

#[test]
fn the_coach_in_the_page_needs_the_ticket_of_the_page() {
    let playground = Playground::start("127.0.0.1:0");
    let (_other, of_other) = playground.lens();
    for ticket in ["", "0123456789abcdef", &of_other] {
        let (mut lens, _) = playground.lens();
        lens.send(format!("coach {ticket} all\nws://127.0.0.1:9/")).unwrap();
        let ended = loop {
            match lens.recv_timeout(PATIENCE).unwrap() {
                Some(message) => {
                    let text = message.as_text().unwrap();
                    assert!(!text.contains("\"about\":\"coach\""), "{text}");
                }
                None => break lens.closed_with().unwrap().code.0,
            }
        };
        assert_eq!(ended, 1008);
    }
}

#[test]
fn a_run_of_the_coach_is_stopped_by_its_page_and_is_the_only_one() {
    let playground = Playground::start("127.0.0.1:0");
    let (mut lens, ticket) = playground.lens();
    let (heard, is_heard) = channel();
    // It answers nothing, so each check takes its time.
    let silent = server(move |stream, _| {
        let _ = heard.send(());
        let _ = (&stream).read(&mut [0]);
    });
    lens.send(format!("coach {ticket} all\n{silent}")).unwrap();
    hear(&mut lens, "\"state\":\"begins\"");
    is_heard.recv_timeout(PATIENCE).unwrap();
    lens.send(format!("coach {ticket} all\n{silent}")).unwrap();
    assert!(hear(&mut lens, "\"state\":\"refused\"").contains("A run is under way"));
    lens.send("stop\n").unwrap();
    let ends = hear(&mut lens, "\"state\":\"ends\"");
    assert!(ends.contains("You stopped the run"), "{ends}");
    // The next one may begin.
    lens.send(format!("coach {ticket} 1\n{silent}")).unwrap();
    hear(&mut lens, "\"state\":\"begins\"");
}

#[test]
fn a_server_that_floods_the_coach_ends_its_run_and_nothing_else() {
    let playground = Playground::start("127.0.0.1:0");
    let (mut lens, ticket) = playground.lens();
    // Instead of an answer, and after a good one.
    let without_end = server(|mut stream, _| {
        let block = vec![b'x'; 1 << 16];
        while stream.write_all(&block).is_ok() {}
    });
    let ends = coached(&mut lens, &ticket, "next", &without_end);
    assert!(ends.contains("\"pass\":0,"), "{ends}");
    let frames = server(|mut stream, head| {
        let key = head.split("Sec-WebSocket-Key: ").nth(1).unwrap_or_default();
        let accept = ws101::handshake::accept_key::accept(key.lines().next().unwrap_or_default());
        let _ = write!(
            stream,
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        let frames = b"\x82\x7e\x10\x00".iter().chain([b'x'; 4096].iter()).copied();
        let frames: Vec<u8> = frames.collect::<Vec<u8>>().repeat(16);
        while stream.write_all(&frames).is_ok() {}
    });
    let ends = coached(&mut lens, &ticket, "4", &frames);
    assert!(ends.contains("has sent more than 32 MiB"), "{ends}");
    let mut wire = playground.wire(&ticket);
    echo(&mut wire, "still here");
}

#[test]
fn a_ping_that_finds_the_lock_taken_says_so_on_its_walk() {
    let playground = Playground::start("127.0.0.1:0");
    let (mut lens, _) = playground.lens();
    lens.send("contend\n").unwrap();
    let told = hear(&mut lens, "\"about\":\"contended\"");
    // The ping is read by the one thread, and the pong is written by the other, after its own text.
    let at = |words: &str| told.find(words).unwrap_or_else(|| panic!("no {words} in {told}"));
    let (ping, text, pong) = (
        at("\"title\":\"ping, 8 bytes, masked\""),
        at("\"title\":\"text, 25 bytes\""),
        at("\"title\":\"pong, 8 bytes\""),
    );
    assert!(ping < text && text < pong, "{told}");
    let by = |at: usize| &told[at..][told[at..].find("\"by\":\"").unwrap()..][6..13];
    assert_eq!((by(ping), by(text), by(pong)), ("reading", "writing", "writing"));
    let witnessed = at("\"witnessed\":{\"pong.sent\":\"the writing thread had the lock");
    assert!(ping < witnessed && witnessed < text, "{told}");
}
