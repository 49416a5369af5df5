//! What can go wrong, each with the thing it concerns and what to do about it.

use std::io;
use std::sync::Arc;

/// Errors of the engine. Cheap to clone, because one cause can reach many waiting callers.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The log refused or failed: see [`wal::Error`].
    #[error(transparent)]
    Log(#[from] wal::Error),
    /// A call to the storage failed.
    #[error("cannot {what} {file}: {source}")]
    Io {
        /// What was being done, as a verb.
        what: &'static str,
        /// The file, as the storage names it.
        file: String,
        /// The storage's own error.
        source: Arc<io::Error>,
    },
    /// Write-back has failed before: pages in memory can no longer reach their files.
    #[error("write-back stopped after a failure ({cause}); reopen the database to recover from its log")]
    WriteBackFailed {
        /// The first failure.
        cause: String,
    },
    /// Keys are 1 to `max` bytes long.
    #[error("a key of {len} bytes was given; keys are 1 to {max} bytes long")]
    KeyLength {
        /// The length given, in bytes.
        len: usize,
        /// The longest key, in bytes.
        max: usize,
    },
    /// Values are at most `max` bytes long.
    #[error(
        "a value of {len} bytes was given; values are at most {max} bytes long: split it, or store it elsewhere"
    )]
    ValueTooLarge {
        /// The length given, in bytes.
        len: usize,
        /// The longest value, in bytes.
        max: usize,
    },
    /// A batch is larger than one log record and the pool can hold.
    #[error(
        "a batch of {ops} operations and {bytes} bytes was given; at most {max_ops} operations and {max_bytes} bytes fit: split it"
    )]
    BatchTooLarge {
        /// Operations given.
        ops: usize,
        /// Bytes of keys and values given.
        bytes: usize,
        /// The most operations.
        max_ops: usize,
        /// The most bytes of keys and values.
        max_bytes: usize,
    },
    /// A batch names one key twice, so that its outcome would depend on an order that it does not have.
    #[error("the batch holds the key {key:?} twice; give each key once")]
    BatchKeyTwice {
        /// The key, bytes that are no text escaped.
        key: String,
    },
    /// The table's name cannot be a part of file names, or its files would be another table's.
    #[error("table name {name:?} is refused: {why}")]
    TableName {
        /// The name given.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// A table of that name exists.
    #[error("table {name:?} exists already; open it, or drop it first")]
    TableExists {
        /// The name given.
        name: String,
    },
    /// There is no table of that name.
    #[error("there is no table {name:?}; create it first")]
    NoTable {
        /// The name given.
        name: String,
    },
    /// The table was dropped while this handle was held.
    #[error("table {name:?} was dropped")]
    TableDropped {
        /// The table's name.
        name: String,
    },
    /// Another process, or another handle in this one, has the database open.
    #[error(
        "the database in {path} is open already, by another process or another handle; close it there first"
    )]
    InUse {
        /// The folder.
        path: String,
    },
    /// The database was closed while this handle was held.
    #[error("the database is closed")]
    Closed,
    /// A file is not what it should be.
    #[error("{file} cannot be used: {reason}")]
    Format {
        /// The file.
        file: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// A page is damaged. The partition that it belongs to is out of use; the others go on.
    #[error("{file}, page {page} is damaged: {reason}; restore this file from a backup")]
    Damaged {
        /// The file.
        file: String,
        /// The page's number in the file.
        page: u32,
        /// What is wrong.
        reason: String,
    },
    /// An option is out of its range.
    #[error("option {option}: {reason}")]
    Option {
        /// The option's name.
        option: &'static str,
        /// What is wrong, and what is allowed.
        reason: String,
    },
    /// The operation would have to wait: see [`InMemory`](crate::InMemory). Nothing was changed.
    #[error("the operation would have to wait for the disk or the log; call it where waiting is allowed")]
    WouldWait,
    /// A backup is under way.
    #[error(
        "a backup is under way; until it has finished, no table can be made or dropped and no other backup begun: \
         try again later"
    )]
    BackupRunning,
    /// The log reached its limit while a backup held it back, and goes on without it.
    #[error(
        "the backup was given up because the log {log:?} came near its limit of {limit} bytes while it ran; begin it \
         anew when less is written, read it faster, or set log_max_bytes higher"
    )]
    BackupGivenUp {
        /// The log's name.
        log: String,
        /// The log's limit, in bytes.
        limit: u64,
    },
    /// Every frame of the pool is in use at once.
    #[error("all {frames} pages of the buffer pool are in use at once; set pool_bytes higher")]
    PoolExhausted {
        /// The pool's size in pages.
        frames: usize,
    },
    /// The partition's file cannot grow any more.
    #[error("{file} has reached the limit of {pages} pages; spread the table over more partitions")]
    PartitionFull {
        /// The file.
        file: String,
        /// The limit, in pages.
        pages: u32,
    },
}

impl Error {
    /// Whether the disk may do tomorrow what it has not done today.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Error::Io { source, .. } if source.kind() != io::ErrorKind::NotFound)
    }

    /// Wraps a storage error with what was being done to which file.
    pub(crate) fn io(what: &'static str, file: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
        let file = file.into();
        move |source| Error::Io { what, file, source: Arc::new(source) }
    }
}

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;
