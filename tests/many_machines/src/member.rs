//! A member, written as a good client: it reconnects after random pauses, sends its position,
//! checks each offset, and sends again what wasn't confirmed. It records all that it receives.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;
use ws101::{Client, Error, Limits, Message, WebSocket};

use crate::compare::Line;

/// Before a member that has lost its server comes back: half of it, and as much again by chance; twice as long after
/// each try in vain, up to four times.
const WAIT: Duration = Duration::from_millis(1000);

/// One that doesn't recover comes back after so many more messages: a newcomer's greeting has 20, and must not hide what
/// was missed.
const UNAIDED_AWAY: u64 = 50;

/// What a member has heard, and what it was told about it.
#[derive(Clone, Default)]
pub struct Heard {
    /// In the order in which it came.
    pub lines: Vec<Line>,
    /// The server that it is connected to; none: it is not connected.
    pub server: Option<String>,
    pub connections: usize,
    /// How often it was told `recovered: true`, and how many entries that brought it.
    pub recovered: usize,
    pub caught_up: u64,
    /// Where in the list it was told `recovered: false`.
    pub anew: Vec<usize>,
    /// Promises that were not kept: an offset that is not the next one, a position that is not this member's.
    pub broken: usize,
    /// Who is here, as it was told last.
    pub here: Vec<String>,
}

pub struct Member {
    pub name: String,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    heard: Mutex<Heard>,
    changed: Condvar,
    /// How many messages it shall have said, and how many of them the store has confirmed.
    wanted: AtomicU64,
    confirmed: AtomicU64,
    /// How long its messages are.
    length: AtomicUsize,
    /// It reads nothing while this is set.
    asleep: AtomicBool,
    /// It leaves, and stays away while this is set.
    away: AtomicBool,
    stop: AtomicBool,
    /// Where it connects to.
    door: Mutex<String>,
    /// How many messages of all members the store has confirmed.
    all_confirmed: Arc<AtomicU64>,
}

/// Makes a member say one more, from another thread.
#[derive(Clone)]
pub struct Prompt(Arc<Shared>);

impl Prompt {
    pub fn say(&self, count: u64) {
        self.0.wanted.fetch_add(count, SeqCst);
    }
}

impl Member {
    /// `recovers`: whether it sends its position when it comes back. One that doesn't shows what is missed without.
    pub fn start(
        door: &str,
        name: String,
        recovers: bool,
        all_confirmed: &Arc<AtomicU64>,
    ) -> Member {
        let (door, all_confirmed) = (Mutex::new(door.to_owned()), all_confirmed.clone());
        let shared = Arc::new(Shared { door, all_confirmed, ..Shared::default() });
        let live = Life {
            name: name.clone(),
            recovers,
            shared: shared.clone(),
            position: None,
            unsaid: VecDeque::new(),
            number: 0,
        };
        Member { name, shared, thread: Some(thread::spawn(move || live.live())) }
    }

    pub fn heard(&self) -> Heard {
        self.shared.heard.lock().unwrap().clone()
    }

    /// Waits until this holds of what it has heard. `false`: it didn't in time.
    pub fn await_that(&self, deadline: Instant, holds: impl Fn(&Heard) -> bool) -> bool {
        let heard = self.shared.heard.lock().unwrap();
        let left = deadline.saturating_duration_since(Instant::now());
        let waited = self.shared.changed.wait_timeout_while(heard, left, |heard| !holds(heard));
        !waited.unwrap().1.timed_out()
    }

    pub fn prompt(&self) -> Prompt {
        Prompt(self.shared.clone())
    }

    pub fn wanted(&self) -> u64 {
        self.shared.wanted.load(SeqCst)
    }

    pub fn confirmed(&self) -> u64 {
        self.shared.confirmed.load(SeqCst)
    }

    /// Waits until the store has confirmed all that it was to say.
    pub fn await_confirmed(&self, deadline: Instant) -> bool {
        self.await_that(deadline, |_| self.confirmed() == self.wanted())
    }

    /// The message of that number. What pads it is not part of the text.
    pub fn text(&self, number: u64) -> String {
        text(&self.name, number)
    }

    pub fn set_length(&self, length: usize) {
        self.shared.length.store(length, SeqCst);
    }

    pub fn set_asleep(&self, asleep: bool) {
        self.shared.asleep.store(asleep, SeqCst);
    }

    /// Where it goes when it next connects.
    pub fn set_door(&self, door: &str) {
        *self.shared.door.lock().unwrap() = door.into();
    }

    /// Leaves, or comes back.
    pub fn set_away(&self, away: bool) {
        self.shared.away.store(away, SeqCst);
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.shared.stop.store(true, SeqCst);
        self.shared.asleep.store(false, SeqCst);
        self.thread.take().map(JoinHandle::join);
    }
}

fn text(name: &str, number: u64) -> String {
    format!("{name}says{number}")
}

/// The member's own thread, and what a client must remember from one connection to the next.
struct Life {
    name: String,
    recovers: bool,
    shared: Arc<Shared>,
    position: Option<(String, u64)>,
    /// Sent, and not confirmed.
    unsaid: VecDeque<u64>,
    number: u64,
}

impl Life {
    fn live(mut self) {
        let mut tries = 0;
        while !self.stops() {
            if self.shared.away.load(SeqCst) {
                thread::sleep(Duration::from_millis(20));
                continue;
            }
            match self.connect() {
                Ok(ws) => {
                    tries = 0;
                    self.stay(ws);
                    self.note(|heard| heard.server = None);
                    self.miss_some();
                }
                Err(_) => tries += 1,
            }
            let chance = RandomState::new().hash_one(tries) % 1000;
            let wait = WAIT.mul_f64((1 << tries.min(2)) as f64 * (0.5 + chance as f64 / 2000.0));
            let until = Instant::now() + wait;
            while Instant::now() < until && !self.stops() {
                thread::sleep(Duration::from_millis(20));
            }
        }
    }

    fn miss_some(&self) {
        let all = || self.shared.all_confirmed.load(SeqCst);
        let until = all() + UNAIDED_AWAY;
        while !self.recovers && all() < until && !self.stops() {
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn stops(&self) -> bool {
        self.shared.stop.load(SeqCst)
    }

    fn note<T>(&self, note: impl FnOnce(&mut Heard) -> T) -> T {
        let noted = note(&mut self.shared.heard.lock().unwrap());
        self.shared.changed.notify_all();
        noted
    }

    fn connect(&self) -> ws101::Result<WebSocket> {
        let (name, door) = (&self.name, self.shared.door.lock().unwrap().clone());
        let mut url = format!("ws://{door}/chat/tea?name={name}&key=key{name}");
        if let (true, Some((epoch, offset))) = (self.recovers, &self.position) {
            url += &format!("&epoch={epoch}&offset={offset}");
        }
        let limits = Limits { connect: Duration::from_secs(3), ..Limits::default() };
        Client::new(url).limits(limits).connect()
    }

    /// One connection, until it ends.
    fn stay(&mut self, mut ws: WebSocket) {
        self.note(|heard| heard.connections += 1);
        let again: Vec<u64> = self.unsaid.iter().copied().collect();
        let mut is_open = again.into_iter().all(|number| self.say(&mut ws, number));
        while is_open {
            if self.stops() || self.shared.away.load(SeqCst) {
                let _ = ws.close(1000, "");
                return;
            }
            if self.shared.asleep.load(SeqCst) {
                thread::sleep(Duration::from_millis(20));
                continue;
            }
            while is_open && self.number < self.shared.wanted.load(SeqCst) {
                self.number += 1;
                self.unsaid.push_back(self.number);
                is_open = self.say(&mut ws, self.number);
            }
            match ws.recv_timeout(Duration::from_millis(20)) {
                Ok(Some(Message::Text(told))) => {
                    self.take(&serde_json::from_str(&told).expect("JSON"));
                }
                Err(Error::TimedOut) => {}
                _ => return,
            }
        }
    }

    fn say(&self, ws: &mut WebSocket, number: u64) -> bool {
        let text = format!("{number} {}", text(&self.name, number));
        let length = self.shared.length.load(SeqCst);
        ws.send(&*format!("{text:.<length$}")).is_ok()
    }

    fn take(&mut self, told: &Value) {
        let word = |name: &str| told[name].as_str().expect(name).to_owned();
        match told["type"].as_str().expect("a type") {
            "position" => {
                let position = Some((word("epoch"), told["offset"].as_u64().expect("an offset")));
                // The promise: what comes next is what comes after what this member has.
                let goes_on = position == self.position;
                self.note(|heard| {
                    heard.server = Some(word("server"));
                    match told["recovered"].as_bool() {
                        Some(true) => {
                            heard.recovered += 1;
                            heard.caught_up += told["missed"].as_u64().expect("a count");
                            heard.broken += usize::from(!goes_on);
                        }
                        Some(false) => heard.anew.push(heard.lines.len()),
                        None => {}
                    }
                });
                self.position = position;
            }
            "message" => {
                let (epoch, last) = self.position.as_mut().expect("a position comes first");
                let offset = told["offset"].as_u64().expect("an offset");
                let is_next = offset == *last + 1;
                *last = offset;
                let text = told["says"].as_str().expect("a text").trim_end_matches('.').to_owned();
                let line = Line { epoch: epoch.clone(), offset, text };
                self.note(|heard| {
                    heard.broken += usize::from(!is_next);
                    heard.lines.push(line);
                });
            }
            "said" => {
                let number = told["number"].as_u64().expect("a number");
                self.unsaid.retain(|unsaid| *unsaid != number);
                let before = self.shared.confirmed.fetch_max(number, SeqCst);
                self.shared.all_confirmed.fetch_add(number.saturating_sub(before), SeqCst);
                self.note(|_| ());
            }
            "here" => {
                let names = told["names"].as_array().expect("names").iter();
                let here: Vec<_> = names.map(|name| name.as_str().unwrap().to_owned()).collect();
                assert_eq!(told["count"].as_u64(), Some(here.len() as u64), "who is here");
                self.note(|heard| heard.here = here);
            }
            other => panic!("told of {other}"),
        }
    }
}
