//! How many threads may this process still start? Each connection of a server needs one, and so
//! does each outbox.
//!
//! ```text
//! read the system's limits ──► free threads of each limit ──► spawn: one free thread less
//!                                        └── too few free ──► an error that names the limit
//! ```
//!
//! A thread takes four memory mappings: its stack, the guard page below it, and the same two for
//! the small stack on which a stack overflow is reported. With only two mappings left, the thread
//! starts, but then std panics in it before any of our code runs, and the process aborts. Therefore
//! it isn't safe to start a thread and see whether that fails. Instead, this file counts how many
//! threads may still start (the *free* threads), and starts none that would leave too few.
//!
//! Rules of this file:
//! - On Linux, this file reads three limits: `vm.max_map_count`, `kernel.threads-max`, and
//!   `pids.max` of the control group and of its parent groups. On other systems, it reads none.
//! - A sixteenth of each limit is reserved for the application's own threads and for large
//!   allocations (each is a mapping), because this file doesn't count them. A second sixteenth is
//!   reserved for the outboxes of the open connections, so a new connection must leave it free,
//!   too.
//! - This file reads the limits again from time to time, so an operator may raise or lift a limit
//!   while the server runs. If a limit's files can't be read again, its last known values stay in
//!   use.
//! - Reading the limits takes about 10 ms if there are 50,000 mappings. Therefore, between two
//!   readings, this file counts only the starts and ends of its own threads. The closer a limit is,
//!   the sooner the next reading comes.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};
// (Imported this way, `sync` isn't replaced by the model checker. No thread waits while it holds
// the budget's lock, so the checker has nothing to check there.)
use std::{fs, io, sync};

/// The number of memory mappings that a thread takes: its stack and a guard page, and the same two
/// for the small stack on which a stack overflow is reported.
const MAPS_PER_THREAD: i64 = 4;
/// The minimum number of threads that may start before the system's limits are read again. Without
/// this minimum, each thread that starts near a limit would need a new reading.
const THREADS_BETWEEN_READINGS: i64 = 64;
/// The minimum time between two readings of the system's limits while they allow no further thread.
/// In the meantime, a thread may start only after another of our threads has ended.
const REREAD_AFTER: Duration = Duration::from_secs(1);
/// The limit that we assume for a control group without a limit, whose `pids.max` file contains
/// `max` instead of a number. No system has so many threads, so this limit never refuses one.
const NO_LIMIT: i64 = u32::MAX as i64;

/// What a new thread is for. This decides how many threads must stay free after it has started: a
/// connection must leave enough for outboxes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    Connection,
    Outbox,
}

impl Purpose {
    /// Returns how many threads must stay free after a thread with this purpose has started.
    /// `max_threads` is the number of threads that one of the system's limits allows.
    fn must_leave(self, max_threads: i64) -> i64 {
        match self {
            Purpose::Connection => max_threads / 8,
            Purpose::Outbox => max_threads / 16,
        }
    }
}

/// Starts a thread called `name` that runs `work` on a stack of `stack` bytes. Fails if a system
/// limit allows too few further threads (the error names that limit), or if the operating system
/// can't start the thread.
pub(crate) fn spawn(
    purpose: Purpose,
    name: String,
    stack: usize,
    work: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    let permit = ThreadPermit::reserve(purpose)?;
    let work = move || {
        let _permit = permit;
        work();
    };
    thread::Builder::new().name(name).stack_size(stack).spawn(work)?;
    Ok(())
}

/// The thread budget: how many threads may still start. The whole process has only one budget,
/// because the system's limits apply to the process or to the machine.
static BUDGET: sync::Mutex<Budget> =
    sync::Mutex::new(Budget { limits: Vec::new(), until_reading: 0, read_at: None });

fn lock_budget() -> sync::MutexGuard<'static, Budget> {
    BUDGET.lock().unwrap_or_else(sync::PoisonError::into_inner)
}

/// A permit for one thread of the budget. Dropping the permit makes room for another thread.
struct ThreadPermit;

impl ThreadPermit {
    fn reserve(purpose: Purpose) -> io::Result<ThreadPermit> {
        let read = |path: &Path| fs::read(path).ok();
        match lock_budget().reserve(purpose, Instant::now(), &read) {
            Ok(()) => Ok(ThreadPermit),
            Err(limit) => {
                let error = format!("{limit} leaves too few threads");
                Err(io::Error::new(io::ErrorKind::QuotaExceeded, error))
            }
        }
    }
}

impl Drop for ThreadPermit {
    fn drop(&mut self) {
        lock_budget().give_back();
    }
}

/// The thread budget: how many threads each system limit still allows. We read the limits only from
/// time to time. In between, each thread that we start lowers these numbers by one, and each that
/// ends raises them by one.
struct Budget {
    limits: Vec<Limit>,
    /// The number of threads that may start before the system's limits must be read again.
    until_reading: i64,
    read_at: Option<Instant>,
}

/// A system limit, converted to threads. `all` is the number of threads that it allows, and `free`
/// is how many of these may still start.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Limit {
    name: &'static str,
    all: i64,
    free: i64,
}

/// A function that reads a file, or returns `None` if the file can't be read. Tests pass their own
/// function.
type Read<'a> = &'a dyn Fn(&Path) -> Option<Vec<u8>>;

impl Budget {
    // WALK: budget
    /// Reserves one thread in the budget. Fails with the name of the limit that leaves no thread
    /// for this purpose. Reads the system's limits first if enough threads have started since the
    /// last reading, or if a limit is exhausted and the last reading was at least [`REREAD_AFTER`]
    /// ago.
    fn reserve(&mut self, purpose: Purpose, now: Instant, read: Read) -> Result<(), &'static str> {
        let rested = self.read_at.is_none_or(|read_at| now - read_at >= REREAD_AFTER);
        if self.until_reading == 0 || (rested && self.exhausted_limit(purpose).is_some()) {
            self.read_limits(now, read);
        }
        if let Some(limit) = self.exhausted_limit(purpose) {
            return Err(limit);
        }
        self.until_reading -= 1;
        self.limits.iter_mut().for_each(|limit| limit.free -= 1);
        Ok(())
    }

    fn give_back(&mut self) {
        self.limits.iter_mut().for_each(|limit| limit.free += 1);
    }

    fn exhausted_limit(&self, purpose: Purpose) -> Option<&'static str> {
        let is_exhausted = |limit: &&Limit| limit.free <= purpose.must_leave(limit.all);
        self.limits.iter().find(is_exhausted).map(|limit| limit.name)
    }

    /// Reads the system's limits again, and sets when to read them next. If a limit can't be read
    /// now, for example because no descriptor is free, its last known values stay in use.
    fn read_limits(&mut self, now: Instant, read: Read) {
        for limit in read_all_limits(read) {
            match self.limits.iter_mut().find(|known| known.name == limit.name) {
                Some(known) => *known = limit,
                None => self.limits.push(limit),
            }
        }
        let least = self.limits.iter().map(|limit| limit.free / 2).min();
        self.until_reading = least.unwrap_or(i64::MAX).max(THREADS_BETWEEN_READINGS);
        self.read_at = Some(now);
    }
}

/// Reads all thread limits that can be read on this system. Outside Linux, there are none.
fn read_all_limits(read: Read) -> Vec<Limit> {
    let limits = [memory_maps(read), threads_max(read), cgroup_limit(read)];
    limits.into_iter().flatten().collect()
}

fn memory_maps(read: Read) -> Option<Limit> {
    let all = read_number(read, "/proc/sys/vm/max_map_count")?;
    // The file has a line for each mapping.
    let maps = read(Path::new("/proc/self/maps"))?;
    let maps = maps.iter().filter(|byte| **byte == b'\n').count() as i64;
    let [all, free] = [all, all - maps].map(|maps| maps / MAPS_PER_THREAD);
    Some(Limit { name: "vm.max_map_count", all, free })
}

fn threads_max(read: Read) -> Option<Limit> {
    let all = read_number(read, "/proc/sys/kernel/threads-max")?;
    // For example, the file contains `0.20 0.18 0.12 1/80 11206`: there are 80 threads, and one of
    // them is running.
    let load = read_to_string(read, "/proc/loadavg")?;
    let there: i64 = load.split('/').nth(1)?.split(' ').next()?.parse().ok()?;
    Some(Limit { name: "kernel.threads-max", all, free: all - there })
}

/// Returns the tightest thread limit that the process's control group or one of its parent groups
/// sets: the one that allows the fewest further threads for connections. If the groups have no
/// limit, returns [`NO_LIMIT`], which replaces a limit from an earlier reading. Returns `None` if
/// no group's files can be read.
fn cgroup_limit(read: Read) -> Option<Limit> {
    let groups = read_to_string(read, "/proc/self/cgroup")?;
    // Version 2 has the line `0::/path`. Version 1 has a line for each controller, such as
    // `8:pids:/path`.
    let folders =
        groups.lines().filter_map(|line| match *line.splitn(3, ':').collect::<Vec<_>>() {
            ["0", "", path] => Some(format!("/sys/fs/cgroup{path}")),
            [_, "pids", path] => Some(format!("/sys/fs/cgroup/pids{path}")),
            _ => None,
        });
    let limit_of = |folder: &Path| {
        let all = match read_to_string(read, folder.join("pids.max"))?.trim() {
            "max" => NO_LIMIT,
            number => number.parse().ok()?,
        };
        let there = read_number(read, folder.join("pids.current"))?;
        Some(Limit { name: "pids.max", all, free: all - there })
    };
    let all = folders
        .flat_map(|folder| Path::new(&folder).ancestors().filter_map(limit_of).collect::<Vec<_>>());
    all.min_by_key(|limit| limit.free - Purpose::Connection.must_leave(limit.all))
}

fn read_number(read: Read, path: impl AsRef<Path>) -> Option<i64> {
    read_to_string(read, path)?.trim().parse().ok()
}

fn read_to_string(read: Read, path: impl AsRef<Path>) -> Option<String> {
    String::from_utf8(read(path.as_ref())?).ok()
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    /// Reads a file on a simulated machine that has only these files.
    fn says(files: &[(&str, &str)], path: &Path) -> Option<Vec<u8>> {
        let found = files.iter().find(|(name, _)| Path::new(name) == path);
        found.map(|(_, text)| text.as_bytes().to_vec())
    }

    fn empty() -> Budget {
        Budget { limits: Vec::new(), until_reading: 0, read_at: None }
    }

    #[test]
    fn a_thread_counts_four_maps_and_each_limit_is_read_from_its_file() {
        let files = [
            ("/proc/sys/vm/max_map_count", "65530\n"),
            ("/proc/self/maps", "a map\nanother\n"),
            ("/proc/sys/kernel/threads-max", "1000\n"),
            ("/proc/loadavg", "0.20 0.18 0.12 1/80 11206\n"),
            ("/proc/self/cgroup", "4:memory:/x\n3:pids:/a/b\n0::/c/d\n"),
            ("/sys/fs/cgroup/pids/a/b/pids.max", "max\n"),
            ("/sys/fs/cgroup/pids/a/b/pids.current", "7\n"),
            ("/sys/fs/cgroup/pids/a/pids.max", "300\n"),
            ("/sys/fs/cgroup/pids/a/pids.current", "50\n"),
            ("/sys/fs/cgroup/c/d/pids.max", "400\n"),
            ("/sys/fs/cgroup/c/d/pids.current", "9\n"),
        ];
        let read = |path: &Path| says(&files, path);
        let found =
            read_all_limits(&read).into_iter().map(|Limit { name, all, free }| (name, all, free));
        let due = [
            ("vm.max_map_count", 16_382, 16_382),
            ("kernel.threads-max", 1_000, 920),
            ("pids.max", 300, 250),
        ];
        assert_eq!(found.collect::<Vec<_>>(), due);
    }

    #[test]
    fn linux_s_default_of_maps_holds_ten_thousand_connections_or_a_chat_of_seven_thousand() {
        let files =
            [("/proc/sys/vm/max_map_count", "65530\n"), ("/proc/self/maps", "a map\nanother\n")];
        let (mut budget, now) = (empty(), Instant::now());
        // After the first reading, only started threads are counted, because no file can be read
        // any more.
        assert_eq!(budget.reserve(Purpose::Connection, now, &|path| says(&files, path)), Ok(()));
        let connections =
            (1..).take_while(|_| budget.reserve(Purpose::Connection, now, &|_| None).is_ok());
        let connections = connections.count();
        assert!(connections > 10_000 && connections / 2 > 7_000, "{connections}");
    }

    #[test]
    fn where_no_limit_can_be_read_none_is_kept() {
        let mut budget = empty();
        for _ in 0..100_000 {
            assert_eq!(budget.reserve(Purpose::Connection, Instant::now(), &|_| None), Ok(()));
        }
        let nonsense = |_: &Path| Some(b"\xff many".to_vec());
        assert_eq!(read_all_limits(&nonsense), []);
    }

    /// Reads a file on a simulated machine whose control group allows 160 threads. `there` is the
    /// number of threads that it has now.
    fn group_of(there: &Cell<i64>, path: &Path) -> Option<Vec<u8>> {
        let current = there.get().to_string();
        let folder = "/sys/fs/cgroup/pids.max";
        let current = ("/sys/fs/cgroup/pids.current", &*current);
        says(&[("/proc/self/cgroup", "0::/"), (folder, "160"), current], path)
    }

    #[test]
    fn connections_leave_an_eighth_and_outboxes_a_sixteenth_and_a_thread_that_ends_is_free_again() {
        let (there, now) = (Cell::new(0), Instant::now());
        let (mut budget, read) = (empty(), |path: &Path| group_of(&there, path));
        let take_all = |budget: &mut Budget, purpose| {
            let taken = (0..).take_while(|_| {
                let took = budget.reserve(purpose, now, &read);
                there.set(there.get() + i64::from(took.is_ok()));
                took.is_ok()
            });
            taken.count()
        };
        assert_eq!(take_all(&mut budget, Purpose::Connection), 160 - 20);
        assert_eq!(budget.reserve(Purpose::Connection, now, &read), Err("pids.max"));
        assert_eq!(take_all(&mut budget, Purpose::Outbox), 10);
        assert_eq!(budget.reserve(Purpose::Outbox, now, &read), Err("pids.max"));
        budget.give_back();
        assert_eq!(budget.reserve(Purpose::Outbox, now, &read), Ok(()));
    }

    #[test]
    fn what_others_take_and_give_back_is_seen_by_the_next_look_which_comes_in_time() {
        let (there, looks) = (Cell::new(0), RefCell::new(0));
        let read = |path: &Path| {
            *looks.borrow_mut() +=
                i32::from(path.ends_with("pids.max") && path.starts_with("/sys/fs/cgroup/"));
            group_of(&there, path)
        };
        let (mut budget, start) = (empty(), Instant::now());
        // After the first reading, other processes take all remaining threads.
        assert_eq!(budget.reserve(Purpose::Connection, start, &read), Ok(()));
        there.set(160);
        let taken = (1..).take_while(|_| budget.reserve(Purpose::Connection, start, &read).is_ok());
        assert_eq!(taken.count(), 80 - 1);
        // While no thread is free, one reading a second is enough.
        let before = *looks.borrow();
        for _ in 0..1_000 {
            assert!(budget.reserve(Purpose::Connection, start, &read).is_err());
        }
        assert_eq!(*looks.borrow(), before);
        there.set(0);
        assert_eq!(budget.reserve(Purpose::Connection, start + REREAD_AFTER, &read), Ok(()));
    }

    #[test]
    fn a_limit_that_is_lifted_while_the_server_runs_refuses_no_more() {
        let (max, start) = (Cell::new("160"), Instant::now());
        let read = |path: &Path| {
            let there = ("/sys/fs/cgroup/pids.current", "150");
            says(
                &[("/proc/self/cgroup", "0::/"), ("/sys/fs/cgroup/pids.max", max.get()), there],
                path,
            )
        };
        let mut budget = empty();
        assert_eq!(budget.reserve(Purpose::Connection, start, &read), Err("pids.max"));
        max.set("max");
        assert_eq!(budget.reserve(Purpose::Connection, start + REREAD_AFTER, &read), Ok(()));
        // The threads that run when the limit comes back are more than it allows.
        max.set("100");
        budget.read_limits(start, &read);
        assert_eq!(budget.reserve(Purpose::Connection, start, &read), Err("pids.max"));
    }

    #[test]
    fn a_limit_that_cannot_be_read_any_more_stays_as_it_was_counted() {
        let (there, now) = (Cell::new(100), Instant::now());
        let mut budget = empty();
        assert_eq!(
            budget.reserve(Purpose::Connection, now, &|path| group_of(&there, path)),
            Ok(())
        );
        let taken =
            (1..).take_while(|_| budget.reserve(Purpose::Connection, now, &|_| None).is_ok());
        assert_eq!(taken.count(), 40 - 1);
    }
}
