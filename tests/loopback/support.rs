//! A server on a free port, and a peer that speaks in bytes.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ws101::{Counters, Handle, Result, Server, WebSocket};

/// Longer than anything may take; it only ends a test that would hang.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A server that runs until it is dropped.
pub struct Running {
    pub address: SocketAddr,
    pub handle: Handle,
    thread: Option<JoinHandle<Result<()>>>,
}

/// Serves on a free port what `configure` makes of it.
pub fn serve(
    configure: impl FnOnce(Server) -> Server,
    handler: impl Fn(WebSocket) -> Result<()> + Send + Sync + 'static,
) -> Running {
    let server = configure(Server::bind("127.0.0.1:0").unwrap());
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
