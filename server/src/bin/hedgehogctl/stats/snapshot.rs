//! The node's snapshot, as far as it is shown. Figures that a node does not know are zero.

use std::collections::BTreeMap;

use serde::Deserialize;

/// One second of a node. Rates are per second, times in milliseconds.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Snapshot {
    pub(super) node_id: String,
    pub(super) version: String,
    pub(super) preset: String,
    pub(super) engine: String,
    pub(super) commit: String,
    pub(super) partitions: u64,
    pub(super) uptime_s: f64,
    pub(super) operations: BTreeMap<String, Operation>,
    pub(super) in_flight: u64,
    pub(super) connections: u64,
    pub(super) shed_rate: f64,
    pub(super) log: Log,
    pub(super) pool: Pool,
    pub(super) checkpoints: u64,
    pub(super) tables: Vec<Table>,
}

/// An operation of the interface.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Operation {
    pub(super) rate: f64,
    pub(super) error_rate: f64,
    pub(super) p50_ms: f64,
    pub(super) p95_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) max_ms: f64,
}

/// The write-ahead log.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Log {
    pub(super) flush_rate: f64,
    pub(super) commit_rate: f64,
    pub(super) group_mean: f64,
    pub(super) byte_rate: f64,
    pub(super) append_rate: f64,
}

/// The buffer pool.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Pool {
    pub(super) frames: u64,
    pub(super) hit_rate: f64,
    pub(super) miss_rate: f64,
    pub(super) eviction_rate: f64,
    pub(super) written_rate: f64,
    pub(super) latch_wait_rate: f64,
}

/// A table and its trees.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) partitions: Vec<Partition>,
}

/// A tree.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Partition {
    pub(super) items: u64,
    pub(super) pages: u64,
    pub(super) split_rate: f64,
    pub(super) merge_rate: f64,
    pub(super) restart_rate: f64,
    pub(super) lock_wait_ms: f64,
    pub(super) levels: Vec<Level>,
}

/// A level of a tree; the first are the leaves.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Level {
    pub(super) fill: f64,
    pub(super) latch_wait_ms: f64,
}
