//! A database: a folder of tables, one pool, and the logs.

use std::any::Any;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use wal::{DirStorage, Log, Lsn, Storage};

use crate::backup::{BackupReport, BackupSink, Backups};
use crate::batch::Batch;
use crate::catalog::{Catalog, DroppedFile, PartitionEntry, TableEntry, is_staged, page_file};
use crate::error::{Error, Result};
use crate::options::{LogScope, Maintenance, Options};
use crate::pages::Patience;
use crate::partition::{Partition, create_file, open_file};
use crate::pool::{Pool, Store};
use crate::redo::{Redo, Replayed};
use crate::remove::remove_if_there;
use crate::shape::{self, PartitionShape};
use crate::space::FIRST_PAGES;
use crate::stats::{Counter, PartitionStats, Stats};
use crate::sync::{Arc, AtomicBool, Mutex, Ordering, RwLock, in_parallel};
use crate::table::{TableInfo, TableOf, TableState};

/// How often the background thread looks whether there is something to do.
const TICK: Duration = Duration::from_millis(50);

/// A database of pages of `PAGE` bytes: see [`Database`](crate::Database).
#[derive(Debug)]
pub struct DatabaseOf<const PAGE: usize> {
    pub(crate) shared: Arc<Shared<PAGE>>,
    maintenance: Option<(mpsc::Sender<()>, JoinHandle<()>)>,
}

/// What all handles of a database share.
#[derive(Debug)]
pub(crate) struct Shared<const PAGE: usize> {
    storage: Arc<dyn Storage>,
    options: Options,
    pub(crate) pool: Arc<Pool<PAGE>>,
    pub(crate) catalog: Mutex<Catalog>,
    /// By name.
    pub(crate) logs: RwLock<BTreeMap<String, OpenLog>>,
    pub(crate) tables: RwLock<BTreeMap<String, Arc<TableState<PAGE>>>>,
    pub(crate) checkpointing: Mutex<()>,
    pub(crate) checkpoints: Counter,
    pub(crate) backups: Backups,
    closed: AtomicBool,
    /// Keeps other processes out; given back by [`DatabaseOf::close`].
    folder_lock: Mutex<Option<FolderLock>>,
}

/// A log, and the number that tells it apart from the others while the database is open.
#[derive(Clone, Debug)]
pub(crate) struct OpenLog {
    pub(crate) id: u32,
    pub(crate) log: Arc<Log>,
}

struct FolderLock(#[allow(dead_code, reason = "held for its Drop")] Box<dyn Any + Send + Sync>);

impl std::fmt::Debug for FolderLock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FolderLock")
    }
}

impl<const PAGE: usize> DatabaseOf<PAGE> {
    /// Opens the database in a folder; makes it where the folder is empty or absent. After a crash, the log
    /// is replayed.
    ///
    /// # Errors
    /// An option out of range, a folder in use by someone else, files of another program or version, a
    /// damaged log or catalog, a failing disk. A damaged partition is no error here: its operations are.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Self> {
        let path = path.as_ref();
        let storage =
            DirStorage::open(path).map_err(Error::io("open the folder", path.display().to_string()))?;
        Self::open_on(Arc::new(storage), options)
    }

    /// As [`open`](Self::open), over any storage.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn open_on(storage: Arc<dyn Storage>, options: Options) -> Result<Self> {
        options.validate(PAGE)?;
        let lock = storage.lock().map_err(|error| match error.kind() {
            std::io::ErrorKind::WouldBlock => Error::InUse { path: storage.path("") },
            _ => Error::io("lock", storage.path(""))(error),
        })?;
        let shared = Arc::new(Shared::<PAGE>::recover(storage, options, FolderLock(lock))?);
        let maintenance = match shared.options.maintenance {
            Maintenance::Background => Some(spawn_maintenance(&shared)?),
            Maintenance::Inline => None,
        };
        Ok(Self { shared, maintenance })
    }

    /// Makes a table of [`Options::partitions`] partitions, durably.
    ///
    /// # Errors
    /// A name that is refused or taken; a backup under way; a failing disk.
    pub fn create_table(&self, name: &str) -> Result<TableOf<PAGE>> {
        let (_, state) = self.shared.create(|catalog| {
            check_name(name)?;
            if catalog.tables.contains_key(name) {
                return Err(Error::TableExists { name: name.to_string() });
            }
            Ok((name.to_string(), name))
        })?;
        Ok(TableOf::new(self.shared.clone(), state))
    }

    /// The table of that name.
    pub fn table(&self, name: &str) -> Option<TableOf<PAGE>> {
        let state = self.shared.tables.read().get(name).filter(|_| !is_staged(name)).cloned()?;
        Some(TableOf::new(self.shared.clone(), state))
    }

    /// All tables, by name.
    pub fn tables(&self) -> Vec<TableInfo> {
        self.shared.named_tables().iter().map(|table| table.info.clone()).collect()
    }

    /// Removes a table and its files, durably. Handles of it answer [`Error::TableDropped`] from then on.
    ///
    /// # Errors
    /// No such table; a backup under way; a failing disk.
    pub fn drop_table(&self, name: &str) -> Result<()> {
        if is_staged(name) {
            return Err(Error::NoTable { name: name.to_string() });
        }
        self.shared.drop_table(name)
    }

    /// Takes a checkpoint, beside whoever is writing: recovery will begin here.
    ///
    /// # Errors
    /// A failing disk or log.
    pub fn checkpoint(&self) -> Result<()> {
        self.shared.check_open()?;
        self.shared.checkpoint()
    }

    /// Copies the database while others read and write it: what the sink gets is a folder that
    /// [`open`](Self::open) recovers to the state of one instant, the same for all tables, near the end of this call.
    /// Every write that was acknowledged before the call is in it, and of a write that is not finished in time nothing.
    ///
    /// Meanwhile no table can be made or dropped, and the log is not recycled before it is copied; a log that has no
    /// more room ends the backup, not the writers. The folder of a failed backup has no catalog and cannot be opened.
    ///
    /// # Errors
    /// [`Error::BackupRunning`] beside another backup; [`Error::BackupGivenUp`] where the log ran full; a damaged
    /// partition or page, which the error names; a failing sink, disk or log. The database is as before.
    pub fn backup(&self, sink: &mut dyn BackupSink) -> Result<BackupReport> {
        self.shared.check_open()?;
        self.shared.backup(sink)
    }

    /// Makes everything that was written so far durable.
    ///
    /// # Errors
    /// A failing log.
    pub fn flush(&self) -> Result<()> {
        self.shared.check_open()?;
        self.shared.flush()
    }

    /// Whether the database takes writes, as far as is known without touching the disk.
    ///
    /// # Errors
    /// Why a log has stopped: a failed write or sync, or a close. Only opening the database anew helps.
    pub fn health(&self) -> Result<()> {
        self.shared.check_open()?;
        self.shared.logs.read().values().try_for_each(|open| Ok(open.log.check()?))
    }

    /// What was counted since the database was opened.
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// What was counted of each partition since the database was opened, by table and number. Damaged ones are left
    /// out.
    pub fn partitions(&self) -> Vec<PartitionStats> {
        let stats = |table: &str, index, partition: &Partition<PAGE>| partition.partition_stats(table, index);
        self.shared.of_partitions(stats)
    }

    /// What the tree of each partition looks like, by table and number, as far as it is in memory. Damaged ones are
    /// left out. Nothing is read from disk: see [`PartitionShape`].
    pub fn shapes(&self) -> Vec<PartitionShape> {
        self.shared.of_partitions(|table, partition, open| PartitionShape {
            table: table.to_string(),
            partition,
            levels: shape::levels(&open.pages),
        })
    }

    /// Verifies every invariant of every tree. Meant for a database that nobody writes to: what changes under
    /// the verifier's eyes may look wrong to it. [`check`](crate::check::check) is for a closed one.
    ///
    /// # Errors
    /// A failing disk or log. What is wrong with the data is in the report.
    pub fn check(&self) -> Result<crate::check::CheckReport> {
        self.shared.check_open()?;
        self.shared.checkpoint()?;
        let tables: Vec<_> = self.shared.tables.read().values().cloned().collect();
        Ok(crate::check::check_tables(&tables))
    }

    /// Makes everything durable, takes a checkpoint, and lets others open the folder. Handles of tables
    /// answer [`Error::Closed`] from then on.
    ///
    /// A database that is dropped without being closed is not damaged: what was acknowledged is in the log.
    ///
    /// # Errors
    /// A failing disk or log.
    pub fn close(mut self) -> Result<()> {
        self.stop_maintenance();
        let checkpoint = self.shared.checkpoint();
        // Whatever became of the checkpoint: it only shortens the next recovery.
        let released = self.shared.release();
        checkpoint.and(released)
    }

    fn stop_maintenance(&mut self) {
        if let Some((stop, thread)) = self.maintenance.take() {
            drop(stop);
            // A thread that has panicked has nothing left to stop.
            let _ = thread.join();
        }
    }
}

impl<const PAGE: usize> Drop for DatabaseOf<PAGE> {
    fn drop(&mut self) {
        self.stop_maintenance();
        // A failure of the log has been told to those whose writes it concerns.
        let _ = self.shared.release();
    }
}

fn spawn_maintenance<const PAGE: usize>(
    shared: &Arc<Shared<PAGE>>,
) -> Result<(mpsc::Sender<()>, JoinHandle<()>)> {
    let (stop, stopped) = mpsc::channel::<()>();
    let shared = shared.clone();
    let run = move || {
        while stopped.recv_timeout(TICK) == Err(mpsc::RecvTimeoutError::Timeout) {
            shared.maintain();
        }
    };
    let thread = std::thread::Builder::new().name("maintenance".into()).spawn(run);
    Ok((stop, thread.map_err(Error::io("start", "the maintenance thread"))?))
}

impl<const PAGE: usize> Shared<PAGE> {
    /// Brings the files of a folder up to date with their logs.
    fn recover(storage: Arc<dyn Storage>, options: Options, lock: FolderLock) -> Result<Self> {
        let loaded = Catalog::load(&*storage)?;
        let catalog = match loaded {
            Some(catalog) if catalog.page_bytes != PAGE => {
                let reason = format!(
                    "it has pages of {} bytes, this program was built for {PAGE}",
                    catalog.page_bytes
                );
                return Err(Error::Format { file: storage.path("catalog"), reason });
            }
            Some(catalog) => catalog,
            None => create_database::<PAGE>(&storage, &options)?,
        };
        let pool = Arc::new(Pool::new(&*storage, options.pool_bytes / PAGE)?);
        let shared = Self {
            storage,
            options,
            pool,
            catalog: Mutex::new(catalog),
            logs: RwLock::new(BTreeMap::new()),
            tables: RwLock::new(BTreeMap::new()),
            checkpointing: Mutex::new(()),
            checkpoints: Counter::new(),
            backups: Backups::default(),
            closed: AtomicBool::new(false),
            folder_lock: Mutex::new(Some(lock)),
        };
        shared.finish_drops()?;
        shared.open_tables()?;
        shared.remove_staged()?;
        Ok(shared)
    }

    fn open_tables(&self) -> Result<()> {
        let catalog = self.catalog.lock().clone();
        let mut names: Vec<_> = catalog.redo.keys().cloned().collect();
        names.sort_unstable();
        let log_id =
            |entry: &PartitionEntry| names.binary_search(&catalog.log_name(entry)).unwrap_or_default() as u32;
        let open = |entry: &PartitionEntry| {
            let store = open_file::<PAGE>(&*self.storage, &entry.file(), entry.id, log_id(entry))?;
            store.expect_pages::<PAGE>(entry.pages)?;
            if !catalog.has_records_for(entry) {
                let reason = "it was out of use for so long that the log has no more what it lacks; restore it from a backup";
                return Err(Error::Format { file: store.path.clone(), reason: reason.into() });
            }
            Ok(store)
        };
        let files: BTreeMap<u32, Result<Arc<Store>>> =
            catalog.partitions().map(|entry| (entry.id, open(entry))).collect();
        self.pool.mend(&files)?;

        let logs = in_parallel(names.iter().enumerate(), |(id, name)| {
            let ours = catalog.partitions().filter(|entry| catalog.log_name(entry) == *name);
            let replayed = ours.filter_map(|entry| {
                let store = files.get(&entry.id)?.as_ref().ok()?.clone();
                Some(Replayed::new(store, entry.items, Lsn::new(entry.items_lsn)))
            });
            let mut redo = Redo::new(&self.pool, replayed);
            let options = self.log_options(&catalog);
            let log = Log::open(
                self.storage.clone(),
                name,
                options,
                catalog.redo_lsn(name),
                &mut |lsn, payload| {
                    redo.receive(lsn, payload);
                    Ok(())
                },
            )?;
            Ok::<_, Error>((id as u32, name, Arc::new(log), redo.finish().collect::<Vec<_>>()))
        });
        let mut replayed = BTreeMap::new();
        for opened in logs {
            let (id, name, log, partitions) = opened?;
            self.pool.write_back_before(id, Lsn::new(u64::MAX))?;
            self.logs.write().insert(name.clone(), OpenLog { id, log: log.clone() });
            replayed.extend(
                partitions.into_iter().map(|partition| (partition.store.partition, (partition, log.clone()))),
            );
        }

        let mut files = files;
        let mut open_partition = |entry: &PartitionEntry| {
            let store = files.remove(&entry.id).ok_or(Error::Closed)??;
            let (partition, log) = replayed.remove(&entry.id).ok_or(Error::Closed)?;
            partition.damage.map_or(Ok(()), Err)?;
            store.attach(log.clone());
            let items = partition.items.max(0).cast_unsigned();
            Partition::open(self.pool.clone(), store, log, items, &self.options)
        };
        for (name, entry) in &catalog.tables {
            let partitions = entry.partitions.iter().map(&mut open_partition).collect();
            let state = Arc::new(TableState::new(name, entry.created_at_ms, partitions));
            self.tables.write().insert(name.clone(), state);
        }
        Ok(())
    }

    fn log_options(&self, catalog: &Catalog) -> wal::Options {
        wal::Options {
            segment_bytes: catalog.log_segment_bytes,
            max_bytes: self.options.log_max_bytes.max(4 * catalog.log_segment_bytes),
            commit: self.options.commit,
            sync: self.options.sync,
            ..wal::Options::default()
        }
    }

    /// Back-pressure: call before an operation that writes, without latches.
    #[inline]
    pub(crate) fn admit(&self, log: &Arc<Log>, patience: Patience) -> Result<()> {
        let is_full = log.bytes() >= self.checkpoint_at(log);
        if patience == Patience::InMemory {
            // Not asked of the log a second time: it may have become crowded since, and would be waited for.
            return if is_full || log.is_crowded() { Err(Error::WouldWait) } else { Ok(()) };
        }
        log.admit()?;
        if is_full { self.checkpoint_if_full(log) } else { Ok(()) }
    }

    /// The size of a log at which whoever wants to write has to take a checkpoint first.
    pub(crate) fn checkpoint_at(&self, log: &Log) -> u64 {
        log.max_bytes() / 4 * 3
    }

    #[inline]
    pub(crate) fn check_open(&self) -> Result<()> {
        // Relaxed: nothing is published by the flag. An operation that overlaps with a close may go either way.
        if self.closed.load(Ordering::Relaxed) { Err(Error::Closed) } else { Ok(()) }
    }

    pub(crate) fn check_batch(&self, batch: &Batch) -> Result<()> {
        let max_ops = Batch::MAX_WRITES.min(self.pool.len() / 8);
        if batch.len() <= max_ops && batch.bytes() <= Batch::MAX_BYTES {
            return Ok(());
        }
        let (ops, bytes) = (batch.len(), batch.bytes());
        Err(Error::BatchTooLarge { ops, bytes, max_ops, max_bytes: Batch::MAX_BYTES })
    }

    /// Changes the catalog, durably. If that fails, the change is not made.
    pub(crate) fn change_catalog(&self, change: impl FnOnce(&mut Catalog)) -> Result<()> {
        let mut catalog = self.catalog.lock();
        let mut changed = catalog.clone();
        change(&mut changed);
        changed.save(&*self.storage)?;
        *catalog = changed;
        Ok(())
    }

    /// Makes a table, durably: `named` says what it is kept under, and its name.
    pub(crate) fn create<'a>(
        &self,
        named: impl FnOnce(&Catalog) -> Result<(String, &'a str)>,
    ) -> Result<(String, Arc<TableState<PAGE>>)> {
        self.check_open()?;
        // Held to the end: it keeps checkpoints and other changes of the catalog out.
        let _alone = self.checkpointing.lock();
        self.backups.expect_none()?;
        // A drop that could not remove a file must not remove the new table's later.
        self.finish_drops()?;
        let catalog = self.catalog.lock().clone();
        let (key, name) = named(&catalog)?;
        check_file_names(&catalog, &key, name, self.options.partitions)?;
        let created_at_ms =
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_millis() as u64);
        let names = partition_names(&key, self.options.partitions);
        let ids = catalog.next_partition..;
        let mut entries: Vec<_> = names
            .zip(ids)
            .map(|(name, id)| PartitionEntry {
                id,
                name,
                items: 0,
                items_lsn: 0,
                pages: u64::from(FIRST_PAGES),
            })
            .collect();
        for entry in &entries {
            create_file::<PAGE>(&*self.storage, &entry.file(), entry.id)?;
        }
        let logs: Vec<_> = entries.iter().map(|entry| self.log_of(&catalog, entry)).collect::<Result<_>>()?;
        self.storage.sync_dir().map_err(Error::io("sync", self.storage.path("")))?;
        for (entry, (_, open)) in entries.iter_mut().zip(&logs) {
            entry.items_lsn = open.log.durable().get();
        }
        let table = TableEntry { created_at_ms, partitions: entries.clone() };
        self.change_catalog(|catalog| {
            catalog.next_partition += entries.len() as u32;
            catalog.tables.insert(key.clone(), table);
            for (log_name, open) in &logs {
                catalog.redo.entry(log_name.clone()).or_insert(open.log.durable().get());
            }
        })?;
        let partitions = entries.iter().zip(logs).map(|(entry, (log_name, open))| {
            let store = open_file::<PAGE>(&*self.storage, &entry.file(), entry.id, open.id)?;
            store.attach(open.log.clone());
            self.logs.write().insert(log_name, open.clone());
            Partition::open(self.pool.clone(), store, open.log, 0, &self.options)
        });
        let state = Arc::new(TableState::new(name, created_at_ms, partitions.collect()));
        self.tables.write().insert(key.clone(), state.clone());
        Ok((key, state))
    }

    /// The log of a new partition, made where partitions have logs of their own.
    fn log_of(&self, catalog: &Catalog, entry: &PartitionEntry) -> Result<(String, OpenLog)> {
        let name = catalog.log_name(entry);
        if let Some(open) = self.logs.read().get(&name).cloned() {
            return Ok((name, open));
        }
        remove_log(&*self.storage, &name)?;
        let log = Log::create(self.storage.clone(), &name, self.log_options(catalog))?;
        // Numbers of logs only tell logs apart while the database is open: a partition's will do, shifted
        // past those that were given when it was opened.
        Ok((name, OpenLog { id: NEW_LOGS + entry.id, log: Arc::new(log) }))
    }

    /// Drops what is kept under `key`.
    pub(crate) fn drop_table(&self, key: &str) -> Result<()> {
        self.check_open()?;
        let _alone = self.checkpointing.lock();
        self.backups.expect_none()?;
        let catalog = self.catalog.lock().clone();
        let table = catalog.tables.get(key);
        if table.is_none() {
            return Err(Error::NoTable { name: key.to_string() });
        }
        self.retire(key, table, |_| ())?;
        // A statement of its own, so that the lock, which every request takes, is not held while pages are discarded.
        let removed = self.tables.write().remove(key);
        self.discard(&catalog, table, removed);
        self.finish_drops()
    }

    /// Takes a table, if there is one, out of the catalog, in one change with another.
    pub(crate) fn retire(
        &self,
        key: &str,
        table: Option<&TableEntry>,
        change: impl FnOnce(&mut Catalog),
    ) -> Result<()> {
        let partitions = table.map_or(&[][..], |table| &table.partitions);
        let changed = self.change_catalog(|changed| {
            changed.tables.remove(key);
            let with_log = changed.log_a_partition;
            let dropped = |entry: &PartitionEntry| DroppedFile { name: entry.name.clone(), with_log };
            changed.dropping.extend(partitions.iter().map(dropped));
            if with_log {
                changed.redo.retain(|log, _| partitions.iter().all(|entry| entry.name != *log));
            }
            change(changed);
        });
        if changed.is_err() && !partitions.iter().all(|entry| self.is_listed(entry)) {
            // The folder has the table no more, but may have it again after a power loss. What is written to it
            // could be lost, so nothing is, until another drop succeeds or the database is opened anew.
            if let Some(state) = self.tables.read().get(key) {
                state.dropped.store(true, Ordering::Release);
            }
        }
        changed
    }

    /// Ends the use of a table that the catalog has no more.
    pub(crate) fn discard(
        &self,
        catalog: &Catalog,
        table: Option<&TableEntry>,
        state: Option<Arc<TableState<PAGE>>>,
    ) {
        if let Some(state) = state {
            // Release: whoever sees the flag sees that the table is gone.
            state.dropped.store(true, Ordering::Release);
            state.partitions.iter().flatten().for_each(|partition| self.pool.discard(&partition.pages.store));
        }
        let partitions = table.filter(|_| catalog.log_a_partition).map_or(&[][..], |table| &table.partitions);
        for open in partitions.iter().filter_map(|entry| self.logs.write().remove(&entry.name)) {
            // Whoever still writes must not make segments behind the removal. What is lost by a failure is the
            // table's, which is gone.
            let _ = open.log.close();
        }
    }

    /// Whether the catalog in the folder, as it is now, has the partition.
    fn is_listed(&self, partition: &PartitionEntry) -> bool {
        let catalog = Catalog::load(&*self.storage).ok().flatten();
        catalog.is_some_and(|catalog| catalog.partitions().any(|entry| entry.id == partition.id))
    }

    /// Removes the files of dropped tables, also those that a crash has left.
    pub(crate) fn finish_drops(&self) -> Result<()> {
        let dropping = self.catalog.lock().dropping.clone();
        if dropping.is_empty() {
            return Ok(());
        }
        for file in &dropping {
            remove_if_there(&*self.storage, &page_file(&file.name))?;
            if file.with_log {
                remove_log(&*self.storage, &file.name)?;
            }
        }
        self.storage.sync_dir().map_err(Error::io("sync", self.storage.path("")))?;
        self.change_catalog(|catalog| catalog.dropping.clear())
    }

    pub(crate) fn flush(&self) -> Result<()> {
        let logs: Vec<_> = self.logs.read().values().cloned().collect();
        logs.iter().try_for_each(|open| Ok(open.log.flush()?))
    }

    /// What the background thread does now and then.
    fn maintain(&self) {
        let logs = self.logs.read().clone();
        for (name, OpenLog { log, .. }) in logs {
            // Failures show themselves to whoever depends on the log or the pool.
            if log.durable() < log.end() {
                let _ = log.flush();
            }
            if self.is_checkpoint_due(&name, &log) {
                let _ = self.checkpoint();
            }
        }
    }

    fn stats(&self) -> Stats {
        let mut stats =
            Stats { pool: self.pool.stats(), checkpoints: self.checkpoints.get(), ..Stats::default() };
        for open in self.logs.read().values() {
            add(&mut stats.log, open.log.stats());
        }
        for table in self.tables.read().values() {
            for partition in table.partitions.iter().flatten() {
                stats.tree += partition.stats();
            }
        }
        stats
    }

    /// The tables that are not only staged.
    fn named_tables(&self) -> Vec<Arc<TableState<PAGE>>> {
        let tables = self.tables.read();
        tables.iter().filter(|(key, _)| !is_staged(key)).map(|(_, table)| table.clone()).collect()
    }

    /// What `of` says of each partition that is not damaged, given its table and its number there.
    fn of_partitions<T>(&self, of: impl Fn(&str, u32, &Partition<PAGE>) -> T) -> Vec<T> {
        let tables = self.named_tables();
        let numbered =
            tables.iter().flat_map(|table| (0..).zip(&table.partitions).map(move |at| (table, at)));
        let open =
            numbered.filter_map(|(table, (index, partition))| Some((table, index, partition.as_ref().ok()?)));
        open.map(|(table, index, partition)| of(&table.info.name, index, partition)).collect()
    }

    /// Lets others open the folder. An operation that overlaps with this gets an error at the latest from the
    /// log or the pool, which do not touch a file any more.
    fn release(&self) -> Result<()> {
        self.closed.store(true, Ordering::Relaxed);
        let logs = self.logs.read().clone();
        // All of them, whatever becomes of one.
        let closed: Vec<_> = logs.values().map(|open| open.log.close()).collect();
        self.pool.close();
        self.folder_lock.lock().take();
        Ok(closed.into_iter().collect::<Result<_, _>>()?)
    }
}

fn add(sum: &mut wal::Stats, log: wal::Stats) {
    sum.appends += log.appends;
    sum.appended_bytes += log.appended_bytes;
    sum.groups += log.groups;
    sum.served += log.served;
    sum.syncs += log.syncs;
    sum.synced_bytes += log.synced_bytes;
}

/// Where the numbers of logs begin that are made while the database is open.
const NEW_LOGS: u32 = 1 << 31;

impl<const PAGE: usize> TableState<PAGE> {
    fn new(name: &str, created_at_ms: u64, partitions: Vec<Result<Partition<PAGE>>>) -> Self {
        let info = TableInfo { name: name.to_string(), created_at_ms, partitions: partitions.len() as u32 };
        Self { info, partitions, dropped: AtomicBool::new(false) }
    }
}

/// A new database in an empty folder: its catalog, and its log unless partitions have their own.
fn create_database<const PAGE: usize>(storage: &Arc<dyn Storage>, options: &Options) -> Result<Catalog> {
    let names = storage.list().map_err(Error::io("list", storage.path("")))?;
    if let Some(data) = names.iter().find(|name| name.ends_with(".db")) {
        let reason = format!(
            "it is missing, but {data} is there: restore it from a backup, or choose an empty folder"
        );
        return Err(Error::Format { file: storage.path("catalog"), reason });
    }
    let segment = match options.log_scope {
        LogScope::Database => options.log_segment_bytes,
        LogScope::Partition => (options.log_segment_bytes / 8).next_multiple_of(4096).max(64 << 10),
    };
    let mut catalog = Catalog::new(PAGE, options.log_scope, segment);
    if options.log_scope == LogScope::Database {
        let log_options = wal::Options {
            segment_bytes: segment,
            max_bytes: options.log_max_bytes,
            ..wal::Options::default()
        };
        remove_log(&**storage, crate::catalog::DATABASE_LOG)?;
        let log = Log::create(storage.clone(), crate::catalog::DATABASE_LOG, log_options)?;
        catalog.redo.insert(crate::catalog::DATABASE_LOG.into(), log.durable().get());
    }
    catalog.save(&**storage)?;
    Ok(catalog)
}

/// Removes the segments of a log that no catalog names: what a crash during a creation or a drop has left.
fn remove_log(storage: &dyn Storage, name: &str) -> Result<()> {
    let names = storage.list().map_err(Error::io("list", storage.path("")))?;
    let of_log = |file: &&String| {
        let number = file.strip_prefix(name).and_then(|rest| rest.strip_prefix('-'));
        number.and_then(|rest| rest.split_once('.')).is_some_and(|(digits, _)| {
            digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    };
    for file in names.iter().filter(of_log) {
        storage.remove(file).map_err(Error::io("remove", storage.path(file)))?;
    }
    Ok(())
}

/// The names of a table's partitions, which are those of their files without the suffix: a table of one
/// partition has the layout of old, `{table}.db`.
fn partition_names(table: &str, partitions: u32) -> impl Iterator<Item = String> {
    (0..partitions)
        .map(move |index| if partitions == 1 { table.to_string() } else { format!("{table}_p{index}") })
}

/// Whether a table can have that name.
pub(crate) fn check_name(name: &str) -> Result<()> {
    if !(1..=64).contains(&name.len()) {
        return refuse(name, "a name is 1 to 64 characters long");
    }
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')) {
        return refuse(name, "a name is made of letters, digits, '_' and '-'");
    }
    if !name.as_bytes()[0].is_ascii_alphanumeric() {
        return refuse(name, "a name begins with a letter or a digit");
    }
    Ok(())
}

/// Whether the files of a new table would be no others'.
fn check_file_names(catalog: &Catalog, key: &str, name: &str, partitions: u32) -> Result<()> {
    let taken = |new: &String| {
        new == crate::catalog::DATABASE_LOG || catalog.partitions().any(|entry| entry.name == *new)
    };
    if partition_names(key, partitions).any(|new| taken(&new)) {
        return refuse(name, "its files would have the names of another table's or of the log's");
    }
    Ok(())
}

fn refuse(name: &str, why: &str) -> Result<()> {
    Err(Error::TableName { name: name.to_string(), why: why.to_string() })
}
