//! The stream of a wire. It explains and records all bytes, and can do two things that a normal
//! stream can't: send any bytes, even invalid ones, and be slow.

use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use ws101::explain::annotation::{Annotation, AnnotationKind};
use ws101::explain::json;
use ws101::frames::header::Role;
use ws101::{Request, Stream, Tap};

use crate::record::Record;
use crate::tabs::{Lens, Tabs, lock};

/// The stream of a wire's connection.
pub struct RecordingStream {
    tap: Tap<Arc<dyn Stream>>,
    /// The pause before each write, in milliseconds.
    pause: AtomicU64,
    /// How long a write may take, in milliseconds. No pause is longer, because a server that stops
    /// writes its Closes one after another.
    write_timeout: AtomicU64,
    /// The record, which the page's lens keeps after the connection has ended.
    record: Arc<Mutex<Record>>,
}

impl RecordingStream {
    /// Wraps the stream of a new connection. Its annotations go to the lens that its request names,
    /// if it names one.
    pub fn new(stream: Arc<dyn Stream>, tabs: &Arc<Tabs>) -> Arc<RecordingStream> {
        let tabs = tabs.clone();
        Arc::new_cyclic(|me: &Weak<RecordingStream>| {
            let (me, mut lens, start) = (me.clone(), None, Instant::now());
            let settings = tabs.settings.clone();
            let tell = move |annotation: Annotation| {
                if annotation.what == AnnotationKind::Request {
                    lens = attach(&annotation, &tabs, &me);
                }
                if let Some(lens) = &lens {
                    let at = start.elapsed().as_micros().to_string();
                    lens.tell(
                        "wire",
                        vec![("at", at), ("annotation", json::annotation(&annotation))],
                    );
                }
            };
            let tap = Tap::with_settings(stream, Role::Server, settings, tell);
            let (pause, write_timeout) = (AtomicU64::new(0), AtomicU64::new(u64::MAX));
            RecordingStream { tap, pause, write_timeout, record: Arc::default() }
        })
    }

    /// Sends bytes unchanged. They are few, and sent in one write, so that no frame of the
    /// connection comes between them.
    pub fn inject(&self, bytes: &[u8]) -> io::Result<()> {
        let count = self.send(&[IoSlice::new(bytes)])?;
        if count < bytes.len() { Err(io::ErrorKind::WriteZero.into()) } else { Ok(()) }
    }

    /// Writes, and records the bytes that were written.
    fn send(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut record = lock(&self.record);
        let count = self.tap.write(slices)?;
        let mut rest = count;
        for slice in slices {
            let sent = &slice[..rest.min(slice.len())];
            record.add(Role::Server, sent);
            rest -= sent.len();
        }
        Ok(count)
    }

    /// Sets the pause before each write, which makes the stream slow.
    pub fn pause(&self, pause: Duration) {
        self.pause.store(pause.as_millis() as u64, Relaxed);
    }
}

/// Finds the lens that the request for a wire names, and gives it this line.
fn attach(annotation: &Annotation, tabs: &Tabs, me: &Weak<RecordingStream>) -> Option<Arc<Lens>> {
    // The annotation of a long head lacks the head's end, but the request line is enough.
    let head = annotation.bytes.strip_prefix(b"\r\n").unwrap_or(&annotation.bytes);
    let line = head.split_inclusive(|&byte| byte == b'\n').next()?;
    let request = Request::parse(line).ok().filter(|it| it.path() == "/wire")?;
    let lens = tabs.lens(&request)?;
    *lock(&lens.line) = me.clone();
    if let Some(line) = me.upgrade() {
        *lock(&lens.record) = line.record.clone();
        line.pause(Duration::from_millis(lens.pause.load(Relaxed)));
    }
    Some(lens)
}

impl Stream for RecordingStream {
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.tap.read(into)?;
        lock(&self.record).add(Role::Client, &into[..count]);
        Ok(count)
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.pause.load(Relaxed).min(self.write_timeout.load(Relaxed)) {
            0 => {}
            pause => std::thread::sleep(Duration::from_millis(pause)),
        }
        self.send(slices)
    }

    fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.tap.set_read_timeout(timeout)
    }

    fn set_write_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.write_timeout.store(timeout.as_millis() as u64, Relaxed);
        self.tap.set_write_timeout(timeout)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.tap.shutdown(how)
    }

    fn peer(&self) -> Option<SocketAddr> {
        self.tap.peer()
    }
}
