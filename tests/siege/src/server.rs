//! The server under attack. It runs in a separate process, with the library's defaults unless a row
//! changes them. The path of a request chooses the handler:
//!
//! | path | what the handler does |
//! |---|---|
//! | `/echo` | sends back what comes |
//! | `/hash` | the same, and says on request what has passed both ways |
//! | `/news` | listens, and is sent what is published, through an outbox |
//! | `/slow` | sends back what comes, each after two seconds |
//! | `/panic` | panics |
//!
//! With `--pages MILLISECONDS`, it also serves pages, and takes that long for each. With
//! `--parked THREADS`, it starts that many idle threads, which use up memory maps.
//!
//! It reads commands from its standard input, a line each, and answers each with a line: `counters`;
//! `publish COUNT SIZE MILLISECONDS`; `forget-peak`; `stop MILLISECONDS`, after which it prints its counters once
//! more and ends. It also ends at the end of its input.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, Write, stdin, stdout};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use ws101::{
    DeflateConfig, Error, Handle, Limits, Message, MessageKind, Outbox, PreparedMessage, Response,
    Server, WebSocket,
};

use crate::{Result, counting_allocator};

/// How many messages an outbox holds.
pub const BOUND: usize = 64;

static PANICS: AtomicU64 = AtomicU64::new(0);

/// Those who are sent what is published.
#[derive(Default)]
struct Readers {
    outboxes: Mutex<HashMap<u64, Outbox>>,
    /// How many were too slow, and dropped.
    cut: AtomicU64,
}

/// Serves until it is told to stop, or its input ends.
pub fn serve(options: &[String]) -> Result<()> {
    let mut limits = Limits::default();
    let (mut deflate, mut pages) = (None, None);
    let mut options = options.iter();
    while let Some(option) = options.next() {
        let mut number = || options.next().map_or(Ok(0), |value| value.parse());
        match option.as_str() {
            "--max-connections" => limits.max_connections = number()?,
            "--max-message" => limits.max_message = number()? as u64,
            "--pages" => pages = Some(Duration::from_millis(number()? as u64)),
            "--parked" => park(number()?)?,
            "--deflate" => deflate = Some(DeflateConfig::default()),
            _ => return Err(format!("what is {option}?").into()),
        }
    }
    // Panics are meant here, and thousands of them would fill the screen.
    std::panic::set_hook(Box::new(|_| {
        PANICS.fetch_add(1, Relaxed);
    }));
    let mut server = Server::bind("127.0.0.1:0")?.limits(limits);
    if let Some(settings) = deflate {
        server = server.deflate(settings);
    }
    if let Some(time) = pages {
        server = server.http(move |_| {
            thread::sleep(time);
            Some(Response::text("a page"))
        });
    }
    println!("{}", server.local_addr()?);
    let readers = Arc::new(Readers::default());
    let (handle, commanded) = (server.handle(), readers.clone());
    thread::spawn(move || obey(&handle, &commanded));
    let (handle, served) = (server.handle(), readers.clone());
    server.serve(move |ws| match ws.request().path() {
        "/echo" => echo(ws),
        "/hash" => hash(ws),
        "/news" => read_news(ws, &served),
        "/slow" => answer_slowly(ws),
        "/panic" => panic!("as asked for"),
        _ => Err(Error::other("there is nothing at this path")),
    })?;
    tell(&handle, &readers);
    Ok(())
}

/// Threads that do nothing, with the smallest of stacks.
fn park(count: usize) -> Result<()> {
    for _ in 0..count {
        let parked = || loop {
            thread::park();
        };
        thread::Builder::new().stack_size(16 * 1024).spawn(parked)?;
    }
    Ok(())
}

/// Does what the input says.
fn obey(handle: &Handle, readers: &Readers) {
    for line in stdin().lock().lines().map_while(|line| line.ok()) {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |index: usize| words.get(index).and_then(|word| word.parse::<u64>().ok());
        let number = |index| number(index).unwrap_or_default();
        match words[0] {
            "counters" => tell(handle, readers),
            "forget-peak" => {
                counting_allocator::forget_peak();
                println!("peak=forgotten");
            }
            "publish" => {
                publish(readers, number(1), number(2) as usize, Duration::from_millis(number(3)));
                println!("published={}", number(1));
            }
            "stop" => handle.stop(Duration::from_millis(number(1))),
            other => println!("unknown={other}"),
        }
    }
    std::process::exit(0);
}

fn tell(handle: &Handle, readers: &Readers) {
    let counters = handle.counters();
    let mut line = format!(
        "open={} accepted={} in={} out={} panics={} cut={} readers={} held={} peak={}",
        counters.open,
        counters.accepted,
        counters.messages_in,
        counters.messages_out,
        PANICS.load(Relaxed),
        readers.cut.load(Relaxed),
        lock(&readers.outboxes).len(),
        counting_allocator::held(),
        counting_allocator::peak(),
    );
    for (status, count) in counters.refused {
        line += &format!(" {status}={count}");
    }
    println!("{line}");
    let _ = stdout().flush();
}

fn echo(mut ws: WebSocket) -> ws101::Result<()> {
    while let Some(message) = ws.recv()? {
        ws.feed(message)?;
    }
    Ok(())
}

fn answer_slowly(mut ws: WebSocket) -> ws101::Result<()> {
    while let Some(message) = ws.recv()? {
        thread::sleep(Duration::from_secs(2));
        ws.send(message)?;
    }
    Ok(())
}

/// Echoes, and answers `hash?` with a hash of all that came before, and so of all that went.
fn hash(mut ws: WebSocket) -> ws101::Result<()> {
    let mut passed = DefaultHasher::new();
    while let Some(message) = ws.recv()? {
        if message.as_text() == Some("hash?") {
            ws.send(format!("{:x}", passed.finish()))?;
            continue;
        }
        add(&mut passed, &message);
        ws.feed(message)?;
    }
    Ok(())
}

/// A message in a hash: its kind, its length and its bytes.
pub fn add(hash: &mut DefaultHasher, message: &Message) {
    let (kind, bytes) = match message {
        Message::Text(text) => (MessageKind::Text, text.as_bytes()),
        Message::Binary(bytes) => (MessageKind::Binary, &bytes[..]),
    };
    (kind == MessageKind::Text).hash(hash);
    bytes.hash(hash);
}

fn read_news(mut ws: WebSocket, readers: &Readers) -> ws101::Result<()> {
    lock(&readers.outboxes).insert(ws.id(), ws.outbox(BOUND)?);
    let ended = loop {
        match ws.recv() {
            Ok(Some(_)) => {}
            ended => break ended.map(|_| ()),
        }
    };
    lock(&readers.outboxes).remove(&ws.id());
    ended
}

/// Publishes so many messages, each with its number and its time in front. Whoever has no room for one
/// is dropped.
fn publish(readers: &Readers, count: u64, size: usize, gap: Duration) {
    for number in 0..count {
        let mut bytes = number.to_be_bytes().to_vec();
        bytes.extend_from_slice(&now().to_be_bytes());
        bytes.resize(size, b'n');
        let message = PreparedMessage::new(bytes);
        lock(&readers.outboxes).retain(|_, outbox| {
            let too_slow = matches!(outbox.try_send(&message), Err(Error::WriteTimeout));
            if too_slow {
                outbox.abort();
                readers.cut.fetch_add(1, Relaxed);
            }
            !too_slow
        });
        thread::sleep(gap);
    }
}

/// Microseconds that two processes understand alike.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_micros() as u64)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
