//! The stream of a wire: tapped, and with two means that no honest stream has. It can send bytes that
//! are no frames, and it can be slow.

use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use ws101::explain::annotation::{Annotation, What};
use ws101::explain::json;
use ws101::frames::header::Role;
use ws101::{Request, Stream, Tap};

use crate::{Hall, Lens, lock, terms};

/// The stream of a connection.
pub struct Line {
    tap: Tap<Arc<dyn Stream>>,
    /// Before each write, in milliseconds.
    pause: AtomicU64,
}

impl Line {
    /// A line whose annotations go to the lens that its request names, if it does.
    pub fn new(stream: Arc<dyn Stream>, hall: &Arc<Hall>) -> Arc<Line> {
        let hall = hall.clone();
        Arc::new_cyclic(|me: &Weak<Line>| {
            let (me, mut lens, start) = (me.clone(), None, Instant::now());
            let tell = move |annotation: Annotation| {
                if annotation.what == What::Request {
                    lens = attach(&annotation, &hall, &me);
                }
                if let Some(lens) = &lens {
                    let at = start.elapsed().as_micros().to_string();
                    lens.tell(
                        "wire",
                        vec![("at", at), ("annotation", json::annotation(&annotation))],
                    );
                }
            };
            let tap = Tap::with_settings(stream, Role::Server, terms(), tell);
            Line { tap, pause: AtomicU64::new(0) }
        })
    }

    /// Sends bytes as they are. They are few, and go out in one write: so no frame of the connection's
    /// own comes between them.
    pub fn inject(&self, bytes: &[u8]) -> io::Result<()> {
        let count = self.tap.write(&[IoSlice::new(bytes)])?;
        if count < bytes.len() { Err(io::ErrorKind::WriteZero.into()) } else { Ok(()) }
    }

    /// Makes it slow: a pause before each write.
    pub fn pause(&self, pause: Duration) {
        self.pause.store(pause.as_millis() as u64, Relaxed);
    }
}

/// The lens that a request for a wire names; it learns of its line.
fn attach(annotation: &Annotation, hall: &Hall, me: &Weak<Line>) -> Option<Arc<Lens>> {
    let request = Request::parse(&annotation.bytes).ok().filter(|it| it.path() == "/wire")?;
    let lens = hall.lens(&request)?;
    *lock(&lens.line) = me.clone();
    if let Some(line) = me.upgrade() {
        line.pause(Duration::from_millis(lens.pause.load(Relaxed)));
    }
    Some(lens)
}

impl Stream for Line {
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        self.tap.read(into)
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.pause.load(Relaxed) {
            0 => {}
            pause => std::thread::sleep(Duration::from_millis(pause)),
        }
        self.tap.write(slices)
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
