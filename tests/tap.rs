//! A tap explains each byte that passes, and changes none of them.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use ws101::explain::annotation::{Annotation, AnnotationKind, Verdict};
use ws101::explain::text::Style;
use ws101::frames::header::Role;
use ws101::{Client, Explainer, Server, Stream, Tap};

/// Two ends of a connection on the loopback interface.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let dialled = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (dialled, listener.accept().unwrap().0)
}

/// A sink for a tap, and the annotations that it receives, in their order.
fn sink() -> (impl FnMut(Annotation) + Send + 'static, Receiver<Annotation>) {
    let (sender, annotations) = channel();
    (move |annotation| drop(sender.send(annotation)), annotations)
}

fn bytes(count: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as u8
    };
    (0..count).map(|_| next()).collect()
}

#[test]
fn bytes_pass_unchanged_in_both_directions_whatever_they_are() {
    let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec();
    let frames = [&b"\x82\x7f\0\0\0\0\0\x10\0\0"[..], &bytes(0x10_0000, 1)].concat();
    for there in [bytes(100_000, 2), [request, bytes(70_000, 3)].concat(), frames] {
        let (mut peer, stream) = pair();
        let (sink, annotations) = sink();
        let tap = Arc::new(Tap::new(stream, Role::Server, sink));
        let back = bytes(150_000, 4);
        // The peer sends and takes at the same time; so does the tapped end.
        let (sent, expected) = (there.clone(), back.clone());
        let mut writer = peer.try_clone().unwrap();
        let sending = thread::spawn(move || {
            writer.write_all(&sent).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        let taking = thread::spawn(move || {
            let mut got = Vec::new();
            peer.read_to_end(&mut got).unwrap();
            assert!(got == expected);
        });
        let tapped = tap.clone();
        let writing = thread::spawn(move || {
            let mut rest = &back[..];
            while !rest.is_empty() {
                let (first, second) = rest.split_at(rest.len().min(777));
                let slices = [IoSlice::new(first), IoSlice::new(&[]), IoSlice::new(second)];
                rest = &rest[tapped.write(&slices).unwrap()..];
            }
            tapped.shutdown(Shutdown::Write).unwrap();
        });
        let (mut got, mut room) = (Vec::new(), [0; 1000]);
        loop {
            match tap.read(&mut room).unwrap() {
                0 => break,
                count => got.extend_from_slice(&room[..count]),
            }
        }
        assert!(got == there);
        for thread in [sending, taking, writing] {
            thread.join().unwrap();
        }
        drop(tap);
        // And each byte has been explained once.
        let mut explained = [0, 0];
        for annotation in annotations {
            let explained = &mut explained[usize::from(annotation.from == Role::Server)];
            assert_eq!(*explained, annotation.start);
            *explained += annotation.length;
        }
        assert_eq!(explained, [there.len() as u64, 150_000]);
    }
}

#[test]
fn a_whole_conversation_is_explained_at_both_ends() {
    let (sink_of_server, at_server) = sink();
    let sink_of_server = Mutex::new(Some(sink_of_server));
    let server = Server::bind("127.0.0.1:0").unwrap().wrap_stream(move |stream| {
        Arc::new(Tap::new(stream, Role::Server, sink_of_server.lock().unwrap().take().unwrap()))
    });
    let (address, handle) = (server.local_addr().unwrap(), server.handle());
    let serving = thread::spawn(move || {
        server.serve(|mut ws| {
            while let Some(message) = ws.recv()? {
                ws.send(message)?;
            }
            Ok(())
        })
    });
    let (sink_of_client, at_client) = sink();
    let stream = TcpStream::connect(address).unwrap();
    let tap = Tap::new(stream, Role::Client, sink_of_client);
    let mut ws = Client::new(format!("ws://{address}/x")).connect_over(tap).unwrap();
    ws.send("Gr\u{fc}\u{df}e").unwrap();
    assert_eq!(ws.recv().unwrap().unwrap().as_text(), Some("Gr\u{fc}\u{df}e"));
    ws.close(4001, "enough").unwrap();
    drop(ws);
    handle.stop(std::time::Duration::from_secs(5));
    serving.join().unwrap().unwrap();

    let titles = |annotations: Receiver<Annotation>, from: Role| -> Vec<String> {
        let mut titles = Vec::new();
        for annotation in annotations {
            assert!(matches!(annotation.verdict, Verdict::Fine), "{annotation:?}");
            if annotation.from == from {
                titles.push(annotation.title);
            }
        }
        titles
    };
    let of_client =
        ["a request for a WebSocket", "text, 7 bytes, masked", "close, 8 bytes, masked"];
    assert_eq!(titles(at_client, Role::Client), of_client);
    let of_server = ["a response: frames follow", "text, 7 bytes", "close, 8 bytes"];
    assert_eq!(titles(at_server, Role::Server), of_server);
}

#[cfg(feature = "deflate")]
#[test]
fn a_compressed_conversation_is_explained_at_both_ends() {
    let settings = ws101::DeflateConfig::default();
    let (sink_of_server, at_server) = sink();
    let sink_of_server = Mutex::new(Some(sink_of_server));
    let server =
        Server::bind("127.0.0.1:0").unwrap().deflate(settings).wrap_stream(move |stream| {
            Arc::new(Tap::new(stream, Role::Server, sink_of_server.lock().unwrap().take().unwrap()))
        });
    let (address, handle) = (server.local_addr().unwrap(), server.handle());
    let serving = thread::spawn(move || {
        server.serve(|mut ws| {
            while let Some(message) = ws.recv()? {
                ws.send(message)?;
            }
            Ok(())
        })
    });
    let (sink_of_client, at_client) = sink();
    let tap = Tap::new(TcpStream::connect(address).unwrap(), Role::Client, sink_of_client);
    let client = Client::new(format!("ws://{address}/x")).deflate(settings);
    let mut ws = client.connect_over(tap).unwrap();
    let text = "Gr\u{fc}\u{df}e, ".repeat(40);
    for _ in 0..2 {
        ws.send(&*text).unwrap();
        assert_eq!(ws.recv().unwrap().unwrap().as_text(), Some(&*text));
    }
    ws.close(1000, "").unwrap();
    drop(ws);
    handle.stop(std::time::Duration::from_secs(5));
    serving.join().unwrap().unwrap();
    for annotations in [at_client, at_server] {
        let annotations: Vec<Annotation> = annotations.into_iter().collect();
        assert!(
            annotations.iter().all(|one| matches!(one.verdict, Verdict::Fine)),
            "{annotations:?}"
        );
        for from in [Role::Client, Role::Server] {
            let compressed = annotations.iter().filter(|one| one.from == from);
            let compressed: Vec<&Annotation> =
                compressed.filter(|one| one.inflated.is_some()).collect();
            assert_eq!(compressed.len(), 2);
            for annotation in &compressed {
                assert_eq!(annotation.inflated.as_ref().unwrap().bytes, text.as_bytes());
            }
            // The second message only refers back to the first.
            assert!(compressed[1].length < compressed[0].length);
        }
    }
}

#[test]
fn what_if_the_sink_panics() {
    let (mut peer, stream) = pair();
    let tap = Tap::new(stream, Role::Server, |_| panic!("on purpose"));
    let mut room = [0; 10];
    for _ in 0..3 {
        peer.write_all(b"\n").unwrap();
        assert_eq!(tap.read(&mut room).unwrap(), 1);
    }
}

#[test]
fn a_head_that_is_cut_off_is_explained_at_the_end() {
    let (mut peer, stream) = pair();
    let (sink, annotations) = sink();
    let tap = Tap::new(stream, Role::Server, sink);
    peer.write_all(b"GET / HT").unwrap();
    drop(peer);
    let mut room = [0; 100];
    while tap.read(&mut room).unwrap() > 0 {}
    let annotations: Vec<Annotation> = annotations.try_iter().collect();
    assert_eq!(annotations.len(), 1);
    assert!(
        annotations[0].what == AnnotationKind::Request
            && matches!(annotations[0].verdict, Verdict::Incomplete(_))
    );
}

#[test]
fn an_unfinished_head_is_explained_when_the_tap_is_dropped() {
    let (_peer, stream) = pair();
    let (sink, annotations) = sink();
    let tap = Tap::new(stream, Role::Client, sink);
    tap.write(&[IoSlice::new(b"GET / HT")]).unwrap();
    drop(tap);
    let annotations: Vec<Annotation> = annotations.iter().collect();
    assert_eq!(annotations.len(), 1);
    assert!(
        annotations[0].what == AnnotationKind::Request
            && matches!(annotations[0].verdict, Verdict::Incomplete(_))
    );
}

/// A stream whose reads and writes are functions of a test.
struct Acts<R, W>(R, W);

impl<R, W> Stream for Acts<R, W>
where
    R: Fn(&mut [u8]) -> usize + Send + Sync + 'static,
    W: Fn(usize) -> usize + Send + Sync + 'static,
{
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        Ok(self.0(into))
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(self.1(slices.iter().map(|slice| slice.len()).sum()))
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

#[test]
fn a_partial_write_is_explained_as_far_as_it_went() {
    let text = b"HTTP/1.1 101 x\r\n\r\n\x81\x05Hello\x81\x05again";
    for takes in 1..=text.len() {
        let (sink, annotations) = sink();
        let stream = Acts(|_: &mut [u8]| 0, move |length: usize| length.min(takes));
        let tap = Tap::new(stream, Role::Server, sink);
        let mut rest = &text[..];
        while !rest.is_empty() {
            let (first, second) = rest.split_at(rest.len() / 2);
            let count = tap.write(&[IoSlice::new(first), IoSlice::new(second)]).unwrap();
            rest = &rest[count..];
        }
        drop(tap);
        let explained: Vec<_> =
            annotations.iter().map(|one| (one.what, one.start, one.length)).collect();
        let frame = |start| (AnnotationKind::Frame, start, 7);
        assert_eq!(
            explained,
            [(AnnotationKind::Response, 0, 18), frame(18), frame(25)],
            "{takes} at a time"
        );
    }
}

#[test]
fn what_two_threads_write_is_explained_in_the_order_of_the_wire() {
    let ((let_begin, may_begin), (over, is_over)) = (channel(), channel());
    let (sink, annotations) = sink();
    // During its first write the stream lets another write begin, and waits a little for its end.
    let (let_begin, is_over) = (Mutex::new(Some(let_begin)), Mutex::new(is_over));
    let write = move |length| {
        let first = let_begin.lock().unwrap().take();
        if let Some(let_begin) = first {
            let_begin.send(()).unwrap();
            let _ = is_over.lock().unwrap().recv_timeout(Duration::from_millis(300));
        }
        length
    };
    let stream = Acts(|_: &mut [u8]| 0, write);
    let tap = Tap::new(stream, Role::Server, sink);
    thread::scope(|scope| {
        scope.spawn(|| tap.write(&[IoSlice::new(b"HTTP/1.1 101 x\r\n\r\n")]).unwrap());
        may_begin.recv().unwrap();
        tap.write(&[IoSlice::new(b"\x88\x01\x03")]).unwrap();
        let _ = over.send(());
    });
    let explained: Vec<_> =
        annotations.try_iter().map(|one| (one.what, one.start, one.length)).collect();
    assert_eq!(explained, [(AnnotationKind::Response, 0, 18), (AnnotationKind::Frame, 18, 3)]);
}

#[test]
fn the_101_is_explained_before_the_frame_that_it_allowed() {
    let (written, is_written) = channel();
    let (sink, annotations) = sink();
    // The thread that writes the 101 is delayed before the 101 is explained. Meanwhile the client's first
    // frame arrives.
    let (written, is_written) = (Mutex::new(written), Mutex::new(is_written));
    let read = move |into: &mut [u8]| {
        is_written.lock().unwrap().recv().unwrap();
        let frame = b"\x81\x80\0\0\0\0";
        into[..frame.len()].copy_from_slice(frame);
        frame.len()
    };
    let write = move |length| {
        written.lock().unwrap().send(()).unwrap();
        thread::sleep(Duration::from_millis(100));
        length
    };
    let stream = Acts(read, write);
    let tap = Tap::new(stream, Role::Server, sink);
    thread::scope(|scope| {
        scope.spawn(|| tap.write(&[IoSlice::new(b"HTTP/1.1 101 x\r\n\r\n")]).unwrap());
        tap.read(&mut [0; 100]).unwrap();
    });
    let ends: Vec<_> = annotations.try_iter().map(|one| one.from).collect();
    assert_eq!(ends.first(), Some(&Role::Server));
}

#[test]
fn an_explainer_says_how_much_it_has_omitted_and_waits_for_its_last_lines() {
    /// Takes a millisecond for each piece.
    struct Paced(Arc<Mutex<Vec<u8>>>);

    impl Write for Paced {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            thread::sleep(Duration::from_millis(1));
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let printed = Arc::new(Mutex::new(Vec::new()));
    let explainer = Explainer::new(Paced(printed.clone()), Style::default()).unwrap();
    let sink =
        explainer.sink("#1, of a name that no line has room for,".replace(' ', &" ".repeat(20)));
    let settings = ws101::explain::heads::Settings::default();
    let frames = ws101::explain::conversation::explain_frames(&[0x8a, 0], Role::Server, &settings);
    (0..1000).for_each(|_| sink(frames[0].clone()));
    drop(explainer);
    let printed = String::from_utf8(printed.lock().unwrap().clone()).unwrap();
    let shown = printed.matches('#').count();
    let omitted = printed.split('(').filter_map(|part| part.split_once(" omitted here"));
    let omitted: usize = omitted.map(|(count, _)| count.parse::<usize>().unwrap()).sum();
    assert!(omitted > 0 && shown + omitted == 1000, "{shown} shown, {omitted} omitted");
}

#[test]
fn the_notice_of_omitted_stands_where_they_are_missing() {
    /// Tells that a write has begun, and finishes it once it's allowed to go on.
    struct Gate(std::sync::mpsc::Sender<()>, Receiver<()>, Arc<Mutex<Vec<u8>>>);

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let _ = self.0.send(());
            let _ = self.1.recv();
            self.2.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let (began, has_begun) = channel();
    let (go_on, may_go_on) = channel();
    let printed = Arc::new(Mutex::new(Vec::new()));
    let gate = Gate(began, may_go_on, printed.clone());
    let explainer = Explainer::new(gate, Style::default()).unwrap();
    let settings = ws101::explain::heads::Settings::default();
    let frames = ws101::explain::conversation::explain_frames(&[0x8a, 0], Role::Server, &settings);
    let explain = |name: String| explainer.sink(name)(frames[0].clone());
    // 1. The first annotation holds up the printing thread, and the others fill the queue.
    explain("#0.".into());
    has_begun.recv().unwrap();
    (1..2000).for_each(|i| explain(format!("#{i}.")));
    // 2. The printing thread goes on, and there's room again.
    go_on.send(()).unwrap();
    has_begun.recv().unwrap();
    explain("#last.".into());
    // 3. Two more are omitted, as there's no room for them.
    (0..2).for_each(|_| explain("#omitted.".into()));
    drop(go_on);
    drop(explainer);
    let printed = String::from_utf8(printed.lock().unwrap().clone()).unwrap();
    let words: Vec<&str> = printed
        .split_whitespace()
        .filter_map(|word| word.strip_prefix(['#', '(']))
        .map(|word| word.trim_end_matches('.'))
        .filter(|word| *word == "last" || word.parse::<usize>().is_ok())
        .collect();
    let [before @ .., omitted, last, rest] = &words[..] else { panic!("{printed}") };
    let expected: Vec<String> = (0..before.len()).map(|i| i.to_string()).collect();
    assert!(before == expected, "{before:?}");
    assert_eq!((*last, *rest), ("last", "2"));
    assert_eq!(omitted.parse::<usize>().unwrap() + before.len(), 2000);
}

/// Accepts nothing, like a stopped terminal.
struct Stuck(Receiver<()>);

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let _ = self.0.recv();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn no_connection_waits_for_an_explainer_whose_output_is_stuck() {
    let (release, stuck) = channel();
    let explainer = Explainer::new(Stuck(stuck), Style::default()).unwrap();
    let (mut peer, stream) = pair();
    let tap = Tap::new(stream, Role::Server, explainer.sink("#1"));
    peer.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut room = [0; 10];
    for _ in 0..3000 {
        peer.write_all(b"0123456789").unwrap();
        assert!(tap.read(&mut room).unwrap() > 0);
    }
    drop(release);
}
