//! Fuzzy checkpoints: how far back recovery must go, without stopping anyone.
//!
//! For one log, in this order:
//!
//! 1. Note the log's end `S`, and with it, atomically, the items of every partition; make the log durable up
//!    to there.
//! 2. Write back the pages that were dirtied before `S`.
//! 3. Redo LSN = the least recovery LSN of the pages that are dirty still, or `S` if there is none.
//! 4. Note how many pages the data files have, then sync them: so many are durable.
//! 5. Record the redo LSN, the items and the pages in the catalog.
//! 6. Recycle the log before the redo LSN, but not what a running backup still has to copy.
//!
//! Why no record is lost. Take a record that ends behind `S`: its LSN is above the redo LSN, so it will be
//! replayed. Take one that ends at or before `S`: its writer marked the page dirty before it appended
//! (`change.rs`), and the append came before step 1 under the log's lock, so steps 2 and 3 see the mark. If
//! the page is still dirty in step 3, the redo LSN is not above its mark, hence below the record. If it is
//! clean, its file was written before step 3, so step 4 makes it durable. A page that is evicted in between
//! was written before it became clean, which is the same case: that is why 3 comes before 4.

use std::collections::BTreeMap;

use wal::{Log, Lsn, planted};

use crate::catalog::{Catalog, PartitionEntry};
use crate::database::{OpenLog, Shared};
use crate::error::Result;
use crate::sync::Arc;

/// A number a partition of one log: its items as of an LSN, or its file's pages.
type Numbers = BTreeMap<u32, u64>;

impl<const PAGE: usize> Shared<PAGE> {
    /// Takes a checkpoint of every log.
    pub(crate) fn checkpoint(&self) -> Result<()> {
        self.checkpoint_then(|_| ())
    }

    /// Takes a checkpoint of every log, and shows the catalog to `then` before anybody can take the next one, or make
    /// or drop a table.
    pub(crate) fn checkpoint_then<T>(&self, then: impl FnOnce(&Catalog) -> T) -> Result<T> {
        let _one_at_a_time = self.checkpointing.lock();
        let logs = self.logs.read().clone();
        logs.iter().try_for_each(|(name, open)| self.checkpoint_log(name, open))?;
        Ok(then(&self.catalog.lock()))
    }

    /// Whether a checkpoint would be of use, ahead of need. While a backup holds the log back, it is so only for what
    /// was written since the last one, or where the backup has to be given up.
    pub(crate) fn is_checkpoint_due(&self, name: &str, log: &Log) -> bool {
        let (bytes, full) = (log.bytes(), self.checkpoint_at(log));
        let since = || log.end().get().saturating_sub(self.catalog.lock().redo_lsn(name).get());
        bytes >= full || bytes >= full / 2 && since() >= full / 2
    }

    /// Takes a checkpoint of one log, unless somebody else has just made room in it.
    pub(crate) fn checkpoint_if_full(&self, log: &Arc<Log>) -> Result<()> {
        let _one_at_a_time = self.checkpointing.lock();
        if log.bytes() < self.checkpoint_at(log) {
            return Ok(());
        }
        let logs = self.logs.read().clone();
        let mut ours = logs.iter().filter(|(_, open)| Arc::ptr_eq(&open.log, log));
        ours.try_for_each(|(name, open)| self.checkpoint_log(name, open))
    }

    fn checkpoint_log(&self, name: &str, OpenLog { id, log }: &OpenLog) -> Result<()> {
        let tables: Vec<_> = self.tables.read().values().cloned().collect();
        let partitions = || tables.iter().flat_map(|table| table.partitions.iter().flatten());
        let ours: Vec<_> = partitions().filter(|partition| Arc::ptr_eq(&partition.pages.log, log)).collect();
        let items_of = |partition: &&crate::partition::Partition<PAGE>| {
            (partition.pages.store.partition, partition.pages.count.get())
        };
        let (start, items) = log.snapshot(|end| (end, ours.iter().map(items_of).collect::<Numbers>()));
        let items = if planted!("items-noted-late") { ours.iter().map(items_of).collect() } else { items };
        log.flush()?;
        self.pool.write_back_before(*id, start)?;
        let start = if planted!("redo-from-the-end") { log.end() } else { start };
        let redo = self.pool.least_recovery_lsn(*id).unwrap_or(start).min(start);
        let redo = self.held_back(name, log, &items).map_or(redo, |held| redo.min(held));
        let pages_of = |partition: &&crate::partition::Partition<PAGE>| {
            let store = &partition.pages.store;
            Ok((store.partition, store.pages::<PAGE>()?))
        };
        let pages = ours.iter().map(pages_of).collect::<Result<Numbers>>()?;
        if !planted!("checkpoint-unsynced") {
            self.pool.sync_files()?;
        }
        self.change_catalog(|catalog| {
            catalog.redo.insert(name.to_string(), redo.get());
            record(catalog, start, &items, &pages);
        })?;
        self.recycle(name, log, redo)?;
        self.checkpoints.add(1);
        Ok(())
    }

    /// Gives up what the log has before `redo`, except for what a backup holds back.
    pub(crate) fn recycle(&self, name: &str, log: &Log, redo: Lsn) -> Result<()> {
        let keep = self.backups.keep(name, redo, log.end(), self.checkpoint_at(log), log.max_bytes());
        Ok(log.recycle(keep)?)
    }

    /// Where recovery must begin for the sake of partitions that could not be opened: when they can be again,
    /// they need their records. Only a log that runs out of room gives them up, and their files with them
    /// ([`Catalog::has_records_for`]).
    fn held_back(&self, name: &str, log: &Log, items: &Numbers) -> Option<Lsn> {
        let catalog = self.catalog.lock();
        let is_out =
            |entry: &PartitionEntry| catalog.log_name(entry) == name && !items.contains_key(&entry.id);
        let hold = catalog.partitions().any(is_out) && log.bytes() < self.checkpoint_at(log);
        hold.then(|| catalog.redo_lsn(name))
    }
}

fn record(catalog: &mut Catalog, items_lsn: Lsn, items: &Numbers, pages: &Numbers) {
    for partition in catalog.tables.values_mut().flat_map(|table| &mut table.partitions) {
        if let (Some(&items), Some(&pages)) = (items.get(&partition.id), pages.get(&partition.id)) {
            partition.items = items;
            partition.items_lsn = items_lsn.get();
            partition.pages = pages;
        }
    }
}
