//! One room on one server: the last entries of its stream, encoded for the wire, and the members
//! who receive them.
//!
//! Rules of this file:
//! - A member receives its room's entries in the order of their offsets, each once. Joining and
//!   delivering use the same lock, so no entry is lost between those that a member missed and the next
//!   one.
//! - The room says `recovered: true` only if it has every entry that the member missed. Otherwise it
//!   says `recovered: false`, with the offset at which the member starts anew.
//! - Nothing here waits for a member: each has an `Outbox`, and a member whose outbox is full is
//!   dropped. A member whose connection is closing isn't: it still receives what its outbox holds.

use std::collections::{HashMap, VecDeque};

use ws101::explain::json::{array, object, string};
use ws101::{Error, Outbox, PreparedMessage, Sender};

use crate::store::{Position, Said, Seen, Tail};

/// How many of the last entries a new member gets.
const GREETING: usize = 20;
/// How many names of members the room lists at most.
const MOST_NAMES: usize = 50;

#[derive(Default)]
pub struct Room {
    /// The epoch of the room's stream. Empty until the reader has read it.
    epoch: String,
    /// The offset of the newest entry.
    top: u64,
    /// The newest entry, to check that the store still has the same one at this offset.
    last: Option<Said>,
    /// The last entries up to `top`, without a gap.
    kept: VecDeque<PreparedMessage>,
    /// How many entries the room keeps.
    history: usize,
    members: HashMap<u64, Member>,
    /// The list of names that was last sent to the members.
    names: String,
}

/// A member of this room who is connected to this server.
pub struct Member {
    pub name: String,
    pub outbox: Outbox,
    /// For closing the connection, because the outbox only sends messages.
    pub sender: Sender,
}

/// What the server tells a joining member about the entries that it missed.
enum Absence {
    /// The member is new, and missed nothing.
    None,
    /// All entries that it missed follow; `missed` is their number.
    Recovered { missed: u64 },
    /// The entries that it missed are no longer there. It gets all from here on.
    Anew,
}

impl Room {
    pub fn new(history: usize) -> Room {
        Room { history, ..Room::default() }
    }

    pub fn is_known(&self) -> bool {
        !self.epoch.is_empty()
    }

    pub fn seen(&self) -> Seen {
        let position = Position { epoch: self.epoch.clone(), offset: self.top };
        Seen { position, last: self.last.clone() }
    }

    /// Whether this server has read less of the stream than the member has already received
    /// elsewhere.
    pub fn is_behind(&self, position: &Position) -> bool {
        self.epoch == position.epoch && self.top < position.offset
    }

    /// Returns the offset before the oldest entry that the room keeps.
    fn start(&self) -> u64 {
        self.top - self.kept.len() as u64
    }

    // WALK: chat_resume
    /// Returns the offset after which a returning member continues, or `None` if the room no longer
    /// has all entries that it missed.
    fn resume(&self, position: &Position) -> Option<u64> {
        let at_hand = self.start()..=self.top;
        (self.epoch == position.epoch && at_hand.contains(&position.offset))
            .then_some(position.offset)
    }

    // WALK: chat_join
    /// Adds a member: sends its position, then the entries that it missed. From then on, the member
    /// gets what all get.
    pub fn join(&mut self, id: u64, member: Member, position: Option<&Position>, server: &str) {
        let newest = self.top - self.kept.len().min(GREETING) as u64;
        let (offset, absence) = match position.map(|position| self.resume(position)) {
            None => (newest, Absence::None),
            Some(Some(offset)) => (offset, Absence::Recovered { missed: self.top - offset }),
            Some(None) => (newest, Absence::Anew),
        };
        send_or_drop(&member.outbox, &self.told(offset, absence, server));
        for entry in self.kept.iter().skip((offset - self.start()) as usize) {
            send_or_drop(&member.outbox, entry);
        }
        self.members.insert(id, member);
        // This member has no list of names yet, so the next one is sent even if it's the same.
        self.names.clear();
    }

    /// Encodes `{"type":"position"}`, which says that the entry after this offset comes next.
    fn told(&self, offset: u64, absence: Absence, server: &str) -> PreparedMessage {
        let mut fields = vec![
            ("type", string("position")),
            ("server", string(server)),
            ("epoch", string(&self.epoch)),
            ("offset", offset.to_string()),
        ];
        match absence {
            Absence::None => {}
            Absence::Recovered { missed } => {
                fields.extend([("recovered", "true".into()), ("missed", missed.to_string())]);
            }
            Absence::Anew => fields.push(("recovered", "false".into())),
        }
        PreparedMessage::new(object(&fields))
    }

    pub fn leave(&mut self, id: u64) {
        self.members.remove(&id);
    }

    pub fn names(&self) -> Vec<String> {
        self.members.values().map(|member| member.name.clone()).collect()
    }

    /// Returns the senders of all members, with which they can be closed.
    pub fn senders(&self) -> Vec<Sender> {
        self.members.values().map(|member| member.sender.clone()).collect()
    }

    /// Delivers the next entry to all members. Returns `false` if it isn't the next one, so that
    /// the tail has to be read.
    pub fn deliver(&mut self, offset: u64, said: Said) -> bool {
        if offset != self.top + 1 {
            return offset <= self.top;
        }
        let entry = self.keep(offset, said);
        self.tell_all(&entry);
        true
    }

    fn keep(&mut self, offset: u64, said: Said) -> PreparedMessage {
        let entry = PreparedMessage::new(object(&[
            ("type", string("message")),
            ("offset", offset.to_string()),
            ("who", string(&said.who)),
            ("says", string(&said.says)),
        ]));
        self.kept.push_back(entry.clone());
        if self.kept.len() > self.history {
            self.kept.pop_front();
        }
        (self.top, self.last) = (offset, Some(said));
        entry
    }

    fn tell_all(&self, message: &PreparedMessage) {
        self.members.values().for_each(|member| send_or_drop(&member.outbox, message));
    }

    /// Replaces the room's entries by those of the store. If they don't continue the room's, all
    /// members are told to start anew.
    pub fn adopt(&mut self, tail: Tail, server: &str) {
        let first = tail.entries.first().map_or(1, |(offset, _)| *offset);
        if tail.epoch == self.epoch && first <= self.top + 1 {
            for (offset, said) in tail.entries {
                self.deliver(offset, said);
            }
            return;
        }
        let was_known = self.is_known();
        self.epoch = tail.epoch;
        (self.top, self.last) = (first - 1, None);
        self.kept.clear();
        let told = self.told(self.top, Absence::Anew, server);
        if was_known {
            log::warn!(
                "the stream is another, or too far ahead: {} start anew",
                self.members.len()
            );
            self.tell_all(&told);
        }
        for (offset, said) in tail.entries {
            self.deliver(offset, said);
        }
    }

    /// Sends the list of names to all members, if it has changed.
    pub fn tell_names(&mut self, mut names: Vec<String>) {
        names.sort();
        let count = names.len().to_string();
        names.truncate(MOST_NAMES);
        let list = array(names.iter().map(|name| string(name)));
        let told = object(&[("type", string("here")), ("count", count), ("names", list)]);
        if told != self.names {
            self.tell_all(&PreparedMessage::new(&*told));
            self.names = told;
        }
    }
}

/// Puts a message into a member's outbox. If the outbox is full, the member is too slow, and is
/// dropped: the abort ends its `recv`, and then its handler removes it. If its connection is closing
/// instead, `try_send` fails with `Closed`, and the outbox still sends what it holds.
fn send_or_drop(outbox: &Outbox, message: &PreparedMessage) {
    if let Err(Error::WriteTimeout) = outbox.try_send(message) {
        outbox.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;
    use std::time::Duration;

    use ws101::{CloseCode, Limits, Server, connect};

    use super::*;

    fn said(number: u64) -> Said {
        Said { from: "f".into(), number, who: "ann".into(), says: number.to_string() }
    }

    fn tail(epoch: &str, offsets: std::ops::RangeInclusive<u64>) -> Tail {
        Tail { epoch: epoch.into(), entries: offsets.map(|at| (at, said(at))).collect() }
    }

    fn at(epoch: &str, offset: u64) -> Position {
        Position { epoch: epoch.into(), offset }
    }

    fn room() -> Room {
        let mut room = Room::new(10);
        room.adopt(tail("a", 1..=30), "one");
        room
    }

    #[test]
    fn a_member_resumes_where_all_that_it_missed_is_kept_and_nowhere_else() {
        let room = room();
        assert_eq!(room.resume(&at("a", 30)), Some(30), "missed nothing");
        assert_eq!(room.resume(&at("a", 20)), Some(20), "missed just what is kept");
        assert_eq!(room.resume(&at("a", 19)), None, "one entry is gone");
        assert_eq!(room.resume(&at("a", 31)), None, "the server has not read that far");
        assert_eq!(room.resume(&at("b", 25)), None, "another stream");
    }

    #[test]
    fn a_server_takes_the_next_entry_alone_and_each_once() {
        let mut room = room();
        assert!(room.deliver(31, said(31)));
        assert!(room.deliver(31, said(31)), "had it already");
        assert_eq!((room.top, room.kept.len()), (31, 10));
        assert!(!room.deliver(33, said(33)), "a gap");
        assert_eq!(room.top, 31);
    }

    #[test]
    fn a_tail_that_continues_the_stream_fills_the_gap_and_any_other_replaces_it() {
        let mut room = room();
        room.adopt(tail("a", 25..=35), "one");
        assert_eq!((room.top, room.start()), (35, 25));
        room.adopt(tail("a", 40..=45), "one");
        assert_eq!((room.top, room.start()), (45, 39), "36 to 39 are gone");
        room.adopt(tail("b", 1..=2), "one");
        assert_eq!((room.top, room.start()), (2, 0));
        assert_eq!(room.resume(&at("a", 45)), None);
    }

    #[test]
    fn an_empty_stream_of_another_epoch_starts_at_its_first_entry() {
        let mut room = room();
        room.adopt(Tail { epoch: "b".into(), entries: Vec::new() }, "one");
        assert_eq!((room.top, room.start()), (0, 0));
        assert!(room.deliver(1, said(1)));
    }

    #[test]
    fn a_member_gets_the_list_of_names_even_if_it_has_not_changed_since_the_member_left() {
        let server = Server::bind("127.0.0.1:0").unwrap();
        let (url, handle) = (format!("ws://{}", server.local_addr().unwrap()), server.handle());
        let (came, comes) = channel();
        let serving = thread::spawn(move || {
            server.serve(move |mut ws| {
                came.send((ws.id(), ws.outbox(16)?, ws.sender())).unwrap();
                ws.recv().map(drop)
            })
        });
        let mut room = room();
        let names = || vec!["ann".to_owned()];
        room.tell_names(names());
        let mut ws = connect(&url).unwrap();
        let (id, outbox, sender) = comes.recv().unwrap();
        let member = Member { name: "ann".into(), outbox, sender };
        room.join(id, member, Some(&at("a", 30)), "one");
        room.tell_names(names());
        room.tell_all(&PreparedMessage::new("end"));
        let mut told = Vec::new();
        while told.last().is_none_or(|last| last != "end") {
            told.push(ws.recv().unwrap().unwrap().as_text().unwrap().to_owned());
        }
        assert!(told.iter().any(|told| told.contains(r#""names":["ann"]"#)), "{told:?}");
        handle.stop(Duration::ZERO);
        serving.join().unwrap().unwrap();
    }

    #[test]
    fn a_member_that_reads_nothing_is_cut_off_when_its_outbox_is_full_and_no_other_is() {
        let server = Server::bind("127.0.0.1:0").unwrap();
        let (url, handle) = (format!("ws://{}", server.local_addr().unwrap()), server.handle());
        let ((came, comes), (left, leaves)) = (channel(), channel());
        let serving = thread::spawn(move || {
            server.serve(move |mut ws| {
                let outbox = ws.outbox(2)?;
                came.send((ws.id(), outbox, ws.sender())).unwrap();
                let ended = ws.recv().map(drop);
                left.send(ws.id()).unwrap();
                ended
            })
        });
        let mut room = room();
        let mut enter = || {
            let ws = connect(&url).unwrap();
            let (id, outbox, sender) = comes.recv().unwrap();
            room.members.insert(id, Member { name: id.to_string(), outbox, sender });
            (id, ws)
        };
        let ((awake, mut reads), (asleep, _tunnel)) = (enter(), enter());
        let news = PreparedMessage::new(vec![0; 1024 * 1024]);
        // 64 MiB are more than all buffers on the way can hold.
        for _ in 0..64 {
            room.tell_all(&news);
            assert_eq!(reads.recv().unwrap().unwrap().as_bytes().len(), 1024 * 1024);
        }
        // This is much shorter than the time limit for a write.
        assert_eq!(leaves.recv_timeout(Duration::from_secs(10)), Ok(asleep));
        assert!(leaves.try_recv().is_err(), "{awake} stays");
        handle.stop(Duration::ZERO);
        serving.join().unwrap().unwrap();
    }

    #[test]
    fn a_member_whose_connection_is_closing_still_receives_what_its_outbox_holds() {
        // No deadline comes before this test is over.
        let long = Duration::from_secs(120);
        let limits = Limits { write: long, close: long, ping_every: None, ..Limits::default() };
        let server = Server::bind("127.0.0.1:0").unwrap().limits(limits);
        let (url, handle) = (format!("ws://{}", server.local_addr().unwrap()), server.handle());
        let (came, comes) = channel();
        let serving = thread::spawn(move || {
            server.serve(move |mut ws| {
                came.send((ws.outbox(16)?, ws.sender())).unwrap();
                ws.recv().map(drop)
            })
        });
        let mut reads = connect(&url).unwrap();
        let (outbox, sender) = comes.recv().unwrap();
        let closes = sender.clone();
        let mut room = room();
        room.members.insert(1, Member { name: "ann".into(), outbox, sender });
        // 64 MiB are more than all buffers on the way can hold.
        let news = PreparedMessage::new(vec![0; 4 * 1024 * 1024]);
        (0..16).for_each(|_| room.tell_all(&news));
        closes.close(CloseCode::GOING_AWAY, "").unwrap();
        room.tell_all(&PreparedMessage::new("too late for this member"));
        for _ in 0..16 {
            assert_eq!(reads.recv().unwrap().unwrap().as_bytes().len(), 4 * 1024 * 1024);
        }
        assert_eq!(reads.recv().unwrap(), None);
        assert_eq!(reads.closed_with().unwrap().code, CloseCode::GOING_AWAY);
        handle.stop(Duration::ZERO);
        serving.join().unwrap().unwrap();
    }
}
