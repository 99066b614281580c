//! A server on a free port, and a peer whose bytes a test writes and reads itself.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha1::{Digest, Sha1};
use ws101::{Client, Counters, Error, Handle, Limits, Result, Server, Stream, WebSocket};

/// Longer than anything may take; it only ends a test that would hang.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A server that runs until it is dropped.
pub struct Running {
    pub address: SocketAddr,
    pub handle: Handle,
    thread: Option<JoinHandle<Result<()>>>,
}

/// Serves on a free port what `configure` makes of it. It answers for any host, because many tests ask
/// for hosts that are not this machine.
pub fn serve(
    configure: impl FnOnce(Server) -> Server,
    handler: impl Fn(WebSocket) -> Result<()> + Send + Sync + 'static,
) -> Running {
    let server = configure(Server::bind("127.0.0.1:0").unwrap().hosts(["*"]));
    let (address, handle) = (server.local_addr().unwrap(), server.handle());
    let thread = Some(thread::spawn(move || server.serve(handler)));
    Running { address, handle, thread }
}

/// Serves an echo.
pub fn echo() -> Running {
    serve(|server| server, echo_handler)
}

/// Sends back what comes.
pub fn echo_handler(mut ws: WebSocket) -> Result<()> {
    while let Some(message) = ws.recv()? {
        ws.send(message)?;
    }
    Ok(())
}

impl Running {
    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// A raw connection.
    pub fn dial(&self) -> Peer {
        Peer::new(TcpStream::connect(self.address).unwrap())
    }

    /// A raw connection with a plain handshake behind it.
    pub fn open(&self) -> Peer {
        let mut peer = self.dial();
        peer.write(request(&[]));
        assert_eq!(peer.read_response().status, 101);
        peer
    }

    /// Stops the server and waits for `serve` to return.
    pub fn stop(mut self, grace: Duration) -> Result<()> {
        self.handle.stop(grace);
        self.thread.take().unwrap().join().unwrap()
    }

    /// Waits for `serve` to return.
    pub fn join(mut self) -> Result<()> {
        self.thread.take().unwrap().join().unwrap()
    }

    /// Waits until the counters are as expected.
    pub fn wait_until(&self, expected: impl Fn(&Counters) -> bool) {
        let start = std::time::Instant::now();
        while !expected(&self.handle.counters()) {
            assert!(start.elapsed() < PATIENCE, "still {:?}", self.handle.counters());
            thread::yield_now();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.stop(Duration::ZERO);
    }
}

/// The lines of a good request for a WebSocket.
pub const LINES: [&str; 5] = [
    "Host: 127.0.0.1",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
];

/// A good request, with more lines.
pub fn request(more: &[&str]) -> String {
    head("GET / HTTP/1.1", &[&LINES[..], more].concat())
}

/// A head of these lines.
pub fn head(first: &str, lines: &[&str]) -> String {
    format!("{first}\r\n{}\r\n", lines.iter().map(|line| format!("{line}\r\n")).collect::<String>())
}

/// The answer that the RFC asks for to a key (§1.3).
pub fn accept_of(key: &str) -> String {
    let hash = Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    BASE64_STANDARD.encode(hash)
}

/// The other end of a connection, which speaks in bytes.
pub struct Peer {
    pub stream: TcpStream,
}

/// An HTTP response, taken apart.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Response {
    /// The value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// What was read of a frame.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    pub first: u8,
    pub payload: Vec<u8>,
}

impl Peer {
    pub fn new(stream: TcpStream) -> Peer {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Peer { stream }
    }

    pub fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Ends our side.
    pub fn finish(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Reads a head and, if it is no 101, its body.
    pub fn read_response(&mut self) -> Response {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.read_exact::<1>()[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut response = Response { status, head, body: String::new() };
        if status != 101 {
            let length: usize = response.header("content-length").unwrap().parse().unwrap();
            let mut body = vec![0; length];
            self.stream.read_exact(&mut body).unwrap();
            response.body = String::from_utf8(body).unwrap();
        }
        response
    }

    pub fn read_exact<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Reads an unmasked frame.
    pub fn read_frame(&mut self) -> Frame {
        let [first, second] = self.read_exact();
        assert_eq!(second & 0x80, 0, "a server does not mask");
        let length = match second {
            126 => u16::from_be_bytes(self.read_exact()).into(),
            127 => u64::from_be_bytes(self.read_exact()) as usize,
            length => length.into(),
        };
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload).unwrap();
        Frame { first, payload }
    }

    /// Reads a Close and what follows it, which must be the end of the stream, not a reset.
    pub fn read_close(&mut self) -> u16 {
        let frame = self.read_frame();
        assert_eq!(frame.first, 0x88, "{frame:02x?} is no Close");
        self.read_end();
        match frame.payload.first_chunk::<2>() {
            Some(&code) => u16::from_be_bytes(code),
            None => 1005,
        }
    }

    /// The stream ends here, cleanly.
    pub fn read_end(&mut self) {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).expect("an end, not a reset");
        assert_eq!(rest, [], "nothing follows");
    }
}

/// A frame as a client sends it: any first byte, a mask, a length in as few bytes as it needs.
pub fn masked(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let key = [0x37, 0xfa, 0x21, 0x3d];
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..126 => frame.push(0x80 | length as u8),
        length @ 126..65_536 => {
            frame.extend([&[0xfe], &(length as u16).to_be_bytes()[..]].concat())
        }
        length => frame.extend([&[0xff], &(length as u64).to_be_bytes()[..]].concat()),
    }
    frame.extend(key);
    frame.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// A stream without a socket: each read finds what `reads` gives it, and its end where that is empty.
/// `reads` is shown what has been written so far, and so is the test.
pub fn in_memory(
    reads: impl FnMut(&[u8]) -> Vec<u8> + Send + 'static,
) -> (impl Stream, Arc<Mutex<Vec<u8>>>) {
    let written = Arc::new(Mutex::new(Vec::new()));
    (InMemory { reads: Mutex::new(reads), written: written.clone() }, written)
}

struct InMemory<F> {
    reads: Mutex<F>,
    written: Arc<Mutex<Vec<u8>>>,
}

impl<F: FnMut(&[u8]) -> Vec<u8> + Send + 'static> Stream for InMemory<F> {
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        let bytes = (self.reads.lock().unwrap())(&self.written.lock().unwrap());
        into[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        self.written.lock().unwrap().extend_from_slice(&bytes);
        Ok(bytes.len())
    }

    fn set_read_timeout(&self, _: Duration) -> io::Result<()> {
        Ok(())
    }

    fn set_write_timeout(&self, _: Duration) -> io::Result<()> {
        Ok(())
    }

    fn shutdown(&self, _: Shutdown) -> io::Result<()> {
        Ok(())
    }
}

/// The side that is under test; at the other end there are bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Server,
    Client,
}

pub const BOTH_SIDES: [Side; 2] = [Side::Server, Side::Client];

/// An application in a thread of its own.
pub struct App<T>(Receiver<T>);

impl<T> App<T> {
    /// What it ended with.
    pub fn wait(self) -> T {
        self.0.recv_timeout(PATIENCE).expect("the application comes to its end")
    }
}

/// Runs something in a thread of its own.
pub fn run<T: Send + 'static>(app: impl FnOnce() -> T + Send + 'static) -> App<T> {
    let (tell, told) = sync_channel(1);
    thread::spawn(move || tell.send(app()));
    App(told)
}

/// Opens a connection, runs an application at the side under test, and is the other end of it.
pub fn open<T: Send + 'static>(
    side: Side,
    limits: Limits,
    app: impl FnOnce(WebSocket) -> T + Send + 'static,
) -> (Wire, App<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    match side {
        Side::Server => {
            let app = run(move || {
                let stream = listener.accept().unwrap().0;
                app(Server::without_listener().limits(limits).accept(stream).unwrap())
            });
            let mut peer = Peer::new(TcpStream::connect(address).unwrap());
            peer.write(request(&[]));
            assert_eq!(peer.read_response().status, 101);
            (Wire { peer, side }, app)
        }
        Side::Client => {
            let app = run(move || {
                let client = Client::new(format!("ws://{address}/")).limits(limits);
                app(client.connect().unwrap())
            });
            let mut peer = Peer::new(listener.accept().unwrap().0);
            let answer = switching_protocols(&peer.read_head());
            peer.write(answer);
            (Wire { peer, side }, app)
        }
    }
}

/// What an error of a message's stream was before it became one of `io`.
pub fn cause(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

/// The 101 that goes with a client's head.
pub fn switching_protocols(request: &str) -> String {
    let mut lines = request.lines().filter_map(|line| line.split_once(": "));
    let key = lines.find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key")).unwrap().1;
    let accept = format!("Sec-WebSocket-Accept: {}", accept_of(key));
    let lines = ["Upgrade: websocket", "Connection: Upgrade", &accept];
    head("HTTP/1.1 101 Switching Protocols", &lines)
}

/// An open connection to the side under test, in frames of any kind, good or bad.
pub struct Wire {
    pub peer: Peer,
    pub side: Side,
}

impl Wire {
    /// Whether the side under test masks.
    pub fn mask_bit(&self) -> bool {
        self.side == Side::Client
    }

    /// A frame as the other end sends it, masked or not.
    pub fn frame(&self, first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
        match self.side {
            Side::Server => masked(first, payload),
            Side::Client => unmasked(first, payload),
        }
    }

    /// A header: the first byte, the second but for its mask bit, and what more of a length there is.
    pub fn header(&self, first: u8, second: u8, length: &[u8]) -> Vec<u8> {
        match self.side {
            Side::Server => [&[first, second | 0x80], length, &KEY].concat(),
            Side::Client => [&[first, second], length].concat(),
        }
    }

    /// A header with a length in 64 bits.
    pub fn announce(&self, first: u8, length: u64) -> Vec<u8> {
        self.header(first, 127, &length.to_be_bytes())
    }

    /// Some payload, as it lies behind its header.
    pub fn payload(&self, payload: impl AsRef<[u8]>) -> Vec<u8> {
        match self.side {
            Side::Server => with_key(payload.as_ref()),
            Side::Client => payload.as_ref().into(),
        }
    }

    /// Writes a frame.
    pub fn send(&mut self, first: u8, payload: impl AsRef<[u8]>) {
        let frame = self.frame(first, payload);
        self.peer.write(frame);
    }

    /// Reads a frame, which must be masked at one side, and must not be at the other.
    pub fn read(&mut self) -> Frame {
        let (key, frame) = self.peer.read_strictly();
        assert_eq!(key.is_some(), self.side == Side::Client, "who masks, and who does not");
        frame
    }

    /// Reads a Close and what follows it, which must be the end of the stream, not a reset; then
    /// leaves. The code, or 1005 if there is none. Where we are the server, we end first (§7.1.1).
    pub fn read_close(mut self) -> u16 {
        let frame = self.read();
        assert_eq!(frame.first, 0x88, "{frame:02x?} is no Close");
        if self.side == Side::Client {
            self.peer.finish();
        }
        self.peer.read_end();
        frame.payload.first_chunk().map_or(1005, |&code| u16::from_be_bytes(code))
    }
}

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

fn with_key(payload: &[u8]) -> Vec<u8> {
    payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key).collect()
}

/// A frame as a server sends it.
pub fn unmasked(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..126 => frame.push(length as u8),
        length @ 126..65_536 => frame.extend([&[126], &(length as u16).to_be_bytes()[..]].concat()),
        length => frame.extend([&[127], &(length as u64).to_be_bytes()[..]].concat()),
    }
    frame.extend(payload);
    frame
}

impl Peer {
    /// Reads a head, whatever it says.
    pub fn read_head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.read_exact::<1>()[0]);
        }
        String::from_utf8(head).unwrap()
    }

    /// Reads a masked frame: its key, and what it says.
    pub fn read_masked_frame(&mut self) -> ([u8; 4], Frame) {
        let (key, frame) = self.read_strictly();
        (key.expect("a client masks"), frame)
    }

    /// Reads a frame whose length must be in as few bytes as it needs: its key, and what it says.
    fn read_strictly(&mut self) -> (Option<[u8; 4]>, Frame) {
        let [first, second] = self.read_exact();
        let (length, least) = match second & 0x7f {
            126 => (u16::from_be_bytes(self.read_exact()).into(), 126),
            127 => (u64::from_be_bytes(self.read_exact()) as usize, 65_536),
            length => (usize::from(length), 0),
        };
        assert!(length >= least, "a length of {length} in too many bytes");
        let key: Option<[u8; 4]> = (second & 0x80 != 0).then(|| self.read_exact());
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload).unwrap();
        if let Some(key) = key {
            payload.iter_mut().zip(key.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
        }
        (key, Frame { first, payload })
    }
}
