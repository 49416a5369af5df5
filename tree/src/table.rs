//! Tables: keys spread over partitions by hash, scans merged back into one order.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::ops::{Bound, RangeBounds};

use wal::planted;
use xxhash_rust::xxh3::xxh3_64;

use crate::batch::Batch;
use crate::btree::Condition;
use crate::btree::scan::{Cursor, Item, Range};
use crate::commit::Commit;
use crate::database::Shared;
use crate::error::{Error, Result};
use crate::in_memory::InMemory;
use crate::pages::Patience;
use crate::partition::{Partition, check_writes};
use crate::sync::{Arc, AtomicBool, Ordering as Order};

/// What a database knows of a table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TableInfo {
    /// Its name.
    pub name: String,
    /// When it was made, in milliseconds since 1970.
    pub created_at_ms: u64,
    /// How many partitions it has.
    pub partitions: u32,
}

/// A table's partitions, as all handles share them.
#[derive(Debug)]
pub(crate) struct TableState<const PAGE: usize> {
    pub(crate) info: TableInfo,
    /// A damaged partition is its error.
    pub(crate) partitions: Vec<Result<Partition<PAGE>>>,
    pub(crate) dropped: AtomicBool,
}

/// A handle of a table. Cheap to clone, and safe to use from any number of threads.
#[derive(Clone, Debug)]
pub struct TableOf<const PAGE: usize> {
    shared: Arc<Shared<PAGE>>,
    state: Arc<TableState<PAGE>>,
}

impl<const PAGE: usize> TableOf<PAGE> {
    pub(crate) fn new(shared: Arc<Shared<PAGE>>, state: Arc<TableState<PAGE>>) -> Self {
        Self { shared, state }
    }

    /// What the database knows of the table.
    pub fn info(&self) -> &TableInfo {
        &self.state.info
    }

    /// The value of a key; `None` where the key is not there. What is returned is durable: a crash cannot
    /// take it back.
    ///
    /// # Errors
    /// The key's length, a damaged page, a failing disk or log, a closed database or dropped table.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let (value, ticket) = self.fetch(key)?;
        if !planted!("read-not-durable") {
            ticket.wait()?;
        }
        Ok(value)
    }

    /// The value of a key as it is now, and a ticket: when it has been waited for, no crash takes back what was
    /// read. [`get`](Self::get) for who awaits.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub fn fetch(&self, key: &[u8]) -> Result<(Option<Vec<u8>>, Commit<'_>)> {
        self.fetch_with(key, Patience::Wait)
    }

    pub(crate) fn fetch_with(&self, key: &[u8], patience: Patience) -> Result<(Option<Vec<u8>>, Commit<'_>)> {
        let partition = self.route(key)?;
        let (value, lsn) = self.unless_dropped(partition.get(key, patience))?;
        let found = value.is_some();
        Ok((value, Commit::new(&partition.pages.log, lsn, found)))
    }

    /// The operations of this table that are done at once, or not at all: for callers that must not wait.
    pub fn in_memory(&self) -> InMemory<'_, PAGE> {
        InMemory::new(self)
    }

    /// The value of a key as it is now, which a crash may still take back.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub fn get_eventual(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.fetch(key)?.0)
    }

    /// Sets the value of a key. The write is visible at once, and durable when the ticket says so.
    ///
    /// # Errors
    /// As for [`get`](Self::get); the value's length; a full disk or log. The table is as before.
    pub fn put(&self, key: &[u8], value: &[u8]) -> Result<Commit<'_>> {
        self.put_if(key, value, Condition::Always)
    }

    /// Sets the value of a key if the condition holds: [`Commit::applied`] says whether it did.
    ///
    /// # Errors
    /// As for [`put`](Self::put).
    pub fn put_if(&self, key: &[u8], value: &[u8], condition: Condition<'_>) -> Result<Commit<'_>> {
        self.put_with(key, value, condition, Patience::Wait)
    }

    pub(crate) fn put_with(
        &self,
        key: &[u8],
        value: &[u8],
        condition: Condition<'_>,
        patience: Patience,
    ) -> Result<Commit<'_>> {
        let partition = self.admit(key, patience)?;
        let edited = self.unless_dropped(partition.put(key, value, condition, patience))?;
        Ok(Commit::new(&partition.pages.log, edited.lsn, edited.applied))
    }

    /// Removes a key: [`Commit::applied`] says whether it was there.
    ///
    /// # Errors
    /// As for [`put`](Self::put).
    pub fn delete(&self, key: &[u8]) -> Result<Commit<'_>> {
        self.delete_if(key, Condition::Always)
    }

    /// Removes a key if the condition holds: [`Commit::applied`] says whether it did and the key was there.
    ///
    /// # Errors
    /// As for [`put`](Self::put).
    pub fn delete_if(&self, key: &[u8], condition: Condition<'_>) -> Result<Commit<'_>> {
        self.delete_with(key, condition, Patience::Wait)
    }

    pub(crate) fn delete_with(
        &self,
        key: &[u8],
        condition: Condition<'_>,
        patience: Patience,
    ) -> Result<Commit<'_>> {
        let partition = self.admit(key, patience)?;
        let edited = self.unless_dropped(partition.delete(key, condition, patience))?;
        Ok(Commit::new(&partition.pages.log, edited.lsn, edited.applied))
    }

    /// Applies a batch. The writes to one partition are atomic: after a crash all of them are there, or none,
    /// and no reader of a leaf sees some of them. Writes to different partitions are not atomic together.
    ///
    /// # Errors
    /// As for [`put`](Self::put); a batch that is empty of room: see [`Error::BatchTooLarge`] and
    /// [`Error::BatchKeyTwice`]. Where the failure is one of the disk or the log, writes to other partitions
    /// may have been applied.
    pub fn apply(&self, batch: &Batch) -> Result<Commit<'_>> {
        self.shared.check_batch(batch)?;
        let mut by_partition = vec![Vec::new(); self.state.partitions.len()];
        for (key, value) in batch.writes() {
            by_partition[self.index(key)].push((key, value));
        }
        // What is wrong with the batch shows before anything is applied.
        by_partition.iter_mut().try_for_each(|writes| check_writes::<PAGE>(writes))?;
        let mut commit: Option<Commit<'_>> = None;
        for (index, writes) in by_partition.into_iter().enumerate().filter(|(_, writes)| !writes.is_empty()) {
            let partition = self.partition(index)?;
            self.shared.admit(&partition.pages.log, Patience::Wait)?;
            let lsn = self.unless_dropped(partition.apply(&writes))?;
            let next = Commit::new(&partition.pages.log, lsn, true);
            commit = Some(match commit {
                Some(commit) => commit.join(next),
                None => next,
            });
        }
        match commit {
            Some(commit) => Ok(commit),
            None => Ok(Commit::new(&self.partition(0)?.pages.log, wal::Lsn::ZERO, true)),
        }
    }

    /// The items whose keys lie in `range`, in ascending order of keys.
    ///
    /// Each leaf is read as it is at one instant; the scan as a whole is no snapshot. What is returned is
    /// durable.
    pub fn scan(&self, range: impl RangeBounds<Vec<u8>>) -> ScanOf<PAGE> {
        self.scan_in(range, false)
    }

    /// The items whose keys lie in `range`, in descending order of keys. See [`scan`](Self::scan).
    pub fn scan_backward(&self, range: impl RangeBounds<Vec<u8>>) -> ScanOf<PAGE> {
        self.scan_in(range, true)
    }

    fn scan_in(&self, range: impl RangeBounds<Vec<u8>>, backward: bool) -> ScanOf<PAGE> {
        let range = Range { start: range.start_bound().cloned(), end: range.end_bound().cloned(), backward };
        let empty = match (&range.start, &range.end) {
            (Bound::Included(start), Bound::Included(end)) => start > end,
            (
                Bound::Included(start) | Bound::Excluded(start),
                Bound::Included(end) | Bound::Excluded(end),
            ) => start >= end,
            _ => false,
        };
        let partitions = if empty { 0 } else { self.state.partitions.len() };
        let cursors = (0..partitions).map(|_| Cursor::new(range.clone())).collect();
        ScanOf { table: self.clone(), backward, cursors, heads: None }
    }

    /// The number of items, without looking at them. It is durable.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub fn count(&self) -> Result<u64> {
        let (items, ticket) = self.fetch_count()?;
        ticket.wait()?;
        Ok(items)
    }

    /// The number of items as it is now, and a ticket: when it has been waited for, no crash takes back what was
    /// counted. [`count`](Self::count) for who awaits; it never waits itself.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub fn fetch_count(&self) -> Result<(u64, Commit<'_>)> {
        let mut sum = 0;
        let mut ticket: Option<Commit<'_>> = None;
        for index in 0..self.state.partitions.len() {
            let partition = self.partition(index)?;
            let (items, lsn) = partition.count();
            sum += items;
            let next = Commit::new(&partition.pages.log, lsn, true);
            ticket = Some(match ticket {
                Some(ticket) => ticket.join(next),
                None => next,
            });
        }
        // A table has at least one partition.
        ticket.map(|ticket| (sum, ticket)).ok_or(Error::Closed)
    }

    /// The partition of a key. The hash is a part of the format: xxh3 of 64 bits, seed 0.
    fn index(&self, key: &[u8]) -> usize {
        match self.state.partitions.len() {
            1 => 0,
            count => (xxh3_64(key) % count as u64) as usize,
        }
    }

    fn route(&self, key: &[u8]) -> Result<&Partition<PAGE>> {
        self.partition(self.index(key))
    }

    /// The partition of a key that is about to be written: waits, before anything is latched, where the log
    /// is ahead of its flushes or needs a checkpoint.
    fn admit(&self, key: &[u8], patience: Patience) -> Result<&Partition<PAGE>> {
        let partition = self.route(key)?;
        self.shared.admit(&partition.pages.log, patience)?;
        Ok(partition)
    }

    fn partition(&self, index: usize) -> Result<&Partition<PAGE>> {
        self.shared.check_open()?;
        self.unless_dropped(self.state.partitions[index].as_ref().map_err(Clone::clone))
    }

    /// The outcome of an operation, unless a drop has overtaken it: then its pages are gone.
    fn unless_dropped<T>(&self, outcome: Result<T>) -> Result<T> {
        // Acquire: whoever sees the flag sees what was dropped.
        if self.state.dropped.load(Order::Acquire) {
            return Err(Error::TableDropped { name: self.state.info.name.clone() });
        }
        outcome
    }
}

/// An iterator over the items of a table: partitions are scanned side by side and merged through a heap.
#[derive(Debug)]
pub struct ScanOf<const PAGE: usize> {
    table: TableOf<PAGE>,
    backward: bool,
    cursors: Vec<Cursor>,
    /// The next item of each partition that has one; filled by the first call.
    heads: Option<BinaryHeap<Head>>,
}

#[derive(Debug)]
struct Head {
    item: Item,
    partition: usize,
    backward: bool,
}

impl<const PAGE: usize> ScanOf<PAGE> {
    fn advance(&mut self, partition: usize) -> Result<Option<Head>> {
        let item = self.table.partition(partition)?.next(&mut self.cursors[partition]);
        let item = self.table.unless_dropped(item)?;
        Ok(item.map(|item| Head { item, partition, backward: self.backward }))
    }

    fn try_next(&mut self) -> Result<Option<Item>> {
        let mut heads = match self.heads.take() {
            Some(heads) => heads,
            None => (0..self.cursors.len())
                .filter_map(|partition| self.advance(partition).transpose())
                .collect::<Result<_>>()?,
        };
        let Some(head) = heads.pop() else {
            self.heads = Some(heads);
            return Ok(None);
        };
        heads.extend(self.advance(head.partition)?);
        self.heads = Some(heads);
        Ok(Some(head.item))
    }
}

impl<const PAGE: usize> Iterator for ScanOf<PAGE> {
    type Item = Result<(Vec<u8>, Vec<u8>)>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.try_next();
        if next.is_err() {
            // An error ends the scan: what is behind it may be missing.
            self.cursors.clear();
            self.heads = Some(BinaryHeap::new());
        }
        next.transpose()
    }
}

impl Ord for Head {
    /// The heap gives its greatest first: that is the least key, or the greatest when scanning backward.
    fn cmp(&self, other: &Self) -> Ordering {
        let ascending = self.item.0.cmp(&other.item.0);
        if self.backward { ascending } else { ascending.reverse() }
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.item.0 == other.item.0
    }
}

impl Eq for Head {}
