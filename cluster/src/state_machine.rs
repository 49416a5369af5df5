//! A tree as the state machine of a group.
//!
//! The replica of group 7 is the table `group-7` of the node's database, in one partition. Its keys are those of the
//! group behind a byte, and beside them one that says which entry was applied last, and who the members are. Both are
//! written by one batch, which is atomic: after a crash, the tree is what it was behind some entry, and says which.
//! Nothing here waits for the tree's own log, but before entries are given up for a snapshot.

mod snapshot;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{FutureExt, Stream, StreamExt};
use parking_lot::RwLock;
use tokio::sync::Mutex;
use tree::{Batch, Database, Table};

use crate::command::{Command, Outcome};
use crate::consensus::{
    Entry, EntryPayload, EntryResponder, LogId, OptionalSend, RaftStateMachine, SnapshotMeta, SnapshotOf,
    StoredMembership, Types,
};
use crate::log::GroupId;

pub use snapshot::{Builder, SnapshotFile};

/// The key of what was applied last.
const APPLIED: &[u8] = &[0];
/// What keys of the group begin with in the tree.
const KEY: u8 = 1;

/// Where a batch of applied entries ends, in entries and in bytes.
const BATCH_ENTRIES: usize = 256;
const BATCH_BYTES: usize = 1 << 20;

/// What was applied last, and who the members are by that.
type Applied = (Option<LogId>, StoredMembership);
/// The newest snapshot.
type Snapshot = SnapshotOf<Types, SnapshotFile>;

/// The replica of a group.
#[derive(Debug)]
pub struct StateMachine {
    replica: Replica,
    /// Its last applied entry. Held while entries are applied and while a snapshot is made of them.
    applied: Arc<Mutex<Applied>>,
    newest: Arc<Mutex<Option<Snapshot>>>,
}

/// What a group has agreed on, as far as this node has applied it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Replica(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    database: Arc<Database>,
    name: String,
    /// Another one after a snapshot was installed.
    table: RwLock<Table>,
}

impl Replica {
    /// The value of a key. Blocks where it is on disk.
    ///
    /// # Errors
    /// A key that no tree takes; a damaged page; a failing disk.
    pub fn get(&self, key: &[u8]) -> tree::Result<Option<Vec<u8>>> {
        let key = in_tree(key);
        match self.table().get_eventual(&key) {
            // A snapshot has just taken its place: it is the table now.
            Err(tree::Error::TableDropped { .. }) => self.table().get_eventual(&key),
            read => read,
        }
    }

    /// Keys and values of the group, in the order of the keys. No snapshot: writes beside it are seen or not.
    pub fn scan(&self) -> impl Iterator<Item = tree::Result<(Vec<u8>, Vec<u8>)>> + use<> {
        let items = self.table().scan(in_tree(&[])..);
        items.map(|item| item.map(|(key, value)| (key[1..].to_vec(), value)))
    }

    fn table(&self) -> Table {
        self.0.table.read().clone()
    }

    fn applied(&self) -> io::Result<Applied> {
        let Some(bytes) = self.table().get_eventual(APPLIED).map_err(io::Error::other)? else {
            return Ok(Applied::default());
        };
        postcard::from_bytes(&bytes).map_err(io::Error::other)
    }
}

fn in_tree(key: &[u8]) -> Vec<u8> {
    [&[KEY], key].concat()
}

impl StateMachine {
    /// The replica of that group in `database`, which must have been opened with one partition a table.
    ///
    /// # Errors
    /// A failing disk, a damaged page.
    pub fn open(database: Arc<Database>, group: GroupId) -> io::Result<Self> {
        let name = format!("group-{}", group.0);
        let table = match database.table(&name) {
            Some(table) => table,
            None => database.create_table(&name).map_err(io::Error::other)?,
        };
        let replica = Replica(Arc::new(Inner { database, name, table: RwLock::new(table) }));
        let applied = Arc::new(Mutex::new(replica.applied()?));
        Ok(Self { replica, applied, newest: Arc::default() })
    }

    /// What readers use.
    pub fn replica(&self) -> Replica {
        self.replica.clone()
    }
}

/// Entries on their way into the tree: what they make of each key, and what is to be answered.
#[derive(Debug)]
struct Applying {
    table: Table,
    changes: BTreeMap<Bytes, Option<Bytes>>,
    bytes: usize,
}

impl Applying {
    /// Does a command on top of those before it.
    fn command(&mut self, command: Command) -> tree::Result<Outcome> {
        let current = match self.changes.get(&command.key) {
            Some(change) => change.clone(),
            None => self.table.get_eventual(&in_tree(&command.key))?.map(Bytes::from),
        };
        let applied =
            command.condition.holds(current.as_deref()) && (command.value.is_some() || current.is_some());
        if applied {
            self.bytes += command.key.len() + command.value.as_ref().map_or(0, Bytes::len);
            self.changes.insert(command.key, command.value);
        }
        Ok(Outcome { applied })
    }

    /// Writes the changes, and that `applied` was the last entry.
    fn write(self, applied: &Applied) -> io::Result<()> {
        let mut batch = Batch::new();
        batch.put(APPLIED, postcard::to_stdvec(applied).map_err(io::Error::other)?);
        for (key, value) in self.changes {
            let key = in_tree(&key);
            match value {
                Some(value) => batch.put(key, value),
                None => batch.delete(key),
            };
        }
        // Not waited for: the entries are durable in the logs of a majority.
        self.table.apply(&batch).map(drop).map_err(io::Error::other)
    }
}

/// Applies entries to the tree by one batch; the outcome of each. Blocks.
fn apply(table: Table, entries: Vec<Entry>, applied: &mut Applied) -> io::Result<Vec<Outcome>> {
    let mut applying = Applying { table, changes: BTreeMap::new(), bytes: 0 };
    let mut outcomes = Vec::with_capacity(entries.len());
    for entry in entries {
        applied.0 = Some(entry.log_id);
        outcomes.push(match entry.payload {
            EntryPayload::Blank => Outcome { applied: true },
            EntryPayload::Membership(membership) => {
                applied.1 = StoredMembership::new(Some(entry.log_id), membership);
                Outcome { applied: true }
            }
            EntryPayload::Normal(command) => applying.command(command).map_err(io::Error::other)?,
        });
        if applying.bytes >= BATCH_BYTES {
            let next = Applying { table: applying.table.clone(), changes: BTreeMap::new(), bytes: 0 };
            std::mem::replace(&mut applying, next).write(applied)?;
        }
    }
    applying.write(applied)?;
    Ok(outcomes)
}

impl RaftStateMachine<Types> for StateMachine {
    type SnapshotData = SnapshotFile;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> io::Result<Applied> {
        Ok(self.applied.lock().await.clone())
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<Types>>> + Unpin + OptionalSend,
    {
        while let Some(first) = entries.next().await {
            // What is there already goes into the same batch.
            let mut pieces = vec![first?];
            while pieces.len() < BATCH_ENTRIES
                && let Some(Some(next)) = entries.next().now_or_never()
            {
                pieces.push(next?);
            }
            let (batch, responders): (Vec<_>, Vec<_>) = pieces.into_iter().unzip();
            let table = self.replica.table();
            let mut applied = self.applied.clone().lock_owned().await;
            let work = move || {
                // Only what is in the tree counts as applied.
                let mut next = applied.clone();
                let outcomes = apply(table, batch, &mut next)?;
                *applied = next;
                Ok::<_, io::Error>(outcomes)
            };
            let outcomes = tokio::task::spawn_blocking(work).await.map_err(io::Error::other)??;
            for (responder, outcome) in responders.into_iter().zip(outcomes) {
                if let Some(responder) = responder {
                    responder.send(outcome);
                }
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder::new(self.replica(), self.applied.clone(), self.newest.clone())
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: SnapshotFile) -> io::Result<()> {
        let mut applied = self.applied.lock().await;
        let state: Applied = (meta.last_log_id, meta.last_membership.clone());
        let (replica, file, write) = (self.replica(), snapshot.clone(), state.clone());
        let installed = tokio::task::spawn_blocking(move || snapshot::install(&replica, &file, &write));
        installed.await.map_err(io::Error::other)??;
        *applied = state;
        *self.newest.lock().await = Some(Snapshot { meta: meta.clone(), snapshot });
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        Ok(self.newest.lock().await.clone())
    }
}
