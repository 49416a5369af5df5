//! Where to split a full node.
//!
//! Positions are chosen by bytes, not by slots, and count the separator, which both halves store as a fence:
//! so among nearly balanced splits one with a short separator wins (the "split interval" of Bayer and
//! Unterauer's prefix B-trees, 1977). That there always is a split whose halves fit is proven in
//! [`limits`](super::limits).

use super::Page;
use super::limits::{LEAF_CELL, SLOT, capacity};
use super::node::common_prefix;

/// How to split a leaf for a pending cell.
#[derive(Clone, Eq, PartialEq, Debug)]
pub(crate) struct LeafSplit {
    /// How many slots stay left: from 0 to all of them, as the pending cell may be alone on its side.
    pub(crate) at: usize,
    /// The bound between both. The pending key goes left if it is below it, right otherwise.
    pub(crate) separator: Vec<u8>,
}

/// Where to split a leaf that has no room for `key` with a value of `value_len` bytes
/// ([`Value::stored_len`](super::Value::stored_len)): inserted, or in place of a smaller value of the same
/// key. Nearly always, the side that takes it has room for it afterwards: see [`limits`](super::limits).
///
/// With `ascending` (the caller saw consecutive ascending inserts here) the split is made at the point of
/// insertion, so that the nodes that an ascending run leaves behind are full: what lies above the point goes
/// right, and the pending cell stays left, where the run continues; if nothing lies above, or the left node
/// is full already, the pending cell goes right. (PostgreSQL's nbtree splits so as well.)
///
/// # Panics
/// If the leaf is empty, or holds nothing but this key: such a leaf has room for every cell.
pub(crate) fn split_leaf<const PAGE: usize>(
    page: &Page<PAGE>,
    key: &[u8],
    value_len: usize,
    ascending: bool,
) -> LeafSplit {
    let plan = LeafPlan::new(page, key, value_len);
    let run = if ascending { plan.at_insertion() } else { None };
    run.unwrap_or_else(|| plan.balanced())
}

/// The node's cells with the pending one among them.
struct LeafPlan<'a, const PAGE: usize> {
    page: &'a Page<PAGE>,
    key: &'a [u8],
    /// Where the pending cell is among all.
    pending: usize,
    /// Whether the pending cell takes the place of one that the node has.
    replaces: bool,
    pending_bytes: usize,
    /// All cells with their slots.
    total_bytes: usize,
}

impl<'a, const PAGE: usize> LeafPlan<'a, PAGE> {
    fn new(page: &'a Page<PAGE>, key: &'a [u8], value_len: usize) -> Self {
        let (pending, replaces) = match page.search(key) {
            Ok(slot) => (slot, true),
            Err(slot) => (slot, false),
        };
        let pending_bytes = SLOT + LEAF_CELL + page.without_prefix(key).len() + value_len;
        let replaced = if replaces { SLOT + page.cell_len(pending) } else { 0 };
        let total_bytes = page.used_bytes() - replaced + pending_bytes;
        LeafPlan { page, key, pending, replaces, pending_bytes, total_bytes }
    }

    /// The number of cells, with the pending one.
    fn count(&self) -> usize {
        self.page.count() + usize::from(!self.replaces)
    }

    /// The slot of a cell other than the pending one.
    fn slot(&self, cell: usize) -> usize {
        if cell > self.pending && !self.replaces { cell - 1 } else { cell }
    }

    fn cell_bytes(&self, cell: usize) -> usize {
        if cell == self.pending { self.pending_bytes } else { SLOT + self.page.cell_len(self.slot(cell)) }
    }

    /// A cell's key without the node's prefix.
    fn suffix(&self, cell: usize) -> &[u8] {
        if cell == self.pending {
            self.page.without_prefix(self.key)
        } else {
            self.page.suffix(self.slot(cell))
        }
    }

    /// The length, without the prefix, of the shortest separator in front of a cell: the cell's key up to the
    /// first byte that its predecessor does not share. It is the greatest one of that length, too, so that
    /// keys that will follow the predecessor mostly stay on its side.
    fn separator_len(&self, cell: usize) -> usize {
        common_prefix(self.suffix(cell - 1), self.suffix(cell)) + 1
    }

    /// The bytes that the larger half needs if split in front of a cell, the pending one included. Prefixes
    /// that grow make it smaller.
    fn larger_half(&self, cell: usize, bytes_below: usize) -> usize {
        self.larger(cell, bytes_below, self.total_bytes)
    }

    /// Whether both halves fit without the pending cell, but with the one that it is to replace.
    fn is_possible(&self, cell: usize, bytes_below: usize) -> bool {
        let replaced = if self.replaces { SLOT + self.page.cell_len(self.pending) } else { 0 };
        let bytes_below =
            if cell > self.pending { bytes_below - self.pending_bytes + replaced } else { bytes_below };
        self.larger(cell, bytes_below, self.page.used_bytes()) <= capacity(PAGE)
    }

    fn larger(&self, cell: usize, bytes_below: usize, total_bytes: usize) -> usize {
        let separator = self.page.prefix_len() + self.separator_len(cell);
        let (low, high) = (self.page.low_fence().len(), self.page.high_fence().map_or(0, <[u8]>::len));
        (low + separator + bytes_below).max(separator + high + total_bytes - bytes_below)
    }

    fn at_insertion(&self) -> Option<LeafSplit> {
        if self.replaces {
            return None;
        }
        let below = (0..self.pending).map(|cell| self.cell_bytes(cell)).sum::<usize>();
        let behind = (self.pending + 1, below + self.pending_bytes);
        let before = (self.pending, below);
        [behind, before].into_iter().find_map(|(cell, bytes_below)| {
            if cell == 0 || cell == self.count() {
                return None;
            }
            (self.larger_half(cell, bytes_below) <= capacity(PAGE)).then(|| self.split_at(cell))
        })
    }

    /// The split whose larger half is smallest.
    fn balanced(&self) -> LeafSplit {
        let bytes_below = (0..self.count()).scan(0, |sum, cell| {
            *sum += self.cell_bytes(cell);
            Some(*sum)
        });
        let splits = (1..self.count()).zip(bytes_below);
        let possible = splits.filter(|&(cell, bytes_below)| self.is_possible(cell, bytes_below));
        let best = possible.min_by_key(|&(cell, bytes_below)| self.larger_half(cell, bytes_below));
        let (cell, _) = best.expect("a leaf without room has another cell, and can be split between two");
        self.split_at(cell)
    }

    fn split_at(&self, cell: usize) -> LeafSplit {
        let mut separator = self.page.prefix().to_vec();
        separator.extend_from_slice(&self.suffix(cell)[..self.separator_len(cell)]);
        let at = if cell > self.pending { self.slot(cell) } else { cell };
        LeafSplit { at, separator }
    }
}

/// The split of a leaf right in front of a key, if both halves hold what they get. The key itself is the
/// separator, so that keys below it go left and it goes right, whatever else is pending; so it must be above
/// the low fence. `None` needs at least two cells, between which [`split_leaf`] can split then.
pub(crate) fn split_before<const PAGE: usize>(page: &Page<PAGE>, key: &[u8]) -> Option<LeafSplit> {
    let (Ok(at) | Err(at)) = page.search(key);
    let below: usize = (0..at).map(|slot| SLOT + page.cell_len(slot)).sum();
    let (low, high) = (page.low_fence().len(), page.high_fence().map_or(0, <[u8]>::len));
    let left = low + key.len() + below;
    let right = key.len() + high + page.used_bytes() - below;
    (left.max(right) <= capacity(PAGE)).then(|| LeafSplit { at, separator: key.to_vec() })
}

/// Where to split an inner node that has no room for a separator of the maximum size: the number of children
/// that stay left, and the separator, which moves up as the lower bound of the right node. Both nodes keep at
/// least one child.
///
/// # Panics
/// If the node has less than two children: such a node has room for every separator.
pub(crate) fn split_inner<const PAGE: usize>(page: &Page<PAGE>) -> (usize, Vec<u8>) {
    let (low, high) = (page.low_fence().len(), page.high_fence().map_or(0, <[u8]>::len));
    let total = page.used_bytes();
    let bytes_below = (0..page.count()).scan(0, |sum, slot| {
        *sum += SLOT + page.cell_len(slot);
        Some(*sum)
    });
    let larger_half = |&(at, bytes_below): &(usize, usize)| {
        let suffix = page.suffix(at).len();
        let separator = page.prefix().len() + suffix;
        // The right node's first child leaves its key to the fence.
        (low + separator + bytes_below).max(separator + high + total - bytes_below - suffix)
    };
    let splits = (1..page.count()).zip(bytes_below);
    let (at, _) =
        splits.min_by_key(larger_half).expect("a node without room for a separator has two children");
    let mut separator = Vec::new();
    page.copy_key(at, &mut separator);
    (at, separator)
}
