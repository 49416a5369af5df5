//! The smallest things that the latch and the pool keep: a number behind a latch, and pages of one byte.

use wal::File;

use super::{LoggedFile, new_partition};
use crate::change::Change;
use crate::error::Result;
use crate::latch::Latch;
use crate::options::Engine;
use crate::page::{Op, Page, PageId, image};
use crate::pages::Pages;
use crate::partition::Partition;
use crate::stats::Counter;
use crate::sync::{Arc, AtomicU64, Ordering, UnsafeCell};

/// A number behind a page latch. loom sees any access that the latch fails to order.
#[derive(Debug)]
pub struct LatchedCell {
    latch: Latch,
    waits: Counter,
    value: UnsafeCell<u64>,
    /// Counts steps inside and outside the latch. loom takes no release of a lock for a step that others could
    /// come before; these are such steps, so that an attempt also meets a latch that is held. Relaxed: they
    /// order nothing.
    steps: AtomicU64,
}

// SAFETY: the cell is reached under the latch only; that this suffices is what the model checks.
unsafe impl Sync for LatchedCell {}
// SAFETY: it owns its number.
unsafe impl Send for LatchedCell {}

impl LatchedCell {
    /// A cell that holds `value`.
    pub fn new(value: u64) -> Self {
        Self {
            latch: Latch::new(),
            waits: Counter::new(),
            value: UnsafeCell::new(value),
            steps: AtomicU64::new(0),
        }
    }

    /// Reads under the shared latch.
    pub fn read(&self) -> u64 {
        let (_held, _) = self.latch.shared(&self.waits);
        self.value_of_shared()
    }

    /// Reads if the shared latch is to be had at once.
    pub fn try_read(&self) -> Option<u64> {
        self.step();
        let _held = self.latch.try_shared()?;
        Some(self.value_of_shared())
    }

    /// Adds one under the exclusive latch.
    pub fn increment(&self) {
        let (_held, _) = self.latch.exclusive(&self.waits);
        self.add_to_exclusive();
    }

    /// Adds one if the exclusive latch is free; whether it was.
    pub fn try_increment(&self) -> bool {
        self.step();
        let Some(_held) = self.latch.try_exclusive() else { return false };
        self.add_to_exclusive();
        true
    }

    fn value_of_shared(&self) -> u64 {
        self.step();
        let value = self.value.get();
        self.step();
        // SAFETY: the caller's shared latch keeps writers out.
        unsafe { *value.deref() }
    }

    fn add_to_exclusive(&self) {
        self.step();
        let value = self.value.get_mut();
        self.step();
        // SAFETY: the caller's exclusive latch keeps everyone else out.
        unsafe { *value.deref() += 1 }
    }

    fn step(&self) {
        self.steps.fetch_add(1, Ordering::Relaxed);
    }
}

/// Pages of one byte each, changed and read as the trees do it: logged, behind latches, in a pool.
#[derive(Debug)]
pub struct PageCells<const PAGE: usize> {
    partition: Partition<PAGE>,
    file: Arc<LoggedFile<PAGE>>,
    ids: Vec<PageId>,
}

impl<const PAGE: usize> PageCells<PAGE> {
    /// So many pages of a zero, clean, behind a pool of `frames` pages that holds the last of them.
    ///
    /// # Errors
    /// None that a model meets.
    pub fn new(frames: usize, count: usize) -> Result<Self> {
        let (partition, file) = new_partition::<PAGE>(Engine::Coupled, frames)?;
        let ids = (0..count).map(|_| partition.pages.allocate()).collect::<Result<_>>()?;
        let cells = Self { partition, file, ids };
        cells.ids.iter().try_for_each(|&id| cells.create(id))?;
        cells.write_back()?;
        Ok(cells)
    }

    /// Changes a page.
    ///
    /// # Errors
    /// None that a model meets.
    pub fn set(&self, cell: usize, value: u8) -> Result<()> {
        let bytes = content::<PAGE>(value);
        self.pages().retry(|_| {
            let mut guard = self.pages().write(self.ids[cell])?;
            let ops = [Op::Image { bytes: &bytes }];
            self.pages().commit(0, &mut [Change { guard: &mut guard, ops: &ops }])?;
            Ok(())
        })
    }

    /// What a page holds.
    ///
    /// # Errors
    /// None that a model meets.
    pub fn get(&self, cell: usize) -> Result<u8> {
        self.pages().retry(|_| Ok(self.pages().read(self.ids[cell])?.overflow_data()[0]))
    }

    /// Empties a frame where none is empty.
    ///
    /// # Errors
    /// None that a model meets.
    pub fn evict(&self) -> Result<()> {
        self.pages().pool.reserve(1).map(drop)
    }

    /// Empties every frame. Call when nobody else uses a page.
    ///
    /// # Errors
    /// A frame was lost.
    pub fn evict_all(&self) -> Result<()> {
        self.pages().pool.reserve(self.pages().pool.len()).map(drop)
    }

    /// Writes back what is dirty, as a checkpoint does.
    ///
    /// # Errors
    /// None that a model meets.
    pub fn write_back(&self) -> Result<()> {
        self.pages().pool.write_back_before(0, self.pages().log.end())
    }

    /// What the file holds of a page.
    ///
    /// # Errors
    /// None that a model meets.
    pub fn on_disk(&self, cell: usize) -> Result<u8> {
        let mut page = Page::<PAGE>::zeroed();
        let offset = u64::from(self.ids[cell].0) * PAGE as u64;
        self.file.read_at(page.bytes_mut(), offset).map_err(crate::Error::io("read", "t.db"))?;
        Ok(page.overflow_data()[0])
    }

    /// How many pages were read from the file, and how many were thrown out.
    pub fn misses_and_evictions(&self) -> (u64, u64) {
        let stats = self.pages().pool.stats();
        (stats.misses, stats.evictions)
    }

    /// How often an operation had to let go and begin again.
    pub fn restarts(&self) -> u64 {
        self.pages().restarts.get()
    }

    fn pages(&self) -> &Pages<PAGE> {
        &self.partition.pages
    }

    fn create(&self, id: PageId) -> Result<()> {
        let bytes = content::<PAGE>(0);
        self.pages().retry(|_| {
            let mut reserve = self.pages().pool.reserve(1)?;
            let mut guard = self.pages().create(id, &mut reserve)?;
            let ops = [Op::Image { bytes: &bytes }];
            self.pages().commit(0, &mut [Change { guard: &mut guard, ops: &ops }])?;
            Ok(())
        })
    }
}

fn content<const PAGE: usize>(value: u8) -> Vec<u8> {
    let page = Page::<PAGE>::new_overflow(None, &[value]).unwrap_or_else(Page::zeroed);
    let mut bytes = Vec::with_capacity(PAGE);
    image(&page, &mut bytes);
    bytes
}
