//! What a server needs from the store that all servers share: appending, reading the end of a
//! stream, waiting for new entries, and the lists of members.
//!
//! Rules of this trait, which [`Memory`](crate::memory::Memory) and
//! [`Redis`](crate::redis_streams::Redis) follow:
//! - Each room has one stream. Each entry of a stream has an `offset`, one more than the entry before it; the first
//!   is 1. All servers read the same entries at the same offsets.
//! - Each stream has an `epoch`, a random name. A store that has lost entries begins a new epoch,
//!   so that an offset of the old stream is never taken for one of the new stream.
//! - A store keeps the last `history` entries of each stream, and drops older ones.
//! - `append` is idempotent. A member numbers its messages, and the store doesn't append a number twice.

use std::fmt;
use std::time::Duration;

/// The names of the rooms. A server reads the streams of all rooms with one blocking call.
pub const ROOMS: [&str; 3] = ["tea", "garden", "workshop"];

/// How long `follow` waits at most for new entries.
pub const FOLLOW: Duration = Duration::from_millis(500);

/// A message that a member sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The sender's random key, which the sender chooses and no other member learns.
    pub from: String,
    /// The sender's count of its own messages, from 1.
    pub number: u64,
    /// The sender's name.
    pub who: String,
    pub says: String,
}

/// A place in a stream: its epoch, and the offset of the last entry that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    pub epoch: String,
    pub offset: u64,
}

/// How far a server has read one room's stream.
#[derive(Clone, Debug)]
pub struct Seen {
    pub position: Position,
    /// The entry at that offset, so that the server notices if the store now has another one there.
    /// `None` before the first entry.
    pub last: Option<Said>,
}

/// The last entries of a stream, as the store has them.
#[derive(Clone, Debug)]
pub struct Tail {
    pub epoch: String,
    /// The entries with their offsets, oldest first, without a gap.
    pub entries: Vec<(u64, Said)>,
}

/// What `follow` returns.
#[derive(Debug)]
pub enum News {
    /// New entries, each with its room and offset. Empty if none came in time.
    Entries(Vec<(usize, u64, Said)>),
    /// This room's stream has another epoch, or has dropped entries that the server hasn't read.
    /// The server must read its tail.
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

/// The store that all servers share: each room's stream, and which members are in the room.
pub trait Store: Send + Sync {
    /// Appends a member's message to a room's stream. After `Ok`, the store has the message, once.
    /// After `Err`, the store may or may not have it, so the caller retries with the same number.
    fn append(&self, room: usize, said: &Said) -> Result<(), Unavailable>;

    /// Reads all that the store keeps of a room's stream.
    fn tail(&self, room: usize) -> Result<Tail, Unavailable>;

    /// Waits for entries after those that were seen, but no longer than [`FOLLOW`]. `seen` has one
    /// item for each room.
    fn follow(&self, seen: &[Seen]) -> Result<News, Unavailable>;

    /// Stores who is in each room on this server, and returns who is there on all servers. The
    /// store forgets a server's lists after [`PRESENCE`], unless the server stores them again.
    fn presence(&self, server: &str, here: &[Vec<String>])
    -> Result<Vec<Vec<String>>, Unavailable>;
}

/// How long the store keeps a server's lists of names.
pub const PRESENCE: Duration = Duration::from_secs(6);

/// Returns a new, random name for a stream, of 64 bits.
pub fn new_epoch() -> String {
    use std::hash::{BuildHasher, RandomState};
    format!("{:016x}", RandomState::new().hash_one("epoch"))
}
