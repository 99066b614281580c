//! Ctrl-C: each example that serves sends its clients a Close and ends with status 0, and each that is a client for
//! long sends one as well. An example that does neither is named here, with its reason.

#[cfg(feature = "tls")]
#[path = "../../examples/secure/certificate.rs"]
mod certificate;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use ws101::{Client, CloseCode, Error, RunningServer, Server};

use super::{all, program};

/// For what must come, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// What an example is when Ctrl-C meets it.
enum Role {
    /// It serves. Its arguments, with ADDRESS for the address to bind; and what a client asks for.
    Serves(&'static [&'static str], &'static str),
    /// It is a client for long. Its arguments, with URL for its server; and its status.
    Connects(&'static [&'static str], Ready, i32),
    /// It needs a test of its own.
    Other,
    /// Without clients and servers of others, it ends within seconds.
    EndsByItself,
}
use Role::{Connects, EndsByItself, Other, Serves};

/// How a client shows that it's connected, and waits.
enum Ready {
    /// It prints this line.
    Prints(&'static str),
    /// It sends something.
    Sends,
}
use Ready::{Prints, Sends};

/// All examples, and the roles of each. The steps of the course aren't among them: a learner writes
/// them with `std`, `sha1` and `base64` alone, none of which has signals.
const ROLES: &[(&str, &[Role])] = &[
    ("01_accept_key", &[EndsByItself]),
    ("02_handshake_by_hand", &[EndsByItself]),
    ("03_frames_by_hand", &[EndsByItself]),
    ("04_echo", &[Serves(&["ADDRESS"], "/"), Serves(&["ADDRESS", "--explain"], "/")]),
    ("05_client", &[Connects(&["URL/greet"], Prints("1"), 0)]),
    ("06_chat", &[Serves(&["ADDRESS"], "/chat")]),
    ("07_tap", &[Other]),
    ("08_rooms", &[Serves(&["ADDRESS"], "/workshop")]),
    ("09_why_websocket", &[EndsByItself]),
    ("10_before_the_rfc", &[EndsByItself]),
    ("11_secure", &[Other]),
    ("12_compressed", &[EndsByItself]),
    ("13_stay_connected", &[Connects(&["URL/greet"], Prints("news 1"), 0)]),
    (
        "14_files",
        &[
            Serves(&["serve", "FOLDER", "ADDRESS"], "/file?do=put"),
            // A file that the server hasn't confirmed is a failure.
            Connects(&["put", "URL", "FOLDER/LICENSE"], Sends, 1),
        ],
    ),
    (
        "15_tunnel",
        &[
            Serves(&["serve", "ADDRESS", "TARGET"], "/"),
            Connects(&["dial", "ADDRESS", "URL"], Sends, 0),
        ],
    ),
    ("16_metrics_and_health", &[Serves(&["ADDRESS"], "/")]),
    ("17_through_a_proxy", &[Connects(&["URL"], Sends, 0)]),
    ("18_reload_a_certificate", &[Other]),
    // Its page alone is served. What its checks leave open is the server's to bear: that is what they are for.
    ("coach", &[Other]),
    ("explain", &[EndsByItself]),
    ("playground", &[Serves(&["ADDRESS"], "/lens")]),
    ("testee", &[Serves(&["ADDRESS"], "/"), Connects(&["--client", "URL"], Sends, 0)]),
];

#[test]
fn each_example_says_here_what_ctrl_c_does_to_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut names = all();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let entry = entry.unwrap();
        if entry.path().join("main.rs").exists() {
            names.push(entry.file_name().into_string().unwrap());
        }
        // A crate of its own, with tests of its own: `tests/many_machines` and `tests/proxies`.
        if let Ok(main) = std::fs::read_to_string(entry.path().join("src/main.rs")) {
            assert!(
                main.contains("ctrl_c::stops(") || main.contains("ctrlc::set_handler("),
                "{entry:?} doesn't end on Ctrl-C"
            );
        }
    }
    names.sort();
    let listed: Vec<&str> = ROLES.iter().map(|(name, _)| *name).collect();
    assert_eq!(listed, names);
}

#[test]
fn ctrl_c_at_each_example_that_serves_sends_its_clients_a_close() {
    for (name, roles) in ROLES {
        for role in *roles {
            if let Serves(arguments, target) = role {
                let mut server = Running::start(name, arguments, "");
                let url = format!("ws://{}{target}", server.printed_address());
                let client = Client::new(url).subprotocols(["lens.ws101"]);
                assert_is_closed(name, client, &server);
                assert!(server.status().success(), "{name}");
            }
        }
    }
}

#[test]
fn ctrl_c_at_the_playground_sends_each_tab_a_close_even_if_others_are_slow() {
    let mut playground = Running::start("playground", &["ADDRESS"], "");
    let url = format!("ws://{}", playground.printed_address());
    let slow = [(); 4].map(|()| {
        let lens = Client::new(format!("{url}/lens")).subprotocols(["lens.ws101"]);
        let mut lens = lens.connect().unwrap();
        let asker = lens.sender();
        let mut hear = |begin: &str| loop {
            let heard = lens.recv().unwrap().unwrap().into_text().unwrap();
            if let Some((_, rest)) = heard.split_once(begin) {
                return rest.split(['"', '}']).next().unwrap().to_owned();
            }
        };
        let ticket = hear("\"ticket\":\"");
        let wire = ws101::connect(&format!("{url}/wire?ticket={ticket}")).unwrap();
        asker.send("pace 2000").unwrap();
        hear("\"pause\":2000");
        (lens, wire)
    });
    let mut tabs = [(); 12].map(|()| ws101::connect(&format!("{url}/wire")).unwrap());
    for tab in &mut tabs {
        tab.send("hello").unwrap();
        tab.recv().unwrap().unwrap();
    }
    playground.interrupt();
    for tab in &mut tabs {
        assert_eq!(tab.recv().unwrap(), None);
        assert_eq!(tab.closed_with().unwrap().code, CloseCode::GOING_AWAY);
    }
    drop(slow);
}

#[test]
fn ctrl_c_at_each_example_that_is_a_client_sends_its_server_a_close() {
    for (name, roles) in ROLES {
        for role in *roles {
            if let Connects(arguments, ready, status) = role {
                let (server, sent, closed) = server_of_clients();
                let url = format!("ws://{}", server.local_addr());
                let mut client = Running::start(name, arguments, &url);
                // A tunnel connects when a program connects to it.
                let program = (*name == "15_tunnel").then(|| {
                    let mut program = TcpStream::connect(client.printed_address()).unwrap();
                    program.write_all(b"hello").unwrap();
                    program
                });
                match ready {
                    Prints(line) => drop(client.await_line(line)),
                    Sends => sent.recv_timeout(PATIENCE).unwrap(),
                }
                client.interrupt();
                let code = closed.recv_timeout(PATIENCE).unwrap();
                assert_eq!(code, Some(CloseCode::GOING_AWAY), "{name}");
                assert_eq!(client.status().code(), Some(*status), "{name}");
                drop(program);
            }
        }
    }
}

#[test]
fn ctrl_c_at_the_tap_ends_its_streams_after_what_it_has_seen_is_explained() {
    let (server, sent, closed) = server_of_clients();
    let target = server.local_addr().to_string();
    let mut tap = Running::start("07_tap", &["ADDRESS", "URL"], &target);
    let mut client = ws101::connect(&format!("ws://{}", tap.printed_address())).unwrap();
    client.send("the last words").unwrap();
    sent.recv_timeout(PATIENCE).unwrap();
    tap.interrupt();
    assert!(matches!(client.recv(), Err(Error::ConnectionLost(_))));
    // The tap is no end of the conversation, so it sends no Close.
    assert_eq!(closed.recv_timeout(PATIENCE).unwrap(), None);
    tap.await_line("#1 client → server, byte 0: a request for a WebSocket");
    assert!(tap.status().success());
}

#[test]
#[cfg(target_os = "linux")] // Elsewhere a full queue may refuse, and connections are listed in another place.
fn a_target_that_does_not_answer_delays_neither_other_clients_nor_ctrl_c() {
    // No program accepts there: once the listen queue is full, the operating system no longer
    // answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let moment = Duration::from_millis(100);
    let _full: Vec<_> =
        std::iter::from_fn(|| TcpStream::connect_timeout(&address, moment).ok()).collect();
    let mut tap = Running::start("07_tap", &["ADDRESS", "URL"], &address.to_string());
    let at = tap.printed_address();
    let clients = [(); 3].map(|()| TcpStream::connect(&at).unwrap());
    // The tap dials for each of them, though it gets no answer for any.
    let start = std::time::Instant::now();
    while dials(address) < clients.len() {
        assert!(start.elapsed() < PATIENCE, "{} dials", dials(address));
        thread::yield_now();
    }
    tap.interrupt();
    assert!(tap.status().success());
}

/// How many sockets of this system wait for this IPv4 address to accept them.
#[cfg(target_os = "linux")]
fn dials(address: std::net::SocketAddr) -> usize {
    const SYN_SENT: &str = "02";
    let remote = format!(":{:04X}", address.port());
    let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let is_dial = |line: &&str| {
        let mut fields = line.split_whitespace().skip(2);
        fields.next().is_some_and(|field| field.ends_with(&remote))
            && fields.next() == Some(SYN_SENT)
    };
    sockets.lines().filter(is_dial).count()
}

#[test]
fn ctrl_c_at_the_page_of_the_coach_ends_it() {
    let mut coach = Running::start("coach", &["--page", "URL"], "ws://127.0.0.1:9");
    coach.await_line("Ctrl-C ends it");
    coach.interrupt();
    assert!(coach.status().success());
}

#[test]
fn a_second_ctrl_c_ends_an_example_at_once() {
    // A server that never answers a Close.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let mut client = Running::start("05_client", &["URL"], &url);
    let (mut stream, _) = listener.accept().unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(|it| it.ok());
    let key = lines.find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ").map(str::to_owned));
    assert_eq!(lines.find(String::is_empty).as_deref(), Some(""), "the end of the head");
    let accept = ws101::handshake::accept_key::accept(&key.unwrap());
    let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
    write!(stream, "{head}Sec-WebSocket-Accept: {accept}\r\n\r\n").unwrap();
    stream.write_all(b"\x81\x011").unwrap();
    client.await_line("1");
    client.interrupt();
    // The Close.
    let mut byte = [0];
    stream.read_exact(&mut byte).unwrap();
    assert_eq!(byte, [0x88]);
    client.interrupt();
    assert_eq!(client.status().code(), Some(130));
}

#[test]
fn ctrl_c_ends_a_client_that_waits_before_it_connects_again() {
    let (server, _, _) = server_of_clients();
    let url = format!("ws://{}", server.local_addr());
    let mut client = Running::start("13_stay_connected", &["URL/greet"], &url);
    client.await_line("news 1");
    server.stop(PATIENCE).unwrap();
    client.await_line("the server closed with 1001");
    client.interrupt();
    assert_eq!(client.status().code(), Some(130));
}

#[cfg(feature = "tls")]
mod with_tls {
    use super::*;

    #[test]
    fn ctrl_c_at_11_secure_sends_its_clients_a_close() {
        let mut server = Running::start("11_secure", &["ADDRESS"], "");
        let url = format!("wss://{}", server.printed_address());
        let certificate = server.await_line("its certificate: ");
        let client = Client::new(url).root_certificates(certificate);
        assert_is_closed("11_secure", client, &server);
        assert!(server.status().success());
    }

    #[test]
    fn ctrl_c_at_18_reload_a_certificate_sends_its_clients_a_close() {
        let folder = format!("ws101-ctrl-c-{}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        let made = certificate::self_signed(&["127.0.0.1"], certificate::VALID);
        let [certificate, key] = ["certificate.pem", "key.pem"].map(|file| folder.join(file));
        std::fs::write(&certificate, made.certificate).unwrap();
        std::fs::write(&key, made.key).unwrap();
        let mut program = program("18_reload_a_certificate");
        program.arg("127.0.0.1:0").arg(&certificate).arg(&key);
        let mut server = Running::of(program);
        let url = format!("wss://{}", server.printed_address());
        let client = Client::new(url).root_certificates(&certificate);
        assert_is_closed("18_reload_a_certificate", client, &server);
        assert!(server.status().success());
        std::fs::remove_dir_all(folder).unwrap();
    }
}

/// Connects, interrupts the server, and expects its Close.
fn assert_is_closed(name: &str, client: Client, server: &Running) {
    let mut ws = client.connect().unwrap_or_else(|error| panic!("{name}: {error}"));
    server.interrupt();
    while ws.recv().unwrap_or_else(|error| panic!("{name}: {error}")).is_some() {}
    assert_eq!(ws.closed_with().unwrap().code, CloseCode::GOING_AWAY, "{name}");
}

/// A server for all these clients. It says when one has sent something, and with which code one has closed.
fn server_of_clients() -> (RunningServer, Receiver<()>, Receiver<Option<CloseCode>>) {
    let (sent, has_sent) = channel();
    let (closed, has_closed) = channel();
    let server = Server::bind("127.0.0.1:0").unwrap();
    let server = server.spawn(move |mut ws| {
        let path = ws.request().path().to_owned();
        if path == "/getCaseCount" {
            ws.send("1")?;
            return ws.recv().map(drop);
        }
        if path == "/greet" || path == "/runCase" {
            ws.send("1")?;
        }
        while let Ok(Some(_)) = ws.recv() {
            let _ = sent.send(());
        }
        let _ = closed.send(ws.closed_with().map(|close| close.code));
        Ok(())
    });
    (server.unwrap(), has_sent, has_closed)
}

#[test]
fn the_demonstration_of_14_files_leaves_no_file_behind_after_ctrl_c() {
    let folder = std::env::temp_dir().join(format!("ws101-demonstration-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut demonstration = program("14_files");
    demonstration.env("TMPDIR", &folder);
    let mut demonstration = Running::of(demonstration);
    demonstration.await_line("listening on ");
    demonstration.interrupt();
    demonstration.status();
    let left: Vec<_> = std::fs::read_dir(&folder).unwrap().collect();
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(left.is_empty(), "{left:?}");
}

/// An example that runs, with its standard input open. Killed when dropped.
struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    fn start(name: &str, arguments: &[&str], url: &str) -> Running {
        let mut program = program(name);
        for argument in arguments {
            program.arg(
                argument
                    .replace("ADDRESS", "127.0.0.1:0")
                    .replace("TARGET", &target())
                    .replace("FOLDER", env!("CARGO_MANIFEST_DIR"))
                    .replace("URL", url),
            );
        }
        Running::of(program)
    }

    fn of(mut program: Command) -> Running {
        program.env("no_proxy", "*").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = program.spawn().unwrap_or_else(|error| panic!("{program:?}: {error}"));
        let (send, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            stdout.lines().map_while(|line| line.ok()).for_each(|line| drop(send.send(line)));
        });
        Running { child, lines }
    }

    /// Waits for a line that begins like this, and returns the rest of it.
    fn await_line(&mut self, begin: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no {begin:?}"));
            if let Some(rest) = line.strip_prefix(begin) {
                return rest.to_owned();
            }
        }
    }

    fn printed_address(&mut self) -> String {
        self.await_line("listening on ").rsplit('/').next().unwrap().to_owned()
    }

    /// Does what Ctrl-C at a terminal does. `std` can't send a signal, but each shell can.
    fn interrupt(&self) {
        let id = self.child.id().to_string();
        assert!(
            Command::new("sh").args(["-c", "kill -INT \"$0\"", &id]).status().unwrap().success()
        );
    }

    /// Waits until it has ended, which closes its standard output.
    fn status(&mut self) -> ExitStatus {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => return self.child.wait().unwrap(),
                Err(RecvTimeoutError::Timeout) => panic!("it doesn't end"),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that takes connections, as the target of a tunnel, for as long as these tests run.
fn target() -> String {
    static TARGET: std::sync::OnceLock<TcpListener> = std::sync::OnceLock::new();
    let listener = TARGET.get_or_init(|| TcpListener::bind("127.0.0.1:0").unwrap());
    listener.local_addr().unwrap().to_string()
}
