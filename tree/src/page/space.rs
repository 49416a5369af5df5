//! Space pages: which pages of a group are in use.
//!
//! Pages 0 and 1 of a file are never freed. All others belong to groups of [`space_capacity`] pages: group
//! `g` begins at page `g * capacity + 2`, and its first page is its own bitmap, so that position 0 of every
//! group is always in use. A page's position is its distance to the group's first page.

use super::layout::at;
use super::{ApplyError, HEADER, Kind, Page, PageId};

/// The first page of group 0.
const FIRST: u32 = 2;

/// The number of pages that one space page keeps: one a bit, but at most 65536, as positions are `u16`.
pub(crate) const fn space_capacity(page: usize) -> usize {
    let bits = (page - HEADER) * 8;
    if bits < 1 << 16 { bits } else { 1 << 16 }
}

/// Where the bitmaps have a page.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) struct Location {
    /// The group.
    pub(crate) group: u32,
    /// The position in its bitmap.
    pub(crate) position: u16,
}

impl Location {
    /// Where a page belongs; `None` for the two pages that belong to no group.
    pub(crate) fn of<const PAGE: usize>(page: PageId) -> Option<Location> {
        let distance = page.0.checked_sub(FIRST)?;
        let capacity = space_capacity(PAGE) as u32;
        Some(Location { group: distance / capacity, position: (distance % capacity) as u16 })
    }

    /// The page there; `None` past the last page id.
    pub(crate) fn page<const PAGE: usize>(self) -> Option<PageId> {
        let first = self.group.checked_mul(space_capacity(PAGE) as u32)?.checked_add(FIRST)?;
        first.checked_add(u32::from(self.position)).map(PageId)
    }

    /// The space page of a group; `None` past the last page id.
    pub(crate) fn space_page<const PAGE: usize>(group: u32) -> Option<PageId> {
        Location { group, position: 0 }.page::<PAGE>()
    }
}

impl<const PAGE: usize> Page<PAGE> {
    /// A space page of a group without any page but itself.
    pub(crate) fn new_space() -> Self {
        let mut page = Page::zeroed();
        page.bytes_mut()[at::KIND] = Kind::Space as u8;
        page.bytes_mut()[HEADER] = 1;
        page
    }

    /// Whether a space page has the position in use.
    ///
    /// # Panics
    /// If the position is not below [`space_capacity`].
    #[inline]
    pub(crate) fn is_set(&self, position: u16) -> bool {
        self.bytes()[HEADER + usize::from(position) / 8] & (1 << (position % 8)) != 0
    }

    /// Sets or clears the bits at these positions: `u16`, little endian.
    pub(super) fn put_bits(&mut self, positions: &[u8], set: bool) -> Result<(), ApplyError> {
        let (positions, []) = positions.as_chunks::<2>() else {
            return Err(ApplyError::Position);
        };
        let positions = positions.iter().map(|&bytes| usize::from(u16::from_le_bytes(bytes)));
        // Position 0 is the bitmap itself.
        if positions.clone().any(|position| position >= space_capacity(PAGE) || position == 0 && !set) {
            return Err(ApplyError::Position);
        }
        for position in positions {
            let byte = &mut self.bytes_mut()[HEADER + position / 8];
            let bit = 1 << (position % 8);
            *byte = if set { *byte | bit } else { *byte & !bit };
        }
        Ok(())
    }
}
