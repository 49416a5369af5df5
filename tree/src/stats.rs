//! Counters, and the snapshots of them that users see.

use std::time::{Duration, Instant};

use crate::sync::{AtomicU64, Ordering, PlainU64};

/// Levels of a tree that are counted apart: higher ones count with the last of them.
pub(crate) const LEVELS: usize = 8;

/// A counter that orders nothing.
#[derive(Debug)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Waits of all threads for one thing.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    count: PlainU64,
    ns: PlainU64,
}

impl Waits {
    pub(crate) fn add(&self, waited: Duration) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.ns.fetch_add(waited.as_nanos() as u64, Ordering::Relaxed);
    }

    /// Calls what waits, and counts it. Only for who found that it has to: it reads the clock.
    #[cfg(feature = "mutex")]
    pub(crate) fn time<T>(&self, wait: impl FnOnce() -> T) -> T {
        let (done, waited) = timed(wait);
        self.add(waited);
        done
    }

    /// How many, and how long all of them took, in nanoseconds.
    pub(crate) fn get(&self) -> (u64, u64) {
        (self.count.load(Ordering::Relaxed), self.ns.load(Ordering::Relaxed))
    }
}

/// Calls what waits; the time that it took comes with the answer.
#[cold]
pub(crate) fn timed<T>(wait: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    let done = wait();
    (done, began.elapsed())
}

/// What is counted apart for the levels of one tree, leaves first.
#[derive(Debug, Default)]
pub(crate) struct Levels([LevelCounts; LEVELS]);

/// What is counted of one level. It lies apart from what is read on the way to a leaf.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct LevelCounts {
    pub(crate) latch_waits: Waits,
    restarts: PlainU64,
}

impl Levels {
    pub(crate) fn of(&self, level: u8) -> &LevelCounts {
        &self.0[usize::from(level).min(LEVELS - 1)]
    }

    /// The counts of a tree whose root has that level.
    pub(crate) fn up_to(&self, root: u8) -> Vec<LevelStats> {
        self.0.iter().take(usize::from(root) + 1).map(LevelCounts::get).collect()
    }
}

impl LevelCounts {
    pub(crate) fn add_restart(&self) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> LevelStats {
        let (latch_waits, latch_wait_ns) = self.latch_waits.get();
        LevelStats { latch_waits, latch_wait_ns, restarts: self.restarts.load(Ordering::Relaxed) }
    }
}

/// What the buffer pool did since the database was opened.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PoolStats {
    /// The pool's size, in pages.
    pub frames: u64,
    /// Look-ups of pages that were answered from memory. An operation makes one a page on its way, and begins its
    /// way again behind a miss.
    pub hits: u64,
    /// Pages read from files.
    pub misses: u64,
    /// Frames given to another page.
    pub evictions: u64,
    /// Pages written back.
    pub written_pages: u64,
    /// Write-backs: each writes a batch of pages, twice, for one sync.
    pub write_backs: u64,
    /// Latches that were not free at once.
    pub latch_waits: u64,
}

/// What the trees did since the database was opened.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct TreeStats {
    /// Nodes split.
    pub splits: u64,
    /// Nodes merged into a neighbour.
    pub merges: u64,
    /// Operations that released every latch and began again.
    pub restarts: u64,
}

/// What one partition did since the database was opened, and where threads waited for each other.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PartitionStats {
    /// Its table.
    pub table: String,
    /// Its number in the table.
    pub partition: u32,
    /// Items, as they are now.
    pub items: u64,
    /// Pages in use as it is now, its own and those that wait to be free included.
    pub pages: u64,
    /// Nodes split.
    pub splits: u64,
    /// Nodes merged into a neighbour.
    pub merges: u64,
    /// Operations that found the tree's lock taken: the baseline's, which alone has one.
    pub lock_waits: u64,
    /// The time that they waited for it, in nanoseconds: the sum over all threads.
    pub lock_wait_ns: u64,
    /// The tree's levels as it is now: leaves first, the root last. Levels from the eighth on count with that, and
    /// no more than eight are there. Only the leaves are, where the root is not in memory.
    pub levels: Vec<LevelStats>,
}

/// Where threads waited in one level of a tree.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LevelStats {
    /// Latches on nodes that were not free at once. Those on bitmaps and overflow pages are no level's, and only in
    /// [`PoolStats::latch_waits`].
    pub latch_waits: u64,
    /// The time that threads waited for them, in nanoseconds: the sum over all threads.
    pub latch_wait_ns: u64,
    /// Operations that released every latch and began again because of a node of this level: it was not in memory,
    /// had no room, or had changed. What is not because of a node, and where the root was not in memory, counts with
    /// the leaves.
    pub restarts: u64,
}

/// Everything that is counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stats {
    /// All logs together.
    pub log: wal::Stats,
    /// The buffer pool.
    pub pool: PoolStats,
    /// All trees together.
    pub tree: TreeStats,
    /// Checkpoints taken.
    pub checkpoints: u64,
}

impl std::ops::AddAssign for TreeStats {
    fn add_assign(&mut self, other: Self) {
        self.splits += other.splits;
        self.merges += other.merges;
        self.restarts += other.restarts;
    }
}
