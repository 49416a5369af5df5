//! Ascending runs: a leaf remembers where its last insert went, and how many inserts went on from each other
//! by one slot. A full leaf in such a run is split at the point of insertion, so that the run leaves full
//! leaves behind. InnoDB keeps the same in its pages (`PAGE_LAST_INSERT`, `PAGE_N_DIRECTION`).
//!
//! Slots say what keys do not: `user-1000` follows on `user-100`, far from the end of the leaf and of the tree.
//!
//! It is a hint, which nothing but the point of a split rests on: removals do not correct it, and any value of
//! it is legal.

use super::Page;
use super::layout::at;

/// So long must a run be to be taken for one. By chance, an insert among `n` keys goes on from the one before
/// in one case of `n + 1`: a run of four is one of 16 million inserts into a leaf of 63 keys, and would leave
/// one lopsided split behind. To a true run four inserts are a small part of a leaf, so that it is known
/// again before the next leaf is full.
const KNOWN_RUN: u16 = 4;

impl<const PAGE: usize> Page<PAGE> {
    /// Whether an insert at that slot would go on with a run of inserts, each of them one slot behind the one
    /// before.
    pub(crate) fn is_ascending(&self, slot: usize) -> bool {
        self.goes_on(slot) && self.u16_at(at::RUN) >= KNOWN_RUN
    }

    /// Remembers an insert.
    pub(super) fn note_insert(&mut self, slot: usize) {
        let run = if self.goes_on(slot) { self.u16_at(at::RUN).saturating_add(1) } else { 0 };
        self.put_u16(at::LAST_INSERT, slot as u16);
        self.put_u16(at::RUN, run);
    }

    /// As the left half of a node, takes over its run if the last insert was into this half.
    pub(super) fn keep_run(&mut self, whole: &Self) {
        if usize::from(whole.u16_at(at::LAST_INSERT)) < self.count() {
            self.put_u16(at::LAST_INSERT, whole.u16_at(at::LAST_INSERT));
            self.put_u16(at::RUN, whole.u16_at(at::RUN));
        }
    }

    fn goes_on(&self, slot: usize) -> bool {
        slot == usize::from(self.u16_at(at::LAST_INSERT)) + 1
    }
}
