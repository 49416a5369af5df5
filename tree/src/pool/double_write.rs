//! Protection against torn pages: every page is written twice, and never in both places at once.
//!
//! A power loss can leave a page half old and half new. A physiological log record cannot mend such a page,
//! because it says what changed in a whole one. So a copy of each page goes to a file of its own first; only
//! when the copy is durable is the page written to its place, and the copy is overwritten only after the
//! place is durable too. Then one of the two is whole at any moment (InnoDB's doublewrite buffer).
//!
//! The file is a ring of slots, filled in rounds. Before a round begins all data files are synced, so that
//! the slots of earlier rounds are of no use any more; recovery looks at the highest round only, where the
//! copy of a page with the highest LSN is just what its place should hold.
//!
//! ```text
//! slot:  checksum u32 | partition u32 | round u64 | page
//! ```
//!
//! Why not full page images in the log, as PostgreSQL has them? See docs/decisions/0003.

use std::collections::BTreeMap;

use wal::{File, Storage};

use crate::error::{Error, Result};
use crate::page::{Page, PageId};
use crate::sync::Arc;

const FILE: &str = "doublewrite";
const HEADER: usize = 16;

/// The ring. The caller sees to it that data files are synced before [`DoubleWrite::begin_round`].
#[derive(Debug)]
pub(super) struct DoubleWrite {
    file: Arc<dyn File>,
    path: String,
    /// Slots a round.
    slots: usize,
    round: u64,
    /// Slots used in this round.
    used: usize,
    buffer: Vec<u8>,
}

impl DoubleWrite {
    /// Opens the ring, or makes it. Its contents count until the first round begins.
    pub(super) fn open(storage: &dyn Storage, slots: usize) -> Result<Self> {
        let path = storage.path(FILE);
        let file = match storage.open(FILE) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let file = storage.create(FILE).map_err(Error::io("create", &*path))?;
                storage.sync_dir().map_err(Error::io("sync the folder of", &*path))?;
                file
            }
            opened => opened.map_err(Error::io("open", &*path))?,
        };
        Ok(Self { file, path, slots, round: 0, used: slots, buffer: Vec::new() })
    }

    /// The whole copies of the highest round, the newest of each page.
    pub(super) fn copies<const PAGE: usize>(&mut self) -> Result<BTreeMap<(u32, PageId), Page<PAGE>>> {
        let mut copies = BTreeMap::new();
        let length = self.file.len().map_err(Error::io("measure", &*self.path))?;
        let mut slot = vec![0; HEADER + PAGE];
        let mut offset = 0;
        while offset + slot.len() as u64 <= length {
            self.file.read_at(&mut slot, offset).map_err(Error::io("read", &*self.path))?;
            offset += slot.len() as u64;
            let Some((partition, round, page)) = parse::<PAGE>(&slot) else { continue };
            if round > self.round {
                self.round = round;
                copies.clear();
            }
            if round == self.round {
                let newest = copies.entry((partition, page.id())).or_insert_with(|| page.clone());
                if newest.lsn() < page.lsn() {
                    *newest = page;
                }
            }
        }
        Ok(copies)
    }

    /// How many pages fit into this round yet.
    pub(super) fn room(&self) -> usize {
        self.slots - self.used
    }

    /// Begins a round: all that was written to data files before is durable.
    pub(super) fn begin_round(&mut self) {
        self.round += 1;
        self.used = 0;
    }

    /// Writes copies of sealed pages; [`DoubleWrite::sync`] makes them durable. There must be room.
    pub(super) fn append<'a, const PAGE: usize>(
        &mut self,
        pages: impl Iterator<Item = (u32, &'a Page<PAGE>)>,
    ) -> Result<()> {
        self.buffer.clear();
        let mut count = 0;
        for (partition, page) in pages {
            let mut header = [0; HEADER];
            header[4..8].copy_from_slice(&partition.to_le_bytes());
            header[8..].copy_from_slice(&self.round.to_le_bytes());
            let checksum = checksum(&header[4..], page.bytes());
            header[..4].copy_from_slice(&checksum.to_le_bytes());
            self.buffer.extend_from_slice(&header);
            self.buffer.extend_from_slice(page.bytes());
            count += 1;
        }
        debug_assert!(count <= self.room());
        let offset = (self.used * (HEADER + PAGE)) as u64;
        self.file.write_at(&self.buffer, offset).map_err(Error::io("write", &*self.path))?;
        self.used += count;
        Ok(())
    }

    /// Makes the copies durable.
    pub(super) fn sync(&self) -> Result<()> {
        self.file.sync().map_err(Error::io("sync", &*self.path))
    }
}

fn checksum(header: &[u8], page: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header);
    hasher.update(page);
    hasher.finalize()
}

fn parse<const PAGE: usize>(slot: &[u8]) -> Option<(u32, u64, Page<PAGE>)> {
    let (header, bytes) = slot.split_at_checked(HEADER)?;
    let stored = u32::from_le_bytes(header[..4].try_into().ok()?);
    if stored != checksum(&header[4..], bytes) {
        return None;
    }
    let mut page = Page::zeroed();
    page.bytes_mut().copy_from_slice(bytes);
    let partition = u32::from_le_bytes(header[4..8].try_into().ok()?);
    let round = u64::from_le_bytes(header[8..].try_into().ok()?);
    // The last number is no round's: another one has to follow.
    (round < u64::MAX && page.verify(page.id()).is_ok()).then_some((partition, round, page))
}
