//! The settings of a database. Every column of the comparison is one setting, so that each step of a gain
//! can be attributed to one of them.

use std::fmt;
use std::str::FromStr;

use wal::CommitPolicy;

use crate::error::{Error, Result};

/// The protocol that guards a partition's tree.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Engine {
    /// One lock a tree: the roadmap's baseline.
    Mutex,
    /// Per-page latches with latch coupling.
    Coupled,
}

/// When the mutex engine waits for the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wait {
    /// While it holds the tree's lock, as the roadmap's baseline did.
    UnderLock,
    /// After the lock is released. The latched engines know only this.
    AfterRelease,
}

/// How many logs a database keeps.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogScope {
    /// One for all partitions: one stream of syncs a disk.
    Database,
    /// One a partition: the roadmap's layout.
    Partition,
}

/// Who runs checkpoints.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Maintenance {
    /// A thread of the database's own, ahead of need.
    Background,
    /// Whoever finds the log at its limit. No thread is started: runs are deterministic.
    Inline,
}

macro_rules! names {
    ($type:ident, $option:literal, $($variant:ident = $name:literal),+) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $($type::$variant => $name),+ })
            }
        }
        impl FromStr for $type {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self> {
                match text {
                    $($name => Ok($type::$variant),)+
                    _ => Err(Error::Option {
                        option: $option,
                        reason: format!("unknown value {text:?}; known are {}", [$($name),+].join(", ")),
                    }),
                }
            }
        }
    };
}

names!(Engine, "engine", Mutex = "mutex", Coupled = "coupled");
names!(Wait, "wait", UnderLock = "under-lock", AfterRelease = "after-release");
names!(LogScope, "log_scope", Database = "database", Partition = "partition");

/// The settings of a database. What is fixed when the database or a table is made says so; the rest may
/// differ from one opening to the next.
#[derive(Clone, Debug)]
pub struct Options {
    /// The protocol. Default: [`Engine::Coupled`], or what is compiled in instead.
    pub engine: Engine,
    /// Partitions of a table, 1 to 1,024, fixed when the table is made. Default: 8.
    pub partitions: u32,
    /// How commits are grouped. Default: greedy.
    pub commit: CommitPolicy,
    /// When the mutex engine waits for the log. Default: after release.
    pub wait: Wait,
    /// How many logs, fixed when the database is made. Default: one.
    pub log_scope: LogScope,
    /// Log whole pages instead of what changed in them. Default: no.
    pub page_images: bool,
    /// Memory of the buffer pool, in bytes; at least [`Options::MIN_POOL_PAGES`] pages. Default: 64 MiB.
    pub pool_bytes: usize,
    /// The size that a log does not pass, in bytes. A checkpoint is taken ahead of it. Default: 256 MiB.
    pub log_max_bytes: u64,
    /// The size of a log segment, in bytes. Default: 16 MiB; an eighth of it where there is a log a partition.
    pub log_segment_bytes: u64,
    /// Sync the log before a commit is acknowledged. Without it nothing is durable. Default: yes.
    pub sync: bool,
    /// Who runs checkpoints. Default: a background thread.
    pub maintenance: Maintenance,
}

impl Options {
    /// The smallest buffer pool, in pages.
    pub const MIN_POOL_PAGES: usize = 64;
    /// The most partitions of a table.
    pub const MAX_PARTITIONS: u32 = 1024;

    pub(crate) fn validate(&self, page_bytes: usize) -> Result<()> {
        let refuse = |option, reason| Err(Error::Option { option, reason });
        if !(1..=Self::MAX_PARTITIONS).contains(&self.partitions) {
            let reason = format!("{} partitions; a table has 1 to {}", self.partitions, Self::MAX_PARTITIONS);
            return refuse("partitions", reason);
        }
        let least = Self::MIN_POOL_PAGES * page_bytes;
        if self.pool_bytes < least {
            return refuse(
                "pool_bytes",
                format!("{} bytes; the pool needs at least {least}", self.pool_bytes),
            );
        }
        let segment = self.log_segment_bytes;
        if !(64 << 10..=1 << 30).contains(&segment) || !segment.is_multiple_of(4096) {
            let reason = format!("{segment} bytes; a segment is 64 KiB to 1 GiB, a multiple of 4096 bytes");
            return refuse("log_segment_bytes", reason);
        }
        if self.log_max_bytes < 4 * segment {
            let reason =
                format!("{} bytes; at least four segments ({}) are needed", self.log_max_bytes, 4 * segment);
            return refuse("log_max_bytes", reason);
        }
        Ok(())
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            engine: if cfg!(feature = "latch") { Engine::Coupled } else { Engine::Mutex },
            partitions: 8,
            commit: CommitPolicy::Greedy,
            wait: Wait::AfterRelease,
            log_scope: LogScope::Database,
            page_images: false,
            pool_bytes: 64 << 20,
            log_max_bytes: 256 << 20,
            log_segment_bytes: 16 << 20,
            sync: true,
            maintenance: Maintenance::Background,
        }
    }
}
