//! A write-ahead log: LSNs and bytes, no pages.
//!
//! ```text
//!   append ──> tail (memory) ──> flush (one leader) ──> segments (files) ──> recovery ──> replay
//!                 │                  │
//!   wait ─────────┴── gates, wakers ─┘   by the commit policy
//! ```
//!
//! A record is durable once a [`Log::wait`] for its [`Lsn`] has returned. Waiters are served in groups: one
//! of them leads, writes what everyone has appended, and syncs once for all (group commit; DeWitt et al.,
//! SIGMOD 1984). The [`CommitPolicy`] says how long it waits for company. Log positions are file positions,
//! and records carry what recovery needs to tell a torn tail from damage.
//!
//! The crate never panics on file contents, and after an error of the disk it stops rather than guess.
//!
//! | file | what it holds |
//! |---|---|
//! | `log.rs` | the public face |
//! | `tail.rs` | the records in memory |
//! | `commit.rs` | append, flush, wait: who leads, who sleeps, who is woken |
//! | `future.rs`, `background.rs` | waiting as a future, and the threads that futures need |
//! | `record.rs`, `segment.rs` | the bytes on disk |
//! | `supply.rs` | making and recycling segments |
//! | `recovery.rs` | opening after a crash |
//! | `copy.rs` | reading segments for a copy of the log |
//! | `storage/` | folders: on disk, in memory, faulty, delayed |
//! | `sync.rs` | every synchronisation primitive, or a model checker's |
//! | `delay.rs` | delays where threads interleave, for stress tests |
//! | `mutant.rs` | faults that are planted to test the tests |
#![forbid(unsafe_code)]

#[doc(hidden)]
#[macro_use]
pub mod mutant;

mod background;
mod commit;
mod copy;
mod delay;
mod error;
mod future;
#[cfg(all(any(test, fuzzing), not(any(feature = "loom", feature = "shuttle"))))]
#[doc(hidden)]
pub mod fuzz;
mod log;
mod lsn;
mod options;
mod record;
mod recovery;
mod segment;
mod stats;
mod storage;
mod supply;
mod sync;
mod tail;

pub use copy::SegmentReader;
#[doc(hidden)]
pub use delay::delay;
pub use error::Error;
pub use future::Durable;
pub use log::{Log, Replay};
pub use lsn::Lsn;
pub use options::{CommitPolicy, Options};
pub use stats::Stats;
pub use storage::{Call, DelayedStorage, DirStorage, Fault, FaultyStorage, File, MemoryStorage, Storage};
