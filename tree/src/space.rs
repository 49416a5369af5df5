//! Free space: which pages of a partition's file are in use.
//!
//! The truth on disk is a bitmap page a group of page ids, changed by the same log record that links or
//! unlinks the page, so that a crash loses no page and frees none in use. The truth in memory is this
//! allocator: it hands an id out before the bit is set, and takes one back only when nobody can still hold
//! it and its unlinking is durable.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use wal::{Lsn, planted};

use crate::epoch;
use crate::page::{Location, PageId};
use crate::pool::MAX_PAGES;
use crate::sync::{Arc, Mutex};

/// The root of every tree. It never moves: a root that splits hands its content down.
pub(crate) const ROOT: PageId = PageId(1);

/// The pages that a new file begins with: meta page, root, first bitmap.
pub(crate) const FIRST_PAGES: u32 = 3;

/// The allocator of one partition.
#[derive(Debug)]
pub(crate) struct FreeSpace<const PAGE: usize> {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Free ids below `next`, the lowest first, so that files stay dense.
    free: BinaryHeap<Reverse<u32>>,
    /// The lowest id that was never used.
    next: u32,
    /// Ids that no reader holds any more, but whose unlinking may not be durable yet.
    pending: VecDeque<(Lsn, Vec<PageId>)>,
}

impl<const PAGE: usize> FreeSpace<PAGE> {
    /// An allocator by the bitmaps of a file: `next` lies behind all used ids, and `free` are those below
    /// it that are not in use.
    pub(crate) fn new(free: Vec<u32>, next: u32) -> Self {
        let free = free.into_iter().map(Reverse).collect();
        Self { state: Mutex::new(State { free, next, pending: VecDeque::new() }) }
    }

    /// Takes an id out; `None` at the limit of [`MAX_PAGES`]. Unlinks up to `durable` are.
    pub(crate) fn allocate(&self, durable: Lsn) -> Option<PageId> {
        let mut state = self.state.lock();
        state.reclaim(durable);
        if let Some(Reverse(id)) = state.free.pop() {
            return Some(PageId(id));
        }
        if Location::of::<PAGE>(PageId(state.next)).is_some_and(|location| location.position == 0) {
            state.next += 1;
        }
        if state.next >= MAX_PAGES {
            return None;
        }
        state.next += 1;
        Some(PageId(state.next - 1))
    }

    /// How many pages are in use, the file's own and those that wait to be free included.
    pub(crate) fn used(&self) -> u64 {
        let state = self.state.lock();
        u64::from(state.next) - state.free.len() as u64
    }

    /// Puts back ids that were taken out but never linked.
    pub(crate) fn give_back(&self, ids: impl IntoIterator<Item = PageId>) {
        self.state.lock().free.extend(ids.into_iter().map(|id| Reverse(id.0)));
    }

    /// Puts back ids that the record ending at `lsn` unlinked: for use when no reader can still hold one of
    /// them and the record is durable.
    pub(crate) fn retire(self: &Arc<Self>, ids: Vec<PageId>, lsn: Lsn) {
        if planted!("page-reused-at-once") {
            self.give_back(ids);
        } else if planted!("page-reused-under-pin") {
            self.state.lock().pending.push_back((lsn, ids));
        } else if !ids.is_empty() {
            let space = self.clone();
            epoch::defer(move || space.state.lock().pending.push_back((lsn, ids)));
        }
    }
}

impl State {
    fn reclaim(&mut self, durable: Lsn) {
        // Nearly in the order of LSNs: one that is out of order waits a little longer.
        while let Some((_, ids)) =
            self.pending.pop_front_if(|(lsn, _)| *lsn <= durable || planted!("page-reused-before-durable"))
        {
            self.free.extend(ids.into_iter().map(|id| Reverse(id.0)));
        }
    }
}
