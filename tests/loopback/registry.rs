//! The registry: eviction of pending connections, the server's shutdown, and what remains true when a
//! connection ends.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

use ws101::{
    Error, Handle, Limits, MessageKind, PreparedMessage, Refusal, Response, Server, Stream,
};

use crate::support::{
    PATIENCE, Peer, Running, echo, echo_handler, head, in_memory, masked, request, run, serve,
};

const SOON: Duration = Duration::from_millis(100);

/// A request for a page.
fn plain() -> String {
    head("GET / HTTP/1.1", &["Host: a"])
}

// Eviction.

type Streams = Arc<Mutex<Vec<Weak<dyn Stream>>>>;

/// A server that allows four pending connections, and whose deadlines are too long to pass; and all the
/// streams that it has accepted.
fn crowded(configure: impl FnOnce(Server) -> Server) -> (Running, Streams) {
    let streams = Streams::default();
    let seen = streams.clone();
    let limits = Limits {
        max_waiting: 4,
        head: 2 * PATIENCE,
        write: 4 * PATIENCE,
        close: 2 * PATIENCE,
        ..Limits::default()
    };
    let remember = move |stream: Arc<dyn Stream>| {
        seen.lock().unwrap().push(Arc::downgrade(&stream));
        stream
    };
    (serve(|server| configure(server.limits(limits).wrap_stream(remember)), echo_handler), streams)
}

/// Waits until at most this many streams are still in use.
fn wait_until_in_use(streams: &Streams, most: usize) {
    let start = Instant::now();
    loop {
        let streams = streams.lock().unwrap();
        let in_use = streams.iter().filter(|stream| stream.strong_count() > 0).count();
        if streams.len() == 20 && in_use <= most {
            return;
        }
        drop(streams);
        assert!(start.elapsed() < PATIENCE, "{in_use} are in use");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_refused_client_that_stays_is_evicted_for_newer_ones() {
    let (server, streams) =
        crowded(|server| server.authorize(|_| Err(Refusal::because(401, "Members only."))));
    let peers: Vec<Peer> = (0..20)
        .map(|_| {
            let mut peer = server.dial();
            peer.write(request(&[]));
            assert_eq!(peer.read_response().status, 401);
            peer
        })
        .collect();
    wait_until_in_use(&streams, 4);
    drop(peers);
    wait_until_in_use(&streams, 0);
}

#[test]
fn a_client_that_does_not_read_its_page_is_evicted_for_newer_ones() {
    let page = |_: &_| Some(Response::new("application/octet-stream", vec![0; 8 << 20]));
    let (server, streams) = crowded(|server| server.http(page));
    let peers: Vec<Peer> = (0..20)
        .map(|_| {
            let mut peer = server.dial();
            peer.write(plain());
            peer
        })
        .collect();
    wait_until_in_use(&streams, 4);
    drop(peers);
}

#[test]
fn server_makes_a_bounded_number_of_pages_at_a_time_and_answers_the_next_with_503() {
    const MOST: usize = 4;
    let (enter, entered) = channel();
    let (go, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    // Each page takes until the test ends.
    let page = move |_: &_| {
        enter.send(()).unwrap();
        let _ = wait.lock().unwrap().recv();
        Some(Response::text("made"))
    };
    let limits = Limits { max_waiting: MOST, close: 2 * PATIENCE, ..Limits::default() };
    let server = serve(|server| server.limits(limits).http(page), echo_handler);
    let ask = || {
        let mut peer = server.dial();
        peer.write(plain());
        peer
    };
    let served: Vec<Peer> = (0..MOST).map(|_| ask()).collect();
    (0..MOST).for_each(|_| entered.recv_timeout(PATIENCE).unwrap());
    let refused: Vec<Peer> = (0..5 * MOST)
        .map(|_| {
            let mut peer = ask();
            let answer = peer.read_response();
            assert_eq!((answer.status, answer.header("Retry-After")), (503, Some("1")));
            peer
        })
        .collect();
    assert!(entered.try_recv().is_err(), "no more pages are made than may be");
    let mut honest = server.dial();
    honest.write(request(&[]));
    assert_eq!(honest.read_response().status, 101);
    honest.write(masked(0x81, "hello"));
    assert_eq!(honest.read_frame().payload, b"hello");
    // The first clients weren't evicted for the many that came later.
    drop(go);
    for mut peer in served {
        assert_eq!(peer.read_response().body, "made");
    }
    drop(refused);
}

#[test]
fn a_page_that_panicked_is_no_longer_being_made_while_its_500_is_sent() {
    let page = |request: &ws101::Request| match request.path() {
        "/bad" => panic!("on purpose"),
        _ => Some(Response::text("made")),
    };
    let limits = Limits { max_waiting: 1, ..Limits::default() };
    let server = Arc::new(Server::without_listener().limits(limits).http(page));
    let asking = |path: &str| [plain().replace(" / ", &format!(" {path} ")), String::new()];
    // The second client asks for its page before the first one has closed.
    let (for_second, second) = (server.clone(), asking("/"));
    let mut reads = asking("/bad").into_iter();
    let (tell, told) = channel();
    let (first, answer) = in_memory(move |_| {
        let bytes = reads.next().unwrap_or_default();
        if bytes.is_empty() {
            let mut reads = second.clone().into_iter();
            let (stream, answer) = in_memory(move |_| reads.next().unwrap_or_default().into());
            let _ = for_second.accept(stream);
            tell.send(answer.lock().unwrap().clone()).unwrap();
        }
        bytes.into()
    });
    assert!(catch_unwind(AssertUnwindSafe(|| server.accept(first))).is_err());
    assert!(answer.lock().unwrap().starts_with(b"HTTP/1.1 500 "));
    let answer = told.recv_timeout(PATIENCE).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
}

#[test]
fn server_without_an_http_handler_makes_no_page_and_answers_426_however_few_it_may_make() {
    let request = Mutex::new(Some(plain().into_bytes()));
    let (stream, written) = in_memory(move |_| request.lock().unwrap().take().unwrap_or_default());
    let server = Server::without_listener().limits(Limits { max_waiting: 0, ..Limits::default() });
    let refused = server.accept(stream).unwrap_err();
    assert!(matches!(&refused, Error::Refused(refusal) if refusal.status() == 426), "{refused}");
    assert!(written.lock().unwrap().starts_with(b"HTTP/1.1 426 "));
}

#[test]
fn a_client_that_reads_a_page_more_slowly_than_a_close_may_take_gets_all_of_it() {
    const LENGTH: usize = 16 << 20;
    let limits = Limits { close: SOON, ..Limits::default() };
    let page = |_: &_| Some(Response::new("application/octet-stream", vec![b'x'; LENGTH]));
    let server = serve(|server| server.limits(limits).http(page), echo_handler);
    let mut peer = server.dial();
    peer.write(plain());
    thread::sleep(5 * SOON);
    assert_eq!(peer.read_response().body.len(), LENGTH);
}

#[test]
fn a_server_that_gives_closing_no_time_still_answers() {
    let limits = Limits { close: Duration::ZERO, ..Limits::default() };
    let server = serve(|server| server.limits(limits), echo_handler);
    let mut peer = server.dial();
    peer.write(request(&[]));
    assert_eq!(peer.read_response().status, 101);
    let mut peer = server.dial();
    peer.write("BAD\r\n\r\n");
    assert_eq!(peer.read_response().status, 400);
}

/// A stream whose first read gets the whole head, and returns only when its connection is evicted.
struct Late {
    stream: TcpStream,
    waits: AtomicBool,
    evicted: Mutex<bool>,
    changed: Condvar,
}

impl Late {
    fn new(stream: TcpStream, waits: bool) -> Arc<Late> {
        let (waits, evicted) = (AtomicBool::new(waits), Mutex::new(false));
        Arc::new(Late { stream, waits, evicted, changed: Condvar::new() })
    }
}

impl Stream for Late {
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        let count = Stream::read(&self.stream, into)?;
        if self.waits.swap(false, SeqCst) {
            let evicted = self.evicted.lock().unwrap();
            drop(self.changed.wait_timeout_while(evicted, PATIENCE, |it| !*it).unwrap());
        }
        Ok(count)
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Stream::write(&self.stream, slices)
    }

    fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        Stream::set_read_timeout(&self.stream, timeout)
    }

    fn set_write_timeout(&self, timeout: Duration) -> io::Result<()> {
        Stream::set_write_timeout(&self.stream, timeout)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        *self.evicted.lock().unwrap() = true;
        self.changed.notify_all();
        Stream::shutdown(&self.stream, how)
    }
}

#[test]
fn an_evicted_client_gets_408_though_its_head_was_complete() {
    let limits = Limits { max_waiting: 1, ..Limits::default() };
    let server = Arc::new(Server::without_listener().limits(limits));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let dial = || Peer::new(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
    let accept = |stream: Arc<Late>| {
        let server = server.clone();
        run(move || server.accept(stream).map(drop))
    };
    let mut older = dial();
    older.write(request(&[]));
    let stream = Late::new(listener.accept().unwrap().0, true);
    let accepting = accept(stream.clone());
    while stream.waits.load(SeqCst) {
        thread::yield_now();
    }
    let newer = dial();
    let other = accept(Late::new(listener.accept().unwrap().0, false));
    assert_eq!(older.read_response().status, 408);
    assert!(matches!(accepting.wait(), Err(Error::Refused(_))));
    assert_eq!(server.handle().counters().accepted, 0);
    drop(newer);
    other.wait().unwrap_err();
}

// Shutdown.

/// A server that reads and sends nothing, and waits long for the answer to its Close.
fn reader() -> Running {
    let limits = Limits { close: 2 * PATIENCE, ..Limits::default() };
    serve(
        |server| server.limits(limits),
        |mut ws| {
            while ws.recv()?.is_some() {}
            Ok(())
        },
    )
}

#[test]
fn a_server_that_stops_frees_its_port_while_it_waits_for_the_last_connection() {
    let server = reader();
    let mut lingering = server.open();
    server.wait_until(|counters| counters.open == 1);
    server.handle.stop(2 * PATIENCE);
    assert_eq!(lingering.read_frame().first, 0x88);
    let start = Instant::now();
    while let Err(error) = TcpListener::bind(server.address) {
        assert!(start.elapsed() < PATIENCE / 2, "{error}");
        thread::yield_now();
    }
    assert_eq!(server.handle.counters().open, 1);
}

#[test]
fn a_page_that_is_being_sent_as_the_server_stops_arrives_whole_within_the_grace() {
    const LENGTH: usize = 32 << 20;
    let page = |_: &_| Some(Response::new("application/octet-stream", vec![b'p'; LENGTH]));
    let server = serve(|server| server.http(page), echo_handler);
    let mut peer = server.dial();
    peer.write(plain());
    peer.read_exact::<1>();
    let (tell, joined) = channel();
    thread::spawn(move || tell.send(server.stop(PATIENCE)));
    let early = joined.recv_timeout(SOON);
    assert!(early.is_err(), "`serve` returns while the page is being sent");
    let mut rest = Vec::new();
    peer.stream.read_to_end(&mut rest).unwrap();
    let body = rest.iter().rev().take_while(|byte| **byte == b'p').count();
    assert_eq!(body, LENGTH);
    joined.recv_timeout(PATIENCE).unwrap().unwrap();
}

#[test]
fn a_client_that_comes_as_the_server_stops_gets_503() {
    let server = Server::bind("127.0.0.1:0").unwrap();
    let (address, handle) = (server.local_addr().unwrap(), server.handle());
    let dial = || Peer::new(TcpStream::connect(address).unwrap());
    let mut early = [dial(), dial(), dial()];
    early[0].write(request(&[]));
    early[2].write(plain());
    handle.stop(2 * PATIENCE);
    run(move || server.serve(|_| panic!("no client opens"))).wait().unwrap();
    for peer in &mut early {
        let response = peer.read_response();
        assert_eq!(response.status, 503);
        assert!(response.body.contains("about to stop"), "{}", response.body);
    }
    // The connection that wakes the server isn't counted.
    assert_eq!(handle.counters().refused, [(503, 3)].into());
}

#[test]
fn a_silent_client_that_is_accepted_after_the_stop_gets_503_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let limits = Limits { head: 2 * PATIENCE, ..Limits::default() };
    let server = Server::without_listener().limits(limits);
    server.handle().stop(Duration::ZERO);
    let mut silent = Peer::new(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
    let accepting = run(move || server.accept(listener.accept().unwrap().0).map(drop));
    assert_eq!(silent.read_response().status, 503);
    drop(silent);
    assert!(matches!(accepting.wait(), Err(Error::Refused(_))));
}

#[test]
fn a_server_that_stops_without_grace_still_sends_each_client_a_close() {
    let server = reader();
    let mut peers: Vec<Peer> = (0..20).map(|_| server.open()).collect();
    server.wait_until(|counters| counters.open == 20);
    server.stop(Duration::ZERO).unwrap();
    for peer in &mut peers {
        let close = peer.read_frame();
        assert_eq!((close.first, &close.payload[..2]), (0x88, &[3, 233][..]));
    }
}

/// A stream whose writes end only a little after its server has begun to stop.
struct LongWrite {
    stream: Arc<dyn Stream>,
    server: Handle,
    is_open: AtomicBool,
}

impl Stream for LongWrite {
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        self.stream.read(into)
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let count = self.stream.write(slices)?;
        // The first write is the 101.
        if self.is_open.swap(true, SeqCst) {
            while self.server.is_accepting() {
                thread::yield_now();
            }
            thread::sleep(Duration::from_millis(3));
        }
        Ok(count)
    }

    timeouts_and_shutdown_of!(stream);
}

#[test]
fn a_server_that_stops_without_grace_sends_a_close_though_another_thread_is_about_to_end_its_write()
{
    let gets_a_close = || {
        let wrap = |server: Server| {
            let handle = server.handle();
            server.wrap_stream(move |stream| -> Arc<dyn Stream> {
                let (server, is_open) = (handle.clone(), AtomicBool::new(false));
                Arc::new(LongWrite { stream, server, is_open })
            })
        };
        let server = serve(wrap, |mut ws| {
            ws.send("a write that takes long")?;
            ws.recv().map(drop)
        });
        let mut peer = server.open();
        assert_eq!(peer.read_frame().first, 0x81);
        server.stop(Duration::ZERO).unwrap();
        let mut rest = Vec::new();
        peer.stream.read_to_end(&mut rest).unwrap();
        rest.first() == Some(&0x88)
    };
    // The server waits 10 ms for the write. On a busy machine, that isn't always enough.
    let closed = (0..20).filter(|_| gets_a_close()).count();
    assert!(closed > 5, "{closed} of 20");
}

/// A stream whose first write waits until the test lets it go on.
struct Held {
    stream: Arc<dyn Stream>,
    go: Mutex<Option<Receiver<()>>>,
}

impl Stream for Held {
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        self.stream.read(into)
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if let Some(go) = self.go.lock().unwrap().take() {
            let _ = go.recv_timeout(PATIENCE);
        }
        self.stream.write(slices)
    }

    timeouts_and_shutdown_of!(stream);
}

/// A server whose first connection waits before its 101, until something comes through the channel.
fn held() -> (Running, Sender<()>) {
    let (go, wait) = channel();
    let wait = Mutex::new(Some(wait));
    let held = move |stream| -> Arc<dyn Stream> {
        Arc::new(Held { stream, go: Mutex::new(wait.lock().unwrap().take()) })
    };
    (serve(|server| server.wrap_stream(held), echo_handler), go)
}

#[test]
fn a_client_that_has_read_its_101_is_counted_as_open_and_as_accepted() {
    let (server, go) = held();
    let mut peer = server.dial();
    peer.write(request(&[]));
    // The 101 isn't written yet.
    server.wait_until(|counters| counters.open == 1);
    assert_eq!(server.handle.counters().accepted, 1);
    go.send(()).unwrap();
    assert_eq!(peer.read_response().status, 101);
}

#[test]
fn a_connection_whose_101_is_written_after_the_grace_is_aborted_too() {
    let (server, go) = held();
    let mut peer = server.dial();
    peer.write(request(&[]));
    server.wait_until(|counters| counters.open == 1);
    let handle = server.handle.clone();
    server.stop(Duration::ZERO).unwrap();
    go.send(()).unwrap();
    assert_eq!(peer.read_response().status, 101);
    let close = peer.read_frame();
    assert_eq!((close.first, &close.payload[..2]), (0x88, &[3, 233][..]));
    // The peer answers nothing, and its stream ends all the same.
    peer.read_end();
    let start = Instant::now();
    while handle.counters().open > 0 {
        assert!(start.elapsed() < PATIENCE, "{:?}", handle.counters());
        thread::yield_now();
    }
}

#[test]
fn a_second_stop_shortens_the_first_ones_grace() {
    let server = reader();
    let _lingering = server.open();
    server.wait_until(|counters| counters.open == 1);
    let start = Instant::now();
    server.handle.stop(2 * PATIENCE);
    server.handle.stop(SOON);
    server.wait_until(|counters| counters.open == 0);
    assert!(start.elapsed() < PATIENCE / 2, "{:?}", start.elapsed());
}

#[test]
fn a_server_without_a_listener_sends_each_client_a_close_and_aborts_those_that_stay() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let limits = Limits { close: 2 * PATIENCE, ..Limits::default() };
    let server = Server::without_listener().limits(limits);
    let handle = server.handle();
    let mut peer = Peer::new(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
    peer.write(request(&[]));
    let mut ws = server.accept(listener.accept().unwrap().0).unwrap();
    assert_eq!(peer.read_response().status, 101);
    let start = Instant::now();
    handle.stop(SOON);
    let ended = ws.recv();
    assert!(ended.is_err(), "{ended:?}");
    assert!(start.elapsed() < PATIENCE / 2, "{:?}", start.elapsed());
    let close = peer.read_frame();
    assert_eq!((close.first, &close.payload[..2]), (0x88, &[3, 233][..]));
}

/// A stream whose writes time out once the brake is on.
struct Brake {
    stream: Arc<dyn Stream>,
    is_on: Arc<AtomicBool>,
    timeout: Mutex<Duration>,
}

impl Stream for Brake {
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        self.stream.read(into)
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.is_on.load(SeqCst) {
            thread::sleep(*self.timeout.lock().unwrap());
            return Err(ErrorKind::WouldBlock.into());
        }
        self.stream.write(slices)
    }

    fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(timeout)
    }

    fn set_write_timeout(&self, timeout: Duration) -> io::Result<()> {
        *self.timeout.lock().unwrap() = timeout;
        self.stream.set_write_timeout(timeout)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.stream.shutdown(how)
    }
}

/// A stream that calls a function before it's shut down, and one before its write timeout is set.
struct Curious<S> {
    stream: S,
    before_shutdown: Box<dyn Fn() + Send + Sync>,
    before_timeout: Box<dyn Fn() + Send + Sync>,
}

impl<S: Stream> Stream for Curious<S> {
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        self.stream.read(into)
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.stream.write(slices)
    }

    fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(timeout)
    }

    fn set_write_timeout(&self, timeout: Duration) -> io::Result<()> {
        (self.before_timeout)();
        self.stream.set_write_timeout(timeout)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        (self.before_shutdown)();
        self.stream.shutdown(how)
    }
}

#[test]
fn no_lock_of_the_server_is_held_while_it_shuts_a_stream_of_its_caller_down() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = Server::without_listener();
    let handle = server.handle();
    let (tell, told) = channel();
    let (tell, asked) = (Mutex::new(tell), handle.clone());
    let before_shutdown = Box::new(move || {
        let _ = tell.lock().unwrap().send(asked.counters().open);
    });
    let mut peer = Peer::new(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
    peer.write(request(&[]));
    let (stream, _) = listener.accept().unwrap();
    let before_timeout = Box::new(|| {});
    let ws = server.accept(Curious { stream, before_shutdown, before_timeout }).unwrap();
    handle.stop(Duration::ZERO);
    assert_eq!(told.recv_timeout(PATIENCE).expect("the server answers"), 1);
    drop((ws, peer));
}

#[test]
fn a_stream_that_panics_as_a_stopping_server_closes_it_ends_neither_serve_nor_the_other_connections_later()
 {
    // The first connection's stream panics when it's aborted, and the second one's when it's sent a Close.
    let is_stopping = Arc::new(AtomicBool::new(false));
    let (stopping, opened) = (is_stopping.clone(), AtomicUsize::new(0));
    let wrap = move |stream: Arc<dyn Stream>| -> Arc<dyn Stream> {
        let number = opened.fetch_add(1, SeqCst);
        let panic_if = |panics: bool| -> Box<dyn Fn() + Send + Sync> {
            let stopping = stopping.clone();
            Box::new(move || assert!(!panics || !stopping.load(SeqCst), "on purpose"))
        };
        let (before_shutdown, before_timeout) = (panic_if(number == 0), panic_if(number == 1));
        Arc::new(Curious { stream, before_shutdown, before_timeout })
    };
    let server = serve(|server| server.wrap_stream(wrap), echo_handler);
    // None of them answers its Close.
    let mut peers: Vec<Peer> = (0..10).map(|_| server.open()).collect();
    is_stopping.store(true, SeqCst);
    run(move || server.stop(SOON)).wait().unwrap();
    for peer in &mut peers[2..] {
        assert_eq!(peer.read_frame().first, 0x88);
        peer.read_end();
    }
}

#[test]
#[cfg_attr(target_os = "macos", ignore = "needs `ulimit -n 1024`: macOS allows 256 descriptors")]
fn what_if_the_server_stops_with_hundreds_of_clients_that_read_nothing() {
    const MANY: usize = 200;
    let is_on = Arc::new(AtomicBool::new(false));
    let brake = is_on.clone();
    let wrap = move |stream| -> Arc<dyn Stream> {
        Arc::new(Brake { stream, is_on: brake.clone(), timeout: Mutex::default() })
    };
    let server = serve(|server| server.wrap_stream(wrap), echo_handler);
    let peers: Vec<Peer> = (0..MANY).map(|_| server.open()).collect();
    server.wait_until(|counters| counters.accepted == MANY as u64);
    is_on.store(true, SeqCst);
    let start = Instant::now();
    server.stop(SOON).unwrap();
    // Ten milliseconds each would be four seconds, because each is asked to close twice.
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    drop(peers);
}

/// Not a test by itself: the next test runs it in a process of its own.
#[test]
#[ignore = "waits for a line, for the test that runs it with few descriptors"]
fn an_echo_that_stops_when_it_reads_a_line() {
    let server = echo();
    println!("address {}", server.address);
    io::stdin().read_line(&mut String::new()).unwrap();
    server.stop(SOON).unwrap();
    println!("stopped");
}

#[test]
#[cfg(target_os = "linux")]
fn what_if_the_server_stops_when_no_descriptor_is_left() {
    use std::io::BufRead;
    use std::net::SocketAddr;
    use std::process::{Command, Stdio};

    let mut process = Command::new("sh")
        .args(["-c", "ulimit -n 40; exec \"$0\" --ignored --exact --nocapture \"$1\""])
        .arg(std::env::current_exe().unwrap())
        .arg("registry::an_echo_that_stops_when_it_reads_a_line")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = process.stdout.take().unwrap();
    let lines = run(move || {
        let mut lines = io::BufReader::new(output).lines().map(|line| line.unwrap());
        let address = lines.find_map(|line| Some(line.split_once("address ")?.1.to_owned()));
        let address: SocketAddr = address.unwrap().parse().unwrap();
        let mut inside = Vec::new();
        loop {
            let mut peer = Peer::new(TcpStream::connect(address).unwrap());
            peer.write(request(&[]));
            match peer.read_response().status {
                101 => inside.push(peer),
                status => break assert_eq!(status, 503),
            }
        }
        process.stdin.take().unwrap().write_all(b"\n").unwrap();
        let stopped = run(move || lines.filter(|line| line.contains("stopped")).count() == 1);
        let stopped = stopped.wait();
        drop(inside);
        process.wait().unwrap();
        stopped
    });
    assert!(lines.wait());
}

// The end of a connection.

#[test]
fn a_close_that_came_in_time_counts_however_late_recv_reads_it() {
    let limits = || Limits { close: SOON, ..Limits::default() };
    let (tell, told) = channel();
    let (free, busy) = channel();
    let busy = Mutex::new(busy);
    let server = serve(
        |server| server.limits(limits()),
        move |mut ws| {
            assert!(ws.recv()?.is_some());
            // A read that has timed out before the deadline says nothing about what came later.
            assert!(matches!(ws.recv_timeout(Duration::ZERO), Err(Error::TimedOut)));
            ws.sender().close(1001, "")?;
            busy.lock().unwrap().recv_timeout(PATIENCE).unwrap();
            let heard = (ws.recv(), ws.recv(), ws.closed_with().map(|close| close.code.0));
            tell.send(heard).unwrap();
            Ok(())
        },
    );
    let mut peer = server.dial();
    // The server sends its Close, and the deadline begins, only after it has read this message.
    peer.write([request(&[]).into_bytes(), masked(0x81, "work")].concat());
    assert_eq!(peer.read_response().status, 101);
    assert_eq!(peer.read_frame().first, 0x88);
    peer.write([masked(0x81, "more work"), masked(0x88, [3, 233])].concat());
    // The deadline of closing passes before anybody looks.
    thread::sleep(2 * SOON);
    free.send(()).unwrap();
    let (more, end, closed_with) = told.recv_timeout(PATIENCE).unwrap();
    assert_eq!(more.unwrap().unwrap().as_text(), Some("more work"));
    assert_eq!((end.unwrap(), closed_with), (None, Some(1001)));
}

#[test]
fn a_dropped_outbox_sends_what_is_in_it_and_keeps_no_thread() {
    let server = echo();
    let mut ws = ws101::connect(&server.url()).unwrap();
    for _ in 0..50 {
        ws.outbox(2).unwrap().try_send(&PreparedMessage::new("last words")).unwrap();
    }
    for _ in 0..50 {
        assert_eq!(ws.recv().unwrap().unwrap().as_text(), Some("last words"));
    }
    #[cfg(target_os = "linux")]
    {
        // Servers of other tests may have one or two threads of the same name.
        let name = format!("outbox {}\n", ws.id());
        let is_called_so = |task: io::Result<std::fs::DirEntry>| {
            let comm = std::fs::read_to_string(task.unwrap().path().join("comm"));
            comm.is_ok_and(|comm| comm == name)
        };
        let start = Instant::now();
        let tasks = || std::fs::read_dir("/proc/self/task").unwrap();
        while tasks().map(is_called_so).filter(|is_it| *is_it).count() > 5 {
            assert!(start.elapsed() < PATIENCE);
            thread::yield_now();
        }
    }
}

/// A stream that delivers a request and then nothing, and accepts one write.
struct Mute {
    reads: AtomicUsize,
    writes: AtomicUsize,
}

impl Stream for Mute {
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        match self.reads.fetch_add(1, SeqCst) {
            0 => Read::read(&mut request(&[]).as_bytes(), into),
            _ => Err(ErrorKind::WouldBlock.into()),
        }
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.writes.fetch_add(1, SeqCst) {
            0 => Ok(slices.iter().map(|slice| slice.len()).sum()),
            _ => Err(ErrorKind::BrokenPipe.into()),
        }
    }

    neither_timeouts_nor_shutdown!();
}

#[test]
fn nothing_is_received_after_an_error_and_unsent_messages_are_not_counted() {
    let server = Server::without_listener().limits(Limits { close: SOON, ..Limits::default() });
    let stream = Mute { reads: AtomicUsize::new(0), writes: AtomicUsize::new(0) };
    let mut ws = server.accept(stream).unwrap();
    ws.feed("never sent").unwrap();
    let lost = ws.recv();
    assert!(matches!(lost, Err(Error::ConnectionLost(_))), "{lost:?}");
    assert_eq!(ws.recv().unwrap(), None);
    drop(ws);
    let counters = server.handle().counters();
    assert_eq!((counters.messages_out, counters.bytes_out), (0, 0));
}

#[test]
fn a_connection_that_has_ended_still_knows_who_its_peer_was() {
    let (report, reported) = channel();
    let server = serve(
        |server| server,
        move |mut ws| {
            ws.recv().unwrap_err();
            report.send(ws.peer()).unwrap();
            Ok(())
        },
    );
    let peer = server.open();
    let address = peer.stream.local_addr().unwrap();
    drop(peer);
    assert_eq!(reported.recv_timeout(PATIENCE).unwrap(), Some(address));
}

#[test]
fn a_close_waits_for_a_sending_thread_that_finishes_in_time() {
    let (report, reported) = channel();
    let server = echo();
    let mut ws = ws101::connect(&server.url()).unwrap();
    let sender = ws.sender();
    let sending = run(move || {
        let mut writer = sender.send_stream(MessageKind::Text).unwrap();
        report.send(()).unwrap();
        thread::sleep(2 * SOON);
        writer.write_all(b"whole").unwrap();
        writer.finish()
    });
    reported.recv_timeout(PATIENCE).unwrap();
    ws.close(1000, "").unwrap();
    sending.wait().unwrap();
    server.wait_until(|counters| counters.messages_in == 1);
}

#[test]
fn a_server_counts_a_message_after_which_its_handler_returns() {
    let server = serve(|server| server, |mut ws| ws.recv().map(drop));
    let mut peer = server.open();
    peer.write(masked(0x81, "a"));
    assert_eq!(peer.read_frame().first, 0x88);
    drop(peer);
    server.wait_until(|counters| counters.open == 0);
    assert_eq!(server.handle.counters().messages_in, 1);
}

#[test]
fn recv_timeout_holds_while_the_rest_of_a_stream_arrives_byte_by_byte() {
    let (report, reported) = channel();
    let server = serve(
        |server| server,
        move |mut ws| {
            let mut reader = ws.recv_stream()?.unwrap();
            reader.read_exact(&mut [0; 10]).unwrap();
            drop(reader);
            let start = Instant::now();
            let timed_out = matches!(ws.recv_timeout(SOON), Err(Error::TimedOut));
            report.send((timed_out, start.elapsed())).unwrap();
            Ok(())
        },
    );
    let mut peer = server.open();
    let frame = masked(0x82, vec![0; 8 << 20]);
    let (start, mut pieces) = (Instant::now(), frame.chunks(64));
    let (timed_out, took) = loop {
        peer.write(pieces.next().unwrap());
        thread::sleep(Duration::from_micros(100));
        match reported.try_recv() {
            Ok(report) => break report,
            Err(_) => assert!(start.elapsed() < PATIENCE / 2, "it has no end"),
        }
    };
    assert!(timed_out && took < PATIENCE / 4, "{took:?}");
}
