//! Rooms 1 to 6, counted: memory, work, descriptors and threads, each as a number.
//!
//! Each exhibit runs alone, with an allocator that counts the bytes of each thread. So memory that an
//! exhibit counts in its own thread belongs to the code under test. Work is the processor time of one
//! thread. It's never compared with a number of seconds, only with the work for half the task.

#[allow(dead_code, reason = "the museum borrows what it needs")]
#[path = "../../../protocol/support.rs"]
mod frames;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use counted::{
    alone, descriptors, growth, held, held_here, is_told_not_to_wait, peak, threads_of_connections,
};
use flate2::Compression;
use flate2::write::DeflateEncoder;
use ws101::frames::assembler::Bounds;
use ws101::frames::buffer::Buffer;
use ws101::frames::decoder::{Decoder, Event};
use ws101::frames::deflate::inflater_and_deflater;
use ws101::frames::header::Role;
use ws101::handshake::client::ClientRequest;
use ws101::handshake::deflate_params::DeflateParams;
use ws101::handshake::server::{Rules, decide};
use ws101::http::head::Head;
use ws101::http::request::Request;
use ws101::{Client, DeflateConfig, Handle, Limits, Server};

use frames::{NO_BOUNDS, ROLES, frame, head, peer_of};

const KIB: usize = 1024;
/// How much memory an end may hold besides the payload.
const LITTLE: usize = 64 * KIB;
/// Longer than any test may take. It only ends a test that would hang.
const PATIENCE: Duration = Duration::from_secs(20);

fn at(role: Role, bounds: Bounds) -> Decoder {
    Decoder::new(role, bounds, Buffer::default())
}

/// Reads these bytes in reads of at most `at_a_time` bytes. Returns how many events they make, or a close
/// code. It keeps no event.
fn take(incoming: &mut Decoder, bytes: &[u8], at_a_time: usize) -> Result<usize, u16> {
    let mut events = 0;
    for mut piece in bytes.chunks(at_a_time) {
        while !piece.is_empty() {
            let space = incoming.space();
            let count = space.len().min(piece.len());
            space[..count].copy_from_slice(&piece[..count]);
            incoming.filled(count);
            piece = &piece[count..];
            loop {
                match incoming.next_event() {
                    Ok(Some(Event::Close(close))) => return Err(close.code.0),
                    Ok(Some(_)) => events += 1,
                    Ok(None) => break,
                    Err(violation) => return Err(violation.close_code().0),
                }
            }
        }
    }
    Ok(events)
}

/// rust-websocket RUSTSEC-2022-0035; ws CVE-2016-10542; QEMU CVE-2015-1779; Qt CVE-2018-21035; eventlet PYSEC-2021-12; libsoup CVE-2025-32049; and those of a top bit, as NATS CVE-2026-27889
///
/// A header announced two gigabytes, and the program allocated them before the first byte had
/// arrived. A few such headers, with nothing after them, ended the process.
///
/// Bytes: `82 FF 00000000 7FFFFFFF m`, then silence, or a megabyte; `82 FF 80 00..00 m`
/// Holds: the memory grows with the received bytes: at most twice that and 64 KiB, at both ends
/// Twin: src/frames/assembler.rs
/// was `Some(sum) if sum <= self.max_announced_total() => self.announced = sum,`
/// now `Some(sum) if sum <= self.max_announced_total() => { self.announced = sum; self.bytes.reserve_exact(header.length as usize); }`
#[test]
fn rustsec_2022_0035_what_if_a_header_announces_what_never_comes() {
    let _alone = alone();
    let bounds = Bounds { max_message: 1 << 40, ..NO_BOUNDS };
    let megabyte = vec![0x61; 1 << 20];
    for role in ROLES {
        for first in [0x81, 0x82] {
            for length in [0x7fff_ffff, 1 << 33, 1 << 63, u64::MAX, 1 << 20] {
                for received in [0, 1, 1 << 10, 1 << 20] {
                    let head = [&[first, 127][..], &u64::to_be_bytes(length)].concat();
                    let bytes = frame(peer_of(role), &head, &megabyte[..received]);
                    let held = peak(|| {
                        let _ = take(&mut at(role, bounds), &bytes, 16 * KIB);
                    });
                    assert!(held <= 2 * received + LITTLE, "{role:?}: {held} for {received}");
                }
            }
        }
    }
}

/// ws CVE-2026-48779; ws #2331; undici CVE-2026-12151
///
/// Each fragment was an object in a list, so each byte of payload cost some hundred bytes of
/// memory.
///
/// Bytes: `00 80 m`, and `00 81 m 61`, 10^6 times, with the limit of fragments lifted
/// Holds: one flat piece of memory: at most twice the payload and 64 KiB
/// Twin: src/frames/assembler.rs
/// was `self.bytes.extend_from_slice(piece);`
/// now `self.bytes.extend_from_slice(piece); std::mem::forget(std::hint::black_box(vec![0_u8; 16]));`
#[test]
fn cve_2026_48779_what_if_a_million_fragments_are_kept() {
    const MILLION: usize = 1_000_000;
    let _alone = alone();
    for role in ROLES {
        for payload in [&b""[..], b"a"] {
            let first = frame(peer_of(role), &head(0x02, 0), b"");
            let next = frame(peer_of(role), &head(0x00, payload.len()), payload).repeat(1_000);
            let mut incoming = at(role, NO_BOUNDS);
            let held = peak(|| {
                take(&mut incoming, &first, 100).unwrap();
                (0..MILLION / 1_000).for_each(|_| {
                    take(&mut incoming, &next, 4 * KIB).unwrap();
                });
            });
            assert!(held <= 2 * MILLION * payload.len() + LITTLE, "{role:?}: {held}");
        }
    }
}

/// Bandit CVE-2026-65623
///
/// With each fragment, the whole message so far was measured again. Twice as many fragments were
/// four times the work.
///
/// Bytes: 10^5 and 2 x 10^5 fragments of one byte, of text and of binary
/// Holds: work(2n) / work(n) is at most 3 (where it is quadratic: 4)
/// Twin: src/frames/assembler.rs
/// was `self.bytes.extend_from_slice(piece);`
/// now `self.bytes.extend_from_slice(piece); std::hint::black_box(self.bytes.iter().step_by(64).fold(0_u8, |sum, byte| sum ^ byte));`
#[test]
fn cve_2026_65623_what_if_a_message_is_measured_again_with_each_fragment() {
    let _alone = alone();
    for (role, first) in ROLES.into_iter().flat_map(|role| [(role, 0x01), (role, 0x02)]) {
        let first = frame(peer_of(role), &head(first, 0), b"");
        let next = frame(peer_of(role), &head(0x00, 1), b"a").repeat(100);
        let grown = growth(100_000, |fragments| {
            let mut incoming = at(role, NO_BOUNDS);
            take(&mut incoming, &first, 100).unwrap();
            (0..fragments / 100).for_each(|_| {
                take(&mut incoming, &next, 4 * KIB).unwrap();
            });
        });
        assert!(grown <= 3.0, "{role:?}: twice the fragments are {grown:.2} times the work");
    }
}

/// aiohttp CVE-2026-54274
///
/// A frame of some megabytes came in tiny reads. Each read was stored as an object until the frame
/// was complete, and took 28 times its size. The bytes of an incomplete frame counted towards no
/// limit.
///
/// Bytes: a frame of 4 MiB, one byte a read
/// Holds: a read stores nothing but its bytes: at most twice the payload and 64 KiB
/// Twin: src/frames/buffer.rs
/// was `let filled_up = count == self.room.len() - self.end;`
/// now `let filled_up = count == self.room.len() - self.end; std::mem::forget(std::hint::black_box(vec![0_u8; 28]));`
#[test]
fn cve_2026_54274_what_if_a_large_frame_dribbles_in() {
    const LENGTH: usize = 4 << 20;
    let _alone = alone();
    let payload = vec![0x61; LENGTH];
    for role in ROLES {
        for first in [0x81, 0x82] {
            let bytes = frame(peer_of(role), &head(first, LENGTH), &payload);
            let held = peak(|| assert_eq!(take(&mut at(role, NO_BOUNDS), &bytes, 1), Ok(1)));
            assert!(held <= 2 * LENGTH + LITTLE, "{role:?}: {held}");
            let bounds = Bounds { max_message: LENGTH as u64 - 1, ..NO_BOUNDS };
            let held = peak(|| assert_eq!(take(&mut at(role, bounds), &bytes, 1), Err(1009)));
            assert!(held <= LITTLE, "{role:?}: {held}");
        }
    }
}

/// Undertow CVE-2021-3690; coder/websocket (2021)
///
/// Each pong without a ping leaked its buffer.
///
/// Bytes: `8A 80 m`, and `8A FD m ..`, 10^6 of each
/// Holds: the memory after a million is that after a hundred
/// Twin: src/frames/decoder.rs
/// was `Opcode::Pong if whole => return Ok(Some(Event::Pong(self.take_control()))),`
/// now `Opcode::Pong if whole => { std::mem::forget(std::hint::black_box(vec![0_u8; 1])); return Ok(Some(Event::Pong(self.take_control()))); }`
#[test]
fn cve_2021_3690_what_if_a_million_pongs_come_without_a_ping() {
    let _alone = alone();
    for role in ROLES {
        for payload in [&[][..], &[7; 125]] {
            let pongs = frame(peer_of(role), &head(0x8a, payload.len()), payload).repeat(100);
            let mut incoming = at(role, NO_BOUNDS);
            assert_eq!(take(&mut incoming, &pongs, 1_000), Ok(100));
            let before = held_here();
            let most = peak(|| {
                (0..9_999).for_each(|_| assert_eq!(take(&mut incoming, &pongs, 1_000), Ok(100)));
            });
            assert!(held_here() <= before + KIB && most <= 4 * KIB, "{role:?}: {most}");
        }
    }
}

/// websockets CVE-2018-1000518; uWS CVE-2016-10544; Bandit CVE-2026-39804; undici CVE-2026-1526; NATS CVE-2026-27571; websocket-driver CVE-2026-54464
///
/// A kilobyte inflates to a megabyte, and the limit counts only the kilobyte.
///
/// Bytes: 64 MiB of zeros, deflated, whole and in fragments, to an end that takes 1 MiB
/// Holds: 1009, with no more held on the way than the limit and 64 KiB, beside an inflater and its window of less than 96 KiB
/// Twin: src/frames/deflate/inflater.rs
/// was `let most = left.saturating_add(1).min(PIECE as u64) as usize;`
/// now `let mut room = vec![0; 64 << 20]; let most = room.len(); let _ = left;`
#[test]
fn cve_2018_1000518_what_if_a_bomb_is_inflated() {
    const LIMIT: usize = 1 << 20;
    let _alone = alone();
    let mut zip = DeflateEncoder::new(Vec::new(), Compression::best());
    (0..64).for_each(|_| zip.write_all(&vec![0; 1 << 20]).unwrap());
    zip.flush().unwrap();
    let bomb = zip.get_ref().clone();
    drop(zip);
    assert!(bomb.len() < 80 * KIB, "{} bytes", bomb.len());
    let mut zip = DeflateEncoder::new(Vec::new(), Compression::best());
    zip.write_all(&[1; 40 * KIB]).unwrap();
    zip.flush().unwrap();
    let message = &zip.get_ref()[..zip.get_ref().len() - 4];
    for role in ROLES {
        let first = frame(peer_of(role), &head(0xc2, message.len()), message);
        for fragment in [bomb.len(), 1_000, 1] {
            let last = bomb.len().div_ceil(fragment) - 1;
            let fragments = bomb.chunks(fragment).enumerate().flat_map(|(number, piece)| {
                let first = if number == 0 { 0x42 } else { 0x00 };
                let fin = if number == last { 0x80 } else { 0x00 };
                frame(peer_of(role), &head(first | fin, piece.len()), piece)
            });
            let bytes: Vec<u8> = fragments.collect();
            let agreed = Some((DeflateParams::default(), DeflateConfig::default()));
            let (inflater, _) = inflater_and_deflater(role, agreed, LIMIT as u64);
            let bounds = Bounds { max_message: LIMIT as u64, ..NO_BOUNDS };
            let mut incoming = at(role, bounds).inflating(inflater);
            // The inflater and its window are there from the first long message on.
            let before = held_here();
            assert_eq!(take(&mut incoming, &first, 1_000), Ok(1));
            let window = held_here() - before;
            assert!(window <= 96 * KIB, "{role:?}: {window} for a window");
            let held = peak(|| assert_eq!(take(&mut incoming, &bytes, 1_000), Err(1009)));
            assert!(held <= LIMIT + LITTLE, "{role:?}: {held}");
        }
    }
}

/// ws CVE-2021-32640; websocket-extensions CVE-2020-7662; Deno CVE-2023-26103
///
/// A regular expression that can match a text in many ways tries all of them before it gives up. A
/// header of some kilobytes blocked a process for minutes.
///
/// Bytes: `b` and spaces and `x`, `a; b="\c\c\c..`, commas, semicolons; from 1 KiB to 64 KiB
/// Holds: a header of twice the length takes at most 3 times the work (if it were quadratic: 4)
/// Twin: src/handshake/extension.rs
/// was `'\\' => value.push(characters.next()?),`
/// now `'\\' => { std::hint::black_box(is_token(&value)); value.push(characters.next()?) }`
#[test]
fn cve_2021_32640_what_if_a_header_can_be_read_in_many_ways() {
    let _alone = alone();
    for (role, name) in REQUEST_NAMES
        .map(|name| (Role::Server, name))
        .into_iter()
        .chain(ANSWER_NAMES.map(|name| (Role::Client, name)))
    {
        for (before, again, behind) in [
            ("b", " ", "x"),
            ("a; b=\"", "\\c", ""),
            ("a; b=\"", "\\c", "\""),
            ("a", ",", ""),
            ("a", "; b", "="),
            ("", "a, ", "\""),
        ] {
            let heads = [1, 2, 32, 64].map(|kib| {
                let value = format!("{before}{}{behind}", again.repeat(kib * KIB / again.len()));
                (kib * KIB, head_to(role, name, &value))
            });
            for small in [1, 32] {
                let grown = growth(small * KIB, |length| {
                    let (_, head) = heads.iter().find(|head| head.0 == length).unwrap();
                    (0..64 / small).for_each(|_| read_head(role, head));
                });
                assert!(
                    grown <= 3.0,
                    "{role:?}: {name}: {before}{again}..{behind}: {grown:.2} times the work"
                );
            }
        }
    }
}

const REQUEST_NAMES: [&str; 7] = [
    "Sec-WebSocket-Extensions",
    "Sec-WebSocket-Protocol",
    "Connection",
    "Upgrade",
    "Cookie",
    "Origin",
    "Host",
];
const ANSWER_NAMES: [&str; 4] =
    ["Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol", "Connection", "Upgrade"];
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// A valid head for this end, except for one header.
fn head_to(role: Role, name: &str, value: &str) -> String {
    let (first, lines) = match role {
        Role::Server => (
            "GET / HTTP/1.1",
            &[("Host", "a"), ("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", KEY)][..],
        ),
        Role::Client => (
            "HTTP/1.1 101 Switching Protocols",
            &[("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")][..],
        ),
    };
    let both = [("Upgrade", "websocket"), ("Connection", "upgrade")];
    let others = lines.iter().chain(&both).filter(|line| line.0 != name);
    let others = others.map(|(name, value)| format!("{name}: {value}\r\n"));
    format!("{first}\r\n{}{name}: {value}\r\n\r\n", others.collect::<String>())
}

/// All that an end does with a head.
fn read_head(role: Role, head: &str) {
    let deflate = Some(DeflateConfig::default());
    match role {
        Role::Server => {
            let rules = Rules { deflate, ..Rules::default() };
            let request = Request::parse(head.as_bytes());
            let _ = request.and_then(|request| decide(&request, &rules));
        }
        Role::Client => {
            let ask = ClientRequest { deflate, ..ClientRequest::default() };
            let _ = ask.verify(&Head::parse(head.as_bytes()).unwrap(), KEY);
        }
    }
}

/// A server that echoes, until it is dropped.
struct Echo {
    address: SocketAddr,
    handle: Handle,
}

impl Echo {
    fn start() -> Echo {
        let server = Server::bind("127.0.0.1:0").unwrap();
        let server = server.limits(Limits { max_message: 1_000, ..Limits::default() });
        let (address, handle) = (server.local_addr().unwrap(), server.handle());
        thread::spawn(move || {
            server.serve(|mut ws| {
                while let Some(message) = ws.recv()? {
                    ws.send(message)?;
                }
                Ok(())
            })
        });
        Echo { address, handle }
    }

    fn dial(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn open(&self) -> TcpStream {
        let mut stream = self.dial();
        let request = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                       Sec-WebSocket-Version: 13\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "));
        stream
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.handle.stop(Duration::ZERO);
    }
}

#[track_caller]
fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        thread::yield_now();
    }
}

/// CryptPad CVE-2025-51846; Mesop (2026)
///
/// A client sent empty messages as fast as it could. Each took a thread, or a whole turn of the one
/// thread that serves all clients.
///
/// Bytes: `81 80 m`, 10^5 times, while others use an echo
/// Holds: there are as many threads as connections, and the others are served all the time
/// Twin: src/connection/read_half.rs
/// was `self.messages += u32::from(!matches!(event, Event::Piece { last: false, .. }));`
/// now `std::thread::spawn(|| std::thread::sleep(Duration::from_secs(2)));`
#[test]
fn cve_2025_51846_what_if_empty_messages_come_at_full_rate() {
    const AT_ONCE: usize = 1_000;
    let _alone = alone();
    wait_until("none is left of another exhibit", || threads_of_connections() == 0);
    let server = Echo::start();
    let (mut flood, mut others) = (server.open(), [server.open(), server.open()]);
    let empty = frame(Role::Client, &[0x81, 0], b"").repeat(AT_ONCE);
    for _ in 0..100 {
        flood.write_all(&empty).unwrap();
        for other in &mut others {
            other.write_all(&frame(Role::Client, &[0x81, 1], b"a")).unwrap();
            let mut echo = [0; 3];
            other.read_exact(&mut echo).unwrap();
            assert_eq!(&echo, b"\x81\x01a");
        }
        let mut echoes = [0; 2 * AT_ONCE];
        flood.read_exact(&mut echoes).unwrap();
        assert_eq!(echoes, *[0x81, 0].repeat(AT_ONCE));
        let threads = threads_of_connections();
        assert!(threads <= 3, "{threads} threads for three connections");
    }
}

/// Tomcat CVE-2021-42340, CVE-2022-25762, CVE-2024-23672
///
/// Each connection that ended leaked an object, a descriptor or a thread. One that ended badly
/// leaked all three.
///
/// Bytes: 3,000 connections that end in every way: closed, cut, broken, within a head, within a frame
/// Holds: memory, descriptors and threads are back to where they were
/// Twin: src/server/registry/registry.rs
/// was `lock(&self.open).remove(&id);`
/// now ``
/// Twin: src/server/registry/pending_connections.rs
/// was `pending.retain(|other| other.id != self.id);`
/// now ``
#[test]
fn cve_2021_42340_what_if_thousands_of_connections_come_and_go() {
    let _alone = alone();
    let server = Echo::start();
    let come_and_go = |count: usize| {
        for number in 0..count {
            match number % 6 {
                0 => {
                    let mut peer = server.open();
                    peer.write_all(&frame(Role::Client, &[0x88, 2], &[3, 232])).unwrap();
                    peer.read_to_end(&mut Vec::new()).unwrap();
                }
                1 => drop(server.open()),
                2 => drop(server.dial().write_all(b"GET / HT")),
                3 => {
                    let mut peer = server.open();
                    peer.write_all(&[0x82, 0x85, 1, 2, 3, 4, 5]).unwrap();
                    peer.shutdown(Shutdown::Both).unwrap();
                }
                4 => {
                    let mut peer = server.open();
                    peer.write_all(&[0xff; 2]).unwrap();
                    peer.shutdown(Shutdown::Write).unwrap();
                    let _ = peer.read_to_end(&mut Vec::new());
                }
                _ => drop(server.dial()),
            }
        }
    };
    let settled = || {
        wait_until("all have left", || server.handle.counters().open == 0);
        wait_until("their threads end", || threads_of_connections() == 0);
    };
    // The first ones make what is made once.
    come_and_go(30);
    settled();
    let before = (held(), descriptors());
    come_and_go(3_000);
    settled();
    wait_until("their descriptors are closed", || descriptors() <= before.1);
    wait_until("their memory is back", || held() <= before.0 + LITTLE);
}

/// Nagle
///
/// A small frame waited for the acknowledgement of the frame before it, and that acknowledgement
/// waited 40 ms for data to travel with.
///
/// Bytes: none; the sockets are asked
/// Holds: TCP_NODELAY is set at a server and at a client
/// Twin: src/transport/listener.rs
/// was `let _ = stream.set_nodelay(true);`
/// now ``
/// Twin: src/client/client.rs
/// was `let _ = stream.set_nodelay(true);`
/// now ``
#[test]
fn nagle_what_if_a_small_frame_waits_for_the_one_before_it() {
    let _alone = alone();
    let server = Echo::start();
    let peer = server.open();
    let told = is_told_not_to_wait(peer.local_addr().unwrap());
    assert_eq!(told, Some(true), "the server's");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let connecting = thread::spawn(move || Client::new(format!("ws://{address}")).connect());
    let (mut stream, _) = listener.accept().unwrap();
    stream.read_exact(&mut [0; 4]).unwrap();
    assert_eq!(is_told_not_to_wait(address), Some(true), "the client's");
    drop(stream);
    assert!(connecting.join().unwrap().is_err());
}
