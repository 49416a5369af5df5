//! A file as a disk with a volatile cache has it: what programs see, and what a power loss leaves.

use std::collections::BTreeSet;
use std::io;

use super::memory::{position, read_from, write_into};
use super::random::Random;

/// The unit that a disk writes atomically.
const SECTOR_BYTES: usize = 512;

/// The live and the durable bytes of one file.
#[derive(Clone, Debug, Default)]
pub(super) struct FileImage {
    live: Vec<u8>,
    durable: Vec<u8>,
    /// The sectors that the next sync makes durable. Kept beside the bytes, because a failed sync leaves
    /// sectors that differ and are clean all the same.
    dirty: BTreeSet<usize>,
    dirty_len: bool,
}

impl FileImage {
    /// A file after a restart: everything there is, is durable.
    fn settled(bytes: Vec<u8>) -> FileImage {
        FileImage { live: bytes.clone(), durable: bytes, ..FileImage::default() }
    }

    pub(super) fn len(&self) -> u64 {
        self.live.len() as u64
    }

    pub(super) fn read_at(&self, buf: &mut [u8], offset: u64) -> usize {
        read_from(&self.live, buf, offset)
    }

    pub(super) fn write_at(&mut self, buf: &[u8], offset: u64) -> io::Result<()> {
        let before = self.live.len();
        write_into(&mut self.live, buf, offset)?;
        self.touch(position(offset)?, buf.len());
        self.grown(before);
        Ok(())
    }

    pub(super) fn set_len(&mut self, len: u64) -> io::Result<()> {
        let before = self.live.len();
        self.live.resize(position(len)?, 0);
        self.dirty_len |= before != self.live.len();
        self.grown(before);
        Ok(())
    }

    fn grown(&mut self, before: usize) {
        if before < self.live.len() {
            self.dirty_len = true;
            self.touch(before, self.live.len() - before);
        }
    }

    fn touch(&mut self, at: usize, len: usize) {
        if len > 0 {
            self.dirty.extend(at / SECTOR_BYTES..=(at + len - 1) / SECTOR_BYTES);
        }
    }

    pub(super) fn sync(&mut self) {
        if std::mem::take(&mut self.dirty_len) {
            self.durable.resize(self.live.len(), 0);
        }
        for sector in std::mem::take(&mut self.dirty) {
            copy_sector(&self.live, &mut self.durable, sector);
        }
    }

    /// A sync that failed: the data stays readable and is never written.
    pub(super) fn forget_dirty(&mut self) {
        self.dirty.clear();
        self.dirty_len = false;
    }

    pub(super) fn flip_bit(&mut self, bit: u64) -> bool {
        let at = (bit / 8) as usize;
        for bytes in [&mut self.live, &mut self.durable] {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << (bit % 8);
            }
        }
        at < self.live.len()
    }

    /// What a power loss leaves: each dirty sector, and the length, either old or new.
    pub(super) fn survivor(&self, random: &mut Random) -> FileImage {
        let mut bytes = self.durable.clone();
        if self.dirty_len && random.coin() {
            bytes.resize(self.live.len(), 0);
        }
        for &sector in &self.dirty {
            if random.coin() {
                copy_sector(&self.live, &mut bytes, sector);
            }
        }
        FileImage::settled(bytes)
    }
}

/// Copies what both have of a sector; bytes past `to`'s end stay away.
fn copy_sector(from: &[u8], to: &mut [u8], sector: usize) {
    let start = sector * SECTOR_BYTES;
    let end = (start + SECTOR_BYTES).min(from.len()).min(to.len());
    if start < end {
        to[start..end].copy_from_slice(&from[start..end]);
    }
}
