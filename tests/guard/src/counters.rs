//! Counts the current thread's allocations and the bytes that it copies, and the bytes that the
//! process holds. This is the only file with unsafe code, which an allocator and a replaced `memcpy`
//! need.
//!
//! Copies are counted exactly: this file replaces `memcpy` and `memmove`, and all code in the
//! program calls them, the library's and that of `std`. (Small copies, such as a header or a
//! `String`'s three words, are compiled to a few instructions and aren't counted.) When the
//! allocator enlarges a block, it may have to move it, so that counts as a copy of the whole block.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ffi::c_void;
use std::hint::black_box;
use std::ops::Sub;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// What has been counted so far.
#[derive(Clone, Copy)]
pub struct Counted {
    /// Pieces of memory that were asked for, or asked to be larger.
    pub allocations: u64,
    /// Bytes copied within the program.
    pub copied: u64,
}

// A thread each, so that nothing needs to be paused while others work.
thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static COPIED: Cell<u64> = const { Cell::new(0) };
}

/// The bytes that all threads together have allocated and not freed.
static HELD: AtomicUsize = AtomicUsize::new(0);

/// How many bytes the process has allocated and not freed. It's the sum of the sizes that the
/// program asked for: what the allocator needs besides isn't in it.
pub fn held_bytes() -> usize {
    HELD.load(Relaxed)
}

/// What this thread has done since it began.
pub fn counted() -> Counted {
    Counted { allocations: ALLOCATIONS.get(), copied: COPIED.get() }
}

/// Does what is ours and not the library's.
pub fn uncounted<T>(work: impl FnOnce() -> T) -> T {
    let before = counted();
    let done = work();
    ALLOCATIONS.set(before.allocations);
    COPIED.set(before.copied);
    done
}

impl Sub for Counted {
    type Output = Counted;

    fn sub(self, before: Counted) -> Counted {
        Counted {
            allocations: self.allocations - before.allocations,
            copied: self.copied - before.copied,
        }
    }
}

fn count(counter: &'static std::thread::LocalKey<Cell<u64>>, more: usize) {
    counter.set(counter.get() + more as u64);
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: the system's allocator does all the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(&ALLOCATIONS, 1);
        HELD.fetch_add(layout.size(), Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(&ALLOCATIONS, 1);
        HELD.fetch_add(layout.size(), Relaxed);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(&ALLOCATIONS, 1);
        count(&COPIED, layout.size().min(size));
        HELD.fetch_add(size, Relaxed);
        HELD.fetch_sub(layout.size(), Relaxed);
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(memory, layout) }
    }
}

// The third of libc's functions that copy, under a name that no compiler calls by itself.
unsafe extern "C" {
    fn bcopy(from: *const c_void, to: *mut c_void, length: usize);
}

/// Hidden from the optimizer, which knows `bcopy` and would make it the very `memmove` that calls it.
fn copy(from: *const c_void, to: *mut c_void, length: usize) {
    count(&COPIED, length);
    unsafe { black_box(bcopy as unsafe extern "C" fn(_, _, _))(from, to, length) }
}

#[unsafe(no_mangle)]
extern "C" fn memcpy(to: *mut c_void, from: *const c_void, length: usize) -> *mut c_void {
    copy(from, to, length);
    to
}

#[unsafe(no_mangle)]
extern "C" fn memmove(to: *mut c_void, from: *const c_void, length: usize) -> *mut c_void {
    copy(from, to, length);
    to
}
