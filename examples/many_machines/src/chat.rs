//! The rooms of one server, and the threads that serve all of its members: one reads the store, one
//! keeps the lists of members, one watches the store; and draining.
//!
//! ```text
//! store ──► the reader: follow, deliver ──► Room ──► an Outbox for each member
//! ```

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use ws101::Sender;

use crate::room::{Member, Room};
use crate::store::{News, Position, ROOMS, Store, Unavailable};

/// How long a returning member waits for this server to read as far as the member has already
/// received elsewhere.
const CATCH_UP: Duration = Duration::from_secs(2);
/// After this long without an answer from its store, a server says that it's not ready.
const OUT_OF_TOUCH: Duration = Duration::from_secs(2);
/// After this long without an answer from its store, a server sends its members away, because
/// another server may reach the store.
const SEND_AWAY: Duration = Duration::from_secs(6);
/// The pause between two batches of members that are sent away, and between two updates of the
/// lists of members.
const BATCH_EVERY: Duration = Duration::from_millis(100);
const PRESENCE_EVERY: Duration = Duration::from_secs(2);

pub struct Chat {
    pub name: String,
    pub store: Box<dyn Store>,
    pub history: usize,
    /// The rooms, each with a condition variable that the reader signals after it has delivered
    /// something.
    rooms: Vec<(Mutex<Room>, Condvar)>,
    /// When the reader last asked its store a question that was answered. Everything that the store
    /// had then is delivered.
    answered: Mutex<Option<Instant>>,
    draining: AtomicBool,
}

/// The server's answer to the balancer's health check.
#[derive(Debug, PartialEq, Eq)]
pub enum Health {
    Ready,
    /// The server drains: the balancer sends it no new members, and it closes its own in batches.
    Draining,
    /// The store hasn't answered for a while.
    OutOfTouch,
}

impl Chat {
    pub fn new(name: String, store: Box<dyn Store>, history: usize) -> Chat {
        Chat {
            name,
            store,
            history,
            rooms: ROOMS.iter().map(|_| (Mutex::new(Room::new(history)), Condvar::new())).collect(),
            answered: Mutex::default(),
            draining: AtomicBool::new(false),
        }
    }

    pub fn room(&self, room: usize) -> MutexGuard<'_, Room> {
        self.rooms[room].0.lock().unwrap()
    }

    pub fn health(&self) -> Health {
        if self.draining.load(SeqCst) {
            return Health::Draining;
        }
        let answered = *self.answered.lock().unwrap();
        match answered.is_some_and(|at| at.elapsed() < OUT_OF_TOUCH) {
            true => Health::Ready,
            false => Health::OutOfTouch,
        }
    }

    /// Adds a member to its room. If the member comes from a server that has read further than this
    /// one, it waits for the reader. If the reader asks the store again and still doesn't reach the
    /// member's position, that position isn't in the store, and the member starts anew. Returns
    /// `false` if the store hasn't answered meanwhile: then this server doesn't know what the
    /// member missed, but another one may. Also returns `false` if the store hasn't answered for so
    /// long that the server sends its members away.
    #[must_use]
    pub fn join(&self, room: usize, id: u64, member: Member, position: Option<Position>) -> bool {
        let came = Instant::now();
        let (locked, delivered) = (self.room(room), &self.rooms[room].1);
        let not_yet = |room: &Room| {
            !room.is_known() || position.as_ref().is_some_and(|at| room.is_behind(at))
        };
        let waited = delivered.wait_timeout_while(locked, CATCH_UP, |room| not_yet(room));
        let mut room = waited.unwrap().0;
        let answer = *self.answered.lock().unwrap();
        // A server that sends its members away lets in no others. They would come back at once, again
        // and again, because the position that they receive resets their wait.
        let is_lost = answer.is_some_and(|at| at.elapsed() > SEND_AWAY);
        let answered = answer.is_some_and(|at| at > came);
        let knows = !is_lost && (!not_yet(&room) || (room.is_known() && answered));
        if knows {
            room.join(id, member, position.as_ref(), &self.name);
        }
        knows
    }

    /// Reads the store's streams for as long as the server runs. It needs its own thread.
    pub fn read(&self) {
        loop {
            // Take the time before the question, because the answer needn't include entries that
            // are appended after it.
            let asked = Instant::now();
            match self.read_some() {
                Ok(()) => *self.answered.lock().unwrap() = Some(asked),
                Err(error) => {
                    log::warn!("{error}");
                    thread::sleep(BATCH_EVERY);
                }
            }
        }
    }

    // WALK: chat_reader
    /// Waits for new entries in all rooms, and delivers them to the members.
    fn read_some(&self) -> Result<(), Unavailable> {
        for room in 0..ROOMS.len() {
            if !self.room(room).is_known() {
                self.adopt(room)?;
            }
        }
        let seen: Vec<_> = (0..ROOMS.len()).map(|room| self.room(room).seen()).collect();
        match self.store.follow(&seen)? {
            News::Anew(room) => self.adopt(room)?,
            News::Entries(entries) => {
                for (room, offset, said) in entries {
                    // Keep the result in a variable, so that the room's lock is released before the
                    // tail is read.
                    let is_next = self.room(room).deliver(offset, said);
                    if !is_next {
                        self.adopt(room)?;
                    }
                    self.rooms[room].1.notify_all();
                }
            }
        }
        Ok(())
    }

    /// Reads all that the store keeps of a room's stream, and makes it the room's content.
    fn adopt(&self, room: usize) -> Result<(), Unavailable> {
        let tail = self.store.tail(room)?;
        self.room(room).adopt(tail, &self.name);
        self.rooms[room].1.notify_all();
        Ok(())
    }

    /// Tells the store which members are on this server, and the members who is on all servers. It
    /// needs its own thread.
    pub fn keep_presence(&self) {
        loop {
            let here: Vec<_> = (0..ROOMS.len()).map(|room| self.room(room).names()).collect();
            match self.store.presence(&self.name, &here) {
                Ok(all) => {
                    let each = all.into_iter().enumerate();
                    each.for_each(|(room, names)| self.room(room).tell_names(names));
                }
                Err(error) => log::debug!("presence: {error}"),
            }
            thread::sleep(PRESENCE_EVERY);
        }
    }

    /// Sends all members away when the store hasn't answered for a long time, because another
    /// server may reach it. It needs its own thread.
    pub fn watch_store(&self) {
        loop {
            thread::sleep(BATCH_EVERY);
            let answered = *self.answered.lock().unwrap();
            if answered.is_some_and(|at| at.elapsed() > SEND_AWAY) {
                self.send_away(1013, "this server has lost its store", Duration::from_secs(1));
            }
        }
    }

    // WALK: chat_drain
    /// Empties this server for a restart: the balancer learns it first, and then the server sends
    /// its members away, a batch at a time.
    pub fn drain(&self, notice: Duration, over: Duration) {
        self.draining.store(true, SeqCst);
        thread::sleep(notice);
        // Do it twice, because a member may have been joining during the first time.
        self.send_away(1012, "this server restarts; come back at once", over);
        self.send_away(1012, "this server restarts; come back at once", BATCH_EVERY);
    }

    fn send_away(&self, code: u16, reason: &str, over: Duration) {
        let senders: Vec<Sender> =
            (0..ROOMS.len()).flat_map(|room| self.room(room).senders()).collect();
        let batches = (over.as_millis() / BATCH_EVERY.as_millis()).max(1) as usize;
        let size = senders.len().div_ceil(batches).max(1);
        for batch in senders.chunks(size) {
            for sender in batch {
                // Ignore the error of a member that has already left.
                let _ = sender.close(code, reason);
            }
            thread::sleep(BATCH_EVERY);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::{self, Receiver, channel};

    use ws101::{Server, connect};

    use super::*;
    use crate::store::{Said, Seen, Tail};

    /// A store that answers only when the test allows it.
    struct Slow {
        asked: mpsc::Sender<()>,
        answers: Mutex<Receiver<News>>,
    }

    impl Store for Slow {
        fn append(&self, _: usize, _: &Said) -> Result<(), Unavailable> {
            Err(Unavailable("nothing is said here".into()))
        }

        fn tail(&self, _: usize) -> Result<Tail, Unavailable> {
            Ok(Tail { epoch: "a".into(), entries: Vec::new() })
        }

        fn follow(&self, _: &[Seen]) -> Result<News, Unavailable> {
            let _ = self.asked.send(());
            let answer = self.answers.lock().unwrap().recv();
            answer.map_err(|_| Unavailable("the test is over".into()))
        }

        fn presence(&self, _: &str, _: &[Vec<String>]) -> Result<Vec<Vec<String>>, Unavailable> {
            Err(Unavailable("no names here".into()))
        }
    }

    /// Returns whether a new member may join this chat.
    fn lets_in(chat: Chat) -> bool {
        let server = Server::bind("127.0.0.1:0").unwrap();
        let (url, handle) = (format!("ws://{}", server.local_addr().unwrap()), server.handle());
        let (joined, joins) = channel();
        let serving = thread::spawn(move || {
            server.serve(move |ws| {
                let member =
                    Member { name: "ann".into(), outbox: ws.outbox(9)?, sender: ws.sender() };
                joined.send(chat.join(0, ws.id(), member, None)).unwrap();
                Ok(())
            })
        });
        let _ws = connect(&url).unwrap();
        let has_joined = joins.recv_timeout(Duration::from_secs(60)).unwrap();
        handle.stop(Duration::ZERO);
        serving.join().unwrap().unwrap();
        has_joined
    }

    #[test]
    fn a_server_that_sends_its_members_away_lets_in_no_others() {
        for (silent_for, expected) in [(SEND_AWAY * 2, false), (Duration::ZERO, true)] {
            let (asked, answers) = (channel().0, Mutex::new(channel().1));
            let chat = Chat::new("one".into(), Box::new(Slow { asked, answers }), 10);
            chat.adopt(0).unwrap();
            *chat.answered.lock().unwrap() = Instant::now().checked_sub(silent_for);
            assert_eq!(lets_in(chat), expected, "{silent_for:?}");
        }
    }

    #[test]
    fn an_answer_to_what_was_asked_before_a_member_came_does_not_show_that_something_is_lost() {
        let ((asked, asks), (answer, answers)) = (channel(), channel());
        let store = Slow { asked, answers: Mutex::new(answers) };
        let chat = Arc::new(Chat::new("one".into(), Box::new(store), 10));
        let reading = chat.clone();
        thread::spawn(move || reading.read());
        asks.recv().unwrap();

        let server = Server::bind("127.0.0.1:0").unwrap();
        let (url, handle) = (format!("ws://{}", server.local_addr().unwrap()), server.handle());
        let (joined, joins) = channel();
        let serving = thread::spawn(move || {
            server.serve(move |mut ws| {
                let member =
                    Member { name: "ann".into(), outbox: ws.outbox(9)?, sender: ws.sender() };
                // She has heard the first entry elsewhere. This server's question was on its way by then.
                let position = Some(Position { epoch: "a".into(), offset: 1 });
                joined.send(chat.join(0, ws.id(), member, position)).unwrap();
                ws.recv().map(drop)
            })
        });
        let ws = connect(&url).unwrap();
        // By now she has come; if not, the answer is older than she is, which shows nothing either.
        thread::sleep(CATCH_UP / 4);
        answer.send(News::Entries(Vec::new())).unwrap();
        asks.recv().unwrap();
        assert_eq!(joins.recv_timeout(Duration::from_secs(60)), Ok(false));
        drop(ws);
        handle.stop(Duration::ZERO);
        serving.join().unwrap().unwrap();
    }
}
