//! Redo: after a crash, the log's records are applied to the pages that lack them.
//!
//! A page lacks a record if its LSN is below the record's. Records of different partitions touch different
//! pages, so that partitions are replayed side by side, each in log order (ARIES' redo pass, Mohan et al.
//! 1992, section 3; no undo is needed, because a record is a whole operation).

use std::collections::BTreeMap;
use std::ops::Range;

use wal::{Lsn, planted};

use crate::error::{Error, Result};
use crate::page::{Op, PageId, Record};
use crate::pool::{Pool, Store};
use crate::sync::{Arc, in_parallel};

/// Bytes of records that are collected before they are applied.
const WINDOW: usize = 16 << 20;

/// The replay of one log.
#[derive(Debug)]
pub(crate) struct Redo<'a, const PAGE: usize> {
    pool: &'a Pool<PAGE>,
    partitions: BTreeMap<u32, Replayed>,
    collected: usize,
}

/// A partition, and what replay has made of it.
#[derive(Debug)]
pub(crate) struct Replayed {
    pub(crate) store: Arc<Store>,
    /// The number of items.
    pub(crate) items: i64,
    /// Up to which LSN `items` counts already.
    items_lsn: Lsn,
    /// Why replay of this partition stopped. The others go on.
    pub(crate) damage: Option<Error>,
    /// Records that wait to be applied: their end, and where in `bytes` they are.
    records: Vec<(Lsn, Range<usize>)>,
    bytes: Vec<u8>,
}

impl Replayed {
    pub(crate) fn new(store: Arc<Store>, items: u64, items_lsn: Lsn) -> Self {
        let items = items.cast_signed();
        Self { store, items, items_lsn, damage: None, records: Vec::new(), bytes: Vec::new() }
    }
}

impl<'a, const PAGE: usize> Redo<'a, PAGE> {
    pub(crate) fn new(pool: &'a Pool<PAGE>, partitions: impl IntoIterator<Item = Replayed>) -> Self {
        let partitions = partitions.into_iter().map(|partition| (partition.store.partition, partition));
        Self { pool, partitions: partitions.collect(), collected: 0 }
    }

    /// Takes the next record of the log.
    pub(crate) fn receive(&mut self, lsn: Lsn, payload: &[u8]) {
        // A record of a partition that is not there any more is one of a dropped table.
        let Ok(record) = Record::parse(payload) else { return };
        let Some(partition) = self.partitions.get_mut(&record.partition) else { return };
        let start = partition.bytes.len();
        partition.bytes.extend_from_slice(payload);
        partition.records.push((lsn, start..partition.bytes.len()));
        self.collected += payload.len();
        if self.collected >= WINDOW {
            self.apply();
        }
    }

    /// Applies what is left, and hands the partitions back.
    pub(crate) fn finish(mut self) -> impl Iterator<Item = Replayed> {
        self.apply();
        self.partitions.into_values()
    }

    fn apply(&mut self) {
        let pool = self.pool;
        in_parallel(self.partitions.values_mut(), |partition| partition.apply(pool));
        self.collected = 0;
    }
}

impl Replayed {
    fn apply<const PAGE: usize>(&mut self, pool: &Pool<PAGE>) {
        let bytes = std::mem::take(&mut self.bytes);
        for (lsn, range) in std::mem::take(&mut self.records) {
            if self.damage.is_none() {
                self.damage = self.redo(pool, lsn, &bytes[range]).err();
            }
        }
    }

    fn redo<const PAGE: usize>(&mut self, pool: &Pool<PAGE>, lsn: Lsn, payload: &[u8]) -> Result<()> {
        let malformed = |error: &dyn std::fmt::Display| Error::Format {
            file: self.store.path.clone(),
            reason: format!("the log record that ends at {lsn} cannot be applied: {error}"),
        };
        let record = Record::parse(payload).map_err(|error| malformed(&error))?;
        let ops = record.ops().collect::<Result<Vec<_>, _>>().map_err(|error| malformed(&error))?;
        for of_page in ops.chunk_by(|(page, _), (next, _)| page == next) {
            redo_page(pool, &self.store, lsn, of_page)?;
        }
        if lsn > self.items_lsn || planted!("items-counted-twice") {
            self.items += i64::from(record.delta);
        }
        Ok(())
    }
}

/// Applies one record's operations on one page, all of them before the page bears the record's LSN: it may
/// be written back right after.
fn redo_page<const PAGE: usize>(
    pool: &Pool<PAGE>,
    store: &Arc<Store>,
    lsn: Lsn,
    ops: &[(PageId, Op<'_>)],
) -> Result<()> {
    let Some(&(id, _)) = ops.first() else { return Ok(()) };
    let mut guard = loop {
        match pool.write(store, id) {
            Some(guard) => break guard,
            None => pool.load(store, id)?,
        }
    };
    if guard.lsn() >= lsn && !planted!("redone-twice") {
        return Ok(());
    }
    // Just before the record's end: replay that begins there begins with this record.
    guard.mark_dirty(Lsn::new(lsn.get() - 1));
    let page = guard.page_mut();
    for (_, op) in ops {
        op.apply(page).map_err(|error| store.damaged(id, format!("redo at {lsn}: {error}")))?;
    }
    page.set_lsn(lsn);
    Ok(())
}
