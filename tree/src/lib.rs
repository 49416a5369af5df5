//! A page-latched, durable, concurrent B+ tree, and the baseline that it is measured against.
//!
//! ```
//! use tree::{Database, Options};
//! # if cfg!(any(feature = "loom", feature = "shuttle")) { return Ok(()); } // their types work in models only
//!
//! let folder = tempfile::tempdir()?;
//! let database = Database::open(folder.path(), Options::default())?;
//! let users = database.create_table("users")?;
//! users.put(b"user-1000", b"{\"age\":30}")?.wait()?; // survives a crash from here on
//! assert_eq!(users.get(b"user-1000")?.as_deref(), Some(&b"{\"age\":30}"[..]));
//! database.close()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A put, the way that the data goes: `table.rs` routes it by hash to a partition; the partition's protocol
//! (`btree/`) finds and latches the leaf; `change.rs` logs the change under the latch and applies it; the
//! latch is released; and only the ticket (`commit.rs`) waits for the log. ARCHITECTURE.md walks through it.

#![deny(unsafe_code)]
#![cfg_attr(
    any(feature = "loom", feature = "shuttle"),
    allow(dead_code, reason = "models use a part of the crate")
)]

mod backup;
mod batch;
mod btree;
mod catalog;
mod change;
pub mod check;
mod checkpoint;
mod commit;
mod count;
mod database;
mod epoch;
mod error;
// Stored settings name both protocols, so both have to be there.
#[cfg(all(
    any(test, fuzzing),
    feature = "mutex",
    feature = "latch",
    not(any(feature = "loom", feature = "shuttle"))
))]
#[doc(hidden)]
pub mod fuzz;
mod in_memory;
#[allow(unsafe_code, reason = "latches and the pool are where all unsafe code lives")]
mod latch;
#[cfg(any(feature = "loom", feature = "shuttle"))]
#[allow(unsafe_code, reason = "a cell behind a latch, for the model of the latch")]
pub mod model;
mod options;
mod overlay;
mod page;
mod pages;
mod partition;
#[allow(unsafe_code, reason = "latches and the pool are where all unsafe code lives")]
mod pool;
mod redo;
mod remove;
mod shape;
mod space;
mod staged;
mod stats;
mod striped;
#[allow(unsafe_code, reason = "the cell that the pool is made of has unsafe accessors")]
mod sync;
mod table;

pub use backup::{BackupReport, BackupSink, FolderSink};
pub use batch::Batch;
pub use btree::Condition;
pub use btree::overflow::MAX_VALUE;
pub use check::CheckReport;
pub use commit::{Commit, CommitFuture};
pub use database::DatabaseOf;
pub use error::{Error, Result};
pub use in_memory::InMemory;
pub use options::{Engine, LogScope, Maintenance, Options, Wait};
pub use shape::{LevelShape, PartitionShape};
pub use staged::StagedTableOf;
pub use stats::{LevelStats, PartitionStats, PoolStats, Stats, TreeStats};
pub use table::{ScanOf, TableInfo, TableOf};
pub use wal::CommitPolicy;

/// The size of a page, in bytes.
pub const PAGE_BYTES: usize = 4096;
/// The longest key, in bytes.
pub const MAX_KEY: usize = page::limits::max_key(PAGE_BYTES);

/// A database with pages of [`PAGE_BYTES`].
pub type Database = DatabaseOf<PAGE_BYTES>;
/// A table with pages of [`PAGE_BYTES`].
pub type Table = TableOf<PAGE_BYTES>;
/// A staged table with pages of [`PAGE_BYTES`].
pub type StagedTable = StagedTableOf<PAGE_BYTES>;
/// A scan over pages of [`PAGE_BYTES`].
pub type Scan = ScanOf<PAGE_BYTES>;
