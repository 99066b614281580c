//! The stream of a wire. It explains and records all bytes, and can do two things that a normal
//! stream can't: send any bytes, even invalid ones, and be slow.

use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use ws101::explain::annotation::{Annotation, AnnotationKind};
use ws101::explain::json;
use ws101::explain::saved::{self, Turn};
use ws101::frames::header::Role;
use ws101::{Request, Stream, Tap};

use crate::tabs::{Lens, Tabs, lock};

/// How many bytes of a conversation are recorded at most.
const MOST_RECORDED: usize = 64 * 1024;

/// The stream of a wire's connection.
pub struct Line {
    tap: Tap<Arc<dyn Stream>>,
    /// The pause before each write, in milliseconds.
    pause: AtomicU64,
    record: Mutex<Record>,
}

/// The bytes that both ends have sent, in their order.
#[derive(Default)]
struct Record {
    turns: Vec<Turn>,
    kept: usize,
    /// How many bytes came after the recording was full.
    left_out: u64,
}

impl Record {
    fn add(&mut self, from: Role, bytes: &[u8]) {
        let room = (MOST_RECORDED - self.kept).min(bytes.len());
        // Once a byte was left out, record nothing more, so that the recording has no gap.
        let room = if self.left_out > 0 { 0 } else { room };
        let (kept, rest) = bytes.split_at(room);
        self.kept += kept.len();
        self.left_out += rest.len() as u64;
        match self.turns.last_mut() {
            Some((last, sent)) if *last == from => sent.extend_from_slice(kept),
            _ if kept.is_empty() => {}
            _ => self.turns.push((from, kept.to_vec())),
        }
    }
}

impl Line {
    /// Wraps the stream of a new connection. Its annotations go to the lens that its request names,
    /// if it names one.
    pub fn new(stream: Arc<dyn Stream>, tabs: &Arc<Tabs>) -> Arc<Line> {
        let tabs = tabs.clone();
        Arc::new_cyclic(|me: &Weak<Line>| {
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
            Line { tap, pause: AtomicU64::new(0), record: Mutex::default() }
        })
    }

    /// Sends bytes unchanged. They are few, and sent in one write, so that no frame of the
    /// connection comes between them.
    pub fn inject(&self, bytes: &[u8]) -> io::Result<()> {
        let count = self.send(&[IoSlice::new(bytes)])?;
        if count < bytes.len() { Err(io::ErrorKind::WriteZero.into()) } else { Ok(()) }
    }

    /// Returns the recorded conversation, as text that the example `explain` can read.
    pub fn saved(&self) -> String {
        let record = lock(&self.record);
        let mut text =
            "# A conversation that the playground of ws101 has recorded. To explain it again:\n\
            #   cargo run --example explain -- FILE\n\n"
                .to_owned();
        text += &saved::write(&record.turns);
        if record.left_out > 0 {
            text += &format!("# {} more bytes passed and were not kept.\n", record.left_out);
        }
        text
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
fn attach(annotation: &Annotation, tabs: &Tabs, me: &Weak<Line>) -> Option<Arc<Lens>> {
    let request = Request::parse(&annotation.bytes).ok().filter(|it| it.path() == "/wire")?;
    let lens = tabs.lens(&request)?;
    *lock(&lens.line) = me.clone();
    if let Some(line) = me.upgrade() {
        line.pause(Duration::from_millis(lens.pause.load(Relaxed)));
    }
    Some(lens)
}

impl Stream for Line {
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.tap.read(into)?;
        lock(&self.record).add(Role::Client, &into[..count]);
        Ok(count)
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.pause.load(Relaxed) {
            0 => {}
            pause => std::thread::sleep(Duration::from_millis(pause)),
        }
        self.send(slices)
    }

    fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.tap.set_read_timeout(timeout)
    }

    fn set_write_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.tap.set_write_timeout(timeout)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.tap.shutdown(how)
    }

    fn peer(&self) -> Option<SocketAddr> {
        self.tap.peer()
    }
}
