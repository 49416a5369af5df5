//! Finding frames: the clock, and reserves.
//!
//! The clock (Corbató 1968) sweeps over the frames: a used one loses its mark and stays, a clean unused one
//! is the victim, dirty ones are collected on the way and written back together when there are enough of
//! them, so that one sync pays for many evictions.

use wal::planted;

use super::write_back::BATCH;
use super::{Pool, WriteGuard};
use crate::error::{Error, Result};
use crate::sync::{Ordering, yield_now};

/// Revolutions without a victim before the pool gives up. Latches are held for microseconds, so a pool that
/// is in use as a whole for that long is too small for its load.
const PATIENCE: usize = if cfg!(feature = "loom") { 4 } else { 200 };

/// Empty frames set aside for one operation, so that it needs to find none while it holds latches. What is
/// left returns to the pool on drop.
pub(crate) struct Reserve<'p, const PAGE: usize> {
    pool: &'p Pool<PAGE>,
    frames: Vec<u32>,
}

impl<'p, const PAGE: usize> Reserve<'p, PAGE> {
    /// An empty frame under its exclusive latch. The latch may be held for a moment by a reader with a stale
    /// translation, who lets go without waiting for anything.
    pub(super) fn take(&mut self) -> Option<WriteGuard<'p, PAGE>> {
        Some(WriteGuard::latch(self.pool, self.frames.pop()?))
    }

    /// Puts an empty frame back.
    pub(super) fn give_back(&mut self, guard: WriteGuard<'p, PAGE>) {
        self.frames.push(guard.index());
    }
}

impl<const PAGE: usize> Drop for Reserve<'_, PAGE> {
    fn drop(&mut self) {
        if !self.frames.is_empty() {
            self.pool.free.lock().append(&mut self.frames);
        }
    }
}

impl<const PAGE: usize> Pool<PAGE> {
    /// Sets `count` empty frames aside for new pages. Call without latches: it may wait for the disk and for the
    /// log.
    ///
    /// # Errors
    /// No frame can be had, or cleaning one failed.
    pub(crate) fn reserve(&self, count: usize) -> Result<Reserve<'_, PAGE>> {
        self.reserve_for(count, false)
    }

    /// As [`Pool::reserve`]. With `to_read`, pages that cannot be cleaned, on a disk that is full, are passed over
    /// as long as there are others: reading goes on. New pages would only add to those that cannot be cleaned.
    pub(super) fn reserve_for(&self, count: usize, to_read: bool) -> Result<Reserve<'_, PAGE>> {
        let mut reserve = Reserve { pool: self, frames: Vec::with_capacity(count) };
        while reserve.frames.len() < count {
            let free = self.free.lock().pop();
            let frame = free.map_or_else(|| self.evict(to_read), Ok)?;
            reserve.frames.push(frame);
        }
        Ok(reserve)
    }

    /// Empties a frame.
    fn evict(&self, to_read: bool) -> Result<u32> {
        let (mut dirty, mut failed) = (Vec::new(), false);
        for _ in 0..PATIENCE {
            let mut failure = None;
            // Two revolutions: the first may only take used marks away.
            for _ in 0..2 * self.frames.len() {
                let index = (self.hand.fetch_add(1, Ordering::Relaxed) % self.frames.len()) as u32;
                let frame = &self.frames[index as usize];
                if frame.used.swap(false, Ordering::Relaxed) {
                    continue;
                }
                if frame.is_dirty() {
                    dirty.push(index);
                    if dirty.len() == BATCH {
                        failure = self.clean(&mut dirty).err().or(failure);
                        if !to_read && let Some(error) = failure {
                            return Err(error);
                        }
                    }
                    continue;
                }
                if let Some(mut guard) = WriteGuard::try_latch(self, index)
                    && guard.frame().holds_a_page()
                    && (!guard.frame().is_dirty() || planted!("evicted-while-dirty"))
                    && !guard.frame().used.load(Ordering::Relaxed)
                {
                    guard.vacate();
                    self.counters.evictions.add(1);
                    return Ok(index);
                }
            }
            failure = self.clean(&mut dirty).err().or(failure);
            if let Some(frame) = self.free.lock().pop() {
                return Ok(frame);
            }
            // What could be cleaned is looked for once more.
            match failure {
                Some(error) if failed || !to_read => return Err(error),
                failure => failed = failure.is_some(),
            }
            yield_now();
        }
        Err(Error::PoolExhausted { frames: self.frames.len() })
    }

    fn clean(&self, dirty: &mut Vec<u32>) -> Result<()> {
        dirty.sort_unstable();
        dirty.dedup();
        let written = self.write_back(dirty);
        dirty.clear();
        written
    }
}
