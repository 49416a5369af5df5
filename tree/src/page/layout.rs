//! The page, its header, and the values that its cells hold.

use std::fmt;

use wal::Lsn;

/// The header's size in bytes; slots and bodies begin behind it.
pub(crate) const HEADER: usize = 40;

/// The header's fields, by their offsets.
pub(super) mod at {
    pub(in crate::page) const CHECKSUM: usize = 0;
    pub(in crate::page) const ID: usize = 4;
    pub(in crate::page) const LSN: usize = 8;
    pub(in crate::page) const KIND: usize = 16;
    pub(in crate::page) const LEVEL: usize = 17;
    pub(in crate::page) const SLOTS: usize = 18;
    pub(in crate::page) const HEAP_START: usize = 20;
    pub(in crate::page) const GARBAGE: usize = 22;
    pub(in crate::page) const PREFIX_LEN: usize = 24;
    pub(in crate::page) const LOW_LEN: usize = 26;
    pub(in crate::page) const HIGH_LEN: usize = 28;
    pub(in crate::page) const LOW_OFF: usize = 30;
    pub(in crate::page) const HIGH_OFF: usize = 32;
    pub(in crate::page) const SKIP: usize = 34;
    pub(in crate::page) const LAST_INSERT: usize = 36;
    pub(in crate::page) const RUN: usize = 38;
}

/// Where the part of the header begins that describes the content: what lies before it (checksum, id, LSN)
/// belongs to the page's place and history, and survives an [`Op::Image`](super::Op::Image).
pub(super) const CONTENT: usize = at::KIND;

/// A page's number in its partition's file: its offset divided by the page size. 0 is the file's meta page,
/// so that 0 also serves as "none".
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug)]
pub(crate) struct PageId(pub(crate) u32);

impl fmt::Display for PageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "page {}", self.0)
    }
}

/// What a page is used for.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
#[repr(u8)]
pub(crate) enum Kind {
    /// Not in use.
    Free = 0,
    /// The file's first page: [`Meta`](super::Meta).
    Meta = 1,
    /// A bitmap of the page ids in use.
    Space = 2,
    /// An inner node: separators and children.
    Inner = 3,
    /// A leaf: keys and values.
    Leaf = 4,
    /// A piece of a value too large for a leaf.
    Overflow = 5,
}

impl Kind {
    /// The kind of that number, if there is one.
    pub(crate) fn from_byte(byte: u8) -> Option<Kind> {
        Some(match byte {
            0 => Kind::Free,
            1 => Kind::Meta,
            2 => Kind::Space,
            3 => Kind::Inner,
            4 => Kind::Leaf,
            5 => Kind::Overflow,
            _ => return None,
        })
    }
}

/// A value as a leaf's cell holds it.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Value<'a> {
    /// The value itself.
    Inline(&'a [u8]),
    /// A chain of overflow pages holds the value.
    Overflow {
        /// The value's length in bytes.
        len: u32,
        /// The chain's first page.
        first: PageId,
    },
}

impl Value<'_> {
    /// How many bytes of a cell the value takes: its length, or the size of the reference to its chain.
    pub(crate) fn stored_len(&self) -> usize {
        match self {
            Value::Inline(bytes) => bytes.len(),
            Value::Overflow { .. } => super::limits::OVERFLOW_REF,
        }
    }
}

/// A page of `PAGE` bytes (a multiple of 64, from 256 to 32768).
///
/// A page of zeros is [`Kind::Free`]. The accessors trust the page's offsets: read a page from a file only
/// behind [`Page::verify`], and call only the accessors of its kind: `count`, fences, keys and room are those
/// of nodes, `search` and `value` of leaves, `child_index` and `child` of inner nodes.
#[derive(Clone)]
#[repr(C, align(64))]
pub(crate) struct Page<const PAGE: usize>([u8; PAGE]);

impl<const PAGE: usize> Page<PAGE> {
    /// Offsets are `u16`, and the smallest page still has to hold two cells of the maximum size.
    const SUPPORTED: () = assert!(PAGE >= 256 && PAGE <= 32768 && PAGE.is_multiple_of(64));

    /// A page of zeros.
    pub(crate) const fn zeroed() -> Self {
        const { Self::SUPPORTED };
        Page([0; PAGE])
    }

    /// All bytes, as they go to the file.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8; PAGE] {
        &self.0
    }

    /// All bytes, to be filled from the file. Content changes by [`Op::apply`](super::Op::apply) alone.
    #[inline]
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8; PAGE] {
        &mut self.0
    }

    /// The page's kind; [`Kind::Free`] where the byte is none, which only an unverified page can have.
    #[inline]
    pub(crate) fn kind(&self) -> Kind {
        Kind::from_byte(self.0[at::KIND]).unwrap_or(Kind::Free)
    }

    /// The distance to the leaves, which have level 0.
    #[inline]
    pub(crate) fn level(&self) -> u8 {
        self.0[at::LEVEL]
    }

    /// The page's own number, as stored in it.
    #[inline]
    pub(crate) fn id(&self) -> PageId {
        PageId(self.u32_at(at::ID))
    }

    /// Sets the page's own number: once, when a frame becomes this page.
    pub(crate) fn set_id(&mut self, id: PageId) {
        self.put_u32(at::ID, id.0);
    }

    /// The end of the last log record that changed the page.
    #[inline]
    pub(crate) fn lsn(&self) -> Lsn {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.0[at::LSN..at::LSN + 8]);
        Lsn::new(u64::from_le_bytes(bytes))
    }

    /// Sets the end of the last log record that changed the page.
    #[inline]
    pub(crate) fn set_lsn(&mut self, lsn: Lsn) {
        self.0[at::LSN..at::LSN + 8].copy_from_slice(&lsn.get().to_le_bytes());
    }

    /// Stores the checksum of all that lies behind it. Call before a write to the file.
    pub(crate) fn seal(&mut self) {
        let checksum = self.checksum();
        self.put_u32(at::CHECKSUM, checksum);
    }

    /// The CRC-32 of all bytes behind the checksum.
    pub(super) fn checksum(&self) -> u32 {
        crc32fast::hash(&self.0[at::ID..])
    }

    #[inline]
    pub(super) fn u16_at(&self, offset: usize) -> u16 {
        u16::from_le_bytes([self.0[offset], self.0[offset + 1]])
    }

    #[inline]
    pub(super) fn u32_at(&self, offset: usize) -> u32 {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&self.0[offset..offset + 4]);
        u32::from_le_bytes(bytes)
    }

    #[inline]
    pub(super) fn put_u16(&mut self, offset: usize, value: u16) {
        self.0[offset..offset + 2].copy_from_slice(&value.to_le_bytes());
    }

    #[inline]
    pub(super) fn put_u32(&mut self, offset: usize, value: u32) {
        self.0[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
    }
}

impl<const PAGE: usize> fmt::Debug for Page<PAGE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page")
            .field("id", &self.id().0)
            .field("lsn", &self.lsn().get())
            .field("kind", &self.kind())
            .field("level", &self.level())
            .finish_non_exhaustive()
    }
}
