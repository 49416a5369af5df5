//! What a tree looks like right now: how many nodes each level has, and how full they are.
//!
//! Looks on from outside: one shared latch at a time, no way to a node coupled to the next one, only pages that are in
//! memory, none of them marked as used. What changes meanwhile may be missed or seen twice, which an estimate can bear.
//! The verifier (`check.rs`) is for who needs it exactly.

use crate::page::{Kind, Page, PageId, limits};
use crate::pages::Pages;
use crate::pool::ReadGuard;
use crate::space::ROOT;

/// The most leaves of a tree that are looked at.
const LEAVES: usize = 64;

/// The shape of one partition's tree, as far as it is in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct PartitionShape {
    /// Its table.
    pub table: String,
    /// Its number in the table.
    pub partition: u32,
    /// The levels of the tree: leaves first, the root last. None, where the root is not in memory.
    pub levels: Vec<LevelShape>,
}

/// One level of a tree.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LevelShape {
    /// Nodes that nodes in memory refer to: all of the level, unless an inner node above it is not in memory. Then it
    /// is a lower bound.
    pub nodes: u64,
    /// Nodes that were looked at: of inner nodes, those in memory, of leaves at most 64, evenly spread over the tree,
    /// and of these those in memory.
    pub sampled: u64,
    /// How full the nodes are that were looked at: the mean of used bytes by usable bytes, 0 to 1. 0 where there are
    /// none.
    pub fill: f64,
}

/// The levels of a tree, leaves first.
pub(crate) fn levels<const PAGE: usize>(pages: &Pages<PAGE>) -> Vec<LevelShape> {
    let Some(root) = pages.pool.peek(&pages.store, ROOT).map(|root| root.level()) else {
        return Vec::new();
    };
    let mut shapes = Vec::with_capacity(usize::from(root) + 1);
    let mut known = Sample::all();
    known.add(1, |_| ROOT);
    for level in (0..=root).rev() {
        let mut below = if level == 1 { Sample::of(LEAVES) } else { Sample::all() };
        let mut fills = Mean::default();
        for &page in &known.pages {
            let Some(node) = node(pages, page, level) else { continue };
            fills.add(node.used_bytes() as f64 / limits::capacity(PAGE) as f64);
            if level > 0 {
                below.add(node.count(), |slot| node.child(slot));
            }
        }
        shapes.push(LevelShape { nodes: known.seen as u64, sampled: fills.count, fill: fills.get() });
        known = below;
    }
    shapes.reverse();
    shapes
}

/// The node, if it is in memory, and still what its parent said it was when that was looked at.
fn node<const PAGE: usize>(pages: &Pages<PAGE>, page: PageId, level: u8) -> Option<ReadGuard<'_, PAGE>> {
    let is_node =
        |page: &Page<PAGE>| matches!(page.kind(), Kind::Leaf | Kind::Inner) && page.level() == level;
    pages.pool.peek(&pages.store, page).filter(|page| is_node(page))
}

/// Some of a number of pages that is not known beforehand, evenly spread: every `stride`th. Where there are too many,
/// every second one goes, and the stride doubles.
struct Sample {
    pages: Vec<PageId>,
    most: usize,
    stride: usize,
    /// All pages, also those that were left out.
    seen: usize,
}

impl Sample {
    fn of(most: usize) -> Self {
        Self { pages: Vec::new(), most, stride: 1, seen: 0 }
    }

    fn all() -> Self {
        Self::of(usize::MAX)
    }

    /// Goes on with so many pages.
    fn add(&mut self, count: usize, page: impl Fn(usize) -> PageId) {
        let end = self.seen + count;
        let mut next = self.seen.next_multiple_of(self.stride);
        while next < end {
            if self.pages.len() == self.most {
                self.stride *= 2;
                let mut keep = [true, false].into_iter().cycle();
                self.pages.retain(|_| keep.next() == Some(true));
                next = next.next_multiple_of(self.stride);
                continue;
            }
            self.pages.push(page(next - self.seen));
            next += self.stride;
        }
        self.seen = end;
    }
}

#[derive(Default)]
struct Mean {
    sum: f64,
    count: u64,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
    }

    fn get(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum / self.count as f64 }
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_evenly_spread_and_at_least_half_of_what_it_may_be() {
        for (count, piece) in [(0, 1), (5, 2), (64, 7), (65, 64), (1_000, 1), (1_000, 130), (100_000, 99)] {
            let mut sample = Sample::of(64);
            for start in (0..count).step_by(piece) {
                sample.add(piece.min(count - start), |slot| PageId((start + slot) as u32));
            }
            let (taken, seen) = (sample.pages.len(), sample.seen);
            assert_eq!(seen, count);
            assert!(taken <= 64 && taken >= count.min(32), "{taken} of {count}");
            let expected = (0..count).step_by(sample.stride).map(|page| PageId(page as u32));
            assert!(expected.eq(sample.pages), "{count} pages, {piece} at a time");
        }
    }
}
