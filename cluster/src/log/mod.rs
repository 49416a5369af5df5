//! The log of a node: one on disk for the replicas of all groups, so that one flush makes the writes of all durable.
//!
//! ```text
//! group 0 ──┐                       ┌ vote, entries since the last snapshot,
//! group 1 ──┼─► wal::Log, records   │ in memory, for each group
//! group 2 ──┘   (group, what)       └
//! ```
//!
//! Records of different groups lie in the order in which they came; those of a group are in its own order, and of a
//! log that a crash has cut off, each group has a prefix. What snapshots have made needless is given up segment by
//! segment: where a [checkpoint](NodeLog::checkpoint) begins to read is in a file of its own.

mod contents;
mod group;
mod record;
mod redo;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use wal::{Log, Lsn, Options, Storage, planted};

use contents::Contents;
use record::Record;

pub use group::GroupLog;

/// The number of a group.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct GroupId(pub u32);

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "group {}", self.0)
    }
}

/// Why a node's log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log underneath refused or failed.
    #[error(transparent)]
    Log(#[from] wal::Error),
    /// A call to the storage failed.
    #[error("cannot {what} {file}: {source}")]
    Io {
        /// What was being done, as a verb.
        what: &'static str,
        /// The file.
        file: String,
        /// The storage's own error.
        source: io::Error,
    },
    /// Bytes that are no record, or records that do not follow each other.
    #[error("{file} is damaged: {reason}; remove this node's data and let it join anew")]
    Damaged {
        /// The file, or the log.
        file: String,
        /// What is wrong.
        reason: String,
    },
}

/// The name of the log's files.
const NAME: &str = "raft";

/// The log of a node. Cheap to clone.
#[derive(Clone, Debug)]
pub struct NodeLog(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    storage: Arc<dyn Storage>,
    log: Arc<Log>,
    groups: Mutex<BTreeMap<GroupId, Arc<Mutex<Contents>>>>,
}

impl NodeLog {
    /// Opens the log in that storage, or makes it. The caller holds the storage's lock.
    ///
    /// # Errors
    /// A log that is damaged, or of other options; a failing disk.
    pub fn open(storage: Arc<dyn Storage>, options: Options) -> Result<Self, Error> {
        let groups = Mutex::new(BTreeMap::<GroupId, Arc<Mutex<Contents>>>::new());
        // The file comes last when a log is made: without it, what is there is a creation that a crash has cut off.
        let log = match redo::load(&*storage)? {
            Some(from) => {
                let mut damage = None;
                // A record ends behind where it begins: the end of the one before it is not behind its beginning.
                let mut at = from;
                let log = Log::open(storage.clone(), NAME, options, from, &mut |lsn, payload| {
                    let fits = Record::decode(payload).is_some_and(|(group, record)| {
                        let contents = groups.lock().entry(group).or_default().clone();
                        let mut contents = contents.lock();
                        let takes = contents.takes_again(&record);
                        contents.apply(record, at);
                        takes
                    });
                    if !fits {
                        damage.get_or_insert(lsn);
                    }
                    at = lsn;
                    Ok(())
                })?;
                if let Some(lsn) = damage {
                    let reason = format!("the record that ends at {lsn} does not follow those before it");
                    return Err(Error::Damaged { file: storage.path(NAME), reason });
                }
                if let Some((group, _)) =
                    groups.lock().iter().find(|(_, contents)| !contents.lock().is_whole())
                {
                    let reason = format!("entries of {group} are missing");
                    return Err(Error::Damaged { file: storage.path(NAME), reason });
                }
                log
            }
            None => {
                redo::remove_segments(&*storage, NAME)?;
                let log = Log::create(storage.clone(), NAME, options)?;
                redo::save(&*storage, Lsn::ZERO)?;
                log
            }
        };
        Ok(Self(Arc::new(Shared { storage, log: Arc::new(log), groups })))
    }

    /// The log of one group.
    pub fn group(&self, id: GroupId) -> GroupLog {
        let contents = self.0.groups.lock().entry(id).or_default().clone();
        GroupLog::new(self.clone(), id, contents)
    }

    /// Gives up what no group needs any more. Blocks for a flush.
    ///
    /// # Errors
    /// A failing log or disk; what was not given up is given up by a later call.
    pub fn checkpoint(&self) -> Result<(), Error> {
        // What is appended from here on is read again in any case.
        let mut redo = self.0.log.end();
        let groups: Vec<_> = self.0.groups.lock().iter().map(|(&id, group)| (id, group.clone())).collect();
        for (id, group) in groups {
            let contents = group.lock();
            // Under the group's lock: a later record of the group lies behind this summary.
            for record in contents.summary().filter(|_| !planted!("raft-summary-forgotten")) {
                self.append(id, &record)?;
            }
            if planted!("raft-entries-given-up") {
                continue;
            }
            redo = redo.min(contents.first_at().unwrap_or(redo));
        }
        self.0.log.flush()?;
        redo::save(&*self.0.storage, redo)?;
        Ok(self.0.log.recycle(redo)?)
    }

    /// The bytes that the log's segments take.
    pub fn bytes(&self) -> u64 {
        self.0.log.bytes()
    }

    /// Makes everything durable and lets go of the files. Logs of groups answer with errors from then on.
    ///
    /// # Errors
    /// The log has failed before.
    pub fn close(&self) -> Result<(), Error> {
        Ok(self.0.log.close()?)
    }

    fn append(&self, group: GroupId, record: &Record) -> Result<Lsn, Error> {
        let bytes = record.encode(group).map_err(|error| Error::Damaged {
            file: self.0.storage.path(NAME),
            reason: format!("a record of {group} cannot be written: {error}"),
        })?;
        Ok(self.0.log.append(&bytes)?)
    }
}
