//! The records of a node's log, as bytes.
//!
//! A record is its group (4 bytes, little-endian) and a [`Record`] in postcard's format.

use serde::{Deserialize, Serialize};

use super::GroupId;
use crate::consensus::{Entry, LogId, Vote};

/// Something that a group wants to find again after a crash. Later records count over earlier ones.
#[derive(Debug, Deserialize, Serialize)]
pub(super) enum Record {
    Entry(Entry),
    Vote(Vote),
    /// The log ends with this entry; what follows it was never agreed on.
    TruncatedAfter(Option<LogId>),
    /// What a snapshot has made needless, up to this entry.
    Purged(LogId),
    /// The last entry that is known to be agreed on.
    Committed(Option<LogId>),
}

impl Record {
    pub(super) fn encode(&self, group: GroupId) -> postcard::Result<Vec<u8>> {
        postcard::to_extend(self, group.0.to_le_bytes().to_vec())
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<(GroupId, Self)> {
        let (group, record) = bytes.split_first_chunk::<4>()?;
        let (record, rest) = postcard::take_from_bytes(record).ok()?;
        rest.is_empty().then_some((GroupId(u32::from_le_bytes(*group)), record))
    }
}
