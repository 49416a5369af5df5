//! What can go wrong, said so that an operator knows what, where, and what to do.

use std::io;
use std::sync::Arc;

use crate::Lsn;

/// An error of the log. Cheap to clone: one failed flush is told to every waiter.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The storage refused a call.
    #[error("cannot {what} {file}: {source}")]
    Io {
        /// The call, as a verb: `open`, `write`, `sync`.
        what: &'static str,
        /// The file, as [`Storage::path`](crate::Storage::path) names it.
        file: String,
        /// The reason that the storage gave.
        source: Arc<io::Error>,
    },
    /// Bytes that were durable once are damaged. Nothing was changed.
    #[error("{file} is damaged at byte {offset}: {reason}; restore this log from a replica or a backup")]
    Corrupt {
        /// The damaged file.
        file: String,
        /// The first byte that cannot be read as what it should be, from the beginning of the file.
        offset: u64,
        /// What was found.
        reason: String,
    },
    /// An earlier write or sync failed, so that nobody knows what is on the disk; the log takes no more
    /// records. A failed sync is never retried: the kernel may have dropped the dirty pages and reported
    /// it once only.
    #[error("the log stopped after an error ({cause}); check the disk, then restart to recover from it")]
    Poisoned {
        /// The first error.
        cause: Arc<Error>,
    },
    /// The log was closed.
    #[error("the log was closed")]
    Closed,
    /// The record does not fit into a segment.
    #[error(
        "a record of {bytes} bytes is larger than {limit}, the most that a segment takes; raise segment_bytes for a new log or write less at once"
    )]
    TooLarge {
        /// The record's payload, in bytes.
        bytes: u64,
        /// The largest payload, in bytes.
        limit: u64,
    },
    /// The log has reached its size limit, because no checkpoint has let it recycle segments.
    #[error(
        "the log holds {bytes} bytes of its limit of {limit}; let a checkpoint finish, or raise max_bytes"
    )]
    Full {
        /// The bytes behind the last recycle point, in bytes.
        bytes: u64,
        /// [`Options::max_bytes`](crate::Options::max_bytes).
        limit: u64,
    },
    /// A segment that recovery needs does not exist.
    #[error(
        "{file} is missing, but recovery has to read from LSN {from}; restore it, or restore this log from a replica or a backup"
    )]
    Missing {
        /// The file that should exist.
        file: String,
        /// Where recovery begins.
        from: Lsn,
    },
    /// A wait for a record that was never appended: the LSN belongs to another log, or the log has lost its
    /// end.
    #[error("LSN {lsn} lies beyond the log's end {end}: the file that bears it does not belong to this log")]
    Beyond {
        /// The LSN asked for.
        lsn: Lsn,
        /// The log's end.
        end: Lsn,
    },
    /// The options do not make sense, or are not those that the log was created with.
    #[error("the options of the log are wrong: {reason}")]
    Options {
        /// Which one, and what it may be.
        reason: String,
    },
    /// The receiver of the records refused one during recovery.
    #[error("cannot replay the record at LSN {lsn}: {reason}")]
    Replay {
        /// The record.
        lsn: Lsn,
        /// What the receiver said.
        reason: String,
    },
}

impl Error {
    pub(crate) fn io(what: &'static str, file: String) -> impl FnOnce(io::Error) -> Error {
        move |source| Error::Io { what, file, source: Arc::new(source) }
    }
}
