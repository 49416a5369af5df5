//! Counters of what a log has done.

use crate::sync::{Counter, Ordering};

/// What a log has done since it was opened.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub struct Stats {
    /// Records appended.
    pub appends: u64,
    /// Their payloads, in bytes.
    pub appended_bytes: u64,
    /// Groups flushed: writes of everything that was appended so far.
    pub groups: u64,
    /// Commits that came to wait, threads and futures; divided by `groups`, the mean size of a group.
    pub served: u64,
    /// Syncs of segment files; more than `groups` where a group spans segments.
    pub syncs: u64,
    /// Bytes written by the flushes, frames and headers included.
    pub synced_bytes: u64,
}

/// The flush's part of [`Stats`]. Only the leader writes, so relaxed stores and loads are enough.
#[derive(Debug, Default)]
pub(crate) struct FlushCounters {
    pub(crate) groups: Counter,
    pub(crate) served: Counter,
    pub(crate) syncs: Counter,
    pub(crate) synced_bytes: Counter,
}

pub(crate) fn add(counter: &Counter, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

pub(crate) fn read(counter: &Counter) -> u64 {
    counter.load(Ordering::Relaxed)
}
