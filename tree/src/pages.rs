//! The pages of one partition: its file in the pool, its log, its free space.
//!
//! Protocols reach pages only through here. A look-up answers from memory or not at all: whatever would have
//! to wait comes back as an [`Interrupt`], the protocol's latches fall as it is passed up, and
//! [`Pages::retry`] does the waiting and begins again. So no latch is held across a wait, by construction.

use wal::{Log, Lsn, planted};

use crate::count::Count;
use crate::epoch::{self, Pin};
use crate::error::{Error, Result};
use crate::page::{Kind, PageId};
use crate::pool::{Pool, ReadGuard, Reserve, Store, WriteGuard};
use crate::space::FreeSpace;
use crate::stats::{Counter, Waits};
use crate::sync::{Arc, yield_now};

/// Restarts of one operation before it gives up. Each of them made progress for somebody (a page was read, a
/// node was split), so this bounds thrashing, not contention.
const MAX_RESTARTS: u32 = if cfg!(feature = "loom") { 64 } else { 100_000 };

/// Restarts of one operation behind which its pages may be pushing each other out of the pool.
const THRASHING: u32 = 64;

/// Why an operation has to let go of its latches.
#[derive(Debug)]
pub(crate) enum Interrupt {
    /// The page is not in memory. The pin keeps its id from being used again until it is.
    Miss { page: PageId, level: u8, pin: Pin },
    /// The leaf of `key` has no room for a value that takes `value_len` bytes of it; if `crowded`, because
    /// of smaller keys that the same operation has for that leaf.
    Full { key: Vec<u8>, value_len: usize, crowded: bool },
    /// The chain of overflow pages from `first` must be walked before it can be freed or compared.
    Chain { first: PageId, len: u32, pin: Pin },
    /// The group of page ids has no bitmap yet.
    NoMap(u32),
    /// The operation found a node of that level in a shape that the latches it took do not serve.
    Again { level: u8 },
    /// It cannot be done.
    Error(Error),
}

impl Interrupt {
    /// Whether what it asks for takes the disk, the log or a split.
    fn waits(&self) -> bool {
        match self {
            Interrupt::Miss { .. } => !planted!("in-memory-waits"),
            Interrupt::Full { .. } => !planted!("in-memory-splits"),
            Interrupt::Chain { .. } | Interrupt::NoMap(_) => true,
            Interrupt::Again { .. } | Interrupt::Error(_) => false,
        }
    }

    /// The level of the node that is in the way: the leaf's, where it is no node.
    fn level(&self) -> u8 {
        match self {
            Interrupt::Miss { level, .. } | Interrupt::Again { level } => *level,
            _ => 0,
        }
    }
}

impl From<Error> for Interrupt {
    fn from(error: Error) -> Self {
        Interrupt::Error(error)
    }
}

/// What an operation may wait for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Patience {
    /// Whatever it needs.
    Wait,
    /// Other threads' latches only: it ends with [`Error::WouldWait`] where it needs the disk, the log or a split.
    InMemory,
}

/// What an operation has learnt from its interrupts.
#[derive(Debug, Default)]
pub(crate) struct Attempt {
    /// Chains of overflow pages that have been walked.
    pub(crate) chains: Vec<Chain>,
    restarts: u32,
}

/// A chain of overflow pages: which pages, and the value that they hold. Its pages stay what they are while
/// the pin lives.
#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) pages: Vec<PageId>,
    pub(crate) value: Vec<u8>,
    _pin: Pin,
}

impl Attempt {
    /// The chain that begins with that page, or the interrupt that has it walked.
    pub(crate) fn chain(&self, first: PageId, len: u32) -> Result<&Chain, Interrupt> {
        let known = self.chains.iter().find(|chain| chain.pages.first() == Some(&first));
        known.ok_or_else(|| Interrupt::Chain { first, len, pin: epoch::pin() })
    }
}

/// The pages of one partition.
#[derive(Debug)]
pub(crate) struct Pages<const PAGE: usize> {
    pub(crate) pool: Arc<Pool<PAGE>>,
    pub(crate) store: Arc<Store>,
    pub(crate) log: Arc<Log>,
    pub(crate) space: Arc<FreeSpace<PAGE>>,
    pub(crate) count: Count,
    pub(crate) page_images: bool,
    pub(crate) splits: Counter,
    pub(crate) merges: Counter,
    pub(crate) restarts: Counter,
    /// Waits for the lock of the whole tree, where the protocol has one.
    pub(crate) lock_waits: Waits,
}

impl<const PAGE: usize> Pages<PAGE> {
    /// The node under a shared latch.
    #[inline]
    pub(crate) fn read(&self, page: PageId) -> Result<ReadGuard<'_, PAGE>, Interrupt> {
        self.read_at(page, 0)
    }

    /// The node under the exclusive latch.
    #[inline]
    pub(crate) fn write(&self, page: PageId) -> Result<WriteGuard<'_, PAGE>, Interrupt> {
        self.write_at(page, 0)
    }

    /// The child of a node of level `above`, under a shared latch.
    #[inline]
    pub(crate) fn read_child(&self, page: PageId, above: u8) -> Result<ReadGuard<'_, PAGE>, Interrupt> {
        let child = self.read_at(page, above.saturating_sub(1))?;
        self.expect_node(page, child.kind(), child.level(), above)?;
        Ok(child)
    }

    /// The child of a node of level `above`, under the exclusive latch.
    #[inline]
    pub(crate) fn write_child(&self, page: PageId, above: u8) -> Result<WriteGuard<'_, PAGE>, Interrupt> {
        let child = self.write_at(page, above.saturating_sub(1))?;
        self.expect_node(page, child.kind(), child.level(), above)?;
        Ok(child)
    }

    /// As [`read`](Self::read), of a page that is expected to have that level.
    #[inline]
    fn read_at(&self, page: PageId, level: u8) -> Result<ReadGuard<'_, PAGE>, Interrupt> {
        let found = self.pool.read(&self.store, page);
        found.ok_or_else(|| Interrupt::Miss { page, level, pin: epoch::pin() })
    }

    #[inline]
    fn write_at(&self, page: PageId, level: u8) -> Result<WriteGuard<'_, PAGE>, Interrupt> {
        let found = self.pool.write(&self.store, page);
        found.ok_or_else(|| Interrupt::Miss { page, level, pin: epoch::pin() })
    }

    /// A damaged file may lead anywhere, but never around in a circle: levels only fall.
    #[inline]
    fn expect_node(&self, page: PageId, kind: Kind, level: u8, above: u8) -> Result<(), Interrupt> {
        if u16::from(level) + 1 == u16::from(above) && matches!(kind, Kind::Leaf | Kind::Inner) {
            return Ok(());
        }
        let below = above.saturating_sub(1);
        let reason = format!("a node of level {below} was expected, {kind:?} of level {level} found");
        Err(self.store.damaged(page, reason).into())
    }

    /// Runs an operation until nothing interrupts it, doing what its interrupts ask for.
    #[inline]
    pub(crate) fn retry<T>(&self, operation: impl FnMut(&mut Attempt) -> Result<T, Interrupt>) -> Result<T> {
        self.retry_with(Patience::Wait, operation)
    }

    /// As [`retry`](Self::retry), with a bound on what is waited for.
    #[inline]
    pub(crate) fn retry_with<T>(
        &self,
        patience: Patience,
        mut operation: impl FnMut(&mut Attempt) -> Result<T, Interrupt>,
    ) -> Result<T> {
        let mut attempt = Attempt::default();
        loop {
            match operation(&mut attempt) {
                Ok(done) => return Ok(done),
                Err(interrupt) => self.handle(interrupt, &mut attempt, patience)?,
            }
        }
    }

    /// Does what the operation could not do under latches.
    #[cold]
    fn handle(&self, interrupt: Interrupt, attempt: &mut Attempt, patience: Patience) -> Result<()> {
        if patience == Patience::InMemory && interrupt.waits() {
            return Err(Error::WouldWait);
        }
        self.restarts.add(1);
        self.store.levels.of(interrupt.level()).add_restart();
        attempt.restarts += 1;
        if attempt.restarts >= THRASHING && attempt.restarts.is_power_of_two() {
            self.pool.clean_all()?;
        }
        if attempt.restarts > MAX_RESTARTS {
            return Err(Error::PoolExhausted { frames: self.pool.len() });
        }
        match interrupt {
            Interrupt::Miss { page, pin: _pin, .. } => self.pool.load(&self.store, page),
            Interrupt::Full { key, value_len, crowded } => self.make_room(&key, value_len, crowded),
            Interrupt::Chain { first, len, pin } => {
                let (pages, value) = self.read_chain(first, len)?;
                attempt.chains.push(Chain { pages, value, _pin: pin });
                Ok(())
            }
            Interrupt::NoMap(group) => self.create_map(group),
            Interrupt::Again { .. } => {
                yield_now();
                Ok(())
            }
            Interrupt::Error(error) => Err(error),
        }
    }

    /// A new page, zeroed, under its exclusive latch. Its id is the allocator's, and its bit is not set yet.
    pub(crate) fn create<'p>(
        &'p self,
        page: PageId,
        reserve: &mut Reserve<'p, PAGE>,
    ) -> Result<WriteGuard<'p, PAGE>, Interrupt> {
        self.pool.create(&self.store, page, self.log.end(), reserve)?.ok_or(Interrupt::Again { level: 0 })
    }

    /// An id for a new page.
    pub(crate) fn allocate(&self) -> Result<PageId> {
        self.space.allocate(self.log.durable()).ok_or_else(|| Error::PartitionFull {
            file: self.store.path.clone(),
            pages: crate::pool::MAX_PAGES,
        })
    }

    /// Waits until the log is durable up to `lsn`. Call without latches.
    pub(crate) fn wait(&self, lsn: Lsn) -> Result<()> {
        Ok(self.log.wait(lsn)?)
    }
}
