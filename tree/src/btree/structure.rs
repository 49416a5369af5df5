//! Splits and merges, for every protocol. Each is ONE log record over all its pages, written with all their
//! latches held, and changes no key: a reader sees the tree before or after it.
//!
//! Both descend with exclusive latches and make every child safe before they go down to it: a split leaves
//! the child with room for one more separator, a merge lifts it above a quarter. So the parent never needs
//! another change, and at most a parent, a child and a sibling are latched at a time (preparatory
//! operations: Guibas and Sedgewick 1978; Mond and Raz 1985). See docs/decisions/0002.
//!
//! The root never moves. It grows by handing its content down to a new child, and shrinks by taking the
//! content of its only child up.

use wal::planted;

use super::space_edit::SpaceEdit;
use crate::change::Change;
use crate::error::Result;
use crate::page::{
    Kind, NodeBuilder, Op, Page, image, limits, merged, right_half, split_before, split_inner, split_leaf,
};
use crate::pages::{Interrupt, Pages, Patience};
use crate::pool::{Reserve, WriteGuard};
use crate::space::ROOT;

/// The separator that is hoped to be posted. Room for the longest possible one would leave a quarter of
/// every inner node unused; so a longer one makes the descent start again, with that length.
const LIKELY_SEPARATOR: usize = 24;

/// What a descent that makes room is for.
struct Pending<'a> {
    key: &'a [u8],
    value_len: usize,
    /// Smaller keys of the same operation go to the leaf, too: it must not be one leaf with theirs.
    crowded: bool,
    /// The length of separator that inner nodes must have room for.
    separator_len: usize,
}

/// How a step of the descent ended.
enum Step<'p, const PAGE: usize> {
    Down(WriteGuard<'p, PAGE>),
    Done,
}

impl<const PAGE: usize> Pages<PAGE> {
    /// Splits the leaf of `key` unless it has room for a value that takes `value_len` bytes of it, or, if
    /// `crowded`, until it begins with that key. Leaves that hold few large items may need another split to
    /// have room: the caller sees and comes back.
    pub(crate) fn make_room(&self, key: &[u8], value_len: usize, crowded: bool) -> Result<()> {
        let mut pending = Pending { key, value_len, crowded, separator_len: LIKELY_SEPARATOR };
        self.retry(|_| {
            let mut reserve = self.pool.reserve(1)?;
            let mut parent = self.write(ROOT)?;
            if !is_safe(&parent, &pending) {
                let again = Interrupt::Again { level: parent.level() };
                return self.grow_root(&mut parent, &mut reserve).and(Err(again));
            }
            while parent.level() > 0 {
                match self.descend_splitting(&mut parent, &mut pending, &mut reserve)? {
                    Step::Down(child) => parent = child,
                    Step::Done => break,
                }
            }
            Ok(())
        })
    }

    /// Goes down to the child that covers the key, or splits it and is done with this descent.
    fn descend_splitting<'p>(
        &'p self,
        parent: &mut WriteGuard<'p, PAGE>,
        pending: &mut Pending<'_>,
        reserve: &mut Reserve<'p, PAGE>,
    ) -> Result<Step<'p, PAGE>, Interrupt> {
        let slot = parent.child_index(pending.key);
        let mut child = self.write_child(parent.child(slot), parent.level())?;
        if is_safe(&child, pending) {
            return Ok(Step::Down(child));
        }
        let (at, separator) = if child.level() == 0 {
            let before = if pending.crowded { split_before(&child, pending.key) } else { None };
            let split = before.unwrap_or_else(|| {
                let slot = child.search(pending.key).unwrap_or_else(|slot| slot);
                split_leaf(&child, pending.key, pending.value_len, child.is_ascending(slot))
            });
            (split.at, split.separator)
        } else {
            split_inner(&child)
        };
        let suffix_len = separator.len().saturating_sub(parent.prefix().len());
        if !parent.fits_insert(suffix_len, 0) {
            // Only a separator longer than assumed does not fit.
            pending.separator_len = separator.len();
            return Err(Interrupt::Again { level: parent.level() });
        }
        let level = child.level();
        self.split(parent, slot, &mut child, at, &separator, reserve)?;
        // Above the leaves the descent is not over, but it needs a fresh frame for the next split.
        if level == 0 { Ok(Step::Done) } else { Err(Interrupt::Again { level }) }
    }

    /// One record: the child keeps its first `at` slots, a new page gets the others, the parent gets the
    /// separator between them.
    fn split<'p>(
        &'p self,
        parent: &mut WriteGuard<'p, PAGE>,
        slot: usize,
        child: &mut WriteGuard<'p, PAGE>,
        at: usize,
        separator: &[u8],
        reserve: &mut Reserve<'p, PAGE>,
    ) -> Result<(), Interrupt> {
        let bytes = image_of(&right_half(child, at, separator));
        let suffix = separator[parent.prefix().len()..].to_vec();
        self.with_new_page(reserve, |right, mut space| {
            let post = [Op::InsertChild { slot: slot as u16 + 1, suffix: &suffix, child: right.id() }];
            let keep = [Op::Truncate { slots: at as u16, high: separator }];
            let fill = [Op::Image { bytes: &bytes }];
            let changes = vec![
                Change { guard: parent, ops: &post },
                Change { guard: child, ops: &keep },
                Change { guard: right, ops: &fill },
            ];
            space.commit(self, 0, changes)
        })?;
        self.splits.add(1);
        Ok(())
    }

    /// One record: the root's content moves down to a new page, and the root becomes its parent.
    fn grow_root<'p>(
        &'p self,
        root: &mut WriteGuard<'p, PAGE>,
        reserve: &mut Reserve<'p, PAGE>,
    ) -> Result<(), Interrupt> {
        let content = image_of(root);
        let level = root.level() + 1;
        self.with_new_page(reserve, |child, mut space| {
            let mut builder = NodeBuilder::<PAGE>::new(Kind::Inner, level, &[], None);
            builder.push_child(&[], child.id());
            let root_page = builder.finish().map_err(|error| self.store.damaged(ROOT, error.to_string()))?;
            let above = image_of(&root_page);
            let (above, below) = ([Op::Image { bytes: &above }], [Op::Image { bytes: &content }]);
            let changes = vec![Change { guard: root, ops: &above }, Change { guard: child, ops: &below }];
            space.commit(self, 0, changes)
        })
        .map(drop)
    }

    /// Allocates a page for `commit` to fill; the id is put back if it does not get that far.
    fn with_new_page<'p, T>(
        &'p self,
        reserve: &mut Reserve<'p, PAGE>,
        commit: impl FnOnce(&mut WriteGuard<'p, PAGE>, SpaceEdit<'p, PAGE>) -> Result<T>,
    ) -> Result<T, Interrupt> {
        let id = self.allocate()?;
        let filled = self.create(id, reserve).and_then(|mut page| {
            let used = if planted!("new-page-unmapped") { &[][..] } else { &[id] };
            let space = SpaceEdit::latch(self, used, &[])?;
            Ok(commit(&mut page, space)?)
        });
        filled.inspect_err(|_| self.space.give_back([id]))
    }

    /// Merges the leaf of `key`, and what is underfull above it, with a neighbour if both fit one page. Best
    /// effort: if it cannot be done now, the tree is as good as before, and a later delete tries again.
    pub(crate) fn merge(&self, key: &[u8], patience: Patience) {
        // A failure of the log or the disk shows itself to the next one who depends on it.
        let _ = self.retry_with(patience, |_| {
            let mut parent = self.write(ROOT)?;
            if parent.level() > 0 && parent.count() == 1 {
                return self.shrink_root(parent);
            }
            while parent.level() > 0 {
                let slot = parent.child_index(key);
                parent = self.descend_merging(parent, slot)?;
            }
            Ok(())
        });
    }

    /// Goes down to the child in `slot`, which is merged with a neighbour first if it is underfull.
    fn descend_merging<'p>(
        &'p self,
        mut parent: WriteGuard<'p, PAGE>,
        slot: usize,
    ) -> Result<WriteGuard<'p, PAGE>, Interrupt> {
        let child = self.write_child(parent.child(slot), parent.level())?;
        if child.used_bytes() >= limits::capacity(PAGE) / 4 || parent.count() == 1 {
            return Ok(child);
        }
        let (left_slot, mut left, right) = if slot + 1 < parent.count() {
            let right = self.write_child(parent.child(slot + 1), parent.level())?;
            (slot, child, right)
        } else {
            // To the left would be against the order. Nobody can come to the child while the parent is
            // held, so it may be let go of for a moment.
            drop(child);
            let left = self.write_child(parent.child(slot - 1), parent.level())?;
            (slot - 1, left, self.write_child(parent.child(slot), parent.level())?)
        };
        let Some(page) = self.worth_merging(&left, &right) else {
            return Ok(if left_slot == slot { left } else { right });
        };
        self.merge_into(&mut parent, left_slot, &mut left, right, &page)?;
        Ok(left)
    }

    /// Both nodes as one, unless that one would soon be split again.
    fn worth_merging(&self, left: &Page<PAGE>, right: &Page<PAGE>) -> Option<Page<PAGE>> {
        let page = merged(left, right)?;
        let one_is_empty = left.level() == 0 && (left.count() == 0 || right.count() == 0);
        (one_is_empty || page.free_bytes() >= PAGE / 4).then_some(page)
    }

    /// One record: the left page holds all, the parent forgets the right one, the right one is free.
    fn merge_into<'p>(
        &'p self,
        parent: &mut WriteGuard<'p, PAGE>,
        left_slot: usize,
        left: &mut WriteGuard<'p, PAGE>,
        mut right: WriteGuard<'p, PAGE>,
        page: &Page<PAGE>,
    ) -> Result<(), Interrupt> {
        let freed = right.id();
        let mut space = SpaceEdit::latch(self, &[], &[freed])?;
        let bytes = image_of(page);
        let (fill, forget) = ([Op::Image { bytes: &bytes }], [Op::Remove { slot: left_slot as u16 + 1 }]);
        let changes = vec![
            Change { guard: parent, ops: &forget },
            Change { guard: left, ops: &fill },
            Change { guard: &mut right, ops: &[Op::Free] },
        ];
        let lsn = space.commit(self, 0, changes)?;
        self.space.retire(vec![freed], lsn);
        self.merges.add(1);
        Ok(())
    }

    /// One record: the root takes the content of its only child, which is free then. Its own merge begins
    /// again, in a tree that is one level lower.
    fn shrink_root<'p>(&'p self, mut root: WriteGuard<'p, PAGE>) -> Result<(), Interrupt> {
        let (child, root_level) = (root.child(0), root.level());
        let mut child_guard = self.write_child(child, root_level)?;
        let bytes = image_of(&child_guard);
        let mut space = SpaceEdit::latch(self, &[], &[child])?;
        let fill = [Op::Image { bytes: &bytes }];
        let changes = vec![
            Change { guard: &mut root, ops: &fill },
            Change { guard: &mut child_guard, ops: &[Op::Free] },
        ];
        let lsn = space.commit(self, 0, changes)?;
        self.space.retire(vec![child], lsn);
        self.merges.add(1);
        Err(Interrupt::Again { level: root_level })
    }

    /// Hints the disk about the leaves that a scan will come to behind the one in `slot`.
    pub(crate) fn prefetch(&self, node: &Page<PAGE>, slot: usize, seek: super::Seek<'_>) {
        const AHEAD: usize = 8;
        let forward = matches!(seek, super::Seek::Key(_));
        let slots = if forward {
            slot + 1..node.count().min(slot + 1 + AHEAD)
        } else {
            slot.saturating_sub(AHEAD)..slot
        };
        self.pool.prefetch(&self.store, slots.map(|slot| node.child(slot)));
    }
}

/// Whether whatever the pending write does below a node will leave the node itself alone.
fn is_safe<const PAGE: usize>(node: &Page<PAGE>, pending: &Pending<'_>) -> bool {
    let prefix_len = node.prefix().len();
    if node.level() > 0 {
        return node.fits_insert(pending.separator_len.saturating_sub(prefix_len), 0);
    }
    if pending.crowded {
        // Smaller keys go to other leaves already.
        return node.low_fence() == pending.key;
    }
    match node.search(pending.key) {
        Ok(slot) => node.fits_update(slot, pending.value_len),
        Err(_) => node.fits_insert(pending.key.len().saturating_sub(prefix_len), pending.value_len),
    }
}

fn image_of<const PAGE: usize>(page: &Page<PAGE>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(PAGE);
    image(page, &mut bytes);
    bytes
}
