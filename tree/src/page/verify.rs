//! What a page must be before its accessors may trust it.

use super::heads::head;
use super::layout::at;
use super::limits::{self, LEAF_CELL, OVERFLOW_REF, SLOT};
use super::node::{INFINITE, OVERFLOW_BIT, Slot, common_prefix};
use super::{Flaw, HEADER, Kind, Page, PageError, PageId, overflow};

impl<const PAGE: usize> Page<PAGE> {
    /// Checks a page that was read as page `id`: the checksum, the id, and the whole structure, so that no
    /// accessor and no operation can panic on it afterwards.
    ///
    /// # Errors
    /// What is wrong, by the page's name. A page of zeros is [`PageError::Blank`].
    pub(crate) fn verify(&self, id: PageId) -> Result<(), PageError> {
        let (stored, computed) = (self.u32_at(at::CHECKSUM), self.checksum());
        if stored != computed {
            if self.bytes().iter().all(|&byte| byte == 0) {
                return Err(PageError::Blank { page: id });
            }
            return Err(PageError::Checksum { page: id, stored, computed });
        }
        if self.id() != id {
            return Err(PageError::WrongId { page: id, found: self.id() });
        }
        self.check_structure().map_err(|flaw| match flaw {
            Flaw::UnknownKind(found) => PageError::UnknownKind { page: id, found },
            flaw => PageError::Structure { page: id, flaw },
        })
    }

    /// Checks all that the content says of itself.
    pub(super) fn check_structure(&self) -> Result<(), Flaw> {
        let kind = self.bytes()[at::KIND];
        match Kind::from_byte(kind).ok_or(Flaw::UnknownKind(kind))? {
            // An allocator that believed it would hand the bitmap out as a new page.
            Kind::Space if !self.is_set(0) => Err(Flaw::OwnBit),
            Kind::Free | Kind::Meta | Kind::Space => Ok(()),
            Kind::Overflow => overflow::check(self),
            Kind::Inner | Kind::Leaf => self.check_node(),
        }
    }

    fn check_node(&self) -> Result<(), Flaw> {
        if (self.kind() == Kind::Leaf) != (self.level() == 0) {
            return Err(Flaw::Level(self.level()));
        }
        let heap_start = usize::from(self.u16_at(at::HEAP_START));
        if HEADER + SLOT * self.count() > heap_start || heap_start > PAGE {
            return Err(Flaw::Heap { slots: self.count() as u16, heap_start: heap_start as u16 });
        }
        let mut heap = Heap::<PAGE> { start: heap_start, taken: [false; PAGE], used: 0 };
        self.check_fences(&mut heap)?;
        for slot in 0..self.count() {
            self.check_cell(slot, &mut heap)?;
        }
        self.check_keys()?;
        if heap.used + usize::from(self.u16_at(at::GARBAGE)) != PAGE - heap_start {
            return Err(Flaw::Accounting);
        }
        Ok(())
    }

    fn check_fences(&self, heap: &mut Heap<PAGE>) -> Result<(), Flaw> {
        let fences = [(at::LOW_LEN, at::LOW_OFF), (at::HIGH_LEN, at::HIGH_OFF)];
        for (len, offset) in fences.map(|(len, offset)| (self.u16_at(len), self.u16_at(offset))) {
            if len == INFINITE {
                continue;
            }
            let len = usize::from(len);
            if len > limits::max_key(PAGE) || !heap.contains(usize::from(offset), len) {
                return Err(Flaw::Fence);
            }
            heap.take(usize::from(offset), len)?;
        }
        if self.u16_at(at::LOW_LEN) == INFINITE {
            return Err(Flaw::Fence);
        }
        let (low, high) = (self.low_fence(), self.high_fence());
        if high.is_some_and(|high| low >= high) {
            return Err(Flaw::FenceOrder);
        }
        if self.prefix_len() != high.map_or(0, |high| common_prefix(low, high)) {
            return Err(Flaw::Prefix(self.prefix_len() as u16));
        }
        Ok(())
    }

    /// One cell: within the heap, and no larger than cells can be.
    fn check_cell(&self, slot: usize, heap: &mut Heap<PAGE>) -> Result<(), Flaw> {
        let Slot { offset, suffix_len, .. } = self.slot(slot);
        let (offset, suffix_len) = (usize::from(offset), usize::from(suffix_len));
        let key_len = self.prefix_len() + suffix_len;
        if key_len > limits::max_key(PAGE) {
            return Err(Flaw::CellSize(slot));
        }
        if self.kind() == Kind::Leaf {
            if !heap.contains(offset, LEAF_CELL) {
                return Err(Flaw::Cell(slot));
            }
            let stated = self.u16_at(offset);
            let value_len = usize::from(stated & !OVERFLOW_BIT);
            let is_reference = stated & OVERFLOW_BIT != 0;
            if !limits::is_inline(PAGE, key_len, value_len) || is_reference && value_len != OVERFLOW_REF {
                return Err(Flaw::CellSize(slot));
            }
        }
        let len = self.cell_len(slot);
        if !heap.contains(offset, len) {
            return Err(Flaw::Cell(slot));
        }
        heap.take(offset, len)
    }

    /// Order and heads of the keys, which lie within the heap.
    fn check_keys(&self) -> Result<(), Flaw> {
        let inner = self.kind() == Kind::Inner;
        if inner && (self.count() == 0 || !self.suffix(0).is_empty()) {
            return Err(Flaw::FirstChild);
        }
        let low = &self.low_fence()[self.prefix_len()..];
        let high = self.high_fence().map(|high| &high[self.prefix_len()..]);
        for slot in 0..self.count() {
            let suffix = self.suffix(slot);
            if self.slot(slot).head != head(suffix, self.skip()) {
                return Err(Flaw::Head(slot));
            }
            let above = match slot {
                0 => inner || suffix >= low,
                1 if inner => suffix > low,
                _ => suffix > self.suffix(slot - 1),
            };
            // The keys ascend, so that the last one stands for all.
            let below = slot + 1 < self.count() || high.is_none_or(|high| suffix < high);
            if !(above && below) {
                return Err(Flaw::Order(slot));
            }
        }
        // What the first and the last one share, all do: this holds of keys in order only.
        if self.skip() > self.shared_len() {
            return Err(Flaw::Skip(self.skip() as u16));
        }
        Ok(())
    }
}

/// Which bytes of the heap belong to a cell or fence.
struct Heap<const PAGE: usize> {
    start: usize,
    taken: [bool; PAGE],
    used: usize,
}

impl<const PAGE: usize> Heap<PAGE> {
    fn contains(&self, offset: usize, len: usize) -> bool {
        offset >= self.start && offset + len <= PAGE
    }

    fn take(&mut self, offset: usize, len: usize) -> Result<(), Flaw> {
        let bytes = &mut self.taken[offset..offset + len];
        if bytes.contains(&true) {
            return Err(Flaw::Overlap);
        }
        bytes.fill(true);
        self.used += len;
        Ok(())
    }
}
