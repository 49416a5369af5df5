//! Heads: four bytes of every key beside its slot, and the search by them (the poor man's normalized keys of
//! Graefe and Larson, "B-Tree Indexes and CPU Caches", 2001).
//!
//! Heads must differ to be of use. The prefix of both fences sees to that, but a node whose high fence is
//! infinite has none, and its keys may well begin alike. So heads begin behind the bytes that all suffixes of
//! the node share, as far as is known: [`skip`](Page::skip) of them. A search compares those bytes once.
//!
//! The suffixes ascend, so that all of them share what the first and the last one share. `skip` is never
//! more; it is less after removals, until the next compaction or rebuild. A node without keys skips nothing.

use std::cmp::Ordering;

use super::layout::at;
use super::node::{RawSlot, Slot, common_prefix};
use super::{Kind, Page};

/// The first four bytes of a suffix behind the skipped ones, padded by zeros, as an integer: suffixes with
/// different heads are ordered as their heads are.
#[inline]
pub(super) fn head(suffix: &[u8], skip: usize) -> u32 {
    let rest = suffix.get(skip..).unwrap_or_default();
    match rest.first_chunk::<4>() {
        Some(first) => u32::from_be_bytes(*first),
        // Byte by byte: a copy of so few bytes, but not always as many, would be a call.
        None => {
            let byte = |index: usize| rest.get(index).map_or(0, |&byte| u32::from(byte));
            byte(0) << 24 | byte(1) << 16 | byte(2) << 8
        }
    }
}

impl<const PAGE: usize> Page<PAGE> {
    /// How many bytes of the suffixes the heads leave out; all suffixes share them.
    #[inline]
    pub(super) fn skip(&self) -> usize {
        usize::from(self.u16_at(at::SKIP))
    }

    /// The first slot with a key: the first child of an inner node has none.
    #[inline]
    pub(super) fn first_key(&self) -> usize {
        usize::from(self.kind() == Kind::Inner)
    }

    /// The bytes that all suffixes share; 0 without keys.
    pub(super) fn shared_len(&self) -> usize {
        let (first, count) = (self.first_key(), self.count());
        if first >= count { 0 } else { common_prefix(self.suffix(first), self.suffix(count - 1)) }
    }

    /// Prepares the heads for another key: they skip what it shares with the others. The only key of a node
    /// is skipped altogether, so that the next one finds out what both share.
    pub(super) fn share_with(&mut self, suffix: &[u8]) {
        let first = self.first_key();
        let skip = if first < self.count() {
            common_prefix(&self.suffix(first)[..self.skip()], suffix)
        } else {
            suffix.len()
        };
        if skip != self.skip() {
            self.set_skip(skip);
        }
    }

    /// Lets the heads skip that many bytes, which all suffixes share.
    fn set_skip(&mut self, skip: usize) {
        self.put_u16(at::SKIP, skip as u16);
        for slot in self.first_key()..self.count() {
            let head = head(self.suffix(slot), skip);
            self.put_slot(slot, Slot { head, ..self.slot(slot) });
        }
    }

    /// The place of a suffix among slots that bear all keys of the node.
    #[inline]
    pub(super) fn find(&self, slots: &[RawSlot], cell_head: usize, suffix: &[u8]) -> Result<usize, usize> {
        let skip = self.skip();
        if skip > 0 {
            let Some(first) = slots.first() else { return Err(0) };
            let shared = &self.suffix_of(Slot::unpack(first), cell_head)[..skip];
            match suffix[..skip.min(suffix.len())].cmp(shared) {
                Ordering::Less => return Err(0),
                Ordering::Equal => {}
                Ordering::Greater => return Err(slots.len()),
            }
        }
        self.find_by_heads(slots, cell_head, suffix, skip)
    }

    /// Binary search by heads, without a look at the heap; only among equal heads by suffixes. Nearly always
    /// there is one slot of that head, or none.
    #[inline]
    fn find_by_heads(
        &self,
        slots: &[RawSlot],
        cell_head: usize,
        suffix: &[u8],
        skip: usize,
    ) -> Result<usize, usize> {
        let wanted = head(suffix, skip);
        let first = slots.partition_point(|raw| Slot::unpack(raw).head < wanted);
        let order = |raw: &RawSlot| {
            let slot = Slot::unpack(raw);
            slot.head.cmp(&wanted).then_with(|| self.suffix_of(slot, cell_head)[skip..].cmp(&suffix[skip..]))
        };
        match slots.get(first).map(order) {
            None | Some(Ordering::Greater) => Err(first),
            Some(Ordering::Equal) => Ok(first),
            Some(Ordering::Less) => match slots[first + 1..].binary_search_by(order) {
                Ok(behind) => Ok(first + 1 + behind),
                Err(behind) => Err(first + 1 + behind),
            },
        }
    }
}
