//! A backup under way: which files are sent, and how far each log is.

use std::io::Read;

use wal::{Lsn, planted};

use super::content::{Content, PageSource, Source};
use super::hold::Running;
use super::{BackupReport, BackupSink};
use crate::catalog::{self, Catalog};
use crate::database::Shared;
use crate::error::{Error, Result};
use crate::pool::Store;
use crate::sync::Arc;

/// A backup under way.
pub(super) struct Copy<'c, const PAGE: usize> {
    shared: &'c Shared<PAGE>,
    running: Running<'c>,
    sink: &'c mut dyn BackupSink,
    logs: Vec<CopiedLog>,
    report: BackupReport,
}

/// A log, and how much of it is copied.
struct CopiedLog {
    name: String,
    log: Arc<wal::Log>,
    /// Where recovery of the copy begins.
    redo: Lsn,
    /// The segment that is to be copied next.
    next: u64,
}

impl<'c, const PAGE: usize> Copy<'c, PAGE> {
    /// A backup of what `catalog` names, with the logs held back from its redo LSNs on.
    pub(super) fn new(
        shared: &'c Shared<PAGE>,
        running: Running<'c>,
        sink: &'c mut dyn BackupSink,
        catalog: &Catalog,
    ) -> Self {
        let open = shared.logs.read();
        let logs = open.iter().map(|(name, open)| {
            let redo = catalog.redo_lsn(name);
            CopiedLog { name: name.clone(), log: open.log.clone(), redo, next: open.log.segment_number(redo) }
        });
        Self { shared, running, sink, logs: logs.collect(), report: BackupReport::default() }
    }

    /// Sends the pages that the file has now. Those that come to lie behind them are in the log.
    pub(super) fn data_file(&mut self, name: &str, store: &Arc<Store>) -> Result<()> {
        let count = store.pages::<PAGE>()?;
        let mut pages = PageSource::new(self.shared, store);
        self.send(name, count * PAGE as u64, &mut |buf| pages.read(buf))?;
        self.report.pages += count;
        Ok(())
    }

    /// Sends the segments that nothing is appended to any more, and lets the log recycle them.
    pub(super) fn full_segments(&mut self) -> Result<()> {
        for index in 0..self.logs.len() {
            let log = self.logs[index].log.clone();
            let durable = log.durable();
            while self.logs[index].next < log.segment_number(durable) {
                self.next_segment(index, durable)?;
                let CopiedLog { name, next, .. } = &self.logs[index];
                self.running.hold(name, log.segment_start(*next));
                let redo = self.shared.catalog.lock().redo_lsn(name);
                self.shared.recycle(name, &log, redo)?;
            }
        }
        Ok(())
    }

    /// Sends what is left of all logs, up to where they end at one instant.
    pub(super) fn rest_of_logs(&mut self) -> Result<()> {
        let mut ends = Vec::new();
        ends_at_once(&self.logs, &mut ends);
        for (index, end) in ends.into_iter().enumerate() {
            let log = &self.logs[index];
            let end = if planted!("backup-ends-apart") { log.log.end() } else { end };
            let (redo, last) = (log.redo, log.log.segment_number(end));
            while self.logs[index].next <= last {
                self.next_segment(index, end)?;
            }
            self.report.log_bytes += end.get().saturating_sub(redo.get());
        }
        Ok(())
    }

    /// Sends the catalog. It comes last: a folder without one is no database, so that a copy that was cut short is
    /// not taken for a whole one.
    pub(super) fn catalog(mut self, catalog: Catalog) -> Result<BackupReport> {
        // The files of dropped tables were not copied, so there is nothing to remove.
        let bytes = Catalog { dropping: Vec::new(), ..catalog }.encode()?;
        let mut rest = &bytes[..];
        let read = &mut |buf: &mut [u8]| rest.read(buf).map_err(Error::io("copy", catalog::FILE));
        self.send(catalog::FILE, bytes.len() as u64, read)?;
        Ok(self.report)
    }

    fn next_segment(&mut self, index: usize, end: Lsn) -> Result<()> {
        let CopiedLog { log, next, .. } = &mut self.logs[index];
        let opened = log.read_segment(*next, end);
        *next += 1;
        // A segment that was recycled is not there any more: why that could be is the better answer.
        self.running.check()?;
        let mut segment = opened?;
        let (name, bytes) = (segment.name().to_string(), segment.total_bytes());
        self.send(&name, bytes, &mut |buf| segment.read(buf).map_err(Error::io("read", &*name)))
    }

    fn send(&mut self, name: &str, bytes: u64, source: Source<'_>) -> Result<()> {
        let mut content = Content { source, running: &self.running, left: bytes, failure: None };
        let sent = self.sink.file(name, bytes, &mut content);
        content.failure.map_or(Ok(()), Err)?;
        sent.map_err(Error::io("write the backup's copy of", name))?;
        if content.left > 0 {
            let read = bytes - content.left;
            let short = std::io::Error::other(format!("only {read} of its {bytes} bytes were taken"));
            return Err(Error::io("write the backup's copy of", name)(short));
        }
        self.report.files += 1;
        self.report.bytes += bytes;
        Ok(())
    }
}

/// The ends of all logs while nobody appends to any of them.
fn ends_at_once(logs: &[CopiedLog], ends: &mut Vec<Lsn>) {
    // Nobody else holds up two logs at a time, so that the order among them is of no account.
    if let Some((first, rest)) = logs.split_first() {
        first.log.snapshot(|end| {
            ends.push(end);
            ends_at_once(rest, ends);
        });
    }
}
