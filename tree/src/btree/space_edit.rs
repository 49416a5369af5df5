//! The part of a record that changes bitmaps of used pages.

use std::collections::BTreeMap;

use wal::Lsn;

use crate::change::Change;
use crate::error::Result;
use crate::page::{Kind, Location, Op, Page, PageId, image};
use crate::pages::{Interrupt, Pages};
use crate::pool::WriteGuard;

/// Latched bitmaps, and the bits of them that change. Bitmaps are latched behind all tree pages of a record,
/// in ascending order, so that waits for them form no cycle.
pub(super) struct SpaceEdit<'p, const PAGE: usize> {
    guards: Vec<WriteGuard<'p, PAGE>>,
    bits: Vec<Bits>,
}

/// Positions in one bitmap, as operations want them.
#[derive(Default)]
struct Bits {
    set: Vec<u8>,
    clear: Vec<u8>,
}

impl<'p, const PAGE: usize> SpaceEdit<'p, PAGE> {
    /// Latches the bitmaps that have the bits of these pages.
    pub(super) fn latch(pages: &'p Pages<PAGE>, set: &[PageId], clear: &[PageId]) -> Result<Self, Interrupt> {
        let mut groups: BTreeMap<u32, Bits> = BTreeMap::new();
        for location in set.iter().filter_map(|&page| Location::of::<PAGE>(page)) {
            groups.entry(location.group).or_default().set.extend(location.position.to_le_bytes());
        }
        for location in clear.iter().filter_map(|&page| Location::of::<PAGE>(page)) {
            groups.entry(location.group).or_default().clear.extend(location.position.to_le_bytes());
        }
        let guards = groups.keys().map(|&group| latch_map(pages, group)).collect::<Result<_, _>>()?;
        Ok(Self { guards, bits: groups.into_values().collect() })
    }

    /// Commits one record over `changes` and the bitmaps.
    pub(super) fn commit(
        &mut self,
        pages: &Pages<PAGE>,
        delta: i32,
        changes: Vec<Change<'_, 'p, PAGE>>,
    ) -> Result<Lsn> {
        let ops: Vec<Vec<Op<'_>>> = self.bits.iter().map(Bits::ops).collect();
        let maps = self.guards.iter_mut().zip(&ops).map(|(guard, ops)| Change { guard, ops });
        pages.commit(delta, &mut changes.into_iter().chain(maps).collect::<Vec<_>>())
    }
}

impl Bits {
    fn ops(&self) -> Vec<Op<'_>> {
        let clear = (!self.clear.is_empty()).then_some(Op::ClearBits { pages: &self.clear });
        let set = (!self.set.is_empty()).then_some(Op::SetBits { pages: &self.set });
        clear.into_iter().chain(set).collect()
    }
}

fn latch_map<const PAGE: usize>(pages: &Pages<PAGE>, group: u32) -> Result<WriteGuard<'_, PAGE>, Interrupt> {
    let map = pages.write(map_page::<PAGE>(group))?;
    if map.kind() == Kind::Space { Ok(map) } else { Err(Interrupt::NoMap(group)) }
}

fn map_page<const PAGE: usize>(group: u32) -> PageId {
    Location::space_page::<PAGE>(group).expect("groups come from page ids, so their first page is one")
}

impl<const PAGE: usize> Pages<PAGE> {
    /// Makes the bitmap of a group that had no pages yet, by a record of its own. Call without latches.
    pub(crate) fn create_map(&self, group: u32) -> Result<()> {
        self.retry(|_| {
            // A page that was never written reads as a blank one, so it can be latched like any other.
            let mut map = self.write(map_page::<PAGE>(group))?;
            if map.kind() != Kind::Space {
                let mut bytes = Vec::new();
                image(&Page::<PAGE>::new_space(), &mut bytes);
                self.commit(0, &mut [Change { guard: &mut map, ops: &[Op::Image { bytes: &bytes }] }])?;
            }
            Ok(())
        })
    }
}
