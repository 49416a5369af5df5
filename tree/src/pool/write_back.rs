//! Write-back: dirty pages reach their files, never ahead of the log.

use std::collections::BTreeMap;

use wal::{Lsn, Storage, planted};

use super::double_write::DoubleWrite;
use super::{Frame, Pool, ReadGuard, Store, WriteGuard};
use crate::error::{Error, Result};
use crate::page::Page;
use crate::sync::{Arc, Mutex, Ordering, delay};

/// Pages a batch: one sync of the double-write file pays for all of them.
pub(super) const BATCH: usize = 64;

/// What only one write-back at a time may touch.
#[derive(Debug)]
pub(super) struct WriteBack<const PAGE: usize>(Mutex<State<PAGE>>);

#[derive(Debug)]
struct State<const PAGE: usize> {
    double_write: DoubleWrite,
    /// Files written to since they were last synced, by partition.
    unsynced: BTreeMap<u32, Arc<Store>>,
    /// Copies of the pages of the batch under way.
    batch: Vec<Copied<PAGE>>,
    /// The first failed sync. Behind it nothing is written any more: the kernel may have dropped what it
    /// could not write, so only a new start from the log tells what the files hold.
    failed: Option<String>,
}

#[derive(Debug)]
struct Copied<const PAGE: usize> {
    frame: u32,
    tag: u64,
    store: Arc<Store>,
    page: Page<PAGE>,
}

impl<const PAGE: usize> WriteBack<PAGE> {
    pub(super) fn new(storage: &dyn Storage, frames: usize) -> Result<Self> {
        let slots = (frames / 4).clamp(BATCH, 2048);
        let double_write = DoubleWrite::open(storage, slots)?;
        Ok(Self(Mutex::new(State {
            double_write,
            unsynced: BTreeMap::new(),
            batch: Vec::new(),
            failed: None,
        })))
    }
}

impl<const PAGE: usize> Pool<PAGE> {
    /// Mends pages of `files` that a power loss tore, from their copies, and writes those again whose sync may have
    /// failed. Call once, before anything is read. A file that is damaged as a whole, or gone, is left as it is.
    ///
    /// # Errors
    /// The double-write file cannot be read, a file cannot be written or synced, or one that has copies cannot be
    /// read: they may be all that there is of its pages, and would be overwritten.
    pub(crate) fn mend(&self, files: &BTreeMap<u32, Result<Arc<Store>>>) -> Result<()> {
        let mut state = self.write_back.0.lock();
        let mut rewritten = BTreeMap::new();
        for ((partition, id), copy) in state.double_write.copies::<PAGE>()? {
            let store = match files.get(&partition) {
                Some(Ok(store)) => store,
                Some(Err(error)) if error.may_pass() && !planted!("copies-overwritten") => {
                    return Err(error.clone());
                }
                _ => continue,
            };
            let mut page = Page::<PAGE>::zeroed();
            match store.read(id, &mut page) {
                Err(Error::Damaged { .. }) => store.write(&copy)?,
                Err(error) => return Err(error),
                // What a failed sync has lost can be read still; to reach the disk, it must become dirty again.
                Ok(()) if page.lsn() == copy.lsn() => store.write(&copy)?,
                Ok(()) => continue,
            }
            rewritten.insert(partition, store);
        }
        rewritten.into_values().try_for_each(|store| store.touch_length::<PAGE>())?;
        // Writes of the last run may wait in the kernel still; their copies are about to be overwritten.
        files.values().flatten().try_for_each(|store| store.sync())?;
        state.double_write.begin_round();
        Ok(())
    }

    /// Writes back those of the frames that are dirty. Pages that are latched exclusively are passed over.
    /// Call without latches: it waits for the log and for the disk.
    ///
    /// # Errors
    /// The log, the double-write file or a data file failed; pages that did not reach their file stay dirty.
    pub(crate) fn write_back(&self, frames: &[u32]) -> Result<()> {
        let mut state = self.write_back.0.lock();
        frames.chunks(BATCH).try_for_each(|frames| self.write_batch(&mut state, frames))
    }

    /// Writes back every page that was dirtied before `lsn` of its log.
    ///
    /// # Errors
    /// As for [`Pool::write_back`].
    pub(crate) fn write_back_before(&self, log_id: u32, lsn: Lsn) -> Result<()> {
        let due = |frame: &Frame| frame.recovery_lsn().is_some_and(|dirty| dirty < lsn);
        let mut due: Vec<_> = (0..self.frames.len() as u32)
            .filter(|&index| due(&self.frames[index as usize]))
            .filter_map(|index| {
                let guard = ReadGuard::latch(self, index);
                let ours = guard.owner().is_some_and(|store| store.log_id == log_id);
                ours.then(|| (self.frames[index as usize].tag.load(Ordering::Relaxed), index))
            })
            .collect();
        // By file and place: neighbours are written together.
        due.sort_unstable();
        let due: Vec<_> = due.into_iter().map(|(_, index)| index).collect();
        due.chunks(BATCH).try_for_each(|batch| self.write_back(batch))
    }

    /// Makes all pages that were written back durable.
    ///
    /// # Errors
    /// A file cannot be synced; nothing is written back from then on.
    pub(crate) fn sync_files(&self) -> Result<()> {
        self.write_back.0.lock().sync_files()
    }

    /// Writes nothing any more from now on, and waits for the write that is under way.
    pub(crate) fn close(&self) {
        self.write_back.0.lock().failed.get_or_insert_with(|| Error::Closed.to_string());
    }

    /// Calls `read` while no page is being written: what it reads of a data file, no write under way has torn. Call
    /// without latches.
    pub(crate) fn between_writes<T>(&self, read: impl FnOnce() -> T) -> T {
        let _nobody_writes = self.write_back.0.lock();
        read()
    }

    /// Empties every frame of the store, dirty or not: its file is about to be removed.
    pub(crate) fn discard(&self, store: &Arc<Store>) {
        store.discard();
        let mut state = self.write_back.0.lock();
        state.unsynced.remove(&store.partition);
        for index in 0..self.frames.len() as u32 {
            let of_store =
                |guard: &ReadGuard<'_, PAGE>| guard.owner().is_some_and(|owner| Arc::ptr_eq(owner, store));
            if !of_store(&ReadGuard::latch(self, index)) {
                continue;
            }
            let mut guard = WriteGuard::latch(self, index);
            if guard.owner().is_some_and(|owner| Arc::ptr_eq(owner, store)) {
                guard.vacate();
                drop(guard);
                self.free.lock().push(index);
            }
        }
    }

    fn write_batch(&self, state: &mut State<PAGE>, frames: &[u32]) -> Result<()> {
        state.check()?;
        state.batch.clear();
        let copies = frames.iter().filter_map(|&index| self.copy(index));
        state.batch.extend(copies);
        if state.batch.is_empty() {
            return Ok(());
        }
        // The law: no page before its log. The latches are released, so waiting is allowed.
        if !planted!("written-before-log") {
            for copied in &state.batch {
                copied.store.flush_log(copied.page.lsn())?;
            }
        }
        if state.double_write.room() < state.batch.len() {
            state.sync_files()?;
            state.double_write.begin_round();
        }
        if !planted!("written-once") {
            let copies = state.batch.iter().map(|copied| (copied.store.partition, &copied.page));
            state.double_write.append(copies)?;
            state.sync(|state| state.double_write.sync())?;
        }
        if planted!("clean-before-written") {
            state.batch.iter().for_each(|copied| self.mark_clean(copied));
        }
        let (mut written, mut failure) = (0, None);
        for copied in &state.batch {
            state.unsynced.entry(copied.store.partition).or_insert_with(|| copied.store.clone());
            // Where a file cannot grow, pages that have their place in it can be written still.
            match copied.store.write(&copied.page) {
                Ok(()) => {
                    delay();
                    self.mark_clean(copied);
                    written += 1;
                }
                Err(error) => failure = Some(error),
            }
        }
        self.counters.write_backs.add(1);
        self.counters.written_pages.add(written);
        state.batch.clear();
        failure.map_or(Ok(()), Err)
    }

    /// A sealed copy of a dirty page.
    fn copy(&self, index: u32) -> Option<Copied<PAGE>> {
        let guard = ReadGuard::try_latch(self, index)?;
        let frame = guard.frame();
        if !frame.is_dirty() {
            return None;
        }
        let (store, tag) = (guard.owner()?.clone(), frame.tag.load(Ordering::Relaxed));
        if store.expect_kept().is_err() {
            // A page that a dropped table has made since it was discarded.
            frame.recovery_lsn.store(0, Ordering::Release);
            return None;
        }
        let mut page = Page::clone(&guard);
        drop(guard);
        page.seal();
        Some(Copied { frame: index, tag, store, page })
    }

    /// The copy has been written: the frame is clean, or dirty only from the copy's LSN on.
    fn mark_clean(&self, copied: &Copied<PAGE>) {
        let guard = ReadGuard::latch(self, copied.frame);
        let frame = guard.frame();
        if frame.tag.load(Ordering::Relaxed) != copied.tag || !frame.is_dirty() {
            return;
        }
        // Nobody can be changing the page or its mark: that takes the exclusive latch.
        let unchanged = guard.lsn() == copied.page.lsn() || planted!("later-change-forgotten");
        let since = if unchanged { 0 } else { copied.page.lsn().get().max(1) };
        frame.recovery_lsn.store(since, Ordering::Release);
    }
}

impl<const PAGE: usize> State<PAGE> {
    fn check(&self) -> Result<()> {
        self.failed.as_ref().map_or(Ok(()), |cause| Err(Error::WriteBackFailed { cause: cause.clone() }))
    }

    /// Runs a sync and remembers its failure. A failed write is no such thing: the pages stay dirty, and the
    /// next attempt may succeed, on a disk that has room again.
    fn sync(&mut self, sync: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        self.check()?;
        sync(self).inspect_err(|error| self.failed = Some(error.to_string()))
    }

    fn sync_files(&mut self) -> Result<()> {
        self.sync(|state| state.unsynced.values().try_for_each(|store| store.sync()))?;
        self.unsynced.clear();
        Ok(())
    }
}
