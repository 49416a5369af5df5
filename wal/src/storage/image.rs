//! A file as a disk with a volatile cache has it: what programs see, and what a power loss may leave.
//!
//! Only the live bytes are kept whole. What is not durable is kept by sector, as the bytes that stood there
//! before: those that are durable, and every state between them and the live ones. A kernel may write a page
//! back at any time, in any order, so a power loss leaves any of them, for each sector on its own.

use std::collections::BTreeMap;
use std::io;

use super::memory::{position, read_from, write_into};
use super::random::Random;

/// The unit that a disk writes atomically. Real ones have 512 bytes or more; with less, the tiny pages of tests are
/// torn as well.
const SECTOR_BYTES: usize = 128;

/// The bytes of one file.
#[derive(Clone, Debug, Default)]
pub(super) struct FileImage {
    live: Vec<u8>,
    /// Sectors whose live bytes are not durable.
    sectors: BTreeMap<usize, Sector>,
    durable_len: usize,
    /// The lengths that the file has had since the last sync, the live one not among them, if it changed.
    lens: Option<Vec<usize>>,
}

/// What a sector has held before its live bytes.
#[derive(Clone, Debug)]
struct Sector {
    durable: [u8; SECTOR_BYTES],
    /// States since, oldest first.
    between: Vec<[u8; SECTOR_BYTES]>,
    /// A sync has failed to write it: it can be read, and is written again only when it is changed again.
    forgotten: bool,
}

impl FileImage {
    /// A file after a restart: everything there is, is durable.
    fn settled(bytes: Vec<u8>) -> FileImage {
        FileImage { durable_len: bytes.len(), live: bytes, ..FileImage::default() }
    }

    pub(super) fn len(&self) -> u64 {
        self.live.len() as u64
    }

    pub(super) fn read_at(&self, buf: &mut [u8], offset: u64) -> usize {
        read_from(&self.live, buf, offset)
    }

    pub(super) fn write_at(&mut self, buf: &[u8], offset: u64) -> io::Result<()> {
        let (at, before) = (position(offset)?, self.live.len());
        if let Some(end) = at.checked_add(buf.len()).filter(|&end| end > at) {
            self.remember(at.min(before), end);
        }
        write_into(&mut self.live, buf, offset)?;
        self.resized(before);
        Ok(())
    }

    pub(super) fn set_len(&mut self, len: u64) -> io::Result<()> {
        let (len, before) = (position(len)?, self.live.len());
        self.remember(len.min(before), len.max(before));
        self.live.resize(len, 0);
        self.resized(before);
        Ok(())
    }

    fn resized(&mut self, before: usize) {
        if before != self.live.len() {
            match &mut self.lens {
                Some(lens) => lens.push(before),
                None => self.lens = Some(Vec::new()),
            }
        }
    }

    /// Keeps what stands in these bytes, before it is changed.
    fn remember(&mut self, start: usize, end: usize) {
        for number in start / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES) {
            let mut bytes = [0; SECTOR_BYTES];
            read_from(&self.live, &mut bytes, (number * SECTOR_BYTES) as u64);
            let fresh = || Sector { durable: bytes, between: Vec::new(), forgotten: false };
            self.sectors.entry(number).and_modify(|sector| sector.change(bytes)).or_insert_with(fresh);
        }
    }

    pub(super) fn sync(&mut self) {
        if self.lens.take().is_some() {
            self.durable_len = self.live.len();
        }
        self.sectors.retain(|_, sector| sector.forgotten);
    }

    /// A sync that failed: what it has not written stays readable and is never written. It has written
    /// nothing, or, where there is a choice of `some`, any part.
    pub(super) fn fail_sync(&mut self, mut some: Option<&mut Random>) {
        let mut choose = |most| some.as_deref_mut().map_or(0, |random| random.up_to(most));
        if let Some(lens) = self.lens.take() {
            self.durable_len = pick_len(self.durable_len, &lens, self.live.len(), &mut choose);
        }
        self.sectors.retain(|_, sector| {
            if !sector.forgotten {
                match sector.pick(&mut choose) {
                    Some(bytes) => sector.durable = *bytes,
                    None => return false,
                }
                sector.between.clear();
                sector.forgotten = true;
            }
            true
        });
    }

    pub(super) fn flip_bit(&mut self, bit: u64) -> bool {
        let at = (bit / 8) as usize;
        let flip = |byte: &mut u8| *byte ^= 1 << (bit % 8);
        if let Some(sector) = self.sectors.get_mut(&(at / SECTOR_BYTES)) {
            flip(&mut sector.durable[at % SECTOR_BYTES]);
        }
        self.live.get_mut(at).map(flip).is_some()
    }

    /// What a power loss leaves: of each sector and of the length, any state since the last sync.
    pub(super) fn survivor(&self, random: &mut Random) -> FileImage {
        let mut choose = |most| random.up_to(most);
        let mut bytes = self.live.clone();
        let len = match &self.lens {
            Some(lens) => pick_len(self.durable_len, lens, self.live.len(), &mut choose),
            None => self.durable_len,
        };
        bytes.resize(len, 0);
        for (number, sector) in &self.sectors {
            if let Some(state) = sector.pick(&mut choose) {
                let place = bytes.iter_mut().skip(number * SECTOR_BYTES);
                place.zip(state).for_each(|(byte, old)| *byte = *old);
            }
        }
        FileImage::settled(bytes)
    }
}

impl Sector {
    /// The live bytes, which are given, are about to be changed.
    fn change(&mut self, live: [u8; SECTOR_BYTES]) {
        if !std::mem::take(&mut self.forgotten) {
            self.between.push(live);
        }
    }

    /// A state that may survive; `None` stands for the live one. `choose` answers a number of `0..=most`.
    fn pick(&self, choose: &mut impl FnMut(usize) -> usize) -> Option<&[u8; SECTOR_BYTES]> {
        if self.forgotten {
            return Some(&self.durable);
        }
        match choose(self.between.len() + 1) {
            0 => Some(&self.durable),
            state => self.between.get(state - 1),
        }
    }
}

fn pick_len(
    durable: usize,
    between: &[usize],
    live: usize,
    choose: &mut impl FnMut(usize) -> usize,
) -> usize {
    match choose(between.len() + 1) {
        0 => durable,
        state => between.get(state - 1).copied().unwrap_or(live),
    }
}

#[cfg(all(test, not(any(feature = "loom", feature = "shuttle"))))]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The first byte of each of two sectors, in all the ways that power losses leave them.
    fn survivors(file: &FileImage) -> BTreeSet<(u8, u8)> {
        let mut random = Random::new(1);
        let bytes = (0..200).map(|_| file.survivor(&mut random).live);
        bytes.map(|bytes| (bytes[0], bytes[SECTOR_BYTES])).collect()
    }

    fn written(value: u8) -> FileImage {
        let mut file = FileImage::default();
        file.write_at(&[value; 2 * SECTOR_BYTES], 0).unwrap();
        file.sync();
        file
    }

    #[test]
    fn each_sector_survives_in_any_state_since_the_last_sync() {
        let mut file = written(1);
        file.write_at(&[2; 2 * SECTOR_BYTES], 0).unwrap();
        file.write_at(&[3; 1], 0).unwrap();
        let expected = [1, 2, 3].into_iter().flat_map(|first| [(first, 1), (first, 2)]).collect();
        assert_eq!(survivors(&file), expected);
        file.sync();
        assert_eq!(survivors(&file), BTreeSet::from([(3, 2)]));
    }

    #[test]
    fn a_length_between_two_survives_too() {
        let mut file = written(1);
        file.set_len(5000).unwrap();
        file.set_len(3000).unwrap();
        let mut random = Random::new(1);
        let lens: BTreeSet<_> = (0..100).map(|_| file.survivor(&mut random).len()).collect();
        assert_eq!(lens, BTreeSet::from([2 * SECTOR_BYTES as u64, 3000, 5000]));
    }

    #[test]
    fn a_sync_that_fails_half_way_has_written_any_part() {
        let mut random = Random::new(1);
        let outcomes: BTreeSet<_> = (0..100)
            .map(|_| {
                let mut file = written(1);
                file.write_at(&[2; 2 * SECTOR_BYTES], 0).unwrap();
                file.fail_sync(Some(&mut random));
                file.sync();
                assert_eq!(file.live, [2; 2 * SECTOR_BYTES]);
                let survivors = survivors(&file);
                assert_eq!(survivors.len(), 1, "what has failed is decided");
                survivors
            })
            .collect();
        assert_eq!(outcomes.len(), 4);
    }

    #[test]
    fn what_a_failed_sync_has_forgotten_is_written_when_it_is_changed_again() {
        let mut file = written(1);
        file.write_at(&[2; 2 * SECTOR_BYTES], 0).unwrap();
        file.fail_sync(None);
        file.write_at(&[3; 1], 0).unwrap();
        assert_eq!(survivors(&file), BTreeSet::from([(1, 1), (3, 1)]), "never the state that was forgotten");
        file.sync();
        assert_eq!(survivors(&file), BTreeSet::from([(3, 1)]));
    }
}
