//! What a connection requires from each kind of stream, and how often it calls the stream.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use ws101::frames::header::Role;
use ws101::{Limits, Response, Server, Stream, Tap};

use crate::support::{Peer, echo, echo_handler, head, masked, request, run, serve};

const A_MOMENT: Duration = Duration::from_millis(50);

/// What is at the other end of a stream.
trait Other: Read + Write + Send {}
impl<T: Read + Write + Send> Other for T {}

fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let dialled = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (dialled, listener.accept().unwrap().0)
}

/// A stream of each kind, and its other end.
fn each_kind() -> Vec<(Arc<dyn Stream>, Box<dyn Other>)> {
    let mut kinds: Vec<(Arc<dyn Stream>, Box<dyn Other>)> = Vec::new();
    let (stream, other) = tcp();
    kinds.push((Arc::new(stream), Box::new(other)));
    let (stream, other) = tcp();
    kinds.push((Arc::new(Arc::new(stream)), Box::new(other)));
    let (stream, other) = tcp();
    kinds.push((Arc::new(Tap::new(stream, Role::Client, |_| ())), Box::new(other)));
    #[cfg(unix)]
    {
        let (stream, other) = std::os::unix::net::UnixStream::pair().unwrap();
        kinds.push((Arc::new(stream), Box::new(other)));
    }
    kinds
}

fn assert_timeout(error: &io::Error) {
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error:?}");
}

#[test]
fn each_kind_of_stream_gives_up_a_read_in_its_time_and_zero_is_a_moment() {
    for (kind, (stream, other)) in each_kind().into_iter().enumerate() {
        for patience in [A_MOMENT, Duration::ZERO] {
            let stream = stream.clone();
            let read = run(move || {
                stream.set_read_timeout(patience).unwrap();
                let start = Instant::now();
                (stream.read(&mut [0; 9]), start.elapsed())
            });
            let (read, waited) = read.wait();
            assert_timeout(&read.unwrap_err());
            assert!(waited + Duration::from_millis(10) > patience, "{kind}: {waited:?}");
        }
        drop(other);
    }
}

#[test]
fn each_kind_of_stream_gives_up_a_write_in_its_time() {
    for (stream, other) in each_kind() {
        let written = run(move || {
            stream.set_write_timeout(A_MOMENT).unwrap();
            let piece = [0; 64 * 1024];
            // Until all buffers are full, since nobody reads.
            loop {
                if let Err(error) = stream.write(&[IoSlice::new(&piece), IoSlice::new(b"z")]) {
                    break error;
                }
            }
        });
        assert_timeout(&written.wait());
        drop(other);
    }
}

#[test]
fn each_kind_of_stream_ends_in_one_direction_and_wakes_who_reads() {
    for (stream, mut other) in each_kind() {
        stream.write(&[IoSlice::new(b"last "), IoSlice::new(b"words")]).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut heard = Vec::new();
        other.read_to_end(&mut heard).unwrap();
        assert_eq!(heard, b"last words");
        other.write_all(b"an answer").unwrap();
        let mut answer = [0; 9];
        stream.set_read_timeout(crate::support::PATIENCE).unwrap();
        assert_eq!(stream.read(&mut answer).unwrap(), 9);

        let reader = stream.clone();
        let woken = run(move || reader.read(&mut [0; 9]));
        thread::sleep(A_MOMENT);
        let start = Instant::now();
        stream.shutdown(Shutdown::Read).unwrap();
        assert_eq!(woken.wait().unwrap(), 0);
        assert!(start.elapsed() < crate::support::PATIENCE / 4, "{:?}", start.elapsed());
    }
}

#[test]
fn a_stream_says_who_is_at_its_other_end_if_that_has_an_address() {
    let (stream, other) = tcp();
    let address = Some(other.local_addr().unwrap());
    let stream = Arc::new(stream);
    assert_eq!(Stream::peer(&*stream), address);
    assert_eq!(Stream::peer(&stream), address);
    assert_eq!(Tap::new(stream, Role::Client, |_| ()).peer(), address);
    #[cfg(unix)]
    assert_eq!(Stream::peer(&std::os::unix::net::UnixStream::pair().unwrap().0), None);
}

#[test]
fn a_client_shows_whether_its_stream_passes_through_something() {
    let client = ws101::Client::new("ws://a");
    assert!(format!("{client:?}").contains("wrap_stream: nothing"));
    assert!(
        format!("{:?}", client.wrap_stream(|stream| stream))
            .contains("wrap_stream: WrapStream(..)")
    );
}

/// A stream that counts how often it is written to.
struct Counted {
    stream: Arc<dyn Stream>,
    /// The client's address as this stream tells it, such as one that a proxy has sent.
    peer: Option<SocketAddr>,
    writes: Arc<AtomicUsize>,
}

impl Stream for Counted {
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        self.stream.read(into)
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.writes.fetch_add(1, SeqCst);
        self.stream.write(slices)
    }

    timeouts_and_shutdown_of!(stream);

    fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }
}

#[test]
fn pongs_and_fed_replies_to_what_came_together_go_out_in_one_write() {
    let writes = Arc::new(AtomicUsize::new(0));
    let counter = writes.clone();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let app = run(move || {
        let server = Server::without_listener().wrap_stream(move |stream| {
            Arc::new(Counted { stream, peer: None, writes: counter.clone() })
        });
        let mut ws = server.accept(listener.accept().unwrap().0)?;
        while let Some(message) = ws.recv()? {
            ws.feed(message)?;
        }
        ws.flush()
    });
    let mut peer = Peer::new(TcpStream::connect(address).unwrap());
    let both = [masked(0x89, "p"), masked(0x81, "t")].concat();
    peer.write([request(&[]).into_bytes(), both.repeat(20)].concat());
    assert_eq!(peer.read_response().status, 101);
    for _ in 0..20 {
        assert_eq!(peer.read_frame().first, 0x8a);
        assert_eq!(peer.read_frame().first, 0x81);
    }
    assert_eq!(writes.load(SeqCst), 2, "one for the 101, one for all that follows");
    peer.finish();
    assert!(matches!(app.wait(), Err(ws101::Error::ConnectionLost(_))));
}

#[test]
fn server_returns_the_client_address_of_the_applications_own_stream_or_else_of_the_accepted_one() {
    for of_wrapper in [Some("192.0.2.1:50000".parse().unwrap()), None] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let app = run(move || {
            let server = Server::without_listener().wrap_stream(move |stream| {
                Arc::new(Counted { stream, peer: of_wrapper, writes: Arc::default() })
            });
            let ws = server.accept(listener.accept().unwrap().0).unwrap();
            (ws.peer(), ws.request().peer())
        });
        let client = TcpStream::connect(address).unwrap();
        let expected = of_wrapper.or(client.local_addr().ok());
        let mut peer = Peer::new(client);
        peer.write(request(&[]));
        assert_eq!(peer.read_response().status, 101);
        assert_eq!(app.wait(), (expected, expected));
    }
}

#[test]
fn client_returns_the_server_address_of_the_applications_own_stream_or_else_of_the_connected_one() {
    let server = echo();
    for of_wrapper in [Some("192.0.2.1:50000".parse().unwrap()), None] {
        let client = ws101::Client::new(server.url()).wrap_stream(move |stream| {
            Arc::new(Counted { stream, peer: of_wrapper, writes: Arc::default() })
        });
        let ws = client.connect().unwrap();
        let expected = of_wrapper.or(Some(server.address));
        assert_eq!((ws.peer(), ws.request().peer()), (expected, expected));
    }
}

/// A stream that has a request for a page, and notes how long the slices of each write are.
struct Slices(Mutex<Vec<u8>>, Mutex<Vec<Vec<usize>>>);

impl Stream for Slices {
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        let request = std::mem::take(&mut *self.0.lock().unwrap());
        into[..request.len()].copy_from_slice(&request);
        Ok(request.len())
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let lengths: Vec<usize> = slices.iter().map(|slice| slice.len()).collect();
        let all = lengths.iter().sum();
        self.1.lock().unwrap().push(lengths);
        Ok(all)
    }

    neither_timeouts_nor_shutdown!();
}

#[test]
fn a_page_is_written_beside_its_head_and_not_copied_behind_it() {
    const LENGTH: usize = 30_000_000;
    let request = head("GET / HTTP/1.1", &["Host: a"]).into_bytes();
    let stream = Arc::new(Slices(Mutex::new(request), Mutex::default()));
    let server = Server::without_listener()
        .http(|_| Some(Response::new("application/octet-stream", vec![7; LENGTH])));
    assert!(matches!(server.accept(stream.clone()), Err(ws101::Error::PageServed)));
    let writes = stream.1.lock().unwrap();
    assert!(matches!(writes[..], [ref slices] if slices[1..] == [LENGTH]), "{writes:?}");
}

/// A stream whose writes return long after the bytes have gone out.
struct SlowToReturn(TcpStream);

impl Stream for SlowToReturn {
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        Stream::read(&self.0, into)
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let count = Stream::write(&self.0, slices)?;
        thread::sleep(A_MOMENT);
        Ok(count)
    }

    fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        Stream::set_read_timeout(&self.0, timeout)
    }

    fn set_write_timeout(&self, timeout: Duration) -> io::Result<()> {
        Stream::set_write_timeout(&self.0, timeout)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        Stream::shutdown(&self.0, how)
    }

    fn peer(&self) -> Option<SocketAddr> {
        Stream::peer(&self.0)
    }
}

#[test]
fn the_latency_is_counted_from_before_the_ping_is_written() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let app = run(move || {
        let stream = SlowToReturn(listener.accept().unwrap().0);
        let mut ws = Server::without_listener().accept(stream).unwrap();
        ws.ping().unwrap();
        // The message comes after the pong.
        ws.recv().unwrap();
        ws.latency()
    });
    let mut peer = Peer::new(TcpStream::connect(address).unwrap());
    peer.write(request(&[]));
    assert_eq!(peer.read_response().status, 101);
    let ping = peer.read_frame();
    peer.write([masked(0x8a, ping.payload), masked(0x81, "")].concat());
    let latency = app.wait();
    assert!(latency.is_some_and(|latency| latency >= A_MOMENT), "{latency:?}");
}

/// A stream that passes each timeout on as it is. (A socket rejects a timeout of zero.)
struct Strict(TcpStream);

impl Stream for Strict {
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        Stream::read(&self.0, into)
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Stream::write(&self.0, slices)
    }

    fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.0.set_read_timeout(Some(timeout))
    }

    fn set_write_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.0.set_write_timeout(Some(timeout))
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        Stream::shutdown(&self.0, how)
    }
}

#[test]
fn a_stream_of_ones_own_gets_no_timeout_of_zero() {
    const PONG: Duration = Duration::from_secs(2);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = channel();
    let app = run(move || {
        let limits = Limits {
            ping_every: Some(A_MOMENT),
            pong: PONG,
            write: Duration::ZERO,
            ..Limits::default()
        };
        let server = Server::without_listener().limits(limits);
        let mut ws = server.accept(Strict(listener.accept().unwrap().0)).unwrap();
        // A ping goes out in this time, and its pong is due before the next call.
        let nothing = ws.recv_timeout(4 * A_MOMENT);
        thread::sleep(PONG);
        told.recv().unwrap();
        (nothing, ws.recv())
    });
    let mut peer = Peer::new(TcpStream::connect(address).unwrap());
    peer.write(request(&[]));
    assert_eq!(peer.read_response().status, 101);
    assert_eq!(peer.read_frame().first, 0x89);
    thread::sleep(8 * A_MOMENT);
    peer.write(masked(0x81, "a sign of life"));
    tell.send(()).unwrap();
    let (nothing, received) = app.wait();
    assert!(matches!(nothing, Err(ws101::Error::TimedOut)), "{nothing:?}");
    assert!(matches!(received, Ok(Some(_))), "{received:?}");
}

/// A stream whose reads panic after the handshake.
struct PanickingRead(Arc<dyn Stream>, AtomicUsize);

impl Stream for PanickingRead {
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        assert!(self.1.fetch_add(1, SeqCst) == 0, "the application's own fault");
        self.0.read(into)
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write(slices)
    }

    timeouts_and_shutdown_of!(0);
}

#[test]
fn either_side_survives_a_stream_that_panics_whenever_it_is_read() {
    let wrap = |stream| -> Arc<dyn Stream> { Arc::new(PanickingRead(stream, AtomicUsize::new(0))) };
    let server = serve(|server| server.wrap_stream(wrap), echo_handler);
    let mut peer = server.open();
    assert_eq!(peer.read_close(), 1011);
    // The server has its place back.
    server.wait_until(|counters| counters.open == 0);

    let server = echo();
    let client = ws101::Client::new(server.url()).wrap_stream(wrap);
    let panicked = thread::spawn(move || client.connect().unwrap().recv()).join();
    assert!(panicked.is_err(), "and no second panic has aborted the process");
}
