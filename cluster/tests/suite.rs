//! The consensus library's own tests of a storage, run on ours.
#![cfg(not(feature = "loom"))]

use std::sync::Arc;

use cluster::consensus::Types;
use cluster::log::{GroupId, GroupLog, NodeLog};
use cluster::state_machine::StateMachine;
use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use tempfile::TempDir;
use tree::{Database, Options};
use wal::{DirStorage, Storage};

struct Builder;

impl StoreBuilder<Types, GroupLog, StateMachine, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, GroupLog, StateMachine), StorageError<Types>> {
        let folder = tempfile::tempdir().unwrap();
        let storage: Arc<dyn Storage> = Arc::new(DirStorage::open(folder.path().join("raft")).unwrap());
        let options = wal::Options { segment_bytes: 64 << 10, ..wal::Options::default() };
        let log = NodeLog::open(storage, options).unwrap();
        let options = Options { partitions: 1, pool_bytes: 1 << 20, ..Options::default() };
        let database = Arc::new(Database::open(folder.path().join("tree"), options).unwrap());
        let state_machine = StateMachine::open(database, GroupId(7)).unwrap();
        Ok((folder, log.group(GroupId(7)), state_machine))
    }
}

#[test]
fn the_engines_own_tests_of_a_storage_pass() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(Suite::test_all(Builder)).unwrap();
}
