//! Counters, and the snapshots of them that users see.

use crate::sync::{AtomicU64, Ordering};

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

/// What the buffer pool did since the database was opened.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PoolStats {
    /// The pool's size, in pages.
    pub frames: u64,
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
