//! The latch on a page: shared or exclusive, held for microseconds, never while waiting for the log.
//!
//! A latch protects bytes in memory; a lock protects data between transactions. These are latches
//! (Graefe, "A Survey of B-Tree Locking Techniques", 2010, section 1).

use std::time::Duration;

use crate::stats::{Counter, timed};
use crate::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard, delay};

/// A page's latch. Holding it in either mode pins the page in its frame.
#[derive(Debug)]
pub(crate) struct Latch(RwLock<()>);

/// A shared hold, released when dropped.
pub(crate) type Shared<'l> = RwLockReadGuard<'l, ()>;
/// An exclusive hold, released when dropped.
pub(crate) type Exclusive<'l> = RwLockWriteGuard<'l, ()>;

impl Latch {
    pub(crate) fn new() -> Self {
        Self(RwLock::new(()))
    }

    /// Waits for a shared hold; where it had to, counts that in `waits`, and says how long it took. The clock is
    /// read only there.
    #[inline]
    pub(crate) fn shared(&self, waits: &Counter) -> (Shared<'_>, Option<Duration>) {
        let held = match self.0.try_read() {
            Some(hold) => (hold, None),
            None => {
                waits.add(1);
                let (hold, waited) = timed(|| self.0.read());
                (hold, Some(waited))
            }
        };
        delay();
        held
    }

    /// Waits for an exclusive hold; as [`shared`](Self::shared) where it had to.
    #[inline]
    pub(crate) fn exclusive(&self, waits: &Counter) -> (Exclusive<'_>, Option<Duration>) {
        let held = match self.0.try_write() {
            Some(hold) => (hold, None),
            None => {
                waits.add(1);
                let (hold, waited) = timed(|| self.0.write());
                (hold, Some(waited))
            }
        };
        delay();
        held
    }

    /// A shared hold if it is to be had at once.
    pub(crate) fn try_shared(&self) -> Option<Shared<'_>> {
        self.0.try_read()
    }

    /// An exclusive hold if it is to be had at once.
    pub(crate) fn try_exclusive(&self) -> Option<Exclusive<'_>> {
        self.0.try_write()
    }
}
