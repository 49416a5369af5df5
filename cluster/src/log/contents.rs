//! What a group's log holds, in memory.

use std::collections::VecDeque;
use std::ops::{Bound, RangeBounds};

use wal::Lsn;

use super::record::Record;
use crate::consensus::{Entry, LogId, Vote};

/// An entry, and a position in the node's log at or before its record.
#[derive(Debug)]
struct Kept {
    entry: Entry,
    at: Lsn,
}

/// The state of one group's log. Its entries have consecutive indices.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) vote: Option<Vote>,
    pub(super) committed: Option<LogId>,
    pub(super) purged: Option<LogId>,
    entries: VecDeque<Kept>,
}

impl Contents {
    /// Whether a record can come next: an entry must leave no hole.
    pub(super) fn takes(&self, record: &Record) -> bool {
        match (record, self.last()) {
            (Record::Entry(entry), Some(last)) => entry.log_id.index == last.index + 1,
            _ => true,
        }
    }

    /// Whether a record of the past can come next. Those before it may have been given up, up to a purge that comes
    /// later: then an entry may leave a hole, as long as there are none before it.
    pub(super) fn takes_again(&self, record: &Record) -> bool {
        self.entries.is_empty() || self.takes(record)
    }

    /// Whether the past that was given up is the one that was purged.
    pub(super) fn is_whole(&self) -> bool {
        let first = self.entries.front().map(|kept| kept.entry.log_id.index);
        first.zip(self.purged).is_none_or(|(first, purged)| first == purged.index + 1)
    }

    /// Does what a record says that was written at `at` or behind it.
    pub(super) fn apply(&mut self, record: Record, at: Lsn) {
        match record {
            Record::Entry(entry) => self.entries.push_back(Kept { entry, at }),
            Record::Vote(vote) => self.vote = Some(vote),
            Record::TruncatedAfter(last) => {
                let behind = last.map_or(0, |last| last.index + 1);
                while self.entries.back().is_some_and(|kept| kept.entry.log_id.index >= behind) {
                    self.entries.pop_back();
                }
            }
            Record::Purged(upto) => {
                while self.entries.front().is_some_and(|kept| kept.entry.log_id.index <= upto.index) {
                    self.entries.pop_front();
                }
                self.purged = self.purged.max(Some(upto));
            }
            Record::Committed(committed) => self.committed = committed,
        }
    }

    /// The last entry there is, or was before it was purged.
    pub(super) fn last(&self) -> Option<LogId> {
        self.entries.back().map(|kept| kept.entry.log_id).or(self.purged)
    }

    /// The entries of that range which are there.
    pub(super) fn range(&self, range: impl RangeBounds<u64>) -> Vec<Entry> {
        let Some(first) = self.entries.front().map(|kept| kept.entry.log_id.index) else { return Vec::new() };
        let start = match range.start_bound() {
            Bound::Included(&start) => start,
            Bound::Excluded(&start) => start.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(&end) => end.saturating_add(1),
            Bound::Excluded(&end) => end,
            Bound::Unbounded => u64::MAX,
        };
        let place = |index: u64| usize::try_from(index.saturating_sub(first)).unwrap_or(usize::MAX);
        let end = place(end).min(self.entries.len());
        let start = place(start).min(end);
        self.entries.range(start..end).map(|kept| kept.entry.clone()).collect()
    }

    /// A position that no entry's record begins before; none where there are no entries.
    pub(super) fn first_at(&self) -> Option<Lsn> {
        self.entries.iter().map(|kept| kept.at).min()
    }

    /// The records that say the same as all but the entries, to be written anew where the log's beginning is given up.
    pub(super) fn summary(&self) -> impl Iterator<Item = Record> {
        let vote = self.vote.map(Record::Vote);
        let committed = self.committed.map(|committed| Record::Committed(Some(committed)));
        let purged = self.purged.map(Record::Purged);
        [purged, vote, committed].into_iter().flatten()
    }
}
