//! Whole pages: building nodes, their compact images, and what splits and merges make of them.

use std::ops::Range;

use super::edit::Payload;
use super::layout::{CONTENT, at};
use super::limits::SLOT;
use super::{ApplyError, Flaw, HEADER, Kind, Page, PageId, Value};

/// Fills a new node with cells in key order. Errors wait for [`finish`](NodeBuilder::finish).
#[derive(Clone, Debug)]
pub(crate) struct NodeBuilder<const PAGE: usize> {
    page: Result<Page<PAGE>, ApplyError>,
    key: Vec<u8>,
}

impl<const PAGE: usize> NodeBuilder<PAGE> {
    /// Begins a node of `[low, high)`; no `high` is +infinity. A leaf has level 0, an inner node a higher one.
    pub(crate) fn new(kind: Kind, level: u8, low: &[u8], high: Option<&[u8]>) -> Self {
        let page = match kind {
            Kind::Leaf if level == 0 => Page::empty_node(kind, level, low, high),
            Kind::Inner if level > 0 => Page::empty_node(kind, level, low, high),
            other => Err(ApplyError::WrongKind(other)),
        };
        NodeBuilder { page, key: Vec::new() }
    }

    /// Adds a key and its value to a leaf.
    pub(crate) fn push_leaf(&mut self, key: &[u8], value: Value<'_>) {
        self.push_key(key, Kind::Leaf, Payload::Value(value));
    }

    /// Adds a child and its lower bound to an inner node. The first child's bound is the low fence, whatever
    /// `key` is.
    pub(crate) fn push_child(&mut self, key: &[u8], child: PageId) {
        self.push_key(key, Kind::Inner, Payload::Child(child));
    }

    /// The node. Its id and LSN are zero.
    ///
    /// # Errors
    /// The first thing that was wrong: fences or keys out of order or too long, no room, no child.
    pub(crate) fn finish(self) -> Result<Page<PAGE>, ApplyError> {
        let page = self.page?;
        if page.kind() == Kind::Inner && page.count() == 0 {
            return Err(ApplyError::FirstChild);
        }
        Ok(page)
    }

    fn push_key(&mut self, key: &[u8], kind: Kind, payload: Payload<'_>) {
        let Ok(page) = &self.page else { return };
        let suffix = match kind {
            _ if page.kind() != kind => Err(ApplyError::WrongKind(page.kind())),
            Kind::Inner if page.count() == 0 => Ok(&[][..]),
            // Where the key lacks the prefix it is out of the fences.
            _ => key.strip_prefix(page.prefix()).ok_or(ApplyError::Order(page.count())),
        };
        self.push_suffix(suffix, payload);
    }

    fn push_suffix(&mut self, suffix: Result<&[u8], ApplyError>, payload: Payload<'_>) {
        if let Ok(page) = &mut self.page
            && let Err(error) = suffix.and_then(|suffix| page.insert_cell(page.count(), suffix, payload))
        {
            self.page = Err(error);
        }
    }

    /// Copies slots of a node of the same kind, whose prefix may be shorter or longer than this one's.
    pub(super) fn push_slots(&mut self, from: &Page<PAGE>, slots: Range<usize>) {
        let mut key = std::mem::take(&mut self.key);
        for slot in slots {
            from.copy_key(slot, &mut key);
            match from.kind() {
                Kind::Inner => self.push_child(&key, from.child(slot)),
                _ => self.push_leaf(&key, from.value(slot)),
            }
        }
        self.key = key;
    }
}

/// Appends the compact image of a page: all of it but checksum, id and LSN, and without what its kind does
/// not use, such as the hole between slots and heap.
pub(crate) fn image<const PAGE: usize>(page: &Page<PAGE>, out: &mut Vec<u8>) {
    let (front, back) = extent(page);
    out.extend_from_slice(&page.bytes()[CONTENT..front]);
    out.extend_from_slice(&page.bytes()[back..]);
}

/// The used parts of a page: up to the first bound, and from the second one on.
fn extent<const PAGE: usize>(page: &Page<PAGE>) -> (usize, usize) {
    match page.kind() {
        Kind::Free => (HEADER, PAGE),
        Kind::Inner | Kind::Leaf => (HEADER + SLOT * page.count(), usize::from(page.u16_at(at::HEAP_START))),
        Kind::Meta | Kind::Space | Kind::Overflow => {
            // These have no heap: what follows the last byte that is not zero need not be stored.
            let zeros = page.bytes()[HEADER..].iter().rev().take_while(|&&byte| byte == 0).count();
            (PAGE - zeros, PAGE)
        }
    }
}

/// The page that a compact image describes, without id and LSN.
pub(super) fn from_image<const PAGE: usize>(bytes: &[u8]) -> Result<Page<PAGE>, Flaw> {
    if bytes.len() < HEADER - CONTENT || bytes.len() > PAGE - CONTENT {
        return Err(Flaw::ImageLength);
    }
    let mut page = Page::<PAGE>::zeroed();
    let (header, rest) = bytes.split_at(HEADER - CONTENT);
    page.bytes_mut()[CONTENT..HEADER].copy_from_slice(header);
    let (front, back) = match Kind::from_byte(page.bytes()[at::KIND]) {
        Some(Kind::Inner | Kind::Leaf) => extent(&page),
        _ => (HEADER + rest.len(), PAGE),
    };
    if front > back || back > PAGE || rest.len() != front - HEADER + PAGE - back {
        return Err(Flaw::ImageLength);
    }
    let (front_bytes, back_bytes) = rest.split_at(front - HEADER);
    page.bytes_mut()[HEADER..front].copy_from_slice(front_bytes);
    page.bytes_mut()[back..].copy_from_slice(back_bytes);
    page.check_structure()?;
    Ok(page)
}

/// The right half of a split: the node of `[separator, old high fence)` with the slots from `at` on. Of an
/// inner node, the child at `at` becomes the first one, and `separator` must be its key. The left half is
/// made by [`Op::Truncate`](super::Op::Truncate) with the same arguments.
///
/// # Panics
/// If `at` and `separator` are not what [`split_leaf`](super::split_leaf) or
/// [`split_inner`](super::split_inner) gave for this page: these always leave two nodes that fit.
pub(crate) fn right_half<const PAGE: usize>(page: &Page<PAGE>, at: usize, separator: &[u8]) -> Page<PAGE> {
    let mut right = NodeBuilder::new(page.kind(), page.level(), separator, page.high_fence());
    right.push_slots(page, at..page.count());
    right.finish().expect("the halves of a split fit, as the limits of cells were chosen for it")
}

/// Both neighbours as one node of `[left's low fence, right's high fence)`. `None` where it does not fit, or
/// where the two are no neighbours.
pub(crate) fn merged<const PAGE: usize>(left: &Page<PAGE>, right: &Page<PAGE>) -> Option<Page<PAGE>> {
    let neighbours = left.high_fence() == Some(right.low_fence());
    if !neighbours || left.kind() != right.kind() || left.level() != right.level() {
        return None;
    }
    let mut both = NodeBuilder::new(left.kind(), left.level(), left.low_fence(), right.high_fence());
    both.push_slots(left, 0..left.count());
    both.push_slots(right, 0..right.count());
    both.finish().ok()
}
