//! The store of a single server: it keeps the streams in memory, so they are lost when the server
//! ends.
//!
//! It follows the same rules as [`Redis`](crate::redis_streams::Redis), so the rest of the server needn't know which one it uses. A restarted server has new epochs, and tells returning members that it doesn't have what they missed.

use std::collections::{HashMap, VecDeque};
use std::sync::{Condvar, Mutex};

use crate::store::{FOLLOW, News, ROOMS, Said, Seen, Store, Tail, Unavailable, new_epoch};

/// How many senders' numbers a room remembers. At one more, it forgets all of them.
const MOST_SENDERS: usize = 10_000;

pub struct Memory {
    history: usize,
    streams: Mutex<Vec<Stream>>,
    appended: Condvar,
}

struct Stream {
    epoch: String,
    /// The offset of the newest entry.
    top: u64,
    entries: VecDeque<Said>,
    /// The last message number of each sender, by the sender's key.
    numbers: HashMap<String, u64>,
}

impl Memory {
    pub fn new(history: usize) -> Memory {
        let stream = |_| Stream {
            epoch: new_epoch(),
            top: 0,
            entries: VecDeque::new(),
            numbers: HashMap::new(),
        };
        let streams = Mutex::new(ROOMS.iter().map(stream).collect());
        Memory { history, streams, appended: Condvar::new() }
    }
}

impl Stream {
    /// Returns the entries after an offset, each with its own offset.
    fn after(&self, offset: u64) -> impl Iterator<Item = (u64, Said)> {
        let first = self.top - self.entries.len() as u64 + 1;
        let numbered = (first..).zip(self.entries.iter().cloned());
        numbered.filter(move |(at, _)| *at > offset)
    }
}

impl Store for Memory {
    fn append(&self, room: usize, said: &Said) -> Result<(), Unavailable> {
        let stream = &mut self.streams.lock().unwrap()[room];
        if stream.numbers.get(&said.from).is_some_and(|last| said.number <= *last) {
            return Ok(());
        }
        if stream.numbers.len() >= MOST_SENDERS {
            stream.numbers.clear();
        }
        stream.numbers.insert(said.from.clone(), said.number);
        stream.top += 1;
        stream.entries.push_back(said.clone());
        if stream.entries.len() > self.history {
            stream.entries.pop_front();
        }
        self.appended.notify_all();
        Ok(())
    }

    fn tail(&self, room: usize) -> Result<Tail, Unavailable> {
        let stream = &self.streams.lock().unwrap()[room];
        Ok(Tail { epoch: stream.epoch.clone(), entries: stream.after(0).collect() })
    }

    fn follow(&self, seen: &[Seen]) -> Result<News, Unavailable> {
        let nothing_new = |streams: &mut Vec<Stream>| {
            streams.iter().zip(seen).all(|(stream, seen)| stream.top == seen.position.offset)
        };
        let streams = self.streams.lock().unwrap();
        let waited = self.appended.wait_timeout_while(streams, FOLLOW, nothing_new);
        let streams = waited.unwrap().0;
        let mut entries = Vec::new();
        for (room, (stream, seen)) in streams.iter().zip(seen).enumerate() {
            if stream.top - stream.entries.len() as u64 > seen.position.offset {
                return Ok(News::Anew(room));
            }
            entries.extend(stream.after(seen.position.offset).map(|(at, said)| (room, at, said)));
        }
        Ok(News::Entries(entries))
    }

    fn presence(&self, _: &str, here: &[Vec<String>]) -> Result<Vec<Vec<String>>, Unavailable> {
        Ok(here.to_vec())
    }
}
