//! Locking a mutex so that a panic in another thread can't make it unusable.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks the mutex, even if another thread has panicked while it held the lock. The mutex's data is
/// still consistent, because our code never panics between two changes that belong together.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
