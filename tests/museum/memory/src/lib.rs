//! Counts what a piece of code costs: memory, work, descriptors, threads. (Linux, which tells.)
//!
//! Everything unsafe of the museum is in this file: an allocator that counts, the clock of a thread, and
//! a look at the sockets of our own process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The system's allocator, and a count of what it has given out.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What all threads hold together.
static HELD: AtomicUsize = AtomicUsize::new(0);

// Each thread counts its own, too, because the test runner reports the previous exhibit, and starts the
// next, while an exhibit counts. The counts begin high, so that a thread that frees another one's memory
// doesn't get below zero.
thread_local! {
    static HELD_HERE: Cell<usize> = const { Cell::new(1 << 40) };
    static PEAK_HERE: Cell<usize> = const { Cell::new(1 << 40) };
}

fn given(bytes: usize) {
    HELD.fetch_add(bytes, SeqCst);
    HELD_HERE.set(HELD_HERE.get() + bytes);
    PEAK_HERE.set(PEAK_HERE.get().max(HELD_HERE.get()));
}

fn given_back(bytes: usize) {
    HELD.fetch_sub(bytes, SeqCst);
    HELD_HERE.set(HELD_HERE.get() - bytes);
}

// SAFETY: every call goes to the system's allocator with what the caller gave.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        given(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        given(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        given_back(layout.size());
        unsafe { System.dealloc(place, layout) }
    }

    /// Counted as if it grew where it lies, as large pieces do.
    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        given_back(layout.size());
        given(size);
        unsafe { System.realloc(place, layout, size) }
    }
}

/// An exhibit that counts holds this, so that no other one runs meanwhile.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What all threads of the process hold now.
pub fn held() -> usize {
    HELD.load(SeqCst)
}

/// What our thread holds now. Only the difference between two calls in one thread means something.
pub fn held_here() -> usize {
    HELD_HERE.get()
}

/// The most that our thread held at a time while this ran, over what it held before.
pub fn peak(run: impl FnOnce()) -> usize {
    let before = held_here();
    PEAK_HERE.set(before);
    run();
    PEAK_HERE.get() - before
}

/// The processor time that this takes of our thread. Not the time of a clock on the wall: whatever
/// else the machine does is not in it, or hardly.
pub fn work(run: impl FnOnce()) -> Duration {
    let before = time_of_thread();
    run();
    time_of_thread() - before
}

/// How much more work the doubled task is. What disturbs us only adds, so each of the two is taken at its
/// least; and they take turns, so that a time in which the whole machine is slow disturbs both. If the
/// first turns leave a doubt, there are more.
pub fn growth(n: usize, task: impl Fn(usize)) -> f64 {
    let (mut once, mut twice) = (Duration::MAX, Duration::MAX);
    let mut ratio = f64::MAX;
    for turn in 1..=20 {
        once = once.min(work(|| task(n)));
        twice = twice.min(work(|| task(2 * n)));
        ratio = twice.as_secs_f64() / once.as_secs_f64();
        if turn >= 5 && ratio < 2.2 {
            break;
        }
    }
    ratio
}

fn time_of_thread() -> Duration {
    #[repr(C)]
    #[derive(Default)]
    struct Time {
        seconds: i64,
        nanoseconds: i64,
    }
    unsafe extern "C" {
        fn clock_gettime(clock: i32, time: *mut Time) -> i32;
    }
    /// From <time.h>.
    const CLOCK_THREAD_CPUTIME_ID: i32 = 3;
    let mut time = Time::default();
    // SAFETY: a timespec of a 64-bit Linux, which lives as long as the call.
    assert_eq!(unsafe { clock_gettime(CLOCK_THREAD_CPUTIME_ID, &mut time) }, 0);
    Duration::new(time.seconds as u64, time.nanoseconds as u32)
}

/// The threads of our process that serve a connection, and those that they have started: a thread has
/// its parent's name unless it is given one. (Not all threads: the test runner has some of its own.)
pub fn threads_of_connections() -> usize {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    // One that ends meanwhile has no name any more.
    let names = threads.filter_map(|thread| std::fs::read(thread.ok()?.path().join("comm")).ok());
    names.filter(|name| name == b"connection\n").count()
}

/// The descriptors of our process.
pub fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Whether the socket of our process that talks to this address was told not to wait for more.
pub fn is_told_not_to_wait(peer: SocketAddr) -> Option<bool> {
    let numbers = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().unwrap().parse::<i32>().ok());
    let numbers: Vec<i32> = numbers.collect();
    let sockets = numbers.into_iter().filter_map(|number| {
        // SAFETY: only looked at, through a copy of its own; one that was closed meanwhile is an error.
        let copy = unsafe { BorrowedFd::borrow_raw(number) }.try_clone_to_owned().ok()?;
        Some(TcpStream::from(copy))
    });
    let mut ours = sockets.into_iter().filter(|socket| socket.peer_addr().ok() == Some(peer));
    ours.next().map(|socket| socket.nodelay().unwrap())
}
