//! The node at one moment: rates of the last interval, and the trees as they are.
//!
//! The shape of these types is the JSON that `/api/v1/stats` and `/api/v1/events` answer. Rates are per second; times
//! are in milliseconds; every key is always there.

use std::collections::BTreeMap;

use serde::Serialize;

/// One snapshot.
#[derive(Clone, Debug, Serialize)]
pub struct Snapshot {
    /// When it was taken, in milliseconds since 1970.
    pub time_ms: u64,
    /// The node's name.
    pub node_id: String,
    /// The program's version.
    pub version: &'static str,
    /// The preset that the node's settings began with.
    pub preset: String,
    /// The protocol of its trees.
    pub engine: String,
    /// When a group commit flushes.
    pub commit: String,
    /// Partitions of a new table.
    pub partitions: u32,
    /// How long the node has been up, in seconds.
    pub uptime_s: f64,
    /// Each operation that was seen since the start.
    pub operations: BTreeMap<&'static str, OperationSnapshot>,
    /// Requests admitted and not yet answered.
    pub in_flight: u64,
    /// Open connections.
    pub connections: u64,
    /// Requests and connections refused because of the load.
    pub shed_rate: f64,
    /// All logs together.
    pub log: LogSnapshot,
    /// The buffer pool.
    pub pool: PoolSnapshot,
    /// Checkpoints taken since the start.
    pub checkpoints: u64,
    /// All tables, by name.
    pub tables: Vec<TableSnapshot>,
}

/// One operation.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct OperationSnapshot {
    /// Requests.
    pub rate: f64,
    /// Those that were answered with a status of 500 or more.
    pub error_rate: f64,
    /// Half of the requests took at most this long; 0 where there was none.
    pub p50_ms: f64,
    /// 95 % of them.
    pub p95_ms: f64,
    /// 99 % of them.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

/// All logs together.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct LogSnapshot {
    /// Groups flushed.
    pub flush_rate: f64,
    /// Commits that waited for a flush.
    pub commit_rate: f64,
    /// Commits of a flush, in the mean of the interval; 0 where nothing was flushed.
    pub group_mean: f64,
    /// Bytes written by flushes.
    pub byte_rate: f64,
    /// Records appended.
    pub append_rate: f64,
}

/// The buffer pool.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct PoolSnapshot {
    /// Its size, in pages.
    pub frames: u64,
    /// Look-ups of pages answered from memory.
    pub hit_rate: f64,
    /// Pages read from files.
    pub miss_rate: f64,
    /// Frames given to another page.
    pub eviction_rate: f64,
    /// Pages written back.
    pub written_rate: f64,
    /// Latches that were not free at once.
    pub latch_wait_rate: f64,
}

/// One table.
#[derive(Clone, Debug, Serialize)]
pub struct TableSnapshot {
    /// Its name.
    pub name: String,
    /// Its items.
    pub items: u64,
    /// Its partitions, in order; those out of use because of damage are left out.
    pub partitions: Vec<PartitionSnapshot>,
}

/// One partition.
#[derive(Clone, Debug, Serialize)]
pub struct PartitionSnapshot {
    /// Its items.
    pub items: u64,
    /// The length of its file, in pages.
    pub pages: u64,
    /// Nodes split.
    pub split_rate: f64,
    /// Nodes merged into a neighbour.
    pub merge_rate: f64,
    /// Operations that released every latch and began again.
    pub restart_rate: f64,
    /// Milliseconds that threads waited for the tree's lock, by second, all threads together: 2000 are two threads
    /// that wait all the time. Only the mutex engine has that lock.
    pub lock_wait_ms: f64,
    /// The levels of its tree, leaves first, the root last.
    pub levels: Vec<LevelSnapshot>,
}

/// One level of a tree.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct LevelSnapshot {
    /// Nodes, as far as nodes in memory tell; some seconds old.
    pub nodes: u64,
    /// How full they are, 0 to 1: the mean of a sample; some seconds old.
    pub fill: f64,
    /// Milliseconds that threads waited for latches on these nodes, by second, all threads together.
    pub latch_wait_ms: f64,
    /// Latches that were not free at once, by second.
    pub latch_waits: f64,
    /// Operations that began again because of such a node, by second.
    pub restarts: f64,
}
