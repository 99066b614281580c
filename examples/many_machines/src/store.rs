//! What the servers need of whatever stands between them: an append, a tail, a way to follow, and who is here.
//!
//! Rules of this trait, which [`Memory`](crate::memory::Memory) and [`Redis`](crate::redis_streams::Redis) keep:
//! - Each room has one stream. Each entry of a stream has an `offset`, one more than the entry before it; the first
//!   is 1. All servers read the same entries at the same offsets.
//! - Each stream has an `epoch`, a random name. A store that lost entries, or all of them, begins a new epoch, so
//!   that an offset of the old stream is never taken for one of the new.
//! - A store keeps the last `history` entries of each stream, and drops what is older.
//! - `append` is idempotent. A member numbers what it says; a number that the store has had is not appended again.

use std::fmt;
use std::time::Duration;

/// The rooms. A server reads the streams of all of them with one blocking call.
pub const ROOMS: [&str; 3] = ["tea", "garden", "workshop"];

/// For how long `follow` waits when there is nothing new.
pub const FOLLOW: Duration = Duration::from_millis(500);

/// What one member said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The sender's key: random, chosen by the sender, told to no other member.
    pub from: String,
    /// The sender's count of its own messages, from 1.
    pub number: u64,
    /// The sender's name.
    pub who: String,
    pub says: String,
}

/// A place in a stream: the last entry that was seen there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    pub epoch: String,
    pub offset: u64,
}

/// What a server has read of one room's stream.
#[derive(Clone, Debug)]
pub struct Seen {
    pub position: Position,
    /// The entry at that offset, so that a store that holds another one there is noticed. `None` before the first.
    pub last: Option<Said>,
}

/// The end of a stream.
#[derive(Clone, Debug)]
pub struct Tail {
    pub epoch: String,
    /// With their offsets, oldest first, without a gap.
    pub entries: Vec<(u64, Said)>,
}

/// What `follow` found.
#[derive(Debug)]
pub enum News {
    /// Entries by room, offset and content. Empty when nothing came in time.
    Entries(Vec<(usize, u64, Said)>),
    /// This room's stream is another one, or has dropped entries that the server has not read: ask for its tail.
    Anew(usize),
}

/// The store does not answer, or answers with an error.
#[derive(Clone, Debug)]
pub struct Unavailable(pub String);

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store is unavailable: {}", self.0)
    }
}

/// The stream of each room, and who is in it.
pub trait Store: Send + Sync {
    /// Appends what a member said to a room's stream. When this returns `Ok`, the store has it, once.
    /// An `Err` leaves open whether the store has it: the sender asks again with the same number.
    fn append(&self, room: usize, said: &Said) -> Result<(), Unavailable>;

    /// Reads all that the store keeps of a room's stream.
    fn tail(&self, room: usize) -> Result<Tail, Unavailable>;

    /// Waits for entries after those that were seen, one `Seen` for each room; for [`FOLLOW`] at most.
    fn follow(&self, seen: &[Seen]) -> Result<News, Unavailable>;

    /// Says who is in each room on this server, and learns who is there on all servers. What a server said is
    /// forgotten after [`PRESENCE`] unless it says it again.
    fn presence(&self, server: &str, here: &[Vec<String>])
    -> Result<Vec<Vec<String>>, Unavailable>;
}

/// How long a server's list of names lives in the store.
pub const PRESENCE: Duration = Duration::from_secs(6);

/// A new name for a stream: 64 random bits.
pub fn new_epoch() -> String {
    use std::hash::{BuildHasher, RandomState};
    format!("{:016x}", RandomState::new().hash_one("epoch"))
}
