//! Guards: the only door to page bytes.
//!
//! A guard is a latch held plus a pointer to the page that the latch protects. Reading goes through `Deref`
//! of either guard; changing a page goes through `change.rs`, which logs first and needs `&mut` of a write
//! guard for it.

use std::ops::Deref;
use std::time::Duration;

use wal::{Lsn, planted};

use super::{EMPTY, Frame, Pool, Store, tag};
use crate::latch::{Exclusive, Shared};
use crate::page::{Kind, Page, PageId};
use crate::sync::{Arc, ConstPtr, MutPtr, Ordering};

/// A page under a shared latch.
pub(crate) struct ReadGuard<'p, const PAGE: usize> {
    // Fields are dropped in this order: the pointers go before the latch is released.
    page: ConstPtr<Page<PAGE>>,
    owner: ConstPtr<Option<Arc<Store>>>,
    frame: &'p Frame,
    _latch: Shared<'p>,
}

/// A page under an exclusive latch.
pub(crate) struct WriteGuard<'p, const PAGE: usize> {
    // Fields are dropped in this order: the pointers go before the latch is released.
    page: MutPtr<Page<PAGE>>,
    owner: MutPtr<Option<Arc<Store>>>,
    frame: &'p Frame,
    index: u32,
    _latch: Exclusive<'p>,
}

impl<'p, const PAGE: usize> ReadGuard<'p, PAGE> {
    /// Waits for the shared latch of the frame with that index.
    #[inline]
    pub(super) fn latch(pool: &'p Pool<PAGE>, index: u32) -> Self {
        let (latch, waited) = pool.frames[index as usize].latch.shared(&pool.counters.latch_waits);
        let guard = Self::held(pool, index, latch);
        if let Some(waited) = waited {
            count_wait(guard.owner(), &guard, waited);
        }
        guard
    }

    /// The shared latch of the frame with that index, if it is to be had at once.
    pub(super) fn try_latch(pool: &'p Pool<PAGE>, index: u32) -> Option<Self> {
        Some(Self::held(pool, index, pool.frames[index as usize].latch.try_shared()?))
    }

    #[inline]
    fn held(pool: &'p Pool<PAGE>, index: u32, latch: Shared<'p>) -> Self {
        let frame = &pool.frames[index as usize];
        Self { page: pool.pages[index as usize].get(), owner: frame.owner.get(), frame, _latch: latch }
    }

    pub(super) fn frame(&self) -> &'p Frame {
        self.frame
    }

    /// The file of the page; `None` for a frame without one.
    pub(super) fn owner(&self) -> Option<&Arc<Store>> {
        // SAFETY: writers of the cell hold the frame's latch exclusively; this guard holds it shared.
        unsafe { self.owner.deref() }.as_ref()
    }
}

impl<const PAGE: usize> Deref for ReadGuard<'_, PAGE> {
    type Target = Page<PAGE>;

    #[inline]
    fn deref(&self) -> &Page<PAGE> {
        // SAFETY: writers of the page hold the frame's latch exclusively; this guard holds it shared, for as
        // long as the reference can live.
        unsafe { self.page.deref() }
    }
}

impl<const PAGE: usize> Deref for WriteGuard<'_, PAGE> {
    type Target = Page<PAGE>;

    #[inline]
    fn deref(&self) -> &Page<PAGE> {
        // SAFETY: this guard holds the frame's latch exclusively, and `&self` keeps `page_mut` away.
        unsafe { self.page.deref() }
    }
}

impl<'p, const PAGE: usize> WriteGuard<'p, PAGE> {
    /// Waits for the exclusive latch of the frame with that index.
    #[inline]
    pub(super) fn latch(pool: &'p Pool<PAGE>, index: u32) -> Self {
        let (latch, waited) = pool.frames[index as usize].latch.exclusive(&pool.counters.latch_waits);
        let guard = Self::held(pool, index, latch);
        if let Some(waited) = waited {
            count_wait(guard.owner(), &guard, waited);
        }
        guard
    }

    /// The exclusive latch of the frame with that index, if it is to be had at once.
    pub(super) fn try_latch(pool: &'p Pool<PAGE>, index: u32) -> Option<Self> {
        Some(Self::held(pool, index, pool.frames[index as usize].latch.try_exclusive()?))
    }

    #[inline]
    fn held(pool: &'p Pool<PAGE>, index: u32, latch: Exclusive<'p>) -> Self {
        let frame = &pool.frames[index as usize];
        let (page, owner) = (pool.pages[index as usize].get_mut(), frame.owner.get_mut());
        Self { page, owner, frame, index, _latch: latch }
    }

    /// The page's bytes. Only the pool and `change.rs` call this: whatever changes a page is logged first.
    #[inline]
    pub(crate) fn page_mut(&mut self) -> &mut Page<PAGE> {
        // SAFETY: this guard holds the frame's latch exclusively, and `&mut self` makes this the only
        // reference that was derived from it.
        unsafe { self.page.deref() }
    }

    /// Marks the page as changed from log position `lsn` on, unless it is marked with an earlier one. Must
    /// come before the change is appended: a checkpoint that misses the mark then misses the record too.
    #[inline]
    pub(crate) fn mark_dirty(&mut self, lsn: Lsn) {
        if !self.frame.is_dirty() {
            self.frame.recovery_lsn.store(lsn.get().max(1), Ordering::Release);
        }
    }

    pub(super) fn frame(&self) -> &'p Frame {
        self.frame
    }

    pub(super) fn index(&self) -> u32 {
        self.index
    }

    /// The file of the page; `None` for a frame without one.
    pub(super) fn owner(&self) -> Option<&Arc<Store>> {
        // SAFETY: this guard holds the frame's latch exclusively, and `&self` keeps `owner_mut` away.
        unsafe { self.owner.deref() }.as_ref()
    }

    fn owner_mut(&mut self) -> &mut Option<Arc<Store>> {
        // SAFETY: as for `page_mut`; the cell is another one.
        unsafe { self.owner.deref() }
    }

    /// Makes this empty frame the page's. `false`, with the frame still empty, where another frame came
    /// first.
    pub(super) fn settle(&mut self, store: &Arc<Store>, page: PageId) -> bool {
        let frame = self.frame;
        frame.tag.store(tag(store, page), Ordering::Relaxed);
        frame.used.store(true, Ordering::Relaxed);
        if store.enter(page, self.index).is_err() && !planted!("page-entered-twice") {
            frame.tag.store(EMPTY, Ordering::Relaxed);
            return false;
        }
        *self.owner_mut() = Some(store.clone());
        true
    }

    /// Empties the frame: its page is not in memory any more. The page must be clean, or given up.
    pub(super) fn vacate(&mut self) {
        if let Some(store) = self.owner_mut().take() {
            let page = PageId(self.frame.tag.load(Ordering::Relaxed) as u32);
            // The translation goes first: whoever finds an empty tag behind the latch looks again, and must
            // not find this frame.
            store.leave(page);
            self.frame.tag.store(EMPTY, Ordering::Relaxed);
            self.frame.recovery_lsn.store(0, Ordering::Relaxed);
        }
    }
}

/// Counts a wait for a page's latch with the level of its tree. The page is looked at behind the wait: what the frame
/// held before, if it was another one, nobody can tell any more.
#[cold]
fn count_wait<const PAGE: usize>(owner: Option<&Arc<Store>>, page: &Page<PAGE>, waited: Duration) {
    if let Some(store) = owner
        && matches!(page.kind(), Kind::Leaf | Kind::Inner)
    {
        store.levels.of(page.level()).latch_waits.add(waited);
    }
}
