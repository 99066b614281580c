//! A bound on the pages that are being made: the application makes each in the connection's thread,
//! and may take its time.
//!
//! Rules of this file:
//! - A request whose head is complete no longer counts as pending, so that nothing evicts it while
//!   its page is made. This bound takes over: without one, slow pages would hold as many threads as
//!   clients ask for them.
//! - A request over the bound gets a 503 at once, and not a thread that waits.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// Counts the pages that the application is making.
#[derive(Default)]
pub(crate) struct Pages(AtomicUsize);

/// The right to have a page made. Dropping it frees the place for another request.
pub(crate) struct PagePermit<'a>(&'a Pages);

impl Pages {
    /// Returns a permit for one more page, unless `most` are being made.
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
