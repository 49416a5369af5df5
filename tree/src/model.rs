//! The crate's insides for models: one partition over a log in memory, and a cell behind a latch.
//!
//! Exists only with the feature `loom`. Models in `loom-tests` drive the same code that a table does, without
//! the folder, catalog and threads around it.

use wal::{Log, MemoryStorage, Storage};

use crate::btree::check;
use crate::btree::scan::{Cursor, Range};
use crate::error::Result;
use crate::options::{Engine, Options};
use crate::partition::{Partition, check_writes, create_file, open_file};
use crate::pool::Pool;
use crate::stats::Counter;
use crate::sync::{Arc, UnsafeCell};
use crate::{Condition, latch};

/// One tree with pages of `PAGE` bytes.
#[derive(Debug)]
pub struct Tree<const PAGE: usize> {
    partition: Partition<PAGE>,
    log: Arc<Log>,
}

impl<const PAGE: usize> Tree<PAGE> {
    /// An empty tree behind a pool of `frames` pages.
    ///
    /// # Errors
    /// None that a model meets.
    pub fn new(engine: Engine, frames: usize) -> Result<Self> {
        let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
        let log = Log::create(
            storage.clone(),
            "wal",
            wal::Options { segment_bytes: 64 << 10, ..Default::default() },
        )?;
        let log = Arc::new(log);
        create_file::<PAGE>(&*storage, "t.db", 1)?;
        let store = open_file::<PAGE>(&*storage, "t.db", 1, 0)?;
        store.attach(log.clone());
        let pool = Arc::new(Pool::new(&*storage, frames)?);
        let options = Options { engine, ..Options::default() };
        let partition = Partition::open(pool, store, log.clone(), 0, &options)?;
        Ok(Self { partition, log })
    }

    /// Sets a key; whether the condition held. Does not wait for the log.
    ///
    /// # Errors
    /// As for a table.
    pub fn put(&self, key: &[u8], value: &[u8], condition: Condition<'_>) -> Result<bool> {
        Ok(self.partition.put(key, value, condition)?.applied)
    }

    /// Removes a key; whether it was there. Does not wait for the log.
    ///
    /// # Errors
    /// As for a table.
    pub fn delete(&self, key: &[u8]) -> Result<bool> {
        Ok(self.partition.delete(key, Condition::Always)?.applied)
    }

    /// Applies a batch. Does not wait for the log.
    ///
    /// # Errors
    /// As for a table.
    pub fn apply(&self, mut writes: Vec<(&[u8], Option<&[u8]>)>) -> Result<()> {
        check_writes::<PAGE>(&mut writes)?;
        self.partition.apply(&writes).map(drop)
    }

    /// The value of a key, durable or not.
    ///
    /// # Errors
    /// As for a table.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.partition.get(key)?.0)
    }

    /// All keys, in order.
    ///
    /// # Errors
    /// As for a table.
    pub fn keys(&self) -> Result<Vec<Vec<u8>>> {
        let unbounded = std::ops::Bound::Unbounded;
        let mut cursor = Cursor::new(Range { start: unbounded.clone(), end: unbounded, backward: false });
        let mut keys = Vec::new();
        while let Some((key, _)) = self.partition.next(&mut cursor)? {
            keys.push(key);
        }
        Ok(keys)
    }

    /// Everything that is wrong with the tree. Call when nobody else uses it.
    ///
    /// # Errors
    /// As for a table.
    pub fn problems(&self) -> Result<Vec<String>> {
        self.log.flush()?;
        self.partition.pages.pool.write_back_before(0, wal::Lsn::new(u64::MAX))?;
        Ok(check::check(&self.partition.pages).problems)
    }

    /// Writes back what is dirty, as a checkpoint does.
    ///
    /// # Errors
    /// As for a table.
    pub fn write_back(&self) -> Result<()> {
        self.partition.pages.pool.write_back_before(0, self.log.end())
    }

    /// How many nodes were split.
    pub fn splits(&self) -> u64 {
        self.partition.stats().splits
    }
}

/// A number behind a page latch. loom sees any access that the latch fails to order.
#[derive(Debug)]
pub struct LatchedCell {
    latch: latch::Latch,
    waits: Counter,
    value: UnsafeCell<u64>,
}

// SAFETY: the cell is reached under the latch only; that this suffices is what the model checks.
unsafe impl Sync for LatchedCell {}
// SAFETY: it owns its number.
unsafe impl Send for LatchedCell {}

impl LatchedCell {
    /// A cell that holds `value`.
    pub fn new(value: u64) -> Self {
        Self { latch: latch::Latch::new(), waits: Counter::new(), value: UnsafeCell::new(value) }
    }

    /// Reads under the shared latch.
    pub fn read(&self) -> u64 {
        let _held = self.latch.shared(&self.waits);
        let value = self.value.get();
        // SAFETY: the shared latch keeps writers out.
        unsafe { *value.deref() }
    }

    /// Adds one under the exclusive latch.
    pub fn increment(&self) {
        let _held = self.latch.exclusive(&self.waits);
        let value = self.value.get_mut();
        // SAFETY: the exclusive latch keeps everyone else out.
        unsafe { *value.deref() += 1 }
    }

    /// Adds one if the exclusive latch is free; whether it was.
    pub fn try_increment(&self) -> bool {
        let Some(_held) = self.latch.try_exclusive() else { return false };
        let value = self.value.get_mut();
        // SAFETY: the exclusive latch keeps everyone else out.
        unsafe { *value.deref() += 1 }
        true
    }
}
