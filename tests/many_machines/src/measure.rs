//! Measures fan-out with 1, 2 and 3 servers and up to 3,000 members, all in one room: how late a
//! message reaches a member, and how many messages the servers can deliver.
//!
//! Rules of this file:
//! - The members are threads of this process, so that a message's two times are read from one clock. They use the same
//!   cores as servers and Redis. So the servers' own processor time is counted, too: that figure doesn't depend on
//!   what else the machine does.
//! - Paced: the messages add up to 5,000 deliveries a second for any number of members. Flat out:
//!   twenty members each send their next message as soon as they receive their last one, but wait
//!   while a member is far behind, because its server would drop it.
//! - Members connect to the servers directly, and not through the balancer.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use ws101::{Client, Message, Sender, WebSocket};

use crate::cluster::{Cluster, Setup};

const MEMBERS: [usize; 3] = [100, 1000, 3000];
const SPEAKERS: usize = 20;
/// A second, of all members together, when paced.
const DELIVERIES: usize = 5000;
/// How many messages a member may be behind when the next is said. A server cuts a member off at 1,256.
const MOST_BEHIND: usize = 600;
const PHASE: Duration = Duration::from_secs(3);
/// For what is on its way, between two phases.
const PATIENCE: Duration = Duration::from_secs(60);

pub const HEADINGS: [&str; 9] = [
    "store, servers, members",
    "paced: median, ms",
    "99 %, ms",
    "all, ms",
    "flat out: messages a second",
    "deliveries a second",
    "99 %, ms",
    "servers: µs a delivery",
    "Redis: µs a message",
];

pub fn run(mut show: impl FnMut(&[String])) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for members in MEMBERS {
        for (redis, servers) in [(false, 1), (true, 1), (true, 2), (true, 3)] {
            let row = measure(redis, servers, members);
            show(&row);
            rows.push(row);
        }
    }
    rows
}

/// What all members share.
struct Room {
    start: Instant,
    speakers: Vec<Mutex<Speaker>>,
    /// Each that speaks says the next when it hears its last.
    flat_out: AtomicBool,
    joined: AtomicUsize,
    said: AtomicUsize,
    /// By each member.
    heard: Vec<AtomicUsize>,
    /// Speakers that would say the next, if no member were far behind.
    waiting: Vec<AtomicBool>,
    delays: Delays,
}

struct Speaker {
    sender: Sender,
    number: u64,
}

impl Room {
    /// Says the time, and who says it.
    fn say(&self, speaker: usize) {
        let mut locked = self.speakers[speaker].lock().unwrap();
        locked.number += 1;
        let text = format!("{} t{}x{speaker}", locked.number, self.start.elapsed().as_micros());
        locked.sender.send(&*text).expect("a server that lives");
        self.said.fetch_add(1, Relaxed);
    }

    /// A member's thread, until its server ends.
    fn listen(&self, ws: &mut WebSocket, number: usize) {
        while let Ok(Some(Message::Text(told))) = ws.recv() {
            if told.contains(r#""type":"position""#) {
                self.joined.fetch_add(1, Relaxed);
            }
            let Some((_, says)) = told.split_once(r#""says":"t"#) else { continue };
            let (time, speaker) =
                says.trim_end_matches(['"', '}']).split_once('x').expect("as it was said");
            let now = self.start.elapsed().as_micros() as u64;
            self.delays.add(now - time.parse::<u64>().expect("a time"));
            self.heard[number].fetch_add(1, Relaxed);
            if speaker.parse() == Ok(number) && self.flat_out.load(Relaxed) {
                match self.is_one_far_behind() {
                    false => self.say(number),
                    true => self.waiting[number].store(true, Relaxed),
                }
            }
        }
    }

    /// What the member who has heard least has heard.
    fn least_heard(&self) -> usize {
        self.heard.iter().map(|heard| heard.load(Relaxed)).min().unwrap_or(0)
    }

    fn is_one_far_behind(&self) -> bool {
        self.said.load(Relaxed) > self.least_heard() + MOST_BEHIND
    }

    /// Waits until each member has heard all that was said.
    fn await_quiet(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.least_heard() < self.said.load(Relaxed) {
            assert!(Instant::now() < deadline, "a member was cut off, or is very late");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

fn measure(redis: bool, servers: usize, members: usize) -> Vec<String> {
    let mut cluster = Cluster::start_all(&Setup { servers, redis, balancer: false });
    let mut connections: Vec<WebSocket> = (0..members)
        .map(|i| {
            let door = &cluster.doors[i % servers];
            let url = format!("ws://{door}/chat/tea?name=m{i}&key=k{i}");
            Client::new(url).connect().expect("room for a member")
        })
        .collect();
    let speaker = |ws: &WebSocket| Mutex::new(Speaker { sender: ws.sender(), number: 0 });
    let room = Arc::new(Room {
        start: Instant::now(),
        speakers: connections.iter().take(SPEAKERS).map(speaker).collect(),
        flat_out: AtomicBool::new(false),
        joined: AtomicUsize::new(0),
        said: AtomicUsize::new(0),
        heard: (0..members).map(|_| AtomicUsize::new(0)).collect(),
        waiting: (0..SPEAKERS).map(|_| AtomicBool::new(false)).collect(),
        delays: Delays::default(),
    });
    let listening: Vec<_> = connections
        .drain(..)
        .enumerate()
        .map(|(number, mut ws)| {
            let room = room.clone();
            let thread = thread::Builder::new().stack_size(128 * 1024);
            thread.spawn(move || room.listen(&mut ws, number)).expect("a thread")
        })
        .collect();
    let deadline = Instant::now() + PATIENCE;
    while room.joined.load(Relaxed) < members {
        assert!(Instant::now() < deadline, "not all members are in");
        thread::sleep(Duration::from_millis(10));
    }

    // Paced.
    let pause = Duration::from_secs_f64(members as f64 / DELIVERIES as f64);
    let start = Instant::now();
    for count in 0.. {
        let due = pause * count;
        if due > PHASE {
            break;
        }
        thread::sleep((start + due).saturating_duration_since(Instant::now()));
        room.say(count as usize % SPEAKERS);
    }
    room.await_quiet();
    let paced = room.delays.take();

    // Flat out.
    let (before, said_before) = (cluster.processor_time(), room.said.load(Relaxed));
    let start = Instant::now();
    room.flat_out.store(true, Relaxed);
    (0..SPEAKERS).for_each(|speaker| room.say(speaker));
    while start.elapsed() < PHASE {
        thread::sleep(Duration::from_millis(2));
        for speaker in (0..SPEAKERS).take_while(|_| !room.is_one_far_behind()) {
            if room.waiting[speaker].swap(false, Relaxed) {
                room.say(speaker);
            }
        }
    }
    room.flat_out.store(false, Relaxed);
    room.await_quiet();
    let seconds = start.elapsed().as_secs_f64();
    let flat_out = room.delays.take();
    let after = cluster.processor_time();
    let said = (room.said.load(Relaxed) - said_before) as f64;
    let heard = said * members as f64;

    // Their connections end with the servers.
    (0..servers).for_each(|i| cluster.kill(i));
    listening.into_iter().for_each(|thread| thread.join().expect("a member's thread"));

    let store = if redis { "Redis" } else { "memory" };
    let plural = if servers == 1 { "" } else { "s" };
    let milliseconds = |microseconds: u64| format!("{:.1}", microseconds as f64 / 1000.0);
    vec![
        format!("{store}, {servers} server{plural}, {}", thousands(members as f64)),
        milliseconds(paced.quantile(0.5)),
        milliseconds(paced.quantile(0.99)),
        milliseconds(paced.quantile(1.0)),
        thousands(said / seconds),
        thousands(heard / seconds),
        milliseconds(flat_out.quantile(0.99)),
        format!("{:.1}", (after.0 - before.0) * 1e6 / heard),
        if redis { format!("{:.0}", (after.1 - before.1) * 1e6 / said) } else { "-".into() },
    ]
}

fn thousands(number: f64) -> String {
    let number = number.round() as u64;
    match number / 1000 {
        0 => number.to_string(),
        thousands => format!("{thousands},{:03}", number % 1000),
    }
}

/// How many deliveries took how long: sixteen steps for each doubling, so within 7 %.
struct Delays(Vec<AtomicU64>);

impl Default for Delays {
    fn default() -> Delays {
        Delays((0..16 * 40).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Delays {
    fn add(&self, microseconds: u64) {
        let step = (microseconds.max(1) as f64).log2() * 16.0;
        self.0[(step as usize).min(self.0.len() - 1)].fetch_add(1, Relaxed);
    }

    /// What was counted so far. Counting starts anew.
    fn take(&self) -> Delays {
        Delays(self.0.iter().map(|count| AtomicU64::new(count.swap(0, Relaxed))).collect())
    }

    /// So long, or less, took this share of them.
    fn quantile(&self, share: f64) -> u64 {
        let total: u64 = self.0.iter().map(|count| count.load(Relaxed)).sum();
        let wanted = (total as f64 * share).ceil() as u64;
        let mut sum = 0;
        let step = self.0.iter().position(|count| {
            sum += count.load(Relaxed);
            sum >= wanted
        });
        2f64.powf((step.unwrap_or(0) + 1) as f64 / 16.0) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_right_within_seven_per_cent() {
        let delays = Delays::default();
        (1..=1000).for_each(|i| delays.add(i * 10));
        for (share, right) in [(0.5, 5000.0), (0.99, 9900.0), (1.0, 10_000.0)] {
            let is_near = (delays.quantile(share) as f64 / right - 1.0).abs() < 0.07;
            assert!(is_near, "{share}: {}", delays.quantile(share));
        }
    }

    #[test]
    fn numbers_are_written_with_a_comma() {
        assert_eq!(thousands(999.4), "999");
        assert_eq!(thousands(1000.0), "1,000");
        assert_eq!(thousands(123_456.0), "123,456");
    }
}
