//! Counts the memory that the server holds, to the byte, because the system counts only pages. This
//! is the only file with unsafe code, which an allocator needs.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// Bytes that are held now.
pub fn held() -> usize {
    HELD.load(Relaxed)
}

/// The most that was held at a time since the last [`forget_peak`].
pub fn peak() -> usize {
    PEAK.load(Relaxed)
}

/// The peak is what is held now.
pub fn forget_peak() {
    PEAK.store(held(), Relaxed);
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

fn took(size: usize) {
    let held = HELD.fetch_add(size, Relaxed) + size;
    PEAK.fetch_max(held, Relaxed);
}

fn gave_back(size: usize) {
    HELD.fetch_sub(size, Relaxed);
}

// SAFETY: all of it is done by the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        gave_back(layout.size());
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        gave_back(layout.size());
        took(size);
        unsafe { System.realloc(memory, layout, size) }
    }
}
