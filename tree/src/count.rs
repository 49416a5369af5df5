//! The number of items of a partition, exact and cheap: it moves with the log.
//!
//! Every record says by how much it changes the count, and the count in memory changes under the log's
//! append lock, in the instant in which the record gets its LSN. So a checkpoint can take a count that is
//! exact at one LSN, and redo adds what the records behind that LSN say.

use crate::sync::{AtomicI64, Ordering};

#[derive(Debug)]
pub(crate) struct Count(AtomicI64);

impl Count {
    pub(crate) fn new(items: u64) -> Self {
        Self(AtomicI64::new(items.cast_signed()))
    }

    /// Call under the log's append lock, or alone.
    #[inline]
    pub(crate) fn add(&self, delta: i32) {
        if delta != 0 {
            self.0.fetch_add(i64::from(delta), Ordering::Relaxed);
        }
    }

    /// Never negative, whatever a damaged log says.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed).max(0).cast_unsigned()
    }
}
