//! The consensus engine, `openraft`: an alpha, so that all that is used of it is named here.

use wal::planted;

use crate::command::{Command, Outcome};

pub use openraft::alias::{EntryOf, LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf, VoteOf};
pub use openraft::storage::{
    EntryResponder, IOFlushed, LogState, RaftLogReader, RaftLogStorage, RaftSnapshotBuilder, RaftStateMachine,
};
pub use openraft::{Config, EntryPayload, OptionalSend, Raft, RaftTypeConfig};

openraft::declare_raft_types!(
    /// The types that a group is made of.
    pub Types:
        D = Command,
        R = Outcome,
);

/// Times of a group, in milliseconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Times {
    /// Between two signs of life of a leader.
    pub heartbeat: u64,
    /// The shortest and the longest silence after which a follower stands for election.
    pub election: (u64, u64),
    /// What sending a snapshot may take.
    pub snapshot: u64,
}

/// The engine's configuration.
///
/// # Errors
/// Times that contradict each other, as a message.
pub fn config(times: Times) -> Result<Config, String> {
    let config = Config {
        heartbeat_interval: times.heartbeat,
        election_timeout_min: times.election.0,
        election_timeout_max: times.election.1,
        install_snapshot_timeout: times.snapshot,
        // A leader counts the logs of others while its own flush is under way. If the power fails then, it has lost
        // entries that were acknowledged; were it leader again in the same term, it would give others their places.
        enable_leader_restore: Some(planted!("raft-leader-restored")),
        // A node that was cut off must not end the term of a leader that works.
        enable_pre_vote: Some(true),
        ..Config::default()
    };
    config.validate().map_err(|error| error.to_string())
}

/// An entry of a group's log.
pub type Entry = EntryOf<Types>;
/// The place of an entry: the leader that made it, and its index.
pub type LogId = LogIdOf<Types>;
/// Whom a node has voted for.
pub type Vote = VoteOf<Types>;
/// The members of a group, and the entry that made them so.
pub type StoredMembership = StoredMembershipOf<Types>;
/// What a snapshot holds.
pub type SnapshotMeta = SnapshotMetaOf<Types>;
