//! Online backup: a copy of the database's folder, taken while writers go on.
//!
//! A fuzzy image copy, as ARIES has them for media recovery (Mohan et al. 1992, section 8). In this order:
//!
//! 1. Take a checkpoint, and hold every log back from its redo LSN on. The catalog as it is then goes into the copy.
//! 2. Copy each data file, page by page: from the pool under a shared latch where the page is in memory, from the
//!    file otherwise. Behind each file, copy the log's segments that are full, and let go of them.
//! 3. Note the ends `E` of all logs at one instant.
//! 4. Copy what is left of the logs, up to `E`, and the catalog last: a folder without one is no database.
//!
//! Why the copy recovers to the state at `E`. A page of the copy is whole, and holds at least every change before the
//! redo LSN: step 1 saw to that for the file, and the pool is never behind it. It holds no change behind `E`, because
//! it was copied before. The changes in between are in the copied log; redo applies those that the page's LSN says are
//! missing, and makes the pages that have come to lie behind the end of the copied file. So it is of no account at
//! which instant which page was copied, and that files differ in age.
//!
//! The double-write file is no part of a copy: it mends torn pages, and there are none. An opening makes a new one.
//!
//! Only the log that was written since the last data file began is held back, so what a backup can bear is that a
//! partition is copied before its log fills three quarters of its limit. `hold.rs` gives the backup up otherwise.

mod content;
mod copy;
mod folder;
mod hold;

use std::io::{self, Read};

pub use folder::FolderSink;
pub(crate) use hold::Backups;

use wal::{Lsn, planted};

use crate::catalog::Catalog;
use crate::database::Shared;
use crate::error::{Error, Result};
use crate::pool::Store;
use crate::sync::Arc;
use copy::Copy;

/// Where the files of a backup go.
pub trait BackupSink {
    /// Takes one file: its plain name, its size, and its bytes. What it reads must be all of them, in order; it may
    /// take its time, which the log's limit bounds.
    ///
    /// # Errors
    /// Whatever keeps the sink from going on, or an error of `content`, passed on: either ends the backup.
    fn file(&mut self, name: &str, bytes: u64, content: &mut dyn Read) -> io::Result<()>;
}

/// What a backup came to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct BackupReport {
    /// Files.
    pub files: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Pages of all data files.
    pub pages: u64,
    /// Bytes of the logs that opening the copy has to replay.
    pub log_bytes: u64,
}

impl<const PAGE: usize> Shared<PAGE> {
    /// See [`DatabaseOf::backup`](crate::DatabaseOf::backup).
    pub(crate) fn backup(&self, sink: &mut dyn BackupSink) -> Result<BackupReport> {
        let running = self.backups.begin()?;
        let catalog = self.checkpoint_then(|catalog| {
            catalog.redo.iter().for_each(|(log, &redo)| running.hold(log, Lsn::new(redo)));
            catalog.clone()
        })?;
        // Before the first byte is sent: a backup that cannot be whole is not begun.
        let data_files = self.data_files(&catalog)?;
        let mut copy = Copy::new(self, running, sink, &catalog);
        for (name, store) in data_files {
            copy.data_file(&name, &store)?;
            copy.full_segments()?;
        }
        copy.rest_of_logs()?;
        let catalog = if planted!("backup-catalog-late") { self.catalog.lock().clone() } else { catalog };
        copy.catalog(catalog)
    }

    /// The data files of all tables, by name.
    ///
    /// # Errors
    /// One of them is out of use: what is wrong with it.
    fn data_files(&self, catalog: &Catalog) -> Result<Vec<(String, Arc<Store>)>> {
        let tables = self.tables.read();
        let mut files = Vec::new();
        for (name, entry) in &catalog.tables {
            let table = tables.get(name).ok_or_else(|| Error::NoTable { name: name.clone() })?;
            for (entry, partition) in entry.partitions.iter().zip(&table.partitions) {
                let partition = partition.as_ref().map_err(Clone::clone)?;
                files.push((entry.file(), partition.pages.store.clone()));
            }
        }
        Ok(files)
    }
}
