//! A partition's file as the pool sees it: where its pages lie on disk, and which frame holds which.

use wal::{File, Log, Lsn};

use crate::error::{Error, Result};
use crate::page::{Page, PageError, PageId};
use crate::stats::Levels;
use crate::sync::{Arc, AtomicBool, AtomicU32, OnceLock, Ordering};

/// Page ids a chunk of the translation. Chunks are made when first written to.
const CHUNK: usize = if cfg!(feature = "loom") { 16 } else { 8192 };
const CHUNKS: usize = if cfg!(feature = "loom") { 4 } else { 4096 };

/// The most pages of one partition's file: 2^25, or 128 GiB of 4 KiB pages.
pub(crate) const MAX_PAGES: u32 = (CHUNK * CHUNKS) as u32;

/// Page id to frame, by array: one load a look-up (after vmcache and LeanStore, which spend a pointer
/// swizzle or a page table entry on it instead).
#[derive(Debug)]
struct Translation {
    chunks: Box<[OnceLock<Box<[AtomicU32]>>]>,
}

impl Translation {
    fn new() -> Self {
        Self { chunks: (0..CHUNKS).map(|_| OnceLock::new()).collect() }
    }

    #[inline]
    fn get(&self, page: PageId) -> Option<u32> {
        let chunk = self.chunks.get(page.0 as usize / CHUNK)?.get()?;
        // Frames are stored one up, so that zeroed memory means "not in memory".
        chunk[page.0 as usize % CHUNK].load(Ordering::Acquire).checked_sub(1)
    }

    fn entry(&self, page: PageId) -> &AtomicU32 {
        let chunk = self.chunks[page.0 as usize / CHUNK]
            .get_or_init(|| (0..CHUNK).map(|_| AtomicU32::new(0)).collect());
        &chunk[page.0 as usize % CHUNK]
    }
}

/// A partition's file, its log, and its translation.
#[derive(Debug)]
pub(crate) struct Store {
    /// The partition's number, never used again in its database.
    pub(crate) partition: u32,
    /// How messages name the file.
    pub(crate) path: String,
    /// The number of the log that page LSNs of this file belong to, among the database's logs.
    pub(crate) log_id: u32,
    /// That log, as soon as it is open. While it is replayed, all that it holds is durable.
    log: OnceLock<Arc<Log>>,
    file: Arc<dyn File>,
    translation: Translation,
    /// The file is about to be removed: no page of it comes into memory any more.
    discarded: AtomicBool,
    /// Where threads waited, by the levels of the tree.
    pub(crate) levels: Levels,
}

impl Store {
    pub(crate) fn new(partition: u32, path: String, log_id: u32, file: Arc<dyn File>) -> Self {
        Self {
            partition,
            path,
            log_id,
            log: OnceLock::new(),
            file,
            translation: Translation::new(),
            discarded: AtomicBool::new(false),
            levels: Levels::default(),
        }
    }

    /// The log has been replayed and takes new records.
    pub(crate) fn attach(&self, log: Arc<Log>) {
        // A second log for the same file would be a bug that changes nothing: the first one stays.
        let _ = self.log.set(log);
    }

    /// Keeps pages from coming into memory again. Operations that are under way must not mix what the file holds
    /// with what they have in memory yet.
    pub(super) fn discard(&self) {
        // Release: whoever latches a frame after the caller has, sees it.
        self.discarded.store(true, Ordering::Release);
    }

    pub(super) fn expect_kept(&self) -> Result<()> {
        if self.discarded.load(Ordering::Acquire) {
            return Err(Error::Format { file: self.path.clone(), reason: "its table was dropped".into() });
        }
        Ok(())
    }

    /// Makes the log durable up to `lsn`. Call without latches.
    pub(super) fn flush_log(&self, lsn: Lsn) -> Result<()> {
        match self.log.get() {
            Some(log) if log.durable() < lsn => Ok(log.flush()?),
            _ => Ok(()),
        }
    }

    /// The frame that holds the page, as far as this thread can tell: verify under the frame's latch.
    #[inline]
    pub(super) fn frame_of(&self, page: PageId) -> Option<u32> {
        self.translation.get(page)
    }

    /// Enters `frame` for a page that has none. The loser of a race is told the winner's frame.
    pub(super) fn enter(&self, page: PageId, frame: u32) -> Result<(), u32> {
        let entry = self.translation.entry(page);
        match entry.compare_exchange(0, frame + 1, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Ok(()),
            Err(winner) => Err(winner - 1),
        }
    }

    /// The page is no longer in memory.
    pub(super) fn leave(&self, page: PageId) {
        self.translation.entry(page).store(0, Ordering::Release);
    }

    /// Reads and verifies a page. Pages that were never written, inside the file or behind its end, come
    /// back zeroed with their id set: only redo and the allocator may meet one.
    pub(crate) fn read<const PAGE: usize>(&self, id: PageId, page: &mut Page<PAGE>) -> Result<()> {
        let offset = u64::from(id.0) * PAGE as u64;
        let read = self.file.read_at(page.bytes_mut(), offset).map_err(Error::io("read", &*self.path))?;
        if read != 0 && read != PAGE {
            return Err(self.damaged(id, format!("the file ends {read} bytes into it: it was cut short")));
        }
        if read == 0 {
            page.bytes_mut().fill(0);
        }
        match page.verify(id) {
            Ok(()) => self.expect_logged(page),
            Err(PageError::Blank { .. }) => {
                page.bytes_mut().fill(0);
                page.set_id(id);
                Ok(())
            }
            Err(reason) => Err(self.damaged(id, reason.to_string())),
        }
    }

    /// A page ahead of its log would be a write that the log knows nothing of.
    fn expect_logged<const PAGE: usize>(&self, page: &Page<PAGE>) -> Result<()> {
        match self.log.get() {
            Some(log) if page.lsn() > log.end() => {
                let reason = format!(
                    "its LSN {} is behind the log's end {}: log files are missing",
                    page.lsn(),
                    log.end()
                );
                Err(self.damaged(page.id(), reason))
            }
            _ => Ok(()),
        }
    }

    /// Writes a sealed page to its place. Durable after [`Store::sync`].
    pub(super) fn write<const PAGE: usize>(&self, page: &Page<PAGE>) -> Result<()> {
        let offset = u64::from(page.id().0) * PAGE as u64;
        self.file.write_at(page.bytes(), offset).map_err(Error::io("write", &*self.path))
    }

    /// Has the next sync make the file's length durable, even if the kernel believes that it is.
    pub(super) fn touch_length<const PAGE: usize>(&self) -> Result<()> {
        let len = self.pages::<PAGE>()? * PAGE as u64;
        let longer = self.file.set_len(len + PAGE as u64);
        longer.and_then(|()| self.file.set_len(len)).map_err(Error::io("resize", &*self.path))
    }

    /// Makes every written page durable.
    pub(crate) fn sync(&self) -> Result<()> {
        self.file.sync().map_err(Error::io("sync", &*self.path))
    }

    /// Hints that the page will be read soon.
    pub(super) fn prefetch<const PAGE: usize>(&self, page: PageId) {
        self.file.prefetch(u64::from(page.0) * PAGE as u64, PAGE as u64);
    }

    /// The file's length in pages.
    pub(crate) fn pages<const PAGE: usize>(&self) -> Result<u64> {
        Ok(self.file.len().map_err(Error::io("measure", &*self.path))?.div_ceil(PAGE as u64))
    }

    /// Pages behind a file's end count as never written, so a file that was cut short must not be used.
    pub(crate) fn expect_pages<const PAGE: usize>(&self, least: u64) -> Result<()> {
        let pages = self.pages::<PAGE>()?;
        if pages >= least {
            return Ok(());
        }
        let reason = format!(
            "it has {pages} pages, at the last checkpoint it had {least}: it was cut short; restore it from a backup"
        );
        Err(Error::Format { file: self.path.clone(), reason })
    }

    pub(crate) fn damaged(&self, page: PageId, reason: String) -> Error {
        Error::Damaged { file: self.path.clone(), page: page.0, reason }
    }
}
