//! Sends and receives large files in constant memory, prints the progress, and verifies a checksum.
//!
//! run: cargo run --release --example 14_files
//! as a server: 14_files serve FOLDER [ADDRESS]
//! as a client: 14_files put ws://127.0.0.1:9001 FILE, or 14_files get ws://127.0.0.1:9001 FILE
//! expect: 20 MiB sent
//! expect: stored: 20971520 bytes, SHA-1
//! expect: received: 20971520 bytes, SHA-1
//! expect: refused as it should be: ../secret
//! next: 15_tunnel, where a whole TCP connection goes over a WebSocket
//!
//! - A file is one message: `send_stream` writes it in fragments, and `recv_stream` reads it as it
//!   comes. What they return implements std's `Write` and `Read`, so `io::copy` does the work. A
//!   slow receiver slows the sender down.
//! - A text message with the file's SHA-1 follows. TCP's checksum is weak, a disk may fail, and a
//!   sender may stop half-way, so the receiver computes the SHA-1 too. It gives the file its final
//!   name only if both are equal. If two clients put the same name at once, each writes a temporary
//!   file of its own, and the file of the one that finishes later replaces the other.
//! - Both ends answer pings during a transfer, because control frames may come between fragments.
//! - `max_stream` limits the size of a file, so `max_message` can stay small.

#[path = "shared/ctrl_c.rs"]
mod ctrl_c;
#[path = "shared/help.rs"]
mod help;

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use sha1::{Digest, Sha1};
use ws101::diagnostic::quote;
use ws101::{Client, CloseCode, Error, Limits, MessageKind, Refusal, Result, Server, WebSocket};

/// The largest file, in bytes, that either end accepts.
const LARGEST: u64 = 4 << 30;
/// The end of each temporary name. No client may put or get a name that ends like this.
const UNFINISHED: &str = ".unfinished";

fn main() -> Result<()> {
    help::print_if_asked(include_str!("14_files.rs"));
    env_logger::init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", folder] => serve(Server::bind("127.0.0.1:9001")?, folder.into()),
        ["serve", folder, address] => serve(Server::bind(address)?, folder.into()),
        ["put", url, file] => put(url, Path::new(file)),
        ["get", url, file] => get(url, Path::new(file)),
        [] => demonstrate(),
        _ => Err(Error::other(
            "usage: 14_files [serve FOLDER [ADDRESS] | put URL FILE | get URL FILE]",
        )),
    }
}

fn limits() -> Limits {
    Limits { max_message: 1024, max_stream: Some(LARGEST), ..Limits::default() }
}

fn serve(server: Server, folder: PathBuf) -> Result<()> {
    // Without its folder, each transfer would fail. (Only a folder contains `.`.)
    let unreadable = |error| Error::other(format!("{}: {error}", folder.display()));
    fs::metadata(folder.join(".")).map_err(unreadable)?;
    ctrl_c::stops(server.handle());
    println!("listening on ws://{}", server.local_addr()?);
    // The path is the file's name. A stranger chooses it, so only letters, digits, `-`, `_` and
    // dots are allowed, no dot at the beginning or the end, and no temporary name.
    let server = server.limits(limits()).authorize(|request| match name_in(request.path()) {
        Some(_) => Ok(()),
        None => Err(Refusal::because(
            404,
            "A file's name has letters, digits, `-`, `_`, and dots within. It doesn't end in \
             `.unfinished`.",
        )),
    });
    // Each handler holds a read lock while it runs, so the write lock below waits for all of them.
    let handlers = Arc::new(RwLock::new(()));
    let running = handlers.clone();
    let served = server.serve(move |mut ws| {
        let _running = running.read();
        let Some(name) = name_in(ws.request().path()) else {
            return ws.close(CloseCode::POLICY, "a name");
        };
        let file = folder.join(name);
        match ws.request().parameter("do").as_deref() {
            Some("put") => receive(&mut ws, &file, "stored"),
            Some("get") => match File::open(&file) {
                Ok(open) => send(&mut ws, open).map(drop),
                Err(_) => return ws.close(CloseCode::POLICY, "there is no such file"),
            },
            _ => return ws.close(CloseCode::POLICY, "?do=put or ?do=get"),
        }?;
        // Wait for the client's Close, which it sends once it has received the file or the answer.
        while ws.recv()?.is_some() {}
        Ok(())
    });
    // Ctrl-C may have aborted transfers. Wait until their handlers have deleted the temporary files.
    drop(handlers.write());
    served
}

fn name_in(path: &str) -> Option<&str> {
    let name = path.strip_prefix('/')?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let has_dot_outside = name.starts_with('.') || name.ends_with('.');
    // Some file systems don't distinguish `a.unfinished` from `a.UNFINISHED`.
    let is_temporary = name.to_ascii_lowercase().ends_with(UNFINISHED);
    let is_allowed = name.bytes().all(is_plain) && !has_dot_outside && !is_temporary;
    (is_allowed && !name.is_empty()).then_some(name)
}

fn connect(url: &str, file: &Path, what: &str) -> Result<WebSocket> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let url = url.trim_end_matches('/');
    Client::new(format!("{url}/{name}?do={what}")).limits(limits()).connect()
}

fn put(url: &str, file: &Path) -> Result<()> {
    let open = File::open(file)?;
    let mut ws = connect(url, file, "put")?;
    let _guard = ctrl_c::closes(&ws);
    let sent = send(&mut ws, open)?;
    match ws.recv()? {
        Some(answer) if answer.as_text() == Some(&format!("stored: {sent}")) => {}
        // For example, an echo server answers, too.
        Some(answer) => {
            let seen = quote(answer.as_bytes());
            return Err(Error::other(format!("the file isn't stored: the server says {seen}")));
        }
        None => return Err(Error::other("the file isn't stored")),
    }
    println!("stored: {sent}");
    ws.close(CloseCode::NORMAL, "")
}

fn get(url: &str, file: &Path) -> Result<()> {
    let mut ws = connect(url, file, "get")?;
    let _guard = ctrl_c::closes(&ws);
    receive(&mut ws, file, "received")?;
    ws.close(CloseCode::NORMAL, "")
}

/// Sends a file as one message, then its SHA-1. Returns its length and SHA-1, in words.
fn send(ws: &mut WebSocket, file: File) -> Result<String> {
    let mut file = Summed::new(file);
    let mut message = ws.send_stream(MessageKind::Binary)?;
    io::copy(&mut file, &mut message)?;
    message.finish()?;
    print_if_read(&format!("{} MiB sent", file.bytes >> 20));
    let (bytes, sum) = (file.bytes, file.sum());
    ws.send(&*sum)?;
    Ok(in_words(bytes, &sum))
}

/// Prints a line of a transfer. If no program reads the output any more, the transfer goes on.
/// (`println!` would panic, and a server's client would get a Close with 1011.)
fn print_if_read(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

fn in_words(bytes: u64, sum: &str) -> String {
    format!("{bytes} bytes, SHA-1 {sum}")
}

/// Receives a file under a temporary name, and renames it if its SHA-1 matches the sender's.
/// Otherwise, or if the connection breaks before that, deletes the temporary file and fails.
fn receive(ws: &mut WebSocket, path: &Path, done: &str) -> Result<()> {
    let (unfinished, file) = create_unfinished(path, ws.id())?;
    let received = write_verified(ws, file).and_then(|received| {
        fs::rename(&unfinished, path)?;
        Ok(received)
    });
    if received.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    let (bytes, sum) = received?;
    let report = format!("{done}: {}", in_words(bytes, &sum));
    print_if_read(&report);
    ws.send(report)
}

/// Creates a file for one transfer alone, and returns it with its temporary name: the final name,
/// a number and `.unfinished`. The number is the connection's. If there's such a file already, it
/// belongs to another process, or was left by one that crashed, so the next number is tried.
fn create_unfinished(path: &Path, mut number: u64) -> Result<(PathBuf, File)> {
    loop {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}{UNFINISHED}"));
        match File::create_new(&name) {
            Ok(file) => return Ok((name.into(), file)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Writes the message that comes into the file, and compares its SHA-1 with the one that the sender
/// then sends. Returns the file's length and SHA-1.
fn write_verified(ws: &mut WebSocket, mut file: File) -> Result<(u64, String)> {
    let Some(message) = ws.recv_stream()? else {
        let reason = ws.closed_with().map_or("", |close| &close.reason);
        return Err(Error::other(format!("the sender closed: {}", quote(reason))));
    };
    let mut message = Summed::new(message);
    io::copy(&mut message, &mut file)?;
    let (bytes, sum) = (message.bytes, message.sum());
    match ws.recv()? {
        Some(sent) if sent.as_text() == Some(&sum) => Ok((bytes, sum)),
        _ => Err(Error::other("what came isn't what was sent")),
    }
}

/// Reads from another reader, computes the SHA-1 of what it reads, and prints a line of progress
/// for every 128 MiB.
struct Summed<R> {
    inner: R,
    sha1: Sha1,
    bytes: u64,
}

impl<R> Summed<R> {
    fn new(inner: R) -> Summed<R> {
        Summed { inner, sha1: Sha1::new(), bytes: 0 }
    }

    fn sum(self) -> String {
        self.sha1.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl<R: Read> Read for Summed<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if ctrl_c::was_pressed() {
            return Err(Error::other("given up: Ctrl-C").into());
        }
        let count = self.inner.read(into)?;
        self.sha1.update(&into[..count]);
        let before = self.bytes;
        self.bytes += count as u64;
        if before >> 27 != self.bytes >> 27 {
            print_if_read(&format!("{} MiB so far", self.bytes >> 20));
        }
        Ok(count)
    }
}

/// Runs both ends: sends a file of 20 MiB, gets it back, and asks for a name outside the folder,
/// which the server refuses.
fn demonstrate() -> Result<()> {
    let folder = std::env::temp_dir().join(format!("ws101-files-{}", std::process::id()));
    fs::create_dir_all(folder.join("there"))?;
    let server = Server::bind("127.0.0.1:0")?;
    let (url, there) = (format!("ws://{}", server.local_addr()?), folder.join("there"));
    let serving = std::thread::spawn(move || serve(server, there));
    let done = put_and_get(&url, &folder);
    // After Ctrl-C, handlers of the server may still use the folder.
    if ctrl_c::was_pressed() {
        let _ = serving.join();
    }
    let removed = fs::remove_dir_all(&folder);
    done?;
    Ok(removed?)
}

fn put_and_get(url: &str, folder: &Path) -> Result<()> {
    let file = folder.join("numbers.bin");
    let numbers: Vec<u8> = (0..5u32 << 20).flat_map(u32::to_le_bytes).collect();
    File::create(&file)?.write_all(&numbers)?;
    put(url, &file)?;
    fs::remove_file(&file)?;
    get(url, &file)?;
    assert_eq!(fs::read(&file)?, numbers);
    match Client::new(format!("{url}/../secret?do=get")).connect() {
        Err(Error::Rejected(rejection)) if rejection.status == Some(404) => {
            println!("refused as it should be: ../secret");
        }
        other => return Err(Error::other(format!("../secret wasn't refused with 404: {other:?}"))),
    }
    Ok(())
}
