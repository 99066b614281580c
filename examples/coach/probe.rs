//! The tools of a check: connections to the peer, requests with one change, frames, and waits.
//!
//! Rules of this file:
//! - The length of a wait depends on how long the peer took before. Each byte that comes restarts it.
//! - Reading is lenient: only the check that tests a rule reports that the peer broke it.
//! - The coach answers the peer's pings, and ignores messages that it didn't ask for.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::check::{Outcome, Stop, fails, skips};
use crate::library::{Address, OPCODE, Role, accept_key, mask};
use crate::wire::{
    self, BINARY, CLOSE, CONTINUATION, Came, Frame, PING, PONG, TEXT, frame, opcode_name, quote,
};

/// A stream of bytes, plain or in TLS.
pub trait Socket: Read + Write + Send {
    fn tcp(&self) -> &TcpStream;
}

impl Socket for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

/// A function that opens a stream to the server, plain or with TLS.
pub type Dial = dyn Fn(&Address) -> io::Result<Box<dyn Socket>> + Send + Sync;

/// Connects to a server. Refuses a stream that the operating system has connected to itself. That
/// happens, rarely, if no server listens at the address.
pub fn connect(address: &SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(address, Duration::from_secs(5))?;
    match stream.local_addr()? == *address {
        true => Err(io::ErrorKind::ConnectionRefused.into()),
        false => Ok(stream),
    }
}

/// The peer that is coached, and what the coach has learnt about it.
pub struct Target {
    pub address: Option<Address>,
    pub dial: Box<Dial>,
    pub listener: Option<TcpListener>,
    /// The command that starts a client. The coach appends its own address.
    pub command: Vec<String>,
    pub pace: Pace,
    pub keys: Mutex<Vec<String>>,
    pub gone: Mutex<Option<String>>,
    /// Whether the server has answered a handshake with 101.
    pub opens: AtomicBool,
    /// Whether an echo has come yet. A learner's server echoes nothing before stage 4.
    pub echoes: AtomicBool,
    /// Whether the server serves a second client at the same time, as far as the coach knows.
    pub together: AtomicBool,
    /// The results of checks that others build on, by id: `None` if one passed, otherwise what it
    /// saw.
    pub held: Mutex<HashMap<&'static str, Option<String>>>,
}

/// The least time that the coach waits for an answer, unless the command line changes it.
pub const PATIENCE: Duration = Duration::from_millis(2500);

impl Target {
    /// Describes a peer about which the coach knows nothing yet.
    pub fn new(address: Option<Address>, dial: Box<Dial>, patience: Duration) -> Target {
        Target {
            address,
            dial,
            listener: None,
            command: Vec::new(),
            pace: Pace::new(patience),
            keys: Mutex::default(),
            gone: Mutex::default(),
            opens: true.into(),
            echoes: false.into(),
            together: true.into(),
            held: Mutex::default(),
        }
    }
}

/// How fast the peer answers, from which the coach derives its waits.
pub struct Pace {
    pub base: Duration,
    /// The longest time, in microseconds, from a request or message to its answer.
    slowest: AtomicU64,
    silences: AtomicU64,
    doublings: AtomicU32,
}

impl Pace {
    pub fn new(base: Duration) -> Pace {
        let (slowest, silences) = (AtomicU64::new(0), AtomicU64::new(0));
        Pace { base, slowest, silences, doublings: AtomicU32::new(0) }
    }

    pub fn note(&self, took: Duration) {
        self.slowest.fetch_max(took.as_micros() as u64, Relaxed);
    }

    pub fn slowest(&self) -> Duration {
        Duration::from_micros(self.slowest.load(Relaxed))
    }

    /// Doubles the wait for an answer, because the peer may only be slow.
    pub fn wait_twice_as_long(&self) {
        self.doublings.fetch_add(1, Relaxed);
    }

    /// Forgets silences and doublings. Those before a peer's first answer say nothing about later
    /// waits.
    pub fn forget_silences(&self) {
        self.silences.store(0, Relaxed);
        self.doublings.store(0, Relaxed);
    }

    /// Notes that the peer sent nothing during a whole wait.
    pub fn silent(&self) {
        self.silences.fetch_add(1, Relaxed);
    }

    /// Returns how long to wait for an answer. If a peer is often silent, but answers quickly when
    /// it does, the wait becomes shorter, because more waiting is useless.
    pub fn answer(&self) -> Duration {
        let patience = 1 + self.silences.load(Relaxed) as u32 / 6;
        let base = self.base * (1 << self.doublings.load(Relaxed).min(MOST_DOUBLINGS));
        let base = (base / patience).max(base.min(Duration::from_millis(500)));
        base.max(self.slowest() * 8)
    }

    /// Returns how long to wait for an answer that is unlikely, because another one came in its
    /// place.
    pub fn hardly(&self) -> Duration {
        (self.answer() / 4).max(self.slowest() * 8)
    }

    pub fn is_slow(&self) -> bool {
        self.slowest() > Duration::from_millis(60)
    }

    /// Returns how many messages to send: `count`, or fewer if the peer is slow.
    pub fn many(&self, count: usize) -> usize {
        if self.is_slow() { count.min(12) } else { count }
    }

    /// Returns a short wait, after which an answer has probably come if the peer sends one at all.
    pub fn moment(&self) -> Duration {
        Duration::from_millis(120).max(self.slowest() * 3).min(Duration::from_secs(2))
    }
}

/// How the reasons begin to skip a check that got no plain exchange, or no WebSocket at all.
pub const NO_EXCHANGE: &str = "a plain exchange fails already";
pub const NOT_OPEN: &str = "no WebSocket could be opened";
/// How the reason begins that a server is gone.
pub const UNREACHABLE: &str = "the server can't be reached";

/// Whether a check saw that the server has no room for another connection, as a server with a limit
/// says it. It may have room a little later.
pub fn is_busy(seen: &str) -> bool {
    ["HTTP/1.1 503", "HTTP/1.1 429", "code 1013"].iter().any(|sign| seen.contains(sign))
}

/// How many connections wait to be accepted at most: the backlog of a listener of `std`.
const MOST_WAITING: usize = 4096;
/// How often the wait for an answer is doubled at most.
const MOST_DOUBLINGS: u32 = 5;
/// The longest head, in bytes, that the coach reads.
const LONGEST_HEAD: usize = 256 * 1024;
/// How many unexpected messages the coach keeps at most, and how many frames of one message.
const MOST_KEPT: usize = 4096;
/// How many bytes of a connection the coach records at most, for the exchange in a diagnostic.
const LONGEST_RECORD: usize = 4 << 20;

/// The bytes that passed on a connection, in their order, each piece with its sender.
pub type Record = Arc<Mutex<Vec<(Role, Vec<u8>)>>>;

pub struct Probe {
    pub target: Arc<Target>,
    pub records: Vec<Record>,
    pub children: Vec<std::process::Child>,
}

/// Stops the clients that a check started when the check ends.
impl Drop for Probe {
    fn drop(&mut self) {
        for child in &mut self.children {
            let until = Instant::now() + Duration::from_millis(100);
            while Instant::now() < until && matches!(child.try_wait(), Ok(None)) {
                std::thread::sleep(Duration::from_millis(2));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The head of a request or answer that the coach sends: its lines, in their order.
#[derive(Clone)]
pub struct Request {
    pub first: String,
    pub lines: Vec<(String, String)>,
    pub key: String,
}

impl Request {
    pub fn set(mut self, name: &str, value: &str) -> Request {
        match self.lines.iter_mut().find(|line| line.0.eq_ignore_ascii_case(name)) {
            Some(line) => line.1 = value.into(),
            None => self.lines.push((name.into(), value.into())),
        }
        if name.eq_ignore_ascii_case("Sec-WebSocket-Key") {
            self.key = value.trim().into();
        }
        self
    }

    /// Adds a header line.
    pub fn add(mut self, name: &str, value: &str) -> Request {
        self.lines.push((name.into(), value.into()));
        self
    }

    pub fn without(mut self, name: &str) -> Request {
        self.lines.retain(|line| !line.0.eq_ignore_ascii_case(name));
        self
    }

    pub fn first(mut self, line: &str, with: &str) -> Request {
        self.first = self.first.replacen(line, with, 1);
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.text(": ").into_bytes()
    }

    pub fn text(&self, colon: &str) -> String {
        let lines: String = self.lines.iter().map(|(n, v)| format!("{n}{colon}{v}\r\n")).collect();
        format!("{}\r\n{lines}\r\n", self.first)
    }
}

/// A head that the peer sent: a server's answer or a client's request.
#[derive(Clone, Debug)]
pub struct Head {
    pub first: String,
    pub fields: Vec<(String, String)>,
    pub raw: Vec<u8>,
}

impl Head {
    /// Splits a head into lines. Keeps the spaces before a name: such a line is no header, because
    /// it continues the line before it (RFC 9112 §5.2).
    fn parse(raw: &[u8]) -> Head {
        let text = String::from_utf8_lossy(raw).into_owned();
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default().to_owned();
        let fields = lines.filter_map(|line| line.split_once(':'));
        let fields =
            fields.map(|(n, v)| (n.trim_end().to_owned(), v.trim_matches([' ', '\t']).into()));
        Head { first, fields: fields.collect(), raw: raw.to_vec() }
    }

    /// Returns what is wrong with a header line, if any line is wrong: each line after the first must
    /// be a name, a colon directly after it, and a value (RFC 9112 §5).
    pub fn malformed(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.raw);
        text.lines().skip(1).filter(|line| !line.is_empty()).find_map(|line| {
            let is_token = |c: char| c.is_ascii_graphic() && !"\"(),/:;<=>?@[\\]{}".contains(c);
            match line.split_once(':') {
                _ if line.starts_with([' ', '\t']) => Some(format!(
                    "the line {:?} begins with a space, so it isn't a header, but continues the line before it",
                    line.split(':').next().unwrap_or_default().trim()
                )),
                None => Some(format!("the line {} has no colon", quote(line.as_bytes()))),
                Some((name, _)) if name.ends_with([' ', '\t']) => {
                    Some(format!("the line {} has a space before its colon", quote(line.as_bytes())))
                }
                Some((name, _)) if name.is_empty() || !name.chars().all(is_token) => {
                    Some(format!("{} is no header's name", quote(name.as_bytes())))
                }
                Some(_) => None,
            }
        })
    }

    pub fn status(&self) -> Option<u16> {
        let rest = self.first.strip_prefix("HTTP/")?.split_once(' ')?.1;
        rest.get(..3)?.parse().ok()
    }

    pub fn all(&self, name: &str) -> Vec<&str> {
        let fields = self.fields.iter().filter(|field| field.0.eq_ignore_ascii_case(name));
        fields.map(|field| field.1.as_str()).collect()
    }

    pub fn list(&self, name: &str) -> Vec<String> {
        let values = self.all(name).into_iter().flat_map(|value| value.split(','));
        values.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty()).collect()
    }

    pub fn lists(&self, name: &str, token: &str) -> bool {
        self.list(name).iter().any(|element| element.eq_ignore_ascii_case(token))
    }
}

/// What the coach reads next on a connection.
#[derive(Debug)]
pub enum Next {
    Frame(Came),
    Ended,
    Silent,
    Nonsense(String),
}

impl Next {
    /// Describes in a line what came.
    pub fn told(&self) -> String {
        match self {
            Next::Frame(came) => came.told(),
            Next::Ended => "the end of the stream".into(),
            Next::Silent => "silence".into(),
            Next::Nonsense(why) => why.clone(),
        }
    }
}

/// A message, joined from its frames.
#[derive(Debug, Clone)]
pub struct Message {
    pub opcode: u8,
    pub payload: Vec<u8>,
    pub frames: Vec<Came>,
    /// When its first byte was there.
    pub began: Instant,
}

impl Message {
    /// Checks that this echo has the kind of its message.
    pub fn is_of(&self, opcode: u8) -> Outcome {
        match self.opcode == opcode {
            true => Ok(()),
            false => {
                fails(format!("{} came back as {}", opcode_name(opcode), opcode_name(self.opcode)))
            }
        }
    }
}

static COUNT: AtomicU64 = AtomicU64::new(1);

/// Returns a number that differs each time. It needn't be secret.
pub fn odd() -> u64 {
    let x = COUNT.fetch_add(1, Relaxed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let time = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |t| t.subsec_nanos());
    (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB) ^ u64::from(time)
}

/// Returns a text that was never sent before, so that the coach recognizes its echo.
pub fn word() -> String {
    format!("coach {:08x}", odd() as u32)
}

pub fn new_key() -> String {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&odd().to_le_bytes());
    bytes[8..].copy_from_slice(&odd().to_le_bytes());
    accept_key::encode_key(bytes)
}

impl Probe {
    pub fn new(target: Arc<Target>) -> Probe {
        Probe { target, records: Vec::new(), children: Vec::new() }
    }

    pub fn is_client(&self) -> bool {
        self.target.listener.is_some()
    }

    fn address(&self) -> Result<&Address, Stop> {
        match &self.target.address {
            Some(address) => Ok(address),
            None => skips("this check asks a server"),
        }
    }

    /// Opens a new stream to the server, on which nothing has been sent yet. If it can't, the server
    /// counts as gone.
    pub fn connect(&mut self) -> Result<Line, Stop> {
        self.reach().or_else(|stop| {
            let Stop::Fails(seen) = stop else { return Err(stop) };
            // Only the first check that can't connect reports it. Checks that run at the same time
            // would only repeat it.
            match self.target.gone.lock().unwrap().replace(seen.clone()) {
                None => fails(seen),
                Some(_) => skips(seen),
            }
        })
    }

    /// Opens a new stream like `connect`, but draws no conclusion if it can't: a server may stop
    /// listening while it serves another connection.
    pub fn reach(&mut self) -> Result<Line, Stop> {
        let started = Instant::now();
        let socket = loop {
            match (self.target.dial)(self.address()?) {
                Ok(socket) => break socket,
                Err(error) if started.elapsed() > Duration::from_secs(2) => {
                    return fails(format!("{UNREACHABLE}: {error}"));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        };
        Ok(self.line(socket, Role::Client))
    }

    fn line(&mut self, socket: Box<dyn Socket>, role: Role) -> Line {
        let _ = socket.tcp().set_nodelay(true);
        let _ = socket.tcp().set_write_timeout(Some(Duration::from_secs(10)));
        let record = Record::default();
        self.records.push(record.clone());
        Line {
            socket,
            role,
            input: Vec::new(),
            record,
            ended: false,
            target: self.target.clone(),
            unasked: Vec::new(),
            kept: 0,
            closed: None,
            pongs: Vec::new(),
            parts: None,
            recorded: 0,
            wrote: 0,
            sent: TEXT,
            key: [0; 4],
        }
    }

    /// Builds a valid request, with its headers in the usual order.
    pub fn request(&self) -> Request {
        let (host, path) = match &self.target.address {
            Some(address) => (address.authority(), address.target.clone()),
            None => ("localhost".into(), "/".into()),
        };
        let key = new_key();
        let lines = [
            ("Host", host.as_str()),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", &key),
            ("Sec-WebSocket-Version", "13"),
        ];
        let lines = lines.map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec();
        Request { first: format!("GET {path} HTTP/1.1"), lines, key }
    }

    /// The origin of the server's own pages. Those of a `wss://` server come over `https://`.
    pub fn own_origin(&self) -> String {
        let is_secure = self.target.address.as_ref().is_some_and(|address| address.secure);
        let scheme = if is_secure { "https" } else { "http" };
        format!("{scheme}://{}", self.request().lines[0].1)
    }

    /// Sends a request on a new connection. Returns the head of the answer, and the connection.
    ///
    /// If the server is full, this tries again: a server with few places may not have noticed yet
    /// that an earlier connection has ended.
    pub fn ask(&mut self, request: &[u8]) -> Result<(Head, Line), Stop> {
        for pause in [40, 160] {
            match self.ask_once(request)? {
                (head, _) if is_busy(&head.first) => {
                    std::thread::sleep(Duration::from_millis(pause));
                }
                answered => return Ok(answered),
            }
        }
        self.ask_once(request)
    }

    fn ask_once(&mut self, request: &[u8]) -> Result<(Head, Line), Stop> {
        let mut line = self.connect()?;
        let started = Instant::now();
        line.send(request);
        let head = line.head()?;
        if head.status() == Some(101) {
            self.target.opens.store(true, Relaxed);
            // Note only a complete 101. A head without its empty line comes after a full wait, and
            // a server may be slow with refusals alone.
            if head.raw.ends_with(b"\r\n\r\n") {
                self.target.pace.note(started.elapsed());
            }
        }
        Ok((head, line))
    }

    /// Sends a request that the server must answer with 101. This doesn't check the accept.
    pub fn accepted(&mut self, request: &[u8]) -> Result<(Head, Line), Stop> {
        let (head, line) = self.ask(request)?;
        match head.status() {
            Some(101) => Ok((head, line)),
            _ => fails(format!("the answer {}", quote(head.first.as_bytes()))),
        }
    }

    /// Opens a WebSocket. If the plain handshake fails, this check is skipped, because the areas
    /// `head` and `accept` report that.
    pub fn open(&mut self) -> Result<Line, Stop> {
        if self.is_client() {
            let (head, mut line) = self.arrives()?;
            line.send(&answer(&head).bytes());
            // Only one check tests a frame that comes with the head. All others pause here.
            line.pause();
            line.pause();
            return Ok(line);
        }
        let request = self.request().bytes();
        match self.accepted(&request) {
            Ok((_, line)) => Ok(line),
            Err(Stop::Fails(seen)) if self.target.gone.lock().unwrap().is_none() => {
                skips(format!("{NOT_OPEN}: {seen}"))
            }
            Err(stop) => Err(stop),
        }
    }

    /// Waits for a client to connect, and for its request.
    pub fn arrives(&mut self) -> Result<(Head, Line), Stop> {
        let Some(listener) = &self.target.listener else {
            return skips("this check asks a client");
        };
        if let [program, arguments @ ..] = &self.target.command[..] {
            // A client of an earlier check may have connected again before it was stopped. Its
            // connections would be taken for those of the new one.
            let _ = (0..MOST_WAITING).take_while(|_| listener.accept().is_ok()).count();
            let address = listener.local_addr().map(|address| format!("ws://{address}/"));
            let mut command = std::process::Command::new(program);
            command.args(arguments).args(address).stdin(Stdio::null());
            match command.stdout(Stdio::null()).stderr(Stdio::null()).spawn() {
                Ok(child) => self.children.push(child),
                Err(error) => return skips(format!("{program} can't be started: {error}")),
            }
        }
        let mut deadline = Instant::now() + Duration::from_secs(20).max(self.target.pace.answer());
        let mut why = "no client came; each check needs a new connection".to_owned();
        let socket = loop {
            match listener.accept() {
                Ok((socket, _)) => break socket,
                Err(_) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(2)),
                Err(_) => {
                    *self.target.gone.lock().unwrap() = Some(why.clone());
                    return skips(why);
                }
            }
            // A command that failed won't connect any more. One that ended well may have left a
            // client behind.
            let ended = self.children.last_mut().and_then(|child| child.try_wait().ok().flatten());
            if let Some(status) = ended.filter(|status| !status.success()) {
                why = format!(
                    "no client came: the command ended with {status}; run it by hand to see why"
                );
                deadline = deadline.min(Instant::now() + Duration::from_millis(200));
            }
        };
        let _ = socket.set_nonblocking(false);
        let mut line = self.line(Box::new(socket), Role::Server);
        let head = line.head()?;
        if let Some(key) = head.all("Sec-WebSocket-Key").first() {
            self.target.keys.lock().unwrap().push((*key).into());
        }
        Ok((head, line))
    }

    /// Sends a request with one fault. The server must answer in HTTP, but not with 101. (It has
    /// accepted the same request without the fault.)
    pub fn refused(&mut self, change: impl Fn(Request) -> Vec<u8>) -> Result<Head, Stop> {
        self.good_twin()?;
        let bytes = change(self.request());
        match self.ask(&bytes) {
            Ok((head, _)) => match head.status() {
                Some(101) => fails("101: the request was accepted"),
                Some(_) => Ok(head),
                None => fails(format!("an answer that is not HTTP: {}", quote(&head.raw))),
            },
            Err(Stop::Fails(seen)) if self.target.gone.lock().unwrap().is_none() => {
                fails(format!("no HTTP answer: {seen}"))
            }
            Err(stop) => Err(stop),
        }
    }

    fn good_twin(&mut self) -> Outcome {
        let good = self.request().bytes();
        match self.accepted(&good) {
            Ok(_) => {
                self.records.pop();
                Ok(())
            }
            Err(Stop::Fails(seen)) => skips(format!(
                "a good request is refused, too, so its refusal says nothing: {seen}"
            )),
            Err(stop) => Err(stop),
        }
    }
}

/// How long so many bytes may take from a slow peer: one that writes 8,000 bytes a second. Bytes
/// beyond the longest echo don't count, so a message without an end is waited for only so long.
fn on_a_slow_line(bytes: usize) -> Duration {
    Duration::from_millis(bytes.min(1 << 20) as u64 / 8)
}

/// Builds the 101 that answers a client's request. It names the first subprotocol that the client
/// offered, because many clients leave if there is none.
pub fn answer(request: &Head) -> Request {
    let key = request.all("Sec-WebSocket-Key").first().map_or(String::new(), |key| (*key).into());
    let accept = accept_key::accept(&key);
    let lines = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", accept.as_str()),
    ];
    let mut lines = lines.map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec();
    let offered = request.list("Sec-WebSocket-Protocol").into_iter().next();
    lines.extend(offered.map(|name| ("Sec-WebSocket-Protocol".to_owned(), name)));
    Request { first: "HTTP/1.1 101 Switching Protocols".into(), lines, key }
}

/// A connection to the peer, with what was read but not yet used.
pub struct Line {
    socket: Box<dyn Socket>,
    role: Role,
    input: Vec<u8>,
    record: Record,
    ended: bool,
    target: Arc<Target>,
    /// Messages that came while the coach waited for something else.
    pub unasked: Vec<Message>,
    /// How many bytes all of these had, including messages that were taken out again.
    kept: u64,
    pub closed: Option<Came>,
    /// Payloads of pongs that came while the coach waited for something else.
    pub pongs: Vec<Vec<u8>>,
    parts: Option<Message>,
    /// How many bytes passed on this connection. Those after the first `LONGEST_RECORD` aren't
    /// recorded.
    recorded: usize,
    /// How many bytes the coach sent: about as many may come back.
    wrote: usize,
    /// The opcode of the last message that the coach began to send.
    sent: u8,
    /// The mask key of the last frame that the coach sent.
    key: mask::Key,
}

impl Line {
    pub fn pace(&self) -> &Pace {
        &self.target.pace
    }

    /// Sends bytes unchanged. It ignores errors, because the next read shows whether the peer is
    /// gone.
    pub fn send(&mut self, bytes: &[u8]) {
        self.wrote += bytes.len();
        self.record(self.role, bytes);
        let _ = self.socket.write_all(bytes).and_then(|()| self.socket.flush());
    }

    /// Records bytes for the diagnostic, up to a bound: a peer may send without an end.
    fn record(&mut self, from: Role, bytes: &[u8]) {
        self.recorded += bytes.len();
        if self.recorded <= LONGEST_RECORD {
            self.record.lock().unwrap().push((from, bytes.to_vec()));
        }
    }

    fn mask(&self) -> Option<mask::Key> {
        let key = (odd() as u32 | 0x0101_0101).to_le_bytes();
        (self.role == Role::Client).then_some(key)
    }

    pub fn encode(&self, frame: &Frame) -> Vec<u8> {
        frame.bytes(self.mask())
    }

    pub fn encode_all(&self, frames: &[Frame]) -> Vec<u8> {
        frames.iter().flat_map(|frame| self.encode(frame)).collect()
    }

    /// Sends frames, each in a separate write.
    pub fn frames(&mut self, frames: &[Frame]) {
        for frame in frames {
            if let kind @ (TEXT | BINARY) = frame.first & OPCODE {
                self.sent = kind;
            }
            let key = frame.mask.unwrap_or(self.mask());
            self.key = key.unwrap_or_default();
            self.send(&frame.bytes(key));
        }
    }

    pub fn frame(&mut self, frame: Frame) {
        self.frames(&[frame]);
    }

    /// Sends bytes in pieces, with pauses, so that the peer probably reads them separately.
    pub fn pieces(&mut self, bytes: &[u8], size: usize) {
        for piece in bytes.chunks(size) {
            self.send(piece);
            std::thread::sleep(Duration::from_micros(600));
        }
    }

    pub fn pause(&self) {
        std::thread::sleep(Duration::from_millis(8));
    }

    /// Reads the bytes that have come. Returns `false` if none came until the given time.
    fn fill(&mut self, until: Instant) -> bool {
        let wait = until.saturating_duration_since(Instant::now());
        if self.ended || wait.is_zero() {
            return self.ended;
        }
        let _ = self.socket.tcp().set_read_timeout(Some(wait.max(Duration::from_millis(1))));
        let mut buffer = [0; 65536];
        match self.socket.read(&mut buffer) {
            Ok(0) => self.ended = true,
            Ok(count) => {
                self.input.extend_from_slice(&buffer[..count]);
                self.record(self.role.other(), &buffer[..count]);
            }
            Err(error)
                if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) =>
            {
                return false;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => self.ended = true,
        }
        true
    }

    /// Waits for the end of the stream, at most for `wait`. Returns whether it came.
    pub fn ends(&mut self, wait: Duration) -> bool {
        let until = Instant::now() + wait;
        while !self.ended && self.fill(until) {}
        self.ended
    }

    pub fn pending(&mut self, wait: Duration) -> &[u8] {
        let until = Instant::now() + wait;
        while self.input.is_empty() && !self.ended && self.fill(until) {}
        &self.input
    }

    /// Reads the head of the peer's answer or request.
    pub fn head(&mut self) -> Result<Head, Stop> {
        let hard = Instant::now() + Duration::from_secs(20);
        let wait = self.pace().answer();
        let mut interim = 0;
        loop {
            if let Some(at) = self.input.windows(4).position(|four| four == b"\r\n\r\n") {
                let raw: Vec<u8> = self.input.drain(..at + 4).collect();
                let head = Head::parse(&raw);
                // RFC 9110 §15.2: such an answer, for example 103, comes before the real one.
                if matches!(head.status(), Some(100 | 102..=199)) {
                    interim += head.raw.len();
                    if interim > LONGEST_HEAD {
                        return fails(format!("{:?} again and again, and no answer", head.first));
                    }
                    continue;
                }
                return Ok(head);
            }
            if self.ended {
                let lone = self.input.windows(2).position(|two| two == b"\n\n");
                if self.input.starts_with(b"HTTP/") || lone.is_some() {
                    let head = Head::parse(&std::mem::take(&mut self.input));
                    // After a refusal, nothing follows. But a client reads a 101 up to its empty
                    // line, before it sends anything.
                    return match head.status() {
                        Some(101) if lone.is_none() => fails(format!(
                            "a 101 that ended without an empty line: {:?}",
                            String::from_utf8_lossy(&head.raw)
                        )),
                        _ => Ok(head),
                    };
                }
                return fails(match self.input.is_empty() {
                    true => "the connection ended without a byte".into(),
                    false => format!("{} and then the end", quote(&self.input)),
                });
            }
            if self.input.len() > LONGEST_HEAD {
                return fails(format!("a head that doesn't end: {}", quote(&self.input)));
            }
            // The head may be complete with lines that end in LF alone. Then more bytes are
            // unlikely, so wait only briefly.
            let looks_whole = self.input.windows(2).any(|two| two == b"\n\n");
            let wait = if looks_whole { self.pace().moment() } else { wait };
            let until = (Instant::now() + wait).min(hard);
            if !self.fill(until) {
                return match self.input.is_empty() {
                    true => {
                        self.pace().silent();
                        fails(format!("silence for {} ms", wait.as_millis()))
                    }
                    false if self.input.windows(2).any(|two| two == b"\n\n") => {
                        Ok(Head::parse(&std::mem::take(&mut self.input)))
                    }
                    false => fails(format!("a head without an end: {}", quote(&self.input))),
                };
            }
        }
    }

    /// Reads the next frame. Each byte that comes restarts the wait.
    pub fn next(&mut self, wait: Duration) -> Next {
        let hard = Instant::now() + wait + Duration::from_secs(15);
        let mut until = Instant::now() + wait;
        loop {
            match wire::parse(&self.input) {
                Ok(Some((came, count))) => {
                    self.input.drain(..count);
                    if came.opcode() == PING && self.closed.is_none() {
                        self.frame(frame(PONG, &came.payload));
                    }
                    if came.opcode() == CLOSE && self.closed.is_none() {
                        self.closed = Some(came.clone());
                    }
                    return Next::Frame(came);
                }
                Ok(None) => {}
                Err(why) => return Next::Nonsense(why),
            }
            if self.ended {
                return Next::Ended;
            }
            if !self.fill(until) {
                return Next::Silent;
            }
            until = (Instant::now() + wait).min(hard + on_a_slow_line(self.input.len()));
        }
    }

    /// Reads the next message, or returns what came in its place.
    pub fn message(&mut self, wait: Duration) -> Result<Message, Next> {
        let until = Instant::now() + wait * 8;
        loop {
            // Wait for the first byte by itself, to note when it came.
            let is_silent = self.pending(wait).is_empty() && !self.ended;
            let began = Instant::now();
            let next = if is_silent { Next::Silent } else { self.next(wait) };
            match next {
                Next::Frame(came) if came.opcode() == CLOSE => return Err(Next::Frame(came)),
                Next::Frame(came) if came.is_control() => {
                    if came.opcode() == PONG && self.pongs.len() < MOST_KEPT {
                        self.pongs.push(came.payload);
                    }
                }
                Next::Frame(came) => {
                    let message = self.parts.get_or_insert_with(|| Message {
                        opcode: came.opcode(),
                        payload: Vec::new(),
                        frames: Vec::new(),
                        began,
                    });
                    message.payload.extend_from_slice(&came.payload);
                    let fin = came.fin();
                    if message.frames.len() < MOST_KEPT {
                        message.frames.push(came);
                    }
                    if fin {
                        return Ok(self.parts.take().unwrap());
                    }
                }
                other => return Err(other),
            }
            let length = self.parts.as_ref().map_or(0, |message| message.payload.len());
            if length as u64 > wire::LARGEST {
                return Err(Next::Nonsense(format!("a message of more than {length} bytes")));
            }
            // More than the coach sent is no echo, so it gets no further time.
            if Instant::now() > until + on_a_slow_line(length.min(self.wrote)) {
                return Err(Next::Silent);
            }
        }
    }

    /// Keeps a message that the coach didn't wait for. Returns whether there is room for another.
    fn keep(&mut self, message: Message) -> bool {
        self.kept += message.payload.len() as u64;
        self.unasked.push(message);
        self.unasked.len() < MOST_KEPT && self.kept < wire::LARGEST
    }

    /// Waits for the echo of this payload. Keeps other messages and pongs in `unasked` and `pongs`.
    pub fn comes_back(&mut self, payload: &[u8]) -> Result<Message, Stop> {
        if let Some(at) = self.unasked.iter().position(|message| message.payload == payload) {
            return Ok(self.unasked.remove(at));
        }
        let started = Instant::now();
        // The peer echoes only once the whole message has come, and a remote one may have a slow line.
        let longer = 1 + payload.len() as u32 / (256 << 10);
        let until = started + self.pace().answer() * longer * 4;
        let before = self.unasked.len();
        let mut is_known = false;
        loop {
            // After an echo with a known mistake, the right one is unlikely to come.
            let wait = if is_known { self.pace().hardly() } else { self.pace().answer() * longer };
            let instead = match self.message(wait) {
                Ok(message) if message.payload == payload => {
                    // Only until its first byte: all further bytes restart the wait.
                    self.pace().note(message.began.saturating_duration_since(started));
                    // A server that doesn't unmask echoes an empty payload, too, so only a longer
                    // one proves that it echoes.
                    self.target.echoes.fetch_or(payload.len() > 8, Relaxed);
                    return Ok(message);
                }
                Ok(message) => {
                    let way = self.wrong_way(payload, &message);
                    is_known |= way.is_some();
                    if self.keep(message) && Instant::now() < until {
                        continue;
                    }
                    "too much else".into()
                }
                Err(Next::Frame(close)) if close.code() == Some(1003) && self.sent == BINARY => {
                    return skips("it takes texts only, and says so with 1003, which is allowed");
                }
                // (A peer that refuses U+0000 unmasks rightly.)
                Err(Next::Frame(close))
                    if close.code() == Some(1007)
                        && payload.is_ascii()
                        && !payload.contains(&0) =>
                {
                    format!(
                        "{}, though ASCII was sent: it was unmasked wrongly or not at all, or taken from a wrong byte on",
                        close.told()
                    )
                }
                Err(Next::Frame(close)) => close.told(),
                Err(Next::Ended) => format!("the end of the stream{}", self.begun()),
                Err(Next::Silent) => {
                    self.pace().silent();
                    format!("silence for {} ms{}", wait.as_millis(), self.begun())
                }
                Err(Next::Nonsense(why)) => why,
            };
            let length = payload.len();
            let expected = match length {
                0..=48 => format!("of {length} bytes {}", quote(payload)),
                _ => format!("of {length} bytes"),
            };
            return match self.unasked.get(before..).and_then(|new| new.last()) {
                Some(m) => {
                    let way = self.wrong_way(payload, m);
                    let way = way.map_or(String::new(), |way| format!(", {way}"));
                    let (count, got) = (m.payload.len(), quote(&m.payload));
                    fails(format!(
                        "a message of {count} bytes {got}{way}; and in place of the echo {expected} {instead}"
                    ))
                }
                None => fails(format!("instead of the echo {expected}: {instead}")),
            };
        }
    }

    fn wrong_way(&self, sent: &[u8], message: &Message) -> Option<String> {
        let is_client = self.target.listener.is_some();
        let theirs = message.frames.first().and_then(|frame| frame.mask).filter(|_| is_client);
        crate::echo::wrong_way(sent, &message.payload, self.key, theirs)
    }

    /// Whether a message from the peer has begun but not ended.
    pub fn is_unfinished(&self) -> bool {
        self.parts.is_some()
    }

    /// Describes the frame or message that the peer began but didn't end, if there's one.
    fn begun(&self) -> String {
        match (wire::announced(&self.input), &self.parts) {
            (Some(length), _) => format!(
                ", after the beginning of a frame that announces {length} bytes: only {} bytes came, with the header",
                self.input.len()
            ),
            (None, Some(message)) => {
                format!(", after {} bytes in frames without FIN", message.payload.len())
            }
            (None, None) => String::new(),
        }
    }

    /// Sends a message and waits for its echo.
    pub fn echo(&mut self, opcode: u8, payload: &[u8]) -> Result<Message, Stop> {
        self.frame(frame(opcode, payload));
        self.comes_back(payload)
    }

    /// Waits for the echo of a message, and checks that it has the message's kind.
    pub fn comes_back_as(&mut self, opcode: u8, payload: &[u8]) -> Outcome {
        self.comes_back(payload)?.is_of(opcode)
    }

    /// Checks that the connection still works: sends a short text, and waits for its echo.
    pub fn alive(&mut self) -> Outcome {
        let word = word();
        self.echo(TEXT, word.as_bytes()).map(drop)
    }

    /// Exchanges a valid message before the test itself. If this fails, the check is skipped,
    /// because another area reports it.
    pub fn control(&mut self, opcode: u8, payload: &[u8]) -> Outcome {
        match self.echo(opcode, payload) {
            Ok(_) => Ok(()),
            Err(Stop::Fails(seen)) => skips(format!("{NO_EXCHANGE}: {seen}")),
            Err(stop) => Err(stop),
        }
    }

    /// Checks that the peer fails the connection after a broken rule, with a Close or by ending the
    /// stream. Returns the code of the Close, if one came.
    ///
    /// Messages that the peer sends of its own accord delay neither the question nor the verdict.
    pub fn is_failed(&mut self) -> Result<Option<u16>, Stop> {
        let patience = self.pace().answer() * 2;
        let mut wait = self.pace().moment();
        let (word, mut asked) = (word(), false);
        let mut until = Instant::now() + wait;
        loop {
            match self.message(wait) {
                Err(Next::Ended) => return Ok(None),
                Err(Next::Frame(close)) => return Ok(close.code()),
                Err(Next::Nonsense(why)) => return fails(why),
                Ok(message) if message.payload == word.as_bytes() => {
                    return fails("the connection went on: a later text was echoed");
                }
                Ok(_) if Instant::now() < until => {}
                Ok(_) | Err(Next::Silent) if !asked => {
                    asked = true;
                    wait = patience;
                    until = Instant::now() + wait;
                    self.frame(frame(TEXT, &word));
                }
                Ok(_) | Err(Next::Silent) => {
                    self.pace().silent();
                    let ms = patience.as_millis();
                    return fails(format!("neither a Close nor the end of the stream in {ms} ms"));
                }
            }
        }
    }

    /// Sends frames that break a rule, after two exchanges that show that the connection works. The
    /// peer must then fail it. After one exchange alone, the end of the stream wouldn't show that:
    /// some peers end it after their first message.
    pub fn breaks(&mut self, frames: &[Frame]) -> Outcome {
        for _ in 0..2 {
            self.control(TEXT, word().as_bytes())?;
        }
        self.frames(frames);
        self.is_failed_with_a_legal_code().map(drop)
    }

    /// Checks the same as `is_failed`, and that a Close, if one comes, has a code that may be sent.
    pub fn is_failed_with_a_legal_code(&mut self) -> Result<Option<u16>, Stop> {
        match self.is_failed()? {
            Some(code) if !wire::legal(code) => {
                fails(format!("a Close with {code}, which may not be sent"))
            }
            code => Ok(code),
        }
    }

    /// Waits for the peer's Close.
    pub fn close_comes(&mut self) -> Result<Came, Stop> {
        // A server may first finish what it is doing, so wait longer than for an echo.
        let wait = self.pace().answer() * 2;
        let until = Instant::now() + wait;
        loop {
            match self.message(wait) {
                Err(Next::Frame(close)) => return Ok(close),
                Ok(message) => {
                    if !self.keep(message) || Instant::now() >= until {
                        self.pace().silent();
                        return fails("no Close, but more and more messages");
                    }
                }
                Err(Next::Ended) => return fails("the stream ended without a Close"),
                Err(Next::Silent) => {
                    self.pace().silent();
                    return fails(format!("no Close in {} ms", wait.as_millis()));
                }
                Err(Next::Nonsense(why)) => return fails(why),
            }
        }
    }

    /// Waits for the pong with this payload.
    pub fn pong_comes(&mut self, payload: &[u8]) -> Result<Came, Stop> {
        let wait = self.pace().answer();
        let mut other: Option<Came> = None;
        let mut echoed = "";
        let started = Instant::now();
        let until = started + wait * 3;
        while Instant::now() < until {
            // After a pong with another payload, the right one is unlikely to come.
            let wait = if other.is_some() { self.pace().hardly() } else { wait };
            match self.next(wait) {
                Next::Frame(came) if came.opcode() == PONG && came.payload == payload => {
                    if other.is_none() {
                        self.pace().note(started.elapsed());
                    }
                    return Ok(came);
                }
                Next::Frame(came) if came.opcode() == CLOSE => return fails(came.told()),
                Next::Frame(came) if came.opcode() == PONG => other = Some(came),
                Next::Frame(came) if came.is_control() => {
                    if came.opcode() == PING && came.payload == payload {
                        echoed = ": the ping came back, and not a pong";
                    }
                }
                Next::Frame(came) => {
                    if came.opcode() != CONTINUATION && came.fin() {
                        let (opcode, payload) = (came.opcode(), came.payload.clone());
                        let (frames, began) = (vec![came], Instant::now());
                        if !self.keep(Message { opcode, payload, frames, began }) {
                            break;
                        }
                    }
                }
                Next::Ended => return fails("the stream ended, and no pong came"),
                Next::Nonsense(why) => return fails(why),
                Next::Silent => break,
            }
        }
        match other {
            Some(pong) => fails(format!(
                "a pong of {} bytes {}, and not the ping's {} bytes",
                pong.payload.len(),
                quote(&pong.payload),
                payload.len()
            )),
            None => {
                self.pace().silent();
                fails(format!("no pong in {} ms{echoed}", wait.as_millis()))
            }
        }
    }

    /// Writes a frame many times without reading, until the peer accepts no more. Returns how many
    /// it accepted.
    pub fn stuff(&mut self, frame: &Frame, times: usize) -> usize {
        let _ = self.socket.tcp().set_write_timeout(Some(Duration::from_millis(150)));
        let bytes = self.encode(frame);
        (0..times).take_while(|_| self.socket.write_all(&bytes).is_ok()).count()
    }

    pub fn shutdown(&self) {
        let _ = self.socket.tcp().shutdown(std::net::Shutdown::Both);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_coach_never_takes_its_own_end_for_the_server() {
        // Linux chooses even ports for clients, and odd ones for listeners of port 0. About one in
        // 14,000 attempts to reach a port without a listener connects to itself.
        let odd = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let unused = SocketAddr::new(odd.ip(), odd.port() & !1);
        for _ in 0..60_000 {
            let is_own = |stream: TcpStream| stream.local_addr().ok() == stream.peer_addr().ok();
            assert!(!connect(&unused).is_ok_and(is_own));
        }
    }

    #[test]
    fn own_origin_of_a_wss_server_is_https() {
        for (url, origin) in [
            ("ws://localhost:9001/", "http://localhost:9001"),
            ("wss://localhost:9001/", "https://localhost:9001"),
        ] {
            let dial: Box<Dial> = Box::new(|_| Err(io::ErrorKind::Unsupported.into()));
            let target = Target::new(Some(Address::parse(url).unwrap()), dial, PATIENCE);
            assert_eq!(Probe::new(Arc::new(target)).own_origin(), origin);
        }
    }
}
