//! The buffer pool: a bounded number of page frames, shared by all partitions of a database.
//!
//! ```text
//!   page id --array--> frame { latch | tag | recovery LSN | used bit }  +  page bytes
//! ```
//!
//! * A latch is a pin: whoever holds a frame's latch keeps its page in memory, because eviction takes the
//!   latch exclusively and never waits for it. There are no reference counts.
//! * The tag says which page a frame holds. It changes only under the exclusive latch, so a look-up may use
//!   a stale translation: it takes the latch, compares the tag, and looks again where they differ.
//! * A frame is dirty while its recovery LSN is not 0: a log position before the first change that its file
//!   lacks. Checkpoints take the minimum of all of them (ARIES, Mohan et al. 1992, section 5.4).
//! * Waiting for the disk is done without latches: a look-up only ever answers from memory, and a miss is
//!   handed to the caller, who lets go of what it holds, calls [`Pool::load`] and begins again.
//!
//! `clock.rs` chooses victims, `write_back.rs` cleans them, `double_write.rs` protects them against torn
//! writes. This folder and `latch.rs` are the only places with unsafe code.

mod clock;
mod double_write;
mod guard;
mod store;
mod write_back;

pub(crate) use clock::Reserve;
pub(crate) use guard::{ReadGuard, WriteGuard};
pub(crate) use store::{MAX_PAGES, Store};

use std::fmt;

use wal::{Lsn, Storage, planted};

use crate::error::Result;
use crate::latch::Latch;
use crate::page::{Kind, Page, PageId};
use crate::stats::{Counter, PoolStats};
use crate::striped::Striped;
use crate::sync::{Arc, AtomicBool, AtomicU64, AtomicUsize, Mutex, Ordering, UnsafeCell};
use write_back::WriteBack;

/// The tag of a frame that holds no page.
const EMPTY: u64 = u64::MAX;

fn tag(store: &Store, page: PageId) -> u64 {
    u64::from(store.partition) << 32 | u64::from(page.0)
}

/// A frame's bookkeeping, on a cache line of its own: latches of neighbours must not share one.
#[derive(Debug)]
#[repr(align(64))]
struct Frame {
    latch: Latch,
    /// Partition and page. Written under the exclusive latch.
    tag: AtomicU64,
    /// 0: clean. Else a log position before the first change that the file lacks. Leaves 0 under the
    /// exclusive latch, returns to it under at least the shared one by the one write-back there can be.
    recovery_lsn: AtomicU64,
    /// Used since the clock's hand last passed.
    used: AtomicBool,
    /// The file of the page. Written under the exclusive latch.
    owner: UnsafeCell<Option<Arc<Store>>>,
}

/// The pool. `PAGE` is the size of a page in bytes.
pub(crate) struct Pool<const PAGE: usize> {
    frames: Box<[Frame]>,
    pages: Box<[UnsafeCell<Page<PAGE>>]>,
    /// Frames without a page that nobody has reserved.
    free: Mutex<Vec<u32>>,
    hand: AtomicUsize,
    write_back: WriteBack<PAGE>,
    counters: Counters,
}

#[derive(Debug)]
struct Counters {
    hits: Striped,
    misses: Counter,
    evictions: Counter,
    written_pages: Counter,
    write_backs: Counter,
    latch_waits: Counter,
}

// SAFETY: `pages[i]` and `frames[i].owner` are reached only through guards that hold `frames[i].latch` in the
// matching mode (guard.rs), which orders all accesses to them; everything else is atomic or behind a mutex.
unsafe impl<const PAGE: usize> Sync for Pool<PAGE> {}
// SAFETY: the cells own plain bytes and an `Arc<Store>`, both of which may change threads.
unsafe impl<const PAGE: usize> Send for Pool<PAGE> {}

impl<const PAGE: usize> fmt::Debug for Pool<PAGE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("frames", &self.frames.len()).field("stats", &self.stats()).finish()
    }
}

impl<const PAGE: usize> Pool<PAGE> {
    /// A pool of `frames` pages whose double-write file lives in `storage`.
    ///
    /// # Errors
    /// The double-write file cannot be opened or made.
    pub(crate) fn new(storage: &dyn Storage, frames: usize) -> Result<Self> {
        Ok(Self {
            frames: (0..frames).map(|_| Frame::new()).collect(),
            pages: zeroed_pages(frames),
            free: Mutex::new((0..frames as u32).rev().collect()),
            hand: AtomicUsize::new(0),
            write_back: WriteBack::new(storage, frames)?,
            counters: Counters {
                hits: Striped::new(),
                misses: Counter::new(),
                evictions: Counter::new(),
                written_pages: Counter::new(),
                write_backs: Counter::new(),
                latch_waits: Counter::new(),
            },
        })
    }

    /// The pool's size in pages.
    pub(crate) fn len(&self) -> usize {
        self.frames.len()
    }

    /// The page under a shared latch, if it is in memory. Waits for the latch, never for the disk.
    #[inline]
    pub(crate) fn read<'p>(&'p self, store: &Store, page: PageId) -> Option<ReadGuard<'p, PAGE>> {
        loop {
            let guard = ReadGuard::latch(self, store.frame_of(page)?);
            if guard.frame().holds(store, page) || planted!("tag-unchecked") {
                self.counters.hits.add(1);
                return Some(guard);
            }
        }
    }

    /// The page under the exclusive latch, if it is in memory. Waits for the latch, never for the disk.
    #[inline]
    pub(crate) fn write<'p>(&'p self, store: &Store, page: PageId) -> Option<WriteGuard<'p, PAGE>> {
        loop {
            let guard = WriteGuard::latch(self, store.frame_of(page)?);
            if guard.frame().holds(store, page) {
                self.counters.hits.add(1);
                return Some(guard);
            }
        }
    }

    /// As [`Pool::read`], for who only looks on: it is no use of the page, so that the clock takes no notice, and no hit.
    pub(crate) fn peek<'p>(&'p self, store: &Store, page: PageId) -> Option<ReadGuard<'p, PAGE>> {
        loop {
            let guard = ReadGuard::latch(self, store.frame_of(page)?);
            if guard.frame().is(store, page) {
                return Some(guard);
            }
        }
    }

    /// Brings the page into memory. Call without latches: it waits for the disk, and for the log where a
    /// frame must be cleaned first. The page may be gone again by the time that the caller looks.
    ///
    /// # Errors
    /// The page cannot be read, is damaged, or no frame can be had.
    pub(crate) fn load(&self, store: &Arc<Store>, page: PageId) -> Result<()> {
        if store.frame_of(page).is_some() {
            return Ok(());
        }
        if page.0 >= MAX_PAGES {
            return Err(store.damaged(page, "no file has so many pages".into()));
        }
        let mut reserve = self.reserve_for(1, true)?;
        let Some(mut guard) = reserve.take() else { return Ok(()) };
        if !guard.settle(store, page) {
            reserve.give_back(guard);
            return Ok(());
        }
        self.counters.misses.add(1);
        // Looked for when the frame is entered: a discard that came before is seen, a later one empties the frame.
        let read = store.expect_kept().and_then(|()| store.read(page, guard.page_mut()));
        if let Err(error) = read {
            guard.vacate();
            reserve.give_back(guard);
            return Err(error);
        }
        Ok(())
    }

    /// The page under the exclusive latch, zeroed but for its id and `lsn`, without reading its file: for a page
    /// that has just been allocated. `lsn` keeps records of its former life off, should the page get no further.
    /// `None` where the reserve is empty, or somebody looks at what the frame held before.
    ///
    /// # Errors
    /// The page is a node in memory: the bitmap that gave its id out is damaged.
    pub(crate) fn create<'p>(
        &'p self,
        store: &Arc<Store>,
        page: PageId,
        lsn: Lsn,
        reserve: &mut Reserve<'p, PAGE>,
    ) -> Result<Option<WriteGuard<'p, PAGE>>> {
        let mut guard = match store.frame_of(page) {
            // A freed page may still be in memory. The latch is not waited for: by a damaged bitmap, the caller may
            // hold it already.
            Some(frame) => match WriteGuard::try_latch(self, frame) {
                Some(guard) if guard.frame().holds(store, page) => {
                    if matches!(guard.kind(), Kind::Leaf | Kind::Inner) {
                        let reason = "it is a node, but its bitmap says that it is free";
                        return Err(store.damaged(page, reason.into()));
                    }
                    guard
                }
                _ => return Ok(None),
            },
            None => {
                let Some(mut guard) = reserve.take() else { return Ok(None) };
                if !guard.settle(store, page) {
                    reserve.give_back(guard);
                    return Ok(None);
                }
                guard
            }
        };
        guard.page_mut().bytes_mut().fill(0);
        guard.page_mut().set_id(page);
        guard.page_mut().set_lsn(lsn);
        Ok(Some(guard))
    }

    /// Writes every dirty page back. For an operation that has restarted so often that its pages may be pushing each
    /// other out: eviction takes the clean pages first, and where nearly all others are dirty, those are its own.
    ///
    /// # Errors
    /// As for [`Pool::write_back`]: on a disk that is full, what keeps the pages dirty is the answer.
    pub(crate) fn clean_all(&self) -> Result<()> {
        let dirty = (0..self.frames.len() as u32).filter(|&index| self.frames[index as usize].is_dirty());
        self.write_back(&dirty.collect::<Vec<_>>())
    }

    /// Hints the disk about pages that will be read soon, where they are not in memory.
    pub(crate) fn prefetch(&self, store: &Store, pages: impl Iterator<Item = PageId>) {
        for page in pages.filter(|&page| store.frame_of(page).is_none()) {
            store.prefetch::<PAGE>(page);
        }
    }

    /// The least log position that recovery would have to begin at for the pages of a log, or `None` where
    /// none of them is dirty. Frames are looked at one by one; see `checkpoint.rs` for why that suffices.
    pub(crate) fn least_recovery_lsn(&self, log_id: u32) -> Option<Lsn> {
        let of_log = |&index: &u32| {
            let guard = ReadGuard::latch(self, index);
            guard.owner().is_some_and(|store| store.log_id == log_id)
        };
        let dirty = (0..self.frames.len() as u32).filter(|&index| self.frames[index as usize].is_dirty());
        dirty.filter(of_log).filter_map(|index| self.frames[index as usize].recovery_lsn()).min()
    }

    /// Counts since the pool was made.
    pub(crate) fn stats(&self) -> PoolStats {
        PoolStats {
            frames: self.frames.len() as u64,
            hits: self.counters.hits.get(),
            misses: self.counters.misses.get(),
            evictions: self.counters.evictions.get(),
            written_pages: self.counters.written_pages.get(),
            write_backs: self.counters.write_backs.get(),
            latch_waits: self.counters.latch_waits.get(),
        }
    }
}

impl Frame {
    fn new() -> Self {
        Self {
            latch: Latch::new(),
            tag: AtomicU64::new(EMPTY),
            recovery_lsn: AtomicU64::new(0),
            used: AtomicBool::new(false),
            owner: UnsafeCell::new(None),
        }
    }

    /// Whether the frame holds that page. Call under the latch. Marks the frame as used.
    #[inline]
    fn holds(&self, store: &Store, page: PageId) -> bool {
        let holds = self.is(store, page);
        // Look before writing: the line stays shared between cores that only read.
        if holds && !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
        holds
    }

    /// Whether the frame holds that page. Call under the latch.
    #[inline]
    fn is(&self, store: &Store, page: PageId) -> bool {
        // Relaxed: the tag changes under the latch that the caller holds.
        self.tag.load(Ordering::Relaxed) == tag(store, page)
    }

    fn recovery_lsn(&self) -> Option<Lsn> {
        match self.recovery_lsn.load(Ordering::Acquire) {
            0 => None,
            lsn => Some(Lsn::new(lsn)),
        }
    }

    fn holds_a_page(&self) -> bool {
        self.tag.load(Ordering::Relaxed) != EMPTY
    }

    fn is_dirty(&self) -> bool {
        self.recovery_lsn().is_some()
    }
}

#[cfg(not(feature = "loom"))]
fn zeroed_pages<const PAGE: usize>(count: usize) -> Box<[UnsafeCell<Page<PAGE>>]> {
    let pages = Box::<[UnsafeCell<Page<PAGE>>]>::new_zeroed_slice(count);
    // SAFETY: a page is plain bytes and a cell adds nothing to it, so all zeroes are a valid value of both.
    // Zeroed memory comes straight from the kernel: a large pool costs nothing before it is used.
    unsafe { pages.assume_init() }
}

#[cfg(feature = "loom")]
fn zeroed_pages<const PAGE: usize>(count: usize) -> Box<[UnsafeCell<Page<PAGE>>]> {
    (0..count).map(|_| UnsafeCell::new(Page::zeroed())).collect()
}
