//! What a backup holds back while it runs: the log's records that it still has to copy, and tables' coming and going.
//!
//! A hold lives in memory only. A crash gives it back, and so does the end of the backup, however it ends.

use std::collections::BTreeMap;

use wal::{Lsn, planted};

use crate::error::{Error, Result};
use crate::sync::Mutex;

/// The backups of a database: at most one runs.
#[derive(Debug)]
pub(crate) struct Backups(Mutex<Option<State>>);

impl Default for Backups {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

#[derive(Debug, Default)]
struct State {
    /// By the log's name: what comes before need not be kept.
    held: BTreeMap<String, Lsn>,
    /// Why the backup was given up. Then nothing is held any more.
    given_up: Option<Error>,
}

/// The one backup that runs, until this is dropped.
#[derive(Debug)]
pub(super) struct Running<'a>(&'a Backups);

impl Backups {
    /// Begins a backup, with nothing held yet.
    ///
    /// # Errors
    /// Another one runs.
    pub(super) fn begin(&self) -> Result<Running<'_>> {
        let mut state = self.0.lock();
        if state.is_some() {
            return Err(Error::BackupRunning);
        }
        *state = Some(State::default());
        Ok(Running(self))
    }

    /// For what cannot be done beside a backup.
    ///
    /// # Errors
    /// One runs.
    pub(crate) fn expect_none(&self) -> Result<()> {
        if self.0.lock().is_some() { Err(Error::BackupRunning) } else { Ok(()) }
    }

    /// How far the log of that name may be recycled that a checkpoint wants to recycle up to `redo`. Where a backup
    /// holds back `room` bytes or more before the log's `end`, the backup is given up: writers would have to wait for
    /// it otherwise.
    pub(crate) fn keep(&self, log: &str, redo: Lsn, end: Lsn, room: u64, limit: u64) -> Lsn {
        let mut state = self.0.lock();
        let Some(state) = state.as_mut() else { return redo };
        let Some(&held) = state.held.get(log) else { return redo };
        if end.get().saturating_sub(held.get()) < room {
            return if planted!("backup-unheld") { redo } else { redo.min(held) };
        }
        state.given_up = Some(Error::BackupGivenUp { log: log.to_string(), limit });
        state.held.clear();
        redo
    }
}

impl Running<'_> {
    /// Holds a log back from `lsn` on. Later calls only ever let go of more.
    pub(super) fn hold(&self, log: &str, lsn: Lsn) {
        if let Some(state) = self.0.0.lock().as_mut().filter(|state| state.given_up.is_none()) {
            state.held.insert(log.to_string(), lsn);
        }
    }

    /// Whether everything is still held. To be asked behind each read of the log: what was read before a segment was
    /// let go of is the segment's.
    ///
    /// # Errors
    /// The backup was given up.
    pub(super) fn check(&self) -> Result<()> {
        let state = self.0.0.lock();
        state.as_ref().and_then(|state| state.given_up.clone()).map_or(Ok(()), Err)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        *self.0.0.lock() = None;
    }
}

#[cfg(all(test, not(any(feature = "loom", feature = "shuttle"))))]
mod tests {
    use super::*;

    fn keep(backups: &Backups, redo: u64, end: u64) -> u64 {
        backups.keep("wal", Lsn::new(redo), Lsn::new(end), 1_000, 2_000).get()
    }

    #[test]
    fn a_hold_bounds_recycling_until_the_backup_ends() {
        let backups = Backups::default();
        assert_eq!(keep(&backups, 500, 600), 500);
        let running = backups.begin().unwrap();
        running.hold("wal", Lsn::new(100));
        assert_eq!(keep(&backups, 500, 600), 100);
        assert_eq!(keep(&backups, 50, 600), 50);
        assert_eq!(backups.keep("other", Lsn::new(500), Lsn::new(9_000), 1_000, 2_000), Lsn::new(500));
        running.hold("wal", Lsn::new(300));
        assert_eq!(keep(&backups, 500, 1_200), 300);
        running.check().unwrap();
        drop(running);
        assert_eq!(keep(&backups, 500, 1_200), 500);
    }

    #[test]
    fn a_log_without_room_ends_the_backup_and_its_holds() {
        let backups = Backups::default();
        let running = backups.begin().unwrap();
        ["wal", "other"].into_iter().for_each(|log| running.hold(log, Lsn::new(100)));
        assert_eq!(keep(&backups, 900, 1_100), 900);
        assert_eq!(backups.keep("other", Lsn::new(500), Lsn::new(600), 1_000, 2_000), Lsn::new(500));
        let error = running.check().unwrap_err().to_string();
        assert!(error.contains("\"wal\"") && error.contains("2000 bytes"), "{error}");
        // A segment that is copied now lets go of nothing and holds nothing.
        running.hold("wal", Lsn::new(900));
        assert_eq!(keep(&backups, 950, 1_100), 950);
        assert!(matches!(backups.begin(), Err(Error::BackupRunning)), "it has still to end");
        drop(running);
        backups.begin().unwrap();
    }
}
