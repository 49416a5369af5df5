//! What can be wrong with a page, a change of it, or its description in the log.

use super::{Kind, PageId};

/// A page read from a file is not what it should be.
#[derive(Clone, Eq, PartialEq, Debug, thiserror::Error)]
pub(crate) enum PageError {
    /// Nothing but zeros: allocated by the file system but never written.
    #[error("{page} is blank: it was never written")]
    Blank {
        /// The page asked for.
        page: PageId,
    },
    /// The content is not what was written.
    #[error("{page}: the checksum is {stored:#010x}, the content gives {computed:#010x}")]
    Checksum {
        /// The page asked for.
        page: PageId,
        /// What the page says.
        stored: u32,
        /// What its bytes give.
        computed: u32,
    },
    /// An intact page, but another one: written to or read from the wrong place.
    #[error("{page}: the content is that of {found}")]
    WrongId {
        /// The page asked for.
        page: PageId,
        /// The page found.
        found: PageId,
    },
    /// A kind that this version does not know.
    #[error("{page}: the kind {found} is unknown")]
    UnknownKind {
        /// The page asked for.
        page: PageId,
        /// The kind's byte.
        found: u8,
    },
    /// The checksum is right, but the structure is not.
    #[error("{page}: {flaw}")]
    Structure {
        /// The page asked for.
        page: PageId,
        /// What is wrong.
        flaw: Flaw,
    },
}

/// What is wrong with a page's structure.
#[derive(Copy, Clone, Eq, PartialEq, Debug, thiserror::Error)]
pub(crate) enum Flaw {
    /// A compact image whose length is not what its header says.
    #[error("the image has not the length that its header says")]
    ImageLength,
    /// A kind that this version does not know.
    #[error("the kind {0} is unknown")]
    UnknownKind(u8),
    /// A leaf above level 0, or an inner node on it.
    #[error("level {0} is none of this kind of node")]
    Level(u8),
    /// A bitmap says of itself that it is free.
    #[error("the bitmap says that it is free itself")]
    OwnBit,
    /// Slots and heap overlap, or the heap begins outside the page.
    #[error("{slots} slots and a heap from {heap_start} do not fit the page")]
    Heap {
        /// The number of slots.
        slots: u16,
        /// The heap's first byte.
        heap_start: u16,
    },
    /// A fence is too long or lies outside the heap.
    #[error("a fence is too long or lies outside the heap")]
    Fence,
    /// The low fence is not below the high one.
    #[error("the low fence is not below the high fence")]
    FenceOrder,
    /// The prefix is not the one that both fences share.
    #[error("the prefix of {0} bytes is not the one that both fences share")]
    Prefix(u16),
    /// An inner node without a child, or with a key at its first one.
    #[error("the inner node has no child, or a key at its first one")]
    FirstChild,
    /// A cell lies outside the heap.
    #[error("the cell of slot {0} lies outside the heap")]
    Cell(usize),
    /// A key or value is larger than the limits allow.
    #[error("the cell of slot {0} is larger than a cell can be")]
    CellSize(usize),
    /// The keys do not share the bytes that their heads leave out.
    #[error("the keys do not share the {0} bytes that their heads skip")]
    Skip(u16),
    /// A slot's head is not what its suffix gives.
    #[error("the head of slot {0} is not that of its key")]
    Head(usize),
    /// A key is not above its predecessor, or not between the fences.
    #[error("the key of slot {0} is out of order")]
    Order(usize),
    /// Two cells or fences share bytes.
    #[error("two cells of the heap overlap")]
    Overlap,
    /// Cells, fences and garbage do not add up to the heap's size.
    #[error("cells and garbage do not add up to the heap's size")]
    Accounting,
    /// An overflow page with more data than it has room for.
    #[error("{0} bytes of overflow data do not fit the page")]
    OverflowLength(u16),
}

/// Why a change cannot be made. The page is as it was.
#[derive(Copy, Clone, Eq, PartialEq, Debug, thiserror::Error)]
pub(crate) enum ApplyError {
    /// The operation is none for this kind of page.
    #[error("the operation is none for a page of kind {0:?}")]
    WrongKind(Kind),
    /// The slot is past the last one.
    #[error("slot {slot} is past the last of {count}")]
    NoSlot {
        /// The slot asked for.
        slot: usize,
        /// How many there are.
        count: usize,
    },
    /// The first child of an inner node has no key and is never inserted; the last one is never removed.
    #[error("an inner node keeps its first child")]
    FirstChild,
    /// The key, or key and value, are larger than the limits allow.
    #[error("the key or value is larger than a cell can be")]
    TooLarge,
    /// The key is not between its neighbours, or not between the fences.
    #[error("the key does not belong at slot {0}")]
    Order(usize),
    /// The fences are too long or not in order.
    #[error("the fences are too long or not in order")]
    Fences,
    /// No room, not even after compaction.
    #[error("the page has no room for it")]
    NoRoom,
    /// The image is not a valid page.
    #[error("the image is no valid page: {0}")]
    Image(Flaw),
    /// A position that the bitmap does not have.
    #[error("the list of positions does not fit the bitmap")]
    Position,
}

/// Bytes that are no operation or record.
#[derive(Copy, Clone, Eq, PartialEq, Debug, thiserror::Error)]
pub(crate) enum DecodeError {
    /// The input ends within an operation or record.
    #[error("the record ends early")]
    Truncated,
    /// An operation that this version does not know.
    #[error("the operation {0} is unknown")]
    UnknownOp(u8),
    /// A length that does not fit 32 bits.
    #[error("a length is out of range")]
    Length,
}

/// A file's first page does not say that this version can read the file.
#[derive(Clone, Eq, PartialEq, Debug, thiserror::Error)]
pub(crate) enum MetaError {
    /// Another program's file.
    #[error("this is not a HedgehogDB file")]
    NotOurs,
    /// Written by another version.
    #[error("the file has format version {found}; this program reads version {known}")]
    Version {
        /// The file's version.
        found: u32,
        /// The version of this program.
        known: u32,
    },
    /// Written with another page size.
    #[error("the file has pages of {found} bytes; this program was built for {expected}")]
    PageSize {
        /// The file's page size.
        found: u32,
        /// The page size asked for.
        expected: usize,
    },
    /// The page itself is damaged.
    #[error(transparent)]
    Page(#[from] PageError),
}
