//! Reading a node: fences, search, keys, values, room.
//!
//! Nothing here allocates, and a search touches the slots, and the cell of the first one where the
//! heads skip something, until the heads leave a single candidate: see [`heads`](super::heads).

use super::layout::at;
use super::limits::{INNER_CELL, LEAF_CELL, OVERFLOW_REF, SLOT};
use super::{HEADER, Kind, Page, PageId, Value};

/// In a header's `high_len`: there is no upper bound.
pub(super) const INFINITE: u16 = u16::MAX;
/// In a leaf cell's `value_len`: the value is a reference to overflow pages.
pub(super) const OVERFLOW_BIT: u16 = 1 << 15;

/// A slot as the page stores it: one little-endian word, the head in its low half.
pub(super) type RawSlot = [u8; SLOT];

/// A slot's fields.
#[derive(Copy, Clone)]
pub(super) struct Slot {
    pub(super) head: u32,
    pub(super) offset: u16,
    pub(super) suffix_len: u16,
}

impl Slot {
    #[inline]
    pub(super) fn unpack(raw: &RawSlot) -> Slot {
        let word = u64::from_le_bytes(*raw);
        Slot { head: word as u32, offset: (word >> 32) as u16, suffix_len: (word >> 48) as u16 }
    }

    pub(super) fn pack(self) -> RawSlot {
        (u64::from(self.suffix_len) << 48 | u64::from(self.offset) << 32 | u64::from(self.head)).to_le_bytes()
    }
}

/// How many bytes two keys share at their beginning.
pub(super) fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

impl<const PAGE: usize> Page<PAGE> {
    /// The number of slots: of keys in a leaf, of children in an inner node.
    #[inline]
    pub(crate) fn count(&self) -> usize {
        usize::from(self.u16_at(at::SLOTS))
    }

    /// The bytes that all keys of the node begin with; the slots' suffixes lack them.
    #[inline]
    pub(crate) fn prefix(&self) -> &[u8] {
        &self.low_fence()[..self.prefix_len()]
    }

    /// A key without the node's prefix: the suffix that a slot for it has. The node must cover the key.
    #[inline]
    pub(crate) fn without_prefix<'k>(&self, key: &'k [u8]) -> &'k [u8] {
        key.get(self.prefix_len()..).unwrap_or_default()
    }

    /// The node's inclusive lower bound.
    #[inline]
    pub(crate) fn low_fence(&self) -> &[u8] {
        self.heap(self.u16_at(at::LOW_OFF), self.u16_at(at::LOW_LEN))
    }

    /// The node's exclusive upper bound; `None` is +infinity.
    #[inline]
    pub(crate) fn high_fence(&self) -> Option<&[u8]> {
        let len = self.u16_at(at::HIGH_LEN);
        (len != INFINITE).then(|| self.heap(self.u16_at(at::HIGH_OFF), len))
    }

    /// Whether the key lies between the fences.
    #[inline]
    pub(crate) fn covers(&self, key: &[u8]) -> bool {
        self.low_fence() <= key && self.high_fence().is_none_or(|high| key < high)
    }

    /// Where a leaf has the key (`Ok`), or would have it (`Err`). The node must cover the key, else the
    /// answer is some slot.
    #[inline]
    pub(crate) fn search(&self, key: &[u8]) -> Result<usize, usize> {
        self.find(self.slots(), LEAF_CELL, self.without_prefix(key))
    }

    /// The slot of the child that covers the key. The node must cover it, else the answer is some slot.
    #[inline]
    pub(crate) fn child_index(&self, key: &[u8]) -> usize {
        // Slot 0 stands for the low fence: it is never compared, and the slots behind it bear lower bounds.
        let bounds = self.slots().get(1..).unwrap_or_default();
        match self.find(bounds, INNER_CELL, self.without_prefix(key)) {
            Ok(at_bound) => at_bound + 1,
            Err(behind) => behind,
        }
    }

    /// An inner node's child.
    ///
    /// # Panics
    /// If there is no such slot.
    #[inline]
    pub(crate) fn child(&self, slot: usize) -> PageId {
        PageId(self.u32_at(usize::from(self.slot(slot).offset)))
    }

    /// The key of a slot without the prefix. Empty for slot 0 of an inner node.
    ///
    /// # Panics
    /// If there is no such slot.
    #[inline]
    pub(crate) fn suffix(&self, slot: usize) -> &[u8] {
        self.suffix_of(self.slot(slot), self.cell_head())
    }

    /// Replaces the content of `key` by the whole key of a slot; by the low fence for slot 0 of an inner node.
    ///
    /// # Panics
    /// If there is no such slot.
    pub(crate) fn copy_key(&self, slot: usize, key: &mut Vec<u8>) {
        key.clear();
        if slot == 0 && self.kind() == Kind::Inner {
            return key.extend_from_slice(self.low_fence());
        }
        key.extend_from_slice(self.prefix());
        key.extend_from_slice(self.suffix(slot));
    }

    /// The value of a leaf's slot.
    ///
    /// # Panics
    /// If there is no such slot.
    #[inline]
    pub(crate) fn value(&self, slot: usize) -> Value<'_> {
        let slot = self.slot(slot);
        let cell = usize::from(slot.offset);
        let len = self.u16_at(cell);
        let start = cell + LEAF_CELL + usize::from(slot.suffix_len);
        if len & OVERFLOW_BIT == 0 {
            Value::Inline(&self.bytes()[start..start + usize::from(len)])
        } else {
            Value::Overflow { len: self.u32_at(start), first: PageId(self.u32_at(start + OVERFLOW_REF / 2)) }
        }
    }

    /// The bytes that cells and slots can still take, after a compaction if need be.
    #[inline]
    pub(crate) fn free_bytes(&self) -> usize {
        self.hole() + usize::from(self.u16_at(at::GARBAGE))
    }

    /// The bytes that slots and cells take: the node's payload, without its fences.
    pub(crate) fn used_bytes(&self) -> usize {
        let fences = usize::from(self.u16_at(at::LOW_LEN)) + self.high_fence().map_or(0, <[u8]>::len);
        (PAGE - HEADER) - self.free_bytes() - fences
    }

    /// Whether a cell with a suffix and a value of these lengths can be inserted. An inner node's cell has no
    /// value: its `value_len` is ignored.
    #[inline]
    pub(crate) fn fits_insert(&self, suffix_len: usize, value_len: usize) -> bool {
        let tail = if self.kind() == Kind::Inner { INNER_CELL } else { LEAF_CELL + value_len };
        SLOT + suffix_len + tail <= self.free_bytes()
    }

    /// Whether the value of a leaf's slot can be replaced by one of this length
    /// ([`Value::stored_len`](super::Value::stored_len)).
    ///
    /// # Panics
    /// If there is no such slot.
    #[inline]
    pub(crate) fn fits_update(&self, slot: usize, value_len: usize) -> bool {
        let cell = LEAF_CELL + usize::from(self.slot(slot).suffix_len) + value_len;
        cell <= self.free_bytes() + self.cell_len(slot)
    }

    #[inline]
    pub(super) fn prefix_len(&self) -> usize {
        usize::from(self.u16_at(at::PREFIX_LEN))
    }

    #[inline]
    pub(super) fn slots(&self) -> &[RawSlot] {
        self.bytes()[HEADER..HEADER + SLOT * self.count()].as_chunks().0
    }

    #[inline]
    pub(super) fn slot(&self, slot: usize) -> Slot {
        Slot::unpack(&self.slots()[slot])
    }

    /// The bytes between slots and heap.
    #[inline]
    pub(super) fn hole(&self) -> usize {
        usize::from(self.u16_at(at::HEAP_START)) - HEADER - SLOT * self.count()
    }

    /// The bytes of a cell in front of its suffix.
    #[inline]
    pub(super) fn cell_head(&self) -> usize {
        if self.kind() == Kind::Inner { INNER_CELL } else { LEAF_CELL }
    }

    #[inline]
    pub(super) fn suffix_of(&self, slot: Slot, cell_head: usize) -> &[u8] {
        let start = usize::from(slot.offset) + cell_head;
        &self.bytes()[start..start + usize::from(slot.suffix_len)]
    }

    /// The bytes of a slot's cell.
    pub(super) fn cell_len(&self, slot: usize) -> usize {
        let Slot { offset, suffix_len, .. } = self.slot(slot);
        let suffix_len = usize::from(suffix_len);
        match self.kind() {
            Kind::Inner => INNER_CELL + suffix_len,
            _ => {
                let value_len = self.u16_at(usize::from(offset)) & !OVERFLOW_BIT;
                LEAF_CELL + suffix_len + usize::from(value_len)
            }
        }
    }

    #[inline]
    fn heap(&self, offset: u16, len: u16) -> &[u8] {
        let start = usize::from(offset);
        &self.bytes()[start..start + usize::from(len)]
    }
}
