//! Fuzzy checkpoints: how far back recovery must go, without stopping anyone.
//!
//! For one log, in this order:
//!
//! 1. Note the log's end `S`, and with it, atomically, the items of every partition; make the log durable up
//!    to there.
//! 2. Write back the pages that were dirtied before `S`.
//! 3. Redo LSN = the least recovery LSN of the pages that are dirty still, or `S` if there is none.
//! 4. Sync the data files.
//! 5. Record the redo LSN and the items in the catalog.
//! 6. Recycle the log before the redo LSN.
//!
//! Why no record is lost. Take a record that ends behind `S`: its LSN is above the redo LSN, so it will be
//! replayed. Take one that ends at or before `S`: its writer marked the page dirty before it appended
//! (`change.rs`), and the append came before step 1 under the log's lock, so steps 2 and 3 see the mark. If
//! the page is still dirty in step 3, the redo LSN is not above its mark, hence below the record. If it is
//! clean, its file was written before step 3, so step 4 makes it durable. A page that is evicted in between
//! was written before it became clean, which is the same case: that is why 3 comes before 4.

use std::collections::BTreeMap;

use wal::{Log, Lsn};

use crate::catalog::Catalog;
use crate::database::Shared;
use crate::error::Result;
use crate::sync::Arc;

/// The items of the partitions of one log, as of an LSN.
type Items = BTreeMap<u32, u64>;

impl<const PAGE: usize> Shared<PAGE> {
    /// Takes a checkpoint of every log.
    pub(crate) fn checkpoint(&self) -> Result<()> {
        let _one_at_a_time = self.checkpointing.lock();
        let logs: Vec<_> = self.logs.read().values().cloned().collect();
        logs.iter().try_for_each(|(id, name, log)| self.checkpoint_log(*id, name, log))
    }

    /// Takes a checkpoint of one log, unless somebody else has just made room in it.
    pub(crate) fn checkpoint_if_full(&self, log: &Arc<Log>) -> Result<()> {
        let _one_at_a_time = self.checkpointing.lock();
        if log.bytes() < self.checkpoint_at(log) {
            return Ok(());
        }
        let found = self.logs.read().values().find(|(_, _, other)| Arc::ptr_eq(other, log)).cloned();
        match found {
            Some((id, name, log)) => self.checkpoint_log(id, &name, &log),
            None => Ok(()),
        }
    }

    fn checkpoint_log(&self, id: u32, name: &str, log: &Arc<Log>) -> Result<()> {
        let tables: Vec<_> = self.tables.read().values().cloned().collect();
        let partitions = || tables.iter().flat_map(|table| table.partitions.iter().flatten());
        let ours: Vec<_> = partitions().filter(|partition| Arc::ptr_eq(&partition.pages.log, log)).collect();
        let items_of = |partition: &&crate::partition::Partition<PAGE>| {
            (partition.pages.store.partition, partition.pages.count.get())
        };
        let (start, items) = log.snapshot(|end| (end, ours.iter().map(items_of).collect::<Items>()));
        log.flush()?;
        self.pool.write_back_before(id, start)?;
        let redo = self.pool.least_recovery_lsn(id).unwrap_or(start).min(start);
        self.pool.sync_files()?;
        self.change_catalog(|catalog| record(catalog, name, redo, start, &items))?;
        log.recycle(redo)?;
        self.checkpoints.add(1);
        Ok(())
    }
}

fn record(catalog: &mut Catalog, log: &str, redo: Lsn, items_lsn: Lsn, items: &Items) {
    catalog.redo.insert(log.to_string(), redo.get());
    for partition in catalog.tables.values_mut().flat_map(|table| &mut table.partitions) {
        if let Some(&items) = items.get(&partition.id) {
            partition.items = items;
            partition.items_lsn = items_lsn.get();
        }
    }
}
