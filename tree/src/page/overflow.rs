//! Overflow pages: a value too large for a leaf, as a chain of pieces.
//!
//! ```text
//! header | next page id u32, 0 behind the last piece | data_len u16 | data
//! ```

use super::layout::at;
use super::{Flaw, HEADER, Kind, Page, PageId};

const NEXT: usize = HEADER;
const DATA_LEN: usize = NEXT + 4;
const DATA: usize = DATA_LEN + 2;

/// How many bytes of a value one overflow page holds.
pub(crate) const fn overflow_capacity(page: usize) -> usize {
    page - DATA
}

impl<const PAGE: usize> Page<PAGE> {
    /// An overflow page with a piece of a value, and the page of the next piece. `None` if the data are more
    /// than [`overflow_capacity`]. Its id and LSN are zero.
    pub(crate) fn new_overflow(next: Option<PageId>, data: &[u8]) -> Option<Self> {
        if data.len() > overflow_capacity(PAGE) {
            return None;
        }
        let mut page = Page::zeroed();
        page.bytes_mut()[at::KIND] = Kind::Overflow as u8;
        page.put_u32(NEXT, next.map_or(0, |next| next.0));
        page.put_u16(DATA_LEN, data.len() as u16);
        page.bytes_mut()[DATA..DATA + data.len()].copy_from_slice(data);
        Some(page)
    }

    /// An overflow page's successor in its chain.
    pub(crate) fn overflow_next(&self) -> Option<PageId> {
        let next = self.u32_at(NEXT);
        (next != 0).then_some(PageId(next))
    }

    /// An overflow page's piece of the value.
    pub(crate) fn overflow_data(&self) -> &[u8] {
        &self.bytes()[DATA..DATA + usize::from(self.u16_at(DATA_LEN))]
    }
}

pub(super) fn check<const PAGE: usize>(page: &Page<PAGE>) -> Result<(), Flaw> {
    let len = page.u16_at(DATA_LEN);
    if usize::from(len) > overflow_capacity(PAGE) { Err(Flaw::OverflowLength(len)) } else { Ok(()) }
}
