//! A limit on how many pages the application generates at a time. The application generates each
//! page in the connection's thread, and may be slow.
//!
//! Rules of this file:
//! - A connection mustn't be evicted while its page is generated, so it doesn't count as pending
//!   during that time. Instead, at most `Limits::max_waiting` pages are generated at a time.
//!   Without this limit, slow pages could occupy any number of threads.
//! - A request over the limit receives a 503 at once. Its thread doesn't wait for a free slot.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// The number of pages that the application is generating now.
#[derive(Default)]
pub(crate) struct PageSlots(AtomicUsize);

/// The permission to generate one page. Dropping it makes room for another page.
pub(crate) struct PageSlot<'a>(&'a PageSlots);

impl PageSlots {
    /// Reserves a slot for one more page. Returns `None` if `limit` pages are already being
    /// generated.
    pub(crate) fn reserve(&self, limit: usize) -> Option<PageSlot<'_>> {
        let one_more = |making| (making < limit).then_some(making + 1);
        self.0.fetch_update(SeqCst, SeqCst, one_more).ok().map(|_| PageSlot(self))
    }
}

impl Drop for PageSlot<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, SeqCst);
    }
}
