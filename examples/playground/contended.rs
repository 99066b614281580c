//! Demonstrates a ping that arrives while another thread holds the lock for writing. The playground
//! opens a connection to itself for this, because a page can't send a ping, and the bytes alone
//! don't show whether the lock was taken.
//!
//! ```text
//! client ── ping ──► the reading thread: the lock is taken, so the pong is left pending
//!        ◄── text ── the writing thread, kept inside its write until the reading thread reads again
//!        ◄── pong ── the writing thread, which looks for what is pending once it has unlocked
//! ```
//!
//! Events determine the order of the threads, and not time: the only timeout here ends a run that
//! hangs.

use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::channel;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use ws101::explain::annotation::Annotation;
use ws101::explain::json::{self, array, object, string};
use ws101::frames::header::{OPCODE, Opcode, Role};
use ws101::{Client, Error, Result, Server, Stream, Tap};

use crate::answers::settings;

/// The timeout for a run that hangs. No thread is ever held this long.
const PATIENCE: Duration = Duration::from_secs(10);

/// The events of the demonstration, in their order.
#[derive(Default)]
struct Story {
    /// Each head and frame, and the thread that read or wrote it.
    told: Vec<(ThreadId, Annotation)>,
    lock: Lock,
    /// Whether the ping came while the lock was held, and the reading thread continued while it was
    /// still held.
    was_taken: bool,
}

/// The state of the lock for writing, as far as the stream can see it.
#[derive(Default, PartialEq)]
enum Lock {
    #[default]
    Free,
    /// The next write will be held.
    ToBeHeld,
    /// A thread is held inside its write. `pinged` says whether a ping was read since.
    Held { pinged: bool },
}

/// The server's stream: it holds one write until the reading thread has handled the ping.
struct Held {
    tap: Tap<TcpStream>,
    story: Arc<(Mutex<Story>, Condvar)>,
}

impl Held {
    fn new(stream: TcpStream) -> Held {
        let settings = settings(Ipv4Addr::LOCALHOST.into());
        let story = Arc::<(Mutex<Story>, Condvar)>::default();
        let of_tap = story.clone();
        let tell = move |annotation: Annotation| {
            let mut story = lock(&of_tap.0);
            if let Lock::Held { pinged } = &mut story.lock {
                *pinged |= is_from(Role::Client, Opcode::Ping, &annotation);
            }
            story.told.push((thread::current().id(), annotation));
        };
        Held { tap: Tap::with_settings(stream, Role::Server, settings, tell), story }
    }

    /// Waits while the condition holds, but no longer than `PATIENCE`.
    fn wait(&self, is_waiting: impl Fn(&Story) -> bool) -> MutexGuard<'_, Story> {
        let (story, changed) = &*self.story;
        let waited = changed.wait_timeout_while(lock(story), PATIENCE, |story| is_waiting(story));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn change(&self, change: impl FnOnce(&mut Story)) {
        change(&mut lock(&self.story.0));
        self.story.1.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    crate::tabs::lock(mutex)
}

fn is_from(role: Role, opcode: Opcode, annotation: &Annotation) -> bool {
    let first = annotation.bytes.first().map(|first| Opcode::parse(first & OPCODE));
    annotation.from == role && matches!(first, Some(Ok(found)) if found == opcode)
}

impl Stream for Held {
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        // The reading thread has handled the ping and reads again, while the other thread still has
        // the lock.
        if lock(&self.story.0).lock == (Lock::Held { pinged: true }) {
            self.change(|story| (story.lock, story.was_taken) = (Lock::Free, true));
        }
        self.tap.read(into)
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if lock(&self.story.0).lock == Lock::ToBeHeld {
            self.change(|story| story.lock = Lock::Held { pinged: false });
            self.wait(|story| story.lock != Lock::Free).lock = Lock::Free;
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

/// Lets a client send a ping while another thread of the server writes. Returns what passed, as
/// JSON.
pub fn story() -> Result<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let of_client = TcpStream::connect(address)?;
    let (of_server, from) = listener.accept()?;
    if of_client.local_addr()? != from {
        return Err(io::Error::from(io::ErrorKind::ConnectionRefused).into());
    }
    let (ping_now, may_ping) = channel::<()>();
    let client = thread::spawn(move || -> Result<()> {
        let mut ws = Client::new(format!("ws://{address}/wire")).connect_over(of_client)?;
        may_ping.recv().map_err(|_| Error::Closed)?;
        ws.ping()?;
        while ws.recv()?.is_some() {}
        Ok(())
    });
    let held = Arc::new(Held::new(of_server));
    let reading = thread::current().id();
    let mut ws = Server::without_listener().accept(held.clone())?;
    held.change(|story| story.lock = Lock::ToBeHeld);
    let sender = ws.sender();
    let writer = thread::spawn(move || {
        sender.send("written by another thread").and_then(|()| sender.close(1000, ""))
    });
    drop(held.wait(|story| story.lock == Lock::ToBeHeld));
    let _ = ping_now.send(());
    while ws.recv()?.is_some() {}
    for thread in [client, writer] {
        thread.join().unwrap_or(Err(Error::Closed))?;
    }
    let story = lock(&held.story.0);
    let told = story.told.iter().map(|(thread, annotation)| {
        let is_ping = is_from(Role::Client, Opcode::Ping, annotation);
        object(&[
            ("annotation", json::annotation(annotation)),
            ("by", string(if *thread == reading { "reading thread" } else { "writing thread" })),
            ("witnessed", if is_ping && story.was_taken { witnessed() } else { "{}".into() }),
        ])
    });
    Ok(array(told))
}

/// Returns what happened to this ping, for the stations of its walk where the bytes alone don't
/// show it.
fn witnessed() -> String {
    object(&[
        (
            "pong.sent",
            string("the writing thread had the lock, so the reading thread didn't wait for it"),
        ),
        (
            "pong.pending",
            string("the pong waited here; the writing thread sent it after its own frame"),
        ),
    ])
}
