//! The crate's insides for models: a tree over a log in memory, pages in a pool, an allocator, and a cell
//! behind a latch.
//!
//! Exists only for model checkers. Models in `loom-tests` drive the same code that a table does, without the
//! folder, catalog and threads around it.

mod cells;

use wal::{File, Log, Lsn, MemoryStorage, Storage};

use crate::btree::check;
use crate::btree::scan::{Cursor, Range};
use crate::error::Result;
use crate::options::{Engine, Options};
use crate::page::{Page, PageId};
use crate::pages::Patience;
use crate::partition::{Partition, check_writes, create_file};
use crate::pool::{Pool, Store};
use crate::space::FreeSpace;
use crate::stats::TreeStats;
use crate::sync::{Arc, AtomicU64, Ordering};
use crate::{Condition, epoch};

pub use cells::{LatchedCell, PageCells};

/// One tree with pages of `PAGE` bytes.
#[derive(Debug)]
pub struct Tree<const PAGE: usize> {
    partition: Partition<PAGE>,
}

impl<const PAGE: usize> Tree<PAGE> {
    /// An empty tree behind a pool of `frames` pages.
    ///
    /// # Errors
    /// None that a model meets.
    pub fn new(engine: Engine, frames: usize) -> Result<Self> {
        Ok(Self { partition: new_partition(engine, frames)?.0 })
    }

    /// Sets a key; whether the condition held. Does not wait for the log.
    ///
    /// # Errors
    /// As for a table.
    pub fn put(&self, key: &[u8], value: &[u8], condition: Condition<'_>) -> Result<bool> {
        Ok(self.partition.put(key, value, condition, Patience::Wait)?.applied)
    }

    /// Removes a key; whether the condition held and the key was there. Does not wait for the log.
    ///
    /// # Errors
    /// As for a table.
    pub fn delete(&self, key: &[u8], condition: Condition<'_>) -> Result<bool> {
        Ok(self.partition.delete(key, condition, Patience::Wait)?.applied)
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
        Ok(self.partition.get(key, Patience::Wait)?.0)
    }

    /// All keys, in ascending or in descending order.
    ///
    /// # Errors
    /// As for a table.
    pub fn keys(&self, backward: bool) -> Result<Vec<Vec<u8>>> {
        let unbounded = std::ops::Bound::Unbounded;
        let mut cursor = Cursor::new(Range { start: unbounded.clone(), end: unbounded, backward });
        let mut keys = Vec::new();
        while let Some((key, _)) = self.partition.next(&mut cursor)? {
            keys.push(key);
        }
        Ok(keys)
    }

    /// Makes everything appended so far durable.
    ///
    /// # Errors
    /// As for a table.
    pub fn flush(&self) -> Result<()> {
        Ok(self.partition.pages.log.flush()?)
    }

    /// Everything that is wrong with the tree. Call when nobody else uses it.
    ///
    /// # Errors
    /// As for a table.
    pub fn problems(&self) -> Result<Vec<String>> {
        self.flush()?;
        self.partition.pages.pool.write_back_before(0, Lsn::new(u64::MAX))?;
        Ok(check::check(&self.partition.pages).problems)
    }

    /// The number of items, as it is kept.
    pub fn count(&self) -> u64 {
        self.partition.count().0
    }

    /// Writes back what is dirty, as a checkpoint does.
    ///
    /// # Errors
    /// As for a table.
    pub fn write_back(&self) -> Result<()> {
        self.partition.pages.pool.write_back_before(0, self.partition.pages.log.end())
    }

    /// Splits, merges and restarts so far.
    pub fn stats(&self) -> TreeStats {
        self.partition.stats()
    }
}

/// An allocator of page ids.
#[derive(Debug)]
pub struct PageIds<const PAGE: usize>(Arc<FreeSpace<PAGE>>);

impl<const PAGE: usize> PageIds<PAGE> {
    /// An allocator that has handed out the ids below `next`.
    pub fn new(next: u32) -> Self {
        Self(Arc::new(FreeSpace::new(Vec::new(), next)))
    }

    /// An id for a new page, where the log is durable up to `durable`.
    pub fn allocate(&self, durable: u64) -> Option<u32> {
        self.0.allocate(Lsn::new(durable)).map(|page| page.0)
    }

    /// Frees an id that the record ending at `lsn` has unlinked.
    pub fn retire(&self, id: u32, lsn: u64) {
        self.0.retire(vec![PageId(id)], Lsn::new(lsn));
    }

    /// Until the answer is dropped, no id that is in use now is handed out again.
    pub fn pin(&self) -> impl Sized + use<PAGE> {
        epoch::pin()
    }
}

/// A partition in memory, and its file.
fn new_partition<const PAGE: usize>(
    engine: Engine,
    frames: usize,
) -> Result<(Partition<PAGE>, Arc<LoggedFile<PAGE>>)> {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let log_options = wal::Options { segment_bytes: 64 << 10, ..Default::default() };
    let log = Arc::new(Log::create(storage.clone(), "wal", log_options)?);
    create_file::<PAGE>(&*storage, "t.db", 1)?;
    let file = storage.open("t.db").map_err(crate::Error::io("open", "t.db"))?;
    let file = Arc::new(LoggedFile { file, log: log.clone(), accesses: AtomicU64::new(0) });
    let store = Arc::new(Store::new(1, "t.db".into(), 0, file.clone()));
    store.attach(log.clone());
    let pool = Arc::new(Pool::new(&*storage, frames)?);
    let options = Options { engine, ..Options::default() };
    Ok((Partition::open(pool, store, log, 0, &options)?, file))
}

/// A file of pages that refuses, by a panic, a page ahead of what is durable of its log.
#[derive(Debug)]
struct LoggedFile<const PAGE: usize> {
    file: Arc<dyn File>,
    log: Arc<Log>,
    /// Counts reads and writes, so that a checker takes them for steps that depend on each other. Relaxed: they
    /// order nothing.
    accesses: AtomicU64,
}

impl<const PAGE: usize> File for LoggedFile<PAGE> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> std::io::Result<usize> {
        self.accesses.fetch_add(1, Ordering::Relaxed);
        self.file.read_at(buf, offset)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> std::io::Result<()> {
        self.accesses.fetch_add(1, Ordering::Relaxed);
        let mut page = Page::<PAGE>::zeroed();
        page.bytes_mut().copy_from_slice(buf);
        // Who writes has seen for itself that the log is durable, so this thread cannot see less.
        let durable = self.log.durable();
        assert!(page.lsn() <= durable, "{:?} of {} is ahead of {durable}", page.id(), page.lsn());
        self.file.write_at(buf, offset)
    }

    fn len(&self) -> std::io::Result<u64> {
        self.file.len()
    }

    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.file.set_len(len)
    }

    fn sync(&self) -> std::io::Result<()> {
        self.file.sync()
    }
}
