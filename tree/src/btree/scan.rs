//! Scans of one tree: leaf after leaf, in either direction.
//!
//! Leaves have no sibling pointers. A scan copies a leaf's items out under its latch, lets go, and finds the
//! next leaf by the fence of this one, from the root: a few latches more a leaf, and no latch is ever taken
//! sideways (as in LeanStore). Each leaf is seen as it was at one instant; a scan as a whole is no snapshot:
//! a write that happens beside it is seen or not.

use std::collections::VecDeque;
use std::ops::Bound;

use wal::{Lsn, planted};

use super::{Protocol, Seek};
use crate::epoch::{self, Pin};
use crate::error::Result;
use crate::page::{Page, PageId, Value};
use crate::pages::Pages;

/// A key and its value.
pub(crate) type Item = (Vec<u8>, Vec<u8>);

/// Which keys, and in which order.
#[derive(Clone, Debug)]
pub(crate) struct Range {
    pub(crate) start: Bound<Vec<u8>>,
    pub(crate) end: Bound<Vec<u8>>,
    pub(crate) backward: bool,
}

impl Range {
    fn contains(&self, key: &[u8]) -> bool {
        let above_start = match &self.start {
            Bound::Included(start) => key >= start.as_slice(),
            Bound::Excluded(start) => key > start.as_slice(),
            Bound::Unbounded => true,
        };
        above_start && !self.is_past_end(key)
    }

    fn is_past_end(&self, key: &[u8]) -> bool {
        match &self.end {
            Bound::Included(end) => key > end.as_slice(),
            Bound::Excluded(end) => key >= end.as_slice(),
            Bound::Unbounded => false,
        }
    }

    /// Whether no key can be in it: none is below the empty key, and no leaf either.
    fn is_empty(&self) -> bool {
        matches!(&self.end, Bound::Excluded(end) if end.is_empty())
    }

    /// The leaf to begin with.
    fn seek(&self) -> Seek<'_> {
        match (self.backward, &self.start, &self.end) {
            (false, Bound::Included(start) | Bound::Excluded(start), _) => Seek::Key(start),
            (false, Bound::Unbounded, _) => Seek::Key(&[]),
            (true, _, Bound::Included(end)) => Seek::Key(end),
            (true, _, Bound::Excluded(end)) => Seek::Below(end),
            (true, _, Bound::Unbounded) => Seek::Last,
        }
    }

    /// Whether a leaf that ends there brings the scan forward. In a damaged tree it may not, and the scan would
    /// never end.
    fn advances(&self, fence: Option<&[u8]>) -> bool {
        let Some(fence) = fence else { return true };
        match (self.backward, &self.start, &self.end) {
            (false, Bound::Included(at) | Bound::Excluded(at), _) => fence > at.as_slice(),
            (true, _, Bound::Included(at)) => fence <= at.as_slice(),
            (true, _, Bound::Excluded(at)) => fence < at.as_slice(),
            (false, Bound::Unbounded, _) | (true, _, Bound::Unbounded) => true,
        }
    }

    /// Leaves out what a leaf up to this fence covered, so that it is not read again even if a merge has put
    /// it into the leaf that comes next. Whether anything is left.
    fn go_on_behind(&mut self, fence: Option<Vec<u8>>) -> bool {
        let Some(fence) = fence else { return false };
        if self.backward {
            let more = match &self.start {
                Bound::Included(start) | Bound::Excluded(start) => fence > *start,
                Bound::Unbounded => !fence.is_empty(),
            };
            self.end = Bound::Excluded(fence);
            more
        } else {
            let more = !self.is_past_end(&fence);
            self.start =
                if planted!("fence-skipped") { Bound::Excluded(fence) } else { Bound::Included(fence) };
            more
        }
    }
}

/// A scan under way. Holds no latch between calls.
#[derive(Debug)]
pub(crate) struct Cursor {
    /// What is yet to be read.
    rest: Range,
    ended: bool,
    items: VecDeque<Item>,
}

/// A leaf's items as they were copied out. References to chains are followed behind the latch.
struct Copied {
    items: Vec<(Vec<u8>, CopiedValue)>,
    /// The fence in the direction of the scan; `None` at the end of the tree.
    fence: Option<Vec<u8>>,
    page: PageId,
    lsn: Lsn,
}

enum CopiedValue {
    Inline(Vec<u8>),
    Chain { first: PageId, len: u32, _pin: Pin },
}

impl Cursor {
    pub(crate) fn new(range: Range) -> Self {
        let ended = range.is_empty();
        Self { rest: range, ended, items: VecDeque::new() }
    }

    /// The next item. It is durable: a crash cannot take it back.
    pub(crate) fn next<const PAGE: usize>(
        &mut self,
        tree: &dyn Protocol<PAGE>,
        pages: &Pages<PAGE>,
    ) -> Result<Option<Item>> {
        while self.items.is_empty() && !self.ended {
            self.next_leaf(tree, pages)?;
        }
        Ok(self.items.pop_front())
    }

    fn next_leaf<const PAGE: usize>(&mut self, tree: &dyn Protocol<PAGE>, pages: &Pages<PAGE>) -> Result<()> {
        let mut copied = None;
        tree.visit_ahead(self.rest.seek(), &mut |leaf| copied = Some(copy(leaf, &self.rest)))?;
        let Some(copied) = copied else {
            self.ended = true;
            return Ok(());
        };
        if !self.rest.advances(copied.fence.as_deref()) {
            let reason = "its fences do not cover the keys that led to it";
            return Err(pages.store.damaged(copied.page, reason.into()));
        }
        pages.wait(copied.lsn)?;
        for (key, value) in copied.items {
            let value = match value {
                CopiedValue::Inline(value) => value,
                CopiedValue::Chain { first, len, .. } => pages.read_chain(first, len)?.1,
            };
            self.items.push_back((key, value));
        }
        self.ended = !self.rest.go_on_behind(copied.fence);
        Ok(())
    }
}

fn copy<const PAGE: usize>(leaf: &Page<PAGE>, range: &Range) -> Copied {
    let mut items = Vec::new();
    let mut key = Vec::new();
    for slot in 0..leaf.count() {
        leaf.copy_key(slot, &mut key);
        if !range.contains(&key) {
            continue;
        }
        let value = match leaf.value(slot) {
            Value::Inline(value) => CopiedValue::Inline(value.to_vec()),
            // Pinned under the latch: the chain stays what it is until it has been read.
            Value::Overflow { len, first } => CopiedValue::Chain { first, len, _pin: epoch::pin() },
        };
        items.push((key.clone(), value));
    }
    let fence = if range.backward { Some(leaf.low_fence()) } else { leaf.high_fence() };
    let fence = fence.map(<[u8]>::to_vec);
    if range.backward {
        items.reverse();
    }
    Copied { items, fence, page: leaf.id(), lsn: leaf.lsn() }
}
