//! Why WebSocket? This example delivers the same messages in four ways at the same time, and
//! measures what each way costs in bytes and time.
//!
//! run: cargo run --release --example 09_why_websocket
//! expect: 25 messages of 24 bytes
//! expect: polling
//! expect: long polling
//! expect: Server-Sent Events         1     909       109              8.0
//! expect: WebSocket                  1
//! expect: WebSocket is the only one
//! next: 10_before_the_rfc, the first versions of WebSocket
//!
//! With polling, the client asks for news at intervals. With long polling, the server answers a
//! request only when there is news. With Server-Sent Events, a single response never ends, and each
//! message is a part of its body. All three are plain HTTP, and this example writes them with as
//! few headers as possible.

#[path = "shared/help.rs"]
mod help;
#[path = "why_websocket/meter.rs"]
mod meter;
#[path = "why_websocket/servers.rs"]
mod servers;

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Barrier, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use meter::Meter;
use servers::{read_until, serve_http, serve_websocket};
use ws101::Client;

const MESSAGES: usize = 25;
/// The pauses before the messages, in turn. They make the messages come in bursts.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(5),
    Duration::from_millis(150),
    Duration::from_millis(30),
    Duration::from_millis(300),
    Duration::from_millis(60),
];
const POLL_EVERY: Duration = Duration::from_millis(100);

fn main() -> ws101::Result<()> {
    help::print_if_asked(include_str!("09_why_websocket.rs"));
    let board = Arc::new(Board::default());
    let http = serve_http(board.clone())?;
    let websocket = serve_websocket(board.clone())?;
    let length = message(0).len();
    let seconds = PAUSES.iter().sum::<Duration>() * (MESSAGES / PAUSES.len()) as u32;
    println!(
        "{MESSAGES} messages of {length} bytes within {seconds:.1?}; a poll every {POLL_EVERY:?}\n"
    );

    // All clients are connected before the first message is posted.
    let ready = Arc::new(Barrier::new(5));
    let client = |take: fn(&Arc<Board>, SocketAddr, &Barrier) -> io::Result<Bill>, address| {
        let (board, ready) = (board.clone(), ready.clone());
        thread::spawn(move || take(&board, address, &ready))
    };
    let clients = [
        ("polling", client(poll, http)),
        ("long polling", client(wait, http)),
        ("Server-Sent Events", client(listen, http)),
        ("WebSocket", client(open, websocket)),
    ];
    ready.wait();
    for i in 0..MESSAGES {
        thread::sleep(PAUSES[i % PAUSES.len()]);
        board.post(message(i));
    }
    println!(
        "                               bytes     bytes  bytes a message  from posting to client"
    );
    println!(
        "                    requests  in all  to begin  beside the text     median      worst"
    );
    for (name, client) in clients {
        let bill = client.join().expect("a client ends")?;
        println!("{name:<19} {}", bill.shown(length));
    }
    println!();
    println!(
        "WebSocket is the only one with which the client can send, too. With the others, each of the"
    );
    println!(
        "client's messages needs a request. Each client kept one connection, as a browser does. The"
    );
    println!(
        "bytes of TCP and IP are not counted, and a browser's requests are far longer than these."
    );
    Ok(())
}

fn message(i: usize) -> String {
    format!("{{\"news\":{i:3},\"at\":\"here\"}}")
}

/// The messages that have been posted so far, each with the time when it was posted. The servers
/// read the messages here and send them to their clients, which look up only the times.
#[derive(Default)]
struct Board {
    messages: Mutex<Vec<(String, Instant)>>,
    something_new: Condvar,
}

impl Board {
    fn post(&self, text: String) {
        self.messages.lock().unwrap().push((text, Instant::now()));
        self.something_new.notify_all();
    }

    /// Returns all messages from number `start` on, without waiting. There may be none.
    fn from(&self, start: usize) -> Vec<String> {
        self.messages.lock().unwrap()[start..].iter().map(|(text, _)| text.clone()).collect()
    }

    /// Waits until there is at least one message from number `start` on, and returns all of them.
    fn wait_from(&self, start: usize) -> Vec<String> {
        let messages = self.messages.lock().unwrap();
        drop(self.something_new.wait_while(messages, |messages| messages.len() <= start).unwrap());
        self.from(start)
    }
}

/// The measured costs of one way of delivery.
struct Bill {
    meter: Arc<Meter>,
    requests: usize,
    /// The bytes on the wire until the first message could arrive. `all` counts them until the last
    /// message had arrived.
    to_begin: u64,
    all: u64,
    /// The time from posting a message until the client had it, for each message.
    delays: Vec<Duration>,
}

impl Bill {
    fn new(meter: &Arc<Meter>) -> Bill {
        Bill { meter: meter.clone(), requests: 0, to_begin: 0, all: 0, delays: Vec::new() }
    }

    /// Records that the client has received its next message, how long that took, and the bytes on
    /// the wire so far.
    fn delivered(&mut self, board: &Board) {
        let (_, posted) = board.messages.lock().unwrap()[self.delays.len()];
        self.delays.push(posted.elapsed());
        self.all = self.meter.bytes();
    }

    fn is_complete(&self) -> bool {
        self.delays.len() == MESSAGES
    }

    fn shown(mut self, length: usize) -> String {
        self.delays.sort();
        let beside = (self.all - self.to_begin) as f64 / MESSAGES as f64 - length as f64;
        format!(
            "{:8} {:7} {:9} {beside:16.1} {:7.2} ms {:7.2} ms",
            self.requests,
            self.all,
            self.to_begin,
            self.delays[MESSAGES / 2].as_secs_f64() * 1000.0,
            self.delays[MESSAGES - 1].as_secs_f64() * 1000.0,
        )
    }
}

// The clients.

/// The polling client: it asks for news at intervals.
fn poll(board: &Arc<Board>, address: SocketAddr, ready: &Barrier) -> io::Result<Bill> {
    let meter = Meter::dial(address)?;
    let (mut bill, mut reader) = (Bill::new(&meter), BufReader::new(&*meter));
    ready.wait();
    while !bill.is_complete() {
        ask(&mut reader, "/news", &mut bill, board)?;
        thread::sleep(POLL_EVERY);
    }
    Ok(bill)
}

/// The long-polling client: it asks for news, and the server answers when there is some.
fn wait(board: &Arc<Board>, address: SocketAddr, ready: &Barrier) -> io::Result<Bill> {
    let meter = Meter::dial(address)?;
    let (mut bill, mut reader) = (Bill::new(&meter), BufReader::new(&*meter));
    ready.wait();
    while !bill.is_complete() {
        ask(&mut reader, "/news-when-there-is", &mut bill, board)?;
    }
    Ok(bill)
}

/// Sends one request, and reads all messages in the response.
fn ask(
    reader: &mut BufReader<&Meter>,
    path: &str,
    bill: &mut Bill,
    board: &Board,
) -> io::Result<()> {
    bill.requests += 1;
    let from = bill.delays.len();
    let request = format!("GET {path}?from={from} HTTP/1.1\r\nHost: here\r\n\r\n");
    reader.get_mut().write_all(request.as_bytes())?;
    let head = read_until(reader, "\r\n\r\n")?;
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    let length = length.and_then(|length| length.parse().ok()).unwrap_or(0);
    for _ in reader.take(length).lines() {
        bill.delivered(board);
    }
    Ok(())
}

/// The client of Server-Sent Events: it sends one request, and gets all messages in the response.
fn listen(board: &Arc<Board>, address: SocketAddr, ready: &Barrier) -> io::Result<Bill> {
    let meter = Meter::dial(address)?;
    let (mut bill, mut reader) = (Bill::new(&meter), BufReader::new(&*meter));
    bill.requests += 1;
    reader.get_mut().write_all(b"GET /all-news HTTP/1.1\r\nHost: here\r\n\r\n")?;
    read_until(&mut reader, "\r\n\r\n")?;
    bill.to_begin = meter.bytes();
    ready.wait();
    while !bill.is_complete() {
        read_until(&mut reader, "\n\n")?;
        bill.delivered(board);
    }
    Ok(bill)
}

/// The WebSocket client: after the handshake, it only receives.
fn open(board: &Arc<Board>, address: SocketAddr, ready: &Barrier) -> io::Result<Bill> {
    let meter = Meter::dial(address)?;
    let mut bill = Bill::new(&meter);
    bill.requests += 1;
    let url = format!("ws://{address}");
    let mut ws = Client::new(url).connect_over(meter.clone()).map_err(io::Error::other)?;
    bill.to_begin = meter.bytes();
    ready.wait();
    while !bill.is_complete() {
        ws.recv().map_err(io::Error::other)?;
        bill.delivered(board);
    }
    Ok(bill)
}
