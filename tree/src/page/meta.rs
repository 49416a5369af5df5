//! The meta page, the first one of each partition's file: whose file it is, and how to read the rest.
//!
//! ```text
//! header | "HEDGEHOG" | format version u32 | page size u32 | partition u32
//! ```

use super::layout::at;
use super::{HEADER, Kind, MetaError, Page, PageId};

/// The version of the file format. A program reads only the version that it writes.
pub(crate) const FORMAT_VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"HEDGEHOG";
const VERSION_AT: usize = HEADER + MAGIC.len();
const PAGE_SIZE_AT: usize = VERSION_AT + 4;
const PARTITION_AT: usize = PAGE_SIZE_AT + 4;

/// What a meta page says.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) struct Meta {
    /// The partition whose file it is.
    pub(crate) partition: u32,
}

impl Meta {
    /// The meta page, of id 0, to be sealed and written.
    pub(crate) fn page<const PAGE: usize>(self) -> Page<PAGE> {
        let mut page = Page::zeroed();
        page.bytes_mut()[at::KIND] = Kind::Meta as u8;
        page.bytes_mut()[HEADER..VERSION_AT].copy_from_slice(&MAGIC);
        page.put_u32(VERSION_AT, FORMAT_VERSION);
        page.put_u32(PAGE_SIZE_AT, PAGE as u32);
        page.put_u32(PARTITION_AT, self.partition);
        page
    }

    /// Reads a file's first page.
    ///
    /// # Errors
    /// What keeps this program from reading the file. A page of zeros is
    /// [`PageError::Blank`](super::PageError::Blank).
    pub(crate) fn parse<const PAGE: usize>(page: &Page<PAGE>) -> Result<Meta, MetaError> {
        if page.bytes()[HEADER..VERSION_AT] != MAGIC {
            // A page of ours whose magic is damaged is not told from another program's file, but a blank one is.
            return Err(match page.verify(PageId(0)) {
                Err(blank @ super::PageError::Blank { .. }) => blank.into(),
                _ => MetaError::NotOurs,
            });
        }
        // Version and size come before the checksum: it spans a whole page of the file's size and version.
        let (version, page_size) = (page.u32_at(VERSION_AT), page.u32_at(PAGE_SIZE_AT));
        if version != FORMAT_VERSION {
            return Err(MetaError::Version { found: version, known: FORMAT_VERSION });
        }
        if page_size as usize != PAGE {
            return Err(MetaError::PageSize { found: page_size, expected: PAGE });
        }
        page.verify(PageId(0))?;
        if page.kind() != Kind::Meta {
            return Err(MetaError::NotOurs);
        }
        Ok(Meta { partition: page.u32_at(PARTITION_AT) })
    }
}
