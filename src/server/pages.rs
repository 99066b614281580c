//! A bound on the pages that are being made at a time: the application makes each page in the
//! connection's thread, and may take its time.
//!
//! Rules of this file:
//! - A request whose head is complete no longer counts as pending, so that nothing evicts it while
//!   its page is made. This bound takes over: without it, slow pages could hold any number of
//!   threads.
//! - A request over the bound gets a 503 at once; its thread doesn't wait for a place.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// Counts the pages that the application is making.
#[derive(Default)]
pub(crate) struct Pages(AtomicUsize);

/// The right to have the application make one page. Dropping it frees the place for another
/// request.
pub(crate) struct PagePermit<'a>(&'a Pages);

impl Pages {
    /// Returns a permit for one more page. `None` if `most` pages are being made already.
    pub(crate) fn permit(&self, most: usize) -> Option<PagePermit<'_>> {
        let one_more = |making| (making < most).then_some(making + 1);
        self.0.fetch_update(SeqCst, SeqCst, one_more).ok().map(|_| PagePermit(self))
    }
}

impl Drop for PagePermit<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, SeqCst);
    }
}
