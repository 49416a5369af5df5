//! The primitive changes of a node: cells in and out of the heap, slots in and out of their array.
//!
//! Each function checks first and changes then, so that an error leaves the page as it was. Together they
//! keep one invariant: cells, fences and garbage fill the heap exactly.

use super::heads::head;
use super::layout::{CONTENT, at};
use super::limits::{self, INNER_CELL, LEAF_CELL, OVERFLOW_REF, SLOT};
use super::node::{INFINITE, OVERFLOW_BIT, Slot, common_prefix};
use super::{ApplyError, HEADER, Kind, Page, PageId, Value};

/// What a cell holds besides its suffix.
#[derive(Copy, Clone)]
pub(super) enum Payload<'a> {
    Value(Value<'a>),
    Child(PageId),
}

impl Payload<'_> {
    fn len(self) -> usize {
        match self {
            Payload::Value(value) => LEAF_CELL + value.stored_len(),
            Payload::Child(_) => INNER_CELL,
        }
    }

    fn is_legal(self, page: usize, key_len: usize) -> bool {
        let fits = match self {
            Payload::Value(value) => limits::is_inline(page, key_len, value.stored_len()),
            Payload::Child(_) => true,
        };
        fits && key_len <= limits::max_key(page)
    }

    /// Writes the cell of this payload and suffix; `cell` is as long as both.
    fn write(self, suffix: &[u8], cell: &mut [u8]) {
        match self {
            Payload::Child(child) => {
                cell[..INNER_CELL].copy_from_slice(&child.0.to_le_bytes());
                cell[INNER_CELL..].copy_from_slice(suffix);
            }
            Payload::Value(value) => {
                let (value_len, rest) = cell.split_at_mut(LEAF_CELL);
                let (key, tail) = rest.split_at_mut(suffix.len());
                key.copy_from_slice(suffix);
                value_len.copy_from_slice(&write_value(value, tail).to_le_bytes());
            }
        }
    }
}

/// Writes a value to its place in a cell; returns the length that the cell's beginning states.
fn write_value(value: Value<'_>, tail: &mut [u8]) -> u16 {
    match value {
        Value::Inline(bytes) => {
            tail.copy_from_slice(bytes);
            bytes.len() as u16
        }
        Value::Overflow { len, first } => {
            let (total, id) = tail.split_at_mut(OVERFLOW_REF / 2);
            total.copy_from_slice(&len.to_le_bytes());
            id.copy_from_slice(&first.0.to_le_bytes());
            OVERFLOW_BIT | OVERFLOW_REF as u16
        }
    }
}

impl<const PAGE: usize> Page<PAGE> {
    /// A node without slots. Its id and LSN are zero.
    pub(super) fn empty_node(
        kind: Kind,
        level: u8,
        low: &[u8],
        high: Option<&[u8]>,
    ) -> Result<Self, ApplyError> {
        let longest = low.len().max(high.map_or(0, <[u8]>::len));
        if longest > limits::max_key(PAGE) || high.is_some_and(|high| low >= high) {
            return Err(ApplyError::Fences);
        }
        let mut page = Page::zeroed();
        page.bytes_mut()[at::KIND] = kind as u8;
        page.bytes_mut()[at::LEVEL] = level;
        page.put_u16(at::PREFIX_LEN, high.map_or(0, |high| common_prefix(low, high)) as u16);
        page.reset_heap(low, high);
        Ok(page)
    }

    /// Takes the content of another page: all but the checksum, the id and the LSN.
    pub(super) fn take_content(&mut self, other: &Self) {
        self.bytes_mut()[CONTENT..].copy_from_slice(&other.bytes()[CONTENT..]);
    }

    /// Inserts a cell at a slot, if its key belongs there and it has room.
    pub(super) fn insert_cell(
        &mut self,
        slot: usize,
        suffix: &[u8],
        payload: Payload<'_>,
    ) -> Result<(), ApplyError> {
        let count = self.count();
        if slot > count {
            return Err(ApplyError::NoSlot { slot, count });
        }
        // A first child stands for the low fence, whose length the fence's own limit bounds.
        if !payload.is_legal(PAGE, self.prefix_len() + suffix.len()) {
            return Err(ApplyError::TooLarge);
        }
        self.check_order(slot, suffix)?;
        let len = suffix.len() + payload.len();
        if SLOT + len > self.free_bytes() {
            return Err(ApplyError::NoRoom);
        }
        if SLOT + len > self.hole() {
            self.compact(None);
        }
        // The first child of an inner node has no key to share.
        if slot >= self.first_key() {
            self.share_with(suffix);
        }
        self.open_slot(slot);
        self.place(slot, suffix, payload);
        Ok(())
    }

    /// Replaces the value of a leaf's slot.
    pub(super) fn update_cell(&mut self, slot: usize, value: Value<'_>) -> Result<(), ApplyError> {
        let count = self.count();
        if slot >= count {
            return Err(ApplyError::NoSlot { slot, count });
        }
        let suffix_len = self.suffix(slot).len();
        let payload = Payload::Value(value);
        if !payload.is_legal(PAGE, self.prefix_len() + suffix_len) {
            return Err(ApplyError::TooLarge);
        }
        let (old_len, len) = (self.cell_len(slot), suffix_len + payload.len());
        let cell = usize::from(self.slot(slot).offset);
        if len <= old_len {
            let value_at = cell + LEAF_CELL + suffix_len;
            let stated = write_value(value, &mut self.bytes_mut()[value_at..cell + len]);
            self.put_u16(cell, stated);
            self.add_garbage(old_len - len);
        } else if len <= self.hole() {
            // Released first: the new cell may then take over the bytes of the old one, suffix first.
            self.release(cell, old_len);
            let to = self.allocate(len);
            let suffix = cell + LEAF_CELL..cell + LEAF_CELL + suffix_len;
            self.bytes_mut().copy_within(suffix, to + LEAF_CELL);
            let stated = write_value(value, &mut self.bytes_mut()[to + LEAF_CELL + suffix_len..to + len]);
            self.put_u16(to, stated);
            self.put_slot(slot, Slot { offset: to as u16, ..self.slot(slot) });
        } else if len <= self.free_bytes() + old_len {
            let old = self.compact(Some(slot));
            self.place(slot, old.suffix(slot), payload);
        } else {
            return Err(ApplyError::NoRoom);
        }
        Ok(())
    }

    /// Removes a slot and its cell. Behind the removed first child of an inner node, the second one takes its
    /// place and loses its key.
    pub(super) fn remove_cell(&mut self, slot: usize) -> Result<(), ApplyError> {
        let count = self.count();
        if slot >= count {
            return Err(ApplyError::NoSlot { slot, count });
        }
        let inner = self.kind() == Kind::Inner;
        if inner && count == 1 {
            return Err(ApplyError::FirstChild);
        }
        self.release(usize::from(self.slot(slot).offset), self.cell_len(slot));
        let (from, end) = (HEADER + SLOT * (slot + 1), HEADER + SLOT * count);
        self.bytes_mut().copy_within(from..end, from - SLOT);
        self.put_u16(at::SLOTS, (count - 1) as u16);
        if inner && slot == 0 {
            let first = self.slot(0);
            self.add_garbage(usize::from(first.suffix_len));
            self.put_slot(0, Slot { head: 0, suffix_len: 0, ..first });
        }
        if self.count() == self.first_key() {
            self.put_u16(at::SKIP, 0);
        }
        Ok(())
    }

    /// Whether the key may stand at the slot: above the one before it and below the one that is there now,
    /// where the fences stand before the first and behind the last.
    fn check_order(&self, slot: usize, suffix: &[u8]) -> Result<(), ApplyError> {
        let inner = self.kind() == Kind::Inner;
        let above = match slot {
            // The first child has no key, and no later child may come before it.
            0 if inner => self.count() == 0 && suffix.is_empty(),
            0 => suffix >= &self.low_fence()[self.prefix_len()..],
            1 if inner => suffix > &self.low_fence()[self.prefix_len()..],
            _ => suffix > self.suffix(slot - 1),
        };
        let below = if slot < self.count() {
            suffix < self.suffix(slot)
        } else {
            self.high_fence().is_none_or(|high| suffix < &high[self.prefix_len()..])
        };
        if above && below { Ok(()) } else { Err(ApplyError::Order(slot)) }
    }

    /// Rewrites the heap without its garbage, and without the cell of a slot that is about to be placed anew.
    /// The heads come to skip all that the suffixes share. Returns the page as it was.
    fn compact(&mut self, without: Option<usize>) -> Self {
        let old = self.clone();
        self.reset_heap(old.low_fence(), old.high_fence());
        let skip = old.shared_len();
        self.put_u16(at::SKIP, skip as u16);
        for i in (0..old.count()).filter(|&i| Some(i) != without) {
            let slot = old.slot(i);
            let (from, len) = (usize::from(slot.offset), old.cell_len(i));
            let to = self.allocate(len);
            self.bytes_mut()[to..to + len].copy_from_slice(&old.bytes()[from..from + len]);
            self.put_slot(i, Slot { head: head(old.suffix(i), skip), offset: to as u16, ..slot });
        }
        old
    }

    /// Empties the heap, up to the fences.
    fn reset_heap(&mut self, low: &[u8], high: Option<&[u8]>) {
        self.put_u16(at::HEAP_START, PAGE as u16);
        self.put_u16(at::GARBAGE, 0);
        self.put_fence(at::LOW_LEN, at::LOW_OFF, low);
        match high {
            Some(high) => self.put_fence(at::HIGH_LEN, at::HIGH_OFF, high),
            None => self.put_u16(at::HIGH_LEN, INFINITE),
        }
    }

    fn put_fence(&mut self, len_at: usize, offset_at: usize, fence: &[u8]) {
        let offset = self.allocate(fence.len());
        self.bytes_mut()[offset..offset + fence.len()].copy_from_slice(fence);
        self.put_u16(len_at, fence.len() as u16);
        self.put_u16(offset_at, offset as u16);
    }

    /// Writes a cell to the heap and lets the slot point to it. The hole has the room.
    fn place(&mut self, slot: usize, suffix: &[u8], payload: Payload<'_>) {
        let len = suffix.len() + payload.len();
        let offset = self.allocate(len);
        payload.write(suffix, &mut self.bytes_mut()[offset..offset + len]);
        let suffix_len = suffix.len() as u16;
        self.put_slot(slot, Slot { head: head(suffix, self.skip()), offset: offset as u16, suffix_len });
    }

    /// Takes bytes from the hole's end.
    fn allocate(&mut self, len: usize) -> usize {
        let offset = usize::from(self.u16_at(at::HEAP_START)) - len;
        self.put_u16(at::HEAP_START, offset as u16);
        offset
    }

    /// Gives a cell's bytes back: to the hole where they border on it, as garbage elsewhere.
    fn release(&mut self, offset: usize, len: usize) {
        if offset == usize::from(self.u16_at(at::HEAP_START)) {
            self.put_u16(at::HEAP_START, (offset + len) as u16);
        } else {
            self.add_garbage(len);
        }
    }

    fn add_garbage(&mut self, len: usize) {
        self.put_u16(at::GARBAGE, self.u16_at(at::GARBAGE) + len as u16);
    }

    /// Makes a gap in the array of slots.
    fn open_slot(&mut self, slot: usize) {
        let count = self.count();
        let (from, end) = (HEADER + SLOT * slot, HEADER + SLOT * count);
        self.bytes_mut().copy_within(from..end, from + SLOT);
        self.put_u16(at::SLOTS, (count + 1) as u16);
    }

    pub(super) fn put_slot(&mut self, slot: usize, value: Slot) {
        let start = HEADER + SLOT * slot;
        self.bytes_mut()[start..start + SLOT].copy_from_slice(&value.pack());
    }
}
