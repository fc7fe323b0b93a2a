//! Locks that survive a panic of somebody else.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex. What the runtime keeps behind one is consistent at every point where a thread
/// could panic, so a poisoned lock is as good as any.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
