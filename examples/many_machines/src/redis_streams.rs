//! The store between several servers: a Redis stream for each room.
//!
//! ```text
//! a member's thread ──► queue ──► the appending thread ──► EVAL append.lua: XADD chat:{tea}:EPOCH 0-* ..
//! the server's reader ◄────────── XREAD BLOCK of all rooms, one connection ◄──┘
//! ```
//!
//! Rules of this file:
//! - Each call has a deadline. After an error or a timeout, the connection is dropped. Otherwise a
//!   late answer would be taken for the answer to the next command.
//! - One thread appends for all members. It sends all waiting appends in one pipeline, so many members
//!   wait for one round trip. If Redis hangs, all of them wait for one deadline, and not one after the
//!   other.
//! - The name of a stream contains its epoch, so no command ever mixes entries of two epochs.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use redis::streams::{StreamId, StreamRangeReply, StreamReadReply};
use redis::{Client, Cmd, Connection, Pipeline, RedisError, cmd, from_redis_value};

use crate::store::{
    FOLLOW, News, PRESENCE, ROOMS, Said, Seen, Store, Tail, Unavailable, new_epoch,
};

/// The deadline for one command, in addition to the time for which it blocks; also the deadline for
/// connecting.
const DEADLINE: Duration = Duration::from_millis(1500);
/// How many appends go into one pipeline at most.
const PIPELINE: usize = 256;

pub struct Redis {
    client: Client,
    history: usize,
    appends: Mutex<Sender<Append>>,
    /// The reader's connection. Its commands block, so nothing else uses it.
    following: Mutex<Following>,
    presence: Mutex<Option<Connection>>,
}

struct Following {
    connection: Option<Connection>,
    checked: Option<Instant>,
}

/// A waiting append, and the channel on which its member's thread waits for the result.
struct Append {
    command: Cmd,
    done: std::sync::mpsc::SyncSender<Result<(), Unavailable>>,
}

impl Redis {
    /// Makes the store for `redis://HOST:PORT`. It doesn't connect yet, so a server can start
    /// before its Redis.
    pub fn new(url: &str, history: usize) -> Result<Redis, Unavailable> {
        let client = Client::open(url)?;
        let (appends, queue) = channel();
        let for_thread = client.clone();
        let appending = move || append_all(&for_thread, &queue, history);
        let spawned = thread::Builder::new().name("appends".into()).spawn(appending);
        spawned.map_err(|error| Unavailable(error.to_string()))?;
        let following = Mutex::new(Following { connection: None, checked: None });
        Ok(Redis {
            client,
            history,
            appends: Mutex::new(appends),
            following,
            presence: Mutex::default(),
        })
    }
}

impl From<RedisError> for Unavailable {
    fn from(error: RedisError) -> Unavailable {
        Unavailable(error.to_string())
    }
}

/// Runs commands on a connection. Connects first if there is no connection, and drops it if the
/// commands fail.
fn on<T>(
    client: &Client,
    slot: &mut Option<Connection>,
    run: impl FnOnce(&mut Connection) -> Result<T, RedisError>,
) -> Result<T, Unavailable> {
    let mut connection = match slot.take() {
        Some(connection) => connection,
        None => {
            let connection = client.get_connection_with_timeout(DEADLINE)?;
            connection.set_read_timeout(Some(DEADLINE + FOLLOW))?;
            connection.set_write_timeout(Some(DEADLINE))?;
            connection
        }
    };
    let outcome = run(&mut connection)?;
    *slot = Some(connection);
    Ok(outcome)
}

/// Appends what comes from the queue until the store is dropped. This is the appending thread's
/// work.
fn append_all(client: &Client, queue: &Receiver<Append>, history: usize) {
    let mut connection = None;
    while let Ok(first) = queue.recv() {
        let appends: Vec<Append> =
            std::iter::once(first).chain(queue.try_iter().take(PIPELINE - 1)).collect();
        let mut pipeline = Pipeline::new();
        for append in &appends {
            pipeline.add_command(append.command.clone().arg(history).to_owned());
        }
        // If one append failed, the results of the others are unknown. All members retry, which
        // append.lua makes safe.
        let outcome = on(client, &mut connection, |connection| pipeline.exec(connection));
        for append in appends {
            // Ignore the error of a member that has already left.
            let _ = append.done.send(outcome.clone());
        }
    }
}

fn key(room: usize) -> String {
    // In a Redis cluster, the braces put all keys of a room on the same node.
    format!("chat:{{{}}}", ROOMS[room])
}

/// Builds an EVAL command. It sends the script with each call, which costs a few hundred bytes, but
/// nothing has to be loaded again after a restart of Redis.
fn script(text: &str, room: usize) -> Cmd {
    cmd("EVAL").arg(text).arg(1).arg(key(room)).to_owned()
}

/// Parses an entry of a stream. Its offset is the sequence number in its id: 7 in `0-7`.
fn entry(id: &StreamId) -> Option<(u64, Said)> {
    let offset = id.id.strip_prefix("0-")?.parse().ok()?;
    let said = Said {
        from: id.get("from")?,
        number: id.get("number")?,
        who: id.get("who")?,
        says: id.get("says")?,
    };
    Some((offset, said))
}

/// Returns the entries after the last gap. There is a gap if someone has deleted an entry, such as an
/// abusive message (`XDEL`). A room can't deliver past a gap, so it starts anew after it.
fn after_last_gap(mut entries: Vec<(u64, Said)>) -> Vec<(u64, Said)> {
    let gap = entries.windows(2).rposition(|two| two[0].0 + 1 != two[1].0);
    entries.split_off(gap.map_or(0, |before| before + 1))
}

impl Store for Redis {
    fn append(&self, room: usize, said: &Said) -> Result<(), Unavailable> {
        let command = script(include_str!("append.lua"), room)
            .arg(new_epoch())
            .arg(&said.from)
            .arg(said.number)
            .arg(&said.who)
            .arg(&said.says)
            .to_owned();
        let (done, outcome) = sync_channel(1);
        let queued = self.appends.lock().unwrap().send(Append { command, done });
        let gone = |_| Unavailable("the appending thread has ended".into());
        queued.map_err(|error| Unavailable(error.to_string()))?;
        outcome.recv().map_err(gone)?
    }

    fn tail(&self, room: usize) -> Result<Tail, Unavailable> {
        let Following { connection, .. } = &mut *self.following.lock().unwrap();
        let command = script(include_str!("tail.lua"), room).arg(new_epoch()).to_owned();
        let (epoch, entries): (String, StreamRangeReply) =
            on(&self.client, connection, |connection| command.query(connection))?;
        let entries = entries.ids.iter().filter_map(entry).collect();
        Ok(Tail { epoch, entries: after_last_gap(entries) })
    }

    // One XREAD reads all rooms. Twice a second, the streams are checked first, because XREAD would
    // never return entries of a stream that no longer exists.
    fn follow(&self, seen: &[Seen]) -> Result<News, Unavailable> {
        let Following { connection, checked } = &mut *self.following.lock().unwrap();
        // Redis may have been restored from a backup before this new connection, so check before
        // reading on.
        if connection.is_none() || checked.is_none_or(|at| at.elapsed() >= FOLLOW) {
            let mut pipeline = Pipeline::new();
            for (room, Seen { position, last }) in seen.iter().enumerate() {
                let (from, number) =
                    last.as_ref().map_or(("", 0), |last| (&last.from, last.number));
                let check = script(include_str!("check.lua"), room);
                pipeline.add_command(
                    check
                        .to_owned()
                        .arg(&position.epoch)
                        .arg(position.offset)
                        .arg(from)
                        .arg(number)
                        .arg(new_epoch())
                        .to_owned(),
                );
            }
            let answers: Vec<String> =
                on(&self.client, connection, |connection| pipeline.query(connection))?;
            if let Some(room) = answers.iter().position(|answer| answer != "same") {
                return Ok(News::Anew(room));
            }
            *checked = Some(Instant::now());
        }
        // Ask for up to all that a stream keeps, so that one answer brings all that this server
        // lacks.
        let mut read = cmd("XREAD");
        read.arg("COUNT")
            .arg(self.history)
            .arg("BLOCK")
            .arg(FOLLOW.as_millis() as u64)
            .arg("STREAMS");
        let names: Vec<String> = (0..seen.len())
            .map(|room| format!("{}:{}", key(room), seen[room].position.epoch))
            .collect();
        read.arg(&names);
        read.arg(seen.iter().map(|seen| format!("0-{}", seen.position.offset)).collect::<Vec<_>>());
        // The reply is nil if nothing came in time.
        let reply: Option<StreamReadReply> =
            on(&self.client, connection, |connection| read.query(connection))?;
        let mut entries = Vec::new();
        for stream in reply.iter().flat_map(|reply| &reply.keys) {
            let Some(room) = names.iter().position(|name| *name == stream.key) else { continue };
            let read = stream.ids.iter().filter_map(entry);
            entries.extend(read.map(|(offset, said)| (room, offset, said)));
        }
        Ok(News::Entries(entries))
    }

    fn presence(
        &self,
        server: &str,
        here: &[Vec<String>],
    ) -> Result<Vec<Vec<String>>, Unavailable> {
        let connection = &mut *self.presence.lock().unwrap();
        on(&self.client, connection, |connection| {
            let mut renew = Pipeline::new();
            renew.cmd("SADD").arg("chat:servers").arg(server);
            for (room, names) in here.iter().enumerate() {
                let name = format!("{}:here:{server}", key(room));
                renew.cmd("SET").arg(name).arg(names.join("\n")).arg("EX").arg(PRESENCE.as_secs());
            }
            renew.exec(connection)?;
            let servers: Vec<String> = cmd("SMEMBERS").arg("chat:servers").query(connection)?;
            let mut all = Vec::new();
            for room in 0..here.len() {
                let mut lists = cmd("MGET");
                servers.iter().for_each(|server| {
                    lists.arg(format!("{}:here:{server}", key(room)));
                });
                // The key of a server that has died has expired, so its list is missing here.
                let lists: Vec<Option<String>> = from_redis_value(lists.query(connection)?)?;
                let names = lists.iter().flatten().flat_map(|names| names.lines());
                all.push(names.map(str::to_owned).collect());
            }
            Ok(all)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_has_no_gap_even_if_entries_were_deleted() {
        let said = Said { from: "f".into(), number: 1, who: "ann".into(), says: "hi".into() };
        let kept = |offsets: &[u64]| -> Vec<u64> {
            let entries = offsets.iter().map(|at| (*at, said.clone())).collect();
            after_last_gap(entries).iter().map(|(at, _)| *at).collect()
        };
        assert_eq!(kept(&[]), []);
        assert_eq!(kept(&[5, 6, 7]), [5, 6, 7]);
        assert_eq!(kept(&[1, 2, 4, 6, 7]), [6, 7]);
        assert_eq!(kept(&[1, 2, 4]), [4]);
    }
}
