//! `14_files` as a server: what it stores is whole, whoever else puts a file there at the same time.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use sha1::{Digest, Sha1};
use ws101::{Client, Error, MessageKind, Server, WebSocket, connect};

use super::program;

/// For what must come, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// The server, with an empty folder of its own. Killed when dropped, and its folder deleted.
struct Files {
    child: Child,
    folder: PathBuf,
    url: String,
}

impl Files {
    fn start(test: &str) -> Files {
        let (files, lines) = Files::with_output(test);
        thread::spawn(move || lines.for_each(drop));
        files
    }

    /// The server, and the lines that it prints from now on.
    fn with_output(test: &str) -> (Files, impl Iterator<Item = String> + Send + use<>) {
        let folder = format!("ws101-{test}-{}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        let mut program = program("14_files");
        program.arg("serve").arg(&folder).arg("127.0.0.1:0").stdout(Stdio::piped());
        let mut child = program.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let url = lines.next().unwrap().strip_prefix("listening on ").unwrap().to_owned();
        (Files { child, folder, url }, lines)
    }

    fn put(&self, name: &str) -> WebSocket {
        connect(&format!("{}/{name}?do=put", self.url)).unwrap()
    }

    fn content(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder.join(name)).unwrap()
    }

    fn wait_for_files(&self, count: usize) {
        let start = Instant::now();
        while std::fs::read_dir(&self.folder).unwrap().count() != count {
            assert!(start.elapsed() < PATIENCE, "not {count} files");
            thread::yield_now();
        }
    }

    /// Puts a file under the second name while the put of the first one is half done. Both are
    /// confirmed.
    fn put_within_a_put(&self, names: [&str; 2]) {
        let mut outer = self.put(names[0]);
        let (begin, end) = OUTER.split_at(OUTER.len() / 2);
        let mut message = outer.send_stream(MessageKind::Binary).unwrap();
        message.write_all(begin).unwrap();
        message.flush().unwrap();
        self.wait_for_files(1);
        let mut inner = self.put(names[1]);
        inner.send(INNER).unwrap();
        confirm(&mut inner, INNER);
        assert!(self.content(names[1]) == INNER, "{names:?}: while the other one isn't done");
        message.write_all(end).unwrap();
        message.finish().unwrap();
        confirm(&mut outer, OUTER);
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Two contents of different lengths, without a byte in common.
const OUTER: &[u8] = &[b'a'; 300_000];
const INNER: &[u8] = &[b'b'; 200_000];

/// Sends the SHA-1, and waits until the server has confirmed it.
fn confirm(ws: &mut WebSocket, content: &[u8]) {
    let sum: String = Sha1::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
    ws.send(&*sum).unwrap();
    let answer = ws.recv().unwrap().expect("the server confirms").into_text().unwrap();
    assert_eq!(answer, format!("stored: {} bytes, SHA-1 {sum}", content.len()));
}

#[test]
fn two_puts_at_once_whose_names_differ_in_the_extension_both_arrive_whole() {
    let server = Files::start("two-extensions");
    server.put_within_a_put(["data.bin", "data.txt"]);
    assert!(server.content("data.bin") == OUTER && server.content("data.txt") == INNER);
    server.wait_for_files(2);
}

#[test]
fn of_two_puts_of_one_name_at_once_the_one_that_finishes_later_stays_whole() {
    let server = Files::start("one-name");
    server.put_within_a_put(["data.bin", "data.bin"]);
    assert!(server.content("data.bin") == OUTER);
    server.wait_for_files(1);
}

#[test]
fn a_put_passes_over_a_temporary_file_that_a_crashed_process_has_left() {
    let server = Files::start("left-over");
    let left: Vec<String> = (0..8).map(|id| format!("data.bin.{id}.unfinished")).collect();
    left.iter().for_each(|name| std::fs::write(server.folder.join(name), "left").unwrap());
    let mut ws = server.put("data.bin");
    ws.send(INNER).unwrap();
    confirm(&mut ws, INNER);
    assert!(server.content("data.bin") == INNER);
    left.iter().for_each(|name| assert_eq!(server.content(name), b"left"));
}

#[test]
fn a_put_that_breaks_off_leaves_no_temporary_file() {
    let server = Files::start("breaks-off");
    let mut ws = server.put("data.bin");
    let mut message = ws.send_stream(MessageKind::Binary).unwrap();
    message.write_all(INNER).unwrap();
    message.flush().unwrap();
    server.wait_for_files(1);
    drop(message);
    drop(ws);
    server.wait_for_files(0);
}

#[test]
#[cfg(unix)]
fn ctrl_c_during_puts_leaves_no_temporary_file() {
    let mut server = Files::start("interrupted");
    // The server waits for the sums. No client answers its Close, so it aborts the connections.
    let puts: Vec<WebSocket> = (0..16)
        .map(|number| {
            let mut ws = server.put(&format!("data.{number}"));
            ws.send(INNER).unwrap();
            ws
        })
        .collect();
    server.wait_for_files(puts.len());
    let id = server.child.id().to_string();
    let mut kill = std::process::Command::new("sh");
    assert!(kill.args(["-c", "kill -INT \"$0\"", &id]).status().unwrap().success());
    assert!(server.child.wait().unwrap().success());
    assert_eq!(std::fs::read_dir(&server.folder).unwrap().count(), 0);
}

#[test]
fn no_client_puts_or_gets_a_file_under_a_temporary_name() {
    let server = Files::start("temporary-names");
    for name in ["data.bin.1.unfinished", "data.UNFINISHED", "data.unfinished."] {
        for what in ["put", "get"] {
            match Client::new(format!("{}/{name}?do={what}", server.url)).connect() {
                Err(Error::Rejected(refused)) => assert_eq!(refused.status, Some(404), "{name}"),
                other => panic!("{what} {name}: {other:?}"),
            }
        }
    }
}

/// Runs `14_files` as a client. Returns whether it succeeded, what it printed, and its error.
fn client(arguments: [&str; 3]) -> (bool, String, String) {
    let output = program("14_files").args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_url_may_end_in_a_slash_and_a_get_of_a_missing_file_says_that_there_is_none() {
    let server = Files::start("slash");
    let license = concat!(env!("CARGO_MANIFEST_DIR"), "/LICENSE");
    let (is_stored, _, error) = client(["put", &format!("{}/", server.url), license]);
    assert!(is_stored, "{error}");
    let missing = server.folder.join("missing");
    let (is_received, _, error) = client(["get", &server.url, missing.to_str().unwrap()]);
    assert!(!is_received && error.contains("there is no such file"), "{error}");
}

#[test]
fn files_are_stored_and_sent_if_no_program_reads_what_the_server_prints() {
    let (server, output) = Files::with_output("unread");
    drop(output);
    let license = concat!(env!("CARGO_MANIFEST_DIR"), "/LICENSE");
    let (is_stored, _, error) = client(["put", &server.url, license]);
    assert!(is_stored, "{error}");
    std::fs::create_dir(server.folder.join("there")).unwrap();
    let copy = server.folder.join("there/LICENSE");
    let (is_received, _, error) = client(["get", &server.url, copy.to_str().unwrap()]);
    assert!(is_received, "{error}");
}

#[test]
fn a_put_that_another_kind_of_server_answers_fails_and_shows_nothing_that_moves_the_terminal() {
    let server = Server::bind("127.0.0.1:0").unwrap();
    let server = server.spawn(|mut ws| {
        // The file, and its SHA-1.
        ws.recv()?;
        ws.recv()?;
        ws.send("\u{1b}[2J")?;
        ws.recv().map(drop)
    });
    let url = format!("ws://{}", server.unwrap().local_addr());
    let license = concat!(env!("CARGO_MANIFEST_DIR"), "/LICENSE");
    let (is_stored, printed, error) = client(["put", &url, license]);
    assert!(
        !is_stored && error.contains("[2J") && !error.contains('\u{1b}'),
        "{printed:?}, {error}"
    );
}
